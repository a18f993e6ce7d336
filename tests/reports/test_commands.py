"""The command in a report: typed into a shell, it makes the same recipe, and trains the same run."""

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import etude
from etude import recipes
from etude.cli import main, sweep, train
from etude.cli.recipe_word import parse_recipe
from etude.recipes import RECIPES, Recipe
from etude.reports.commands import run_command, settings, sweep_command, text_of
from etude.runs import Run
from etude.training import Display
from reports.made import made_sweep, never_trained


def words_of(text: str) -> list[str]:
    """As a shell reads them."""
    assert max(map(len, text.splitlines())) <= 90
    return shlex.split(text.replace("\\\n", " "))


@pytest.mark.parametrize("name", RECIPES)
def test_the_command_makes_the_recipe(tmp_path: Path, name: str) -> None:
    start = RECIPES[name]
    optimizer = replace(start.optimizer, learning_rate=1.5e-5, weight_decay=0.01)
    recipe = replace(start, epochs=77, seed=2**40, train_images=12, skip_broken=True, optimizer=optimizer)
    run = never_trained(tmp_path, recipe)
    first, verb, *words = words_of(run_command(run).text)
    assert (first, verb) == ("etude", "train")
    parsed, options = parse_recipe(words, train.TrainOptions(), command="train", description="")
    assert parsed == recipe
    assert (options.device, options.threads, options.precision, options.compile) == ("cpu", 1, "fp32", "off")


def test_switches_names_with_spaces_and_lists() -> None:
    recipe: Recipe = replace(RECIPES["cifar-fast"], alternate_flips=False, data="npz:/a b/my 'data'.npz")  # type: ignore[call-arg]
    found = {each.name: each for each in settings(recipe) if each.is_changed}
    assert {name: text_of(each.value) for name, each in found.items()} == {
        "alternate_flips": "no",
        "data": "npz:my 'data'.npz",
    }
    assert text_of(None) == "unset"
    assert text_of((1, 2)) == "1,2"


def test_the_command_trains_the_same_run(trained: Callable[[str], Run], tmp_path: Path) -> None:
    run = trained("lenet")
    _, *words = words_of(run_command(run).text)
    assert main([*words, "--runs-dir", str(tmp_path), "--name", "again", "--quiet", "--no-figures"]) == 0
    assert (tmp_path / "again" / "metrics.jsonl").read_bytes() == (run.path / "metrics.jsonl").read_bytes()


def test_the_command_trains_a_family_of_ones_own_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    page = (Path(__file__).parents[2] / "docs" / "extending.md").read_text("utf-8")
    (source,) = re.findall(r"^```python\n# denoising\.py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    Path("denoising.py").write_text(source, "utf-8")
    small = {"data": "digits", "epochs": 1, "train_images": 64, "threads": 1, "noise": 0.25}
    run = etude.train("denoising.py", name="mine", runs_dir=tmp_path, display=Display(quiet=True), **small)
    command = run_command(Run(run.path))
    assert command.text.startswith("etude train code/denoising.py:denoising --network mlp --data digits")
    assert "--noise 0.25" in command.text
    assert command.notes == ("Run it in the folder of the run, where code/ has the files that it names.",)
    monkeypatch.chdir(run.path)
    _, *words = words_of(command.text)
    assert main([*words, "--runs-dir", str(tmp_path), "--name", "again", "--quiet", "--no-figures"]) == 0
    assert (tmp_path / "again" / "metrics.jsonl").read_bytes() == (run.path / "metrics.jsonl").read_bytes()


def test_a_recipe_of_ones_own_comes_with_its_file(tmp_path: Path) -> None:
    run = never_trained(tmp_path, replace(RECIPES["vae"], name="mine", epochs=3, data="digits"))
    command = run_command(run)
    assert command.text == "etude train mine.toml --device cpu --threads 1 --precision fp32 --compile off"
    assert command.notes == ("Save the recipe below as mine.toml first.",)
    path = tmp_path / "mine.toml"
    path.write_text(command.toml)
    assert recipes.read_toml(path) == run.recipe


def test_a_field_that_no_flag_unsets_comes_in_a_file(tmp_path: Path) -> None:
    run = never_trained(tmp_path, replace(RECIPES["dcgan"], train_images=None))
    command = run_command(run)
    assert command.text.startswith("etude train dcgan.toml ")
    assert command.notes == ("Save the recipe below as dcgan.toml first.",)
    (tmp_path / "dcgan.toml").write_text(command.toml, "utf-8")
    assert recipes.read_toml(tmp_path / "dcgan.toml") == run.recipe


def test_what_only_python_can_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = replace(RECIPES["vae"].optimizer, learning_rate=0.5)
    run = never_trained(tmp_path, replace(RECIPES["vae"], data="python:mine", epochs=3, optimizer=optimizer))
    command = run_command(run)
    assert command.text == (
        "from dataclasses import replace\nimport etude\n\netude.train(\n    'vae',\n"
        "    data=dataset,  # the data set that was given in Python\n    epochs=3,\n"
        "    optimizer=replace(etude.recipes.get('vae').optimizer, learning_rate=0.5),\n"
        "    device='cpu',\n    threads=1,\n    precision='fp32',\n    compile='off',\n)"
    )
    given: list[Any] = []
    monkeypatch.setattr("etude.training.train", lambda *args, **words: given.append((args, words)))
    exec(command.text, {"dataset": 3})
    ((name,), words) = given[0]
    assert (name, words["data"], words["epochs"], words["optimizer"]) == ("vae", 3, 3, optimizer)


def test_the_command_of_a_sweep(tmp_path: Path) -> None:
    made = made_sweep(tmp_path, {"batch_size": [4, 8], "test_flips": [True, False]}, [[0.5] * 3] * 4, epochs=7, seed=3)
    first, verb, *words = words_of(sweep_command(made).text)
    assert (first, verb) == ("etude", "sweep")
    parsed, options = parse_recipe(words, sweep.SweepOptions(), command="sweep", description="")
    assert parsed == made.recipe
    assert (options.grid, options.seeds, options.device, options.threads) == (
        ["batch_size=4,8", "test_flips=true,false"], 3, "cpu", 1,
    )  # fmt: skip
    assert os.path.isdir(made.path)

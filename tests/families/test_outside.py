"""A family from a person's file: trained, gone on with, swept, opened by others; and what is said of a wrong one."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import etude
from etude import recipes
from etude.cli import main
from etude.errors import Interrupted, RunError, UsageError
from etude.families import Samples, book, own_networks
from etude.families.outside import load_family
from etude.families.unopened import UnopenedRecipe
from etude.files import checked_json
from etude.runs import Run
from etude.runs.checkpoint import list_steps
from etude.training import Display

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
(SOURCE,) = re.findall(r"^```python\n# denoising\.py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
MARKED = SOURCE + "\nimport pathlib\npathlib.Path(__file__).parent.joinpath('ran').touch()\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The family of docs/extending.md."""
    path = tmp_path / "denoising.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


class StopAfter(Display):
    """Asks for a stop, as Ctrl-C does, after a step."""

    def __init__(self, step: int) -> None:
        super().__init__(quiet=True)
        self.stop_after = step

    def step(self, step: int, losses: object) -> None:
        if step == self.stop_after:
            signal.raise_signal(signal.SIGINT)


def train(file: Path, name: str, display: Display | None = None, **changes: Any) -> Run:
    how: dict[str, Any] = {"data": "digits", "epochs": 2, "threads": 1, "report_every": 7, **changes}
    return etude.train(str(file), name=name, display=display or Display(quiet=True), **how)


def contents(run: Run) -> list[bytes]:
    last = run.path / "checkpoints" / f"step-{list_steps(run.path / 'checkpoints')[-1]}"
    return [each.read_bytes() for each in (run.path / "metrics.jsonl", *sorted(last.glob("*.safetensors")))]


def strange(run: Run) -> Run:
    """The same run, as someone else made it."""
    path = run.path / "recipe.json"
    content = json.loads(path.read_text())
    content.pop("checksum", None)
    for entry in content["code"]:
        entry["seal"] = "00"
    path.write_text(checked_json(content))
    return etude.load(run.path)


def test_stopped_and_resumed_equals_uninterrupted_whatever_became_of_the_file(file: Path) -> None:
    whole = train(file, "whole")
    for step in (1, 21, 30):
        file.write_text(SOURCE, encoding="utf-8")
        with pytest.raises(Interrupted):
            train(file, f"stopped-{step}", StopAfter(step))
        file.write_text(SOURCE.replace("learning_rate=1e-3", "learning_rate=9e-3").replace(".square()", ".abs()"))
        resumed = etude.resume(f"runs/stopped-{step}", display=Display(quiet=True))
        assert resumed.state.status == "finished"
        assert contents(resumed) == contents(whole)


def test_a_network_with_dropout_draws_from_a_stream_of_the_run(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dropping = SOURCE.replace("nn.Flatten(), ", "nn.Flatten(), nn.Dropout(0.2), ")
    dropping = dropping.replace("Denoiser(kind.shape)})", "Denoiser(kind.shape)}, draws=True)")
    file.write_text(dropping, encoding="utf-8")
    whole = train(file, "whole")
    torch.manual_seed(5)
    with pytest.raises(Interrupted):
        train(file, "stopped", StopAfter(21))
    torch.manual_seed(6)
    assert contents(etude.resume("runs/stopped", display=Display(quiet=True))) == contents(whole)
    assert main(["train", file.name, "--data", "digits", "--compile", "on"]) == 2
    assert capsys.readouterr().err == (
        "etude: --compile on: mlp draws random numbers of its own, as dropout does; train with --compile off.\n"
    )


def test_a_run_of_it_does_what_any_run_does(file: Path) -> None:
    run = etude.load(train(file, "a", noise=0.25).path)
    assert isinstance(run.recipe, UnopenedRecipe)
    assert run.can(Samples)
    assert run.parameters == {"denoiser": 402448}
    assert run.family.about == "a denoising"
    assert run.steps_per_epoch == 21
    images = run.sample(5, seed=3)
    assert images.shape == (5, 1, 28, 28)
    assert type(run.recipe).__name__ == "Denoising"
    assert run.recipe.noise == 0.25  # pyright: ignore[reportAttributeAccessIssue]
    assert torch.equal(images, etude.load(run.path).sample(5, seed=3))


def test_looking_at_a_run_does_not_run_its_code(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(MARKED, encoding="utf-8")
    run = train(file, "a")
    marks = [file.parent / "ran", run.path / "code" / "ran"]
    for mark in marks:
        mark.unlink(missing_ok=True)
    assert main(["show", "a"]) == 0
    assert "noise = 0.5" in capsys.readouterr().out
    assert main(["runs"]) == 0
    assert "train/squared_error" in capsys.readouterr().out
    assert main(["figure", "a", "losses"]) == 0
    etude.load("a").metrics()
    assert not any(mark.exists() for mark in marks)
    own_networks._programs.clear()  # as in another process
    assert main(["sample", "a", "--num", "4"]) == 0
    assert marks[1].exists()


def test_a_run_made_elsewhere_asks_first(file: Path) -> None:
    run = strange(train(file, "a"))
    for ask in (lambda: run.sample(4), lambda: run.networks, lambda: etude.measure(run, metrics=["copy_rate"])):
        with pytest.raises(RunError) as caught:
            ask()
        assert str(caught.value) == (
            f"run a has code of its own, {run.path / 'code' / 'denoising.py'}, and was not made here: read it, then "
            "give --trust to run it."
        )
    assert run.metrics().last()["train/squared_error"] < 0.1
    assert etude.load("a", trust=True).sample(4).shape == (4, 1, 28, 28)


def test_a_sweep_of_it(file: Path) -> None:
    how = {"data": "digits", "epochs": 1, "seeds": 2, "jobs": 1, "quiet": True, "name": "s"}
    results = etude.sweep(str(file), grid={"noise": [0.2, 0.6]}, **how)
    assert [cell.cell.label for cell in results.cells] == ["noise=0.2", "noise=0.6"]
    assert all(len(cell.values) == 2 for cell in results.cells)
    file.write_text(MARKED, encoding="utf-8")
    again = etude.sweeps.collect(etude.sweeps.load("s"))
    assert [cell.values for cell in again.cells] == [cell.values for cell in results.cells]
    with pytest.raises(UsageError, match="unknown field in --grid 'nose': did you mean 'noise'"):
        etude.sweep(str(file), grid={"nose": [1.0]}, **{**how, "name": "t"})


def test_its_recipe_is_saved_edited_and_trained(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", str(file), "--out", "mine.toml"]) == 0
    text = Path("mine.toml").read_text()
    assert "facts" not in text
    Path("mine.toml").write_text(text.replace("noise = 0.5", "noise = 0.125"))
    assert (
        main(["train", "mine.toml", "--data", "digits", "--epochs", "1", "--name", "b", "--no-figures", "--quiet"]) == 0
    )
    assert "noise = 0.125" in recipes.to_toml(etude.load("b").recipe)
    Path("mine.toml").write_text(text.replace("noise =", "nose ="))
    capsys.readouterr()
    assert main(["train", "mine.toml"]) == 2
    assert capsys.readouterr().err.startswith("etude: unknown key in recipe denoising: 'nose': did you mean 'noise'?")


def test_its_recipe_in_plain_values_and_back(file: Path) -> None:
    recipe = load_family(file).recipes[0]
    values = json.loads(json.dumps(recipes.to_dict(recipe)))
    unopened = recipes.from_dict(values, source="recipe.json")
    assert isinstance(unopened, UnopenedRecipe)
    assert recipes.to_dict(unopened) == values
    assert recipes.opened(unopened) == recipe
    for key in values["facts"]:
        damaged = {**values, "facts": {name: value for name, value in values["facts"].items() if name != key}}
        with pytest.raises(UsageError, match=re.escape(f"recipe.json: facts of the family are not whole ('{key}')")):
            recipes.from_dict(damaged, source="recipe.json")
    with pytest.raises(UsageError) as caught:
        recipes.from_dict({**values, "facts": {}}, source="recipe.json")
    assert str(caught.value) == (
        "recipe.json: a recipe with family_file needs its family and its facts: take it from its run."
    )


def test_several_recipes_in_one_file(file: Path) -> None:
    file.write_text(
        f"{SOURCE}\nGENTLE = Denoising(name='gentle', about='a gentle one', network='mlp', noise=0.1)\n"
        "RECIPES = [GENTLE, Denoising(name='rough', about='a rough one', network='mlp', noise=1.0)]\n"
    )
    assert [each.name for each in load_family(file).recipes] == ["gentle", "rough"]
    assert recipes.get(str(file)).name == "gentle"
    rough = recipes.get(f"{file}:rough")
    assert (rough.name, rough.about) == ("rough", "a rough one")
    for wrong in ("rouhg", ""):
        with pytest.raises(UsageError) as caught:
            recipes.get(f"{file}:{wrong}")
        near = "did you mean 'rough'? Choose" if wrong else "choose"
        assert str(caught.value) == f"unknown recipe of {file}: {wrong!r}: {near} from gentle, rough."
    toml = file.with_suffix(".toml")
    toml.write_text(f'family_file = "{file}"\nname = "rough"\nepochs = 3\n')
    read: Any = recipes.read_toml(toml)
    assert (read.name, read.about, read.noise, read.epochs) == ("rough", "a rough one", 1.0, 3)


def test_a_recipe_of_several_is_trained_by_its_name(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(
        f"{SOURCE}\nRECIPES = [Denoising(name=name, about=name, network='mlp', epochs=1) for name in ('one', 'two')]\n"
    )
    words = ["--data", "digits", "--quiet", "--no-figures", "--json", "--threads", "1"]
    assert main(["train", f"{file.name}:two", *words]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"] == "two"
    assert main(["train", f"{file.name}:three", *words]) == 2
    assert capsys.readouterr().err == "etude: unknown recipe of denoising.py: 'three': choose from one, two.\n"


# What is wrong with a file -------------------------------------------------------------------------------------------

MISTAKES: list[tuple[Callable[[str], str], str]] = [
    (lambda text: "", "FAMILY is not there; set FAMILY = Family(…), as docs/extending.md shows."),
    (lambda text: text.replace("FAMILY =", "FAMILIE ="), "FAMILY is not there; call FAMILIE FAMILY."),
    (
        lambda text: text + "\nFAMILY = Denoising",
        "FAMILY is Denoising; set FAMILY = Family(…), as docs/extending.md shows.",
    ),
    (
        lambda text: text.replace("@dataclass(frozen=True, kw_only=True)\n", ""),
        "Denoising is no dataclass: write @dataclass(frozen=True, kw_only=True) above it.",
    ),
    (
        lambda text: text.replace('"denoising"', '"classifier"'),
        "Denoising.family is 'classifier' (allowed: {rule}; {names} are étude's own).",
    ),
    (
        lambda text: text.replace('= "denoising"', '= "de noising"'),
        "Denoising.family is 'de noising' (allowed: {rule}).",
    ),
    (
        lambda text: text.replace("    def step(", "    def stepp("),
        "FAMILY.learner is DenoisingLearner without a method `step`: give a class derived from Learner.",
    ),
    (
        lambda text: text.replace("learner=DenoisingLearner", "learner=Denoiser"),
        "FAMILY.learner is Denoiser: give a class derived from Learner.",
    ),
    (
        lambda text: text.replace('loss_names = ("squared_error",)', 'loss_names = "squared_error"'),
        "DenoisingLearner.loss_names is 'squared_error': give the names as a tuple, (\"loss\",).",
    ),
    (
        lambda text: text.replace(
            'networks={"mlp": Network(build=lambda recipe, kind:', 'networks={"mlp": (lambda recipe, kind:'
        ),
        "FAMILY.networks is no dictionary of names and Network(build=…): make it one.",
    ),
    (
        lambda text: text.replace("    epochs: int = 10\n", ""),
        "Denoising has no default for epochs: give each one, or make RECIPES a list of Denoising(…).",
    ),
    (lambda text: text + "\nRECIPES = 3", "RECIPES is no list of Denoising(…): make it one, or leave it out."),
    (
        lambda text: text + "\nRECIPES = [Denoising(name='vae', about='x', network='mlp')]",
        "vae is the name of a recipe of étude's own: choose another.",
    ),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_mistakes(change: Callable[[str], str], message: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from etude.families.book import NAMES
    from etude.files import PLAIN_NAME_RULE

    file.write_text(change(SOURCE), encoding="utf-8")
    for command in (["train", "denoising.py"], ["check", "denoising.py"]):
        assert main(command) == 2
        wanted = message.replace("{rule}", PLAIN_NAME_RULE).replace("{names}", ", ".join(NAMES))
        assert capsys.readouterr().err == f"etude: denoising.py: {wanted}\n"
    assert not Path("runs").exists()


def test_a_file_that_is_not_there_or_does_not_run(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("train", "check", "sweep"):
        assert main([command, "absent.py"]) == 2
        assert capsys.readouterr().err == (
            "etude: there is no file absent.py; give the path of a Python file that defines FAMILY.\n"
        )
        file.write_text("1 / 0\n")
        assert main([command, "denoising.py"]) == 2
        assert capsys.readouterr().err == (
            "etude: denoising.py could not be imported: ZeroDivisionError: division by zero.\n"
        )


def test_check_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "denoising.py", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["family"], found["passed"]) == ("denoising", True)
    assert {each["status"] for each in found["checks"]} == {"pass"}
    file.write_text(SOURCE.replace('{"squared_error": (', '{"error": ('))
    with pytest.raises(SystemExit) as stop:
        main(["check", "denoising.py", "--json"])
    assert stop.value.code == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["passed"]
    assert [each for each in found["checks"] if each["status"] == "fail"] == [
        {
            "name": "loss_names", "status": "fail",
            "message": "step returns error, and loss_names has squared_error: make them one.",
        },
    ]  # fmt: skip


def test_check_of_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "clasifier"]) == 2
    assert capsys.readouterr().err == (
        f"etude: unknown family 'clasifier': did you mean 'classifier'? Choose from {', '.join(sorted(book.NAMES))}; "
        "or FILE.py, which defines FAMILY.\n"
    )


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_a_field_of_ones_own_has_a_range_and_a_recipe_has_rules(
    future: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    field = '    """Standard deviation of the noise on the pixels."""\n'
    rules = '\n    def rules(self):\n        yield self.batch_size % 2 == 0, "batch_size", "an even number"\n'
    file.write_text(future + SOURCE.replace(field, field + rules), encoding="utf-8")
    assert main(["train", "denoising.py", "--data", "digits", "--noise", "-1", "--batch-size", "9"]) == 2
    assert capsys.readouterr().err == (
        "etude: out of range: --noise -1.0 (allowed: 0 or more); --batch-size 9 (allowed: an even number).\n"
    )
    with pytest.raises(SystemExit):
        main(["train", "denoising.py", "--help"])
    page = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Standard deviation of the noise on the pixels. (0 or more; default: 0.5)" in page

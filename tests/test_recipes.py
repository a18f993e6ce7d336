"""Recipes: their values, their files, and what a person can get wrong."""

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import etude
from etude import recipes
from etude.data import Reading
from etude.errors import UsageError
from etude.families.adversarial.recipe import Adversarial
from etude.families.variational.recipe import Variational
from etude.recipes import RECIPES, Optimizer


def test_the_courses_settings() -> None:
    lenet, gan, lsgan, dcgan = (RECIPES[name] for name in ("lenet", "gan", "lsgan", "dcgan"))
    assert (lenet.data, lenet.batch_size, lenet.epochs) == ("cifar10", 4, 3)
    assert (lenet.optimizer.name, lenet.optimizer.learning_rate, lenet.optimizer.momentum) == ("sgd", 1e-3, 0.9)
    for recipe, epochs in ((gan, 10), (lsgan, 10), (dcgan, 5)):
        assert isinstance(recipe, Adversarial)
        assert (recipe.data, recipe.batch_size, recipe.epochs, recipe.noise_dim) == ("mnist", 128, epochs, 96)
        assert (recipe.optimizer.name, recipe.optimizer.learning_rate) == ("adam", 1e-3)
        assert (recipe.optimizer.beta1, recipe.optimizer.beta2) == (0.5, 0.999)
        assert recipe.train_images == 50_000
    for name in ("vae", "cvae"):
        recipe = RECIPES[name]
        assert isinstance(recipe, Variational)
        assert (recipe.batch_size, recipe.epochs, recipe.latent_dim, recipe.beta) == (32, 10, 2, 1.0)
        assert (recipe.optimizer.name, recipe.optimizer.learning_rate) == ("adam", 1e-3)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_its_toml_file(name: str, tmp_path: Path) -> None:
    changed = dataclasses.replace(RECIPES[name], seed=7, data="digits")
    recipes.write_toml(changed, tmp_path / "mine.toml")
    assert recipes.read_toml(tmp_path / "mine.toml") == changed


def test_a_file_may_say_only_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "gan"\nepochs = 2\n[optimizer]\nlearning_rate = 5e-4\n')
    expected = dataclasses.replace(
        RECIPES["gan"], epochs=2, optimizer=dataclasses.replace(RECIPES["gan"].optimizer, learning_rate=5e-4)
    )
    assert recipes.read_toml(file) == expected


def test_a_file_may_name_a_recipe_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    text = recipes.to_toml(RECIPES["vae"]).replace('name = "vae"', 'name = "my-vae"').replace("beta = 1.0", "beta = 2")
    file.write_text(text)
    recipe = recipes.read_toml(file)
    assert isinstance(recipe, Variational)
    assert (recipe.name, recipe.beta) == ("my-vae", 2)


MISTAKES = {
    "name = 3": "FILE: needs `name`, one of lenet, cifar-fast, classifier, sentiment-lstm, text-classifier, "
    "gan, lsgan, dcgan, wgan-gp, vae, beta-vae, cvae, ddpm, flow, translate-gru, translate-luong, "
    "translate-transformer, char-lstm, char-gru, char-transformer, or `family`, one of classifier, text, adversarial, "
    "variational, diffusion, translation, language, with all keys; got name 3, family None.",
    'name = "gan"\nepoch = 3': "unknown key in FILE: 'epoch': did you mean 'epochs'? Choose from about, batch_size, "
    "data, discriminator, discriminator_steps, epochs, family_file, fit, generator, gradient_penalty, image_size, "
    "loss, name, network, noise_dim, optimizer, report_every, seed, skip_broken, train_images, validation_images.",
    'name = "gan"\nepochs = "3"': "FILE: epochs is '3'; allowed: a whole number.",
    'name = "gan"\nepochs = true': "FILE: epochs is True; allowed: a whole number.",
    'name = "gan"\nloss = "vanilla"': "FILE: loss is 'vanilla'; allowed: 'nonsaturating', 'least_squares', 'minimax', "
    "'wasserstein', 'hinge'.",
    'name = "gan"\noptimizer = 3': "FILE: optimizer is 3; allowed: a table, [optimizer].",
    'name = "gan"\nnoise_dim = 0\nepochs = 0': "out of range: --epochs 0 (allowed: at least 1); "
    "--noise-dim 0 (allowed: 1 to 4096).",
    'family = "classifier"\nname = "mine"\n[optimizer]\nname = "sgd"\nlearning_rate = 0.1': "FILE: missing about, "
    "epochs, batch_size; add them.",
    "name = ": "FILE is not TOML: Invalid value (at end of document); `etude recipes vae` prints an example.",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_in_a_file(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        recipes.read_toml(file)
    assert str(caught.value) == MISTAKES[text].replace("FILE", str(file))


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"^cannot read recipe nowhere.toml: no such file or directory\.$"):
        recipes.read_toml(Path("nowhere.toml"))


@given(content=st.binary(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_recipe_or_a_usage_error(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "any.toml"
    file.write_bytes(b'name = "vae"\n' + content)
    try:
        recipe = recipes.read_toml(file)
    except UsageError as error:
        recipe = error
    assert isinstance(recipe, Variational) or "\n" not in str(recipe)


def test_all_values_out_of_range_are_reported_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        Optimizer(name="adam", learning_rate=0, beta1=1, weight_decay=-1)
    assert str(caught.value) == (
        "out of range: --optimizer.learning-rate 0 (allowed: above 0); --optimizer.beta1 1 (allowed: in [0, 1)); "
        "--optimizer.weight-decay -1 (allowed: 0 or more)."
    )


def test_ranges_of_clipping_and_of_the_running_average() -> None:
    with pytest.raises(UsageError) as caught:
        Optimizer(name="adam", learning_rate=1e-3, clip_norm=-0.5, average=1.0)
    assert str(caught.value) == (
        "out of range: --optimizer.clip-norm -0.5 (allowed: 0 or more); --optimizer.average 1.0 (allowed: in [0, 1))."
    )
    values: list[dict[str, Any]] = [
        {"clip_norm": math.inf},
        {"clip_norm": math.nan},
        {"average": -0.1},
        {"average": math.nan},
    ]
    for wrong in values:
        with pytest.raises(UsageError, match=r"^out of range: --optimizer\."):
            Optimizer(name="adam", learning_rate=1e-3, **wrong)
    values = [{"clip_norm": 0.0}, {"clip_norm": 1e9}, {"average": 0.0}, {"average": 0.9999}]
    for right in values:
        Optimizer(name="adam", learning_rate=1e-3, **right)


@pytest.mark.parametrize(
    ("step", "schedule", "average"), [(0, 1, 0.1), (8, 1, 0.5), (80, 1, 0.9), (890, 1, 0.99), (50_000, 1, 0.99)]
)
def test_a_running_average_begins_short(step: int, schedule: float, average: float) -> None:
    rates = Optimizer(name="sgd", learning_rate=0.1, average=0.99).rates_at(step, 100_000)
    assert (rates.schedule, rates.average) == (schedule, pytest.approx(average))


def test_rates_follow_the_schedule_and_have_no_average_where_none_is_wanted() -> None:
    optimizer = Optimizer(name="sgd", learning_rate=0.1, schedule="cosine")
    rates = [optimizer.rates_at(step, 12) for step in (0, 4, 6, 9)]
    assert [each.schedule for each in rates] == pytest.approx([1, 0.75, 0.5, 0.5 - 0.125**0.5])
    assert [each.average for each in rates] == [0] * 4


def test_not_a_number_is_out_of_range() -> None:
    with pytest.raises(UsageError, match=r"--optimizer.learning-rate nan"):
        Optimizer(name="adam", learning_rate=math.nan)
    with pytest.raises(UsageError, match=r"--optimizer.learning-rate inf"):
        Optimizer(name="adam", learning_rate=math.inf)
    with pytest.raises(UsageError, match=r"--beta nan"):
        dataclasses.replace(RECIPES["vae"], beta=math.nan)


def test_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        recipes.get("lsgam")
    assert str(caught.value) == (
        "unknown recipe 'lsgam': did you mean 'lsgan'? Choose from beta-vae, char-gru, char-lstm, "
        "char-transformer, cifar-fast, classifier, cvae, dcgan, ddpm, flow, gan, lenet, lsgan, sentiment-lstm, "
        "text-classifier, translate-gru, translate-luong, translate-transformer, vae, wgan-gp; `etude recipes` "
        "describes them."
    )


@pytest.mark.parametrize(("progress", "share"), [(0, 1), (0.5, 0.5), (1, 0), (1 / 3, 0.75)])
def test_cosine_schedule(progress: float, share: float) -> None:
    optimizer = Optimizer(name="sgd", learning_rate=0.2, schedule="cosine")
    assert optimizer.schedule_at(progress) == pytest.approx(share)


def test_a_recipe_says_how_its_data_are_read() -> None:
    assert RECIPES["lenet"].reading == Reading()
    changed = recipes.change(RECIPES["lenet"], image_size=64, fit="pad", skip_broken=True)
    assert changed.reading == Reading(image_size=64, fit="pad", skip_broken=True)


def test_recipes_do_not_import_torch() -> None:
    code = "import sys, etude.recipes, etude.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("call", "begins", "ends"),
    [
        (
            lambda: etude.train("vae", epoch=3),
            "unknown argument 'epoch': did you mean 'epochs'? Choose from about, batch_size, ",
            "; `etude.sweep` trains several seeds.",
        ),
        (lambda: etude.train("vae", run_dir="x"), "unknown argument 'run_dir': did you mean 'runs_dir'? ", None),
        (lambda: etude.sweep("vae", num_seeds=3), "unknown argument 'num_seeds': did you mean 'seeds'? ", None),
    ],
)
def test_a_wrong_argument_is_called_one(call: Callable[[], object], begins: str, ends: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert str(caught.value).startswith(begins)
    assert ends is None or str(caught.value).endswith(ends)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_what_a_recipe_sets_can_be_unset_in_a_file(name: str, tmp_path: Path) -> None:
    recipe = recipes.get(name)
    for field in dataclasses.fields(recipe):
        try:
            changed = recipes.change(recipe, **{field.name: None})
        except UsageError:  # it must be set
            continue
        assert recipes.from_dict(recipes.to_dict(changed), source="a run") == changed
        recipes.write_toml(changed, tmp_path / "recipe.toml")
        assert recipes.read_toml(tmp_path / "recipe.toml") == changed

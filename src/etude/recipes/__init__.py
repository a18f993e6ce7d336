"""The named configurations: which network, trained on which data, how; and their TOML files.

There is one class per family (classifier, adversarial, variational; see `schema`) and one instance per name in
`RECIPES`. Nothing here imports PyTorch, so `etude --help` stays quick.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from etude.errors import UsageError, unknown
from etude.files import parse_toml, write_atomically
from etude.recipes.building import build, table, without_none
from etude.recipes.schema import (
    Adversarial,
    Classifier,
    Optimizer,
    Recipe,
    Variational,
)

_LENET = Classifier(
    name="lenet",
    about="LeNet classifier, cross-entropy, SGD with momentum",
    data="cifar10",
    epochs=3,
    batch_size=4,
    optimizer=Optimizer(name="sgd", learning_rate=1e-3, momentum=0.9),
)
_CIFAR_FAST = Classifier(
    name="cifar-fast",
    about="small convolutional network on CIFAR-10 in minutes, by the ideas of the speed-runs (Jordan 2024)",
    data="cifar10",
    network="cifar-fast",
    width=32,
    validation_images=0,
    epochs=8,
    batch_size=256,
    label_smoothing=0.2,
    alternate_flips=True,
    shift_pixels=2,
    test_flips=True,
    optimizer=Optimizer(
        name="sgd", learning_rate=0.75, schedule="triangular", momentum=0.85, nesterov=True, weight_decay=3e-4
    ),
)
_GAN = Adversarial(
    name="gan",
    about="fully connected GAN, non-saturating loss (Goodfellow et al. 2014)",
    network="gan",
    epochs=10,
    batch_size=128,
    train_images=50_000,
    optimizer=Optimizer(name="adam", learning_rate=1e-3, beta1=0.5, beta2=0.999),
)
_LSGAN = replace(
    _GAN,
    name="lsgan",
    about="fully connected GAN, least-squares loss (Mao et al. 2017)",
    loss="least_squares",
)
_DCGAN = replace(
    _GAN,
    name="dcgan",
    about="convolutional GAN, non-saturating loss (Radford et al. 2016)",
    network="dcgan",
    epochs=5,
)
_WGAN_GP = replace(
    _GAN,
    name="wgan-gp",
    about="fully connected Wasserstein GAN with gradient penalty (Gulrajani et al. 2017)",
    loss="wasserstein",
    gradient_penalty=10.0,
    discriminator_steps=5,
    optimizer=Optimizer(name="adam", learning_rate=1e-4, beta1=0.0, beta2=0.9),
)
_VAE = Variational(
    name="vae",
    about="variational autoencoder with 2 latents (Kingma and Welling 2014)",
    network="vae",
    epochs=10,
    batch_size=32,
    validation_images=0,
    optimizer=Optimizer(name="adam", learning_rate=1e-3),
)
_BETA_VAE = replace(
    _VAE,
    name="beta-vae",
    about="variational autoencoder with 10 latents, KL term weighted 4-fold (Higgins et al. 2017)",
    latent_dim=10,
    beta=4.0,
)
_CVAE = replace(
    _VAE,
    name="cvae",
    about="variational autoencoder given the label (Sohn et al. 2015)",
    network="cvae",
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (_LENET, _CIFAR_FAST, _GAN, _LSGAN, _DCGAN, _WGAN_GP, _VAE, _BETA_VAE, _CVAE)
}
FAMILIES: dict[str, type[Recipe]] = {cls.family: cls for cls in (Classifier, Adversarial, Variational)}


def described() -> str:
    """The recipes, a line each."""
    width = max(map(len, RECIPES)) + 2
    return "\n".join(f"{name:<{width}}{recipe.about}" for name, recipe in RECIPES.items())


def get(name: str) -> Recipe:
    """The recipe of that name; a `UsageError` suggests the nearest one."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES, hint="`etude recipes` describes them")
    return RECIPES[name]


def require_arguments(recipe: Recipe, given: Iterable[str], others: Iterable[str], *, hint: str = "") -> None:
    """`UsageError` where a name is neither a field of the recipe nor one of the `others` that a call may hold."""
    known = [*(field.name for field in dataclasses.fields(recipe)), *others]
    for name in given:
        if name not in known:
            raise unknown("argument", name, known, hint=hint)


def change(recipe: Recipe, **changes: Any) -> Recipe:
    """The recipe with some fields changed; `UsageError` for a field it has not or a value of the wrong type."""
    values = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    return build(type(recipe), {**values, **changes}, f"recipe {recipe.name}")


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, fields that are not set left out: what TOML and JSON files hold."""
    return without_none({"family": recipe.family, **dataclasses.asdict(recipe)})


def from_dict(values: dict[str, Any], *, source: str) -> Recipe:
    """The recipe that `to_dict` wrote, or a person in a TOML file; `source` names the file in errors.

    A file may name a recipe and only what differs from it: missing keys are taken from the recipe of that `name`,
    nested ones too. A file with all keys may use a name of its own and states its `family`.
    """
    values = dict(values)
    name, family = values.get("name"), values.pop("family", None)
    if isinstance(name, str) and name in RECIPES:
        start = to_dict(RECIPES[name])
        family = family or start.pop("family")
        values = {**start, **values, "optimizer": {**start["optimizer"], **table(values, "optimizer", source)}}
        values.pop("family", None)
    if not isinstance(family, str) or family not in FAMILIES:
        raise UsageError(
            f"{source}: needs `name`, one of {', '.join(RECIPES)}, or `family`, one of {', '.join(FAMILIES)}, "
            f"with all keys; got name {name!r}, family {family!r}."
        )
    values["optimizer"] = build(Optimizer, table(values, "optimizer", source), source)
    return build(FAMILIES[family], values, source)


def to_toml(recipe: Recipe) -> str:
    """The recipe as the text of a TOML file."""
    import tomli_w

    return tomli_w.dumps(to_dict(recipe))


def write_toml(recipe: Recipe, path: Path) -> None:
    """Save the recipe to a TOML file."""
    write_atomically(path, to_toml(recipe))


def read_toml(path: Path) -> Recipe:
    """The recipe in a TOML file; `UsageError` says what is wrong with it."""
    try:
        values = parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read recipe {path}: {(error.strerror or str(error)).lower()}.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}; `etude recipes vae` prints an example.") from error
    return from_dict(values, source=str(path))

"""The networks of a GAN from a person's file: noise (N, noise_dim) to examples, and examples to scores.

Either may take the labels (N,) as its second argument. Then both must, and the GAN is conditional.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from etude.data.kinds import Images, Kind, Table
from etude.errors import UsageError
from etude.families.adversarial.recipe import Adversarial
from etude.families.family import Examined, Network, Networks, Traits, count_parameters
from etude.families.own_networks import example_of, make, takes_labels
from etude.families.stands import joined, stands
from etude.families.trial import LARGE, Trial, looks_like, materialise
from etude.models import uniform_noise


def build(pairs: Mapping[str, Network[Adversarial]], recipe: Adversarial, kind: Kind) -> Networks:
    """Make the networks of the recipe's `network`, with a person's networks in place of those that the recipe names."""
    both = recipe.discriminator and recipe.generator
    networks = {} if both else pairs[recipe.network].build(recipe, kind)
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(2) % kind.num_classes
    if recipe.discriminator:
        module = networks["discriminator"] = make(recipe.discriminator, kind, noise_dim=recipe.noise_dim)
        materialise(module, partial(module, *_given(module, example_of(kind, 2, generator), labels)))
    if recipe.generator:
        sizes = {"noise_dim": recipe.noise_dim, "latent_dim": recipe.noise_dim}
        module = networks["generator"] = make(recipe.generator, kind, **sizes)
        noise = uniform_noise(2, recipe.noise_dim, generator=generator)
        if _wants_maps(module, noise, labels):
            module.register_forward_pre_hook(_as_maps)
        materialise(module, partial(module, *_given(module, noise, labels)))
    return networks


def _given(module: nn.Module, examples: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
    return (examples, labels) if takes_labels(module.forward) else (examples,)


def _as_maps(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Reshape noise (N, noise_dim) to (N, noise_dim, 1, 1), for a generator that starts with a convolution."""
    noise, *rest = inputs
    return (noise[:, :, None, None], *rest)


def _wants_maps(module: nn.Module, noise: Tensor, labels: Tensor) -> bool:
    """Whether a generator fails on noise (N, noise_dim) and works on (N, noise_dim, 1, 1)."""

    def works(noise: Tensor) -> bool:
        try:
            output = module(*_given(module, noise, labels))
        except Exception:
            return False
        return not isinstance(output, Tensor) or output.ndim != 3  # a convolution takes (N, C) for one map (N, C)

    mode = module.training
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        module.eval()
        wants = not works(noise) and works(noise[:, :, None, None])
        module.train(mode)
    return wants


def examine(pairs: Mapping[str, Network[Adversarial]], recipe: Adversarial, kind: Kind) -> Examined:
    """Try both on a few made-up examples."""
    networks = build(pairs, recipe, kind)
    discriminator, generator = networks["discriminator"], networks["generator"]
    conditional = takes_labels(generator.forward)
    if conditional != takes_labels(discriminator.forward):
        one, other = ("generator", "discriminator") if conditional else ("discriminator", "generator")
        raise UsageError(
            f"the {one} takes labels and the {other} takes none: give the forward of both a second argument, labels, "
            "or that of neither."
        )
    draws = torch.Generator().manual_seed(0)
    notes, traits, drawing = list[str](), list[Traits](), False
    if recipe.generator:
        trial, noise = Trial(recipe.generator, generator), uniform_noise(3, recipe.noise_dim, generator=draws)
        _examine_generator(trial, kind, noise, torch.arange(3) % kind.num_classes)
        traits.append(stands(trial, "noise", *_given(generator, noise, torch.arange(3) % kind.num_classes)))
        notes, drawing = notes + trial.notes, drawing or trial.draws
    if recipe.discriminator:
        trial, examples = Trial(recipe.discriminator, discriminator), example_of(kind, 3, draws)
        _examine_discriminator(trial, kind, examples, torch.arange(3) % kind.num_classes)
        given = _given(discriminator, examples, torch.arange(3) % kind.num_classes)
        traits.append(stands(trial, kind.plural, *given))
        notes, drawing = notes + trial.notes, drawing or trial.draws
    if any(not each.requires_grad for network in networks.values() for each in network.parameters()):
        raise UsageError(
            "a network of the GAN has parameters with requires_grad=False: keep what is not trained in buffers."
        )
    return Examined(
        traits=joined(*traits),
        notes=tuple(notes),
        draws=drawing,
        conditional=conditional,
        parameters=count_parameters(networks),
    )


def _examine_generator(trial: Trial, kind: Kind, noise: Tensor, labels: Tensor) -> None:
    trial.check_tensors()
    name, what = trial.name, kind.plural if isinstance(kind, Images) else "rows"
    shape = ", ".join(map(str, kind.shape))
    for number in (3, 1):
        given = _given(trial.module, noise[:number], labels[:number])
        wanted = f"{what} ({number}, {shape})"
        output = trial.apply("noise", *given, train=False)
        small = trial.require_tensor(output, wanted, [(number, *kind.shape)], f"noise ({number}, {noise.shape[1]})")
    large = trial.apply("noise", *_given(trial.module, noise * LARGE, labels), train=False).detach()
    if isinstance(kind, Images):
        if looks_like(small.detach(), large) == "sigmoid":
            raise UsageError(
                f"{name}: its images look like a sigmoid's, in [0, 1]; they are in [-1, 1]: end with tanh."
            )
        if large.abs().max() > 1:
            trial.notes.append(f"{name} gives numbers beyond [-1, 1], where images end: a last tanh keeps them inside.")
    trial.check_step("noise", _given(trial.module, noise, labels))


def _examine_discriminator(trial: Trial, kind: Kind, examples: Tensor, labels: Tensor) -> None:
    trial.check_tensors()
    what = kind.plural if isinstance(kind, Images) else "rows"
    for number in (3, 1):
        given = _given(trial.module, examples[:number], labels[:number])
        output = trial.apply(what, *given, train=False)
        shapes = [(number, 1), (number,), (number, 1, 1, 1)]
        small = trial.require_tensor(
            output, f"({number}, 1) or ({number},), a score for each", shapes, f"{number} {what}"
        )
    large = trial.apply(what, *_given(trial.module, examples * LARGE, labels), train=False).detach()
    if looks_like(small.detach(), large) == "sigmoid":
        raise UsageError(f"{trial.name}: its scores look like a sigmoid's; return the numbers before it.")
    trial.check_step(what, _given(trial.module, examples, labels))


def network(pairs: Mapping[str, Network[Adversarial]], recipe: Adversarial) -> Network[Adversarial]:
    """The networks of the recipe, with those that it names in a person's file."""
    kinds = (Images, Table) if recipe.generator and recipe.discriminator else pairs[recipe.network].kinds
    return Network(build=partial(build, pairs), examine=partial(examine, pairs), kinds=kinds)

"""From a recipe to what the loop trains: the learner of its family, on networks with their initial weights."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from etude.compute import Execution
from etude.data import Dataset
from etude.data.kinds import examples_of
from etude.errors import UsageError
from etude.families import own_networks
from etude.families.book import family_of
from etude.families.family import Examined, Networks, count_parameters
from etude.families.learner import Learner
from etude.families.stands import DRAWS
from etude.recipes import Recipe
from etude.runs.splits import make_rows
from etude.speed.traits import traits_of
from etude.streams import global_stream, stream
from etude.user_code import parse_spec

PREPARING_EXAMPLES = 5_000
"""This many training examples are enough for what a network computes from them before its first step."""


def require_a_step(recipe: Recipe, dataset: Dataset, num_examples: int) -> None:
    """Raise `UsageError` if `num_examples` of the data set are too few for a single step."""
    if num_examples < recipe.examples_per_step:
        largest = num_examples * recipe.batch_size // recipe.examples_per_step
        what = examples_of(dataset.kind)
        advice = f"choose at most {largest}" if largest else f"give more {what} to train on"
        if dataset.validation is None:
            advice += ", or hold out fewer --validation-images"
        raise UsageError(
            f"--batch-size {recipe.batch_size} needs {recipe.examples_per_step} {what} a step, and there are "
            f"{num_examples} to train on: {advice}."
        )


def require_classes(recipe: Recipe, dataset: Dataset) -> None:
    """Raise `UsageError` if there is only one class and a network tells classes apart, or is given them."""
    needed = family_of(recipe).needs_classes
    if len(dataset.class_names) < 2 and (needed or examined(recipe, dataset.kind).conditional):
        layout = f": {dataset.layout}" if dataset.layout else ""
        raise UsageError(
            f"{recipe.network} needs at least two classes, and {dataset.name} has one{layout}; put the images of "
            "each class into a folder named after it, PATH/CLASS/1.png or PATH/train/CLASS/1.png (labels in file names "
            "or tables are not read), or train a gan or vae, which need no classes."
        )


def require_kind(recipe: Recipe, dataset: Dataset) -> None:
    """Raise `UsageError` if the recipe's network does not take this kind of data."""
    family = family_of(recipe)
    if not isinstance(dataset.kind, family.network_of(recipe).kinds):
        kind = type(dataset.kind)
        fitting = [name for name, network in family.networks.items() if kind in network.kinds]
        advice = f"choose --network {', '.join(fitting)}" if fitting else f"{family.about} takes none"
        raise UsageError(f"{recipe.network} does not take {kind.plural}, and {dataset.name} holds them: {advice}.")


def examined(recipe: Recipe, kind: Any) -> Examined:
    """What is known of the recipe's networks for a kind of data. A person's networks are tried first.

    Raises `UsageError` if something is wrong with them.
    """
    network = family_of(recipe).network_of(recipe)
    if network.examine is not None:
        files = [own_networks.admitted(parse_spec(text).path) for text in recipe.code.values()]
        return _tried(recipe, kind, tuple(source.sha256 for program in files for source in program.sources))
    parameters: dict[str, int] = {}
    if recipe.family_file:
        with torch.device("meta"):
            parameters = count_parameters(network.build(recipe, kind))
    draws = network.draws(recipe) if callable(network.draws) else network.draws
    reasons = [network.traits.eager, DRAWS.format(name=recipe.network) if draws else ""]
    return Examined(
        traits=replace(network.traits, eager=" and ".join(filter(None, reasons))),
        draws=draws,
        conditional=network.conditional,
        parameters=parameters,
    )


@lru_cache(maxsize=256)
def _tried(recipe: Recipe, kind: Any, digests: tuple[str, ...]) -> Examined:
    network = family_of(recipe).network_of(recipe)
    assert network.examine is not None
    with global_stream(recipe.seed, "init"):
        found, networks = network.examine(recipe, kind), network.build(recipe, kind)
    # What its layers promise, if trying it has shown that it allows it.
    traits, tried = traits_of(list(networks.values())), found.traits
    return replace(
        found,
        traits=replace(
            traits,
            channels_last=traits.channels_last and tried.channels_last,
            bf16=traits.bf16 and tried.bf16,
            bf16_on_a_gpu=traits.bf16_on_a_gpu and tried.bf16,
            eager=tried.eager,
        ),
    )


def build_networks(recipe: Recipe, kind: Any) -> Networks:
    """The recipe's networks by name, with initial weights from PyTorch's global generator."""
    return family_of(recipe).network_of(recipe).build(recipe, kind)


def create_learner(recipe: Recipe, dataset: Dataset, execution: Execution) -> Learner[Any]:
    """The learner of the recipe's family, with new networks on the device, initialised from the recipe's seed."""
    family = family_of(recipe)
    network = family.network_of(recipe)
    with global_stream(recipe.seed, "init"):
        networks = network.build(recipe, dataset.kind)
    if network.prepare:
        rows = make_rows(recipe, dataset).train[:PREPARING_EXAMPLES]
        examples = dataset.train[dataset.kind.column][rows]
        trained = family.trained(recipe, networks, dataset.kind)
        network.prepare(networks, trained.inputs(examples, generator=torch.Generator()))
    found = examined(recipe, dataset.kind)
    layout = torch.channels_last if found.traits.channels_last else torch.contiguous_format
    for each in networks.values():
        each.to(execution.device).to(memory_format=layout)  # pyright: ignore[reportCallIssue]  (missing in its stubs)
    learner = family.learner(recipe, networks, dataset, execution)
    learner.traits = found.traits
    if found.draws:
        learner.own_draws = learner.streams["network"] = stream(recipe.seed, "network")
    return learner

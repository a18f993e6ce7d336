"""A classifier's network from a person's file: examples (N, ...) to logits (N, classes)."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from etude.data.kinds import Images, Kind, Table
from etude.errors import UsageError
from etude.families.classifier.recipe import Classifier
from etude.families.family import Examined, Network, Networks, count_parameters
from etude.families.own_networks import example_of, make, name_of
from etude.families.stands import stands
from etude.families.trial import LARGE, Trial, looks_like, materialise


def build(recipe: Classifier, kind: Kind) -> Networks:
    """Make the network that the recipe names."""
    module = make(recipe.network, kind)
    materialise(module, partial(module, example_of(kind, 2, torch.Generator().manual_seed(0))))
    return {name_of(recipe.network): module}


def examine(recipe: Classifier, kind: Kind) -> Examined:
    """Try it on a few made-up examples."""
    networks = build(recipe, kind)
    (module,) = networks.values()
    trial = Trial(recipe.network, module)
    trial.check_tensors()
    what, generator = kind.plural if isinstance(kind, Images) else "rows", torch.Generator().manual_seed(0)
    examples = example_of(kind, min(recipe.batch_size, 3), generator)
    # In evaluation, a batch may have any size.
    for number in (3, 1):
        some = example_of(kind, number, generator)
        require_logits(
            trial, what, some, kind.num_classes, larger=partial(trial.apply, what, some * LARGE, train=False)
        )
    require_logits_in_training(trial, what, examples, kind.num_classes)
    return Examined(
        traits=stands(trial, what, examples),
        notes=tuple(trial.notes),
        draws=trial.draws,
        parameters=count_parameters(networks),
    )


def require_logits(trial: Trial, what: str, some: Tensor, num_classes: int, *, larger: Callable[[], Tensor]) -> None:
    """Raise `UsageError` if examples (N, ...) do not become logits (N, classes) in evaluation.

    `larger` gives the output of an untrained network on far larger numbers, which logits follow and probabilities not.
    """
    number = len(some)
    wanted = f"({number}, {num_classes}), a score for each class, as with num_classes={num_classes}"
    output = trial.apply(what, some, train=False)
    counted = f"{number} {what}" if number > 1 else f"one of the {what}"
    small = trial.require_tensor(output, wanted, [(number, num_classes)], counted)
    match looks_like(small.detach(), larger().detach()):
        case "log-softmax":
            trial.notes += [] if number == 1 else [f"{trial.name} gives log-probabilities, which are logits too."]
        case "":
            pass
        case squashed:
            raise UsageError(
                f"{trial.name}: its outputs look like a {squashed}; return the logits, the numbers before it."
            )


def require_logits_in_training(trial: Trial, what: str, examples: Tensor, num_classes: int) -> None:
    """Raise `UsageError` if examples (N, ...) do not become logits (N, classes) in a step of training."""
    output = trial.check_step(what, [examples])
    wanted = f"({len(examples)}, {num_classes}), a score for each class"
    trial.require_tensor(output, wanted, [(len(examples), num_classes)], f"{len(examples)} {what} in training")


def network(recipe: Classifier) -> Network[Classifier]:
    """The network that the recipe names, for images and tables."""
    return Network(build=build, examine=examine, kinds=(Images, Table))

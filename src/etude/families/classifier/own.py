"""A classifier's network from a person's file: examples (N, ...) to logits (N, classes)."""

from functools import partial

import torch

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
    ((name, module),) = networks.items()
    trial = Trial(recipe.network, module)
    trial.check_tensors()
    what, generator = kind.plural if isinstance(kind, Images) else "rows", torch.Generator().manual_seed(0)
    examples = example_of(kind, min(recipe.batch_size, 3), generator)
    # In evaluation, a batch may have any size.
    for number in (3, 1):
        some = example_of(kind, number, generator)
        output = trial.apply(what, some, train=False)
        counted = f"{number} {what}" if number > 1 else f"one of the {what}"
        wanted = f"({number}, {kind.num_classes}), a score for each class, as with num_classes={kind.num_classes}"
        small = trial.require_tensor(output, wanted, [(number, kind.num_classes)], counted)
        large = trial.apply(what, some * LARGE, train=False)
        match looks_like(small.detach(), large.detach()):
            case "log-softmax":
                trial.notes += [] if number == 1 else [f"{name} gives log-probabilities, which are logits too."]
            case "":
                pass
            case squashed:
                raise UsageError(
                    f"{name}: its outputs look like a {squashed}; return the logits, the numbers before it."
                )
    output = trial.check_step(what, [examples])
    wanted = f"({len(examples)}, {kind.num_classes}), a score for each class"
    trial.require_tensor(output, wanted, [(len(examples), kind.num_classes)], f"{len(examples)} {what} in training")
    return Examined(
        traits=stands(trial, what, examples),
        notes=tuple(trial.notes),
        draws=trial.draws,
        parameters=count_parameters(networks),
    )


def network(recipe: Classifier) -> Network[Classifier]:
    """The network that the recipe names, for images and tables."""
    return Network(build=build, examine=examine, kinds=(Images, Table))

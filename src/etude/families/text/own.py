"""A classifier of sentences from a person's file: tokens (N, L) to logits (N, classes)."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from etude.data.kinds import Tokens
from etude.data.text.vocabulary import UNK
from etude.families.average import with_average
from etude.families.classifier.own import require_logits, require_logits_in_training
from etude.families.family import Examined, Network, Networks, count_parameters
from etude.families.own_networks import make, name_of
from etude.families.stands import stands
from etude.families.text.learner import EAGER
from etude.families.text.recipe import TextClassification
from etude.families.trial import LARGE, Trial, materialise
from etude.models.text_classifiers import PAD

LENGTH = 6


def build(recipe: TextClassification, kind: Tokens) -> Networks:
    """Make the network that the recipe names."""
    module = make(recipe.network, kind)
    materialise(module, partial(module, examples_of(kind, 2)))
    return with_average(recipe, name_of(recipe.network), module)


def examples_of(kind: Tokens, num_examples: int) -> Tensor:
    """Made-up sentences (N, 6), of which all but the first have pads."""
    tokens = torch.randint(
        UNK, len(kind.vocabulary), (num_examples, LENGTH), generator=torch.Generator().manual_seed(num_examples)
    )
    tokens[1:, 4:] = PAD
    return tokens


def examine(recipe: TextClassification, kind: Tokens) -> Examined:
    """Try it on a few made-up sentences."""
    networks = build(recipe, kind)
    name, module = name_of(recipe.network), networks[name_of(recipe.network)]
    trial, what = Trial(recipe.network, module), kind.plural
    trial.check_tensors()
    # In evaluation, a batch may have any size.
    for number in (3, 1):
        some = examples_of(kind, number)
        require_logits(trial, what, some, kind.num_classes, larger=partial(_with_larger_weights, trial, what, some))
    examples = examples_of(kind, min(recipe.batch_size, 3))
    require_logits_in_training(trial, what, examples, kind.num_classes)
    _note_pads(trial, what, kind)
    return Examined(
        traits=replace(stands(trial, what, examples), eager=EAGER),
        notes=tuple(trial.notes),
        draws=trial.draws,
        parameters=count_parameters({name: module}),
    )


def _with_larger_weights(trial: Trial, what: str, some: Tensor) -> Tensor:
    """The output with all weights far larger, for tokens cannot be; the weights are put back."""
    parameters = list(trial.module.parameters())
    before = [each.detach().clone() for each in parameters]
    with torch.no_grad():
        for each in parameters:
            each.mul_(LARGE)
        output = trial.apply(what, some, train=False)
        for each, was in zip(parameters, before, strict=True):
            each.copy_(was)
    return output


def _note_pads(trial: Trial, what: str, kind: Tokens) -> None:
    """Note it if the scores of a sentence change when pads follow it."""
    tokens = examples_of(kind, 1)
    alone = trial.apply(what, tokens, train=False)
    padded = trial.apply(what, torch.nn.functional.pad(tokens, (0, 3), value=PAD), train=False)
    if not torch.allclose(alone, padded, rtol=1e-3, atol=1e-5):
        trial.notes.append(
            f"{trial.name} gives other scores when pads follow a sentence: leave out the tokens that are {PAD}, or the "
            "class of a sentence depends on the sentences beside it."
        )


def network(recipe: TextClassification) -> Network[TextClassification]:
    """The network that the recipe names."""
    return Network(build=build, examine=examine, kinds=(Tokens,))

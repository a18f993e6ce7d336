"""A translator from a person's file: sources and targets to logits."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from etude.data.kinds import TokenPairs
from etude.data.text.vocabulary import BOS, EOS, PAD
from etude.errors import UsageError
from etude.families.average import with_average
from etude.families.family import Examined, Network, Networks, count_parameters
from etude.families.own_networks import make, name_of
from etude.families.stands import stands
from etude.families.translation.recipe import Translation
from etude.families.translation.translator import EAGER, Translator
from etude.families.trial import Trial, looks_like, materialise


class OwnTranslator(Translator):
    """A person's module, `own`, that gives logits (N, T, V) for sources (N, S) and targets so far (N, T); final.

    Either `own(source, target_in)` gives them, or `own.encode(source)` gives a memory, tensors (N, …), and
    `own.decode(target_in, memory)` the logits: then a source is encoded once, whatever is written.
    """

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own = own
        self.in_parts = all(callable(getattr(own, name, None)) for name in ("encode", "decode"))

    def all_at_once(self, source: Tensor, target_in: Tensor) -> Tensor:
        """See `Translator`."""
        return self._decoded(self.read(source), target_in)

    def read(self, source: Tensor) -> Any:
        """See `Translator`."""
        return self.own.encode(source) if self.in_parts else source  # pyright: ignore[reportCallIssue]

    def start(self, memory: Any) -> None:
        """No token yet."""
        return

    def write(self, memory: Any, state: Tensor | None, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """See `Translator`; the state is all tokens so far, which are decoded again."""
        so_far = tokens[:, None] if state is None else torch.cat([state, tokens[:, None]], dim=1)
        return self._decoded(memory, so_far)[:, -1], so_far

    def _decoded(self, memory: Any, target_in: Tensor) -> Tensor:
        if self.in_parts:
            return self.own.decode(target_in, memory)  # pyright: ignore[reportCallIssue]
        return self.own(memory, target_in)


def build(recipe: Translation, kind: TokenPairs) -> Networks:
    """The translator that the recipe names."""
    network = OwnTranslator(make(recipe.network, kind, width=recipe.width, dropout=recipe.dropout))
    materialise(network.own, partial(network, *examples_of(kind, 2)))
    return with_average(recipe, name_of(recipe.network), network)


def examples_of(kind: TokenPairs, num_examples: int) -> tuple[Tensor, Tensor]:
    """Made-up sources (N, 6) and targets (N, 5), the second of each shorter."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randint(EOS, len(kind.source_vocabulary), (num_examples, 6), generator=generator)
    target = torch.randint(EOS, len(kind.target_vocabulary), (num_examples, 5), generator=generator)
    source[:, 5], target[:, 0] = EOS, BOS
    source[1:2, 3:] = torch.tensor([EOS, PAD, PAD])
    target[1:2, 3:] = PAD
    return source, target


def examine(recipe: Translation, kind: TokenPairs) -> Examined:
    """Try it on a few made-up sentences."""
    networks = build(recipe, kind)
    network = next(each for name, each in networks.items() if name != "average")
    trial, what, vocabulary_size = Trial(recipe.network, network), "pairs", len(kind.target_vocabulary)
    trial.check_tensors()
    # In evaluation there may be any number of them.
    for number in (3, 1):
        source, target = examples_of(kind, number)
        output = trial.apply(what, source, target, train=False)
        shape = (*target.shape, vocabulary_size)
        wanted = f"{shape}, a score for each target token, as with target_vocabulary_size={vocabulary_size}"
        logits = trial.require_tensor(output, wanted, [shape], f"{number} {what}").detach()
        match looks_like(logits.flatten(0, 1), logits.flatten(0, 1)):
            case "log-softmax" | "":
                pass
            case squashed:
                raise UsageError(
                    f"{trial.name}: its outputs look like a {squashed}; return the logits, the numbers before it."
                )
    _require_no_future(trial, what, kind)
    source, target = examples_of(kind, 3)
    trial.check_step(what, [source, target])
    return Examined(
        traits=replace(stands(trial, what, source, target), eager=EAGER),
        notes=tuple(trial.notes),
        draws=trial.draws,
        parameters=count_parameters({name_of(recipe.network): network}),
    )


def _require_no_future(trial: Trial, what: str, kind: TokenPairs) -> None:
    """Raise `UsageError` where a score depends on later target tokens; note where it depends on pads."""
    source, target = examples_of(kind, 2)
    before = trial.apply(what, source, target, train=False)
    other = target.clone()
    other[:, 3:] = (EOS + 1 + target[:, 3:]) % len(kind.target_vocabulary)
    after = trial.apply(what, source, other, train=False)
    if not torch.allclose(before[:, :3], after[:, :3], rtol=1e-3, atol=1e-5):
        raise UsageError(
            f"{trial.name} looks ahead: its scores of a token depend on target tokens after it, which it will have to "
            "write itself; mask them, as nn.Transformer does with tgt_is_causal, or read them one by one."
        )
    alone = trial.apply(what, source[1:, :4], target[1:], train=False)  # without the pads after it
    if not torch.allclose(before[1:], alone, rtol=1e-3, atol=1e-5):
        trial.notes.append(
            f"{trial.name} gives other scores when pads follow a source: mask what is {PAD}, or a translation depends "
            "on the sentences beside it."
        )


def network(recipe: Translation) -> Network[Translation]:
    """The translator that the recipe names."""
    return Network(build=build, examine=examine, kinds=(TokenPairs,))

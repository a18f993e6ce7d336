"""What is kept of a padded sentence: the output at its last word, both directions, the last layer."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from etude.verify.contract import Case, Check, Convention, mistake
from etude.verify.contracts.sequences.calling import as_function, one_of_shape
from etude.verify.contracts.sequences.properties import ALONE, PADS, alone, same
from etude.verify.inputs import generator, normal
from etude.verify.observation import Observation, in_default_dtype
from etude.verify.sampling import fact

_SENTENCES, _LENGTH, _HIDDEN = 3, 6, 2


def last_state(
    outputs: Tensor,
    lengths: Tensor,
    *,
    time_first: bool = False,
    at: Callable[[Tensor], Tensor] = lambda lengths: lengths - 1,
) -> Tensor:
    """Each sentence's output at its last word, (batch, hidden), of padded outputs (batch, length, hidden)."""
    outputs = outputs.transpose(0, 1) if time_first else outputs
    return outputs[torch.arange(len(outputs)), at(lengths)]


def bidirectional_state(
    outputs: Tensor,
    lengths: Tensor,
    *,
    time_first: bool = False,
    forward_at: Callable[[Tensor], Tensor] = lambda lengths: lengths - 1,
    backward_at: Callable[[Tensor], Tensor] = torch.zeros_like,
    order: tuple[int, int] = (0, 1),
) -> Tensor:
    """The forward half at the last word beside the backward half at the first, (batch, 2 · hidden)."""
    outputs = outputs.transpose(0, 1) if time_first else outputs
    rows, hidden = torch.arange(len(outputs)), outputs.shape[2] // 2
    halves = outputs[rows, forward_at(lengths), :hidden], outputs[rows, backward_at(lengths), hidden:]
    return torch.cat([halves[index] for index in order], 1)


def last_layer_state(
    h_n: Tensor, *, joined: Callable[[Tensor], Tensor] = lambda h: torch.cat([h[-2], h[-1]], 1)
) -> Tensor:
    """Both directions of the last layer, (batch, 2 · hidden), of h_n (layers · 2, batch, hidden)."""
    return joined(h_n)


# --- what a call shows ---


def _observe_state(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    values = in_default_dtype(case)
    outputs, lengths, time_first = values["outputs"], values["lengths"], values.get("time_first", False)
    function = as_function(candidate)

    def run(outputs: Tensor, lengths: Tensor) -> Tensor:
        expected = len(outputs), outputs.shape[2]
        given = outputs.transpose(0, 1).contiguous() if time_first else outputs
        return one_of_shape(function(given, lengths.clone()), expected).detach()

    result = run(outputs, lengths)
    is_pad = (torch.arange(outputs.shape[1]) >= lengths[:, None])[:, :, None]
    other = torch.cat([outputs.masked_fill(is_pad, 9.0), torch.full_like(outputs, 8.0)], 1)
    facts = {PADS: fact(same(run(other, lengths), result)), ALONE: alone(run, result, outputs, lengths)}
    return Observation({**facts, "result": result})


def _observe_h_n(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    (h_n,) = in_default_dtype(case).values()
    function = as_function(candidate)

    def run(by_sentence: Tensor) -> Tensor:
        return one_of_shape(
            function(by_sentence.transpose(0, 1).contiguous()), (len(by_sentence), 2 * _HIDDEN)
        ).detach()

    result = run(h_n.transpose(0, 1))
    return Observation({ALONE: alone(run, result, h_n.transpose(0, 1)), "result": result})


# --- inputs ---


def _state_cases(width: int) -> Callable[[int], tuple[Case, ...]]:
    """Lengths below the longest possible, so that one too far is a pad; then one of full length."""

    def cases(first: int) -> tuple[Case, ...]:
        lengths = [torch.randperm(_LENGTH - 2, generator=generator(first + n))[:_SENTENCES] + 2 for n in range(3)]
        lengths[2][0] = _LENGTH
        return tuple(
            {"outputs": normal((_SENTENCES, _LENGTH, width), first + n), "lengths": each}
            for n, each in enumerate(lengths)
        )

    return cases


def _time_first(case: Case) -> Case:
    return {**case, "time_first": True}


def _length_of_all(lengths: Tensor) -> Tensor:
    return lengths.max().expand_as(lengths) - 1


_LAST = "outputs[n, lengths[n] − 1]"
_HALVES = "forward half at lengths − 1, backward half at 0"
_BOTH = "cat(h_n[−2], h_n[−1])"
_TIME_FIRST = Convention("outputs are (length, batch, hidden), as of nn.LSTM without batch_first",
                         {"time_first": True}, _time_first)  # fmt: skip

CHECKS = (
    Check(
        name="last_state",
        call="last_state(outputs, lengths) → each sentence's output at its last word (batch, hidden); outputs (batch, "
        "length, hidden)",
        right=last_state,
        mistakes=(
            mistake("last output taken at a pad", "outputs[:, −1]", _LAST, at=lambda lengths: 0 * lengths - 1),
            mistake("one word too far", "outputs[n, lengths[n]]", _LAST, at=lambda lengths: lengths),
            mistake("one word too early", "outputs[n, lengths[n] − 2]", _LAST, at=lambda lengths: lengths - 2),
            mistake("length of the longest sentence for all", "outputs[n, max(lengths) − 1]", _LAST, at=_length_of_all),
            mistake("first instead of last word", "outputs[:, 0]", _LAST, at=torch.zeros_like),
        ),
        conventions=(_TIME_FIRST,),
        seeded=_state_cases(_HIDDEN),
        observe=_observe_state,
    ),
    Check(
        name="bidirectional_state",
        call="bidirectional_state(outputs, lengths) → (batch, 2 · hidden) of outputs (batch, length, 2 · hidden), "
        "forward half first",
        right=bidirectional_state,
        mistakes=(
            mistake("both halves at the last word", "outputs[n, lengths[n] − 1]: the backward half has seen one word",
                    _HALVES, backward_at=lambda lengths: lengths - 1),
            mistake("both halves at the last position", "outputs[:, −1]: a pad; the backward half has seen one word",
                    _HALVES, forward_at=lambda lengths: 0 * lengths - 1, backward_at=lambda lengths: 0 * lengths - 1),
            mistake("forward half taken at a pad", "forward half at −1", _HALVES,
                    forward_at=lambda lengths: 0 * lengths - 1),
            mistake("both halves at the first word", "outputs[:, 0]: the forward half has seen one word", _HALVES,
                    forward_at=torch.zeros_like),
            mistake("halves taken from the wrong ends", "forward half at 0, backward half at lengths − 1", _HALVES,
                    forward_at=torch.zeros_like, backward_at=lambda lengths: lengths - 1),
            mistake("length of the longest sentence for all", "forward half at max(lengths) − 1", _HALVES,
                    forward_at=_length_of_all),
        ),
        conventions=(_TIME_FIRST, Convention("backward half first", {"order": (1, 0)}),
                     Convention(f"backward half first; {_TIME_FIRST.note}",
                                {"order": (1, 0), "time_first": True}, _time_first)),
        seeded=_state_cases(2 * _HIDDEN),
        observe=_observe_state,
    ),
    Check(
        name="last_layer_state",
        call="last_layer_state(h_n) → (batch, 2 · hidden), forward first, of h_n (layers · 2, batch, hidden) of a "
        "bidirectional network",
        right=last_layer_state,
        mistakes=(
            mistake("view mixes sentences", "h_n[−2:].view(batch, −1)", _BOTH,
                    joined=lambda h: h[-2:].reshape(h.shape[1], -1)),
            mistake("view of all layers mixes sentences", "h_n.view(batch, −1)", _BOTH,
                    joined=lambda h: h.reshape(h.shape[1], -1)),
            mistake("first instead of last layer", "cat(h_n[0], h_n[1])", _BOTH,
                    joined=lambda h: torch.cat([h[0], h[1]], 1)),
            mistake("layers and directions confused", "h_n.view(2, layers, …)[:, −1]", "h_n.view(layers, 2, …)[−1]",
                    joined=lambda h: h.unflatten(0, (2, -1))[:, -1].transpose(0, 1).flatten(1)),
            mistake("all layers joined", "(batch, layers · 2 · hidden)", _BOTH,
                    joined=lambda h: h.transpose(0, 1).flatten(1)),
            mistake("one direction only", "h_n[−1]: the backward one", _BOTH, joined=lambda h: h[-1]),
        ),
        conventions=(Convention("backward direction first", {"joined": lambda h: torch.cat([h[-1], h[-2]], 1)}),),
        seeded=lambda first: tuple(
            {"h_n": normal((2 * layers, _SENTENCES, _HIDDEN), first + layers)} for layers in (1, 2, 3)
        ),
        observe=_observe_h_n,
    ),
)  # fmt: skip

"""One step of an RNN (Elman 1990), a GRU (Cho et al. 2014) and an LSTM (Hochreiter and Schmidhuber 1997), as PyTorch's.

A function gets weights stacked as PyTorch stacks them. A class is given weights, which are then stacked: it may keep
them in any way.
"""

from collections.abc import Callable, Mapping
from itertools import permutations, product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.verify.contract import Case, Check, Convention, mistake
from etude.verify.contracts.sequences.calling import is_class, made_module, refill
from etude.verify.contracts.sequences.cell_weights import Weights, arrangements, stacked
from etude.verify.contracts.sequences.properties import ALONE, alone, same
from etude.verify.inputs import normal
from etude.verify.observation import Observation, Refused, call, in_default_dtype, tensor_result

Step = Callable[[Tensor], Tensor]
_BATCH, _INPUTS, _HIDDEN = 3, 2, 3


def rnn_cell(
    x: Tensor,
    h: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    *,
    activation: Step = torch.tanh,
    state: float = 1.0,
    biases: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """h′ = tanh(W x + b + U h + b′): (N, hidden) of x (N, inputs) and h (N, hidden)."""
    return activation(F.linear(x, w_ih, biases[0] * b_ih) + F.linear(state * h, w_hh, biases[1] * b_hh))


def gru_cell(
    x: Tensor,
    h: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    *,
    order: str = "rzn",
    reset: str = "after",
    activation: Step = torch.tanh,
    update: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda z, n, h: (1 - z) * n + z * h,
    hidden_bias: float = 1.0,
) -> Tensor:
    """r, z = σ(…), n = tanh(W x + b + r ⊙ (U h + b′)), h′ = (1 − z) ⊙ n + z ⊙ h: (N, hidden)."""
    w, u, b, d = (dict(zip(order, each.chunk(3), strict=True)) for each in (w_ih, w_hh, b_ih, hidden_bias * b_hh))
    r, z = (torch.sigmoid(F.linear(x, w[gate], b[gate]) + F.linear(h, u[gate], d[gate])) for gate in "rz")
    given, kept = F.linear(x, w["n"], b["n"]), F.linear(h, u["n"], d["n"])  # (N, hidden) each
    inside = {
        "after": lambda: given + r * kept,
        "before": lambda: given + F.linear(r * h, u["n"], d["n"]),
        "never": lambda: given + kept,
        "input": lambda: r * given + kept,
        "without bias": lambda: given + r * F.linear(h, u["n"]) + d["n"],
    }
    return update(z, activation(inside[reset]()), h)


def lstm_cell(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    *,
    order: str = "ifgo",
    order_of_state: str | None = None,
    candidate: Step = torch.tanh,
    output_gate: Step = torch.sigmoid,
    cell: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = lambda f, c, i, g: f * c + i * g,
    output: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda o, new, old: o * new.tanh(),
    returned: str = "hc",
    hidden_bias: float = 1.0,
) -> tuple[Tensor, ...]:
    """i, f, o = σ(…), g = tanh(…), c′ = f ⊙ c + i ⊙ g, h′ = o ⊙ tanh(c′): h′ and c′, (N, hidden) each."""
    given = dict(zip(order, F.linear(x, w_ih, b_ih).chunk(4, 1), strict=True))
    kept = dict(zip(order_of_state or order, F.linear(h, w_hh, hidden_bias * b_hh).chunk(4, 1), strict=True))
    i, f, g, o = (given[gate] + kept[gate] for gate in "ifgo")
    new = cell(f.sigmoid(), c, i.sigmoid(), candidate(g))
    results = {"h": output(output_gate(o), new, c), "c": new}
    return tuple(results[name] for name in returned)


# --- what a call shows ---


def _run(cell: Callable[..., Any], x: Tensor, states: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, ...]:
    """The new states; two old ones are given apart, or as a pair to code that wants it."""
    try:
        result = call(cell, x, *states, *weights)
    except Refused as error:
        if len(states) == 1 or error.kind != "signature":
            raise
        result = call(cell, x, states, *weights)
    found = _flat(result)
    if len(found) == len(states) + 1 and found[0] is found[1]:  # output, (h, c)
        found = found[1:]
    if len(found) != len(states):
        expected = "a tensor" if len(states) == 1 else "h and c"
        number = f"{len(found)} result{'' if len(found) == 1 else 's'}"
        raise Refused(number, f"it returned {number}; expected {expected}")
    return tuple(tensor_result(each, shape=(len(x), _HIDDEN)).detach() for each in found)


def _flat(result: Any) -> list[Any]:
    if not isinstance(result, tuple | list):
        return [result]
    return [part for each in result for part in _flat(each)]


def _observer(right: Callable[..., Any], gates: int, others: tuple[dict[str, Any], ...] = ()) -> Callable[..., Any]:
    """How a cell is observed; `others` are the switches of versions that a class may have, too."""

    def observe(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
        values = in_default_dtype(case)
        x, *states = (values[name] for name in values if name in ("x", "h", "c"))
        given = [values[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh")]
        weights = given if seen is None or seen.state is None else seen.state
        state = None
        if is_class(candidate):
            module = made_module(candidate, _INPUTS, _HIDDEN)
            refill(module, int(1000 * x.abs().sum()))

            def run(*inputs: Tensor) -> tuple[Tensor, ...]:
                return _run(module, inputs[0], inputs[1:], [])

            results = run(x, *states)
            own = stacked(module, gates, _INPUTS, _HIDDEN, lambda: _is_state_first(module, x, tuple(states)))
            state = _arranged(own, results, x, states)
        else:

            def run(*inputs: Tensor) -> tuple[Tensor, ...]:
                return _run(candidate, inputs[0], inputs[1:], weights)

            results = run(x, *states)
        parts = {ALONE: alone(lambda *inputs: torch.cat(run(*inputs), 1), torch.cat(results, 1), x, *states)}
        names = ("result",) if len(results) == 1 else ("h", "c")
        return Observation({**parts, **dict(zip(names, results, strict=True))}, state=state)

    def _arranged(own: Weights, results: tuple[Tensor, ...], x: Tensor, states: list[Tensor]) -> Weights:
        """The class's weights in the order of gates that makes it right, if one does."""
        for weights in arrangements(own, gates, may_turn=gates == 3):
            for changes in ({}, *others):
                expected = _flat(right(x, *states, *weights, **changes))
                if all(same(each, seen) for each, seen in zip(expected, results, strict=True)):
                    return weights
        return own

    return observe


def _is_state_first(module: nn.Module, x: Tensor, states: tuple[Tensor, ...]) -> bool:
    """Whether joined matrices multiply [h, x]: with x = 0, the columns of x have no gradient."""
    joined = next(each for each in module.parameters() if _INPUTS + _HIDDEN in each.shape)
    joined.requires_grad_()
    result = _flat(_call_with_graph(module, torch.zeros_like(x), states))[0]
    (gradient,) = torch.autograd.grad(result.sum(), joined, allow_unused=True)
    if gradient is None:
        return False
    columns = gradient.abs().sum(1 if joined.shape[0] == _INPUTS + _HIDDEN else 0)
    return bool(columns[-_INPUTS:].sum() == 0)


def _call_with_graph(module: nn.Module, x: Tensor, states: tuple[Tensor, ...]) -> Any:
    try:
        return call(module, x, *states)
    except Refused:
        return call(module, x, states)


def _cases(gates: int, states: tuple[str, ...]) -> Callable[[int], tuple[Case, ...]]:
    rows = gates * _HIDDEN
    shapes = {"x": (_BATCH, _INPUTS)} | dict.fromkeys(states, (_BATCH, _HIDDEN))
    shapes |= {"w_ih": (rows, _INPUTS), "w_hh": (rows, _HIDDEN), "b_ih": (rows,), "b_hh": (rows,)}
    return lambda first: tuple(
        {name: normal(shape, first + 10 * case + index) for index, (name, shape) in enumerate(shapes.items())}
        for case in range(3)
    )


def _orders(gates: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Every order of the gates: its note and its switch; PyTorch's first, without a note."""
    others = [("".join(each), {"order": "".join(each)}) for each in permutations(gates)][1:]
    notes = [
        (f"gates in the order {', '.join(each)} (PyTorch: {', '.join(gates)})", changes) for each, changes in others
    ]
    return (("", {}), *notes)


_RESET_BEFORE = ("reset gate before the product, U (r ⊙ h), as in Cho et al. 2014 (PyTorch: r ⊙ (U h))",
                 {"reset": "before"})  # fmt: skip
_GRU_CONVENTIONS = tuple(
    Convention("; ".join(filter(None, (reset, order))), {**changes, **more})
    for (reset, changes), (order, more) in product((("", {}), _RESET_BEFORE), _orders("rzn"))
    if reset or order
)

_RNN = "tanh(W x + b + U h + b′)"
_N = "n = tanh(W x + b + r ⊙ (U h + b′))"
_UPDATE = "h′ = (1 − z) ⊙ n + z ⊙ h"
_C = "c′ = f ⊙ c + i ⊙ g"
_H = "h′ = o ⊙ tanh(c′)"
_HIDDEN_BIAS = ("bias of the state forgotten", "U h", "U h + b′")

CHECKS = (
    Check(
        name="rnn_cell",
        call=f"rnn_cell(x, h, w_ih, w_hh, b_ih, b_hh) → h′ = {_RNN}; or a class RNNCell(inputs, hidden)(x, h)",
        right=rnn_cell,
        mistakes=(
            mistake("tanh forgotten", "W x + b + U h + b′", _RNN, activation=lambda a: a),
            mistake("sigmoid instead of tanh", "σ(W x + …)", _RNN, activation=torch.sigmoid),
            mistake("ReLU instead of tanh", "max(0, W x + …)", _RNN, activation=torch.relu),
            mistake("old state not used", "tanh(W x + b + b′)", _RNN, state=0.0),
            mistake("bias of the input forgotten", "W x", "W x + b", biases=(0.0, 1.0)),
            mistake(*_HIDDEN_BIAS, biases=(1.0, 0.0)),
        ),
        seeded=_cases(1, ("h",)),
        observe=_observer(rnn_cell, 1),
    ),
    Check(
        name="gru_cell",
        call=f"gru_cell(x, h, w_ih, w_hh, b_ih, b_hh) → {_UPDATE}, gates stacked r, z, n; "
        "or a class GRUCell(inputs, hidden)(x, h)",
        right=gru_cell,
        mistakes=(
            mistake("z and 1 − z swapped", "h′ = z ⊙ n + (1 − z) ⊙ h", _UPDATE,
                    update=lambda z, n, h: z * n + (1 - z) * h),
            mistake("update gate forgotten", "h′ = n", _UPDATE, update=lambda z, n, h: n),
            mistake("old state not kept", "h′ = (1 − z) ⊙ n", _UPDATE, update=lambda z, n, h: (1 - z) * n),
            mistake("candidate not weighted", "h′ = n + z ⊙ h", _UPDATE, update=lambda z, n, h: n + z * h),
            mistake("reset gate forgotten", "n = tanh(W x + b + U h + b′)", _N, reset="never"),
            mistake("reset gate on the input", "n = tanh(r ⊙ (W x + b) + U h + b′)", _N, reset="input"),
            mistake("bias outside the reset gate", "n = tanh(W x + b + r ⊙ (U h) + b′)", _N, reset="without bias"),
            mistake("sigmoid instead of tanh", "n = σ(…)", _N, activation=torch.sigmoid),
            mistake("tanh forgotten", "n = W x + b + r ⊙ (U h + b′)", _N, activation=lambda a: a),
            mistake(*_HIDDEN_BIAS, hidden_bias=0.0),
        ),
        conventions=_GRU_CONVENTIONS,
        seeded=_cases(3, ("h",)),
        observe=_observer(gru_cell, 3, (_RESET_BEFORE[1],)),
    ),
    Check(
        name="lstm_cell",
        call=f"lstm_cell(x, h, c, w_ih, w_hh, b_ih, b_hh) → h′, c′: {_C}, {_H}, gates stacked i, f, g, o; "
        "or a class LSTMCell(inputs, hidden)(x, (h, c))",
        right=lstm_cell,
        mistakes=(
            mistake("tanh on c forgotten", "h′ = o ⊙ c′", _H, output=lambda o, new, old: o * new),
            mistake("old cell state in the output", "h′ = o ⊙ tanh(c)", _H, output=lambda o, new, old: o * old.tanh()),
            mistake("output gate forgotten", "h′ = tanh(c′)", _H, output=lambda o, new, old: new.tanh()),
            mistake("c returned for h", "return c′, c′", "return h′, c′", returned="cc"),
            mistake("h and c exchanged", "return c′, h′", "return h′, c′", returned="ch"),
            mistake("forget gate forgotten", "c′ = c + i ⊙ g", _C, cell=lambda f, c, i, g: c + i * g),
            mistake("input gate forgotten", "c′ = f ⊙ c + g", _C, cell=lambda f, c, i, g: f * c + g),
            mistake("1 − f for f", "c′ = (1 − f) ⊙ c + i ⊙ g", _C, cell=lambda f, c, i, g: (1 - f) * c + i * g),
            mistake("1 − f for the input gate", "c′ = f ⊙ c + (1 − f) ⊙ g", _C,
                    cell=lambda f, c, i, g: f * c + (1 - f) * g),
            mistake("sigmoid on the candidate", "g = σ(…)", "g = tanh(…)", candidate=torch.sigmoid),
            mistake("tanh on the output gate", "o = tanh(…)", "o = σ(…)", output_gate=torch.tanh),
            mistake("gates of input and state in two orders", "i, f, g, o from x, i, f, o, g from h",
                    "i, f, g, o from both", order_of_state="ifog"),
            mistake(*_HIDDEN_BIAS, hidden_bias=0.0),
        ),
        conventions=tuple(Convention(note, changes) for note, changes in _orders("ifgo")[1:]),
        seeded=_cases(4, ("h", "c")),
        observe=_observer(lstm_cell, 4),
        points=2,
    ),
)  # fmt: skip

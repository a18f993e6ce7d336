"""Positions as sines and cosines of many wave lengths (Vaswani et al. 2017, section 3.5)."""

from collections.abc import Callable, Mapping
from typing import Any

import hypothesis.strategies as st
import torch
from torch import Tensor, nn

from etude.verify.contract import Check, Convention, mistake
from etude.verify.contracts.sequences.calling import is_class, is_time_first, made_module, one_of_shape
from etude.verify.inputs import normal
from etude.verify.observation import Observation, call, tensor_result

Wave = Callable[[Tensor], Tensor]


class PositionalEncoding(nn.Module):
    """x + PE with PE[t, 2i] = sin(t / 10000^(2i/d)), PE[t, 2i + 1] = cos of the same, for x (batch, length, d)."""

    def __init__(
        self,
        dim: int,
        *,
        layout: str = "interleaved",
        base: float = 10_000.0,
        exponent: Callable[[Tensor, int], Tensor] = lambda i, dim: 2 * i / dim,
        cosine_exponent: Callable[[Tensor, int], Tensor] | None = None,
        first: int = 0,
        waves: tuple[Wave, Wave] = (torch.sin, torch.cos),
        along_batch: bool = False,
    ) -> None:
        super().__init__()
        self.dim, self.layout, self.base, self.first, self.waves = dim, layout, base, first, waves
        self.exponents = exponent, cosine_exponent or exponent
        self.along_batch = along_batch

    def table(self, length: int) -> Tensor:
        """PE, (length, d)."""
        i = torch.arange(self.dim // 2).to(torch.get_default_dtype())
        t = torch.arange(self.first, self.first + length)[:, None]
        waves = [wave(t * self.base ** -exponent(i, self.dim))
                 for wave, exponent in zip(self.waves, self.exponents, strict=True)]  # fmt: skip
        return torch.stack(waves, 2).flatten(1) if self.layout == "interleaved" else torch.cat(waves, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.table(len(x))[:, None] if self.along_batch else self.table(x.shape[1]))


def _observe_positions(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """The table (length, dim), or what a class adds to each of two sentences."""
    length, dim = case["length"], case["dim"]
    as_class = is_class(candidate) if seen is None else seen.state
    if not is_class(candidate):
        shapes = (length, dim), (1, length, dim), (length, 1, dim)
        return Observation({"result": one_of_shape(call(candidate, length, dim), *shapes).detach()}, state=False)
    module = made_module(candidate, dim)
    if not as_class:
        return Observation({"result": tensor_result(module.table(length))}, state=False)  # pyright: ignore[reportCallIssue]
    x = normal((2, length, dim), length + dim).to(torch.get_default_dtype())
    turn = is_time_first(candidate)
    result = tensor_result(call(module, x.transpose(0, 1) if turn else x, name="its forward"))
    result = one_of_shape(result.transpose(0, 1) if turn and result.ndim == 3 else result, x.shape)
    note = "time comes before the batch, as the argument's name says" if turn else ""
    return Observation({"result": (result - x).detach()}, state=True, note=note)


_PE = "sin and cos of t / 10000^(2i/d)"

CHECKS = (
    Check(
        name="positional_encoding",
        call="positional_encoding(length, dim) → PE (length, dim), sin in even and cos in odd columns; or a class "
        "PositionalEncoding(dim)(x) → x + PE for x (batch, length, dim)",
        right=PositionalEncoding,
        mistakes=(
            mistake("positions indexed by the batch", "x[n] + PE[n]; if time comes first, name it: x_time_first",
                    "x[:, t] + PE[t]", along_batch=True),
            mistake("exponent doubled", "10000^(4i/d): 2i is the column already", _PE,
                    exponent=lambda i, dim: 4 * i / dim),
            mistake("exponent halved", "10000^(i/d)", _PE, exponent=lambda i, dim: i / dim),
            mistake("cosine with an exponent of its own", "cos(t / 10000^((2i + 1)/d))", _PE,
                    cosine_exponent=lambda i, dim: (2 * i + 1) / dim),
            mistake("multiplied by the power", "t · 10000^(2i/d)", _PE, exponent=lambda i, dim: -2 * i / dim),
            mistake("base 1000", "1000^(2i/d)", _PE, base=1000.0),
            mistake("base 100000", "100000^(2i/d)", _PE, base=100_000.0),
            mistake("positions counted from 1", "t = 1, 2, …", "t = 0, 1, …", first=1),
            mistake("no cosine", "sin in every column", _PE, waves=(torch.sin, torch.sin)),
        ),
        conventions=tuple(
            Convention(f"{layout}{order}{note} (Vaswani et al.: sin and cos interleaved, exponent 2i/d)",
                       {"layout": layout, "waves": waves, "exponent": exponent})
            for layout in ("interleaved", "halves")
            for order, waves in (("", (torch.sin, torch.cos)), (", cos first", (torch.cos, torch.sin)))
            for note, exponent in (
                ("", lambda i, dim: 2 * i / dim),
                (", exponent i / (d/2 − 1), as in tensor2tensor", lambda i, dim: i / max(1, dim / 2 - 1)),
            )
        )[1:],
        inputs=st.fixed_dictionaries({"length": st.integers(2, 6), "dim": st.integers(2, 4).map(lambda n: 2 * n)}),
        extremes=({"length": 4, "dim": 6},),
        observe=_observe_positions,
    ),
)  # fmt: skip

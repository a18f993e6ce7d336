"""What the output of a sequence network depends on: found out by changing its input, without knowing how it is built.

Everything runs on a copy in evaluation and in float64, where a dependence is no rounding.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from etude.inspection.sequences.time_axis import Sequences, resized
from etude.inspection.sequences.variations import Names
from etude.inspection.trace.twin import float64_by_default, own_copy, precise, precise_twin, undisturbed

ROUNDING = 1e-9
"""Differences below it, relative to the size of the output, are none."""
NUM_PADS = 3


@dataclass(frozen=True)
class Dependence:
    """Each is None where it could not be found out."""

    causal: bool | None
    """Whether a step of the output depends only on the steps of a sequence up to it."""
    mixed: float | None
    """How far an example's output changes with the other examples, relative to its size."""
    padded: float | None
    """How far a sentence's output changes when pads follow it."""


def dependence(
    module: nn.Module, given: Any, sequences: Sequences, outputs: Sequence[Names], *, padding: int | None
) -> Dependence:
    """Change later steps, other examples and pads of the inputs `given` = (inputs, keywords), and look at the output.

    `outputs` are the names of the axes of what the network returns, `padding` is the symbol that stands for none.
    """
    causal = mixed = padded = None
    with undisturbed(), float64_by_default(), suppress(Exception):  # a network that does not run in float64, say
        passes = _Passes(module, given, sequences, outputs)
        mixed = passes.mixed()
        causal = passes.causal()
        padded = passes.padded(padding)
    return Dependence(causal, mixed, padded)


class _Passes:
    """Passes of one network on two examples."""

    def __init__(self, module: nn.Module, given: Any, sequences: Sequences, outputs: Sequence[Names]) -> None:
        self.twin = precise_twin(module).eval()
        self.sequences, self.outputs = sequences, outputs
        self.given = tree_map(precise, resized(given, sequences, sequences.lengths, 2))
        self.generator = torch.Generator().manual_seed(0)

    def mixed(self) -> float | None:
        """The first example's change when the second one is another."""
        time = self.sequences.axis
        before = self._run(self.given)
        after = self._run(self._redrawn(lambda x: x.select(1 - time, 1)))
        changes = [
            _change(a.select(names.index("N"), 0), b.select(names.index("N"), 0))
            for a, b, names in zip(before, after, self.outputs, strict=True)
            if names and names.count("N") == 1
        ]
        return max(changes, default=None)

    def causal(self) -> bool | None:
        """Whether the first half of the output stays as it is when the second half of one of the inputs changes."""
        before = self._run(self.given)
        found = []
        for number in self.sequences.numbers:
            length = self._leaf(number).shape[self.sequences.axis]
            letter = self.sequences.letters[self.sequences.lengths.index(length)]
            half = length // 2
            axis = self.sequences.axis
            after = self._run(self._redrawn(lambda x, h=half, a=axis: x.narrow(a, h, x.shape[a] - h), only=number))
            for a, b, names in zip(before, after, self.outputs, strict=True):
                if half and names and names.count(letter) == 1 and a.shape[names.index(letter)] == length:
                    axis = names.index(letter)
                    first, rest = [(x.narrow(axis, 0, half), x.narrow(axis, half, length - half)) for x in (a, b)]
                    if _change(first[1], rest[1]) > ROUNDING:
                        found.append(_change(first[0], rest[0]) <= ROUNDING)
        return any(found) if found else None

    def padded(self, padding: int | None) -> float | None:
        """The change of the output when pads follow every sequence: of its steps before them, or as a whole."""
        (length, *others), axis = self.sequences.lengths, self.sequences.axis
        tensors = [leaf for leaf in tree_flatten(self.given)[0] if isinstance(leaf, Tensor)]
        if padding is None or others or len(tensors) > 1 or length <= NUM_PADS:
            return None
        symbols = self._leaf(0)
        real = symbols[symbols != padding]
        if not len(real):
            return None
        full = torch.where(symbols == padding, real[0], symbols)
        short = full.narrow(axis, 0, length - NUM_PADS)
        full = torch.cat([short, torch.full_like(full.narrow(axis, 0, NUM_PADS), padding)], axis)
        before, after = (self._run(self._with({0: x})) for x in (short, full))
        changes = []
        for a, b, names in zip(before, after, self.outputs, strict=True):
            if names and "T" in names:
                b = b.narrow(names.index("T"), 0, a.shape[names.index("T")])
            if a.shape == b.shape:
                changes.append(_change(a, b))
        return max(changes, default=None)

    def _run(self, given: Any) -> list[Tensor]:
        torch.manual_seed(0)  # the same draws for every pass, if there are any
        inputs, keywords = tree_map(own_copy, given)
        result = self.twin(*inputs, **keywords)
        found = [leaf.detach() for leaf in tree_flatten(result)[0] if isinstance(leaf, Tensor)]
        return [x.double() if not x.is_complex() else x for x in found]

    def _leaf(self, number: int) -> Tensor:
        return [leaf for leaf in tree_flatten(self.given)[0] if isinstance(leaf, Tensor)][number]

    def _redrawn(self, part: Any, *, only: int | None = None) -> Any:
        """The inputs with a part of each sequence, or of one, drawn again from all of its values."""
        changed = {}
        for number in self.sequences.numbers if only is None else (only,):
            x = self._leaf(number).clone()
            values, place = x.flatten(), part(x)
            place.copy_(values[torch.randint(len(values), place.shape, generator=self.generator)])
            changed[number] = x
        return self._with(changed)

    def _with(self, changed: dict[int, Tensor]) -> Any:
        count = -1

        def swap(leaf: Any) -> Any:
            nonlocal count
            if isinstance(leaf, Tensor):
                count += 1
                return changed.get(count, leaf)
            return leaf

        return tree_map(swap, self.given)


def _change(a: Tensor, b: Tensor) -> float:
    """The largest difference of two tensors relative to the largest entry of the first."""
    if not a.numel():
        return 0.0
    size = float(a.abs().max())
    return float((a - b).abs().max()) / size if size else float((a - b).abs().max())

"""How far back a network looks: the gradient of its last output with respect to its input k steps earlier, against k.

Symbols have no gradient; the rows that an embedding looks up for them have. Measured on a copy in evaluation and in
float64, with a fixed random mixture of the last output, divided by the batch size.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from etude.inspection.gradients.time_flow import LEAST_STEPS
from etude.inspection.sequences.facts import SequenceFacts
from etude.inspection.sequences.lookups import Lookup, Lookups
from etude.inspection.trace.failures import told
from etude.inspection.trace.twin import float64_by_default, own_copy, precise, precise_twin, undisturbed

SMALL = 0.01
"""Of the gradient one step back: what is below it is out of reach."""


@dataclass(frozen=True)
class LagFlow:
    """The gradient with respect to one input."""

    letter: str
    """Its axis of time: T; S of a source."""
    gradients: list[float]
    """Root mean square over the batch and the features by lag: 0 is the last step."""

    @property
    def ratio(self) -> float:
        """The gradient at the first step over that one step before the last; 0 where none arrives."""
        return self.gradients[-1] / self.gradients[1] if self.gradients[1] else 0.0

    @property
    def reach(self) -> int:
        """The largest lag at which the gradient is not small; 0 where it is at every earlier step."""
        near = self.gradients[1]
        return max((k for k, gradient in enumerate(self.gradients) if k and gradient >= SMALL * near > 0), default=0)

    @property
    def message(self) -> str:
        """Ratio and reach in a sentence."""
        far = len(self.gradients) - 1
        if not self.reach:
            return f"reach over {self.letter}: no gradient of the last output arrives at the steps before it."
        per_step = self.ratio ** (1 / (far - 1))
        return (
            f"reach over {self.letter}: from 1 to {far} steps back the gradient changes {self.ratio:.2g}-fold, "
            f"{per_step:.2g} a step; up to {self.reach} steps back it is at least 1 % of that at 1."
        )


def lag_flow(module: nn.Module, inputs: Any, keywords: Any, facts: SequenceFacts, *, seed: int) -> list[LagFlow]:
    """Measure a network on one batch, for every sequence that it reads; the random states as `seed` sets them.

    `facts` say which inputs are sequences, and which axis of the output is time; an output without one is taken as it
    is. Fewer than three steps have no flow. Raises a `UsageError` where the network does not run in float64.
    """
    sequences = facts.sequences
    with undisturbed(), float64_by_default(), torch.enable_grad():
        torch.manual_seed(seed)
        twin = precise_twin(module).eval()
        given = tree_map(lambda leaf: own_copy(precise(leaf)), (inputs, keywords))
        tensors = [leaf for leaf in tree_flatten(given)[0] if isinstance(leaf, Tensor)]
        steps: dict[int, list[tuple[Tensor, Tensor]]] = {}
        """By input: vectors, and the places of the entries of the input that they stand for."""
        symbols = [number for number in sequences.numbers if not tensors[number].is_floating_point()]
        for number in set(sequences.numbers) - set(symbols):
            vectors = tensors[number].requires_grad_()
            places = torch.arange(vectors[..., 0].numel()).view(vectors.shape[:-1])
            steps[number] = [(vectors, places)]

        def watch(lookup: Lookup, rows: Tensor) -> Tensor:
            if rows.shape[: lookup.places.dim()] != lookup.places.shape or not rows.is_floating_point():
                return rows  # a mean of rows, or one-hot
            leaf = rows.detach().requires_grad_()
            steps.setdefault(symbols[lookup.number], []).append((leaf, lookup.places))
            return leaf

        with Lookups(twin, [tensors[number] for number in symbols], watch), told("in float64"):
            result = twin(*given[0], **given[1])
        loss = _mixture_of_the_last(result, facts, torch.Generator().manual_seed(seed))
        if loss is None:
            return []
        return [
            LagFlow(_letter(facts, tensors[number]), _by_lag(loss, found, tensors[number].shape, sequences.axis))
            for number, found in sorted(steps.items())
            if tensors[number].shape[sequences.axis] >= LEAST_STEPS
        ]


def _mixture_of_the_last(result: Any, facts: SequenceFacts, generator: torch.Generator) -> Tensor | None:
    """Of the first output that depends on anything: its last step where it has an axis of time."""
    outputs = [leaf for leaf in tree_flatten(result)[0] if isinstance(leaf, Tensor)]
    for out, names in zip(outputs, facts.outputs, strict=True):
        if out.requires_grad and out.is_floating_point():
            times = [axis for axis, name in enumerate(names or ()) if name in facts.sequences.letters]
            last = out.select(times[0], -1) if times else out
            batch = last.shape[0] if last.dim() else 1
            return (last * torch.randn(last.shape, generator=generator)).sum() / batch
    return None


def _by_lag(loss: Tensor, found: list[tuple[Tensor, Tensor]], shape: torch.Size, axis: int) -> list[float]:
    """Root mean square of the gradient by lag, over all vectors that stand for the same step."""
    leaves = [vectors for vectors, _ in found]
    gradients = torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True)
    length, batch = shape[axis], shape[1 - axis]
    squares = torch.zeros(length)
    for gradient, (_, places) in zip(gradients, found, strict=True):
        if gradient is not None:
            inside = places >= 0
            step = places[inside] // (1 if axis else batch) % length
            mean = gradient.square().flatten(places.dim()).mean(-1)
            squares.index_add_(0, step, mean[inside])
    return (squares / batch).sqrt().flip(0).tolist()


def _letter(facts: SequenceFacts, given: Tensor) -> str:
    sequences = facts.sequences
    return sequences.letters[sequences.lengths.index(given.shape[sequences.axis])]

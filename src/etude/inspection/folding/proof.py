"""Proof that folds change nothing: the network before and after, on weights and inputs that no accident explains.

A fold that is wrong can still give equal outputs: a fresh batch-norm is nearly the identity, a zero bias hides its
place, a saturated sigmoid hides everything. So weights, running statistics and inputs are drawn at random, several
times, and not only the outputs of the network are compared but also what comes out at the place of the fold.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from etude.errors import UsageError
from etude.inspection.trace.failures import one_line, told
from etude.inspection.trace.outputs import tensors_in
from etude.inspection.trace.twin import at_rest, float64_by_default, precise, precise_twin, twin_of

NUM_DRAWS = 3
"""Random weights, statistics and inputs that a fold must hold for, after those that were given."""
TOLERANCE = 1e-9
"""Of the largest entry: far above rounding in float64, far below what a wrong fold changes."""
_ATTEMPTS = ((1.0, True), (0.1, True), (0.1, False), (0.01, False))
"""How far weights are moved, and whether inputs are: the first that gives finite outputs is used."""
Apply = Callable[[nn.Module], None]


@dataclass(frozen=True)
class Candidate:
    """A fold to be proved."""

    apply: Apply
    """Changes a copy of the network."""
    place: str
    """The path of the module whose output must stay what it was; empty for the network alone."""
    always: bool = False
    """Whether it must hold in training mode too; batch statistics aside, which need a batch."""
    alone: bool = False
    """Whether it is a statement about two layers, not applied together with the others."""


@dataclass(frozen=True)
class Verdict:
    """Which candidates hold, and by how much the outputs differ at most when all of them are applied."""

    proved: list[Candidate]
    difference: float
    unproved: dict[int, str]
    """Position of a candidate: why it does not hold."""


def prove(
    module: nn.Module,
    candidates: Sequence[Candidate],
    inputs: tuple[Any, ...],
    keywords: dict[str, Any],
    awake: tuple[type[nn.Module], ...],
) -> Verdict:
    """Keep the candidates that change no output; `awake` are the types that training mode means here."""
    standing: list[Candidate] = list(candidates)
    unproved: dict[int, str] = {}
    worst = 0.0
    for draw in range(NUM_DRAWS + 1):
        if not standing:
            break
        found = _Draw(module, standing, inputs, keywords, awake, draw).surviving(standing)
        for candidate, why in found.refused:
            unproved[candidates.index(candidate)] = why
        standing, worst = [c for c in standing if c in found.kept], max(worst, found.difference)
    return Verdict(standing, worst if standing else 0.0, unproved)


@dataclass
class _Found:
    kept: list[Candidate]
    refused: list[tuple[Candidate, str]]
    difference: float


Outputs = dict[str, dict[str, list[Tensor]]]
"""By mode (evaluation, training) and place, the network's outputs under the empty name."""


class _Draw:
    """One set of weights and inputs, and what the network makes of them before anything folds."""

    def __init__(
        self,
        module: nn.Module,
        candidates: Sequence[Candidate],
        inputs: tuple[Any, ...],
        keywords: dict[str, Any],
        awake: tuple[type[nn.Module], ...],
        draw: int,
    ) -> None:
        self.awake, self.seed = awake, draw
        self.places = sorted({candidate.place for candidate in candidates} - {""})
        self.refusal = ""
        always = any(candidate.always for candidate in candidates)
        for scale, moved in _ATTEMPTS if draw else ((0.0, False),):
            generator = torch.Generator().manual_seed(draw)
            self.base = precise_twin(module)
            if scale:
                _draw_weights(self.base, generator, scale)
            given = tree_map(precise, (inputs, keywords))
            self.given = tree_map(lambda leaf, g=generator: _drawn(leaf, g), given) if moved else given
            try:
                self.before = self._run(twin_of(self.base), always)
            except UsageError as error:
                self.refusal = str(error).rstrip(".")
                continue
            if all(bool(t.isfinite().all()) for at in self.before.values() for ts in at.values() for t in ts):
                self.refusal = ""
                return
            self.refusal = "the outputs are not finite"

    def surviving(self, candidates: Sequence[Candidate]) -> _Found:
        """Apply all at once; where that fails, halve what is in question until the culprits are found."""
        if self.refusal:
            return _Found([], [(candidate, f"no proof: {self.refusal}") for candidate in candidates], 0.0)
        found = _Found([], [], 0.0)
        if together := [candidate for candidate in candidates if not candidate.alone]:
            self._divide(together, found)
        for candidate in candidates:
            if candidate.alone:
                statement = _Found([], [], 0.0)
                self._divide([candidate], statement)
                found.kept += statement.kept
                found.refused += statement.refused
        return found

    def _divide(self, candidates: Sequence[Candidate], found: _Found) -> None:
        difference, why = self._compare([*found.kept, *candidates])
        if difference <= TOLERANCE:
            found.kept += candidates
            found.difference = difference
        elif len(candidates) == 1:
            found.refused.append((candidates[0], why or f"outputs would differ by {difference:.1g} of the largest"))
        else:
            middle = len(candidates) // 2
            self._divide(candidates[:middle], found)
            self._divide(candidates[middle:], found)

    def _compare(self, candidates: list[Candidate]) -> tuple[float, str]:
        """The largest difference, relative to the largest entry of the same output; infinite where it fails."""
        worst = 0.0
        for mode, before in self.before.items():
            after = twin_of(self.base)
            try:
                for candidate in candidates:
                    if candidate.always or mode == "evaluation":
                        candidate.apply(after)
                now = self._pass(after, self.awake if mode == "training" else ())
            except Exception as error:
                return math.inf, f"the folded network fails: {one_line(error)}"
            for place in ("", *{candidate.place for candidate in candidates} - {""}):
                a, b = before[place], now[place]
                if [t.shape for t in a] != [t.shape for t in b]:
                    return math.inf, "shapes would differ"
                worst = max([worst, *(_relative(old, new) for old, new in zip(a, b, strict=True) if old.numel())])
        return worst, ""

    def _run(self, module: nn.Module, training: bool) -> Outputs:
        before = {"evaluation": self._pass(twin_of(module), ())}
        return before | ({"training": self._pass(module, self.awake)} if training else {})

    def _pass(self, module: nn.Module, awake: tuple[type[nn.Module], ...]) -> dict[str, list[Tensor]]:
        at_rest(module, awake)
        seen: dict[str, list[Tensor]] = {place: [] for place in self.places}
        for place in self.places:

            def note(part: nn.Module, args: Any, out: Any, kept: list[Tensor] = seen[place]) -> None:
                kept.extend(leaf.detach().clone() for leaf in tensors_in(out))

            module.get_submodule(place).register_forward_hook(note)
        torch.manual_seed(self.seed)
        random.seed(self.seed)
        np.random.seed(self.seed)  # noqa: NPY002 (the module may draw from the global one)
        inputs, keywords = tree_map(_own, self.given)
        # With autograd on: a network may differentiate inside.
        with torch.enable_grad(), float64_by_default(), told("in float64, which the proof needs"):
            out = module(*inputs, **keywords)
        return {"": [leaf.detach().clone() for leaf in tensors_in(out)], **seen}


def _relative(old: Tensor, new: Tensor) -> float:
    difference = float((old - new).abs().max()) if old.is_floating_point() or old.is_complex() else float(
        (old != new).any()
    )  # fmt: skip
    size = float(old.abs().max()) if difference and old.dtype != torch.bool else 1.0
    return math.inf if math.isnan(difference) else difference / (size or 1.0)


def _draw_weights(module: nn.Module, generator: torch.Generator, scale: float) -> None:
    """Move every parameter by normal noise of its size; running means and variances as training may leave them."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.is_floating_point() or parameter.is_complex():
                size = float(parameter.abs().square().mean().sqrt()) if parameter.numel() else 0.0
                parameter.add_(scale * (size or 0.1) * _normal(parameter, generator))
        for part in module.modules():
            mean, var = getattr(part, "running_mean", None), getattr(part, "running_var", None)
            if isinstance(mean, Tensor) and isinstance(var, Tensor):
                mean.add_(scale * var.sqrt() * _normal(mean, generator))
                var.mul_(torch.exp2(scale * (2 * torch.rand(var.shape, generator=generator, dtype=var.dtype) - 1)))


def _drawn(leaf: Any, generator: torch.Generator) -> Any:
    """A tensor of real or complex numbers with the mean and spread of the given one; anything else as it is."""
    if not isinstance(leaf, Tensor) or not (leaf.is_floating_point() or leaf.is_complex()) or not leaf.numel():
        return leaf
    spread = float(leaf.std()) if leaf.numel() > 1 else 0.0
    return leaf.mean() + (spread or 1.0) * _normal(leaf, generator)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)


def _own(leaf: Any) -> Any:
    if isinstance(leaf, torch.Generator):
        return leaf.clone_state()
    return leaf.clone() if isinstance(leaf, Tensor) else leaf

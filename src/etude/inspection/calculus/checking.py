"""The check of an answer: against automatic differentiation of the text, in float64, at several random points."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from etude.errors import UsageError
from etude.inspection.calculus.evaluation import SingularError, evaluate, size
from etude.inspection.calculus.nodes import Dim, Node, is_sample
from etude.inspection.calculus.reading import Parsed
from etude.inspection.calculus.text import shortened
from etude.inspection.calculus.typed import numeric

TOLERANCE = 1e-9
"""Largest difference from autograd, relative to the largest entry, with which an answer is shown."""
POINTS = 3
"""Random points at which an answer must agree."""
MOST_TRIES = 80
Point = dict[str, Tensor]
Derivative = Callable[[Point], Tensor]

_DRAWS: tuple[Callable[..., Tensor], ...] = (
    torch.randn,
    lambda *shape, **how: 0.1 + 0.8 * torch.rand(*shape, **how),  # as probabilities
    lambda *shape, **how: 1.2 + torch.rand(*shape, **how),  # logarithms of logarithms
    lambda *shape, **how: -0.1 - 0.8 * torch.rand(*shape, **how),
    lambda *shape, **how: 3 * torch.eye(*shape[-2:], dtype=torch.float64) + 0.3 * torch.randn(*shape, **how),
    lambda *shape, **how: 4 + 30 * torch.rand(*shape, **how),
)


@dataclass(frozen=True)
class Evidence:
    """How far an answer is from autograd, and at which sizes it was compared."""

    difference: float
    sizes: dict[Dim, int]
    points: int


def named_dims(parsed: Parsed) -> list[str]:
    """The dimensions without a number, each once, in the order of the names."""
    dims = [part for v in parsed.variables.values() for dim in v.shape for part in str(dim).split("·")]
    dims += [parsed.samples[1]] if parsed.samples else []
    return list(dict.fromkeys(part for part in dims if not part.isdigit()))


def sizes_to_try(parsed: Parsed, given: dict[Dim, int]) -> list[dict[Dim, int]]:
    """Different sizes for different dimensions: rising, falling, and all equal at last."""
    names = [name for name in named_dims(parsed) if name not in given]
    rising = {name: 3 + i % 6 for i, name in enumerate(names)}
    falling = {name: 3 + (len(names) - 1 - i) % 6 for i, name in enumerate(names)}
    return [{**each, **given} for each in (rising, falling, dict.fromkeys(names, 3))]


def compare(parsed: Parsed, wrt: str, answer: Node, given: dict[Dim, int], *, twice: bool = False) -> Evidence:
    """The evidence for an answer; raises a `UsageError` where there is none."""
    worst, found, used = 0.0, 0, {}
    for trial, sizes in _trials(parsed, given):
        if used and sizes != used:
            continue
        generator = torch.Generator().manual_seed(trial)
        point = draw(parsed, sizes, trial, generator)
        try:
            ours = at_point(parsed, answer, wrt, point, sizes)
            expected = autograd(parsed, wrt, point, twice=twice)
        except (SingularError, torch.linalg.LinAlgError):  # pyright: ignore[reportPrivateImportUsage]
            continue
        if ours is None or expected is None or not (ours.isfinite().all() and expected.isfinite().all()):
            continue
        if ours.shape != expected.shape:
            raise AssertionError((parsed.tree, ours.shape, expected.shape))
        difference = float((ours - expected).abs().max())
        scale = max(float(expected.abs().max()), _rounding(parsed, point))
        if difference > TOLERANCE * scale:
            raise UsageError(
                f"no answer: what was found for {shortened(wrt)} differs from automatic differentiation at random "
                "values (a kink, or numbers that float64 cannot hold apart); simplify the expression."
            )
        worst, found, used = max(worst, difference / scale), found + 1, sizes
        if found == POINTS:
            return Evidence(worst, sizes, found)
    raise UsageError(
        "no answer: the expression or its derivative is not finite at any of the random values that were tried; "
        "check its logarithms, roots, divisions and inverses."
    )


def _rounding(parsed: Parsed, point: Point) -> float:
    """A derivative this small beside the value is 0, up to rounding."""
    return max(1e-5 * float(numeric(parsed, point).abs().max()), 1e-12)


def _trials(parsed: Parsed, given: dict[Dim, int]) -> list[tuple[int, dict[Dim, int]]]:
    orders = sizes_to_try(parsed, given)
    distinct = [each for i, each in enumerate(orders) if each not in orders[:i]]
    return [(trial, each) for each, trial in product(distinct, range(MOST_TRIES // len(distinct)))]


def draw(parsed: Parsed, sizes: dict[Dim, int], trial: int, generator: torch.Generator) -> Point:
    """Random values of every name: real ones first, then those at which logarithms and roots exist."""
    point: Point = {}
    kinds = len(_DRAWS)
    for name, node in parsed.variables.items():
        shape = [size(d, sizes) for d in node.shape]
        if parsed.samples and is_sample(node, parsed.samples[0]):
            shape.insert(0, sizes[parsed.samples[1]])
        kind = trial // POINTS
        if kind >= kinds:  # a kind of its own for every name
            kind = int(torch.randint(kinds, (), generator=generator))
        point[name] = _DRAWS[kind](*shape, generator=generator, dtype=torch.float64)
        if name in parsed.distributions:
            point[name] = torch.softmax(point[name], -2 if shape[-1] == 1 else -1)
    return point


def at_point(parsed: Parsed, answer: Node, wrt: str, point: Point, sizes: dict[Dim, int]) -> Tensor | None:
    """The answer's value; for a name with a value per sample one matrix per sample."""
    node = parsed.variables[wrt]
    if not parsed.samples or not is_sample(node, parsed.samples[0]):
        return evaluate(answer, point, sizes)
    letter, count = parsed.samples
    indexed = {n for n, v in parsed.variables.items() if is_sample(v, letter)}
    found = []
    for s in range(sizes[count]):
        own = {name: value[s] if name in indexed else value for name, value in point.items()}
        found.append(evaluate(answer, own, sizes))
    return torch.stack(found)


def autograd(parsed: Parsed, wrt: str, point: Point, *, twice: bool = False) -> Tensor | None:
    """PyTorch's derivative of the text: (rows, columns) of the name, or a column per entry of a vector."""
    leaf = point[wrt].clone().requires_grad_()
    out = numeric(parsed, {**point, wrt: leaf}).reshape(-1)
    if not out.isfinite().all():
        return None
    if twice:
        (first,) = _gradients(out, leaf, create_graph=True)
        return _columns(_gradients(first.reshape(-1), leaf))
    found = _gradients(out, leaf)
    return found[0] if len(found) == 1 else _columns(found)


def _columns(rows: list[Tensor]) -> Tensor:
    return torch.cat([row.reshape(-1, 1) for row in rows], 1)


def _gradients(out: Tensor, leaf: Tensor, *, create_graph: bool = False) -> list[Tensor]:
    if not out.requires_grad:
        return [torch.zeros_like(leaf) for _ in out]
    rows = [
        torch.autograd.grad(each, leaf, retain_graph=True, create_graph=create_graph, allow_unused=True)[0]
        for each in out
    ]
    return [torch.zeros_like(leaf) if row is None else row for row in rows]

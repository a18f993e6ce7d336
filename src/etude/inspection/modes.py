"""What differs between training and evaluation, and by how much: dropout, batch-norm, code of the network's own.

The noise of a layer that normalises over the batch is that of one example while the others of its batch change: a batch
that is repeated has none.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from etude.errors import UsageError
from etude.inspection.trace.failures import one_line, told
from etude.inspection.trace.outputs import tensors_in
from etude.inspection.trace.record import is_library
from etude.inspection.trace.twin import twin_of, undisturbed

NUM_DRAWS = 32
"""Passes in training mode that differences are averaged over."""
LEAST_BATCH = 4
"""Examples that make batches which differ."""


@dataclass(frozen=True, repr=False)
class ModeLayer:
    """One layer whose output depends on the mode, given the same input."""

    path: str
    op: str
    what: str
    """What it does in each mode."""
    difference: float
    """Root mean square of (training - evaluation) over that of the evaluation's output."""
    noise: float
    """Standard deviation over passes in training mode, relative to the same; NaN where it is unknown."""
    from_batch: bool = False
    """Whether the other examples of a batch change what comes out for one; the noise is then that of the first example
    while the others are drawn again for every pass."""

    def __repr__(self) -> str:
        noise = number_text(self.noise)
        return f"{self.path or '·'} ({self.op}): difference {self.difference:.3g}, noise {noise}; {self.what}"


@dataclass(frozen=True, repr=False)
class Modes:
    """The comparison of one network; it shows itself as lines, one for each layer first."""

    layers: list[ModeLayer]
    difference: float
    """Of the first output, as for a layer; NaN where training mode fails."""
    noise: float
    from_batch: bool
    batch_size: int
    updated_buffers: list[str]
    """Buffers that a pass in training mode changes."""
    mixed: list[str]
    """Modules whose flag differs from that of the network as it was given."""
    findings: list[str]

    @property
    def lines(self) -> list[str]:
        """What is to be said of the network as a whole, a sentence each."""
        lines = [] if self.layers else ["No layer gives another output in training mode than in evaluation."]
        lines.append(
            f"output: difference {number_text(self.difference)}, noise {number_text(self.noise)}, relative to its size "
            f"in evaluation ({NUM_DRAWS} passes)."
        )
        mixing = [layer.path for layer in self.layers if layer.from_batch] + (["output"] if self.from_batch else [])
        if mixing and self.batch_size:
            lines.append(
                f"noise of {', '.join(mixing)}: how far one example spreads while the other {self.batch_size - 1} of "
                "its batch are drawn again for every pass."
            )
        if self.updated_buffers:
            lines.append(f"training updates {', '.join(self.updated_buffers)}.")
        return [*lines, *(f"! {text}" for text in self.findings)]

    def __repr__(self) -> str:
        return "\n".join([*map(repr, self.layers), *self.lines])


def number_text(number: float) -> str:
    """A difference or noise for reading; NaN is one that is not known."""
    return "unknown" if number != number else f"{number:.3g}"


def compare_modes(module: nn.Module, *inputs: Any, seed: int = 0, **keywords: Any) -> Modes:
    """Compare a copy of `module` in both modes on the same batch; layers get the inputs they have in evaluation.

    Batch-norm in training mode needs a batch of at least two examples: fewer is reported as a finding. Raises a
    `UsageError` for a network that returns no tensor.
    """
    with undisturbed():
        torch.manual_seed(seed)
        twin = twin_of(module)
        at_start = {name: buffer.clone() for name, buffer in twin.named_buffers()}
        at_rest, seen = _pass(twin.eval(), inputs, keywords, watch=True)
        again, _ = _pass(twin, inputs, keywords)
        findings = []
        kept = [name for name, buffer in twin.named_buffers() if not _same(buffer, at_start[name])]
        if kept:
            findings.append(f"keeps state in evaluation: a pass in eval mode changes {', '.join(kept)}.")
        elif not _same(at_rest, again):
            findings.append(
                "random in evaluation: two passes in eval mode differ; call F.dropout with training=self.training, "
                "and draw no noise there."
            )
        size = next((len(t) for t in tree_flatten((inputs, keywords))[0] if isinstance(t, Tensor) and t.dim()), 0)
        layers, small_batch, unknown_noise = [], [], []
        for path, (part, given, rest) in seen.items():
            try:
                layer = _compare_layer(path, part, given, rest)
            except Exception as error:  # one layer that cannot be compared must not end the report
                if "more than 1 value per channel" in str(error):
                    small_batch.append(path)
                else:
                    findings.append(f"unknown: {path or 'the network'} alone in training mode: {one_line(error)}.")
                continue
            if layer:
                layers.append(layer)
                unknown_noise += [path] if math.isnan(layer.noise) else []
        if small_batch:
            findings.append(
                f"batch too small: {', '.join(small_batch)} cannot train on one value per channel; use a batch of 2 "
                "or more."
            )
        if unknown_noise:
            names = ", ".join(path or "the network" for path in unknown_noise)
            findings.append(
                f"noise unknown: {names} normalises over the batch, and {size} examples make no batches that differ; "
                f"use {LEAST_BATCH} or more."
            )
        difference = noise = math.nan
        from_batch = False
        updated: list[str] = []
        if not small_batch:
            before = {name: buffer.clone() for name, buffer in twin.named_buffers()}
            try:
                draws = torch.stack([_pass(_own_code(twin, True, True), inputs, keywords)[0] for _ in range(NUM_DRAWS)])
                difference, noise = _sizes(draws, at_rest)
                updated = [name for name, buffer in twin.named_buffers() if not _same(buffer, before[name])]
                varied = _noise_of_one(module, lambda net, given: _pass(net, *given)[0], (inputs, keywords), at_rest)
                if varied is not None:
                    noise, from_batch = varied, True
                elif unknown_noise:
                    noise = math.nan
            except Exception as error:
                findings.append(f"unknown in training: {str(error).rstrip('.')}.")
            if _same(at_rest, again) and (names := _own_code_that_looks(module, inputs, keywords, at_rest)):
                findings.append(
                    f"code of its own looks at self.training, in {', '.join(names)}: the output changes with every "
                    "layer of PyTorch at rest."
                )
        mixed = [name for name, part in module.named_modules() if part.training != module.training]
        if mixed:
            mode = "train" if module.training else "eval"
            findings.append(
                f"mixed modes: the network is in {mode} mode, but {', '.join(mixed[:4])} not; is that meant?"
            )
        return Modes(layers, difference, noise, from_batch, size, updated, mixed, findings)


def _noise_of_one(module: nn.Module, run: Callable[[nn.Module, Any], Tensor], given: Any, rest: Tensor) -> float | None:
    """How far the output for the first example spreads while the others of its batch are drawn again for every pass.

    None where the others do not matter, NaN where they are too few, relative to the size of `rest`, the output in
    evaluation.
    """
    tensors = [leaf for leaf in tree_flatten(given)[0] if isinstance(leaf, Tensor) and leaf.dim()]
    size = len(tensors[0]) if tensors else 0
    if size < 2 or not rest.dim() or len(rest) != size:
        return None
    generator = torch.Generator().manual_seed(0)

    def redrawn() -> Any:
        rows = torch.cat([torch.zeros(1, dtype=torch.long), torch.randint(1, size, (size - 1,), generator=generator)])
        return tree_map(lambda x: x[rows] if isinstance(x, Tensor) and x.dim() and len(x) == size else x, given)

    def first(training: bool, batch: Any) -> Tensor:
        torch.manual_seed(0)  # equal masks
        return run(twin_of(module).train(training), batch)[0].double()

    # Where the others matter in evaluation too, the first axis is none of examples, or attention goes across it.
    other = tree_map(lambda x: torch.cat([x[:1], x[1:] + 1]) if _is_batch(x, size) else x, given)
    if not torch.allclose(first(False, other), rest[0].double(), rtol=1e-4, atol=1e-5):
        return None
    if torch.allclose(first(True, other), first(True, given), rtol=1e-4, atol=1e-5):
        return None
    if size < LEAST_BATCH:
        return math.nan
    twin = twin_of(module).train()
    draws = torch.stack([run(twin, redrawn())[0].double() for _ in range(NUM_DRAWS)])
    return float(draws.std(0).square().mean().sqrt()) / (float(rest.double().square().mean().sqrt()) or 1.0)


def _is_batch(value: Any, size: int) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 0 and len(value) == size


def _own_code_that_looks(module: nn.Module, inputs: Any, keywords: Any, at_rest: Tensor) -> list[str]:
    """The modules outside PyTorch's layers whose flag alone changes the output."""
    found = []
    for name, part in module.named_modules():
        if is_library(part):
            continue
        twin = twin_of(module).eval()
        twin.get_submodule(name).training = True
        try:
            looks = not all(_same(_pass(twin, inputs, keywords)[0], at_rest) for _ in range(2))
        except UsageError:  # it wants targets then, say; the pass of the whole network has told
            looks = False
        if looks:
            found.append(f"{name or 'the network'} ({type(part).__name__})")
    return found


def _same(a: Tensor, b: Tensor) -> bool:
    a, b = (x if x.layout == torch.strided else x.to_dense() for x in (a, b))
    return a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num())


def _own_code(module: nn.Module, own: bool, library: bool) -> nn.Module:
    """Training flags set apart for PyTorch's layers and for the network's own modules."""
    for part in module.modules():
        part.training = library if is_library(part) else own
    return module


def _pass(module: nn.Module, inputs: Any, keywords: Any, *, watch: bool = False) -> tuple[Tensor, dict[str, Any]]:
    inputs, keywords = tree_map(_fresh, (inputs, keywords))
    seen: dict[str, Any] = {}
    handles = []
    if watch:
        for name, part in module.named_modules():
            if is_library(part) and not any(True for _ in part.children()):

                def note(part: nn.Module, args: Any, out: Any, name: str = name) -> None:
                    if isinstance(out, Tensor) and out.numel() and name not in seen:  # an expert may get no example
                        seen[name] = (part, tree_map(_fresh, args), out.detach().clone())

                handles.append(part.register_forward_hook(note))
    with told("in training mode" if module.training else "in eval mode"):
        out = module(*inputs, **keywords)
    for handle in handles:
        handle.remove()
    tensors = [leaf.detach() for leaf in tensors_in(out)]
    if not tensors:
        raise UsageError("nothing to compare: the network returns no tensor.")
    return tensors[0], seen


def _compare_layer(path: str, part: nn.Module, given: Any, rest: Tensor) -> ModeLayer | None:
    twin = twin_of(part).train()

    def run(module: nn.Module, batch: Any) -> Tensor:
        with torch.no_grad():
            return module(*tree_map(_fresh, batch))

    difference, noise = _sizes(torch.stack([run(twin, given) for _ in range(NUM_DRAWS)]), rest)
    if not difference:
        return None
    varied = _noise_of_one(part, run, given, rest)
    what = _describe(part, given, rest)
    return ModeLayer(
        path, type(part).__name__, what, difference, noise if varied is None else varied, varied is not None
    )


def _sizes(draws: Tensor, rest: Tensor) -> tuple[float, float]:
    scale = float(rest.double().square().mean().sqrt()) or 1.0
    difference = float((draws.double() - rest.double()).square().mean().sqrt())
    noise = float(draws.double().std(0).square().mean().sqrt())
    return difference / scale, noise / scale


def _describe(part: nn.Module, given: Any, rest: Tensor) -> str:
    if isinstance(part, nn.modules.dropout._DropoutNd):
        kept = f"the rest is scaled by {1 / (1 - part.p):.4g}" if part.p < 1 else "nothing is left"
        return f"train: {part.p:g} of the entries become 0, {kept}; eval: nothing"
    if (
        isinstance(part, nn.modules.batchnorm._BatchNorm)
        and part.running_mean is not None
        and part.running_var is not None
    ):
        x = given[0]
        dims = [d for d in range(x.dim()) if d != 1]
        mean, var = x.mean(dims), x.var(dims)
        shift = float(((mean - part.running_mean).abs() / part.running_var.sqrt()).mean())
        ratio = float((var / part.running_var).mean())
        return (
            f"train: mean and variance of the batch; eval: running averages (means {shift:.2g} running deviations "
            f"apart, variances {ratio:.2g}-fold)"
        )
    return "differs between the modes"


def _fresh(leaf: Any) -> Any:
    if isinstance(leaf, torch.Generator):
        return leaf.clone_state()
    return leaf.detach().clone() if isinstance(leaf, Tensor) else leaf

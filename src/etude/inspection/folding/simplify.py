"""Layers that fold into one, or into nothing; a fold is told only after a proof on random weights and inputs."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from etude.errors import UsageError
from etude.inspection.findings import reading
from etude.inspection.folding.neighbours import Pair, Seen
from etude.inspection.folding.proof import NUM_DRAWS, Candidate, prove
from etude.inspection.trace.failures import one_line
from etude.inspection.trace.record import Call, Trace
from etude.inspection.trace.tracing import trace
from etude.inspection.trace.twin import precise_twin, undisturbed

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
NUM_SAMPLES = 1_000_000
"""Entries that a pair of dropouts is drawn on to compare it with the one that replaces it."""
_Conv, _Transposed, _Norm = nn.modules.conv._ConvNd, nn.modules.conv._ConvTransposeNd, nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True)
class Fold:
    """One simplification."""

    kind: str
    paths: tuple[str, ...]
    message: str
    when: str
    """always, or evaluation."""
    parameters_saved: int = 0


@dataclass(frozen=True, repr=False)
class Simplification:
    """All folds that were proved, and the network with them applied; it shows itself as `etude inspect` prints it."""

    folds: list[Fold]
    module: nn.Module
    """A copy in eval mode, folded, in float64 as it was compared."""
    difference: float
    """The largest difference of any output in float64 over all draws, relative to the largest; 0 without folds."""
    refused: list[str]
    """What looks as if it folds and does not, with the reason."""

    @property
    def lines(self) -> list[str]:
        """The folds, what does not fold, and how well that was proved."""
        folds = [f"{'✓' if fold.when == 'always' else '✓ eval'} {fold.message}" for fold in self.folds]
        refused = [f"✗ does not fold: {why}" for why in self.refused]
        if not folds and not refused:
            return ["Nothing folds: no two layers in a row that one could replace."]
        if not folds:
            return [*refused, "Nothing folds."]
        return [
            *folds,
            *refused,
            f"\nproof: the folded network's outputs differ by at most {self.difference:.1e} of the largest: as given, "
            f"and with weights, running averages and inputs drawn at random {NUM_DRAWS} times; float64.",
        ]

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def simplify(module: nn.Module, *inputs: Any, **keywords: Any) -> Simplification:
    """Find what folds in a copy of `module` and prove it: see `fold_proof`.

    Only layers that are called once, one directly after the other, while nothing else uses what is between, no hook
    looks at it, and nothing else reads or shares their weights. Folds that hold always are proved in training mode too.
    Nothing folds in a network whose forward pass reads numbers out of tensors: another input may take another path.
    """
    resting = trace(module, *inputs, **keywords)
    awake = tuple({type(part) for part in module.modules() if not isinstance(part, _Norm)})
    try:
        training: Trace | None = trace(module, *inputs, awake=awake, **keywords)
    except UsageError:  # runs in evaluation only
        training = None
    with undisturbed():
        proposed, refused = _propose(Seen(module, resting), Seen(module, training) if training else None)
        if proposed and (why := _other_paths(resting, training)):
            proposed, refused = [], [*refused, why]
        folds: list[Proposal] = []
        difference = 0.0
        while proposed:
            # A layer that two folds want waits until it is known whether the first of them holds.
            now, later = list(folds), []
            for proposal in proposed:
                taken = {path for fold, _ in now for path in _taken(fold)}
                (later if taken & set(_taken(proposal[0])) else now).append(proposal)
            verdict = prove(module, [candidate for _, candidate in now], inputs, keywords, awake)
            folds = [now[i] for i in range(len(now)) if i not in verdict.unproved]
            refused += [f"{' and '.join(now[i][0].paths)}: {why}." for i, why in verdict.unproved.items()
                        if now[i][0].kind != "at rest" or why.startswith("no proof")]  # fmt: skip
            difference = verdict.difference
            taken = {path for fold, _ in folds for path in _taken(fold)}
            proposed = [proposal for proposal in later if not taken & set(_taken(proposal[0]))]
        after = precise_twin(module).eval()
        for _, candidate in folds:
            if not candidate.alone:
                candidate.apply(after)
        return Simplification([fold for fold, _ in folds], after, difference, refused)


def _other_paths(resting: Trace, training: Trace | None) -> str:
    """Why a proof on a few inputs tells nothing of others: no draw need reach the branch that another input takes."""
    names = [name for record in (resting, training) if record for name in reading(record, of_any=True)]
    if not names:
        return ""
    read = ", ".join(dict.fromkeys(names))
    return f"the forward pass reads numbers out of tensors ({read}), so another input may take another path."


def _taken(fold: Fold) -> tuple[str, ...]:
    """The layers that a fold changes, so that no other may."""
    return fold.paths if fold.kind in ("norm", "linear", "twice") else ()


Proposal = tuple[Fold, Candidate]


def _propose(resting: Seen, training: Seen | None) -> tuple[list[Proposal], list[str]]:
    """Folds to prove, those that save more before others that want the same layers; and pairs that cannot fold."""
    proposed: list[Proposal] = []
    refused: list[str] = []
    in_training = {pair.paths: pair for pair in training.pairs()} if training else {}

    def consider(pair: Pair, make: Callable[[], Proposal | str], share: bool = False) -> None:
        try:
            made = (not share and pair.shared) or pair.why_not or make()
        except Exception as error:  # one pair that is not as it looks must not end the report
            made = f"unknown: {one_line(error)}"
        if isinstance(made, str):
            refused.append(f"{pair.first.path} and {pair.second.path}: {made}.")
        else:
            proposed.append(made)

    at_rest = list(resting.pairs())
    for pair in in_training.values():
        a, b = pair.first.module, pair.second.module
        if isinstance(a, nn.Linear) and isinstance(b, nn.Linear):
            consider(pair, lambda p=pair, a=a, b=b: _linear(p.paths, a, b))
        elif isinstance(a, DROPOUTS) and type(a) is type(b):
            consider(pair, lambda p=pair, a=a, b=b: _dropouts(p.paths, a.p, b.p))  # type: ignore[arg-type]
        elif isinstance(a, nn.ReLU | nn.Flatten) and type(a) is type(b):
            consider(pair, lambda p=pair, a=a: _twice(p.paths, type(a).__name__), share=True)
        elif {type(a), type(b)} == {nn.Dropout, nn.ReLU}:
            consider(pair, lambda p=pair: _commute(p.paths))
    for pair in at_rest:
        a, b = pair.first.module, pair.second.module
        if isinstance(a, _Conv | nn.Linear) and isinstance(b, _Norm):
            consider(pair, lambda p=pair, a=a, b=b: _norm_after(p, a, b, p.paths in in_training))
    for pair in at_rest:
        a, b = pair.first.module, pair.second.module
        if isinstance(a, _Norm) and isinstance(b, _Conv | nn.Linear) and not isinstance(b, _Transposed):
            consider(pair, lambda p=pair, a=a, b=b: _norm_before(p, a, b))
    at_work = {call.path for call in resting.leaves if call.outputs[:1] != call.inputs[:1]}
    idle = {call.path: call for call in resting.leaves if isinstance(call.module, (*DROPOUTS, nn.Identity))}
    for path, call in idle.items():
        if path and call.registered and path not in at_work:
            message = f"{path} ({type(call.module).__name__}) does nothing in evaluation."
            fold = Fold("at rest", (path,), message, "evaluation")
            proposed.append((fold, Candidate(lambda root, path=path: _put(root, path, nn.Identity()), "")))
    return proposed, refused


# --- kinds of folds: each says what it is, and how to do it to a copy with other weights ---------------------------


def _norm_after(pair: Pair, layer: Any, norm: Any, in_training: bool) -> Proposal | str:
    """γ(Wx + b - μ)/σ + β = (γ/σ)W x + (b - μ)γ/σ + β, channel by channel."""
    if norm.running_mean is None:
        return f"{norm_name(pair.second)} has no running averages"
    if why := _axes_differ(pair, layer, pair.first.outputs[0].shape):
        return why
    transposed = isinstance(layer, _Transposed)

    def apply(root: nn.Module) -> None:
        new: Any = copy.deepcopy(root.get_submodule(pair.first.path))
        scale, shift = _affine(root, pair.second.path)
        weight: Tensor = new.weight.detach()
        groups = new.groups if transposed else 1
        factor = scale.view(groups, -1).repeat_interleave(len(weight) // groups, 0) if transposed else scale
        factor = factor.view(*factor.shape, *[1] * (weight.dim() - factor.dim()))
        bias = 0 if new.bias is None else new.bias.detach()
        new.weight, new.bias = nn.Parameter(weight * factor), nn.Parameter(bias * scale + shift)
        _put(root, pair.first.path, new)
        _put(root, pair.second.path, nn.Identity())

    count = norm.num_features
    saved = sum(p.numel() for p in norm.parameters()) - (count if layer.bias is None else 0)
    extra = (
        f" In training the bias of {pair.first.path} ({count} parameters) is useless: the norm subtracts it."
        if layer.bias is not None and in_training
        else ""
    )
    message = f"{pair.second.path} folds into {pair.first.path} in evaluation.{extra}"
    return Fold("norm", pair.paths, message, "evaluation", saved), Candidate(apply, pair.second.path)


def _norm_before(pair: Pair, norm: Any, layer: Any) -> Proposal | str:
    """W(sx + t) + b = (sW)x + (Wt + b); zeros that a convolution pads with come after the norm and get no t."""
    if norm.running_mean is None:
        return f"{norm_name(pair.first)} has no running averages"
    if why := _axes_differ(pair, layer, pair.second.inputs[0].shape):
        return why
    if isinstance(layer, _Conv) and layer.padding_mode == "zeros" and any(layer._reversed_padding_repeated_twice):
        return f"{pair.second.path} pads with zeros, which the norm before it does not shift"

    def apply(root: nn.Module) -> None:
        new: Any = copy.deepcopy(root.get_submodule(pair.second.path))
        scale, shift = _affine(root, pair.first.path)
        weight: Tensor = new.weight.detach()
        groups = getattr(new, "groups", 1)

        def spread(values: Tensor) -> Tensor:  # (channels in,) -> (channels out, channels in / groups, 1, …)
            rows = values.view(groups, -1).repeat_interleave(len(weight) // groups, 0)
            return rows.view(*rows.shape, *[1] * (weight.dim() - 2))

        bias = 0 if new.bias is None else new.bias.detach()
        new.weight, new.bias = (
            nn.Parameter(weight * spread(scale)),
            nn.Parameter((weight * spread(shift)).flatten(1).sum(1) + bias),
        )
        _put(root, pair.first.path, nn.Identity())
        _put(root, pair.second.path, new)

    saved = sum(p.numel() for p in norm.parameters()) - (len(layer.weight) if layer.bias is None else 0)
    message = f"{pair.first.path} folds into {pair.second.path} in evaluation."
    return Fold("norm", pair.paths, message, "evaluation", saved), Candidate(apply, pair.second.path)


def norm_name(call: Call) -> str:
    """The path and type of a layer."""
    return f"{call.path} ({type(call.module).__name__})"


def _axes_differ(pair: Pair, layer: Any, between: tuple[int, ...]) -> str:
    """A batch-norm's channels are axis 1, a convolution's too behind a batch; a linear layer's are the last axis."""
    wanted = 2 if isinstance(layer, nn.Linear) else len(layer.kernel_size) + 2
    if len(between) == wanted:
        return ""
    return f"the norm's channels are axis 1 of {len(between)}, those of {type(layer).__name__} are not"


def _affine(root: nn.Module, path: str) -> tuple[Tensor, Tensor]:
    """Scale and shift of a batch-norm at rest."""
    norm: Any = root.get_submodule(path)
    scale = (norm.running_var + norm.eps).rsqrt() * (1 if norm.weight is None else norm.weight.detach())
    return scale, (0 if norm.bias is None else norm.bias.detach()) - norm.running_mean * scale


def _linear(paths: tuple[str, str], a: nn.Linear, b: nn.Linear) -> Proposal:
    def apply(root: nn.Module) -> None:
        one: Any = root.get_submodule(paths[0])
        two: Any = root.get_submodule(paths[1])
        product = nn.Linear(a.in_features, b.out_features, bias=has_bias, device="meta")
        product.weight = nn.Parameter(two.weight.detach() @ one.weight.detach())
        if has_bias:
            bias = 0 if one.bias is None else two.weight.detach() @ one.bias.detach()
            product.bias = nn.Parameter(bias + (0 if two.bias is None else two.bias.detach()))  # type: ignore[operator]
        _put(root, paths[0], product)
        _put(root, paths[1], nn.Identity())

    has_bias = a.bias is not None or b.bias is not None
    before = sum(p.numel() for layer in (a, b) for p in layer.parameters())
    saved = before - b.out_features * (a.in_features + has_bias)
    more = "saves" if saved >= 0 else "costs"
    message = (
        f"{paths[0]} and {paths[1]} have nothing between them: one Linear({a.in_features}, {b.out_features}) does the "
        f"same and {more} {abs(saved):,} parameters."
    )
    return Fold("linear", paths, message, "always", saved), Candidate(apply, paths[1], always=True)


def _twice(paths: tuple[str, str], name: str) -> Proposal:
    fold = Fold("twice", paths, f"{paths[1]} repeats {paths[0]}: {name} twice is once.", "always")
    return fold, Candidate(lambda root: _put(root, paths[1], nn.Identity()), paths[1], always=True)


def _commute(paths: tuple[str, str]) -> Proposal:
    def apply(root: nn.Module) -> None:
        one, two = root.get_submodule(paths[0]), root.get_submodule(paths[1])
        _put(root, paths[0], nn.Identity())
        _put(root, paths[1], one)
        _put(root, paths[0], two)

    message = f"{paths[0]} and {paths[1]} may change places: max(0, m·x) = m·max(0, x) for a mask m ≥ 0."
    return Fold("commute", paths, message, "always"), Candidate(apply, paths[1], always=True, alone=True)


def two_dropouts(p1: float, p2: float) -> Fraction:
    """The probability q = 1 - (1 - p1)(1 - p2) of the one dropout that two in a row are, exact in decimals."""
    return 1 - (1 - Fraction(str(p1))) * (1 - Fraction(str(p2)))


def _dropouts(paths: tuple[str, str], p1: float, p2: float) -> Proposal:
    """Masks cannot be compared one by one, so that many are drawn; the network's outputs in evaluation are compared."""
    q = two_dropouts(p1, p2)
    torch.manual_seed(0)
    ones = torch.ones(NUM_SAMPLES, dtype=torch.float32)
    pair = nn.functional.dropout(nn.functional.dropout(ones, p1), p2)
    one = nn.functional.dropout(ones, float(q))
    scaled = f"both scale by {float(1 / (1 - q)):.6g}, which keeps the expectation" if q < 1 else "nothing is left"
    message = (
        f"{paths[0]} and {paths[1]} drop {p1:g} and {p2:g}: together one dropout of q = 1 - (1 - {p1:g})(1 - {p2:g}) = "
        f"{float(q):g}; {scaled}. Drawn {NUM_SAMPLES:,} "
        f"times: {float((pair == 0).double().mean()):.4f} dropped by the pair, "
        f"{float((one == 0).double().mean()):.4f} by the one; means {float(pair.mean()):.4f} and "
        f"{float(one.mean()):.4f}."
    )

    def apply(root: nn.Module) -> None:
        _put(root, paths[1], nn.Identity())

    return Fold("dropouts", paths, message, "always"), Candidate(apply, paths[1], alone=True)


def _put(root: nn.Module, path: str, module: nn.Module) -> None:
    """Put `module` in the place of the one at `path`, under all of its names."""
    old = root.get_submodule(path)
    for parent in list(root.modules()):
        for name, child in parent._modules.items():
            if child is old:
                parent._modules[name] = module

"""The receptive field of every tensor of a trace, per axis of the input, by exact propagation through its operations.

An operation without a rule here makes the field unknown from there on, with the reason; nothing is guessed. So does an
error inside a rule.
"""

from collections.abc import Callable
from typing import Any

from etude.inspection.field import axes
from etude.inspection.field.axes import Window
from etude.inspection.field.moves import MOVES
from etude.inspection.field.position_axes import position_axes
from etude.inspection.field.reach import Reach, TooLarge
from etude.inspection.field.step import Fields, Misaligned, NoRule, Step, TensorReach, Unknown
from etude.inspection.trace.flops import PER_OUTPUT, names_in
from etude.inspection.trace.record import Trace, Value
from etude.inspection.trace.writes import WRITE, Landing

__all__ = ["Fields", "Misaligned", "TensorReach", "Unknown", "receptive_fields"]


def receptive_fields(trace: Trace, *, time_first: bool = False) -> Fields:
    """Follow the first input with positions: images (N, C, H, W), signals (N, C, L), sequences (N, T), or (T, N)."""
    for value in trace.inputs:
        if followed := position_axes(value, trace, time_first=time_first):
            break
    else:
        return Fields(None, (), {}, [])
    fields = Fields(value, followed, {}, [])
    shape = value.shape
    fields.states[value] = TensorReach(shape, tuple(Reach.of_input(len(shape), d, shape[d]) for d in followed))
    for operation in trace.operations:
        states = [fields.states[v] for v in operation.inputs if v in fields.states]
        if not states:
            continue
        unknown = next((state for state in states if isinstance(state, Unknown)), None)
        try:
            if unknown and operation.name not in _LIKE:
                raise NoRule(unknown.reason)
            _apply(Step(fields, operation))
        except NoRule as error:
            fields.states.update(dict.fromkeys(operation.outputs, Unknown(str(error))))
        except (TooLarge, MemoryError):
            reason = Unknown(f"{operation.name} of too many elements to follow one by one")
            fields.states.update(dict.fromkeys(operation.outputs, reason))
        except Exception as error:  # a mistake of ours in one rule must not end the report
            reason = Unknown(f"the rule for {operation.name} fails ({type(error).__name__})")
            fields.states.update(dict.fromkeys(operation.outputs, reason))
    return fields


def _apply(step: Step) -> None:
    name, args = step.name, step.args
    if step.operation.func is WRITE and len(args) == 3 and isinstance(args[2], Landing | str):
        if isinstance(args[2], str):
            raise NoRule(args[2])
        step.write(args[0], args[1], args[2])
    elif step.operation.func.namespace not in ("aten", "prims"):
        raise NoRule(f"no rule for {name}")
    elif rule := _RULES.get(name):
        rule(step)
    elif name in _ELEMENTWISE:
        step.set(step.join(step.known(step.operation.inputs)))
    else:
        raise NoRule(f"no rule for {name}")


_ELEMENTWISE = (
    set(PER_OUTPUT)
    - set(names_in("_softmax _safe_softmax _log_softmax native_layer_norm native_group_norm glu"))
    - {name for name in PER_OUTPUT if "upsample" in name or name.endswith(("_backward", "_backward_data"))}
) | set(
    names_in("""
        clone detach alias contiguous _to_copy lift_fresh lift where masked_fill eq ne lt le gt ge logical_and
        logical_or logical_not logical_xor bernoulli isnan isinf isfinite isposinf isneginf bitwise_and bitwise_or
        bitwise_not bitwise_xor native_dropout bucketize real imag _conj _conj_physical _neg_view conj_physical angle
        complex polar view_as_complex_copy resolve_conj resolve_neg heaviside signbit nextafter copysign
        __and__ __or__ __xor__ __lshift__ __rshift__ bitwise_left_shift bitwise_right_shift alias_copy index_fill
    """)
)
_LIKE = set(
    names_in("""
        zeros_like ones_like empty_like rand_like randn_like full_like randint_like new_zeros new_ones new_empty
        new_full new_empty_strided normal uniform exponential random log_normal cauchy geometric
    """)
)
_RULES: dict[str, Callable[[Step], None]] = dict(MOVES)


def _rule(names: str) -> Callable[[Callable[[Step], None]], Callable[[Step], None]]:
    def add(rule: Callable[[Step], None]) -> Callable[[Step], None]:
        _RULES.update(dict.fromkeys(names_in(names), rule))
        return rule

    return add


# --- sliding layers ---------------------------------------------------------------------------------------------------


@_rule("convolution _convolution")
def _convolution(step: Step) -> None:
    x, weight = step.args[:2]
    kernel = weight.shape[2:]
    transposed, groups = step.argument("transposed"), step.argument("groups")
    make = axes.transposed_convolution if transposed else axes.convolution
    settings = [_each(step.argument(key), len(kernel)) for key in ("stride", "padding", "dilation")]
    channel, channels = -len(kernel) - 1, step.out[0].shape[-len(kernel) - 1]
    reaches = step.slide(x, [make(*sizes) for sizes in zip(kernel, *settings, strict=True)])
    if step.known([weight]):
        raise NoRule("a convolution whose weights depend on the input")
    step.set([_mixed_in_groups(reach, channel, groups, channels) for reach in reaches])


def _mixed_in_groups(reach: Reach, dim: int, groups: int, channels: int) -> Reach:
    """Each of `channels` outputs sees all inputs of its group along a dimension."""
    dim %= reach.where.dim()
    size = reach.where.shape[dim]
    if groups == 1 or size == 1:
        return reach.union_over([dim])
    shape = list(reach.where.shape)
    split = [*shape[:dim], groups, size // groups, *shape[dim + 1 :]]
    merged = reach.reshaped(shape, split).union_over([dim + 1])
    each = merged.picked(dim, [o * groups // channels for o in range(channels)])
    return each.reshaped(each.where.shape, [*each.where.shape[: dim + 1], *each.where.shape[dim + 2 :]])


@_rule(
    "max_pool2d_with_indices max_pool3d_with_indices avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d avg_pool1d"
)
def _pool(step: Step) -> None:
    dims = int(step.name[step.name.index("pool") + 4])
    kernel = _each(step.argument("kernel_size"), dims)
    stride = _each(step.argument("stride") or kernel, dims)
    padding, dilation = (_each(step.argument(key, d), dims) for key, d in (("padding", 0), ("dilation", 1)))
    sizes = zip(kernel, stride, padding, dilation, strict=True)
    step.set(step.slide(step.args[0], [axes.convolution(*size) for size in sizes]))


@_rule(
    "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d adaptive_avg_pool1d "
    "adaptive_avg_pool2d adaptive_avg_pool3d"
)
def _adaptive(step: Step) -> None:
    dims = int(step.name[-2])
    sizes = zip(step.args[0].shape[-dims:], step.out[0].shape[-dims:], strict=True)
    step.set(step.slide(step.args[0], [axes.adaptive_pool(*size) for size in sizes]))


@_rule(
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d "
    "_upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d"
)
def _upsample(step: Step) -> None:
    linear = "nearest" not in step.name  # nearest(x, size, *scales), linear(x, size, align_corners, *scales)
    corners = bool(step.argument("align_corners", False))
    x, out = step.args[0].shape, step.out[0].shape
    dims = len(x) - 2
    scales: list[float | None] = [*step.args[2 + linear :], *[None] * dims][:dims]
    windows = []
    for size, positions, scale in zip(x[2:], out[2:], scales, strict=True):
        if linear:
            cubic = "cubic" in step.name
            windows.append(axes.interpolation(size, positions, scale, align_corners=corners, cubic=cubic))
        else:
            windows.append(axes.nearest(size, positions, scale, exact="exact" in step.name))
    step.set(step.slide(step.args[0], windows))


@_rule(
    "constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d "
    "replication_pad3d"
)
def _pad(step: Step) -> None:
    befores = list(reversed(list(step.args[1])[0::2]))
    mode = {"constant_pad_nd": "zeros"}.get(step.name) or step.name.split("_")[0]
    sizes = step.args[0].shape[-len(befores) :]
    windows = [axes.padding(before, size, mode) for before, size in zip(befores, sizes, strict=True)]
    step.set(step.slide(step.args[0], windows))


@_rule("pixel_shuffle pixel_unshuffle")
def _pixel_shuffle(step: Step) -> None:
    factor, shuffles = step.args[1], step.name == "pixel_shuffle"
    if any(reach.where.dim() > 2 and reach.where.shape[-3] > 1 for reach in step.state(step.args[0]).reaches):
        return step.move(step.args[:1])  # channels that see different positions
    taps = ((0,),) * factor if shuffles else (tuple(range(factor)),)
    window = Window(1, factor, taps) if shuffles else Window(factor, 1, taps)
    step.set([reach.union_over([-3]) for reach in step.slide(step.args[0], [window, window])])
    return None


@_rule("grid_sampler_2d grid_sampler_3d _grid_sampler_2d_cpu_fallback cudnn_grid_sampler")
def _grid_sample(step: Step) -> None:
    """Where a grid points is data; only of a grid that sees the whole input is it known that it can be anywhere."""
    grid = step.states.get(step.args[1])
    if not isinstance(grid, TensorReach) or not all(reach.mixed for reach in grid.reaches):
        raise NoRule(f"no rule for {step.name}")
    dims = range(2, len(step.args[0].shape))
    x = [TensorReach(s.shape, tuple(r.union_over(dims) for r in s.reaches)) for s in step.known(step.args[:1])]
    step.set(step.join([*x, TensorReach(grid.shape, tuple(r.mixture() for r in grid.reaches))]))


@_rule("affine_grid_generator")
def _affine_grid(step: Step) -> None:
    step.set([reach.mixture() for reach in step.state(step.args[0]).reaches])


# --- products ---------------------------------------------------------------------------------------------------------


def _product(step: Step, left: Value, right: Value, added: Value | None = None) -> None:
    """(…, i, k) by (…, k, j): element (i, j) sees what row i and column j saw."""
    states = []
    for value, summed in ((left, -1), (right, -2)):
        states += [TensorReach(s.shape, tuple(r.union_over([summed]) for r in s.reaches)) for s in step.known([value])]
    step.set(step.join([*states, *step.known([added])], compare=False))


@_rule("mm bmm _euclidean_dist")
def _mm(step: Step) -> None:
    _product(step, *step.args[:2])


@_rule("addmm baddbmm _addmm_activation")
def _addmm(step: Step) -> None:
    _product(step, step.args[1], step.args[2], step.args[0])


@_rule("addbmm")
def _addbmm(step: Step) -> None:
    states = [(step.args[0], ()), (step.args[1], (0, -1)), (step.args[2], (0, -2))]
    found = [
        TensorReach(s.shape, tuple(r.union_over(d) for r in s.reaches)) for v, d in states for s in step.known([v])
    ]
    flat = [TensorReach(s.shape[-2:], tuple(_dropped(r) for r in s.reaches)) for s in found]
    step.set(step.join(flat, compare=False))


def _dropped(reach: Reach) -> Reach:
    return reach.picked(0, [0], drop=True) if reach.where.dim() == 3 else reach


@_rule("mv addmv dot vdot")
def _matrix_vector(step: Step) -> None:
    values = step.args[1:] if step.name == "addmv" else step.args
    reaches = step.join([
        TensorReach(s.shape[:-1], tuple(r.union_over([-1]).picked(-1, [0], drop=True) for r in s.reaches))
        for s in step.known(values[:2])
    ])  # fmt: skip
    added = step.known(step.args[:1]) if step.name == "addmv" else []
    step.set(step.join([TensorReach(step.out[0].shape, tuple(reaches)), *added]) if added else reaches)


@_rule("addr")
def _outer(step: Step) -> None:
    columns = [TensorReach((*s.shape, 1), tuple(r.with_last() for r in s.reaches)) for s in step.known(step.args[1:2])]
    step.set(step.join([*step.known(step.args[:1]), *columns, *step.known(step.args[2:3])], compare=False))


@_rule("_cdist_forward")
def _cdist(step: Step) -> None:
    """(…, i, k) and (…, j, k): distance (i, j)."""
    states = []
    for value, swap in zip(step.args[:2], (False, True), strict=True):
        for s in step.known([value]):
            reaches = [r.union_over([-1]) for r in s.reaches]
            dims = [*range(len(s.shape) - 2), len(s.shape) - 1, len(s.shape) - 2]
            states.append(TensorReach(s.shape, tuple(r.permuted(dims) for r in reaches) if swap else tuple(reaches)))
    step.set(step.join(states, compare=False))


@_rule("_trilinear")
def _trilinear(step: Step) -> None:
    reaches = step.join(
        [TensorReach(s.shape, tuple(r.union_over([-1]) for r in s.reaches)) for s in step.known(step.args[:3])]
    )
    step.set(reaches)


@_rule(
    "linalg_inv_ex linalg_solve_ex _linalg_solve_ex linalg_lu_factor_ex linalg_cholesky_ex linalg_eigh _linalg_eigh "
    "linalg_qr _linalg_svd _linalg_det _linalg_slogdet linalg_solve_triangular triangular_solve linalg_lu_solve "
    "cholesky_inverse cholesky_solve linalg_eig linalg_pinv linalg_matrix_norm"
)
def _matrices(step: Step) -> None:
    """Every element of the result sees the whole matrix."""
    states = step.known(step.operation.inputs)
    mixed = [TensorReach(s.shape, tuple(r.union_over([-1, -2]) for r in s.reaches)) for s in states]
    reaches = step.join(mixed, compare=False)
    for out in step.out:
        fewer = len(reaches[0].where.shape) - len(out.shape)
        step.set([_without_last(reach, fewer) for reach in reaches], [out])


def _without_last(reach: Reach, count: int) -> Reach:
    for _ in range(count):
        reach = reach.picked(-1, [0], drop=True)
    return reach


# --- statistics -------------------------------------------------------------------------------------------------------


@_rule(
    "sum mean amax amin max min prod any all var std var_mean std_mean logsumexp linalg_vector_norm norm argmax argmin "
    "nansum median nanmedian mode kthvalue count_nonzero aminmax"
)
def _reduce(step: Step) -> None:
    if len(step.known(step.args[:2])) == 2:  # torch.max(a, b)
        return step.set(step.join(step.known(step.args[:2])))
    state = step.state(step.args[0])
    rank, dim = len(state.shape), step.argument("dim")
    dims = range(rank) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
    dims = sorted({d % rank for d in dims}, reverse=True) if rank else []
    reaches = [reach.union_over(dims) for reach in state.reaches]
    for out in step.out:
        kept = reaches
        if len(out.shape) < rank:
            for d in dims:
                kept = [reach.picked(d, [0], drop=True) for reach in kept]
        step.set(kept, [out])
    return None


@_rule("_softmax _safe_softmax _log_softmax sort topk argsort _fft_c2c _fft_r2c _fft_c2r renorm multinomial")
def _along(step: Step) -> None:
    """Every position along a dimension sees all of them."""
    dims = step.argument("dim", -1)
    dims = [dims] if isinstance(dims, int) else dims
    step.per_axis(step.args[0], lambda reach: reach.union_over(dims))


@_rule("cumsum cumprod logcumsumexp cummax cummin _cummax_helper _cummin_helper")
def _prefix(step: Step) -> None:
    state, dim = step.state(step.args[0]), step.argument("dim")
    rank = len(state.shape)
    step.set([reach.prefix_over(dim % rank, state.shape[dim]) if rank else reach for reach in state.reaches])


@_rule(
    "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training batch_norm "
    "_native_batch_norm_legit_functional cudnn_batch_norm _batch_norm_with_update"
)
def _batch_norm(step: Step) -> None:
    # With running statistics each position stands alone; a batch's own statistics mix all positions.
    training = "no_training" not in step.name and step.argument(
        "training", step.argument("train", "with_update" in step.name)
    )
    rank = len(step.args[0].shape)
    dims = [0, *range(2, rank)] if training else []
    step.per_axis(step.args[0], lambda reach: reach.union_over(dims), step.out[:1])


@_rule("native_layer_norm _fused_rms_norm rms_norm")
def _layer_norm(step: Step) -> None:
    dims = range(-len(step.args[1]), 0)
    step.per_axis(step.args[0], lambda reach: reach.union_over(dims), step.out[:1])


@_rule("native_group_norm")
def _group_norm(step: Step) -> None:
    rank, groups, channels = len(step.args[0].shape), step.argument("group"), step.args[0].shape[1]

    def rule(reach: Reach) -> Reach:
        return _mixed_in_groups(reach.union_over(range(2, rank)), 1, groups, channels)

    step.per_axis(step.args[0], rule, step.out[:1])


@_rule(
    "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits soft_margin_loss "
    "nll_loss_forward nll_loss2d_forward multi_margin_loss multilabel_margin_loss_forward _ctc_loss dist trace"
)
def _loss(step: Step) -> None:
    """A loss per element, or one number that sees everything."""
    states = step.known(step.operation.inputs)
    if step.out[0].shape:
        if "nll" in step.name or "margin" in step.name or "ctc" in step.name:
            raise NoRule(f"no rule for {step.name} without a reduction")
        return step.set(step.join(states))
    return step.set(step.join([s.scalar() for s in states], compare=False), step.out[:1])


@_rule("_weight_norm_interface")
def _weight_norm(step: Step) -> None:
    raise NoRule("weights that depend on the input")


@_rule(" ".join(sorted(_LIKE)))
def _like(step: Step) -> None:
    """A new tensor of the same shape: it depends on nothing."""
    for out in step.out:
        step.states.pop(out, None)


def _each(value: Any, dims: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * dims if len(values) == 1 else values

"""The receptive field of every tensor of a trace, per axis of the input, by exact propagation through its operations.

An operation without a rule here makes the field unknown from there on, with the reason; nothing is guessed.
"""

from collections.abc import Callable
from typing import Any

from etude.inspection import axes
from etude.inspection.axes import Field, Window
from etude.inspection.field_step import Factor, Fields, Misaligned, NoRule, State, Step, Unknown, forget, reshaped
from etude.inspection.flops import PER_OUTPUT, names_in
from etude.inspection.position_axes import position_axes
from etude.inspection.record import Trace, Value
from etude.inspection.writes import WRITE, Landing

__all__ = ["Fields", "Misaligned", "State", "Unknown", "receptive_fields"]


def receptive_fields(trace: Trace) -> Fields:
    """Follow the first input with positions: images (N, C, H, W), volumes, signals (N, C, L), sequences (N, T, …)."""
    for value in trace.inputs:
        if followed := position_axes(value, trace):
            break
    else:
        return Fields(None, (), {}, [])
    layout = tuple(((size, followed.index(d) if d in followed else -1),) for d, size in enumerate(value.shape))
    fields = Fields(value, followed, {}, [])
    fields.states[value] = State(layout, tuple(Field.of_input(value.shape[d]) for d in followed))
    for operation in trace.operations:
        known = [fields.states[v] for v in operation.inputs if v in fields.states]
        if not known:
            continue
        unknown = next((state for state in known if isinstance(state, Unknown)), None)
        if unknown:
            fields.states.update(dict.fromkeys(operation.outputs, unknown))
            continue
        try:
            _Rules(fields, operation).apply()
        except NoRule as error:
            fields.states.update(dict.fromkeys(operation.outputs, Unknown(str(error))))
    return fields


_NORMS_PER_POSITION = {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"}
_ELEMENTWISE = (
    set(PER_OUTPUT)
    - {"_softmax", "_safe_softmax", "_log_softmax", "native_layer_norm", "native_group_norm", "glu"}
    - {name for name in PER_OUTPUT if "upsample" in name or name.endswith("_backward")}
) | set(
    names_in("""
        clone detach alias contiguous _to_copy lift_fresh where masked_fill eq ne lt le gt ge logical_and
        logical_or logical_not bernoulli isnan isinf isfinite bitwise_and bitwise_or bitwise_not
        native_dropout channel_shuffle native_channel_shuffle
    """)
)
_RESHAPES = set(
    names_in("""
    view _unsafe_view reshape _reshape_alias squeeze unsqueeze
""")
)
_REDUCTIONS = set(
    names_in("""
    sum mean amax amin max min prod any all var std var_mean logsumexp linalg_vector_norm
""")
)
_REDUCTIONS |= {"argmax", "argmin"}
_ALONG = set(
    names_in("""
    _softmax _safe_softmax _log_softmax cumsum cumprod logcumsumexp sort topk
""")
)


class _Rules(Step):
    """Applies the rule of one operation."""

    def apply(self) -> None:
        name, args = self.operation.name, self.args
        rule: Callable[[], None] | None = getattr(self, f"_do_{name.strip('_')}", None)
        if self.operation.func is WRITE and len(args) == 3 and isinstance(args[2], Landing):
            self._write_into(args[0], args[1], args[2])
        elif rule:
            rule()
        elif name in _ELEMENTWISE:
            self._set(self._joined(self.operation.inputs))
        elif name in _RESHAPES:
            self._set(reshaped(self._state(args[0]), self.out[0].shape))
        elif name in _REDUCTIONS:
            self._reduce(self._argument(1, "dim", None), bool(self._argument(2, "keepdim", False)))
        elif name in _ALONG:
            self._set(self._mix_along(self._state(args[0]), [args[1] if isinstance(args[1], int) else -1]))
        elif name in _NORMS_PER_POSITION:
            self._batch_norm()
        elif "pad" in name:
            self._pad()
        elif name.startswith(("upsample", "_upsample")):
            self._upsample(name)
        else:
            raise NoRule(f"no rule for {name}")

    # --- sliding layers -------------------------------------------------------------------------------------------

    def _do_convolution(self) -> None:
        x, weight, _, stride, padding, dilation, transposed, _, _ = self.args[:9]
        kernel = weight.shape[2:]
        make = axes.transposed_convolution if transposed else axes.convolution
        dims = len(kernel)
        sizes = zip(kernel, _each(stride, dims), _each(padding, dims), _each(dilation, dims), strict=True)
        self._slide(self._state(x), [make(*size) for size in sizes], channels=self.out[0].shape[1])

    def _pool(self, dims: int, dilated: bool) -> None:
        kernel = _each(self.args[1], dims)
        stride = _each(self._argument(2, "stride", None) or kernel, dims)
        padding = _each(self._argument(3, "padding", 0), dims)
        dilation = _each(self._argument(4, "dilation", 1) if dilated else 1, dims)
        sizes = zip(kernel, stride, padding, dilation, strict=True)
        self._slide(self._state(self.args[0]), [axes.convolution(*size) for size in sizes])

    def _do_max_pool2d_with_indices(self) -> None:
        self._pool(2, True)

    def _do_max_pool3d_with_indices(self) -> None:
        self._pool(3, True)

    def _do_avg_pool2d(self) -> None:
        self._pool(2, False)

    def _do_avg_pool3d(self) -> None:
        self._pool(3, False)

    def _adaptive(self, dims: int) -> None:
        sizes = zip(self.args[0].shape[-dims:], self.out[0].shape[-dims:], strict=True)
        self._slide(self._state(self.args[0]), [axes.adaptive_pool(*size) for size in sizes])

    def _do_adaptive_avg_pool2d(self) -> None:
        self._adaptive(2)

    def _do_adaptive_avg_pool3d(self) -> None:
        self._adaptive(3)

    def _do_adaptive_max_pool2d(self) -> None:
        self._adaptive(2)

    def _do_adaptive_max_pool3d(self) -> None:
        self._adaptive(3)

    def _upsample(self, name: str) -> None:
        if name.endswith("aa"):
            raise NoRule("antialiased interpolation")
        linear = "nearest" not in name  # nearest(x, size, *scales), linear(x, size, align_corners, *scales)
        corners = linear and bool(self.args[2])
        dims = len(self.args[0].shape) - 2
        scales = [*self.args[2 + linear :], *[None] * dims][:dims]
        windows = []
        for size, positions, scale in zip(self.args[0].shape[2:], self.out[0].shape[2:], scales, strict=True):
            if linear:
                windows.append(axes.interpolation(size, positions, scale, align_corners=corners, cubic="cubic" in name))
            else:
                windows.append(axes.nearest(size, positions, scale, exact="exact" in name))
        self._slide(self._state(self.args[0]), windows)

    def _pad(self) -> None:
        amounts, state = list(self.args[1]), self._state(self.args[0])
        mode = {"constant_pad_nd": "zeros"}.get(self.operation.name) or self.operation.name.split("_")[0]
        befores = list(reversed(amounts[0::2]))
        sizes = self.args[0].shape[-len(befores) :]
        self._slide(state, [axes.padding(before, size, mode) for before, size in zip(befores, sizes, strict=True)])

    def _do_pixel_shuffle(self) -> None:
        factor = self.args[1]
        window = Window(1, factor, ((0,),) * factor)
        self._slide(self._state(self.args[0]), [window, window], channels=self.out[0].shape[-3])

    def _do_pixel_unshuffle(self) -> None:
        factor = self.args[1]
        window = Window(factor, 1, (tuple(range(factor)),))
        self._slide(self._state(self.args[0]), [window, window], channels=self.out[0].shape[-3])

    # --- products -------------------------------------------------------------------------------------------------

    def _matrix_product(self, left: Value, right: Value, added: Value | None = None) -> None:
        states = [state for v in (left, right) if isinstance(state := self.states.get(v), State)]
        batch = len(left.shape) - 2
        dims: list[tuple[Factor, ...]] = [((size, -1),) for size in self.out[0].shape]
        fields: list[Field] | None = None
        for state, kept, summed in zip(
            (self.states.get(left), self.states.get(right)), (-2, -1), (-1, -2), strict=True
        ):
            if not isinstance(state, State):
                continue
            state = self._mix(state, [axis for _, axis in state.layout[summed] if axis >= 0], keep=False)
            dims[kept] = state.layout[kept]
            for d in range(batch):
                dims[d] = state.layout[d] if any(axis >= 0 for _, axis in state.layout[d]) else dims[d]
            fields = list(state.fields) if fields is None else self._meet(fields, states, state)
        if added is not None and isinstance(self.states.get(added), State):
            raise NoRule(f"{self.operation.name} that adds a tensor depending on the input")
        assert fields is not None
        layout = tuple(dims)
        for axis in range(len(fields)):
            if sum(a == axis for factors in layout for _, a in factors) > 1:  # query against key positions
                layout, fields[axis] = forget(layout, axis), fields[axis].mixture()
        present = {axis for factors in layout for _, axis in factors}
        self._set(State(layout, tuple(f if axis in present else f.mixture() if len(f.seen) > 1 else f
                                      for axis, f in enumerate(fields))))  # fmt: skip

    def _meet(self, fields: list[Field], states: list[State], other: State) -> list[Field]:
        """The fields of a product whose two sides depend on the input; positions that differ all meet."""
        return [
            f.union(g) if 1 in (len(f.seen), len(g.seen)) else f.mixture().union(g.mixture())
            for f, g in zip(fields, other.fields, strict=True)
        ]

    def _do_mm(self) -> None:
        self._matrix_product(self.args[0], self.args[1])

    _do_bmm = _do_mm

    def _do_addmm(self) -> None:
        self._matrix_product(self.args[1], self.args[2], self.args[0])

    _do_baddbmm = _do_addmm

    # --- statistics -----------------------------------------------------------------------------------------------

    def _reduce(self, dim: Any, keepdim: bool) -> None:
        state = self._state(self.args[0])
        rank = len(state.layout)
        dims = range(rank) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
        dims = {d % rank for d in dims}
        mixed = self._mix(state, [axis for d in dims for _, axis in state.layout[d] if axis >= 0], keep=False)
        kept = [((1, -1),) if d in dims else factors for d, factors in enumerate(mixed.layout)]
        keepdim = len(self.out[0].shape) == rank
        self._set(State(tuple(f for d, f in enumerate(kept) if keepdim or d not in dims), mixed.fields))

    def _batch_norm(self) -> None:
        # With running statistics each position stands alone; a batch's own statistics mix all positions.
        uses_batch = (
            self.args[5] if self.operation.name == "native_batch_norm" else self.operation.name.endswith("legit")
        )
        state = self._state(self.args[0])
        mixed = self._mix_along(state, range(2, len(state.layout))) if uses_batch else state
        self._set(mixed, self.out[:1])

    def _do_native_layer_norm(self) -> None:
        state = self._state(self.args[0])
        self._set(self._mix_along(state, range(-len(self.args[1]), 0)), self.out[:1])

    def _do_native_group_norm(self) -> None:
        state = self._state(self.args[0])
        self._set(self._mix_along(state, range(1, len(state.layout))), self.out[:1])

    # --- moving data ----------------------------------------------------------------------------------------------

    def _do_t(self) -> None:
        state = self._state(self.args[0])
        self._set(State(tuple(reversed(state.layout)), state.fields))

    def _do_transpose(self) -> None:
        state = self._state(self.args[0])
        layout = list(state.layout)
        a, b = self.args[1:3]
        layout[a], layout[b] = layout[b], layout[a]
        self._set(State(tuple(layout), state.fields))

    def _do_permute(self) -> None:
        state = self._state(self.args[0])
        self._set(State(tuple(state.layout[d] for d in self.args[1]), state.fields))

    def _do_slice(self) -> None:
        dim, start, end, step = (self._argument(i + 1, "", d) for i, d in enumerate((0, None, None, 1)))
        size = self.args[0].shape[dim]
        self._pick(self._state(self.args[0]), dim, list(range(size))[start:end:step], self.out[0])

    def _do_select(self) -> None:
        dim, index = self.args[1:3]
        size = self.args[0].shape[dim]
        self._pick(self._state(self.args[0]), dim, [index % size], self.out[0], drop=True)

    def _do_unbind(self) -> None:
        dim = self._argument(1, "dim", 0)
        for i, out in enumerate(self.out):
            self._pick(self._state(self.args[0]), dim, [i], out, drop=True)

    def _do_split(self) -> None:
        dim, start = self._argument(2, "dim", 0), 0
        for out in self.out:
            count = out.shape[dim]
            self._pick(self._state(self.args[0]), dim, list(range(start, start + count)), out)
            start += count

    _do_split_with_sizes = _do_unsafe_split = _do_unsafe_split_with_sizes = _do_split

    def _do_glu(self) -> None:
        dim, count = self._argument(1, "dim", -1), self.args[0].shape[self._argument(1, "dim", -1)] // 2
        halves = []
        for start in (0, count):
            self._pick(self._state(self.args[0]), dim, list(range(start, start + count)), self.out[0])
            halves.append(self._state(self.out[0]))
        self._set(self._join(*halves))

    def _do_flip(self) -> None:
        state = self._state(self.args[0])
        for dim in self.args[1]:
            state = self._permuted(state, dim, lambda i, size: size - 1 - i)
        self._set(state)

    def _do_roll(self) -> None:
        state = self._state(self.args[0])
        for shift, dim in zip(self.args[1], self._argument(2, "dims", []), strict=True):
            state = self._permuted(state, dim, lambda i, size, by=shift: (i - by) % size)
        self._set(state)

    def _do_cat(self) -> None:
        values = [v for v in self.args[0] if v.shape != (0,)]
        dim = self._argument(1, "dim", 0) % len(self.out[0].shape)
        states = [self.states.get(v) for v in values]
        tracked = [axis for s in states if isinstance(s, State) for _, axis in s.layout[dim] if axis >= 0]
        if not tracked:
            whole = self._joined([v for v, s in zip(values, states, strict=True) if isinstance(s, State)])
            self._set(
                State((*whole.layout[:dim], ((self.out[0].shape[dim], -1),), *whole.layout[dim + 1 :]), whole.fields)
            )
            return
        self._lay_out(values, states, dim, tracked[0], [v.shape[dim] for v in values])

    def _do_stack(self) -> None:
        values, dim = self.args[0], self._argument(1, "dim", 0) % len(self.out[0].shape)
        states = [self.states.get(v) for v in values]
        known = [s for s in states if isinstance(s, State)]
        single = [
            axis for axis in range(len(known[0].fields))
            if all(len(s.fields[axis].seen) == 1 and s.dim_of(axis) is None for s in known)
            and len({s.fields[axis].seen for s in known}) > 1
        ]  # fmt: skip
        grown = [
            State((*s.layout[:dim], ((1, -1),), *s.layout[dim:]), s.fields) if isinstance(s, State) else None
            for s in states
        ]
        if single:  # the steps of a recurrent layer: positions along the axis come back
            self._lay_out(values, grown, dim, single[0], [1] * len(values))
            return
        joined = next(s for s in grown if s)
        for state in [s for s in grown if s][1:]:
            joined = self._join(joined, state)
        layout = (*joined.layout[:dim], ((len(values), -1),), *joined.layout[dim + 1 :])
        self._set(State(layout, joined.fields))

    def _do_copy(self) -> None:
        """What was there before is gone, in `fill` and `zero` too; nothing else depends on the input then."""
        if written := [v for v in self.args[1:] if isinstance(v, Value) and v in self.states]:
            self._set(self._joined(written))

    _do_fill = _do_zero = _do_copy

    def _do_embedding(self) -> None:
        state = self._state(self.args[1])
        self._set(State((*state.layout, ((self.out[0].shape[-1], -1),)), state.fields))

    def _do_expand(self) -> None:
        state, rank = self._state(self.args[0]), len(self.out[0].shape)
        padded = (((1, -1),),) * (rank - len(state.layout)) + state.layout
        old = (1,) * (rank - len(state.layout)) + self.args[0].shape
        layout = tuple(f if a == b else ((b, -1),) for f, a, b in zip(padded, old, self.out[0].shape, strict=True))
        self._set(State(layout, state.fields))

    def _do_repeat(self) -> None:
        state, rank = self._state(self.args[0]), len(self.out[0].shape)
        padded = (((1, -1),),) * (rank - len(state.layout)) + state.layout
        if any(axis >= 0 and times > 1 for f, times in zip(padded, self.args[1], strict=True) for _, axis in f):
            raise NoRule("repeat along an axis of the input")
        layout = tuple(f if times == 1 else ((size, -1),) for f, times, size in
                       zip(padded, self.args[1], self.out[0].shape, strict=True))  # fmt: skip
        self._set(State(layout, state.fields))

    def _like(self) -> None:
        """A new tensor of the same shape: it depends on nothing."""

    _do_zeros_like = _do_ones_like = _do_empty_like = _do_rand_like = _do_randn_like = _do_full_like = _like
    _do_new_zeros = _do_new_ones = _do_new_empty = _do_new_full = _do_new_empty_strided = _do_randint_like = _like


def _each(value: Any, dims: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * dims if len(values) == 1 else values

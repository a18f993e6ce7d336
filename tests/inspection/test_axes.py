from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from etude.inspection import axes
from etude.inspection.axes import Field

small = st.integers(1, 4)


def test_course_network_by_the_recurrence_of_araujo_et_al() -> None:
    # kernel, stride, padding, dilation of each layer; r += (k - 1)·d·j, j *= s
    layers = [(3, 1, 1, 1), (2, 2, 0, 1), (5, 2, 2, 1), (2, 2, 0, 1), (7, 1, 3, 2)]
    field, size, jump, positions = Field.of_input(64), 1, 1, 64
    for kernel, stride, padding, dilation in layers:
        positions = (positions + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        field = field.through(axes.convolution(kernel, stride, padding, dilation), positions)
        size, jump = size + (kernel - 1) * dilation * jump, jump * stride
        assert field.pattern
        assert (field.size, field.pattern.stride) == (size, jump)
    assert (size, jump) == (112, 8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(small, small, st.integers(0, 2), small, st.booleans()), min_size=1, max_size=4))
def test_the_endless_pattern_is_the_exact_field_far_from_the_border(
    layers: list[tuple[int, int, int, int, bool]],
) -> None:
    extent = positions = 150
    field = Field.of_input(extent)
    margin = Fraction(0)
    for kernel, stride, padding, dilation, transposed in layers:
        span = dilation * (kernel - 1) + 1
        window = (axes.transposed_convolution if transposed else axes.convolution)(kernel, stride, padding, dilation)
        jump = field.pattern.stride if field.pattern else Fraction(1)
        margin += (span + padding + stride) * jump
        positions = (
            (positions - 1) * stride - 2 * padding + span
            if transposed
            else (positions + 2 * padding - span) // stride + 1
        )
        if not 1 <= positions <= 3000:
            return
        field = field.through(window, positions)
    assert field.pattern
    period = len(field.pattern.phases)
    for o, seen in enumerate(field.seen):
        turns, phase = divmod(o, period)
        low, bits = field.pattern.phases[phase]
        low += turns * field.pattern.shift
        if bits and low > margin and low + bits.bit_length() < extent - margin:
            assert seen == bits << low


def test_dilation_leaves_holes() -> None:
    field = Field.of_input(20).through(axes.convolution(3, 1, 0, 4), 12)
    assert (field.size, field.taps) == (9, 3)


def test_transposed_convolution_has_a_fractional_stride() -> None:
    field = Field.of_input(8).through(axes.transposed_convolution(4, 2, 1, 1), 16)
    assert field.pattern
    assert (field.size, field.pattern.stride, field.pattern.offset) == (2, Fraction(1, 2), -1)


def test_stride_above_the_kernel_reaches_some_outputs_from_nowhere() -> None:
    field = Field.of_input(3).through(axes.transposed_convolution(1, 2, 0, 1), 5)
    assert field.seen == (1, 0, 2, 0, 4)


def test_union_of_branches_of_different_stride_has_no_pattern() -> None:
    one = Field.of_input(8)
    two = Field.of_input(8).through(axes.nearest(8, 4, exact=False), 4).through(axes.nearest(4, 8, exact=False), 8)
    three = Field(8, one.seen, axes.Pattern(2, ((0, 1),)))
    assert one.union(two).pattern is not None
    assert one.union(three).pattern is None


def test_mixture_sees_what_any_position_saw() -> None:
    field = Field.of_input(7).through(axes.convolution(2, 2, 0, 1), 3)
    assert field.mixture().seen == (0b0111111,)
    assert field.mixture(4).size == 6

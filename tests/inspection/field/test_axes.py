from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.inspection.field import axes
from etude.inspection.field.axes import Pattern, Window
from etude.inspection.field.reach import Reach

small = st.integers(1, 4)


def of_input(extent: int) -> Reach:
    return Reach.of_input(1, 0, extent)


def through(reach: Reach, window: Window, positions: int) -> Reach:
    return reach.through(0, reach.where.shape[0], window, positions)


def seen(reach: Reach) -> tuple[int, ...]:
    return reach.field((reach.where.numel(),)).seen


def test_course_network_by_the_recurrence_of_araujo_et_al() -> None:
    # kernel, stride, padding, dilation of each layer; r += (k - 1)·d·j, j *= s
    layers = [(3, 1, 1, 1), (2, 2, 0, 1), (5, 2, 2, 1), (2, 2, 0, 1), (7, 1, 3, 2)]
    reach, size, jump, positions = of_input(64), 1, 1, 64
    for kernel, stride, padding, dilation in layers:
        positions = (positions + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        reach = through(reach, axes.convolution(kernel, stride, padding, dilation), positions)
        field = reach.field((positions,))
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
    field = of_input(extent)
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
        field = through(field, window, positions)
    assert field.pattern
    period = len(field.pattern.phases)
    for o, bits_seen in enumerate(seen(field)):
        turns, phase = divmod(o, period)
        low, bits = field.pattern.phases[phase]
        low += turns * field.pattern.shift
        if bits and low > margin and low + bits.bit_length() < extent - margin:
            assert bits_seen == bits << low


def test_dilation_leaves_holes() -> None:
    field = through(of_input(20), axes.convolution(3, 1, 0, 4), 12).field((12,))
    assert (field.size, field.taps) == (9, 3)


def test_transposed_convolution_has_a_fractional_stride() -> None:
    field = through(of_input(8), axes.transposed_convolution(4, 2, 1, 1), 16).field((16,))
    assert field.pattern
    assert (field.size, field.pattern.stride, field.pattern.offset) == (2, Fraction(1, 2), -1)


def test_stride_above_the_kernel_reaches_some_outputs_from_nowhere() -> None:
    assert seen(through(of_input(3), axes.transposed_convolution(1, 2, 0, 1), 5)) == (1, 0, 2, 0, 4)


def test_union_of_branches_of_different_stride_has_no_pattern() -> None:
    one = of_input(8)
    two = through(through(one, axes.nearest(8, 4, exact=False), 4), axes.nearest(4, 8, exact=False), 8)
    three = replace(one, pattern=Pattern(2, ((0, 1),)))
    assert one.joined(two).pattern is not None
    assert one.joined(three).pattern is None


def test_mixture_sees_what_any_position_saw() -> None:
    reach = through(of_input(7), axes.convolution(2, 2, 0, 1), 3)
    assert seen(reach.mixture()) == (0b0111111,)
    assert reach.mixture().field((4,)).size == 6


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((4, 6), (24,)),
        ((24,), (4, 6)),
        ((1, 4, 6), (2, 2, 6)),
        ((4, 6), (2, 2, 3, 2)),
        ((4, 6), (6, 4)),
        ((6, 1), (1, 6)),
    ],
)
def test_reshapes_keep_each_elements_set(old: tuple[int, ...], new: tuple[int, ...]) -> None:
    """Whatever is merged or cut, across positions too: the same sets in row-major order."""
    for dim in range(len(old)):
        reach = Reach.of_input(len(old), dim, old[dim])
        moved = reach.reshaped(old, new)
        assert torch.equal(moved.where.expand(new).flatten(), reach.where.expand(old).flatten())


def test_patterns_are_found_again_where_half_of_the_positions_show_one() -> None:
    assert Pattern.found_in([0b11, 0b110, 0b1100]) == Pattern(1, ((0, 0b11),))
    assert Pattern.found_in([1 << 5, 1 << 0, 1 << 1, 1 << 2, 1 << 0]) == Pattern(1, ((-1, 1),))  # wrapped around
    assert Pattern.found_in([1, 2, 0b111, 0b1110]) is None  # the larger fields would be left out
    assert Pattern.found_in([1, 1, 1]) is None
    assert Pattern.found_in([0b1]) is None

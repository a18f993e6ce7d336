import time
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from etude.errors import UsageError
from etude.inspection.conv_solver import Conv, apply, mirror, solve


def actual(conv: Conv) -> int:
    if conv.transposed:
        layer: nn.Module = nn.ConvTranspose1d(1, 1, conv.kernel, conv.stride, conv.padding, conv.output_padding,
                                              dilation=conv.dilation)  # fmt: skip
    else:
        layer = nn.Conv1d(1, 1, conv.kernel, conv.stride, conv.padding, conv.dilation)
    return layer(torch.zeros(1, 1, conv.size_in)).shape[-1]


def test_the_course_s_question() -> None:
    found = [(c.stride, c.padding, c.dilation, c.dropped) for c in solve(64, 32, kernel=3)]
    assert found[0] == (2, 1, 1, 1)
    assert (3, 16, 1, 0) in found
    assert apply(64, 3, 1, 0, 1).output == 62


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("size_in", "size_out"), [(12, 6), (6, 12), (7, 7), (5, 3), (9, 1)])
def test_all_are_right_and_none_is_missing(size_in: int, size_out: int, transposed: bool) -> None:
    kernel = 3
    found = solve(size_in, size_out, kernel=kernel, transposed=transposed)
    for conv in found:
        assert actual(conv) == conv.output == size_out
    seen = {(c.stride, c.padding, c.dilation, c.output_padding) for c in found}
    assert len(seen) == len(found)
    bound = size_out if transposed else size_in
    every = {
        (s, p, d, e)
        for s in range(1, bound + 1)
        for p in range(bound // 2 + 1)
        for d in range(1, (bound - 1) // 2 + 1)
        for e in (range(max(s, d)) if transposed else (0,))
        if Conv(
            size_in=size_in, kernel=3, stride=s, padding=p, dilation=d, output_padding=e, transposed=transposed
        ).output
        == size_out
        and (transposed or size_in + 2 * p >= 2 * d + 1)
    }
    assert seen == every


@pytest.mark.parametrize(
    ("size_in", "size_out", "kernel", "transposed", "usual"),
    [
        (28, 28, 5, False, (1, 2, 0)),
        (28, 24, 5, False, (1, 0, 0)),
        (28, 14, 3, False, (2, 1, 0)),
        (28, 14, 2, False, (2, 0, 0)),
        (7, 14, 4, True, (2, 1, 0)),
        (7, 14, 3, True, (2, 1, 1)),
        (7, 14, 2, True, (2, 0, 0)),
    ],
)
def test_the_usual_choice_comes_first(
    size_in: int, size_out: int, kernel: int, transposed: bool, usual: tuple[int, int, int]
) -> None:
    first = solve(size_in, size_out, kernel=kernel, transposed=transposed)[0]
    assert (first.stride, first.padding, first.output_padding) == usual


def test_what_is_given_is_kept() -> None:
    assert {(c.stride, c.dilation) for c in solve(32, 16, stride=2, dilation=1)} == {(2, 1)}
    assert [c.kernel for c in solve(32, 32, stride=1, padding=1, dilation=1)] == [3]
    assert solve(8, 100, kernel=3) == []


@pytest.mark.parametrize(
    ("sizes", "transposed", "stride"), [((12, 6), False, 2), ((10, 6), False, 1), ((7, 14), True, 2)]
)
def test_the_first_stride_is_the_one_that_the_sizes_ask_for(
    sizes: tuple[int, int], transposed: bool, stride: int
) -> None:
    assert solve(*sizes, transposed=transposed)[0].stride == stride


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 9), st.integers(0, 25), st.integers(1, 9))
def test_windows_in_the_padding_are_those_without_a_tap_on_the_input(
    size_in: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    conv = Conv(size_in=size_in, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    starts = [o * stride - padding for o in range(conv.output)]
    taps = range(0, conv.span, dilation)
    assert conv.in_padding == sum(not any(0 <= start + tap < size_in for tap in taps) for start in starts)


def test_large_sizes_are_quick() -> None:
    start = time.process_time()
    assert len(solve(2000, 1000)) == 12_863
    assert time.process_time() - start < 5


def test_windows_in_the_padding_are_counted() -> None:
    conv = Conv(size_in=64, kernel=3, stride=3, padding=16)
    # outputs start at -16, -13, …: those at -16, -13, -10, -7, -4 end before 0; likewise at the other end
    assert conv.in_padding == sum(start + 2 < 0 or start > 63 for start in range(-16, -16 + 3 * 32, 3)) == 10


def test_a_mirrored_chain_brings_every_size_back() -> None:
    pairs = mirror(28, "k3s2p1 k3s2p1")
    assert [forward.output for forward, _ in pairs] == [14, 7]
    assert [(back.size_in, back.output, back.output_padding) for _, back in reversed(pairs)] == [
        (7, 14, 1),
        (14, 28, 1),
    ]
    for _, back in mirror(61, "k7s3p2,k5s2,k3p2d2"):
        assert actual(back) == back.output


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solve(0, 3), "--in is 0; allowed: 1 or more."),
        (lambda: solve(3, 3, padding=-1), "--padding is -1; allowed: 0 or more."),
        (
            lambda: apply(4, 7, 1, 0, 1),
            "the kernel spans 7 positions and 4 positions with padding 0 are 4; use padding 2 or more.",
        ),
        (
            lambda: apply(1, 1, 1, 3, 1, transposed=True),
            "padding 3 crops all of the output; use a padding below it, or a larger kernel.",
        ),
        (
            lambda: mirror(8, "k3 s2"),
            "--mirror has 's2'; write each layer as kernel, stride, padding, dilation, for example k3s2p1 or k3.",
        ),
    ],
)
def test_mistakes_are_told_on_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert str(caught.value) == message

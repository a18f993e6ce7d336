# ruff: noqa: E501 (messages are compared as they are printed)
import re
import time
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from etude.errors import UsageError
from etude.inspection.calculus.conv_solver import BOUNDED, Conv, apply, mirror, solve


def actual(conv: Conv) -> int:
    if conv.transposed:
        assert isinstance(conv.padding, int)
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


def test_large_sizes_are_quick_and_a_bounded_search_says_so() -> None:
    start = time.process_time()
    assert len(solve(2000, 1000)) == 33_538
    for transposed in (False, True):
        for sizes in ((10**9, 5), (5, 10**9), (10**9, 1), (1, 10**9), (10**9, 10**9), (100, 1), (10**9, 10**9 - 7)):
            found = solve(*sizes, transposed=transposed)
            assert {conv.output for conv in found} <= {sizes[1]}
            assert found.notes == ((BOUNDED,) if found else ())
    assert time.process_time() - start < 20


def test_kernels_go_up_to_the_input() -> None:
    for size in (16, 1000, 10**9):
        assert [conv.kernel for conv in solve(size, 1, stride=1, padding=0, dilation=1)] == [size]
    assert [conv.kernel for conv in solve(100, 37, stride=1, padding=0, dilation=1)] == [64]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.booleans(),
    st.sampled_from([None, 1, 2, 3, 4, 5, 8]), st.sampled_from([None, 1, 2, 3]), st.sampled_from([None, 0, 1, 2, "same"]),
    st.sampled_from([None, 1, 2]), st.data(),
)  # fmt: skip
def test_every_answer_is_pytorch_s_own_size(
    size_in, size_out, transposed, kernel, stride, padding, dilation, data
) -> None:
    if padding == "same":
        transposed, stride = False, None
    found = solve(size_in, size_out, kernel=kernel, stride=stride, padding=padding, dilation=dilation,
                  transposed=transposed)  # fmt: skip
    for conv in found[:3] + ([data.draw(st.sampled_from(found))] if found else []):
        assert actual(conv) == conv.output == size_out
        for name, value in (("kernel", kernel), ("stride", stride), ("padding", padding), ("dilation", dilation)):
            assert value in (None, getattr(conv, name))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_same_padding_is_found_where_no_number_fits() -> None:
    assert solve(28, 28, kernel=4, dilation=1)[0].padding == "same"
    assert actual(apply(28, 4, 1, "same", 1)) == 28
    assert apply(9, 3, 1, "same", 2).to_dict()["padding"] == "same"
    assert {conv.padding for conv in solve(28, 28, padding="same")} == {"same"}
    assert solve(28, 14, padding="same") == []


def test_rectangles_take_one_setting_for_both_axes_where_there_is_one() -> None:
    found = solve((64, 48), (32, 24), kernel=3, dilation=1)
    assert [(c.stride, c.padding) for c in found[0]] == [(2, 1), (2, 1)]
    layer = nn.Conv2d(1, 1, 3, stride=2, padding=1)
    assert layer(torch.zeros(1, 1, 64, 48)).shape[2:] == (32, 24)
    uneven = solve((64, 48), (32, 48), kernel=3, dilation=1)
    assert uneven.notes == ("no one setting fits all axes: combinations of the 20 most usual of each.",)
    for convs in uneven[:10]:
        assert tuple(actual(conv) for conv in convs) == (32, 48)
    (one,) = solve((64, 48), kernel=(3, 5), padding=(1, 2))
    assert [conv.output for conv in one] == [64, 48]


def modules(chain: str) -> nn.Sequential:
    """A chain as PyTorch's layers along one axis, from its text by other means than étude's."""
    layers: list[nn.Module] = []
    for word in chain.split():
        kind = "pool" if word.startswith("pool") else "tk" if word[0] == "t" else "k"
        numbers = dict(part for part in re.findall(r"([kspdol]+)(\d+)", word.replace("pool", "k").replace("tk", "k")))
        k, s, p, d, o = (int(numbers.get(each, default)) for each, default in zip("kspdo", "01010", strict=True))
        s, d = (s if "s" in numbers else k if kind == "pool" else 1), d or 1
        if kind == "pool":
            layers.append(nn.MaxPool1d(k, s, p, d))
        elif kind == "tk":
            layers.append(nn.ConvTranspose1d(1, 1, k, s, p, o, dilation=d))
        else:
            layers.append(nn.Conv1d(1, 1, k, s, p, d))
    return nn.Sequential(*layers)


LAYERS = ["k3", "k5p2", "k3s2p1", "k4s2p1", "k3d2", "pool2", "pool3s2p1", "tk4s2p1", "tk3s2p1o1", "k1", "k7s3p3"]


@settings(max_examples=80, deadline=None)
@given(st.integers(20, 60), st.lists(st.sampled_from(LAYERS), min_size=1, max_size=5), st.data())
def test_chains_have_pytorch_s_own_sizes_and_a_missing_layer_is_found(size: int, words: list[str], data) -> None:
    text = " ".join(words)
    try:
        found = solve(size, chain=text)
    except UsageError:
        with pytest.raises(RuntimeError):
            modules(text)(torch.zeros(1, 1, size))
        return
    x = torch.zeros(1, 1, size)
    for conv, layer in zip(found, modules(text), strict=True):
        x = layer(x)
        assert conv.output == x.shape[-1]
    place = data.draw(st.integers(0, len(words) - 1))
    if words[place].startswith("pool"):
        return
    t = "t" * (words[place][0] == "t")
    gap = solve(size, found[-1].output, chain=" ".join([*words[:place], f"{t}?", *words[place + 1 :]]))
    there = found[place]
    widest = there.output if t else there.size_in  # the search ends there
    if there.span <= widest and 2 * there.padding <= widest and there.stride <= widest and not gap.notes:
        assert any(conv.to_dict() == there.to_dict() for conv in gap)
    for conv in gap[:4]:
        assert (conv.size_in, actual(conv)) == (found[place].size_in, conv.output)
        rest = " ".join(words[place + 1 :])
        assert (solve(conv.output, chain=rest)[-1].output if rest else conv.output) == found[-1].output


def test_a_chain_prints_each_layer() -> None:
    assert (
        str(solve((32, 28), chain="k5 pool2 tk4s2p1"))
        == """\
layer    kernel  stride  padding  dilation  output padding     in  output  dropped  in padding
k5            5       1        0         1               0  32×28   28×24
pool2         2       2        0         1               0  28×24   14×12
tk4s2p1       4       2        1         1               0  14×12   28×24

dropped: positions at the end that no window starts at; in padding: outputs that see only padding."""
    )
    wrong = solve(32, 6, chain="k5 pool2 k5 pool2")
    assert wrong.notes == ("the chain ends at 5, not at --out; write ? for the layer that may change.",)
    assert "<pre>" in wrong._repr_html_()
    assert wrong.to_list()[0] == {
        "layer": "k5",
        "axes": [{"kernel": 5, "stride": 1, "padding": 0, "dilation": 1, "output": 28, "dropped": 0}],
    }


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
        (lambda: solve(10**10, 3), "--in is 10000000000; allowed: up to 1,000,000,000."),
        (lambda: solve(8, 3, kernel=2.5), "--kernel is 2.5; allowed: a whole number."),  # type: ignore[arg-type]
        (
            lambda: solve(28, 28, padding="same", stride=2),
            "--padding is same, which PyTorch has for stride 1 only, not 2; give a number.",
        ),
        (
            lambda: solve(28, 28, padding="same", transposed=True),
            "--padding is same; a transposed convolution takes a number.",
        ),
        (lambda: solve((64, 48), 32), "--in has 2 axes and --out 1; give one size per axis, as 64x48."),
        (lambda: solve((64, 48), kernel=(1, 2, 3)), "--kernel has 3 values; allowed: 1, or 2 as --in has axes."),
        (lambda: solve((1, 2, 3, 4), 1), "--in has 4 axes; allowed: 1 to 3, as 64x48."),
        (
            lambda: solve(64),
            "give --out to find convolutions, --kernel to compute an output, --chain for several layers, or --mirror to undo an encoder.",
        ),
        (lambda: solve("a", 5), "--in is 'a'; allowed: a whole number."),  # type: ignore[arg-type]
        (lambda: solve(None, 5), "--in is None; allowed: a whole number."),  # type: ignore[arg-type]
        (lambda: solve(64, chain=3), "--chain is 3; allowed: a text of layers, as 'k3s2p1 k3'."),  # type: ignore[arg-type]
        (lambda: solve(64, mirror=3), "--mirror is 3; allowed: a text of layers, as 'k3s2p1 k3'."),  # type: ignore[arg-type]
        (lambda: solve(64, chain="k3", kernel=3), "--chain holds every layer's settings; leave --kernel out."),
        (lambda: solve(64, chain="k3", transposed=True), "--chain goes without --transposed: write tk4s2p1."),
        (lambda: solve(64, 3, mirror="k3"), "--mirror takes one size, that of --in; leave --out away."),
        (lambda: solve(64, 3, chain="? ?"), "--chain has 2 layers with `?`; allowed: one."),
        (lambda: solve(64, chain="?"), "--chain has a layer to find; give --out, the size at its end."),
        (lambda: solve(64, chain=" "), "--chain has 0 layers; allowed: 1 to 1000, as k3s2p1 k3."),
        (
            lambda: solve(64, chain="conv3"),
            "--chain has 'conv3'; write each layer as kernel, stride, padding, dilation, for example k3s2p1 or k3, a pooling as "
            "pool2, a transposed one as tk4s2p1, a missing one as ?.",
        ),
        (
            lambda: solve(64, chain="pool2p2"),
            "--chain has 'pool2p2'; PyTorch pools with a padding up to half of the window.",
        ),
        (
            lambda: solve(64, chain="k3o1"),
            "--chain has 'k3o1'; only a transposed convolution has an output padding, as tk3s2p1o1.",
        ),
        (
            lambda: solve(64, chain="tk3s2o2"),
            "--chain has 'tk3s2o2'; an output padding is smaller than the stride or the dilation.",
        ),
        (lambda: solve(64, 3, chain="pool?"), "--chain has 'pool?'; a missing layer is a convolution: ?, or k3s?p?."),
        (
            lambda: solve(4, chain="k3 k5"),
            "k5: the kernel spans 5 positions and 2 positions with padding 0 are 2; use padding 2 or more.",
        ),
        (
            lambda: mirror(8, "pool2"),
            "--mirror has 'pool2'; write convolutions with numbers, for example k3s2p1 or k3.",
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

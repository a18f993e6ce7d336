"""Max-pooling by a kernel: PyTorch's numbers, for every size, and only of 2×2 pixels."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from etude.speed.kernels import functions, native, pooling
from etude.speed.kernels.pooling import KernelPooling, max_pool
from speed.kernels.exact import numbers, whole_numbers

needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")


@needs_a_compiler
@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 5), channels=st.integers(1, 7), height=st.integers(2, 23), width=st.integers(2, 40))
def test_pooling_of_every_size_is_pytorchs(n: int, channels: int, height: int, width: int) -> None:
    native.load()
    images = whole_numbers(n, channels, height, width, most=1)  # most pixels have equals beside them
    mine = numbers(lambda x: functions.Pooling.apply(x, False)[0], images)
    for each, expected in zip(mine, numbers(lambda x: F.max_pool2d(x, 2), images), strict=True):
        assert torch.equal(each, expected)


@needs_a_compiler
@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 5),
    channels=st.sampled_from([16, 48]),
    height=st.integers(2, 13),
    width=st.integers(2, 13),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_pooling_of_maps_of_every_size_is_pytorchs(
    n: int, channels: int, height: int, width: int, dtype: torch.dtype
) -> None:
    native.load()
    maps = whole_numbers(n, height, width, channels, most=1).to(dtype).permute(0, 3, 1, 2)
    for each, expected in zip(numbers(max_pool, maps), numbers(lambda x: F.max_pool2d(x, 2), maps), strict=True):
        assert torch.equal(each, expected)
        assert each.dtype == dtype


@needs_a_compiler
@pytest.mark.parametrize("special", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_pooling_of_what_is_no_number(special: float, layout: torch.memory_format) -> None:
    native.load()
    for place in range(4):  # the end of the last row of planes goes number by number
        images = torch.arange(16 * 16 * 60).view(1, 16, 16, 60) % 7.0
        images.view(1, 16, 8, 2, 30, 2)[:, :, :, place // 2, :, place % 2] = special
        images = images.contiguous(memory_format=layout)
        for each, expected in zip(
            numbers(max_pool, images), numbers(lambda x: F.max_pool2d(x, 2), images), strict=True
        ):
            torch.testing.assert_close(each, expected, rtol=0, atol=0, equal_nan=True)


@needs_a_compiler
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_pooling_shared_among_threads_is_pytorchs(layout: torch.memory_format) -> None:
    native.load()
    images = whole_numbers(64, 32, 23, 37, most=1).contiguous(memory_format=layout)
    set_before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for each, expected in zip(
            numbers(max_pool, images), numbers(lambda x: F.max_pool2d(x, 2), images), strict=True
        ):
            assert torch.equal(each, expected)
    finally:
        torch.set_num_threads(set_before)


@needs_a_compiler
def test_pooling_leaves_what_it_does_not_compute_to_pytorch() -> None:
    native.load()
    for images in (whole_numbers(2, 3, 6, 6).bfloat16(), whole_numbers(2, 3, 6, 6).double(), whole_numbers(3, 16, 6)):
        assert torch.equal(max_pool(images), F.max_pool2d(images, 2))


POOLINGS: dict[str, tuple[Callable[[Tensor], Any], bool]] = {
    "a layer": (nn.MaxPool2d(2), True),
    "a layer of pairs": (nn.MaxPool2d((2, 2), (2, 2), (0, 0)), True),
    "a function": (lambda x: F.max_pool2d(x, 2), True),
    "a function with a stride": (lambda x: F.max_pool2d(x, 2, 2), True),
    "a function with a list": (lambda x: F.max_pool2d(input=x, kernel_size=[2]), True),
    "torch's": (lambda x: torch.max_pool2d(x, 2), True),
    "3×3": (nn.MaxPool2d(3), False),
    "2×3": (nn.MaxPool2d((2, 3)), False),
    "stride 1": (lambda x: F.max_pool2d(x, 2, 1), False),
    "padded": (nn.MaxPool2d(2, padding=1), False),
    "with holes": (lambda x: F.max_pool2d(x, 2, dilation=2), False),
    "rounded up": (nn.MaxPool2d(2, ceil_mode=True), False),
    "with indices": (nn.MaxPool2d(2, return_indices=True), False),
}


@needs_a_compiler
@pytest.mark.parametrize("name", POOLINGS)
def test_which_poolings_a_kernel_computes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, by_kernel = POOLINGS[name]
    images, calls = whole_numbers(2, 3, 7, 9), []
    monkeypatch.setattr(pooling, "max_pool", lambda images: calls.append(images) or max_pool(images))
    with KernelPooling():
        found = pool(images)
    for mine, expected in zip([found], [pool(images)], strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=0)
    assert len(calls) == by_kernel

"""étude's own convolution and max-pooling: PyTorch's numbers, in float64, for every shape; and only where they fit."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from etude.models import LeNet, layers
from etude.models.layers import Conv2d, MaxPool2d, use_own

needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")


def whole_numbers(*shape: int, most: int = 4) -> Tensor:
    """Small whole numbers, of which float32 makes sums without rounding: results must then be equal."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(-most, most + 1, shape, generator=generator).float()


def numbers(layer: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    """What a layer makes of its first input, and the gradients of all of a function of that."""
    inputs = tuple(each.detach().requires_grad_() for each in inputs)
    made = layer(*inputs)
    return [made.detach(), *torch.autograd.grad((made * whole_numbers(*made.shape)).sum(), inputs)]


@needs_a_compiler
@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 5),
    channels=st.integers(1, 7),
    maps=st.integers(1, 19),
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 11)),
    size=st.tuples(st.integers(1, 21), st.integers(1, 40)),
)
def test_convolutions_of_every_shape_are_exact(
    n: int, channels: int, maps: int, kernel: tuple[int, int], size: tuple[int, int]
) -> None:
    layers.load()
    height, width = size[0] + kernel[0] - 1, size[1] + kernel[1] - 1
    inputs = whole_numbers(n, channels, height, width), whole_numbers(maps, channels, *kernel), whole_numbers(maps)
    for mine, theirs in zip(numbers(layers._Convolution.apply, *inputs), numbers(F.conv2d, *inputs), strict=True):
        assert torch.equal(mine, theirs)


@needs_a_compiler
def test_a_convolution_rounds_as_float32_must() -> None:
    layers.load()
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=generator) for shape in ((8, 6, 14, 14), (16, 6, 5, 5), (16,))]
    exact = numbers(F.conv2d, *(each.double() for each in inputs))
    for mine, expected in zip(numbers(layers._Convolution.apply, *inputs), exact, strict=True):
        assert (mine - expected).norm() / expected.norm() < 1e-6


@needs_a_compiler
@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 5), channels=st.integers(1, 7), height=st.integers(2, 23), width=st.integers(2, 40))
def test_pooling_of_every_size_is_pytorchs(n: int, channels: int, height: int, width: int) -> None:
    layers.load()
    images = whole_numbers(n, channels, height, width, most=1)  # most pixels have equals beside them
    mine = numbers(lambda x: layers._Pooling.apply(x)[0], images)
    for each, expected in zip(mine, numbers(lambda x: F.max_pool2d(x, 2), images), strict=True):
        assert torch.equal(each, expected)


@needs_a_compiler
@pytest.mark.parametrize("special", [torch.nan, torch.inf, -torch.inf])
def test_pooling_of_what_is_no_number(special: float) -> None:
    layers.load()
    for place in range(4):
        images = torch.tensor([1.0, 2.0, 3.0, 4.0])
        images[place] = special
        mine = numbers(lambda x: layers._Pooling.apply(x)[0], images.view(1, 1, 2, 2))
        theirs = numbers(lambda x: F.max_pool2d(x, 2), images.view(1, 1, 2, 2))
        for each, expected in zip(mine, theirs, strict=True):
            torch.testing.assert_close(each, expected, rtol=0, atol=0, equal_nan=True)


@needs_a_compiler
@pytest.mark.parametrize("threads", [1, 2])
def test_a_network_of_own_layers_is_the_same_network(threads: int) -> None:
    network = LeNet((3, 32, 32), 10).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    images = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before = _logits_and_gradients(network, images)
    use_own(network)
    own = {name for name, layer in network.named_modules() if isinstance(layer, Conv2d | MaxPool2d) and layer.own}
    assert own == {"features.conv1", "features.conv2", "features.pool1", "features.pool2"}
    set_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for mine, expected in zip(_logits_and_gradients(network, images), before, strict=True):
            torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-5)
    finally:
        torch.set_num_threads(set_before)


def _logits_and_gradients(network: nn.Module, images: Tensor) -> list[Tensor]:
    logits = network(images)
    return [logits.detach(), *torch.autograd.grad(logits.square().sum(), list(network.parameters()))]


def test_what_they_do_not_compute_is_left_to_pytorch() -> None:
    assert Conv2d(4, 8, 3).has_own()
    for layer in (
        Conv2d(4, 8, 3, stride=2),
        Conv2d(4, 8, 3, padding=1),
        Conv2d(4, 8, 3, padding="same"),
        Conv2d(4, 8, 3, dilation=2),
        Conv2d(4, 8, 3, groups=2),
        Conv2d(4, 8, 3, bias=False),
    ):
        assert not layer.has_own()
    assert MaxPool2d(2).has_own()
    assert not MaxPool2d(2, ceil_mode=True).has_own()
    for other in (MaxPool2d(3), MaxPool2d(2, stride=1), MaxPool2d(2, padding=1), MaxPool2d(2, dilation=2)):
        assert not other.has_own()


@needs_a_compiler
def test_a_failure_to_compile_names_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "layers.cpp"
    broken.write_text("this is no program")
    monkeypatch.setattr(layers, "SOURCE", broken)
    monkeypatch.setattr(layers, "cache_folder", lambda: tmp_path / "cache")
    with pytest.raises(OSError, match=r"^g\+\+ could not compile layers\.cpp: .*error"):
        layers._library()
    assert list((tmp_path / "cache").iterdir()) == []

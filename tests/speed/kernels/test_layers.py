"""étude's kernels: PyTorch's numbers, in float64, for every shape, and in a whole network."""

import math
import shutil
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from etude.models import VAE, ConvDiscriminator, ConvGenerator, LeNet
from etude.models.maps import BatchNormOfPixels
from etude.speed.kernels import functions, layers, native, use_kernels
from speed.kernels.exact import numbers, whole_numbers

Pair = tuple[int, int]

needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")


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
    native.load()
    height, width = size[0] + kernel[0] - 1, size[1] + kernel[1] - 1
    inputs = whole_numbers(n, channels, height, width), whole_numbers(maps, channels, *kernel), whole_numbers(maps)
    for mine, theirs in zip(numbers(functions.Convolution.apply, *inputs), numbers(F.conv2d, *inputs), strict=True):
        assert torch.equal(mine, theirs)


@needs_a_compiler
def test_a_convolution_rounds_as_float32_must() -> None:
    native.load()
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=generator) for shape in ((8, 6, 14, 14), (16, 6, 5, 5), (16,))]
    exact = numbers(F.conv2d, *(each.double() for each in inputs))
    for mine, expected in zip(numbers(functions.Convolution.apply, *inputs), exact, strict=True):
        assert (mine - expected).norm() / expected.norm() < 1e-6


class _Kept(nn.Module):
    """A layer of flattened maps as one of maps."""

    def __init__(self, layer: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer, self.shape = layer, shape

    def forward(self, maps: Tensor) -> Tensor:
        return self.layer(maps.flatten(1)).unflatten(1, self.shape)


@needs_a_compiler
@pytest.mark.parametrize(
    ("shape", "of_pixels"),
    [((7,), False), ((5, 3, 4), False), ((16, 2, 2), False), ((5, 3, 4), True), ((16, 2, 2), True)],
)
def test_batch_norms_are_pytorchs(shape: Any, of_pixels: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [3 + 2 * torch.randn(6, *shape, generator=generator) for _ in range(3)]
    mine: nn.Module
    if of_pixels:
        mine, theirs = BatchNormOfPixels(shape), _Kept(nn.BatchNorm1d(math.prod(shape)), shape)
    elif len(shape) == 1:
        mine, theirs = nn.BatchNorm1d(shape[0]), nn.BatchNorm1d(shape[0])
    else:
        mine, theirs = nn.BatchNorm2d(shape[0]), nn.BatchNorm2d(shape[0])
    for weight in (*mine.parameters(), *mine.buffers()):
        if weight.is_floating_point():
            weight.data = torch.rand(weight.shape, generator=generator) + 0.5
    for to, value in zip(theirs.state_dict().values(), mine.state_dict().values(), strict=True):
        to.copy_(value)
    theirs.double()
    use_kernels(mine, torch.float32, compiled=True)
    assert isinstance(mine, layers.Kernel)
    for batch in batches:
        pairs = []
        for norm, x in ((mine, batch), (theirs, batch.double())):
            x = x.clone().requires_grad_()
            made = norm(x)
            loss = (made * torch.arange(made.numel()).view(made.shape).sin()).sum()
            pairs.append([made, *torch.autograd.grad(loss, [x, *norm.parameters()]), *norm.buffers()])
        for each, expected in zip(*pairs, strict=True):
            torch.testing.assert_close(each.double(), expected.double(), rtol=2e-5, atol=2e-5)
    mine.eval()
    theirs.eval()
    torch.testing.assert_close(mine(batches[0]).double(), theirs(batches[0].double()), rtol=1e-5, atol=1e-5)


def to_grey(maps: Tensor, kernels: Tensor, stride: Pair, padding: Pair, size: Pair) -> Tensor:
    """What `functions.ToGrey` computes, by PyTorch: what of the images is beyond the last kernel stays zero."""
    images = F.conv_transpose2d(maps, kernels, stride=stride)
    wanted = [side + 2 * pad for side, pad in zip(size, padding, strict=True)]
    missing = [max(0, side - made) for side, made in zip(wanted, images.shape[2:], strict=True)]
    images = F.pad(images, (0, missing[1], 0, missing[0]))
    return images[:, :, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]


@needs_a_compiler
@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(1, 5),
    maps=st.sampled_from([16, 32, 48]),
    kernel=st.tuples(st.integers(1, 6), st.integers(1, 7)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 4)),
    size=st.tuples(st.integers(1, 20), st.integers(1, 31)),
)
def test_grey_convolutions_of_every_shape_are_exact(
    n: int, maps: int, kernel: Pair, stride: Pair, padding: Pair, size: Pair
) -> None:
    native.load()
    height, width = (max(side, k - 2 * pad) for side, k, pad in zip(size, kernel, padding, strict=True))
    images, kernels, bias = whole_numbers(n, 1, height, width), whole_numbers(maps, 1, *kernel), whole_numbers(maps)
    mine = numbers(lambda *x: functions.OfGrey.apply(*x, stride, padding, torch.float32), images, kernels, bias)
    expected = numbers(lambda *x: F.conv2d(*x, stride=stride, padding=padding), images, kernels, bias)
    for each, wanted in zip(mine, expected, strict=True):
        assert torch.equal(each, wanted)
    seen = whole_numbers(*mine[0].shape)
    back = numbers(lambda *x: functions.ToGrey.apply(*x, stride, padding, (height, width)), seen, kernels)
    expected = numbers(lambda maps, weights: to_grey(maps, weights, stride, padding, (height, width)), seen, kernels)
    for each, wanted in zip(back, expected, strict=True):
        assert torch.equal(each, wanted)


@needs_a_compiler
def test_maps_of_grey_images_round_to_bf16_as_pytorch_does() -> None:
    native.load()
    values = torch.randn(4096, generator=torch.Generator().manual_seed(0)) * torch.logspace(-38, 38, 4096)
    halves = (torch.arange(4096, dtype=torch.int32) << 16 | 0x8000).view(
        torch.float32
    )  # as near to one as to the other
    special = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0, -0.0, 3.4e38, -3.4e38, 1e-40])
    images = torch.cat([values, halves, special])[None, None, None]
    one, nothing = torch.ones(16, 1, 1, 1), torch.zeros(16)
    made = functions.OfGrey.apply(images, one, nothing, (1, 1), (0, 0), torch.bfloat16)
    expected = images.bfloat16().expand(1, 16, 1, -1) + 0.0  # the sum starts at the bias, 0: -0 becomes 0
    torch.testing.assert_close(made, expected, rtol=0, atol=0, equal_nan=True)


@needs_a_compiler
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", ["lenet", "vae", "cvae", "discriminator", "generator"])
def test_a_network_with_kernels_is_the_same_network(kind: str, threads: int) -> None:
    network, inputs, names = _network(kind)
    exact = _outputs_and_gradients(deepcopy(network).double(), [_double(each) for each in inputs])
    use_kernels(network, torch.float32, compiled=True)
    assert {name for name, layer in network.named_modules() if isinstance(layer, layers.Kernel)} == names
    set_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for mine, expected in zip(_outputs_and_gradients(network, inputs), exact, strict=True):
            assert (mine - expected).norm() / expected.norm() < 1e-5
    finally:
        torch.set_num_threads(set_before)


@needs_a_compiler
def test_kernels_compute_in_the_type_that_autocasting_asks_for() -> None:
    network, inputs, _ = _network("vae")
    use_kernels(network, torch.bfloat16, compiled=True)
    assert network(*inputs)[0].dtype == torch.float32  # evaluation
    with torch.autocast("cpu", torch.bfloat16):
        assert network(*inputs)[0].dtype == torch.bfloat16


def _network(kind: str) -> tuple[nn.Module, list[Tensor], set[str]]:
    """A network, what to give it, and its layers that kernels compute in float32."""
    torch.manual_seed(0)
    if kind == "lenet":
        names = {"features.conv1", "features.conv2"}
        network, inputs = LeNet((3, 32, 32), 10), [torch.randn(16, 3, 32, 32)]
    elif kind == "discriminator":
        names = {"features.conv1"}
        network, inputs = ConvDiscriminator((1, 28, 28)), [torch.randn(16, 1, 28, 28)]
    elif kind == "generator":
        names = {"project.norm1", "project.linear2", "project.norm2", "upsample.norm1", "upsample.conv2"}
        network, inputs = ConvGenerator(96, (1, 28, 28)), [torch.rand(16, 96)]
    else:
        names = {"encoder.conv1", "encoder.linear", "decoder.linear", "decoder.conv2"}
        network, inputs = VAE((1, 28, 28), 16), [torch.rand(16, 1, 28, 28)]
        noise = torch.randn(16, 16)
        if kind == "cvae":
            names |= {"encoder.label", "decoder.label"}
            network, inputs = VAE((1, 28, 28), 16, 10), [*inputs, torch.arange(16) % 10]
        network.forward = partial(network.forward, noise=noise)
    return network.to(memory_format=torch.channels_last), inputs, names  # pyright: ignore[reportCallIssue]


def _double(numbers: Tensor) -> Tensor:
    return numbers.double() if numbers.is_floating_point() else numbers


def _outputs_and_gradients(network: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    outputs = network(*inputs)
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    loss = sum((output.square().sum() for output in outputs), torch.zeros(()))
    return [each.detach() for each in outputs] + list(torch.autograd.grad(loss, list(network.parameters())))

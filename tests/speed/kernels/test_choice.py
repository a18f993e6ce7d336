"""Which layers kernels take, and that such a layer stays the layer that it was."""

import re
import shutil
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from etude.errors import UsageError
from etude.models.maps import BatchNormOfPixels
from etude.speed.kernels import kernel_of, layers, use_kernels
from etude.speed.kernels.transposed import TransposedByProducts

needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")


FP32, BF16 = torch.float32, torch.bfloat16


@pytest.mark.parametrize(
    ("layer", "dtypes", "kernel"),
    [
        (nn.Conv2d(4, 8, 3), [FP32], layers.Convolution),
        (nn.Conv2d(6, 16, 5), [FP32], layers.Convolution),
        (nn.Conv2d(1, 32, 3, stride=2, padding=1), [FP32, BF16], layers.ConvolutionOfGrey),
        (nn.ConvTranspose2d(32, 1, 3, stride=2), [FP32, BF16], layers.ConvolutionToGrey),
        (nn.ConvTranspose2d(32, 3, 3), [BF16], TransposedByProducts),
        (nn.ConvTranspose2d(24, 1, 3), [BF16], TransposedByProducts),
        (nn.BatchNorm2d(3), [FP32, BF16], layers.BatchNorm2d),
        (nn.BatchNorm1d(3), [FP32, BF16], layers.BatchNorm1d),
        (BatchNormOfPixels((2, 3, 4)), [FP32, BF16], layers.BatchNormOfPixelsAsTheyLie),
    ],
)
def test_which_kernel_a_layer_has(layer: nn.Module, dtypes: list[torch.dtype], kernel: type) -> None:
    for dtype in (FP32, BF16):
        assert kernel_of(layer, dtype, compiled=True) is (kernel if dtype in dtypes else None)
        by_products = kernel is TransposedByProducts and dtype == BF16
        assert (kernel_of(layer, dtype, compiled=False) is kernel) == by_products


class _Mine(nn.Conv2d):
    """Somebody's own."""


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 8, 3, stride=2),
        nn.Conv2d(4, 8, 3, padding=1),
        nn.Conv2d(4, 8, 3, padding="same"),
        nn.Conv2d(4, 8, 3, padding_mode="circular"),
        nn.Conv2d(4, 8, 3, dilation=2),
        nn.Conv2d(4, 8, 3, groups=2),
        nn.Conv2d(4, 8, 3, bias=False),
        nn.Conv2d(4, 8, 3).double(),
        nn.Conv2d(32, 64, 5),  # oneDNN is faster with many
        nn.Conv2d(3, 16, 3),
        nn.Conv2d(1, 16, 3, padding=1, padding_mode="reflect"),
        _Mine(4, 8, 3),
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 8, 3)),
        nn.ConvTranspose2d(32, 1, 3, dilation=2),
        nn.BatchNorm2d(3, momentum=None),
        nn.BatchNorm2d(3, affine=False),
        nn.BatchNorm2d(3, track_running_stats=False),
        nn.SyncBatchNorm(3),
        nn.Linear(2, 3),
    ],
    ids=str,
)
def test_what_they_do_not_compute_is_left_to_pytorch(layer: nn.Module) -> None:
    assert kernel_of(layer, FP32, compiled=True) is None
    assert type(layer) is _Mine or kernel_of(layer, BF16, compiled=True) is None


@needs_a_compiler
def test_a_layer_with_a_kernel_stays_the_same_object() -> None:
    network = nn.Sequential(nn.Conv2d(3, 6, 5), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(6 * 16, 2))
    images, calls = torch.randn(4, 3, 8, 8), []
    tensors = {name: each.data_ptr() for name, each in network.state_dict(keep_vars=True).items()}
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    network[0].register_forward_hook(lambda *_: calls.append("hook"))
    expected = deepcopy(network).double()(images.double())
    calls.clear()
    use_kernels(network, torch.float32, compiled=True)
    assert [type(layer) for layer in network][:2] == [layers.Convolution, layers.BatchNorm2d]
    assert {name: each.data_ptr() for name, each in network.state_dict(keep_vars=True).items()} == tensors
    assert [id(each) for each in optimizer.param_groups[0]["params"]] == [id(each) for each in network.parameters()]
    before = {name: each.clone() for name, each in network.state_dict().items()}
    copied = deepcopy(network)
    copied.load_state_dict(before)
    given = {name: each.clone() for name, each in before.items()}
    for made in (network(images), copied(images), torch.func.functional_call(network, given, (images,))):
        torch.testing.assert_close(made.double(), expected, rtol=1e-4, atol=1e-5)
    assert calls == ["hook"] * 3
    network.double()  # the C++ knows float32 alone: PyTorch computes what it is given in another type
    with pytest.raises(RuntimeError, match="expected"):
        network(images)


@needs_a_compiler
@pytest.mark.parametrize("shape", [(2, 4, 9, 9), (3, 9, 9), (2, 3, 9)])
def test_a_shape_that_a_layer_does_not_take_is_pytorchs_to_judge(shape: tuple[int, ...]) -> None:
    layer, images = nn.Conv2d(3, 6, 5), torch.randn(shape)
    answers = []
    for _ in range(2):
        try:
            answers.append(layer(images).shape)
        except RuntimeError as error:
            answers.append(str(error))
        use_kernels(layer, torch.float32, compiled=True)
    assert answers[0] == answers[1]


@needs_a_compiler
@pytest.mark.parametrize("functional", [True, False])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(3, 6, 5), (2, 3, 8, 8)),
        (nn.BatchNorm2d(3), (2, 3, 8, 8)),
        (nn.ConvTranspose2d(16, 1, 3), (2, 16, 3, 3)),
    ],
    ids=["convolution", "batch-norm", "transposed"],
)
def test_a_gradient_of_a_gradient_is_an_error_and_never_wrong(
    layer: nn.Module, shape: tuple[int, ...], functional: bool
) -> None:
    layer = deepcopy(layer)
    use_kernels(layer, torch.float32, compiled=True)
    assert isinstance(layer, layers.Kernel)
    images = torch.randn(shape)

    def cubes(images: Tensor) -> Tensor:
        buffers = {name: each.clone() for name, each in layer.named_buffers()}
        return (torch.func.functional_call(layer, buffers, (images,)) ** 3).sum()

    def penalty(images: Tensor) -> Tensor:
        if functional:
            return torch.func.grad(cubes)(images).square().sum()
        return torch.autograd.grad(cubes(images), images, create_graph=True)[0].square().sum()

    text = "étude's kernels have no gradient of a gradient: train with --compile off."
    take = torch.func.grad(penalty) if functional else lambda x: torch.autograd.grad(penalty(x), x)
    with pytest.raises(UsageError, match=f"^{re.escape(text)}$"):
        take(images if functional else images.requires_grad_())

"""The transposed convolution by products: PyTorch's own numbers, gradients of both orders, and only in bf16."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.speed.kernels import use_kernels
from etude.speed.kernels.transposed import ByProducts, TransposedByProducts

Case = tuple[list[Tensor], list[Any]]
"""Maps, kernels and bias; stride, padding and output padding."""

SHAPES = {
    "grey, 4×4": ((2, 5, 7, 7), (5, 1, 4, 4), (2, 2), (1, 1), (0, 0)),
    "colour, 3×3, odd": ((2, 5, 4, 3), (5, 3, 3, 3), (2, 2), (1, 1), (0, 1)),
    "grey, oblong": ((3, 2, 4, 5), (2, 1, 2, 5), (1, 3), (0, 2), (0, 2)),
    "colour, oblong": ((3, 2, 4, 5), (2, 6, 5, 2), (3, 1), (2, 0), (1, 0)),
}


@pytest.fixture(params=SHAPES)
def case(request: pytest.FixtureRequest) -> Case:
    maps, kernels, *rest = SHAPES[request.param]
    tensors = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in (maps, kernels, kernels[1:2])]
    return tensors, rest


def test_values_and_gradients_are_pytorchs(case: Case) -> None:
    tensors, (stride, padding, output_padding) = case
    maps, kernels, bias = tensors

    def numbers(images: Tensor) -> tuple[Tensor, ...]:
        return images, *torch.autograd.grad((images**3).sum(), tensors)

    ours = numbers(ByProducts.apply(*tensors, stride, padding, output_padding))
    theirs = numbers(F.conv_transpose2d(maps, kernels, bias, stride, padding, output_padding))
    for mine, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_differences(case: Case) -> None:
    tensors, rest = case
    assert torch.autograd.gradcheck(lambda *t: ByProducts.apply(*t, *rest), tensors, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda *t: ByProducts.apply(*t, *rest), tensors, fast_mode=True)


def test_gradients_of_several_runs_at_once(case: Case) -> None:
    tensors, rest = case
    runs = [torch.stack([tensor.detach(), 2 * tensor.detach(), -tensor.detach()]) for tensor in tensors]
    gradients = torch.func.grad(lambda *t: (ByProducts.apply(*t, *rest) ** 3).sum(), argnums=(0, 1, 2))
    alone = [gradients(*(each[run] for each in runs)) for run in range(3)]
    for together, separate in zip(torch.vmap(gradients)(*runs), zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(together, torch.stack(separate), rtol=1e-12, atol=1e-12)


def by_products(in_channels: int, out_channels: int, *, bias: bool = True) -> nn.ConvTranspose2d:
    """A layer of 4×4 kernels that is computed by products, in a step that is not compiled."""
    layer = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=bias)
    use_kernels(layer, torch.bfloat16, compiled=False)
    assert type(layer) is TransposedByProducts
    return layer


@pytest.mark.parametrize("channels", [1, 8])
@pytest.mark.parametrize("bias", [True, False])
def test_in_bf16_a_layer_differs_from_pytorchs_by_rounding(channels: int, bias: bool) -> None:
    mine = by_products(16, channels, bias=bias)
    maps = torch.randn(8, 16, 7, 7)
    exact = _numbers(lambda: F.conv_transpose2d(maps, mine.weight, mine.bias, 2, 1), mine)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = _numbers(lambda: mine(maps), mine)
    assert [numbers.dtype for numbers in rounded] == [torch.bfloat16, *([torch.float32] * (1 + bias))]
    for numbers, expected in zip(rounded, exact, strict=True):
        assert 0 < (numbers - expected).norm() / expected.norm() < 0.01  # a bf16 number is rounded to one part in 512


def _numbers(images: Callable[[], Tensor], layer: nn.Module) -> tuple[Tensor, ...]:
    made = images()
    return made, *torch.autograd.grad((made.float() ** 2).mean(), list(layer.parameters()))


def test_outside_bf16_a_layer_is_pytorchs() -> None:
    mine, maps = by_products(4, 1), torch.randn(2, 4, 5, 5)
    assert torch.equal(mine(maps), nn.ConvTranspose2d.forward(mine, maps))
    assert mine(maps, output_size=[11, 11]).shape == (2, 1, 11, 11)


@pytest.mark.parametrize(("groups", "dilation"), [(2, 1), (1, 2)])
def test_what_products_do_not_compute_is_left_to_pytorch(groups: int, dilation: int) -> None:
    layer = nn.ConvTranspose2d(4, 2, kernel_size=3, groups=groups, dilation=dilation)
    use_kernels(layer, torch.bfloat16, compiled=True)
    assert type(layer) is nn.ConvTranspose2d

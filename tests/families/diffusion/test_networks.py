"""The networks: shapes, what they are told, and that every image is treated alone."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import group_norm, silu

from etude.families.diffusion.condition import Condition
from etude.families.diffusion.points import PointNetwork
from etude.families.diffusion.unet import GroupNorm, UNet


def awake(network: nn.Module) -> nn.Module:
    """The network with weights other than 0 everywhere, as after some training."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return network


def given(*shape: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    classes = torch.eye(10)[torch.arange(shape[0]) % 10]
    return torch.randn(*shape, generator=generator), torch.rand(shape[0], generator=generator), classes


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 17, 30), (3, 19, 21), (1, 8, 8)])
def test_output_has_the_shape_of_the_images(shape: tuple[int, int, int]) -> None:
    network = UNet(shape, 16, 10)
    images, times, classes = given(2, *shape)
    assert torch.equal(network(images, times, classes), torch.zeros_like(images))  # it begins with no opinion
    assert awake(network)(images, times, classes).shape == images.shape


def test_parameters() -> None:
    assert sum(parameter.numel() for parameter in UNet((1, 28, 28), 32, 10).parameters()) == 621_828


@pytest.mark.parametrize("network", [UNet((1, 12, 12), 16, 10), PointNetwork(2, 16, 10)], ids=["unet", "mlp"])
def test_each_example_is_treated_alone_and_all_it_is_told_matters(network: nn.Module) -> None:
    examples, times, classes = given(4, *((1, 12, 12) if isinstance(network, UNet) else (2,)))
    network = awake(network).double()
    examples, times, classes = examples.double(), times.double(), classes.double()
    outputs = network(examples, times, classes)
    torch.testing.assert_close(network(examples[1:2], times[1:2], classes[1:2]), outputs[1:2])
    for changed in (
        (examples + 0.1, times, classes),
        (examples, times + 0.01, classes),
        (examples, times, classes.roll(1, dims=0)),
        (examples, times, torch.zeros_like(classes)),
    ):
        assert (network(*changed) - outputs).flatten(1).abs().amax(dim=1).min() > 1e-4


@pytest.mark.parametrize("network", [UNet((1, 12, 12), 16, 10), PointNetwork(2, 16, 10)], ids=["unet", "mlp"])
def test_every_weight_learns(network: nn.Module) -> None:
    examples, times, classes = given(4, *((1, 12, 12) if isinstance(network, UNet) else (2,)))
    (awake(network)(examples, times, classes) - examples).square().mean().backward()
    silent = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]
    assert silent == []


def test_group_norm_is_pytorch_s_also_of_several_networks_at_once() -> None:
    generator = torch.Generator().manual_seed(2)
    maps = torch.randn(2, 3, 32, 5, 6, generator=generator)
    weights, biases = torch.randn(2, 2, 32, generator=generator)
    norm = GroupNorm(32)

    def ours(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        return functional_call(norm, {"weight": weight, "bias": bias}, (x,))

    expected = [group_norm(*each, eps=norm.eps) for each in zip(maps, (2, 2), weights, biases, strict=True)]
    torch.testing.assert_close(vmap(ours)(weights, biases, maps), torch.stack(expected))
    last = maps[0].to(memory_format=torch.channels_last)
    torch.testing.assert_close(ours(weights[0], biases[0], last), expected[0])


def test_a_corner_reaches_every_pixel() -> None:
    network = awake(UNet((1, 28, 28), 16)).double()
    images = torch.zeros(1, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    network(images, torch.tensor([0.5], dtype=torch.float64))[0, 0, 0, 0].backward()
    assert images.grad is not None
    assert images.grad.ne(0).all()


def test_times_are_told_by_sines_and_cosines() -> None:
    condition = Condition(8, None)
    with torch.no_grad():
        condition.linear1.weight.zero_()
        condition.linear1.bias.zero_()
        condition.linear1.weight[:2] = torch.eye(64)[[0, 63]]  # sine of the lowest, cosine of the highest frequency
        condition.linear2.weight.copy_(torch.eye(8))
        condition.linear2.bias.zero_()
        found = condition(torch.tensor([0.3]), None)[0, :2]
        expected = torch.stack([torch.tensor(0.3).sin(), torch.tensor(300.0).cos()])
        expected = silu(silu(expected))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)

"""The convolutional GAN: sizes, layers in their order, initial weights, the images it accepts."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.errors import UsageError
from etude.models import ConvDiscriminator, ConvGenerator, uniform_noise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def discriminator() -> ConvDiscriminator:
    return ConvDiscriminator((1, 28, 28))


@pytest.fixture
def generator() -> ConvGenerator:
    return ConvGenerator(96, (1, 28, 28))


def test_parameters_of_the_classical_networks(discriminator: ConvDiscriminator, generator: ConvGenerator) -> None:
    assert sum(p.numel() for p in discriminator.parameters()) == 1_102_721
    assert sum(p.numel() for p in generator.parameters()) == 6_675_009
    assert sum(p.numel() for p in ConvGenerator(4, (1, 28, 28)).parameters()) == 6_580_801
    assert {name: tuple(p.shape) for name, p in discriminator.named_parameters() if p.dim() > 1} == {
        "features.conv1.weight": (32, 1, 5, 5),
        "features.conv2.weight": (64, 32, 5, 5),
        "critic.linear1.weight": (1024, 1024),
        "critic.linear2.weight": (1, 1024),
    }
    assert {name: tuple(p.shape) for name, p in generator.named_parameters() if p.dim() > 1} == {
        "project.linear1.weight": (1024, 96),
        "project.linear2.weight": (6272, 1024),
        "upsample.conv1.weight": (128, 64, 4, 4),
        "upsample.conv2.weight": (64, 1, 4, 4),
    }


def test_discriminator_layers_in_the_order_of_the_course(discriminator: ConvDiscriminator) -> None:
    w = dict(discriminator.named_parameters())
    images = uniform_noise(3, 784, generator=seeded()).view(3, 1, 28, 28)
    x = F.conv2d(images, w["features.conv1.weight"], w["features.conv1.bias"])
    x = F.max_pool2d(torch.where(x > 0, x, 0.01 * x), 2)
    x = F.conv2d(x, w["features.conv2.weight"], w["features.conv2.bias"])
    x = F.max_pool2d(torch.where(x > 0, x, 0.01 * x), 2)
    x = x.reshape(3, 1024) @ w["critic.linear1.weight"].T + w["critic.linear1.bias"]
    x = torch.where(x > 0, x, 0.01 * x) @ w["critic.linear2.weight"].T + w["critic.linear2.bias"]
    torch.testing.assert_close(discriminator(images), x)


def batch_norm(x: Tensor) -> Tensor:
    """In training mode, before any training: mean 0 and variance 1 over all dimensions but the channels."""
    others = [dim for dim in range(x.dim()) if dim != 1]
    return (x - x.mean(others, keepdim=True)) / (x.var(others, correction=0, keepdim=True) + 1e-5).sqrt()


def test_generator_layers_in_the_order_of_the_course(generator: ConvGenerator) -> None:
    w = dict(generator.named_parameters())
    noise = uniform_noise(6, 96, generator=seeded())
    x = batch_norm(torch.relu(noise @ w["project.linear1.weight"].T + w["project.linear1.bias"]))
    x = batch_norm(torch.relu(x @ w["project.linear2.weight"].T + w["project.linear2.bias"]))
    x = x.reshape(6, 128, 7, 7)
    x = F.conv_transpose2d(x, w["upsample.conv1.weight"], w["upsample.conv1.bias"], stride=2, padding=1)
    x = batch_norm(torch.relu(x))
    x = F.conv_transpose2d(x, w["upsample.conv2.weight"], w["upsample.conv2.bias"], stride=2, padding=1)
    assert x.shape == (6, 1, 28, 28)
    torch.testing.assert_close(generator(noise), torch.tanh(x), rtol=1e-4, atol=1e-5)


def shapes_seen(network: nn.Module, batch: Tensor) -> list[tuple[str, tuple[int, ...]]]:
    seen = []
    hooks = [
        layer.register_forward_hook(lambda layer, _, out: seen.append((type(layer).__name__, tuple(out.shape[1:]))))
        for layer in network.modules()
        if not list(layer.children())
    ]
    network(batch)
    for hook in hooks:
        hook.remove()
    return seen


def test_shapes_layer_by_layer(discriminator: ConvDiscriminator, generator: ConvGenerator) -> None:
    assert shapes_seen(discriminator, torch.zeros(2, 1, 28, 28)) == [
        ("Conv2d", (32, 24, 24)),
        ("LeakyReLU", (32, 24, 24)),
        ("MaxPool2d", (32, 12, 12)),
        ("Conv2d", (64, 8, 8)),
        ("LeakyReLU", (64, 8, 8)),
        ("MaxPool2d", (64, 4, 4)),
        ("Linear", (1024,)),
        ("LeakyReLU", (1024,)),
        ("Linear", (1,)),
    ]
    assert shapes_seen(generator, torch.zeros(2, 96)) == [
        ("Linear", (1024,)),
        ("ReLU", (1024,)),
        ("BatchNorm1d", (1024,)),
        ("LinearToMaps", (128, 7, 7)),
        ("ReLU", (128, 7, 7)),
        ("BatchNormOfPixels", (128, 7, 7)),
        ("ConvTranspose2d", (64, 14, 14)),
        ("ReLU", (64, 14, 14)),
        ("BatchNorm2d", (64, 14, 14)),
        ("ConvTranspose2d", (1, 28, 28)),
        ("Tanh", (1, 28, 28)),
    ]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("width", [16, 17, 18, 19, 45, 64])
def test_any_image_of_at_least_16_pixels_a_side(channels: int, width: int) -> None:
    for height in range(16, 33):
        with torch.device("meta"):
            images = ConvGenerator(5, (channels, height, width))(torch.empty(2, 5))
            assert images.shape == (2, channels, height, width)
            assert ConvDiscriminator((channels, height, width))(images).shape == (2, 1)


def test_images_stay_in_range() -> None:
    generator = ConvGenerator(4, (3, 17, 22))
    with torch.no_grad():
        generator.get_parameter("upsample.conv2.weight").mul_(1e3)
    images = generator(uniform_noise(8, 4, generator=seeded()))
    assert images.shape == (8, 3, 17, 22)
    assert images.min() == -1
    assert images.max() == 1


def test_every_pixel_of_an_odd_image_depends_on_the_noise() -> None:
    # Output padding adds a last row and column: they must come from the map, not be the bias alone.
    images = ConvGenerator(4, (1, 19, 23))(uniform_noise(8, 4, generator=seeded()))
    assert (images.std(dim=0) > 0).all()


# Xavier uniform: bound sqrt(6 / (fan_in + fan_out)); PyTorch's own: 1 / sqrt(fan_in), for the biases too.
XAVIER = {
    "critic.linear1.weight": math.sqrt(6 / (1024 + 1024)),
    "critic.linear2.weight": math.sqrt(6 / (1024 + 1)),
    "project.linear1.weight": math.sqrt(6 / (96 + 1024)),
    "project.linear2.weight": math.sqrt(6 / (1024 + 6272)),
    "upsample.conv1.weight": math.sqrt(6 / (16 * (128 + 64))),
    "upsample.conv2.weight": math.sqrt(6 / (16 * (64 + 1))),
}
DEFAULT = {
    "features.conv1.weight": 1 / math.sqrt(25),
    "features.conv2.weight": 1 / math.sqrt(32 * 25),
    "features.conv1.bias": 1 / math.sqrt(25),
    "features.conv2.bias": 1 / math.sqrt(32 * 25),
    "critic.linear1.bias": 1 / math.sqrt(1024),
    "project.linear1.bias": 1 / math.sqrt(96),
    "project.linear2.bias": 1 / math.sqrt(1024),
    "upsample.conv1.bias": 1 / math.sqrt(64 * 16),
}


@pytest.mark.parametrize(("name", "bound"), [*XAVIER.items(), *DEFAULT.items()])
def test_initial_weights(discriminator: ConvDiscriminator, generator: ConvGenerator, name: str, bound: float) -> None:
    values = {**dict(discriminator.named_parameters()), **dict(generator.named_parameters())}[name].detach()
    assert values.abs().max() <= bound * (1 + 1e-6)
    assert values.abs().max() > bound * (1 - 10 / values.numel())  # misses with probability e^-10
    spread = (values / bound).square().mean().item()  # 1/3, with a standard error of sqrt(4 / 45 / n)
    assert abs(spread - 1 / 3) < 5 * math.sqrt(4 / 45 / values.numel())


def test_batch_norms_start_as_the_identity(generator: ConvGenerator) -> None:
    norms = [m for m in generator.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) == 3
    assert all((norm.weight == 1).all() and (norm.bias == 0).all() for norm in norms)


def test_every_weight_is_trained() -> None:
    discriminator, generator = ConvDiscriminator((1, 16, 20)), ConvGenerator(4, (1, 16, 20))
    discriminator(generator(uniform_noise(8, 4, generator=seeded()))).square().sum().backward()
    for network in (discriminator, generator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_initial_weights_follow_the_global_seed_and_a_forward_draws_nothing() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first = ConvGenerator(4, (1, 16, 16))
        torch.manual_seed(3)
        second = ConvGenerator(4, (1, 16, 16))
        discriminator = ConvDiscriminator((1, 16, 16))
        state = torch.get_rng_state()
        noise = uniform_noise(2, 4, generator=seeded())
        assert torch.equal(first(noise), second(noise))
        discriminator(first(noise))
        assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("build", [ConvDiscriminator, lambda shape: ConvGenerator(4, shape)])
def test_impossible_shapes(build) -> None:
    with pytest.raises(UsageError) as error:
        build((3, 32, 12))
    assert str(error.value) == (
        "image shape (3, 32, 12) is not allowed: give (channels, height, width) of at least (1, 16, 16); "
        "enlarge smaller images first."
    )


def test_no_noise() -> None:
    with pytest.raises(UsageError) as error:
        ConvGenerator(0, (1, 28, 28))
    assert str(error.value) == "noise_dim 0 is not allowed: give a whole number of at least 1."

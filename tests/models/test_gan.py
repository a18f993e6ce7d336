"""The fully connected GAN: sizes, layers in their order, ranges; the noise's range and moments."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from etude.errors import UsageError
from etude.models import Discriminator, Generator, uniform_noise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_parameters_of_the_classical_networks() -> None:
    discriminator, generator = Discriminator((1, 28, 28)), Generator(4, (1, 28, 28))
    assert sum(p.numel() for p in discriminator.parameters()) == 267_009
    assert sum(p.numel() for p in generator.parameters()) == 1_858_320
    names = [f"layers.linear{i}.{kind}" for i in (1, 2, 3) for kind in ("weight", "bias")]
    assert [name for name, _ in discriminator.named_parameters()] == names
    assert [name for name, _ in generator.named_parameters()] == names
    assert [tuple(p.shape) for p in discriminator.parameters()] == [
        (256, 784),
        (256,),
        (256, 256),
        (256,),
        (1, 256),
        (1,),
    ]
    assert [tuple(p.shape) for p in generator.parameters()] == [
        (1024, 4), (1024,), (1024, 1024), (1024,), (784, 1024), (784,)
    ]  # fmt: skip


def linear(x: np.ndarray, network: torch.nn.Module, layer: int) -> np.ndarray:
    weight = network.get_parameter(f"layers.linear{layer}.weight").detach().double().numpy()
    return x @ weight.T + network.get_parameter(f"layers.linear{layer}.bias").detach().double().numpy()


def test_discriminator_equals_the_course_in_numpy() -> None:
    discriminator = Discriminator((1, 28, 28))
    images = uniform_noise(5, 784, generator=seeded()).view(5, 1, 28, 28)
    x = images.double().numpy().reshape(5, 784)
    for layer in (1, 2):
        x = linear(x, discriminator, layer)
        x = np.where(x > 0, x, 0.01 * x)
    scores = discriminator(images)
    assert scores.shape == (5, 1)
    np.testing.assert_allclose(scores.detach().numpy(), linear(x, discriminator, 3), rtol=1e-4, atol=1e-6)


def test_generator_equals_the_course_in_numpy() -> None:
    generator = Generator(96, (1, 28, 28))
    noise = uniform_noise(5, 96, generator=seeded())
    x = noise.double().numpy()
    for layer in (1, 2):
        x = np.maximum(linear(x, generator, layer), 0)
    expected = np.tanh(linear(x, generator, 3)).reshape(5, 1, 28, 28)
    np.testing.assert_allclose(generator(noise).detach().numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 32, 32), (1, 17, 45), (4, 31, 16)])
def test_any_image_of_at_least_16_pixels_a_side(shape: tuple[int, int, int]) -> None:
    images = Generator(3, shape)(uniform_noise(2, 3, generator=seeded()))
    assert images.shape == (2, *shape)
    assert Discriminator(shape)(images).shape == (2, 1)


def test_images_stay_in_range_and_scores_have_no_sigmoid() -> None:
    images = Generator(4, (1, 28, 28))(1e4 * uniform_noise(64, 4, generator=seeded()))
    assert images.min() == -1
    assert images.max() == 1
    scores = Discriminator((1, 28, 28))(1e3 * images)
    assert scores.abs().max() > 1


def test_initial_weights_follow_the_global_seed_and_a_forward_draws_nothing() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first = Generator(4, (1, 28, 28))
        torch.manual_seed(3)
        second = Generator(4, (1, 28, 28))
        discriminator = Discriminator((1, 28, 28))
        state = torch.get_rng_state()
        noise = uniform_noise(2, 4, generator=seeded())
        assert torch.equal(first(noise), second(noise))
        discriminator(first(noise))
        assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("build", [Discriminator, lambda shape: Generator(4, shape)])
def test_impossible_shapes(build) -> None:
    with pytest.raises(UsageError) as error:
        build((1, 8, 8))
    assert str(error.value) == (
        "image shape (1, 8, 8) is not allowed: give (channels, height, width) of at least (1, 16, 16); "
        "enlarge smaller images first."
    )


def test_no_noise() -> None:
    with pytest.raises(UsageError) as error:
        Generator(0, (1, 28, 28))
    assert str(error.value) == "noise_dim 0 is not allowed: give a whole number of at least 1."


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_noise_is_uniform_in_minus_1_to_1(dtype: torch.dtype) -> None:
    noise = uniform_noise(1000, 96, generator=seeded(), dtype=dtype)
    assert noise.shape == (1000, 96)
    assert noise.dtype == dtype
    values = noise.double().numpy().ravel()
    n = values.size
    assert values.min() >= -1
    assert values.max() <= 1
    assert values.min() < -0.999
    assert values.max() > 0.999
    assert abs(values.mean()) < 4 * math.sqrt(1 / 3 / n)
    assert abs(values.var() - 1 / 3) < 4 * math.sqrt(4 / 45 / n)  # x² of a uniform x has variance 1/5 - 1/9
    assert stats.kstest(values, stats.uniform(-1, 2).cdf).pvalue > 0.001
    neighbours = np.corrcoef(noise.double().numpy(), rowvar=False)
    assert np.abs(neighbours - np.eye(96)).max() < 0.2  # 6 standard errors of a correlation of 1,000 pairs


def test_noise_comes_from_its_generator_alone() -> None:
    state = torch.get_rng_state()
    generator = seeded(1)
    first, second = uniform_noise(3, 4, generator=generator), uniform_noise(3, 4, generator=generator)
    assert torch.equal(first, uniform_noise(3, 4, generator=seeded(1)))
    assert not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert uniform_noise(2, 3, generator=generator, device="meta").device.type == "meta"
    assert uniform_noise(0, 3, generator=generator).shape == (0, 3)
    assert uniform_noise(9, 9, generator=generator, dtype=torch.bfloat16).abs().max() <= 1

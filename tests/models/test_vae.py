"""The VAE, plain and conditional: sizes, layers in their order, sampling, labels."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from etude.errors import UsageError
from etude.models import VAE


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey(num: int, shape: tuple[int, int, int] = (1, 28, 28)) -> Tensor:
    return torch.rand(num, *shape, generator=seeded())


def noise(num: int, dim: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(num, dim, generator=seeded(seed))


def test_parameters_of_the_classical_networks() -> None:
    shapes = {name: tuple(p.shape) for name, p in VAE((1, 28, 28), 2).named_parameters() if p.dim() > 1}
    assert shapes == {
        "encoder.conv1.weight": (32, 1, 3, 3),
        "encoder.conv2.weight": (64, 32, 3, 3),
        "encoder.linear.weight": (16, 3136),
        "encoder.mean.weight": (2, 16),
        "encoder.logvar.weight": (2, 16),
        "decoder.linear.weight": (3136, 2),
        "decoder.conv1.weight": (64, 32, 3, 3),
        "decoder.conv2.weight": (32, 1, 3, 3),
    }
    conditional = VAE((1, 28, 28), 2, num_classes=10)
    assert {n: tuple(p.shape) for n, p in conditional.named_parameters() if p.dim() > 1} == shapes | {
        "encoder.label.weight": (32 * 14 * 14, 10),
        "decoder.label.weight": (3136, 10),
    }
    assert sum(p.numel() for p in VAE((1, 28, 28), 2).parameters()) == 97_237
    assert sum(p.numel() for p in conditional.parameters()) == 97_237 + 11 * 32 * 14 * 14 + 11 * 3136


@pytest.mark.parametrize("num_classes", [None, 10])
def test_layers_in_the_order_of_the_course(num_classes: int | None) -> None:
    vae = VAE((1, 28, 28), 2, num_classes)
    w = dict(vae.named_parameters())
    images = grey(4)
    labels = None if num_classes is None else torch.tensor([0, 3, 3, 9])
    x = F.conv2d(images, w["encoder.conv1.weight"], w["encoder.conv1.bias"], stride=2, padding=1)
    if labels is not None:
        x = x + (w["encoder.label.weight"].T[labels] + w["encoder.label.bias"]).reshape(4, 32, 14, 14)
    x = F.relu(F.conv2d(F.relu(x), w["encoder.conv2.weight"], w["encoder.conv2.bias"], stride=2, padding=1))
    assert x.shape == (4, 64, 7, 7)
    x = torch.relu(x.reshape(4, 3136) @ w["encoder.linear.weight"].T + w["encoder.linear.bias"])
    mean, logvar = vae.encode(images, labels)
    torch.testing.assert_close(mean, x @ w["encoder.mean.weight"].T + w["encoder.mean.bias"])
    torch.testing.assert_close(logvar, x @ w["encoder.logvar.weight"].T + w["encoder.logvar.bias"])

    latents = torch.randn(4, 2, generator=seeded())
    x = latents @ w["decoder.linear.weight"].T + w["decoder.linear.bias"]
    if labels is not None:
        x = x + w["decoder.label.weight"].T[labels] + w["decoder.label.bias"]
    x = torch.relu(x).reshape(4, 64, 7, 7)
    up = {"stride": 2, "padding": 1, "output_padding": 1}
    x = torch.relu(F.conv_transpose2d(x, w["decoder.conv1.weight"], w["decoder.conv1.bias"], **up))
    assert x.shape == (4, 32, 14, 14)
    x = F.conv_transpose2d(x, w["decoder.conv2.weight"], w["decoder.conv2.bias"], **up)
    torch.testing.assert_close(vae.decode_logits(latents, labels), x)
    torch.testing.assert_close(vae.decode(latents, labels), 1 / (1 + torch.exp(-x)))

    logits, *moments = vae(images, labels, noise=noise(4, seed=5))
    sampled = VAE.sample_latent(mean, logvar, generator=seeded(5))
    torch.testing.assert_close(logits, vae.decode_logits(sampled, labels))
    torch.testing.assert_close(moments, [mean, logvar])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("width", [16, 17, 18, 19, 45, 64])
def test_any_image_of_at_least_16_pixels_a_side(channels: int, width: int) -> None:
    for height in range(16, 33):
        with torch.device("meta"):
            vae = VAE((channels, height, width), 7)
            logits, mean, logvar = vae(torch.empty(2, channels, height, width), noise=torch.empty(2, 7))
        assert logits.shape == (2, channels, height, width)
        assert mean.shape == logvar.shape == (2, 7)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 32, 32), (2, 17, 30)])
def test_the_conditional_network_takes_other_sizes_too(shape: tuple[int, int, int]) -> None:
    vae = VAE(shape, 3, num_classes=4)
    logits, mean, _ = vae(grey(2, shape), torch.tensor([0, 3]), noise=noise(2, 3))
    assert logits.shape == (2, *shape)
    assert mean.shape == (2, 3)


def test_every_weight_is_trained() -> None:
    vae = VAE((1, 17, 20), 2, num_classes=3)
    logits, mean, logvar = vae(grey(6, (1, 17, 20)), torch.tensor([0, 1, 2, 0, 1, 2]), noise=noise(6))
    (logits.square().sum() + mean.square().sum() + logvar.square().sum()).backward()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_decoded_image_is_in_0_to_1_even_far_from_the_prior() -> None:
    images = VAE((1, 28, 28), 2).decode(1e6 * torch.randn(8, 2, generator=seeded()))
    assert images.min() == 0
    assert images.max() == 1


def test_sampling_has_the_moments_of_the_course() -> None:
    ones = torch.ones(10_000, 1)
    latents = VAE.sample_latent(ones, ones, generator=seeded())
    assert latents.shape == (10_000, 1)
    assert (latents.mean().item() - 1) ** 2 < 1e-3
    # Four standard errors of a normal sample's variance: e · sqrt(2 / n).
    assert abs(latents.var().item() - math.e) < 4 * math.e * math.sqrt(2 / 10_000)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_sampling_is_mean_plus_standard_deviation_times_noise(dtype: torch.dtype) -> None:
    mean, logvar = torch.randn(2, 50, 3, generator=seeded(), dtype=torch.float64).to(dtype)
    latents = VAE.sample_latent(mean, logvar, generator=seeded(1))
    noise_dtype = torch.promote_types(dtype, torch.float32)
    noise = torch.randn(50, 3, generator=seeded(1), dtype=noise_dtype)
    assert latents.dtype == dtype
    expected = (mean.double() + logvar.double().exp().sqrt() * noise.double()).to(dtype)
    torch.testing.assert_close(latents, expected)
    # No spread, no noise: exact at the extreme.
    assert torch.equal(VAE.sample_latent(mean, torch.full_like(mean, -1e4), generator=seeded()), mean)


def test_sampling_passes_gradients_to_mean_and_logvar() -> None:
    mean = torch.tensor([[0.5, -1.0]], dtype=torch.float64, requires_grad=True)
    logvar = torch.tensor([[0.2, -3.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m, v: VAE.sample_latent(m, v, generator=seeded()), (mean, logvar))


def test_sampling_draws_from_its_generator_alone() -> None:
    mean, logvar = torch.zeros(2, 3, 2)
    state = torch.get_rng_state()
    first = VAE.sample_latent(mean, logvar, generator=seeded(1))
    again = VAE.sample_latent(mean, logvar, generator=seeded(1))
    other = VAE.sample_latent(mean, logvar, generator=seeded(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_initial_weights_follow_the_global_seed() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first = VAE((1, 28, 28), 2, num_classes=10).state_dict()
        torch.manual_seed(3)
        second = VAE((1, 28, 28), 2, num_classes=10).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("num_classes", [None, 10])
def test_half_precision(num_classes: int | None) -> None:
    vae = VAE((1, 28, 28), 2, num_classes)
    labels = None if num_classes is None else torch.tensor([1, 2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, mean, _ = vae(grey(2), labels, noise=noise(2))
    assert logits.dtype == mean.dtype == torch.bfloat16
    logits, *_ = vae.bfloat16()(grey(2).bfloat16(), labels, noise=noise(2))
    assert logits.dtype == torch.bfloat16


def test_the_label_changes_the_code_and_the_image() -> None:
    vae = VAE((1, 28, 28), 2, num_classes=10)
    images = grey(1).expand(10, -1, -1, -1)
    labels = torch.arange(10)
    means, _ = vae.encode(images, labels)
    assert len(means.unique(dim=0)) == 10
    assert len(vae.decode(torch.zeros(10, 2), labels).flatten(1).unique(dim=0)) == 10


LABELS = torch.tensor([0, 1, 2])
CONDITIONAL = "this VAE is conditional on 10 classes: give labels, one class index for each image."


def test_one_hot_labels_are_taken_as_they_are() -> None:
    vae = VAE((1, 28, 28), 2, 10)
    one_hot = F.one_hot(LABELS, 10).float()
    for given, other in zip(vae(grey(3), LABELS, noise=noise(3)), vae(grey(3), one_hot, noise=noise(3)), strict=True):
        assert torch.equal(given, other)


PLAIN = "this VAE is not conditional: leave the labels out, or build it with num_classes."


@pytest.mark.parametrize(
    ("num_classes", "labels", "message"),
    [
        (10, None, CONDITIONAL),
        (None, LABELS, PLAIN),
        (10, torch.tensor([0, 10, 11]), "label 10 is out of range: this VAE knows the classes 0 to 9."),
        (10, torch.tensor([0, 9, -1]), "label -1 is out of range: this VAE knows the classes 0 to 9."),
        (
            10,
            LABELS[:2],
            "labels of shape (2,) and type torch.int64 are not allowed: "
            "give one int64 class index for each image, shape (3,).",
        ),
        (
            10,
            LABELS[:, None].float(),
            "labels of shape (3, 1) and type torch.float32 are not allowed: "
            "give one int64 class index for each image, shape (3,).",
        ),
    ],
)
def test_labels_that_do_not_fit(num_classes: int | None, labels: Tensor | None, message: str) -> None:
    vae = VAE((1, 28, 28), 2, num_classes)
    for use in (
        lambda: vae.encode(grey(3), labels),
        lambda: vae.decode(torch.zeros(3, 2), labels),
        lambda: vae.decode_logits(torch.zeros(3, 2), labels),
        lambda: vae(grey(3), labels, noise=noise(3)),
    ):
        with pytest.raises(UsageError) as error:
            use()
        assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ((1, 14, 28), 2),
            "image shape (1, 14, 28) is not allowed: give (channels, height, width) of at least (1, 16, 16); "
            "enlarge smaller images first.",
        ),
        (((1, 28, 28), 0), "latent_dim 0 is not allowed: give a whole number of at least 1."),
        (((1, 28, 28), 2, 0), "num_classes 0 is not allowed: give a whole number of at least 1."),
    ],
)
def test_impossible_sizes(arguments: tuple, message: str) -> None:
    with pytest.raises(UsageError) as error:
        VAE(*arguments)
    assert str(error.value) == message

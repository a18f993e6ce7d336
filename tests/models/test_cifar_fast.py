"""The fast CIFAR-10 network: what its whitening computes, its size, the images it accepts."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from etude.data import load
from etude.errors import UsageError
from etude.models import CifarFast
from etude.models.cifar_fast import SMALLEST_VARIANCE, whitening_filters


def correlated(*shape: int) -> Tensor:
    """Noise, blurred and with mixed channels, so that neighbours are alike."""
    noise = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    return F.avg_pool2d(noise, 3, stride=1, padding=1) + 0.5 * noise.mean(dim=1, keepdim=True) + 0.1 * noise + 0.3


def patches_of(images: np.ndarray) -> np.ndarray:
    """Every 2×2 patch of images (N, C, H, W), (patches, C·4)."""
    corners = [images[:, :, i : images.shape[2] - 1 + i, j : images.shape[3] - 1 + j] for i in (0, 1) for j in (0, 1)]
    stacked = np.stack(corners, axis=2)  # (N, C, 4, H-1, W-1)
    return stacked.transpose(0, 3, 4, 1, 2).reshape(-1, images.shape[1] * 4)


def test_whitened_patches_have_the_identity_as_covariance() -> None:
    images = correlated(200, 3, 16, 16).double()
    patches = patches_of(images.numpy())
    before = np.linalg.eigvalsh(np.cov(patches.T))
    assert before[-1] > 20 * before[0]  # there was something to whiten
    filters = whitening_filters(images)
    assert filters.shape == (12, 3, 2, 2)
    whitened = patches @ filters.reshape(12, 12).numpy().T
    # Exactly Λ / (Λ + ε) along the directions, strongest first.
    shrunk = np.diag((before / (before + SMALLEST_VARIANCE))[::-1])
    np.testing.assert_allclose(np.cov(whitened.T), shrunk, atol=1e-9)
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(12), atol=2 * SMALLEST_VARIANCE / before[0])
    # A convolution sees the same patches.
    responses = F.conv2d(images, filters).permute(0, 2, 3, 1).reshape(-1, 12)
    np.testing.assert_allclose(responses.numpy(), whitened, atol=1e-9)


def test_the_first_layer_is_the_whitening_and_its_opposite_and_is_no_parameter() -> None:
    network, images = CifarFast((3, 16, 16), 10, 4), correlated(50, 3, 16, 16)
    network.whiten(images)
    whitening = network.state_dict()["whitening"]
    torch.testing.assert_close(whitening, torch.cat([whitening[:12], -whitening[:12]]), rtol=0, atol=0)
    torch.testing.assert_close(whitening[:12], whitening_filters(images).float())
    assert "whitening" not in dict(network.named_parameters())


def test_digits_whose_borders_never_vary_whiten_to_finite_numbers() -> None:
    images = load("digits").train.images / 127.5 - 1
    assert whitening_filters(images).isfinite().all()


def test_parameters() -> None:
    network = CifarFast((3, 32, 32), 10, 64)
    blocks = [(24, 64), (64, 256), (256, 256)]
    expected = 24 + sum(9 * i * o + 9 * o * o + 4 * o for i, o in blocks) + 256 * 10
    assert sum(p.numel() for p in network.parameters()) == expected == 1_972_504


def test_layers_one_by_one() -> None:
    network = CifarFast((3, 32, 32), 10, 8).eval()
    w = network.state_dict()
    x = images = correlated(4, 3, 32, 32)
    x = F.relu(F.conv2d(x, w["whitening"], w["bias"]))
    for index in range(3):
        for half, pooled in (("1", True), ("2", False)):
            x = F.conv2d(x, w[f"blocks.{index}.conv{half}.weight"], padding=1)
            x = F.max_pool2d(x, 2) if pooled else x
            norm = [w[f"blocks.{index}.norm{half}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
            x = F.relu(F.batch_norm(x, *norm))
    logits = x.flatten(2).max(dim=2).values @ w["classifier.weight"].T / 9
    torch.testing.assert_close(network(images), logits)


def test_a_convolution_begins_by_handing_its_input_on() -> None:
    network = CifarFast((3, 32, 32), 10, 32)
    x = torch.randn(2, 24, 31, 31, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network.blocks[0].get_submodule("conv1")(x)[:, :24], x)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [16, 17, 28, 33])
def test_any_image_of_at_least_16_pixels_a_side(channels: int, side: int) -> None:
    with torch.device("meta"):
        assert CifarFast((channels, side, 32), 7, 4)(torch.empty(3, channels, side, 32)).shape == (3, 7)


def test_every_parameter_is_trained() -> None:
    network = CifarFast((1, 28, 28), 10, 8)
    images = correlated(8, 1, 28, 28)
    F.cross_entropy(network(images), torch.arange(8)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_impossible_shapes() -> None:
    with pytest.raises(UsageError) as error:
        CifarFast((3, 8, 8), 10, 4)
    assert str(error.value) == (
        "image shape (3, 8, 8) is not allowed: give (channels, height, width) of at least (1, 16, 16); "
        "enlarge smaller images first."
    )

"""A VAE trained on binarised pixels: what its network is given, and that the draws are right."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import etude
from etude.drawing.tiles import read_png, untile
from etude.models import VAE
from etude.training import Display


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Every batch of images that a VAE's forward pass is given, in order."""
    batches: list[Tensor] = []
    forward = VAE.forward

    def remember(self: VAE, images: Tensor, *arguments: Any, **keywords: Any) -> Any:
        batches.append(images.clone())
        return forward(self, images, *arguments, **keywords)

    monkeypatch.setattr(VAE, "forward", remember)
    return batches


def train(folder: Path, **changes: Any) -> etude.Run:
    # One batch of all images: every epoch sees the same ones, in another order.
    small = {"data": "digits", "epochs": 200, "train_images": 20, "batch_size": 20, "threads": 1}
    return etude.train("vae", **{**small, **changes}, runs_dir=folder, display=Display(quiet=True))


def test_pixels_are_drawn_anew_at_every_step_with_their_grey_value_as_probability(
    tmp_path: Path, seen: list[Tensor]
) -> None:
    run = train(tmp_path, binarize="dynamic")
    dataset = run.dataset()
    assert all(((batch == 0) | (batch == 1)).all() for batch in seen)
    steps = torch.stack([batch for batch in seen if len(batch) == 20])  # test batches are larger
    assert len(steps) == 200
    assert not torch.equal(steps[0].sum(0), steps[1].sum(0))
    grey = dataset.train.images[:20].double() / 255
    # 4,000 draws of each position, over all images: within five standard errors of the mean grey value.
    error = 5 * (grey * (1 - grey)).mean(0).div(len(steps) * 20).sqrt() + 1e-12
    assert ((steps.double().mean(dim=(0, 1)) - grey.mean(0)).abs() <= error).all()


def test_the_test_images_are_the_same_draw_in_every_epoch(tmp_path: Path, seen: list[Tensor]) -> None:
    train(tmp_path, binarize="dynamic", epochs=2)
    first, second = (torch.cat(part) for part in _by_epoch(seen))
    assert len(first) == 297
    assert torch.equal(first, second)


def test_grey_pixels_stay_grey_when_nothing_is_said(tmp_path: Path, seen: list[Tensor]) -> None:
    run = train(tmp_path, epochs=1)
    images = run.dataset().train.images[:20].float() / 255
    assert torch.equal(seen[0].flatten(1).sum(1).sort().values, images.flatten(1).sum(1).sort().values)


def _by_epoch(seen: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """The test batches of two epochs: those that are no batch of 20 training images."""
    of_test = [batch for batch in seen if len(batch) != 20]
    half = len(of_test) // 2
    return of_test[:half], of_test[half:]


def test_a_preview_shows_the_pixels_that_the_network_is_given(tmp_path: Path) -> None:
    run = train(tmp_path, binarize="dynamic", epochs=1)
    _, path = run.preview_images()[-1]
    grid = untile(read_png(path), image_shape=run.image_shape, columns=8, count=64)
    grid = torch.from_numpy(grid).reshape(8, 8, *run.image_shape)  # rows of 8, of which 5 and 7 are originals
    originals, reconstructions = grid[[4, 6]], grid[[5, 7]]
    assert is_binary(originals)
    assert not is_binary(reconstructions)
    grey = run.dataset().test.images[:16].float() / 255
    assert (originals.flatten(0, 1)[grey == 1] == 1).all()


def test_what_is_encoded_later_is_binary_too_and_the_same_each_time(tmp_path: Path) -> None:
    run = train(tmp_path, binarize="dynamic", epochs=1)
    images = run.dataset().test.images[:200]
    drawn = run.inputs(images)
    assert is_binary(drawn)
    grey = images.double() / 255
    error = 5 * (grey * (1 - grey)).mean(0).div(200).sqrt() + 1e-12  # five standard errors
    assert ((drawn.double().mean(0) - grey.mean(0)).abs() <= error).all()
    assert torch.equal(run.encode(images), run.encode(images))
    network = run.networks["vae"]
    assert isinstance(network, VAE)
    with torch.no_grad():
        assert torch.equal(run.encode(images), network.encode(drawn)[0])
    assert torch.equal(run.inputs(drawn), drawn)  # binary images stay as they are
    other = run.inputs(images, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(other, drawn)


def is_binary(images: Tensor) -> bool:
    return bool(((images == 0) | (images == 1)).all())

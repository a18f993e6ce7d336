import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from etude.drawing.tiles import GAP_LEVEL, GAP_PIXELS, read_png, tile, untile, write_png
from etude.errors import DiskError


@settings(deadline=None, max_examples=50)
@given(
    count=st.integers(1, 12),
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    columns=st.integers(1, 15),
    seed=st.integers(0, 1000),
)
def test_untile_undoes_tile(count: int, channels: int, height: int, width: int, columns: int, seed: int) -> None:
    levels = np.random.default_rng(seed).integers(0, 256, (count, channels, height, width))
    images = (levels / 255).astype(np.float32)
    back = untile(tile(images, columns=columns), image_shape=(channels, height, width), columns=columns, count=count)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, images)


def test_layout_of_three_images_in_two_columns() -> None:
    images = torch.stack([torch.full((1, 28, 28), level) for level in (0.0, 0.5, 1.0)])
    pixels = tile(images, columns=2)
    gap, side = GAP_PIXELS, 56  # 28 doubled
    assert pixels.shape == (3 * gap + 2 * side, 3 * gap + 2 * side)
    assert pixels.dtype == np.uint8
    expected = np.full_like(pixels, GAP_LEVEL)
    expected[gap : gap + side, gap : gap + side] = 0
    expected[gap : gap + side, 2 * gap + side : -gap] = 128
    expected[2 * gap + side : -gap, gap : gap + side] = 255
    np.testing.assert_array_equal(pixels, expected)


def test_colour_keeps_its_channels() -> None:
    red = torch.zeros(1, 3, 32, 32)
    red[:, 0] = 1
    pixels = tile(red, columns=8)
    assert pixels.shape == (64 + 2 * GAP_PIXELS, 64 + 2 * GAP_PIXELS, 3)
    np.testing.assert_array_equal(pixels[GAP_PIXELS, GAP_PIXELS], [255, 0, 0])


def test_values_out_of_range_are_clipped_and_nan_is_black() -> None:
    values = torch.tensor([-5.0, 2.0, float("nan"), float("inf"), -float("inf")]).reshape(5, 1, 1, 1)
    back = untile(tile(values, columns=5), image_shape=(1, 1, 1), columns=5, count=5)
    assert back.flatten().tolist() == [0, 1, 0, 1, 0]


def test_bfloat16_with_gradient() -> None:
    images = torch.full((1, 1, 28, 28), 0.5, dtype=torch.bfloat16, requires_grad=True)
    assert tile(images, columns=1)[GAP_PIXELS, GAP_PIXELS] == 128


def test_untile_refuses_another_picture() -> None:
    with pytest.raises(ValueError, match="are not 4 tiles of"):
        untile(np.zeros((10, 10), np.uint8), image_shape=(1, 28, 28), columns=2, count=4)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_holds_the_pixels(tmp_path: Path, channels: int) -> None:
    images = np.random.default_rng(0).random((5, channels, 28, 28))
    pixels = tile(images, columns=3)
    path = tmp_path / "samples" / "step-000250.png"
    write_png(path, pixels)
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "L" if channels == 1 else "RGB")
    np.testing.assert_array_equal(read_png(path), pixels)
    assert list(path.parent.iterdir()) == [path]


def test_png_without_space_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "grid.png"
    write_png(path, np.zeros((4, 4), np.uint8))
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError) as caught:
        write_png(path, np.ones((4, 4), np.uint8))
    assert str(caught.value) == (
        f"cannot write {path}: no space left on device; free some space or choose another folder."
    )
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_png_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "samples").write_bytes(b"")
    path = tmp_path / "samples" / "step-000250.png"
    with pytest.raises(DiskError) as caught:
        write_png(path, np.zeros((4, 4), np.uint8))
    assert str(caught.value) == f"cannot write {path}: file exists; free some space or choose another folder."

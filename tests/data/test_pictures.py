"""Single pictures: formats, modes, levels beyond 8 bits, squares; damaged ones."""

import io
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from etude.data.folder import read_image
from etude.data.pictures import Fit, Kind, choose_range
from etude.errors import DataError


def as_file(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path


def test_every_mode_is_understood(tmp_path: Path) -> None:
    def pixel(image: Image.Image, name: str) -> list[int]:
        array = read_image(as_file(image, tmp_path / name), 8)
        assert (array.shape, array.dtype) == ((8, 8, 3), np.uint8)
        assert (array == array[0, 0]).all()
        return array[0, 0].tolist()

    size = (8, 8)
    palette = Image.new("P", size, 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    clear = palette.copy()
    clear.info["transparency"] = 1
    assert pixel(Image.new("1", size, 1), "1.png") == [255, 255, 255]
    assert pixel(Image.new("L", size, 77), "L.png") == [77, 77, 77]
    assert pixel(palette, "P.gif") == [10, 20, 30]
    assert pixel(clear, "P.png") == [255, 255, 255]
    assert pixel(Image.new("RGB", size, (1, 2, 3)), "RGB.bmp") == [1, 2, 3]
    assert pixel(Image.new("RGBA", size, (10, 20, 30, 255)), "opaque.png") == [10, 20, 30]
    assert pixel(Image.new("RGBA", size, (10, 20, 30, 0)), "clear.png") == [255, 255, 255]
    assert pixel(Image.new("RGBA", size, (0, 0, 0, 128)), "half.png") == [127, 127, 127]
    assert pixel(Image.new("LA", size, (9, 0)), "LA.png") == [255, 255, 255]
    assert pixel(Image.new("CMYK", size, (0, 255, 255, 0)), "CMYK.tif") == [255, 0, 0]
    assert pixel(Image.fromarray(np.full(size, 257 * 90, np.uint16)), "16.png") == [90, 90, 90]
    assert pixel(Image.fromarray(np.full(size, 65_535, np.int32)), "32.tif") == [255, 255, 255]
    assert pixel(Image.fromarray(np.full(size, 0.5, np.float32)), "unit.tif") == [128, 128, 128]
    assert pixel(Image.fromarray(np.full(size, 200.0, np.float32)), "float.tif") == [200, 200, 200]
    assert pixel(Image.fromarray(np.full(size, np.nan, np.float32)), "nan.tif") == [0, 0, 0]
    assert pixel(Image.fromarray(np.full(size, np.inf, np.float32)), "inf.tif") == [255, 255, 255]
    frames = [Image.new("L", size, 40), Image.new("L", size, 80)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "moving.gif", 8)[0, 0].tolist() == [40, 40, 40]


def test_an_image_of_the_right_size_is_not_touched(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    path = as_file(Image.fromarray(pixels), tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(path, 32), pixels)


def test_the_central_square_is_kept(tmp_path: Path) -> None:
    """Red, a white square, blue: only the white is left, at any size; a smaller image is enlarged."""
    wide = np.zeros((10, 50, 3), np.uint8)
    wide[:, :20, 0], wide[:, 20:30], wide[:, 30:, 2] = 255, 255, 255
    for pixels in (wide, wide.transpose(1, 0, 2)):
        path = as_file(Image.fromarray(np.ascontiguousarray(pixels)), tmp_path / "x.png")
        for size in (1, 7, 40):
            assert (read_image(path, size) == 255).all()


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    upright = np.zeros((16, 16), np.uint8)
    upright[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise to see it upright
    Image.fromarray(np.rot90(upright).copy()).save(tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png", 16)[:, :, 0], upright)


def test_a_large_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    """Decoding at a fraction of the size must not show."""
    gradient = np.linspace(0, 255, 1_024).astype(np.uint8)
    path = as_file(Image.fromarray(np.tile(gradient, (1_024, 1))), tmp_path / "x.jpg")
    expected = gradient.reshape(32, 32).mean(axis=1)
    assert np.abs(read_image(path, 32)[16, :, 0] - expected)[1:-1].max() < 2


def test_a_picture_of_several_parts_is_read_by_its_first(tmp_path: Path) -> None:
    """Animated PNG, WebP and AVIF, a TIFF of pages, a JPEG with a preview behind it (MPO)."""
    first, second = (Image.new("RGB", (8, 8), (level, level, level)) for level in (40, 200))
    for name, format in (("x.png", None), ("x.webp", None), ("x.avif", None), ("x.tif", None), ("x.jpg", "MPO")):
        first.save(tmp_path / name, format=format, save_all=True, append_images=[second], quality=100)
        assert np.abs(read_image(tmp_path / name, 8).astype(int) - 40).max() <= 3, name


@pytest.mark.parametrize("name", ["x.jfif", "x.jpe", "x.avif", "x.dib", "x.apng", "x.pnm"])
def test_rarer_endings(tmp_path: Path, name: str) -> None:
    format = {".jfif": "JPEG", ".jpe": "JPEG", ".apng": "PNG", ".pnm": "PPM"}.get(Path(name).suffix)
    Image.new("RGB", (8, 8), (200, 100, 50)).save(tmp_path / name, format=format, quality=100)
    assert np.abs(read_image(tmp_path / name, 8).astype(int) - [200, 100, 50]).max() <= 4


@pytest.mark.parametrize(
    ("kind", "lowest", "highest", "expected"),
    [
        ("whole numbers", 0, 65_535, (0, 65_535)),
        ("whole numbers", 500, 40_000, (0, 65_535)),
        ("whole numbers", 0, 255, (0, 255)),
        ("whole numbers", 3, 200, (0, 255)),
        ("whole numbers", 0, 4_095, (0, 4_095)),  # 12 bits
        ("whole numbers", 12, 16_300, (12, 16_300)),  # 14 bits
        ("whole numbers", 32_000, 33_500, (32_000, 33_500)),  # CT, shifted
        ("whole numbers", -1_024, 3_071, (-1_024, 3_071)),  # Hounsfield units
        ("whole numbers", 0, 1_000_000, (0, 1_000_000)),
        ("whole numbers", 0, 1, (0, 1)),  # a mask
        ("whole numbers", 90, 90, (0, 255)),  # one level: as far as it is usual
        ("whole numbers", 23_130, 23_130, (0, 65_535)),
        ("whole numbers", -5, -5, (-5, -4)),
        ("fractions", 0, 1, (0, 1)),
        ("fractions", 0.02, 0.97, (0, 1)),
        ("fractions", 0, 0.01, (0, 0.01)),
        ("fractions", 0, 255, (0, 255)),
        ("fractions", -1, 1, (-1, 1)),
        ("fractions", -128, 127, (-128, 127)),
        ("fractions", 0, 2_550, (0, 2_550)),
        ("fractions", 0.5, 0.5, (0, 1)),
        ("fractions", float("nan"), float("nan"), (0, 1)),
    ],
)  # fmt: skip
def test_the_range_of_levels(kind: Kind, lowest: float, highest: float, expected: tuple[float, float]) -> None:
    assert choose_range(kind, lowest, highest) == expected


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("10.png", np.linspace(0, 1_023, 256).astype(np.uint16)),
        ("12.png", np.linspace(0, 4_095, 256).astype(np.uint16)),
        ("12.tif", np.linspace(0, 4_095, 256).astype(np.uint16)),
        ("14.png", np.linspace(0, 16_383, 256).astype(np.uint16)),
        ("16.png", np.linspace(0, 65_535, 256).astype(np.uint16)),
        ("shifted.png", np.linspace(30_000, 31_000, 256).astype(np.uint16)),
        ("signed.tif", np.linspace(-1_024, 3_071, 256).astype(np.int32)),
        ("32.tif", np.linspace(0, 10_000_000, 256).astype(np.int32)),
        ("byte.tif", np.arange(256, dtype=np.int32)),
        ("unit.tif", np.linspace(0, 1, 256).astype(np.float32)),
        ("centred.tif", np.linspace(-1, 1, 256).astype(np.float32)),
        ("signed-byte.tif", np.linspace(-128, 127, 256).astype(np.float32)),
        ("wide.tif", np.linspace(0, 2_550, 256).astype(np.float32)),
        ("tiny.tif", np.linspace(0, 1e-6, 256).astype(np.float32)),
        ("huge.tif", np.linspace(-1e38, 1e38, 256).astype(np.float32)),
    ],
)
def test_levels_beyond_8_bits_fill_the_range(tmp_path: Path, name: str, levels: np.ndarray) -> None:
    """Grey from darkest to brightest comes out as 0 to 255, whatever it is counted in."""
    Image.fromarray(levels.reshape(16, 16)).save(tmp_path / name)
    read = read_image(tmp_path / name, 16)
    assert (read[..., 0] == read[..., 2]).all()
    assert np.abs(read[..., 0].ravel() - np.arange(256.0)).max() <= 1


def png_16(levels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow cannot write: (H, W, channels), 2 for grey with transparency, 3 or 4."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, channels = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("highest", [4_095, 65_535])
def test_colours_of_16_bits(tmp_path: Path, channels: int, highest: int) -> None:
    """Pillow reads their upper 8 bits alone: 12 bits in them would be black. Transparent parts stay white."""
    grey = np.linspace(0, highest, 256).reshape(16, 16, 1)
    levels = np.concatenate([grey, grey / 2, highest - grey], axis=2) if channels > 2 else grey
    if channels in (2, 4):
        alpha = np.full((16, 16, 1), 65_535)
        alpha[0, 0] = 0
        levels = np.concatenate([levels, alpha], axis=2)
    (tmp_path / "x.png").write_bytes(png_16(levels))
    read = read_image(tmp_path / "x.png", 16).astype(float)
    if channels in (2, 4):
        assert read[0, 0].tolist() == [255, 255, 255]
        read[0, 0] = [0, 0, 255] if channels == 4 else 0
    expected = np.arange(256.0).reshape(16, 16)
    assert np.abs(read[..., 0] - expected).max() <= 1
    assert np.abs(read[..., 1] - (expected if channels == 2 else expected / 2)).max() <= 1
    assert np.abs(read[..., 2] - (expected if channels == 2 else 255 - expected)).max() <= 1


def test_deep_levels_are_turned_upright(tmp_path: Path) -> None:
    upright = np.zeros((16, 16), np.uint16)
    upright[:8] = 4_000
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(upright).copy()).save(tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png", 16)[:, :, 0], np.where(upright, 255, 0))


@pytest.mark.parametrize(
    ("fit", "expected"), [("crop", [1, 1, 1, 1]), ("pad", [0, 1, 1, 0]), ("stretch", [0, 1, 1, 0])]
)
def test_fits(tmp_path: Path, fit: Fit, expected: list[int]) -> None:
    """A white square between black ones, 2 to 1: by rows pad adds black above and below, stretch does not."""
    wide = np.zeros((64, 128), np.uint8)
    wide[:, 32:96] = 255
    for turned in (False, True):
        Image.fromarray(wide.T.copy() if turned else wide).save(tmp_path / "x.png")
        read = read_image(tmp_path / "x.png", 64, fit=fit)[..., 0] / 255.0
        read = read.T if turned else read
        assert read.shape == (64, 64)
        assert [round(read[32, column]) for column in (8, 24, 40, 56)] == expected
        assert [round(read[row, 32]) for row in (8, 24, 40, 56)] == ([0, 1, 1, 0] if fit == "pad" else [1, 1, 1, 1])


FORMATS = ("AVIF", "PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")


@settings(deadline=None)
@given(
    format=st.sampled_from(FORMATS),
    edits=st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=5),
    cut=st.integers(0, 2_500),
)
def test_damaged_images_give_an_image_or_a_data_error(format: str, edits: list[tuple[int, int]], cut: int) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(buffer, format=format)
    damaged = bytearray(buffer.getvalue())
    for position, value in edits:
        damaged[position % len(damaged)] = value
    image_or_refused(bytes(damaged[: cut or None]))


@settings(deadline=None)
@given(
    start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"P6 9 9 255\n"]),
    content=st.binary(max_size=200),
)
def test_random_bytes_give_an_image_or_a_data_error(start: bytes, content: bytes) -> None:
    image_or_refused(start + content)


def image_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "1.png"
        file.write_bytes(content)
        try:
            pixels, message = read_image(file, 8), None
        except DataError as error:
            pixels, message = None, str(error)
    if pixels is None:
        assert message
        assert message.startswith(f"{file}: ")
        assert "\n" not in message
    else:
        assert (pixels.shape, pixels.dtype) == ((8, 8, 3), np.uint8)

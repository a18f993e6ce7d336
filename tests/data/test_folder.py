import io
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from etude.data import folder as folder_module
from etude.data import load
from etude.data.folder import SUFFIXES, load_folder, read_image
from etude.errors import DataError

ALLOWED = ".bmp, .gif, .jpeg, .jpg, .pbm, .pgm, .png, .ppm, .tif, .tiff, .webp"


def draw(path: Path, colour: object = 128, mode: str = "L", size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)  # pyright: ignore[reportArgumentType]


def test_train_and_test_folders(tmp_path: Path) -> None:
    for split, levels in (("train", (10, 20)), ("test", (30,))):
        for name in ("dog", "cat"):
            for level in levels:
                draw(tmp_path / split / name / f"{level}.png", level + (name == "dog"))
    names, train, test = load_folder(tmp_path, image_size=8, seed=0)
    assert names == ("cat", "dog")
    assert train.images.shape == (4, 1, 8, 8)
    assert train.images[:, 0, 0, 0].tolist() == [10, 20, 11, 21]
    assert train.labels.tolist() == [0, 0, 1, 1]
    assert test.images[:, 0, 0, 0].tolist() == [30, 31]
    assert test.labels.tolist() == [0, 1]
    assert (train.images.dtype, train.labels.dtype) == (torch.uint8, torch.int64)


def test_without_them_a_fifth_of_each_class_is_drawn(tmp_path: Path) -> None:
    for name, count in (("a", 20), ("b", 2), ("c", 7)):
        for number in range(count):
            draw(tmp_path / name / f"{number:02}.png", 10 * "abc".index(name) + number)

    def split(seed: int) -> tuple[list[int], list[int]]:
        _, train, test = load_folder(tmp_path, image_size=8, seed=seed)
        assert train.labels.bincount().tolist() == [16, 1, 6]
        assert test.labels.bincount().tolist() == [4, 1, 1]
        return train.images[:, 0, 0, 0].tolist(), test.images[:, 0, 0, 0].tolist()

    train, test = split(0)
    assert sorted(train + test) == sorted([*range(20), 10, 11, *range(20, 27)])
    assert split(0) == (train, test)
    assert split(1) != (train, test)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train", "bus"):
        for number in range(2):
            draw(tmp_path / name / f"{number}.png")
    assert load_folder(tmp_path, image_size=8, seed=0)[0] == ("bus", "train")


def test_what_is_no_image_is_passed_over(tmp_path: Path) -> None:
    for number in range(2):
        draw(tmp_path / "a" / f"{number}.PNG")
    (tmp_path / "a/notes.txt").write_text("x")
    (tmp_path / "a/._0.png").write_text("x")
    (tmp_path / "a/folder.png").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "readme.md").write_text("x")
    names, train, test = load_folder(tmp_path, image_size=8, seed=0)
    assert (names, len(train), len(test)) == (("a",), 1, 1)


def test_colour_when_any_image_has_one(tmp_path: Path) -> None:
    draw(tmp_path / "a/0.png", 50)
    draw(tmp_path / "a/1.png", (7, 7, 7), "RGB")
    assert load_folder(tmp_path, image_size=8, seed=0)[1].images.shape == (1, 1, 8, 8)
    draw(tmp_path / "b/0.png", (7, 7, 8), "RGB")
    draw(tmp_path / "b/1.png", 9)
    _, train, test = load_folder(tmp_path, image_size=8, seed=0)
    assert train.images.shape == (2, 3, 8, 8)
    pixels = torch.cat([train.images, test.images])[:, :, 0, 0].tolist()
    assert sorted(pixels) == [[7, 7, 7], [7, 7, 8], [9, 9, 9], [50, 50, 50]]


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


def test_each_wrong_folder_has_its_message(tmp_path: Path) -> None:
    def message() -> str:
        with pytest.raises(DataError) as error:
            load_folder(tmp_path / "data", image_size=8, seed=0)
        return str(error.value)

    data = tmp_path / "data"
    assert message() == f"{data}: no such folder; folder:PATH needs one folder per class below PATH."
    data.mkdir()
    no_classes = "holds no class folders; put the images of each class into a folder of its own."
    assert message() == f"{data}: {no_classes}"
    draw(data / "0.png")
    assert message() == f"{data}: {no_classes}"
    draw(data / "cat/0.png")
    assert message() == f"{data / 'cat'}: holds one image; a class needs two, to train and to test on."
    (data / "dog").mkdir()
    assert message() == f"{data / 'dog'}: holds no images; allowed are {ALLOWED}; add some or remove it."
    (data / "train").mkdir()
    assert message() == f"{data}: has train/ but no test/; add it, or put the class folders into {data}."
    (data / "test").mkdir()
    assert message() == f"{data / 'train'}: {no_classes}"
    draw(data / "train/cat/0.png")
    draw(data / "test/dog/0.png")
    assert message() == f"{data / 'test'}: lacks the class folder 'cat'; train/ and test/ need the same ones."
    draw(data / "test/cat/0.png")
    assert message() == f"{data / 'train'}: lacks the class folder 'dog'; train/ and test/ need the same ones."
    draw(data / "train/dog/0.png")
    (data / "train").rename(data / "training")
    assert message() == f"{data}: has test/ but no train/; add it, or put the class folders into {data}."
    assert len(SUFFIXES) == len(ALLOWED.split())


def huge_png() -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_each_wrong_image_has_its_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)).save(buffer, format="PNG")
    whole = buffer.getvalue()
    broken = "not a whole image, or of an unknown format; replace or remove it."
    for content, message in (
        (b"", broken),
        (b"text", broken),
        (whole[: len(whole) // 2], broken),
        (whole[:60] + bytes(100) + whole[160:], broken),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", broken),
        (huge_png(), "refused, has over 89,478,485 pixels; make it smaller."),
    ):
        for name in ("1.png", "2.png"):
            draw(tmp_path / "a" / name)
        bad = tmp_path / "a/2.png"
        bad.write_bytes(content)
        with pytest.raises(DataError) as error:
            load_folder(tmp_path, image_size=8, seed=0)
        assert str(error.value) == f"{bad}: {message}"
    # Twice as many pixels are an error of Pillow's, fewer only a warning: both are refused.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for side in (11, 20):
        draw(tmp_path / "a/2.png", size=(side, side))
        with pytest.raises(DataError, match="refused, has over 100 pixels"):
            load_folder(tmp_path, image_size=8, seed=0)


def test_more_than_fits_into_memory(tmp_path: Path) -> None:
    draw(tmp_path / "a/1.png")
    draw(tmp_path / "a/2.png")
    with pytest.raises(DataError) as error:
        load_folder(tmp_path, image_size=10_000_000, seed=0)
    assert str(error.value) == (
        "2 images of 3×10000000×10000000 do not fit into memory; choose a smaller --image-size."
    )


def test_progress_goes_to_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(folder_module, "_SHOW_PROGRESS_FROM", 0)
    draw(tmp_path / "a/1.png")
    draw(tmp_path / "a/2.png")
    load_folder(tmp_path, image_size=8, seed=0)
    assert capsys.readouterr().out == ""


def test_load_gives_32_pixels_unless_told(tmp_path: Path) -> None:
    draw(tmp_path / "a/1.png")
    draw(tmp_path / "a/2.png")
    dataset = load(f"folder:{tmp_path}")
    assert (dataset.image_shape, dataset.class_names, dataset.source) == ((1, 32, 32), ("a",), str(tmp_path))
    assert load(f"folder:{tmp_path}", image_size=16).image_shape == (1, 16, 16)


FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")


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
        files = [Path(scratch) / "1.png", Path(scratch) / "2.png"]
        for file in files:
            file.write_bytes(content)
        try:
            images, message = folder_module._read_images(files, 8), None
        except DataError as error:
            images, message = None, str(error)
    if images is None:
        assert message
        assert message.startswith(tuple(f"{file}: " for file in files))
        assert "\n" not in message
    else:
        assert images.dtype == torch.uint8

"""Folders of pictures as data sets."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from etude.data import Dataset, folder, load
from etude.errors import DataError


def load_folder(root: Path, *, image_size: int = 8, seed: int = 0, **how: Any) -> Dataset:
    return folder.load_folder(root, name="folder:pictures", image_size=image_size, seed=seed, **how)


def draw(path: Path, colour: object = 128, mode: str = "L", size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)  # pyright: ignore[reportArgumentType]


def test_train_and_test_folders(tmp_path: Path) -> None:
    for split, levels in (("train", (10, 20)), ("test", (30,))):
        for name in ("dog", "cat"):
            for level in levels:
                draw(tmp_path / split / name / f"{level}.png", level + (name == "dog"))
    dataset = load_folder(tmp_path)
    train, test = dataset.train, dataset.test
    assert dataset.class_names == ("cat", "dog")
    assert (dataset.validation, dataset.notes, dataset.left_out) == (None, (), ())
    assert dataset.layout == "the class folders in train/ and test/ are cat, dog"
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
        dataset = load_folder(tmp_path, seed=seed)
        train, test = dataset.train, dataset.test
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
    assert load_folder(tmp_path).class_names == ("bus", "train")


def test_what_is_no_image_is_passed_over(tmp_path: Path) -> None:
    for number in range(2):
        draw(tmp_path / "a" / f"{number}.PNG")
    (tmp_path / "a/notes.txt").write_text("x")
    (tmp_path / "a/._0.png").write_text("x")
    (tmp_path / "a/folder.png").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "readme.md").write_text("x")
    dataset = load_folder(tmp_path)
    assert (dataset.class_names, len(dataset.train), len(dataset.test)) == (("a",), 1, 1)
    assert dataset.notes == ("2 of 4 files read: 1 .md, 1 .txt skipped",)


def test_colour_when_any_image_has_one(tmp_path: Path) -> None:
    draw(tmp_path / "a/0.png", 50)
    draw(tmp_path / "a/1.png", (7, 7, 7), "RGB")
    assert load_folder(tmp_path).train.images.shape == (1, 1, 8, 8)
    draw(tmp_path / "b/0.png", (7, 7, 8), "RGB")
    draw(tmp_path / "b/1.png", 9)
    dataset = load_folder(tmp_path)
    assert dataset.train.images.shape == (2, 3, 8, 8)
    pixels = torch.cat([dataset.train.images, dataset.test.images])[:, :, 0, 0].tolist()
    assert sorted(pixels) == [[7, 7, 7], [7, 7, 8], [9, 9, 9], [50, 50, 50]]


def huge_png() -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_each_wrong_image_has_its_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)).save(buffer, format="PNG")
    whole = buffer.getvalue()
    broken = "not a whole image, or of an unknown format"
    for content, message in (
        (b"", broken),
        (b"text", broken),
        (whole[: len(whole) // 2], broken),
        (whole[:60] + bytes(100) + whole[160:], broken),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", broken),
        (huge_png(), "refused, has over 89,478,485 pixels"),
    ):
        for name in ("1.png", "2.png"):
            draw(tmp_path / "a" / name)
        bad = tmp_path / "a/2.png"
        bad.write_bytes(content)
        with pytest.raises(DataError) as error:
            load_folder(tmp_path)
        assert str(error.value) == f"{bad}: {message}; replace or remove it, or leave it out with --skip-broken."
    # Twice as many pixels are an error of Pillow's, fewer only a warning: both are refused.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for side in (11, 20):
        draw(tmp_path / "a/2.png", size=(side, side))
        with pytest.raises(DataError, match="refused, has over 100 pixels"):
            load_folder(tmp_path)


def test_more_than_fits_into_memory(tmp_path: Path) -> None:
    draw(tmp_path / "a/1.png")
    draw(tmp_path / "a/2.png")
    with pytest.raises(DataError) as error:
        load_folder(tmp_path, image_size=10_000_000)
    assert str(error.value) == (
        "2 images of 3×10000000×10000000 do not fit into memory; choose a smaller --image-size."
    )


def test_progress_goes_to_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(folder, "_SHOW_PROGRESS_FROM", 0)
    draw(tmp_path / "a/1.png")
    draw(tmp_path / "a/2.png")
    load_folder(tmp_path)
    assert capsys.readouterr().out == ""


def test_load_gives_32_pixels_unless_told(tmp_path: Path) -> None:
    draw(tmp_path / "a/1.png")
    draw(tmp_path / "a/2.png")
    dataset = load(f"folder:{tmp_path}")
    assert (dataset.image_shape, dataset.class_names, dataset.source) == ((1, 32, 32), ("a",), str(tmp_path))
    assert load(f"folder:{tmp_path}", image_size=16).image_shape == (1, 16, 16)


def test_a_validation_split_of_its_own(tmp_path: Path) -> None:
    for split, levels in (("Train", (10, 20, 30)), ("valid", (40, 50)), ("TEST", (60,))):
        for name in ("cat", "dog"):
            for level in levels:
                draw(tmp_path / split / name / f"{level}.png", level + (name == "dog"))
    dataset = load_folder(tmp_path)
    assert dataset.validation
    assert dataset.train.images[:, 0, 0, 0].tolist() == [10, 20, 30, 11, 21, 31]
    assert dataset.validation.images[:, 0, 0, 0].tolist() == [40, 50, 41, 51]
    assert dataset.validation.labels.tolist() == [0, 0, 1, 1]
    assert dataset.test.images[:, 0, 0, 0].tolist() == [60, 61]
    assert dataset.notes == ("splits: Train/ trains, valid/ validates, TEST/ tests",)
    before = dataset.digest()
    draw(tmp_path / "valid/cat/40.png", 99)
    assert load_folder(tmp_path).digest() != before


def test_a_flat_folder_is_of_one_class(tmp_path: Path) -> None:
    for number in range(10):
        draw(tmp_path / f"pets/cat.{number}.png", number)
    dataset = load_folder(tmp_path / "pets")
    assert (dataset.class_names, len(dataset.train), len(dataset.test)) == (("pets",), 8, 2)
    assert dataset.notes == ("no class folders: the 10 pictures in pets are all of one class",)
    assert dataset.layout == "10 pictures lie directly in pets"


def write(levels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path)


def test_one_range_for_all_levels_beyond_8_bits(tmp_path: Path) -> None:
    """A picture half as bright stays so; the training pictures decide; what lies outside is clipped and counted."""
    for split, name, level in (
        ("train", "a", 4_000),
        ("train", "b", 2_000),
        ("test", "a", 1_000),
        ("test", "b", 8_000),
    ):
        write(np.full((8, 8), level, np.uint16), tmp_path / split / name / "1.png")
    write(np.zeros((8, 8), np.uint16), tmp_path / "train/a/0.png")
    draw(tmp_path / "train/a/2.png", 77)
    dataset = load_folder(tmp_path)
    assert dataset.train.images[:, 0, 0, 0].tolist() == [0, 255, 77, 128]
    assert dataset.test.images[:, 0, 0, 0].tolist() == [64, 255]
    assert dataset.notes == (
        "5 pictures with levels beyond 8 bits (whole numbers): 0 to 4000 becomes 0 to 255, by the training pictures; "
        "1 picture outside training clipped to it",
    )


def test_fractions_have_a_range_of_their_own(tmp_path: Path) -> None:
    for number, level in enumerate((-10.0, 30.0, np.nan)):
        write(np.full((8, 8), level, np.float32), tmp_path / f"train/a/{number}.tif")
    write(np.full((8, 8), 60_000, np.uint16), tmp_path / "train/a/3.png")
    write(np.full((8, 8), 10.0, np.float32), tmp_path / "test/a/0.tif")
    dataset = load_folder(tmp_path)
    assert dataset.train.images[:, 0, 0, 0].tolist() == [0, 255, 0, 60_000 // 257]
    assert dataset.test.images[:, 0, 0, 0].tolist() == [128]
    assert dataset.notes == (
        "4 pictures with levels beyond 8 bits (fractions): -10 to 30 becomes 0 to 255, by the training pictures; "
        "64 levels that are no finite numbers became black or white",
        "1 picture with levels beyond 8 bits (whole numbers): 0 to 65535 becomes 0 to 255, by the training pictures",
    )


def broken_folder(root: Path) -> None:
    """40 pictures of two classes, of which seven are broken."""
    for name in ("a", "b"):
        for number in range(20):
            draw(root / name / f"{number:02}.png", 5 * number + (name == "b"))
    for number in range(7):
        (root / f"a/{number:02}.png").write_bytes(b"\x89PNG" if number else b"")


def test_all_broken_pictures_are_told_in_one_line(tmp_path: Path) -> None:
    broken_folder(tmp_path)
    with pytest.raises(DataError) as error:
        load_folder(tmp_path)
    reason = "not a whole image, or of an unknown format"
    assert str(error.value).startswith(f"{tmp_path}: 7 of 40 pictures are broken: a/")
    assert str(error.value).count(f".png ({reason})") == 5
    assert str(error.value).endswith(" and 2 more; replace or remove them, or leave them out with --skip-broken.")


def test_broken_pictures_are_left_out(tmp_path: Path) -> None:
    """The others stay in their split, and a later reading leaves out the same ones, whatever became of them."""
    broken_folder(tmp_path / "broken")
    broken_folder(tmp_path / "whole")
    for number in range(7):
        draw(tmp_path / f"whole/a/{number:02}.png", 250)
    skipped, whole = load_folder(tmp_path / "broken", skip_broken=True), load_folder(tmp_path / "whole")
    assert skipped.left_out == tuple(f"a/{number:02}.png" for number in range(7))
    assert (len(skipped.train) + len(skipped.test), len(whole.train) + len(whole.test)) == (33, 40)
    for there, all_of_it in ((skipped.train, whole.train), (skipped.test, whole.test)):
        kept = all_of_it.images[:, 0, 0, 0] != 250
        assert torch.equal(there.images, all_of_it.images[kept])
        assert torch.equal(there.labels, all_of_it.labels[kept])
    assert skipped.notes[-1].endswith(" and 2 more: 7 pictures left out as broken")

    draw(tmp_path / "broken/a/03.png", 9)
    assert load_folder(tmp_path / "broken", left_out=skipped.left_out).digest() == skipped.digest()
    (tmp_path / "broken/b/04.png").write_bytes(b"")
    with pytest.raises(DataError) as error:
        load_folder(tmp_path / "broken", left_out=skipped.left_out)
    assert str(error.value) == (f"{tmp_path}/broken/b/04.png: not a whole image, or of an unknown format; restore it.")


def test_a_class_without_a_whole_picture(tmp_path: Path) -> None:
    broken_folder(tmp_path)
    for path in (tmp_path / "a").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError) as error:
        load_folder(tmp_path, skip_broken=True)
    assert str(error.value) == (
        f"{tmp_path}: no picture of 'a' that is whole is left for train; add some, or remove this class from every "
        "split."
    )


def test_the_loss_of_the_crop_is_told(tmp_path: Path) -> None:
    for number, size in enumerate(((16, 9), (9, 16))):
        draw(tmp_path / f"a/{number}.png", size=size)
    assert load_folder(tmp_path).notes == (
        "not all are square: the crop keeps 56 % of their pixels on average (--fit pad keeps all)",
    )
    assert load_folder(tmp_path, fit="pad").notes == load_folder(tmp_path, fit="stretch").notes == ()
    assert load_folder(tmp_path, fit="pad").train.images[0, 0, 0, 0] == 0
    assert load_folder(tmp_path, fit="stretch").train.images[0, 0, 0, 0] == 128


def test_several_frames_are_told(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), level) for level in (40, 80)]
    (tmp_path / "a").mkdir()
    for name in ("1.gif", "2.gif"):
        frames[0].save(tmp_path / "a" / name, save_all=True, append_images=frames[1:])
    assert load_folder(tmp_path).notes == ("2 pictures of several frames: the first is read",)


def test_one_picture_of_a_class(tmp_path: Path) -> None:
    draw(tmp_path / "cat/0.png")
    with pytest.raises(DataError) as error:
        load_folder(tmp_path)
    assert str(error.value) == f"{tmp_path / 'cat'}: holds one image; a class needs two, to train and to test on."

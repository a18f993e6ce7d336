# ruff: noqa: E501 (a message on a line)
"""`npz:FILE`: arrays as NumPy saves them."""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etude.data import Dataset, Images, Table, load
from etude.errors import DataError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (30, 5, 6), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (30, 5, 6, 3), dtype=np.uint8)
LABELS = np.arange(30, dtype=np.uint8) % 3
DRAWN = "no examples to test on: a fifth of each class, 6 in all, is drawn for that"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(**arrays: Any) -> Dataset:
    """Save arrays as NumPy does, and load them."""
    np.savez_compressed("a.npz", **arrays)
    return load("npz:a.npz")


@pytest.mark.parametrize(("images", "shape"), [(GREY, (1, 5, 6)), (COLOUR, (3, 5, 6))])
def test_medmnist(images: np.ndarray, shape: tuple[int, int, int], tmp_path: Path) -> None:
    dataset = save(
        train_images=images, train_labels=LABELS[:, None], val_images=images[:6], val_labels=LABELS[:6, None],
        test_images=images[6:15], test_labels=LABELS[6:15, None],
    )  # fmt: skip
    channels_first = images.reshape(30, 5, 6, -1).transpose(0, 3, 1, 2)
    assert dataset.kind == Images(shape=shape, class_names=("0", "1", "2"))
    assert np.array_equal(dataset.train.images.numpy(), channels_first)
    assert dataset.validation is not None
    assert np.array_equal(dataset.validation.images.numpy(), channels_first[:6])
    assert np.array_equal(dataset.test.images.numpy(), channels_first[6:15])
    assert dataset.validation.labels.tolist() == LABELS[:6].tolist()
    assert dataset.test.labels.tolist() == LABELS[6:15].tolist()
    assert (dataset.name, dataset.source, dataset.notes) == ("npz:a.npz", str(tmp_path / "a.npz"), ())


def test_keras() -> None:
    dataset = save(x_train=GREY, y_train=LABELS, x_test=GREY[:3], y_test=LABELS[:3])
    assert np.array_equal(dataset.train.images[:, 0].numpy(), GREY)
    assert (len(dataset.test), dataset.validation) == (3, None)
    validated = save(X_train=GREY, y_train=LABELS, X_test=GREY[:3], y_test=LABELS[:3], X_val=GREY[:9], y_val=LABELS[:9])
    assert validated.validation is not None
    assert len(validated.validation) == 9


@pytest.mark.parametrize(
    ("x", "y"), [("x", "y"), ("X", "Y"), ("X", "y"), ("data", "labels"), ("images", "labels"), ("data", "target")]
)
def test_x_and_y_with_a_drawn_split(x: str, y: str) -> None:
    features = RNG.normal(size=(30, 4))
    dataset = save(**{x: features, y: LABELS})
    assert isinstance(dataset.kind, Table)
    assert (len(dataset.train), len(dataset.test), dataset.notes) == (24, 6, (DRAWN,))
    assert load("npz:a.npz").digest() == dataset.digest()
    assert load("npz:a.npz", seed=1).digest() != dataset.digest()


def test_what_is_not_read_is_said() -> None:
    dataset = save(x=GREY, ids=LABELS)
    assert dataset.class_names == ("all",)
    assert dataset.notes[0] == "arrays that are not read: ids"


@pytest.mark.parametrize(
    "labels",
    [np.array(["a", "b", "c"] * 10), np.array([b"a", b"b", b"c"] * 10), LABELS.astype(">i4"), LABELS.astype(float)],
)
def test_labels_of_every_type(labels: np.ndarray) -> None:
    assert save(x=np.asfortranarray(COLOUR), y=labels).train.labels.bincount().tolist() == [8, 8, 8]


def test_a_byte_that_is_neither_true_nor_false_is_true() -> None:
    written = (GREY > 99).tobytes()
    odd = bytes(7 * byte for byte in written)
    write(npy(descr("|b1", "(30, 5, 6)"), odd))
    assert np.array_equal(load("npz:a.npz").train.images[0, 0].numpy() == 255, GREY[0] > 99)
    np.savez("a.npz", x=GREY > 99, y=LABELS)
    assert np.array_equal(load("npz:a.npz").train.images[0, 0].numpy() == 255, GREY[0] > 99)


def test_arrays_by_columns_and_uncompressed() -> None:
    np.savez("a.npz", x_train=np.asfortranarray(COLOUR), y_train=LABELS, x_test=GREY[:0], y_test=LABELS)
    with pytest.raises(DataError, match="x_test has shape"):
        load("npz:a.npz")
    np.savez("a.npz", x_train=np.asfortranarray(COLOUR), y_train=LABELS, x_test=COLOUR[:3], y_test=LABELS[:3])
    assert np.array_equal(load("npz:a.npz").train.images.numpy(), COLOUR.transpose(0, 3, 1, 2))


def test_the_real_digits_survive_the_way_through_a_file() -> None:
    digits = load("digits")
    dataset = save(
        train_images=digits.train.images[:, 0].numpy(), train_labels=digits.train.labels[:, None].numpy(),
        test_images=digits.test.images[:, 0].numpy(), test_labels=digits.test.labels[:, None].numpy(),
    )  # fmt: skip
    assert dataset.digest() == digits.digest()


# What is refused ------------------------------------------------------------------------------------------------------


def npy(header: str, content: bytes = b"", *, version: int = 1) -> bytes:
    """An .npy file with any header."""
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + content


def descr(kind: str, shape: str) -> str:
    return f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}\n"


def write(x: bytes, *, compression: int = zipfile.ZIP_DEFLATED, y: bytes | None = None) -> None:
    file = io.BytesIO()
    np.save(file, LABELS)
    with zipfile.ZipFile("a.npz", "w", compression) as archive:
        archive.writestr("x.npy", x)
        archive.writestr("y.npy", file.getvalue() if y is None else y)


class Bomb:
    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (b"", "is not an array; get a fresh copy."),
        (b"\x93NUMPY", "is not an array; get a fresh copy."),
        (b"\x93NUMPY\x09\x00" + bytes(90), "is not an array; get a fresh copy."),
        (npy("{'descr': "), "is not an array; get a fresh copy."),
        (npy("(" * 5000), "is not an array; get a fresh copy."),
        (npy(descr("|O", "(2,)"), pickle.dumps(Bomb())), "holds Python objects, which could run code: save it as numbers or texts."),
        (npy(descr("<c8", "(2, 2)"), bytes(32)), "holds complex64; allowed: numbers, and texts as labels."),
        (npy(descr("|V4", "(2, 2)"), bytes(16)), "holds |V4; allowed: numbers, and texts as labels."),
        (npy(descr("<U0", f"({10**15},)")), "holds <U0; allowed: numbers, and texts as labels."),
        (npy(descr("|u1", f"({10**15}, 2)"), bytes(9)), f"holds other than the {10**15}×2 values of its header; get a fresh copy."),
        (npy(descr("|u1", "(-1, -9)"), bytes(9)), "holds other than the -1×-9 values of its header; get a fresh copy."),
        (npy(descr("|u1", "(3, 4)"), bytes(11)), "holds other than the 3×4 values of its header; get a fresh copy."),
        (npy(descr("|u1", "(3, 4)"), bytes(13)), "holds other than the 3×4 values of its header; get a fresh copy."),
        (npy(descr("|u1", f"({'1,' * 60})"), bytes(1)), f"holds other than the {'×'.join('1' * 60)} values of its header; get a fresh copy."),
    ],
)  # fmt: skip
def test_broken_and_hostile_arrays(x: bytes, message: str) -> None:
    write(x)
    with pytest.raises(DataError) as error:
        load("npz:a.npz")
    assert str(error.value) == f"a.npz: x {message}"
    assert not Path("unpickled").exists()


def test_texts_that_are_none() -> None:
    write(npy(descr("|u1", "(2, 5)"), bytes(10)), y=npy(descr("<U1", "(2,)"), b"\xff" * 8))
    with pytest.raises(DataError) as error:
        load("npz:a.npz")
    assert str(error.value) == "a.npz: y holds letters that are none; get a fresh copy."


def test_a_long_header_is_not_unpacked() -> None:
    write(npy(" " * 3_000_000 + descr("|u1", "(2, 5)"), bytes(10), version=2))
    with pytest.raises(DataError) as error:
        load("npz:a.npz")
    assert str(error.value) == "a.npz: x is not an array; get a fresh copy."


def test_a_zip_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed("a.npz", x=np.zeros((2_000_000, 10), dtype=np.uint8), y=np.zeros(2_000_000, dtype=np.uint8))
    assert os.path.getsize("a.npz") < 40_000
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": 10_000, "SC_PAGE_SIZE": 4096}[name])
    with pytest.raises(DataError) as error:
        load("npz:a.npz")
    assert str(error.value) == (
        "a.npz: refused, its arrays come to 0.022 GB, and this machine has 0.041 GB of memory: save fewer or smaller "
        "examples."
    )


def test_a_size_that_deflate_cannot_reach_is_refused() -> None:
    write(npy(descr("|u1", "(10, 3)"), bytes(30)))
    content = bytearray(Path("a.npz").read_bytes())
    huge = npy(descr("|u1", "(10, 300000)"), bytes(30))
    write(huge)
    content = bytearray(Path("a.npz").read_bytes())
    size = len(npy(descr("|u1", "(10, 300000)"))) + 3_000_000
    central = content.rindex(b"PK\x01\x02", 0, content.rindex(b"PK\x01\x02"))
    content[central + 24 : central + 28] = struct.pack("<I", size)  # the size that the directory promises
    Path("a.npz").write_bytes(content)
    with pytest.raises(DataError) as error:
        load("npz:a.npz")
    assert str(error.value) == f"a.npz: x says that it unpacks to {size:,} bytes, which it cannot; get a fresh copy."


@pytest.mark.parametrize("cut", [0, 1, 200, 900])
def test_a_file_that_is_cut_off(cut: int) -> None:
    np.savez("a.npz", x=GREY, y=LABELS)
    Path("a.npz").write_bytes(Path("a.npz").read_bytes()[:cut])
    with pytest.raises(DataError) as error:
        load("npz:a.npz")
    assert str(error.value) == (
        "a.npz: broken .npz file (File is not a zip file); get a fresh copy, or write one with np.savez."
    )


def test_a_changed_byte_is_noticed() -> None:
    np.savez("a.npz", x=GREY, y=LABELS)
    content = bytearray(Path("a.npz").read_bytes())
    content[400] ^= 1
    Path("a.npz").write_bytes(content)
    with pytest.raises(DataError) as error:
        load("npz:a.npz")
    assert str(error.value) == (
        "a.npz: broken .npz file (Bad CRC-32 for file 'x.npy'); get a fresh copy, or write one with np.savez."
    )


def test_odd_compression_and_passwords() -> None:
    x = npy(descr("|u1", "(3, 4)"), bytes(12))
    write(x, compression=zipfile.ZIP_LZMA)
    with pytest.raises(DataError) as error:
        load("npz:a.npz")
    assert (
        str(error.value) == "a.npz: x is compressed in a way that NumPy does not write: write the file with np.savez."
    )
    write(x)
    content = bytearray(Path("a.npz").read_bytes())
    central = content.rindex(b"PK\x01\x02", 0, content.rindex(b"PK\x01\x02"))
    content[central + 8] |= 1
    Path("a.npz").write_bytes(content)
    with pytest.raises(DataError) as error:
        load("npz:a.npz")
    assert str(error.value) == "a.npz: x is encrypted: write the file without a password."


ALLOWED = "allowed: train_images and train_labels (val_…, test_…), x_train and y_train (x_val …, x_test …), or x and y."


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": GREY, "b": LABELS}, f"holds the arrays a, b; {ALLOWED}"),
        ({f"a{n}": LABELS for n in range(12)}, f"holds the arrays {', '.join(f'a{n}' for n in range(10))} …; {ALLOWED}"),
        ({"y": LABELS}, f"holds the arrays y; {ALLOWED}"),
        ({"x": GREY, "y": LABELS[:9]}, "x has shape (30, 5, 6) and y (9,): give a label for each example."),
        ({"x": GREY, "y": np.zeros((30, 14))}, "y has shape (30, 14); allowed: one label for each example, (N,), or one-hot rows (N, classes)."),
        ({"train_images": GREY, "train_labels": LABELS, "test_images": COLOUR, "test_labels": LABELS}, "test_images has examples of 5×6×3 and train_images of 5×6: give all the same shape."),
    ],
)  # fmt: skip
def test_arrays_that_are_no_data_set(arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError) as error:
        save(**arrays)
    assert str(error.value) == f"a.npz: {message}"


def test_no_file_and_no_zip(tmp_path: Path) -> None:
    for name in ("none.npz", "."):
        with pytest.raises(DataError) as error:
            load(f"npz:{name}")
        assert str(error.value) == f"{name}: no such file; npz:FILE needs a file that np.savez wrote."
    np.save("one.npy", GREY)
    with pytest.raises(DataError) as error:
        load("npz:one.npy")
    assert str(error.value) == (
        "one.npy: broken .npz file (File is not a zip file); get a fresh copy, or write one with np.savez."
    )
    with zipfile.ZipFile("empty.npz", "w"):
        pass
    with pytest.raises(DataError) as error:
        load("npz:empty.npz")
    assert str(error.value) == f"empty.npz: holds the arrays (none); {ALLOWED}"


def test_a_stream_that_ends_early() -> None:
    write(npy(descr("|u1", "(3, 5)"), bytes(12)))
    content = bytearray(Path("a.npz").read_bytes())
    central = content.rindex(b"PK\x01\x02", 0, content.rindex(b"PK\x01\x02"))
    content[central + 24 : central + 28] = struct.pack("<I", len(npy(descr("|u1", "(3, 5)"))) + 15)
    Path("a.npz").write_bytes(content)
    with pytest.raises(DataError) as error:
        load("npz:a.npz")
    assert str(error.value) == "a.npz: x is truncated; get a fresh copy."


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (MemoryError(), "its arrays do not fit into memory; save fewer or smaller examples."),
        (PermissionError(13, "Permission denied"), "cannot be read (Permission denied)."),
    ],
)
def test_a_file_that_cannot_be_read(failure: Exception, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("a.npz", x=GREY, y=LABELS)

    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("etude.data.npz._read", fail)
    with pytest.raises(DataError) as error:
        load("npz:a.npz")
    assert str(error.value) == f"a.npz: {message}"

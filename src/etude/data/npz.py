"""Arrays in NumPy's file format .npz: the splits of MedMNIST and of Keras, or x and y alone.

Such a file is a zip archive of .npy files: a header with type and shape, then the numbers. Nothing is unpickled, and
nothing is allocated before the header agrees with the file and with the memory of this machine.
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import io
import math
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from etude.data.arrays import Arrays, understand
from etude.data.dataset import Dataset
from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.errors import DataError, UsageError

_SPLITS = {
    TRAIN: (("train_images", "train_labels"), ("x_train", "y_train")),
    VALIDATION: (("val_images", "val_labels"), ("x_val", "y_val"), ("x_valid", "y_valid")),
    TEST: (("test_images", "test_labels"), ("x_test", "y_test")),
}
"""Names of arrays, in lower case: those of MedMNIST and of Keras."""
_INPUTS, _LABELS = ("x", "images", "data", "features"), ("y", "labels", "label", "targets", "target")
"""The names if there are no splits."""
_ALLOWED = "train_images and train_labels (val_…, test_…), x_train and y_train (x_val …, x_test …), or x and y"
_KINDS = "biufUS"
_MOST_HEADER_BYTES = 10_000
_MOST_DIMENSIONS = 8
_MEMORY_SHARE = 0.5
"""The share of this machine's memory that the arrays of a file may fill."""
_MAX_EXPANSION = 1_032
"""How many bytes DEFLATE can make from one."""
_CHUNK_BYTES = 1 << 20
_MOST_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class _Header:
    """The header of an array. `start` is the number of bytes before its values."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype
    start: int

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def load_npz(path: Path, *, name: str, seed: int) -> Dataset:
    """The arrays of a file as a data set called `name`. Without arrays to test on, a fifth is drawn with `seed`.

    Raises `DataError` for a damaged or hostile file, and for arrays that are not images or a table, and labels.
    """
    if not os.path.isfile(path):
        raise DataError(f"{path}: no such file; npz:FILE needs a file that np.savez wrote.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {each.filename.removesuffix(".npy"): each for each in archive.infolist()}
            pairs, notes = _choose(members, path)
            wanted = [array for pair in pairs.values() for array in pair if array]
            headers = {array: _read_header(archive, members[array], f"{path}: {array}") for array in wanted}
            _require_memory(headers.values(), path)
            arrays = {array: _read(archive, members[array], headers[array], f"{path}: {array}") for array in wanted}
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError) as error:
        raise DataError(f"{path}: broken .npz file ({error}); get a fresh copy, or write one with np.savez.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except MemoryError:
        raise DataError(f"{path}: its arrays do not fit into memory; save fewer or smaller examples.") from None
    parts = {
        role: Arrays(x=arrays[x], y=arrays[y] if y else None, x_name=x, y_name=y or f"labels of {x}")
        for role, (x, y) in pairs.items()
    }
    try:
        found = understand(
            parts[TRAIN],
            validation=parts.get(VALIDATION),
            test=parts.get(TEST),
            class_names=None,
            kind=None,
            seed=seed,
            notes=notes,
        )
    except UsageError as error:
        raise DataError(f"{path}: {error}") from None
    return Dataset(name=name, licence="not stated", source=str(path.resolve()), **found.as_fields())


def _choose(names: Collection[str], path: Path) -> tuple[dict[str, tuple[str, str | None]], list[str]]:
    """The arrays (x, y) of each split by their names; y is None if there are no labels."""
    spelled = {name.lower(): name for name in reversed(list(names))}
    pairs: dict[str, tuple[str, str | None]] = {}
    for role, known in _SPLITS.items():
        for x, y in known:
            if x in spelled and y in spelled:
                pairs.setdefault(role, (spelled[x], spelled[y]))
    if TRAIN not in pairs:
        x, y = (next((spelled[each] for each in known if each in spelled), None) for known in (_INPUTS, _LABELS))
        pairs = {TRAIN: (x, y)} if x else {}
    if not pairs:
        holds = ", ".join(list(names)[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")
        raise DataError(f"{path}: holds the arrays {holds or '(none)'}; allowed: {_ALLOWED}.")
    read = {name for pair in pairs.values() for name in pair}
    left = [name for name in names if name not in read]
    some = ", ".join(left[:_MOST_NAMED]) + (" …" if len(left) > _MOST_NAMED else "")
    return pairs, [f"arrays that are not read: {some}"] if left else []


def _read_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> _Header:
    """The header of an array. Raises `DataError` if it has none, not numbers or texts, or a header that does not fit
    the file."""
    if member.flag_bits & 1:
        raise DataError(f"{where} is encrypted: write the file without a password.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{where} is compressed in a way that NumPy does not write: write the file with np.savez.")
    with archive.open(member) as file:
        start = io.BytesIO(file.read(_MOST_HEADER_BYTES))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers that Python 2 wrote
            version = np.lib.format.read_magic(start)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, by_columns, dtype = read(start)
    except Exception:  # NumPy evaluates the header as Python literals, which can fail in every way
        raise DataError(f"{where} is not an array; get a fresh copy.") from None
    if dtype.hasobject:
        raise DataError(f"{where} holds Python objects, which could run code: save it as numbers or texts.")
    if dtype.kind not in _KINDS or not dtype.itemsize:
        raise DataError(f"{where} holds {dtype}; allowed: numbers, and texts as labels.")
    header = _Header(shape=shape, by_columns=by_columns, dtype=dtype, start=start.tell())
    if (
        len(shape) > _MOST_DIMENSIONS
        or min(shape, default=0) < 0
        or member.file_size != header.start + header.num_bytes
    ):
        raise DataError(f"{where} holds other than the {_times(shape)} values of its header; get a fresh copy.")
    if member.file_size > _MAX_EXPANSION * (member.compress_size + 1):
        raise DataError(
            f"{where} says that it unpacks to {member.file_size:,} bytes, which it cannot; get a fresh copy."
        )
    return header


def _require_memory(headers: Iterable[_Header], path: Path) -> None:
    needed = sum(header.num_bytes for header in headers)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > _MEMORY_SHARE * memory:
        raise DataError(
            f"{path}: refused, its arrays come to {needed / 1e9:.3g} GB, and this machine has {memory / 1e9:.3g} GB "
            "of memory: save fewer or smaller examples."
        )


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: _Header, where: str) -> np.ndarray:
    array = np.empty(header.num_bytes, dtype=np.uint8)
    view, filled = array.data, 0
    with archive.open(member) as file:
        assert isinstance(file, zipfile.ZipExtFile)
        file.read(header.start)
        while filled < len(array):
            count = file.readinto(view[filled : filled + _CHUNK_BYTES])
            if not count:
                raise DataError(f"{where} is truncated; get a fresh copy.")
            filled += count
        file.read(1)  # at its end zipfile compares the checksum
    if header.dtype.kind == "b":
        array = array != 0  # a byte other than 0 and 1 is not a bool of NumPy
    values = array.view(header.dtype)
    if header.dtype.kind == "U":
        letters = values.view(header.dtype.byteorder + "u4")
        if ((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters < 0xE000))).any():  # Python breaks on them
            raise DataError(f"{where} holds letters that are none; get a fresh copy.")
    return values.reshape(header.shape[::-1]).T if header.by_columns else values.reshape(header.shape)


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(f"{size}" for size in shape) or "1"

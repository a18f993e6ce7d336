"""The IDX format of MNIST and Fashion-MNIST, plain or gzipped.

A file is two zero bytes, a type code (8: unsigned byte), the number of dimensions, each dimension as a big-endian
32-bit number, then the values row by row (LeCun, Cortes and Burges, "The MNIST database of handwritten digits").
"""

import gzip
import hashlib
import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from etude.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
# DEFLATE codes at most 258 bytes in 2 bits. No honest header asks for more than this many bytes per compressed byte.
_MAX_EXPANSION = 1_032
_CHUNK_BYTES = 1 << 20


def read_idx(path: Path, *, dimensions: int) -> np.ndarray:
    """The uint8 array of an IDX file with that many dimensions.

    Raises `DataError` for anything but a whole, well-formed file. Nothing is allocated before the header agrees with
    the size of the file.
    """
    with unzipped(path) as (file, most_bytes):
        return _read(file, path, dimensions, most_bytes=most_bytes)


def content_checksum(array: np.ndarray) -> str:
    """The SHA-256 of the unzipped IDX file that holds these unsigned bytes, in hexadecimal digits."""
    digest = hashlib.sha256(bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape))
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


@contextmanager
def unzipped(path: Path) -> Iterator[tuple[io.BufferedIOBase, int]]:
    """The content of a file, and the most bytes it can expand to. gzip is recognised by its content, not its name.

    Raises `DataError` if the file cannot be read, even in the middle.
    """
    try:
        with path.open("rb") as file:
            file_bytes = file.seek(0, io.SEEK_END)
            file.seek(0)
            is_zipped = file.read(2) == GZIP_MAGIC
            file.seek(0)
            if is_zipped:
                with gzip.GzipFile(fileobj=file) as content:
                    yield content, file_bytes * _MAX_EXPANSION
            else:
                yield file, file_bytes
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path}: broken gzip file ({error}); get a fresh copy.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _read(file: io.BufferedIOBase, path: Path, dimensions: int, *, most_bytes: int) -> np.ndarray:
    shape = _read_header(file, path, dimensions)
    value_bytes, header_bytes = math.prod(shape), 4 + 4 * dimensions
    if header_bytes + value_bytes > most_bytes:
        raise _truncated(path, shape)

    values = np.empty(value_bytes, dtype=np.uint8)
    view, filled = values.data, 0
    while filled < value_bytes:
        count = file.readinto(view[filled : filled + _CHUNK_BYTES])
        if not count:
            raise _truncated(path, shape)
        filled += count
    # Reading to the end also makes gzip compare its checksum.
    if file.read(1):
        raise DataError(f"{path}: goes on after the {value_bytes:,} values of its header; get a fresh copy.")
    return values.reshape(shape)


def _read_header(file: io.BufferedIOBase, path: Path, dimensions: int) -> tuple[int, ...]:
    header = file.read(4 + 4 * dimensions)
    expected = bytes((0, 0, 8, dimensions))
    if header[:4] != expected:
        raise DataError(
            f"{path}: not an IDX file of {dimensions}-dimensional unsigned bytes "
            f"(starts with {header[:4].hex() or 'nothing'}, expected {expected.hex()}); get a fresh copy."
        )
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{path}: ends within its header; get a fresh copy.")
    return struct.unpack(f">{dimensions}I", header[4:])


def _truncated(path: Path, shape: tuple[int, ...]) -> DataError:
    promised = "×".join(f"{size}" for size in shape)
    return DataError(f"{path}: truncated: holds fewer values than the {promised} of its header; get a fresh copy.")

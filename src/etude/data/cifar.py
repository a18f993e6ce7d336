"""The "Python version" of CIFAR-10: six pickled batches, in a folder or still in their .tar.gz.

A batch is a dictionary. Its `data` is uint8 (10000, 3072), one row per image, which is 3×32×32. Its `labels` are 10,000
numbers from 0 to 9 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).
"""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from etude.data.split import Split
from etude.data.unpickle import unpickle
from etude.errors import DataError

TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
BATCHES = (*TRAIN_BATCHES, TEST_BATCH)
FOLDER_NAME = "cifar-10-batches-py"
ARCHIVE_NAME = "cifar-10-python.tar.gz"
IMAGES_PER_BATCH = 10_000
_IMAGE_SHAPE = (3, 32, 32)
# The six batches and the tar headers have 186 MB. A batch has 31 MB.
_MOST_MEMBER_BYTES, _MOST_ARCHIVE_BYTES = 48_000_000, 280_000_000


def read_folder(folder: Path) -> tuple[Split, Split, dict[str, str]]:
    """The (training, test) split from a folder with the six batch files, and each file's checksum, "md5:…".

    Raises `DataError` if a file is wrong.
    """
    return _read((folder / name, _read_file(folder / name)) for name in BATCHES)


def read_archive(archive: Path) -> tuple[Split, Split, dict[str, str]]:
    """The same from the .tar.gz; nothing is written to disk. Raises `DataError` if anything is wrong."""
    members = {name: content for name, content in archive_members(archive) if name in BATCHES}
    if missing := [name for name in BATCHES if name not in members]:
        raise DataError(f"{archive}: lacks {', '.join(missing)}; get a fresh copy.")
    return _read((archive / name, members[name]) for name in BATCHES)


def parse_batch(data: bytes, source: Path, *, num_images: int) -> tuple[np.ndarray, np.ndarray]:
    """The images, uint8 (N, 3, 32, 32), and labels, int64 (N,), of one batch; `source` names the file in errors."""
    batch = unpickle(data, source)
    if not isinstance(batch, dict) or not isinstance(batch.get(b"data"), np.ndarray):
        raise DataError(f"{source}: not a batch of CIFAR-10 (no array named data); get a fresh copy.")
    pixels, labels = batch[b"data"], batch.get(b"labels")
    if pixels.shape != (num_images, 3_072):
        given = "×".join(f"{size}" for size in pixels.shape)
        raise DataError(f"{source}: holds {given} pixel values, expected {num_images}×3072; get a fresh copy.")
    if not isinstance(labels, list) or len(labels) != num_images:
        given = f"{len(labels)}" if isinstance(labels, list) else "no"
        raise DataError(f"{source}: holds {given} labels for {num_images} images; get a fresh copy.")
    if any(type(label) is not int or not 0 <= label <= 9 for label in labels):
        raise DataError(f"{source}: holds labels that are not numbers from 0 to 9; get a fresh copy.")
    return pixels.reshape(num_images, *_IMAGE_SHAPE), np.array(labels, dtype=np.int64)


def archive_members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The (name, content) of each batch file in a .tar.gz, in the archive's order. Other plain files are skipped.

    Nothing is written. Raises `DataError` for a damaged archive, one that unpacks to far more than CIFAR-10, and one
    with members that no honest copy has: links, devices, absolute paths, or paths that leave the archive.
    """
    try:
        with gzip.open(archive) as content, tarfile.open(fileobj=_Limited(content, archive), mode="r|") as tar:
            seen: set[str] = set()
            for member in tar:
                _check_member(member, archive)
                folder, _, name = member.name.removeprefix("./").rpartition("/")
                if not member.isfile() or folder not in ("", FOLDER_NAME) or name not in (*BATCHES, "batches.meta"):
                    continue
                if name in seen:
                    raise DataError(f"{archive}: holds {name} twice; get a fresh copy.")
                seen.add(name)
                file = tar.extractfile(member)
                assert file is not None  # it is a plain file
                yield name, file.read()
    except OSError as error:
        if error.errno is not None:
            raise DataError(f"{archive}: cannot be read ({error.strerror}).") from None
        raise DataError(f"{archive}: broken archive ({error}); get a fresh copy.") from None
    except RecursionError:  # tarfile calls itself for each extended header that another one describes
        raise DataError(f"{archive}: broken archive (extended headers without end); get a fresh copy.") from None
    except (tarfile.TarError, EOFError, zlib.error, ValueError, ArithmeticError, LookupError) as error:
        raise DataError(f"{archive}: broken archive ({error}); get a fresh copy.") from None


def _check_member(member: tarfile.TarInfo, archive: Path) -> None:
    name = member.name.replace("\\", "/")
    if not (member.isfile() or member.isdir()):
        raise DataError(f"{archive}: refused, {member.name!r} in it is a link or a device; get a fresh copy.")
    if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
        raise DataError(f"{archive}: refused, {member.name!r} in it points outside the archive; get a fresh copy.")
    if member.size > _MOST_MEMBER_BYTES:
        raise DataError(f"{archive}: refused, {member.name!r} in it has {member.size:,} bytes; get a fresh copy.")


class _Limited(io.RawIOBase):
    """A file that refuses to be read beyond what an honest archive unpacks to."""

    def __init__(self, file: io.BufferedIOBase, archive: Path) -> None:
        self.file, self.archive, self.left = file, archive, _MOST_ARCHIVE_BYTES

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(self.left + 1 if size < 0 else min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise DataError(
                f"{self.archive}: refused, unpacks to over {_MOST_ARCHIVE_BYTES:,} bytes; get a fresh copy."
            )
        return data


def _read(batches: Iterator[tuple[Path, bytes]]) -> tuple[Split, Split, dict[str, str]]:
    total = len(BATCHES) * IMAGES_PER_BATCH
    images, labels = np.empty((total, *_IMAGE_SHAPE), dtype=np.uint8), np.empty(total, dtype=np.int64)
    checksums = {}
    for index, (source, data) in enumerate(batches):
        checksums[source.name] = f"md5:{hashlib.md5(data, usedforsecurity=False).hexdigest()}"
        rows = slice(index * IMAGES_PER_BATCH, (index + 1) * IMAGES_PER_BATCH)
        images[rows], labels[rows] = parse_batch(data, source, num_images=IMAGES_PER_BATCH)
    num_train = len(TRAIN_BATCHES) * IMAGES_PER_BATCH
    all_images, all_labels = torch.from_numpy(images), torch.from_numpy(labels)
    return (
        Split(images=all_images[:num_train], labels=all_labels[:num_train]),
        Split(images=all_images[num_train:], labels=all_labels[num_train:]),
        checksums,
    )


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_MEMBER_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    if len(data) > _MOST_MEMBER_BYTES:
        raise DataError(f"{path}: not a batch of CIFAR-10 (over {_MOST_MEMBER_BYTES:,} bytes); get a fresh copy.")
    return data

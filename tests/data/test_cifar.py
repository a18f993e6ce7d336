import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.data import cifar
from etude.errors import DataError

BatchWriter = Callable[[int, int], tuple[bytes, np.ndarray, list[int]]]
PickleWriter = Callable[[object], bytes]
FILE = Path("data_batch_1")
MEMBER = f"{cifar.FOLDER_NAME}/data_batch_1"


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "IMAGES_PER_BATCH", 4)


def tar_gz(members: list[tuple[tarfile.TarInfo | str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if info.isfile():
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def write_batches(folder: Path, cifar_batch: BatchWriter) -> tuple[np.ndarray, list[int]]:
    folder.mkdir(parents=True, exist_ok=True)
    pixels, labels = [], []
    for seed, name in enumerate(cifar.BATCHES):
        data, rows, classes = cifar_batch(4, seed)
        (folder / name).write_bytes(data)
        pixels.append(rows)
        labels += classes
    return np.concatenate(pixels), labels


@pytest.mark.usefixtures("small_batches")
def test_folder_and_archive_give_what_was_written(tmp_path: Path, cifar_batch: BatchWriter) -> None:
    pixels, labels = write_batches(tmp_path, cifar_batch)
    members = [(f"{cifar.FOLDER_NAME}/{name}", (tmp_path / name).read_bytes()) for name in reversed(cifar.BATCHES)]
    archive = tmp_path / "cifar.tar.gz"
    folder = tarfile.TarInfo(cifar.FOLDER_NAME)
    folder.type = tarfile.DIRTYPE
    archive.write_bytes(tar_gz([(folder, b""), ("cifar-10-batches-py/readme.html", b"hello"), *members]))
    for train, test, checksums in (cifar.read_folder(tmp_path), cifar.read_archive(archive)):
        assert (len(train), len(test)) == (20, 4)
        written = {name: hashlib.md5((tmp_path / name).read_bytes()).hexdigest() for name in cifar.BATCHES}
        assert checksums == {name: f"md5:{digest}" for name, digest in written.items()}
        images = torch.cat([train.images, test.images])
        assert images.dtype == torch.uint8
        # The first 1,024 values of a row are the red channel, row by row.
        np.testing.assert_array_equal(images.numpy(), pixels.reshape(24, 3, 32, 32))
        assert torch.cat([train.labels, test.labels]).tolist() == labels


def test_each_wrong_batch_has_its_message(python2_pickle: PickleWriter) -> None:
    pixels = np.zeros((2, 3_072), np.uint8)
    for content, message in (
        ([1], "not a batch of CIFAR-10 (no array named data)"),
        ({b"labels": [1, 2]}, "not a batch of CIFAR-10 (no array named data)"),
        ({b"data": pixels[:1], b"labels": [1]}, "holds 1×3072 pixel values, expected 2×3072"),
        ({b"data": pixels.reshape(2, 3, 32, 32)}, "holds 2×3×32×32 pixel values, expected 2×3072"),
        ({b"data": pixels}, "holds no labels for 2 images"),
        ({b"data": pixels, b"labels": [1]}, "holds 1 labels for 2 images"),
        ({b"data": pixels, b"labels": [1, 10]}, "holds labels that are not numbers from 0 to 9"),
        ({b"data": pixels, b"labels": [1, -1]}, "holds labels that are not numbers from 0 to 9"),
        ({b"data": pixels, b"labels": [1, b"cat"]}, "holds labels that are not numbers from 0 to 9"),
    ):
        with pytest.raises(DataError) as error:
            cifar.parse_batch(python2_pickle(content), FILE, num_images=2)
        assert str(error.value) == f"data_batch_1: {message}; get a fresh copy."


def test_a_file_that_is_missing_or_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = tmp_path / "data_batch_1"
    with pytest.raises(DataError) as error:
        cifar.read_folder(tmp_path)
    assert str(error.value) == f"{batch}: cannot be read (No such file or directory)."
    monkeypatch.setattr(cifar, "_MOST_MEMBER_BYTES", 1_000)
    batch.write_bytes(bytes(1_001))
    with pytest.raises(DataError) as error:
        cifar.read_folder(tmp_path)
    assert str(error.value) == f"{batch}: not a batch of CIFAR-10 (over 1,000 bytes); get a fresh copy."


def special(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("/etc/passwd", "refused, '/etc/passwd' in it points outside the archive"),
        ("../../x", "refused, '../../x' in it points outside the archive"),
        ("a/../../x", "refused, 'a/../../x' in it points outside the archive"),
        ("..\\x", "refused, '..\\\\x' in it points outside the archive"),
        ("C:\\x", "refused, 'C:\\\\x' in it points outside the archive"),
        ("two\nlines/../x", "refused, 'two\\nlines/../x' in it points outside the archive"),
        (special(MEMBER, tarfile.SYMTYPE), f"refused, '{MEMBER}' in it is a link or a device"),
        (special(MEMBER, tarfile.LNKTYPE), f"refused, '{MEMBER}' in it is a link or a device"),
        (special(MEMBER, tarfile.CHRTYPE), f"refused, '{MEMBER}' in it is a link or a device"),
        (special(MEMBER, tarfile.FIFOTYPE), f"refused, '{MEMBER}' in it is a link or a device"),
    ],
)
def test_a_hostile_member_is_refused(tmp_path: Path, member: tarfile.TarInfo | str, message: str) -> None:
    archive = tmp_path / "cifar.tar.gz"
    archive.write_bytes(tar_gz([(member, b"x")]))
    with pytest.raises(DataError) as error:
        cifar.read_archive(archive)
    assert str(error.value) == f"{archive}: {message}; get a fresh copy."
    assert list(tmp_path.iterdir()) == [archive]


def test_each_wrong_archive_has_its_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "cifar.tar.gz"
    whole = tar_gz([(MEMBER, bytes(5_000))])
    most = "data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5, test_batch"
    monkeypatch.setattr(cifar, "_MOST_MEMBER_BYTES", 10_000)
    monkeypatch.setattr(cifar, "_MOST_ARCHIVE_BYTES", 50_000)
    for content, message in (
        (b"no gzip", "broken archive (Not a gzipped file (b'no'))"),
        (whole[:-20], "broken archive (Compressed file ended before the end-of-stream marker was reached)"),
        (gzip.compress(b"no tar"), "broken archive (truncated header)"),
        (gzip.compress(gzip.decompress(whole)[:2_000]), "broken archive (unexpected end of data)"),
        (tar_gz([]), f"lacks {most}"),
        (tar_gz([("elsewhere/data_batch_1", b"x")]), f"lacks {most}"),
        (tar_gz([(MEMBER, b"x"), (f"./{MEMBER}", b"y")]), "holds data_batch_1 twice"),
        (tar_gz([(MEMBER, bytes(10_001))]), f"refused, '{MEMBER}' in it has 10,001 bytes"),
        (tar_gz([(f"file-{number}", bytes(9_000)) for number in range(9)]), "refused, unpacks to over 50,000 bytes"),
    ):
        archive.write_bytes(content)
        with pytest.raises(DataError) as error:
            cifar.read_archive(archive)
        assert str(error.value) == f"{archive}: {message}; get a fresh copy."


def test_an_extended_header_cannot_allocate_at_will(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pax header is read whole by tarfile, however long it says it is."""
    monkeypatch.setattr(cifar, "_MOST_ARCHIVE_BYTES", 100_000)
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 4 << 30
    archive = tmp_path / "cifar.tar.gz"
    archive.write_bytes(gzip.compress(header.tobuf() + bytes(10_000_000), compresslevel=1))
    with pytest.raises(DataError, match="refused, unpacks to over 100,000 bytes"):
        cifar.read_archive(archive)


def test_nested_extended_headers_end(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
    archive = tmp_path / "cifar.tar.gz"
    archive.write_bytes(gzip.compress((header.tobuf() + bytes(512)) * 5_000))
    with pytest.raises(DataError) as error:
        cifar.read_archive(archive)
    assert str(error.value) == f"{archive}: broken archive (extended headers without end); get a fresh copy."


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cifar") / "cifar.tar.gz"


@settings(deadline=None)
@given(content=st.binary(max_size=300), zipped=st.booleans())
def test_random_bytes_give_a_data_error(scratch: Path, content: bytes, zipped: bool) -> None:
    scratch.write_bytes(gzip.compress(content) if zipped else content)
    refused(scratch)


@settings(deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(0, 1_600), st.integers(0, 255)), min_size=1, max_size=6),
    kind=st.sampled_from([b"0", b"5", b"x", b"g", b"L", b"K", b"S", b"X", b"V", b"\0"]),
    cut=st.integers(1, 4_000),
)
def test_damaged_archives_give_a_data_error(scratch: Path, edits: list[tuple[int, int]], kind: bytes, cut: int) -> None:
    damaged = bytearray(gzip.decompress(tar_gz([(MEMBER, b"12 path=abc\n" * 50), ("readme.html", b"x")])))
    damaged[156:157] = kind
    for position, value in edits:
        damaged[position] = value
    # Only a header whose sum is right is read any further.
    damaged[148:156] = b"%06o\0 " % (sum(damaged[:148]) + 8 * 32 + sum(damaged[156:512]))
    scratch.write_bytes(gzip.compress(bytes(damaged[:cut]), compresslevel=1))
    refused(scratch)


def refused(archive: Path) -> None:
    with pytest.raises(DataError) as error:
        cifar.read_archive(archive)
    assert str(error.value).startswith(f"{archive}: ")
    assert "\n" not in str(error.value)

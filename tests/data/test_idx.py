import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.data.idx import read_idx
from etude.errors import DataError

Writer = Callable[[np.ndarray], bytes]
IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx") / "file"


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("shape", [(0,), (7,), (2, 3), (5, 4, 3), (0, 28, 28)])
def test_what_was_written_is_read(scratch: Path, idx_bytes: Writer, shape: tuple[int, ...], zipped: bool) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    content = idx_bytes(array)
    scratch.write_bytes(gzip.compress(content) if zipped else content)
    result = read_idx(scratch, dimensions=len(shape))
    assert result.dtype == np.uint8
    assert result.flags.writeable  # torch warns of arrays that are not
    np.testing.assert_array_equal(result, array)


def test_a_large_file_crosses_the_chunks(scratch: Path, idx_bytes: Writer) -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 1_000, 1_000), dtype=np.uint8)
    scratch.write_bytes(gzip.compress(idx_bytes(array), compresslevel=1))
    np.testing.assert_array_equal(read_idx(scratch, dimensions=3), array)


WRONG = {
    "empty": (
        lambda good: b"",
        "not an IDX file of 3-dimensional unsigned bytes (starts with nothing, expected 00000803)",
    ),
    "magic": (
        lambda good: b"GIF8" + good[4:],
        "not an IDX file of 3-dimensional unsigned bytes (starts with 47494638, expected 00000803)",
    ),
    "floats": (
        lambda good: bytes((0, 0, 13, 3)) + good[4:],
        "not an IDX file of 3-dimensional unsigned bytes (starts with 00000d03, expected 00000803)",
    ),
    "labels for images": (
        lambda good: bytes((0, 0, 8, 1)) + good[4:],
        "not an IDX file of 3-dimensional unsigned bytes (starts with 00000801, expected 00000803)",
    ),
    "header cut": (lambda good: good[:10], "ends within its header"),
    "truncated": (lambda good: good[:-1], "truncated: holds fewer values than the 5×4×3 of its header"),
    "trailing": (lambda good: good + b"x", "goes on after the 60 values of its header"),
    "huge": (
        lambda good: good[:4] + b"\xff" * 12 + good[16:],
        "truncated: holds fewer values than the 4294967295×4294967295×4294967295 of its header",
    ),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("case", WRONG)
def test_each_damage_has_its_message(scratch: Path, idx_bytes: Writer, case: str, zipped: bool) -> None:
    damage, message = WRONG[case]
    content = damage(idx_bytes(IMAGES))
    scratch.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(DataError) as error:
        read_idx(scratch, dimensions=3)
    assert str(error.value) == f"{scratch}: {message}; get a fresh copy."


def test_a_broken_gzip_file_is_named(scratch: Path, idx_bytes: Writer) -> None:
    content = idx_bytes(IMAGES)
    zipped = gzip.compress(content)
    for broken, reason in (
        (zipped[:-12], "Compressed file ended before the end-of-stream marker was reached"),
        (zipped[:-8] + bytes(4) + zipped[-4:], f"CRC check failed 0x0 != {zlib.crc32(content):#x}"),
    ):
        scratch.write_bytes(broken)
        with pytest.raises(DataError) as error:
            read_idx(scratch, dimensions=3)
        assert str(error.value) == f"{scratch}: broken gzip file ({reason}); get a fresh copy."


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read_idx(tmp_path / "none", dimensions=1)
    assert str(error.value) == f"{tmp_path / 'none'}: cannot be read (No such file or directory)."


def test_a_header_does_not_make_it_allocate(scratch: Path, idx_bytes: Writer) -> None:
    header = bytes((0, 0, 8, 1)) + (2**32 - 1).to_bytes(4, "big")
    bomb = gzip.compress(idx_bytes(np.zeros(1, np.uint8)) + bytes(50_000_000), compresslevel=1)
    for content in (header, gzip.compress(header), bomb):
        scratch.write_bytes(content)
        tracemalloc.start()
        try:
            with pytest.raises(DataError):
                read_idx(scratch, dimensions=1)
            assert tracemalloc.get_traced_memory()[1] < 3_000_000
        finally:
            tracemalloc.stop()


@settings(deadline=None)
@given(content=st.binary(max_size=200), zipped=st.booleans())
def test_random_bytes_give_an_array_or_a_data_error(scratch: Path, content: bytes, zipped: bool) -> None:
    scratch.write_bytes(gzip.compress(content) if zipped else content)
    _array_or_data_error(scratch)


@settings(deadline=None)
@given(
    zipped=st.booleans(),
    edits=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 255)), max_size=4),
    length=st.integers(0, 120),
    tail=st.binary(max_size=4),
)
def test_a_damaged_file_gives_an_array_or_a_data_error(
    scratch: Path, idx_bytes: Writer, zipped: bool, edits: list[tuple[int, int]], length: int, tail: bytes
) -> None:
    content = idx_bytes(IMAGES)
    damaged = bytearray(gzip.compress(content, mtime=0) if zipped else content)
    for position, value in edits:
        damaged[position % len(damaged)] = value
    scratch.write_bytes(bytes(damaged[:length]) + tail)
    _array_or_data_error(scratch)


def _array_or_data_error(path: Path) -> None:
    for dimensions in (1, 3):
        try:
            array, message = read_idx(path, dimensions=dimensions), None
        except DataError as error:
            array, message = None, str(error)
        if array is None:
            assert message
            assert message.startswith(f"{path}: ")
            assert "\n" not in message
        else:
            assert (array.ndim, array.dtype) == (dimensions, np.uint8)

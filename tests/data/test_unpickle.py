import os
import pickle
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.data.unpickle import unpickle
from etude.errors import DataError

Writer = Callable[[object], bytes]
FILE = Path("data_batch_1")

leaves = st.integers(-(2**31), 2**31 - 1) | st.binary(max_size=300)
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.binary(max_size=8), inner))


def refusal(data: bytes) -> str:
    with pytest.raises(DataError) as error:
        unpickle(data, FILE)
    text = str(error.value)
    prefix, suffix = "data_batch_1: not a batch of CIFAR-10 (", "); get a fresh copy."
    assert text.startswith(prefix)
    assert text.endswith(suffix)
    assert "\n" not in text
    return text.removeprefix(prefix).removesuffix(suffix)


@settings(deadline=None)
@given(values)
def test_it_agrees_with_python(python2_pickle: Writer, value: Any) -> None:
    data = python2_pickle(value)
    assert unpickle(data, FILE) == pickle.loads(data, encoding="bytes") == value


def test_the_memo_of_the_original_files() -> None:
    """cPickle put every string into the memo (q, r) and took repeated ones from it (h, j)."""
    data = b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x06h\x02U\x01xr\x00\x01\x00\x00j\x00\x01\x00\x00eu."
    expected = {b"labels": [6, b"labels", b"x", b"x"]}
    assert unpickle(data, FILE) == pickle.loads(data, encoding="bytes") == expected


@pytest.mark.parametrize("value", [None, True, False, [], {}, [None, [True]], {b"a": [False]}])
def test_constants_agree_with_python(value: Any) -> None:
    # Python 3 writes no byte strings at protocol 2 without calling a function, but these are the same.
    data = pickle.dumps(value, protocol=2) if value != {b"a": [False]} else b"\x80\x02}U\x01a]\x89as."
    assert unpickle(data, FILE) == pickle.loads(data, encoding="bytes") == value


@pytest.mark.parametrize("shape", [(0,), (5,), (2, 3), (10, 3, 4, 4)])
def test_arrays_agree_with_python(python2_pickle: Writer, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = python2_pickle({b"data": array})
    ours, pythons = unpickle(data, FILE)[b"data"], pickle.loads(data, encoding="bytes")[b"data"]
    np.testing.assert_array_equal(ours, array)
    np.testing.assert_array_equal(pythons, array)


MARKER = Path(tempfile.gettempdir()) / f"etude-hostile-{os.getpid()}"


class Hostile:
    def __reduce__(self) -> tuple:
        return os.mkdir, (str(MARKER),)


class Stateful:
    def __init__(self) -> None:
        self.value = 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("build", [Hostile, Stateful, lambda: os.system, lambda: np.zeros(3), lambda: {1: 2}])
def test_no_object_is_made_and_no_code_is_run(protocol: int, build: Callable[[], object]) -> None:
    refusal(pickle.dumps(build(), protocol))
    assert not MARKER.exists()


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
UINT8 = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
REFUSED = {
    "empty": (b"", "it is cut off or damaged"),
    "no end": (b"\x80\x02}", "it is cut off or damaged"),
    "protocol 4": (pickle.dumps({}, protocol=4), "its pickle protocol is newer than 2"),
    "global": (b"\x80\x02cos\nsystem\n.", "it refers to 'os.system', which is not allowed"),
    "builtin": (b"\x80\x02c__builtin__\neval\n.", "it refers to '__builtin__.eval', which is not allowed"),
    "numpy, but not an array": (b"\x80\x02cnumpy\nload\n.", "it refers to 'numpy.load', which is not allowed"),
    "endless name": (b"\x80\x02c" + b"a" * 500, "a name in it has no end"),
    "INST": (b"(S'ls'\nios\nsystem\n.", "opcode 0x53 at byte 1 is not allowed"),
    "OBJ": (b"(o.", "opcode 0x6f at byte 1 is not allowed"),
    "persistent": (b"Px\n.", "opcode 0x50 at byte 0 is not allowed"),
    "call of an array": (b"\x80\x02cnumpy\nndarray\n)R.", "it calls what is not allowed"),
    "call of a number": (b"\x80\x02K\x01)R.", "it calls what is not allowed"),
    "string beyond the end": (b"\x80\x02T\xff\xff\xff\x7fabc.", "it is cut off or damaged"),
    "string of negative length": (b"\x80\x02T\xff\xff\xff\xffabc.", "it is cut off or damaged"),
    "far memo": (b"\x80\x02Nr\xff\xff\xff\xff0.", "opcode 0x30 at byte 8 is not allowed"),
    "memo that is not there": (b"\x80\x02h\x07.", "it is damaged"),
    "list of nothing": (b"\x80\x02(e.", "it is cut off or damaged"),
    "append to a number": (b"\x80\x02K\x01K\x02a.", "it is damaged"),
    "items without mark": (b"\x80\x02}K\x01u.", "it is damaged"),
    "key without value": (b"\x80\x02}(U\x01au.", "it is damaged"),
    "key that is a list": (b"\x80\x02}(]Nu.", "it is damaged"),
    "mark as value": (b"\x80\x02](a.", "it is damaged"),
    "remembered mark": (b"\x80\x02](q\x00h\x00.", "it is damaged"),
    "two values": (b"\x80\x02NN.", "bytes follow its end"),
    "trailing": (b"\x80\x02N.N", "bytes follow its end"),
    "state of a number": (b"\x80\x02K\x01)b.", "it is damaged"),
    "array without values": (b"\x80\x02" + ARRAY + b")b.", "an array in it is damaged"),
    "array of objects": (
        b"\x80\x02" + ARRAY + b"(K\x01K\x01\x85cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R\x89U\x01atb.",
        "an array in it is not of unsigned bytes",
    ),
    "array larger than its values": (
        b"\x80\x02" + ARRAY + b"(K\x01J\xff\xff\xff\x7f\x85" + UINT8 + b"\x89U\x01atb.",
        "an array in it is damaged",
    ),
    "array with a negative size": (
        b"\x80\x02" + ARRAY + b"(K\x01J\xff\xff\xff\xff\x85" + UINT8 + b"\x89U\x01atb.",
        "an array in it is damaged",
    ),
    "array by columns": (
        b"\x80\x02" + ARRAY + b"(K\x01K\x01\x85" + UINT8 + b"\x88U\x01atb.",
        "an array in it is damaged",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_refusal_has_its_message(case: str) -> None:
    data, message = REFUSED[case]
    assert refusal(data) == message


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02Nr\xff\xff\xff\xff.",  # Python's own would make a memo of 32 GiB
        b"\x80\x02T\xff\xff\xff\x7f.",
        b"\x80\x02}" + b"(" * 100_000 + b".",
        b"\x80\x02" + b")q\x00" + b"h\x00h\x00\x86q\x00" * 200 + b"K\x01s.",  # its hash takes 2**200 steps
        b"\x80\x02}q\x00T"
        + (500_000).to_bytes(4, "little")
        + bytes(500_000)
        + b"q\x01"
        + b"h\x00h\x01Ns" * 1_000
        + b".",
        b"\x80\x02" + b"]q\x00" + b"(h\x00h\x00e" * 1_000 + b"a.",
    ],
    ids=["far memo", "long string", "marks", "nested tuples", "long keys", "list of itself"],
)
def test_small_files_cost_little(data: bytes) -> None:
    tracemalloc.start()
    start = time.process_time()
    try:
        unpickle(data, FILE)
    except DataError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 100_000 + 50 * len(data)
    assert time.process_time() - start < 2


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_give_a_data_error_or_a_plain_value(data: bytes) -> None:
    plain_or_refused(data)


OPCODES = b"(.}]NUTKMJ)t\x85\x86\x87qrhjaesucRb\x88\x89"
PIECES = [bytes([byte]) for byte in OPCODES + b"\x00\x01"] + [b"U\x01a", b"cnumpy\ndtype\n", ARRAY, UINT8]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_random_programs_give_a_data_error_or_a_plain_value(program: list[bytes]) -> None:
    plain_or_refused(b"".join(program))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=5), st.integers(0, 4_000))
def test_damaged_batches_give_a_data_error_or_a_plain_value(
    python2_pickle: Writer, edits: list[tuple[int, int]], cut: int
) -> None:
    batch = {b"labels": [1, 2, 3], b"data": np.zeros((3, 4), np.uint8), b"filenames": [b"a.png"] * 3}
    damaged = bytearray(python2_pickle(batch))
    for position, value in edits:
        damaged[position % len(damaged)] = value
    plain_or_refused(bytes(damaged[: cut or None]))


def plain_or_refused(data: bytes) -> None:
    try:
        value = unpickle(data, FILE)
    except DataError:
        refusal(data)
    else:
        assert_plain(value, set())


def assert_plain(value: object, seen: set[int]) -> None:
    if id(value) in seen:
        return
    seen.add(id(value))
    # What a file refers to or has not filled in may be left over; it does nothing.
    assert type(value) in (dict, list, tuple, bytes, int, bool, type(None), np.ndarray) or type(value).__name__ in (
        "_Name",
        "_Unbuilt",
    ), type(value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        assert_plain(inner, seen)

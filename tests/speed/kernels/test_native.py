"""The library of kernels in C++: compiled once, whole or not at all."""

import ctypes
import shutil
from pathlib import Path

import pytest

from etude.speed.kernels import native

needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")


@needs_a_compiler
@pytest.mark.parametrize("left", [0, 0.5, 1])
def test_a_library_that_is_not_as_it_was_written_is_compiled_again(
    left: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small.cpp").write_text('extern "C" int answer() { return 42; }')
    monkeypatch.setattr(native, "FOLDER", tmp_path)
    monkeypatch.setattr(native, "cache_folder", lambda: tmp_path / "cache")
    first = Path(native._library())
    whole = first.read_bytes()
    assert Path(native._library()) == first
    first.write_bytes(whole[: int(left * len(whole))] if left < 1 else bytes([*whole[:-1], whole[-1] ^ 1]))
    again = Path(native._library())
    assert ctypes.CDLL(str(again)).answer() == 42
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".native.lock", again.name]


@needs_a_compiler
def test_a_failure_to_compile_names_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.cpp").write_text("this is no program")
    monkeypatch.setattr(native, "FOLDER", tmp_path)
    monkeypatch.setattr(native, "cache_folder", lambda: tmp_path / "cache")
    with pytest.raises(OSError, match=r"^g\+\+: .*broken\.cpp.*error"):
        native._library()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".native.lock"]

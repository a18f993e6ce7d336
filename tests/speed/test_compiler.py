"""What the compiler's cache holds is whole, or compiled again."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from etude.speed.compiler import is_torn, remove_torn_libraries


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
def test_a_library_cut_short_is_known_by_its_table_of_sections(tmp_path: Path) -> None:
    (tmp_path / "small.cpp").write_text("int answer() { return 42; }")
    cache = tmp_path / "ab"
    cache.mkdir()
    whole, half, empty = (cache / f"{name}.main.so" for name in ("whole", "half", "empty"))
    subprocess.run(["g++", "-shared", "-fPIC", str(tmp_path / "small.cpp"), "-o", str(whole)], check=True)
    half.write_bytes(whole.read_bytes()[:-1])
    empty.write_bytes(b"")
    assert [is_torn(path) for path in (whole, half, empty)] == [False, True, sys.platform == "linux"]
    remove_torn_libraries(tmp_path)
    assert sorted(cache.iterdir()) == [whole]

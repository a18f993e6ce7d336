import errno
import os
from pathlib import Path

import pytest

from etude.drawing.files import write_atomically
from etude.errors import TrainingError


def test_replaces_the_old_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError) as caught:
        write_atomically(path, b"new")
    assert str(caught.value) == (
        f"cannot write {path}: no space left on the disk; free some space, then run the command again."
    )
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "a.bin"
    with pytest.raises(TrainingError) as caught:
        write_atomically(path, b"new")
    reason = "file exists"
    assert str(caught.value) == (
        f"cannot write {path}: {reason}; choose a folder that you may write to, then run the command again."
    )

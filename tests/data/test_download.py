import gzip
import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etude.data import download as download_module
from etude.data.download import Download, fetch_files, part_path
from etude.errors import DataError, DiskError

CONTENT = bytes(range(256)) * 4_000
ZIPPED = gzip.compress(os.urandom(1_000_000), compresslevel=1)
UNZIPPED = gzip.decompress(ZIPPED)
DEAD = "http://127.0.0.1:9/"  # the discard port: nobody listens


def wanted(*mirrors: str, content: bytes = UNZIPPED) -> Download:
    return Download(
        file="file.gz",
        mirrors=tuple(f"{mirror}file.gz" for mirror in mirrors),
        checksums={"file": f"sha256:{hashlib.sha256(content).hexdigest()}"},
        most_bytes=2_000_000,
    )


def failure(folder: Path, *downloads: Download) -> str:
    with pytest.raises(DataError) as error:
        fetch_files("mnist", downloads, folder)
    text = str(error.value)
    prefix, suffix = (
        "mnist cannot be downloaded: ",
        "; check the network and try again, or name the folder of your own copy with --data-dir.",
    )
    assert text.startswith(prefix)
    assert text.endswith(suffix)
    return text.removeprefix(prefix).removesuffix(suffix)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_the_content_is_kept_unzipped(mirror: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mirror.files["/file.gz"] = ZIPPED
    fetch_files("mnist", [wanted(mirror.url)], tmp_path / "new/folder")
    assert (tmp_path / "new/folder/file").read_bytes() == UNZIPPED
    assert left_in(tmp_path / "new/folder") == ["file"]
    assert mirror.requests == [("/file.gz", None)]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "file.gz" in printed.err


def test_what_is_there_is_not_fetched_again(mirror: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    fetch_files("mnist", [wanted(mirror.url)], tmp_path)
    assert mirror.requests == []
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("wrapper", [lambda content: gzip.compress(content, 9), lambda content: content])
def test_how_it_is_zipped_does_not_matter(mirror: Any, tmp_path: Path, wrapper: Callable[[bytes], bytes]) -> None:
    mirror.files["/file.gz"] = wrapper(CONTENT)
    fetch_files("mnist", [wanted(mirror.url, content=CONTENT)], tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_dead_mirror_is_followed_by_the_next(start_mirror: Callable[[], Any], tmp_path: Path) -> None:
    lacking, wrong, damaged, right = (start_mirror() for _ in range(4))
    wrong.files["/file.gz"] = gzip.compress(b"something else")
    damaged.files["/file.gz"] = ZIPPED[:5_000]
    right.files["/file.gz"] = ZIPPED
    mirrors = (DEAD, lacking.url, wrong.url, damaged.url, right.url)
    fetch_files("mnist", [wanted(*mirrors)], tmp_path)
    assert (tmp_path / "file").read_bytes() == UNZIPPED
    assert left_in(tmp_path) == ["file"]


def test_when_no_mirror_works_each_reason_is_given(start_mirror: Callable[[], Any], tmp_path: Path) -> None:
    lacking, wrong, damaged, endless, breaking = (start_mirror() for _ in range(5))
    wrong.files["/file.gz"] = gzip.compress(b"something else")
    damaged.files["/file.gz"] = ZIPPED[:5_000]
    endless.files["/file.gz"] = bytes(2_000_001)
    breaking.files["/file.gz"] = ZIPPED
    breaking.cut_after["/file.gz"] = [0, 0, 0]
    mirrors = (DEAD, lacking.url, wrong.url, damaged.url, endless.url, breaking.url)
    host = "127.0.0.1: "
    reasons = (
        "no connection",
        "404 Not Found",
        "sent other content than expected (wrong checksum)",
        "sent a damaged file",
        "offers 2,000,001 bytes, which is too much",
        "broke off",
    )
    assert failure(tmp_path, wanted(*mirrors)) == f"file.gz ({'; '.join(host + reason for reason in reasons)})"
    assert not (tmp_path / "file").exists()
    assert not (tmp_path / "file.gz").exists()


def test_a_body_that_breaks_off_is_taken_up_again(mirror: Any, tmp_path: Path) -> None:
    mirror.files["/file.gz"] = ZIPPED
    mirror.cut_after["/file.gz"] = [300_000, 400_000]
    fetch_files("mnist", [wanted(mirror.url)], tmp_path)
    assert (tmp_path / "file").read_bytes() == UNZIPPED
    assert mirror.requests == [("/file.gz", None), ("/file.gz", "bytes=300000-"), ("/file.gz", "bytes=700000-")]


def test_a_server_without_ranges_sends_all_of_it_again(mirror: Any, tmp_path: Path) -> None:
    mirror.files["/file.gz"] = ZIPPED
    mirror.knows_ranges = False
    mirror.cut_after["/file.gz"] = [300_000]
    fetch_files("mnist", [wanted(mirror.url)], tmp_path)
    assert (tmp_path / "file").read_bytes() == UNZIPPED


@pytest.mark.parametrize("extra", [-300_000, 0, 5])
def test_a_part_of_something_else_does_not_spoil_it(mirror: Any, tmp_path: Path, extra: int) -> None:
    """The mirror has changed since: the mixture fails its checksum, and a fresh download is made."""
    mirror.files["/file.gz"] = ZIPPED
    part_path(tmp_path, "file.gz", f"{mirror.url}file.gz").write_bytes(bytes(len(ZIPPED) + extra))
    fetch_files("mnist", [wanted(mirror.url)], tmp_path)
    assert (tmp_path / "file").read_bytes() == UNZIPPED
    assert left_in(tmp_path) == ["file"]
    assert mirror.requests[-1] == ("/file.gz", None)


def test_a_whole_part_needs_no_more_bytes(mirror: Any, tmp_path: Path) -> None:
    mirror.files["/file.gz"] = ZIPPED
    part_path(tmp_path, "file.gz", f"{mirror.url}file.gz").write_bytes(ZIPPED)
    fetch_files("mnist", [wanted(mirror.url)], tmp_path)
    assert (tmp_path / "file").read_bytes() == UNZIPPED
    assert mirror.requests == [("/file.gz", f"bytes={len(ZIPPED)}-")]


def test_an_archive_left_by_a_kill_is_used(tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_bytes(ZIPPED)
    fetch_files("mnist", [wanted(DEAD)], tmp_path)
    assert left_in(tmp_path) == ["file"]


def test_a_wrong_archive_left_by_a_kill_is_replaced(mirror: Any, tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_bytes(b"half")
    mirror.files["/file.gz"] = ZIPPED
    fetch_files("mnist", [wanted(mirror.url)], tmp_path)
    assert left_in(tmp_path) == ["file"]


def test_a_server_that_hangs_is_given_up(mirror: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "_READ_SECONDS", 0.2)
    mirror.files["/file.gz"] = ZIPPED
    mirror.hold_after["/file.gz"] = 0
    try:
        assert failure(tmp_path, wanted(mirror.url)) == "file.gz (127.0.0.1: no answer in time)"
    finally:
        mirror.released.set()


def test_a_killed_download_goes_on_where_it_stopped(mirror: Any, tmp_path: Path) -> None:
    mirror.files["/file.gz"] = ZIPPED
    mirror.hold_after["/file.gz"] = 600_000
    download = wanted(mirror.url)
    script = (
        "from pathlib import Path; from etude.data.download import Download, fetch_files; "
        f"fetch_files('mnist', [{download!r}], Path({str(tmp_path)!r}))"
    )
    part = part_path(tmp_path, "file.gz", download.mirrors[0])
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (part.exists() and part.stat().st_size >= 262_144):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    mirror.released.set()
    have = part.stat().st_size
    assert 262_144 <= have <= 600_000
    mirror.hold_after.clear()
    fetch_files("mnist", [download], tmp_path)
    assert (tmp_path / "file").read_bytes() == UNZIPPED
    assert mirror.requests == [("/file.gz", None), ("/file.gz", f"bytes={have}-")]


def test_two_at_once_download_once(mirror: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mirror.files["/file.gz"] = ZIPPED
    mirror.hold_after["/file.gz"] = 1_000
    threads = [threading.Thread(target=fetch_files, args=("mnist", [wanted(mirror.url)], tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    printed = ""
    while "waiting" not in printed and time.monotonic() < deadline:
        time.sleep(0.01)
        printed += capsys.readouterr().err
    mirror.released.set()
    for thread in threads:
        thread.join(20)
    assert f"Another process downloads into {tmp_path}: waiting for it." in printed
    assert (tmp_path / "file").read_bytes() == UNZIPPED
    assert len(mirror.requests) == 1


def test_a_full_disk_is_said_and_the_part_kept(mirror: Any, tmp_path: Path) -> None:
    """/dev/full is a disk without space: every write to it fails as on a full one."""
    mirror.files["/file.gz"] = ZIPPED
    download = wanted(mirror.url)
    part_path(tmp_path, "file.gz", download.mirrors[0]).symlink_to("/dev/full")
    with pytest.raises(DiskError) as error:
        fetch_files("mnist", [download], tmp_path)
    assert str(error.value) == (
        f"cannot write {tmp_path}: no space left on device; free some space or choose another folder."
    )
    assert not (tmp_path / "file").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError) as error:
        fetch_files("mnist", [wanted(DEAD)], tmp_path / "file/folder")
    assert str(error.value) == (
        f"cannot write {tmp_path / 'file/folder'}: not a directory; free some space or choose another folder."
    )


def archive_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("extra", ["readme.html", "../evil", "/tmp/evil"])
def test_an_archive_gives_its_wanted_members_only(mirror: Any, tmp_path: Path, extra: str) -> None:
    members = {"cifar-10-batches-py/data_batch_1": b"one", "cifar-10-batches-py/test_batch": b"two"}
    mirror.files["/cifar.tar.gz"] = archive_of({**members, extra: b"x"})
    download = Download(
        file="cifar.tar.gz",
        mirrors=(f"{mirror.url}cifar.tar.gz",),
        checksums={
            name: f"md5:{hashlib.md5(content).hexdigest()}"
            for name, content in (("data_batch_1", b"one"), ("test_batch", b"two"))
        },
        most_bytes=10_000,
    )
    folder = tmp_path / "deep/folder"
    if extra != "readme.html":
        assert failure(folder, download) == "cifar.tar.gz (127.0.0.1: sent a damaged file)"
        assert left_in(folder) == []
        return
    fetch_files("mnist", [download], folder)
    assert left_in(folder) == ["data_batch_1", "test_batch"]
    assert (folder / "data_batch_1").read_bytes() == b"one"

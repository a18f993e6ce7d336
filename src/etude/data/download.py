"""Downloading a data set: from the first mirror that works, resumed after a kill, checked by its content.

A mirror may have compressed the same content again, so the checksum of the content counts. An unfinished file stays
beside its target, with the name that `part_path` gives, and is continued the next time.
"""

import fcntl
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from etude.data.cifar import archive_members
from etude.data.idx import unzipped
from etude.errors import DataError
from etude.files import cannot_write, remove_leftovers, write_atomically

_CONNECT_SECONDS, _READ_SECONDS = 10, 30
_ATTEMPTS_PER_MIRROR = 3
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Download:
    """One file of a data set: where it is found and what it must contain."""

    file: str
    """Its name on the mirrors. A `.tar.gz` is unpacked, any other file is unzipped."""
    mirrors: tuple[str, ...]
    """URLs of the file, in the order to try them."""
    checksums: dict[str, str]
    """The names under which its content is kept, each with the content's checksum as `sha256:…` or `md5:…`."""
    most_bytes: int
    """A limit above the file's size and above its content's size. A mirror that sends more is not believed."""


def part_path(folder: Path, file: str, url: str) -> Path:
    """Where the unfinished download of `url` is kept. Mirrors may differ, so each has its own."""
    return folder / f".{file}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part"


class _Refused(Exception):
    """A mirror does not give the file. The text says why, in a few words."""


def fetch_files(name: str, downloads: Sequence[Download], folder: Path) -> None:
    """Put the content of all `downloads` into `folder`, which is created if missing. Existing files stay.

    Files appear whole or not at all. A second process that downloads the same waits for the first. Raises `DataError`
    if no mirror gives a file as it should be, and `DiskError` if it cannot be written.
    """
    console = Console(stderr=True, force_jupyter=False)  # rich's bar in a notebook needs ipywidgets, and does not stay
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        with _alone(folder, console), Progress(*columns, TimeRemainingColumn(), console=console) as progress:
            for download in downloads:
                if not all((folder / content).exists() for content in download.checksums):
                    _fetch_one(name, download, folder, progress)
    except OSError as error:
        raise cannot_write(folder, error) from error


@contextmanager
def _alone(folder: Path, console: Console) -> Iterator[None]:
    """Hold `folder` for this process; the operating system frees it when the process ends, however it ends."""
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"Another process downloads into {folder}: waiting for it.", soft_wrap=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch_one(name: str, download: Download, folder: Path, progress: Progress) -> None:
    """Try the mirrors in turn. A file continued from an earlier try may be a mixture, so it gets a second, fresh
    try."""
    archive, reasons = folder / download.file, []
    for url in download.mirrors:
        part = part_path(folder, download.file, url)
        while True:
            continued = part.exists() or archive.exists()
            try:
                _retrieve(url, archive, part, download, progress)
                contents = _checked_contents(archive, download)
            except _Refused as refusal:
                if archive.exists():
                    archive.unlink()
                    if continued:
                        continue
                reasons.append(f"{urlsplit(url).hostname}: {refusal}")
                break
            for content_name, content in contents.items():
                write_atomically(folder / content_name, content)
            archive.unlink()
            for leftover in folder.glob(f".{download.file}.*.part"):
                leftover.unlink()
            return
    raise DataError(
        f"{name} cannot be downloaded: {download.file} ({'; '.join(dict.fromkeys(reasons))}); check the network and "
        f"try again, or name the folder of your own copy with --data-dir."
    )


def _retrieve(url: str, archive: Path, part: Path, download: Download, progress: Progress) -> None:
    """Bring the file at `url` to `archive`, unless it is already there."""
    if archive.exists():
        return
    task = progress.add_task(download.file, total=None)
    try:
        _receive(url, part, download.most_bytes, progress, task)
    except BaseException:
        progress.remove_task(task)
        raise
    part.replace(archive)


def _receive(url: str, part: Path, most_bytes: int, progress: Progress, task: TaskID) -> None:
    """Complete `part`. A broken connection is resumed, as long as it brings anything."""
    reason = "no connection"
    for _ in range(_ATTEMPTS_PER_MIRROR):
        before = part.stat().st_size if part.exists() else 0
        try:
            return _receive_rest(url, part, most_bytes, progress, task)
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            reason = "no answer in time"
        except (requests.RequestException, urllib3.exceptions.HTTPError):
            reason = "broke off" if part.exists() else "no connection"
        if not part.exists() or part.stat().st_size <= before:
            break
    raise _Refused(reason)


def _receive_rest(url: str, part: Path, most_bytes: int, progress: Progress, task: TaskID) -> None:
    have = part.stat().st_size if part.exists() else 0
    # If decompressed on the way, the byte ranges would be meaningless.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with requests.get(url, headers=headers, stream=True, timeout=(_CONNECT_SECONDS, _READ_SECONDS)) as response:
        if have and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is missing, or the checksum will tell
        if not response.ok:
            raise _Refused(f"{response.status_code} {response.reason}")
        if have and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0  # a server without ranges sends all of it
        length = response.headers.get("Content-Length", "")
        expected = have + int(length) if length.isdecimal() else None
        progress.update(task, total=expected, completed=have)
        if (expected or 0) > most_bytes:
            raise _Refused(f"offers {expected:,} bytes, which is too much")
        with part.open("ab" if have else "wb") as file:
            for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
                have += len(chunk)
                if have > most_bytes:
                    part.unlink()
                    raise _Refused(f"sends over {most_bytes:,} bytes, which is too much")
                file.write(chunk)
                progress.update(task, completed=have)
    if expected is not None and have < expected:
        raise requests.ConnectionError(f"{url} broke off at {have} of {expected} bytes")


def _checked_contents(archive: Path, download: Download) -> dict[str, bytes]:
    try:
        contents = _contents(archive, download)
    except DataError:
        raise _Refused("sent a damaged file") from None
    if any(not _has_checksum(contents.get(name, b""), checksum) for name, checksum in download.checksums.items()):
        raise _Refused("sent other content than expected (wrong checksum)")
    return {name: contents[name] for name in download.checksums}


def _contents(archive: Path, download: Download) -> dict[str, bytes]:
    if download.file.endswith(".tar.gz"):
        return dict(archive_members(archive))
    (name,) = download.checksums
    with unzipped(archive) as (file, _):
        return {name: file.read(download.most_bytes)}


def _has_checksum(content: bytes, checksum: str) -> bool:
    algorithm, _, expected = checksum.partition(":")
    return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest() == expected

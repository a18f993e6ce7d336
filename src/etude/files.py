"""Write files so that nobody ever reads half of one, even after a kill at any moment; and lock them.

An unfinished file has a temporary name, `temporary_path`. What a kill leaves under such a name is removed a day later.
"""

import errno
import fcntl
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import stat
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from etude.errors import DiskError, EtudeError, UsageError

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{,99}")
"""A name that is safe for a file or folder on every system."""
PLAIN_NAME_RULE = "letters, digits, '.', '_' and '-', starting with a letter or digit, at most 100"

DISK_FAILURES = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
"""A full disk, a full quota, a broken disk, a read-only disk."""

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.part|\.new-[0-9a-f]{8}", re.DOTALL)  # the second by étude 0.1
_LEFTOVER_SECONDS = 24 * 60 * 60
_SEALED = re.compile(rb'(.*),\n "checksum": "([0-9a-f]{32})"\n\}', re.DOTALL)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to a temporary name beside `path`, flush it to the disk, then rename it.

    A link is followed; a device or a pipe, such as /dev/stdout, is written directly. Raises `DiskError` if writing
    fails; what was at `path` before is then still there, whole.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    if path.name in ("", "..") or "\0" in str(path):
        raise UsageError(f"{str(path)!r} is not a file name; give one, such as {path.parent / 'NAME'}.")
    target = Path(os.path.realpath(path))
    temporary = temporary_path(target)
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(data)
            return
        write_and_flush(temporary, data)
        temporary.replace(target)
        flush_folder(target.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise cannot_write(path, error) from error
    remove_leftovers(target.parent)


# TOML and JSON that a person may have spoilt --------------------------------------------------------------------------


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text. A `ValueError` says on one line if it is not TOML or has a number beyond 64 bits."""
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # Python cannot read a number of more than 4,300 digits
        raise ValueError(_TOO_LARGE) from None
    _require_64_bits(values)
    return values


def parse_json(text: str | bytes, *, finite: bool = False) -> Any:
    """The value of a JSON text; with `finite`, infinite numbers are refused.

    A `ValueError` says on one line if it is not JSON or has a number beyond 64 bits.
    """
    floats: dict[str, Any] = {"parse_float": _finite, "parse_constant": _finite} if finite else {}
    try:
        return json.loads(text, parse_int=_int_of_64_bits, **floats)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def finite(value: Any) -> Any:
    """Plain values for JSON, which has no NaN and no infinity: they become None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    return [finite(each) for each in value] if isinstance(value, list | tuple) else value


_TOO_LARGE = "it holds a whole number beyond 64 bits"


def _int_of_64_bits(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
        raise ValueError(_TOO_LARGE)
    return int(digits)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value


def _require_64_bits(value: object) -> None:
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError(_TOO_LARGE)
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _require_64_bits(each)


def expand_home(path: Path | str) -> Path:
    """The path with `~` or `~name` at its front replaced by that home; `UsageError` if there is none."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # the second for a name with a null byte
        raise UsageError(f"{str(path)!r}: there is no such home folder; write the path in full.") from None


def make_folder(path: Path | str) -> Path:
    """The folder, made if it is not there; `UsageError` or `DiskError` if that is not possible."""
    folder = expand_home(path)
    if "\0" in str(folder):
        raise UsageError(f"{str(path)!r} is not a folder's name.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def write_and_flush(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_whole(path: Path) -> bytes:
    """The content of a file; `OSError` for anything else, such as a pipe, which would never end."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a file", os.fspath(path))
        return file.read()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def flush_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, so that a renamed file survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError) -> DiskError:
    """The one-line error for a failed write, with what to do about it."""
    return DiskError(
        f"cannot write {path}: {(error.strerror or str(error)).lower()}; free some space or choose another folder."
    )


@contextmanager
def disk_failures_said(folder: Path) -> Iterator[None]:
    """Turn any failure of the disk within the block into a `DiskError`.

    The failure may be the cause of another error, such as a compiler's. If it names no file, `folder` is named.
    """
    try:
        yield
    except Exception as error:
        failure: BaseException | None = error
        while failure and not (isinstance(failure, OSError) and failure.errno in DISK_FAILURES):
            failure = failure.__cause__ or failure.__context__
        if failure is None or isinstance(error, EtudeError):
            raise
        assert isinstance(failure, OSError)
        raise cannot_write(Path(os.fsdecode(failure.filename)) if failure.filename else folder, failure) from error


# What is not finished yet ---------------------------------------------------------------------------------------------


def temporary_path(path: Path) -> Path:
    """A new name beside `path` for an unfinished file or folder."""
    return path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.part")


def is_temporary(path: Path) -> bool:
    """Whether `temporary_path` gave this name."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_leftovers(*folders: Path) -> None:
    """Remove from each folder what a killed process left under a temporary name more than a day ago."""
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                path = Path(entry.path)
                if is_temporary(path) and time.time() - entry.stat(follow_symlinks=False).st_mtime > _LEFTOVER_SECONDS:
                    remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with its content, as far as permitted."""
    with suppress(OSError):
        path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)


# JSON with a checksum -------------------------------------------------------------------------------------------------


def checksum(content: bytes) -> str:
    """32 digits that change with every change of the content (BLAKE2)."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def checked_json(content: dict[str, Any]) -> str:
    """`content` as indented JSON. The last key, "checksum", covers every byte before it."""
    body = json.dumps(content, indent=1).removesuffix("\n}")
    return f'{body},\n "checksum": "{checksum(body.encode())}"\n}}'


def parse_checked_json(text: bytes) -> tuple[dict[str, Any], bool]:
    """What `checked_json` wrote, and whether it has a checksum: files of étude 0.1 have none.

    Raises a `ValueError` that says what is wrong if the text has changed or is not a JSON object of finite numbers.
    """
    sealed = _SEALED.fullmatch(text)
    if sealed and checksum(sealed[1]).encode() != sealed[2]:
        raise ValueError("its content has changed since it was written")
    value = parse_json(text, finite=True)
    if not isinstance(value, dict):
        raise ValueError(f"it holds a {type(value).__name__}, not an object")
    if not sealed and "checksum" in value:
        raise ValueError("its content has changed since it was written")
    value.pop("checksum", None)
    return value, sealed is not None


# Locks ----------------------------------------------------------------------------------------------------------------


@contextmanager
def locked(path: Path, *, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the file `path`, made if missing, for this process alone.

    If another process holds it, call `waiting` and wait. The operating system frees it when a process ends in any way.
    Raises `DiskError` if it cannot be made or locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise cannot_write(path, error) from error
    with file:
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise cannot_lock(path, error) from error
        yield


def cannot_lock(path: Path, error: OSError) -> DiskError:
    """The one-line error for a disk without locks, such as some network disks."""
    return DiskError(f"cannot lock {path}: {(error.strerror or str(error)).lower()}; choose a folder on another disk.")

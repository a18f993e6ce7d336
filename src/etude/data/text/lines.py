"""Read text files in UTF-8, whole or line by line, gzipped or not. Errors name the line."""

import gzip
import os
import zlib
from pathlib import Path

from etude.errors import DataError

MOST_BYTES = 100_000_000
"""The limit for a text file, unpacked."""
MOST_LINE_BYTES = 1_000_000


def read_text(path: Path) -> str:
    r"""The text of a file. Every line break becomes "\n". `DataError` names the line of bytes that are no UTF-8."""
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, start = content.count(b"\n", 0, error.start) + 1, content.rfind(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: byte {error.start - start + 1} (0x{content[error.start]:02x}) is no UTF-8; save the "
            "file as UTF-8."
        ) from None
    if not text.strip():
        raise DataError(f"{path}: holds no text.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path) -> list[str]:
    """The lines of a file, without white space at their ends. `DataError` names a line that is too long."""
    lines = read_text(path).removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) * 4 > MOST_LINE_BYTES and (size := len(line.encode())) > MOST_LINE_BYTES:
            raise DataError(
                f"{path}, line {number}: holds {size:,} bytes; allowed: at most {MOST_LINE_BYTES:,} in a line, so "
                "write one sentence per line."
            )
    return [line.strip() for line in lines]


def read_sentences(path: Path) -> list[str]:
    """The lines of a file that has no empty ones. `DataError` names the first empty line."""
    lines = read_lines(path)
    if "" in lines:
        raise DataError(f"{path}, line {lines.index('') + 1}: is empty; write a sentence, or remove the line.")
    return lines


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked if its name ends with .gz. `DataError` if it is too large."""
    if not os.path.isfile(path):
        raise DataError(f"{path}: no such file.")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path}: broken gzip file; get a fresh copy.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None
    if len(content) > MOST_BYTES:
        raise DataError(f"{path}: holds over {MOST_BYTES:,} bytes; allowed: at most that; divide the file.")
    return content

import gzip
import os
from pathlib import Path

import pytest

from etude.data.text import lines
from etude.data.text.lines import read_lines, read_sentences, read_text
from etude.errors import DataError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.txt"


def failure(read: object, path: Path) -> str:
    with pytest.raises(DataError) as error:
        read(path)  # pyright: ignore[reportCallIssue]
    return str(error.value).replace(str(path), "a.txt")


def test_a_text_is_read_whole(file: Path) -> None:
    content = "\ufeff eins\r\nzwei\u2028drei\n\r".encode()
    file.write_bytes(content)
    assert read_text(file) == " eins\nzwei\u2028drei\n\n"
    packed = file.with_suffix(".txt.gz")
    packed.write_bytes(gzip.compress(content))
    assert read_text(packed) == read_text(file)


def test_lines_end_with_line_breaks_alone(file: Path) -> None:
    file.write_bytes("  eins \r\nzwei\u2028drei\x85\n\nvier".encode())
    assert read_lines(file) == ["eins", "zwei\u2028drei", "", "vier"]
    file.write_text("eins\nzwei\n")
    assert read_sentences(file) == ["eins", "zwei"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.txt: holds no text."),
        (b" \n\t\n", "a.txt: holds no text."),
        (b"gut\nm\xfcde\n", "a.txt, line 2: byte 2 (0xfc) is no UTF-8; save the file as UTF-8."),
        ("müde".encode("utf-16"), "a.txt, line 1: byte 1 (0xff) is no UTF-8; save the file as UTF-8."),
        (b"gut\n\xed\xa0\x80", "a.txt, line 2: byte 1 (0xed) is no UTF-8; save the file as UTF-8."),
        (b"a\n \nb\n", "a.txt, line 2: is empty; write a sentence, or remove the line."),
        (
            b"a\n" + 10_000_000 * b"b" + b"\n",
            "a.txt, line 2: holds 10,000,000 bytes; allowed: at most 1,000,000 in a line, so write one sentence per "
            "line.",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    assert failure(read_sentences, file) == message


def test_other_files_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failure(read_text, file) == "a.txt: no such file."
    packed = file.with_suffix(".txt.gz")
    for content in (b"no gzip", gzip.compress(b"long" * 999)[:-20]):
        packed.write_bytes(content)
        assert failure(read_text, packed) == "a.txt: broken gzip file; get a fresh copy."
    file.write_text("abc")
    monkeypatch.setattr(lines, "MOST_BYTES", 2)
    assert failure(read_text, file) == "a.txt: holds over 2 bytes; allowed: at most that; divide the file."


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(file: Path) -> None:
    file.write_text("abc")
    file.chmod(0)
    assert failure(read_text, file) == "a.txt: cannot be read (Permission denied)."

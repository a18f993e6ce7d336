"""Files written whole; TOML and JSON that someone has spoilt; homes that are not there."""

import os
import time
from pathlib import Path

import pytest

from etude.errors import UsageError
from etude.files import expand_home, parse_json, parse_toml, write_atomically


@pytest.mark.parametrize("name", ["x.txt", "x" * 250, "é" * 125])
def test_a_file_is_written_whole_and_nothing_is_left_beside_it(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, "half a character: \udcff")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text("utf-8") == "half a character: \\udcff"


def test_what_is_no_name_is_refused_before_anything_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for path, message in ((Path(), "'.' is not a file name; give one, such as NAME."),
                          (Path("a/.."), "'a/..' is not a file name; give one, such as a/NAME."),
                          (Path("a\0b"), "'a\\x00b' is not a file name; give one, such as NAME.")):  # fmt: skip
        with pytest.raises(UsageError) as error:
            write_atomically(path, "text")
        assert str(error.value) == message
    assert list(tmp_path.iterdir()) == []


def test_links_are_followed_and_pipes_and_devices_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/file")
    write_atomically(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there/file").read_text() == "text"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(tmp_path / "pipe", "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    screen, terminal = os.openpty()  # a device of our own: /dev/null is everybody's
    write_atomically(Path(os.ttyname(terminal)), "text")
    assert os.read(screen, 10) == b"text"
    assert Path(os.ttyname(terminal)).is_char_device()


def test_the_next_writer_removes_what_a_killed_one_left_a_day_ago(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in (".a.json.0123abcd.part", ".b.json.0123abcd.part", ".c.part"))
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (time.time() - 90_000, time.time() - 90_000))
    write_atomically(tmp_path / "a.json", "{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.json.0123abcd.part", ".c.part", "a.json"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = " + "[" * 20_000, "it is nested too deeply"),
        ("a = " + "9" * 5000, "it holds a whole number beyond 64 bits"),
        ("a = 1" + "0" * 400, "it holds a whole number beyond 64 bits"),
        ("b = {c = [1, 0x" + "f" * 5000 + "]}", "it holds a whole number beyond 64 bits"),
        ("a = ", "Invalid value (at end of document)"),
    ],
)
def test_toml_that_is_none(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 (its whole text follows)
        parse_toml(text)
    assert str(error.value) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "it is nested too deeply"),
        ('{"a": ' * 100_000, "it is nested too deeply"),
        ("9" * 5000, "it holds a whole number beyond 64 bits"),
        ('{"a": [-18446744073709551617]}', "it holds a whole number beyond 64 bits"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ],
)
def test_json_that_is_none(text: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        parse_json(text)
    assert str(error.value) == reason


def test_numbers_of_64_bits_are_read() -> None:
    assert parse_json(b"[18446744073709551615, -9223372036854775808]") == [2**64 - 1, -(2**63)]
    assert parse_toml("a = 9223372036854775807") == {"a": 2**63 - 1}


def test_a_home_that_is_not_there() -> None:
    assert expand_home("~/x") == Path("~/x").expanduser()
    with pytest.raises(UsageError) as error:
        expand_home("~nouser/x")
    assert str(error.value) == "'~nouser/x': there is no such home folder; write the path in full."
    with pytest.raises(UsageError) as error:
        expand_home("~no\0user")
    assert str(error.value) == "'~no\\x00user': there is no such home folder; write the path in full."

"""docs/exercises: every command of the pages is run in its order, and what it prints is compared.

Numbers with a fraction differ from machine to machine, so they are masked. What studies find is tested in
tests/studies: here their names and knobs are read.
"""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from etude.cli import main
from etude.cli.show_study import parse_study

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path.stem for path in (DOCS / "exercises").glob("*.md") if path.stem != "README")
BLOCKS = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
VARYING = ("etude train", "etude measure")
"""Commands whose output has times, paths or values that another machine rounds to other digits."""


def shown(page: str) -> list[tuple[str, str]]:
    """Every command of a page, and what the page says that it prints."""
    blocks = BLOCKS.findall((DOCS / "exercises" / f"{page}.md").read_text("utf-8"))
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def masked(lines: list[str]) -> list[str]:
    """Lines without the numbers that vary, and with spaces of one width."""
    without = (re.sub(r"\d+(\.\d+)?e[+-]\d+|\d+\.\d+", "#", line) for line in lines)
    return [re.sub(r" {2,}", " ", line).strip() for line in without if line.strip()]


def piped(lines: list[str], pipes: list[str]) -> list[str]:
    """What `head`, `tail` and `grep` leave of the lines."""
    for words in map(shlex.split, pipes):
        match words:
            case ["head", "-n", count]:
                lines = lines[: int(count)]
            case ["tail", "-n", count]:
                lines = lines[-int(count) :]
            case ["grep", word]:
                lines = [line for line in lines if word in line]
            case _:
                raise AssertionError(words)
    return lines


@pytest.mark.parametrize("page", PAGES)
def test_commands_print_what_the_page_shows(
    page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(DOCS / "examples", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETUDE_RUNS", "runs")
    monkeypatch.setenv("COLUMNS", "100")
    for line, output in shown(page):
        command, *pipes = line.split(" | ")
        words = shlex.split(command)[1:]
        if words[0] == "study":
            parse_study(words[1:])
            continue
        code = main(words)
        printed = capsys.readouterr()
        assert code == (2 if "LeNet3" in command else 0), f"{command}: {printed.err}"
        lines = piped((printed.out or printed.err).strip().splitlines(), pipes)
        if not command.startswith(VARYING):
            assert masked(lines) == masked(output.splitlines()), command


def test_every_question_has_a_command() -> None:
    for page in PAGES:
        text = (DOCS / "exercises" / f"{page}.md").read_text("utf-8")
        sections = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
        without = [section.partition("\n")[0] for section in sections if "etude " not in section]
        assert not without
        assert all(output.strip() for _, output in shown(page))

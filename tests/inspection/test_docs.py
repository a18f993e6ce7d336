"""docs/inspect.md shows what the commands print: those that are quick are run again."""

import re
import shlex
from pathlib import Path

import pytest

from etude.cli import main

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(r"```console\n(.*?)```", (DOCS / "inspect.md").read_text(), re.DOTALL)
SHOWN = [part.partition("\n")[::2] for block in BLOCKS for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
QUICK = [
    (command, output)
    for command, output in SHOWN
    if command.startswith(("etude derive", "etude solve"))
    or command[-26:] == ":Course --input 3,128,128"
    or "LeNet3" in command
]


def lines(text: str) -> list[str]:
    """Rounding may differ from machine to machine: numbers with a fraction or exponent are masked."""
    masked = re.sub(r"\d+(\.\d+)?e[+-]\d+|\d+\.\d+", "#", text)
    return [line.rstrip() for line in masked.strip().splitlines()]


@pytest.mark.parametrize(("command", "output"), QUICK, ids=[command[6:60] for command, _ in QUICK])
def test_commands_print_what_the_docs_show(
    command: str, output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(DOCS / "examples")
    code = main(shlex.split(command)[1:])
    printed = capsys.readouterr()
    assert lines(printed.out + printed.err) == lines(output)
    assert code == (2 if "LeNet3" in command else 0)


def test_every_row_of_the_mission_is_here() -> None:
    text = (DOCS / "inspect.md").read_text()
    assert len(SHOWN) > 35
    assert all(output.strip() for _, output in SHOWN)
    assert "Missing argument" not in text

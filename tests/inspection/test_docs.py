"""docs/inspect.md shows what the commands print: every one is run again."""

import re
import shlex
from pathlib import Path

import pytest

from etude.cli import main

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(r"```console\n(.*?)```", (DOCS / "inspect.md").read_text(), re.DOTALL)
SHOWN = [part.partition("\n")[::2] for block in BLOCKS for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]


def lines(text: str) -> list[str]:
    """Rounding may differ from machine to machine: numbers with a fraction or exponent are masked."""
    masked = re.sub(r"\d+(\.\d+)?e[+-]\d+|\d+\.\d+", "#", text)
    shown = [line.rstrip() for line in masked.strip().splitlines()]
    return [line for line in shown if not re.match(r"gradients \d+/\d+ ", line)]  # progress on a busy machine


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command[6:60] for command, _ in SHOWN])
def test_commands_print_what_the_docs_show(
    command: str, output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(DOCS / "examples")
    words, _, last = command.partition(" | tail -n ")
    code = main(shlex.split(words)[1:])
    printed = capsys.readouterr()
    found = (printed.out or printed.err).splitlines()[-int(last) if last else None :]  # no progress, which is on stderr
    assert lines("\n".join(found)) == lines(output)
    assert code == (2 if "LeNet3" in command else 0)


def test_every_question_has_an_answer() -> None:
    text = (DOCS / "inspect.md").read_text()
    assert len(SHOWN) > 35
    assert all(output.strip() for _, output in SHOWN)
    assert "Missing argument" not in text

"""docs/exercises: every command of the pages is run in its order, and what it prints is compared.

Numbers with a fraction differ from machine to machine, so they are masked. What studies find is tested in
tests/studies: here their names and knobs are read. What whole files of answers are worth is tested once per contract.
"""

import re
import runpy
import shlex
import shutil
from pathlib import Path

import pytest

from etude.cli import main
from etude.cli.show_study import parse_study

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path.stem for path in (DOCS / "exercises").glob("*.md") if path.stem != "README")
QUESTIONS = {"classifier": 36, "gans": 26, "summary": 53, "vaes": 29}
BLOCKS = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
VARYING = ("etude train", "etude measure")
"""Commands whose output has times, paths or values that another machine rounds to other digits."""
SLOW = (
    "etude measure cvae --metrics bayes_accuracy", "etude verify gan.discriminator_loss", "etude verify cvae ",
    "etude figure cvae latent-plane --label 8", "python answers_cvae.py",
)  # fmt: skip
"""Commands that take seconds, and do what another one of the pages does."""


def text_of(page: str) -> str:
    return (DOCS / "exercises" / f"{page}.md").read_text("utf-8")


def shown(page: str) -> list[tuple[str, str]]:
    """Every command of a page, and what the page says that it prints."""
    parts = [part for block in BLOCKS.findall(text_of(page)) for part in re.split(r"^\$ ", block, flags=re.M) if part]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def masked(lines: list[str]) -> list[str]:
    """Lines without the numbers that vary, with spaces of one width, and without the frame of a help page."""
    without = (re.sub(r"\d+(\.\d+)?e[+-]\d+|\d+\.\d+", "#", line) for line in lines)
    return [re.sub(r" {2,}", " ", line).strip(" │") for line in without if line.strip()]


def piped(lines: list[str], pipes: list[str]) -> list[str]:
    """What `head`, `tail`, `grep` and `cut` leave of the lines."""
    for words in map(shlex.split, pipes):
        match words:
            case ["head", "-n", count]:
                lines = lines[: int(count)]
            case ["tail", "-n", count]:
                lines = lines[-int(count) :]
            case ["grep", word]:
                lines = [line for line in lines if word in line]
            case ["cut", "-c", span]:
                lines = [line[: int(span.removeprefix("1-"))] for line in lines]
            case _:
                raise AssertionError(words)
    return lines


def ended(words: list[str]) -> int | str | None:
    """The code with which a command ends."""
    if words[0] == "python":
        runpy.run_path(words[1], run_name="__main__")
        return 0
    try:
        return main(words[1:])
    except SystemExit as stop:  # of a verdict, or of --help
        return stop.code


def code_of(command: str) -> int:
    """The code with which a command of the pages ends."""
    return 2 if "LeNet3" in command else 1 if "common_mistakes" in command else 0


@pytest.mark.parametrize("page", PAGES)
def test_commands_print_what_the_page_shows(
    page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(DOCS / "examples", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ETUDE_RUNS", "runs")
    monkeypatch.setenv("COLUMNS", "100")
    for line, output in shown(page):
        command, *pipes = line.replace(" 2>&1", "").split(" | ")
        if command.startswith(SLOW):
            continue
        words = shlex.split(command)
        if words[1] == "study":
            parse_study(words[2:])
            continue
        if "--epochs" in words:
            words[words.index("--epochs") + 1] = "1"
        code = ended(words)
        printed = capsys.readouterr()
        assert (code or 0) == code_of(command), f"{command}: {printed.err}"
        lines = piped((printed.out or printed.err).strip().splitlines(), pipes)
        if not command.startswith(VARYING) or "--help" in words:
            assert masked(lines) == masked(output.splitlines()), command


@pytest.mark.parametrize("page", PAGES)
def test_every_question_has_a_command_with_its_output(page: str) -> None:
    sections = re.split(r"^### ", text_of(page), flags=re.MULTILINE)[1:]
    assert len(sections) == QUESTIONS[page]
    assert not [each.partition("\n")[0] for each in sections if "etude " not in each and "$ python" not in each]
    assert all(output.strip() for _, output in shown(page))


@pytest.mark.parametrize("page", [*PAGES, "README"])
def test_links_and_pictures_are_there(page: str) -> None:
    anchors = {
        name: {slug(heading) for heading in re.findall(r"^#+ (.*)$", text_of(name), re.MULTILINE)} for name in PAGES
    }
    for target in re.findall(r"\]\(([^)]*)\)", text_of(page)):
        path, _, anchor = target.partition("#")
        assert (DOCS / "exercises" / path).exists(), target
        assert not anchor or anchor in anchors[path.removesuffix(".md") or page], target


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")

"""docs/extending.md: its files are written, its commands are run in their order, and what they print is compared."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from etude.cli import main
from etude.measurement import reference_classifier

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def masked(text: str) -> list[str]:
    """Lines without their numbers, which differ from machine to machine, and with spaces of one width."""
    lines = (re.sub(r"[ \t]+", " ", re.sub(r"\d[\d,.]*", "#", line)).rstrip() for line in text.strip().splitlines())
    return [line for line in lines if line]


def run_section(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for language, block in re.findall(r"^```(python|console)\n(.*?)^```", SECTIONS[name], re.MULTILINE | re.DOTALL):
        if language == "python":
            file = re.match(r"# (\S+\.py)\n", block)
            Path(file[1] if file else "script.py").write_text(block, encoding="utf-8")
            if not file:
                runpy.run_path("script.py")
                capsys.readouterr()
            continue
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            program, *words = shlex.split(command)
            if program == "python":
                runpy.run_path(words[0])
                continue
            try:
                code = main(words)
            except SystemExit as stop:  # a verdict
                code = stop.code
            printed = capsys.readouterr()
            assert code == (1 if "fail" in shown or "wrong" in shown else 0), printed.err
            if shown.strip():
                assert masked(printed.out)[: len(masked(shown))] == masked(shown), printed.out


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETUDE_RUNS", "runs")
    monkeypatch.setattr(reference_classifier, "IMAGES_SEEN", 12_000)
    monkeypatch.setattr(reference_classifier, "cache_folder", lambda: tmp_path / "cache")


def test_a_network_and_a_metric(capsys: pytest.CaptureFixture[str]) -> None:
    run_section("A network", capsys)
    run_section("A metric", capsys)


@pytest.mark.parametrize("name", ["A data set", "A family", "A contract", "A study"])
def test_section(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_section(name, capsys)


def test_all_sections_are_run() -> None:
    assert list(SECTIONS) == [
        "A network", "A data set", "A metric", "A family", "A contract", "A study", "Someone else's run",
    ]  # fmt: skip

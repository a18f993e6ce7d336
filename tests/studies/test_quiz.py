"""A sheet of questions and its solution."""

from pathlib import Path

import pytest

from etude.errors import UsageError
from etude.studies.quiz import read_sheet, write_sheet


def sheet(folder: Path, text: str) -> Path:
    path = folder / "sheet.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sheet_asks_and_its_solution_answers(tmp_path: Path) -> None:
    path = sheet(tmp_path, 'title = "Games & <more>"\nstudies = ["xy-game"]\n[knobs.xy-game]\nsteps = 12\n')
    asked, solved = write_sheet(read_sheet(path), tmp_path / "out" / "week", runs_dir=tmp_path)
    assert (asked.name, solved.name) == ("week.html", "week-solution.html")
    question, solution = asked.read_text("utf-8"), solved.read_text("utf-8")
    assert "<title>Games &amp; &lt;more&gt;</title>" in question
    assert "☐ true" in question
    assert "false" not in question.replace("☐ false", "")
    assert "back where they began after 6 steps" not in question
    assert "back where they began after 6 steps" in solution
    assert "data:image/png;base64," in solution


def test_a_sheet_in_markdown(tmp_path: Path) -> None:
    path = sheet(tmp_path, 'studies = ["xy-game"]\n')
    asked, solved = write_sheet(read_sheet(path), tmp_path / "week", format="markdown", runs_dir=tmp_path)
    assert asked.read_text("utf-8").startswith("# Studies\n\n## 1. Two players move by gradient steps")
    solution = solved.read_text("utf-8")
    assert "**false**: alternating players are back" in solution
    assert "| evidence | value | 95 % interval | seeds |\n| --- | --- | --- | --- |\n" in solution


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('title = "x"', 'PATH has no list of studies; allowed: studies = ["ravine", "xy-game"].'),
        ("studies = []", 'PATH has no list of studies; allowed: studies = ["ravine", "xy-game"].'),
        ('studies = ["xy-game"]\nname = 1', "PATH has name; allowed: title, studies and knobs."),
        ('studies = ["xy-game"]\n[knobs.bound]\n', "PATH has knobs for bound, which is not among its studies."),
        ('studies = ["xy-game"]\nknobs = 3', "PATH has knobs that are no tables; allowed: a table [knobs.NAME] for "
         "each study."),
        ('studies = ["xy-game"]\n[knobs.xy-game]\nsteps = 0', "out of range: --steps 0 (allowed: 1 to 100000)."),
    ],
)  # fmt: skip
def test_what_a_sheet_may_not_have(tmp_path: Path, text: str, message: str) -> None:
    path = sheet(tmp_path, text)
    with pytest.raises(UsageError) as error:
        read_sheet(path)
    assert str(error.value) == message.replace("PATH", str(path))


def test_no_sheet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*; give a TOML file with a title and studies.$"):
        read_sheet(tmp_path / "none.toml")
    with pytest.raises(UsageError, match=r"is not a sheet: .*; give a TOML file with a title and studies.$"):
        read_sheet(sheet(tmp_path, "title = "))

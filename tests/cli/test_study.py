"""`etude study` on the command line."""

import io
import json
from pathlib import Path

import pytest

from etude.cli import main


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETUDE_RUNS", str(tmp_path))


def test_a_study_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "xy-game", "--steps", "24"]) == 0
    out = capsys.readouterr().out
    assert "Verdict     false: alternating players are back where they began after 6 steps" in out
    assert f"Figure      {tmp_path}/studies/xy-game/figure.png" in out


def test_a_study_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "xy-game", "--step-size", "0.1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found)[:4] == ["study", "question", "claim", "verdict"]
    assert {"condition", "explanation", "evidence", "seconds", "figure"} <= set(found)
    assert list(found["evidence"][0]) == ["what", "value", "interval", "seeds"]
    assert found["design"]["step_size"] == 0.1


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "--list"]) == 0
    assert "\ngans\n" in capsys.readouterr().out
    assert main(["study", "--list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"study", "topic", "question"} == set(found[0])
    assert "xy-game" in [each["study"] for each in found]


@pytest.mark.parametrize(
    ("answer", "said"),
    [("false\n", "You were right: you expected false."), ("maybe\nt\n", "You were wrong: you expected true.")],
)
def test_a_prediction_is_scored(
    answer: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert main(["study", "xy-game", "--ask"]) == 0
    out = capsys.readouterr().out
    assert out.index("What do you expect (true, false, only if, undecided)?") < out.index("Verdict")
    assert out.rstrip().endswith(said)


def test_a_prediction_in_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("u\n"))
    assert main(["study", "xy-game", "--ask", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["prediction"], found["right"]) == ("undecided", False)


def test_help_names_the_knobs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["study", "xy-game", "--help"])
    out = capsys.readouterr().out
    assert "Step size η of both players." in " ".join(out.split())
    assert "--quick" in out
    assert main(["study"]) == main(["study", "--help"]) == 0
    assert "usage: etude study NAME" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quick"], "the study comes first: `etude study NAME --quick …`; `etude study --list` names them."),
        (["xy-game", "--steps", "0"], "out of range: --steps 0 (allowed: 1 to 100000)."),
        (["xy-game", "--step", "3"], "unknown flag or word: --step, 3; did you mean"),
        (["none.py"], "there is no file none.py; give the name of a study, or a Python file that defines STUDY."),
        (["xy-game", "--ask"], "--ask waits for a prediction on stdin, and it ended; allowed: true, false, only if, "
         "undecided."),
        (["--quiz", "none.toml"], "there is no file none.toml; give a TOML file with a title and studies."),
    ],
)  # fmt: skip
def test_mistakes_are_told_on_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["study", *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sheet.toml").write_text('title = "Games"\nstudies = ["xy-game"]\n')
    assert main(["study", "--quiz", str(tmp_path / "sheet.toml"), "--format", "markdown", "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(tmp_path / "sheet.md"), str(tmp_path / "sheet-solution.md"),
    ]  # fmt: skip

"""`etude report` and `etude.report`: what they are given, where they write, and what a person can do wrong."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import etude
from etude import recipes
from etude.cli import main
from etude.drawing.tiles import png_of
from etude.errors import EtudeError, RunError, UsageError
from etude.reports.pictures import Picture, drawn, fit
from reports.made import made_sweep, never_trained
from reports.reading import read


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a run `runs/lenet`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ETUDE_RUNS", raising=False)
    Path("runs").mkdir()
    never_trained(Path("runs"), replace(recipes.get("lenet"), data="digits"), "lenet")
    return tmp_path


def test_the_command_prints_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "lenet"]) == 0
    assert capsys.readouterr().out == "runs/lenet/report.html\n"
    assert main(["report", "runs/lenet", "--out", "mine.HTML", "--json"]) == 0
    size = Path("mine.HTML").stat().st_size
    assert json.loads(capsys.readouterr().out) == {"report": "mine.HTML", "bytes": size}
    assert Path("mine.HTML").read_bytes() == Path("runs/lenet/report.html").read_bytes()


def test_a_report_shows_itself_in_a_notebook() -> None:
    written = etude.report("lenet")
    assert repr(written) == f"<Report runs/lenet/report.html: {written.num_bytes / 1000:.0f} kB>"
    shown = written._repr_html_()
    assert shown.startswith('<iframe sandbox="" ')
    assert "<script" not in shown
    assert "&lt;!doctype html&gt;" in shown


def test_a_study_is_run_and_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "xy-game", "--quick"]) == 0
    assert capsys.readouterr().out == "runs/studies/xy-game/report.html\n"
    page = read(Path("runs/studies/xy-game/report.html"))
    page.require_self_contained()
    settled = etude.study("xy-game", quick=True)
    study = settled.study
    sections = [each["href"] for each in page.of("a")]
    assert sections == ["#folklore", "#design", "#evidence", "#verdict", "#figure", "#why", "#run-it-again"]
    for text in (study.question, study.claim, study.held_fixed, study.explanation, settled.ruling.because[1:]):
        assert " ".join(text.split()) in page.text
    assert f"the claim is {settled.verdict}" in page.text
    for each in settled.findings:
        assert each.what in page.text
    assert "etude study xy-game --quick" in page.text
    assert len(page.of("img")) == 1
    changed = etude.report(etude.study("xy-game", quick=True, steps=12), "changed.html")
    text = read(changed.path).text
    assert "etude study xy-game --quick --steps 12" in text
    assert "steps 12 60" in text


MISTAKES = {
    (): "name a run, a sweep or a study to report: `etude runs` and `etude study --list` list them.",
    ("nothing",): "no run 'nothing' here or in runs: `etude runs` lists 1; `etude study --list` lists the studies.",
    ("lenett",): "no run 'lenett' here or in runs: did you mean 'lenet'? `etude runs` lists 1; "
    "`etude study --list` lists the studies.",
    ("xy-gam",): "no run 'xy-gam' here or in runs: `etude runs` lists 1; is the study xy-game meant? "
    "`etude study --list` lists the studies.",
    ("lenet", "nothing"): "no run 'nothing' here or in runs: `etude runs` lists 1; "
    "`etude study --list` lists the studies.",
    ("lenet", "xy-game"): "xy-game is a study, which has a report of its own: name it alone.",
    ("lenet", "--quick"): "--quick is for a study, and lenet is none: leave it out.",
    ("lenet", "--out", "x.png"): "--out x.png (allowed: a name that ends in .html).",
    ("lenet", "--out", "gone/x.html"): "cannot write gone/x.html: no such file or directory; free some space or choose "
    "another folder.",
    (
        "lenet",
        "--out",
        "folder.html",
    ): "cannot write folder.html: is a directory; free some space or choose another folder.",
    ("lenet", "lenet", "--data", "npz:x.npz"): "--data npz:x.npz is for one run: leave it out.",
}


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_mistakes_are_told_on_one_line(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder.html").mkdir()
    assert main(["report", *words]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"etude: {MISTAKES[words]}\n"
    assert captured.out == ""
    assert not [path for path in Path().rglob("*.html") if path.is_file()]


@pytest.mark.parametrize("given", [3, None, [3], {"a": 1}])
def test_other_objects_are_mistakes(given: object) -> None:
    with pytest.raises(EtudeError, match=r"^a report of a "):
        etude.report(given)  # pyright: ignore[reportArgumentType]


def test_a_damaged_sweep_is_an_error() -> None:
    sweep = made_sweep(Path("runs"), {}, [[0.5]])
    (sweep.path / "sweep.json").write_text("{")
    with pytest.raises(RunError, match=r"^damaged sweep runs/grid: sweep\.json cannot be read"):
        etude.report("grid")
    with pytest.raises(UsageError):
        etude.report([])


# Pictures -------------------------------------------------------------------------------------------------------------


def noise(side: int) -> Picture:
    """A picture that cannot be compressed."""
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Picture(png_of(pixels), "png", "noise", is_chart=False)


def test_pictures_are_made_smaller_until_they_fit_the_largest_first() -> None:
    large, small = noise(700), noise(130)
    kept = small.content
    assert fit([large, small], 400_000)
    assert large.num_bytes + small.num_bytes <= 400_000
    assert small.content == kept
    assert not fit([large, small], 400_000)
    assert fit([large, small], 1)  # as far as a reader still sees something
    assert large.num_bytes + small.num_bytes < 150_000


def test_a_chart_is_in_the_smaller_format() -> None:
    few, many = Figure(), Figure()
    few.add_subplot().plot([1, 2], [1, 2])
    many.add_subplot().plot(*([[number % 97 for number in range(20_000)]] * 2), ".")
    assert drawn(few, "a line").format == "svg" or len(drawn(few, "a line").content) < 20_000
    picture = drawn(many, "many points")
    assert picture.format == "png"
    assert drawn(few, "a line", is_chart=False).format == "png"
    assert '<img alt="&lt;a&gt;" width=' in drawn(few, "<a>").html()

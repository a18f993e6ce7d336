"""A study is run, judged, drawn and written down; studies of a person's own; all that étude has."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Annotated, Any

import pytest
from matplotlib.figure import Figure

import etude
from etude.errors import UsageError
from etude.families.ranges import Range
from etude.files import parse_checked_json
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, book, measured, ruled
from etude.studies.claim import Design
from etude.studies.pictures import compared

OWN = '''
from dataclasses import dataclass
from etude.streams import stream
from etude.studies import Findings, Repeated, Study, above, measured, ruled
from etude.studies.pictures import compared
import torch

@dataclass(frozen=True, kw_only=True)
class Coin(Repeated):
    """A coin."""

    bias: float = 0.5
    """Chance of heads."""

def experiment(design, lab):
    thrown = [torch.rand(1000, generator=stream(seed, "coin")) < design.bias for seed in design.each_seed]
    shares = [heads.double().mean() for heads in thrown]
    return Findings((measured("share of heads", shares),))

STUDY = Study(
    name="coin", topic="mine", question="Does the coin show heads more often?", claim="It shows heads more often.",
    design=Coin(), held_fixed="1,000 throws", experiment=experiment,
    judge=lambda found: ruled(above(found["share of heads"], 0.55), f"heads: {found['share of heads']}."),
    draw=lambda found: compared(list(found), label="share of heads", title="A coin"),
    explanation="It depends on the bias.", source="Bernoulli 1713",
)
'''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Die(Repeated):
    """A die."""

    sides: Annotated[int, Range(2, 100)] = 6
    """Sides."""


def study(**changes: object) -> Study:
    def experiment(design: Die, lab: Lab) -> Findings:
        return Findings((measured("mean", [design.sides / 2 + seed for seed in lab.each(design.each_seed, "seeds")]),))

    def judge(found: Findings) -> Ruling:
        return ruled(above(found["mean"], 10), f"the mean is {found['mean'].value:g}.")

    def draw(found: Findings) -> Figure:
        return compared(list(found), label="mean", title="A die")

    fields = {
        "name": "die", "topic": "mine", "question": "How high?", "claim": "Above ten.", "design": Die(),
        "quick": {"seeds": 2}, "quick_cannot": "how a die of 100 sides falls", "held_fixed": "the die",
        "experiment": experiment, "judge": judge, "draw": draw, "explanation": "Because.", "source": "Pascal 1654",
    }  # fmt: skip
    return Study(**{**fields, **changes})  # pyright: ignore[reportArgumentType]


def test_a_study_is_settled_and_written_down(tmp_path: Path) -> None:
    told = list[tuple[str, int, int]]()
    settled = etude.study(
        study(), runs_dir=tmp_path, sides=4, progress=lambda what: lambda done, total: told.append((what, done, total))
    )
    assert settled.verdict == "false"
    assert settled.figure.read_bytes().startswith(b"\x89PNG")
    content, whole = parse_checked_json((tmp_path / "studies/die/study.json").read_bytes())
    assert whole
    assert content["design"] == {"seeds": 8, "seed": 0, "sides": 4}
    assert content["evidence"][0]["seeds"] == 8
    assert content["verdict"] == "false"
    assert told[-1] == ("seeds", 8, 8)
    shown = repr(settled)
    for line in ("Claim       Above ten.", "Verdict     false: the mean is 5.5.", "Why         Because. (Pascal 1654)"):
        assert line in shown
    assert "Design      seeds 8, seed 0, sides 4; the die" in shown
    page = settled._repr_html_()
    assert page.index("<b>Claim</b> Above ten.") < page.index("<b>Verdict</b> false: the mean is 5.5.</p>")
    assert "<b>Why</b> Because. (Pascal 1654)</p><img" in page
    mistaken = dataclasses.replace(study(), wrong_answer='"It is 6."')
    assert "<p><b>Often said</b> &quot;It is 6.&quot;</p><img" in etude.study(mistaken, runs_dir=tmp_path)._repr_html_()


def test_a_quick_study_says_what_it_cannot_decide(tmp_path: Path) -> None:
    settled = etude.study(study(), quick=True, sides=14, runs_dir=tmp_path)
    assert len(settled.findings["mean"].values) == 2
    assert "this short form cannot decide how a die of 100 sides falls" in repr(settled)
    assert settled.verdict == "undecided"
    assert len(etude.study(study(), quick=True, seeds=3, runs_dir=tmp_path).findings["mean"].values) == 3


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"side": 3}, "unknown knob of die 'side': did you mean 'sides'? Choose from seed, seeds, sides."),
        ({"sides": 1}, "out of range: --sides 1 (allowed: 2 to 100)."),
        ({"seeds": 1}, "out of range: --seeds 1 (allowed: 2 to 10000)."),
    ],
)
def test_a_wrong_knob_is_said_before_anything_runs(tmp_path: Path, knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        etude.study(study(), runs_dir=tmp_path, **knobs)
    assert str(error.value) == message
    assert not list(tmp_path.iterdir())


def test_a_study_without_knobs_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^die has no knob sides: it has none\.$"):
        etude.study(study(design=Design(), quick={}), runs_dir=tmp_path, sides=3)


def test_an_unknown_study_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown study 'xy-gane': did you mean 'xy-game'"):
        etude.study("xy-gane")


def test_a_study_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "coin.py"
    file.write_text(OWN.replace("    thrown =", "    print('throwing')\n    thrown ="))
    settled = etude.study(str(file), runs_dir=tmp_path, bias=0.9)
    assert settled.verdict == "true"
    assert etude.study(str(file), runs_dir=tmp_path, bias=0.2).verdict == "false"
    assert etude.study(str(file), runs_dir=tmp_path, bias=0.55).verdict == "undecided"
    assert capsys.readouterr() == ("", 3 * "throwing\n")  # stdout may be for JSON


@pytest.mark.parametrize(
    ("text", "said"),
    [("x = 1", "does not define STUDY"), ("STUDY = 3", "defines STUDY as a int")],
)
def test_a_file_without_a_study_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "none.py"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        etude.study(str(file))
    assert str(error.value) == f"{file} {said}; allowed: STUDY = etude.studies.Study(…), as docs/extending.md shows."


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(1000, generator", "(10 // 0, generator", "FILE failed (line 16): ZeroDivisionError: integer division or "
         "modulo by zero."),
        ('found["share of heads"], 0.55', 'found["heads"], 0.55', "FILE failed (line 23): KeyError: \"no evidence "
         "'heads'; there is share of heads\"."),
        ("return Findings((measured", "return list((measured", "the experiment of coin gives a list; allowed: "
         "etude.studies.Findings."),
        ("ruled(above", "bool(above", "FILE failed (line 23): TypeError: bool expected at most 1 argument, got 2."),
        ("draw=lambda found: compared", "draw=lambda found: repr", "FILE failed (line 24): TypeError: repr() takes no "
         "keyword arguments."),
        ("draw=lambda found:", "draw=lambda found: None and", "the drawing of coin gives a NoneType; allowed: "
         "matplotlib.figure.Figure."),
        ('name="coin"', 'name="../coin"', "a study has the name '../coin' (allowed: letters, digits, '.', '_' and '-', "
         "starting with a letter or digit, at most 100)."),
        ("design=Coin()", 'design=Coin(), quick={"throws": 2}', "unknown knob in the quick form of coin 'throws': "
         "choose from bias, seed, seeds."),
        ("bias", "quick", "coin has a knob quick, which is a flag of every study: give it another name."),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_told_on_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "coin.py"
    assert old in OWN
    file.write_text(OWN.replace(old, new))
    with pytest.raises(UsageError) as error:
        etude.study(str(file), runs_dir=tmp_path / "runs")
    assert str(error.value) == message.replace("FILE", str(file))
    assert not list(tmp_path.rglob("study.json"))


def test_a_class_for_a_design_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^die has the design <class .*Die'>; allowed: an object of a dataclass made"):
        study(design=Die)


def test_runs_are_trained_once(tmp_path: Path) -> None:
    lab = Lab(tmp_path, quiet=True, jobs=1)
    given = {"data": "digits", "epochs": 1, "train_images": 64, "validation_images": 10, "batch_size": 32}
    first = lab.train("lenet", grid={"optimizer.learning_rate": [0.1, 0.01]}, seeds=range(2), **given)
    times = [run.path.stat().st_mtime_ns for cell in first for run in cell.runs]
    again = lab.train("lenet", grid={"optimizer.learning_rate": [0.1, 0.01]}, seeds=range(2), **given)
    assert [run.path.stat().st_mtime_ns for cell in again for run in cell.runs] == times
    assert [dict(cell.changes) for cell in first] == [{"optimizer.learning_rate": rate} for rate in (0.1, 0.01)]
    assert all(len(cell.last("test/accuracy")) == 2 and not cell.num_failed for cell in first)
    fewer = lab.train("lenet", grid={"optimizer.learning_rate": [0.1, 0.01]}, seeds=range(1), **given)
    assert [len(cell.runs) for cell in fewer] == [1, 1]


@pytest.mark.parametrize("name", [name for _, name in book.listed()])
def test_a_study_is_whole(name: str) -> None:
    found = book.find(name)
    assert found.name == name
    assert (found.topic, name) in list(book.listed())
    assert found.question.endswith("?")
    assert all(text.endswith((".", "!", '."')) for text in (found.claim, found.explanation))
    assert 2 <= len(re.findall(r"[.!?](?:\s|$)", found.explanation)) <= 6
    assert found.source
    assert not found.held_fixed.endswith(".")
    for field in dataclasses.fields(found.design):
        assert field.name not in {"quick", "ask", "jobs", "runs_dir", "data_dir", "quiet", "json", "list", "quiz"}
    dataclasses.replace(found.design, **found.quick)
    json.dumps({**{field.name: getattr(found.design, field.name) for field in dataclasses.fields(found.design)}})

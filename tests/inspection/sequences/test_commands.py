# ruff: noqa: E501 (messages are compared as they are printed)
"""What a person sees of a sequence network on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from etude.cli import main
from etude.families.family import Specimen
from etude.inspection import source
from etude.inspection.inspecting import inspect
from inspection.sequences.networks import Lengths, Tagger

FILE = """
import torch
from torch import nn

class Words(nn.Module):
    def __init__(self, vocabulary_size):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, 4)
        self.layer = nn.LSTM(4, 8, 2, batch_first=True, bidirectional=True)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.out = nn.Linear(16, vocabulary_size)

    def forward(self, ids):
        x = self.layer(self.embedding(ids))[0]
        return self.out(self.attention(x, x, x, need_weights=False)[0])
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FILE)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["inspect", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_the_table_names_axes_growth_and_kinds(run: Run) -> None:
    code, out, _ = run("net.py:Words(30)", "--input", "5")
    lines = out.splitlines()
    assert (code, lines[0].partition(",")[0]) == (0, "net.py:Words(30) on 1×5 (N T)")
    columns = "layer operation output axes parameters MACs FLOPs grows backward saved field stride offset"
    assert lines[2].split() == columns.split()
    named = {line.split("  ")[0]: line for line in lines[3:7]}
    assert "LSTM 2 layers both ways" in named["layer"]
    assert "1×5×16, 4×1×8, 4×1×8  N T D, L N D, L N D" in named["layer"]
    assert "MultiheadAttention 2 heads" in named["attention"]
    assert [line.split()[line.split().index("D") + 4] for line in lines[5:6]] == ["T²"]
    assert lines[9] == "axes: N batch, T time (5 steps), D features, L layers and directions."
    assert lines[10].startswith("per token: ")
    assert lines[10].endswith(" backward (5 tokens).")


def test_flow_by_steps_back_and_its_picture(run: Run) -> None:
    flags = ["net.py:Words(30)", "--input", "5", "--batch-size", "2", "--flow"]
    code, out, _ = run(*flags, "--picture", "lag.png")
    assert code == 0
    lines = out.splitlines()
    start = lines.index("By lag: the gradient of the last output with respect to the input k steps before the end.")
    assert lines[start + 1].split() == ["steps", "back", "0", "1", "2", "4"]
    assert (lines[start + 2].split()[0], len(lines[start + 2].split())) == ("T", 5)
    assert any(line.startswith("reach over T: from 1 to 4 steps back the gradient changes ") for line in lines)
    assert "lag.png" in lines
    assert Path("lag.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(run(*flags, "--json")[1])
    (lag,) = found["flow"]["lags"]
    assert (lag["time"], len(lag["gradients"]), lag["reach"]) == ("T", 5, 4)
    assert found["sequence"]["lengths"] == {"T": 5}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--picture", "x.png"], "--picture draws fields on images; add --flow to draw how far back net.py:Words(30) looks."),
        (["--flow", "--picture", "x.png", "--layer", "layer"], "--layer chooses a layer with positions of an image; net.py:Words(30) reads sequences."),
        (["--flow", "--picture", "x.png", "--input", "2"], "--picture with --flow draws the gradient against the steps back; net.py:Words(30) has less than three steps, or no gradient."),
        (["--input", "5", "6"], "Words.forward fails on an input of shape 1×5, 1×6: Words.forward() takes 2 positional arguments but 3 were given."),
    ],
)  # fmt: skip
def test_mistakes_are_told_on_one_line(run: Run, flags: list[str], message: str) -> None:
    assert run("net.py:Words(30)", *flags) == (2, "", f"etude: {message}\n")
    assert not Path("x.png").exists()


def test_a_specimen_of_a_family_names_its_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"words": Specimen(build=lambda _: Lengths(), inputs=("9", "len9"))}
    monkeypatch.setattr(source, "specimens", lambda: known)
    found = source.load("words", batch_size=2)
    assert [tuple(x.shape) for x in found.inputs] == [(2, 9), (2,)]
    assert found.inputs[0].dtype == torch.int64
    assert tuple(source.load("words", ["7", "len7"]).inputs[0].shape) == (1, 7)


def test_a_loop_of_steps_is_one_row_of_the_flow(run: Run) -> None:
    Path("loop.py").write_text(FILE.replace(
        "x = self.layer(self.embedding(ids))[0]",
        "x = torch.stack([torch.tanh(self.layer(step[:, None])[0][:, 0]) for step in self.embedding(ids).unbind(1)], 1)",
    ))  # fmt: skip
    out = run("loop.py:Words(30)", "--input", "5", "--batch-size", "2", "--flow")[1]
    rows = [line.split()[:3] for line in out.splitlines()[1:5]]
    assert rows[1:3] == [["layer", "lstm", "×5"], ["·", "tanh", "×5"]]


def test_the_report_of_python_and_the_notebook_have_the_same(run: Run) -> None:
    found = inspect(Tagger(nn.GRU(4, 8, batch_first=True)), torch.randint(11, (1, 5)))
    assert found.sequence
    for line in found.sequence.lines(found.cost, found.backward):
        assert line in found.text()
        assert line in found._repr_html_()
    assert "<th" in found._repr_html_()
    assert "grows" in found._repr_html_()

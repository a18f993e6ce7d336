# ruff: noqa: E501 (messages are compared as they are printed)
"""Inputs on the command line by name and type; the table of training mode; totals of modules."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from etude.cli import main
from etude.errors import UsageError
from etude.inspection.inputs import examples
from etude.inspection.source import example

FILE = """
import torch
from torch import nn

class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(100, 8)
        self.body = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(5), nn.Dropout(), nn.Sequential(nn.Linear(4, 4)))

    def forward(self, input_ids, mask=None):
        return self.body(self.embed(input_ids)) * mask[..., None]

class Spread(nn.Module):
    def forward(self, x):
        return x.square()
"""
INPUTS = ["--input", "input_ids=int100:5", "--input", "mask=5:bool"]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FILE)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["inspect", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_inputs_have_the_type_and_name_that_were_written() -> None:
    texts = ["3,4", "int9:5", "a=6:int32", "b=2,3:bool", "c=4:float16", "d=4:complex64", "e=int7:5:int16", "f=5"]
    positional, keywords = examples(texts, 2, example)
    found = {name: (tuple(x.shape), x.dtype) for name, x in keywords.items()}
    assert [(tuple(x.shape), x.dtype) for x in positional] == [((2, 3, 4), torch.float32), ((2, 5), torch.int64)]
    assert found == {
        "a": ((2, 6), torch.int32), "b": ((2, 2, 3), torch.bool), "c": ((2, 4), torch.float16),
        "d": ((2, 4), torch.complex64), "e": ((2, 5), torch.int16), "f": ((2, 5), torch.float32),
    }  # fmt: skip
    assert set(keywords["a"].flatten().tolist()) <= {0, 1}
    assert int(keywords["e"].max()) < 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x=3:int4", "unknown type of an input 'int4': did you mean 'int64'? Choose from float32, float64, float16, bfloat16, complex64, complex128, int64, int32, int16, int8, uint8, bool."),
        ("1x=3", "--input is '1x=3'; allowed: a name of the network's inputs before =, as mask=20:bool."),
        ("=3", "--input is '=3'; allowed: a name of the network's inputs before =, as mask=20:bool."),
        ("x=a", "--input is 'a'; allowed: sizes without the batch, as 3,32,32, or int9:20 for indices."),
    ],
)  # fmt: skip
def test_mistakes_in_inputs_are_told(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        examples([text], 1, example)
    assert sorted(str(caught.value)) == sorted(message)  # the order of a choice may differ
    with pytest.raises(UsageError, match=r"^--input gives x twice; give each input once\.$"):
        examples(["x=3", "x=4"], 1, example)


def test_inputs_are_given_by_name(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = run("net.py:Masked", *INPUTS)
    assert (code, out.splitlines()[0].partition(",")[0]) == (0, "net.py:Masked on 1×5")
    code, _, err = run("net.py:Masked", "--input", "ids=int100:5")
    assert code == 2
    assert err.startswith("etude: Masked.forward fails on an input of shape 1×5: ")
    assert "unexpected keyword argument 'ids'" in err
    code, _, err = run("net.py:Spread", "--input", "x=1,8,8", "--data", "digits")
    assert (code, err) == (
        2,
        "etude: --data gives images as the first input; net.py:Spread gets all of its inputs by name.\n",
    )


def test_the_table_of_training_mode(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = run("net.py:Masked", *INPUTS, "--train")
    assert (code, out.splitlines()[0].partition(";")[0]) == (0, "net.py:Masked on 2×5, 2×5, training mode")
    assert "Dropout" in out
    code, out, _ = run("net.py:Masked", *INPUTS, "--train", "--json")
    train = json.loads(out)
    assert train["mode"] == "train"
    costs = {layer["path"]: layer["flops"] for layer in train["layers"]}
    assert costs["body.1"] >= 8 * 2 * 5 * 4  # a batch's own statistics
    assert run("net.py:Spread", "--input", "1,4,4", "--train", "--probe")[::2] == (
        2, "etude: --probe and --picture look at evaluation; leave --train out.\n"
    )  # fmt: skip


def test_totals_of_modules(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = run("net.py:Masked", *INPUTS, "--modules")
    assert code == 0
    rows = [line.split() for line in out.splitlines()[1:3]]
    assert [row[:4] for row in rows] == [["body", "Sequential", "66", "240"], ["body.3", "Sequential", "20", "80"]]
    modules = json.loads(run("net.py:Masked", *INPUTS, "--json")[1])["modules"]
    assert [(m["path"], m["parameters"], m["macs"]) for m in modules] == [("body", 66, 240), ("body.3", 20, 80)]

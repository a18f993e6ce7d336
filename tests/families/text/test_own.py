"""A person's network for sentences is tried before training starts: what is wrong is said in one sentence."""

from pathlib import Path
from typing import Any

import pytest
import torch

import etude
from etude.data.kinds import Tokens
from etude.data.text.vocabulary import learn
from etude.errors import UsageError
from etude.families.family import Examined
from etude.recipes import change, get
from etude.runs.code import admit
from etude.training import Display
from etude.training.learners import examined

KIND = Tokens(
    length=9,
    class_names=("negative", "neutral", "positive"),
    vocabulary=learn(["a b c d e f g h i j k l"] * 2, tokenizer="words", lower=True),
)
HEAD = """
import torch
from torch import nn

class Good(nn.Module):
    def __init__(self, vocabulary_size, num_classes, dim=8):
        super().__init__()
        self.table = nn.Embedding(vocabulary_size, dim)
        self.lstm = nn.LSTM(dim, 6, batch_first=True)
        self.head = nn.Linear(6, num_classes)
    def forward(self, tokens):
        lengths = (tokens != 0).sum(1).clamp(min=1)
        states = self.lstm(self.table(tokens))[0]
        return self.head(states[torch.arange(len(tokens)), lengths - 1])
"""
EAGER = "its batches differ in length"


def try_network(folder: Path, text: str, **changes: Any) -> Examined:
    path = folder / "net.py"
    path.write_text(HEAD + text)
    return examined(admit(change(get("text-classifier"), network=f"{path}:Net", **changes)), KIND)


def forward(body: str) -> str:
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return f"class Net(Good):\n    def forward(self, tokens):\n{lines}"


def test_a_good_one_has_no_notes(tmp_path: Path) -> None:
    found = try_network(tmp_path, "class Net(Good): pass\n")
    assert found.notes == ()
    assert found.traits.eager == EAGER
    assert not found.draws
    assert found.parameters == {"Net": 16 * 8 + 4 * 6 * (8 + 6 + 2) + 6 * 3 + 3}


def test_dropout_is_noticed(tmp_path: Path) -> None:
    assert try_network(
        tmp_path, forward("return nn.functional.dropout(super().forward(tokens), 0.5, self.training)")
    ).draws


def test_the_usual_other_name_of_the_vocabulary_s_size_is_known(tmp_path: Path) -> None:
    text = "class Net(Good):\n    def __init__(self, vocab_size, num_classes, max_tokens):\n"
    found = try_network(tmp_path, f"{text}        super().__init__(vocab_size, num_classes, dim=max_tokens)\n")
    assert found.parameters["Net"] == 16 * 9 + 4 * 6 * (9 + 6 + 2) + 6 * 3 + 3


def test_pytorchs_encoder_which_nests_padded_batches_is_taken(tmp_path: Path) -> None:
    text = """
class Net(nn.Module):
    def __init__(self, vocab_size, num_classes, dim=8):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim, padding_idx=0)
        layer = nn.TransformerEncoderLayer(dim, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(dim, num_classes)
    def forward(self, tokens):
        pads = tokens == 0
        states = self.encoder(self.embedding(tokens), src_key_padding_mask=pads)
        return self.head(states.masked_fill(pads[..., None], 0).sum(1))
"""
    with pytest.warns(UserWarning, match="nested tensors"):  # PyTorch's own
        assert try_network(tmp_path, text).draws


MISTAKES = {
    forward("return super().forward(tokens)[:, :2]"):
        "Net gives shape (3, 2) for 3 sentences; allowed: (3, 3), a score for each class, as with num_classes=3.",
    forward("return super().forward(tokens).squeeze(0)"):
        "Net gives shape (3,) for one of the sentences; allowed: (1, 3), a score for each class, as with "
        "num_classes=3.",
    forward("return super().forward(tokens).softmax(1)"):
        "Net: its outputs look like a softmax; return the logits, the numbers before it.",
    forward("return super().forward(tokens).sigmoid()"):
        "Net: its outputs look like a sigmoid; return the logits, the numbers before it.",
    forward("return super().forward(tokens).detach()"):
        "none of the parameters of Net gets a gradient: leave detach(), .data, .item() and no_grad() out.",
    forward("return self.head(tokens)"):
        "Net fails on sentences of shape (3, 6) in layer head, Linear(in_features=6, out_features=3, bias=True), given "
        "(3, 6) (net.py line 17): RuntimeError: mat1 and mat2 must have the same dtype, but got Long and Float.",
    forward("return self.head(self.table(tokens).mean(1))"):
        "Net fails on sentences of shape (3, 6) in layer head, Linear(in_features=6, out_features=3, bias=True), given "
        "(3, 8) (net.py line 17): RuntimeError: mat1 and mat2 shapes cannot be multiplied (3x8 and 6x3).",
    forward("tokens[:, 0] = 1\nreturn super().forward(tokens)"):
        "Net changes its input in place: leave inplace=True out of its first layers, and write x = x * 2 in place of "
        "x *= 2.",
    "class Net(Good):\n    def __init__(self, size): super().__init__(size, 3)\n":
        "Net takes (size): missing a required argument: 'size'; give constructor arguments, as in 'PATH:Net(3)'.",
}  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES)
def test_one_that_cannot_be_trained(text: str, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    with pytest.raises(UsageError) as error:
        try_network(tmp_path, text)
    assert str(error.value) == MISTAKES[text].replace("PATH", str(tmp_path / "net.py"))
    assert torch.equal(torch.get_rng_state(), before)


NOTES = {
    forward("return self.head(self.lstm(self.table(tokens))[0][:, -1])"):
        "Net gives other scores when pads follow a sentence: leave out the tokens that are 0, or the class of a "
        "sentence depends on the sentences beside it.",
    forward("return super().forward(tokens).log_softmax(1)"):
        "Net gives log-probabilities, which are logits too.",
    "class Net(Good):\n    def __init__(self, vocabulary_size, num_classes):\n"
    "        super().__init__(vocabulary_size, num_classes)\n        self.unused = nn.Linear(2, 2)\n":
        "Net has parameters that get no gradient and stay as they are: unused.weight, unused.bias.",
}  # fmt: skip


@pytest.mark.parametrize("text", NOTES)
def test_what_a_person_should_know(text: str, tmp_path: Path) -> None:
    assert try_network(tmp_path, text).notes == (NOTES[text],)


def test_a_network_of_ones_own_trains_is_opened_again_and_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(HEAD + forward("return self.head(self.lstm(self.table(tokens))[0][:, -1])"))
    run = etude.train(
        "text-classifier", network=f"{tmp_path / 'net.py'}:Net", train_images=200, epochs=1, runs_dir=tmp_path,
        threads=1, display=Display(),
    )  # fmt: skip
    assert NOTES[next(iter(NOTES))] in capsys.readouterr().err.replace("\n", " ")
    assert list(run.networks) == ["average", "Net"]
    again = etude.load(run.path)
    text = "the plot is not dull ."
    assert torch.equal(again.logits([text]), run.logits([text]))
    for by in ("gradient", "occlusion"):
        (found,) = etude.explain(again, text, by=by)
        assert found.words == ("the", "plot", "is", "not", "dull", ".")
        assert any(found.scores)

"""A person's language model is tried before training starts: what is wrong is said in one sentence."""

from pathlib import Path
from typing import Any

import pytest
import torch

from etude import Dataset
from etude.errors import UsageError
from etude.families.family import Examined
from etude.recipes import change, get
from etude.runs.code import admit
from etude.training.learners import examined

KIND = Dataset.of("the cat sat on the mat. " * 20, name="cats").kind
V = len(KIND.vocabulary)  # pyright: ignore[reportAttributeAccessIssue]
HEAD = """
import torch
from torch import nn

class Good(nn.Module):
    def __init__(self, vocabulary_size, width=8):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.linear = nn.Linear(width, vocabulary_size)
    def forward(self, symbols, state=None):
        vectors, state = self.rnn(self.embedding(symbols), state)
        return self.linear(vectors), state
"""


def try_network(folder: Path, text: str, name: str = "Net", **changes: Any) -> Examined:
    path = folder / "net.py"
    path.write_text(HEAD + text)
    return examined(admit(change(get("char-lstm"), network=f"{path}:{name}", **changes)), KIND)


def forward(body: str) -> str:
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return f"class Net(Good):\n    def forward(self, symbols, state=None):\n{lines}"


def test_a_good_network_is_taken(tmp_path: Path) -> None:
    found = try_network(tmp_path, "", "Good(width=4)")
    assert found.notes == ()
    assert found.parameters == {"Good": V * 4 + 2 * (3 * 4 * 4 + 3 * 4) + 4 * V + V}
    assert not found.draws
    assert found.traits.eager == ""


def test_the_usual_other_name_of_the_vocabulary_s_size_is_known(tmp_path: Path) -> None:
    text = "class Net(Good):\n    def __init__(self, vocab_size):\n        super().__init__(vocab_size, 4)\n"
    assert try_network(tmp_path, text).parameters["Net"] == V * 4 + 2 * (3 * 4 * 4 + 3 * 4) + 4 * V + V


def test_dropout_is_offered_and_noticed(tmp_path: Path) -> None:
    text = """
class Net(Good):
    def __init__(self, vocabulary_size, dropout):
        super().__init__(vocabulary_size)
        self.dropout = nn.Dropout(dropout)
    def forward(self, symbols, state=None):
        vectors, state = self.rnn(self.dropout(self.embedding(symbols)), state)
        return self.linear(vectors), state
"""
    found = try_network(tmp_path, text)
    assert found.draws
    assert found.traits.eager == "Net draws random numbers of its own, as dropout does"
    assert not try_network(tmp_path, text, dropout=0.0).draws


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (
            "scores, _ = super().forward(symbols)\nreturn scores, None",
            "Net gives no state: it reads each chunk by itself.",
        ),
        (
            "scores, state = super().forward(symbols, state)\nreturn scores.log_softmax(2), state",
            "Net gives log-probabilities, which are scores too.",
        ),
    ],
)
def test_what_a_person_should_know(body: str, note: str, tmp_path: Path) -> None:
    assert try_network(tmp_path, forward(body)).notes == (note,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            forward("return super().forward(symbols, state)[0]"),
            "Net gives a Tensor; allowed: the pair (scores, state), as forward(symbols, state=None) of a language "
            "model returns it; without a state (scores, None).",
        ),
        (
            forward("scores, state = super().forward(symbols, state)\nreturn scores[:, -1], state"),
            f"Net gives shape (3, {V}) for symbols (3, 8); allowed: (3, 8, {V}), a score for each symbol of the "
            f"vocabulary, as with vocabulary_size={V}.",
        ),
        (
            forward("scores, state = super().forward(symbols, state)\nreturn scores.softmax(2), state"),
            "Net: its scores look like a softmax; return the logits, the numbers before it.",
        ),
        (
            "class Net(Good):\n    def __init__(self, vocabulary_size):\n        super().__init__(vocabulary_size)\n"
            "        self.rnn = nn.GRU(8, 4, batch_first=True, bidirectional=True)\n",
            "Net looks ahead: its scores at a symbol change with the symbols after it; leave bidirectional=True out, "
            "and give attention a causal mask.",
        ),
        (
            forward("scores, state = super().forward(symbols, state)\nreturn scores, (state, 3)").replace(
                "(symbols, state)\n", "(symbols, state[0] if state else None)\n"
            ),
            "Net gives a state that holds other things than floating-point tensors: keep the state in such, for it is "
            "set to 0 where a text begins.",
        ),
        (
            forward(
                "start = torch.ones(1, len(symbols), 8) if state is None else state\n"
                "return super().forward(symbols, start)"
            ),
            "Net gives other scores for a state of zeros than without one: begin with zeros where state is None.",
        ),
        (
            forward(
                "vectors, _ = self.rnn(self.embedding(symbols))\n"
                "before = torch.zeros(len(symbols), 0, 8) if state is None else state\n"
                "return self.linear(vectors), torch.cat([before, vectors], dim=1)"
            ),
            "Net gives a state of other shapes when it is given one: keep as many numbers after each chunk.",
        ),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        try_network(tmp_path, text)
    assert str(error.value) == message


def test_layers_without_batch_first_are_noticed(tmp_path: Path) -> None:
    text = (
        "class Net(Good):\n    def __init__(self, vocabulary_size):\n        super().__init__(vocabulary_size)\n"
        "        self.rnn = nn.GRU(8, 8)\n"
    )
    with pytest.raises(UsageError) as error:
        try_network(tmp_path, text)
    assert str(error.value) == (
        "Net gives other scores for a column when others are beside it: the first axis is that of the columns, so "
        "recurrent layers need batch_first=True."
    )


def test_the_global_random_state_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    try_network(tmp_path, "", "Good")
    assert torch.equal(torch.get_rng_state(), before)

# ruff: noqa: E501 (messages are compared as they are printed)
from typing import Any

import pytest
import torch

from etude.data.kinds import RunningText
from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.data.reading import Reading
from etude.data.text.running import make_running
from etude.errors import UsageError

TEXT = "".join(f"line {number}\n" for number in range(100))  # 790 characters


def decoded(kind: Any, split: Any) -> str:
    return kind.vocabulary.decode([*split["symbols"].tolist(), int(split["targets"][-1])])


@pytest.mark.parametrize("tokenizer", [None, "characters", "subwords"])
def test_a_text_is_divided_where_it_stands(tokenizer: Any) -> None:
    made = make_running({TRAIN: TEXT}, Reading(tokenizer=tokenizer))
    assert isinstance(made.kind, RunningText)
    parts = [decoded(made.kind, split) for split in (made.train, made.validation, made.test)]
    assert list(map(len, parts)) == [632, 79, 79]
    assert "".join(parts) == TEXT
    assert torch.equal(made.train["symbols"][1:], made.train["targets"][:-1])
    assert made.notes == (
        "no text to test on: the last 79 characters of the training text are that",
        "no text to validate on: the last 79 characters of the training text are that",
    )


def test_splits_that_are_there_are_kept() -> None:
    made = make_running({TRAIN: TEXT, VALIDATION: "line 7?", TEST: "LINE"}, Reading(lower=True))
    assert len(made.train) == 789
    assert decoded(made.kind, made.validation) == "line 7<unk>"
    assert decoded(made.kind, made.test) == "line"
    assert made.notes == ()


def test_symbols_are_of_the_part_that_trains() -> None:
    made = make_running({TRAIN: "ab" * 400 + "cd" * 100}, Reading())
    assert isinstance(made.kind, RunningText)
    assert made.kind.vocabulary.tokens == ("<unk>", "a", "b")
    assert made.test["symbols"].unique().tolist() == [0]


@pytest.mark.parametrize(
    ("text", "reading", "message"),
    [
        ("short", Reading(), "the text holds 5 characters; give at least 100."),
        (TEXT, Reading(tokenizer="words"), "--tokenizer words: running text is divided into characters or subwords, which keep line breaks."),
        (TEXT, Reading(max_tokens=5), "--max-tokens 5: running text has no sentences; leave it out."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(text: str, reading: Reading, message: str) -> None:
    with pytest.raises(UsageError) as error:
        make_running({TRAIN: text}, reading)
    assert str(error.value) == message

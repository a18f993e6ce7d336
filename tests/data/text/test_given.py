# ruff: noqa: E501 (messages are compared as they are printed)
from typing import Any

import numpy as np
import pytest
import torch

from etude.data import Dataset, Reading, RunningText, TokenPairs, Tokens
from etude.errors import UsageError

X = [f"film {number} is {'good' if number % 2 else 'bad'}" for number in range(40)]
Y = ["good" if number % 2 else "bad" for number in range(40)]


class Series:
    """As a library's column of texts behaves."""

    def __init__(self, values: list[str]) -> None:
        self.values = values

    def __iter__(self) -> Any:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def to_numpy(self) -> Any:
        return np.array(self.values, dtype=object)


@pytest.mark.parametrize(
    "x", [X, tuple(X), np.array(X), np.array(X, dtype=object), Series(X)], ids=lambda x: type(x).__name__
)
@pytest.mark.parametrize(
    "y", [Y, np.array([number % 2 for number in range(40)]), torch.arange(40) % 2], ids=["names", "array", "tensor"]
)
def test_sentences_with_labels(x: Any, y: Any) -> None:
    dataset = Dataset.of(x, y)
    assert isinstance(dataset.kind, Tokens)
    assert dataset.validation
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (28, 4, 8)
    for text, label in zip(dataset.test.texts["text"], dataset.test.labels.tolist(), strict=True):
        assert ("good" in text) == (label == 1)


def test_splits_and_names_may_be_given() -> None:
    dataset = Dataset.of(
        X,
        [number % 2 for number in range(40)],
        test=(["a good film"], [1]),
        validation=(["bad"], [0]),
        class_names=["no", "yes"],
        reading=Reading(tokenizer="characters"),
    )
    assert dataset.validation
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (40, 1, 1)
    assert dataset.class_names == ("no", "yes")
    assert isinstance(dataset.kind, Tokens)
    assert dataset.kind.vocabulary.tokenizer.name == "characters"


def test_sentences_with_translations() -> None:
    dataset = Dataset.of(X, [text.upper() for text in X], kind="pairs", test=(["film 7 is bad"], ["?"]))
    assert isinstance(dataset.kind, TokenPairs)
    assert (len(dataset.train), len(dataset.test)) == (36, 1)
    assert dataset.test.texts == {"source": ("film 7 is bad",), "target": ("?",)}


def test_one_long_text() -> None:
    dataset = Dataset.of("".join(X))
    assert isinstance(dataset.kind, RunningText)
    assert dataset.validation
    lengths = [len(dataset.train), len(dataset.validation), len(dataset.test)]
    assert sum(lengths) == len("".join(X)) - 3  # nothing follows the last symbol of each
    divided = Dataset.of("".join(X), validation="abc", test="abcd")
    assert divided.validation
    assert (len(divided.train), len(divided.validation), len(divided.test)) == (sum(lengths) + 2, 2, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": X}, 'y is missing: give a label for each sentence of x, or translations and kind="pairs".'),
        ({"x": X, "y": Y[:-1]}, "x has 40 sentences and 39 labels: give one for each sentence."),
        ({"x": [*X, 3], "y": [*Y, "good"]}, "x holds 3 (example 40); allowed: texts."),
        ({"x": ["", *X], "y": [*Y, "good"]}, "x holds an empty sentence (example 0): write one, or leave it out."),
        ({"x": X, "y": ["x"] * 40}, "y holds one class, 'x'; give sentences of two or more."),
        ({"x": X, "y": X}, "y holds 40 different labels for 40 examples; allowed: at most 1,000 classes, and two examples of each: étude classifies."),
        ({"x": X, "y": Y, "test": X}, "test is of type list; allowed: (sentences, labels)."),
        ({"x": X, "y": Y, "test": ("good", [1])}, "test x is of type str; allowed: a list of sentences."),
        ({"x": X, "y": [1] * 40, "kind": "pairs"}, "y is of type list; allowed: a list of sentences."),
        ({"x": X, "y": X[1:], "kind": "pairs"}, "x has 40 sentences and 39 translations: give one for each sentence."),
        ({"x": "a" * 100, "y": Y}, "x is one text, and y is given: leave it out, or give a list of sentences."),
        ({"x": "a" * 100, "test": ["b"]}, "test is of type list; allowed: a text, as x is."),
        ({"x": X, "y": Y, "kind": "table"}, "kind is 'table', and x holds texts; allowed: 'tokens', 'pairs', 'text', or nothing."),
        ({"x": X, "y": Y, "kind": "text"}, "kind is 'text', and x is a list; allowed: one text."),
        ({"x": "a" * 100, "kind": "pairs"}, "kind is 'pairs', and x is one text; allowed: a list of them."),
        ({"x": np.zeros((9, 2)), "y": [1] * 9, "kind": "tokens"}, "kind is 'tokens', and x is of type ndarray; allowed: a text, or a list of them."),
        ({"x": X, "y": Y, "reading": Reading(fit="pad")}, "--fit pad: only the pictures of folder:PATH have it; leave it out for data given in Python."),
        ({"x": np.zeros((9, 2)), "y": [1] * 9, "reading": Reading(lower=True)}, "--lower: only text is divided into tokens; leave it out for data given in Python."),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        Dataset.of(**given)
    assert str(error.value) == message

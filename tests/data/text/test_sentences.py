from typing import Any

import numpy as np
import pytest

from etude.data.kinds import Tokens
from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.data.reading import Reading
from etude.data.text.sentences import Labelled, make_tokens
from etude.errors import UsageError


def labelled(texts: list[str], labels: Any, name: str = "the file") -> Labelled:
    return Labelled(texts=texts, labels=np.asarray(labels), name=name, labels_name=f"{name}'s labels")


MANY = labelled([f"word{number % 7} Satz {number}" for number in range(100)], ["a"] * 40 + ["b"] * 60)


def test_sentences_become_rows() -> None:
    given = {
        TRAIN: labelled(["Ein Hund!", "ein Vogel"], [1, 0], "train"),
        VALIDATION: labelled(["Vogel"], [1], "val"),
        TEST: labelled(["Wal Hund"], [0], "test"),
    }
    made = make_tokens(given, Reading(min_count=1))
    assert isinstance(made.kind, Tokens)
    assert made.kind.vocabulary.ordinary == ("ein", "!", "hund", "vogel")
    assert made.kind.class_names == ("0", "1")
    assert made.train["tokens"].tolist() == [[4, 6, 5], [4, 7, 0]]
    assert made.test["tokens"].tolist() == [[1, 6, 0]]
    assert made.train.labels.tolist() == [1, 0]
    assert made.train.texts == {"text": ("Ein Hund!", "ein Vogel")}
    assert made.notes == ()


def test_splits_are_drawn_by_class_where_there_are_none() -> None:
    made, again, other = (make_tokens({TRAIN: MANY}, Reading(), seed=seed) for seed in (0, 0, 1))
    assert made.validation
    sizes = [split.labels.bincount().tolist() for split in (made.train, made.validation, made.test)]
    assert sizes == [[29, 43], [3, 5], [8, 12]]
    assert made.test.texts == again.test.texts != other.test.texts
    texts = [text for part in (made.train, made.validation, made.test) for text in part.texts["text"]]
    assert sorted(texts) == sorted(MANY.texts)
    labels = dict(zip(MANY.texts, MANY.labels, strict=True))
    names = made.kind.class_names
    assert all(
        labels[text] == names[label]
        for text, label in zip(made.test.texts["text"], made.test.labels.tolist(), strict=True)
    )
    assert made.notes == (
        "labels by name: the classes are a, b, in the order of the alphabet",
        "no sentences to test on: a fifth of each class, 20 in all, is drawn for that",
        "no sentences to validate on: a tenth of the rest of each class, 8 in all, is drawn for that",
    )


def test_the_vocabulary_is_of_sentences_that_train() -> None:
    made = make_tokens({TRAIN: MANY}, Reading(min_count=1))
    assert isinstance(made.kind, Tokens)
    trained = {token for text in made.train.texts["text"] for token in text.lower().split()}
    assert set(made.kind.vocabulary.ordinary) == trained
    assert (made.test["tokens"] == 1).sum() == 20  # each has a number of its own


def test_long_sentences_are_cut() -> None:
    made = make_tokens({TRAIN: MANY}, Reading(max_tokens=2))
    assert made.kind.shape == (2,)
    assert made.notes[-1] == "100 of 100 sentences have more than 2 tokens: cut after them"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (labelled([], []), "the file holds no sentences."),
        (labelled(["a"], ["x", "y"]), "the file has 1 sentences and 2 labels: give one for each sentence."),
        (labelled(["a", " "], ["x", "y"]), "the file holds an empty sentence (example 1): write one, or leave it out."),
        (labelled(["a", "b"], ["x", "x"]), "the file's labels holds one class, 'x'; give sentences of two or more."),
        (labelled(["a", "b"], ["x", "y"]), "the file holds one sentence of each class; give two or more."),
    ],
)
def test_what_is_wrong_is_one_line(given: Labelled, message: str) -> None:
    with pytest.raises(UsageError) as error:
        make_tokens({TRAIN: given}, Reading())
    assert str(error.value) == message

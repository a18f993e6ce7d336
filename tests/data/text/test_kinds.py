import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from etude.data import Dataset, Images, Kind, RunningText, Split, TokenPairs, Tokens
from etude.data.kinds import kind_from_dict
from etude.data.text.vocabulary import SPECIAL_RUNNING, learn
from etude.errors import UsageError

WORDS = learn(["der Hund", "der Vogel"], tokenizer="words", lower=False, spaces=True, min_count=1)
ENGLISH = learn(["the dog", "the bird"], tokenizer="words", lower=False, spaces=True, min_count=1)
SUBWORDS = learn(["der Hund the dog"], tokenizer="subwords", lower=False)
LETTERS = learn(["der Hund"], tokenizer="characters", lower=False, special=SPECIAL_RUNNING)

SENTENCES = Tokens(length=3, class_names=("no", "yes"), vocabulary=WORDS)
PAIRS = TokenPairs(
    source_name="de", target_name="en", source_length=3, target_length=5, source_vocabulary=WORDS,
    target_vocabulary=ENGLISH,
)  # fmt: skip
JOINT = replace(PAIRS, source_vocabulary=SUBWORDS, target_vocabulary=SUBWORDS)
LONG = RunningText(vocabulary=LETTERS)


def test_sentences_are_filled_up_and_cut() -> None:
    rows = SENTENCES.encoded(["der Hund", "Hund", "der Hund der Vogel", "die"])
    assert rows.dtype == torch.int64
    assert rows.tolist() == [[4, 5, 0], [5, 0, 0], [4, 5, 4], [1, 0, 0]]
    assert SENTENCES.encoded([]).shape == (0, 3)
    assert SENTENCES.scaled(rows) is rows
    assert SENTENCES.unscaled(rows) is rows
    assert (SENTENCES.shape, SENTENCES.num_classes, SENTENCES.column) == ((3,), 2, "tokens")


def test_pairs_begin_and_end() -> None:
    assert PAIRS.encoded_sources(["Hund", "der Hund der Vogel"]).tolist() == [[5, 3, 0], [4, 5, 3]]
    assert PAIRS.encoded_targets(["the dog", "the dog the bird"]).tolist() == [[2, 4, 6, 3, 0], [2, 4, 6, 4, 3]]
    assert not PAIRS.joint
    assert (PAIRS.shape, PAIRS.num_classes, PAIRS.class_names) == ((3,), 0, ())


def test_running_text_is_one_row() -> None:
    assert LONG.encoded("Hund?").tolist() == [*LETTERS.encode("Hund"), 0]
    assert LONG.encoded("").dtype == torch.int64
    assert (LONG.shape, LONG.num_classes, LONG.class_names) == ((), 0, ())


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        (SENTENCES, ["vocabulary.txt"]),
        (PAIRS, ["vocabulary.source.txt", "vocabulary.target.txt"]),
        (JOINT, ["merges.txt", "vocabulary.txt"]),
        (LONG, ["vocabulary.txt"]),
        (Images(shape=(1, 2, 2), class_names=("a",)), []),
    ],
)
def test_a_kind_survives_its_files(kind: Kind, files: list[str]) -> None:
    texts = kind.files()
    assert sorted(texts) == files
    again = kind_from_dict(json.loads(json.dumps(kind.as_dict())), texts.__getitem__)
    assert again == kind
    assert again.files() == texts


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (SENTENCES, {"length": 0}, "0 for length"),
        (SENTENCES, {"length": 2.0}, "2.0 for length"),
        (SENTENCES, {"length": 1_000_001}, "1000001 for length"),
        (SENTENCES, {"class_names": []}, "no class_names"),
        (SENTENCES, {"vocabulary": None}, "None for a vocabulary"),
        (PAIRS, {"source_name": ""}, "'' for source_name"),
        (PAIRS, {"target_length": None}, "None for target_length"),
        (PAIRS, {"target_vocabulary": None}, "None for a vocabulary"),
        (JOINT, {"vocabulary": 1}, "1 for a vocabulary"),
        (LONG, {"vocabulary": {"tokenizer": "words"}}, "{'tokenizer': 'words'} for a vocabulary"),
    ],
)
def test_other_values_are_no_kind(kind: Kind, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the text is compared)
        kind_from_dict(kind.as_dict() | changes, kind.files().__getitem__)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("kind", "called"), [(SENTENCES, "sentences"), (PAIRS, "pairs of sentences"), (LONG, "running text")]
)
def test_texts_have_no_image_shape(kind: Kind, called: str) -> None:
    split = Split(anything=torch.zeros(1, dtype=torch.int64))
    dataset = Dataset(name="mine", kind=kind, train=split, test=split, licence="", source="")
    with pytest.raises(UsageError) as error:
        _ = dataset.image_shape
    assert str(error.value) == f"mine is {called}, not images: it has no image_shape; see `kind.shape`."

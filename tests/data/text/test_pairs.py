# ruff: noqa: E501 (messages are compared as they are printed)
import pytest
import torch

from etude.data.kinds import TokenPairs
from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.data.reading import Reading
from etude.data.text.pairs import Pairs, make_pairs
from etude.errors import UsageError


def pairs(*both: tuple[str, str], name: str = "the file") -> Pairs:
    return Pairs(sources=[source for source, _ in both], targets=[target for _, target in both], name=name)


GIVEN = {
    TRAIN: pairs(("der Hund", "the dog"), ("der Hund.", "the dog."), ("der müde Vogel singt hier", "birds sing")),
    VALIDATION: pairs(("ein Hund", "a dog")),
    TEST: pairs(("der alte Wal schläft nie", "the old whale never sleeps")),
}


def test_each_side_has_its_vocabulary_of_words() -> None:
    made = make_pairs(GIVEN, Reading(), source_name="de", target_name="en")
    kind = made.kind
    assert isinstance(kind, TokenPairs)
    assert kind.source_vocabulary.ordinary == (" der", " Hund")
    assert kind.target_vocabulary.ordinary == (" dog", " the")
    assert (kind.source_name, kind.target_name, kind.source_length, kind.target_length) == ("de", "en", 6, 7)
    assert made.train["source"].tolist() == [[4, 5, 3, 0, 0, 0], [4, 5, 1, 3, 0, 0], [4, 1, 1, 1, 1, 3]]
    assert made.train["target"].tolist()[0] == [2, 5, 4, 3, 0, 0, 0]
    assert made.test.texts == {"source": ("der alte Wal schläft nie",), "target": ("the old whale never sleeps",)}
    assert made.notes == ()


def test_subwords_are_of_both_sides() -> None:
    made = make_pairs(GIVEN, Reading(tokenizer="subwords", vocabulary_size=270, lower=True))
    kind = made.kind
    assert isinstance(kind, TokenPairs)
    assert kind.joint
    assert len(kind.source_vocabulary) == 270
    rows = made.test["target"][0].tolist()
    assert kind.target_vocabulary.decode(rows) == "the old whale never sleeps"
    # "Wal" and "whale" are only to test on.
    assert not any("w" in token for token in kind.source_vocabulary.ordinary[256:])


def test_long_pairs_do_not_train_and_others_are_cut() -> None:
    made = make_pairs(GIVEN, Reading(max_tokens=3, min_count=1))
    kind = made.kind
    assert isinstance(kind, TokenPairs)
    assert (len(made.train), kind.source_length, kind.target_length) == (2, 4, 5)
    assert made.train.texts["target"] == ("the dog", "the dog.")
    assert made.test["target"].shape == (1, 5)
    assert made.test["target"][0, [0, -1]].tolist() == [2, 3]
    assert made.test.texts["target"] == ("the old whale never sleeps",)
    assert made.notes == (
        "1 of 3 pairs to train on have more than 3 tokens: left out",
        "1 pairs to validate and to test on have more than 3 tokens: cut after them",
    )


def test_splits_are_drawn_where_there_are_none() -> None:
    many = pairs(*((f"Satz {number}", f"sentence {number}") for number in range(100)))
    made = make_pairs({TRAIN: many}, Reading(min_count=1), seed=3)
    again = make_pairs({TRAIN: many}, Reading(min_count=1), seed=3)
    other = make_pairs({TRAIN: many}, Reading(min_count=1), seed=4)
    assert made.validation
    assert (len(made.train), len(made.validation), len(made.test)) == (72, 8, 20)
    texts = [text for part in (made.train, made.validation, made.test) for text in part.texts["source"]]
    assert sorted(texts) == sorted(many.sources)
    assert torch.equal(made.test["source"], again.test["source"])
    assert made.test.texts != other.test.texts
    assert made.notes == (
        "no pairs to test on: a fifth, 20 in all, is drawn for that",
        "no pairs to validate on: a tenth of the rest, 8 in all, is drawn for that",
    )
    for part in (made.train, made.validation, made.test):  # rows stay beside their translations
        assert all(source.split()[1] == target.split()[1] for source, target in zip(*part.texts.values(), strict=True))


@pytest.mark.parametrize(
    ("given", "reading", "message"),
    [
        (pairs(), Reading(), "the file holds no pairs of sentences."),
        (pairs(("a", "b")), Reading(), "the file holds too few pairs; give three or more."),
        (pairs(("a", "b"), ("a", " ")), Reading(), "the file holds an empty sentence (example 1): write one, or leave it out."),
        (
            Pairs(sources=["a", "b"], targets=["a"], name="x"), Reading(),
            "x has 2 sentences and 1 translations: give one for each sentence.",
        ),
        (
            pairs(*[("a b c", "d e f")] * 9), Reading(max_tokens=2),
            "--max-tokens 2: all pairs to train on have more tokens; allow more.",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(given: Pairs, reading: Reading, message: str) -> None:
    with pytest.raises(UsageError) as error:
        make_pairs({TRAIN: given}, reading)
    assert str(error.value) == message

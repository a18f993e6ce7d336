"""The texts that come with étude: always the same, right German, and solved by their rules alone."""

import re
import sys

import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from etude.data import Dataset, RunningText, TokenPairs, Tokens, load
from etude.data.catalog import CATALOG
from etude.data.text.cue import LAG, PERIOD
from etude.data.text.made import MADE
from etude.errors import DataError

DIGESTS = {
    "opinions": "a2f4551f4572233bbbf7e6c7b40d7610",
    "clauses": "32c1ee4377fc4b3f080f7c069136c595",
    "cue": "22be2765c21f8d37568931032c1a02e4",
}


def parts(dataset: Dataset) -> list:
    assert dataset.validation
    return [dataset.train, dataset.validation, dataset.test]


@pytest.mark.parametrize("name", MADE)
def test_a_text_is_always_the_same_one(name: str) -> None:
    dataset = load(name)
    assert dataset.digest() == load(name).digest()
    assert dataset.digest() == DIGESTS.get(name, dataset.digest())
    assert (len(dataset.train), len(dataset.test)) == (CATALOG[name].num_train, CATALOG[name].num_test)
    assert dataset.class_names == CATALOG[name].class_names
    assert dataset.kind.as_dict()["name"] == CATALOG[name].kind


@pytest.mark.parametrize(("name", "side"), [("opinions", "text"), ("clauses", "source")])
def test_no_sentence_is_in_two_splits(name: str, side: str) -> None:
    sentences = [text for part in parts(load(name)) for text in part.texts[side]]
    assert len(set(sentences)) == len(sentences)


# Opinions -------------------------------------------------------------------------------------------------------------


def opinion(sentence: str) -> str:
    """What a reader takes from a sentence: the clause that counts, and whether it denies."""
    positive = "good funny moving clever fresh warm elegant lively gripping strong deep clear"
    sentence = sentence.removesuffix(" .")
    if ", but" in sentence:
        clause = sentence.split(", but")[1]
    elif sentence.startswith("although"):
        clause = sentence.split(" , ")[1]
    else:
        clause = sentence.split(" , and ")[0]
    denies = re.search("not|never|nobody|far from", clause) is not None
    return ("negative", "positive")[(clause.split()[-1] in positive.split()) != denies]


def test_a_reader_tells_every_opinion() -> None:
    dataset = load("opinions")
    for part in parts(dataset):
        labels = [dataset.class_names[label] for label in part.labels.tolist()]
        assert list(map(opinion, part.texts["text"])) == labels
        assert labels.count("positive") == labels.count("negative")


def test_words_without_their_order_do_not() -> None:
    dataset = load("opinions")
    counter = CountVectorizer()
    bayes = MultinomialNB().fit(counter.fit_transform(dataset.train.texts["text"]), dataset.train.labels.numpy())
    accuracy = bayes.score(counter.transform(dataset.test.texts["text"]), dataset.test.labels.numpy())
    assert abs(accuracy - 0.5) < 0.04  # two standard errors of chance are 0.032


# Clauses --------------------------------------------------------------------------------------------------------------


def test_german_articles_and_endings_agree() -> None:
    """The accusative differs for men only: den alten Mann, but der alte Mann, die alte Frau, ein altes Kind."""
    masculine = "Hund|Mann|Vogel|Lehrer|Bruder|Fisch|Arzt"
    feminine = "Katze|Frau|Nachbarin|Schwester|Maus"
    neuter = "Kind|Pferd|Mädchen|Schaf"
    allowed = "|".join(
        [
            rf"(?:der|ein)(?: \w+?e)? (?:{masculine})",
            rf"(?:den|einen)(?: \w+?en)? (?:{masculine})",
            rf"ein \w+?er (?:{masculine})",
            rf"(?:die|eine)(?: \w+?e)? (?:{feminine})",
            rf"das(?: \w+?e)? (?:{neuter})",
            rf"ein(?: \w+?es)? (?:{neuter})",
        ]
    )
    phrase = re.compile(rf"\b(?:der|die|das|den|eine?n?)(?: [a-zäöüß]+)? (?:{masculine}|{feminine}|{neuter})\b")
    found = {
        each for text in load("clauses").train.texts["source"] for each in phrase.findall(text[0].lower() + text[1:])
    }
    assert len(found) > 400
    assert {each for each in found if not re.fullmatch(allowed, each)} == set()


def test_the_verb_goes_to_the_end() -> None:
    dataset = load("clauses")
    assert isinstance(dataset.kind, TokenPairs)
    for german, english in zip(*dataset.test.texts.values(), strict=True):
        clauses = german.removesuffix(".").split(", ")
        for clause in clauses[1:]:
            assert re.match("weil|bevor|während|obwohl", clause)
            assert clause.endswith(" hat")
        assert re.search(r" (hat|will) .*en$|t$", clauses[0])
        assert len(re.findall("because|before|while|although", english)) == len(clauses) - 1
        assert english[0].isupper()
        assert english.endswith(".")


def test_translations_need_no_word_that_is_unknown() -> None:
    dataset = load("clauses")
    for part in parts(dataset):
        for side in ("source", "target"):
            assert not (part[side] == 1).any()
    assert isinstance(dataset.kind, TokenPairs)
    rows = dataset.test["target"].tolist()
    assert tuple(map(dataset.kind.target_vocabulary.decode, rows)) == dataset.test.texts["target"]


# Running texts --------------------------------------------------------------------------------------------------------


def test_answers_are_found_by_their_place() -> None:
    dataset = load("cue")
    assert isinstance(dataset.kind, RunningText)
    letters = dataset.kind.vocabulary.tokens
    for part in parts(dataset):
        symbols, targets = part["symbols"].view(-1, PERIOD), part["targets"].view(-1, PERIOD)
        assert {letters[each] for each in symbols[:, 0].tolist()} == {"A", "B"}
        assert {letters[each] for each in symbols[:, LAG].tolist()} == {"?"}
        assert {letters[each] for each in symbols[:, 1:LAG].unique().tolist()} == {"."}
        assert torch.equal(part["answers"].view(-1, PERIOD), (symbols == letters.index("?")))
        assert torch.equal(targets, symbols[:, :1].expand(-1, PERIOD))
        assert (symbols[:, 0] == symbols[0, 0]).double().mean() == 0.5
        following = (symbols[1:, 0] == symbols[:-1, 0]).double().mean()
        assert 0.4 < following < 0.6  # a cue tells nothing of the next


def test_the_documentation_is_that_of_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = load("python-docs")
    assert isinstance(dataset.kind, RunningText)
    text = dataset.kind.vocabulary.decode(dataset.train["symbols"].tolist())
    assert text.startswith('The "assert" statement\n')
    assert dataset.notes[0].startswith(f"the documentation of Python {sys.version.split()[0]}")
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError) as error:
        load("python-docs")
    assert str(error.value) == "python-docs: this Python was installed without its documentation (pydoc_data)."


def test_kinds_of_what_is_made() -> None:
    assert isinstance(load("opinions").kind, Tokens)
    assert isinstance(load("opinions", tokenizer="characters").kind, Tokens)
    assert load("clauses", tokenizer="subwords", vocabulary_size=400).kind.files().keys() == {
        "vocabulary.txt", "merges.txt",
    }  # fmt: skip

"""The texts of the catalogue that lie in files: made-up ones, and the real ones where `ETUDE_DATA` has them."""

import gzip
import os
from collections import Counter
from pathlib import Path

import pytest
import torch

from etude.data import Dataset, RunningText, TokenPairs, Tokens, load
from etude.data.loading import fetch
from etude.data.text.corpora import CORPORA
from etude.data.text.vocabulary import UNK, learn
from etude.errors import DataError

REAL_DATA = os.environ.get("ETUDE_DATA")  # before the fixture hides it


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())


@pytest.fixture
def polarity(tmp_path: Path) -> Path:
    """Every sentence has a word of its own."""
    files = {
        f"rt-polarity.{each}": "".join(f"{each} word{each}{row}\n" for row in range(count))
        for each, count in (("neg", 53), ("pos", 47))
    }
    write(tmp_path / "rt-polarity", files)
    return tmp_path


def texts(dataset: Dataset) -> list[set[str]]:
    assert dataset.validation
    return [set(part.texts["text"]) for part in (dataset.train, dataset.validation, dataset.test)]


def test_ten_folds_test_every_sentence_once(polarity: Path) -> None:
    tested: Counter[str] = Counter()
    for fold in range(10):
        dataset = load("rt-polarity", data_dir=polarity, fold=fold)
        train, validation, test = texts(dataset)
        assert len(train) + len(validation) + len(test) == 100
        assert not train & validation | train & test | validation & test
        assert dataset.validation
        assert dataset.validation.labels.bincount().tolist() == [5, 4]
        assert all(abs(4.7 - count) < 1.4 for count in dataset.test.labels.bincount().tolist())
        assert dataset.notes[0] == f"fold {fold} of 10 is the test split, and a tenth of the others validates"
        tested.update(test)
    assert set(tested.values()) == {1}
    assert len(tested) == 100


def test_the_folds_are_recorded(polarity: Path) -> None:
    dataset = load("rt-polarity", data_dir=polarity, fold=3)
    (record,) = dataset.records.values()
    comment, *lines = record.splitlines()
    assert list(dataset.records) == ["folds.txt"]
    assert comment.endswith("fold 3 is the test split")
    tested = {
        f"{name} word{name}{row}"
        for name, folds in (line.split() for line in lines)
        for row, fold in enumerate(folds)
        if fold == "3"
    }
    assert tested == set(dataset.test.texts["text"])


def test_the_vocabulary_never_holds_what_only_validates_or_tests(polarity: Path) -> None:
    dataset = load("rt-polarity", data_dir=polarity, min_count=1)
    assert isinstance(dataset.kind, Tokens)
    known = set(dataset.kind.vocabulary.ordinary)
    train, validation, test = texts(dataset)
    assert known == {word for text in train for word in text.split()}
    assert not known & {text.split()[1] for text in validation | test}
    assert (dataset.test["tokens"][:, 1] == UNK).all()


def test_files_with_another_content_are_called_by_their_path(polarity: Path) -> None:
    dataset = load("rt-polarity", data_dir=polarity)
    place = polarity / "rt-polarity"
    assert (dataset.name, dataset.licence) == (str(place), "not stated")
    assert dataset.notes[-1] == (
        f"the files under the names of rt-polarity in {place} are not the published ones: called by their path"
    )
    assert dataset.class_names == ("negative", "positive")


def test_pairs_may_be_packed_and_go_both_ways(tmp_path: Path) -> None:
    files = {}
    for stem, count in (("train", 30), ("val", 4), ("test_2016_flickr", 5)):
        files[f"{stem}.de"] = "".join(f"Satz {row}. \n" for row in range(count))
        files[f"{stem}.en.gz"] = "".join(f"sentence {row}.\n" for row in range(count))
    write(tmp_path / "multi30k", files)
    there, back = (load(name, data_dir=tmp_path) for name in ("multi30k", "multi30k-en-de"))
    for dataset, sides in ((there, ("de", "en")), (back, ("en", "de"))):
        assert isinstance(dataset.kind, TokenPairs)
        assert dataset.validation
        assert (dataset.kind.source_name, dataset.kind.target_name) == sides
        assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (30, 4, 5)
    assert there.test.texts["source"][4] == back.test.texts["target"][4] == "Satz 4."


def test_unequal_files_are_told(tmp_path: Path) -> None:
    files = {f"{stem}.{side}": "a\n" for stem in ("train", "val", "test_2016_flickr") for side in ("de", "en")}
    write(tmp_path / "multi30k", {**files, "val.en": "a\nb\n"})
    with pytest.raises(DataError) as error:
        load("multi30k", data_dir=tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/multi30k/val.en, line 2: has no partner, because {tmp_path}/multi30k/val.de ends at line 1; a "
        "line of each makes a pair."
    )


def test_the_end_of_shakespeare_validates_and_tests(tmp_path: Path) -> None:
    write(tmp_path / "tinyshakespeare", {"input.txt": "To be, or not\n" * 20})
    dataset = load("tiny-shakespeare", data_dir=tmp_path)
    assert dataset.validation
    assert (len(dataset.train), len(dataset.validation)) == (251, 27)
    assert torch.equal(dataset.validation["symbols"], dataset.test["symbols"])
    assert dataset.notes[0] == (
        "the last tenth is the validation split and the test split, since this benchmark has no other"
    )


@pytest.mark.parametrize("call", [load, fetch])
def test_what_is_missing_is_said(tmp_path: Path, no_data_here: Path, call: object) -> None:
    for name, files, folder in (
        ("rt-polarity", "rt-polarity.neg and rt-polarity.pos", "rt-polarity"),
        (
            "multi30k-en-de",
            "train.de, train.en, val.de, val.en, test_2016_flickr.de and test_2016_flickr.en",
            "multi30k",
        ),
        ("tiny-shakespeare", "input.txt", "tinyshakespeare"),
    ):
        with pytest.raises(DataError) as error:
            call(name, data_dir=tmp_path)  # pyright: ignore[reportCallIssue]
        assert str(error.value) == (
            f"{name} is not in {tmp_path}, {no_data_here}, /nowhere/datasets, and étude does not download it: put "
            f"{files} (or .gz) into a folder {folder}, and name the folder above it with --data-dir or ETUDE_DATA."
        )


def test_files_are_fetched_from_where_they_are(polarity: Path) -> None:
    assert fetch("rt-polarity", data_dir=polarity) == polarity / "rt-polarity"


# Real files -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    if not REAL_DATA:
        pytest.skip("ETUDE_DATA is not set")
    monkeypatch.setenv("ETUDE_DATA", REAL_DATA)
    for name, corpus in CORPORA.items():
        if corpus.locate([Path(part) for part in REAL_DATA.split(os.pathsep)]) is None:
            pytest.skip(f"no {name} in ETUDE_DATA")


@pytest.mark.usefixtures("real")
def test_the_real_rt_polarity() -> None:
    dataset = load("rt-polarity", fold=9)
    assert dataset.name == "rt-polarity"
    train, validation, test = texts(dataset)
    assert len(train | validation | test) == 10_662  # none occurs twice, so none is in two splits
    assert dataset.validation
    counts = [part.labels.bincount() for part in (dataset.train, dataset.validation, dataset.test)]
    assert sum(counts).tolist() == [5_331, 5_331]  # pyright: ignore[reportAttributeAccessIssue]
    every = [text for part in (train, validation, test) for text in part]
    types = Counter(word for text in every for word in text.split())
    assert (len(types), sum(count >= 2 for count in types.values())) == (21_425, 10_382)


@pytest.mark.usefixtures("real")
def test_the_real_multi30k() -> None:
    dataset = load("multi30k", lower=True)
    assert dataset.name == "multi30k"
    assert dataset.validation
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (29_000, 1_014, 1_000)
    for side, num_types, mean, longest in (("source", 7_878, 12.6, 45), ("target", 5_894, 13.1, 41)):
        sentences = dataset.train.texts[side]
        vocabulary = learn(sentences, tokenizer="words", lower=True)
        lengths = [len(vocabulary.encode(text)) for text in sentences]
        assert len(vocabulary) - len(vocabulary.special) == num_types
        assert (round(sum(lengths) / len(lengths), 1), max(lengths)) == (mean, longest)
    assert not set(dataset.test.texts["source"]) & set(dataset.train.texts["source"])


@pytest.mark.usefixtures("real")
def test_real_words_with_spaces_come_back() -> None:
    dataset = load("multi30k", min_count=1)
    assert isinstance(dataset.kind, TokenPairs)
    pairs = (("source", dataset.kind.source_vocabulary), ("target", dataset.kind.target_vocabulary))
    for side, vocabulary in pairs:
        rows, given = dataset.train[side].tolist(), dataset.train.texts[side]
        same = [vocabulary.decode(row) == " ".join(text.split()) for row, text in zip(rows, given, strict=True)]
        assert all(same)


@pytest.mark.usefixtures("real")
def test_the_real_shakespeare() -> None:
    dataset = load("tiny-shakespeare")
    assert dataset.name == "tiny-shakespeare"
    assert isinstance(dataset.kind, RunningText)
    assert dataset.validation
    assert (len(dataset.train), len(dataset.validation)) == (1_003_853, 111_539)
    assert len(dataset.kind.vocabulary) == 65 + 1
    assert not (dataset.validation["symbols"] == 0).any()

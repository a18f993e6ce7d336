# ruff: noqa: E501 (messages are compared as they are printed)
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etude.data import Dataset, Reading, RunningText, TokenPairs, Tokens, load
from etude.errors import DataError, UsageError

REVIEWS = "text,label\n" + "".join(
    f"film {n} is {'good' if n % 2 else 'bad'},{'pos' if n % 2 else 'neg'}\n" for n in range(60)
)
PHRASES = "".join(f"Satz {n}\tsentence {n}\n" for n in range(60))


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reviews.csv").write_text(REVIEWS)
    Path("phrases.tsv").write_text(PHRASES)
    Path("a.de").write_text("".join(line.split("\t")[0] + "\n" for line in PHRASES.splitlines()))
    Path("a.en").write_text("".join(line.split("\t")[1] + "\n" for line in PHRASES.splitlines()))
    Path("novel.txt").write_text("Es war einmal ein Bär.\n" * 40)


def sizes(dataset: Dataset) -> list[int]:
    assert dataset.validation
    return [len(dataset.train), len(dataset.validation), len(dataset.test)]


def test_sentences_of_a_file() -> None:
    dataset = load("text:reviews.csv")
    assert isinstance(dataset.kind, Tokens)
    assert sizes(dataset) == [44, 4, 12]
    assert dataset.class_names == ("neg", "pos")
    assert (dataset.licence, dataset.source) == ("not stated", str(Path("reviews.csv").resolve()))
    assert dataset.notes[0] == "the texts are column 'text', the labels column 'label'"
    assert load("text:reviews.csv", seed=1).digest() != dataset.digest() == load("text:reviews.csv").digest()


def test_sentences_of_a_folder() -> None:
    for name in ("a", "b"):
        Path("texts", name).mkdir(parents=True)
        for number in range(9):
            Path("texts", name, f"{number}.txt").write_text(f"{name} {number}")
    assert sizes(load("text:texts")) == [12, 2, 4]


@pytest.mark.parametrize("name", ["pairs:phrases.tsv", "pairs:a.de,a.en"])
def test_pairs_of_one_file_or_two(name: str) -> None:
    dataset = load(name)
    assert isinstance(dataset.kind, TokenPairs)
    assert sizes(dataset) == [43, 5, 12]
    sides = ("source", "target") if name.endswith("tsv") else ("de", "en")
    assert (dataset.kind.source_name, dataset.kind.target_name) == sides
    numbers = [[text.split()[1] for text in dataset.test.texts[side]] for side in ("source", "target")]
    assert numbers[0] == numbers[1]


def test_a_table_of_pairs_may_have_a_header_and_more_columns() -> None:
    Path("b.tsv").write_text("Source\tTarget\n" + PHRASES.replace("\n", "\tCC-BY 2.0\n"))
    dataset = load("pairs:b.tsv")
    assert sizes(dataset) == [43, 5, 12]
    assert dataset.notes[0] == "60 lines have more than two columns: the first two are read"


def test_running_text() -> None:
    dataset = load("chars:novel.txt", tokenizer="subwords", vocabulary_size=270)
    assert isinstance(dataset.kind, RunningText)
    assert len(dataset.kind.vocabulary) == 270
    characters = load("chars:novel.txt")
    assert sizes(characters) == [735, 91, 91]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text:none.csv", None, "none.csv: no such file; text:PATH needs a .csv, .tsv or .jsonl file (text:FILE:TEXT,LABEL names columns) or a folder per class."),
        ("pairs:none.tsv", None, "none.tsv: no such file; pairs:FILE needs a sentence and its translation on each line, pairs:FILE,FILE a file of each."),
        ("pairs:a.de,none.en", None, "none.en: no such file; pairs:FILE needs a sentence and its translation on each line, pairs:FILE,FILE a file of each."),
        ("chars:none.txt", None, "none.txt: no such file; chars:FILE needs a text file."),
        ("text:b.csv", "text,label\na,x\nb,x\n", "b.csv: column 'label' holds one class, 'x'; give sentences of two or more."),
        ("text:b.csv", "text,label\na,x\nb,y\n", "b.csv: column 'text' holds one sentence of each class; give two or more."),
        ("text:b.csv", "text,label\n" + "".join(f"a,{n}\n" for n in range(50)), "b.csv: column 'label' holds 50 different labels for 50 examples; allowed: at most 1,000 classes, and two examples of each: étude classifies."),
        ("pairs:b.tsv", "eins\tone\n\nzwei\ttwo\n", "b.tsv, line 2: is empty; write both, or remove the line."),
        ("pairs:b.tsv", "eins\tone\nzwei two\n", "b.tsv, line 2: holds no sentence and translation with a tab between them; write both, or remove the line."),
        ("pairs:b.tsv", "eins\tone\nzwei\t \n", "b.tsv, line 2: holds no sentence and translation with a tab between them; write both, or remove the line."),
        ("pairs:a.de,b.en", "one\n" * 59, "a.de, line 60: has no partner, because b.en ends at line 59; a line of each makes a pair."),
        ("pairs:b.de,a.en", "eins\n" * 61, "b.de, line 61: has no partner, because a.en ends at line 60; a line of each makes a pair."),
        ("pairs:b.de,a.en", "eins\n" * 30 + "\n" + "zwei\n" * 29, "b.de, line 31: is empty; write a sentence, or remove the line."),
        ("chars:b.txt", "kurz", "b.txt: the text holds 4 characters; give at least 100."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(name: str, content: str | None, message: str) -> None:
    if content is not None:
        for path in ("b.csv", "b.tsv", "b.de", "b.en", "b.txt"):
            Path(path).write_text(content)
    with pytest.raises(DataError) as error:
        load(name)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load("text:reviews.csv", image_size=32), "--image-size 32: only the pictures of folder:PATH have it; leave it out for text:reviews.csv."),
        (lambda: load("text:reviews.csv", skip_broken=True), "--skip-broken: only the pictures of folder:PATH have it; leave it out for text:reviews.csv."),
        (lambda: load("opinions", fold=3), "--fold 3: only rt-polarity has folds; leave it out for opinions."),
        (lambda: load("digits", fold=3), "--fold 3: only rt-polarity has folds; leave it out for digits."),
        (lambda: load("digits", tokenizer="words"), "--tokenizer words: only text is divided into tokens; leave it out for digits."),
        (lambda: load("csv:a.csv", lower=False), "--no-lower: only text is divided into tokens; leave it out for csv:a.csv."),
        (lambda: load("csv:a.csv", lower=True), "--lower: only text is divided into tokens; leave it out for csv:a.csv."),
        (lambda: Reading(min_count=0, fold=10, vocabulary_size=-1, max_tokens=0), "out of range: --vocabulary-size -1 (allowed: at least 1); --min-count 0 (allowed: at least 1); --max-tokens 0 (allowed: at least 1); --fold 10 (allowed: 0 to 9)."),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        call()
    assert str(error.value) == message

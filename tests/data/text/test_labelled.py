# ruff: noqa: E501 (messages are compared as they are printed)
from pathlib import Path

import pytest

from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.data.text.labelled import read_file, read_folder
from etude.errors import DataError

CSV = 'id,text,label\n1,"a good, ""fine"" film",pos\n2,"dull\nand slow",neg\n\n3,  bad ,neg\n'
TSV = 'sentence\tlabel\n"an unclosed quote\t1\nbad\t0\n'
JSONL = '{"review": "good", "stars": 5}\n{"stars": 1, "review": "bad", "more": null}\n'


def read(folder: Path, name: str, content: str, columns: str = "") -> tuple[list[str], list[object], list[str]]:
    notes: list[str] = []
    path = folder / name
    path.write_text(content)
    found = read_file(path, columns=columns, notes=notes)
    return list(found.texts), list(found.labels), notes


def test_tables_are_read(tmp_path: Path) -> None:
    texts, labels, notes = read(tmp_path, "a.csv", CSV)
    assert texts == ['a good, "fine" film', "dull\nand slow", "bad "]
    assert labels == ["pos", "neg", "neg"]
    assert notes == ["the texts are column 'text', the labels column 'label'"]
    assert read(tmp_path, "a.csv", CSV.replace(",", ";"))[1] == ["pos", "neg", "neg"]


def test_tables_with_tabs_have_no_quotes(tmp_path: Path) -> None:
    texts, labels, _ = read(tmp_path, "a.TSV", TSV)
    assert texts == ['"an unclosed quote', "bad"]
    assert labels == [1, 0]


def test_lines_of_json_are_read(tmp_path: Path) -> None:
    texts, labels, notes = read(tmp_path, "a.jsonl", JSONL)
    assert (texts, labels) == (["good", "bad"], [5, 1])
    assert notes == ["the texts are column 'review', the labels column 'stars'"]


def test_columns_may_be_named(tmp_path: Path) -> None:
    content = "stars,title,body\n5,Fine,Very good\n1,No,Bad\n"
    assert read(tmp_path, "a.csv", content, "body,stars")[:2] == (["Very good", "Bad"], [5, 1])
    assert read(tmp_path, "a.csv", content, "title,stars")[0] == ["Fine", "No"]
    assert read(tmp_path, "a.jsonl", JSONL, "review,stars")[1] == [5, 1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "good\n", ": allowed are .csv, .tsv and .jsonl, and folders with one folder per class."),
        ("a.csv", "", ": holds no text."),
        ("a.csv", "text,label\n", ": holds no rows below its header; add an example on each line."),
        ("a.csv", "text,label\ngood\n", ", line 2: holds 1 values, and the header names 2 columns."),
        ("a.csv", "text,label\n,pos\n", ", line 2: holds no text; write one, or remove the line."),
        ("a.csv", "text,label\ngood,\n", ", line 2: holds no label; write one of 1 to 200 letters."),
        ("a.csv", f"text,label\ngood,{'x' * 201}\n", ", line 2: holds a label of 201 letters; write one of 1 to 200 letters."),
        ("a.csv", 'text,label\ngood,pos\n"bad,neg\n', ", line 3: not a row of a table (unexpected end of data); mend the line."),
        ("a.csv", "words,mood\nx,y\n", ", line 1: no column of texts among 'words', 'mood'; call it one of text, sentence, review, content, document, tweet, or name both columns: text:FILE:TEXT,LABEL."),
        ("a.csv", "text,mood,more\nx,y,z\n", ", line 1: no column of labels among 'text', 'mood', 'more'; call it one of label, labels, class, target, y, or name both columns: text:FILE:TEXT,LABEL."),
        ("a.csv", "text,label\ngood,pos\n" + "x" * 10_000_000 + ",neg\n", ", line 3: holds a text of over 131,072 characters; divide it."),
        ("a.tsv", "text\tlabel\n" + "x" * 10_000_000 + "\tneg\n", ", line 2: holds a text of over 131,072 characters; divide it."),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "' + "x" * 10_000_000 + '", "label": 1}\n', ", line 2: holds 10,000,024 bytes; allowed: at most 1,000,000 in a line, so write one sentence per line."),
        ("a.jsonl", '{"text": "a", "label": 1}\n\n{"text": "b", "label": 2}\n', ", line 2: is empty; write an object, or remove the line."),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": \n', ", line 2: not JSON (Expecting value: line 1 column 9 (char 8)); write an object on each line."),
        ("a.jsonl", "[1]\n", ", line 1: holds a list; write an object with a text and a label."),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n', ", line 2: holds nothing for 'label'; write a text or a whole number."),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": null, "label": 1}\n', ", line 2: holds a NoneType for 'text'; write a text."),
        ("a.jsonl", '{"text": "a", "label": true}\n', ", line 1: holds a bool for 'label'; write a text or a whole number."),
        ("a.jsonl", '{"text": " ", "label": 1}\n', ", line 1: holds no text; write one, or remove the line."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, name, content)
    assert str(error.value) == f"{tmp_path / name}{message}"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("text,mood", ": unknown column 'mood': choose from id, label, text."),
        ("texts,label", ": unknown column 'texts': did you mean 'text'? Choose from id, label, text."),
        ("label", ": 'label' names one column; write text:FILE:TEXT,LABEL."),
    ],
)
def test_a_column_that_is_not_there(tmp_path: Path, columns: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, "a.csv", CSV, columns)
    assert str(error.value) == f"{tmp_path / 'a.csv'}{message}"


# Folders --------------------------------------------------------------------------------------------------------------


def lay(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def test_a_folder_is_a_class(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {"neg/2.txt": "bad\nfilm\n", "neg/1.txt": "dull", "pos/1.TXT": "good", "pos/.hidden.txt": "", "readme": ""},
    )
    notes: list[str] = []
    (found,) = read_folder(tmp_path, notes).values()
    assert (found.texts, list(found.labels)) == (["dull", "bad\nfilm", "good"], ["neg", "neg", "pos"])
    assert notes == []


def test_folders_may_be_splits(tmp_path: Path) -> None:
    lay(tmp_path, {f"{split}/{name}/1.txt": split for split in ("Train", "dev", "test_set") for name in ("a", "b")})
    notes: list[str] = []
    found = read_folder(tmp_path, notes)
    assert list(found) == [TRAIN, VALIDATION, TEST]
    assert found[VALIDATION].texts == ["dev", "dev"]
    assert notes == ["splits: Train/ trains, dev/ validates, test_set/ tests"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": "x"}, ": holds no class folders; put the .txt files of each class into a folder of its own."),
        ({"a/1.txt": "x", "b/1.png": ""}, "/b: holds no .txt files; add some, or remove the folder."),
        ({"a/1.txt": "x", "a/2.txt": " \n"}, "/a/2.txt: holds no text."),
        ({"test/a/1.txt": "x"}, ": has test/ but no train/; add it, or put the class folders into {root}."),
        (
            {"train/a/1.txt": "x", "training/a/1.txt": "x"},
            ": has both train/ and training/; merge them, or remove one.",
        ),
        (
            {"train/a/1.txt": "x", "train/b/1.txt": "x", "test/a/1.txt": "x"},
            "/test/b: holds no .txt files; add some, or remove this class from every split.",
        ),
        ({"a/1.txt": "x" * 1_000_001}, "/a/1.txt: holds a text of 1,000,001 characters; allowed: at most 1,000,000."),
    ],
)
def test_folders_that_are_not_understood(tmp_path: Path, files: dict[str, str], message: str) -> None:
    lay(tmp_path, files)
    with pytest.raises(DataError) as error:
        read_folder(tmp_path, [])
    assert str(error.value) == f"{tmp_path}{message.format(root=tmp_path)}"

# ruff: noqa: E501 (a message on a line)
"""`csv:FILE`: a table with a column of labels."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.data import Dataset, Table, load
from etude.errors import DataError

DRAWN = "no examples to test on: a fifth of each class, {} in all, is drawn for that"
NAMED = "labels by name: the classes are a, b, in the order of the alphabet"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str | bytes, column: str = "") -> Dataset:
    Path("t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load("csv:t.csv" + (f":{column}" if column else ""))


def rows(dataset: Dataset) -> list[tuple[list[float], str]]:
    """All examples, those to test on too, in an order of their own."""
    splits = (dataset.train, dataset.test)
    return sorted(
        (features.tolist(), dataset.class_names[label])
        for split in splits
        for features, label in zip(split.features, split.labels, strict=True)
    )


PLAIN = "x,y,label\n1,2.5,a\n-3,1e2,b\n5,6,a\n7,8,b\n"
EXPECTED = [([-3.0, 100.0], "b"), ([1.0, 2.5], "a"), ([5.0, 6.0], "a"), ([7.0, 8.0], "b")]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN.replace("\n", "\n\n"),
        PLAIN.replace(",", ", "),
        'x,"y","label"\n"1",2.5,"a"\n-3,"1e2","b"\n5,6,a\n7,8,b\n',
        '"label", "y", "x"\na,2.5,1\nb,1e2,-3\na,6,5\nb,8,7\n',
    ],
    ids=["comma", "semicolon", "tab", "CRLF", "CR", "mark", "no end", "empty lines", "spaces", "quotes", "order"],
)
def test_a_table_in_every_dialect(text: str) -> None:
    dataset = read(text)
    assert isinstance(dataset.kind, Table)
    found = rows(dataset)
    if dataset.kind.feature_names == ("y", "x"):
        found = sorted((features[::-1], label) for features, label in found)
    assert found == EXPECTED
    assert sorted(dataset.kind.feature_names) == ["x", "y"]
    assert dataset.train.features.dtype == torch.float32
    assert dataset.notes == ("the labels are column 'label'", NAMED, DRAWN.format(2))
    assert (dataset.name, dataset.source) == ("csv:t.csv", str(Path("t.csv").resolve()))


def test_quotes_hold_delimiters_line_breaks_and_quotes() -> None:
    dataset = read('"x, in ""cm""",class\n1,"a,\nb"\n2,"a,\nb"\n3,c\n4,c\n')
    assert dataset.kind == Table(
        class_names=("a,\nb", "c"), mean=(dataset.train.features.mean().item(),),
        scale=(dataset.train.features.std(correction=0).item(),), feature_names=('x, in "cm"',),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("header", "column", "label", "note"),
    [
        ("a,label,b", "", 1, "the labels are column 'label'"),
        ("Class,a,b", "", 0, "the labels are column 'Class'"),
        ("a,TARGET,b", "", 1, "the labels are column 'TARGET'"),
        ("a,y,b", "", 1, "the labels are column 'y'"),
        ("y,label,b", "", 1, "the labels are column 'label'"),
        ("a,b,c", "", 2, "the labels are column 'c', the last (csv:FILE:COLUMN names another)"),
        ("a,b,c", "a", 0, None),
        ("label,b,c: d", "c: d", 2, None),
        ("1,2,3", "2", 1, None),
    ],
)
def test_the_column_of_labels(header: str, column: str, label: int, note: str | None) -> None:
    dataset = read(header + "\n" + "0,1,2\n2,3,4\n" * 2, column)
    labels = [row.split(",")[label] for row in ("0,1,2", "2,3,4")]
    assert sorted({name for _, name in rows(dataset)}) == labels
    assert (dataset.notes[0] == note) == (note is not None)
    assert isinstance(dataset.kind, Table)
    assert list(dataset.kind.feature_names) == [each for n, each in enumerate(header.split(",")) if n != label]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["0", "1", "10", "2"], ("0", "1", "2", "10")),
        (["1.0", "0.0", "2.00", "1"], ("0", "1", "2")),
        (["-1", "+1", "-1", "1"], ("-1", "1")),
        (["a", "1", "a", "1"], ("1", "a")),
        (["nan", "none", "nan", "none"], ("nan", "none")),
        (["é", "猫", "é", "猫"], ("é", "猫")),
    ],
)
def test_labels_are_numbers_where_all_are(labels: list[str], names: tuple[str, ...]) -> None:
    assert read("x,label\n" + "".join(f"{n},{each}\n" for n, each in enumerate(labels * 2))).class_names == names


def test_texts_become_a_feature_each() -> None:
    dataset = read("size,colour,y\n" + "1,red,a\n2,green,b\n3,red,a\n4,blue,b\n" * 2)
    assert isinstance(dataset.kind, Table)
    assert dataset.kind.feature_names == ("size", "colour=blue", "colour=green", "colour=red")
    assert [features for features, _ in rows(dataset)][::2] == [[1, 0, 0, 1], [2, 0, 1, 0], [3, 0, 0, 1], [4, 1, 0, 0]]
    assert dataset.notes[1] == (
        "columns of texts, of which each text becomes a feature, 0 or 1: colour (blue, green, red)"
    )


@pytest.mark.parametrize("name", ["", "Id", "index"])
@pytest.mark.parametrize("first", [0, 1])
def test_a_column_that_numbers_the_rows_is_not_read(name: str, first: int) -> None:
    dataset = read(f"{name},x,y\n" + "".join(f"{n + first},{n * n},{n % 2}\n" for n in range(10)))
    assert isinstance(dataset.kind, Table)
    assert dataset.kind.feature_names == ("x",)
    said = "the first column, which has no name, numbers the rows" if not name else f"column {name!r} numbers the rows"
    assert dataset.notes[1] == f"{said}: it is not read"
    kept = read("id,x,y\n3,0,0\n1,1,1\n2,2,0\n0,3,1\n")
    assert isinstance(kept.kind, Table)
    assert kept.kind.feature_names == ("id", "x")


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_what_pythons_writer_writes_is_read_again(data: st.DataObject) -> None:
    width, count = data.draw(st.integers(1, 4)), data.draw(st.integers(4, 12))
    number = st.floats(width=32, allow_nan=False, allow_infinity=False)
    table = [data.draw(st.lists(number, min_size=width, max_size=width)) for _ in range(count)]
    letters = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=5)
    classes = data.draw(st.lists(letters, min_size=2, max_size=3, unique=True))
    delimiter = data.draw(st.sampled_from(",;\t"))
    with open("t.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow([*(f"f{n}" for n in range(width)), "label"])
        writer.writerows([*row, "x" + classes[n % 2]] for n, row in enumerate(table))
    expected = sorted((row, "x" + classes[n % 2]) for n, row in enumerate(table))
    assert rows(load("csv:t.csv")) == expected


def test_large_numbers_whose_sum_is_beyond_float32() -> None:
    dataset = read("a,b,y\n3e38,3e38,0\n3e38,-3e38,1\n3e38,3e38,0\n3e38,-3e38,1\n")
    assert isinstance(dataset.kind, Table)
    assert dataset.kind.scaled(dataset.train.features).abs().max() < 2


def test_a_wide_table() -> None:
    """The width of MNIST as a table."""
    values = np.random.default_rng(0).integers(0, 256, (200, 784))
    lines = [",".join(["label", *(f"p{n}" for n in range(784))])]
    lines += [",".join(map(str, [n % 10, *row])) for n, row in enumerate(values)]
    dataset = read("\n".join(lines))
    together = torch.cat([dataset.train.features, dataset.test.features])
    assert together.double().sum().item() == values.sum()


# What is refused ------------------------------------------------------------------------------------------------------

TWENTY = "".join(f"1,t{n},a\n" for n in range(20))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ", line 1: holds 0 columns; allowed: a header with the names of two or more, separated by commas, semicolons or tabs."),
        ("\n1,2\n", ", line 1: holds 0 columns; allowed: a header with the names of two or more, separated by commas, semicolons or tabs."),
        ("a b c\n1 2 3\n", ", line 1: holds 1 column; allowed: a header with the names of two or more, separated by commas, semicolons or tabs."),
        ("5.1,3.5,setosa\n4.9,3,setosa\n", ", line 1: looks like an example; write a line with the names of the columns above it."),
        ("1,2,3\n4,5,6\n", ", line 1: looks like an example; write a line with the names of the columns above it."),
        ("a,,y\n1,2,3\n", ", line 1: column 2 has no name; give it one, or remove it."),
        (",b,y\n7,2,0\n7,2,1\n", ", line 1: column 1 has no name; give it one, or remove it."),
        ("a,b,a\n1,2,3\n", ", line 1: two columns are called 'a'; rename one."),
        ("a,b,y\n", ": holds no rows below its header; add an example on each line."),
        ("id,y\n0,0\n1,1\n2,0\n", ": holds no column of features beside the labels; add one of numbers."),
        ("a,b,y\n1,2,0\n\n1,2\n", ", line 4: holds 2 values, and the header names 3 columns."),
        ("a,b,y\n1,2,0\n1,2,3,\n", ", line 3: holds 4 values, and the header names 3 columns."),
        ("a,b,y\n1,2,0\n1,,0\n", ", line 3: no value in column 'b'; write a number, or remove the line."),
        ("a,b,y\n1,NaN,0\n1,2,0\n", ", line 2: no value in column 'b'; write a number, or remove the line."),
        ("a,b,y\n1,2,0\n1,?,0\n", ", line 3: no value in column 'b'; write a number, or remove the line."),
        ("a,b,y\n1,x,0\n1,,0\n", ", line 3: no value in column 'b'; write a text, or remove the line."),
        ("a,b,y\n1,2,0\n1,2,\n", ", line 3: no label in column 'y'; write one of 1 to 200 letters."),
        (f"a,b,y\n1,2,{'x' * 201}\n", ", line 2: a label of 201 letters in column 'y'; write one of 1 to 200 letters."),
        ("a;b;y\n1;2,5;0\n1;1.5;0\n", ", line 3: column 'b' holds the number 1.5, and texts above; use one of them."),
        ("a;b;y\n1;2.5;0\n1;1,5;0\n", ", line 3: column 'b' holds '1,5', and numbers above; write a number, as in 1.5."),
        ("a,b,y\n1,2,0\n1,inf,0\n", ", line 3: column 'b' holds 'inf', which is not finite or beyond float32; write another number."),
        ("a,b,y\n1,2,0\n1,-1e39,0\n", ", line 3: column 'b' holds '-1e39', which is not finite or beyond float32; write another number."),
        ("a,b,y\n1e400,-1e400,0\n", ", line 2: column 'a' holds '1e400', which is not finite or beyond float32; write another number."),
        (f"a,b,y\n{TWENTY}1,new,a\n", ", line 22: column 'b' holds 'new' and 20 other texts; allowed: numbers, or at most 20 different texts: remove the column."),
        ("a,price\n1,2\n1,2.5\n", ", line 3: the label 2.5 in column 'price' is a quantity, and étude classifies; csv:FILE:COLUMN names another column."),
        ("a,price\n1,2\n1,inf\n", ", line 3: the label inf in column 'price' is a quantity, and étude classifies; csv:FILE:COLUMN names another column."),
        ('a,y\n1,0\n2,"0\n', ", line 3: not a row of a table (unexpected end of data); mend the line."),
        ('a,y\n1,"0"x\n2,0\n', """, line 2: not a row of a table (',' expected after '"'); mend the line."""),
        (f"a,y\n1,{'x' * 140_000}\n", ", line 2: not a row of a table (field larger than field limit (131072)); mend the line."),
        (b"a,y\n1,b\n1,caf\xe9\n", ", line 3: byte 0xe9 is not UTF-8; save the table as UTF-8."),
        ("a,y\n1,b\n".encode("utf-16"), ", line 1: byte 0xff is not UTF-8; save the table as UTF-8."),
        ("a,y\n" + "".join(f"1,n{n}\n" for n in range(50)), ": column 'y' holds 50 different labels for 50 examples; allowed: at most 1,000 classes, and two examples of each: étude classifies."),
        ("a,y\n1,0\n1,1\n", ": the table holds one example of each class: give two or more, to train and to test on."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_that_names_it(text: str | bytes, message: str) -> None:
    with pytest.raises(DataError) as error:
        read(text)
    assert str(error.value) == f"t.csv{message}"


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(DataError) as error:
        read(PLAIN, "lable")
    assert str(error.value) == "t.csv: unknown column 'lable': did you mean 'label'? Choose from label, x, y."


def test_no_file() -> None:
    for name in ("none.csv", "none.csv:y", "."):
        with pytest.raises(DataError) as error:
            load(f"csv:{name}")
        assert str(error.value) == (
            f"{name.partition(':')[0]}: no such file; csv:FILE needs a table with a header, csv:FILE:COLUMN names its "
            "labels."
        )


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (MemoryError(), "does not fit into memory; keep fewer rows or columns."),
        (PermissionError(13, "Permission denied"), "cannot be read (Permission denied)."),
    ],
)
def test_a_file_that_cannot_be_read(failure: Exception, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("etude.data.table._read", fail)
    with pytest.raises(DataError) as error:
        read(PLAIN)
    assert str(error.value) == f"t.csv: {message}"

import os
from pathlib import Path

import pytest

from etude.data.names import OwnName, absolute, parse_own, short_name
from etude.errors import UsageError


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["digits", "moons", "folder", "npz", "csv", "there/folder:x", "zip:x", "", ":"])
def test_other_names_are_no_data_of_ones_own(name: str) -> None:
    assert parse_own(name) is None
    assert absolute(name) == name


def test_a_name_gives_format_and_path() -> None:
    assert parse_own("folder:a:b") == OwnName(format="folder", path=Path("a:b"))
    assert parse_own("npz:~/a.npz") == OwnName(format="npz", path=Path(os.path.expanduser("~/a.npz")))
    assert parse_own("csv:a.csv") == OwnName(format="csv", path=Path("a.csv"))


def test_what_follows_the_file_of_a_table_is_its_column() -> None:
    for name in ("a", "a:b"):
        Path(name).touch()
    assert parse_own("csv:a:b") == OwnName(format="csv", path=Path("a:b"))
    assert parse_own("csv:a:b:c") == OwnName(format="csv", path=Path("a"), column="b:c")
    assert parse_own("csv:a:in cm: 2") == OwnName(format="csv", path=Path("a"), column="in cm: 2")
    assert parse_own("csv:none.csv:y") == OwnName(format="csv", path=Path("none.csv"), column="y")


def test_texts_may_name_two_columns_and_pairs_two_files() -> None:
    assert parse_own("text:a.csv") == OwnName(format="text", path=Path("a.csv"))
    assert parse_own("text:a.csv:review,stars") == OwnName(format="text", path=Path("a.csv"), column="review,stars")
    assert parse_own("pairs:a.tsv") == OwnName(format="pairs", path=Path("a.tsv"))
    both = OwnName(format="pairs", path=Path("a.de"), second=Path("a.en"))
    assert parse_own("pairs:a.de,a.en") == both
    assert parse_own("chars:a:b,c") == OwnName(format="chars", path=Path("a:b,c"))
    assert parse_own("pairs:a.de,") == OwnName(format="pairs", path=Path("a.de,"))
    for name in ("a,b", "a.de", "texts:1"):
        Path(name).touch()
    assert parse_own("pairs:a,b") == OwnName(format="pairs", path=Path("a,b"))
    assert parse_own("pairs:a,b,c") == OwnName(format="pairs", path=Path("a,b"), second=Path("c"))
    assert parse_own("text:texts:1") == OwnName(format="text", path=Path("texts:1"))
    assert not both.is_there
    Path("a.en").touch()
    assert both.is_there


def test_a_whole_path_means_the_same_from_everywhere(tmp_path: Path) -> None:
    Path("a.csv").touch()
    assert absolute("csv:a.csv:y") == f"csv:{tmp_path}/a.csv:y"
    assert absolute("folder:pictures") == f"folder:{tmp_path}/pictures"
    assert absolute("pairs:a.de,b/a.en") == f"pairs:{tmp_path}/a.de,{tmp_path}/b/a.en"
    assert absolute("text:b.csv:x,y") == f"text:{tmp_path}/b.csv:x,y"
    assert absolute(absolute("npz:x.npz")) == f"npz:{tmp_path}/x.npz"


def test_a_short_name_is_the_last_part_of_the_path(tmp_path: Path) -> None:
    names = [
        "digits",
        "folder:cats.and/dogs.v2",
        "folder:.",
        "npz:there/path.mnist.npz",
        "csv:a.csv:y",
        "pairs:there/a.de,there/a.en",
        "text:reviews",
        "/x/y",
        "csv:/",
        "python:yours",
    ]
    short = ["digits", "dogs.v2", tmp_path.name, "path.mnist", "a", "a", "reviews", "y", "data", "yours"]
    assert list(map(short_name, names)) == short


@pytest.mark.parametrize(
    ("name", "example"),
    [
        ("folder:", "folder:pictures, with one folder per class below it"),
        ("npz:", "npz:pathmnist.npz"),
        ("csv:", "csv:irises.csv"),
        ("text:", "text:reviews.csv, or text:reviews, with one folder per class below it"),
        ("pairs:", "pairs:phrases.tsv, or pairs:phrases.de,phrases.en"),
        ("chars:", "chars:novel.txt"),
    ],
)
def test_a_path_is_needed(name: str, example: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_own(name)
    assert str(error.value) == f"{name} needs a path, as in {example}."

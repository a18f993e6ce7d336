# ruff: noqa: E501 (tables are compared as they are printed)
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from etude.cli.data import fetch, list_data, show
from etude.errors import DataError, DiskError, UsageError


@pytest.fixture(autouse=True)
def no_data_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hide the data of this machine; work in an empty folder."""
    monkeypatch.delenv("ETUDE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere/cache")
    monkeypatch.setattr("etude.data.search_paths.SYSTEM_FOLDER", Path("/nowhere/datasets"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    printed = capsys.readouterr()
    assert printed.err == ""
    return [line.rstrip() for line in printed.out.splitlines()]


def test_the_list_says_what_is_here_and_how_to_get_the_rest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    for batch in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"):
        (tmp_path / "cifar10" / batch).touch()
    list_data(Path("."))
    assert lines(capsys) == [
        "data                  train     test  shape               classes  licence         where",
        "digits                1,500      297  1×28×28                  10  CC BY 4.0       comes with étude",
        "moons                 2,000    1,000  2                         2  Apache 2.0      comes with étude",
        "rings                 2,000    1,000  2                         2  Apache 2.0      comes with étude",
        "mixture               2,000    1,000  2                         8  Apache 2.0      comes with étude",
        "opinions              4,000    1,000  sentences                 2  Apache 2.0      comes with étude",
        "clauses               6,000    1,000  pairs of sentences           Apache 2.0      comes with étude",
        "python-docs         319,999   39,999  symbols                      PSF 2.0         comes with étude",
        "cue                  40,000    8,000  symbols                      Apache 2.0      comes with étude",
        "mnist                60,000   10,000  1×28×28                  10  CC BY-SA 3.0    not here: `etude data fetch mnist`",
        "fashion-mnist        60,000   10,000  1×28×28                  10  MIT             not here: `etude data fetch fashion-mnist`",
        "cifar10              50,000   10,000  3×32×32                  10  none stated     cifar10",
        "rt-polarity           8,634    1,068  sentences                 2  none stated     not here (no download)",
        "multi30k             29,000    1,000  pairs of sentences           non-commercial  not here (no download)",
        "multi30k-en-de       29,000    1,000  pairs of sentences           non-commercial  not here (no download)",
        "tiny-shakespeare  1,003,853  111,539  symbols                      public domain   not here (no download)",
        "",
        "Your own: folder:PATH, one folder of images per class below PATH; npz:FILE, arrays; csv:FILE, a table;",
        "text:PATH, sentences with a label each; pairs:FILE, translations; chars:FILE, one long text.",
        "Looked in ., /nowhere/cache/etude, /nowhere/datasets.",
    ]


def test_a_narrow_terminal_shows_whole_paths(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = tmp_path / "a-long-name-of-a-folder/cifar-10-python.tar.gz"
    place.parent.mkdir()
    place.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TTY_COMPATIBLE", "1")  # rich then takes stdout for a terminal,
        patch.setenv("TERM", "dumb")  # this one for one of 80 columns without colours
        list_data(place.parent)
    printed = lines(capsys)
    column = printed[0].index("where")
    assert max(map(len, printed[:-1])) <= 80
    assert str(place) in "".join(line[column:] for line in printed)


def test_the_list_as_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    list_data(json=True)
    (line,) = lines(capsys)
    listed = json.loads(line)
    assert listed["searched"] == ["/nowhere/cache/etude", "/nowhere/datasets"]
    assert [row["name"] for row in listed["data"]] == [
        "digits", "moons", "rings", "mixture", "opinions", "clauses", "python-docs", "cue",
        "mnist", "fashion-mnist", "cifar10", "rt-polarity", "multi30k", "multi30k-en-de", "tiny-shakespeare",
    ]  # fmt: skip
    rows = {row["name"]: row for row in listed["data"]}
    assert rows["moons"] == {
        "name": "moons",
        "kind": "table",
        "train_images": 2_000,
        "test_images": 1_000,
        "shape": [2],
        "image_shape": None,
        "num_classes": 2,
        "where": "comes with étude",
        "error": None,
        "licence": "Apache 2.0",
        "source": "Points of the plane on two half circles that grip each other, with noise, made by étude",
    }
    assert rows["mnist"] == {
        "name": "mnist",
        "kind": "images",
        "train_images": 60_000,
        "test_images": 10_000,
        "shape": [1, 28, 28],
        "image_shape": [1, 28, 28],
        "num_classes": 10,
        "where": None,
        "error": None,
        "licence": "CC BY-SA 3.0",
        "source": "MNIST (LeCun, Cortes and Burges 1998), http://yann.lecun.com/exdb/mnist",
    }


def test_a_damaged_file_is_listed_as_such(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for file in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"):
        (tmp_path / file).touch()
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"GIF89a")
    list_data(tmp_path, json=True)
    rows = {row["name"]: row for row in json.loads(lines(capsys)[0])["data"]}
    assert rows["mnist"]["where"] is None
    assert rows["mnist"]["error"] == (
        f"{tmp_path / 't10k-labels-idx1-ubyte'}: not an IDX file of 1-dimensional unsigned bytes "
        "(starts with 47494638, expected 00000801); get a fresh copy."
    )


def test_fetch_says_where_the_data_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fetch("digits")
    assert lines(capsys) == ["digits comes with étude: nothing to fetch"]
    asked: list[Any] = []

    def fetched(name: str, data_dir: Path | None) -> Path:
        asked.append((name, data_dir))
        return Path("there/mnist")

    monkeypatch.setattr("etude.data.loading.fetch", fetched)
    fetch("mnist", Path("there"))
    assert lines(capsys) == ["mnist is in there/mnist"]
    assert asked == [("mnist", Path("there"))]


def folder_of_images(root: Path) -> None:
    for name, colours in (("[red] cars", 3), ("tea", 2)):
        (root / name).mkdir(parents=True)
        for number in range(colours):
            Image.new("RGB", (20, 30), (200, number, 0)).save(root / name / f"{number}.png")


def test_show_counts_and_draws(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder_of_images(tmp_path / "pictures")
    show("folder:pictures")
    assert lines(capsys) == [
        "folder:pictures: images of 3×32×32, licence: not stated",
        str(tmp_path / "pictures"),
        "",
        "class       train  test",
        "[red] cars      2     1",
        "tea             1     1",
        "all             3     2",
        "",
        "Not all are square: the crop keeps 67 % of their pixels on average (--fit pad keeps all).",
        "",
        "Samples of each class: pictures-samples.png",
    ]
    with Image.open("pictures-samples.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert ((pixels[:, :, 0] == 200) & (pixels[:, :, 2] == 0)).sum() > 3 * 64 * 64 * 0.9


def test_show_of_a_validation_split_and_broken_pictures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for split in ("Training", "Valid", "Testing"):
        folder_of_images(tmp_path / "pictures" / split)
    (tmp_path / "pictures/Valid/tea/1.png").write_bytes(b"x")
    (tmp_path / "pictures/labels.csv").touch()
    with pytest.raises(DataError) as error:
        show("folder:pictures")
    assert str(error.value) == (
        "pictures/Valid/tea/1.png: not a whole image, or of an unknown format; replace or remove it, or leave it out "
        "with --skip-broken."
    )
    show("folder:pictures", fit="pad", skip_broken=True)
    assert lines(capsys)[3:] == [
        "class       train  validation  test",
        "[red] cars      3           3     3",
        "tea             2           1     2",
        "all             5           4     5",
        "",
        "Splits: Training/ trains, Valid/ validates, Testing/ tests.",
        "15 of 16 files read: 1 .csv skipped.",
        "Valid/tea/1.png: 1 picture left out as broken.",
        "",
        "Samples of each class: pictures-samples.png",
    ]
    show("folder:pictures", skip_broken=True, json=True)
    shown = json.loads(lines(capsys)[0])
    assert shown["left_out"] == ["Valid/tea/1.png"]
    assert shown["counts"]["validation"] == {"[red] cars": 3, "tea": 1}
    assert len(shown["notes"]) == 4


SCRIPTS = ("猫", "日本", "แมว", "고양이", "बिल्ली", "ድመት", "кот", "قطة", "חתול", "$x_1$", "$100", "a&b <i>", "🐱", "𓃠")


def test_class_names_in_any_script(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """In a process of its own, where warnings are not errors: nothing on stderr, and every class has a row."""
    for name in SCRIPTS:
        (tmp_path / "pictures/日本" / name).mkdir(parents=True)
        for number in range(2):
            Image.new("L", (32, 32), 90).save(tmp_path / "pictures/日本" / name / f"{number}.png")
    subprocess.run([sys.executable, "-m", "etude", "data", "show", "folder:pictures/日本"], check=True)
    printed = capfd.readouterr()
    assert printed.err == ""
    assert all(name in printed.out for name in SCRIPTS)
    with Image.open("日本-samples.png") as image:
        assert image.height > len(SCRIPTS) * 64


def test_show_as_json_is_one_object(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    show("digits", out=tmp_path / "new.png", json=True)
    (line,) = lines(capsys)
    shown = json.loads(line)
    assert shown["counts"]["test"] == dict(zip("0123456789", [27, 34, 27, 28, 26, 32, 28, 35, 29, 31], strict=True))
    assert sum(shown["counts"]["train"].values()) == 1_500
    assert shown["picture"] == str(tmp_path / "new.png")
    assert (tmp_path / "new.png").read_bytes().startswith(b"\x89PNG")
    assert (shown["name"], shown["image_shape"], shown["licence"]) == ("digits", [1, 28, 28], "CC BY 4.0")
    assert (shown["kind"], shown["shape"]) == ("images", [1, 28, 28])


def test_show_of_a_table_draws_points_in_the_colours_of_their_classes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    show("moons")
    assert lines(capsys) == [
        "moons: a table of 2 features, licence: Apache 2.0",
        "Points of the plane on two half circles that grip each other, with noise, made by étude",
        "",
        "class  train   test",
        "upper  1,026    474",
        "lower    974    526",
        "all    2,000  1,000",
        "",
        "Its rows as points: moons-samples.png",
    ]
    with Image.open("moons-samples.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    blue, orange = pixels[..., 2] > pixels[..., 0] + 60, pixels[..., 0] > pixels[..., 2] + 60
    assert min(blue.sum(), orange.sum()) > 3_000
    # The upper moon lies higher, and more to the left
    (blue_rows, blue_columns), (orange_rows, orange_columns) = (np.nonzero(each) for each in (blue, orange))
    assert blue_rows.mean() < orange_rows.mean()
    assert blue_columns.mean() < orange_columns.mean()


def test_show_of_a_file_of_ones_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Path("irises.csv").write_text("long,wide,species\n" + "1,2,rose\n3,4,iris\n5,7,rose\n2,2,iris\n" * 5)
    show("csv:irises.csv")
    assert lines(capsys) == [
        "csv:irises.csv: a table of 2 features, licence: not stated",
        str(tmp_path / "irises.csv"),
        "",
        "class  train  test",
        "iris       8     2",
        "rose       8     2",
        "all       16     4",
        "",
        "The labels are column 'species', the last (csv:FILE:COLUMN names another).",
        "Labels by name: the classes are iris, rose, in the order of the alphabet.",
        "No examples to test on: a fifth of each class, 4 in all, is drawn for that.",
        "",
        "Its rows as points: irises-samples.png",
    ]
    show("csv:irises.csv:species", json=True)
    shown = json.loads(lines(capsys)[0])
    assert (shown["kind"], shown["shape"], shown["image_shape"]) == ("table", [2], None)
    np.savez("pics.npz", x=np.full((10, 8, 8), 200, dtype=np.uint8), y=np.arange(10) % 2)
    show("npz:pics.npz", out=Path("drawn.png"))
    assert lines(capsys)[0] == "npz:pics.npz: images of 1×8×8, licence: not stated"
    assert Path("drawn.png").exists()


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown data set 'digit': did you mean 'digits'"):
        show("digit")
    with pytest.raises(DataError, match=r"^nothing: no such folder; folder:PATH needs one folder per class below"):
        show("folder:nothing")
    with pytest.raises(DiskError, match=r"^cannot write none/x\.png: no such file or directory"):
        show("digits", out=Path("none/x.png"))
    with pytest.raises(UsageError, match=r"^--data-dir none: no such folder"):
        list_data(Path("none"))


def test_texts_are_counted_and_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    show("opinions", vocabulary_size=20)
    printed = lines(capsys)
    assert printed[0] == "opinions: sentences, licence: Apache 2.0"
    assert "unknown              38.53 %     38.32 %  38.06 %" in printed
    assert "Vocabulary: 20 words of the training split, lower-cased." in printed
    assert list(tmp_path.iterdir()) == []
    show("clauses", tokenizer="subwords", vocabulary_size=300, json=True)
    (line,) = lines(capsys)
    shown = json.loads(line)
    assert (shown["kind"], shown["vocabularies"]) == ("pairs", {"de": 300, "en": 300})
    assert shown["counts"]["validation"] == {"pairs of sentences": 500}
    assert shown["sizes"]["en"]["test"]["unknown"] == 0
    assert shown["sizes"]["de"]["train"]["longest"] > 60
    assert len(shown["examples"]) == 3


def test_texts_have_no_picture() -> None:
    with pytest.raises(UsageError) as error:
        show("cue", out=Path("a.png"))
    assert str(error.value) == "--out a.png: texts are printed, not drawn; leave it out."


def test_a_person_s_texts_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.csv").write_text("text,label\n" + "good film,1\nbad film,0\n" * 10)
    show("text:a.csv", min_count=1)
    printed = lines(capsys)
    assert printed[:2] == ["text:a.csv: sentences, licence: not stated", str(Path("a.csv").resolve())]
    assert printed[-3:] == ["    0: bad film", "    1: good film", "    0: bad film"]

"""docs/data.md: its list of data sets, and its example in Python with what it prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from etude.cli.data import show
from etude.data.catalog import CATALOG, Entry
from etude.data.kinds import KINDS
from etude.data.labels import LABEL_NAMES
from etude.data.text.corpora import CORPORA
from etude.data.text.labelled import TEXT_NAMES

PAGE = (Path(__file__).parents[2] / "docs/data.md").read_text()


@pytest.mark.parametrize("entry", CATALOG.values(), ids=CATALOG)
def test_the_page_lists_every_data_set(entry: Entry) -> None:
    rows = (line for line in PAGE.splitlines() if line.startswith("|") and f"`{entry.name}`" in line.split("|")[1])
    row = next(rows)
    counts, shape, licence = (cell.strip() for cell in row.split("|")[2:5])
    assert counts == f"{entry.num_train:,} + {entry.num_test:,}"
    assert shape == ("×".join(map(str, entry.shape)) or KINDS[entry.kind].plural)
    assert licence == entry.licence


@pytest.mark.parametrize(
    ("start", "last"),
    [
        ("### In Python\n", "print(data)"),
        ("escaped as in Python (`\\n`).\n", "print(ids, kind.source_vocabulary.decode(ids))"),
        (
            "lists of sentences with translations, or one long text:\n",
            'reading=etude.data.Reading(tokenizer="subwords"))',
        ),
    ],
)
def test_an_example_prints_what_the_page_shows(start: str, last: str) -> None:
    section = re.split(r"\n\n(?! )", PAGE.partition(start)[2].lstrip("\n"))[0]
    code, _, output = re.sub(r"^    ", "", section, flags=re.MULTILINE).strip().partition(last)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code + last, {})
    assert printed.getvalue().strip() == output.strip()


def test_the_page_shows_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    section = re.split(r"\n\n(?! )", PAGE.partition("    $ etude data show opinions\n")[2])[0]
    show("opinions")
    assert capsys.readouterr().out.strip() == re.sub(r"^    ", "", section, flags=re.MULTILINE).strip()


def test_the_page_names_the_usual_columns_of_texts() -> None:
    assert f"called {', '.join(TEXT_NAMES[:-1])} or {TEXT_NAMES[-1]}." in " ".join(PAGE.split())
    assert f"called {', '.join(LABEL_NAMES[:-1])} or {LABEL_NAMES[-1]}. `text:" in " ".join(PAGE.split())


def test_the_page_names_the_files_of_texts() -> None:
    for name in ("rt-polarity", "multi30k", "tiny-shakespeare"):
        (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{name}` | `"))
        folder, files = row.split("|")[2:4]
        assert folder.strip() == f"`{CORPORA[name].folders[0]}`"
        assert set(re.findall(r"`([^`]+)`", files)) == set(CORPORA[name].checksums)


def test_the_page_names_the_usual_columns_of_labels() -> None:
    names = f"{', '.join(LABEL_NAMES[:-1])} or {LABEL_NAMES[-1]}"
    assert f"called {names} | the labels" in PAGE
    assert f"The labels are in the column that is called {names}" in PAGE

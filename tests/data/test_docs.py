"""docs/data.md: its list of data sets, and its example in Python with what it prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from etude.data.catalog import CATALOG, Entry
from etude.data.labels import LABEL_NAMES

PAGE = (Path(__file__).parents[2] / "docs/data.md").read_text()


@pytest.mark.parametrize("entry", CATALOG.values(), ids=CATALOG)
def test_the_page_lists_every_data_set(entry: Entry) -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith("|") and f"`{entry.name}`" in line.split("|")[1])
    counts, shape, licence = (cell.strip() for cell in row.split("|")[2:5])
    assert counts == f"{entry.num_train:,} + {entry.num_test:,}"
    assert shape == "×".join(map(str, entry.shape))
    assert licence == entry.licence


def test_the_example_prints_what_the_page_shows() -> None:
    section = PAGE.partition("### In Python\n")[2].partition("\n\n`Dataset.of")[0]
    code, _, output = re.sub(r"^    ", "", section, flags=re.MULTILINE).strip().partition("print(data)\n")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code + "print(data)", {})
    assert printed.getvalue().strip() == output.strip()


def test_the_page_names_the_usual_columns_of_labels() -> None:
    names = f"{', '.join(LABEL_NAMES[:-1])} or {LABEL_NAMES[-1]}"
    assert f"called {names} | the labels" in PAGE
    assert f"The labels are in the column that is called {names}" in PAGE

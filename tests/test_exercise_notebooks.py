"""examples/notebooks: each is what its page of docs/exercises makes, has outputs, is small, and runs."""

import importlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

HERE = Path(__file__).parents[1]
PAGES = ("classifier", "gans", "summary", "vaes")
QUICK = ("dropout-scaling", "epoch-steps", "max-pool-gradient", "ravine", "saturating-loss", "xy-game")
"""Studies of a second or less. The others are tried in tests/studies: here their calls are read."""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script that makes them."""
    monkeypatch.syspath_prepend(HERE / "benchmarks")
    yield importlib.import_module("exercise_notebooks")
    for name in ("exercise_notebooks", "exercise_pages"):
        sys.modules.pop(name)


def stored(page: str) -> Any:
    return nbformat.read(HERE / "examples" / "notebooks" / f"{page}.ipynb", as_version=4)


@pytest.mark.parametrize("page", PAGES)
def test_a_notebook_is_what_its_page_makes(page: str, script: ModuleType) -> None:
    made, kept = script.notebook(page), stored(page)
    nbformat.validate(kept)
    assert [(cell.cell_type, cell.source) for cell in kept.cells] == [
        (cell.cell_type, cell.source) for cell in made.cells
    ], "run python benchmarks/exercise_notebooks.py"


@pytest.mark.parametrize("page", PAGES)
def test_outputs_are_there_and_small(page: str) -> None:
    cells = [cell for cell in stored(page).cells if cell.cell_type == "code"]
    assert not [cell.source for cell in cells[1:] if not cell.outputs]
    assert not [cell.source for cell in cells if any(each.output_type == "error" for each in cell.outputs)]
    path = HERE / "examples" / "notebooks" / f"{page}.ipynb"
    assert path.stat().st_size < 1_500_000
    assert not re.search(r"/(home|work|root|tmp)/", path.read_text("utf-8"))


def shortened(source: str) -> str:
    """A cell that takes no long time: its calls are made, most of the studies only read."""
    study = re.match(r'etude\.study\("([\w-]+)", (.*)\)$', source)
    if study and study[1] not in QUICK:
        return f'etude.studies.settling.designed(etude.studies.book.find("{study[1]}"), {study[2]})'
    if re.match(r"!etude (verify|inspect)|.*bayes_accuracy", source):
        return ""  # as on the page, which tests/test_exercises.py runs
    return re.sub(r"epochs=\d+", "epochs=1", source).replace("torch.rand(128, ", "torch.rand(2, ")


@pytest.mark.parametrize("page", PAGES)
def test_a_notebook_runs(page: str, script: ModuleType) -> None:
    notebook = script.notebook(page)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = shortened(cell.source)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(HERE / "examples" / "notebooks")}}
    ).execute(env={**os.environ, "PATH": path})
    shows = [cell for cell in notebook.cells if cell.cell_type == "code" and "etude.figure" in cell.source]
    assert all("data:image/png" in cell.outputs[-1]["data"]["text/html"] for cell in shows)

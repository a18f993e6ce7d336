"""A real kernel runs a notebook without ipywidgets: what a person sees there, and what stays in the saved file."""

import re
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = {
    "train": """
import sys, etude
sys.modules["ipywidgets"] = None  # not installed: importing it fails
run = etude.train("vae", data="digits", epochs=2, batch_size=32, runs_dir=RUNS, threads=1, precision="fp32")""",
    "run": "run",
    "inspect": "etude.inspect(run.model, run.inputs(run.dataset().test.images[:1]))",
    "dataset": "run.dataset()",
    "split": "run.dataset().train",
    "figure": "etude.figure(run, 'reconstructions')",
    "verify": """
def kl_loss(mean, logvar):
    return -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum(1).mean()
etude.verify.check("vae", kl_loss)""",
    "contract": "etude.verify.find('vae')",
    "sweep": """
results = etude.sweep("lenet", data="digits", seeds=2, jobs=1, epochs=1, batch_size=256, runs_dir=RUNS)""",
    "results": "results",
    "metrics": "run.metrics()",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What each cell shows, as the saved file holds it."""
    folder = tmp_path_factory.mktemp("notebook")
    sources = [f"RUNS = {str(folder / 'runs')!r}", *CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return {name: cell["outputs"] for name, cell in zip(CELLS, notebook.cells[1:], strict=True)}


def shown(outputs: list[Any], kind: str) -> list[str]:
    """The texts, pages or pictures among a cell's outputs."""
    return [output["data"][kind] for output in outputs if kind in output.get("data", {})]


def test_training_leaves_one_line(outputs: dict[str, list[Any]]) -> None:
    (line,) = shown(outputs["train"], "text/plain")
    assert re.fullmatch(r"vae-digits-1  92 steps, [0-9.]+ s  train/loss_nats .*", line), line
    assert "ipywidgets" not in str(outputs["train"])


def test_a_sweep_leaves_its_table(outputs: dict[str, list[Any]]) -> None:
    (table,) = shown(outputs["sweep"], "text/plain")
    assert table.splitlines()[0] == "2 of 2 runs finished"
    assert table.splitlines()[-1].split() == ["lenet", "2/2", "✓", "✓"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run", "vae on digits: finished, epoch 2 of 2"),
        ("inspect", "VAE on 1×1×28×28"),
        ("dataset", "digits: images of 1×28×28"),
        ("figure", "data:image/png;base64,"),
        ("verify", "1 of 1 checks pass"),
        ("results", "test/accuracy"),
        ("metrics", "train/loss_nats"),
    ],
)
def test_objects_show_themselves(name: str, words: str, outputs: dict[str, list[Any]]) -> None:
    (page,) = shown(outputs[name], "text/html")
    assert words in page
    (text,) = shown(outputs[name], "text/plain")
    assert len(text) < 5_000  # an inspection was 23,279 characters of its parts


def test_texts_are_short(outputs: dict[str, list[Any]]) -> None:
    assert shown(outputs["split"], "text/plain") == ["<Split of 1,500: images 1×28×28, labels>"]
    assert shown(outputs["contract"], "text/plain")[0].startswith("vae: ")

"""Modules, notebooks and adapters as names."""

import json
import sys
from pathlib import Path

import pytest

from etude.verify.loader import CannotLoad, load


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def notebook(path: Path, *cells: str) -> Path:
    markdown = {"cell_type": "markdown", "source": ["# def not_code(): ..."]}
    code = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    path.write_text(json.dumps({"cells": [markdown, *code], "nbformat": 4}))
    return path


def test_a_module_may_import_its_neighbours_and_is_not_main(tmp_path: Path):
    (tmp_path / "neighbour_of_mine.py").write_text("answer = 42")
    mine = tmp_path / "mine.py"
    mine.write_text("from neighbour_of_mine import answer\nif __name__ == '__main__':\n    raise SystemExit\n")
    assert load(mine).names["answer"] == 42


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f(:", "mine.py line 1: invalid syntax"),
        ("1 / 0", "mine.py does not import: ZeroDivisionError: division by zero"),
        ("quit()", "mine.py calls exit while it is imported"),
    ],
)
def test_modules_that_do_not_import(source: str, reason: str, tmp_path: Path):
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(CannotLoad) as error:
        load(tmp_path / "mine.py")
    assert str(error.value) == reason


def test_a_notebook_defines_without_training(tmp_path: Path):
    path = notebook(
        tmp_path / "my.ipynb",
        "%matplotlib inline\n!pip install torch\nimport math\nscale = math.pi\nscale?",
        "%%time\nbroken everywhere (",
        "def f(x):\n    return scale * x\n\nwhile True:\n    f(1)",
        "f(2)\ndata = open('/nowhere/data')\nclass A:\n    pass",
        "def g(:",
        "raise SystemExit",
        "done = quit()",
    )
    loaded = load(path)
    assert loaded.names["f"](2) == pytest.approx(6.283185307)
    assert loaded.names["A"].__name__ == "A"
    assert loaded.notes == (
        "cell 5, line 2 skipped: FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/data'",
        "cell 6 skipped: line 1: invalid syntax",
        "cell 8, line 1 skipped: it calls exit",
    )


def test_a_file_that_is_no_notebook(tmp_path: Path):
    (tmp_path / "my.ipynb").write_text("{}")
    with pytest.raises(CannotLoad, match=r"^my\.ipynb is not a notebook: KeyError: 'cells'$"):
        load(tmp_path / "my.ipynb")


def test_an_adapter_maps_names_dotted_ones_too(tmp_path: Path):
    (tmp_path / "mine.py").write_text("class Losses:\n    d = staticmethod(abs)\n\ndef make_g(): ...")
    adapter = tmp_path / "names.toml"
    adapter.write_text('file = "mine.py"\n[names]\ndiscriminator_loss = "Losses.d"\ngenerator = "make_g"\n')
    names = load(adapter).names
    assert names["discriminator_loss"] is abs
    assert names["generator"].__name__ == "make_g"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file = ", "names.toml is not TOML: Invalid value (at end of document)"),
        ("[names]", 'names.toml needs `file = "…"` and a table [names] of texts'),
        ('file = "other.py"', "names.toml names other.py, which is no .py or .ipynb file"),
        ('file = "mine.py"\n[names]\nf = "g"', "names.toml maps f to g, which mine.py does not define"),
        ('file = "mine.py"\n[names]\nf = "A.g"', "names.toml maps f to A.g, which mine.py does not define"),
    ],
)
def test_adapters_that_do_not_fit(text: str, reason: str, tmp_path: Path):
    (tmp_path / "mine.py").write_text("class A: ...")
    (tmp_path / "names.toml").write_text(text)
    with pytest.raises(CannotLoad) as error:
        load(tmp_path / "names.toml")
    assert str(error.value) == reason


def test_near_misses_are_suggested(tmp_path: Path):
    (tmp_path / "mine.py").write_text("def disc_loss(): ...\ndef _generator_loss(): ...\ndef ls_generator_loss(): ...")
    loaded, looked_for = load(tmp_path / "mine.py"), {"discriminator_loss", "generator_loss", "ls_generator_loss"}
    assert loaded.missing("discriminator_loss", looked_for) == (
        "nothing is called discriminator_loss; did you mean to rename disc_loss? An adapter maps other names."
    )
    assert loaded.missing("generator_loss", looked_for) == (
        "nothing is called generator_loss; define it. An adapter maps other names."
    )

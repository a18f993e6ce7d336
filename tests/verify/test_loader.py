"""Modules and notebooks as names."""

import json
import sys
from pathlib import Path

import pytest

from etude.verify.adapter import Adapter
from etude.verify.loader import CannotLoad, Loaded
from etude.verify.loader import load as load_adapter


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["pytest", "--flag"])


def load(path: Path) -> Loaded:
    return load_adapter(Adapter(path))


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
        ("def f(:", "mine.py could not be imported (line 1): invalid syntax"),
        ("1 / 0", "mine.py could not be imported: ZeroDivisionError: division by zero"),
        ("quit()", "mine.py could not be imported: SystemExit: None"),
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
        "%%bash\nbroken everywhere (",
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


def test_a_file_sees_no_arguments_of_ours(tmp_path: Path):
    (tmp_path / "mine.py").write_text(
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr', default=0.1)\n"
        "args = parser.parse_args()\ndef late(): return parser.parse_args()"
    )
    names = load(tmp_path / "mine.py").names
    assert names["args"].lr == names["late"]().lr == 0.1


@pytest.mark.parametrize("magic", ["%%time", "%%capture out", "\n%%timeit -n 1"])
def test_cells_that_a_magic_runs_as_python_define(magic: str, tmp_path: Path):
    loaded = load(notebook(tmp_path / "my.ipynb", f"{magic}\ndef f(x):\n    return x + 1", "%%bash\ndef = 1"))
    assert loaded.names["f"](1) == 2
    assert loaded.notes == ()


def test_definitions_inside_if_try_and_with_count(tmp_path: Path):
    path = notebook(
        tmp_path / "my.ipynb",
        "import contextlib\nON_GPU = False\nif ON_GPU:\n    device = 'cuda'\nelif 1 / 0 if ON_GPU else True:\n"
        "    device = 'cpu'\n    raise SystemExit\n    while True: pass",
        "try:\n    import nowhere_at_all\nexcept ImportError:\n    nowhere_at_all = None\n    open('/nowhere')\n"
        "else:\n    device = 'else'\nfinally:\n    def f(): return device",
        "with contextlib.nullcontext(3) as three:\n    number = three\n    number += 1\n    train()",
        "if ON_GPU:\n    !nvidia-smi\nif not ON_GPU:\n    train()",
    )
    loaded = load(path)
    assert loaded.notes == ()
    assert (loaded.names["f"](), loaded.names["nowhere_at_all"], loaded.names["number"]) == ("cpu", None, 4)


def test_lines_for_ipython_cost_no_other_line(tmp_path: Path):
    path = notebook(
        tmp_path / "my.ipynb",
        "files = !ls data\nt, u = 1, 2\nbest = %timeit -o f()\n!pip install \\\n  torch \\\n  numpy\n"
        "def f():\n    lines = !ls\n    %matplotlib inline\n    return lines\nf??",
        'text = """\n!not a command\nx = %d\n"""\nrest = (7\n    % 4)',
    )
    names = load(path).names
    assert (names["files"], names["t"], names["best"], names["f"]()) == (None, 1, None, None)
    assert (names["text"], names["rest"]) == ("\n!not a command\nx = %d\n", 3)


def test_near_misses_are_suggested(tmp_path: Path):
    (tmp_path / "mine.py").write_text("def disc_loss(): ...\ndef _generator_loss(): ...\ndef ls_generator_loss(): ...")
    loaded, looked_for = load(tmp_path / "mine.py"), {"discriminator_loss", "generator_loss", "ls_generator_loss"}
    assert loaded.missing("discriminator_loss", looked_for) == (
        "nothing is called discriminator_loss; did you mean to rename disc_loss? An adapter maps other names."
    )
    assert loaded.missing("generator_loss", looked_for) == (
        "nothing is called generator_loss; define it. An adapter maps other names."
    )

"""A person's Python code: whatever it does is told on one line."""

import hashlib
import os
import py_compile
import sys
from pathlib import Path
from types import ModuleType

import pytest

from etude.errors import UsageError
from etude.user_code import NETWORK, Wanted, contained, load, reason, run_file, run_program


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ValueError('two\\nlines.')", "PATH could not be imported: ValueError: two lines."),
        ("raise ValueError", "PATH could not be imported: ValueError."),
        ("raise ValueError('x' * 10**6)", f"PATH could not be imported: ValueError: {'x' * 120}…{'x' * 80}."),
        ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()", "PATH could not be imported: Odd."),
        ("raise type('Base', (BaseException,), {})('no Exception')", "PATH could not be imported: Base: no Exception."),
        ("import sys; sys.exit(0)", "PATH could not be imported: SystemExit: 0."),
        ("import os; os._exit(0)", "PATH could not be imported: SystemExit: 0."),
        ("def f(): return f()\nf()", "PATH could not be imported: RecursionError: maximum recursion depth exceeded."),
        ("x = (", "PATH could not be imported (line 1): '(' was never closed."),
        ("x = '\udcff'", None),
        ("x = 1\0", None),
        ("x = " + "-" * 100_000 + "1", None),
    ],
)
def test_each_failure_is_one_line(tmp_path: Path, text: str, message: str | None) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(text.encode(errors="surrogateescape"))
    before = os._exit, sys.path.copy(), sys.meta_path.copy()
    with pytest.raises(UsageError) as error:
        run_file(path)
    assert (os._exit, sys.path, sys.meta_path) == before
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700
    if message is not None:  # Python's words for what it cannot read differ by version
        assert str(error.value) == message.replace("PATH", str(path))


def test_errors_of_our_own_and_ctrl_c_pass() -> None:
    for error in (UsageError("mine."), KeyboardInterrupt()):
        with pytest.raises(type(error)) as found, contained(lambda error: UsageError(f"mine fails: {reason(error)}.")):
            raise error
        assert found.value is error


def test_a_file_prints_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text("print('printed')\n")
    run_file(tmp_path / "mine.py")
    assert capsys.readouterr() == ("", "printed\n")


def test_a_file_may_import_its_neighbours_and_each_file_gets_its_own(tmp_path: Path) -> None:
    for folder, answer in (("a", 41), ("b", 42)):
        (tmp_path / folder / "parts" / "deep").mkdir(parents=True)
        (tmp_path / folder / "mine.py").write_text(
            "import json\nfrom near import answer\nfrom parts.deep.one import other\nimport parts.two\n"
        )
        (tmp_path / folder / "near.py").write_text(f"answer = {answer}\n")
        (tmp_path / folder / "json.py").write_text("1 / 0\n")  # Python's own is taken
        (tmp_path / folder / "parts" / "deep" / "__init__.py").write_text("")
        (tmp_path / folder / "parts" / "deep" / "one.py").write_text("from near import answer as other\n")
        (tmp_path / folder / "parts" / "two.py").write_text("")
        (tmp_path / folder / "unused.py").write_text("")
        before = set(sys.modules)
        program = run_program(tmp_path / folder / "mine.py")
        assert (program.names["answer"], program.names["other"]) == (answer, answer)
        assert [source.path for source in program.sources] == [
            "mine.py", "near.py", "parts/deep/__init__.py", "parts/deep/one.py", "parts/two.py",
        ]  # fmt: skip
        assert program.sources[1].sha256 == hashlib.sha256(f"answer = {answer}\n".encode()).hexdigest()
        assert [name for name in set(sys.modules) - before if not name.startswith("mine_")] == []
        assert list(tmp_path.rglob("__pycache__")) == []


def test_a_module_of_the_same_name_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ModuleType("near")
    other.__file__ = str(tmp_path / "elsewhere" / "near.py")
    monkeypatch.setitem(sys.modules, "near", other)
    (tmp_path / "near.py").write_text("answer = 42\n")
    (tmp_path / "mine.py").write_text("from near import answer\n")
    assert run_file(tmp_path / "mine.py")["answer"] == 42
    assert sys.modules["near"] is other


def test_given_texts_are_run_and_nothing_else_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("1 / 0\n")
    (tmp_path / "near.py").write_text("1 / 0\n")
    (tmp_path / "unlisted.py").write_text("answer = 1\n")
    files = {"mine.py": b"from near import answer\n", "near.py": b"answer = 42\n"}
    assert run_program(tmp_path / "mine.py", files).names["answer"] == 42
    with pytest.raises(UsageError) as error:
        run_program(tmp_path / "mine.py", {"mine.py": b"import unlisted\n"})
    assert str(error.value) == (
        f"{tmp_path}/mine.py could not be imported: ModuleNotFoundError: No module named 'unlisted'."
    )


def test_a_stale_pycache_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "near.py").write_text("answer = 1\n")
    (tmp_path / "mine.py").write_text("from near import answer\n")
    py_compile.compile(str(tmp_path / "near.py"), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    (tmp_path / "near.py").write_text("answer = 2\n")
    assert run_file(tmp_path / "mine.py")["answer"] == 2


def test_a_mistake_in_a_neighbour_names_it(tmp_path: Path) -> None:
    (tmp_path / "near.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "mine.py").write_text("import near\n")
    with pytest.raises(UsageError) as error:
        run_file(tmp_path / "mine.py")
    assert str(error.value) == f"{tmp_path}/mine.py could not be imported (near.py, line 2): invalid syntax."


NAMES = """
class Thing:
    def __init__(self, width, depth=1, *, num_classes=0, **more):
        self.values = width, depth, num_classes, more

def make(num_classes): return Thing(1, num_classes=num_classes)
def fails(): raise ValueError("no luck")
def number(): return 3
def plain(width, *rest): return Thing(width)
ready = Thing(7)
text = "x"
"""
THING = Wanted(
    "thing", "Thing", lambda x: type(x).__name__ == "Thing", lambda x: callable(x), "class or function that makes one"
)


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("Thing(3)", (3, 1, 10, {})),
        ("Thing(3, 4, num_classes=5)", (3, 4, 5, {})),
        ("Thing(depth=2, width=1, other=[1])", (1, 2, 10, {"other": [1]})),
        ("make", (1, 1, 10, {})),
        ("make(2)", (1, 1, 2, {})),
        ("ready", (7, 1, 0, {})),
    ],
)
def test_what_a_signature_names_is_offered(tmp_path: Path, expression: str, values: tuple[object, ...]) -> None:
    (tmp_path / "mine.py").write_text(NAMES)
    offered = {"num_classes": 10, "in_channels": 3}
    assert load(f"{tmp_path}/mine.py:{expression}", THING, offered=offered).values == values


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("thing(3)", "unknown thing in PATH: 'thing': did you mean 'Thing'? Choose from Thing, fails, make, number, "
                     "plain, ready."),
        ("Thing", "Thing takes (width, depth, num_classes, **more): missing a required argument: 'width'; give "
                  "constructor arguments, as in 'PATH:Thing(3)'."),
        ("make(1, 2)", "make takes (num_classes): too many positional arguments; give constructor arguments, as in "
                       "'PATH:make(3)'."),
        ("fails", "fails could not be built: ValueError: no luck."),
        ("number", "PATH:number made a int, not a Thing; name a class or a function of one."),
        ("text", "PATH:text is a str; name a class, a function or a Thing."),
        ("Thing(x)", "'PATH:Thing(x)' names no thing; write FILE.py:NAME or FILE.py:NAME(3, width=16)."),
        ("", "'PATH:' names no thing; write FILE.py:NAME or FILE.py:NAME(3, width=16)."),
    ],
)  # fmt: skip
def test_what_does_not_name_a_thing(tmp_path: Path, expression: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(NAMES)
    with pytest.raises(UsageError) as error:
        load(f"{tmp_path}/mine.py:{expression}", THING)
    assert str(error.value) == message.replace("PATH", f"{tmp_path}/mine.py")


def test_a_file_without_any(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("x = 1\n")
    for noun, expected in (
        (THING, "class or function that makes one"),
        (NETWORK, "class derived from torch.nn.Module"),
    ):
        with pytest.raises(UsageError) as error:
            load(f"{tmp_path}/mine.py:Net", noun)
        assert str(error.value) == f"{tmp_path}/mine.py has no 'Net', nor any {expected}."
    with pytest.raises(UsageError) as error:
        load("nowhere.py:Net")
    assert str(error.value) == "there is no file nowhere.py; give the path of a Python file, as net.py:Net."

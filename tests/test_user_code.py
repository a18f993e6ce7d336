"""A person's Python code: whatever it does is told on one line."""

import os
import sys
from pathlib import Path

import pytest

from etude.errors import UsageError
from etude.user_code import contained, reason, run_file

ODD = type("Odd", (Exception,), {"__str__": lambda self: 1 / 0})


def told(error: BaseException) -> UsageError:
    return UsageError(f"mine fails: {reason(error)}.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ValueError('two\\nlines.')", "mine fails: ValueError: two lines."),
        ("raise ValueError", "mine fails: ValueError."),
        ("raise ValueError('x' * 10**6)", f"mine fails: ValueError: {'x' * 120}…{'x' * 80}."),
        ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()", "mine fails: Odd."),
        ("raise type('Base', (BaseException,), {})('no Exception')", "mine fails: Base: no Exception."),
        ("import sys; sys.exit(0)", "mine fails: SystemExit: 0."),
        ("import os; os._exit(0)", "mine fails: SystemExit: 0."),
        ("def f(): return f()\nf()", "mine fails: RecursionError: maximum recursion depth exceeded."),
        ("x = (", "mine fails: SyntaxError: '(' was never closed."),
        ("x = '\udcff'", None),
        ("x = 1\0", None),
        ("x = " + "-" * 100_000 + "1", None),
    ],
)
def test_each_failure_is_one_line(tmp_path: Path, text: str, message: str | None) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(text.encode(errors="surrogateescape"))
    before = os._exit, sys.path.copy()
    with pytest.raises(UsageError) as error:
        run_file(path, told)
    assert (os._exit, sys.path) == before
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
    if message is not None:  # Python's words for what it cannot read differ by version
        assert str(error.value) == message


def test_errors_of_our_own_and_ctrl_c_pass() -> None:
    for error in (UsageError("mine."), KeyboardInterrupt()):
        with pytest.raises(type(error)) as found, contained(told):
            raise error
        assert found.value is error


def test_a_file_may_import_its_neighbours_and_prints_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "neighbour_in_user_code.py").write_text("answer = 42\n")
    (tmp_path / "mine.py").write_text("from neighbour_in_user_code import answer\nprint('printed')\n")
    assert run_file(tmp_path / "mine.py", told)["answer"] == 42
    assert capsys.readouterr() == ("", "printed\n")

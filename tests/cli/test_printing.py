from collections.abc import Iterator

import pytest

from etude.cli import printing
from etude.notebook import plain_table


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_shows_rate_and_estimate_after_a_while(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds: Iterator[float] = iter([0.0, 1.0, 5.0, 10.0, 15.0, 20.0])  # at the start, then at every call
    monkeypatch.setattr(printing.time, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(printing.sys.stderr, "isatty", lambda: terminal, raising=False)
    show = printing.progress_line("gradients")
    for done in (1, 5, 10, 15, 20):
        show(done, 20)
    out, err = capsys.readouterr()
    assert out == ""
    if terminal:
        lines = [f"gradients {done}/20  1/s  {20 - done} s left" for done in (5, 10, 15)]
        assert err == "".join(f"\r\x1b[K{line}" for line in lines) + "\r\x1b[K"
    else:
        assert err == "gradients 10/20  1/s  10 s left\n"


def test_a_pipe_is_never_folded_even_if_colours_are_forced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    printing.show_parts([plain_table(["left", "right"], [["a" * 30, "b" * 30]])])
    assert len(capsys.readouterr().out.splitlines()[-1].rstrip()) > 60

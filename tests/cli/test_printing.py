from collections.abc import Iterator

import pytest

from etude.cli import printing
from etude.cli.printing import rounded


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


@pytest.mark.parametrize(
    ("value", "spread", "shown"),
    [
        (32.4817, 1.2213, "32.5"),
        (32.4817, 4.7, "32"),
        (0.87153, 0.0098, "0.872"),
        (0.87153, 0.0031, "0.8715"),
        (12345.6, 170, "12,350"),
        (0.0004, 0.012, "0.000"),
        (-0.0001, 0.012, "0.000"),
        (0.123456, 0.0, "0.1235"),  # no spread: four digits
        (float("nan"), 0.1, "nan"),
        (1.5, float("inf"), "1.5"),
    ],
)
def test_digits_follow_the_spread(value: float, spread: float, shown: str) -> None:
    assert rounded(value, spread) == shown

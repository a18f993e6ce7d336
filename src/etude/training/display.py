"""What a person sees while a run trains: a bar with speed, remaining time and losses on stderr, or a line in a
notebook."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from etude.notebook import ChangingText, in_notebook

REFRESH_SECONDS = 0.25


class Display:
    """Progress of one run; final.

    In a terminal: a bar. In a notebook: one line that changes, whose last form says what was done and stays. Elsewhere:
    one line per epoch on stderr.
    """

    def __init__(self, *, quiet: bool = False, print_losses: bool = False) -> None:
        """`quiet` shows nothing. `print_losses` prints the running losses at every report."""
        notebook = in_notebook() and not quiet
        self._console = Console(stderr=True, quiet=quiet, highlight=False, force_jupyter=False)
        self._print_losses = print_losses
        self._bar = self._console.is_terminal and not notebook and not quiet
        self._line = ChangingText() if notebook else None
        self._next_refresh = 0.0
        self._started_at = time.monotonic()
        self._title, self._total_steps, self._done_before, self._done = "", 0, 0, 0
        self._values: dict[str, float] = {}
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
        )
        self._progress = Progress(*columns, console=self._console, disable=not self._bar)
        self._task = self._progress.add_task("", total=None, losses="")

    def start(self, title: str, *, total_steps: int, done_steps: int) -> None:
        """Start, or continue after `done_steps` steps."""
        self._title, self._total_steps, self._done_before, self._done = title, total_steps, done_steps, done_steps
        self._started_at = time.monotonic()
        self._progress.reset(self._task, description=title, total=total_steps, completed=done_steps)

    def step(self, step: int, losses: Callable[[], dict[str, float]]) -> None:
        """After each step. `losses` (which may wait for a GPU) is called only if the progress is drawn again."""
        self._done = step
        if (self._bar or self._line) and time.monotonic() >= self._next_refresh:
            text = "  ".join(f"{_short(name)} {value:.4g}" for name, value in losses().items())
            self._progress.update(self._task, completed=step, losses=text)
            if self._line:
                self._line.show(f"{self._title}  step {step:,} of {self._total_steps:,}  {self._pace(step)}  {text}")
            self._next_refresh = time.monotonic() + REFRESH_SECONDS

    def report(self, *, epoch: int, batch: int, losses: dict[str, float]) -> None:
        """At every report: the running losses on one line, if asked for."""
        if self._print_losses:
            text = ", ".join(f"{_short(name)}: {value:.3f}" for name, value in losses.items())
            self._console.print(f"[epoch {epoch}, {batch:5d}] {text}", markup=False)

    def epoch(self, *, epoch: int, epochs: int, step: int, values: dict[str, float]) -> None:
        """At the end of an epoch."""
        self._progress.update(self._task, completed=step)
        self._values = values
        if not self._bar and not self._line:
            self._console.print(
                f"{self._title}  epoch {epoch}/{epochs}  {self._pace(step)}  {_texts(values)}",
                markup=False,
                soft_wrap=True,
            )

    def _pace(self, step: int) -> str:
        """Steps per second so far, and how long the rest will take."""
        rate = (step - self._done_before) / max(time.monotonic() - self._started_at, 1e-9)
        return f"{rate:.0f} steps/s  {(self._total_steps - step) / max(rate, 1e-9):.0f} s left"

    def note(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a line that must be seen, however quiet progress is."""
        if self._console.quiet:
            print(text, file=sys.stderr)
        else:
            self.note(text)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if self._line and self._title:
            seconds = time.monotonic() - self._started_at
            end = "" if self._done == self._total_steps else f" of {self._total_steps:,}"
            self._line.show(
                f"{self._title}  {self._done:,}{end} steps, {seconds:.1f} s  {_texts(self._values)}".rstrip()
            )


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f} steps/s" if task.speed else "", style="progress.data.speed")


def _texts(values: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())


def _short(name: str) -> str:
    return name.removesuffix("_loss").removesuffix("_nats")

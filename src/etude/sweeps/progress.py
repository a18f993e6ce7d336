"""What a person sees while a sweep trains: a table of cells and seeds, or a line per run if stderr is a file."""

from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from etude.compute import Execution
from etude.errors import EtudeError
from etude.notebook import ChangingText, in_notebook, plain_table, plain_text
from etude.runs import Run, RunStatus
from etude.sweeps.folder import Member, Sweep


class SweepDisplay:
    """Progress of one sweep; final."""

    def __init__(self, sweep: Sweep, *, num_jobs: int, quiet: bool = False) -> None:
        self._sweep, self._num_jobs = sweep, num_jobs
        notebook = in_notebook() and not quiet
        self._console = Console(stderr=True, quiet=quiet, highlight=False, force_jupyter=False)
        live = self._console.is_terminal and not notebook and not quiet
        self._text = ChangingText() if notebook else None
        self._members = list(sweep.members())
        self._states: dict[str, RunStatus] = {member.label: member.state for member in self._members}
        self._how, self._cells_told = "", set[str]()
        self._live = Live(console=self._console, auto_refresh=False, get_renderable=self.table) if live else None

    def note(self, text: str) -> None:
        """Print a separate line."""
        self._console.print(text, markup=False, soft_wrap=True)

    def refresh(self, running: Sequence[Member]) -> None:
        """Look at the runs in progress again and redraw the table."""
        for member in running:
            state = member.state
            self._states[member.label] = state if state.status == "running" else RunStatus(status="starting")
            self._tell_how(member)
        if self._live:
            self._live.refresh()
        self._show_text()

    def ended(self, member: Member, error: str | None) -> None:
        """A run finished, failed or was saved."""
        self._states[member.label] = state = RunStatus(status="failed", error=error) if error else member.state
        self._tell_how(member)
        if self._live:
            if error:
                self._live.console.print(f"[red]{escape(member.label)} failed:[/red] {escape(error)}", soft_wrap=True)
            return
        if self._text and not error:
            return
        if state.status == "waiting":  # stopped before it began
            return
        epochs = "1 epoch" if state.epoch == 1 else f"{state.epoch} epochs"
        text = f"failed: {error}" if error else f"{state.status}, {epochs} in {state.seconds:.1f} s"
        self._console.print(f"{member.label}  {text}  ({self.summary()})", markup=False, soft_wrap=True)

    def _show_text(self) -> None:
        """In a notebook, replace the table, which is shown as text."""
        if self._text:
            self._text.show(plain_text(self.table()))

    def _tell_how(self, member: Member) -> None:
        """Say how the first run computes, and print a line for each cell that computes differently."""
        if member.cell.name in self._cells_told:
            return
        with suppress(EtudeError):  # a run that has not started, or is damaged: it is reported as failed
            how = str(Execution(**Run(member.path).configuration["execution"]))
            if how != self._how:
                self.note(f"{member.cell.label if self._how else self._sweep.name}: computed on {how}")
            self._how = self._how or how
            self._cells_told.add(member.cell.name)

    def summary(self) -> str:
        """How many runs are done, and how long the others will take."""
        states = self._states.values()
        finished, failed = (sum(state.status == each for state in states) for each in ("finished", "failed"))
        text = f"{finished} of {len(states)} runs finished" + (f", {failed} failed" if failed else "")
        left = seconds_left(self._members, self._states, self._num_jobs)
        return text if left is None else f"{text}, about {duration(left)} left"

    def table(self) -> Group:
        """Cells × seeds: the state of each run."""
        rows = []
        for cell in self._sweep.cells:
            states = [self._states[member.label] for member in self._members if member.cell is cell]
            done = sum(state.status == "finished" for state in states)
            marks = Text(" ").join(mark(state, cell.recipe.epochs) for state in states)
            rows.append([cell.label, f"{done}/{len(states)}", marks])
        seeds = self._sweep.seeds
        table = plain_table(["cell", "done", f"seeds {seeds[0]} to {seeds[-1]}"], rows, align="lrl")
        legend = "✓ finished  3/5 epochs of a run in progress  ‖ saved  ✗ failed  · to come"
        return Group(Text(self.summary()), Text(legend, style="dim"), table)  # a low terminal cuts off the end

    def __enter__(self) -> Self:
        if self._live:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
        self._show_text()


def mark(state: RunStatus, epochs: int) -> Text:
    """A run in a few characters."""
    match state.status:
        case "finished":
            return Text("✓", style="green")
        case "failed":
            return Text("✗", style="red")
        case "running":
            return Text(f"{state.epoch}/{epochs}", style="cyan")
        case "starting":
            return Text(f"0/{epochs}", style="cyan")
        case "interrupted":
            return Text("‖", style="yellow")
    return Text("·")


def seconds_left(members: Sequence[Member], states: dict[str, RunStatus], num_jobs: int) -> float | None:
    """An estimate of the time until the last run ends; None before the first epoch of any run, and if nothing is left.

    A cell's epochs are expected to take as long as before. For a cell without epochs, its number of steps decides.
    """
    seconds, epochs = dict[str, float](), dict[str, int]()
    for member in members:
        state = states[member.label]
        if state.seconds > 0:
            seconds[member.cell.name] = seconds.get(member.cell.name, 0.0) + state.seconds
            epochs[member.cell.name] = epochs.get(member.cell.name, 0) + state.epoch
    seen = {member.cell.name: member.cell.recipe for member in members if epochs.get(member.cell.name)}
    if not seen:
        return None
    # The seconds of an epoch are about proportional to its steps, that is to 1 / images per step.
    scale = sum(seconds[name] / epochs[name] * recipe.examples_per_step for name, recipe in seen.items()) / len(seen)
    left, longest = 0.0, 0.0
    for member in members:
        state, recipe = states[member.label], member.cell.recipe
        if state.status in ("finished", "failed"):
            continue
        name = member.cell.name
        each = seconds[name] / epochs[name] if name in seen else scale / recipe.examples_per_step
        own = each * (recipe.epochs - state.epoch)
        left, longest = left + own, max(longest, own)
    return max(left / num_jobs, longest) if left else None


def duration(seconds: float) -> str:
    """A time in a convenient unit."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

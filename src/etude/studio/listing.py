"""The table of runs and sweeps, made again only where a folder has changed."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from etude.errors import EtudeError
from etude.files import checksum
from etude.runs import list_paths
from etude.runs.remarks import read_remarks
from etude.runs.run import Run
from etude.studio.histories import Histories
from etude.studio.shelf import changed, id_of, path_of

FILES = ("recipe.json", "state.json", "metrics.jsonl", "remarks.json", ".lock")
"""What the row of a run depends on."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run in the table."""

    id: str
    state: str
    """running, finished, interrupted, failed or damaged."""
    error: str | None = None
    recipe: str = ""
    data: str = ""
    seed: int = 0
    group: str = ""
    """Runs of one group differ in the seed alone."""
    sweep: str = ""
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    metric: str = ""
    """The name of the run's main result, if it has one yet."""
    value: float | None = None
    better: str | None = None
    created: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""


@final
class Listing:
    """The runs in a folder and in its sweeps."""

    def __init__(self, runs_dir: Path, histories: Histories) -> None:
        self.runs_dir, self.histories = runs_dir, histories
        self._rows: dict[Path, tuple[Any, Row]] = {}

    def rows(self) -> list[dict[str, Any]]:
        """Every run, oldest first."""
        rows = [self._row(path, sweep) for path, sweep in self._paths()]
        return [asdict(row) for row in rows if row]

    def _paths(self) -> Iterator[tuple[Path, Path | None]]:
        for path in list_paths(self.runs_dir):
            yield path, None
        for sweep in list_paths(self.runs_dir, "sweep.json"):
            if not sweep.is_symlink():
                for path in list_paths(sweep):
                    yield path, sweep

    def _row(self, path: Path, sweep: Path | None) -> Row | None:
        run_id = id_of(self.runs_dir, path)
        try:
            path_of(self.runs_dir, run_id)
        except EtudeError:  # a link, or a name that étude would not give
            return None
        stamp = [changed(path / file) for file in FILES]
        known = self._rows.get(path)
        if known and known[0] == stamp and known[1].state != "running":
            return known[1]
        row = self._read(path, run_id, sweep)
        self._rows[path] = stamp, row
        return row

    def _read(self, path: Path, run_id: str, sweep: Path | None) -> Row:
        try:
            run = Run(path)
            state = run.state
        except EtudeError as error:
            return Row(id=run_id, state="damaged", error=str(error))
        series, remarks = run.family.series, read_remarks(path)
        metric, value = self.histories.latest(path, series.headline) or ("", None)
        better = series.quantity.better if metric.partition("/")[2] == series.quantity.name else None
        return Row(
            id=run_id,
            state=state.status,
            error=state.error,
            recipe=run.recipe.name,
            data=run.data_name,
            seed=run.recipe.seed,
            group=_group(run),
            sweep=sweep.name if sweep else "",
            epoch=state.epoch,
            epochs=run.recipe.epochs,
            step=state.step,
            steps=run.recipe.epochs * run.steps_per_epoch,
            seconds=state.seconds,
            metric=metric,
            value=value,
            better=better,
            created=run.configuration["created"],
            tags=remarks.tags,
            note=remarks.note,
        )


def _group(run: Run) -> str:
    """What a run shares with those that differ in the seed alone, as a short name."""
    fields = {**run.configuration["recipe"], "seed": None, "data": run.configuration["dataset"]["digest"]}
    return checksum(repr((run.recipe.name, sorted(fields.items()))).encode())[:12]

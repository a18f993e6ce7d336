"""What an experiment works with: progress, and training of which nothing is done twice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from etude.recipes import Recipe
from etude.runs import Run
from etude.sweeps import sweep

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Is told how much is done, of how much."""


def silent(what: str) -> Progress:
    """Show no progress."""
    return lambda done, total: None


@dataclass(frozen=True)
class Trained:
    """The runs of one cell of a sweep."""

    changes: Mapping[str, Any]
    """The cell's values in the grid."""
    runs: tuple[Run, ...]
    """Those that finished, by seed."""
    num_failed: int
    """How many diverged."""

    def last(self, metric: str) -> list[float]:
        """The last value of a metric, such as test/accuracy, of each run."""
        return [float(run.metrics().last()[metric]) for run in self.runs]


class Lab:
    """Where a study works; final."""

    def __init__(
        self,
        folder: Path,
        *,
        progress: Callable[[str], Progress] = silent,
        quiet: bool = False,
        jobs: int | None = None,
        data_dir: Path | None = None,
    ) -> None:
        self.folder = folder
        """Where runs are kept. They are shared by all studies."""
        self._progress, self._quiet, self._jobs, self._data_dir = progress, quiet, jobs, data_dir

    def each(self, items: Sequence[T], what: str) -> Iterator[T]:
        """The items one after the other, with progress: `what` names them, such as "seeds"."""
        show = self._progress(what)
        for done, item in enumerate(items):
            show(done, len(items))
            yield item
        show(len(items), len(items))

    def train(
        self, recipe: str | Recipe, *, grid: Mapping[str, Sequence[Any]], seeds: range, **changes: Any
    ) -> list[Trained]:
        """Train every cell of a grid with every seed, in the order of the grid; `changes` are fields of the recipe.

        Runs that are there, from this study or another, are not trained again.
        """
        results = sweep(
            recipe,
            grid={field: list(values) for field, values in grid.items()},
            seeds=len(seeds),
            seed=seeds.start,
            runs_dir=self.folder,
            data_dir=self._data_dir,
            jobs=self._jobs,
            quiet=self._quiet,
            **changes,
        )
        found = []
        for cell in results.sweep.cells:
            members = [member for member in results.sweep.members(cell) if member.seed in seeds]
            runs = tuple(Run(member.path) for member in members if member.state.status == "finished")
            found.append(Trained(cell.changes, runs, len(members) - len(runs)))
        return found

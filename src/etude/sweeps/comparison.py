"""Do cells beat a baseline? Their runs are paired by seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any, overload

import numpy as np

from etude.errors import UsageError
from etude.measurement import Settings, measure
from etude.measurement.catalogue import chosen
from etude.metrics import compare_paired, corrected
from etude.metrics.comparison import PairedComparison, Test
from etude.runs import Run
from etude.runs import load as load_run
from etude.sweeps.folder import Sweep, find
from etude.sweeps.folder import load as load_sweep
from etude.sweeps.grid import Cell, Value
from etude.sweeps.yardsticks import Yardstick, basis_of, measured, yardstick_of

Choose = Callable[[Run], Yardstick]
"""The number of a run that a comparison uses."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison: finished runs by seed, or by fold."""

    name: str
    values: dict[int, float]
    by: str
    """seed, or the field by which runs are paired, such as fold; values are then means over the seeds."""
    yardstick: Yardstick
    basis: str
    """What the runs are of; see `basis_of`."""
    sweep: Path | None = None
    cell: Cell | None = None
    """The sweep and the cell of these runs, if they come from one."""

    def line(self, letter: str) -> str:
        """The side with its mean and values, in the order of the seeds."""
        values = [value for _, value in sorted(self.values.items())]
        return f"  {letter}  {self.name}: mean {np.mean(values):.4g}  ({'  '.join(f'{value:.4g}' for value in values)})"


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """Candidate minus baseline, over pairs of runs with the same seed, or the same fold."""

    baseline: Side
    candidate: Side
    metric: str
    """What is compared, such as test/accuracy."""
    paired: PairedComparison

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        sides = {
            key: {"name": side.name, "values": {str(seed): value for seed, value in side.values.items()}}
            for key, side in (("baseline", self.baseline), ("candidate", self.candidate))
        }
        yardstick = self.baseline.yardstick
        return {"metric": self.metric, "split": yardstick.split, **sides, **self.paired.to_dict()}

    def __repr__(self) -> str:
        """As `etude compare` prints it."""
        return "\n".join(_lines([self]))


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparisons:
    """Several candidates minus one baseline; p-values and verdicts are corrected for their number by Holm's method."""

    each: list[Comparison]

    def __iter__(self) -> Iterator[Comparison]:
        return iter(self.each)

    def __len__(self) -> int:
        return len(self.each)

    def __getitem__(self, index: int) -> Comparison:
        return self.each[index]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"correction": "holm", "comparisons": [each.to_dict() for each in self.each]}

    def __repr__(self) -> str:
        """As `etude compare` prints them."""
        correction = (
            f"Corrected for {len(self.each)} comparisons by Holm's method: the verdicts hold together, "
            "each interval by itself."
        )
        return "\n".join([*_lines(self.each), correction])


def _lines(comparisons: Sequence[Comparison]) -> list[str]:
    """Sentences, sides and what was compared, for comparisons with one baseline."""
    first = comparisons[0]
    yardstick, seeds = first.baseline.yardstick, ", ".join(map(str, sorted(first.baseline.values)))
    direction = yardstick.note or f"{'Higher' if yardstick.better == 'higher' else 'Lower'} is better."
    paired = f"Paired by {first.baseline.by} ({seeds})."
    where = f"{paired} Compared: {first.metric}, of the {yardstick.split} split. {direction}"
    lines = [each.paired.sentence for each in comparisons]
    sides = [first.baseline, *(each.candidate for each in comparisons)]
    lines += [side.line(letter) for letter, side in zip(_letters(len(sides)), sides, strict=True)]
    notes = [(each.candidate, each.paired.note) for each in comparisons if each.paired.note]
    named = [f"Note: {f'{side.name}: ' if len(comparisons) > 1 else ''}{note}" for side, note in notes]
    return [*lines, where, *named]


def _letters(number: int) -> list[str]:
    """A, B, C …, or numbers if there are more sides than letters."""
    return list(ascii_uppercase[:number]) if number <= len(ascii_uppercase) else [str(n + 1) for n in range(number)]


@overload
def compare(
    baseline: str | Sweep,
    candidate: str | Sweep,
    *,
    metric: str | None = None,
    test: Test = "mean",
    settings: Settings | None = None,
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
    trust: bool = False,
) -> Comparison: ...


@overload
def compare(
    baseline: str | Sweep,
    candidate: str | Sweep,
    *more: str | Sweep,
    metric: str | None = None,
    test: Test = "mean",
    settings: Settings | None = None,
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
    trust: bool = False,
) -> Comparison | Comparisons: ...


def compare(
    baseline: str | Sweep,
    candidate: str | Sweep,
    *more: str | Sweep,
    metric: str | None = None,
    test: Test = "mean",
    settings: Settings | None = None,
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
    trust: bool = False,
) -> Comparison | Comparisons:
    """Compare sides with the first, B minus A, by `etude.metrics.compare_paired`.

    A side is a sweep of one cell, SWEEP:CELL, or runs separated by commas. It compares what training recorded, or a
    `metric` of `etude measure`, which is measured with `settings` if needed. `test` is mean or median; `trust` is that
    of `load`. With more than one candidate, the verdicts are corrected for their number. Raises `UsageError` if the
    seeds do not match, or the sides are not of one family and data set.
    """

    def choose(run: Run) -> Yardstick:
        return _measured(metric, run, settings or Settings(), data_dir) if metric else yardstick_of(run.recipe)

    first, *others = (_side(side, runs_dir, choose, trust=trust) for side in (baseline, candidate, *more))
    found = [_compare_sides(first, other, test) for other in others]
    if len(found) == 1:
        return found[0]
    paired = corrected([each.paired for each in found])
    return Comparisons(each=[replace(each, paired=one) for each, one in zip(found, paired, strict=True)])


def _compare_sides(first: Side, second: Side, test: Test) -> Comparison:
    if first.yardstick != second.yardstick:
        raise UsageError(
            f"{first.name} reports {_described(first.yardstick)}, {second.name} {_described(second.yardstick)}: "
            "compare runs of one family."
        )
    if first.basis != second.basis:
        raise UsageError(
            f"{first.name} is of {first.basis}, {second.name} of {second.basis}: "
            "compare runs of the same images, scored the same way."
        )
    seeds = sorted(first.values)
    if seeds != sorted(second.values) or first.by != second.by:
        raise UsageError(
            f"the {first.by}s do not match: {first.name} has {_seeds(first)}, {second.name} has {_seeds(second)}; "
            f"train the missing ones, or name runs of equal {first.by}s, RUN,RUN,…"
        )
    title = first.yardstick.title
    paired = compare_paired(
        np.array([first.values[seed] for seed in seeds]),
        np.array([second.values[seed] for seed in seeds]),
        names=_short_names(first, second),
        quantity=title,
        test=test,
    )
    return Comparison(baseline=first, candidate=second, metric=title, paired=paired)


def _side(side: str | Sweep, runs_dir: Path | None, choose: Choose, *, trust: bool) -> Side:
    if isinstance(side, Sweep):
        return _of_sweep(side, None, choose)
    if find(side, runs_dir=runs_dir):
        return _of_sweep(load_sweep(side, runs_dir=runs_dir, trust=trust), None, choose)
    sweep, colon, cell = side.rpartition(":")
    if colon:
        return _of_sweep(load_sweep(sweep, runs_dir=runs_dir, trust=trust), cell, choose)
    return _of_runs([load_run(word.strip(), runs_dir=runs_dir, trust=trust) for word in side.split(",")], choose)


def _of_sweep(sweep: Sweep, cell_name: str | None, choose: Choose) -> Side:
    groups = sweep.groups
    if cell_name is None and len(groups) > 1:
        names = ", ".join(f"{sweep.name}:{group.cell.name}" for group in groups)
        raise UsageError(f"sweep {sweep.name} has {len(groups)} cells: compare one of {names}.")
    group = groups[0] if cell_name is None else sweep.group(cell_name)
    cell, members = group.cell, group.members
    name = sweep.name if cell_name is None else f"{sweep.name}:{cell.name}"
    if unfinished := [member for member in members if member.state.status not in ("finished", "failed")]:
        raise UsageError(
            f"{name} has {len(unfinished)} unfinished of {len(members)} runs: "
            f"finish them with `etude resume {sweep.path}`."
        )
    runs = [Run(member.path) for member in members if member.state.status == "finished"]
    if not runs:
        raise UsageError(f"{name} has no finished run: `etude show {sweep.path}` says why they failed.")
    return replace(_of_runs(runs, choose), name=name, sweep=sweep.path.resolve(), cell=cell)


def _of_runs(runs: list[Run], choose: Choose) -> Side:
    yardstick = choose(runs[0])
    fields = [
        field for field in runs[0].recipe.repeated_over if len({getattr(run.recipe, field, None) for run in runs}) > 1
    ]
    basis, values, places = _basis_of(runs[0], yardstick, fields), dict[int, list[float]](), set[tuple[int, int]]()
    for run in runs:
        if run.state.status != "finished":
            raise UsageError(f"run {run.path} is {run.state.status}: finish it with `etude resume {run.path}`.")
        if choose(run) != yardstick or _basis_of(run, yardstick, fields) != basis:
            raise UsageError(
                f"runs {runs[0].name} ({runs[0].recipe.name} on {basis}) and {run.name} "
                f"({run.recipe.name} on {_basis_of(run, yardstick, fields)}) differ: "
                "one side of a comparison is of one family and the same images."
            )
        repeat = int(getattr(run.recipe, fields[0]) or 0) if fields else run.recipe.seed
        if (repeat, run.recipe.seed) in places:
            raise UsageError(
                f"two runs of {','.join(each.name for each in runs)} have seed {run.recipe.seed}: leave one out."
            )
        value = yardstick.read(run, yardstick.split)
        if value is None:
            raise UsageError(f"run {run.path} has no {yardstick.title}: train it again.")
        places.add((repeat, run.recipe.seed))
        values.setdefault(repeat, []).append(value)
    return Side(
        name=",".join(run.name for run in runs),
        values={repeat: float(np.mean(each)) for repeat, each in values.items()},
        by=fields[0] if fields else "seed",
        yardstick=yardstick,
        basis=basis,
    )


def _basis_of(run: Run, yardstick: Yardstick, fields: Sequence[str]) -> str:
    """What a run is of, whatever the fields by which runs are paired."""
    return basis_of(replace(run.recipe, **dict.fromkeys(fields)), yardstick)


def _measured(metric: str, run: Run, settings: Settings, data_dir: Path | None) -> Yardstick:
    """A metric of `etude measure`, computed if the run does not have it yet."""
    settings = replace(settings, metrics=(metric,))
    (found,) = chosen(run, settings)

    def read(run: Run, split: str) -> float | None:
        assert split == "test"
        return measure(run, settings, data_dir=data_dir)[found.name].value

    return measured(found, settings, read)


def _described(yardstick: Yardstick) -> str:
    return f"{yardstick.name} ({yardstick.about})" if yardstick.about else yardstick.name


def _short_names(first: Side, second: Side) -> tuple[str, str]:
    """Names for the sentence: for two cells of a sweep the settings that differ; A and B for lists of runs."""
    if first.name == second.name or any("," in side.name for side in (first, second)):
        return "A", "B"
    if first.cell and second.cell and first.sweep == second.sweep:
        ours, theirs = first.cell.changes, second.cell.changes
        unlike = [field for field in ours if ours[field] != theirs[field]]
        return _settings(ours, unlike), _settings(theirs, unlike)
    return first.name, second.name


def _settings(changes: Mapping[str, Value], fields: Sequence[str]) -> str:
    return " ".join(f"{field}={changes[field]}" for field in fields)


def _seeds(side: Side) -> str:
    return ", ".join(map(str, sorted(side.values)))

"""Several runs in groups: runs that differ in their seed alone belong together, as the cells of a sweep do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from etude.errors import EtudeError
from etude.families.book import family_of
from etude.recipes import Recipe
from etude.reports.commands import flat, text_of, value_told
from etude.reports.facts import Facts, facts_of
from etude.reports.places import told
from etude.reports.wording import named
from etude.runs import Run
from etude.sweeps import Cell, CellResult, Sweep
from etude.sweeps.folder import Group, Member
from etude.sweeps.results import collect_group
from etude.sweeps.yardsticks import Yardstick, yardstick_of


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One group with what its runs recorded."""

    label: str
    """What tells it from the others, as a reader sees it."""
    group: Group
    result: CellResult
    facts: Sequence[Facts]
    """Of the runs that can be read, by seed."""

    @property
    def recipe(self) -> Recipe:
        """That of all its runs, except for the seed."""
        return self.group.cell.recipe


@dataclass(frozen=True, kw_only=True)
class Family:
    """The groups whose runs record the same number."""

    yardstick: Yardstick
    groups: Sequence[Compared]

    @property
    def series(self) -> Any:
        """What tables and figures show of its runs."""
        return family_of(self.groups[0].recipe).series


@dataclass(kw_only=True)
class Runs:
    """All that is compared."""

    families: list[Family] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Why a run has no result, by what it is called."""
    unfinished: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def groups(self) -> list[Compared]:
        """Those of all families."""
        return [group for family in self.families for group in family.groups]


def runs_of(sweeps: Sequence[Sweep], runs: Sequence[Run]) -> Runs:
    """Group the runs of sweeps, and runs by their settings. Reads folders alone."""
    found = Runs()
    several = len(sweeps) + bool(runs) > 1
    groups = [
        (f"{sweep.name} {_label(group.cell)}" if several and sweep.grid else _label(group.cell, sweep.name), group)
        for sweep in sweeps
        for group in sweep.groups
    ]
    groups += _grouped(runs, found)
    by_number: dict[tuple[str, str], list[Compared]] = {}
    for label, group in groups:
        yardstick = yardstick_of(group.cell.recipe)
        failed: dict[str, str] = {}
        unfinished: list[str] = []
        result = collect_group(group, yardstick, "t", failed=failed, unfinished=unfinished)
        home = group.members[0].path.parent
        found.failed |= {told(name): told(why, home) for name, why in failed.items()}
        found.unfinished += map(told, unfinished)
        compared = Compared(label=label, group=group, result=result, facts=_facts(group))
        by_number.setdefault((group.cell.recipe.family, yardstick.title), []).append(compared)
    found.families = [Family(yardstick=yardstick_of(groups[0].recipe), groups=groups) for groups in by_number.values()]
    return found


def _grouped(runs: Sequence[Run], found: Runs) -> list[tuple[str, Group]]:
    """Runs by all their settings except the seed, in the order in which they are given."""
    members: dict[str, list[Run]] = {}
    for run in runs:
        key = repr(sorted((name, repr(value)) for name, value in flat(replace(run.recipe, seed=0)).items()))
        key += repr([run.configuration["dataset"]["digest"], *(each["sha256"] for each in run.configuration["code"])])
        same = members.setdefault(f"{run.recipe.family} {run.recipe.name} {key}", [])
        if twin := next((each for each in same if each.recipe.seed == run.recipe.seed), None):
            found.notices.append(
                f"{named(run.name)} has the settings and the seed of {named(twin.name)}: only the latter is counted."
            )
        else:
            same.append(run)
    differing = differences([each[0].recipe for each in members.values()])
    groups = []
    for each in members.values():
        recipe, first = replace(each[0].recipe, seed=0), each[0]
        mine = flat(first.recipe)
        label = " ".join(f"{name}={text_of(mine.get(name))}" for name in differing) or first.recipe.name
        if len(label) > 60 or (len(members) > 1 and not differing):
            label = first.name if len(each) == 1 else f"{first.name} and {len(each) - 1} more"
        if any(label == other for other, _ in groups):  # the same settings on other data, or with other code
            label = f"{label} ({first.name})"
        cell = Cell(name=label, changes={}, recipe=recipe)
        groups.append(
            (label, Group(cell=cell, members=[Member(cell=cell, seed=r.recipe.seed, path=r.path) for r in each]))
        )
    return groups


def differences(recipes: Sequence[Recipe]) -> list[str]:
    """The settings that are not the same in all recipes, the seed left out."""
    all_settings = [{"recipe": recipe.name, **flat(recipe)} for recipe in recipes]
    names = dict.fromkeys(name for each in all_settings for name in each if name != "seed")
    return [name for name in names if len({repr(each.get(name)) for each in all_settings}) > 1]


def rows_of_differences(groups: Sequence[Compared]) -> tuple[list[str], list[list[str]]]:
    """The differing settings and their value in each group."""
    names = differences([group.recipe for group in groups])
    values: list[Mapping[str, Any]] = [{"recipe": each.recipe.name, **flat(each.recipe)} for each in groups]
    return names, [[text_of(each.get(name)) for name in names] for each in values]


def _label(cell: Cell, otherwise: str = "") -> str:
    """A cell as people read it, without paths."""
    words = [f"{name}={value_told(value)}" for name, value in cell.changes.items()]
    return " ".join(words) or otherwise or cell.name


def _facts(group: Group) -> list[Facts]:
    found = []
    for member in group.members:
        try:
            found.append(facts_of(Run(member.path)))
        except EtudeError:  # it is named among those that failed, or has not begun
            continue
    return found

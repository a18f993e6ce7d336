"""The report of several runs, or of sweeps: seeds in groups, what differs, and every number side by side."""

from collections.abc import Iterator, Sequence
from typing import Any

from etude.errors import one_line
from etude.recipes import Recipe
from etude.reports.commands import flat, run_command, settings, sweep_command, text_of
from etude.reports.document import STATES, Document, Section, Tile
from etude.reports.drawings import last_grid
from etude.reports.facts import data_lines, headline
from etude.reports.group_numbers import MOST_GROUPS, measured, results, texts_of
from etude.reports.groups import Compared, Family, Runs, rows_of_differences, runs_of
from etude.reports.markup import Html, block, code, element, folded, paragraph, table
from etude.reports.pictures import Shown, drawn
from etude.reports.places import data_told, name_told, told
from etude.reports.run_page import environment_rows, with_code
from etude.reports.wording import counted, cut, duration, named
from etude.runs import Run
from etude.sweeps import Sweep, collect
from etude.sweeps.learning_curves import learning_curves
from etude.sweeps.yardsticks import basis_of

MOST_CURVES, MOST_RUNS, MOST_GRIDS, MOST_COMMANDS, MOST_TILES = 14, 200, 8, 6, 4


def group_document(sweeps: Sequence[Sweep], runs: Sequence[Run], *, damaged: dict[str, str] | None = None) -> Document:
    """The page of sweeps and runs. Nothing is computed with their networks, so none of their own code is run.

    `damaged` are runs that cannot be opened, by name, with the reason.
    """
    found = runs_of(sweeps, runs)
    found.failed |= damaged or {}
    groups = found.groups
    num_runs = sum(len(each.group.members) for each in groups) + len(damaged or {})
    num_finished = sum(len(each.result.tables) for each in groups)
    alone = sweeps[0] if len(sweeps) == 1 and not runs else None
    sections = [
        Section(title="Summary", parts=_summary(found, alone, num_runs, num_finished)),
        Section(title="Results", parts=[part for family in found.families for part in results(family)]),
        Section(title="Configuration", parts=_configuration(groups)),
        Section(title="Curves", parts=list(_curves(found.families))),
        Section(title="Metrics", parts=measured(found.families)),
        Section(title="Samples", parts=_samples(groups)),
        Section(title="Runs", parts=_runs(groups, found)),
        Section(title="Environment", parts=_environment(groups)),
        Section(title="Train it again", parts=_again(sweeps, groups)),
    ]
    left = num_runs - num_finished
    finished = f"{num_finished} of {num_runs} finished" if left else "✓ finished"
    return Document(
        kind="sweep" if alone else "comparison",
        title=named(alone.name) if alone else f"{counted(len(groups), 'group')} of runs",
        subtitle=_subtitle(groups, num_runs),
        badge=finished,
        badge_kind="interrupted" if left else "finished",
        tiles=_tiles(found),
        notices=found.notices,
        sections=sections,
    )


def _subtitle(groups: Sequence[Compared], num_runs: int) -> str:
    recipes = dict.fromkeys(group.recipe.name for group in groups)
    data = dict.fromkeys(data_told(group.recipe.data) for group in groups)
    what, on = (", ".join(map(named, list(names)[:4])) for names in (recipes, data))
    return f"{what} on {on}: {counted(num_runs, 'run')} in {counted(len(groups), 'group')}"


def _tiles(found: Runs) -> list[Tile]:
    """The mean of each group, if they are few and of one kind."""
    if len(found.families) != 1 or len(found.groups) > MOST_TILES:
        return []
    (family,) = found.families
    title = family.yardstick.title.replace("/", " ").replace("_", " ")
    tiles = []
    for group in family.groups:
        summary = group.result.summary
        if summary is None:
            tiles.append(Tile(name=cut(group.label, 60), value="–", about="no run has finished"))
            continue
        value, interval = texts_of(summary)
        about = f"{title}, mean of {counted(summary.num_values, 'seed')}"
        about += f"; 95 % interval {interval}" if interval else ""
        tiles.append(Tile(name=cut(group.label, 60), value=value, about=about))
    return tiles


def _summary(found: Runs, sweep: Sweep | None, num_runs: int, num_finished: int) -> list[str]:
    groups = found.groups
    lines = [
        f"{num_finished} of {counted(num_runs, 'run')} finished. Runs that differ in their seed alone are a group."
    ]
    datasets = dict.fromkeys(data_lines(each.run)[0] for group in groups for each in group.facts)
    lines += datasets if len(datasets) <= 4 else [f"The runs are of {len(datasets)} data sets."]
    parts: list[str] = [paragraph(" ".join(lines))]
    if sweep:
        parts.append(paragraph(with_code(told(collect(sweep).splits_sentence(), sweep.path))))
        if len(groups) > 1:
            cells = (name_told(group.group.cell.name, group.recipe.data) for group in groups[:2])
            first, second = (f"{sweep.name}:{cell}" for cell in cells)
            parts.append(paragraph("Is a difference real? ", code(f"etude compare {first} {second}"), " says so."))
    for family in found.families:
        bases = {_basis(group.recipe, family) for group in family.groups}
        if len(bases) > 1:
            parts.append(paragraph("The groups are of different data, or score pixels differently: compare with care."))
    return parts


def _basis(recipe: Recipe, family: Family) -> str:
    return basis_of(recipe, family.yardstick)


# Configuration --------------------------------------------------------------------------------------------------------


def _configuration(groups: Sequence[Compared]) -> list[str]:
    """What differs between the groups, then what all share that is not the recipe's default."""
    shown = groups[:MOST_GROUPS]
    names, rows = rows_of_differences(shown)
    labels = [cut(group.label, 60) for group in shown]
    parts: list[str] = []
    if names and len(names) <= len(shown):
        cells = [[label, *(cut(value, 80) for value in row)] for label, row in zip(labels, rows, strict=True)]
        parts.append(table(["group", *map(code, names)], cells, left=len(names) + 1, about="What differs"))
    elif names:
        cells = [[code(name), *(cut(row[at], 80) for row in rows)] for at, name in enumerate(names)]
        parts.append(table(["setting", *labels], cells, left=len(labels) + 1, about="What differs"))
    elif len(shown) > 1:
        parts.append(paragraph("The settings of all groups are the same: they are of different data."))
    if shown:
        parts += _shared(shown, names)
    return parts


def _shared(groups: Sequence[Compared], differing: Sequence[str]) -> Iterator[Html]:
    found = [each for each in settings(groups[0].recipe) if each.name not in ("seed", *differing)]
    of_one = len({group.recipe.name for group in groups}) == 1  # of several recipes there is no one default
    changed = [each for each in found if each.is_changed and of_one]
    if changed:
        rows = [[code(each.name), cut(text_of(each.value), 200), text_of(each.default)] for each in changed]
        heads = ["setting", "all runs", "default"]
        yield table(heads, rows, left=3, marked=range(len(rows)), about="The same in all, and not the recipe's default")
    rest = [each for each in found if each not in changed and each.name in flat(groups[0].recipe)]
    rows = [[code(each.name), cut(text_of(each.value), 200)] for each in rest]
    if rest:
        yield folded(f"{counted(len(rest), 'setting')} more that all share", table(["setting", "value"], rows, left=2))


# Curves, metrics, samples ---------------------------------------------------------------------------------------------


def _curves(families: Sequence[Family]) -> Iterator[str | Shown]:
    for family in families:
        groups = [group for group in family.groups if group.result.tables][:MOST_CURVES]
        tables = {one_line(cut(each.label, 60)): list(each.result.tables.values()) for each in groups}
        figure = learning_curves(family.series.curves, tables, "t", title="Learning curves")
        if figure:
            yield Shown(
                [drawn(figure, "learning curves of every group, with a band for the spread over its seeds")],
                "Means over the seeds of each group against the epoch. A band is the 95 % interval of the mean: where "
                "bands overlap, a difference may be chance. Only finished runs are drawn.",
            )
        if len(family.groups) > MOST_CURVES:
            yield f"Curves of the first {MOST_CURVES} of {len(family.groups):,} groups."


def _samples(groups: Sequence[Compared]) -> list[str | Shown]:
    """The newest picture of progress of the first run of each group that has one."""
    found = [(group, picture) for group in groups for facts in group.facts[:1] if (picture := last_grid(facts.run))]
    if not found:
        return []
    shown = found[:MOST_GRIDS]
    caption = "The newest picture that the first run of each group drew while it was trained."
    if len(found) > MOST_GRIDS:
        caption += f" The first {MOST_GRIDS} of {len(found):,} groups."
    return [Shown([picture for _, picture in shown], caption, [cut(group.label, 60) for group, _ in shown])]


# Runs -----------------------------------------------------------------------------------------------------------------


def _runs(groups: Sequence[Compared], found: Runs) -> list[str]:
    rows = []
    for group in groups:
        for facts in group.facts:
            run, state, first = facts.run, facts.state, headline(facts)
            result = f"{first.name} {first.value}" if first else ""
            epochs = f"{state.epoch}/{run.recipe.epochs}"
            seed = str(run.recipe.seed)
            texts = [
                named(name_told(run.name, run.recipe.data)),
                cut(group.label, 60),
                seed,
                STATES[state.status],
                result,
            ]
            rows.append([*texts, epochs, duration(state.seconds)])
    headings = ["run", "group", "seed", "state", "result", "epochs", "time"]
    parts: list[str] = [table(headings, rows[:MOST_RUNS], left=5)] if rows else []
    if len(rows) > MOST_RUNS:
        parts.append(paragraph(f"The first {MOST_RUNS} of {len(rows):,} runs."))
    failed = [f"{cut(name, 100)}: {cut(why)}" for name, why in found.failed.items()]
    if failed:
        parts += [
            element("h3", "Failed or damaged"),
            element("ul", *(element("li", each) for each in failed[:MOST_RUNS])),
        ]
    if found.unfinished:
        shown = ", ".join(found.unfinished[:12]) + (" …" if len(found.unfinished) > 12 else "")
        parts.append(paragraph(f"{counted(len(found.unfinished), 'run')} not finished: {shown}."))
    return parts


def _environment(groups: Sequence[Compared]) -> list[str]:
    """What the runs were computed on; where they differ, all values."""
    values: dict[str, dict[str, None]] = {}
    for group in groups:
        for facts in group.facts:
            for name, value in environment_rows(facts.run)[1:]:
                values.setdefault(name, {})[value] = None
    rows = [[name, cut(" | ".join(each), 300)] for name, each in values.items()]
    return [table(["", ""], rows, left=2)] if rows else []


def _again(sweeps: Sequence[Sweep], groups: Sequence[Compared]) -> list[str]:
    commands: list[Any] = [sweep_command(sweep) for sweep in sweeps]
    first = [group.facts[0].run for group in groups if group.facts]
    commands += [run_command(run) for run in first if run.path.parent not in {sweep.path for sweep in sweeps}]
    parts: list[str] = []
    for command in commands[:MOST_COMMANDS]:
        parts += [block(command.text), *map(paragraph, command.notes)]
        parts += [block(command.toml)] if command.toml else []
    if len(commands) > MOST_COMMANDS:
        parts.append(paragraph(f"The first {MOST_COMMANDS} of {len(commands):,} commands."))
    return parts

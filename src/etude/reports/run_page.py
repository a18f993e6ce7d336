"""The report of one run."""

from collections.abc import Sequence
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from etude.compute import Execution
from etude.errors import EtudeError
from etude.reports.commands import Setting, run_command, settings, text_of
from etude.reports.document import STATES, Document, Section, Tile
from etude.reports.drawings import Progress, curves, figures, samples
from etude.reports.facts import Facts, Headline, data_lines, facts_of, headline, measured_headline, status_sentence
from etude.reports.markup import Html, block, code, element, folded, joined, paragraph, table, verbatim
from etude.reports.numbers import measured_table, recorded_table
from etude.reports.places import data_told, name_told, told
from etude.reports.strips import LEGEND
from etude.reports.wording import counted, cut, duration, listed, named, recorded
from etude.runs import Run

MOST_TILES, MOST_CLASSES = 3, 30


def run_document(run: Run, *, data_dir: Path | None, progress: Progress) -> Document:
    """The page of a run. It draws what its networks give; of the rest nothing is computed."""
    run = _renamed(run)
    facts = facts_of(run)
    sections = [
        Section(title="Summary", parts=_summary(facts)),
        Section(title="Configuration", parts=configuration(run)),
        Section(title="Curves", parts=curves(facts)),
        Section(title="Figures", parts=figures(facts, data_dir=data_dir, progress=progress)),
        Section(title="Metrics", parts=_metrics(facts)),
        Section(title="Samples over time", parts=samples(facts)),
        Section(title="Environment", parts=[table(["", ""], environment_rows(run), left=2)]),
        Section(title="Train it again", parts=again(run)),
    ]
    status = facts.state.status
    notices = [status_sentence(facts)] if status != "finished" else []
    if not facts.has_checkpoint:
        notices.append("The run has no checkpoint yet, so nothing is drawn with its networks.")
    return Document(
        kind="run",
        title=named(run.name),
        subtitle=f"{named(run.recipe.name)}, {cut(run.family.about, 60)}, on {cut(data_told(run.data_name), 80)}",
        badge=STATES[status],
        badge_kind=status,
        tiles=_tiles(facts),
        notices=[with_code(f"{each[:1].upper()}{each[1:]}") for each in (*notices, *facts.problems)],
        sections=sections,
    )


def _renamed(run: Run) -> Run:
    """The run by a name without a path, for titles of figures too."""
    renamed = copy(run)
    renamed.name = name_told(run.name, run.recipe.data)
    return renamed


def _tiles(facts: Facts) -> list[Tile]:
    """The headline, other measured numbers with a floor or an interval, and how far training got."""
    run, state, examples = facts.run, facts.state, facts.run.kind.plural
    first = headline(facts)
    with_floors = [each for each in facts.measured() if each.better and each.result.floor is not None]
    others = [measured_headline(each) for each in with_floors if each.result.value is not None]
    shown = [first] if first else []
    shown += [each for each in others if first is None or each.name != first.name][: MOST_TILES - len(shown)]
    how = str(Execution(**run.configuration["execution"]))
    epochs = f"{state.epoch:,} of {run.recipe.epochs:,}"
    training = Tile(name="epochs trained", value=epochs, about=f"{duration(state.seconds)}; {cut(how, 100)}")
    return [each.tile(examples) for each in shown] + ([training] if state.status != "damaged" else [])


# Summary --------------------------------------------------------------------------------------------------------------


def _summary(facts: Facts) -> list[str]:
    run = facts.run
    networks = _parameters(run)
    about = [f"{named(run.name)} is {cut(run.family.about, 60)}: {cut(run.recipe.about)}.", *data_lines(run)]
    about += [f"{networks}."] if networks else []
    result = [status_sentence(facts)] if facts.state.status == "finished" else []
    if first := headline(facts):
        result += _headline_sentences(first, run)
    if facts.best:
        epoch = facts.best.step / max(1, run.steps_per_epoch)
        metric = recorded(f"validation/{facts.best.metric.removeprefix('validation/')}")
        result.append(
            f"The validation split prefers step {facts.best.step:,}, after {epoch:.3g} of "
            f"{counted(run.recipe.epochs, 'epoch')}: {metric} {facts.best.value:.4g}."
        )
    more = [_changes_sentence(settings(run.recipe))]
    if not facts.kept.results and not facts.kept.num_others and facts.has_checkpoint:
        more.append(f"No metric has been measured yet: `etude measure {run.name}` adds floors and intervals.")
    more.append("One run says nothing about other seeds: a report of several runs shows how they differ.")
    return [paragraph(with_code(" ".join(sentences))) for sentences in (about, result, more) if sentences]


def _headline_sentences(first: Headline, run: Run) -> list[str]:
    found = [f"Its {first.name} is {first.value}{f' ({first.about})' if first.about else ''}."]
    if first.interval:
        found.append(
            f"With {first.num_examples:,} {run.kind.plural}, the 95 % interval is {first.interval}: another set of "
            "this size may differ by that much. Another training run may differ by more."
        )
    if first.floor:
        found.append(f"The floor is {first.floor}.")
    return found


def _changes_sentence(all_settings: Sequence[Setting]) -> str:
    changed = [f"{each.name} {cut(text_of(each.value), 60)}" for each in all_settings if each.is_changed]
    if not all_settings or not all_settings[-1].known:
        return "Its recipe is a person's own."
    if not changed:
        return "Every setting is the recipe's default."
    shown = changed if len(changed) <= 6 else [*changed[:5], f"{len(changed) - 5} more"]
    return f"{counted(len(changed), 'setting')} {'differs' if len(changed) == 1 else 'differ'} from the recipe's "\
        f"defaults: {listed(shown)}."  # fmt: skip


def _parameters(run: Run) -> str:
    """The trainable numbers of each network, if they are known without damage and without code from elsewhere."""
    try:
        networks = [f"{named(name)} has {count:,} parameters" for name, count in run.parameters.items()]
        return f"Its network {networks[0]}" if len(networks) == 1 else f"Its networks: {listed(networks)}"
    except EtudeError:
        return ""


def with_code(line: str) -> Html:
    """A line in which what stands between `…` is what a person types."""
    parts = line.split("`")
    return joined(code(part) if place % 2 and place < len(parts) - 1 else part for place, part in enumerate(parts))


# Configuration --------------------------------------------------------------------------------------------------------


def configuration(run: Run) -> list[str]:
    """The settings that differ from the recipe's defaults, then the others."""
    found = settings(run.recipe)
    changed = [each for each in found if each.is_changed]
    others = [each for each in found if not each.is_changed]
    parts: list[str] = []
    if changed:
        rows = [[code(each.name), _value(each.value), _value(each.default)] for each in changed]
        heads = ["setting", "this run", f"default of {named(run.recipe.name)}"]
        parts.append(table(heads, rows, left=3, marked=range(len(rows)), about="What differs from the defaults"))
    rows = [[code(each.name), _value(each.value)] for each in others]
    if others and others[0].known:
        summary = f"{counted(len(others), 'setting')} as the recipe has {'it' if len(others) == 1 else 'them'}"
        parts.append(folded(summary, table(["setting", "value"], rows, left=2)))
    elif others:
        parts.append(table(["setting", "value"], rows, left=2, about="A recipe of a person's own: it has no defaults"))
    names = run.class_names
    if names:
        more = f" and {len(names) - MOST_CLASSES:,} more" if len(names) > MOST_CLASSES else ""
        shown = joined([verbatim(named(name)) for name in names[:MOST_CLASSES]], ", ")
        parts.append(paragraph("Classes: ", shown, more, "."))
    return parts


def _value(value: Any) -> str:
    return cut(text_of(value), 200)


# Metrics --------------------------------------------------------------------------------------------------------------


def _metrics(facts: Facts) -> list[str]:
    parts: list[str] = []
    for split in ("test", "validation"):
        if found := facts.measured(split):
            heading = f"Measured on the {split} {facts.run.kind.plural}"
            parts += [element("h3", heading), measured_table(found)]
    if facts.kept.results:
        parts.append(paragraph(LEGEND))
        parts.append(
            paragraph(
                "A floor is a number to compare with: for generated images it is what real images score against "
                "real images. An interval says how far another set of this size may differ."
            )
        )
        notes = dict.fromkeys(each.result.note for each in facts.kept.results if each.result.note)
        parts += [paragraph(f"Note: {told(note, facts.run.path)}") for note in notes]
    if facts.kept.num_others:
        files = counted(facts.kept.num_others, "file")
        parts.append(paragraph(f"{files} in measures/ are left out: of other weights or settings, or damaged."))
    if facts.last:
        parts += [element("h3", "Recorded while training, the last values"), recorded_table(facts.last)]
    return parts


# Environment ----------------------------------------------------------------------------------------------------------

_MACHINE = ("system", "architecture", "processor", "instructions", "cores", "gpu")
"""What is told of a machine: nothing by which it could be found."""


def environment_rows(run: Run) -> list[list[str]]:
    """When, where and with what the run was computed; when it began comes first."""
    values = run.configuration
    machine = values.get("machine")
    begun = datetime.fromisoformat(values["created"]).astimezone(UTC)
    return [
        ["begun", f"{begun:%d %B %Y, %H:%M} UTC"],
        ["computed on", cut(str(Execution(**values["execution"])), 100)],
        *([key, cut(str(machine[key]), 120)] for key in _MACHINE if isinstance(machine, dict) and machine.get(key)),
        *([named(str(name)), cut(str(version), 60)] for name, version in list(values["versions"].items())[:12]),
        ["checksum of the data", cut(values["dataset"]["digest"], 64)],
    ]


def again(run: Run) -> list[str]:
    """The command that trains the run again."""
    command = run_command(run)
    same = "On the same machine with the same versions, the result is the same bit for bit."
    toml = [block(command.toml)] if command.toml else []
    return [paragraph(same), block(command.text), *map(paragraph, command.notes), *toml]

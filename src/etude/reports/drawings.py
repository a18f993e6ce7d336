"""What is drawn of a run: its curves, its figures, and what it drew or wrote while it was trained."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TypeVar

import numpy as np
from matplotlib.figure import Figure

from etude.data.kinds import Images
from etude.errors import EtudeError, RunError, UsageError
from etude.figures.catalogue import FIGURES, available
from etude.figures.material import Material
from etude.files import read_whole
from etude.reports.facts import Facts
from etude.reports.markup import Html, element, folded, table, verbatim
from etude.reports.pictures import Picture, Shown, drawn, read
from etude.reports.places import told
from etude.reports.wording import counted, cut
from etude.runs import Run
from etude.user_code import contained, reason

T = TypeVar("T")
Progress = Callable[[int, int], None]
OF_TRAINING = ("losses", "evolution")
"""Figures that need no networks; they have sections of their own."""
MOST_ROWS, MOST_GRIDS, MOST_TEXTS, MOST_CHARACTERS = 12, 3, 4, 1_200
MOST_TEXT_BYTES = 1_000_000
MOST_NUMBERS = 8


def curves(facts: Facts) -> list[str | Shown]:
    """The losses against the training step, and their numbers."""
    if not facts.table.rows:
        return []
    shown = list(_drawn(facts.run, ["losses"], Material(facts.run, data_dir=None), facts, lambda done, total: None))
    return [*shown, *_numbers(facts)]


def _numbers(facts: Facts) -> list[Html]:
    """The numbers behind the curves, at the ends of epochs, for those who cannot see them."""
    recorded = facts.table
    names = [
        name for name in recorded.columns if name.count("/") == 1 and name.split("/")[0] in ("train", "validation")
    ]
    names = names[:MOST_NUMBERS]
    rows = [row for row in recorded.rows if any(name in row for name in names)]
    if not rows:
        return []
    chosen = [rows[place] for place in spread(len(rows), MOST_ROWS)]
    cells = [
        [f"{row['step']:,}", str(row["epoch"]), *(f"{row[name]:.4g}" if name in row else "" for name in names)]
        for row in chosen
    ]
    return [folded("The numbers of these curves", table(["step", "epoch", *names], cells, left=0))]


def figures(facts: Facts, *, data_dir: Path | None, progress: Progress) -> list[str | Shown]:
    """Every figure of the trained networks that fits the run, except those that take long; and what is left out."""
    run = facts.run
    names = [name for name in available(run) if name not in OF_TRAINING and not FIGURES[name].on_request]
    if not facts.has_checkpoint:
        missing = f"Left out: {', '.join(names)}. The run has no checkpoint yet, and they need its networks."
        return [missing] if names else []
    return list(_drawn(run, names, Material(run, data_dir=data_dir), facts, progress))


def _drawn(
    run: Run, names: Sequence[str], material: Material, facts: Facts, progress: Progress
) -> Iterator[str | Shown]:
    """The figures with these names. Those that cannot be drawn are named in a sentence with the reason."""
    left_out: dict[str, list[str]] = {}
    for place, name in enumerate(names):
        progress(place, len(names))
        kind = FIGURES[name]
        try:
            figure = _attempt(run, lambda kind=kind: kind.draw(material))
            picture = drawn(figure, f"{kind.about}, of run {run.name}", is_chart=not kind.of_images)
        except EtudeError as error:
            left_out.setdefault(told(str(error), run.path), []).append(name)
            continue
        yield Shown([picture], kind.caption)
    progress(len(names), len(names))
    for why, those in left_out.items():
        yield f"Left out: {', '.join(those)}. {why[:1].upper()}{why[1:]}"


def _attempt(run: Run, draw: Callable[[], Figure]) -> Figure:
    """Draw; whatever a person's own network raises becomes an error on one line, and what it prints goes to stderr."""
    with redirect_stdout(sys.stderr):
        if not run.recipe.code:
            return draw()
        with contained(lambda error: UsageError(f"its own code failed: {reason(error)}.")):
            return draw()


def samples(facts: Facts) -> list[str | Shown]:
    """What the run drew or wrote while it was trained, at moments that are spread evenly."""
    run = facts.run
    parts: list[str | Shown] = []
    previews = run.preview_images()
    if previews:
        try:
            parts += _grids(run, previews)
            if isinstance(run.kind, Images) and "evolution" in available(run):
                found = _drawn(run, ["evolution"], Material(run, data_dir=None), facts, lambda done, total: None)
                parts = [*found, *parts]
        except RunError as error:
            parts.append(told(str(error), run.path))
    texts = sorted(each for each in map(_step_of, (run.path / "samples").glob("step-*.txt")) if each)
    return [*parts, *(_text(facts, *texts[place]) for place in spread(len(texts), MOST_TEXTS))]


def _grids(run: Run, previews: Sequence[tuple[int, Path]]) -> list[Shown]:
    """Some of the pictures, the first and the last among them."""
    chosen = [previews[place] for place in spread(len(previews), MOST_GRIDS)]
    pictures = [read(path, f"what run {run.name} drew at step {step}") for step, path in chosen]
    labels = [f"step {step:,}" for step, _ in chosen]
    about = (
        f"{counted(len(chosen), 'picture')} of {len(previews):,} that were drawn from the same noise while training."
    )
    return [Shown(pictures, about if len(chosen) > 1 else f"{about[:-1]}, at {labels[0]}.", labels)]


def last_grid(run: Run) -> Picture | None:
    """The newest picture of progress, if there is one that can be read."""
    previews = run.preview_images()
    try:
        return read(previews[-1][1], f"what run {run.name} drew at step {previews[-1][0]}") if previews else None
    except RunError:
        return None


def _step_of(path: Path) -> tuple[int, Path] | None:
    step = path.stem.removeprefix("step-")
    return (int(step), path) if step.isascii() and step.isdecimal() else None


def _text(facts: Facts, step: int, path: Path) -> Html:
    """A text that the networks wrote."""
    try:
        content = read_whole(path)[:MOST_TEXT_BYTES].decode(errors="replace")
    except OSError as error:
        content = f"cannot be read: {(error.strerror or str(error)).lower()}"
    epoch = step / max(1, facts.run.steps_per_epoch)
    when = "before training" if step == 0 else f"step {step:,}, after {epoch:.3g} epochs"
    text = element("pre", element("code", verbatim(cut(content.rstrip(), MOST_CHARACTERS))), tabindex="0")
    return Html(element("h3", when[:1].upper() + when[1:]) + text)


def spread(available: int, wanted: int) -> list[int]:
    """At most `wanted` of the places below `available`, evenly spread, the first and the last among them."""
    return np.linspace(0, available - 1, min(available, wanted)).round().astype(int).tolist()

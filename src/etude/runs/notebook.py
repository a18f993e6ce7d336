"""How a run shows itself in a notebook: what it is, its latest numbers, its curves and its newest pictures."""

from collections.abc import Sequence
from pathlib import Path

from etude.drawing.curves import loss_curves
from etude.drawing.style import render
from etude.notebook import heading_html, paragraph_html, picture_html
from etude.recipes import Recipe
from etude.runs.curves import loss_panels
from etude.runs.events import Table
from etude.runs.state import RunStatus


def run_html(
    name: str, recipe: Recipe, data_name: str, state: RunStatus, table: Table, previews: Sequence[tuple[int, Path]]
) -> str:
    """A run as a self-contained piece of HTML; `previews` are its pictures by step, the newest last."""
    parts = [
        heading_html(name),
        paragraph_html(
            f"{recipe.name} on {data_name}: {state.status}, epoch {state.epoch} of {recipe.epochs}, "
            f"{state.seconds:.0f} s"
        ),
    ]
    if panels := loss_panels(recipe, table):
        figure = loss_curves(panels, steps_per_epoch=table.steps_per_epoch, title=f"Losses · {name}")
        parts += [picture_html(render(figure, "png"), "losses against the training step"), table._repr_html_()]
    if previews:
        step, path = previews[-1]
        parts.append(picture_html(path.read_bytes(), f"pictures drawn at step {step}"))
    return "".join(parts)

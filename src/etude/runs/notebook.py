"""How a run shows itself in a notebook: what it is, its latest numbers, its curves and its newest pictures."""

from typing import TYPE_CHECKING

from etude.drawing.curves import loss_curves
from etude.drawing.style import render
from etude.notebook import heading_html, paragraph_html, picture_html
from etude.runs.curves import loss_panels

if TYPE_CHECKING:
    from etude.runs.run import Run


def run_html(run: "Run") -> str:
    """The run as a self-contained piece of HTML."""
    state, table = run.state, run.metrics()
    parts = [
        heading_html(run.name),
        paragraph_html(
            f"{run.recipe.name} on {run.data_name}: {state.status}, epoch {state.epoch} of {run.recipe.epochs}, "
            f"{state.seconds:.0f} s"
        ),
    ]
    if panels := loss_panels(run.recipe, table):
        figure = loss_curves(panels, steps_per_epoch=table.steps_per_epoch, title=f"Losses · {run.name}")
        parts += [picture_html(render(figure, "png"), "losses against the training step"), table._repr_html_()]
    if previews := run.preview_images():
        step, path = previews[-1]
        parts.append(picture_html(path.read_bytes(), f"pictures drawn at step {step}"))
    return "".join(parts)

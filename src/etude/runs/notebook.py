"""How a run shows itself in a notebook: what it is, its latest numbers, its curves and its newest pictures."""

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

from etude.drawing.curves import loss_curves
from etude.drawing.style import render
from etude.runs.curves import loss_panels

if TYPE_CHECKING:
    from etude.runs.run import Run


def run_html(run: "Run") -> str:
    """The run as a self-contained piece of HTML."""
    state, table = run.state, run.metrics()
    parts = [
        f"<h4>{escape(run.name)}</h4>",
        f"<p>{escape(run.recipe.name)} on {escape(run.data_name)}: {state.status}, epoch {state.epoch} of "
        f"{run.recipe.epochs}, {state.seconds:.0f} s</p>",
    ]
    if panels := loss_panels(run.recipe, table):
        figure = loss_curves(panels, steps_per_epoch=table.steps_per_epoch, title=f"Losses · {run.name}")
        parts += [_picture(render(figure, "png"), "losses against the training step"), table._repr_html_()]
    if previews := run.preview_images():
        step, path = previews[-1]
        parts.append(_picture(path.read_bytes(), f"pictures drawn at step {step}"))
    return "".join(parts)


def _picture(png: bytes, text: str) -> str:
    return f'<img alt="{escape(text)}" style="max-width: 100%" src="data:image/png;base64,{b64encode(png).decode()}">'

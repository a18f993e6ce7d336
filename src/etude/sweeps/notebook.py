"""How the results of a sweep show themselves in a notebook: the table, its notes, the learning curves."""

from typing import TYPE_CHECKING

from etude.drawing.style import render
from etude.notebook import heading_html, paragraph_html, picture_html, table_html
from etude.sweeps.files import learning_curves, sentences, table_rows

if TYPE_CHECKING:
    from etude.sweeps.results import Results


def results_html(results: "Results") -> str:
    """The results as a self-contained piece of HTML."""
    headings, rows = table_rows(results)
    sweep = results.sweep
    parts = [
        heading_html(f"{sweep.name}: {sweep.recipe.name} on {sweep.data_name}"),
        table_html(headings, rows),
        *map(paragraph_html, sentences(results)),
    ]
    if figure := learning_curves(results):
        parts.append(picture_html(render(figure, "png"), "learning curves"))
    return "".join(parts)

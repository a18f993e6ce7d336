"""How the results of a sweep show themselves in a notebook: the table, what to know of it, the learning curves."""

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

from etude.drawing.style import render
from etude.sweeps.files import learning_curves, sentences, table_rows

if TYPE_CHECKING:
    from etude.sweeps.results import Results


def results_html(results: "Results") -> str:
    """The results as a self-contained piece of HTML."""
    headings, rows = table_rows(results)
    table = [_row("th", headings), *(_row("td", row) for row in rows)]
    sweep = results.sweep
    parts = [
        f"<h4>{escape(sweep.name)}: {escape(sweep.recipe.name)} on {escape(sweep.data_name)}</h4>",
        f"<table>{''.join(table)}</table>",
        *(f"<p>{escape(sentence)}</p>" for sentence in sentences(results)),
    ]
    if figure := learning_curves(results):
        picture = b64encode(render(figure, "png")).decode()
        parts.append(f'<img alt="learning curves" style="max-width: 100%" src="data:image/png;base64,{picture}">')
    return "".join(parts)


def _row(tag: str, texts: list[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(text)}</{tag}>' for text in texts)}</tr>"

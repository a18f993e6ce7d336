"""The files of a sweep's results: a row per run as CSV, a row per cell as Markdown, learning curves as a figure."""

from etude.drawing.style import render
from etude.files import write_atomically
from etude.sweeps.results import Results
from etude.sweeps.tables import csv_of, markdown_table

FILES = ("results.csv", "results.md", "learning-curves.png", "learning-curves.svg")


def write_files(results: Results) -> None:
    """Write results.csv, results.md and, once a run has finished, the learning curves into the sweep's folder."""
    contents: dict[str, bytes | str] = {"results.csv": to_csv(results), "results.md": to_markdown(results)}
    if figure := results.learning_curves():
        contents |= {"learning-curves.png": render(figure, "png"), "learning-curves.svg": render(figure, "svg")}
    for name, content in contents.items():
        write_atomically(results.sweep.path / name, content)


def to_csv(results: Results) -> str:
    """A row per run: cell, the grid's fields, seed, state, epochs done, seconds, and the last value of every metric."""
    rows, tables = [], {label: table for result in results.cells for label, table in result.tables.items()}
    for member in results.sweep.members():
        state, table = member.state, tables.get(member.label)
        place = {"cell": member.cell.name, **member.cell.changes, "seed": member.seed}
        status = "failed" if member.label in results.failures else state.status
        rest = {"state": status, "epochs_done": state.epoch, "seconds": round(state.seconds, 3)}
        rows.append({**place, **rest, **(table.last() if table else {})})
    return csv_of(rows)


def to_markdown(results: Results) -> str:
    """The table of results with its sentences."""
    headings, rows = results.table_rows()
    sweep = results.sweep
    title = f"# {sweep.name}: {sweep.recipe.name} on {sweep.data_name}"
    return "\n\n".join([title, markdown_table(headings, rows), *results.sentences()]) + "\n"

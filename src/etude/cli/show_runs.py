"""The list of `etude runs`: the runs and the sweeps of a folder."""

from datetime import datetime
from pathlib import Path
from typing import Any

from etude.cli import show_sweep
from etude.cli.printing import print_json, stdout_console
from etude.errors import EtudeError, printable
from etude.notebook import plain_table
from etude.runs import Run, default_runs_dir, list_paths


def table(runs_dir: Path | None, *, json: bool) -> None:
    """Print the runs and the sweeps in a folder."""
    folder = runs_dir or default_runs_dir()
    rows = [_row(path) for path in list_paths(folder)]
    sweeps = [show_sweep.listing(path) for path in show_sweep.list_paths(folder)]
    if json:
        print_json({"runs": rows, "sweeps": sweeps})
        return
    if not rows and not sweeps:
        print(f"no runs in {folder} yet: `etude train vae --data digits` makes one.")
        return
    table = []
    for row in rows:
        if row["state"] == "damaged":
            table.append([row["run"], "", "", "damaged", "", row["error"], ""])
            continue
        result = " ".join(f"{name} {value:.4g}" for name, value in row["headline"].items())
        epochs = f"{row['epoch']}/{row['epochs']}"
        begun = datetime.fromisoformat(row["created"]).astimezone().strftime("%d %b %H:%M")
        table.append([row["run"], row["recipe"], row["data"], row["state"], epochs, result, begun])
    console = stdout_console()
    if rows:
        printed = [[printable(cell) for cell in cells] for cells in table]
        console.print(
            plain_table(["run", "recipe", "data", "state", "epochs", "result", "begun"], printed, align="llllrl")
        )
    for each in sweeps:
        console.print(printable(show_sweep.describe(folder, each)), markup=False, soft_wrap=True)


def _row(path: Path) -> dict[str, Any]:
    """One run in the list. A damaged one says so and does not hide the others."""
    try:
        run = Run(path)
        state, metrics = run.state, run.metrics().last()
    except EtudeError as error:
        return {"run": path.name, "state": "damaged", "error": str(error)}
    headline = next((name for name in run.family.series.headline if name in metrics), None)
    return {
        "run": run.name,
        "recipe": run.recipe.name,
        "data": run.data_name,
        "state": state.status,
        "epoch": state.epoch,
        "epochs": run.recipe.epochs,
        "headline": {headline: metrics[headline]} if headline else {},
        "created": run.configuration["created"],
    }

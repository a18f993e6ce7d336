"""What the commands print of a sweep: its results, a line in a list, a comparison."""

from pathlib import Path
from typing import Any, Literal

from etude.cli.printing import print_json, stdout_console
from etude.errors import EtudeError
from etude.notebook import plain_table
from etude.sweeps import Comparison, Comparisons, Results, Sweep, collect, load, parse_grid, resume
from etude.sweeps import compare as compare_sweeps
from etude.sweeps import sweep as train_sweep
from etude.sweeps.files import FILES, write_files
from etude.sweeps.folder import find, list_paths

__all__ = [
    "compare_sweeps",
    "comparison",
    "describe",
    "find",
    "go_on",
    "list_paths",
    "listing",
    "parse_grid",
    "report",
    "show",
    "train_sweep",
]


def go_on(path: Path, *, jobs: int | None, trust: bool, quiet: bool, json: bool) -> None:
    """`etude resume` of a sweep."""
    report(resume(load(path, trust=trust), jobs=jobs, quiet=quiet), json=json)


def show(path: Path, *, interval: Literal["t", "bootstrap-t"], json: bool) -> None:
    """`etude show` of a sweep: its results so far."""
    results = collect(load(path), interval=interval)
    write_files(results)
    report(results, json=json)


def report(results: Results, *, json: bool) -> None:
    """Print the results."""
    sweep = results.sweep
    paths = [str(sweep.path / name) for name in FILES if (sweep.path / name).is_file()]
    if json:
        print_json({**results.to_dict(), "files": paths})
        return
    headings, rows = results.table_rows()
    headings = [heading.replace("/", "/\n", 1).replace(", ", "\n") for heading in headings]  # to fit into 80 columns
    console = stdout_console()
    console.print(f"{sweep.path}: {sweep.recipe.name} on {sweep.data_name}\n", markup=False, soft_wrap=True)
    console.print(plain_table(headings, rows))
    console.print()
    for sentence in (*results.sentences(), f"Files: {', '.join(paths)}"):
        console.print(sentence, markup=False, soft_wrap=True)


def comparison(found: Comparison | Comparisons, *, json: bool) -> None:
    """Print what a comparison of runs says."""
    if json:
        print_json(found.to_dict())
    else:
        print(found)


def listing(path: Path) -> dict[str, Any]:
    """One sweep in the list of `etude runs`; a damaged one says so."""
    try:
        sweep = Sweep(path)
        states = [member.state.status for member in sweep.members()]
    except EtudeError as error:
        return {"sweep": path.name, "error": str(error)}
    return {
        "sweep": sweep.name,
        "recipe": sweep.recipe.name,
        "data": sweep.data_name,
        "grid": {name: list(values) for name, values in sweep.grid.items()},
        "seeds": sweep.seeds,
        "runs": len(states),
        "finished": states.count("finished"),
        "failed": states.count("failed"),
        "created": sweep.created,
    }


def describe(folder: Path, listed: dict[str, Any]) -> str:
    """A sweep of that list on one line."""
    if "error" in listed:
        return f"sweep {listed['sweep']}: {listed['error']}"
    failed = f", {listed['failed']} failed" if listed["failed"] else ""
    return (
        f"sweep {listed['sweep']}: {listed['recipe']} on {listed['data']}, {listed['finished']} of {listed['runs']} "
        f"runs finished{failed}; `etude show {folder / listed['sweep']}`"
    )

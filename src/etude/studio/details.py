"""What the page of one run shows beside its curves: configuration, measures, pictures, code."""

import dataclasses
from functools import lru_cache
from pathlib import Path
from typing import Any

from etude import recipes
from etude.data.kinds import Images, Table
from etude.measurement.kept import kept_results
from etude.reports.commands import run_command
from etude.runs import Run, code
from etude.runs.checkpoint import list_steps
from etude.runs.remarks import read_remarks
from etude.studio.histories import History
from etude.studio.shelf import changed, read_inside


def details(path: Path, history: History) -> dict[str, Any]:
    """All of a run that is known without running its networks or a person's code."""
    run = Run(path)
    configuration, kind = run.configuration, run.kind
    return {
        "name": run.name,
        "state": dataclasses.asdict(run.state),
        "recipe": recipes.to_dict(run.recipe),
        "changed": _changed(run),
        "command": run_command(run).text,
        "about": run.family.about,
        "data": {
            **{key: configuration["dataset"][key] for key in ("train_images", "validation_images", "test_images")},
            "name": run.data_name,
            "plural": kind.plural,
            "shape": list(kind.shape),
            "classes": list(run.class_names),
            "points": isinstance(kind, Table) and kind.num_features == 2,
        },
        "execution": configuration["execution"],
        "versions": configuration["versions"],
        "created": configuration["created"],
        "conditional": run.conditional,
        "abilities": sorted(ability.__name__ for ability in run.family.abilities),
        "images": isinstance(kind, Images),
        "latents": run.recipe.num_latents,
        "panels": [dataclasses.asdict(panel) for panel in run.family.series.panels(run.recipe)],
        "columns": history.columns,
        "steps_per_epoch": run.steps_per_epoch,
        "checkpoints": list_steps(path / "checkpoints"),
        "measures": measures(run),
        "code": [entry["file"] for entry in configuration["code"]],
        "trusted": code.may_run(path, [run.recipe], configuration["code"]),
        "remarks": dataclasses.asdict(read_remarks(path)),
    }


def _changed(run: Run) -> dict[str, Any]:
    """The fields in which the run differs from the recipe of its name."""
    found = recipes.to_dict(run.recipe)
    usual = recipes.to_dict(recipes.RECIPES[run.recipe.name]) if run.recipe.name in recipes.RECIPES else {}
    return {name: value for name, value in found.items() if usual.get(name) != value and name != "seed"}


def measures(run: Run) -> list[dict[str, Any]]:
    """What `etude measure` found for its last weights, a row per metric of the test split."""
    return _measures(run.path, changed(run.path / "checkpoints"), changed(run.path / "measures"))


@lru_cache(maxsize=256)
def _measures(path: Path, *_changes: object) -> list[dict[str, Any]]:
    return [
        {"metric": kept.metric, "about": kept.about, "value": kept.result.value, "interval": kept.result.interval}
        | {"floor": kept.result.floor, "num_samples": kept.result.num_samples}
        for kept in kept_results(Run(path)).results
        if kept.split == "test"
    ]


def code_of(path: Path) -> dict[str, str]:
    """The code that a run keeps, by file, for its owner to read before trusting it."""
    entries = Run(path).configuration["code"]
    return {
        entry["file"]: read_inside(path, code.FOLDER, *Path(entry["file"]).parts).decode(errors="replace")
        for entry in entries
    }

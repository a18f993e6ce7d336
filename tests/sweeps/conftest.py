"""Sweeps made by hand, with the numbers that a test wants; nothing is trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etude import recipes
from etude.compute import Compute
from etude.runs import RunStatus, create_run
from etude.runs.events import EventWriter
from etude.sweeps import Sweep
from etude.sweeps.folder import prepare
from made_up import configuration


@pytest.fixture
def make_sweep(tmp_path: Path) -> Callable[..., Sweep]:
    """A function of the grid and of the runs of seeds 0, 1, … by cell.

    A run is what it wrote at the end of each epoch; or, of a classifier, its last accuracy on the validation and the
    test split, one number where they are the same; None where it failed. Seeds beyond the runs are still to come.
    """

    def make(
        grid: dict[str, list[Any]],
        runs: dict[str, list[Any]],
        *,
        recipe: str = "lenet",
        name: str | None = None,
        seeds: int | None = None,
        **changes: Any,
    ) -> Sweep:
        sweep = prepare(
            recipes.change(recipes.get(recipe), **{"data": "digits", "batch_size": 10, **changes}),
            grid,
            seeds=seeds or max(len(each) for each in runs.values()),
            name=name,
            runs_dir=tmp_path / "runs",
            data_dir=None,
            compute=Compute(device="cpu", threads=1),
        )
        for cell in sweep.cells:
            for member in sweep.members(cell):
                if member.seed >= len(runs.get(cell.name, [])):
                    continue
                member_recipe = recipes.change(cell.recipe, seed=member.seed)
                run = create_run(
                    member_recipe, name=member.path.name, runs_dir=sweep.path, configuration=configuration()
                )
                epochs = runs[cell.name][member.seed]
                if isinstance(epochs, int | float | tuple):
                    validation, test = epochs if isinstance(epochs, tuple) else (epochs, epochs)
                    epochs = [{"train/loss": 1.0, "validation/accuracy": validation, "test/accuracy": test}]
                if epochs is None:
                    run.write_state(RunStatus(status="failed", error="the loss is no longer finite."))
                    continue
                with EventWriter(run.path / "metrics.jsonl", size_bytes=0) as events:
                    for epoch, values in enumerate(epochs, start=1):
                        events.write(step=epoch * run.steps_per_epoch, epoch=epoch, values=values)
                run.write_state(RunStatus(status="finished", epoch=len(epochs), seconds=1.5))
        return sweep

    return make

"""What the tests of reports make up: recipes that train in a second, and runs and sweeps that were never trained."""

from pathlib import Path
from typing import Any

from etude import recipes
from etude.compute import Compute
from etude.runs import Run, RunStatus, create_run
from etude.runs.events import EventWriter
from etude.sweeps import Sweep
from etude.sweeps.folder import prepare
from made_up import configuration

TRAINED: dict[str, dict[str, Any]] = {
    "lenet": {"data": "digits", "train_images": 64, "batch_size": 16, "validation_images": 20, "epochs": 2},
    "vae": {"data": "digits", "train_images": 64},
    "flow": {"data": "digits", "train_images": 32, "batch_size": 16, "width": 16},
    "classifier": {"data": "moons", "train_images": 200},
    "text-classifier": {"data": "opinions", "train_images": 64, "validation_images": 20},
    "translate-luong": {
        "data": "pairs:pairs.tsv",
        "width": 8,
        "train_images": 32,
        "validation_images": 4,
        "batch_size": 16,
        "beam": 1,
    },
    "char-lstm": {"data": "python-docs", "width": 8, "layers": 1, "batch_size": 4, "train_images": 2_000},
}
"""By recipe: what makes each small enough to be trained in a second. `pairs.tsv` has PAIRS."""
PAIRS = "".join(
    f"{article} {noun} {verb}\tthe {thing} {does}\n"
    for article in ("der", "ein", "kein", "mein")
    for noun, thing in (("Hund", "dog"), ("Vogel", "bird"), ("Fisch", "fish"), ("Mann", "man"))
    for verb, does in (("bellt", "barks"), ("singt", "sings"), ("geht", "goes"), ("sieht", "sees"), ("hat", "has"))
)


def never_trained(
    folder: Path,
    recipe: recipes.Recipe,
    name: str = "run",
    *,
    accuracy: float = 0.5,
    class_names: tuple[str, ...] = tuple("0123456789"),
    state: RunStatus | None = None,
    changes: dict[str, Any] | None = None,
    events: dict[str, float] | None = None,
) -> Run:
    """A run with made-up numbers and without a checkpoint. `changes` are of its configuration."""
    made_up = {**configuration(class_names=class_names, images=100), **(changes or {})}
    run = create_run(recipe, name=name, runs_dir=folder, configuration=made_up)
    with EventWriter(run.path / "metrics.jsonl", size_bytes=0) as writer:
        values = {"train/loss": 1.0, "validation/accuracy": accuracy, "test/accuracy": accuracy}
        writer.write(step=10, epoch=1, values=values | (events or {}))
        size, checksum = writer.flush()
    state = state or RunStatus(
        status="finished", step=10, epoch=1, seconds=75.0, metrics_bytes=size, metrics_checksum=checksum
    )
    run.write_state(state)
    return run


def made_sweep(folder: Path, grid: dict[str, list[Any]], accuracies: list[list[float]], **changes: Any) -> Sweep:
    """A sweep of `lenet` with these test accuracies, by cell and by seed."""
    sweep = prepare(
        recipes.change(recipes.get("lenet"), **{"data": "digits", **changes}),
        grid,
        seeds=max(map(len, accuracies)),
        name="grid",
        runs_dir=folder,
        data_dir=None,
        compute=Compute(device="cpu", threads=1),
    )
    for cell, values in zip(sweep.cells, accuracies, strict=True):
        for member, accuracy in zip(sweep.members(cell), values, strict=False):
            never_trained(sweep.path, member.recipe, member.path.name, accuracy=accuracy)
    return sweep

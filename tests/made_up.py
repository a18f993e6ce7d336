"""What tests make up: a run that was never trained, and its configuration."""

from pathlib import Path
from typing import Any

import etude
from etude.data import Images
from etude.recipes import RECIPES
from etude.runs import Run, RunStatus, create_run
from etude.runs.events import EventWriter
from etude.training import Display


def configuration(
    *,
    image_shape: tuple[int, int, int] = (1, 28, 28),
    class_names: tuple[str, ...] = tuple("0123456789"),
    images: int = 100,
) -> dict[str, Any]:
    """What training writes into recipe.json beside the recipe; `images` is the number of training images."""
    dataset = {
        "name": "digits",
        "kind": Images(shape=image_shape, class_names=class_names).as_dict(),
        "train_images": images,
        "validation_images": 0,
        "test_images": 10,
        "data_dir": None,
        "digest": "",
    }
    return {
        "dataset": dataset,
        "execution": {"device": "cpu", "threads": 1, "precision": "fp32", "compiled": False},
        "versions": {},
    }


def make_run(folder: Path, name: str, recipe: str = "lenet") -> Run:
    """A finished run, never trained."""
    run = create_run(RECIPES[recipe], name=name, runs_dir=folder, configuration=configuration())
    with EventWriter(run.path / "metrics.jsonl", size_bytes=0) as events:
        events.write(step=10, epoch=1, values={"train/loss": 1.0, "validation/accuracy": 0.5, "test/accuracy": 0.5})
        size, checksum = events.flush()
    run.write_state(
        RunStatus(status="finished", step=10, epoch=1, seconds=1.0, metrics_bytes=size, metrics_checksum=checksum)
    )
    return run


def translator(folder: Path, recipe: str = "translate-luong", **changes: Any) -> Run:
    """A translator after two steps."""
    small = {
        "data": "clauses",
        "width": 8,
        "train_images": 32,
        "validation_images": 8,
        "batch_size": 16,
        "epochs": 1,
        "beam": 1,
    }
    return etude.train(
        recipe,
        **{"runs_dir": folder, "display": Display(quiet=True), "threads": 1, "precision": "fp32", **small, **changes},
    )

"""Where training stands: what a checkpoint must hold so that the rest of the run comes out the same bit for bit."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from etude.drawing.tiles import tile, write_png
from etude.errors import TrainingError
from etude.files import cannot_write
from etude.runs import Run, State
from etude.runs.checkpoint import (
    Best,
    Progress,
    list_steps,
    load_model,
    load_progress,
    load_trainer,
    network_tensors,
    optimizer_tensors,
    restore_networks,
    restore_optimizer,
    save_checkpoint,
)
from etude.runs.events import EventWriter
from etude.training.learner import Learner


@dataclass(kw_only=True)
class Place:
    """One run in training and where it stands; final."""

    run: Run
    learner: Learner
    events: EventWriter
    step: int
    """Steps done."""
    sums: Tensor
    """(2, losses): sums of the losses since the last report, and in this epoch."""
    best: Best | None
    started_at: float
    """When the run would have begun, had it run in one sitting; `time.monotonic()`."""

    @property
    def epoch(self) -> int:
        """Whole passes over the training images done."""
        return self.step // self.run.steps_per_epoch

    def write_state(self, status: str) -> None:
        """Record how far the run is, without a checkpoint."""
        self.run.write_state(State(status=status, step=self.step, epoch=self.epoch, seconds=self.seconds()))

    def seconds(self) -> float:
        """Wall-clock time spent on the run so far."""
        return time.monotonic() - self.started_at


def restore(run: Run, learner: Learner, device: str) -> Place:
    """Put the learner where the run's last checkpoint left it; where there is none, at the start."""
    folder = run.path / "checkpoints"
    steps = list_steps(folder)
    progress, sums = Progress(), torch.zeros(2, len(learner.loss_names), device=device)
    if steps:
        last = folder / f"step-{steps[-1]}"
        progress, tensors = load_progress(last), load_trainer(last)
        restore_networks(learner.networks, load_model(last), source=last)
        for name, optimizer in learner.optimizers.items():
            restore_optimizer(optimizer, tensors, f"optimizer/{name}")
        for name, generator in learner.streams.items():
            generator.set_state(tensors[f"stream/{name}"])
        sums = tensors["sums"].to(device)
    return Place(
        run=run,
        learner=learner,
        events=EventWriter(run.path / "metrics.jsonl", size_bytes=progress.metrics_bytes),
        step=progress.step,
        sums=sums,
        best=progress.best,
        started_at=time.monotonic() - progress.seconds,
    )


def save(place: Place, status: str) -> None:
    """Write a checkpoint and the run's state; refuses weights that are not finite."""
    learner = place.learner
    model = network_tensors(learner.networks)
    if not all(tensor.isfinite().all() for tensor in model.values()):
        raise diverged(place, "a weight")
    trainer = {"sums": place.sums}
    for name, optimizer in learner.optimizers.items():
        trainer |= optimizer_tensors(optimizer, f"optimizer/{name}")
    for name, generator in learner.streams.items():
        trainer[f"stream/{name}"] = generator.get_state()
    progress = Progress(
        step=place.step, metrics_bytes=place.events.size_bytes(), best=place.best, seconds=place.seconds()
    )
    save_checkpoint(place.run.path / "checkpoints", model=model, trainer=trainer, progress=progress)
    place.write_state(status)


def draw_preview(place: Place) -> None:
    """Write the family's picture of progress, if it has one, to samples/step-NNNNNN.png."""
    images = place.learner.preview()
    if images is not None:
        folder = place.run.path / "samples"
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error
        write_png(folder / f"step-{place.step:06d}.png", tile(images, columns=8))


def diverged(place: Place, what: str) -> TrainingError:
    """The error for a loss or weight that is NaN or infinite; the run is marked as failed."""
    run = place.run
    last = list_steps(run.path / "checkpoints")[-1]
    message = (
        f"{what} is no longer finite after step {place.step} of {run.path}: train again with a lower "
        f"--optimizer.learning-rate (now {run.recipe.optimizer.learning_rate:g}); "
        f"the last good checkpoint, step {last}, is kept."
    )
    seconds = load_progress(run.path / "checkpoints" / f"step-{last}").seconds
    epoch = last // run.steps_per_epoch
    run.write_state(State(status="failed", step=last, epoch=epoch, seconds=seconds, error=message))
    return TrainingError(message)

"""Where training stands: what a checkpoint must hold so that the rest of the run comes out the same bit for bit."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from etude.errors import TrainingError
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
    """The loop's own state, beside the learner's; final."""

    step: int
    """Steps done."""
    sums: Tensor
    """(2, losses): sums of the losses since the last report, and in this epoch."""
    best: Best | None
    started_at: float
    """When the run would have begun, had it run in one sitting; `time.monotonic()`."""
    metrics_bytes: int

    def seconds(self) -> float:
        """Wall-clock time spent on the run so far."""
        return time.monotonic() - self.started_at


def restore(run: Run, learner: Learner, device: str) -> Place:
    """Put the learner where the run's last checkpoint left it; where there is none, at the start."""
    sums = torch.zeros(2, len(learner.loss_names), device=device)
    folder = run.path / "checkpoints"
    steps = list_steps(folder)
    if not steps:
        return Place(step=0, sums=sums, best=None, started_at=time.monotonic(), metrics_bytes=0)
    last = folder / f"step-{steps[-1]}"
    progress, tensors = load_progress(last), load_trainer(last)
    restore_networks(learner.networks, load_model(last), source=last)
    for name, optimizer in learner.optimizers.items():
        restore_optimizer(optimizer, tensors, f"optimizer/{name}")
    for name, generator in learner.streams.items():
        generator.set_state(tensors[f"stream/{name}"])
    return Place(
        step=progress.step,
        sums=tensors["sums"].to(device),
        best=progress.best,
        started_at=time.monotonic() - progress.seconds,
        metrics_bytes=progress.metrics_bytes,
    )


def save(run: Run, learner: Learner, place: Place, events: EventWriter, state: State) -> None:
    """Write a checkpoint and the run's state; refuses weights that are not finite."""
    model = network_tensors(learner.networks)
    if not all(tensor.isfinite().all() for tensor in model.values()):
        raise diverged(run, place.step, "a weight")
    trainer = {"sums": place.sums}
    for name, optimizer in learner.optimizers.items():
        trainer |= optimizer_tensors(optimizer, f"optimizer/{name}")
    for name, generator in learner.streams.items():
        trainer[f"stream/{name}"] = generator.get_state()
    progress = Progress(step=place.step, metrics_bytes=events.size_bytes(), best=place.best, seconds=place.seconds())
    save_checkpoint(run.path / "checkpoints", model=model, trainer=trainer, progress=progress)
    run.write_state(state)


def diverged(run: Run, step: int, what: str) -> TrainingError:
    """The error for a loss or weight that is NaN or infinite; the run is marked as failed."""
    last = list_steps(run.path / "checkpoints")[-1]
    message = (
        f"{what} is no longer finite after step {step} of {run.path}: train again with a lower "
        f"--optimizer.learning-rate (now {run.recipe.optimizer.learning_rate:g}); "
        f"the last good checkpoint, step {last}, is kept."
    )
    seconds = load_progress(run.path / "checkpoints" / f"step-{last}").seconds
    epoch = last // run.steps_per_epoch
    run.write_state(State(status="failed", step=last, epoch=epoch, seconds=seconds, error=message))
    return TrainingError(message)

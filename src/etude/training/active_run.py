"""The state of a training: what a checkpoint must hold so that the rest of the run is the same bit for bit."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from etude.errors import RunError, TrainingError
from etude.families.learner import Learner
from etude.files import cannot_write, write_atomically
from etude.runs import Run, RunStatus
from etude.runs.checkpoint import (
    TRAINER,
    Best,
    Progress,
    damaged,
    drop,
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
from etude.runs.event_file import EventFile
from etude.runs.events import EventWriter, read_events


@dataclass(kw_only=True)
class ActiveRun:
    """One run in training, and how far it is; final."""

    run: Run
    learner: Learner[Any]
    events: EventWriter
    step: int
    """The number of steps done."""
    sums: Tensor
    """(2, losses): sums of the losses since the last report, and in this epoch."""
    best: Best | None
    started_at: float
    """Start time as if all sessions had run back to back (`time.monotonic()`)."""

    @property
    def epoch(self) -> int:
        """The number of whole passes over the training images."""
        return self.step // self.run.steps_per_epoch

    def write_state(self, status: str) -> None:
        """Record how far the run is, without a checkpoint, once all its events are on disk."""
        size_bytes, checksum = self.events.flush()
        self.run.write_state(
            RunStatus(
                status=status,
                step=self.step,
                epoch=self.epoch,
                seconds=self.seconds(),
                metrics_bytes=size_bytes,
                metrics_checksum=checksum,
            )
        )

    def seconds(self) -> float:
        """Wall-clock time spent on the run so far."""
        return time.monotonic() - self.started_at


def restore(
    run: Run, learner: Learner[Any], device: str, *, say: Callable[[str], None], tensorboard: Path | None = None
) -> ActiveRun:
    """Restore the learner from the run's newest intact checkpoint. Without one, start at the beginning.

    What the run records from here on is also written for TensorBoard, into a folder in `tensorboard`. `say` is told
    about damaged checkpoints. Raises `RunError` if all are damaged, or the metrics file is.
    """
    folder = run.path / "checkpoints"
    progress, sums = Progress(), torch.zeros(2, len(learner.loss_names), device=device)
    damage: RunError | None = None
    steps = list_steps(folder)
    for step in reversed(steps):
        try:
            progress, sums = _restore(learner, folder / f"step-{step}", device)
        except RunError as error:
            damage = damage or error
            continue
        if damage:
            say(f"{str(damage).partition('; delete')[0]}; going on from step {step}, the last whole one.")
        break
    else:
        if damage:
            raise RunError(
                f"{str(damage).partition('; delete')[0]}; no checkpoint before it is whole: train the run again."
            )
    metrics = run.path / "metrics.jsonl"
    kept = read_events(metrics, size_bytes=progress.metrics_bytes, checksum=progress.metrics_checksum)
    if steps:
        # What the state says about the metrics file must hold before the file is cut, and after.
        run.write_state(
            RunStatus(
                status="running",
                step=progress.step,
                epoch=progress.step // run.steps_per_epoch,
                seconds=progress.seconds,
                metrics_bytes=progress.metrics_bytes,
                metrics_checksum=progress.metrics_checksum,
            )
        )
    for step in steps:
        if step > progress.step:  # damaged: training writes it again
            drop(folder / f"step-{step}")
    mirror = None
    if tensorboard:
        identity = run.configuration["created"]
        at = progress.step if steps else -1
        mirror = EventFile(tensorboard / run.name, identity=identity, num_events=len(kept), step=at)
    return ActiveRun(
        run=run,
        learner=learner,
        events=EventWriter(metrics, size_bytes=progress.metrics_bytes, mirror=mirror),
        step=progress.step,
        sums=sums,
        best=progress.best,
        started_at=time.monotonic() - progress.seconds,
    )


def _restore(learner: Learner[Any], checkpoint: Path, device: str) -> tuple[Progress, Tensor]:
    """Restore the learner from a checkpoint: how far training was, and the sums of its losses."""
    progress, tensors = load_progress(checkpoint), load_trainer(checkpoint)
    restore_networks(learner.networks, load_model(checkpoint), source=checkpoint)
    try:
        restore_trainer(learner, tensors)
        return progress, tensors["sums"].to(device)
    except (KeyError, IndexError, ValueError, TypeError, RuntimeError) as error:  # of another étude or PyTorch
        raise damaged(checkpoint / TRAINER, f"does not fit this training ({error})") from error


def trainer_tensors(learner: Learner[Any]) -> dict[str, Tensor]:
    """What a learner needs to continue, in addition to its networks: optimizer moments, random streams, what it
    carries."""
    tensors: dict[str, Tensor] = {}
    for name, optimizer in learner.optimizers.items():
        tensors |= optimizer_tensors(optimizer, f"optimizer/{name}")
    for name, generator in learner.streams.items():
        tensors[f"stream/{name}"] = generator.get_state()
    return tensors | {f"state/{name}": value for name, value in learner.state.items()}


def restore_trainer(learner: Learner[Any], tensors: dict[str, Tensor]) -> None:
    """Restore what `trainer_tensors` gave."""
    for name, optimizer in learner.optimizers.items():
        restore_optimizer(optimizer, tensors, f"optimizer/{name}")
    for name, generator in learner.streams.items():
        generator.set_state(tensors[f"stream/{name}"])
    for name, value in learner.state.items():
        value.copy_(tensors[f"state/{name}"])


def save(active: ActiveRun, status: str) -> None:
    """Write a checkpoint and the run's state. Weights that are not finite are refused."""
    learner = active.learner
    model = network_tensors(learner.networks)
    if not all(tensor.isfinite().all() for tensor in model.values()):
        raise diverged(active, "a weight")
    trainer = {"sums": active.sums, **trainer_tensors(learner)}
    size_bytes, checksum = active.events.flush()
    progress = Progress(
        step=active.step,
        metrics_bytes=size_bytes,
        metrics_checksum=checksum,
        best=active.best,
        seconds=active.seconds(),
    )
    save_checkpoint(active.run.path / "checkpoints", model=model, trainer=trainer, progress=progress)
    active.write_state(status)


def draw_preview(active: ActiveRun) -> None:
    """Write the family's preview, if it has one, to samples/step-NNNNNN.png, or .txt if it is a text."""
    preview = active.learner.preview()
    if preview is not None:
        folder = active.run.path / "samples"
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error
        content = preview.content()
        write_atomically(folder / f"step-{active.step:06d}{preview.suffix}", content)
        if active.events.mirror and preview.suffix == ".png":
            active.events.mirror.picture(active.step, content)


def diverged(active: ActiveRun, what: str) -> TrainingError:
    """The error for a loss or weight that is NaN or infinite. The run is marked as failed."""
    run = active.run
    last = list_steps(run.path / "checkpoints")[-1]
    message = (
        f"{what} is no longer finite after step {active.step} of {run.path}: train again with a lower "
        f"--optimizer.learning-rate (now {run.recipe.optimizer.learning_rate:g}); "
        f"the last good checkpoint, step {last}, is kept."
    )
    size_bytes, checksum = active.events.flush()
    run.write_state(
        RunStatus(
            status="failed",
            step=last,
            epoch=last // run.steps_per_epoch,
            seconds=load_progress(run.path / "checkpoints" / f"step-{last}").seconds,
            error=message,
            metrics_bytes=size_bytes,
            metrics_checksum=checksum,
        )
    )
    return TrainingError(message)

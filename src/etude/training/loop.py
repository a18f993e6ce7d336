"""The training loop: the one place where a run goes from step to step, whatever its family."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from etude.data import Dataset
from etude.errors import Interrupted, RunError, TrainingError
from etude.files import disk_failures_said
from etude.runs import Run
from etude.runs.checkpoint import Best, drop_old
from etude.training.display import Display
from etude.training.execution import Execution
from etude.training.families import create_learner
from etude.training.images import TrainingImages, training_images
from etude.training.learner import Learner
from etude.training.place import Place, diverged, draw_preview, restore, save
from etude.training.steps import make_step
from etude.training.stopping import stop_requests

T = TypeVar("T")


def fit(runs: Sequence[Run], dataset: Dataset, *, execution: Execution, display: Display) -> None:
    """Train runs to their end, from their last checkpoints if they have any: bit for bit as if never interrupted.

    The caller holds their `training_lock`s.
    One run is the usual case. Several, which differ as `replicas.program_key` allows and stand at the same step, take
    each step together as one program; one that diverges is marked as failed and left behind.

    Raises `Interrupted` after Ctrl-C or SIGTERM (all is saved), `TrainingError` when the last run's loss is no longer
    finite.
    """
    recipe, steps_per_epoch = runs[0].recipe, runs[0].steps_per_epoch
    total_steps = recipe.epochs * steps_per_epoch
    with ExitStack() as held, execution.active(), stop_requests() as stop, display:
        held.enter_context(disk_failures_said(runs[0].path))
        learners = [create_learner(run.recipe, dataset, execution) for run in runs]
        images = training_images(runs, dataset, execution.device)
        places = [
            restore(run, learner, execution.device, say=display.warn)
            for run, learner in zip(runs, learners, strict=True)
        ]
        for place in places:
            held.enter_context(place.events)
            if place.step != places[0].step:
                raise RunError(
                    f"run {place.run.path} stands at step {place.step}, {runs[0].path} at {places[0].step}, so they "
                    "are no longer one program: go on with each by `etude resume RUN`."
                )
        step = make_step(learners, images.used, execution)
        sums = torch.stack([place.sums for place in places], dim=1)  # (2, runs, losses)
        for index, place in enumerate(places):
            place.sums = sums[:, index]
        done = places[0].step
        display.start(title(runs), total_steps=total_steps, done_steps=done)
        display.note(f"{title(runs)}: computed on {execution}")

        if done == 0:
            for_each(places, begin)

        while done < total_steps:
            epoch, first_batch = done // steps_per_epoch + 1, done % steps_per_epoch
            batches = images.batches(runs, epoch)  # (steps, runs, images)

            for batch, rows in enumerate(batches[first_batch:], start=first_batch):
                if stop:
                    for_each(places, partial(save, status="interrupted"))
                    raise Interrupted(
                        f"stopped after step {done} of {total_steps}, all is saved: "
                        f"go on with `etude resume {runs[0].path}`.",
                        signal=stop.signal,
                    )

                sums += step(rows, recipe.optimizer.schedule_at(done / total_steps))

                done += 1
                for place in places:
                    place.step = done
                since_report = (done - 1) % recipe.report_every + 1
                display.step(done, lambda n=since_report: mean_losses(places[0].learner, places[0].sums[0], n))

                if since_report == recipe.report_every:
                    values = for_each(places, partial(report, epoch=epoch))
                    display.report(epoch=epoch, batch=batch + 1, losses=values[0])

            # The end of an epoch: what was learned, a picture, a checkpoint.
            values = for_each(places, partial(end_epoch, images=images))
            display.epoch(epoch=epoch, epochs=recipe.epochs, step=done, values=values[0])

        for_each(places, partial(finish, images=images))


def title(runs: Sequence[Run]) -> str:
    """What the runs are called together."""
    return runs[0].name if len(runs) == 1 else f"{runs[0].name} and {len(runs) - 1} more"


def for_each(places: list[Place], do: Callable[[Place], T]) -> list[T]:
    """Do it for each run; one that has diverged is taken out of `places`, and of the last one the error is raised."""
    results: list[T] = []
    for place in list(places):
        try:
            results.append(do(place))
        except TrainingError:
            places.remove(place)
            if not places:
                raise
    return results


def begin(place: Place) -> None:
    """Before the first step: a picture and a checkpoint of what the networks start from."""
    draw_preview(place)
    save(place, status="running")


def report(place: Place, *, epoch: int) -> dict[str, float]:
    """Every `report_every` steps: the mean losses since the last time, into the metrics file."""
    values = mean_losses(place.learner, place.sums[0], place.run.recipe.report_every)
    require_finite(place, values)
    place.sums[0] = 0
    running = {f"running/{name}": value for name, value in values.items()}
    place.events.write(step=place.step, epoch=epoch, values=running)
    if place.learner.preview_each == "report":
        draw_preview(place)
    return values


def end_epoch(place: Place, *, images: TrainingImages) -> dict[str, float]:
    """The mean losses of the epoch and the evaluation, into the metrics file; a picture, a checkpoint."""
    run, learner, epoch = place.run, place.learner, place.epoch
    means = mean_losses(learner, place.sums[1], run.steps_per_epoch)
    require_finite(place, means)
    values = {f"train/{name}": value for name, value in means.items()}
    values |= learner.evaluate_epoch(images.validation(run), images.test)
    place.sums[1] = 0
    place.best = better(place.best, learner, values, place.step)
    place.events.write(step=place.step, epoch=epoch, values=values)
    if learner.preview_each == "epoch" or epoch == run.recipe.epochs:
        draw_preview(place)
    save(place, status="running")
    return values


def finish(place: Place, *, images: TrainingImages) -> None:
    """The end of training: what the test split says."""
    drop_old(place.run.path / "checkpoints", step=place.step, best=place.best)  # a kill may have come before
    if values := place.learner.evaluate_end(images.test, place.run.class_names):
        place.events.write(step=place.step, epoch=place.epoch, values=values)
    place.write_state("finished")


def mean_losses(learner: Learner, sums: Tensor, num_steps: int) -> dict[str, float]:
    """Mean losses by name, out of their sums over steps."""
    return dict(zip(learner.loss_names, (sums / num_steps).tolist(), strict=True))


def require_finite(place: Place, values: dict[str, float]) -> None:
    """Stop with `TrainingError` when a loss has become NaN or infinite."""
    if not all(map(math.isfinite, values.values())):
        raise diverged(place, "the loss")


def better(best: Best | None, learner: Learner, values: dict[str, float], step: int) -> Best | None:
    """The better of the best checkpoint so far and this one, by the validation metric of the family."""
    metric = learner.best_by
    if metric is None or metric not in values:
        return best
    sign = 1 if metric.endswith("accuracy") else -1
    if best is None or sign * values[metric] > sign * best.value:
        return Best(step=step, metric=metric, value=values[metric])
    return best

"""The training loop: the one place where a run goes from step to step, whatever its family."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from etude.compute import Execution
from etude.data import Dataset
from etude.errors import Interrupted, RunError, TrainingError
from etude.families.learner import Learner
from etude.files import disk_failures_said
from etude.runs import Run
from etude.runs.checkpoint import Best, drop_old
from etude.speed.execution import computing
from etude.speed.steps import make_step
from etude.training.active_run import ActiveRun, diverged, draw_preview, restore, save
from etude.training.display import Display
from etude.training.examples import Examples, examples_of
from etude.training.learners import create_learner
from etude.training.stopping import stop_requests

T = TypeVar("T")


def fit(
    runs: Sequence[Run],
    dataset: Dataset,
    *,
    execution: Execution,
    display: Display,
    tensorboard: Path | None = None,
) -> None:
    """Train runs to their end, from their last checkpoints if they have any: bit for bit as if never interrupted.

    The caller holds their `training_lock`s.
    One run is the usual case. Several, which differ as `replicas.program_key` allows and stand at the same step, take
    each step together as one program; one that diverges is marked as failed and left behind.
    In `tensorboard` each gets a folder of event files, written as it goes.

    Raises `Interrupted` after Ctrl-C or SIGTERM (all is saved), `TrainingError` when the last run's loss is no longer
    finite.
    """
    recipe, steps_per_epoch = runs[0].recipe, runs[0].steps_per_epoch
    total_steps = recipe.epochs * steps_per_epoch
    with ExitStack() as held, computing(execution), stop_requests() as stop, display:
        held.enter_context(disk_failures_said(runs[0].path))
        learners = [create_learner(run.recipe, dataset, execution) for run in runs]
        examples = examples_of(runs, dataset, execution.device)
        active_runs = [
            restore(run, learner, execution.device, say=display.warn, tensorboard=tensorboard)
            for run, learner in zip(runs, learners, strict=True)
        ]
        for active in active_runs:
            held.enter_context(active.events)
            if active.step != active_runs[0].step:
                raise RunError(
                    f"run {active.run.path} stands at step {active.step}, {runs[0].path} at "
                    f"{active_runs[0].step}, so they are no longer one program: go on with each by `etude resume RUN`."
                )
        step = make_step(learners, examples.used, execution)
        sums = torch.stack([active.sums for active in active_runs], dim=1)  # (2, runs, losses)
        for index, active in enumerate(active_runs):
            active.sums = sums[:, index]
        done = active_runs[0].step
        display.start(title(runs), total_steps=total_steps, done_steps=done)
        display.note(f"{title(runs)}: computed on {execution}")

        if done == 0:
            for_each(active_runs, begin)

        while done < total_steps:
            epoch, first_batch = done // steps_per_epoch + 1, done % steps_per_epoch
            batches = examples.batches(runs, learners, epoch)  # (steps, runs, batch)

            for batch, rows in enumerate(batches[first_batch:], start=first_batch):
                if stop:
                    for_each(active_runs, partial(save, status="interrupted"))
                    raise Interrupted(
                        f"stopped after step {done} of {total_steps}, all is saved: "
                        f"go on with `etude resume {runs[0].path}`.",
                        signal=stop.signal,
                    )

                sums += step(rows, recipe.optimizer.rates_at(done, total_steps))

                done += 1
                for active in active_runs:
                    active.step = done
                since_report = (done - 1) % recipe.report_every + 1
                display.step(done, partial(running_losses, active_runs[0], since_report))

                if since_report == recipe.report_every:
                    values = for_each(active_runs, partial(report, epoch=epoch))
                    display.report(epoch=epoch, batch=batch + 1, losses=values[0])

            # The end of an epoch: what was learned, a picture, a checkpoint.
            values = for_each(active_runs, partial(end_epoch, examples=examples))
            display.epoch(epoch=epoch, epochs=recipe.epochs, step=done, values=values[0])

        for_each(active_runs, partial(finish, examples=examples))


def title(runs: Sequence[Run]) -> str:
    """What the runs are called together."""
    return runs[0].name if len(runs) == 1 else f"{runs[0].name} and {len(runs) - 1} more"


def for_each(active_runs: list[ActiveRun], do: Callable[[ActiveRun], T]) -> list[T]:
    """Do it for each run. One that has diverged leaves `active_runs`; the last one's error is raised."""
    results: list[T] = []
    for active in list(active_runs):
        try:
            results.append(do(active))
        except TrainingError:
            active_runs.remove(active)
            if not active_runs:
                raise
    return results


def begin(active: ActiveRun) -> None:
    """Before the first step: a picture and a checkpoint of what the networks start from."""
    draw_preview(active)
    save(active, status="running")


def report(active: ActiveRun, *, epoch: int) -> dict[str, float]:
    """Every `report_every` steps: the mean losses since the last time, into the metrics file."""
    values = running_losses(active, active.run.recipe.report_every)
    require_finite(active, values)
    active.sums[0] = 0
    running = {f"running/{name}": value for name, value in values.items()}
    active.events.write(step=active.step, epoch=epoch, values=running)
    if active.learner.preview_each == "report":
        draw_preview(active)
    return values


def end_epoch(active: ActiveRun, *, examples: Examples) -> dict[str, float]:
    """The mean losses of the epoch and the evaluation, into the metrics file; a picture, a checkpoint."""
    run, learner, epoch = active.run, active.learner, active.epoch
    means = mean_losses(learner, active.sums[1], run.steps_per_epoch)
    require_finite(active, means)
    values = {f"train/{name}": value for name, value in means.items()}
    values |= learner.evaluate_epoch(examples.validation(run), examples.test)
    active.sums[1] = 0
    active.best = better(active.best, learner, values, active.step)
    active.events.write(step=active.step, epoch=epoch, values=values)
    if learner.preview_each == "epoch" or epoch == run.recipe.epochs:
        draw_preview(active)
    save(active, status="running")
    return values


def finish(active: ActiveRun, *, examples: Examples) -> None:
    """The end of training: what the test split says."""
    drop_old(active.run.path / "checkpoints", step=active.step, best=active.best)  # a kill may have come before
    if values := active.learner.evaluate_end(examples.test):
        active.events.write(step=active.step, epoch=active.epoch, values=values)
    active.write_state("finished")


def running_losses(active: ActiveRun, num_steps: int) -> dict[str, float]:
    """The mean losses of the steps since the last report."""
    return mean_losses(active.learner, active.sums[0], num_steps)


def mean_losses(learner: Learner[Any], sums: Tensor, num_steps: int) -> dict[str, float]:
    """Mean losses by name, out of their sums over steps."""
    return dict(zip(learner.loss_names, (sums / num_steps).tolist(), strict=True))


def require_finite(active: ActiveRun, values: dict[str, float]) -> None:
    """Stop with `TrainingError` when a loss has become NaN or infinite."""
    if not all(map(math.isfinite, values.values())):
        raise diverged(active, "the loss")


def better(best: Best | None, learner: Learner[Any], values: dict[str, float], step: int) -> Best | None:
    """The better of the best checkpoint so far and this one, by the validation metric of the family."""
    metric = learner.best_by
    if metric is None or metric not in values:
        return best
    sign = 1 if metric.endswith("accuracy") else -1
    if best is None or sign * values[metric] > sign * best.value:
        return Best(step=step, metric=metric, value=values[metric])
    return best

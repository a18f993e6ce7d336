"""The training loop: the one place where a run goes from step to step, whatever its family."""

import torch
from torch import Tensor

from etude.drawing.tiles import tile, write_png
from etude.errors import Interrupted
from etude.files import cannot_write
from etude.runs import Run, State
from etude.runs.checkpoint import Best
from etude.runs.events import EventWriter
from etude.runs.lock import training_lock
from etude.runs.splits import Splits
from etude.runs.streams import stream
from etude.training.display import Display
from etude.training.execution import Execution
from etude.training.families import create_learner
from etude.training.learner import Learner
from etude.training.place import diverged, restore, save
from etude.training.stopping import stop_requests
from etude.training.whole_step import make_step


def fit(run: Run, splits: Splits, *, execution: Execution, display: Display) -> None:
    """Train `run` to its end, from its last checkpoint if it has one: bit for bit as if never interrupted.

    Raises `Interrupted` after Ctrl-C or SIGTERM (all is saved), `TrainingError` when a loss is no longer finite.
    """
    recipe, device = run.recipe, execution.device
    with training_lock(run.path), execution.active(), stop_requests() as stop, display:
        learner = create_learner(
            recipe, splits, execution, image_shape=run.image_shape, num_classes=len(run.class_names)
        )
        train, validation, test = (learner.to_pixels(split, device) for split in splits)
        steps_per_epoch = run.steps_per_epoch
        total_steps = recipe.epochs * steps_per_epoch
        place = restore(run, learner, device)
        step = make_step(learner, train, execution)
        display.start(run.name, total_steps=total_steps, done_steps=place.step)
        display.note(f"{run.name}: computed on {execution}")

        with EventWriter(run.path / "metrics.jsonl", size_bytes=place.metrics_bytes) as events:
            if place.step == 0:
                draw_preview(run, learner, place.step)
                save(run, learner, place, events, State(status="running"))

            while place.step < total_steps:
                done_epochs, first_batch = divmod(place.step, steps_per_epoch)
                epoch = done_epochs + 1
                order = torch.randperm(len(train), generator=stream(recipe.seed, f"order/{epoch}")).to(device)
                batches = order[: steps_per_epoch * recipe.images_per_step].view(steps_per_epoch, -1)

                for batch, rows in enumerate(batches[first_batch:], start=first_batch):
                    if stop:
                        seconds = place.seconds()
                        state = State(status="interrupted", step=place.step, epoch=done_epochs, seconds=seconds)
                        save(run, learner, place, events, state)
                        raise Interrupted(
                            f"stopped after step {place.step} of {total_steps}, all is saved: "
                            f"go on with `etude resume {run.path}`.",
                            signal=stop.signal,
                        )
                    set_learning_rate(learner, recipe.optimizer.learning_rate_at(place.step / total_steps))

                    losses = step(rows)

                    place.sums += torch.stack([losses[name] for name in learner.loss_names])
                    place.step += 1
                    since_report = (place.step - 1) % recipe.report_every + 1
                    display.step(place.step, lambda sums=place.sums[0], n=since_report: mean_losses(learner, sums, n))

                    if since_report == recipe.report_every:
                        values = mean_losses(learner, place.sums[0], since_report)
                        require_finite(run, place.step, place.sums)
                        place.sums[0] = 0
                        running = {f"running/{name}": value for name, value in values.items()}
                        events.write(step=place.step, epoch=epoch, values=running)
                        display.report(epoch=epoch, batch=batch + 1, losses=values)
                        if learner.preview_each == "report":
                            draw_preview(run, learner, place.step)

                # The end of an epoch: what was learned, a picture, a checkpoint.
                require_finite(run, place.step, place.sums)
                means = mean_losses(learner, place.sums[1], steps_per_epoch)
                values = {f"train/{name}": value for name, value in means.items()}
                values |= learner.evaluate_epoch(validation, test)
                place.sums[1] = 0
                place.best = better(place.best, learner, values, place.step)
                events.write(step=place.step, epoch=epoch, values=values)
                display.epoch(epoch=epoch, epochs=recipe.epochs, step=place.step, values=values)
                if learner.preview_each == "epoch" or place.step == total_steps:
                    draw_preview(run, learner, place.step)
                state = State(status="running", step=place.step, epoch=epoch, seconds=place.seconds())
                save(run, learner, place, events, state)

            if values := learner.evaluate_end(test, run.class_names):
                events.write(step=place.step, epoch=recipe.epochs, values=values)
        finished = State(status="finished", step=place.step, epoch=recipe.epochs, seconds=place.seconds())
        run.write_state(finished)


def set_learning_rate(learner: Learner, learning_rate: float) -> None:
    """Give every optimizer the learning rate of this step."""
    for optimizer in learner.optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = learning_rate


def mean_losses(learner: Learner, sums: Tensor, num_steps: int) -> dict[str, float]:
    """Mean losses by name, out of their sums over steps."""
    return dict(zip(learner.loss_names, (sums / num_steps).tolist(), strict=True))


def require_finite(run: Run, step: int, sums: Tensor) -> None:
    """Stop with `TrainingError` when a loss has become NaN or infinite."""
    if not sums.isfinite().all():
        raise diverged(run, step, "the loss")


def better(best: Best | None, learner: Learner, values: dict[str, float], step: int) -> Best | None:
    """The better of the best checkpoint so far and this one, by the validation metric of the family."""
    metric = learner.best_by
    if metric is None or metric not in values:
        return best
    sign = 1 if metric.endswith("accuracy") else -1
    if best is None or sign * values[metric] > sign * best.value:
        return Best(step=step, metric=metric, value=values[metric])
    return best


def draw_preview(run: Run, learner: Learner, step: int) -> None:
    """Write the family's picture of progress, if it has one, to samples/step-NNNNNN.png."""
    images = learner.preview()
    if images is not None:
        folder = run.path / "samples"
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error
        write_png(folder / f"step-{step:06d}.png", tile(images, columns=8))

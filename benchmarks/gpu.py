"""Everything that étude promises of a GPU, in one call and one table: `python benchmarks/gpu.py`.

    python benchmarks/gpu.py                 # the programme of an H100: gan, dcgan, vae, lenet, 64 seeds, cifar-fast
    python benchmarks/gpu.py --compile on    # the same with the step compiled before it is recorded
    python benchmarks/gpu.py --quick         # the same programme at a tiny size, on a CPU too: does it run at all?

Seconds are those of training as a person waits for them: set-up, evaluation, pictures and checkpoints included;
starting Python and reading the data are not. The checks compare what the fast programs learn with the plain ones on
this device.
"""

import argparse
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from etude import recipes
from etude.data import load
from etude.metrics import summarize
from etude.recipes import Recipe
from etude.runs import Run
from etude.runs.checkpoint import load_model
from etude.training import Display
from etude.training.execution import choose_execution
from etude.training.families import create_learner
from etude.training.start import train_together
from etude.training.steps import eager_step, make_step

# Recipe: epochs, seconds that they may take on an H100, and the metric that says whether anything was learned.
CASES = {
    "gan": (10, 4, "train/generator_loss"),
    "dcgan": (5, 5, "train/generator_loss"),
    "vae": (10, 6, "test/loss_nats"),
    "lenet": (20, 30, "test/accuracy"),
}
SEEDS, SPEED_UP = 64, 20
RACES, RACE_SECONDS = 10, 10
"""Runs of cifar-fast, one after the other, and the seconds that one may take."""
CHECKED_STEPS, TOLERANCE = 100, 1e-5


class Watch(Display):
    """Notes when each epoch ended."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.ends: list[float] = []

    def epoch(self, *, epoch: int, epochs: int, step: int, values: dict[str, float]) -> None:
        """At the end of an epoch."""
        self.ends.append(time.perf_counter())

    def steps_per_second(self, run: Run) -> float:
        """In the second epoch, when all is set up; its evaluation and checkpoints included."""
        return run.steps_per_epoch / (self.ends[1] - self.ends[0])


def sized(name: str, *, epochs: int, quick: bool) -> Recipe:
    """A recipe for so many epochs; at the tiny size two short ones on the digits."""
    recipe = recipes.change(recipes.get(name), epochs=epochs)
    return recipes.change(recipe, data="digits", epochs=2, train_images=256, batch_size=16) if quick else recipe


def train(members: list[Recipe], runs_dir: Path, how: dict[str, Any]) -> tuple[list[Run], Watch]:
    """Runs of one program, and the watch that was held over them."""
    watch, names = Watch(), [None] * len(members)
    return train_together(members, names=names, runs_dir=runs_dir, data_dir=None, display=watch, **how), watch


def seeds(recipe: Recipe, number: int) -> list[Recipe]:
    """The recipe with each of the first seeds."""
    return [replace(recipe, seed=seed) for seed in range(number)]


def race(seed: int, *, quick: bool) -> Recipe:
    """cifar-fast at the size of the published speed-runs."""
    recipe = sized("cifar-fast", epochs=10, quick=quick)
    if quick:
        return recipes.change(recipe, width=4, seed=seed)
    optimizer = replace(recipe.optimizer, learning_rate=1.5, weight_decay=1.3e-3)
    return recipes.change(recipe, width=64, batch_size=1024, optimizer=optimizer, seed=seed)


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Between weights of the same names."""
    return max((value - other[key]).abs().max().item() for key, value in one.items())


def check_step(how: dict[str, Any]) -> float:
    """How far the weights of lenet are from those of PyTorch's own operations after some steps."""
    dataset, recipe = load("digits"), recipes.change(recipes.get("lenet"), data="digits", batch_size=12)
    execution = choose_execution("lenet", num_steps=0, images_per_step=recipe.batch_size, **how)
    weights = []
    for make in (make_step, lambda learners, train, _: eager_step(learners[0], train)):
        learner = create_learner(recipe, dataset, execution)
        train = dataset.train.to(execution.device)
        generator = torch.Generator().manual_seed(0)
        with execution.active():
            step = make([learner], train, execution)
            for _ in range(CHECKED_STEPS):
                step(torch.randint(len(train), (1, 12), generator=generator).to(execution.device), 1.0)
        weights.append(learner.networks["lenet"].state_dict())
    return largest_difference(*weights)


def check_replicas(runs_dir: Path, how: dict[str, Any]) -> float:
    """How far replicas of lenet are from the runs that each is alone, after some steps."""
    images = CHECKED_STEPS * 12
    recipe = recipes.change(recipes.get("lenet"), data="digits", batch_size=12, train_images=images, epochs=1)
    members = [replace(recipe, seed=seed) for seed in (3, 4, 8)]
    together, _ = train(members, runs_dir, how)
    differences = []
    for member, replica in zip(members, together, strict=True):
        (alone,), _ = train([member], runs_dir, how)
        differences.append(largest_difference(*(load_model(run.checkpoint_path()) for run in (replica, alone))))
    return max(differences)


def mean_and_interval(values: list[float], form: str) -> str:
    """Of several runs, with the interval of their mean."""
    summary = summarize(np.asarray(values))
    assert summary.interval
    mean, low, high = (form.format(value) for value in (summary.mean, summary.interval.low, summary.interval.high))
    return f"{mean} (95 % {low} to {high})"


def row(*cells: str) -> None:
    """A line of the table, as soon as it is known."""
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Run the programme."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", default="off", choices=("on", "off"))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    how = {"device": arguments.device, "threads": None, "precision": "fp32", "compile": arguments.compile}
    execution = choose_execution("lenet", num_steps=0, images_per_step=4, **how)
    gpu = torch.cuda.get_device_name() if execution.device == "cuda" else "no GPU"
    print(f"{gpu}; {platform.machine()}; torch {torch.__version__}; {execution}\n")
    row("what", "measured", "wanted on an H100", "learned")
    row("---", "---", "---", "---")
    with tempfile.TemporaryDirectory() as folder:
        solo_rate = 0.0
        for name, (epochs, limit, metric) in CASES.items():
            (run,), watch = train([sized(name, epochs=epochs, quick=arguments.quick)], Path(folder), how)
            solo_rate, state = watch.steps_per_second(run), run.state  # of lenet in the end, which is the last
            what = f"`{name}`, {run.recipe.epochs} epochs at batch {run.recipe.batch_size}, {state.step:,} steps"
            measured = f"{state.seconds:.1f} s ({solo_rate:,.0f} steps/s)"
            row(what, measured, f"≤ {limit} s", f"{metric} {run.metrics().last()[metric]:.4g}")
        number = 3 if arguments.quick else SEEDS
        runs, watch = train(seeds(sized("lenet", epochs=2, quick=arguments.quick), number), Path(folder), how)
        rate = watch.steps_per_second(runs[0]) * number
        accuracies = [run.metrics().last()["test/accuracy"] for run in runs]
        spread = f"test/accuracy {min(accuracies):.4g} to {max(accuracies):.4g}"
        measured = f"{rate / solo_rate:.1f} × solo ({rate:,.0f} steps/s)"
        row(f"`lenet`, {number} seeds as one program", measured, f"≥ {SPEED_UP} × at {SEEDS}", spread)
        how_races = {**how, "precision": "auto"}
        races = [train([race(seed, quick=arguments.quick)], Path(folder), how_races)[0][0] for seed in range(RACES)]
        seconds = mean_and_interval([run.state.seconds for run in races], "{:.1f}")
        accuracy = mean_and_interval([run.metrics().last()["test/accuracy"] for run in races], "{:.4f}")
        row(f"`cifar-fast`, {RACES} runs in turn", f"{seconds} s", f"≤ {RACE_SECONDS} s", f"test/accuracy {accuracy}")
        wanted = f"≤ {TOLERANCE:g}"
        row(f"check: a step against PyTorch's own, {CHECKED_STEPS} steps", f"{check_step(how):.1e}", wanted, "")
        difference = check_replicas(Path(folder), how)
        row(f"check: replicas against runs alone, {CHECKED_STEPS} steps", f"{difference:.1e}", wanted, "")


if __name__ == "__main__":
    main()

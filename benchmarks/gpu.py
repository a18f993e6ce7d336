"""Everything that étude promises of a GPU, in one call and one table: `python benchmarks/gpu.py`.

    python benchmarks/gpu.py                 # the programme of an H100: gan, dcgan, vae, lenet, 64 seeds, cifar-fast
    python benchmarks/gpu.py --compile on    # the same with the step compiled before it is recorded
    python benchmarks/gpu.py --quick         # the same programme at a tiny size, on a CPU too: does it run at all?

Seconds are those of training as a person waits for them: set-up, evaluation, pictures and checkpoints included;
starting Python and reading the data are not. The checks compare what the fast programs learn with the plain ones on
this device, and one run with the next. What fails leaves its row and its traceback, and the rest goes on; the exit code
is then 1.
"""

import argparse
import gc
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from etude import recipes
from etude.compute import Compute, Precision
from etude.data import load
from etude.errors import Interrupted
from etude.families.recipe import Rates
from etude.metrics import summarize
from etude.recipes import Recipe
from etude.runs import Run
from etude.runs.checkpoint import load_model
from etude.speed.bf16 import bf16_is_fast
from etude.speed.execution import computing
from etude.speed.steps import eager_step, faster
from etude.speed.whole_step import whole_step
from etude.training import Display, resume
from etude.training.learners import create_learner
from etude.training.start import execution_of, train_together

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
CHECKED_STEPS, CHECKED_BATCH = 100, 12
# Recipe, precision, learning rate, and how far losses and weights may lie apart after those steps. Adam's first steps
# have the size of the learning rate whatever the gradient, so that at dcgan's own rounding would grow to 1 and more; at
# this one 6e-4 and 2e-3 were seen on a CPU, and 0.08 of a rate that is 5 % too large.
CHECKS: list[tuple[str, Precision, float, float]] = [
    ("lenet", "fp32", 1e-3, 1e-5),
    ("dcgan", "fp32", 1e-5, 5e-3),
    ("dcgan", "bf16", 1e-5, 1e-2),
]


class Watch(Display):
    """Notes when each epoch ended; asks for a stop, as Ctrl-C does, after the given step."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__(quiet=True)
        self.ends: list[float] = []
        self.stop_after = stop_after

    def step(self, step: int, losses: object) -> None:
        """After each step."""
        if step == self.stop_after:
            signal.raise_signal(signal.SIGINT)

    def epoch(self, *, epoch: int, epochs: int, step: int, values: dict[str, float]) -> None:
        """At the end of an epoch."""
        self.ends.append(time.perf_counter())

    def steps_per_second(self, run: Run) -> float:
        """In the second epoch, when all is set up; its evaluation and checkpoints included."""
        return run.steps_per_epoch / (self.ends[1] - self.ends[0])


def sized(name: str, *, epochs: int, quick: bool) -> Recipe:
    """A recipe for so many epochs, lenet's of all 50,000 images; at the tiny size two short ones on the digits."""
    recipe = recipes.change(recipes.get(name), epochs=epochs)
    if name == "lenet":
        recipe = recipes.change(recipe, validation_images=0)
    return recipes.change(recipe, data="digits", epochs=2, train_images=128, batch_size=16) if quick else recipe


def train(members: list[Recipe], runs_dir: Path, how: Compute) -> tuple[list[Run], Watch]:
    """Runs of one program, and the watch that was held over them."""
    watch, names = Watch(), [None] * len(members)
    if torch.cuda.is_initialized():
        gc.collect()  # runs before this one may still hold memory
        torch.cuda.reset_peak_memory_stats()
    return train_together(members, names=names, runs_dir=runs_dir, data_dir=None, compute=how, display=watch), watch


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


def peak_mib() -> str:
    """The most GPU memory that tensors held since the last runs began."""
    return f"{torch.cuda.max_memory_allocated() / 2**20:,.0f}" if torch.cuda.is_initialized() else "-"


def checked(name: str, learning_rate: float, *, quick: bool) -> Recipe:
    """A recipe whose two epochs are the steps that the checks take, a tenth of them at the tiny size."""
    recipe, steps = recipes.get(name), CHECKED_STEPS // 10 if quick else CHECKED_STEPS
    optimizer, images = replace(recipe.optimizer, learning_rate=learning_rate), steps // 2 * CHECKED_BATCH
    size = {"epochs": 2, "batch_size": CHECKED_BATCH, "train_images": images, "report_every": 10}
    return recipes.change(recipe, data="digits", optimizer=optimizer, **size)


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Between tensors of the same names."""
    return max((value - other[key]).abs().max().item() for key, value in one.items())


def check_step(recipe: Recipe, how: Compute) -> float:
    """How far losses and weights are from those of PyTorch's own operations, after the steps of the recipe.

    The fast step is the one that a GPU takes, on a processor too, where there is no graph.
    """
    dataset = load(recipe.data)
    execution = execution_of(recipe, how, num_steps=0)
    train = dataset.train.to(execution.device)
    learned = []
    for make in (partial(whole_step, transform=partial(faster, execution=execution, native=False)), eager_step):
        learner, generator = create_learner(recipe, dataset, execution), torch.Generator().manual_seed(0)
        with computing(execution):
            step, losses = make(learner, train), []
            for _ in range(recipe.epochs * (recipe.train_images or 0) // recipe.batch_size):
                rows = torch.randint(len(train), (1, recipe.batch_size), generator=generator)
                losses.append(step(rows.to(execution.device), Rates(schedule=1.0, average=0.0)).clone())
        learned.append({"losses": torch.stack(losses)})
        for network, module in learner.networks.items():
            learned[-1] |= {f"{network} {key}": value for key, value in module.state_dict().items()}
    return largest_difference(*learned)


def check_replicas(recipe: Recipe, runs_dir: Path, how: Compute) -> float:
    """How far losses and weights of replicas are from those of the runs that each is alone."""

    def learned(run: Run) -> dict[str, torch.Tensor]:
        losses = {key: torch.tensor(value) for key, value in run.metrics().last().items() if key.startswith("train/")}
        return losses | load_model(run.checkpoint_path())

    members = [replace(recipe, seed=seed) for seed in (3, 4, 8)]
    together, _ = train(members, runs_dir, how)
    alone = [train([member], runs_dir, how)[0][0] for member in members]
    return max(largest_difference(learned(run), learned(one)) for run, one in zip(together, alone, strict=True))


def check_repeats(recipe: Recipe, runs_dir: Path, how: Compute) -> Iterator[int]:
    """How many files of a run differ when it is trained again, and when it is stopped at its third step and resumed."""

    def contents(run: Run) -> list[bytes]:
        weights = run.checkpoint_path()
        files = (run.path / "metrics.jsonl", weights / "model.safetensors", weights / "trainer.safetensors")
        return [file.read_bytes() for file in files]

    (first,), _ = train([recipe], runs_dir, how)
    (again,), _ = train([recipe], runs_dir, how)
    name = f"{again.name}-stopped"
    with suppress(Interrupted):
        watch = Watch(stop_after=3)
        train_together([recipe], names=[name], runs_dir=runs_dir, data_dir=None, compute=how, display=watch)
    stopped = Run(runs_dir / name)
    assert stopped.state.status == "interrupted"
    for other in (again, resume(stopped, display=Watch())):
        yield sum(one != two for one, two in zip(contents(first), contents(other), strict=True))


def mean_and_interval(values: list[float], form: str) -> str:
    """Of several runs, with the interval of their mean."""
    summary = summarize(np.asarray(values))
    assert summary.interval
    mean, low, high = (form.format(value) for value in (summary.mean, summary.interval.low, summary.interval.high))
    return f"{mean} (95 % {low} to {high})"


def machine(device: str) -> str:
    """The GPU with its driver and CUDA's version."""
    if device != "cuda":
        return "no GPU"
    driver = "unknown"
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(query, stdout=subprocess.PIPE, text=True).stdout.split("\n")[0]
    return f"{torch.cuda.get_device_name()}, driver {driver}, CUDA {torch.version.cuda}"


class Table:
    """Rows, each printed as soon as it is known; final."""

    failed = False

    def row(self, what: str, measured: str, wanted: str, learned: str = "", memory: str = "-") -> None:
        """A line of it."""
        print(f"| {what} | {measured} | {wanted} | {learned} | {memory} |", flush=True)

    def check(self, what: str, difference: float, most: float) -> None:
        """A line that holds or not."""
        holds = difference <= most
        self.failed |= not holds
        self.row(f"check: {what}", f"{difference:.1e}" if most else f"{difference} files differ",
                 f"≤ {most:g}" if most else "none", "holds" if holds else "FAILED")  # fmt: skip

    @contextmanager
    def part(self, what: str) -> Iterator[None]:
        """What is measured within may fail without taking the rest along."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.failed = True
            self.row(what, f"{type(error).__name__}", "", "FAILED")


def time_all(table: Table, folder: Path, how: Compute, *, quick: bool) -> None:
    """The rows of seconds."""
    solo_rate = float("nan")
    for name, (epochs, limit, metric) in CASES.items():
        with table.part(f"`{name}`"):
            (run,), watch = train([sized(name, epochs=epochs, quick=quick)], folder, how)
            rate, state = watch.steps_per_second(run), run.state
            solo_rate = rate if name == "lenet" else solo_rate
            what = f"`{name}`, {run.recipe.epochs} epochs at batch {run.recipe.batch_size}, {state.step:,} steps"
            measured, learned = f"{state.seconds:.1f} s ({rate:,.0f} steps/s)", run.metrics().last()[metric]
            table.row(what, measured, f"≤ {limit} s", f"{metric} {learned:.4g}", peak_mib())
    number, num_races = (3, 3) if quick else (SEEDS, RACES)
    with table.part("seeds as one program"):
        runs, watch = train(seeds(sized("lenet", epochs=2, quick=quick), number), folder, how)
        rate = watch.steps_per_second(runs[0]) * number
        accuracies = [run.metrics().last()["test/accuracy"] for run in runs]
        spread = f"test/accuracy {min(accuracies):.4g} to {max(accuracies):.4g}"
        measured = f"{rate / solo_rate:.1f} × solo ({rate:,.0f} steps/s)"
        what = f"`lenet`, {number} seeds as one program"
        table.row(what, measured, f"≥ {SPEED_UP} × at {SEEDS}", spread, peak_mib())
    with table.part("`cifar-fast`"):
        how = replace(how, precision="auto")
        races = [train([race(seed, quick=quick)], folder, how)[0][0] for seed in range(num_races)]
        seconds = mean_and_interval([run.state.seconds for run in races], "{:.1f}")
        accuracy = mean_and_interval([run.metrics().last()["test/accuracy"] for run in races], "{:.4f}")
        what, wanted = f"`cifar-fast`, {num_races} runs in turn", f"≤ {RACE_SECONDS} s"
        table.row(what, f"{seconds} s", wanted, f"test/accuracy {accuracy}", peak_mib())


def check_all(table: Table, folder: Path, how: Compute, *, device: str, quick: bool) -> None:
    """The rows of what must come out the same."""
    for name, precision, learning_rate, most in CHECKS:
        if device == "cpu" and precision == "bf16" and not bf16_is_fast():
            continue  # without the instructions for it a product takes fifty times as long
        recipe, how = checked(name, learning_rate, quick=quick), replace(how, precision=precision)
        steps = recipe.epochs * (recipe.train_images or 0) // recipe.batch_size
        what = f"`{name}`, {precision}, {steps} steps"
        with table.part(what):
            table.check(f"{what}, a step against PyTorch's own", check_step(recipe, how), most)
        if device == "cuda" or precision == "fp32":  # a processor's batch-norm takes no bf16 under vmap
            with table.part(what):
                table.check(f"{what}, replicas against runs alone", check_replicas(recipe, folder, how), most)
        with table.part(what):
            differ = check_repeats(recipe, folder, how)
            for again, number in zip(("trained again", "stopped and resumed"), differ, strict=True):
                table.check(f"{what}, {again}", number, 0)


def main() -> None:
    """Run the programme."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", default="off", choices=("on", "off"))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    how = Compute(device=arguments.device, precision="fp32", compile=arguments.compile)
    execution = execution_of(recipes.get("lenet"), how, num_steps=0)
    print(f"{machine(execution.device)}; {platform.machine()}; torch {torch.__version__}; {execution}\n")
    table = Table()
    table.row("what", "measured", "wanted on an H100", "learned", "peak GPU MiB")
    table.row(*["---"] * 5)
    with tempfile.TemporaryDirectory() as folder:
        time_all(table, Path(folder), how, quick=arguments.quick)
        check_all(table, Path(folder), how, device=execution.device, quick=arguments.quick)
    sys.exit(table.failed)


if __name__ == "__main__":
    main()

"""Seconds until étude reaches what a plain PyTorch loop has reached at its end: `python benchmarks/time_to_quality.py`.

    python benchmarks/time_to_quality.py                        # every case, three pairs
    python benchmarks/time_to_quality.py vae lenet-16 --pairs 5

The plain loop trains its epochs and its measure is taken, which is not timed. Then étude trains until its measure at
the end of an epoch is as good. Seconds are those of a process from its start: imports, data and compiling included.
The measure is one of images that neither trains on: étude's own evaluation, which is timed, or for a GAN the Fréchet
distance of 10,000 images, which no loop takes while it trains and is not timed. Each pair has a seed of its own.
"""

import argparse
import json
import math
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

FID = "FID"


@dataclass(frozen=True)
class Case:
    """One recipe at one batch size, and for how long the plain loop trains."""

    recipe: str
    data: str
    batch_size: int
    epochs: int
    metric: str = FID
    best_high: bool = False

    def change(self, seed: int) -> dict[str, Any]:
        """What both change in the recipe; the GANs leave the last 10,000 training images as they are."""
        held_out = {} if self.metric == FID else {"validation_images": 5_000}
        return {"data": self.data, "batch_size": self.batch_size, "seed": seed, **held_out}


CASES = {
    "gan": Case("gan", "mnist", 128, 4),
    "lsgan": Case("lsgan", "mnist", 128, 4),
    "dcgan": Case("dcgan", "mnist", 128, 2),
    "vae": Case("vae", "mnist", 32, 2, "validation/loss_nats"),
    "cvae": Case("cvae", "mnist", 32, 2, "validation/loss_nats"),
    "lenet-4": Case("lenet", "cifar10", 4, 2, "validation/accuracy", best_high=True),
    "lenet-16": Case("lenet", "cifar10", 16, 4, "validation/accuracy", best_high=True),
}
PATIENCE = 3
"""Times the plain loop's epochs after which étude gives up."""


def plain(case: Case, seed: int, workers: int) -> dict[str, Any]:
    """Train as the course does; what came of it, measured by étude."""
    started = time.perf_counter()
    import torch
    from plain_loops import NOISE_DIM, loader, make_step

    import etude
    from etude import recipes
    from etude.compute import Compute
    from etude.models import uniform_noise
    from etude.runs.splits import make_splits
    from etude.training.learners import create_learner
    from etude.training.start import execution_of

    dataset = etude.data.load(case.data)
    recipe = recipes.change(recipes.get(case.recipe), **case.change(seed))
    splits = make_splits(recipe, dataset)
    step, network = make_step(case.recipe, dataset.image_shape, seed)
    normalise = case.recipe not in ("vae", "cvae")
    for _ in range(case.epochs):
        for images, labels in loader(splits.train, batch_size=case.batch_size, normalise=normalise, workers=workers):
            step(images, labels)
    seconds = time.perf_counter() - started
    if case.metric == FID:
        with torch.no_grad():
            noise = uniform_noise(10_000, NOISE_DIM, generator=torch.Generator().manual_seed(seed))
            images = (network.eval()(noise) + 1) / 2
        value = fid(case, images)
    else:
        execution = execution_of(recipe, Compute(precision="fp32", compile="off"), num_steps=0)
        learner = create_learner(recipe, dataset, execution)
        learner.networks[case.recipe].load_state_dict(network.state_dict())
        value = learner.evaluate_epoch(splits.validation, splits.test)[case.metric]
    return {"seconds": seconds, "value": value, "epochs": case.epochs}


def by_etude(case: Case, seed: int, target: float) -> dict[str, Any]:
    """Train with étude, through its public function, until the target is reached."""
    started, unpaid = time.perf_counter(), 0.0
    import etude
    from etude.errors import Interrupted
    from etude.training import Display

    reached: list[dict[str, Any]] = []

    class Watch(Display):
        def epoch(self, *, epoch: int, epochs: int, step: int, values: dict[str, float]) -> None:
            nonlocal unpaid
            now = time.perf_counter()
            if case.metric == FID:
                value = fid(case, etude.load(f"{folder}/run").sample(10_000, seed=seed))
            else:
                value = values[case.metric]
            if not reached and (value >= target if case.best_high else value <= target):
                reached.append({"seconds": now - started - unpaid, "value": value, "epochs": epoch})
                signal.raise_signal(signal.SIGINT)
            unpaid += time.perf_counter() - now

    with tempfile.TemporaryDirectory() as folder, suppress(Interrupted):
        etude.train(
            case.recipe,
            **case.change(seed),
            epochs=PATIENCE * case.epochs,
            name="run",
            runs_dir=folder,
            display=Watch(quiet=True),
        )
    if not reached:
        return {"seconds": math.nan, "value": math.nan, "epochs": PATIENCE * case.epochs}
    return reached[0]


def fid(case: Case, images: Any) -> float:
    """Of images (10,000, C, H, W) in [0, 1] against the training images that a GAN is not given."""
    import etude
    from etude import recipes
    from etude.measurement.feature_network import feature_source
    from etude.metrics import frechet_distance

    dataset = etude.data.load(case.data)
    source = feature_source("auto", recipes.get(case.recipe), dataset, data_dir=None, say=lambda text: None)
    network = source.load()
    real = network.of(dataset.train.images[50_000:], what="real")
    return frechet_distance(real.values, network.of(images, what="generated").values)


def in_a_process(*words: object) -> dict[str, Any]:
    """One training in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *map(str, words)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure the cases asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"of {', '.join(CASES)}")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="of the plain loop's DataLoader")
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--target", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.cases if name not in CASES]:
        parser.error(f"unknown case {unknown[0]!r}: choose from {', '.join(CASES)}.")
    if arguments.seed is not None:
        case, seed = CASES[arguments.cases[0]], arguments.seed
        target = arguments.target
        found = plain(case, seed, arguments.workers) if target is None else by_etude(case, seed, target)
        print(json.dumps(found))
        return
    print(
        "| case | measure | plain: seconds, epochs → measure | étude | plain / étude |\n| --- | --- | --- | --- | --- |"
    )
    for name in arguments.cases:
        ratios, rows = [], []
        for seed in range(arguments.pairs):
            one = in_a_process(name, "--seed", seed, "--workers", arguments.workers)
            other = in_a_process(name, "--seed", seed, "--target", one["value"])
            ratios.append(one["seconds"] / other["seconds"])
            rows.append([f"{each['seconds']:.0f} s, {each['epochs']} → {each['value']:.4g}" for each in (one, other)])
        spread = f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})"
        cells = [name, CASES[name].metric, *("; ".join(column) for column in zip(*rows, strict=True)), spread]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

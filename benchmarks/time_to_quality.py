"""Seconds until étude reaches what a plain PyTorch loop has reached at its end: `python benchmarks/time_to_quality.py`.

    python benchmarks/time_to_quality.py                        # every case, three pairs
    python benchmarks/time_to_quality.py vae lenet-16 --pairs 5

The plain loop trains its epochs and its measure is taken, which is not timed. Then étude trains until the measure that
it takes at the end of each epoch, which is timed, is as good. Seconds are those of a process from its start: imports,
data and compiling included. Both train on the same images; each pair has a seed of its own. A GAN has no measure
while it trains and is not among the cases.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """One recipe at one batch size, and for how long the plain loop trains."""

    recipe: str
    data: str
    batch_size: int
    epochs: int
    metric: str
    best_high: bool = False


CASES = {
    "vae": Case("vae", "mnist", 32, 2, "test/loss_nats"),
    "cvae": Case("cvae", "mnist", 32, 2, "test/loss_nats"),
    "lenet-4": Case("lenet", "cifar10", 4, 2, "validation/accuracy", best_high=True),
    "lenet-16": Case("lenet", "cifar10", 16, 4, "validation/accuracy", best_high=True),
}
PATIENCE = 3
"""Times the plain loop's epochs after which étude gives up."""


def plain(case: Case, seed: int, workers: int) -> dict[str, Any]:
    """Train as the course does; what came of it, measured by étude's own evaluation."""
    started = time.perf_counter()
    from plain_loops import loader, make_step

    import etude
    from etude import recipes
    from etude.runs.splits import make_splits
    from etude.training.execution import choose_execution
    from etude.training.families import create_learner

    dataset = etude.data.load(case.data)
    recipe = recipes.change(recipes.get(case.recipe), data=case.data, seed=seed)
    splits = make_splits(recipe, dataset)
    step, network = make_step(case.recipe, dataset.image_shape, seed)
    normalise = case.recipe == "lenet"
    for _ in range(case.epochs):
        for images, labels in loader(splits.train, batch_size=case.batch_size, normalise=normalise, workers=workers):
            step(images, labels)
    seconds = time.perf_counter() - started
    execution = choose_execution(
        case.recipe, num_steps=0, images_per_step=case.batch_size, precision="fp32", compile="off"
    )
    learner = create_learner(recipe, dataset, execution)
    learner.networks[case.recipe].load_state_dict(network.state_dict())
    value = learner.evaluate_epoch(splits.validation, splits.test)[case.metric]
    return {"seconds": seconds, "value": value, "epochs": case.epochs}


def by_etude(case: Case, seed: int, target: float) -> dict[str, Any]:
    """Train with étude, through its public function, until the target is reached."""
    started = time.perf_counter()
    import etude
    from etude.errors import Interrupted
    from etude.training import Display

    reached: list[dict[str, Any]] = []

    class Watch(Display):
        def epoch(self, *, epoch: int, epochs: int, step: int, values: dict[str, float]) -> None:
            value = values[case.metric]
            if not reached and (value >= target if case.best_high else value <= target):
                reached.append({"seconds": time.perf_counter() - started, "value": value, "epochs": epoch})
                signal.raise_signal(signal.SIGINT)

    how = {"data": case.data, "batch_size": case.batch_size, "epochs": PATIENCE * case.epochs, "seed": seed}
    with tempfile.TemporaryDirectory() as folder, suppress(Interrupted):
        etude.train(case.recipe, **how, runs_dir=folder, display=Watch(quiet=True))
    if not reached:
        raise SystemExit(f"{case} did not reach {target} in {PATIENCE * case.epochs} epochs")
    return reached[0]


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

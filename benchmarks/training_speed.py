"""étude beside a plain PyTorch loop, in turn, each in a process of its own: `make bench`.

    python benchmarks/training_speed.py                    # every case, five pairs
    python benchmarks/training_speed.py gan lenet-4 --pairs 7 --out table.md

Prints for each case milliseconds per warm step (wall and processor time), the ratio plain / étude over the pairs
(median, minimum, maximum), the start, peak memory, and the floor: the step's counted floating-point operations at the
measured rate of large matrix products, plus the bytes that the optimizer must move at the measured rate of a copy,
measured with every pair. Nothing else should run meanwhile; the load at the start is printed.

A start is import + data + first step, and for étude once more with the caches of étude and of the compiler empty: what
a new machine waits for.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

WARM_UP_STEPS = 30
COUNTED_STEPS = 8


@dataclass(frozen=True)
class Case:
    """One recipe at one batch size; `steps` are timed after the warm-up."""

    recipe: str
    data: str
    batch_size: int
    steps: int
    compile: Literal["auto", "on", "off"] = "auto"
    """On for what auto compiles in a run of the course's length: the steps timed here are too few for it to."""


CASES = {
    "gan": Case("gan", "mnist", 128, 250, compile="on"),
    "lsgan": Case("lsgan", "mnist", 128, 250, compile="on"),
    "dcgan": Case("dcgan", "mnist", 128, 60, compile="on"),
    "vae": Case("vae", "mnist", 32, 700, compile="on"),
    "cvae": Case("cvae", "mnist", 32, 700, compile="on"),
    "lenet-4": Case("lenet", "cifar10", 4, 3000, compile="on"),
    "lenet-16": Case("lenet", "cifar10", 16, 1500, compile="on"),
    "sentiment": Case("sentiment-lstm", "rt-polarity", 64, 100),
    "translate-gru": Case("translate-gru", "multi30k", 64, 60),
    "translate-transformer": Case("translate-transformer", "multi30k", 64, 60),
    "char-lstm": Case("char-lstm", "tiny-shakespeare", 64, 100),
}


class Enough(Exception):
    """The last step that is timed has been taken."""


class Stopwatch:
    """Wall and processor time between the end of the warm-up and the last step; called after each step."""

    def __init__(self, steps: int) -> None:
        self.done, self.last, self.steps = 0, WARM_UP_STEPS + steps, steps
        self.seconds: dict[str, float] = {}
        self.lap_began = time.perf_counter()

    def lap(self, name: str) -> None:
        """Keep the seconds since the last lap under a name."""
        self.seconds[name] = time.perf_counter() - self.lap_began
        self.lap_began = time.perf_counter()

    def step(self) -> None:
        """Count a step."""
        self.done += 1
        if "first_step" not in self.seconds:
            self.lap("first_step")
        if self.done == WARM_UP_STEPS:
            self.started = time.perf_counter(), _processor_seconds()
        if self.done == self.last:
            wall, processor = time.perf_counter() - self.started[0], _processor_seconds() - self.started[1]
            self.wall_ms, self.processor_ms = 1e3 * wall / self.steps, 1e3 * processor / self.steps


def _processor_seconds() -> float:
    """Of this process and of its workers that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def run_etude(case: Case, watch: Stopwatch) -> dict[str, Any]:
    """Train with étude, through its public function."""
    import etude
    from etude.compute import Execution
    from etude.training import Display

    watch.lap("import")

    class Watch(Display):
        def start(self, title: str, *, total_steps: int, done_steps: int) -> None:
            watch.lap("data")  # and all else that comes before a step
            super().start(title, total_steps=total_steps, done_steps=done_steps)

        def step(self, step: int, losses: Callable[[], dict[str, float]]) -> None:
            watch.step()
            super().step(step, losses)
            if watch.done == watch.last:
                raise Enough

    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(Enough):
            etude.train(
                case.recipe,
                data=case.data,
                batch_size=case.batch_size,
                name="run",
                runs_dir=folder,
                display=Watch(quiet=True),
                compile=case.compile,
            )
        return {"how": str(Execution(**etude.load(Path(folder) / "run").configuration["execution"]))}


def run_plain(case: Case, watch: Stopwatch) -> dict[str, Any]:
    """Train as the course does; the loader has two workers where a short trial finds them faster than none."""
    import torch
    from plain_loops import loader, make_step
    from plain_sequences import plain_sequences

    import etude
    from etude.data.kinds import Images

    watch.lap("import")
    recipe = etude.recipes.get(case.recipe)
    dataset = etude.data.load(case.data, reading=recipe.reading)
    if isinstance(dataset.kind, Images):
        step, _ = make_step(case.recipe, dataset.image_shape)
        make_loader: Any = partial(loader, normalise=case.recipe not in ("vae", "cvae"))
    else:
        step, make_loader = plain_sequences(recipe, dataset.kind)
    watch.lap("data")

    def batches(workers: int) -> Any:
        return make_loader(dataset.train, batch_size=case.batch_size, workers=workers)

    def trial(workers: int) -> float:
        times = []
        for inputs, targets in islice(batches(workers), 40):
            step(inputs, targets)
            if not times and not workers:
                watch.lap("first_step")
            times.append(time.perf_counter())
        return times[-1] - times[10]

    workers = min((0, 2), key=trial)
    running = 0.0
    endless = (batch for each in cycle([workers]) for batch in batches(each))
    for number, (inputs, targets) in enumerate(islice(endless, watch.last), start=1):
        loss = step(inputs, targets)
        if number % 250 == 0:
            running = loss.item()
        watch.step()
    assert running == running, "the plain loop diverged"
    return {"how": f"{workers} workers, {torch.get_num_threads()} threads"}


def floor_ms(case: Case) -> dict[str, float]:
    """What a step must cost here: its arithmetic at the rate of large products, the optimizer's traffic at a copy's."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    import etude
    from etude import recipes
    from etude.compute import Compute
    from etude.speed.steps import eager_step
    from etude.training.learners import create_learner
    from etude.training.start import execution_of

    recipe = recipes.change(recipes.get(case.recipe), batch_size=case.batch_size)
    dataset = etude.data.load(case.data, reading=recipe.reading)
    execution = execution_of(recipe, Compute(compile="off"), num_steps=0)
    torch.set_num_threads(os.cpu_count() or 1)  # the machine's floor, however many of its cores étude takes
    learner = create_learner(recipe, dataset, execution)
    step = eager_step(learner, dataset.train)
    # Sentences differ in length from step to step; oneDNN's LSTM is one operation, which the counter does not know.
    steps = learner.epoch(torch.arange(len(dataset.train)), dataset.train.columns, 1)[:COUNTED_STEPS]
    step(steps[:1], recipe.optimizer.rates_at(0, 1))
    with FlopCounterMode(display=False) as counter, torch.backends.mkldnn.flags(enabled=False):
        for rows in steps:
            step(rows[None], recipe.optimizer.rates_at(0, 1))
    flops = counter.get_total_flops() / len(steps)

    dtype = torch.bfloat16 if execution.precision == "bf16" else torch.float32
    matrix, source, target = torch.randn(1024, 1024).to(dtype), torch.ones(2**24), torch.empty(2**24)
    flops_a_second = 2 * 1024**3 / _fastest(lambda: matrix @ matrix)
    bytes_a_second = 2 * source.nbytes / _fastest(lambda: target.copy_(source))
    parameters = sum(parameter.numel() for network in learner.networks.values() for parameter in network.parameters())
    # Weights, gradients and moments are read, all but the gradients written: 4 bytes each.
    optimizer_bytes = parameters * 4 * (5 if recipe.optimizer.name == "sgd" else 7)
    arithmetic, traffic = flops / flops_a_second, optimizer_bytes / bytes_a_second
    return {
        "gflop": flops / 1e9,
        "gflop_s": flops_a_second / 1e9,
        "gb_s": bytes_a_second / 1e9,
        "floor_ms": 1e3 * (arithmetic + traffic),
    }


def _fastest(work: Callable[[], object]) -> float:
    """The shortest of twenty times, in seconds."""
    times = []
    for _ in range(20):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def measure(kind: str, case: Case) -> None:
    """In a process of its own: train, and print one JSON object."""
    if kind == "floor":
        print(json.dumps(floor_ms(case)))
        return
    watch = Stopwatch(case.steps)
    how = {"etude": run_etude, "plain": run_plain}[kind](case, watch)
    result = {
        "wall_ms": watch.wall_ms,
        "processor_ms": watch.processor_ms,
        "start_s": watch.seconds,
        "peak_mib": peak_mib(),
    }
    print(json.dumps({**result, **how}))


def peak_mib() -> float:
    """The most memory that this program held; getrusage would count its parent's too, from which it was forked."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def pair(name: str) -> dict[str, dict[str, Any]]:
    """One measurement of each, one after the other, and of the floor."""
    return {kind: in_a_process(kind, name) for kind in ("plain", "etude", "floor")}


def empty_caches(folder: str) -> dict[str, str]:
    """The environment in which étude and the compiler find nothing that they once kept."""
    return {"TORCHINDUCTOR_CACHE_DIR": f"{folder}/compiler", "XDG_CACHE_HOME": f"{folder}/cache"}


def cold(name: str) -> dict[str, Any]:
    """étude's measurement with empty caches; the data may lie in the cache that it then does not see."""
    from etude.data.search_paths import cache_folder

    data = os.pathsep.join([*filter(None, [os.environ.get("ETUDE_DATA")]), str(cache_folder())])
    with tempfile.TemporaryDirectory() as folder:
        return in_a_process("etude", name, {**empty_caches(folder), "ETUDE_DATA": data})


def in_a_process(kind: str, name: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """One measurement in a process of its own."""
    words = [sys.executable, __file__, "--measure", kind, name]
    done = subprocess.run(
        words, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **(environment or {})}
    )
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str, pairs: list[dict[str, dict[str, Any]]], from_cold: dict[str, Any]) -> str:
    """A case as a line of the table: medians, and the ratio's median, minimum and maximum."""
    ratios = sorted(each["plain"]["wall_ms"] / each["etude"]["wall_ms"] for each in pairs)

    def median(kind: str, key: str) -> float:
        return statistics.median(each[kind][key] for each in pairs)

    def start(measured: list[dict[str, Any]]) -> str:
        parts = [
            statistics.median(each["start_s"][part] for each in measured) for part in ("import", "data", "first_step")
        ]
        return " + ".join(f"{part:.1f}" for part in parts)

    share = statistics.median(each["floor"]["floor_ms"] / each["etude"]["wall_ms"] for each in pairs)
    cells = [f"`{name}`"]
    for kind in ("plain", "etude"):
        cells.append(f"{median(kind, 'wall_ms'):.2f} ({median(kind, 'processor_ms'):.2f})")
    cells.append(f"**{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    cells += [start([each[kind] for each in pairs]) for kind in ("plain", "etude")] + [start([from_cold])]
    cells += [f"{median(kind, 'peak_mib'):.0f}" for kind in ("plain", "etude")]
    cells += [f"{median('floor', key):.{digits}f}" for key, digits in (("gflop", 2), ("gflop_s", 0), ("gb_s", 0))]
    cells += [f"{median('floor', 'floor_ms'):.2f}", f"{share:.0%}"]
    cells.append("; ".join(" or ".join(sorted({each[kind]["how"] for each in pairs})) for kind in ("plain", "etude")))
    return "| " + " | ".join(cells) + " |"


HEADER = """\
| case | plain, ms a step (cpu) | étude, ms a step (cpu) | plain / étude, warm | plain: start, s |\
 étude: start, s | étude: start with empty caches, s | plain: MiB | étude: MiB | GFLOP a step | products, GFLOP/s |\
 copies, GB/s | floor, ms | étude's share | how |
|"""
HEADER += " --- |" * 15


def about() -> str:
    """The machine, the versions, the day."""
    from importlib.metadata import version

    from etude.speed.processor import processor_name

    versions = ", ".join(f"{name} {version(name)}" for name in ("etude", "torch", "numpy"))
    load, today = os.getloadavg()[0], datetime.date.today()
    python = platform.python_version()
    return f"{processor_name()}, {os.cpu_count()} cores, load {load:.1f}; Python {python}, {versions}; {today}"


def main() -> None:
    """Measure the cases asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"of {', '.join(CASES)}")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the table here too")
    parser.add_argument("--json", action="store_true", help="print every measurement as one JSON object instead")
    parser.add_argument("--measure", choices=("etude", "plain", "floor"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.cases if name not in CASES]:
        parser.error(f"unknown case {unknown[0]!r}: choose from {', '.join(CASES)}.")
    if arguments.measure:
        measure(arguments.measure, CASES[arguments.cases[0]])
        return
    machine = about()
    lines = [f"{machine}; {arguments.pairs} pairs", "", HEADER]
    results: dict[str, Any] = {}
    if not arguments.json:
        print("\n".join(lines), flush=True)
    for name in arguments.cases:
        from_cold, pairs = cold(name), [pair(name) for _ in range(arguments.pairs)]
        results[name] = {"pairs": pairs, "cold": from_cold}
        lines.append(row(name, pairs, from_cold))
        if not arguments.json:
            print(lines[-1], flush=True)
    if arguments.json:
        print(json.dumps({"machine": machine, "cases": results}))
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Peak memory of every recipe on MNIST and CIFAR-10: `python benchmarks/memory.py`.

    python benchmarks/memory.py                    # every recipe, not compiled, and compiled where `auto` ever does
    python benchmarks/memory.py gan dcgan --data mnist --json

A cell is the largest of two or three runs, each in a process of its own: a short one with its evaluation, the first
steps on the whole data set, and where the step is compiled, those with empty compiler caches, so that the C++ compiler
counts too. MiB of the whole process tree: Pss, sampled, or where that is more the most that the training process alone
held. The data are found through ETUDE_DATA. No other PyTorch should run meanwhile: Pss halves what two programs share.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from glob import glob
from importlib.metadata import version
from pathlib import Path

from training_speed import empty_caches, peak_mib

from etude import recipes
from etude.compute import Compile, Compute

# The parent imports no PyTorch, which its children would share with it.
AIMS_MIB = {"mnist": 1144, "cifar10": 1907}
"""1.2 and 2 GB."""
STEPS, SHORT_IMAGES = 25, 2560
PARTS = ("short", "whole", "cold")
COMPILED = ", compiled"
"""How an `Execution` ends that compiles."""
SAMPLE_SECONDS = 0.02


def print_execution(name: str) -> None:
    """How `auto` computes a run that is long enough for a compiler to pay."""
    from etude.training.start import execution_of

    print(execution_of(recipes.get(name), Compute(), num_steps=10**9))


def train(name: str, data: str, compile: Compile, part: str) -> None:
    """In a process of its own: a short run, or the first steps of one on the whole data set; prints its peak in MiB."""
    import etude
    from etude.training import Display

    class Enough(Exception):
        pass

    class Stop(Display):
        def step(self, step: int, losses: Callable[[], dict[str, float]]) -> None:
            if part != "short" and step == STEPS:
                raise Enough

    recipe = recipes.change(recipes.get(name), data=data, epochs=1)
    if part == "short":
        recipe = recipes.change(recipe, train_images=SHORT_IMAGES)
    with tempfile.TemporaryDirectory() as folder, suppress(Enough):
        etude.train(recipe, runs_dir=folder, compile=compile, display=Stop(quiet=True))
    print(peak_mib())


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for each in found:  # grows while it is walked
        for file in glob(f"/proc/{each}/task/*/children"):
            with suppress(OSError):  # ended meanwhile
                found += map(int, Path(file).read_text().split())
    return found


def tree_mib(pid: int) -> float:
    """What the process and its descendants hold at the moment, pages that several share counted once."""
    kib = 0
    for each in tree(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024


def child(*words: str, caches: str = "") -> subprocess.Popen[str]:
    """This script again, to do one thing; with caches of the compiler and of étude in a folder of its own, if given."""
    own = empty_caches(caches) if caches else {}
    command = [sys.executable, __file__, "--child", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | own)


def answer(process: subprocess.Popen[str]) -> str:
    """The last line that it printed."""
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args} failed.")
    return output.splitlines()[-1]


def measure(recipe: str, data: str, compile: str, part: str) -> float:
    """The peak of one run's process tree, MiB."""
    with tempfile.TemporaryDirectory() as folder:
        process, peak = child(recipe, data, compile, part, caches=folder if part == "cold" else ""), 0.0
        while process.poll() is None:
            peak = max(peak, tree_mib(process.pid))
            time.sleep(SAMPLE_SECONDS)
    peak = max(peak, float(answer(process)))
    print(f"{recipe} {data}, {part}, compile {compile}: {peak:.0f} MiB", file=sys.stderr, flush=True)
    return peak


def measure_all(recipe: str, sets: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Peaks of a recipe in MiB: by how it is computed, data set and run."""
    how = answer(child(recipe))
    plain, parts = how.removesuffix(COMPILED), [part for part in PARTS if part != "cold"]
    peaks = {plain: {data: {part: measure(recipe, data, "off", part) for part in parts} for data in sets}}
    if how != plain:
        peaks[how] = {data: {part: measure(recipe, data, "on", part) for part in PARTS} for data in sets}
    return peaks


def cell(peak: float, aim: int) -> str:
    """A peak, marked where it is above the aim."""
    return f"**{peak:,.0f}, above**" if peak > aim else f"{peak:,.0f}"


def main() -> None:
    """Measure the recipes asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=list(recipes.RECIPES), help=f"of {', '.join(recipes.RECIPES)}")
    parser.add_argument("--data", choices=AIMS_MIB, help="only on this data set")
    parser.add_argument("--json", action="store_true", help="print every measurement as one JSON object instead")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        (train if len(arguments.recipes) == 4 else print_execution)(*arguments.recipes)
        return
    if unknown := [name for name in arguments.recipes if name not in recipes.RECIPES]:
        parser.error(f"unknown recipe {unknown[0]!r}: choose from {', '.join(recipes.RECIPES)}.")
    sets = [arguments.data] if arguments.data else list(AIMS_MIB)
    processor = f"{platform.machine()}, {os.cpu_count()} cores"
    about = f"{processor}, torch {version('torch')}, load {os.getloadavg()[0]:.1f}"
    if not arguments.json:
        titles = [f"{data}, MiB (aim {AIMS_MIB[data]:,})" for data in sets]
        print(f"{about}\n\n| recipe | how | {' | '.join(titles)} |\n| --- | --- |{' ---: |' * len(sets)}", flush=True)
    peaks = {}
    for recipe in arguments.recipes:
        peaks[recipe] = measure_all(recipe, sets)
        if not arguments.json:
            for how, found in peaks[recipe].items():
                cells = [cell(max(found[data].values()), AIMS_MIB[data]) for data in sets]
                print(f"| `{recipe}` | {how} | {' | '.join(cells)} |", flush=True)
    if arguments.json:
        print(json.dumps({"machine": about, "peaks_mib": peaks}))


if __name__ == "__main__":
    main()

"""Kill a short run of each family with SIGKILL at random moments, resume it, and compare with an uninterrupted run.

    python tests/training/kill_and_resume.py                     # 20 kills of each family
    python tests/training/kill_and_resume.py --kills 2 --recipes vae
    python tests/training/kill_and_resume.py --threads 2 --precision bf16 --compile on

Weights, optimizer moments, metrics file and sample grids must come out the same, bit for bit. Exits with 1 otherwise.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "lenet": ["lenet", "--batch-size", "16", "--epochs", "8", "--report-every", "25"],
    "gan": ["gan", "--epochs", "12", "--report-every", "7"],
    "dcgan": ["dcgan", "--epochs", "3", "--train-images", "500", "--report-every", "2"],
    "wgan-gp": ["wgan-gp", "--epochs", "6", "--report-every", "1", "--batch-size", "64"],
    "vae": ["vae", "--epochs", "10", "--report-every", "20"],
    "cvae": ["cvae", "--epochs", "8", "--report-every", "20", "--validation-images", "100"],
}
COMPARED = ("metrics.jsonl", "samples/*.png", "checkpoints/*/*.safetensors")


def etude(*words: str) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "etude", *words], stdout=subprocess.DEVNULL)


def train_words(recipe: str, folder: Path, mode: list[str]) -> list[str]:
    """The command that trains the short run of a recipe, computed as the options of `mode` say."""
    options = [
        *mode,
        "--data",
        "digits",
        "--quiet",
        "--no-figures",
        "--runs-dir",
        str(folder),
        "--name",
        "run",
    ]
    return ["train", *COMMANDS[recipe], *options]


def finish(folder: Path, recipe: str, mode: list[str]) -> None:
    """Resume the run to its end, or train it where the kill came before there was a run."""
    run = folder / "run"
    if (run / "state.json").exists() and '"finished"' in (run / "state.json").read_text():
        return
    resume = ["resume", str(run), "--quiet", "--no-figures"]
    again = resume if (run / "recipe.json").exists() else train_words(recipe, folder, mode)
    assert etude(*again).wait() == 0, again


def steps_saved(folder: Path) -> list[int]:
    """The steps at which the run has a checkpoint."""
    return [int(path.name[5:]) for path in (folder / "run" / "checkpoints").glob("step-*")]


def contents(run: Path) -> dict[str, bytes]:
    """The files that must come out the same."""
    return {str(path.relative_to(run)): path.read_bytes() for glob in COMPARED for path in sorted(run.glob(glob))}


def main() -> int:
    """Run the trials and report each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="kills of each recipe")
    parser.add_argument("--recipes", nargs="+", default=list(COMMANDS), choices=list(COMMANDS))
    parser.add_argument("--seed", type=int, default=0, help="determines the moments")
    ways = {"threads": "1", "precision": "auto", "compile": "auto"}
    for way, default in ways.items():
        parser.add_argument(f"--{way}", default=default, help=f"of all runs, as of `etude train` (default: {default})")
    arguments = parser.parse_args()
    mode = [word for way in ways for word in (f"--{way}", getattr(arguments, way))]
    moments = random.Random(arguments.seed)
    failures = 0
    for recipe in arguments.recipes:
        with tempfile.TemporaryDirectory() as temporary:
            whole = Path(temporary) / "whole"
            assert etude(*train_words(recipe, whole, mode)).wait() == 0
            last_step = max(steps_saved(whole))
            expected = contents(whole / "run")
            reached: list[int] = []
            in_time = 0
            for kill in range(arguments.kills):
                folder = Path(temporary) / str(kill)
                process = etude(*train_words(recipe, folder, mode))
                # Not at a time but after a checkpoint, for a busy machine is slow; then anywhere in the epoch after it.
                seen = moments.uniform(0, 0.9) * last_step
                while process.poll() is None and max(steps_saved(folder), default=-1) < seen:
                    time.sleep(0.005)
                time.sleep(moments.uniform(0, 0.1))
                process.send_signal(signal.SIGKILL)
                in_time += process.wait() == -signal.SIGKILL
                reached.append(max(steps_saved(folder), default=0))
                finish(folder, recipe, mode)
                same = contents(folder / "run") == expected
                failures += not same
                if not same:
                    print(f"{recipe}: kill {kill} after checkpoint {reached[-1]} ended differently")
        print(
            f"{recipe}: {in_time} of {arguments.kills} killed while training, at checkpoints {sorted(reached)}",
            flush=True,
        )
    print(f"{failures} runs ended differently")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())

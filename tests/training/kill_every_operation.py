"""Kill a short run before every single file operation, resume it, and compare with a run that was never interrupted.

    python tests/training/kill_every_operation.py                       # every operation of each family, in every way
    python tests/training/kill_every_operation.py --recipes vae --ways twice --every 10

A file operation is one that changes the disk: a file opened to be written, a write, a truncation, an fsync, a rename, a
removal, a folder made. Before the n-th of them the process kills itself with SIGKILL. What happens then, by way:

    once     the run is resumed to its end
    torn     as once, and where the operation is a write, half of it is done before the kill
    cut      as once, and what was written to files since their last fsync is lost, as in a power cut
    twice    resumed, killed again before an operation that is drawn, resumed to its end
    ctrl-c   resumed, stopped by Ctrl-C after a step that is drawn, resumed, killed again, resumed to its end

Weights, optimizer moments, random streams, metrics file and sample grids must come out the same, bit for bit, no
checkpoint may be found damaged, and nothing may be left of the checkpoints that were not finished. Exits with 1
otherwise.
"""

import argparse
import dataclasses
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

import etude
from etude.data import Dataset, load
from etude.errors import Interrupted
from etude.files import is_temporary
from etude.runs import run as run_module
from etude.training import Display, start

SHORT: dict[str, dict[str, Any]] = {
    "lenet": {"batch_size": 20, "validation_images": 10, "report_every": 2},
    "gan": {"batch_size": 20, "validation_images": 10, "report_every": 2},
    "vae": {"batch_size": 20, "validation_images": 10, "report_every": 2},
}
WAYS = ("once", "torn", "cut", "twice", "ctrl-c")
STEPS = 3 * 2
"""Of each run: 60 images in batches of 20, two epochs."""


class Operations:
    """Counts the file operations of this process below a folder, and kills it before the chosen one; final."""

    def __init__(self, root: Path, *, kill_before: int | None = None, way: str = "once") -> None:
        self.root, self.kill_before, self.way = os.fspath(root), kill_before, way
        self.log: list[str] = []
        self.unsynced: dict[str, int] = {}
        """Sizes of files at their last fsync, of those that were written since."""
        self._open, self._fsync = io.open, os.fsync
        sys.addaudithook(self._audit)
        io.open = self.open
        os.fsync = self.fsync

    def before(self, what: str, path: object, half: Callable[[], object] = lambda: None) -> None:
        """To be called before an operation; `half` does half of it."""
        if not isinstance(path, str | os.PathLike) or not os.fspath(path).startswith(self.root):
            return
        self.log.append(f"{what} {os.fspath(path).removeprefix(self.root)}")
        if len(self.log) == self.kill_before:
            if self.way == "torn":
                half()
            if self.way == "cut":
                for file, size in self.unsynced.items():
                    if os.path.exists(file):
                        os.truncate(file, min(size, os.path.getsize(file)))
            os.kill(os.getpid(), signal.SIGKILL)

    def open(self, file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        """`open`, with a file that counts its writes; without a buffer, so that each is one of the system's."""
        if "b" not in mode or mode == "rb" or not str(file).startswith(self.root):
            return self._open(file, mode, *args, **options)
        return Counted(self._open(file, mode, buffering=0), os.fspath(file), self)

    def fsync(self, descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        self.before("fsync", path)
        self._fsync(descriptor)
        self.unsynced.pop(path, None)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        changing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        match event, arguments:
            case "open", (path, _, int(flags)) if flags & changing:
                self.before("open", path)
            case (("os.rename" | "os.remove" | "os.mkdir" | "os.rmdir"), (path, *_)):
                self.before(event.removeprefix("os."), path)
            case _:
                pass


class Counted:
    """A file that counts what changes it; final."""

    def __init__(self, file: Any, path: str, operations: Operations) -> None:
        self._file, self._path, self._operations = file, path, operations

    def write(self, content: bytes) -> int:
        self._operations.before("write", self._path, lambda: self._file.write(content[: len(content) // 2]))
        self._operations.unsynced.setdefault(self._path, os.path.getsize(self._path))
        return self._file.write(content)

    def truncate(self, size: int) -> int:
        self._operations.before("truncate", self._path, lambda: None)
        return self._file.truncate(size)

    def __enter__(self) -> "Counted":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class StopAfter(Display):
    """Ctrl-C after a number of steps; 0 for never."""

    def __init__(self, steps: int) -> None:
        super().__init__(quiet=True)
        self.left = steps

    def step(self, step: int, losses: object) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


@cache
def few_digits() -> Dataset:
    """A data set so small that a run takes a tenth of a second."""
    digits = load("digits")
    return dataclasses.replace(
        digits, train=digits.train.take(torch.arange(70)), test=digits.test.take(torch.arange(20))
    )


def go_on(recipe: str, folder: Path, *, stop_after: int = 0) -> None:
    """Train the run, or resume it where there is one."""
    start.load_dataset = run_module.load_dataset = lambda *_, **__: few_digits()
    display = StopAfter(stop_after)
    if (folder / "run" / "recipe.json").exists():
        run = etude.load(folder / "run")
        if run.state.status != "finished":
            etude.resume(run, display=display)
        return
    how: dict[str, Any] = {"threads": 1, "precision": "fp32", "compile": "off", "device": "cpu"}
    etude.train(recipe, name="run", runs_dir=folder, data="digits", epochs=2, display=display, **SHORT[recipe], **how)


def in_a_process(
    recipe: str, folder: Path, *, kill_before: int | None = None, way: str = "once", stop_after: int = 0
) -> tuple[int, list[str], str]:
    """`go_on` in a process of its own: how it ended (-9 when killed), its operations, what it wrote to stderr."""
    log, errors = folder.parent / "log", folder.parent / "errors"
    log.write_text("")
    if (child := os.fork()) == 0:
        code = 0
        with errors.open("w") as file:
            os.dup2(file.fileno(), 2)
        try:
            operations = Operations(folder, kill_before=kill_before, way=way)
            go_on(recipe, folder, stop_after=stop_after)
            log.write_text("\n".join(operations.log))
        except (Interrupted, KeyboardInterrupt):  # the second where Ctrl-C came after the last step
            code = 130
        except BaseException:
            traceback.print_exc(file=os.fdopen(2, "w"))
            code = 1
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), log.read_text().splitlines(), errors.read_text()


def contents(run: Path, *, steps: str = "*") -> dict[str, object]:
    """What must come out the same; of the checkpoints, those of these steps."""
    files = [
        run / "metrics.jsonl",
        *run.glob("samples/step-*.png"),
        *run.glob(f"checkpoints/step-{steps}/*.safetensors"),
    ]
    found: dict[str, object] = {str(path.relative_to(run)): path.read_bytes() for path in files}
    for path in [run / "state.json", *run.glob(f"checkpoints/step-{steps}/trainer.json")]:
        values = json.loads(path.read_bytes())
        found[str(path.relative_to(run))] = {
            key: value for key, value in values.items() if key not in ("seconds", "checksum")
        }
    return found


def attempt(recipe: str, place: Path, kill_before: int, way: str, draw: random.Random) -> tuple[list[str], bool]:
    """Kill, and whatever the way asks for, to the end: what is wrong, and whether each kill came."""
    folder = place / "runs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    mistakes = []

    def sitting(**options: Any) -> bool:
        """One process; whether it was killed or stopped as asked for."""
        code, _, errors = in_a_process(recipe, folder, **options)
        if errors or code not in (0, -9, 130):
            mistakes.append(f"exit code {code}: {errors[-2000:]}")
        return code != 0

    came = [sitting(kill_before=kill_before, way=way)]
    if way == "ctrl-c":
        came.append(sitting(stop_after=draw.randint(1, STEPS)))
    if way in ("twice", "ctrl-c"):
        came.append(sitting(kill_before=draw.randint(1, 60)))
    sitting()
    return mistakes, all(came)


def trials(recipe: str, way: str, *, every: int, first: int, place: Path) -> tuple[int, int, list[str]]:
    """Kill the run of a recipe before each operation, or each `every`-th: operations tried, all of them, mistakes."""
    draw = random.Random(f"{recipe} {way}")
    whole = place / "runs"
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir()
    code, operations, errors = in_a_process(recipe, whole)
    assert (code, errors) == (0, ""), errors
    # Ctrl-C makes a checkpoint where there was none, so that others are kept.
    steps = str(STEPS) if way == "ctrl-c" else "*"
    expected = contents(whole / "run", steps=steps)
    mistakes: list[str] = []
    chosen = range(1 + first % every, len(operations) + 1, every)
    for number in chosen:
        if way == "torn" and not operations[number - 1].startswith("write"):
            continue
        found, _ = attempt(recipe, place, number, way, draw)
        run = place / "runs" / "run"
        if not found:
            after = contents(run, steps=steps)
            found += [
                f"{name} differs" for name in expected.keys() | after.keys() if expected.get(name) != after.get(name)
            ]
            found += [f"{path} is left" for path in run.glob("checkpoints/.*") if is_temporary(path)]
        mistakes += [f"{recipe}, {way}, before operation {number} ({operations[number - 1]}): {each}" for each in found]
    return len(chosen), len(operations), mistakes


def main() -> int:
    """Run the trials and report each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=list(SHORT), choices=list(SHORT))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--every", type=int, default=1, help="try each so-many-th operation")
    parser.add_argument("--first", type=int, default=0, help="begin with another one")
    arguments = parser.parse_args()
    few_digits()
    torch.use_deterministic_algorithms(False)  # here, since the import behind it takes a second in each process
    failures = 0
    with tempfile.TemporaryDirectory() as temporary:
        for recipe in arguments.recipes:
            for way in arguments.ways:
                tried, operations, mistakes = trials(
                    recipe, way, every=arguments.every, first=arguments.first, place=Path(temporary)
                )
                print(f"{recipe}, {way}: {tried} of {operations} operations, {len(mistakes)} wrong", flush=True)
                print("\n".join(mistakes[:5]), flush=True)
                failures += len(mistakes)
    print(f"{failures} ended differently")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())

"""Trying attacks: each in a process forked from one that has étude and PyTorch at hand, or in a process of its own.

A script: `python tests/attacks/trials.py --tries 3000` prints every attack that broke the rule, and counts.
"""

import argparse
import atexit
import contextlib
import gc
import json
import os
import re
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

sys.path.insert(0, str(Path(__file__).parents[1]))

from attacks import files
from attacks.grammar import Attack, Grammar

SECONDS = 10.0
"""No command may take longer: processor time, or wall time on a machine that does nothing else."""
TRAINING_SECONDS = 3.0
"""After so long, what trains (or a person's own file that hangs) is interrupted, and must end."""
BUSY = 15.0
"""By so much wall time may exceed processor time, since tests share the machine."""
MOST_BYTES = 12 * 2**30
TRAINS = ("train", "sweep", "resume", "latents", "measure")
SERVES = ("studio",)
"""What works until it is interrupted, and uses no processor time meanwhile."""
SERVING_SECONDS = 4.0
"""After so long, by the clock, what serves is interrupted."""
PROGRESS = re.compile(r"^(note: |measuring |[\w.=,/ -]+: |[\w.=, -]+ seed \d+  |\S+  epoch \d|PRINTED)")
"""Lines on stderr beside the one that says what is wrong; the last is what a person's own file prints."""
TRACES = re.compile(r"Traceback|^\s*File |\w(Error|Exception|Warning)\b: |Exception ignored|Fatal Python", re.MULTILINE)
PERSONS = re.compile(r"WARNED|files/\w+\.py:\d+: |^  import numpy|ZeroDivisionError|atexit|thread|libgomp|^$")
"""What a person's own file writes to stderr, by a thread or at exit: not ours to silence."""


@dataclass(frozen=True)
class Result:
    """How a try ended."""

    code: int
    """Exit code; negative for a signal."""
    out: bytes
    err: bytes
    seconds: float
    interrupted: bool
    left: list[str]
    """Files that are new or gone afterwards."""
    litter: list[str]
    """Temporary files among them."""


class Ground:
    """The folder in which attacks are tried, made whole again after each."""

    def __init__(self, root: Path) -> None:
        self.root, self.work, self.pristine, self.temporary = root, root / "work", root / "pristine", root / "tmp"
        if not self.pristine.exists():
            files.make(self.pristine)
        self.temporary.mkdir()
        self._restore()

    def _restore(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.pristine, self.work, symlinks=True)
        self.before = dict(self._walk())

    def _walk(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for folder, _, names in os.walk(self.work):
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    status = os.lstat(path)
                    yield os.path.relpath(path, self.work), (status.st_size, status.st_mtime_ns)

    def prepare(self, attack: Attack) -> None:
        """Write the attack's files."""
        for name, text in attack.files.items():
            (self.work / name).write_bytes(text.encode(errors="surrogateescape"))
            self.before[name] = (0, 0)

    def changes(self, attack: Attack) -> tuple[list[str], list[str]]:
        """What is new or gone, and which of it is litter; the folder is whole again afterwards."""
        after = dict(self._walk())
        changed = sorted(set(after) ^ set(self.before))
        litter = [name for name in after if name.endswith(".part") or "/.new-" in f"/{name}"]
        litter += [each.name for each in self.temporary.iterdir()]
        if litter or after != self.before:
            for each in self.temporary.iterdir():
                shutil.rmtree(each) if each.is_dir() else each.unlink()
            self._restore()
        return [name for name in changed if not name.startswith(("cache/", "files/__pycache__"))], litter


def try_attack(attack: Attack, ground: Ground) -> Result:
    """Run the attack's command and wait for its end. Returns in the parent only."""
    ground.prepare(attack)
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 (closed below)
    started = time.monotonic()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _end(lambda: _become(attack, ground, out.fileno(), err.fileno()))
    patience = TRAINING_SECONDS if _may_take_long(attack) else SECONDS
    if attack.interrupt_after is not None:
        patience = attack.interrupt_after
    code = _wait(child, patience, SERVING_SECONDS if attack.words[0] in SERVES else BUSY * patience)
    interrupted = code is None
    if code is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGINT)
        code = _wait(child, SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if code is None:
        code = _wait(child, SECONDS)
    seconds = time.monotonic() - started
    texts = []
    for file in (out, err):
        file.seek(0)
        texts.append(file.read())
        file.close()
    left, litter = ground.changes(attack)
    return Result(-99 if code is None else code, texts[0], texts[1], seconds, interrupted, left, litter)


def _may_take_long(attack: Attack) -> bool:
    return attack.words[0] in (*TRAINS, *SERVES) or any("hang" in word for word in attack.words)


def _wait(process: int, seconds: float, wall_seconds: float | None = None) -> int | None:
    """The exit code. None if it takes more seconds of the processor, or of the clock, than it may."""
    end, pause = time.monotonic() + (wall_seconds or BUSY * seconds), 0.002
    used = _processor_seconds(process)
    while time.monotonic() < end and _processor_seconds(process) - used < seconds:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(1.2 * pause, 0.05)
    return None


def _processor_seconds(process: int) -> float:
    """What a process and the children it waited for have used; 0 where the system does not tell."""
    try:
        numbers = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:15]
    except OSError:
        return 0.0
    return sum(map(int, numbers)) / os.sysconf("SC_CLK_TCK")


def _become(attack: Attack, ground: Ground, out: int, err: int) -> int:
    """In the child: everything as the shell would give it to a new process, then the command."""
    os.setsid()
    os.chdir(ground.work)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    environment = {"XDG_CACHE_HOME": str(ground.work / "cache"), "TMPDIR": str(ground.temporary), **attack.environment}
    environment |= {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}  # no network
    environment |= {"BROWSER": "true"}  # the program that does nothing
    for name, value in environment.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    tempfile.tempdir = None
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _redirect(1, attack.stdout, out)
    _redirect(2, attack.stderr, err)
    if attack.python or attack.is_own_process:
        words = [sys.executable, *attack.python, "-m", "etude"]
        words += [word.replace("\x00", "")[:100_000] for word in attack.words]  # what a system passes to a process
        os.closerange(3, 100)
        os.execv(sys.executable, words)
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdout = None if attack.stdout == "closed" else _stream(1, encoding, None)  # type: ignore[assignment]
    sys.stderr = None if attack.stderr == "closed" else _stream(2, "utf-8", "backslashreplace")  # type: ignore[assignment]
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
    sys.argv = ["etude", *attack.words]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from etude.__main__ import main

    return main()


def _end(run: Callable[[], int]) -> None:
    """End this process as Python does, but without taking PyTorch apart, which takes a second."""
    code: object = 1
    try:
        code = run()
    except SystemExit as stop:
        code = stop.code or 0
    except KeyboardInterrupt:
        traceback.print_exc()
        code = 256 - signal.SIGINT
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except (OSError, ValueError):
            code = 120
    os._exit(code if isinstance(code, int) else 1)


def _stream(number: int, encoding: str, errors: str | None) -> TextIO:
    return open(number, "w", encoding=encoding, errors=errors, closefd=False)


def _redirect(descriptor: int, kind: str, file: int) -> None:
    match kind:
        case "closed":
            os.close(descriptor)
        case "full":
            os.dup2(os.open("/dev/full", os.O_WRONLY), descriptor)
        case "gone":
            reading, writing = os.pipe()
            os.close(reading)
            os.dup2(writing, descriptor)
        case _:
            os.dup2(file, descriptor)


def fault(attack: Attack, result: Result) -> str | None:
    """What breaks the rule, or None: exit code 0, 1 (verify's verdict), 2 or 130, one line, no litter, no hang."""
    err = result.err.decode(errors="backslashreplace")
    if any(odd in word for word in attack.words for odd in ("files/thread", "files/atexit")):
        err = "\n".join(line for line in err.splitlines() if line.startswith("etude: "))  # the rest is their doing
    if attack.interrupt_after is not None and result.code == -signal.SIGINT and "etude" not in err:
        return None  # Python itself was still starting
    if result.interrupted and attack.interrupt_after is None and not _may_take_long(attack):
        return f"hangs: {result.seconds:.0f} s"
    if result.code not in (0, 1, 2, 130) or (result.code == 1 and attack.words[0] != "verify"):
        return f"exit code {result.code}"
    ours = "\n".join(line for line in err.splitlines() if not PERSONS.search(line))
    if TRACES.search(ours) and not re.fullmatch(r"etude: .*", ours.strip()):
        return "a traceback or warning"
    lines = [line for line in re.split(r"\n", err) if line.strip()]
    said = [line for line in lines if line.startswith("etude: ")]
    if attack.stderr == "file" and (len(said) != 1 if result.code in (2, 130) else said):
        return f"{len(said)} lines that begin with `etude:`, exit code {result.code}"
    if other := [line for line in lines if line not in said and not PROGRESS.search(line) and not PERSONS.search(line)]:
        return f"more than one line: {other[0][:80]!r}"
    if said and (bad := [letter for letter in said[0] if not letter.isprintable()]):
        return f"control characters in the message: {bad[0]!r}"
    if said and len(said[0]) > 1500:
        return f"a message of {len(said[0])} characters"
    if result.litter:
        return f"litter: {result.litter[:2]}"
    if result.code == 2 and result.left and attack.words[0] not in TRAINS and attack.kind != "streams":
        return f"failed, and left {result.left[:2]}"
    return None


def run(
    seed: int, tries: int, root: Path, *, skip: tuple[str, ...] = (), kinds: tuple[str, ...] = ()
) -> tuple[Counter, list[tuple[Attack, Result, str]]]:
    """Try so many attacks; the number by kind and exit code, and those that broke the rule."""
    _preload()
    ground, grammar = Ground(root), Grammar(seed)
    counts: Counter = Counter()
    used: dict[str, float] = defaultdict(float)
    faults = []
    while sum(counts.values()) < tries:
        attack = grammar.attack()
        if attack.words[0] in skip or (kinds and attack.kind not in kinds):
            continue
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        result = try_attack(attack, ground)
        used[f"{attack.kind} {attack.words[0]:.10}"] += resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        counts[attack.kind, result.code] += 1
        if sum(counts.values()) % 100 == 0:
            print(f"{sum(counts.values())} tries, {len(faults)} faults", flush=True)
            print(
                {k: round(v) for k, v in sorted(used.items(), key=lambda each: -each[1])[:8]}, round(sum(used.values()))
            )
        if wrong := fault(attack, result):
            faults.append((attack, result, wrong))
            print(shown(attack, result, wrong), flush=True)
    return counts, faults


def shown(attack: Attack, result: Result, wrong: str) -> str:
    """A fault for a person, on a few lines."""
    words = " ".join(shlex.quote(word) if len(word) < 100 else f"{word[:20]!r}…×{len(word)}" for word in attack.words)
    extra = {
        key: value
        for key, value in vars(attack).items()
        if value and key not in ("kind", "words", "files") and value != "file"
    }
    extra |= {
        name: text[:1500] if len(text) < 1500 else f"{text[:300]}…×{len(text)}" for name, text in attack.files.items()
    }
    err = result.err.decode(errors="backslashreplace").rstrip()
    return f"--- {wrong}\n{words!r:.600} {extra or ''}\n    {err[-700:]}".encode(errors="backslashreplace").decode()


def _preload() -> None:
    """What every command imports, once for all forks; no threads, no random numbers."""
    import matplotlib
    import torch

    matplotlib.use("Agg")
    torch.set_num_threads(1)
    for name in ("etude.cli", "etude.training", "etude.sweeps", "etude.measurement", "etude.figures.catalogue",
                 "etude.reports", "rich.progress", "etude.inspection.inspecting", "etude.inspection.source",
                 "etude.inspection.calculus.derive", "etude.verify.sandbox", "etude.studio.serving",
                 "matplotlib.pyplot", "sklearn.datasets", "torch._dynamo"):  # fmt: skip
        __import__(name)
    gc.collect()
    gc.freeze()  # else a child's collection would copy all memory


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--skip", nargs="*", default=[])
    parser.add_argument("--kinds", nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pristine", type=Path)
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="etude-attacks-"))
    if options.pristine and options.pristine.exists():
        shutil.copytree(options.pristine, place / "pristine", symlinks=True)
    started = time.monotonic()
    found, wrong = run(options.seed, options.tries, place, skip=tuple(options.skip), kinds=tuple(options.kinds))
    shutil.rmtree(place, ignore_errors=True)
    for (kind, code), number in sorted(found.items()):
        print(f"{kind:<14} exit code {code:>4}: {number:>5}")
    print(f"{sum(found.values())} tries, {len(wrong)} broke the rule, {time.monotonic() - started:.0f} s")
    if options.out:
        options.out.write_text(json.dumps([[vars(a), w] for a, _, w in wrong]))
    sys.exit(1 if wrong else 0)

"""Training the runs of a sweep side by side, in processes that take one run after another."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from etude.recipes import to_dict
from etude.sweeps.folder import Member, Sweep
from etude.sweeps.progress import SweepDisplay
from etude.training.stopping import StopRequest

REFRESH_SECONDS = 0.25


class Worker:
    """A process that trains runs (see `etude.sweeps.worker`); final."""

    def __init__(self, *, threads: int, log: IO[bytes]) -> None:
        # A session of its own: Ctrl-C in the terminal reaches the sweep alone, which then stops its workers.
        self._process = subprocess.Popen(
            # -P: a file of a person's in this folder, random.py say, is not imported in place of Python's own.
            [sys.executable, "-P", "-c", "from etude.sweeps.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={
                **os.environ,
                "OMP_NUM_THREADS": str(threads),
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self.member: Member | None = None

    def fileno(self) -> int:
        """Where `select` waits for an answer."""
        return self._stdout.fileno()

    def start(self, member: Member, sweep: Sweep) -> None:
        """Let it train a run."""
        self.member = member
        job = {
            "path": str(member.path),
            "recipe": {**to_dict(member.cell.recipe), "seed": member.seed},
            "data_dir": str(sweep.data_dir) if sweep.data_dir else None,
            "device": sweep.device,
            "threads": sweep.threads,
            "precision": sweep.precision,
            "compile": sweep.compile,
        }
        with suppress(BrokenPipeError):  # it has died: the end of its answers will say so
            self._stdin.write(json.dumps(job).encode() + b"\n")
            self._stdin.flush()

    def answer(self) -> dict[str, str] | None:
        """Its answer to the run that it was given; None when the process has died."""
        line = self._stdout.readline()
        return json.loads(line) if line else None

    def stop(self) -> None:
        """Let it save the run in progress, if any, and end."""
        with suppress(BrokenPipeError):
            self._stdin.close()

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        return self._process.wait()

    def kill(self) -> None:
        """End it now; what was saved at the end of the last epoch stays."""
        self.stop()
        self._process.kill()
        self._process.wait()
        self._stdout.close()


def train_members(
    sweep: Sweep, members: Sequence[Member], *, num_jobs: int, stop: StopRequest, display: SweepDisplay
) -> dict[str, str]:
    """Train the runs, `num_jobs` at a time; the message of each that failed, by its label.

    When `stop` is requested the runs in progress are saved and no other begins.
    """
    waiting, failures = list(members), dict[str, str]()
    idle: list[Worker] = []
    busy: list[Worker] = []
    stopping = False
    with Path(sweep.path / "workers.log").open("ab") as log:
        try:
            while waiting or busy:
                if stop and not stopping:
                    stopping = True
                    waiting.clear()
                    for worker in busy:
                        worker.stop()
                while waiting and len(busy) < num_jobs:
                    worker = idle.pop() if idle else Worker(threads=sweep.threads, log=log)
                    worker.start(waiting.pop(0), sweep)
                    busy.append(worker)
                ready, _, _ = select.select(busy, [], [], REFRESH_SECONDS)
                for worker in ready:
                    busy.remove(worker)
                    member, answer = worker.member, worker.answer()
                    assert member
                    if answer is None:
                        worker.stop()
                        code = worker.wait()
                        worker.kill()
                        answer = {} if stopping else {"error": _death(code)}
                    elif not stopping:
                        idle.append(worker)
                    if "error" in answer:
                        failures[member.label] = answer["error"]
                    display.ended(member, answer.get("error"))
                display.refresh([worker.member for worker in busy if worker.member])
        finally:
            for worker in [*busy, *idle]:
                worker.kill()
    return failures


def _death(code: int) -> str:
    if code == -9:
        return (
            "the process was killed (by a person, or for want of memory: fewer --jobs need less); "
            "`etude resume` goes on"
        )
    return f"the process ended with {f'signal {-code}' if code < 0 else f'exit code {code}'} (see workers.log)"

"""Train the runs of a sweep side by side, in processes that take one job after another.

A job is one run or, on a GPU, all runs that one program can train.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import IO

from etude.files import cannot_write
from etude.recipes import to_dict
from etude.runs.checkpoint import list_steps
from etude.runs.code import is_trusted
from etude.runs.folder import holds
from etude.speed.replicas import program_key
from etude.sweeps.folder import Member, Sweep
from etude.sweeps.progress import SweepDisplay
from etude.training.stopping import StopRequest

REFRESH_SECONDS = 0.25
MOST_REPLICAS = 64
"""Runs in one program."""
Job = list[Member]
"""Runs that a process trains at once."""


class Worker:
    """A process that trains runs (see `etude.sweeps.worker`); final."""

    def __init__(self, *, threads: int, log: IO[bytes]) -> None:
        # A new session: Ctrl-C in the terminal reaches only the sweep, which then stops its workers.
        self._process = subprocess.Popen(
            # -P: a person's file in this folder, such as random.py, is not imported in place of Python's module.
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
        self.job: Job = []

    def fileno(self) -> int:
        """The file on which `select` waits for an answer."""
        return self._stdout.fileno()

    def start(self, job: Job, sweep: Sweep) -> None:
        """Let it train the runs of a job."""
        self.job = job
        message = {
            "paths": [str(member.path) for member in job],
            "recipes": [to_dict(member.recipe) for member in job],
            "data_dir": str(sweep.data_dir) if sweep.data_dir else None,
            "compute": asdict(sweep.compute),
            "trusted": is_trusted(sweep.path),
        }
        with suppress(BrokenPipeError):  # it has died: the end of its answers will say so
            self._stdin.write(json.dumps(message).encode() + b"\n")
            self._stdin.flush()

    def answer(self) -> dict[str, str] | None:
        """What went wrong with the runs of its job, by folder; None if the process has died."""
        line = self._stdout.readline()
        return json.loads(line) if line else None

    def stop(self) -> None:
        """Let it save any runs in progress and exit."""
        with suppress(BrokenPipeError):
            self._stdin.close()

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        return self._process.wait()

    def kill(self) -> None:
        """Kill it now; the checkpoint of the last epoch stays."""
        self.stop()
        self._process.kill()
        self._process.wait()
        self._stdout.close()


def make_jobs(sweep: Sweep, members: Sequence[Member]) -> list[Job]:
    """What a process trains at once: on a GPU all runs that one program can train, at most `MOST_REPLICAS`; else one.

    A run that was started joins those at the same step.
    """
    if sweep.compute.device != "cuda":
        return [[member] for member in members]
    together: dict[Hashable, Job] = {}
    for member in members:
        begun = holds(member.path, "recipe.json")
        steps = list_steps(member.path / "checkpoints")
        together.setdefault((program_key(member.recipe), begun, *steps[-1:]), []).append(member)
    return [
        each[first : first + MOST_REPLICAS]
        for each in together.values()
        for first in range(0, len(each), MOST_REPLICAS)
    ]


def train_jobs(
    sweep: Sweep, jobs: Sequence[Job], *, num_jobs: int, stop: StopRequest, display: SweepDisplay
) -> dict[str, str]:
    """Train the runs, `num_jobs` jobs at a time. Returns the message of each failed run, by its label.

    When `stop` is requested, the runs in progress are saved and no other starts.
    """
    waiting, failures = list(jobs), dict[str, str]()
    idle: list[Worker] = []
    busy: list[Worker] = []
    stopping = False
    try:
        log = (sweep.path / "workers.log").open("ab")
    except OSError as error:
        raise cannot_write(sweep.path / "workers.log", error) from error
    with log:
        try:
            while waiting or busy:
                if stop and not stopping:
                    stopping = True
                    waiting.clear()
                    for worker in busy:
                        worker.stop()
                while waiting and len(busy) < num_jobs:
                    worker = idle.pop() if idle else Worker(threads=sweep.compute.threads or 1, log=log)
                    worker.start(waiting.pop(0), sweep)
                    busy.append(worker)
                ready, _, _ = select.select(busy, [], [], REFRESH_SECONDS)
                for worker in ready:
                    busy.remove(worker)
                    answer = worker.answer()
                    if answer is None:
                        worker.stop()
                        reason = _death(worker.wait())
                        worker.kill()
                        answer = {} if stopping else {str(member.path): reason for member in worker.job}
                    elif not stopping:
                        idle.append(worker)
                    for member in worker.job:
                        error = answer.get(str(member.path))
                        if error is not None:
                            failures[member.label] = error
                        display.ended(member, error)
                display.refresh([member for worker in busy for member in worker.job])
        finally:
            for worker in [*busy, *idle]:
                worker.kill()
    return failures


def _death(code: int) -> str:
    if code == -9:
        return (
            "the process was killed (by a person, or for lack of memory: fewer --jobs need less); "
            "`etude resume` continues"
        )
    return f"the process ended with {f'signal {-code}' if code < 0 else f'exit code {code}'} (see workers.log)"

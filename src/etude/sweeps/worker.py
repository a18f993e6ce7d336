"""A process that does one job after another: jobs arrive as JSON lines on stdin, and each gets an answer.

A job is one run, or several that one program trains. PyTorch is imported once for all jobs. If stdin ends while a job
is in progress, because the sweep was stopped or its process died, the worker saves its runs and exits.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from etude import recipes
from etude.compute import Compute
from etude.errors import EtudeError, Interrupted
from etude.runs import Run
from etude.runs.code import trust
from etude.runs.folder import holds
from etude.sweeps.folder import Sweep
from etude.training import Display
from etude.training.start import resume_together, train_together


def main() -> None:
    """Answer each job with the messages of the runs that failed, by their folders."""
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # a clean exit: matplotlib, for example, removes a folder
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is printed goes to the log, not between the answers
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, jobs), daemon=True).start()
    while line := jobs.get():
        answer = json.dumps(work(json.loads(line))) + "\n"
        with suppress(BrokenPipeError):  # the process of the sweep was killed
            os.write(answers, answer.encode())


def work(job: dict[str, Any]) -> dict[str, str]:
    """Train or continue the runs of a job together. Returns what went wrong, by the folder of the run."""
    paths = [Path(path) for path in job["paths"]]
    given = [recipes.from_dict(recipe, source="sweep.json") for recipe in job["recipes"]]
    data_dir, display = Path(job["data_dir"]) if job["data_dir"] else None, Display(quiet=True)
    if job["trusted"]:
        trust(paths[0].parent)
    try:
        if holds(paths[0], "recipe.json"):
            runs = [Run(path) for path in paths]
            resume_together(runs, data_dir=None, display=display)
        else:
            if any(recipe.code for recipe in given):
                Sweep(paths[0].parent).open_code()
                given = [recipes.opened(recipe) for recipe in given]
            runs = train_together(
                given,
                names=[path.name for path in paths],
                runs_dir=paths[0].parent,
                data_dir=data_dir,
                compute=Compute(**job["compute"]),
                display=display,
            )
    except Interrupted:
        return {}
    except EtudeError as error:
        return {str(path): _reason(path, str(error)) for path in paths}
    except Exception as error:  # our bug fails these runs, not the others
        with suppress(OSError):  # the log's disk is full
            traceback.print_exc()
        text = " ".join(str(error).split())
        return {str(path): f"{type(error).__name__}: {text} (see {path.parent / 'workers.log'})" for path in paths}
    return {str(run.path): run.state.error or "" for run in runs if run.state.status == "failed"}


def _reason(path: Path, message: str) -> str:
    """Why this run failed, if it says so itself; else what stopped its whole program."""
    try:
        return Run(path).state.error or message
    except EtudeError:
        return message


def _listen(stdin: TextIO, jobs: "queue.SimpleQueue[str]") -> None:
    for line in stdin:
        jobs.put(line)
    jobs.put("")
    os.kill(os.getpid(), signal.SIGTERM)  # training saves and stops; an idle worker just exits

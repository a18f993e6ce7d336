"""A process that trains one run after another: jobs come as JSON lines on stdin, an answer goes back for each.

It imports PyTorch once for all its runs. When stdin ends while a run trains, because
the sweep was stopped or its process died, the run is saved and the worker ends.
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
from etude.errors import EtudeError, Interrupted
from etude.runs import Run
from etude.training import Display, resume, train


def main() -> None:
    """Answer each job with {}, {"interrupted": …} or {"error": …}."""
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints goes to the log, not between the answers
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, jobs), daemon=True).start()
    while line := jobs.get():
        answer = json.dumps(work(json.loads(line))) + "\n"
        with suppress(BrokenPipeError):  # the process of the sweep was killed
            os.write(answers, answer.encode())


def work(job: dict[str, Any]) -> dict[str, str]:
    """Train the run of a job, or go on with it."""
    path = Path(job["path"])
    try:
        if (path / "recipe.json").is_file():
            resume(Run(path), display=Display(quiet=True))
        else:
            recipe = recipes.from_dict(job["recipe"], source="sweep.json")
            data_dir = Path(job["data_dir"]) if job["data_dir"] else None
            train(
                recipe,
                name=path.name,
                runs_dir=path.parent,
                data_dir=data_dir,
                device=job["device"],
                threads=job["threads"],
                precision=job["precision"],
                compile=job["compile"],
                display=Display(quiet=True),
            )
    except Interrupted as error:
        return {"interrupted": str(error)}
    except EtudeError as error:
        return {"error": str(error)}
    except Exception as error:  # a bug of ours fails this run, not the others
        traceback.print_exc()
        text = " ".join(str(error).split())
        return {"error": f"{type(error).__name__}: {text} (see {path.parent / 'workers.log'})"}
    return {}


def _listen(stdin: TextIO, jobs: "queue.SimpleQueue[str]") -> None:
    for line in stdin:
        jobs.put(line)
    jobs.put("")
    os.kill(os.getpid(), signal.SIGTERM)  # training saves and stops; an idle worker just ends

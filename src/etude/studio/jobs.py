"""What is started from the page: trainings and studies, each a process of its own that outlives the studio."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from etude import recipes
from etude.errors import RunError, UsageError
from etude.files import PLAIN_NAME, PLAIN_NAME_RULE, remove
from etude.runs.lock import is_training, trainer, training_lock

MOST_AT_ONCE = 4
LOG_BYTES = 4000


@dataclass(frozen=True)
class Job:
    """A process and where its words go."""

    title: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def described(self) -> dict[str, Any]:
        """For the page: whether it runs, and the end of what it said."""
        code = self.process.poll()
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - LOG_BYTES))
            said = file.read().decode(errors="replace")
        state = "running" if code is None else "finished" if code == 0 else "failed"
        return {"title": self.title, "state": state, "log": said}


@final
class Jobs:
    """The processes that this studio started."""

    def __init__(self, runs_dir: Path, data_dir: Path | None) -> None:
        self.runs_dir, self.data_dir = runs_dir, data_dir
        self._jobs: list[Job] = []
        self._logs = Path(tempfile.mkdtemp(prefix="etude-studio-"))

    def close(self) -> None:
        """Remove the logs. The processes go on."""
        remove(self._logs)

    def described(self) -> list[dict[str, Any]]:
        """All of them, the newest first."""
        return [job.described() for job in reversed(self._jobs)]

    def train(self, given: dict[str, Any]) -> None:
        """Train a recipe with some of its fields changed."""
        name = given.get("name") or None
        if name is not None and not (isinstance(name, str) and PLAIN_NAME.fullmatch(name)):
            raise UsageError(f"name {name!r:.40} (allowed: {PLAIN_NAME_RULE}).")
        recipe, changes = given.get("recipe"), given.get("changes")
        if not isinstance(recipe, str) or recipe not in recipes.RECIPES:
            raise UsageError(f"recipe {recipe!r:.40} (allowed: {', '.join(recipes.RECIPES)}).")
        if not isinstance(changes, dict):
            raise UsageError("changes is a table of the recipe's fields.")
        changed = None
        if "family_file" not in changes:
            changed = recipes.from_dict({**changes, "name": recipe}, source=f"recipe {recipe}")
        if changed is None or changed.code:
            raise UsageError("networks of your own are trained by `etude train` in a terminal.")
        toml = self._logs / f"recipe-{len(self._jobs)}.toml"
        recipes.write_toml(changed, toml)
        named = ["--name", name] if name else []
        self._start(f"train {recipe}", ["train", str(toml), *named, *self._folders()])

    def resume(self, path: Path) -> None:
        """Go on with a run that was stopped."""
        if is_training(path):
            raise RunError(f"run {path.name} is in training.")
        data = ["--data-dir", str(self.data_dir)] if self.data_dir else []
        self._start(f"resume {path.name}", ["resume", str(path), *data])

    def settle(self, name: str, *, quick: bool) -> None:
        """Run a study."""
        self._start(f"study {name}", ["study", name, *(["--quick"] if quick else []), *self._folders()])

    def _folders(self) -> list[str]:
        data = ["--data-dir", str(self.data_dir)] if self.data_dir else []
        return ["--runs-dir", str(self.runs_dir), *data]

    def _start(self, title: str, words: Sequence[str]) -> None:
        if sum(job.process.poll() is None for job in self._jobs) >= MOST_AT_ONCE:
            raise UsageError(f"{MOST_AT_ONCE} processes are at work already: wait for one of them.")
        log = self._logs / f"{len(self._jobs)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "etude", *words],
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the studio's terminal is not meant for it
            )  # fmt: skip
        self._jobs.append(Job(title, process, log))


def pause(path: Path) -> None:
    """Ask the process that trains a run to save and end, as Ctrl-C does. `resume` goes on from there."""
    number = trainer(path)
    if number is None:
        raise RunError(f"run {path.name} is not in training on this machine.")
    try:
        os.kill(number, signal.SIGTERM)
    except (ProcessLookupError, PermissionError) as error:
        raise RunError(f"cannot stop run {path.name}: {(error.strerror or str(error)).lower()}.") from error


def delete(path: Path, confirmed: object) -> None:
    """Remove a run that is not in training, once its name was typed."""
    if confirmed != path.name:
        raise UsageError(f"type the name of the run, {path.name}, to delete it.")
    with training_lock(path):
        remove(path)
    if path.exists():
        raise RunError(f"cannot delete all of run {path.name}: see its permissions.")

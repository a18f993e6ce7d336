"""`--to tensorboard`: event files of a run that is trained."""

from datetime import datetime
from pathlib import Path

import numpy as np

from etude.errors import RunError
from etude.files import make_folder, read_whole
from etude.runs import Run
from etude.runs.checkpoint import list_steps, load_progress
from etude.runs.event_file import EventFile


def write_event_files(run: Run, folder: Path) -> list[Path]:
    """Write the metrics and the pictures of a run into a folder of its name in `folder`, in place of what is there.

    When an event was written is known at the start, at the kept checkpoints and at the end; between them it is
    interpolated.
    """
    times = _WallTimes(run)
    pictures = run.preview_images()
    events = EventFile(make_folder(folder / run.name), identity=run.configuration["created"])
    try:
        for row in run.metrics().rows:
            while pictures and pictures[0][0] < row["step"]:
                _picture(events, times, *pictures.pop(0))
            values = {key: value for key, value in row.items() if key not in ("event", "step", "epoch")}
            events.scalars(row["step"], values, times.at(row["step"]))
        for step, path in pictures:
            _picture(events, times, step, path)
    finally:
        events.close()
    return [events.path]


def _picture(events: EventFile, times: "_WallTimes", step: int, path: Path) -> None:
    try:
        content = read_whole(path)
    except OSError as error:
        raise RunError(f"cannot read {path}: {(error.strerror or str(error)).lower()}.") from error
    if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 33:
        raise RunError(f"{path} is no picture that training drew: remove it, or put it back.")
    events.picture(step, content, times.at(step))


class _WallTimes:
    """When each step was taken, in seconds since 1970; final."""

    def __init__(self, run: Run) -> None:
        begun = datetime.fromisoformat(run.configuration["created"]).timestamp()
        state, folder = run.state, run.path / "checkpoints"
        known = {0: 0.0}
        for step in list_steps(folder):
            known[step] = load_progress(folder / f"step-{step}").seconds
        known[state.step] = max(state.seconds, known.get(state.step, 0.0))
        self._steps = sorted(known)
        self._seconds = [begun + known[step] for step in self._steps]

    def at(self, step: int) -> float:
        return float(np.interp(step, self._steps, self._seconds))

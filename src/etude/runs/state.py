"""state.json: how far a run is."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from etude.errors import RunError
from etude.files import checked_json, parse_checked_json, read_whole, write_atomically

STATUSES = ("running", "finished", "interrupted", "failed")


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """How far a run is."""

    status: str
    """running, finished, interrupted or failed."""
    step: int = 0
    epoch: int = 0
    """Whole passes over the training images done."""
    seconds: float = 0.0
    error: str | None = None
    metrics_bytes: int | None = None
    """Size of the metrics file at this step, all of it on the disk before this was; None in runs of étude 0.1."""
    metrics_checksum: str = ""
    """Of that many bytes of the metrics file."""


def read_state(run: Path) -> RunStatus:
    """What state.json of a run's folder says; `RunError` where it is damaged."""
    path = run / "state.json"
    try:
        content, _ = parse_checked_json(read_whole(path))
        return _state(content)
    except FileNotFoundError:
        return RunStatus(status="interrupted")
    except OSError as error:
        raise RunError(f"cannot read {path}: {(error.strerror or str(error)).lower()}.") from error
    except ValueError as error:
        raise RunError(
            f"damaged run {run}: state.json cannot be read ({error}); delete it, then `etude resume`."
        ) from error


def write_state(run: Path, state: RunStatus) -> None:
    """Record how far the run in a folder is."""
    write_atomically(run / "state.json", checked_json(asdict(state)))


def _state(content: dict[str, Any]) -> RunStatus:
    """The state that `write_state` recorded; `ValueError` where a value cannot be."""
    try:
        state = RunStatus(**content)
    except TypeError as error:
        raise ValueError(str(error).removeprefix("RunStatus.__init__() ")) from None
    allowed = {
        "status": state.status in STATUSES,
        "step": _is_count(state.step),
        "epoch": _is_count(state.epoch),
        "seconds": type(state.seconds) in (int, float) and state.seconds >= 0,
        "error": state.error is None or isinstance(state.error, str),
        "metrics_bytes": state.metrics_bytes is None or _is_count(state.metrics_bytes),
        "metrics_checksum": isinstance(state.metrics_checksum, str),
    }
    if wrong := [name for name, holds in allowed.items() if not holds]:
        raise ValueError(f"it has {getattr(state, wrong[0])!r:.100} for {wrong[0]}")
    return state


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0

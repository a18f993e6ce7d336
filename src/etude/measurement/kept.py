"""The results that a run keeps in its folder `measures`: a file for each, named by all that it depends on."""

import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from etude.errors import EtudeError, UsageError
from etude.files import parse_checked_json, read_whole
from etude.measurement.catalogue import fitting
from etude.measurement.metric import Better
from etude.measurement.results import Result
from etude.measurement.settings import MeasuredSplit
from etude.runs import Run
from etude.runs.checkpoint import MODEL

VERSION = 3
"""Version of the arithmetic. A change that changes numbers increases it; then étude ignores the results kept before."""
MOST_FILES = 2_000
"""More files than these are not looked at."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A result of the weights in use."""

    metric: str
    split: MeasuredSplit
    settings: dict[str, Any]
    """Those that it depends on."""
    result: Result
    about: str = ""
    """What the metric is, in a few words; empty for a person's own."""
    better: Better = None


@dataclass(frozen=True)
class KeptResults:
    """What a run keeps; final."""

    results: list[Kept]
    """In the order of the catalogue, one for each metric and split: that of the most examples."""
    num_others: int
    """How many files hold something else: other weights, other settings, a damaged or an older result."""


def basis(weights: Path, digest: str, split: str) -> dict[str, Any]:
    """What every result of some weights on a split depends on. `UsageError` if the weights cannot be read."""
    try:
        with weights.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"cannot read {weights}: {(error.strerror or str(error)).lower()}.") from error
    return {"version": VERSION, "weights": sha256, "data": digest, "split": split}


def file_name(metric: str, basis: dict[str, Any], settings: dict[str, Any]) -> str:
    """The name of the file of one result."""
    key = json.dumps({**basis, "metric": metric, "settings": settings}, sort_keys=True)
    return f"{metric}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"


def kept_results(run: Run) -> KeptResults:
    """What is kept of the run's weights in use; nothing is computed, and none of the run's own code is run."""
    try:
        weights, digest = run.checkpoint_path() / MODEL, run.configuration["dataset"]["digest"]
        bases = {split: basis(weights, digest, split) for split in get_args(MeasuredSplit)}
    except EtudeError:
        bases = {}
    paths = sorted((run.path / "measures").glob("*.json"))[:MOST_FILES]
    known = fitting(run)
    found: dict[tuple[str, str], Kept] = {}
    for path in paths:
        kept = _read(path, bases)
        if kept is None:
            continue
        metric = known.get(kept.metric)
        if metric:
            kept = replace(kept, about=metric.about, better=metric.better)
            try:
                kept = replace(kept, result=replace(kept.result, remark=metric.remark(kept.result)))
            except (KeyError, TypeError, ValueError, IndexError):  # of a file that somebody wrote by hand
                continue
        there = found.get((kept.metric, kept.split))
        if there is None or there.result.num_samples < kept.result.num_samples:
            found[kept.metric, kept.split] = kept
    order = {name: place for place, name in enumerate(known)}
    results = sorted(found.values(), key=lambda each: (order.get(each.metric, len(order)), each.metric, each.split))
    return KeptResults(results, len(paths) - len(results))


def _read(path: Path, bases: dict[MeasuredSplit, dict[str, Any]]) -> Kept | None:
    """The result in a file, if it is whole and of one of the bases."""
    try:
        content, has_checksum = parse_checked_json(read_whole(path))
        metric, settings, numbers = content["metric"], content["settings"], content["result"]
        if not (has_checksum and isinstance(metric, str) and isinstance(settings, dict)):
            return None
        split: MeasuredSplit | None = next(
            (each for each in bases if path.name == file_name(metric, bases[each], settings)), None
        )
        if split is None or not _is_result(numbers):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Kept(metric=metric, split=split, settings=settings, result=Result({"value": None, **numbers}))


def _is_result(numbers: object) -> bool:
    """Whether what every metric may have is of the right type."""
    if not isinstance(numbers, dict):
        return False
    interval = numbers.get("interval") or [None, None]
    return (
        all(_is_number(numbers.get(key)) for key in ("value", "floor"))
        and isinstance(interval, list)
        and len(interval) == 2
        and all(map(_is_number, interval))
        and type(numbers.get("num_samples")) is int
        and isinstance(numbers.get("note"), str | None)
    )


def _is_number(value: object) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value))  # pyright: ignore[reportArgumentType]

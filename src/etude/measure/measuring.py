"""From a run and settings to its metrics, each computed once and kept in the run by content."""

import hashlib
import json
import math
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from etude.errors import UsageError
from etude.files import cannot_write, write_atomically
from etude.measure.catalogue import Metric, chosen, needs_features
from etude.measure.feature_network import feature_source
from etude.measure.settings import Settings
from etude.measure.subject import Subject
from etude.runs import Run
from etude.runs.checkpoint import MODEL

VERSION = 3
"""Of the arithmetic: a change that changes numbers counts it up, and what is kept in runs is computed anew."""


def measure(
    run: Run,
    settings: Settings | None = None,
    *,
    data_dir: Path | None = None,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> dict[str, Any]:
    """Every metric of `settings` (all that fit the run when it names none), by name, as plain values.

    A metric is a dictionary with its `value`, and what belongs to it: `floor`, `interval`, `num_samples`, `features`.
    Under "about" stands what was measured; under "notes" what the reader must know, such as metrics that were left
    out and why. A metric asked for by name that cannot be computed is a `UsageError`. The test split only reports; the
    validation split chooses: the run's best checkpoint, the temperature, a cell of a sweep. `say` is told what takes
    long.
    """
    settings = settings or Settings()
    metrics = chosen(run, settings)
    weights = run.checkpoint_path() / MODEL
    dataset = run.dataset(data_dir)
    with_features = needs_features(metrics)
    source = (
        feature_source(settings.features, run.recipe, dataset, data_dir=data_dir, say=say) if with_features else None
    )
    subject = Subject(run, dataset, settings, source)
    content = {"version": VERSION, "weights": _checksum(weights), "data": dataset.digest(), "split": settings.split}

    results: dict[str, Any] = {}
    notes: list[str] = []
    mistakes: list[UsageError] = []
    for metric in metrics:
        try:
            results[metric.name] = _kept_or_computed(metric, subject, content)
        except UsageError as error:
            if settings.metrics:
                raise
            mistakes.append(error)
            notes.append(f"left out {metric.name}: {error}")
    if not results and mistakes:
        raise mistakes[0]
    notes += dict.fromkeys(result["note"] for result in results.values() if result.get("note"))
    if content["data"] != run.configuration["dataset"].get("digest"):
        notes.append(f"the images of {dataset.name} here are not those that run {run.name} was trained on.")
    about = {
        "run": run.name,
        "checkpoint": run.which_checkpoint,
        "step": int(weights.parent.name.removeprefix("step-")),
        "data": dataset.name,
        "split": settings.split,
        "num_samples": subject.num_samples,
        "seed": settings.seed,
    }
    if source:
        network = subject.feature_network
        about["features"] = {"name": network.name, "test_accuracy": network.test_accuracy}
    return {**results, "about": about, "notes": notes}


def _kept_or_computed(metric: Metric, subject: Subject, content: dict[str, Any]) -> dict[str, Any]:
    settings = {name: _setting(subject, name) for name in metric.depends_on}
    key = json.dumps({**content, "metric": metric.name, "settings": settings}, sort_keys=True)
    name = f"{metric.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    path = subject.run.path / "measures" / name
    with suppress(OSError, ValueError, KeyError):  # not there, or damaged: compute it
        return json.loads(path.read_text())["result"]
    result = _plain(metric.compute(subject))
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(path.parent, error) from error
    write_atomically(path, json.dumps({"metric": metric.name, "settings": settings, "result": result}, indent=1))
    return result


def _setting(subject: Subject, name: str) -> object:
    """A setting as the result depends on it: capped, as the run was trained, features by the network's checksum."""
    if name == "features":
        assert subject.source
        return subject.source.name
    if name in ("num_samples", "num_likelihood_images", "binarize"):
        return getattr(subject, name)
    return getattr(subject.settings, name)


def _plain(value: Any) -> Any:
    """As JSON holds it: NaN, infinite and missing values are None, or left out of a dictionary of results."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}.") from error

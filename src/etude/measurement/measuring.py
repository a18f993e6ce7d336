"""From a run and settings to its metrics, each computed once and kept in the run by content."""

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from etude.data.kinds import examples_of
from etude.errors import UsageError
from etude.families.abilities import Classifies
from etude.files import cannot_write, checked_json, parse_checked_json, read_whole, remove_leftovers, write_atomically
from etude.measurement.catalogue import chosen, needs_features
from etude.measurement.feature_network import feature_source
from etude.measurement.kept import basis, file_name
from etude.measurement.metric import Metric
from etude.measurement.results import About, Measurement, Result
from etude.measurement.settings import Settings
from etude.measurement.subject import Subject
from etude.runs import Run
from etude.runs.checkpoint import MODEL

_OF_CLASSES = ("bayes_accuracy", "classifier_score", "linear_probe", "nearest_neighbours_probe")
"""Metrics that tell classes apart, as do all of a classifier."""


def measure(
    run: Run,
    settings: Settings | None = None,
    *,
    data_dir: str | Path | None = None,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
    **given: Any,
) -> Measurement:
    """Compute every metric that `settings` names, or all that fit the run.

    The fields of `Settings` can be given directly: `etude.measure(run, metrics=["fid"], num_samples=1000)`. A metric
    can be a function, `metrics=["fid", entropy]`, or `FILE.py:NAME`. `own_metrics.OFFERED` has the arguments that it
    may take.

    The test split only reports. The validation split chooses: the run's best checkpoint, the temperature, a cell of a
    sweep. `say` is told what takes long. Raises `UsageError` if a metric that is asked for by name cannot be computed.
    Otherwise such a metric is left out, with a note.
    """
    settings = settings or Settings(**given)
    data_dir = Path(data_dir) if data_dir else None
    remove_leftovers(run.path / "measures")
    metrics = chosen(run, settings)
    weights = run.checkpoint_path() / MODEL
    dataset = run.dataset(data_dir)
    notes: list[str] = []
    source = None
    if needs_features(metrics):
        where = data_dir or run.data_dir
        try:
            source = feature_source(settings.features, run.recipe, dataset, data_dir=where, say=say)
        except UsageError as error:
            without = [metric for metric in metrics if not needs_features([metric])]
            if settings.metrics or settings.features != "auto" or not without:
                raise
            notes.append(f"left out {', '.join(metric.name for metric in metrics if metric not in without)}: {error}")
            metrics = without
    subject = Subject(run, dataset, settings, source)
    content = basis(weights, dataset.digest(), settings.split)

    results: dict[str, Result] = {}
    mistakes: list[UsageError] = []
    for metric in metrics:
        try:
            result = Result(_kept_or_computed(metric, subject, content, say))
            results[metric.name] = replace(result, remark=metric.remark(result))
        except UsageError as error:
            if settings.metrics:
                raise
            mistakes.append(error)
            notes.append(f"left out {metric.name}: {error}")
    if not results and mistakes:
        raise mistakes[0]
    notes += dict.fromkeys(result.note for result in results.values() if result.note)
    examples = examples_of(run.kind)
    if content["data"] != run.configuration["dataset"].get("digest"):
        notes.append(f"the {examples} of {dataset.name} here are not those that run {run.name} was trained on.")
    network = subject.feature_network if source else None
    about = About(
        run=run.name,
        checkpoint=run.which_checkpoint,
        step=int(weights.parent.name.removeprefix("step-")),
        data=dataset.name,
        split=settings.split,
        num_samples=subject.num_samples,
        seed=settings.seed,
        examples=examples,
        features={"name": network.name, "test_accuracy": network.test_accuracy} if network else None,
    )
    return Measurement(results, about, notes)


def _kept_or_computed(
    metric: Metric, subject: Subject, content: dict[str, Any], say: Callable[[str], None]
) -> dict[str, Any]:
    tells_classes = subject.run.can(Classifies) or metric.name in _OF_CLASSES
    if subject.num_classes < 2 and tells_classes:
        raise UsageError(f"{metric.name} needs at least two classes, and run {subject.run.name} has one.")
    if not metric.kept:
        return _plain(metric.compute(subject))
    settings = {name: _setting(subject, name) for name in metric.depends_on}
    if metric.code:
        settings["code"] = metric.code
    path = subject.run.path / "measures" / file_name(metric.name, content, settings)
    try:
        kept, has_checksum = parse_checked_json(read_whole(path))
        if has_checksum:  # by étude 0.1 otherwise
            return kept["result"]
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError) as error:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        say(f"the result kept in {path} is damaged ({reason}): measuring {metric.name} again")
    result = _plain(metric.compute(subject))
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(path.parent, error) from error
    write_atomically(path, checked_json({"metric": metric.name, "settings": settings, "result": result}))
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

"""A metric of a person's own: a function whose arguments name what it is of, as `def entropy(generated, real)`."""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from sys import stderr
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from etude.errors import UsageError, unknown
from etude.families.abilities import Classifies, Encodes, Samples, Trained
from etude.families.inputs import scaled
from etude.measurement.metric import Better, Metric
from etude.measurement.subject import Subject
from etude.metrics.intervals import bootstrap_interval
from etude.runs import Run
from etude.streams import global_stream
from etude.user_code import Wanted, contained, load, run_program, short_reason

WANTED = Wanted("metric", "function", callable, inspect.isfunction, "function")
NUM_RESAMPLES = 2000
"""Of the bootstrap: its limits then differ by about a twentieth of the interval from one seed to another."""


@dataclass(frozen=True)
class Offered:
    """What an argument of a metric stands for."""

    give: Callable[[Subject], Any]
    needs: type = Trained
    """The ability that the run must have."""


def _examples(subject: Subject, examples: Tensor) -> Tensor:
    """Images as floats in [0, 1]; rows of a table in the units of its file."""
    return scaled(subject.run.kind, examples) if examples.dtype == torch.uint8 else examples


OFFERED: Mapping[str, Offered] = {
    "generated": Offered(lambda subject: subject.generated_images, Samples),
    "real": Offered(lambda subject: _examples(subject, subject.examples(subject.measured))),
    "labels": Offered(lambda subject: subject.measured.labels),
    "logits": Offered(lambda subject: subject.logits, Classifies),
    "latents": Offered(lambda subject: torch.from_numpy(subject.encodings[0]).float(), Encodes),
    "train": Offered(lambda subject: _examples(subject, subject.examples(subject.splits.train))),
    "train_labels": Offered(lambda subject: subject.splits.train.labels),
    "run": Offered(lambda subject: subject.run),
}
"""The arguments that a metric may have. Row i of `real`, `labels`, `logits` and `latents` is of one example."""


def own_metric(given: str | Callable[..., Any], run: Run) -> Metric:
    """The metric that `FILE.py:NAME` names, or a function; `UsageError` where it takes what the run has not.

    The function returns a number, or one for each example (N,), whose mean is the value, with a bootstrap interval. It
    may say which way is better: `entropy.better = "higher"`.
    """
    code = ""
    if isinstance(given, str):
        program = run_program(Path(f"{given.partition('.py:')[0]}.py"))
        function = load(given, WANTED, program=program)
        texts = "".join(f"{source.path} {source.sha256}\n" for source in program.sources)
        code = hashlib.sha256(f"{given.partition('.py:')[2]}\n{texts}".encode()).hexdigest()
    else:
        function = given
    name = getattr(function, "__name__", type(function).__name__)
    arguments = _arguments(function, name)
    if lacking := [each for each in arguments if not (OFFERED[each].needs is Trained or run.can(OFFERED[each].needs))]:
        fitting = [each for each, offered in OFFERED.items() if offered.needs is Trained or run.can(offered.needs)]
        raise UsageError(
            f"metric {name} takes {lacking[0]}, and run {run.name}, a {run.recipe.network}, has none: "
            f"it has {', '.join(fitting)}."
        )
    better = getattr(function, "better", None)
    if better is not None and better not in get_args(get_args(Better)[0]):
        raise UsageError(f"{name}.better is {better!r} (allowed: 'higher', 'lower', or leave it out).")
    about = (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")
    return Metric(
        name=name,
        about=about,
        compute=partial(_compute, function, name, arguments),
        needs=Trained,
        better=better,
        code=code,
        kept=bool(code),
    )


def _arguments(function: Callable[..., Any], name: str) -> list[str]:
    """What the function takes, of what is offered."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise UsageError(f"metric {name}: its arguments are not known; give a function written in Python.") from error
    wanted = [each.name for each in parameters if each.name in OFFERED]
    for each in parameters:
        optional = each.default is not each.empty or each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        if each.name not in OFFERED and not optional:
            raise unknown(f"argument of metric {name}:", each.name, OFFERED)
    if not wanted:
        raise UsageError(f"metric {name} takes nothing of a run: name its arguments, some of {', '.join(OFFERED)}.")
    return wanted


def _compute(function: Callable[..., Any], name: str, arguments: list[str], subject: Subject) -> dict[str, Any]:
    offered = {each: OFFERED[each].give(subject) for each in arguments}

    def tell(error: BaseException) -> UsageError:
        return UsageError(f"metric {name} could not be computed: {short_reason(error)}.")

    # Its draws, if it makes any, are the measurement's: the same seed, the same number.
    with contained(tell), redirect_stdout(stderr), torch.no_grad(), global_stream(subject.settings.seed, f"own/{name}"):
        given = function(**offered)
        values = np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given, dtype=np.float64)
    if values.ndim > 1 or not values.size:
        raise UsageError(f"metric {name} gives shape {values.shape}: give a number, or one for each example (N,).")
    if not np.isfinite(values).all():
        raise UsageError(f"metric {name} gives a number that is not finite.")
    result: dict[str, Any] = {"value": float(values.mean()), "num_samples": subject.num_samples}
    if values.ndim and len(values) > 1:
        found = bootstrap_interval(values, num_resamples=NUM_RESAMPLES, seed=subject.seed(f"own/{name}"))
        result |= {"interval": [found.low, found.high], "num_samples": len(values)}
    return result

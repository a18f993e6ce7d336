"""Training networks from a person's file: how their steps are computed, and what is said if they fail."""

import contextlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace

from etude.compute import Compute, Execution
from etude.data import Dataset
from etude.errors import EtudeError, TrainingError, UsageError, is_out_of_memory
from etude.recipes import Recipe
from etude.runs import Run
from etude.runs.code import FOLDER
from etude.speed.tracing import untraceable
from etude.training.display import Display
from etude.training.learners import create_learner, examined
from etude.user_code import reason


def as_traced(
    recipe: Recipe, dataset: Dataset, compute: Compute, execution: Execution, *, num_steps: int, display: Display
) -> Execution:
    """The execution, not compiled if the recipe's own networks cannot be; `display` is told why.

    Raises `UsageError` if compiling was asked for.
    """
    traits = examined(recipe, dataset.kind).traits
    pays = traits.steps_that_pay_for_compiling
    if traits.eager and compute.compile == "auto" and execution.device == "cpu" and pays and num_steps >= pays:
        display.note(f"not compiled: {traits.eager}.")
    if not execution.compiled or not (why := untraceable(create_learner(recipe, dataset, execution), dataset.train)):
        return execution
    names = ", ".join(recipe.code.values())
    if compute.compile == "on":
        raise UsageError(f"--compile on: {names} cannot be traced: {why}; train with --compile off.")
    display.note(f"not compiled: {names} cannot be traced: {why}.")
    return replace(execution, compiled=False)


@contextlib.contextmanager
def own_code(runs: Sequence[Run]) -> Iterator[None]:
    """While runs train: what the person's code prints goes to stderr, and what it raises becomes a `TrainingError`."""
    if not runs[0].recipe.code:
        yield
        return
    folders = [str(run.path.absolute() / FOLDER) for run in runs]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (EtudeError, KeyboardInterrupt):
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if any(frame.filename.startswith(folder) for folder in folders)]
        if not own or is_out_of_memory(error):
            raise
        raise TrainingError(
            f"the code of run {runs[0].path} failed at {own[-1].filename} line {own[-1].lineno}: {reason(error)}; mend "
            "the file that it was copied from, and train again."
        ) from error

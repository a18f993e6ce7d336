"""Which studies there are: étude's own by name, and a person's from a file that defines STUDY."""

import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeVar

from etude.errors import UsageError, unknown
from etude.studies.claim import Study
from etude.user_code import contained, reason, run_file

T = TypeVar("T")

TOPICS = ("generalisation", "optimisation", "activations", "gans", "vaes", "sequences")
"""A folder each, whose `NAMES` lists its studies in the order in which a reader meets them."""


def listed() -> Iterator[tuple[str, str]]:
    """Topic and name of every study."""
    for topic in TOPICS:
        for name in import_module(f"etude.studies.{topic}").NAMES:
            yield topic, name


def find(name: str) -> Study:
    """The study called `name`, or the one in a Python file that defines STUDY. Raises `UsageError`."""
    if name.endswith(".py"):
        return _from_file(Path(name))
    for topic, known in listed():
        if known == name:
            return import_module(f"etude.studies.{topic}.{name.replace('-', '_')}").STUDY
    raise unknown("study", name, [known for _, known in listed()], hint="`etude study --list` describes them")


def all_studies() -> list[Study]:
    """All studies, by topic."""
    return [find(name) for _, name in listed()]


def _from_file(path: Path) -> Study:
    names = run_file(path, hint="give the name of a study, or a Python file that defines STUDY")
    if not isinstance(study := names.get("STUDY"), Study):
        said = "does not define STUDY" if study is None else f"defines STUDY as a {type(study).__name__}"
        raise UsageError(f"{path} {said}; allowed: STUDY = etude.studies.Study(…), as docs/extending.md shows.")
    return replace(
        study,
        experiment=_told(study.experiment, path),
        judge=_told(study.judge, path),
        draw=_told(study.draw, path),
    )


def _told(function: Callable[..., T], path: Path) -> Callable[..., T]:
    """A function of a person's: its exceptions become errors on one line, and what it prints goes to stderr."""

    def tell(error: BaseException) -> UsageError:
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f" (line {lines[-1]})" if lines else ""
        return UsageError(f"{path} failed{where}: {reason(error)}.")

    def call(*arguments: Any) -> T:
        with contained(tell), redirect_stdout(sys.stderr):
            return function(*arguments)

    return call

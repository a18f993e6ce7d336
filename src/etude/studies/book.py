"""Which studies there are: étude's own by name, and a person's from a file that defines STUDY."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

from etude.errors import UsageError, unknown
from etude.studies.study import Study
from etude.user_code import run_file

TOPICS = ("generalisation", "optimisation", "activations", "gans", "vaes", "sequences")
"""A folder each, whose `NAMES` lists its studies in the order in which a reader meets them."""


def listed() -> Iterator[tuple[str, str]]:
    """Topic and name of every study."""
    for topic in TOPICS:
        for name in import_module(f"etude.studies.{topic}").NAMES:
            yield topic, name


@cache
def find(name: str) -> Study:
    """The study called `name`, or the one in a Python file that defines STUDY. Raises `UsageError`."""
    if name.endswith(".py"):
        return _from_file(Path(name))
    for topic, known in listed():
        if known == name:
            return import_module(f"etude.studies.{topic}.{name.replace('-', '_')}").STUDY
    raise unknown("study", name, [known for _, known in listed()], hint="`etude study --list` describes them")


def every() -> list[Study]:
    """All studies, by topic."""
    return [find(name) for _, name in listed()]


def _from_file(path: Path) -> Study:
    names = run_file(path, hint="give the name of a study, or a Python file that defines STUDY")
    if not isinstance(study := names.get("STUDY"), Study):
        said = "does not define STUDY" if study is None else f"defines STUDY as a {type(study).__name__}"
        raise UsageError(f"{path} {said}; allowed: STUDY = etude.studies.Study(…), as docs/extending.md shows.")
    return study

"""The pytest plug-in for teachers: every `verify.toml` is a test, with one item per check.

contract = "gan"                  # étude's, or a file that defines CONTRACT; seen from this folder
file = "my_gan.py"                # what the learner hands in
checks = ["generator_loss"]       # optional: only these
hidden_seed = 7                   # optional: inputs of the grader's own, no counter-examples shown
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from etude.verify.contract import Contract, Report

_KEYS = {"contract": str, "file": str, "checks": list, "hidden_seed": int}


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "Exercise | None":
    if file_path.name == "verify.toml":
        return Exercise.from_parent(parent, path=file_path)
    return None


class CheckFailed(Exception):
    """A check that did not pass; its text is the verdict."""


class Exercise(pytest.File):
    """One `verify.toml`. The learner's file runs once, when its first check is asked for."""

    _report: "Report | None" = None

    def collect(self) -> Iterator["CheckItem"]:
        settings = self.settings()
        names = [check.name for check in self.contract(settings).checks]
        for name in settings.get("checks", names):
            if name not in names:
                raise self.CollectError(f"{self.path}: no check {name!r}; choose from {', '.join(names)}.")
            yield CheckItem.from_parent(self, name=name)

    def settings(self) -> dict[str, Any]:
        from etude.files import parse_toml

        try:
            settings = parse_toml(self.path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise self.CollectError(f"{self.path} is not TOML: {error}.") from None
        wrong = [key for key, value in settings.items() if key not in _KEYS or not isinstance(value, _KEYS[key])]
        if wrong or not settings.keys() >= {"contract", "file"}:
            given = f"; got {', '.join(wrong)}" if wrong else ""
            raise self.CollectError(
                f"{self.path} needs `contract` and `file`, texts; it may have `checks`, a list, and `hidden_seed`, "
                f"a whole number{given}."
            )
        return settings

    def contract_name(self, settings: dict[str, Any]) -> str:
        name = settings["contract"]
        return str(self.path.parent / name) if name.endswith(".py") else name

    def contract(self, settings: dict[str, Any]) -> "Contract":
        from etude.errors import EtudeError
        from etude.verify import find

        try:
            return find(self.contract_name(settings))
        except EtudeError as error:
            raise self.CollectError(str(error)) from None

    def report(self) -> "Report":
        from etude.verify import verify_file

        if self._report is None:
            settings = self.settings()
            seed = settings.get("hidden_seed")
            path = self.path.parent / settings["file"]
            self._report = verify_file(
                self.contract_name(settings), path, seed=seed or 0, hidden=seed is not None
            )  # fmt: skip
        return self._report


class CheckItem(pytest.Item):
    """One check of an exercise."""

    parent: Exercise  # pyright: ignore[reportIncompatibleVariableOverride]

    def runtest(self) -> None:
        from etude.verify.contract import shown

        result = next(each for each in self.parent.report().checks if each.name == self.name)
        if result.status != "pass":
            raise CheckFailed(shown(result))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        from etude.errors import EtudeError

        if isinstance(excinfo.value, CheckFailed | EtudeError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.parent.path.parent.name}: {self.name}"

"""A few tiny runs, one per ability, their reports written once."""

from collections.abc import Callable

import pytest

import etude
from etude.reports import Report, report
from etude.runs import Run
from etude.training import Display
from reports.made import PAIRS, TRAINED


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """A function that trains a recipe once; not to be written into, except for its report."""
    folder, runs = tmp_path_factory.mktemp("reported"), dict[str, Run]()
    (folder / "pairs.tsv").write_text(PAIRS)

    def train(recipe: str) -> Run:
        if recipe not in runs:
            small = {"epochs": 1, "name": recipe, "runs_dir": folder, "threads": 1, "display": Display(quiet=True)}
            changes = TRAINED[recipe]
            data = changes["data"].replace("pairs:", f"pairs:{folder}/")
            runs[recipe] = etude.train(recipe, **{**small, **changes, "data": data})
        return runs[recipe]

    return train


@pytest.fixture(scope="session")
def reported(trained: Callable[[str], Run]) -> Callable[[str], Report]:
    """A function that reports such a run once."""
    reports = dict[str, Report]()

    def write(recipe: str) -> Report:
        if recipe not in reports:
            reports[recipe] = report(trained(recipe))
        return reports[recipe]

    return write

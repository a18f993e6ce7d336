"""The examples that runs train on: on the device once for all of them, each run with rows of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from etude.data import Dataset, Split
from etude.families.learner import Learner
from etude.runs import Run
from etude.runs.splits import Rows, make_rows, not_tested


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The examples that any of the runs trains or validates on; final."""

    used: Split
    test: Split
    rows: dict[str, Rows]
    """By the folder of a run: which of `used` it trains on, and which it holds out."""

    def validation(self, run: Run) -> Split:
        """The examples that a run holds out."""
        return self.used.take(self.rows[str(run.path)].validation)

    def batches(self, runs: Sequence[Run], learners: Sequence[Learner[Any]], epoch: int) -> Tensor:
        """Row numbers of the examples of an epoch, numbered from 1, in each run's own order: (steps, runs, batch)."""
        orders = [
            learner.epoch(self.rows[str(run.path)].train, self.used.columns, epoch)
            for run, learner in zip(runs, learners, strict=True)
        ]
        return torch.stack(orders, dim=1).to(learners[0].device)


def examples_of(runs: Sequence[Run], dataset: Dataset, device: str) -> Examples:
    """The examples of the runs, on the device."""
    rows = {str(run.path): make_rows(run.recipe, dataset) for run in runs}
    used = torch.cat([part for each in rows.values() for part in each]).unique()  # ascending
    return Examples(
        used=not_tested(dataset).take(used).to(device),
        test=dataset.test.to(device),
        rows={path: Rows(*(torch.searchsorted(used, part) for part in each)) for path, each in rows.items()},
    )

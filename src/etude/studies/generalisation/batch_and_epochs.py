"""The exercises' grid: LeNet with batches of 4 and 16, for 5 and 20 epochs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.studies import Findings, Lab, Repeated, Ruling, Study, Trained, above, measured, no
from etude.studies.pictures import line

Cell = tuple[int, int]
"""A batch size and a number of epochs."""


@dataclass(frozen=True, kw_only=True)
class Grid(Repeated):
    """LeNet with each batch size and each number of epochs."""

    batch_sizes: tuple[int, ...] = (4, 16)
    """Two batch sizes, the smaller one first."""
    epochs: tuple[int, ...] = (5, 20)
    """Numbers of epochs, rising."""
    data: str = "digits"
    """Data set: digits, mnist, cifar10 (an hour and more), or your own."""
    learning_rate: Annotated[float, Range(above=0, high=10)] = 1e-3
    """Learning rate of SGD with momentum 0.9, the same for all."""
    train_images: Annotated[int, Range(1)] = 1_350
    """Train on at most this many images."""

    def rules(self) -> Iterator[Rule]:
        """Two rising batch sizes, rising epochs."""
        pair = len(self.batch_sizes) == 2 and 1 <= self.batch_sizes[0] < self.batch_sizes[1]
        yield pair, "batch_sizes", "two, rising, from 1"
        rising = bool(self.epochs) and self.epochs[0] >= 1 and list(self.epochs) == sorted(set(self.epochs))
        yield rising, "epochs", "one or more, rising, from 1"


def named(cell: Cell) -> str:
    """What the evidence on a cell is called."""
    return f"test accuracy, batch {cell[0]}, {cell[1]} epochs"


def lead(epochs: int) -> str:
    """What the evidence on a number of epochs is called."""
    return f"lead of the smaller batch after {epochs} epochs"


EQUAL_STEPS = "lead of the smaller batch after equally many steps"


def experiment(design: Grid, lab: Lab) -> Findings:
    """Train the grid."""
    small, large = design.batch_sizes
    cells = lab.train(
        "lenet",
        grid={"batch_size": design.batch_sizes, "epochs": design.epochs,
              "optimizer.learning_rate": [design.learning_rate]},
        seeds=design.each_seed,
        data=design.data,
        train_images=design.train_images,
    )  # fmt: skip
    by_cell = {(each.changes["batch_size"], each.changes["epochs"]): each for each in cells}
    found = {cell: measured(named(cell), each.last("test/accuracy")) for cell, each in by_cell.items()}
    leads = [
        measured(lead(epochs), (found[small, epochs] - found[large, epochs]).values)
        for epochs in design.epochs
        if all(not by_cell[size, epochs].num_failed for size in design.batch_sizes)
    ]
    equal = [
        measured(EQUAL_STEPS, (found[small, few] - found[large, many]).values)
        for few in design.epochs
        for many in design.epochs
        if few * large == many * small and len(found[small, few].values) == len(found[large, many].values)
    ]
    curves: dict[str, list[float]] = {"epochs": [float(each) for each in design.epochs]}
    for size in design.batch_sizes:
        steps, values = losses(by_cell[size, design.epochs[-1]])
        curves |= {f"steps, batch {size}": steps, f"loss, batch {size}": values}
    return Findings((*found.values(), *leads, *equal[:1]), curves)


def losses(cell: Trained) -> tuple[list[float], list[float]]:
    """Steps and the mean over the seeds of the training loss, in the middle of each epoch."""
    tables = [run.metrics().series("train/loss") for run in cell.runs]
    if not tables:
        return [], []
    steps = np.asarray(tables[0][0], dtype=float)
    return (steps - steps[0] / 2).tolist(), np.mean([values for _, values in tables], axis=0).tolist()


def judge(found: Findings) -> Ruling:
    """A lead counts if its interval is above 0. True if the smaller batch leads after each number of epochs, false if
    after none, "only if" if it leads after the fewest and has no lead of half a point after the most."""
    counts = [int(each) for each in found.curves["epochs"]]
    names = {each.what for each in found}
    leads = {epochs: found[lead(epochs)] for epochs in counts if lead(epochs) in names}
    ahead = {epochs: above(each, 0) for epochs, each in leads.items()}
    because = "the smaller batch leads by " + ", ".join(
        f"{each.value:+.1%} of the test images after {epochs} epochs" for epochs, each in leads.items()
    )
    if EQUAL_STEPS in names:
        because += f", and by {found[EQUAL_STEPS].value:+.1%} after equally many steps"
    if len(leads) == len(counts) and all(ahead.values()):
        return Ruling("true", f"{because}.")
    if leads and all(each is False for each in ahead.values()):
        return Ruling("false", f"{because}.")
    if ahead.get(counts[0]) and no(above(leads.get(counts[-1], leads[counts[0]]), 0.005)):
        return Ruling("only if", f"{because}.", f"training is short: {counts[0]} epochs, and not {counts[-1]}")
    return Ruling("undecided", f"{because}.")


def draw(found: Findings) -> Figure:
    """Test accuracies against epochs, and training losses against steps."""
    curves, counts = found.curves, [int(each) for each in found.curves["epochs"]]
    sizes = [int(name.removeprefix("loss, batch ")) for name in curves if name.startswith("loss, batch ")]

    def accuracies(size: int) -> Line:
        return line(f"batch {size}", counts, [found[named((size, epochs))] for epochs in counts])

    right = Axis(
        lines=[accuracies(size) for size in sizes],
        x_label="epochs",
        y_label="test accuracy (share of images)",
        title="after equally many epochs",
    )
    loss = Axis(
        lines=[Line(name=f"batch {n}", x=curves[f"steps, batch {n}"], y=curves[f"loss, batch {n}"]) for n in sizes],
        x_label="step",
        y_label="training loss (nats per image)",
        title="after equally many steps",
    )
    return lines(right, loss, title="LeNet with two batch sizes")


STUDY = Study(
    name="batch-and-epochs",
    topic="generalisation",
    question="LeNet is trained with batches of 4 and of 16, for 5 and for 20 epochs, at one learning rate. Does the "
    "smaller batch test better?",
    claim="At one learning rate, the smaller batch tests better after the same number of epochs.",
    design=Grid(),
    quick={"seeds": 4, "epochs": (3, 5)},
    quick_cannot="what is left of the lead after 20 epochs or after equally many steps",
    held_fixed="LeNet, SGD with momentum 0.9, equal seeds for all cells, test accuracy at the end of training",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "After the same epochs a batch of 4 has taken four times as many steps, and as long as training has not come "
        "to its end, steps are what counts: after equally many steps the two are about alike. The lead shrinks as "
        "training goes on. On CIFAR-10 it turns: batch 4 is ahead after 5 epochs (59.3 % against 54.8 %), while after "
        "20 it has overfitted, and batch 16 is ahead (61.8 % against 59.5 %; docs/results.md)."
    ),
    source="Masters and Luschi 2018; Shallue et al. 2019, section 4",
    wrong_answer='"Batch 16 is better, its gradients have less noise": it also takes a quarter of the steps.',
)

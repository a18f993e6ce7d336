"""Iterations to a given loss against batch size, with the best learning rate for each."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

from etude.data import load
from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.streams import stream
from etude.studies import Evidence, Findings, Lab, Repeated, Ruling, Study, above, every, measured, ruled
from etude.studies.pictures import line

NUM_CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class BatchDoubling(Repeated):
    """Softmax regression on digits by SGD, until little is left of the loss above its lowest value."""

    sizes: tuple[int, ...] = (4, 16, 64, 256, 1024)
    """Batch sizes."""
    # 0.115 was chosen to end where an independent experiment, whose setting is not known, did: at 5000, 1250, 360, 175
    # and 145 iterations. From 0.11 to 0.14, going from 256 to 1024 divides the iterations by 1.3 to 1.4.
    remaining: Annotated[float, Range(above=0, below=1)] = 0.115
    """Training is done when this share is left of the loss above the lowest one; at the start it is 1."""
    wrong_labels: Annotated[float, Range(0, 1)] = 0.2
    """Share of the digits with a wrong label. Because of them the noise of the gradient does not vanish."""
    learning_rates: tuple[float, ...] = (0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8)
    """Learning rates to try with every size; the one that is done first counts."""
    most_steps: Annotated[int, Range(10, 1_000_000)] = 30_000
    """Where to give up."""

    def rules(self) -> Iterator[Rule]:
        within = all(1 <= size <= 100_000 for size in self.sizes)
        yield len(set(self.sizes)) >= 2 and within, "sizes", "two different numbers or more, from 1 to 100,000"
        within = all(0 < each <= 1_000 for each in self.learning_rates)
        yield bool(self.learning_rates) and within, "learning_rates", "numbers above 0, at most 1,000"


def digits() -> tuple[Tensor, Tensor]:
    """1,500 training digits as rows of 8×8 numbers (N, 64), mean 0 and standard deviation 1, and labels (N,)."""
    train = load("digits").train
    x = functional.interpolate(train.images.float(), size=(8, 8), mode="area").flatten(1)
    return (x - x.mean()) / x.std(), train.labels


class Regressions:
    """Softmax regressions side by side, for each seed and learning rate; all begin at 0."""

    def __init__(self, x: Tensor, labels: Tensor, rates: Tensor) -> None:
        """Inputs (N, features), labels (seeds, N) and learning rates (rates,)."""
        self.x = torch.cat([x, torch.ones(len(x), 1)], dim=1)  # the last weight is the bias
        self.labels, self.rates = labels, rates
        self.weights = torch.zeros(len(labels), self.x.shape[1], len(rates) * NUM_CLASSES)

    def logits(self, x: Tensor) -> Tensor:
        """Inputs (seeds or 1, B, features + 1) to logits (seeds, B, rates, classes)."""
        return (x @ self.weights).unflatten(2, (len(self.rates), NUM_CLASSES))

    def losses(self) -> Tensor:
        """Mean cross-entropy of all examples (seeds, rates); infinite for those that diverged."""
        log_shares = self.logits(self.x[None]).log_softmax(dim=3)  # (seeds, N, rates, classes)
        right = self.labels[:, :, None, None].expand(-1, -1, len(self.rates), 1)
        return -log_shares.gather(3, right).squeeze(3).mean(dim=1).nan_to_num(nan=math.inf, posinf=math.inf)

    def step(self, rows: Tensor) -> None:
        """One step of SGD on each seed's batch, rows (seeds, B)."""
        x, labels = self.x[rows], self.labels.gather(1, rows)
        to_logits = self.logits(x).softmax(dim=3) - functional.one_hot(labels, NUM_CLASSES)[:, :, None]
        to_logits *= self.rates[:, None] / rows.shape[1]
        self.weights -= x.transpose(1, 2) @ to_logits.flatten(2)


def with_wrong(labels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """The labels, of which this share is changed to another class."""
    rows = torch.randperm(len(labels), generator=generator)[: round(share * len(labels))]
    changed = labels.clone()
    changed[rows] = (labels[rows] + torch.randint(1, NUM_CLASSES, (len(rows),), generator=generator)) % NUM_CLASSES
    return changed


def lowest_loss(x: Tensor, labels: Tensor) -> float:
    """The least mean cross-entropy of a softmax regression, by L-BFGS in float64."""
    # in terms of orthonormal features the loss is the same function, but round: a few dozen steps do
    left, sizes, _ = torch.linalg.svd(torch.cat([x, torch.ones(len(x), 1)], dim=1).double(), full_matrices=False)
    x = left[:, sizes > 1e-6 * sizes[0]] * math.sqrt(len(x))
    weights = torch.zeros(x.shape[1], NUM_CLASSES, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=300, tolerance_grad=1e-5, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = functional.cross_entropy(x @ weights, labels)
        found.backward()
        return found

    optimizer.step(loss)
    return loss().item()


def steps_to_loss(
    design: BatchDoubling, size: int, x: Tensor, labels: Tensor, targets: Tensor
) -> tuple[list[int], list[float]]:
    """Steps of each seed until one of its learning rates has its target loss (seeds,), and that rate: 0 if none has.

    The loss is looked at every 1 % of the steps.
    """
    rates = torch.tensor(design.learning_rates)
    regressions = Regressions(x, labels, rates)
    orders = [stream(seed, f"batches of {size}") for seed in design.each_seed]
    steps, best, look = [0] * design.seeds, [0.0] * design.seeds, 1
    for step in range(1, design.most_steps + 1):
        regressions.step(torch.stack([torch.randint(len(x), (size,), generator=order) for order in orders]))
        if step < look:
            continue
        look = max(step + 1, round(step * 1.01))
        for place, losses in enumerate(regressions.losses()):
            if not steps[place] and bool(losses.min() <= targets[place]):
                steps[place], best[place] = step, float(rates[losses.argmin()])
        if all(steps):
            break
    return [each or design.most_steps for each in steps], best


def experiment(design: BatchDoubling, lab: Lab) -> Findings:
    """Count the iterations of every size and seed."""
    sizes = sorted(set(design.sizes))
    x, right = digits()
    labels = torch.stack(
        [with_wrong(right, design.wrong_labels, stream(seed, "wrong labels")) for seed in design.each_seed]
    )
    lowest = torch.tensor([lowest_loss(x, each) for each in labels])
    targets = lowest + design.remaining * (math.log(NUM_CLASSES) - lowest)
    found = {size: steps_to_loss(design, size, x, labels, targets) for size in lab.each(sizes, "batch sizes")}
    evidence = [measured(f"iterations, batch size {size}", found[size][0]) for size in sizes]
    for small, large in itertools.pairwise(sizes):
        doublings = math.log2(large / small)
        ratios = [(a / b) ** (1 / doublings) for a, b in zip(found[small][0], found[large][0], strict=True)]
        evidence.append(measured(f"fold fewer iterations per doubling, {small} to {large}", ratios))
    evidence += [measured(f"best learning rate, batch size {size}", found[size][1]) for size in sizes]
    return Findings(tuple(evidence), {"sizes": list(map(float, sizes))})


def _folds(found: Findings) -> list[Evidence]:
    sizes = found.curves["sizes"]
    return [
        found[f"fold fewer iterations per doubling, {small:.0f} to {large:.0f}"]
        for small, large in itertools.pairwise(sizes)
    ]


def judge(found: Findings) -> Ruling:
    """The claim holds if every doubling divides the iterations by more than 1.8.

    It is false if one of the steps from size to size lies below that.
    """
    folds = _folds(found)
    sizes = found.curves["sizes"]
    return ruled(
        every(*(above(each, 1.8) for each in folds)),
        f"from batch size {sizes[0]:.0f} to {sizes[1]:.0f} each doubling divides the iterations by "
        f"{folds[0].value:.2f}, from {sizes[-2]:.0f} to {sizes[-1]:.0f} by {folds[-1].value:.2f}.",
    )


def draw(found: Findings) -> Figure:
    """Iterations against batch size, with the line of halving."""
    sizes = found.curves["sizes"]
    each = [found[f"iterations, batch size {size:.0f}"] for size in sizes]
    panel = Axis(
        lines=[
            line("with the best learning rate", sizes, each, least=1.0),
            Line(
                name="half as many per doubling",
                x=sizes,
                y=[each[0].value * sizes[0] / size for size in sizes],
                dashed=True,
            ),
        ],
        x_label="batch size",
        y_label="iterations to the loss",
        x_scale="log",
        y_scale="log",
    )
    return lines(panel, title="Iterations against batch size")


STUDY = Study(
    name="batch-doubling",
    topic="optimisation",
    question="A network reaches a loss after k iterations. How many does it need with twice the batch size?",
    claim="Doubling the batch size halves the number of iterations to a given loss.",
    design=BatchDoubling(),
    quick={"seeds": 3, "sizes": (16, 64, 256, 1024), "learning_rates": (0.1, 0.15, 0.2, 0.4, 0.6, 0.8)},
    quick_cannot="what batch sizes below 16 do",
    held_fixed=(
        "1,500 digits of 8×8, SGD without momentum, weights that begin at 0; the learning rate is the best of the list "
        "for each size and seed"
    ),
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The noise of a batch's gradient has the variance 1/B. While noise is what limits the learning rate, a batch "
        "of twice the size allows a rate of nearly twice the size, and nearly halves the iterations; beyond that, the "
        "curvature limits it, and more samples per step are of little use. So there are fewer iterations, or as many, "
        "and about half as many only while batches are small."
    ),
    source="McCandlish et al. 2018; Shallue et al. 2019, section 4.1",
    wrong_answer=(
        '"Twice as many, since an epoch has half the steps": a step of a larger batch is less noisy, so that fewer are '
        "needed."
    ),
)

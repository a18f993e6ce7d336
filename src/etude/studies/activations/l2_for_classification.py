"""The squared error for a classifier with a sigmoid: gradients on confident mistakes, and training from a bad start."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude.data import load
from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.streams import stream
from etude.studies import Evidence, Findings, Lab, Repeated, Ruling, Study, above, every, exact, measured, ruled

SQUARED, ENTROPY = "squared error", "cross-entropy"
LOSSES = (SQUARED, ENTROPY)
RATIO = "gradient by the logit on a confident mistake, squared error over cross-entropy"
LEAD = "test accuracy from the bad start, squared error minus cross-entropy"


@dataclass(frozen=True, kw_only=True)
class Losses(Repeated):
    """Two losses of one classifier, on given numbers and in training."""

    labels: tuple[float, ...] = (0.0, 1.0)
    """Labels of the worked example."""
    predictions: tuple[float, ...] = (0.8, 0.2)
    """Predicted probabilities of the worked example."""
    logit: Annotated[float, Range(-700, 700)] = 10.0
    """Logit of a confident mistake, for an example with label 0."""
    width: Annotated[int, Range(1, 512)] = 16
    """Hidden units of the network that is trained."""
    wrong_steps: Annotated[int, Range(0, 100_000)] = 1_000
    """Steps of training on swapped labels, which make the bad start."""
    steps: Annotated[int, Range(1, 100_000)] = 20
    """Steps of training on the true labels after it."""
    learning_rates: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0)
    """Learning rates to try. The best one of each loss counts."""
    points: Annotated[int, Range(10, 2_000)] = 500
    """Training points of the two moons."""

    def rules(self) -> Iterator[Rule]:
        """A prediction per label; probabilities; learning rates are positive."""
        yield len(self.predictions) == len(self.labels) > 0, "predictions", "one for each of --labels"
        yield all(0 < each < 1 for each in self.predictions), "predictions", "above 0 and below 1"
        yield all(0 <= each <= 1 for each in self.labels), "labels", "0 to 1"
        yield bool(self.learning_rates) and min(self.learning_rates) > 0, "learning_rates", "one or more, above 0"


def per_example(loss: str, logits: Tensor, labels: Tensor) -> Tensor:
    """(σ(z) − y)² or −y log σ(z) − (1 − y) log σ(−z) of each logit, in the shape of the logits."""
    if loss == SQUARED:
        return (torch.sigmoid(logits) - labels).square()
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def worked(design: Losses) -> Iterator[Evidence]:
    """Sum and mean of both losses for the labels and predictions of the design."""
    labels = torch.tensor(design.labels, dtype=torch.float64)
    logits = torch.tensor(design.predictions, dtype=torch.float64).logit()
    for loss, unit in ((SQUARED, ""), (ENTROPY, ", nats")):
        values = per_example(loss, logits, labels)
        yield exact(f"{loss} of the worked example, sum{unit}", float(values.sum()))
        yield exact(f"{loss} of the worked example, mean{unit}", float(values.mean()))


def gradient(loss: str, logits: Tensor) -> Tensor:
    """Derivative of the loss by the logit, of examples with label 0, in float64."""
    logits = logits.double().requires_grad_()
    (found,) = torch.autograd.grad(per_example(loss, logits, torch.zeros_like(logits)).sum(), logits)
    return found


Weights = list[Tensor]
"""Of equal networks side by side: (N, 2, W), (N, 1, W), (N, W, 1) and (N, 1, 1)."""


def logits_of(weights: Weights, x: Tensor) -> Tensor:
    """Points (P, 2) to the logits (N, P, 1) of each network: one hidden layer of tanh."""
    first, bias, second, last = weights
    return torch.tanh(x @ first + bias) @ second + last


def fit(weights: Weights, rates: Tensor, loss: str, x: Tensor, y: Tensor, steps: int) -> tuple[Weights, Tensor]:
    """Gradient descent with a learning rate (N, 1, 1) for each network; the weights, and the accuracy (steps, N)."""
    weights, right = [each.clone().requires_grad_() for each in weights], list[Tensor]()
    for _ in range(steps):
        logits = logits_of(weights, x)
        right.append(((logits > 0) == (y > 0.5)).float().mean((1, 2)))
        gradients = torch.autograd.grad(per_example(loss, logits, y.expand_as(logits)).mean((1, 2)).sum(), weights)
        weights = [(each - rates * by).detach().requires_grad_() for each, by in zip(weights, gradients, strict=True)]
    return [each.detach() for each in weights], torch.stack(right)


def experiment(design: Losses, lab: Lab) -> Findings:
    """The worked example, the gradients, and training from a bad and from a usual start."""
    by_logit = {loss: gradient(loss, torch.tensor([design.logit])).item() for loss in LOSSES}
    train, test = load("moons").train, load("moons").test
    x, y = train["features"][: design.points], train.labels[: design.points, None].float()
    test_x, test_y = test["features"], test.labels[:, None] == 1
    rates = torch.tensor(design.learning_rates)[:, None, None]
    right: dict[tuple[str, str], list[float]] = {(start, loss): [] for start in ("bad", "usual") for loss in LOSSES}
    curves: dict[str, list[Tensor]] = {loss: [] for loss in LOSSES}
    for seed in lab.each(design.each_seed, "seeds"):
        draw, width = stream(seed, "initial weights"), design.width
        usual = [torch.randn(2, width, generator=draw) / 2**0.5, torch.zeros(1, width),
                 torch.randn(width, 1, generator=draw) / width**0.5, torch.zeros(1, 1)]  # fmt: skip
        bad, _ = fit([each[None] for each in usual], torch.ones(1, 1, 1), ENTROPY, x, 1 - y, design.wrong_steps)
        for start, weights in (("bad", [each[0] for each in bad]), ("usual", usual)):
            many = [each.expand(len(rates), *each.shape) for each in weights]
            for loss in LOSSES:
                found, curve = fit(many, rates, loss, x, y, design.steps)
                shares = ((logits_of(found, test_x) > 0) == test_y).float().mean((1, 2))
                right[start, loss].append(float(shares.max()))
                if start == "bad":
                    curves[loss].append(curve[:, int(shares.argmax())])
    of_both = [measured(f"test accuracy from the {start} start, {loss}", each) for (start, loss), each in right.items()]
    lead = of_both[0] - of_both[1]
    grid = torch.linspace(-12, 12, 97)
    return Findings(
        (
            *worked(design),
            *(exact(f"gradient by the logit on a confident mistake, {loss}", by_logit[loss]) for loss in LOSSES),
            exact(RATIO, by_logit[SQUARED] / by_logit[ENTROPY]),
            *of_both,
            measured(LEAD, lead.values),
        ),
        {"logit": grid.tolist()}
        | {f"gradient, {loss}": gradient(loss, grid).tolist() for loss in LOSSES}
        | {f"accuracy, {loss}": torch.stack(curves[loss]).mean(0).tolist() for loss in LOSSES},
    )


def judge(found: Findings) -> Ruling:
    """The claim holds if on a confident mistake the squared error has at least a tenth of cross-entropy's gradient, and
    if from the bad start it ends at most five points of test accuracy below it, each at its best learning rate."""
    bad = {loss: found[f"test accuracy from the bad start, {loss}"].value for loss in LOSSES}
    return ruled(
        every(above(found[RATIO], 0.1), above(found[LEAD], -0.05)),
        f"on a confident mistake the squared error has {found[RATIO].value:.2g} of cross-entropy's gradient; from the "
        f"bad start it ends at {bad[SQUARED]:.0%} of the test points right, cross-entropy at {bad[ENTROPY]:.0%}.",
    )


def draw(found: Findings) -> Figure:
    """Gradients against the logit, and accuracy from the bad start."""
    curves = found.curves
    gradients = Axis(
        lines=[Line(name=loss, x=curves["logit"], y=curves[f"gradient, {loss}"]) for loss in LOSSES],
        x_label="logit of an example with label 0",
        y_label="derivative of the loss by the logit",
        title="the larger the logit, the worse the mistake",
    )
    accuracy = Axis(
        lines=[
            Line(name=loss, x=list(range(len(curves[f"accuracy, {loss}"]))), y=curves[f"accuracy, {loss}"])
            for loss in LOSSES
        ],
        x_label="step",
        y_label="share of training points that are right",
        title="from a start on swapped labels",
    )
    return lines(gradients, accuracy, title="Squared error and cross-entropy behind a sigmoid")


STUDY = Study(
    name="l2-for-classification",
    topic="activations",
    question="A classifier ends in a sigmoid. Is the squared error as good a loss for it as cross-entropy?",
    claim="The squared error trains a classifier with a sigmoid as well as cross-entropy does.",
    design=Losses(),
    quick={"seeds": 6},
    held_fixed="two moons, one hidden layer of tanh, full batches, plain gradient descent, equal initial weights",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The derivative by the logit is 2 (p − y) p (1 − p) for the squared error and p − y for cross-entropy. On a "
        "confident mistake p (1 − p) is almost 0, so the squared error learns least where it is most wrong, while "
        "cross-entropy's derivative is almost 1. From a usual start both learn alike; from a start that is sure "
        "and wrong only cross-entropy gets away soon."
    ),
    source="Goodfellow, Bengio and Courville 2016, section 6.2.2.2",
    wrong_answer=(
        "For labels (0, 1) and predictions (0.8, 0.2), 1.16 and 0.965 are sometimes given: the sums are 1.28 and 3.219."
    ),
)

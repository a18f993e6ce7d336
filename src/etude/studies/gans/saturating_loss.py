"""The two losses of a GAN's generator: which gives the larger gradient?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Rule
from etude.losses import minimax_generator, nonsaturating_generator
from etude.studies import Design, Evidence, Findings, Lab, Ruling, Study, above, exact, ruled

LIMIT = 30.0
"""Of the logits: beyond it a gradient is lost beside 1 in float64."""
RATIO = "non-saturating over saturating gradient at logit "


@dataclass(frozen=True, kw_only=True)
class SaturatingLoss(Design):
    """The gradients of both losses, for samples of which the discriminator is more or less sure."""

    logits: tuple[float, ...] = (-5.0, 0.0, 2.0)
    """The discriminator's logits of a generated sample: below 0 it takes the sample for generated."""

    def rules(self) -> Iterator[Rule]:
        """The logits can be told apart and compared in float64."""
        yield (
            len(set(self.logits)) == len(self.logits) > 0 and all(abs(each) <= LIMIT for each in self.logits),
            "logits",
            f"one or more different numbers from -{LIMIT:g} to {LIMIT:g}",
        )


def gradients(logits: Sequence[float]) -> tuple[list[float], list[float]]:
    """Sizes of the gradients of the non-saturating and of the saturating loss by a sample's logit, by autograd."""
    scores = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    found = []
    for loss in (nonsaturating_generator, minimax_generator):
        (gradient,) = torch.autograd.grad(torch.stack([loss(each) for each in scores]).sum(), scores)
        found.append(gradient.abs().tolist())
    return found[0], found[1]


def crossing(low: float, high: float) -> float:
    """The logit between two others at which both gradients are equal, by bisection."""

    def larger(logit: float) -> bool:
        (nonsaturating,), (saturating,) = gradients([logit])
        return nonsaturating > saturating

    at_low = larger(low)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if larger(middle) == at_low else (low, middle)
    return round(high, 9) + 0.0  # + 0.0: never -0


def experiment(design: SaturatingLoss, lab: Lab) -> Findings:
    """Gradients at each logit, and the logit at which they are equal if that lies between."""
    logits = sorted(design.logits)
    nonsaturating, saturating = gradients(logits)
    evidence: list[Evidence] = []
    for logit, one, other in zip(logits, nonsaturating, saturating, strict=True):
        evidence.append(exact(f"gradient of the non-saturating loss at logit {logit:g}", one))
        evidence.append(exact(f"gradient of the saturating loss at logit {logit:g}", other))
        evidence.append(exact(f"{RATIO}{logit:g}", one / other))
    first, last = (nonsaturating[place] - saturating[place] for place in (0, -1))
    if first * last < 0 or (len(logits) > 1 and first * last == 0):
        evidence.append(exact("logit at which both gradients are equal", crossing(logits[0], logits[-1])))
    low, high = min(-6.0, logits[0]), max(6.0, logits[-1])
    across = torch.linspace(low, high, 201, dtype=torch.float64).tolist()
    curves = dict(zip(("non-saturating", "saturating"), gradients(across), strict=True))
    return Findings(tuple(evidence), {"logit": across, **curves})


def judge(found: Findings) -> Ruling:
    """The claim holds at a logit if the ratio is above 1 there: true if it holds at all, false if at none.

    Otherwise it depends on which side of the logit of equal gradients the sample lies.
    """
    ratios = [each for each in found if each.what.startswith(RATIO)]
    logits = [float(each.what.removeprefix(RATIO)) for each in ratios]
    larger = [above(each, 1) for each in ratios]
    said = ", ".join(f"{each.value:.3g}" for each in ratios)
    because = f"the ratio of the gradients is {said} at logits {', '.join(f'{logit:g}' for logit in logits)}."
    crossings = [each.value for each in found if each.what.startswith("logit at which")]
    if all(larger) or not any(larger) or not crossings:
        return ruled(all(larger), because)
    side = "below" if larger[0] else "above"
    equal = float(torch.sigmoid(torch.tensor(crossings[0])))
    return Ruling(
        "only if",
        because,
        f"the discriminator gives the sample a probability {side} {equal:.3g} of being real "
        f"(a logit {side} {crossings[0]:g})",
    )


def draw(found: Findings) -> Figure:
    """Both gradients against the logit, and their ratio."""
    logits, ratios = found.curves["logit"], [each for each in found if each.what.startswith(RATIO)]
    nonsaturating, saturating = found.curves["non-saturating"], found.curves["saturating"]
    sizes = Axis(
        lines=[
            Line(name="−log D", x=logits, y=nonsaturating),
            Line(name="log(1 − D)", x=logits, y=saturating),
        ],
        x_label="discriminator's logit of the sample",
        y_label="size of the gradient by the logit",
        title="the gradients",
    )
    ratio = Axis(
        lines=[
            Line(name="ratio", x=logits, y=[a / b for a, b in zip(nonsaturating, saturating, strict=True)]),
            Line(
                name="logits asked for",
                x=[float(each.what.removeprefix(RATIO)) for each in ratios],
                y=[each.value for each in ratios],
            ),
        ],
        x_label="discriminator's logit of the sample",
        y_label="non-saturating over saturating",
        y_scale="log",
        levels={"equal": 1.0},
        title="their ratio",
    )
    return lines(sizes, ratio, title="What the generator's two losses give it to learn from")


STUDY = Study(
    name="saturating-loss",
    topic="gans",
    question=(
        "A generator can minimise log(1 − D(G(z))) or −log D(G(z)). Does the second always give it the larger gradient?"
    ),
    claim="The non-saturating loss −log D(G(z)) gives the generator a larger gradient than log(1 − D(G(z))).",
    design=SaturatingLoss(),
    held_fixed="one generated sample; both losses from its logit, in float64",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "By the logit s the gradients are σ(s) − 1 for −log σ(s), and −σ(s) for log(1 − σ(s)): their ratio is e⁻ˢ. "
        "Early in training the discriminator rejects generated samples with confidence, s is far below 0, and only the "
        "non-saturating loss has a gradient left. Once the discriminator is fooled, s above 0, its gradient is the "
        "smaller one, which does no harm: such samples need no change."
    ),
    source="Goodfellow et al. 2014, section 3, last paragraph",
    wrong_answer=(
        '"Both losses are the same, since both fall as D(G(z)) rises": they agree in direction, not in the size of '
        "the gradient."
    ),
)

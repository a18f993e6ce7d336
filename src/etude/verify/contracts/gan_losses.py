"""The adversarial losses: from logits (Goodfellow et al. 2014), and least squares from scores (Mao et al. 2017)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from etude.verify.contract import Case, Check, Mistake, mistake
from etude.verify.inputs import batches, column
from etude.verify.observation import call_loss


def _cross_entropy(logits: Tensor, target: Tensor, form: str) -> Tensor:
    """−t log σ(l) − (1 − t) log(1 − σ(l)), elementwise, in a right and in wrong `form`s."""
    if form == "logits":
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if form == "double sigmoid":
        return F.binary_cross_entropy_with_logits(logits.sigmoid(), target, reduction="none")
    if form == "no sigmoid":
        return F.binary_cross_entropy(logits, target, reduction="none")  # raises outside [0, 1]
    probability = logits.sigmoid()
    return -target * probability.log() - (1 - target) * (1 - probability).log()  # "log of sigmoid": 0 · ∞


def _reduced(loss: Tensor, reduce: str) -> Tensor:
    return {"mean": loss.mean, "sum": loss.sum, "none": lambda: loss}[reduce]().clone()


def bce_loss(
    input: Tensor,
    target: Tensor,
    *,
    form: str = "logits",
    flipped: bool = False,
    positive_only: bool = False,
    factor: float = 1.0,
    reduce: str = "mean",
    detached: bool = False,
) -> Tensor:
    """Binary cross-entropy of logits, mean over the batch."""
    target = 1 - target if flipped else target
    loss = target * F.softplus(-input) if positive_only else _cross_entropy(input, target, form)
    loss = factor * _reduced(loss, reduce)
    return loss.detach() if detached else loss


def discriminator_loss(
    logits_real: Tensor,
    logits_fake: Tensor,
    *,
    form: str = "logits",
    labels: tuple[float, float] = (1.0, 0.0),
    terms: tuple[float, float] = (1.0, 1.0),
    factor: float = 1.0,
    reduce: str = "mean",
    detached: bool = False,
) -> Tensor:
    """−E log D(x) − E log(1 − D(G(z)))."""
    real = _cross_entropy(logits_real, torch.full_like(logits_real, labels[0]), form)
    fake = _cross_entropy(logits_fake, torch.full_like(logits_fake, labels[1]), form)
    loss = factor * (terms[0] * _reduced(real, reduce) + terms[1] * _reduced(fake, reduce))
    return loss.detach() if detached else loss


def generator_loss(
    logits_fake: Tensor,
    *,
    form: str = "logits",
    label: float = 1.0,
    factor: float = 1.0,
    reduce: str = "mean",
    saturating: bool = False,
    detached: bool = False,
) -> Tensor:
    """−E log D(G(z))."""
    if saturating:
        label, factor = 0.0, -factor
    loss = factor * _reduced(_cross_entropy(logits_fake, torch.full_like(logits_fake, label), form), reduce)
    return loss.detach() if detached else loss


def ls_discriminator_loss(
    scores_real: Tensor,
    scores_fake: Tensor,
    *,
    labels: tuple[float, float] = (1.0, 0.0),
    factors: tuple[float, float] = (0.5, 0.5),
    sign: float = 1.0,
    squashed: bool = False,
    power: int = 2,
    reduce: str = "mean",
) -> Tensor:
    """½ E(D(x) − 1)² + ½ E D(G(z))²."""
    if squashed:
        scores_real, scores_fake = scores_real.sigmoid(), scores_fake.sigmoid()
    real = _reduced((scores_real - labels[0]).abs() ** power, reduce)
    fake = _reduced((scores_fake - labels[1]).abs() ** power, reduce)
    return sign * (factors[0] * real + factors[1] * fake)


def ls_generator_loss(
    scores_fake: Tensor,
    *,
    label: float = 1.0,
    factor: float = 0.5,
    sign: float = 1.0,
    squashed: bool = False,
    power: int = 2,
    reduce: str = "mean",
) -> Tensor:
    """½ E(D(G(z)) − 1)²."""
    scores = scores_fake.sigmoid() if squashed else scores_fake
    return sign * factor * _reduced((scores - label).abs() ** power, reduce)


_SUM = ("sum instead of mean", "Σ over the batch", "1/N Σ over the batch")
_NONE = ("not reduced", "one number per image", "1/N Σ over the batch, one number")
_DOUBLE = ("probabilities fed as logits", "log σ(σ(l))", "log σ(l): the loss applies the sigmoid itself")
_NO_SIGMOID = ("logits fed as probabilities", "log l", "log σ(l)")
_DETACHED = ("cut off from the gradient", "loss.detach() or loss.data", "the loss keeps its graph")


def _overflow(**changes: object) -> Mistake:
    return mistake("overflows on extreme logits", "log(σ(l)): log 0 = −∞",
                   "−log σ(l) = max(−l, 0) + log(1 + e^−|l|)", **changes)  # fmt: skip


_BCE = (
    mistake(*_SUM, reduce="sum"),
    mistake(*_NONE, reduce="none"),
    mistake("sign", "t log σ(l) + (1 − t) log(1 − σ(l))", "−t log σ(l) − (1 − t) log(1 − σ(l))", factor=-1.0),
    mistake("halved", "½ (−t log σ(l) − …)", "−t log σ(l) − …", factor=0.5),
    mistake("targets flipped", "−(1 − t) log σ(l) − t log(1 − σ(l))", "−t log σ(l) − (1 − t) log(1 − σ(l))",
            flipped=True),
    mistake("second term forgotten", "−t log σ(l)", "−t log σ(l) − (1 − t) log(1 − σ(l))", positive_only=True),
    mistake(*_DOUBLE, form="double sigmoid"),
    mistake(*_NO_SIGMOID, form="no sigmoid"),
    mistake(*_DETACHED, detached=True),
)  # fmt: skip
_DISCRIMINATOR = (
    mistake("labels swapped", "−E log(1 − D(x)) − E log D(G(z))", "−E log D(x) − E log(1 − D(G(z)))",
            labels=(0.0, 1.0)),
    mistake("generated images labelled real", "−E log D(x) − E log D(G(z))", "−E log D(x) − E log(1 − D(G(z)))",
            labels=(1.0, 1.0)),
    mistake("real images labelled generated", "−E log(1 − D(x)) − E log(1 − D(G(z)))",
            "−E log D(x) − E log(1 − D(G(z)))", labels=(0.0, 0.0)),
    mistake("generated images forgotten", "−E log D(x)", "−E log D(x) − E log(1 − D(G(z)))", terms=(1.0, 0.0)),
    mistake("real images forgotten", "−E log(1 − D(G(z)))", "−E log D(x) − E log(1 − D(G(z)))", terms=(0.0, 1.0)),
    mistake("terms subtracted", "−E log D(x) + E log(1 − D(G(z)))", "−E log D(x) − E log(1 − D(G(z)))",
            terms=(1.0, -1.0)),
    mistake(*_SUM, reduce="sum"),
    mistake(*_NONE, reduce="none"),
    mistake("halved", "½ (−E log D(x) − E log(1 − D(G(z))))", "−E log D(x) − E log(1 − D(G(z)))", factor=0.5),
    mistake("sign", "E log D(x) + E log(1 − D(G(z)))", "−E log D(x) − E log(1 − D(G(z)))", factor=-1.0),
    mistake(*_DOUBLE, form="double sigmoid"),
    mistake(*_NO_SIGMOID, form="no sigmoid"),
    mistake(*_DETACHED, detached=True),
)  # fmt: skip
_GENERATOR = (
    mistake("label 0 instead of 1", "−E log(1 − D(G(z)))", "−E log D(G(z))", label=0.0),
    mistake("saturating (minimax) form", "E log(1 − D(G(z)))", "−E log D(G(z))", saturating=True),
    mistake(*_SUM, reduce="sum"),
    mistake(*_NONE, reduce="none"),
    mistake("halved", "−½ E log D(G(z))", "−E log D(G(z))", factor=0.5),
    mistake("sign", "E log D(G(z))", "−E log D(G(z))", factor=-1.0),
    mistake(*_DOUBLE, form="double sigmoid"),
    mistake(*_NO_SIGMOID, form="no sigmoid"),
    mistake(*_DETACHED, detached=True),
)
_RIGHT_LSD = "½ E(D(x) − 1)² + ½ E D(G(z))²"
_LS_DISCRIMINATOR = (
    mistake("½ forgotten", "E(D(x) − 1)² + E D(G(z))²", _RIGHT_LSD, factors=(1.0, 1.0)),
    mistake("½ on the first term only", "½ E(D(x) − 1)² + E D(G(z))²", _RIGHT_LSD, factors=(0.5, 1.0)),
    mistake("generated images forgotten", "½ E(D(x) − 1)²", _RIGHT_LSD, factors=(0.5, 0.0)),
    mistake("real images forgotten", "½ E D(G(z))²", _RIGHT_LSD, factors=(0.0, 0.5)),
    mistake("labels swapped", "½ E D(x)² + ½ E(D(G(z)) − 1)²", _RIGHT_LSD, labels=(0.0, 1.0)),
    mistake("labels 1 and −1", "½ E(D(x) − 1)² + ½ E(D(G(z)) + 1)²", _RIGHT_LSD, labels=(1.0, -1.0)),
    mistake("sigmoid on the scores", "½ E(σ(D(x)) − 1)² + …", _RIGHT_LSD, squashed=True),
    mistake("not squared", "½ E|D(x) − 1| + ½ E|D(G(z))|", _RIGHT_LSD, power=1),
    mistake("sign", "−½ E(D(x) − 1)² − ½ E D(G(z))²", _RIGHT_LSD, sign=-1.0),
    mistake(*_SUM, reduce="sum"),
    mistake(*_NONE, reduce="none"),
)
_LS_GENERATOR = (
    mistake("½ forgotten", "E(D(G(z)) − 1)²", "½ E(D(G(z)) − 1)²", factor=1.0),
    mistake("label 0 instead of 1", "½ E D(G(z))²", "½ E(D(G(z)) − 1)²", label=0.0),
    mistake("sigmoid on the scores", "½ E(σ(D(G(z))) − 1)²", "½ E(D(G(z)) − 1)²", squashed=True),
    mistake("not squared", "½ E|D(G(z)) − 1|", "½ E(D(G(z)) − 1)²", power=1),
    mistake("sign", "−½ E(D(G(z)) − 1)²", "½ E(D(G(z)) − 1)²", sign=-1.0),
    mistake(*_SUM, reduce="sum"),
    mistake(*_NONE, reduce="none"),
)


def _flat(case: Case) -> Case:
    """(batch,) for (batch, 1)."""
    return {name: value.flatten() for name, value in case.items()}


_LOGITS = (-5.0, 5.0)
_EXTREME = column(1000.0, -1000.0, 40.0, -40.0)

CHECKS = (
    Check(
        name="bce_loss",
        call="bce_loss(input, target), mean of the binary cross-entropy of logits",
        right=bce_loss,
        mistakes=(*_BCE, _overflow(form="log of sigmoid")),
        inputs=batches({"input": _LOGITS, "target": (0.0, 1.0)}),
        extremes=(
            {"input": _EXTREME, "target": column(1.0, 0.0, 1.0, 0.0)},
            {"input": _EXTREME, "target": column(0.0, 1.0, 0.0, 1.0)},
        ),
        overflow=_overflow(form="log of sigmoid"),
        other_form=_flat,
        observe=call_loss,
    ),
    Check(
        name="discriminator_loss",
        call="discriminator_loss(logits_real, logits_fake) → one number",
        right=discriminator_loss,
        mistakes=(*_DISCRIMINATOR, _overflow(form="log of sigmoid")),
        inputs=batches({"logits_real": _LOGITS, "logits_fake": _LOGITS}),
        extremes=(
            {"logits_real": _EXTREME, "logits_fake": -_EXTREME},
            {"logits_real": _EXTREME, "logits_fake": _EXTREME},
        ),
        overflow=_overflow(form="log of sigmoid"),
        other_form=_flat,
        observe=call_loss,
        points=2,
    ),
    Check(
        name="generator_loss",
        call="generator_loss(logits_fake) → one number",
        right=generator_loss,
        mistakes=(*_GENERATOR, _overflow(form="log of sigmoid")),
        inputs=batches({"logits_fake": _LOGITS}),
        extremes=({"logits_fake": _EXTREME}, {"logits_fake": column(-1000.0)}),
        overflow=_overflow(form="log of sigmoid"),
        other_form=_flat,
        observe=call_loss,
        points=2,
    ),
    Check(
        name="ls_discriminator_loss",
        call="ls_discriminator_loss(scores_real, scores_fake) → one number",
        right=ls_discriminator_loss,
        mistakes=_LS_DISCRIMINATOR,
        inputs=batches({"scores_real": _LOGITS, "scores_fake": _LOGITS}),
        extremes=({"scores_real": column(1e4, -1e4), "scores_fake": column(-1e4, 1e4)},),
        other_form=_flat,
        observe=call_loss,
    ),
    Check(
        name="ls_generator_loss",
        call="ls_generator_loss(scores_fake) → one number",
        right=ls_generator_loss,
        mistakes=_LS_GENERATOR,
        inputs=batches({"scores_fake": _LOGITS}),
        extremes=({"scores_fake": column(1e4, -1e4)},),
        other_form=_flat,
        observe=call_loss,
    ),
)

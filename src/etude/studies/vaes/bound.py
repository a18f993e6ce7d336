"""What a VAE minimises, against the exact likelihood of a linear-Gaussian model."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.streams import stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, every, exact, measured, ruled

ROUNDING_NATS = 1e-9


@dataclass(frozen=True, kw_only=True)
class Bound(Repeated):
    """A linear VAE, trained on numbers that a model of the same kind has drawn."""

    numbers: Annotated[int, Range(2, 100)] = 10
    """Numbers of an example."""
    latents: Annotated[int, Range(1, 20)] = 3
    """Latents, of the model that draws the examples and of the VAE."""
    examples: Annotated[int, Range(10, 100_000)] = 1000
    """Examples. The bounds are means over them."""
    steps: Annotated[int, Range(1, 10_000)] = 300
    """Steps of Adam on all examples."""
    learning_rate: Annotated[float, Range(above=0, high=1)] = 0.02
    """Step size of Adam."""
    draws: Annotated[int, Range(2, 10_000)] = 20
    """Latents drawn per example for the importance-weighted bound, K."""

    def rules(self) -> Iterator[Rule]:
        """See `Design`."""
        yield self.latents < self.numbers, "latents", f"fewer than the numbers, {self.numbers}"


class LinearVAE(nn.Module):
    """p(z) = N(0, I), p(x|z) = N(V z + b, s² I), q(z|x) = N(A x + c, diagonal), in float64."""

    def __init__(self, numbers: int, latents: int, generator: torch.Generator) -> None:
        super().__init__()

        def draw(*shape: int) -> nn.Parameter:
            return nn.Parameter(0.3 * torch.randn(shape, generator=generator, dtype=torch.float64))

        self.V, self.b, self.A, self.c = draw(numbers, latents), draw(numbers), draw(latents, numbers), draw(latents)
        self.log_s, self.logvar = draw(), draw(latents)

    def negative_elbo(self, x: Tensor) -> Tensor:
        """Of examples (N, D), with the mean over q(z|x) in closed form: nats (N,)."""
        mean, variance, s2 = x @ self.A.T + self.c, self.logvar.exp(), (2 * self.log_s).exp()
        error = (x - mean @ self.V.T - self.b).square().sum(1) + self.V.square().sum(0) @ variance
        reconstruction = 0.5 * error / s2 + 0.5 * x.shape[1] * (math.log(2 * math.pi) + 2 * self.log_s)
        return reconstruction + 0.5 * (mean.square() + variance - 1 - self.logvar).sum(1)

    def importance_weighted(self, x: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        """−log of the mean of `draws` importance weights p(x, z) / q(z|x) (Burda et al. 2016): nats (N,)."""
        mean = x @ self.A.T + self.c
        noise = torch.randn((draws, *mean.shape), generator=generator, dtype=torch.float64)
        z = mean + (0.5 * self.logvar).exp() * noise
        error = (x - z @ self.V.T - self.b).square().sum(2)
        log_likelihood = -0.5 * (error / (2 * self.log_s).exp() + x.shape[1] * (math.log(2 * math.pi) + 2 * self.log_s))
        log_ratio = 0.5 * (noise.square() + self.logvar - z.square()).sum(2)
        return math.log(draws) - torch.logsumexp(log_likelihood + log_ratio, dim=0)

    def negative_log_likelihood(self, x: Tensor) -> Tensor:
        """Of x ~ N(b, V Vᵀ + s² I): nats (N,)."""
        covariance = self.V @ self.V.T + (2 * self.log_s).exp() * torch.eye(x.shape[1], dtype=torch.float64)
        return -torch.distributions.MultivariateNormal(self.b, covariance).log_prob(x)


def drawn(design: Bound, seed: int) -> Tensor:
    """Examples (N, D) of a linear-Gaussian model with random weights."""
    generator = stream(seed, "bound/data")
    weights = torch.randn(design.numbers, design.latents, generator=generator, dtype=torch.float64)
    z = torch.randn(design.examples, design.latents, generator=generator, dtype=torch.float64)
    noise = torch.randn(design.examples, design.numbers, generator=generator, dtype=torch.float64)
    return z @ weights.T + 0.5 * noise


BOUNDS = ("−ELBO", "−IWAE", "−log p(x)")
EXACT, LOOSE, TIGHT = "−log p(x), nats, {}", "−ELBO minus −IWAE, nats, {}", "−IWAE minus −log p(x), nats, {}"
TIMES = ("before training", "halfway", "after training")
SMALLEST = "smallest −ELBO minus −log p(x), nats, of all seeds and times"


def trained(design: Bound, seed: int) -> list[tuple[int, float, float, float]]:
    """Steps, −ELBO, −IWAE and −log p(x), means over the examples, at several times."""
    x, network = drawn(design, seed), LinearVAE(design.numbers, design.latents, stream(seed, "bound/weights"))
    noise = stream(seed, "bound/importance")
    optimizer = torch.optim.Adam(network.parameters(), lr=design.learning_rate)
    shown = {round(design.steps * share) for share in (0, 0.1, 0.2, 0.4, 0.6, 0.8, 1)}
    found = []
    for step in range(design.steps + 1):
        loss = network.negative_elbo(x).mean()
        if step in shown:
            with torch.no_grad():
                tight = network.importance_weighted(x, design.draws, noise).mean()
                exact = network.negative_log_likelihood(x).mean()
            found.append((step, loss.item(), tight.item(), exact.item()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return found


def experiment(design: Bound, lab: Lab) -> Findings:
    """Train on −ELBO, and compute all three on the way."""
    paths = np.array([trained(design, seed) for seed in lab.each(design.each_seed, "seeds")])  # (seeds, times, 4)
    evidence = [exact(SMALLEST, (paths[:, :, 1] - paths[:, :, 3]).min())]
    curves = {"step": paths[0, :, 0].tolist()}
    for place, when in zip((0, paths.shape[1] // 2, -1), TIMES, strict=True):
        elbo, tight, likelihood = paths[:, place, 1:].T
        evidence += [
            measured(EXACT.format(when), likelihood),
            measured(LOOSE.format(when), elbo - tight),
            measured(TIGHT.format(when), tight - likelihood),
        ]
    for number, name in enumerate(BOUNDS, start=1):
        curves[name] = paths[:, :, number].mean(axis=0).tolist()
    return Findings(tuple(evidence), curves)


def judge(found: Findings) -> Ruling:
    """The claim holds if −ELBO is nowhere below −log p(x) by more than rounding, and −IWAE is between them at first."""
    gaps, rest = ([found[what.format(when)] for when in TIMES] for what in (LOOSE, TIGHT))
    smallest = found[SMALLEST]
    return ruled(
        every(above(smallest, -ROUNDING_NATS), above(gaps[0], 0), above(rest[0], 0)),
        f"−ELBO is at least {smallest.value:.2g} nats above −log p(x) at all times; before training it is "
        f"{gaps[0].value:.3g} above −IWAE, and that {rest[0].value:.3g} above −log p(x).",
    )


def draw(found: Findings) -> Figure:
    """All three as it trains, and how far above the likelihood the bounds are."""
    steps, exact = found.curves["step"], np.array(found.curves[BOUNDS[2]])
    both = Axis(
        lines=[Line(name=name, x=steps, y=found.curves[name], dashed=name == BOUNDS[2]) for name in BOUNDS],
        x_label="step",
        y_label="nats per example",
        title="what falls",
    )
    gaps = Axis(
        lines=[
            Line(name=name, x=steps, y=np.maximum(1e-5, np.array(found.curves[name]) - exact).tolist())
            for name in BOUNDS[:2]
        ],
        x_label="step",
        y_label="nats above −log p(x)",
        y_scale="log",
        title="how tight the bounds are",
    )
    return lines(both, gaps, title="A linear VAE: the loss, a tighter bound and the exact likelihood")


STUDY = Study(
    name="bound",
    topic="vaes",
    question="What does a VAE minimise: the negative log-likelihood, a lower bound of it, or an upper bound?",
    claim="Training a VAE minimises an upper bound of the negative log-likelihood.",
    design=Bound(),
    quick={"examples": 300},
    held_fixed="a linear VAE with a diagonal encoder, on examples that a linear-Gaussian model has drawn; float64",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The loss is −log p(x) + KL(q(z|x) ‖ p(z|x)), and no KL is below 0. In a linear-Gaussian model (probabilistic "
        "PCA) both sides have a closed form, so the gap can be computed. The importance-weighted bound with K latents "
        "lies between the two, and training may close the gap by a better q or a simpler p(z|x)."
    ),
    source="Kingma and Welling 2014, equation 1; Burda et al. 2016, theorem 1; Tipping and Bishop 1999",
    wrong_answer='"A lower bound": the ELBO is one, of log p(x); its negative, which is minimised, is an upper bound.',
)

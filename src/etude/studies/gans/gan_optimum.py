"""The optimum of the GAN game: known densities on a line, by quadrature and by a trained discriminator."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Normal

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.losses import cross_entropy_discriminator
from etude.studies import Evidence, Findings, Lab, Repeated, Ruling, Study, above, below, every, exact, measured, ruled
from etude.studies.gans.games import normal_batches, stacked, through
from etude.studies.pictures import line

MARGIN = 0.02
"""Of a value in nats: what training on samples may miss."""
HALF_MARGIN = 0.05
"""Of a probability: the mean distance of D from ½ that counts as none."""
REACH = 12.0
"""Standard deviations on either side over which densities are integrated."""
NUM_PLACES = 4_001
AVERAGED = 0.5
"""The last share of the steps, whose mean weights are the trained network's."""


@dataclass(frozen=True, kw_only=True)
class GanOptimum(Repeated):
    """Data from N(0, 1), a generator whose density is a normal one, and the best discriminator of the two."""

    shifts: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)
    """Means of the generator's density. The data have mean 0."""
    generated_std: Annotated[float, Range(0.1, 10)] = 1.0
    """Standard deviation of the generator's density. That of the data is 1."""
    steps: Annotated[int, Range(10, 100_000)] = 1500
    """Training steps of the discriminator."""
    batch_size: Annotated[int, Range(2, 100_000)] = 256
    """Real samples of a step, and as many generated ones."""
    width: Annotated[int, Range(1, 1024)] = 32
    """Units of the discriminator's two hidden layers."""

    def rules(self) -> Iterator[Rule]:
        """The densities overlap, so that float64 can compare them."""
        fine = len(set(self.shifts)) == len(self.shifts) > 0 and all(abs(each) <= 20 for each in self.shifts)
        yield fine, "shifts", "one or more different numbers from -20 to 20"


@dataclass(frozen=True)
class Pair:
    """The data's density and the generator's; final."""

    shift: float
    std: float

    def places(self) -> Tensor:
        """Where densities are integrated, (n,)."""
        reach = REACH * max(1.0, self.std)
        return torch.linspace(min(0.0, self.shift) - reach, max(0.0, self.shift) + reach, NUM_PLACES).double()

    def log_densities(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """log p and log q at places (n,)."""
        zero, one = places.new_zeros(()), places.new_ones(())
        return Normal(zero, one).log_prob(places), Normal(zero + self.shift, one * self.std).log_prob(places)

    def best_logits(self, places: Tensor) -> Tensor:
        """The logit of D* = p / (p + q) (Goodfellow et al. 2014, proposition 1)."""
        log_p, log_q = self.log_densities(places)
        return log_p - log_q

    def value(self, logits: Tensor, places: Tensor) -> float:
        """E log D(x) + E log(1 − D(G(z))) of a discriminator with these logits (n,), in nats, by the trapezoid rule."""
        p, q = (each.exp() for each in self.log_densities(places))
        return float(torch.trapezoid(p * F.logsigmoid(logits) + q * F.logsigmoid(-logits), places))

    def jensen_shannon(self, places: Tensor) -> float:
        """½ KL(p ‖ m) + ½ KL(q ‖ m) with m = (p + q) / 2, in nats."""
        log_p, log_q = self.log_densities(places)
        log_m = torch.logaddexp(log_p, log_q) - math.log(2)
        halves = log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)
        return float(torch.trapezoid(halves, places)) / 2

    def mean_distance(self, logits: Tensor, others: Tensor, places: Tensor) -> float:
        """The mean of |D − D'| over samples, half of them real."""
        p, q = (each.exp() for each in self.log_densities(places))
        return float(torch.trapezoid((p + q) / 2 * (logits.sigmoid() - others.sigmoid()).abs(), places))


def trained_logits(pairs: list[Pair], design: GanOptimum, lab: Lab) -> Tensor:
    """Train a discriminator per seed and pair on samples: their logits at the pair's places, (seeds, pairs, n)."""
    seeds = [seed for seed in design.each_seed for _ in pairs]
    weights = stacked([1, design.width, design.width, 1], seeds, "discriminator")
    averages = [torch.zeros_like(each) for each in weights]
    adam = torch.optim.Adam(weights, 5e-3, fused=True)
    shape = (len(pairs), 2, design.batch_size)
    draws = normal_batches(design.each_seed, "samples", *shape)
    shifts = torch.tensor([pair.shift for pair in pairs]).repeat(design.seeds)[:, None, None]
    for step in lab.each(range(design.steps), "steps"):
        real, generated = next(draws).flatten(0, 1)[..., None].unbind(1)  # (seeds · pairs, batch, 1) each
        samples = torch.cat([real, shifts + design.generated_std * generated], 1)
        scores = through(weights, samples, slope=0.01).split(design.batch_size, 1)
        loss = len(seeds) * cross_entropy_discriminator(*scores)
        adam.zero_grad()
        loss.backward()
        adam.step()
        if step >= (1 - AVERAGED) * design.steps:
            for average, weight in zip(averages, weights, strict=True):
                average += weight.detach() / (design.steps - math.ceil((1 - AVERAGED) * design.steps))
    places = torch.stack([pair.places() for pair in pairs]).repeat(design.seeds, 1).float()
    logits = through(averages, places[..., None], slope=0.01)[..., 0]
    return logits.unflatten(0, (design.seeds, len(pairs))).double()


def experiment(design: GanOptimum, lab: Lab) -> Findings:
    """For each pair: the value of the best discriminator and of a trained one, and how far both are from ½."""
    pairs = [Pair(shift, design.generated_std) for shift in design.shifts]
    trained = trained_logits(pairs, design, lab)
    evidence: list[Evidence] = []
    errors: list[float] = []
    curves: dict[str, list[float]] = {"shift": list(design.shifts)}
    for place, pair in enumerate(pairs):
        x = pair.places()
        best, half, of_seeds = pair.best_logits(x), torch.zeros_like(x), trained[:, place]
        value, divergence = pair.value(best, x), pair.jensen_shannon(x)
        errors.append(abs(value - (2 * divergence - math.log(4))))
        evidence += [
            exact(f"{BEST}{pair.shift:g}, nats", value),
            measured(f"{TRAINED}{pair.shift:g}, nats", [pair.value(each, x) for each in of_seeds]),
            exact(f"{BEST_HALF}{pair.shift:g}", pair.mean_distance(best, half, x)),
            measured(f"{TRAINED_HALF}{pair.shift:g}", [pair.mean_distance(each, half, x) for each in of_seeds]),
        ]
        shown = x.abs() <= 3 + abs(pair.shift)
        curves[f"x {pair.shift:g}"] = x[shown].tolist()
        curves[f"best {pair.shift:g}"] = best[shown].sigmoid().tolist()
        curves[f"trained {pair.shift:g}"] = of_seeds[0, shown].sigmoid().tolist()
    evidence.append(exact("largest difference of D*'s value from −log 4 + 2 JSD, nats", max(errors)))
    return Findings(tuple(evidence), curves)


BEST, TRAINED = "value with D* = p/(p + q), means apart by ", "value with the trained D, means apart by "
BEST_HALF, TRAINED_HALF = "mean |D* − ½|, means apart by ", "mean |D − ½| of the trained D, means apart by "


def judge(found: Findings) -> Ruling:
    """The generator's optimum is the density with the smallest value of D*.

    True if there D* and the trained D are nearer to ½ than 0.05 in the mean, if both values are within 0.02 nats of
    −log 4, and if no value is smaller than −log 4 by more than that.
    """
    values = {each.what.removeprefix(BEST).removesuffix(", nats"): each for each in found if each.what.startswith(BEST)}
    at = min(values, key=lambda shift: values[shift].value)
    lowest, floor = [values[at], found[f"{TRAINED}{at}, nats"]], -math.log(4)
    halves = [found[f"{BEST_HALF}{at}"], found[f"{TRAINED_HALF}{at}"]]
    holds = every(
        *(below(each, HALF_MARGIN) for each in halves),
        *(below(each, floor + MARGIN) for each in lowest),
        *(above(each, floor - MARGIN) for each in [*lowest, *values.values()]),
    )
    largest = max(values.values(), key=lambda each: each.value)
    return ruled(
        holds,
        f"the value is smallest with the means {at} apart, {lowest[0].value:.4f} nats ({lowest[1].value:.4f} with a "
        f"trained D) beside −log 4 = {floor:.4f}; D is {halves[1].value:.3f} from ½ in the mean there. "
        f"Elsewhere the value is up to {largest.value:.3f}.",
    )


def draw(found: Findings) -> Figure:
    """The best discriminators and the trained ones, and the value against the distance of the means."""
    shifts = list(found.curves["shift"])
    shown = sorted({shifts[0], shifts[len(shifts) // 2]})
    of_pairs = [
        Line(
            name=f"{name}, means {shift:g} apart",
            x=found.curves[f"x {shift:g}"],
            y=found.curves[f"{kind} {shift:g}"],
            dashed=kind == "best",
        )
        for shift in shown
        for kind, name in (("trained", "trained D"), ("best", "D*"))
    ]
    curves = Axis(lines=of_pairs, x_label="x", y_label="D(x)", title="discriminators")
    means = sorted(shifts)
    of_trained = [found[f"{TRAINED}{shift:g}, nats"] for shift in means]
    values = Axis(
        lines=[
            Line(name="D* (quadrature)", x=means, y=[found[f"{BEST}{shift:g}, nats"].value for shift in means]),
            line("trained D", means, of_trained, dashed=True),
        ],
        x_label="mean of the generator's density (the data's is 0)",
        y_label="value of the game, nats",
        levels={"−log 4": -math.log(4), "0: told apart": 0.0},
        title="value",
    )
    return lines(curves, values, title="The discriminator's best answer to known densities")


STUDY = Study(
    name="gan-optimum",
    topic="gans",
    question="At the optimum of the GAN game, what does the discriminator say, and what is the value of the game?",
    claim="At the optimum the discriminator says ½ everywhere, and the value of the game is −log 4.",
    design=GanOptimum(),
    quick={"seeds": 4, "steps": 500, "batch_size": 128},
    held_fixed="data from N(0, 1); generated samples from a normal density; trained D with two hidden layers, Adam",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "For each x the discriminator maximises p log D + q log(1 − D), whose derivative is 0 at D* = p/(p + q). Put "
        "into the game this gives −log 4 + 2 JSD(p, q), which is smallest, −log 4, where the generator's density q is "
        "the data's p, and there D* = ½. A discriminator that says ½ is no proof of that, as the value of a "
        "discriminator that has learned nothing is −log 4 too."
    ),
    source="Goodfellow et al. 2014, proposition 1 and theorem 1",
    wrong_answer=(
        '"At the optimum the discriminator is right every time": then the value is 0, its largest, and the generator '
        "has lost."
    ),
)

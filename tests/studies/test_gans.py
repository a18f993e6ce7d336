"""Studies of GANs that are computed, not trained: the game x y, the generator's losses, and known densities."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch

import etude
from etude.errors import UsageError
from etude.studies import Findings, exact, measured
from etude.studies.gans import gan_optimum, saturating_loss, xy_game

Y = [1, 2, 1, -1, -2, -1, 1]
X = [1, -1, -2, -1, 1, 2, 1]


def of_game(alternating: float, simultaneous: float, period: int = 6) -> Findings:
    """Findings of the game in which these are the growths of the distances."""
    return Findings(
        (
            exact("growth of the distance, alternating steps", alternating),
            exact("growth of the distance, simultaneous steps", simultaneous),
            exact("steps until alternating players are back where they began, 0 if never", period),
        )
    )


def test_the_players_of_x_y_go_round_as_in_the_exercise() -> None:
    points = list(xy_game.path(xy_game.alternating, xy_game.XYGame(steps=6), 1.0))
    assert [point[0] for point in points] == X
    assert [point[1] for point in points] == Y


def matrix_of(step: Callable[[float, float, float], xy_game.Point], eta: float) -> np.ndarray:
    return np.column_stack([step(1.0, 0.0, eta), step(0.0, 1.0, eta)])


@pytest.mark.parametrize("eta", [0.1, 0.5, 1.0, 1.5])
def test_a_simultaneous_step_multiplies_the_distance_by_the_root_of_1_plus_eta_squared(eta: float) -> None:
    np.testing.assert_allclose(np.linalg.svd(matrix_of(xy_game.simultaneous, eta))[1], math.sqrt(1 + eta**2))
    points = list(xy_game.path(xy_game.simultaneous, xy_game.XYGame(steps=5), eta))
    assert math.hypot(*points[5]) == pytest.approx(math.sqrt(2) * (1 + eta**2) ** 2.5)


@pytest.mark.parametrize("eta", [0.1, 0.5, 1.0, 1.9])
def test_alternating_steps_have_eigenvalues_of_size_1(eta: float) -> None:
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(matrix_of(xy_game.alternating, eta))), 1)


def test_alternating_steps_have_period_6_at_1_and_diverge_above_2() -> None:
    np.testing.assert_allclose(
        np.linalg.matrix_power(matrix_of(xy_game.alternating, 1.0), 6), np.eye(2), atol=1e-12
    )  # fmt: skip
    assert np.abs(np.linalg.eigvals(matrix_of(xy_game.alternating, 2.1))).max() > 1.5


@pytest.mark.parametrize(("eta", "shrinks"), [(0.1, True), (0.99, True), (1.01, False), (1.5, False)])
def test_extragradient_steps_shrink_below_1(eta: float, shrinks: bool) -> None:
    sizes = np.abs(np.linalg.eigvals(matrix_of(xy_game.extragradient, eta)))
    np.testing.assert_allclose(sizes, math.sqrt(1 - eta**2 + eta**4))
    assert (sizes.max() < 1) == shrinks


@pytest.mark.parametrize(("eta", "shrinks"), [(0.1, True), (0.5, True), (0.57, True), (0.58, False), (1.0, False)])
def test_optimistic_steps_shrink_below_1_over_the_root_of_3(eta: float, shrinks: bool) -> None:
    """With z = x + i y a step is z ← (1 + 2 i η) z − i η z₋₁: two roots."""
    sizes = np.abs(np.roots([1, -(1 + 2j * eta), 1j * eta]))
    assert (sizes.max() < 1) == shrinks == (eta < 1 / math.sqrt(3))
    points = np.array(list(xy_game.optimistic_path(xy_game.XYGame(steps=2000), eta)))
    distances = np.hypot(*points.T)
    assert (distances[-1] < distances[0]) == shrinks


@pytest.mark.parametrize(
    ("alternating", "simultaneous", "verdict"),
    [(1.0, 1e7, "false"), (1e-3, 1e-4, "true"), (1e-3, 1.0, "false"), (1.0, 1e-3, "false"), (0.5, 0.2, "false")],
)
def test_the_verdict_on_x_y_goes_by_the_distances(alternating: float, simultaneous: float, verdict: str) -> None:
    assert xy_game.judge(of_game(alternating, simultaneous)).verdict == verdict


def test_the_ruling_on_x_y_says_what_the_players_do() -> None:
    assert (
        xy_game.judge(of_game(1, 2)).because == "alternating players are back where they began after 6 steps; with "
        "simultaneous steps the distance grows 2-fold."
    )
    assert xy_game.judge(of_game(3, 2, 0)).because.startswith(
        "the distance of alternating players from the saddle grows 3-fold; "
    )


def test_the_study_of_x_y(tmp_path: Path) -> None:
    found = etude.study("xy-game", runs_dir=tmp_path)
    assert found.verdict == "false"
    assert found.findings["steps until alternating players are back where they began, 0 if never"].value == 6
    assert found.findings["growth of the distance, extragradient steps of a quarter of the size"].value < 0.5
    assert found.findings["growth of the distance, optimistic steps of a quarter of the size"].value < 0.5
    assert [found.findings[f"x after alternating step {n}"].value for n in range(1, 7)] == X[1:]
    assert [found.findings[f"y after alternating step {n}"].value for n in range(1, 7)] == Y[1:]
    assert found.findings["min over x of max over y of x y, both in [−1, 1]"].value == 0
    assert found.figure.exists()
    assert etude.study("xy-game", runs_dir=tmp_path, step_size=2.5, steps=30).verdict == "false"


def test_the_gradients_of_the_generators_losses_are_those_of_the_formulas() -> None:
    logits = np.linspace(-20, 20, 41)
    nonsaturating, saturating = saturating_loss.gradients(logits.tolist())
    np.testing.assert_allclose(nonsaturating, 1 / (1 + np.exp(logits)), rtol=1e-7)  # 1 − σ(s)
    np.testing.assert_allclose(saturating, 1 / (1 + np.exp(-logits)), rtol=1e-7)  # σ(s)
    assert saturating_loss.crossing(-7, 3) == 0


def test_the_study_of_the_saturating_loss(tmp_path: Path) -> None:
    found = etude.study("saturating-loss", runs_dir=tmp_path)
    assert found.verdict == "only if"
    assert found.ruling.condition == (
        "the discriminator gives the sample a probability below 0.5 of being real (a logit below 0)"
    )
    ratios = [found.findings[f"{saturating_loss.RATIO}{logit}"].value for logit in (-5, 0, 2)]
    np.testing.assert_allclose(ratios, [math.exp(5), 1, math.exp(-2)])
    assert found.ruling.because == "the ratio of the gradients is 148, 1, 0.135 at logits -5, 0, 2."
    for logits, verdict in [((-5.0, -1.0), "true"), ((0.5, 3.0), "false"), ((0.0,), "false"), ((-1.0, 0.0), "only if")]:
        assert etude.study("saturating-loss", runs_dir=tmp_path, logits=logits).verdict == verdict


def test_the_verdict_on_the_saturating_loss_turns_with_the_ratios() -> None:
    found = saturating_loss.experiment(saturating_loss.SaturatingLoss(), None)  # pyright: ignore[reportArgumentType]
    names = [f"{saturating_loss.RATIO}{logit}" for logit in (-5, 0, 2)]
    assert saturating_loss.judge(found.with_values({name: [2] for name in names})).verdict == "true"
    assert saturating_loss.judge(found.with_values({name: [0.5] for name in names})).verdict == "false"
    turned = saturating_loss.judge(found.with_values(dict(zip(names, ([0.1], [1], [9]), strict=True))))
    assert "probability above 0.5" in turned.condition


@pytest.mark.parametrize("logits", [(), (1.0, 1.0), (31.0,), (math.nan,)])
def test_logits_that_cannot_be_compared_are_refused(logits: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match=r"--logits .* \(allowed: one or more different numbers from -30 to 30\)"):
        saturating_loss.SaturatingLoss(logits=logits)


@pytest.mark.parametrize(("shift", "std"), [(0.0, 1.0), (0.5, 1.0), (2.0, 1.0), (1.0, 0.5), (0.0, 2.0), (5.0, 1.0)])
def test_values_and_divergences_are_scipys(shift: float, std: float) -> None:
    def p(x: float) -> float:
        return float(scipy.stats.norm.pdf(x))

    def q(x: float) -> float:
        return float(scipy.stats.norm.pdf(x, shift, std))

    def best(x: float) -> float:
        return p(x) * math.log(p(x) / (p(x) + q(x))) + q(x) * math.log(q(x) / (p(x) + q(x)))

    def divergence(x: float) -> float:
        return (p(x) * math.log(2 * p(x) / (p(x) + q(x))) + q(x) * math.log(2 * q(x) / (p(x) + q(x)))) / 2

    pair, reach = gan_optimum.Pair(shift, std), (-9 * max(1, std), shift + 9 * max(1, std))
    places = pair.places()
    value = pair.value(pair.best_logits(places), places)
    assert value == pytest.approx(scipy.integrate.quad(best, *reach, limit=400)[0], abs=1e-7)
    assert pair.jensen_shannon(places) == pytest.approx(
        scipy.integrate.quad(divergence, *reach, limit=400)[0], abs=1e-7
    )
    assert value == pytest.approx(2 * pair.jensen_shannon(places) - math.log(4), abs=1e-9)


def test_no_other_discriminator_has_a_larger_value() -> None:
    pair = gan_optimum.Pair(1.0, 1.0)
    places = pair.places()
    best = pair.best_logits(places)
    for other in (best + 0.1, 0.9 * best, torch.zeros_like(best), best + 0.1 * places.sin()):
        assert pair.value(other, places) < pair.value(best, places)


def of_optimum(lowest: float, trained: list[float], halves: list[float], other: float = -1.0) -> Findings:
    return Findings(
        (
            exact(f"{gan_optimum.BEST}0, nats", lowest),
            measured(f"{gan_optimum.TRAINED}0, nats", trained),
            exact(f"{gan_optimum.BEST_HALF}0", 0.0),
            measured(f"{gan_optimum.TRAINED_HALF}0", halves),
            exact(f"{gan_optimum.BEST}1, nats", other),
        )
    )


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        (of_optimum(-1.3863, [-1.387, -1.388], [0.01, 0.012]), "true"),
        (of_optimum(-1.2, [-1.21, -1.22], [0.01, 0.012]), "false"),
        (of_optimum(-1.3863, [-1.387, -1.388], [0.2, 0.21]), "false"),
        (of_optimum(-1.5, [-1.51, -1.52], [0.01, 0.012]), "false"),
        (of_optimum(-1.3863, [-1.387, -1.5], [0.01, 0.012]), "undecided"),
        (of_optimum(-1.3863, [-1.387, -1.388], [0.01, 0.08]), "undecided"),
    ],
)
def test_the_verdict_on_the_optimum(findings: Findings, verdict: str) -> None:
    assert gan_optimum.judge(findings).verdict == verdict


def test_the_study_of_the_optimum(tmp_path: Path) -> None:
    tiny = {"seeds": 2, "steps": 60, "batch_size": 64, "shifts": (0.0, 2.0), "width": 8}
    found = etude.study("gan-optimum", runs_dir=tmp_path, **tiny)
    assert found.findings[f"{gan_optimum.BEST}0, nats"].value == pytest.approx(-math.log(4), abs=1e-9)
    trained, best = (found.findings[f"{kind}2, nats"].value for kind in (gan_optimum.TRAINED, gan_optimum.BEST))
    assert -math.log(4) < trained < best
    assert found.findings["largest difference of D*'s value from −log 4 + 2 JSD, nats"].value < 1e-9
    assert etude.study("gan-optimum", runs_dir=tmp_path, **{**tiny, "generated_std": 3.0}).verdict == "false"


def test_shifts_that_float64_cannot_compare_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--shifts .* \(allowed: one or more different numbers from -20 to 20\)"):
        gan_optimum.GanOptimum(shifts=(0.0, 25.0))

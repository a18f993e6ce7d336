import importlib
import re
import tracemalloc
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch

from etude.errors import UsageError
from etude.metrics import density_coverage, prdc, precision_recall
from etude.metrics.prdc import DensityCoverage, PrecisionRecall

# Clipped features of few dimensions repeat the row of zeros, and far sets lie far: said by its own test below.
pytestmark = pytest.mark.filterwarnings("ignore:.* nearer than rounding can tell")

Load = Callable[[str], ModuleType]
SHAPES = [(300, 300, 84, 5), (500, 200, 84, 3), (200, 700, 10, 1), (1500, 1200, 6, 10)]


def make_features(num_real: int, num_generated: int, num_features: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(num_real)
    real = random.normal(size=(num_real, num_features)).clip(min=0)
    return real, (0.8 * random.normal(size=(num_generated, num_features)) + 0.1).clip(min=0)


@pytest.mark.parametrize(("num_real", "num_generated", "num_features", "nearest_k"), SHAPES)
def test_all_four_are_prdcs_exactly(
    num_real: int,
    num_generated: int,
    num_features: int,
    nearest_k: int,
    reference: Load,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real, generated = make_features(num_real, num_generated, num_features)
    expected = reference("prdc.prdc").compute_prdc(real, generated, nearest_k)
    capsys.readouterr()  # it prints
    first, second = prdc(real, generated, nearest_k=nearest_k)
    assert (first.precision, first.recall) == (expected["precision"], expected["recall"])
    assert second.density == pytest.approx(expected["density"], rel=1e-14)
    assert second.coverage == expected["coverage"]
    assert first.precision > 0  # the comparison has something to compare


@pytest.mark.parametrize(("num_real", "num_generated", "num_features", "nearest_k"), SHAPES)
def test_precision_and_recall_are_torch_fidelitys_where_nothing_ties(
    num_real: int, num_generated: int, num_features: int, nearest_k: int, reference: Load
) -> None:
    theirs = reference("torch_fidelity.metric_prc")
    random = np.random.default_rng(1)
    real, generated = (
        random.normal(size=(num_real, num_features)),
        0.8 * random.normal(size=(num_generated, num_features)),
    )
    precision, recall = theirs.calculate_precision_recall_part(
        torch.from_numpy(generated), torch.from_numpy(real), nearest_k
    )
    ours = precision_recall(real, generated, nearest_k=nearest_k)
    assert (ours.precision, ours.recall) == pytest.approx((precision, recall), abs=1e-7)


def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real, generated = make_features(300, 200, 6)
    whole = prdc(real, generated)
    module = importlib.import_module("etude.metrics.prdc")  # the attribute of that name is the function
    monkeypatch.setattr(module, "BLOCK_BYTES", 8 * 200 * 7)  # 7 rows
    assert prdc(real, generated) == whole
    assert precision_recall(real, generated) == whole[0]
    assert density_coverage(real, generated) == whole[1]


def test_on_a_line_by_hand() -> None:
    real = np.array([[0.0], [1], [3], [10]])  # radii at k = 1: 1, 1, 2, 7
    generated = np.array([[0.5], [4.5], [30]])  # radii: 4, 4, 25.5
    first, second = prdc(real, generated, nearest_k=1)
    assert first == PrecisionRecall(2 / 3, 1.0, 1)  # 0.5 and 4.5 in real balls; 10 is in the ball of 30
    # 0.5 is in the balls of 0 and 1; 4.5 in those of 3 and 10; every ball holds one.
    assert second == DensityCoverage(4 / 3, 1.0, 1)


def test_a_distance_equal_to_the_radius_is_outside_and_or_equal_would_count_it(reference: Load) -> None:
    """On exact ties prdc (<) and torch-fidelity (≤) differ; ours are prdc's, whatever the rounding."""
    real, generated = np.array([[0.0], [1], [2]]), np.array([[-1.0], [3], [9]])
    assert precision_recall(real, generated, nearest_k=1).precision == 0
    theirs = reference("torch_fidelity.metric_prc")
    assert theirs.calculate_precision_recall_part(torch.from_numpy(generated), torch.from_numpy(real), 1)[
        0
    ] == pytest.approx(2 / 3)


@pytest.mark.parametrize("offset", [0.0, 0.1, 1e4])
def test_an_exact_copy_has_density_1_wherever_it_lies(offset: float) -> None:
    real, _ = make_features(400, 10, 20)
    real = real + offset
    first, second = prdc(real, real[::-1].copy())
    assert (first.precision, first.recall, second.coverage) == (1, 1, 1)
    assert second.density == pytest.approx(1, abs=1e-12)


def test_far_sets_share_nothing_and_one_far_sample_spoils_nothing() -> None:
    real, generated = make_features(300, 300, 20)
    assert prdc(real, generated + 1e6) == (PrecisionRecall(0, 0, 5), DensityCoverage(0, 0, 5))
    before = prdc(real, generated)
    exploded = np.concatenate([generated, np.full((1, 20), 1e9)])
    after = prdc(real, exploded)
    assert after[0].precision == pytest.approx(before[0].precision * 300 / 301)
    assert after[1].coverage == before[1].coverage


def test_memory_stays_bounded() -> None:
    """One distance matrix of 6,000 takes 288 MB; benchmarks/metrics_speed.py runs 50,000 × 84."""
    real, generated = make_features(6_000, 6_000, 4)
    tracemalloc.start()
    density_coverage(real, generated)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 60e6


def test_unfit_arguments_are_refused() -> None:
    real, generated = make_features(20, 5, 3)
    message = (
        r"^generated has 5 samples; the distance to the 5th neighbour needs at least 6: "
        r"take more samples or a smaller nearest_k\.$"
    )
    with pytest.raises(UsageError, match=message):
        prdc(real, generated)
    with pytest.raises(UsageError, match=r"^nearest_k is 0; allowed: 1 or more\.$"):
        precision_recall(real, generated, nearest_k=0)
    with pytest.raises(
        UsageError,
        match=r"^real is constant: all 20 rows are equal; check the feature network and that the images differ\.$",
    ):
        density_coverage(np.ones((20, 3)), real)


@pytest.mark.parametrize(("name", "far"), [("repeated", 0.0), ("far from 0", 1e8)])
def test_balls_smaller_than_rounding_are_warned_of(name: str, far: float) -> None:
    random = np.random.default_rng(0)
    real, generated = random.normal(size=(40, 3)), random.normal(size=(40, 3)) + far
    if name == "repeated":
        generated = np.concatenate([generated[:1].repeat(10, axis=0), generated[:30]])
    balls = "11 of 40" if name == "repeated" else "40 of 40"
    message = (
        f"{balls} generated samples have 5 neighbours nearer than rounding can tell: their balls hold nothing. "
        "Samples are repeated, or features lie far from 0 and differ little."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        prdc(real, generated)

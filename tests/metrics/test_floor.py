import numpy as np
import pytest
import torch

from etude.errors import UsageError
from etude.metrics import frechet_distance, real_floor


def test_the_parts_are_disjoint_random_and_of_the_size_asked_for() -> None:
    rows = torch.arange(100)[:, None]
    one, other = real_floor(lambda real, generated: (real, generated), rows, seed=0, num_samples=30)
    assert len(one) == len(other) == 30
    drawn = {int(row) for row in torch.cat([torch.as_tensor(one), torch.as_tensor(other)])}
    assert len(drawn) == 60
    assert not drawn <= set(range(60))  # shuffled
    again, _ = real_floor(lambda real, generated: (real, generated), rows, seed=0, num_samples=30)
    assert torch.equal(torch.as_tensor(again), torch.as_tensor(one))


def test_ordered_data_has_a_low_floor_because_it_is_shuffled() -> None:
    random = np.random.default_rng(0)
    ordered = np.sort(random.normal(size=(4000, 1)), axis=0)
    assert frechet_distance(ordered[:2000], ordered[2000:]) > 1
    assert real_floor(frechet_distance, ordered, seed=0) < 0.01


def test_fewer_samples_have_a_higher_floor() -> None:
    real = np.random.default_rng(0).normal(size=(8000, 20))
    floors = [real_floor(frechet_distance, real, seed=0, num_samples=n) for n in (100, 400, 4000)]
    assert floors[0] > 3 * floors[1] > 15 * floors[2]


def test_too_few_real_samples_are_refused() -> None:
    message = r"^the floor at 6 samples needs 12 real ones, there are 10; compare at most 5\.$"
    with pytest.raises(UsageError, match=message):
        real_floor(frechet_distance, np.zeros((10, 2)), seed=0, num_samples=6)

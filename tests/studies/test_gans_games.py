"""Many GANs of points side by side: each is trained as it would be alone, and distances are those of scipy."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from torch import Tensor

from etude.models.mlp import layers
from etude.streams import global_stream, stream
from etude.studies import measured
from etude.studies.gans import games


def alone(seed: int, real: Tensor, noise: Tensor, loss: str) -> Tensor:
    """A GAN of `nn.Linear` trained by itself, in the plainest way, on noise (steps, 2, n, dim): points of the first."""
    with global_stream(seed, "generator"):
        generator = layers([3, 8, 8, 2])
    with global_stream(seed, "discriminator"):
        discriminator = layers([2, 8, 8, 1], leaky=True)
    adams = [torch.optim.Adam(each.parameters(), lr=1e-2, betas=(0.5, 0.999)) for each in (discriminator, generator)]
    for points, (first, second) in zip(real, noise, strict=True):
        truth, scores = discriminator(points), discriminator(generator(first).detach())
        if loss == "least_squares":
            of_discriminator = 0.5 * F.mse_loss(truth, torch.ones_like(truth)) + 0.5 * scores.square().mean()
        else:
            of_discriminator = F.binary_cross_entropy_with_logits(truth, torch.ones_like(truth))
            of_discriminator = of_discriminator + F.binary_cross_entropy_with_logits(scores, torch.zeros_like(scores))
        adams[0].zero_grad()
        of_discriminator.backward()
        adams[0].step()
        scores = discriminator(generator(second))
        if loss == "least_squares":
            of_generator = 0.5 * F.mse_loss(scores, torch.ones_like(scores))
        else:
            of_generator = F.binary_cross_entropy_with_logits(scores, torch.ones_like(scores))
        adams[1].zero_grad()
        of_generator.backward()
        adams[1].step()
    return generator(noise[0, 0]).detach()


@pytest.mark.parametrize("loss", ["nonsaturating", "least_squares"])
def test_a_game_among_others_is_the_game_alone(loss: str) -> None:
    seeds, steps = (3, 4, 11), 12
    real, noise = torch.randn(steps, len(seeds), 16, 2), torch.rand(steps, 2, len(seeds), 16, 3)
    together = games.Games(seeds, loss=loss, width=8, noise_dim=3, learning_rate=1e-2)
    for points, (first, second) in zip(real, noise, strict=True):
        together.step_discriminator(points, first)
        together.step_generator(second)
    made = together.generate(noise[0, 0]).detach()
    for place, seed in enumerate(seeds):
        expected = alone(seed, real[:, place], noise[:, :, place], loss)
        torch.testing.assert_close(made[place], expected, rtol=1e-3, atol=1e-4)


def test_steps_of_one_player_leave_the_other_alone() -> None:
    pair = games.Games(range(2), width=4)
    real, noise = torch.randn(2, 8, 2), torch.rand(2, 8, 4)
    before = [each.detach().clone() for each in [*pair.generator, *pair.discriminator]]
    pair.step_discriminator(real, noise)
    after = [*pair.generator, *pair.discriminator]
    same = [torch.equal(one, other) for one, other in zip(before, after, strict=True)]
    assert same == [True] * 6 + [False] * 6
    before = [each.detach().clone() for each in after]
    pair.step_generator(noise)
    same = [torch.equal(one, other) for one, other in zip(before, after, strict=True)]
    assert same[6:] == [True] * 6
    assert not all(same[:6])


def test_losses_are_those_of_each_seed() -> None:
    pair = games.Games(range(3), width=4)
    real, noise = torch.randn(3, 8, 2), torch.rand(3, 8, 4)
    of_discriminators, of_generators = pair.losses(real, noise)
    truth, scores = pair.scores(real).sigmoid(), pair.scores(pair.generate(noise)).sigmoid()
    np.testing.assert_allclose(of_generators, -scores.log().mean(1).detach(), rtol=1e-5)
    both = -(truth.log().mean(1) + (1 - scores).log().mean(1))
    np.testing.assert_allclose(of_discriminators, both.detach(), rtol=1e-5)
    total = pair.discriminator_loss(real, pair.generate(noise)).item()
    assert total == pytest.approx(sum(of_discriminators), rel=1e-5)


def test_the_sliced_distance_is_the_mean_of_scipys_on_lines() -> None:
    generator = torch.Generator().manual_seed(0)
    made, real = torch.randn(2, 50, 2, generator=generator) + 1, torch.rand(50, 2, generator=generator)
    expected = []
    for points in made.numpy():
        angles = np.arange(games.NUM_DIRECTIONS) * math.pi / games.NUM_DIRECTIONS
        lines = np.stack([np.cos(angles), np.sin(angles)])
        ways = [scipy.stats.wasserstein_distance(points @ line, real.numpy() @ line) for line in lines.T]
        expected.append(np.mean(ways))
    np.testing.assert_allclose(games.sliced_distance(made, real), expected, rtol=1e-4)


def test_a_shift_by_a_vector_is_a_distance_of_2_over_pi_of_its_length() -> None:
    points = torch.randn(30, 2, generator=torch.Generator().manual_seed(1))
    assert games.sliced_distance(points, points) == 0
    moved = games.sliced_distance(points + torch.tensor([3.0, 4.0]), points).item()
    assert moved == pytest.approx(5 * 2 / math.pi, rel=1e-3)


@pytest.mark.parametrize(
    ("batches", "draw"),
    [
        (games.uniform_batches(range(4, 6), "noise", 5, 3), lambda g: 2 * torch.rand(100, 5, 3, generator=g) - 1),
        (games.normal_batches(range(4, 6), "noise", 5, 3), lambda g: torch.randn(100, 5, 3, generator=g)),
    ],
)
def test_a_seed_has_the_same_noise_in_any_company(
    batches: Iterator[Tensor], draw: Callable[[torch.Generator], Tensor]
) -> None:
    generator = stream(5, "noise")
    expected = torch.cat([draw(generator), draw(generator)])
    found = torch.stack([next(batches)[1] for _ in range(150)])
    torch.testing.assert_close(found, expected[:150], rtol=0, atol=1e-6)


def test_real_batches_are_rows_of_the_points() -> None:
    points = torch.arange(20.0).reshape(10, 2)
    batch = next(games.real_batches(points, range(3), 500))
    assert batch.shape == (3, 500, 2)
    assert {tuple(row) for row in batch.flatten(0, 1).tolist()} == {tuple(row) for row in points.tolist()}
    assert not torch.equal(batch[0], batch[1])


def test_a_mean_of_logarithms_stands_for_the_geometric_mean() -> None:
    found = games.log_ratio("distance", measured("a", [2.0, 9.0, 1.0]), measured("b", [1.0, 1.0, 4.0]))
    assert found.what == "log10 of the distance"
    assert games.factor(found) == pytest.approx((2 * 9 / 4) ** (1 / 3))
    astray = games.log_ratio("distance", measured("a", [2.0, 9.0]), measured("b", [1.0, math.inf]))
    assert astray.interval is None  # and no verdict follows

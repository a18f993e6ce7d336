"""The reference lines and units of a GAN's loss curves agree with the losses themselves."""

import pytest
import torch

from etude.families.adversarial.family import EQUILIBRIUM, UNITS
from etude.losses import ADVERSARIAL


def test_equilibrium_values_are_the_losses_at_equal_scores() -> None:
    # D = ½: the score 0 where D is its sigmoid, and ½ itself for least squares.
    assert EQUILIBRIUM
    for name, ((_, discriminator), (_, generator)) in EQUILIBRIUM.items():
        scores = torch.full((8, 1), 0.5 if name == "least_squares" else 0.0, dtype=torch.float64)
        loss = ADVERSARIAL[name]
        assert discriminator == pytest.approx(loss.discriminator(scores, scores).item(), rel=1e-12)
        assert generator == pytest.approx(loss.generator(scores).item(), rel=1e-12)


def test_every_adversarial_loss_has_a_unit() -> None:
    assert UNITS.keys() == ADVERSARIAL.keys()

"""Networks from outside are taken as étude's own of the same layers are."""

import dataclasses

import pytest
import torch
from torch import nn

from etude.families.adversarial.family import FAMILY as ADVERSARIAL
from etude.families.classifier.family import FAMILY as CLASSIFIER
from etude.families.variational.family import FAMILY as VARIATIONAL
from etude.models import VAE, CifarFast, ConvDiscriminator, ConvGenerator, Discriminator, Generator, LeNet
from etude.speed.traits import steps_that_pay, traits_of

GREY, COLOUR = (1, 28, 28), (3, 32, 32)
MEASURED = {
    "lenet": (CLASSIFIER, lambda: [LeNet(COLOUR, 10)]),
    "cifar-fast": (CLASSIFIER, lambda: [CifarFast(COLOUR, 10, 64)]),
    "gan": (ADVERSARIAL, lambda: [Discriminator(GREY), Generator(4, GREY)]),
    "dcgan": (ADVERSARIAL, lambda: [ConvDiscriminator(GREY), ConvGenerator(4, GREY)]),
    "vae": (VARIATIONAL, lambda: [VAE(GREY, 2)]),
    "cvae": (VARIATIONAL, lambda: [VAE(GREY, 2, 10)]),
}


@pytest.mark.parametrize("name", MEASURED)
def test_the_rules_give_what_was_measured_of_etudes_own_networks(name: str) -> None:
    family, build = MEASURED[name]
    measured, found = family.networks[name].traits, traits_of(build())
    assert (found.channels_last, found.bf16) == (measured.channels_last, measured.bf16)
    assert found.largest_batch_for_one_thread == measured.largest_batch_for_one_thread or name in ("vae", "cvae")
    if name != "cifar-fast":  # whose bits kernels would change
        assert found.own_layers == measured.own_layers
    wanted = measured.steps_that_pay_for_compiling
    if wanted is None:
        assert found.steps_that_pay_for_compiling is None
    else:
        assert found.steps_that_pay_for_compiling == pytest.approx(wanted, rel=0.25)


def test_the_steps_that_pay_never_exceed_those_of_the_smallest_network() -> None:
    assert [steps_that_pay(number) for number in (0, 10, 62_000)] == [12_000] * 3
    assert steps_that_pay(62_001) <= 12_000
    assert steps_that_pay(62_000 * 10) == round(12_000 * 10**-0.42)


@pytest.mark.parametrize(
    ("network", "changes"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.Linear(64, 10)), {"largest_batch_for_one_thread": 64}),
        (nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256)), {"bf16": True}),
        (
            nn.Sequential(nn.Linear(2, 256), nn.BatchNorm1d(256)),
            {"own_layers": True, "largest_batch_for_one_thread": 64},
        ),
    ],
    ids=["narrow", "wide", "batch-norm"],
)
def test_networks_without_convolutions(network: nn.Module, changes: dict[str, object]) -> None:
    steps = steps_that_pay(sum(each.numel() for each in network.parameters()))
    plain = dataclasses.replace(
        traits_of([nn.Identity()]), largest_batch_for_one_thread=0, steps_that_pay_for_compiling=steps
    )
    assert traits_of([network]) == dataclasses.replace(plain, **changes)  # pyright: ignore[reportArgumentType]


def test_networks_on_the_meta_device_have_the_same_traits() -> None:
    with torch.device("meta"):
        on_meta = LeNet(COLOUR, 10)
    assert traits_of([on_meta]) == traits_of([LeNet(COLOUR, 10)])

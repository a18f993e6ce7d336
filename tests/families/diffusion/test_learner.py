"""Training: the loss by hand, the running average, and one step computed in every way that étude has."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

import etude
from etude import recipes
from etude.compute import Execution
from etude.data import load
from etude.errors import UsageError
from etude.families.abilities import Denoises
from etude.families.diffusion.learner import DiffusionLearner
from etude.families.diffusion.recipe import DDPM, FLOW, Diffusion
from etude.families.preview import ImageGrid
from etude.runs import Run
from etude.speed.steps import eager_step
from etude.speed.whole_step import whole_step
from etude.streams import stream
from etude.training import Display
from etude.training.learners import create_learner

EAGER = Execution(device="cpu", threads=1, precision="fp32", compiled=False)
SMALL = {"data": "digits", "width": 16, "batch_size": 16, "train_images": 64, "epochs": 2}


def small(recipe: Diffusion, **changes: Any) -> Diffusion:
    changed = recipes.change(recipe, **{**SMALL, **changes})
    assert isinstance(changed, Diffusion)
    return changed


def learner_of(recipe: Diffusion) -> DiffusionLearner:
    learner = create_learner(recipe, load(recipe.data), EAGER)
    assert isinstance(learner, DiffusionLearner)
    return learner


class Constant(nn.Module):
    """Gives the same number everywhere, and keeps what it was given."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, images: Tensor, times: Tensor, classes: Tensor | None) -> Tensor:
        self.given = images, times, classes
        return self.value.expand_as(images)


@pytest.mark.parametrize("recipe", [DDPM, FLOW], ids=["ddpm", "flow"])
def test_loss_is_the_squared_error_of_the_prediction(recipe: Diffusion) -> None:
    learner = learner_of(small(recipe, label_dropout=0.5))
    network = Constant(0.3)
    learner.networks = {"network": network}
    train = load("digits").train
    draws = learner.draws()
    batch = learner.batch(train.columns, torch.arange(16), draws)
    loss = learner.step(batch, lambda name, losses: losses({name: network}))["loss"]

    images = train.images[:16].double() / 127.5 - 1
    noise, times = draws["noise"].double(), draws["times"].double().view(-1, 1, 1, 1)
    if recipe.name == "flow":
        mixed, target = (1 - times) * images + times * noise, noise - images
    else:
        angle = times * torch.tensor(0.006).double().arccos()
        mixed, target = angle.cos() * images + angle.sin() * noise, noise
    torch.testing.assert_close(loss.double(), (0.3 - target).square().mean())
    given, given_times, classes = network.given
    torch.testing.assert_close(given.double(), mixed, atol=1e-5, rtol=0)
    assert torch.equal(given_times, draws["times"])
    if recipe.name == "flow":
        told = draws["told"].bool()
        assert 0 < told.sum() < 16
        assert classes is not None
        assert torch.equal(classes[told].argmax(dim=1), train.labels[:16][told])
        assert torch.equal(classes.sum(dim=1), draws["told"])
    else:
        assert classes is None


def test_times_are_drawn_as_the_recipe_says() -> None:
    uniform = learner_of(small(DDPM))._times(20_000, torch.Generator().manual_seed(0))
    normal = learner_of(small(FLOW))._times(20_000, torch.Generator().manual_seed(0)).logit()
    assert (uniform.mean(), uniform.std()) == (pytest.approx(1 / 2, abs=0.01), pytest.approx(12**-0.5, abs=0.01))
    assert (normal.mean(), normal.std()) == (pytest.approx(0, abs=0.03), pytest.approx(1, abs=0.03))


def rates(step: int) -> Any:
    return FLOW.optimizer.rates_at(step, 8)


def test_the_average_follows_the_network() -> None:
    learner = learner_of(small(FLOW))
    train = load("digits").train
    step = eager_step(learner, train)
    expected = {key: value.clone() for key, value in learner.networks["network"].state_dict().items()}
    for number in range(3):
        step(torch.arange(16)[None], rates(number))
        decay = (1 + number) / (10 + number)
        for key, value in learner.networks["network"].state_dict().items():
            expected[key] = decay * expected[key] + (1 - decay) * value
    torch.testing.assert_close(learner.networks["average"].state_dict(), expected)


@pytest.mark.parametrize("recipe", [DDPM, FLOW], ids=["ddpm", "flow"])
def test_a_step_as_one_function_is_the_same_step(recipe: Diffusion) -> None:
    train = load("digits").train
    ways = [learner_of(small(recipe)) for _ in range(2)]
    steps = eager_step(ways[0], train), whole_step(ways[1], train, lambda whole: whole)
    for number in range(3):
        rows = torch.arange(16)[None] + 16 * number
        losses = [step(rows, rates(number)) for step in steps]
        torch.testing.assert_close(*losses)
    for name in ("network", "average"):
        # Adam divides by the gradient's size: where that is near 0, rounding decides.
        torch.testing.assert_close(*(way.networks[name].state_dict() for way in ways), atol=2e-3, rtol=0)


def train(recipe: Diffusion, folder: Path, display: Display | None = None) -> Run:
    return etude.train(
        recipe, name="run", runs_dir=folder, threads=1, precision="fp32", display=display or Display(quiet=True)
    )


@pytest.mark.parametrize("recipe", [DDPM, FLOW], ids=["ddpm", "flow"])
def test_training_lowers_the_loss_and_the_average_draws(recipe: Diffusion, tmp_path: Path) -> None:
    run = train(small(recipe, epochs=4, train_images=480, sampling_steps=4), tmp_path)
    _, (first, *_, last) = run.metrics().series("test/loss")
    assert last < 0.7 * first
    images = run.sample(12)
    assert images.shape == (12, *run.image_shape)
    assert 0 <= images.min() < images.max() <= 1
    with torch.no_grad():
        labels = torch.arange(12) % 10 if run.conditional else None
        way = cast(Denoises, run.trained).way(12, labels=labels, generator=stream(0, "sample"))
    assert way.shape == (5, 12, *run.image_shape)
    assert torch.equal(way[-1], images)
    for network in run.networks.values():
        for parameter in network.parameters():
            parameter.data.zero_()
    assert not torch.equal(run.sample(12), images)


def test_a_preview_is_five_rows_of_images_and_three_ways_from_noise() -> None:
    learner = learner_of(small(FLOW, sampling_steps=7))
    preview = learner.preview()
    assert isinstance(preview, ImageGrid)
    assert preview.images.shape == (64, *load("digits").image_shape)
    ways = preview.images[40:].unflatten(0, (3, 8))
    noise = torch.randn(43, *load("digits").image_shape, generator=stream(FLOW.seed, "preview"))
    torch.testing.assert_close(ways[:, 0], ((noise[40:] + 1) / 2).clamp(0, 1))
    # Untrained, the network says that nothing moves, and after each step an image is held to [0, 1].
    assert ways[:, 1:].sub(ways[:, :1]).abs().max() < 1.01
    again = learner.preview()
    assert isinstance(again, ImageGrid)
    assert torch.equal(preview.images, again.images)


# What a person can do wrong ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "change", "message"),
    [
        (
            FLOW,
            {"schedule": "linear"},
            "out of range: --schedule linear (allowed: straight or cosine for --predicts velocity).",
        ),
        (
            DDPM,
            {"schedule": "straight"},
            "out of range: --schedule straight (allowed: cosine or linear for --predicts noise).",
        ),
        (FLOW, {"width": 40}, "out of range: --width 40 (allowed: multiples of 16 up to 1024)."),
        (FLOW, {"label_dropout": 1.0}, "out of range: --label-dropout 1.0 (allowed: in [0, 1))."),
        (FLOW, {"sampling_steps": 0}, "out of range: --sampling-steps 0 (allowed: 1 to 1000)."),
        (FLOW, {"guidance": -1.0}, "out of range: --guidance -1.0 (allowed: 0 to 100)."),
        (
            DDPM,
            {"guidance": 2.0},
            "out of range: --guidance 2.0 (allowed: 1 for denoiser, which is not given the label, and where "
            "--label-dropout is 0).",
        ),
        (
            FLOW,
            {"label_dropout": 0.0},
            "out of range: --guidance 1.15 (allowed: 1 for denoiser, which is not given the label, and where "
            "--label-dropout is 0).",
        ),
    ],
)
def test_what_a_recipe_does_not_allow(recipe: Diffusion, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        replace(recipe, **change)
    assert str(caught.value) == message

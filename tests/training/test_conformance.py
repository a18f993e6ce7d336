"""`etude check`: étude's own families pass every check, and each broken family fails the one that is meant for it."""

import inspect
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from etude import recipes
from etude.data.kinds import Kind
from etude.families import (
    Batch,
    Classifies,
    Curve,
    Descent,
    Encodes,
    Family,
    ImageGrid,
    Learner,
    Losses,
    Network,
    Networks,
    Optimizer,
    Panel,
    Quantity,
    Recipe,
    Samples,
    Series,
    TrainedNetworks,
    book,
)
from etude.families.outside import family_in
from etude.training.conformance import CHECKS, Report, check

NAMES = [each.name for each in CHECKS]


@dataclass(frozen=True, kw_only=True)
class Denoising(Recipe):
    """A denoising autoencoder (Vincent et al. 2008)."""

    family: ClassVar[str] = "denoising"
    epochs: int = 1
    batch_size: int = 32
    optimizer: Optimizer = Optimizer(name="adam", learning_rate=1e-3)  # noqa: RUF009


class Denoiser(nn.Module):
    """Two layers."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        size = int(np.prod(shape))
        self.encoder, self.decoder = nn.Linear(size, 32), nn.Linear(32, size)

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1] of noisy ones."""
        return self.decoder(self.encoder(images.flatten(1)).relu()).sigmoid().view_as(images)


class DenoisingLearner(Learner[Denoising]):
    """Squared error of what was noisy."""

    loss_names = ("loss",)
    purposes = ("noise",)

    def draws(self) -> Batch:
        """Noise on the pixels."""
        shape = (self.recipe.batch_size, *self.kind.shape)
        return {"noise": torch.randn(shape, generator=self.streams["noise"])}

    def step(self, batch: Batch, descend: Descent) -> Losses:
        """One gradient step."""
        images = batch["images"]
        return self.towards(images, images + 0.3 * batch["noise"], descend)

    def towards(self, images: Tensor, noisy: Tensor, descend: Descent) -> Losses:
        """One gradient step towards images from noisy ones."""

        def losses(networks: Networks) -> Losses:
            return {"loss": (networks["denoiser"](noisy) - images).square().mean()}

        return descend("denoiser", losses)


def build(recipe: Denoising, kind: Kind) -> dict[str, nn.Module]:
    return {"denoiser": Denoiser(kind.shape)}


FAMILY = Family(recipe=Denoising, networks={"linear": Network(build=build)}, learner=DenoisingLearner)


def checked(**changes: Any) -> Report:
    """The report of the family with something changed."""
    outside = family_in({"FAMILY": replace(FAMILY, **changes)}, "denoising.py")
    return check(outside.family, outside.recipes)


def message(report: Report) -> str:
    """What the only check that fails says."""
    (failed,) = (each for each in report.checks if each.status == "fail")
    return failed.message


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_etudes_own_families_do_what_every_family_must(name: str) -> None:
    recipe = recipes.get(name)
    report = check(book.family_of(recipe), [recipe])
    assert report.failed == (), report
    assert [each.name for each in report.checks] == NAMES
    assert report.passed


@pytest.mark.parametrize(
    ("family", "network"), [(family, name) for family in book.NAMES for name in book.family_named(family).networks]
)
def test_so_does_every_network_of_theirs(family: str, network: str) -> None:
    """On every kind of data that it takes."""
    recipe = next((each for each in book.recipes_of(family) if each.network == network), None)
    if recipe is None:
        recipe = replace(book.recipes_of(family)[0], network=network)
        assert check(book.family_of(recipe), [recipe]).failed == ()
    network_of_it = book.family_of(recipe).network_of(recipe)
    for kind in network_of_it.kinds[1:]:
        only = replace(book.family_of(recipe), networks={network: replace(network_of_it, kinds=(kind,))})
        assert check(only, [recipe]).failed == (), kind


def test_a_small_family_of_ones_own_passes() -> None:
    report = checked()
    assert report.passed
    assert [each.name for each in report.checks] == NAMES
    assert str(report).splitlines()[-1] == f"denoising: {len(NAMES)} of {len(NAMES)} checks pass"
    assert report.to_dict()["checks"][0] == {"name": "builds", "status": "pass", "message": ""}


def test_a_network_with_dropout_passes_if_it_says_that_it_draws() -> None:
    networks = with_network(Dropping)["networks"]
    declared = {"linear": replace(networks["linear"], draws=True)}
    assert checked(networks=declared).failed == ()


# Broken families: each is the one above with one mistake in it --------------------------------------------------------


class WrongNames(DenoisingLearner):
    """Its loss has another name than it says."""

    def step(self, batch: Batch, descend: Descent) -> Losses:
        return {"mse": super().step(batch, descend)["loss"]}


class HiddenDraws(DenoisingLearner):
    """It draws in the step, from nowhere in particular."""

    def step(self, batch: Batch, descend: Descent) -> Losses:
        images = batch["images"]
        return self.towards(images, images + 0.3 * torch.randn(images.shape), descend)


class NumPyDraws(DenoisingLearner):
    """It draws by NumPy."""

    def draws(self) -> Batch:
        return {**super().draws(), "scale": torch.tensor(np.random.rand(), dtype=torch.float32)}  # noqa: NPY002

    def step(self, batch: Batch, descend: Descent) -> Losses:
        images = batch["images"]
        return self.towards(images, images + batch["scale"] * batch["noise"], descend)


class PythonDraws(DenoisingLearner):
    """It draws by Python's own module."""

    def step(self, batch: Batch, descend: Descent) -> Losses:
        images = batch["images"]
        return self.towards(images, images + random.random() * batch["noise"], descend)


class Counting(DenoisingLearner):
    """Its noise goes down by a number that only Python knows."""

    steps_done = 0

    def step(self, batch: Batch, descend: Descent) -> Losses:
        self.steps_done += 1
        images = batch["images"]
        return self.towards(images, images + batch["noise"] / self.steps_done, descend)


class InPlace(DenoisingLearner):
    """It writes over its batch."""

    def step(self, batch: Batch, descend: Descent) -> Losses:
        images = batch["images"].clone()
        return self.towards(images, batch["images"].add_(0.3 * batch["noise"]), descend)


class Cut(Denoiser):
    """No gradient reaches its encoder."""

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images.flatten(1)).relu().detach()).sigmoid().view_as(images)


class Rounded(Denoiser):
    """A gradient of zero reaches its encoder."""

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images.flatten(1)).round()).sigmoid().view_as(images)


class Dropping(Denoiser):
    """Draws from PyTorch's global generator, as dropout does."""

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1] of noisy ones."""
        return super().forward(torch.dropout(images, 0.5, self.training))


class OtherShapes(DenoisingLearner):
    """Its draws are of another number at each step."""

    def draws(self) -> Batch:
        size = int(torch.randint(1, 100, (), generator=self.streams["noise"]))
        return {**super().draws(), "more": torch.zeros(size)}


class Unsaved(Denoiser):
    """It shifts images by a mean that no checkpoint holds."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(()), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * images.mean().detach())
        return super().forward(images - self.mean)


class Forgotten(Denoiser):
    """It computes with a tensor that is no buffer."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.projection = torch.randn(32)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.encoder(images.flatten(1)).relu() * self.projection
        return self.decoder(hidden).sigmoid().view_as(images)


class Branching(DenoisingLearner):
    """It asks for a number in the middle of a step."""

    def step(self, batch: Batch, descend: Descent) -> Losses:
        scale = 0.3 if batch["noise"].mean().item() > 0 else 0.2
        images = batch["images"]
        return self.towards(images, images + scale * batch["noise"], descend)


class NotFinite(DenoisingLearner):
    """Its loss is infinite."""

    def step(self, batch: Batch, descend: Descent) -> Losses:
        return {"loss": super().step(batch, descend)["loss"] / 0}


class Vector(DenoisingLearner):
    """Its loss is one number an image."""

    def step(self, batch: Batch, descend: Descent) -> Losses:
        return {"loss": super().step(batch, descend)["loss"].expand(3)}


class Fails(DenoisingLearner):
    """Its step does not run."""

    def step(self, batch: Batch, descend: Descent) -> Losses:
        return super().step({"images": batch["pictures"]}, descend)


class Picture(DenoisingLearner):
    """Its picture of progress draws from training's stream."""

    @torch.no_grad()
    def preview(self) -> ImageGrid:
        noise = torch.rand((8, *self.kind.shape), generator=self.streams["noise"])
        return ImageGrid(self.networks["denoiser"](noise))


class Evaluating(DenoisingLearner):
    """It stays in evaluation mode once it has evaluated."""

    def evaluate_epoch(self, validation: Any, test: Any) -> dict[str, float]:
        self.networks["denoiser"].eval()
        return {"test/loss": 1.0}


class Restless(DenoisingLearner):
    """It measures something else each time."""

    def evaluate_epoch(self, validation: Any, test: Any) -> dict[str, float]:
        return {"test/loss": torch.rand(()).item()}


class Best(DenoisingLearner):
    """It chooses by what it does not measure."""

    best_by = "validation/loss"


class Sampling(TrainedNetworks):
    """It draws images, one step away from noise."""

    def sample(self, num_samples: int, *, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        return self.networks["denoiser"](torch.rand((num_samples, *self.kind.shape), generator=generator))


class Flat(Sampling):
    """Its images are rows."""

    def sample(self, num_samples: int, *, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        return super().sample(num_samples, labels=labels, generator=generator).flatten(1)


class Bright(Sampling):
    """Its images are whiter than white."""

    def sample(self, num_samples: int, *, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        images = super().sample(num_samples, labels=labels, generator=generator)
        return 2 + (images > images.mean()).float()


class Careless(Sampling):
    """It draws from nowhere in particular."""

    def sample(self, num_samples: int, *, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        return self.networks["denoiser"](torch.rand((num_samples, *self.kind.shape)))


class Softmax(TrainedNetworks):
    """It gives probabilities."""

    def logits(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1)[:, 300:310].softmax(dim=1)


class Encoding(TrainedNetworks):
    """Its recipe does not say how many latents it has."""

    latent_dim = 32

    def encode(self, inputs: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        means = self.denoiser.encoder(inputs.flatten(1)).relu()
        return means, torch.zeros_like(means)

    def decode(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        return self.denoiser.decoder(latents).sigmoid().unflatten(1, self.kind.shape)

    @property
    def denoiser(self) -> Denoiser:
        network = self.networks["denoiser"]
        assert isinstance(network, Denoiser)
        return network


LOSS = Series(
    headline=("train/loss",),
    quantity=Quantity(name="loss", terms=("loss",), split="train"),
    curves=(),
    panels=lambda recipe: (Panel(title="", axis="squared error", metrics=("loss",)),),
)
SERIES = replace(LOSS, curves=(Curve(metric="test/loss", title="Test", axis="squared error"),))


def with_network(cls: Callable[..., nn.Module]) -> dict[str, Any]:
    networks = {"linear": Network(build=lambda recipe, kind: {"denoiser": cls(kind.shape)})}
    return {"networks": networks, "trained": Sampling, "abilities": {Samples}}


def line_of(cls: type) -> int:
    """The line of the mistake: the second of its `step`."""
    return inspect.getsourcelines(cls.step)[1] + 1  # pyright: ignore[reportAttributeAccessIssue]


MORE = "draw in `draws` from one of `self.streams`, which are saved."
MORE_OF_TORCH = f"{MORE[:-1]}; if it is a layer such as dropout, say Network(…, draws=True)."
CUT = (
    "the loss has no gradient for denoiser.encoder.{}: look for detach(), no_grad() or item() on the way, or a layer "
    "that forward does not use; what is not to be trained gets requires_grad_(False)."
)
BROKEN: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "wrong loss names",
        {"learner": WrongNames},
        "loss_names",
        "step returns mse, and loss_names has loss: make them one.",
    ),
    (
        "hidden random draws",
        {"learner": HiddenDraws},
        "torch_draws",
        f"a step draws from PyTorch's global random state: {MORE_OF_TORCH}",
    ),
    (
        "dropout",
        with_network(Dropping),
        "torch_draws",
        f"a step draws from PyTorch's global random state: {MORE_OF_TORCH}",
    ),
    (
        "state kept in Python",
        {"learner": Counting},
        "python_state",
        "what a step does depends on steps before it by something kept in Python (loss loss differs in a new learner "
        "with the same tensors): keep it in a buffer of a network, or draw it.",
    ),
    (
        "in-place change of the batch",
        {"learner": InPlace},
        "batch_unchanged",
        "a step changes images of its batch in place: write `x = x + …` for `x += …` and `x.add_(…)`.",
    ),
    ("a gradient cut off", with_network(Cut), "gradients", CUT.format("bias, denoiser.encoder.weight")),
    ("a gradient of zero", with_network(Rounded), "gradients", CUT.format("weight")),
    (
        "shapes that differ between steps",
        {"learner": OtherShapes},
        "draw_shapes",
        "draws more is (56,) float32 at step 1 and (44,) float32 at step 2: give every step the same shapes.",
    ),
    (
        "a buffer that is not saved",
        with_network(Unsaved),
        "resume",
        "buffer denoiser.mean changes in training and is not saved: register it without persistent=False.",
    ),
    ("NumPy randomness", {"learner": NumPyDraws}, "numpy_draws", f"a step draws from NumPy's random state: {MORE}"),
    (
        "Python's randomness",
        {"learner": PythonDraws},
        "python_draws",
        f"a step draws from Python's random state (module random): {MORE}",
    ),
    (
        "a tensor that is no buffer",
        with_network(Forgotten),
        "state_dict",
        "networks filled from a checkpoint differ in what they do (samples): keep every tensor that they compute with "
        "as a parameter or a buffer.",
    ),
    (
        "a number asked for",
        {"learner": Branching},
        "tracing",
        f"test_conformance.py line {line_of(Branching)}: the step asks for the value of a tensor, by an if or item(), "
        "which a compiled step cannot know: use torch.where, or compute the value in `draws`.",
    ),
    (
        "an infinite loss",
        {"learner": NotFinite},
        "loss_names",
        "loss loss is inf in the first step: it must be finite.",
    ),
    (
        "a loss of each image",
        {"learner": Vector},
        "loss_names",
        "loss loss is of shape (3,): return a scalar tensor, its mean over the batch.",
    ),
    (
        "a step that fails",
        {"learner": Fails},
        "loss_names",
        f"test_conformance.py line {line_of(Fails)}: KeyError: 'pictures'.",
    ),
    (
        "a picture that draws",
        {"learner": Picture},
        "preview",
        "preview changes stream noise: compute under torch.no_grad(), in eval mode, and draw from no stream of "
        "training.",
    ),
    (
        "evaluation that stays",
        {"learner": Evaluating},
        "evaluation",
        "an evaluation leaves a network in another mode: call .train() at its end where .eval() began it.",
    ),
    (
        "another number each time",
        {"learner": Restless},
        "evaluation",
        "metric test/loss is another at each evaluation: draw from a new stream, `stream(seed, 'evaluation')`.",
    ),
    (
        "the best of nothing",
        {"learner": Best},
        "evaluation",
        "best_by is validation/loss, and evaluate_epoch gives nothing: give it, or set best_by = None.",
    ),
    (
        "an ability it has not",
        {"abilities": {Samples}},
        "abilities",
        "abilities has Samples, and trained has no sample: write it, or take it out.",
    ),
    (
        "an ability unsaid",
        {"trained": Sampling},
        "abilities",
        "trained has sample, and abilities has no Samples: add it.",
    ),
    (
        "samples of another shape",
        {"trained": Flat, "abilities": {Samples}},
        "abilities",
        "sample(8, …) gives shape (8, 784): give (8, 1, 28, 28).",
    ),
    (
        "samples out of range",
        {"trained": Bright, "abilities": {Samples}},
        "abilities",
        "sample gives images from 2 to 3: they lie in [0, 1].",
    ),
    (
        "samples from elsewhere",
        {"trained": Careless, "abilities": {Samples}},
        "abilities",
        "sample gives other examples for the same generator: draw from `generator` only.",
    ),
    (
        "probabilities for logits",
        {"trained": Softmax, "abilities": {Classifies}},
        "abilities",
        "the rows of logits sum to 1, as after a softmax: return scores before it.",
    ),
    (
        "one number of latents",
        {"trained": Encoding, "abilities": {Encodes}},
        "abilities",
        "recipe.num_latents is 0 and trained.latent_dim 32.",
    ),
    (
        "a curve of nothing",
        {"series": SERIES},
        "series",
        "series.curves names test/loss, and training records train/loss.",
    ),
]


@pytest.mark.parametrize(("what", "changes", "name", "text"), BROKEN, ids=[each[0] for each in BROKEN])
def test_a_broken_family_fails_the_check_that_is_meant(
    what: str, changes: dict[str, Any], name: str, text: str
) -> None:
    report = checked(**changes)
    assert report.failed == (name,), report
    assert message(report) == text
    assert not report.passed

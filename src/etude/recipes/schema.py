"""What a recipe holds: one frozen dataclass per family, every field with its range.

Every field is a flag of `etude train RECIPE` and a key of a recipe's TOML file.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from tyro.conf import Suppress

from etude.errors import UsageError
from etude.files import PLAIN_NAME, PLAIN_NAME_RULE

OptimizerName = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "cosine", "triangular"]
AdversarialLoss = Literal["nonsaturating", "least_squares", "minimax", "wasserstein", "hinge"]
Reconstruction = Literal["bernoulli", "gaussian"]
Fit = Literal["crop", "pad", "stretch"]
TrainingBinarize = Literal["none", "dynamic"]

MOST_DIMENSIONS = 4096
"""Of a noise or latent vector: more is a slip of the keyboard, and would fill the memory."""


def _require(owner: str, *ranges: tuple[bool, str, object, str]) -> None:
    """Report every field out of its range at once, named as its flag."""
    prefix = f"--{owner}." if owner else "--"
    wrong = [f"{prefix}{flag} {given} (allowed: {allowed})" for holds, flag, given, allowed in ranges if not holds]
    if wrong:
        raise UsageError(f"out of range: {'; '.join(wrong)}.")


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The optimizer of every network of a recipe."""

    name: OptimizerName
    """sgd (with momentum), adam (Kingma and Ba 2015) or adamw (decoupled weight decay)."""
    learning_rate: float
    """Step size, above 0."""
    schedule: Schedule = "constant"
    """The learning rate: constant; cosine, half a wave down to 0; triangular, up from a fifth of it, then down to 0."""
    momentum: float = 0.0
    """Heavy-ball momentum of sgd, in [0, 1)."""
    nesterov: bool = False
    """sgd: take the gradient's step ahead of the momentum's, as Nesterov (Sutskever et al. 2013)."""
    beta1: float = 0.9
    """adam: decay of the gradient's running mean, in [0, 1)."""
    beta2: float = 0.999
    """adam: decay of the squared gradient's running mean, in [0, 1)."""
    weight_decay: float = 0.0
    """L2 penalty (sgd, adam) or decoupled decay (adamw), 0 or more."""

    def __post_init__(self) -> None:
        _require(
            "optimizer",
            (0 < self.learning_rate < math.inf, "learning-rate", self.learning_rate, "above 0"),
            (0 <= self.momentum < 1, "momentum", self.momentum, "in [0, 1)"),
            (
                not self.nesterov or (self.name == "sgd" and self.momentum > 0),
                "nesterov",
                self.nesterov,
                "for sgd with a momentum above 0; else --optimizer.no-nesterov",
            ),
            (0 <= self.beta1 < 1, "beta1", self.beta1, "in [0, 1)"),
            (0 <= self.beta2 < 1, "beta2", self.beta2, "in [0, 1)"),
            (0 <= self.weight_decay < math.inf, "weight-decay", self.weight_decay, "0 or more"),
        )

    def schedule_at(self, progress: float) -> float:
        """What of the learning rate is left once the fraction `progress` in [0, 1] of the run's steps is done.

        Triangular rises in the first fifth of the steps (Smith 2017).
        """
        match self.schedule:
            case "constant":
                return 1.0
            case "cosine":
                return 0.5 * (1 + math.cos(math.pi * progress))
            case "triangular":
                return 0.2 + 4 * progress if progress < 0.2 else 1.25 * (1 - progress)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every recipe has; abstract: use `Classifier`, `Adversarial` or `Variational`."""

    family: ClassVar[str]

    name: Annotated[str, Suppress]
    """The recipe's name in `RECIPES`."""
    about: Annotated[str, Suppress]
    """One line for `etude recipes`."""
    data: str = "mnist"
    """Data set: digits, mnist, fashion-mnist, cifar10, or folder:PATH (`etude data` lists them)."""
    image_size: int | None = None
    """Side in pixels to which the images of a folder: are resized (32 when not given); at least 16."""
    fit: Fit | None = None
    """How images of a folder: that are not square become so: crop, the central square (when not given); pad, with black
    bars; stretch."""
    skip_broken: bool = False
    """Leave out the images of a folder: that cannot be read; the run records which."""
    train_images: int | None = None
    """Train on at most this many images, the first ones; all that are not held out when not given."""
    validation_images: int | None = None
    """Images held out of the training split to validate on; when unset 5,000, or a tenth of a smaller split. Where a
    folder: has val/, this many of its images; all of them when unset or 0."""
    epochs: int
    """Passes over the training images."""
    batch_size: int
    """Images per step."""
    optimizer: Optimizer
    """The optimizer's settings."""
    report_every: int = 250
    """Steps between two entries of the metrics file, and between two sample grids of a GAN."""
    seed: int = 0
    """Determines every random draw of the run: initial weights, order of the images, noise."""

    def __post_init__(self) -> None:
        if not PLAIN_NAME.fullmatch(self.name):
            raise UsageError(f"recipe name {self.name!r} (allowed: {PLAIN_NAME_RULE}).")
        _require(
            "",
            (self.image_size is None or self.image_size >= 16, "image-size", self.image_size, "at least 16"),
            (self.train_images is None or self.train_images >= 1, "train-images", self.train_images, "at least 1"),
            (self.validation_images is None or self.validation_images >= 0, "validation-images",
             self.validation_images, "0 or more"),
            (self.epochs >= 1, "epochs", self.epochs, "at least 1"),
            (self.batch_size >= 1, "batch-size", self.batch_size, "at least 1"),
            (self.report_every >= 1, "report-every", self.report_every, "at least 1"),
            (0 <= self.seed < 2**63, "seed", self.seed, "in [0, 2^63)"),
            *self._ranges(),
        )  # fmt: skip

    @property
    def images_per_step(self) -> int:
        """Images that one step of the training loop takes."""
        return self.batch_size

    @property
    def differentiates_twice(self) -> bool:
        """Whether a step takes gradients of gradients: those of étude's own layers would be wrong."""
        return False

    def _ranges(self) -> Iterator[tuple[bool, str, object, str]]:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Classifier(Recipe):
    """An image classifier trained with cross-entropy."""

    family: ClassVar[str] = "classifier"

    network: Literal["lenet", "cifar-fast"] = "lenet"
    """lenet: two convolutions and three linear layers (LeCun et al. 1998, with ReLU and max-pooling); cifar-fast: a
    whitening layer, then convolutions with batch-norm (Jordan 2024)."""
    width: int | None = None
    """Channels of the first block of cifar-fast; its other blocks have four times as many. lenet has no width."""
    label_smoothing: float = 0.0
    """Share of the target probability spread evenly over all classes, in [0, 1)."""
    alternate_flips: bool = False
    """Show each image as it is in one epoch and mirrored in the next, which first is drawn (Jordan 2024, 3.6)."""
    shift_pixels: int = 0
    """Move each training image by up to so many pixels along both axes, drawn at every step, edges mirrored."""
    test_flips: bool = False
    """Predict by the mean of the scores of an image and of its mirror image, in every evaluation and measurement."""

    def _ranges(self) -> Iterator[tuple[bool, str, object, str]]:
        yield 0 <= self.label_smoothing < 1, "label-smoothing", self.label_smoothing, "in [0, 1)"
        yield 0 <= self.shift_pixels <= 8, "shift-pixels", self.shift_pixels, "0 to 8"
        if self.network == "lenet":
            yield self.width is None, "width", self.width, "none for lenet; train cifar-fast with one"
        else:
            yield self.width is not None and 4 <= self.width <= 512, "width", self.width, "4 to 512"
            yield self.batch_size >= 2, "batch-size", self.batch_size, "at least 2 for batch-norm"


@dataclass(frozen=True, kw_only=True)
class Adversarial(Recipe):
    """A generative adversarial network: a discriminator and a generator trained in turn (Goodfellow et al. 2014)."""

    family: ClassVar[str] = "adversarial"

    network: Literal["gan", "dcgan"]
    """gan: fully connected; dcgan: convolutional with batch-norm in the generator (Radford et al. 2016)."""
    loss: AdversarialLoss = "nonsaturating"
    """The adversarial loss; both networks use their half of it."""
    noise_dim: int = 96
    """Numbers of uniform noise in [-1, 1] that the generator maps to an image."""
    discriminator_steps: int = 1
    """Discriminator steps per generator step; each takes a batch of its own."""
    gradient_penalty: float = 0.0
    """Weight of the penalty (|gradient| - 1)^2 between real and generated images (Gulrajani et al. 2017); 0: none."""

    @property
    def images_per_step(self) -> int:
        """Images of the discriminator's batches between two generator steps."""
        return self.batch_size * self.discriminator_steps

    @property
    def differentiates_twice(self) -> bool:
        """With a gradient penalty."""
        return self.gradient_penalty > 0

    def _ranges(self) -> Iterator[tuple[bool, str, object, str]]:
        yield 1 <= self.noise_dim <= MOST_DIMENSIONS, "noise-dim", self.noise_dim, f"1 to {MOST_DIMENSIONS}"
        yield self.discriminator_steps >= 1, "discriminator-steps", self.discriminator_steps, "at least 1"
        yield 0 <= self.gradient_penalty < math.inf, "gradient-penalty", self.gradient_penalty, "0 or more"
        yield self.batch_size >= 2, "batch-size", self.batch_size, "at least 2 for a GAN (batch-norm needs two images)"


@dataclass(frozen=True, kw_only=True)
class Variational(Recipe):
    """A variational autoencoder, trained on the evidence lower bound (Kingma and Welling 2014)."""

    family: ClassVar[str] = "variational"

    network: Literal["vae", "cvae"]
    """vae: convolutional encoder and decoder; cvae: the same, both given the label."""
    latent_dim: int = 2
    """Numbers that describe an image between encoder and decoder."""
    reconstruction: Reconstruction = "bernoulli"
    """How a pixel is scored: bernoulli (binary cross-entropy) or gaussian (squared error, unit variance)."""
    binarize: TrainingBinarize = "none"
    """none: pixels are grey; dynamic: 0 or 1, drawn by grey value anew each step (Salakhutdinov and Murray 2008)."""
    beta: float = 1.0
    """Weight of the KL term (Higgins et al. 2017); 1 is the evidence lower bound, 0 a plain autoencoder."""
    free_bits_nats: float = 0.0
    """KL in nats per latent that is not penalised (Kingma et al. 2016)."""

    def _ranges(self) -> Iterator[tuple[bool, str, object, str]]:
        yield 1 <= self.latent_dim <= MOST_DIMENSIONS, "latent-dim", self.latent_dim, f"1 to {MOST_DIMENSIONS}"
        yield 0 <= self.beta < math.inf, "beta", self.beta, "0 or more"
        yield 0 <= self.free_bits_nats < math.inf, "free-bits-nats", self.free_bits_nats, "0 or more"

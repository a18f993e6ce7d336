"""A run about to be measured: its data, its settings, and what several metrics need, computed once for all of them."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from etude.data import Dataset, RunningText, Split, Table
from etude.errors import UsageError
from etude.families.abilities import Bounds, Predicts, TokenScores, Told, Translates
from etude.families.inputs import EXAMPLES_AT_ONCE
from etude.measurement.feature_network import FeatureNetwork, Features, FeatureSource
from etude.measurement.settings import Binarize, Settings
from etude.metrics import ElboTerms, binarize, elbo_terms, grey_note, prdc, real_floor
from etude.metrics.arguments import evaluating
from etude.metrics.copies import NearestTraining, nearest_training_images
from etude.metrics.prdc import DensityCoverage, PrecisionRecall
from etude.metrics.spread import halving_error
from etude.runs import Run
from etude.runs.splits import Splits, make_splits
from etude.streams import stream, stream_seed

GAUSSIAN_NOTE = (
    "Gaussian decoder of variance 1: nats of a density over pixel values, "
    "not to be compared with those of a Bernoulli decoder."
)
TABLE_NOTE = "Nats of a density over standardised numbers: comparable only between runs on the same table."
NeighbourScores = tuple[PrecisionRecall, DensityCoverage]
NEIGHBOUR_SCORES = ("precision", "recall", "density", "coverage")
MOST_HALVED = 2000
"""Images of each side whose random halves give the standard errors; those of more follow by the root of the number."""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Precision, recall, density and coverage of the generated images."""

    scores: NeighbourScores
    floors: NeighbourScores
    standard_errors: dict[str, float]
    note: str | None
    """What their reader must know."""


@final
class Subject:
    """A run with its data and the settings of a measurement. Real images come from the split that is measured."""

    def __init__(self, run: Run, dataset: Dataset, settings: Settings, source: FeatureSource | None) -> None:
        self.run, self.dataset, self.settings, self.source = run, dataset, settings, source

    # Sizes and draws ------------------------------------------------------------------------------------------------

    @property
    def num_samples(self) -> int:
        """Images on each side: as asked for, at most the split's, and twice as many must be real for the floor."""
        dataset = self.dataset
        if isinstance(dataset.kind, RunningText):  # it is read from its beginning to its end
            return len(self.split)
        available = min(len(self.split), (len(dataset.train) + len(dataset.test)) // 2)
        return min(self.settings.num_samples, available)

    @property
    def num_likelihood_images(self) -> int:
        """Images for the importance-weighted bound."""
        return min(self.settings.num_likelihood_images, self.num_samples)

    @property
    def num_classes(self) -> int:
        return len(self.run.class_names)

    def seed(self, purpose: str) -> int:
        """A seed for one purpose, determined by the measurement's."""
        return stream_seed(self.settings.seed, f"measure/{purpose}")

    @cached_property
    def split(self) -> Split:
        """All images that may be measured: the test split reports, the run's validation images choose."""
        if self.settings.split == "test":
            return self.dataset.test
        if not len(self.splits.validation):
            raise UsageError(
                f"run {self.run.name} held no images out: train with --validation-images, or leave --split out."
            )
        return self.splits.validation

    @cached_property
    def rows(self) -> Tensor:
        """Which images of the split are measured, in its order when all are, (num_samples,)."""
        if self.num_samples == len(self.split):
            return torch.arange(self.num_samples)
        order = torch.randperm(len(self.split), generator=stream(self.settings.seed, "measure/test"))
        return order[: self.num_samples]

    @cached_property
    def likelihood_rows(self) -> Tensor:
        """Which of the measured images the importance-weighted bound is of, (num_likelihood_images,).

        Drawn, since a folder's images come sorted by class.
        """
        order = torch.randperm(self.num_samples, generator=stream(self.settings.seed, "measure/likelihood"))
        return order[: self.num_likelihood_images]

    @cached_property
    def measured(self) -> Split:
        """The images that are measured."""
        return self.split.take(self.rows)

    @cached_property
    def train_sample(self) -> Split:
        """Images that the run was trained on to fit a probe on, as many as are measured at most."""
        train = self.splits.train
        order = torch.randperm(len(train), generator=stream(self.settings.seed, "measure/train"))
        return train.take(order[: self.num_samples])

    def examples(self, split: Split) -> Tensor:
        """The examples of a split, as the data keeps them."""
        return split[self.run.kind.column]

    @cached_property
    def splits(self) -> Splits:
        """The images that the run was trained on, that it held out, and that it is tested with."""
        return make_splits(self.run.recipe, self.dataset)

    # Sets of images -------------------------------------------------------------------------------------------------

    @cached_property
    def feature_network(self) -> FeatureNetwork:
        assert self.source
        return self.source.load()

    @cached_property
    def real(self) -> Features:
        """Features of the real images that are measured."""
        return self.feature_network.of(self.examples(self.measured), what="real")

    @cached_property
    def generated_images(self) -> Tensor:
        """As many images from the run, in [0, 1]."""
        return self.run.sample(self.num_samples, seed=self.settings.seed)

    @cached_property
    def generated(self) -> Features:
        """Features of these images."""
        return self.feature_network.of(self.generated_images, what="generated")

    @cached_property
    def training(self) -> Features:
        """Features of all images that the run was trained on."""
        return self.feature_network.of(self.examples(self.splits.train), what="training")

    @cached_property
    def floor_pool(self) -> Features:
        """Features of twice as many real images, drawn from the training and the test split together."""
        train, test = self.examples(self.dataset.train), self.examples(self.dataset.test)
        order = torch.randperm(len(train) + len(test), generator=stream(self.settings.seed, "measure/floor"))
        rows = order[: 2 * self.num_samples]
        in_test = rows >= len(train)
        images = torch.cat([train[rows[~in_test]], test[rows[in_test] - len(train)]])
        return self.feature_network.of(images, what="real")

    def floor(self, score: Callable[[Any, Any], Any]) -> Any:
        """The score of two shuffled, disjoint sets of real images, as large as those that are compared."""
        return real_floor(score, self.floor_pool.values, seed=self.seed("halves"), num_samples=self.num_samples)

    @cached_property
    def neighbours(self) -> Neighbours:
        """Precision, recall, density and coverage of the generated images, with their floors and standard errors."""
        real, generated = self.real.values, self.generated.values
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            scores, floors = prdc(real, generated), self.floor(prdc)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of halves: said above
            errors = halving_error(
                _neighbour_scores, real[:MOST_HALVED], generated[:MOST_HALVED], seed=self.seed("neighbours")
            )
        errors *= math.sqrt(min(1.0, MOST_HALVED / self.num_samples))
        note = f"precision, recall, density, coverage: {found[0].message}" if found else None
        standard_errors: dict[str, float] = dict(zip(NEIGHBOUR_SCORES, errors.tolist(), strict=True))
        return Neighbours(scores=scores, floors=floors, standard_errors=standard_errors, note=note)

    @cached_property
    def nearest_to_real(self) -> NearestTraining:
        """The training image nearest to each measured image, by its pixels."""
        return nearest_training_images(self.splits.train.images, self.measured.images)

    @cached_property
    def nearest_to_generated(self) -> NearestTraining:
        """The training image nearest to each generated image, by its pixels."""
        return nearest_training_images(self.splits.train.images, self.generated_images)

    # Autoencoders ---------------------------------------------------------------------------------------------------

    @property
    def bound(self) -> Bounds:
        return self.run.trained  # pyright: ignore[reportReturnType]  (the metrics that ask for it need the ability)

    @property
    def binarize(self) -> Binarize:
        """How the scored pixels become 0 or 1: as asked for, else as in training."""
        return self.settings.binarize or self.bound.binarize

    @cached_property
    def scored_pixels(self) -> Tensor:
        """The measured images in [0, 1], binarised if asked for, (num_samples, C, H, W)."""
        method = self.binarize
        if isinstance(self.run.kind, Table):
            return self.run.kind.scaled(self.measured.features)
        if method == "none":
            return self.measured.images.float() / 255
        # The whole split, for the static draw goes by position.
        split = binarize(self.split.images.float() / 255, method, seed=self.seed("binarize"))
        return split[self.rows]

    def labels_for(self, labels: Tensor) -> Tensor | None:
        """The labels to give to the network, where it takes any."""
        return labels if self.run.conditional else None

    @cached_property
    def likelihood_note(self) -> str | None:
        """What a reader must know of nats that are not a likelihood of discrete pixels."""
        if isinstance(self.run.kind, Table):
            return TABLE_NOTE
        if self.bound.scored_as == "gaussian":
            return GAUSSIAN_NOTE
        return grey_note(self.scored_pixels)

    @cached_property
    def elbo(self) -> ElboTerms:
        """The two terms of the bound on the scored pixels."""
        return elbo_terms(
            self.bound.network, self.scored_pixels, self.labels_for(self.measured.labels),
            seed=self.seed("elbo"), reconstruction=self.bound.reconstruction,
        )  # fmt: skip

    @cached_property
    def encodings(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and log-variances of the measured images' latents, (num_samples, latent_dim) each."""
        return self._encode(self.measured)

    @cached_property
    def train_encodings(self) -> tuple[np.ndarray, np.ndarray]:
        return self._encode(self.train_sample)

    def _encode(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        labels = self.labels_for(split.labels)
        generator = stream(self.settings.seed, "measure/encode")
        parts = []
        with evaluating(self.bound.network):
            for start in range(0, len(split), EXAMPLES_AT_ONCE):
                rows = slice(start, start + EXAMPLES_AT_ONCE)
                pixels = self.run.inputs(self.examples(split)[rows], generator=generator)
                parts.append(self.bound.encode(pixels, None if labels is None else labels[rows]))
        means, logvars = (torch.cat(each).double().numpy() for each in zip(*parts, strict=True))
        return means, logvars

    # Classifiers ----------------------------------------------------------------------------------------------------

    @cached_property
    def logits(self) -> Tensor:
        """The classifier's scores of the measured images, (num_samples, num_classes)."""
        return self.run.logits(self.examples(self.measured))

    # Translators ----------------------------------------------------------------------------------------------------

    @property
    def translator(self) -> Translates:
        return self.run.trained  # pyright: ignore[reportReturnType]  (the metrics that ask for it need the ability)

    @cached_property
    def translations(self) -> list[str]:
        """What the translator makes of the measured sentences."""
        written = self.translator.translate(self.measured.texts["source"])
        return [each.translation for each in written]

    @cached_property
    def token_scores(self) -> TokenScores:
        """What the translator says of the measured sentences' references."""
        return self.translator.token_scores(self.measured["source"], self.measured["target"])

    # Language models ------------------------------------------------------------------------------------------------

    @cached_property
    def told(self) -> Told:
        """What the language model tells of the text that is measured."""
        trained: Predicts = self.run.trained  # pyright: ignore[reportAssignmentType]  (as above)
        return trained.tell(self.split)


def _neighbour_scores(real: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Precision, recall, density and coverage, with fewer neighbours where there are few samples, (4,)."""
    fidelity, diversity = prdc(real, generated, nearest_k=min(5, len(real) - 1))
    return np.array([fidelity.precision, fidelity.recall, diversity.density, diversity.coverage])

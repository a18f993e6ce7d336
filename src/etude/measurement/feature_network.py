"""The networks that turn images into features: étude's own classifier, Inception, or a torch module of the user's."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from etude import user_code
from etude.data import Dataset, Table
from etude.data.names import parse_own
from etude.errors import DataError, UsageError
from etude.families.inputs import EXAMPLES_AT_ONCE
from etude.measurement import reference_classifier
from etude.metrics.arguments import evaluating, feature_matrix
from etude.models import LeNet
from etude.recipes import Recipe
from etude.streams import global_stream
from etude.user_code import reason

INCEPTION_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"


@dataclass(frozen=True, kw_only=True)
class Features:
    """Features of N images, and the class logits where the network is a classifier."""

    values: np.ndarray  # (N, num_features) float64
    logits: Tensor | None  # (N, num_classes)


@dataclass(frozen=True, kw_only=True)
class FeatureNetwork:
    """A module that gives features (N, F), or features and class logits, for images (N, C, H, W) in [0, 1]."""

    name: str
    module: nn.Module
    choice: str
    """What `--features` was given, for errors."""
    test_accuracy: float | None = None

    def of(self, images: Tensor, *, what: str) -> Features:
        """Features of images, uint8 or float in [0, 1], in evaluation mode and without gradient.

        `what` names the images in errors. Raises `UsageError` for features of a wrong shape, NaN or infinite ones.
        """
        values, logits = [], []
        with evaluating(self.module):
            for part in images.split(EXAMPLES_AT_ONCE):
                pixels = part.float() / 255 if part.dtype == torch.uint8 else part
                features, scores = self._forward(pixels)
                values.append(features)
                logits += [] if scores is None else [scores]
        title = f"{what} features" if self.choice == "auto" else f"{what} features of {self.choice}"
        return Features(values=feature_matrix(title, torch.cat(values)), logits=torch.cat(logits) if logits else None)

    def _forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        try:
            result = self.module(images)
        except Exception as error:
            raise UsageError(
                f"--features {self.choice} fails on images of shape {tuple(images.shape)}: {reason(error)}."
            ) from error
        features, logits = result if isinstance(self.module, _Penultimate | _Inception) else (result, None)
        if not isinstance(features, Tensor):
            raise UsageError(
                f"--features {self.choice} gives a {type(features).__name__}; allowed: a tensor (images, features)."
            )
        if features.ndim != 2 or len(features) != len(images):
            raise UsageError(
                f"--features {self.choice} gives shape {tuple(features.shape)} for {len(images)} images; "
                f"allowed: ({len(images)}, features), one row per image: flatten or pool the rest."
            )
        return features, logits


@dataclass(frozen=True, kw_only=True)
class FeatureSource:
    """Where features come from: a name that changes with the network, and the network, made when first needed."""

    name: str
    load: Callable[[], FeatureNetwork]


def feature_source(
    choice: str, recipe: Recipe, dataset: Dataset, *, data_dir: Path | None, say: Callable[[str], None]
) -> FeatureSource:
    """The source that `--features` names; `UsageError` where there is none."""
    if choice == "auto":
        return _auto(recipe, dataset, data_dir, say)
    if choice == "inception":
        return FeatureSource(name="inception", load=_load_inception)
    if not user_code.is_spec(choice):
        raise UsageError(f"--features {choice} (allowed: auto, inception, or FILE.py:NAME, a torch module in a file).")
    network = _load_file(choice)
    return FeatureSource(name=network.name, load=lambda: network)


def _auto(recipe: Recipe, dataset: Dataset, data_dir: Path | None, say: Callable[[str], None]) -> FeatureSource:
    if isinstance(dataset.kind, Table):
        numbers = FeatureNetwork(name="standardised", module=Standardised(dataset.kind), choice="auto")
        return FeatureSource(name=numbers.name, load=lambda: numbers)
    reference_classifier.require_enough(dataset)
    # Where the images are now, should the run's folder of them have moved.
    data = dataset.name if parse_own(recipe.data) else recipe.data
    own = reference_classifier.reference_recipe(data, reading=recipe.reading, num_images=len(dataset.train))
    name = reference_classifier.reference_name(own, dataset)

    def load() -> FeatureNetwork:
        run = reference_classifier.reference_run(own, name, data_dir=data_dir, say=say)
        return FeatureNetwork(
            name=name,
            choice="auto",
            module=_Penultimate(reference_classifier.network_of(run)),
            test_accuracy=run.metrics().last()["test/accuracy"],
        )

    return FeatureSource(name=name, load=load)


class Standardised(nn.Module):
    """The numbers of a table themselves, each feature with mean 0 and standard deviation 1 over the training split."""

    def __init__(self, kind: Table) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, features: Tensor) -> Tensor:
        return self.kind.scaled(features)


class _Penultimate(nn.Module):
    """A LeNet's 84 activations before its last layer, and its logits."""

    def __init__(self, network: LeNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.network.features(images * 2 - 1)  # trained on [-1, 1]
        activations = self.network.classifier[:-1](maps.flatten(1))  # (N, 84)
        return activations, self.network.classifier[-1](activations)  # (N, num_classes)


class _Inception(nn.Module):
    """torch-fidelity's Inception network: 2,048 pooled features and the logits without bias."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        colour = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        features, logits = self.extractor((colour * 255).round().to(torch.uint8))
        return features, logits


def _load_inception() -> FeatureNetwork:
    weights = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_WEIGHTS
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise DataError(
            f"--features inception needs the package torch-fidelity ({reason(error)}): "
            "`pip install torch-fidelity torchvision`, or leave --features out."
        ) from error
    if not weights.is_file():
        raise DataError(
            f"--features inception needs its weights, {weights}: fetch them from torch-fidelity's releases on GitHub, "
            "or leave --features out."
        )
    extractor = FeatureExtractorInceptionV3(
        "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
    )
    return FeatureNetwork(name="inception", choice="inception", module=_Inception(extractor))


def _load_file(choice: str) -> FeatureNetwork:
    """The module that `FILE.py:NAME` names; what it draws at random is the same each time."""
    with global_stream(0, "features"):
        module = user_code.load(choice)
    user_code.require_no_loop(module, f"--features {choice}")
    spec = user_code.parse_spec(choice)
    digest = hashlib.sha256(spec.path.read_bytes())
    for key, tensor in module.state_dict().items():
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    name = f"{spec.path.name}:{spec.expression}-{digest.hexdigest()[:8]}"
    return FeatureNetwork(name=name, choice=choice, module=module)

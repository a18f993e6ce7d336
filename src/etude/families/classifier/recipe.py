"""The recipes of classifiers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from etude.families.ranges import Range, Rule
from etude.families.recipe import Optimizer, Recipe


@dataclass(frozen=True, kw_only=True)
class Classifier(Recipe):
    """An image classifier trained with cross-entropy."""

    family: ClassVar[str] = "classifier"

    networks: ClassVar[tuple[str, ...]] = ("lenet", "cifar-fast", "mlp")
    network: str = "lenet"
    """lenet: two convolutions and three linear layers (LeCun et al. 1998, with ReLU and max-pooling); cifar-fast: a
    whitening layer, then convolutions with batch-norm (Jordan 2024); mlp: two hidden layers, for tables and images; or
    FILE.py:NAME, a network of your own (docs/training.md)."""
    width: int | None = None
    """Channels of the first block of cifar-fast; its other blocks have four times as many. Units of each hidden layer
    of mlp, 128 when unset. lenet has no width; your own takes it in parentheses,
    net.py:Net(width=16)."""
    label_smoothing: Annotated[float, Range(0, below=1)] = 0.0
    """Share of the target probability spread evenly over all classes."""
    alternate_flips: bool = False
    """Show each image as it is in one epoch and mirrored in the next, which first is drawn (Jordan 2024, 3.6)."""
    shift_pixels: Annotated[int, Range(0, 8)] = 0
    """Move each training image by up to this many pixels along both axes, drawn at every step, with mirrored edges."""
    test_flips: bool = False
    """Predict by the mean of the scores of an image and of its mirror image, in every evaluation and measurement."""

    def rules(self) -> Iterator[Rule]:
        """Which width a network may have; batch-norm needs two images."""
        if self.code:
            yield self.width is None, "width", "none for a network of your own; as in net.py:Net(width=16)"
        elif self.network == "lenet":
            yield self.width is None, "width", "none for lenet; train cifar-fast with one"
        elif self.network == "mlp":
            yield self.width is None or 1 <= self.width <= 4096, "width", "1 to 4096"
        else:
            yield self.width is not None and 4 <= self.width <= 512, "width", "4 to 512"
            yield self.batch_size >= 2, "batch_size", "at least 2 for batch-norm"


LENET = Classifier(
    name="lenet",
    about="LeNet classifier, cross-entropy, SGD with momentum",
    data="cifar10",
    epochs=3,
    batch_size=4,
    optimizer=Optimizer(name="sgd", learning_rate=1e-3, momentum=0.9),
)
CIFAR_FAST = Classifier(
    name="cifar-fast",
    about="small convolutional network for CIFAR-10, built from the ideas of the speed runs (Jordan 2024)",
    data="cifar10",
    network="cifar-fast",
    width=32,
    validation_images=0,
    epochs=8,
    batch_size=256,
    label_smoothing=0.2,
    alternate_flips=True,
    shift_pixels=2,
    test_flips=True,
    optimizer=Optimizer(
        name="sgd", learning_rate=0.75, schedule="triangular", momentum=0.85, nesterov=True, weight_decay=3e-4
    ),
)
CLASSIFIER = Classifier(
    name="classifier",
    about="a classifier for tables, points and images: a small fully connected network, or one of your own",
    data="digits",
    network="mlp",
    epochs=20,
    batch_size=32,
    optimizer=Optimizer(name="adam", learning_rate=1e-3),
)
RECIPES = (LENET, CIFAR_FAST, CLASSIFIER)

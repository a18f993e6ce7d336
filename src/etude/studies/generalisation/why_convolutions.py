"""Why convolutions: parameters, equivariance, and what is left of their lead when the pixels are permuted."""

from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from etude.drawing.evidence import intervals
from etude.families.ranges import Range
from etude.streams import global_stream, stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, below, every, exact, measured, ruled
from etude.studies.generalisation.small_digits import Examples, accuracy, batches, digits, divided, mlp, train
from etude.studies.pictures import bars

CNN, MLP = "CNN", "MLP"
MARGIN = 0.03
"""Differences of accuracy from here on count."""
SIDE = 20
"""Pixels of an image: a digit of 14×14 at some place."""
LEAD, PERMUTED_LEAD = "lead of the CNN over the MLP", "lead of the CNN over the MLP, pixels permuted"
CNN_LOSS, MLP_LOSS = "what permuting costs the CNN", "what permuting costs the MLP"
SHIFT_CONV = "output for a shifted image against the shifted output, relative, convolution"
SHIFT_LINEAR = "output for a shifted image against the shifted output, relative, linear layer"


@dataclass(frozen=True, kw_only=True)
class Convolutions(Repeated):
    """A small CNN and an MLP on digits, as they are and with one permutation of the pixels for all images."""

    shift: Annotated[int, Range(0, 3)] = 2
    """Each digit lies up to this many pixels from the middle of its image, along both axes."""
    images: Annotated[int, Range(20, 1_500)] = 300
    """Images to train on. All others test."""
    epochs: Annotated[int, Range(1, 1_000)] = 40
    """Passes over them."""
    batch_size: Annotated[int, Range(1, 1_500)] = 32
    """Images per step."""
    learning_rate: Annotated[float, Range(above=0, high=1)] = 3e-3
    """Adam's learning rate."""
    channels: Annotated[int, Range(1, 128)] = 8
    """Channels of the first convolution. The second has twice as many."""
    width: Annotated[int, Range(1, 4096)] = 256
    """Hidden units of the MLP."""


def cnn(channels: int) -> nn.Sequential:
    """Two convolutions of 3×3 with ReLU and max-pooling, and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * channels * 25, 10),
    )


def placed(examples: Examples, shift: int, seed: int) -> Examples:
    """Digits of 14×14 pixels, each up to `shift` pixels from the middle of an image of 20×20."""
    corners = 3 + torch.randint(-shift, shift + 1, (len(examples), 2), generator=stream(seed, "places"))
    images = torch.full((len(examples), 1, SIDE, SIDE), -1.0)
    for image, digit, (row, column) in zip(images, examples.images, corners.tolist(), strict=True):
        image[:, row : row + 14, column : column + 14] = digit
    return Examples(images, examples.labels)


def permuted(examples: Examples, seed: int) -> Examples:
    """The same permutation of the pixels in all images."""
    order = torch.randperm(SIDE * SIDE, generator=stream(seed, "permutation"))
    return Examples(examples.images.flatten(1)[:, order].view_as(examples.images), examples.labels)


def shift_error(layer: nn.Module, images: Tensor) -> float:
    """How far layer(shifted image) is from the shifted layer(image), two pixels from the edges on; relative."""
    moved = layer(images.roll(1, 3))
    expected = layer(images).roll(1, 3)
    inside = (..., slice(2, -2), slice(2, -2))
    return float((moved[inside] - expected[inside]).norm() / expected[inside].norm())


class SameSize(nn.Module):
    """A linear layer from all pixels to as many outputs, laid out as an image."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(SIDE * SIDE, SIDE * SIDE)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, S, S) to (N, 1, S, S)."""
        return self.linear(images.flatten(1)).view_as(images)


def experiment(design: Convolutions, lab: Lab) -> Findings:
    """Train both networks on both forms of the images; count parameters; shift an image."""
    small = digits(14)
    right: dict[tuple[str, bool], list[float]] = {(name, mix): [] for mix in (False, True) for name in (CNN, MLP)}
    of_convolution, of_linear = list[float](), list[float]()
    for seed in lab.each(design.each_seed, "seeds"):
        everything = placed(small, design.shift, seed)
        for mix in (False, True):
            to_train, to_test = divided(permuted(everything, seed) if mix else everything, (design.images,), seed)
            for name in (CNN, MLP):
                with global_stream(seed, "initial weights"):
                    network = cnn(design.channels) if name == CNN else mlp(SIDE * SIDE, design.width)
                order = batches(to_train, design.batch_size, design.epochs, seed)
                train(network, order, learning_rate=design.learning_rate)
                right[name, mix].append(accuracy(network, to_test))
        with torch.no_grad(), global_stream(seed, "layers"):
            of_convolution.append(shift_error(nn.Conv2d(1, 1, 3, padding=1).double(), everything.images[:8].double()))
            of_linear.append(shift_error(SameSize().double(), everything.images[:8].double()))
    found = {
        key: measured(f"test accuracy, {key[0]}{', pixels permuted' if key[1] else ''}", values)
        for key, values in right.items()
    }
    differences = {
        LEAD: found[CNN, False] - found[MLP, False],
        PERMUTED_LEAD: found[CNN, True] - found[MLP, True],
        CNN_LOSS: found[CNN, False] - found[CNN, True],
        MLP_LOSS: found[MLP, False] - found[MLP, True],
    }
    sizes = {CNN: cnn(design.channels), MLP: mlp(SIDE * SIDE, design.width)}
    return Findings(
        (
            *found.values(),
            *(measured(name, each.values) for name, each in differences.items()),
            *(exact(f"parameters, {name}", sum(p.numel() for p in each.parameters())) for name, each in sizes.items()),
            exact("parameters, convolution 3→6 of 5×5", sum(p.numel() for p in nn.Conv2d(3, 6, 5).parameters())),
            exact("parameters, linear layer of the same sizes", 3 * 32 * 32 * 6 * 28 * 28 + 6 * 28 * 28),
            measured(SHIFT_CONV, of_convolution),
            measured(SHIFT_LINEAR, of_linear),
        )
    )


def judge(found: Findings) -> Ruling:
    """True if the CNN leads by more than three points of accuracy, permuting the pixels costs it more than that and
    leaves it no such lead, it costs the MLP less, and a convolution's output moves with its input."""
    lead, permuted_lead, cnn_loss, mlp_loss = (found[name] for name in (LEAD, PERMUTED_LEAD, CNN_LOSS, MLP_LOSS))
    return ruled(
        every(
            above(lead, MARGIN),
            above(cnn_loss, MARGIN),
            below(permuted_lead, MARGIN),
            below(mlp_loss, MARGIN),
            below(found[SHIFT_CONV], 1e-6),
        ),
        f"the CNN leads by {lead.value:+.1%} of the test images and by {permuted_lead.value:+.1%} when pixels are "
        f"permuted, which costs it {cnn_loss.value:.1%} and the MLP {mlp_loss.value:.1%}.",
    )


def draw(found: Findings) -> Figure:
    """Accuracies of both on both."""
    names = [f"test accuracy, {name}{mix}" for name in (CNN, MLP) for mix in ("", ", pixels permuted")]
    panel = bars(
        [found[name] for name in names], names=[name.removeprefix("test accuracy, ") for name in names],
        label="test accuracy (share of images)",
    )  # fmt: skip
    return intervals(panel, title="A CNN and an MLP, with pixels in their places and permuted")


STUDY = Study(
    name="why-convolutions",
    topic="generalisation",
    question="Why does one use convolutions for images? What is left of their lead if the pixels of all images are put "
    "into another order?",
    claim="A CNN beats an MLP on images because it uses where pixels lie: with pixels permuted it loses its lead, and "
    "the MLP loses nothing.",
    design=Convolutions(),
    quick={"seeds": 7, "epochs": 20},
    held_fixed="digits of 14×14 pixels in images of 20×20, Adam, equal divisions and orders",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "A convolution uses the same few weights at every place (456 where a linear layer of the same sizes has "
        "14,455,392), and its output moves with the image. This helps as long as neighbouring pixels belong together. "
        "An MLP does not know which pixels are neighbours, so a permutation changes nothing for it, while the CNN's "
        "windows then hold pixels that have nothing to do with each other."
    ),
    source="Goodfellow, Bengio and Courville 2016, section 9.2; LeCun et al. 1998, section II",
    wrong_answer='"Because they have fewer parameters": the CNN with permuted pixels has as few.',
)

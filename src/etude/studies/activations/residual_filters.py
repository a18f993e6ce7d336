"""What the filters of plain and of residual blocks learn, when both learn the same map."""

from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from etude.data import load
from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range
from etude.streams import global_stream, stream
from etude.studies import Evidence, Findings, Lab, Repeated, Ruling, Study, above, below, every, measured, ruled

PLAIN, RESIDUAL = "plain", "residual"
SIDE = 7
"""Pixels of an effective filter: what three convolutions of 3×3 see."""


@dataclass(frozen=True, kw_only=True)
class Filters(Repeated):
    """Two blocks of equal layers that take noise from digits; one of them adds its input to what its layers give."""

    noise: Annotated[float, Range(above=0, high=3)] = 0.3
    """Standard deviation of the noise; pixels lie in 0 to 1."""
    channels: Annotated[int, Range(1, 64)] = 8
    """Channels between the three convolutions of a block."""
    images: Annotated[int, Range(8, 1_500)] = 256
    """Digits to train on, at 14×14 pixels."""
    steps: Annotated[int, Range(1, 100_000)] = 400
    """Steps of Adam, 32 images each."""
    learning_rate: Annotated[float, Range(above=0, high=1)] = 5e-3
    """Adam's learning rate."""
    seeds: Annotated[int, Range(2, 10_000)] = 6
    """How often it is repeated, with other initial weights and noise. Intervals are over these."""


class Block(nn.Module):
    """f(x), or x + f(x): three convolutions with ReLU between them."""

    def __init__(self, channels: int, *, residual: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 1, 3, padding=1),
        )
        self.residual = residual

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) to (N, 1, H, W)."""
        return images + self.layers(images) if self.residual else self.layers(images)


def train(block: nn.Module, clean: Tensor, design: Filters, seed: int) -> None:
    """Squared error between the block's output for a noisy image and the clean one; equal draws for both blocks."""
    draw, optimizer = stream(seed, "noise"), torch.optim.Adam(block.parameters(), lr=design.learning_rate)
    for _ in range(design.steps):
        images = clean[torch.randint(len(clean), (32,), generator=draw)]
        noisy = images + design.noise * torch.randn(images.shape, generator=draw)
        optimizer.zero_grad()
        (block(noisy) - images).square().mean().backward()
        optimizer.step()


def effective_filter(layers: nn.Module, images: Tensor) -> Tensor:
    """How the output at the middle depends on the pixels around it, (SIDE, SIDE): the mean gradient over images.

    For one convolution it is its kernel. Images (N, 1, H, W).
    """
    images = images.clone().requires_grad_()
    row, column = (size // 2 for size in images.shape[2:])
    (found,) = torch.autograd.grad(layers(images)[:, 0, row, column].sum(), images)
    half = SIDE // 2
    return found[:, 0, row - half : row + half + 1, column - half : column + half + 1].mean(0)


def size(numbers: Tensor) -> float:
    """Root mean square."""
    return float(numbers.square().mean().sqrt())


def digits(num_images: int) -> tuple[Tensor, Tensor]:
    """Training and test digits at 14×14 pixels, in 0 to 1."""
    data = load("digits")
    train, test = (avg_pool2d(split.images.float() / 255, 2) for split in (data.train, data.test))
    return train[:num_images], test


def experiment(design: Filters, lab: Lab) -> Findings:
    """Train both blocks, and look at what their layers compute."""
    clean, test = digits(design.images)
    centre: dict[str, list[float]] = {PLAIN: [], RESIDUAL: []}
    error: dict[str, list[float]] = {PLAIN: [], RESIDUAL: []}
    height: dict[str, list[float]] = {PLAIN: [], RESIDUAL: []}
    filters: dict[str, list[Tensor]] = {PLAIN: [], RESIDUAL: []}
    whole = list[float]()
    for seed in lab.each(design.each_seed, "seeds"):
        noisy = test + design.noise * torch.randn(test.shape, generator=stream(seed, "test noise"))
        for name in (PLAIN, RESIDUAL):
            with global_stream(seed, "initial weights"):
                block = Block(design.channels, residual=name == RESIDUAL)
            train(block, clean, design, seed)
            found = effective_filter(block.layers, noisy)
            filters[name].append(found)
            centre[name].append(float(found[SIDE // 2, SIDE // 2]))
            with torch.no_grad():
                error[name].append(size(block(noisy) - test))
                height[name].append(size(block.layers(noisy)) / size(noisy))
            if name == RESIDUAL:
                whole.append(float(effective_filter(block, noisy)[SIDE // 2, SIDE // 2]))
    evidence = list[Evidence]()
    for name in (PLAIN, RESIDUAL):
        evidence.append(measured(f"weight of the middle pixel in what the layers compute, {name} block", centre[name]))
    evidence.append(measured("the same, residual minus plain", (evidence[1] - evidence[0]).values))
    evidence.append(measured("weight of the middle pixel in the output of the residual block", whole))
    for name in (PLAIN, RESIDUAL):
        evidence.append(measured(f"size of what the layers give over that of their input, {name} block", height[name]))
    for name in (PLAIN, RESIDUAL):
        evidence.append(measured(f"error of the output (rms, pixels in 0 to 1), {name} block", error[name]))
    middle = {name: torch.stack(found).mean(0)[SIDE // 2].tolist() for name, found in filters.items()}
    return Findings(tuple(evidence), middle)


def judge(found: Findings) -> Ruling:
    """The claim holds if the middle weight of what the layers compute differs by less than 0.3 between the blocks: in
    f(x) = y − x it is 1 less than in y."""
    plain, residual = (
        found[f"weight of the middle pixel in what the layers compute, {name} block"] for name in (PLAIN, RESIDUAL)
    )
    difference = found["the same, residual minus plain"]
    sizes = [found[f"size of what the layers give over that of their input, {n} block"] for n in (PLAIN, RESIDUAL)]
    return ruled(
        every(below(difference, 0.3), above(difference, -0.3)),
        f"the middle pixel has the weight {plain.value:.2f} in what plain layers compute and {residual.value:.2f} in "
        f"residual ones, a difference of {difference.value:.2f}; what they give is {sizes[0].value:.2f} and "
        f"{sizes[1].value:.2f} of the input's size.",
    )


def draw(found: Findings) -> Figure:
    """The middle row of both effective filters."""
    offsets = list(range(-(SIDE // 2), SIDE // 2 + 1))
    shifted = [value + (offset == 0) for value, offset in zip(found.curves[RESIDUAL], offsets, strict=True)]
    panel = Axis(
        lines=[
            Line(name="plain: f(x) = y", x=offsets, y=found.curves[PLAIN]),
            Line(name="residual: f(x) = y − x", x=offsets, y=found.curves[RESIDUAL]),
            Line(name="residual, its input added", x=offsets, y=shifted, dashed=True),
        ],
        x_label="distance from the middle of the filter (pixels)",
        y_label="weight in what the layers compute",
        levels={"0": 0.0},
    )
    return lines(panel, title="Filters of a plain and of a residual block")


STUDY = Study(
    name="residual-filters",
    topic="activations",
    question="A plain block and a residual one, with equal layers, learn to take noise from images. Do their layers "
    "learn the same filters?",
    claim="With a skip connection a block's layers learn the same filters as without; only training gets easier.",
    design=Filters(),
    quick={"seeds": 4, "steps": 250},
    held_fixed="digits at 14×14 pixels, three convolutions of 3×3, Adam, equal initial weights, images and noise",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The output y of the residual block is x + f(x), so its layers learn f(x) = y − x, what is to be changed, "
        "while plain layers must learn y, the copy included. A copy is a filter with 1 in the middle; residual layers "
        "do without it, and theirs is about 1 lower there and negative. They give small corrections, here "
        "the noise with its sign turned."
    ),
    source="He et al. 2016, section 3.1; Zhang et al. 2017, Beyond a Gaussian denoiser, section III",
    wrong_answer='"The filters are the same, the gradients only flow better": the layers have another map to learn.',
)

"""Max-pooling: no parameters, and the gradient goes to the maximum."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from etude.drawing.evidence import Bars, intervals
from etude.families.ranges import Range, Rule
from etude.streams import stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, below, every, exact, measured, no, ruled

PARAMETERS = "parameters of the layer"
SHARE = "share of an output's gradient that its largest input gets"
ERROR = "largest difference of the gradient from central differences"
REACHED = "inputs of a window of equal values that get a gradient"


@dataclass(frozen=True, kw_only=True)
class Pooling(Repeated):
    """One pooling layer on images of random numbers."""

    pooling: Literal["max", "average", "largest"] = "max"
    """max: nn.MaxPool2d; average: nn.AvgPool2d; largest: torch.amax of each window, which treats ties otherwise."""
    kernel: Annotated[int, Range(2, 8)] = 2
    """Side of a window, in pixels."""
    stride: Annotated[int, Range(1, 8)] = 2
    """Step from window to window. Below the kernel's side windows overlap."""
    size: Annotated[int, Range(2, 64)] = 8
    """Side of the images, in pixels."""

    def rules(self) -> Iterator[Rule]:
        """A window fits into the image."""
        yield self.kernel <= self.size, "kernel", "at most --size"


class Largest(nn.Module):
    """Max-pooling by `torch.amax` over windows."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        return windows(images, self.kernel, self.stride).amax(-1)


def windows(images: Tensor, kernel: int, stride: int) -> Tensor:
    """(N, C, H, W) to its windows, (N, C, H', W', kernel²)."""
    return images.unfold(2, kernel, stride).unfold(3, kernel, stride).flatten(4)


def layer(design: Pooling) -> nn.Module:
    """The layer that the design names."""
    kinds = {"max": nn.MaxPool2d, "average": nn.AvgPool2d, "largest": Largest}
    return kinds[design.pooling](design.kernel, design.stride)


def gradient(pool: nn.Module, images: Tensor, weights: Tensor) -> Tensor:
    """Of the sum of the outputs times `weights`, by the images."""
    images = images.clone().requires_grad_()
    (found,) = torch.autograd.grad((pool(images) * weights).sum(), images)
    return found


def central_differences(pool: nn.Module, images: Tensor, weights: Tensor, step: float = 1e-6) -> Tensor:
    """The same, by moving every pixel up and down by `step`; images (1, 1, H, W)."""
    moves = step * torch.eye(images.numel(), dtype=images.dtype).view(-1, *images.shape[1:])  # (H W, 1, H, W)
    up, down = ((pool(images + sign * moves) * weights).sum((1, 2, 3)) for sign in (1, -1))
    return ((up - down) / (2 * step)).view(images.shape)


def share_of_largest(pool: nn.Module, images: Tensor, design: Pooling) -> tuple[float, Tensor]:
    """The part of an output's gradient at the largest pixel of its window; and the mean part of each rank."""
    shape = pool(images).shape
    by_rank = torch.zeros(design.kernel**2, dtype=images.dtype)
    for place in range(shape[2] * shape[3]):
        only = torch.zeros(shape, dtype=images.dtype)
        only.view(-1)[place] = 1  # the gradient of one output
        parts = windows(gradient(pool, images, only), design.kernel, design.stride)[0, 0].flatten(0, 1)[place]
        order = windows(images, design.kernel, design.stride)[0, 0].flatten(0, 1)[place].argsort(descending=True)
        by_rank += parts[order] / (shape[2] * shape[3])
    return float(by_rank[0]), by_rank


def experiment(design: Pooling, lab: Lab) -> Findings:
    """Where gradients go, on images without ties and on a window of equal values."""
    pool, shares, errors, ranks = layer(design), list[float](), list[float](), list[Tensor]()
    for seed in lab.each(design.each_seed, "seeds"):
        draw = stream(seed, "images")
        images = torch.randn(1, 1, design.size, design.size, generator=draw, dtype=torch.float64)
        weights = torch.randn(pool(images).shape, generator=draw, dtype=torch.float64)
        share, by_rank = share_of_largest(pool, images, design)
        shares.append(share)
        ranks.append(by_rank)
        errors.append(float((gradient(pool, images, weights) - central_differences(pool, images, weights)).abs().max()))
    equal = torch.ones(1, 1, design.kernel, design.kernel, dtype=torch.float64)
    reached = int((gradient(pool, equal, torch.ones(1, 1, 1, 1, dtype=torch.float64)) != 0).sum())
    by_rank = torch.stack(ranks).mean(0).tolist()
    return Findings(
        (
            exact(PARAMETERS, sum(each.numel() for each in pool.parameters())),
            measured(SHARE, shares),
            measured(ERROR, errors),
            exact(REACHED, reached),
        ),
        {"share by rank": by_rank},
    )


def judge(found: Findings) -> Ruling:
    """True if the layer has no parameters, its largest input gets at least 99.9 % of an output's gradient, ties give it
    to a single input, and central differences agree to a millionth."""
    parameters, share, error, reached = (found[name] for name in (PARAMETERS, SHARE, ERROR, REACHED))
    return ruled(
        every(no(above(parameters, 0)), above(share, 0.999), below(reached, 1.5), below(error, 1e-6)),
        f"the layer has {parameters.value:.0f} parameters, and the largest input of a window gets {share.value:.0%} of "
        f"its output's gradient; among equal inputs, {reached.value:.0f} {'gets' if reached.value == 1 else 'get'} it.",
    )


def draw(found: Findings) -> Figure:
    """The part of the gradient by the rank of the input."""
    shares = found.curves["share by rank"]
    ranks = ["largest input", *(f"input of rank {rank}" for rank in range(2, len(shares) + 1))]
    panel = Bars(names=ranks, values=shares, low=shares, high=shares, label="share of the output's gradient")
    return intervals(panel, title="Where the gradient of a pooling layer goes")


STUDY = Study(
    name="max-pool-gradient",
    topic="activations",
    question="What does max-pooling do in the backward pass?",
    claim="Max-pooling has no parameters of its own, and gives the gradient of each output to the largest input of its "
    "window, to that one alone.",
    design=Pooling(),
    quick={},
    held_fixed="one channel of normal random numbers, in float64",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The output is a copy of the largest input: moving that one moves the output as much, moving another one a "
        "little changes nothing. So the layer has nothing to learn, and its backward pass hands a gradient on to the "
        "place that won. With ties PyTorch's layer picks one place, while torch.amax shares the gradient among them; "
        "both are right, since the maximum has no derivative there."
    ),
    source="Goodfellow, Bengio and Courville 2016, section 9.3; PyTorch's documentation of max_pool2d and amax",
    wrong_answer='"It blocks the gradient, as it has no weights": it passes it on whole, to one of its inputs.',
)

"""The embedded digits at a small size, and training on them, for the studies of generalisation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from etude.data import load
from etude.streams import stream

CLASSES = 10


@dataclass(frozen=True)
class Examples:
    """Images (N, 1, S, S), in -1 to 1, and labels (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor | slice) -> "Examples":
        return Examples(self.images[rows], self.labels[rows])


def digits(side: int) -> Examples:
    """All 1,797 digits at `side` × `side` pixels: 7, 14 or 28."""
    data = load("digits")
    parts = [(split.images, split.labels) for split in (data.train, data.test)]
    images = torch.cat([images for images, _ in parts]).float() / 127.5 - 1
    return Examples(avg_pool2d(images, 28 // side), torch.cat([labels for _, labels in parts]))


def divided(examples: Examples, sizes: tuple[int, ...], seed: int) -> list[Examples]:
    """Parts of these sizes, drawn by the seed, and a last one of all others."""
    order = torch.randperm(len(examples), generator=stream(seed, "division"))
    ends = torch.tensor(sizes).cumsum(0).tolist()
    return [examples[order[start:end]] for start, end in zip([0, *ends], [*ends, len(examples)], strict=True)]


def with_wrong_labels(examples: Examples, share: float, seed: int) -> Examples:
    """The same with that share of the labels, the same ones for a seed, replaced by one of the others at random."""
    draw = stream(seed, "wrong labels")
    places, shifts = (
        torch.rand(len(examples), generator=draw),
        torch.randint(1, CLASSES, (len(examples),), generator=draw),
    )
    wrong = (examples.labels + shifts) % CLASSES
    return Examples(examples.images, torch.where(places < share, wrong, examples.labels))


@torch.no_grad()
def accuracy(network: nn.Module, examples: Examples) -> float:
    """Share of the examples that the network puts into their class."""
    network.eval()
    right = network(examples.images).argmax(1) == examples.labels
    network.train()
    return float(right.double().mean())


def batches(examples: Examples, size: int, epochs: int, seed: int) -> Iterator[Examples]:
    """Batches of full size, in a new order per epoch."""
    draw = stream(seed, "order")
    for _ in range(epochs):
        for rows in torch.randperm(len(examples), generator=draw).split(size):
            if len(rows) == min(size, len(examples)):
                yield examples[rows]


def train(
    network: nn.Module,
    steps: Iterator[Examples],
    *,
    learning_rate: float,
    l2: float = 0.0,
    after: Callable[[int], None] = lambda step: None,
) -> None:
    """A step of Adam on cross-entropy plus `l2` ‖w‖² for each batch; `after` is told its number."""
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, weight_decay=2 * l2, fused=True)
    for step, batch in enumerate(steps, start=1):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(batch.images), batch.labels).backward()
        optimizer.step()
        after(step)


def mlp(num_pixels: int, width: int) -> nn.Sequential:
    """One hidden layer of ReLU."""
    return nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, width), nn.ReLU(), nn.Linear(width, CLASSES))

"""Embedded points in the plane, to see decision boundaries and densities: two moons, two rings, eight Gaussians."""

import math
from collections.abc import Callable
from random import Random

import torch

from etude.data.split import Split

TRAIN_POINTS, TEST_POINTS = 2_000, 1_000
FEATURE_NAMES = ("x", "y")
MOON_NAMES = ("upper", "lower")
RING_NAMES = ("inner", "outer")
DIRECTIONS = ("east", "north-east", "north", "north-west", "west", "south-west", "south", "south-east")

Place = Callable[[int, float], tuple[float, float]]
"""From a class and a share in [0, 1) of its curve to the point, before the noise."""


def moon(label: int, share: float) -> tuple[float, float]:
    """Half circles of radius 1: the upper one around (0, 0), the lower one around (1, 0.5)."""
    angle = math.pi * share
    x, y = math.cos(angle), math.sin(angle)
    return (x, y) if label == 0 else (1 - x, 0.5 - y)


def ring(label: int, share: float) -> tuple[float, float]:
    """Circles around (0, 0) of radius 0.5 and 1."""
    radius, angle = (0.5, 1.0)[label], 2 * math.pi * share
    return radius * math.cos(angle), radius * math.sin(angle)


def centre(label: int, share: float) -> tuple[float, float]:
    """One of eight centres on a circle of radius 2 (Metz et al., "Unrolled Generative Adversarial Networks", 2017)."""
    angle = 2 * math.pi * label / len(DIRECTIONS)
    return 2 * math.cos(angle), 2 * math.sin(angle)


POINTS: dict[str, tuple[tuple[str, ...], Place, float]] = {
    "moons": (MOON_NAMES, moon, 0.1),
    "rings": (RING_NAMES, ring, 0.08),
    "mixture": (DIRECTIONS, centre, 0.2),
}
"""Class names, curves, and the standard deviation of the noise, by the name of the data set."""


def make_points(name: str) -> tuple[Split, Split]:
    """The (training, test) split: 2,000 and 1,000 points, features float32 (N, 2), as many of each class in all.

    They are the same on every machine: `Random.random` is guaranteed to stay, and features are rounded to 4 digits,
    because the last bits of sines differ.
    """
    class_names, place, noise = POINTS[name]
    random = Random(0)  # the same number draws other points for another curve
    features, labels = [], []
    for number in range(TRAIN_POINTS + TEST_POINTS):
        label = number % len(class_names)
        x, y = place(label, random.random())
        # Box and Muller's two normal numbers
        radius, angle = noise * math.sqrt(-2 * math.log(1 - random.random())), 2 * math.pi * random.random()
        features.append((round(x + radius * math.cos(angle), 4), round(y + radius * math.sin(angle), 4)))
        labels.append(label)
    order = list(range(len(labels)))
    for last in range(len(order) - 1, 0, -1):  # Fisher and Yates's shuffle
        other = int(random.random() * (last + 1))
        order[last], order[other] = order[other], order[last]
    whole = Split(features=torch.tensor(features, dtype=torch.float32), labels=torch.tensor(labels))
    rows = torch.tensor(order)
    return whole.take(rows[:TRAIN_POINTS]), whole.take(rows[TRAIN_POINTS:])

"""How large, where and how thick the ink of a data set is, so that a drawing can be made to look like its images."""

from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from torch import Tensor

INK = 0.5
"""A pixel so far from the background is ink."""
SHARP_EDGE, GAUSSIAN_EDGE = 0.8, 2.56
"""Pixels from 10 to 90 % of the ink across an edge: of an edge that is only rasterised, and per σ of a Gaussian."""


@final
@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where a drawing lies in an image; all but `pen` as shares of its sides."""

    extent: float = 20 / 28
    """The longer side of the box around the ink. The defaults are those of MNIST."""
    centre: tuple[float, float] = (0.5, 0.5)
    """Where the middle of the ink is, from the left and from the top."""
    by_mass: bool = True
    """Whether that is its centre of mass, else the middle of the box."""
    pen: float = 2.5
    """Width of a stroke in pixels."""
    blur: float = 0.0
    """Standard deviation in pixels of the Gaussian that makes edges as soft as the data's."""
    ink_is_dark: bool = False

    def as_dict(self) -> dict[str, Any]:
        """In plain values of JSON."""
        return {**asdict(self), "centre": list(self.centre)}


def frame_of(images: Tensor) -> Frame:
    """The frame of grey images (N, 1, H, W) in [0, 1]; of colour images, or without ink, the whole image."""
    count, channels, height, width = images.shape
    edges = torch.cat([images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]], dim=-1)
    is_dark = bool(edges.median() > 0.5)
    ink = (1 - images if is_dark else images)[:, 0]  # (N, H, W)
    mask = ink > INK
    mask = mask[mask.any(dim=(1, 2))]
    if channels != 1 or not len(mask) or count == 0:
        return Frame(extent=0.9, by_mass=False, pen=max(height, width) / 12)
    ink = ink[(ink > INK).any(dim=(1, 2))]
    boxes = torch.stack([*_ends(mask.any(dim=1)), *_ends(mask.any(dim=2))])  # left, right, top, bottom (4, N)
    sides = torch.stack([boxes[1] - boxes[0], boxes[3] - boxes[2]]).amax(0)
    middles = torch.stack([(boxes[0] + boxes[1]) / 2 / width, (boxes[2] + boxes[3]) / 2 / height])  # (2, N)
    mass = ink.sum(dim=(1, 2))
    columns, rows = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    masses = torch.stack([(ink.sum(dim=1) @ columns) / mass / width, (ink.sum(dim=2) @ rows) / mass / height])
    by_mass = bool(masses.std(dim=1, correction=0).sum() <= middles.std(dim=1, correction=0).sum())
    centre = (masses if by_mass else middles).mean(dim=1)
    # A stroke of width w and length l has area w·l, and its border 2·l changes from ink to background.
    padded = torch.nn.functional.pad(mask, (1, 1, 1, 1))
    soft = ((ink > 0.1) & (ink < 0.9)).sum(dim=(1, 2))
    changes = (padded[:, 1:] != padded[:, :-1]).sum(dim=(1, 2)) + (padded[:, :, 1:] != padded[:, :, :-1]).sum(
        dim=(1, 2)
    )
    return Frame(
        extent=min(sides.median().item() / max(height, width), 1.0),
        centre=(centre[0].item(), centre[1].item()),
        by_mass=by_mass,
        pen=max((2 * mask.sum(dim=(1, 2)) / changes).median().item(), 1.0),
        blur=max(((soft / changes).median().item() - SHARP_EDGE) / GAUSSIAN_EDGE, 0.0),
        ink_is_dark=is_dark,
    )


def _ends(lines: Tensor) -> tuple[Tensor, Tensor]:
    """Where the true entries of rows (N, L) begin and end, (N,) each."""
    places = torch.arange(lines.shape[1]).expand_as(lines)
    first = torch.where(lines, places, lines.shape[1]).amin(dim=1)
    last = torch.where(lines, places, -1).amax(dim=1)
    return first.float(), last.float() + 1

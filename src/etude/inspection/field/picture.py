"""The receptive field of one layer drawn on an image: what its middle position reads, and how strongly."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from etude.drawing.style import BLUE, render, style
from etude.inspection.field.axis_field import AxisField


@style()
def draw(image: Tensor, read: Tensor, strength: Tensor, derived: Sequence[AxisField], middle: Sequence[int],
         title: str) -> bytes:  # fmt: skip
    """A PNG: the image (C, H, W), and on it the strength of the gradient (H, W) and the derived field's frame.

    `read` (H, W) are the pixels that poison showed to be read; `middle` is the layer's position that was probed.
    """
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    pixels = image.detach().double().numpy()  # (C, H, W)
    low, high = pixels.min(), pixels.max()
    shown = np.clip((pixels - low) / max(high - low, 1e-12), 0, 1)
    shown = shown[0] if shown.shape[0] != 3 else shown.transpose(1, 2, 0)  # (H, W) or (H, W, 3)
    left.imshow(shown, cmap="gray")
    left.imshow(_veil(read.numpy()))
    figure.suptitle(title, fontsize=10)
    left.set_title("read (measured)")
    right.imshow(strength.numpy(), cmap="Blues", vmin=0, vmax=1)
    right.set_title("strength of the gradient (darkest: largest)")
    spans = [(float(a.offset + (a.stride or 0) * m), a.size) for a, m in zip(derived, middle, strict=True)]
    (top, height), (start, width) = spans
    for axes in (left, right):
        axes.add_patch(Rectangle((start - 0.5, top - 0.5), width, height, fill=False, color=BLUE, linestyle="--"))
        axes.set_xlabel("column (pixels)")
        axes.set_ylabel("row (pixels)")
        axes.set_xlim(-0.5, shown.shape[1] - 0.5)
        axes.set_ylim(shown.shape[0] - 0.5, -0.5)
    figure.supxlabel("dashed: derived from the layers; it may reach into the padding", fontsize=8.5)
    return render(figure, "png")


def _veil(read: np.ndarray) -> np.ndarray:
    """White over all that is not read: (H, W, 4)."""
    veil = np.ones((*read.shape, 4))
    veil[..., 3] = np.where(read, 0.0, 0.8)
    return veil

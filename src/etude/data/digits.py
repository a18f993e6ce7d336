"""The embedded data set: scikit-learn's 1,797 handwritten digits, which need no download."""

import torch
from torch.nn import functional

from etude.data.split import Split

TRAIN_IMAGES, TEST_IMAGES = 1_500, 297
IMAGE_SIZE = 28
_SHUFFLE_SEED = 0


def load_digits() -> tuple[Split, Split]:
    """The (training, test) split: 1,500 and 297 grey 28×28 images, enlarged from 8×8 by bicubic interpolation.

    The order is shuffled once, always alike, because neighbours in the source come from the same writer.
    """
    from sklearn import datasets  # 0.5 s to import, and only this data set needs it

    pixels, labels = datasets.load_digits(return_X_y=True)
    grey = torch.from_numpy(pixels).reshape(-1, 1, 8, 8) * (255 / 16)  # float64 (1797, 1, 8, 8), source values 0..16
    large = functional.interpolate(grey, size=(IMAGE_SIZE, IMAGE_SIZE), mode="bicubic")
    # Flat areas lie exactly between two grey levels (8 of 16 is 127.5). The nudge rounds them alike on every machine.
    images = (large.clamp(0, 255) + 0.5 + 1e-6).floor().clamp(max=255).to(torch.uint8)

    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(_SHUFFLE_SEED))
    images, targets = images[order], torch.from_numpy(labels).to(torch.int64)[order]
    return (
        Split(images=images[:TRAIN_IMAGES], labels=targets[:TRAIN_IMAGES]),
        Split(images=images[TRAIN_IMAGES:], labels=targets[TRAIN_IMAGES:]),
    )

import hashlib

import numpy as np
import torch
from PIL import Image
from sklearn import datasets

from etude.data.digits import load_digits


def test_counts_shapes_and_ranges() -> None:
    train, test = load_digits()
    assert train.images.shape == (1_500, 1, 28, 28)
    assert test.images.shape == (297, 1, 28, 28)
    for split in (train, test):
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == torch.int64
        assert (split.images.min(), split.images.max()) == (0, 255)
        assert split.labels.unique().tolist() == list(range(10))


def test_the_split_never_changes() -> None:
    """Results are compared over years and machines: the same images, bit for bit."""
    train, test = load_digits()
    content = b"".join(tensor.numpy().tobytes() for split in (train, test) for tensor in (split.images, split.labels))
    assert hashlib.sha256(content).hexdigest() == "a0c6115a6b746a6d4ae5dca47fa18b80e14d5cbf3694a135f3ee961f892a6846"


def test_every_source_digit_is_there_once_and_enlarged() -> None:
    train, test = load_digits()
    images, labels = torch.cat([train.images, test.images]), torch.cat([train.labels, test.labels])
    source, targets = datasets.load_digits(return_X_y=True)
    assert labels.bincount().tolist() == np.bincount(targets).tolist()

    # Pillow's bicubic kernel (a = -0.5) differs from PyTorch's (a = -0.75): close, not equal. Each image of ours must
    # be nearest to one source digit of its class, and no two to the same.
    enlarged = torch.stack(
        [
            torch.from_numpy(
                np.array(Image.fromarray((d.reshape(8, 8) * 255 / 16).astype(np.float32)).resize((28, 28), 3))
            )
            for d in source
        ]
    )
    distances = torch.cdist(images.flatten(1).float(), enlarged.clamp(0, 255).flatten(1))
    nearest = distances.argmin(dim=1)
    assert len(nearest.unique()) == 1_797
    assert torch.equal(torch.from_numpy(targets)[nearest], labels)
    assert distances.min(dim=1).values.max() / 28 < 12  # grey levels, root mean square

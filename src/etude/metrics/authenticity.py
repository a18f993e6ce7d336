"""Does a generator make new images, or does it repeat its training images?

Alaa et al. 2022, "How faithful is your synthetic data?", section 3.3 and eq. 8.
"""

import numpy as np

from etude.metrics.arguments import Array, feature_pair
from etude.metrics.prdc import TIE, squared_distances


def authenticity(training: Array, generated: Array) -> float:
    """Share of generated samples in [0, 1] that are not copies of a training sample; about a half for new real ones.

    A generated sample counts as a copy if it is nearer to its nearest training sample than any other training sample
    is. `training` and `generated` are features (num_samples, num_features). Give all samples that the generator was
    trained on, because a copy of a missing one counts as new. An exact copy is always found, unless the training set
    holds the sample twice.
    """
    real, others = feature_pair(training, generated)
    mean = real.mean(axis=0)  # distances stay, and |x|² + |y|² - 2 x·y loses fewer digits
    real, others = real - mean, others - mean
    nearest, to_nearest = np.empty(len(others), np.int64), np.empty(len(others))
    for block, distances in squared_distances(others, real):
        nearest[block] = distances.argmin(axis=1)
        to_nearest[block] = distances.min(axis=1)
    owners, owner_of = np.unique(nearest, return_inverse=True)
    to_other = np.empty(len(owners))  # from such a training sample to the next one
    for block, distances in squared_distances(real[owners], real, tie=TIE):
        distances[np.arange(len(distances)), owners[block]] = np.inf  # not itself
        to_other[block] = distances.min(axis=1)
    return float((to_nearest > to_other[owner_of]).mean())

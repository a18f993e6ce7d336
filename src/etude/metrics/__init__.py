"""Metrics as pure functions of arrays, tensors and modules: features, statistics and distance, each callable alone.

Two sets are always `real` and `generated`. Every random draw comes from `seed`, a whole number or a `torch.Generator`.
What a metric means, its range and its pitfalls: docs/metrics.md.
"""

from etude.metrics.classifier_score import classifier_score
from etude.metrics.fid import extrapolated_frechet_distance, feature_statistics, frechet_distance
from etude.metrics.kid import kernel_distance
from etude.metrics.prdc import density_coverage, prdc, precision_recall

__all__ = [
    "classifier_score",
    "density_coverage",
    "extrapolated_frechet_distance",
    "feature_statistics",
    "frechet_distance",
    "kernel_distance",
    "prdc",
    "precision_recall",
]

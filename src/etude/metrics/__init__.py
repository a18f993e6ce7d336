"""Metrics as pure functions of arrays, tensors and modules: features, statistics and distance, each callable alone.

Two sets are always `real` and `generated`. Every random draw comes from `seed`, a whole number or a `torch.Generator`.
docs/metrics.md explains each metric, its range and its pitfalls.
"""

from etude.metrics.accuracy import (
    accuracy,
    class_accuracy,
    confusion_matrix,
    top_k_accuracy,
    worst_class_by_chance,
)
from etude.metrics.authenticity import authenticity
from etude.metrics.bayes import class_log_likelihoods, class_log_posterior
from etude.metrics.calibration import (
    brier_score,
    brier_scores,
    calibration_floor,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)
from etude.metrics.classifier_score import classifier_score
from etude.metrics.comparison import compare_paired, corrected, holm
from etude.metrics.copies import copy_rate, nearest_training_images
from etude.metrics.fid import (
    extrapolated_frechet_distance,
    feature_statistics,
    frechet_distance,
    frechet_error,
)
from etude.metrics.floor import real_floor
from etude.metrics.intervals import (
    bootstrap_interval,
    bootstrap_t_interval,
    share_interval,
    summarize,
    t_interval,
    wilson_interval,
)
from etude.metrics.kid import complete_kernel_distance, kernel_distance
from etude.metrics.latents import active_latents, aggregate_posterior
from etude.metrics.likelihood import (
    ElboTerms,
    binarize,
    bits_per_dimension,
    elbo_terms,
    grey_note,
    importance_weighted_bound,
)
from etude.metrics.ngrams import ngram_nats
from etude.metrics.prdc import density_coverage, prdc, precision_recall
from etude.metrics.probes import linear_probe, nearest_neighbours_probe, ridge_probe
from etude.metrics.quadrature import exact_log_likelihood
from etude.metrics.text import mean_over_text
from etude.metrics.translation import bleu, chrf, compare_translations

__all__ = [
    "ElboTerms",
    "accuracy",
    "active_latents",
    "aggregate_posterior",
    "authenticity",
    "binarize",
    "bits_per_dimension",
    "bleu",
    "bootstrap_interval",
    "bootstrap_t_interval",
    "brier_score",
    "brier_scores",
    "calibration_floor",
    "chrf",
    "class_accuracy",
    "class_log_likelihoods",
    "class_log_posterior",
    "classifier_score",
    "compare_paired",
    "compare_translations",
    "complete_kernel_distance",
    "confusion_matrix",
    "copy_rate",
    "corrected",
    "density_coverage",
    "elbo_terms",
    "exact_log_likelihood",
    "extrapolated_frechet_distance",
    "feature_statistics",
    "fit_temperature",
    "frechet_distance",
    "frechet_error",
    "grey_note",
    "holm",
    "importance_weighted_bound",
    "kernel_distance",
    "linear_probe",
    "mean_over_text",
    "nearest_neighbours_probe",
    "nearest_training_images",
    "negative_log_likelihood",
    "ngram_nats",
    "prdc",
    "precision_recall",
    "real_floor",
    "reliability",
    "ridge_probe",
    "share_interval",
    "summarize",
    "t_interval",
    "top_k_accuracy",
    "wilson_interval",
    "worst_class_by_chance",
]

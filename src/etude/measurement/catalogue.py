"""The metrics by name: what each is, which networks it fits, and which settings its result depends on."""

from collections.abc import Sequence
from typing import Any

from etude.data.kinds import Images, RunningText, Table, TokenPairs, Tokens
from etude.errors import UsageError, unknown
from etude.families.abilities import Bounds, Classifies, Encodes, Predicts, Samples, Translates
from etude.measurement import (
    classification,
    image_sets,
    language,
    last_state,
    latent_space,
    likelihood,
    text_floors,
    translation,
)
from etude.measurement.metric import Metric
from etude.measurement.own_metrics import own_metric
from etude.measurement.settings import Settings
from etude.runs import Run
from etude.user_code import is_spec

_SETS: dict[str, Any] = {"needs": Samples, "depends_on": ("num_samples", "seed", "features")}
_PAIRS: dict[str, Any] = {"needs": Translates, "kinds": (TokenPairs,)}
_CLASSES: dict[str, Any] = {"needs": Classifies, "kinds": (Images, Table, Tokens)}
_TEXT: dict[str, Any] = {"needs": Predicts, "kinds": (RunningText,), "depends_on": ("seed",)}
_PIXELS = ("num_samples", "seed", "binarize")
_BOUND = (*_PIXELS, "num_importance", "num_likelihood_images")

METRICS = (
    Metric(name="fid", about="Fréchet distance", compute=image_sets.fid, better="lower", **_SETS),
    Metric(
        name="fid_infinity", about="extrapolated to ∞ images", compute=image_sets.fid_infinity, better="lower",
        on_request=True, **_SETS
    ),
    Metric(name="kid", about="kernel distance", compute=image_sets.kid, better="lower", **_SETS),
    Metric(name="precision", about="generated that look real", compute=image_sets.precision, **_SETS),
    Metric(name="recall", about="real that could be generated", compute=image_sets.recall, **_SETS),
    Metric(name="density", about="how near to many real ones", compute=image_sets.density, **_SETS),
    Metric(name="coverage", about="real with a generated nearby", compute=image_sets.coverage, **_SETS),
    Metric(
        name="authenticity", about="no copy of a training image", compute=image_sets.share_of_own, better=None, **_SETS
    ),
    Metric(
        name="copy_rate", about="copies of a training image", compute=image_sets.share_of_copies,
        remark=image_sets.about_copies, better="lower", needs=Samples, kinds=(Images,),
    ),
    Metric(
        name="classifier_score", about="clear and varied classes", compute=image_sets.score_of_classifier,
        kinds=(Images,), **_SETS
    ),
    Metric(
        name="nll_nats", about="−log p(image)", compute=likelihood.nll_nats, remark=likelihood.about_nll,
        better="lower", needs=Bounds, depends_on=_BOUND,
    ),
    Metric(
        name="negative_elbo_nats", about="reconstruction + KL", compute=likelihood.negative_elbo_nats,
        remark=likelihood.about_elbo, better="lower", needs=Bounds, depends_on=_PIXELS,
    ),
    Metric(
        name="active_latents", about="latents in use", compute=latent_space.active_latents,
        remark=latent_space.about_active, better=None, needs=Encodes,
    ),
    Metric(
        name="aggregate_posterior", about="farthest latent from prior", compute=latent_space.aggregate_posterior,
        remark=latent_space.about_aggregate, better="lower", needs=Encodes,
    ),
    Metric(
        name="linear_probe", about="accuracy, linear on latents", compute=latent_space.linear_accuracy,
        remark=latent_space.about_probe, needs=Encodes,
    ),
    Metric(
        name="nearest_neighbours_probe", about="accuracy, 10 nearest latents", compute=latent_space.neighbours_accuracy,
        remark=latent_space.about_probe, needs=Encodes,
    ),
    Metric(
        name="bayes_accuracy", about="as classifier by Bayes' rule", compute=likelihood.bayes_accuracy,
        remark=likelihood.about_bayes, kinds=(Images,), needs=Bounds, conditional=True, depends_on=_BOUND,
    ),
    Metric(name="accuracy", about="share right", compute=classification.accuracy, **_CLASSES),
    Metric(
        name="top_k_accuracy", about="class among the best 3", compute=classification.accuracy_of_top_k,
        remark=classification.about_top_k, **_CLASSES,
    ),
    Metric(
        name="class_accuracy", about="share right, worst class", compute=classification.accuracy_of_classes,
        remark=classification.about_classes, **_CLASSES,
    ),
    Metric(name="nll_nats", about="−log p(label)", compute=classification.nll_nats, better="lower", **_CLASSES),
    Metric(name="brier", about="squared error of p", compute=classification.brier, better="lower", **_CLASSES),
    Metric(
        name="ece", about="calibration error", compute=classification.calibration_error,
        remark=classification.about_calibration, better="lower", **_CLASSES,
    ),
    Metric(
        name="temperature", about="best on the validation split", compute=classification.temperature,
        remark=classification.about_temperature, better=None, **_CLASSES,
    ),
    Metric(
        name="naive_bayes", about="accuracy by words alone", compute=text_floors.naive_bayes_accuracy,
        remark=text_floors.about_training, needs=Classifies, kinds=(Tokens,),
    ),
    Metric(
        name="nbsvm", about="accuracy by words and pairs", compute=text_floors.nbsvm_accuracy,
        remark=text_floors.about_training, needs=Classifies, kinds=(Tokens,),
    ),
    Metric(
        name="bleu", about="n-grams in common", compute=translation.bleu_score, remark=translation.about_score, **_PAIRS
    ),
    Metric(
        name="chrf", about="characters in common", compute=translation.chrf_score, remark=translation.about_score,
        **_PAIRS
    ),
    Metric(
        name="long_bleu", about="BLEU of long sentences", compute=translation.bleu_of_long_sentences,
        remark=translation.about_long, **_PAIRS
    ),
    Metric(
        name="perplexity", about="choices per right token", compute=translation.perplexity,
        remark=translation.about_perplexity, better="lower", **_PAIRS
    ),
    Metric(name="token_accuracy", about="right tokens found likeliest", compute=translation.token_accuracy, **_PAIRS),
    Metric(
        name="length_probe", about="length in the last state", compute=last_state.length,
        remark=last_state.about_length, better=None, **_PAIRS
    ),
    Metric(
        name="word_probe", about="words in the last state", compute=last_state.words, remark=last_state.about_words,
        better=None, **_PAIRS
    ),
    Metric(
        name="nats_per_character", about="−log p(next character)", compute=language.nats_per_character,
        remark=language.about_nats, better="lower", **_TEXT
    ),
    Metric(
        name="bits_per_byte", about="−log₂ p per byte", compute=language.bits_per_byte, better="lower", **_TEXT
    ),
    Metric(
        name="perplexity", about="choices per symbol", compute=language.perplexity, better="lower", **_TEXT
    ),
    Metric(name="accuracy", about="share of symbols right", compute=language.accuracy, **_TEXT),
)  # fmt: skip


def fitting(run: Run) -> dict[str, Metric]:
    """The metrics that fit the run, by name."""
    return {metric.name: metric for metric in METRICS if _fits(metric, run)}


def chosen(run: Run, settings: Settings) -> list[Metric]:
    """The metrics to compute; `UsageError` for a name that does not exist or a name or setting that does not fit."""
    fits = fitting(run)
    if settings.extrapolate and "fid_infinity" not in fits:
        raise _does_not_fit("fid_infinity", run, list(fits))
    if settings.binarize and not any("binarize" in metric.depends_on for metric in fits.values()):
        raise UsageError(
            f"--binarize {settings.binarize} is for the pixels of a VAE, and run {run.name} is a {run.recipe.network}: "
            "leave it out."
        )
    if not settings.metrics:
        extra = ("fid_infinity",) if settings.extrapolate else ()
        return [metric for metric in fits.values() if not metric.on_request or metric.name in extra]
    known = {metric.name for metric in METRICS}
    found: dict[str, Metric] = {}
    for given in (*settings.metrics, *(("fid_infinity",) if settings.extrapolate else ())):
        if isinstance(given, Metric):
            metric = given
        elif not isinstance(given, str) or is_spec(given):
            metric = own_metric(given, run)
            if metric.name in known:
                raise UsageError(f"metric {metric.name} has the name of one of étude's: call your function otherwise.")
        elif given not in known:
            raise unknown(
                "metric", given, known, hint="docs/metrics.md describes them; FILE.py:NAME is one of your own"
            )
        elif given not in fits:
            raise _does_not_fit(given, run, list(fits))
        else:
            metric = fits[given]
        found[metric.name] = metric
    return list(found.values())


def needs_features(metrics: Sequence[Metric]) -> bool:
    return any("features" in metric.depends_on for metric in metrics)


def _does_not_fit(name: str, run: Run, fits: list[str]) -> UsageError:
    return UsageError(
        f"metric {name!r} does not fit run {run.name}, a {run.recipe.network}: choose from {', '.join(fits)}."
    )


def _fits(metric: Metric, run: Run) -> bool:
    fits = isinstance(run.kind, metric.kinds) and (run.conditional or not metric.conditional)
    return fits and run.can(metric.needs)

"""Translations of short and long sentences, with and without attention."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.measurement import measure
from etude.studies import Evidence, Findings, Lab, Ruling, Study, above, measured, ruled
from etude.studies.sequences.translators import QUICK, WITH, WITHOUT, Translators, train

SHORT, LONG = "BLEU of sentences shorter than the mean, {}", "BLEU of longer sentences, {}"
FALL = "share of the BLEU lost from short to long sentences, {}"
MARGIN = 0.05


@dataclass(frozen=True, kw_only=True)
class LengthAndAttention(Translators):
    """Translators with and without attention, on short and long sentences."""


def experiment(design: LengthAndAttention, lab: Lab) -> Findings:
    """Train both, translate the test sentences, and score them by the length of the source."""
    evidence: list[Evidence] = []
    curves: dict[str, list[float]] = {}
    for name in (WITH, WITHOUT):
        found = [
            measure(run, metrics=["long_bleu"], say=lambda line: None)["long_bleu"]
            for run in lab.each(train(lab, design, name), f"runs {name}")
        ]
        bins, mean = found[0]["bins"], found[0]["mean_length"]  # the same sentences for all
        scores = np.array([[each["value"] for each in one["bins"]] for one in found])  # (seeds, bins)
        sizes = np.array([each["num_samples"] for each in bins])
        is_short = np.array([each["longest"] < mean for each in bins])
        short, long = (scores[:, part] @ sizes[part] / sizes[part].sum() for part in (is_short, ~is_short))
        curves["tokens"] = [(each["shortest"] + each["longest"]) / 2 for each in bins]
        curves |= {f"{name}, seed {number}": row.tolist() for number, row in enumerate(scores)}
        evidence += [
            measured(SHORT.format(name), short),
            measured(LONG.format(name), long),
            measured(FALL.format(name), 1 - long / np.maximum(short, 1)),
        ]
    return Findings(tuple(evidence), curves)


def judge(found: Findings) -> Ruling:
    """The claim holds if, seed by seed, long sentences lose 5 more percent of the BLEU of short ones without it."""
    looking, blind = (found[FALL.format(name)] for name in (WITH, WITHOUT))
    short, long = ([found[what.format(name)].value for name in (WITHOUT, WITH)] for what in (SHORT, LONG))
    return ruled(
        above(blind - looking, MARGIN),
        f"without attention BLEU goes from {short[0]:.3g} (sentences shorter than the mean) to {long[0]:.3g} (longer), "
        f"with it from {short[1]:.3g} to {long[1]:.3g}: {blind.value:.0%} and {looking.value:.0%} less.",
    )


def draw(found: Findings) -> Figure:
    """BLEU by length, with the range over the seeds."""
    tokens, rows = found.curves["tokens"], []
    for name in (WITH, WITHOUT):
        each = np.array([row for key, row in found.curves.items() if key.startswith(f"{name}, seed")])
        rows.append(
            Line(name=name, x=tokens, y=each.mean(0).tolist(), low=each.min(0).tolist(), high=each.max(0).tolist())
        )
    panel = Axis(lines=rows, x_label="tokens of the source", y_label="BLEU (band: range over the seeds)")
    return lines(panel, title="Translations of short and long sentences")


STUDY = Study(
    name="length-and-attention",
    topic="sequences",
    question="Does attention help long sentences more than short ones?",
    claim="Without attention translations get worse with the length of the sentence, more than with attention.",
    design=LengthAndAttention(),
    quick=QUICK,
    held_fixed="same encoder, width, sentences, steps and seeds; BLEU by sacrebleu, for each range of lengths",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "Without attention a sentence of any length must fit into one state of fixed size, so that long ones lose "
        "words. With attention the memory grows with the sentence: a state per token, of which the decoder looks up "
        "those it needs. A wider encoder moves the length at which the loss sets in; it does not remove it."
    ),
    source="Cho et al. 2014, section 4; Bahdanau et al. 2015, figure 2",
)

"""What does the encoder's last state know of the sentence, with attention and without?"""

from dataclasses import dataclass

from matplotlib.figure import Figure

from etude.drawing.evidence import intervals
from etude.measurement import measure
from etude.studies import Evidence, Findings, Lab, Ruling, Study, above, measured, ruled
from etude.studies.pictures import bars
from etude.studies.sequences.translators import QUICK, WITH, WITHOUT, Translators, train

WORDS = "words read from the last state, area under the ROC curve, {}"
LENGTH = "length read from the last state, R², {}"
BLEU = "test BLEU, {}"


@dataclass(frozen=True, kw_only=True)
class AttentionProbe(Translators):
    """Translators with and without attention, whose encoder's last state is probed."""


def experiment(design: AttentionProbe, lab: Lab) -> Findings:
    """Train both, and fit linear probes on the last states of training sentences."""
    evidence: list[Evidence] = []
    for name in (WITH, WITHOUT):
        runs = train(lab, design, name)
        probes = [
            measure(run, metrics=["word_probe", "length_probe"], say=lambda line: None)
            for run in lab.each(runs, f"runs {name}")
        ]
        words, lengths = ([each[what]["value"] for each in probes] for what in ("word_probe", "length_probe"))
        evidence += [
            measured(WORDS.format(name), words),
            measured(LENGTH.format(name), lengths),
            measured(BLEU.format(name), [run.metrics().last()["test/bleu"] for run in runs]),
        ]
    return Findings(tuple(evidence))


def judge(found: Findings) -> Ruling:
    """The claim holds if, seed by seed, a probe finds the words better in the state of an encoder with attention."""
    looking, blind = (found[WORDS.format(name)] for name in (WITH, WITHOUT))
    lengths = [found[LENGTH.format(name)].value for name in (WITH, WITHOUT)]
    return ruled(
        above(looking - blind, 0),
        f"a linear probe finds the words of the source in the encoder's last state with an area of {blind.value:.3f} "
        f"without attention and {looking.value:.3f} with it (0.5 is a guess); its R² for the length is "
        f"{lengths[1]:.2f} and {lengths[0]:.2f}.",
    )


def draw(found: Findings) -> Figure:
    """What is read from the last state."""
    words, lengths = ([found[what.format(name)] for name in (WITH, WITHOUT)] for what in (WORDS, LENGTH))
    names = ["with attention", "without"]
    return intervals(
        bars(words, names=names, label="area under the ROC curve", title="words of the source"),
        bars(lengths, names=names, label="R²", title="its length"),
        title="What a probe reads from the last state of the encoder",
    )


STUDY = Study(
    name="attention-probe",
    topic="sequences",
    question="What does attention change in the last state of a translator's encoder?",
    claim="With attention as without, the encoder's last state carries the whole sentence.",
    design=AttentionProbe(),
    quick=QUICK,
    held_fixed="same encoder, width, sentences, steps and seeds; linear probes fitted on 5,000 training sentences",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "Without attention the last state is all that the decoder ever sees, so every word must be in it. With "
        "attention the decoder takes each word from the state of its place, and the last one need not hold them all. "
        "The states at the words then become memory to look things up in, and decoder states questions to it."
    ),
    source="Bahdanau et al. 2015, section 1; Adi et al. 2017 for the probe",
    wrong_answer='"The encoder stays the same, attention only helps the decoder": both are trained together.',
)

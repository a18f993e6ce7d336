"""Figures of translators: what they look at, and how they do on long sentences."""

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.attention import alignment_maps
from etude.drawing.lengths import score_by_length
from etude.drawing.lettering import is_written
from etude.errors import UsageError
from etude.figures.material import Material
from etude.metrics.translation import bleu, bleu_by_length

SHOWN, MOST_SHOWN_TOKENS = 4, 20


def alignment(material: Material) -> Figure:
    """Heat maps of the attention, for the first test sentences of at most 20 tokens."""
    run, test = material.run, material.dataset.test
    short = ((test["source"] != 0).sum(1) <= MOST_SHOWN_TOKENS).nonzero()[:SHOWN, 0].tolist()
    written = run.translate([test.texts["source"][row] for row in short or [0]])
    weights = [each.alignment.numpy() for each in written if each.alignment is not None]
    if not weights:
        raise UsageError(f"run {run.name} has no attention to draw: train it with one, as --attention bilinear.")
    return alignment_maps(
        weights,
        [_readable(each.source_tokens) for each in written],
        [_readable(each.tokens) for each in written],
        title=material.title("Attention"),
    )


def lengths(material: Material) -> Figure:
    """BLEU against the length of the source."""
    run, test = material.run, material.dataset.test
    written = [each.translation for each in run.translate(test.texts["source"])]
    references = test.texts["target"]
    tokens = ((test["source"] != 0).sum(1) - 1).tolist()
    bins = bleu_by_length(written, references, tokens)
    scores = [each.score for each in bins]
    return score_by_length(
        [f"{each.shortest} – {each.longest}" for each in bins],
        [each.num_sentences for each in bins],
        np.array([score.value for score in scores]),
        np.array([score.interval.low for score in scores]),
        np.array([score.interval.high for score in scores]),
        overall=bleu(written, references).value,
        title=material.title("BLEU by length"),
    )


def _readable(tokens: tuple[str, ...]) -> list[str]:
    """Tokens as the fonts here can write them."""
    return [token if is_written(token) else "?" for token in tokens]

"""BLEU and chrF: equal to torchmetrics' and to sacrebleu's own; the bootstrap against sacrebleu's paired test."""

import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest

from etude.errors import UsageError
from etude.metrics import bleu, chrf, compare_translations

REFERENCES = [
    "A man in an orange hat starring at something.",
    "A Boston Terrier is running on lush green grass in front of a white fence.",
    "A girl in karate uniform breaking a stick with a front kick.",
    "Five people wearing winter jackets and helmets stand in the snow, with snowmobiles in the background.",
    "People are fixing the roof of a house.",
]
TRANSLATIONS = [
    "A man in an orange hat staring at something.",
    "A Boston terrier runs over green grass in front of a white fence.",
    "A girl in a karate uniform is breaking a board with a kick.",
    "Five people in winter jackets and helmets stand in the snow.",
    "People fix the roof of a house.",
]


def corpus(num_sentences: int, *, seed: int, changed: float) -> tuple[list[str], list[str]]:
    """Translations and references of made-up words, a share of which is wrong."""
    draw = random.Random(seed)
    words = [f"w{number}" for number in range(50)]
    references = [[draw.choice(words) for _ in range(draw.randint(5, 15))] for _ in range(num_sentences)]
    translations = [[draw.choice(words) if draw.random() < changed else word for word in each] for each in references]
    return [" ".join(each) for each in translations], [" ".join(each) for each in references]


def test_scores_are_those_of_torchmetrics_and_sacrebleu(reference: Callable[[str], ModuleType]) -> None:
    theirs = reference("torchmetrics.functional.text")
    for translations, references in ((TRANSLATIONS, REFERENCES), corpus(200, seed=0, changed=0.3)):
        pairs = [[each] for each in references]
        found = bleu(translations, references)
        assert found.value == pytest.approx(100 * float(theirs.sacre_bleu_score(translations, pairs)), abs=1e-4)
        assert found.value == BLEU().corpus_score(translations, [references]).score
        assert found.signature == "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
        found = chrf(translations, references)
        assert found.value == pytest.approx(CHRF().corpus_score(translations, [references]).score, abs=1e-9)
        assert found.value == pytest.approx(
            100 * float(theirs.chrf_score(translations, pairs, n_word_order=0)), abs=0.5
        )
        assert found.signature == "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0"


def test_it_is_the_score_of_the_corpus_and_not_the_mean_of_sentences() -> None:
    each = [bleu([one], [other]).value for one, other in zip(TRANSLATIONS, REFERENCES, strict=True)]
    assert abs(bleu(TRANSLATIONS, REFERENCES).value - np.mean(each)) > 0.5


def test_equal_texts_score_100_and_short_ones_are_penalised() -> None:
    assert bleu(REFERENCES, REFERENCES).value == pytest.approx(100)
    assert chrf(REFERENCES, REFERENCES).value == pytest.approx(100)
    # Three of four words each, all right: exp(1 - 4/3), the brevity penalty alone.
    assert bleu(["a b c d e f"] * 3, ["a b c d e f g h"] * 3).value == pytest.approx(100 * np.exp(1 - 8 / 6))


def test_the_order_of_the_sentences_does_not_matter() -> None:
    turned = [REFERENCES[::-1], TRANSLATIONS[::-1]]
    assert bleu(turned[1], turned[0]).value == bleu(TRANSLATIONS, REFERENCES).value
    assert bleu(TRANSLATIONS, REFERENCES[::-1]).value < 10


def test_the_interval_holds_the_value_and_shrinks_with_more_sentences() -> None:
    widths = []
    for number in (100, 400):
        found = bleu(*corpus(number, seed=1, changed=0.3))
        assert found.interval.low < found.value < found.interval.high
        widths.append(found.interval.high - found.interval.low)
    assert widths[1] / widths[0] == pytest.approx(0.5, abs=0.15)
    assert bleu(*corpus(100, seed=1, changed=0.3)).interval == bleu(*corpus(100, seed=1, changed=0.3)).interval


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
def test_a_paired_comparison_is_sacrebleus(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SACREBLEU_SEED", "1")
    worse, references = corpus(300, seed=2, changed=0.30)
    better, _ = corpus(300, seed=2, changed=0.30)
    draw = random.Random(5)
    better = [ours if draw.random() < 0.9 else right for ours, right in zip(better, references, strict=True)]
    theirs = BLEU(references=[references]) if metric == "bleu" else CHRF(references=[references])
    systems = [("a", worse), ("b", better)]
    scores: dict[str, Any]
    _, scores = PairedTest(systems, {metric: theirs}, None, test_type="bs", n_samples=1000)()  # pyright: ignore[reportArgumentType]
    first, second = next(each for name, each in scores.items() if name != "System")
    found = compare_translations(worse, better, references, metric=metric)  # pyright: ignore[reportArgumentType]
    assert found.value == pytest.approx(second.score - first.score, abs=1e-9)
    assert found.interval.low < found.value < found.interval.high
    assert found.p_value == pytest.approx(second.p_value, abs=0.003)
    assert found.interval.low > 0


def test_two_equal_systems_do_not_differ() -> None:
    found = compare_translations(TRANSLATIONS, TRANSLATIONS, REFERENCES)
    assert (found.value, found.interval.low, found.interval.high, found.p_value) == (0, 0, 0, 1)


def test_a_difference_by_chance_is_seldom_claimed() -> None:
    claimed = 0
    for seed in range(40):
        one, references = corpus(60, seed=seed, changed=0.4)
        draw = random.Random(seed + 1000)
        words = sorted({word for each in references for word in each.split()})
        other = [
            " ".join(draw.choice(words) if draw.random() < 0.4 else word for word in each.split())
            for each in references
        ]
        claimed += compare_translations(one, other, references, num_resamples=200).p_value < 0.05
    assert claimed <= 6  # 2 are expected


@pytest.mark.parametrize("given", [([], []), (["a"], ["a", "b"])])
def test_sides_of_different_lengths_are_refused(given: tuple[list[str], list[str]]) -> None:
    translations, references = given
    message = f"^{len(translations)} translations and {len(references)} references: give as many, and one at least\\.$"
    with pytest.raises(UsageError, match=message):
        bleu(translations, references)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^metric is 'ter'; allowed: bleu, chrf\.$"):
        compare_translations(TRANSLATIONS, TRANSLATIONS, REFERENCES, metric="ter")  # pyright: ignore[reportArgumentType]

"""Linear classifiers on words: against counting by hand, and what they can and cannot learn."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from etude.data import load
from etude.errors import UsageError
from etude.metrics.bag_of_words import WORD, naive_bayes, nbsvm

TRAIN = ["Good film !", "a good , good plot", "bad film", "so bad , a mess"]
LABELS = np.array([1, 1, 0, 0])


def words(text: str) -> list[str]:
    return re.findall(WORD, text.lower())


def by_counting(train: Sequence[str], labels: np.ndarray, text: str) -> int:
    """The class by naive Bayes: log p(class) + Σ log p(word | class), over the different words of the text."""
    vocabulary = {word for each in train for word in words(each)}
    scores = []
    for label in sorted(set(labels.tolist())):
        counts = Counter(
            word for each, of in zip(train, labels, strict=True) if of == label for word in set(words(each))
        )
        total = sum(counts.values()) + len(vocabulary)
        prior = math.log((labels == label).mean())
        known = set(words(text)) & vocabulary
        scores.append(prior + sum(math.log((counts[word] + 1) / total) for word in known))
    return int(np.argmax(scores))


@pytest.fixture(scope="module")
def opinions() -> tuple[list[str], np.ndarray, list[str], np.ndarray]:
    dataset = load("opinions")
    train, test = dataset.train, dataset.test
    return list(train.texts["text"]), train.labels.numpy(), list(test.texts["text"]), test.labels.numpy()


def test_naive_bayes_counts_words(opinions: tuple[list[str], np.ndarray, list[str], np.ndarray]) -> None:
    assert naive_bayes(TRAIN, LABELS, ["a good mess", "bad !", "unheard"]).tolist() == [
        by_counting(TRAIN, LABELS, text) for text in ("a good mess", "bad !", "unheard")
    ]
    train, labels, texts, _ = opinions
    skewed = np.concatenate([np.arange(100), np.flatnonzero(labels == 1)[100:200]])
    expected = [by_counting([train[row] for row in skewed], labels[skewed], text) for text in texts[:200]]
    assert naive_bayes([train[row] for row in skewed], labels[skewed], texts[:200]).tolist() == expected


def test_pairs_of_words_tell_what_words_alone_cannot() -> None:
    train = ["good", "not bad", "bad", "not good"] * 5
    labels = np.array([1, 1, 0, 0] * 5)
    assert nbsvm(train, labels, ["not bad", "not good"]).tolist() == [1, 0]
    # Each word is as frequent in both classes, so words by themselves say nothing.
    assert len(set(naive_bayes(train, labels, ["not bad", "not good", "good", "bad"]).tolist())) == 1


@pytest.mark.parametrize(("c", "beta"), [(1.0, 0.25), (0.1, 0.0), (0.03, 1.0)])
def test_nbsvm_follows_its_equations(
    opinions: tuple[list[str], np.ndarray, list[str], np.ndarray], c: float, beta: float
) -> None:
    """Written out with dense features."""
    train, labels, texts = opinions[0][:200], opinions[1][:200], opinions[2][:100]

    def grams(text: str) -> set[tuple[str, ...]]:
        found = words(text)
        return {(word,) for word in found} | set(pairwise(found))

    order = sorted({gram for text in train for gram in grams(text)})
    seen, asked = (
        np.array([[float(gram in grams(text)) for gram in order] for text in each]) for each in (train, texts)
    )
    p, q = (1 + seen[labels == label].sum(axis=0) for label in (1, 0))
    ratio = np.log((p / p.sum()) / (q / q.sum()))
    machine: Any = LinearSVC(C=c, random_state=0, max_iter=10_000).fit(seen * ratio, labels)
    own = machine.coef_[0]
    weights = (1 - beta) * np.abs(own).mean() + beta * own
    margins = (asked * ratio) @ weights + machine.intercept_[0]
    clear = np.abs(margins) > 1e-3  # the machine's solver stops within that
    assert clear.mean() > 0.95
    assert nbsvm(train, labels, texts, c=c, beta=beta)[clear].tolist() == (margins > 0).astype(int)[clear].tolist()


def test_three_classes_are_told_apart_and_two_names_of_two_do_not_matter() -> None:
    train = ["red apple", "red cherry", "blue sea", "blue sky", "green leaf", "green grass"]
    labels = np.array([0, 0, 1, 1, 2, 2])
    asked = ["a red leaf of red", "blue", "green grass"]
    assert nbsvm(train, labels, asked).tolist() == [0, 1, 2]
    assert naive_bayes(train, labels, asked).tolist() == [0, 1, 2]
    two = labels < 2
    texts = [text for text, kept in zip(train, two, strict=True) if kept]
    assert nbsvm(texts, labels[two], ["red"]).tolist() == [0]
    assert nbsvm(texts, 1 - labels[two], ["red"]).tolist() == [1]


@pytest.mark.parametrize("classify", [naive_bayes, nbsvm])
def test_what_cannot_be_learned_is_said(classify: object) -> None:
    assert callable(classify)
    with pytest.raises(UsageError, match=re.escape("4 texts and 3 labels: give one label for each text.")):
        classify(TRAIN, LABELS[:3], ["x"])
    with pytest.raises(UsageError, match=re.escape("all texts have one class: give texts of two or more.")):
        classify(TRAIN, np.zeros(4, dtype=int), ["x"])

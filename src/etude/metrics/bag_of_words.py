"""Linear classifiers that know which words a text has and not their order: what a network for sentences has to beat.

Words are those of the regular expression `\\w+|[^\\w\\s]`, lower-cased. A feature is 1 where a word, or a pair of words
that follow one another, occurs in a text.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from etude.errors import UsageError

WORD = r"\w+|[^\w\s]"


def naive_bayes(train: Sequence[str], labels: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """The classes (M,) of texts by multinomial naive Bayes on words, learned from training texts and labels (N,).

    With a smoothing of 1, as in Wang and Manning 2012, "Baselines and bigrams". Labels are whole numbers from 0.
    """
    from sklearn.naive_bayes import MultinomialNB

    seen, asked = _features(train, labels, texts, most_words=1)
    return MultinomialNB(alpha=1.0).fit(seen, labels).predict(asked)


def nbsvm(
    train: Sequence[str], labels: np.ndarray, texts: Sequence[str], *, c: float = 1.0, beta: float = 0.25
) -> np.ndarray:
    """The classes (M,) of texts by NBSVM on words and pairs of words (Wang and Manning 2012, equations 3 to 7).

    A linear support vector machine whose features are scaled by the log-ratio of naive Bayes, its weights then moved
    towards their mean magnitude: (1 − β) mean |w| + β w. `c` is the weight of its errors, above 0. More than two
    classes are told apart by one machine for each, against the others.
    """
    from sklearn.svm import LinearSVC

    seen, asked = _features(train, labels, texts, most_words=2)
    classes = np.unique(labels)
    scores = []
    for each in classes[-1:] if len(classes) == 2 else classes:
        of_class = labels == each
        ratio = _log_share(seen[of_class]) - _log_share(seen[~of_class])  # (F,)
        machine: Any = LinearSVC(C=c, random_state=0, max_iter=10_000).fit(seen.multiply(ratio).tocsr(), of_class)
        weights = machine.coef_[0]
        weights = (1 - beta) * np.abs(weights).mean() + beta * weights
        scores.append(asked @ (ratio * weights) + machine.intercept_[0])
    if len(classes) == 2:
        return classes[(scores[0] > 0).astype(int)]
    return classes[np.argmax(scores, axis=0)]


def _log_share(features: Any) -> np.ndarray:
    """The logarithm of each feature's share of all in some texts (N, F), with a smoothing of 1: (F,)."""
    counts = 1.0 + np.asarray(features.sum(axis=0)).ravel()
    return np.log(counts / counts.sum())


def _features(train: Sequence[str], labels: np.ndarray, texts: Sequence[str], *, most_words: int) -> tuple[Any, Any]:
    """Sparse features of the training texts (N, F) and of the others (M, F)."""
    from sklearn.feature_extraction.text import CountVectorizer

    if len(train) != len(labels):
        raise UsageError(f"{len(train):,} texts and {len(labels):,} labels: give one label for each text.")
    if len(np.unique(labels)) < 2:
        raise UsageError("all texts have one class: give texts of two or more.")
    counter = CountVectorizer(token_pattern=WORD, ngram_range=(1, most_words), binary=True)
    return counter.fit_transform(train), counter.transform(texts)

"""Texts given in Python: sentences with labels, sentences with translations, or one long text."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from etude.data.arrays import Parts
from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.data.reading import Reading
from etude.data.text.pairs import Pairs, make_pairs
from etude.data.text.running import make_running
from etude.data.text.sentences import Labelled, make_tokens
from etude.errors import UsageError


def are_texts(given: Any) -> bool:
    """Whether it is a text, or a list, an array or a series whose first item is a text."""
    if isinstance(given, str):
        return True
    if not isinstance(given, Sequence | np.ndarray) and not hasattr(given, "to_numpy"):
        return False
    return isinstance(next(iter(given), None), str)


def read_texts(
    x: Any,
    y: Any,
    *,
    test: Any,
    validation: Any,
    class_names: Sequence[str] | None,
    kind: str | None,
    reading: Reading,
    array: Callable[[Any, str], np.ndarray],
    seed: int,
) -> Parts:
    """Make splits of texts that `Dataset.of` was given. `kind` is "tokens", "pairs", "text" or None.

    One text is running text. A list of texts are sentences, with labels, or with translations if `kind` is "pairs".
    `array` makes an array of labels. Raises `UsageError` if something is unclear.
    """
    reading.require_for_texts("data given in Python")
    if (kind == "text") != isinstance(x, str) and kind is not None:
        what, allowed = ("one text", "a list of them") if isinstance(x, str) else (f"a {type(x).__name__}", "one text")
        raise UsageError(f"kind is {kind!r}, and x is {what}; allowed: {allowed}.")
    given = {TRAIN: (x, y), VALIDATION: validation, TEST: test}
    given = {role: each for role, each in given.items() if each is not None}
    if isinstance(x, str):
        if y is not None:
            raise UsageError("x is one text, and y is given: leave it out, or give a list of sentences.")
        texts = {role: x if role == TRAIN else each for role, each in given.items()}
        for role, each in texts.items():
            if not isinstance(each, str):
                what = "validation" if role == VALIDATION else role
                raise UsageError(f"{what} is of type {type(each).__name__}; allowed: a text, as x is.")
        return make_running(texts, reading)
    if y is None:
        raise UsageError('y is missing: give a label for each sentence of x, or translations and kind="pairs".')
    sentences: dict[str, Any] = {}
    for role, each in given.items():
        start = {TRAIN: "", VALIDATION: "validation ", TEST: "test "}[role]
        if not isinstance(each, tuple | list) or len(each) != 2:
            raise UsageError(f"{start.strip()} is of type {type(each).__name__}; allowed: (sentences, labels).")
        first = _sentences(each[0], f"{start}x")
        if kind == "pairs":
            sentences[role] = Pairs(sources=first, targets=_sentences(each[1], f"{start}y"), name=f"{start}x")
        else:
            labels = array(each[1], f"{start}y")
            sentences[role] = Labelled(texts=first, labels=labels, name=f"{start}x", labels_name=f"{start}y")
    if kind == "pairs":
        return make_pairs(sentences, reading, seed=seed)
    return make_tokens(sentences, reading, class_names=class_names, seed=seed)


def _sentences(given: Any, name: str) -> list[str]:
    if not are_texts(given) or isinstance(given, str):
        raise UsageError(f"{name} is of type {type(given).__name__}; allowed: a list of sentences.")
    for row, each in enumerate(given):
        if not isinstance(each, str):
            raise UsageError(f"{name} holds {each!r} (example {row}); allowed: texts.")
    return [str(each).strip() for each in given]

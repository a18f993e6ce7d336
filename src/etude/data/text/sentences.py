"""Sentences with a class each, as splits of the kind `Tokens`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from etude.data.arrays import TEST_SHARE, Parts, draw
from etude.data.kinds import Tokens
from etude.data.labels import read_labels
from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.data.reading import Reading
from etude.data.split import Split
from etude.data.text.vocabulary import learn
from etude.errors import UsageError

MOST_TOKENS = 256
"""The default for the most tokens of a sentence; the rest is cut."""
VALIDATION_SHARE = 0.1
"""The share of the sentences that are not for testing."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Sentences and their labels, with the names that errors use for them; final."""

    texts: Sequence[str]
    labels: Sequence[str] | np.ndarray
    name: str
    labels_name: str


def make_tokens(
    given: Mapping[str, Labelled],
    reading: Reading,
    *,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Parts:
    """Make splits of sentences. `given` has those to train on, and may have others for validation and testing.

    Without test sentences, a fifth of each class is drawn for testing with `seed`. Without validation sentences, a
    tenth of the rest is drawn. The vocabulary is learned from the sentences that train, and no others. Sentences are
    cut after `max_tokens` tokens. Raises `UsageError` if there is only one class, or an empty sentence.
    """
    told = list(notes)
    for each in given.values():
        _require_texts(each)
    arrays = {each.labels_name: np.asarray(each.labels) for each in given.values()}
    numbers, names = read_labels(arrays, class_names, told)
    if len(names) < 2:
        raise UsageError(
            f"{given[TRAIN].labels_name} holds one class, {next(iter(names))!r}; give sentences of two or more."
        )
    texts = {role: list(each.texts) for role, each in given.items()}
    labels = {role: torch.from_numpy(numbers[each.labels_name]) for role, each in given.items()}
    _add_splits(texts, labels, given[TRAIN].name, seed, told)
    vocabulary = learn(
        texts[TRAIN],
        tokenizer=reading.tokenizer or "words",
        lower=True if reading.lower is None else reading.lower,
        vocabulary_size=reading.vocabulary_size,
        min_count=reading.min_count,
    )
    rows = {role: [vocabulary.encode(text) for text in each] for role, each in texts.items()}
    lengths = [len(row) for each in rows.values() for row in each]
    most = reading.max_tokens or MOST_TOKENS
    if cut := sum(length > most for length in lengths):
        told.append(f"{cut:,} of {len(lengths):,} sentences have more than {most:,} tokens: cut after them")
    kind = Tokens(length=min(most, max(lengths)), class_names=names, vocabulary=vocabulary)
    splits = {
        role: Split({"text": each}, tokens=kind.padded(rows[role]), labels=labels[role]) for role, each in texts.items()
    }
    return Parts(
        kind=kind,
        train=splits[TRAIN],
        validation=splits.get(VALIDATION),
        test=splits[TEST],
        notes=tuple(told),
    )


def _add_splits(
    texts: dict[str, list[str]], labels: dict[str, torch.Tensor], name: str, seed: int, told: list[str]
) -> None:
    """Move sentences from the training split to splits that are missing."""
    for role, share, words in ((TEST, TEST_SHARE, "a fifth"), (VALIDATION, VALIDATION_SHARE, "a tenth of the rest")):
        if role in texts:
            continue
        kept, drawn = draw(labels[TRAIN], share, seed)
        if not len(drawn) and role == TEST:
            raise UsageError(f"{name} holds one sentence of each class; give two or more.")
        if len(drawn):
            doing = "test" if role == TEST else "validate"
            told.append(f"no sentences to {doing} on: {words} of each class, {len(drawn):,} in all, is drawn for that")
            texts |= {role: [texts[TRAIN][row] for row in drawn], TRAIN: [texts[TRAIN][row] for row in kept]}
            labels |= {role: labels[TRAIN][drawn], TRAIN: labels[TRAIN][kept]}


def _require_texts(given: Labelled) -> None:
    if not len(given.texts):
        raise UsageError(f"{given.name} holds no sentences.")
    if len(given.texts) != len(given.labels):
        raise UsageError(
            f"{given.name} has {len(given.texts):,} sentences and {len(given.labels):,} labels: give one for each "
            "sentence."
        )
    for row, text in enumerate(given.texts):
        if not text.strip():
            raise UsageError(f"{given.name} holds an empty sentence (example {row}): write one, or leave it out.")

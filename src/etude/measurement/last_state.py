"""What the last state of a translator's encoder knows: a decoder without attention is told nothing else.

A linear probe reads the sentence's length and its words from the state (Adi et al. 2017, "Fine-grained analysis of
sentence embeddings using auxiliary prediction tasks").
"""

from typing import Any

import numpy as np
import torch

from etude.data import Split
from etude.data.text.vocabulary import EOS, PAD
from etude.errors import UsageError
from etude.measurement.results import Result
from etude.measurement.subject import Subject
from etude.metrics.probes import ridge_probe
from etude.streams import stream

NUM_WORDS, MOST_FREQUENT = 100, 0.1
"""Words that are probed for: the most frequent ones that at most a tenth of the training sentences have."""
MOST_FITTED = 5_000
"""Training sentences that a probe is fitted on."""


def length(subject: Subject) -> dict[str, Any]:
    """R² of the number of source tokens, read from the last state: 1 if it tells it exactly, 0 if it does not help."""
    fit, measured = _splits(subject)
    given, wanted = ((split["source"] != PAD).sum(1).double().numpy() for split in (fit, measured))
    read = ridge_probe(*_states(subject, fit, measured), targets=given[:, None])[:, 0]
    if not wanted.var():
        raise UsageError("length_probe needs sentences of more than one length.")
    return {**_result(fit, measured, 1 - float(((read - wanted) ** 2).mean() / wanted.var())), "floor": 0.0}


def words(subject: Subject) -> dict[str, Any]:
    """Which words a sentence has, read from its last state: the mean area under the ROC curve of several words.

    That is how often a sentence with the word scores above one without it: 0.5 by chance, 1 always.
    """
    fit, measured = _splits(subject)
    num_words = len(subject.translator.kind.source_vocabulary)
    given, wanted = (_bags(split, num_words) for split in (fit, measured))
    shares = given.mean(axis=0)
    shares[(shares > MOST_FREQUENT) | (wanted.sum(axis=0) == 0) | (wanted.sum(axis=0) == len(wanted))] = 0
    shares[: EOS + 1] = 0
    chosen = np.argsort(-shares, kind="stable")[: min(NUM_WORDS, int((shares > 0).sum()))]
    if not len(chosen):
        raise UsageError("word_probe needs words that some sentences have and others have not: measure more of them.")
    read = ridge_probe(*_states(subject, fit, measured), targets=given[:, chosen])
    areas = [_area(read[:, number], wanted[:, word] > 0) for number, word in enumerate(chosen)]
    return {**_result(fit, measured, float(np.mean(areas))), "floor": 0.5, "num_words": len(chosen)}


def about_length(result: Result) -> str:
    """What the number is."""
    return f"R², read from the encoder's last state by a probe fitted on {result['num_train']:,} training sentences"


def about_words(result: Result) -> str:
    """What the number is."""
    return f"area under the ROC curve, mean of {result['num_words']} words, read from the encoder's last state"


def _splits(subject: Subject) -> tuple[Split, Split]:
    """Training sentences to fit the probe on, and those that are measured."""
    train = subject.splits.train
    order = torch.randperm(len(train), generator=stream(subject.settings.seed, "measure/probe"))
    return train.take(order[:MOST_FITTED]), subject.measured


def _states(subject: Subject, *splits: Split) -> list[np.ndarray]:
    """The encoder's last state on each split, (N, D)."""
    found = [subject.translator.last_states(split["source"]) for split in splits]
    if any(states is None for states in found):
        raise UsageError(
            f"run {subject.run.name} has no last state to probe: its decoder always looks at all source tokens."
        )
    return [states.double().numpy() for states in found if states is not None]


def _bags(split: Split, num_words: int) -> np.ndarray:
    """1 where a sentence has the word, (N, num_words)."""
    source = split["source"]
    return torch.zeros(len(source), num_words, dtype=torch.float64).scatter_(1, source, 1.0).numpy()


def _area(scores: np.ndarray, present: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score  # imported here: it costs every command over a second

    return float(roc_auc_score(present, scores))


def _result(fit: Split, measured: Split, value: float) -> dict[str, Any]:
    return {"value": value, "num_samples": len(measured), "num_train": len(fit)}

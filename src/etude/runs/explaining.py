"""Which words of a sentence moved a classifier's decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast, get_args

import torch

from etude.data.kinds import Tokens
from etude.errors import UsageError, unknown
from etude.families.abilities import By, Explains
from etude.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A sentence, what a classifier makes of it, and how much each of its words moved that; final."""

    text: str
    words: tuple[str, ...]
    """The tokens that the network read."""
    known: tuple[bool, ...]
    """Whether each is in the vocabulary; the others were read as <unk>."""
    scores: tuple[float, ...]
    """What each adds to the log-odds of `label`, log p / (1 − p), in nats; below 0 where it speaks against it."""
    label: int
    """The class that the scores speak for."""
    probabilities: tuple[float, ...]
    """Of every class."""

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return self.probabilities.index(max(self.probabilities))


def explain(
    run: Run, texts: str | Sequence[str], *, by: By = "gradient", label: int | str | None = None
) -> list[Explained]:
    """Which words of sentences moved the decision of a run's classifier, and how much.

    The scores are of the log-odds of a class: the predicted one, or that of `label`, its name or index. `by` is
    gradient, for gradient times input, or occlusion, for the change when <unk> takes a word's place. Raises
    `UsageError` if the run is not of a classifier of sentences, or its network has no gradient of a word.
    """
    if by not in get_args(By):
        raise unknown("--by", str(by), get_args(By))
    if not run.can(Explains) or not isinstance(run.kind, Tokens):
        raise UsageError(f"run {run.name} is of a {run.recipe.name} and reads no sentences: choose a sentiment-lstm.")
    texts = [texts] if isinstance(texts, str) else list(texts)
    tokens = run.inputs(texts)
    probabilities = run.classify(texts).double()
    labels = probabilities.argmax(dim=1)
    if label is not None:
        labels = torch.full_like(labels, run.label_index(label))
    scores = cast(Explains, run.trained).contributions(tokens, labels, by=by)
    found = []
    for row, text in enumerate(texts):
        words = tuple(run.kind.vocabulary.tokenizer.split(text)[: run.kind.length])
        read = slice(0, len(words))
        found.append(
            Explained(
                text=text,
                words=words,
                known=tuple((tokens[row, read] != run.kind.vocabulary.unknown).tolist()),
                scores=tuple(scores[row, read].double().tolist()),
                label=int(labels[row]),
                probabilities=tuple(probabilities[row].tolist()),
            )
        )
    return found

"""How a classifier of sentences trains: batches of like lengths, some tokens unknown, cross-entropy."""

import torch
from torch import Tensor, nn

from etude.compute import Execution
from etude.data import Dataset
from etude.data.text.vocabulary import UNK
from etude.families.classifier.cross_entropy import CrossEntropyLearner
from etude.families.learner import Batch, Columns
from etude.families.text.recipe import TextClassification
from etude.families.text.trained import cropped, lengths_of
from etude.models.text_classifiers import PAD
from etude.streams import stream

EAGER = "its batches differ in length"
"""Why steps are computed one operation after another."""


class TextLearner(CrossEntropyLearner[TextClassification]):
    """Cross-entropy training on sentences; final."""

    def __init__(
        self, recipe: TextClassification, networks: dict[str, nn.Module], dataset: Dataset, execution: Execution
    ) -> None:
        super().__init__(recipe, networks, dataset, execution)
        self.label_smoothing = recipe.label_smoothing
        if recipe.word_dropout:
            self.streams = {"words": stream(recipe.seed, "words", device=self.device)}

    def epoch(self, rows: Tensor, train: Columns, epoch: int) -> Tensor:
        """Steps of sentences with like lengths, in random order: (steps, batch)."""
        generator, size = stream(self.recipe.seed, f"order/{epoch}"), self.recipe.batch_size
        rows = rows[torch.randperm(len(rows), generator=generator)][: len(rows) // size * size]
        lengths = lengths_of(train["tokens"]).cpu()[rows]
        steps = rows[lengths.argsort(stable=True)].view(-1, size)
        return steps[torch.randperm(len(steps), generator=generator)]

    def draws(self) -> Batch:
        """Which tokens become unknown, (batch, L)."""
        if not (share := self.recipe.word_dropout):
            return {}
        size = (self.recipe.batch_size, *self.kind.shape)
        return {"unknown": torch.rand(size, generator=self.streams["words"], device=self.device) < share}

    def batch(self, train: Columns, rows: Tensor, draws: Batch) -> Batch:
        """Tokens (batch, L), cut to the longest sentence of the step, and labels."""
        tokens = cropped(train["tokens"][rows])
        if "unknown" in draws:
            unknown = draws["unknown"][:, : tokens.shape[1]] & (tokens != PAD)
            tokens = torch.where(unknown, UNK, tokens)
        return {"tokens": tokens, "labels": train["labels"][rows]}

    def predicted(self, inputs: Tensor) -> Tensor:
        """See `CrossEntropyLearner`."""
        return self.evaluated(cropped(inputs))

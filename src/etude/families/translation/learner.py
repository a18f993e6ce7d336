"""How a translator trains: cross-entropy of the next token, on batches of sentences of like lengths."""

import torch
from torch import Tensor, nn

from etude.compute import Execution
from etude.data import Dataset, Split, TokenPairs
from etude.data.text.vocabulary import PAD
from etude.families.descent import Descent, Losses, Networks
from etude.families.learner import Batch, Columns, Learner
from etude.families.preview import Text
from etude.families.translation.recipe import Translation
from etude.families.translation.trained import TrainedTranslator
from etude.families.translation.translator import lengths_of
from etude.losses import sequence_cross_entropy
from etude.metrics import bleu, chrf
from etude.metrics.arguments import evaluating
from etude.streams import stream

NUM_PREVIEWS = 3


class TranslationLearner(Learner[Translation]):
    """Cross-entropy training of one translator; final.

    With a running average of the weights, that is what is evaluated.
    """

    loss_names = ("loss",)
    best_by = "validation/loss"

    def __init__(
        self, recipe: Translation, networks: dict[str, nn.Module], dataset: Dataset, execution: Execution
    ) -> None:
        super().__init__(recipe, networks, dataset, execution)
        assert isinstance(self.kind, TokenPairs)
        self.most_tokens = self.kind.target_length
        self.trained = TrainedTranslator(recipe, networks, self.kind)
        self.name = next(name for name in networks if name != "average")
        if "average" in networks:
            del self.optimizers["average"]
            self.averages = {"average": self.name}
        if recipe.teacher_forcing < 1:
            self.streams["forced"] = stream(recipe.seed, "forced", device=self.device)
        if recipe.dropout:
            self.own_draws = self.streams["network"] = stream(recipe.seed, "network")
        self.shown = dataset.test.take(torch.arange(min(len(dataset.test), NUM_PREVIEWS)))

    def epoch(self, rows: Tensor, train: Columns, epoch: int) -> Tensor:
        """Steps of sentences whose sources, and then targets, are of like lengths; the steps in random order.

        Which sentences of one length come together is drawn for each epoch.
        """
        generator, size = stream(self.recipe.seed, f"order/{epoch}"), self.recipe.batch_size
        rows = rows[torch.randperm(len(rows), generator=generator)][: len(rows) // size * size]
        source, target = (lengths_of(train[name][rows]).cpu() for name in ("source", "target"))
        rows = rows[(source * (self.most_tokens + 1) + target).argsort(stable=True)].view(-1, size)
        return rows[torch.randperm(len(rows), generator=generator)]

    def draws(self) -> Batch:
        """Whether the decoder is told each token, (batch, T); nothing where it is told all."""
        if self.recipe.teacher_forcing == 1:
            return {}
        size = (self.recipe.batch_size, self.most_tokens)
        chances = torch.rand(size, generator=self.streams["forced"], device=self.device)
        return {"forced": chances < self.recipe.teacher_forcing}

    def batch(self, train: Columns, rows: Tensor, draws: Batch) -> Batch:
        """Sources (batch, S) and targets (batch, T), each cut to the longest of the step."""
        source, target = train["source"][rows], train["target"][rows]
        source, target = (tokens[:, : int(lengths_of(tokens).max())] for tokens in (source, target))
        forced = {name: value[:, : target.shape[1] - 1] for name, value in draws.items()}
        return {"source": source, "target": target, **forced}

    def step(self, batch: Batch, descend: Descent) -> Losses:
        """One gradient step on the cross-entropy of a batch."""
        target_in, target_out = batch["target"][:, :-1], batch["target"][:, 1:]

        def losses(networks: Networks) -> Losses:
            with self.autocast():
                logits = networks[self.name](batch["source"], target_in, batch.get("forced"))  # (batch, T − 1, V)
            smoothing = self.recipe.label_smoothing
            return {"loss": sequence_cross_entropy(logits, target_out, padding=PAD, label_smoothing=smoothing)}

        return descend(self.name, losses)

    def evaluate_epoch(self, validation: Split, test: Split) -> dict[str, float]:
        """The validation examples' loss without label smoothing, and the rest of it; BLEU by the most likely tokens."""
        return self._evaluated("validation", validation, beam=1) if len(validation) else {}

    def evaluate_end(self, test: Split) -> dict[str, float]:
        """The same of the test split, with the recipe's beam."""
        return self._evaluated("test", test, beam=self.recipe.beam)

    def _evaluated(self, name: str, split: Split, *, beam: int) -> dict[str, float]:
        with evaluating(self.trained.network):
            scores = self.trained.token_scores(split["source"], split["target"])
            written = self.trained.written(split["source"], beam=beam)
        references = split.texts["target"]
        return {
            f"{name}/loss": scores.mean_nats,
            f"{name}/perplexity": scores.perplexity,
            f"{name}/token_accuracy": scores.accuracy,
            f"{name}/bleu": bleu(written, references).value,
            f"{name}/chrf": chrf(written, references).value,
        }

    def preview(self) -> Text:
        """Test sentences, their reference and their translation."""
        with evaluating(self.trained.network):
            written = self.trained.written(self.shown["source"], beam=1)
        texts = self.shown.texts
        lines = [
            f"{name:<13}{text}"
            for shown in zip(texts["source"], texts["target"], written, strict=True)
            for name, text in (*zip(("source", "reference", "translation"), shown, strict=True), ("", ""))
        ]
        return Text(tuple(line.rstrip() for line in lines[:-1]))

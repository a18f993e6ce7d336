"""How a language model trains: truncated backpropagation through time over the columns of a text."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from etude.compute import Execution
from etude.data import Dataset, RunningText, Split
from etude.families.descent import Descent, Losses, Networks
from etude.families.language.chunks import columns, read, read_on, tell
from etude.families.language.recipe import Language
from etude.families.language.writing import continued
from etude.families.learner import Batch, Columns, Learner
from etude.families.preview import Preview, Text
from etude.streams import stream

CHUNKS_BEFORE = 15
"""Chunks through which a gradient goes on that is never cut: more of them would need more memory and time."""
PREVIEW_SYMBOLS, PREVIEW_TEMPERATURE = 400, 0.8


class LanguageLearner(Learner[Language]):
    """Cross-entropy of each next symbol, one gradient step per chunk of all columns (Williams and Peng 1990); final.

    With a running average of the weights, that is what is evaluated and writes.
    """

    loss_names = ("loss",)
    best_by = "validation/nats_per_character"

    def __init__(
        self, recipe: Language, networks: dict[str, nn.Module], dataset: Dataset, execution: Execution
    ) -> None:
        super().__init__(recipe, networks, dataset, execution)
        assert isinstance(self.kind, RunningText)
        self.text = self.kind
        (self.name,) = networks.keys() - {"average"}
        if "average" in networks:
            del self.optimizers["average"]
            self.averages = {"average": self.name}
        self.evaluated = networks.get("average", networks[self.name])
        if recipe.loss_on == "answer":
            self.share_of_answers = dataset.train["answers"].float().mean().item()
        self.state = self._beginning()

    def _beginning(self) -> dict[str, Tensor]:
        """The state of zeros, and no chunks before the first one."""
        network, size = self.networks[self.name], self.recipe.batch_size
        network.eval()
        with torch.no_grad():
            _, state = network(torch.zeros(size, 1, dtype=torch.int64, device=self.device))
        network.train()
        leaves, self.structure = tree_flatten(state)
        self.carried = [f"state/{number}" if isinstance(each, Tensor) else "" for number, each in enumerate(leaves)]
        found = {name: torch.zeros_like(each) for name, each in zip(self.carried, leaves, strict=True) if name}
        if self.recipe.detach == "never":
            length = CHUNKS_BEFORE * self.recipe.bptt
            found["before"] = torch.zeros(size, length, dtype=torch.int64, device=self.device)
            found["there"] = torch.zeros(CHUNKS_BEFORE, device=self.device)
        return found

    def epoch(self, rows: Tensor, train: Columns, epoch: int) -> Tensor:
        """A chunk of each column in each step, (steps, columns · chunk): in the order of the text, in every epoch.

        A row plus the number of all means that row with a state of zeros before it: at the beginning of the columns, or
        of every chunk where no state is carried.
        """
        steps = rows[columns(len(rows), self.recipe.batch_size, self.recipe.bptt)]
        steps[0 if self.recipe.carry_state == "on" else slice(None)] += len(train[self.text.column])
        return steps

    def batch(self, train: Columns, rows: Tensor, draws: Batch) -> Batch:
        """Columns (columns, chunk) of the text, and `goes_on` (), which is 0 where they begin with a state of zeros."""
        num_symbols, chunk = len(train[self.text.column]), self.recipe.bptt
        goes_on, rows = (rows[0] < num_symbols).float(), rows % num_symbols
        return {**{name: each[rows].view(-1, chunk) for name, each in train.items()}, "goes_on": goes_on, **draws}

    def step(self, batch: Batch, descend: Descent) -> Losses:
        """One gradient step on the cross-entropy of a chunk of all columns."""
        recipe, symbols = self.recipe, batch["symbols"]
        leaves = [batch[name] * batch["goes_on"] if name else None for name in self.carried]
        state = tree_unflatten(leaves, self.structure)

        def losses(networks: Networks) -> Losses:
            network = networks[self.name]
            with self.autocast():
                if recipe.detach == "never":
                    before, there = batch["before"].split(recipe.bptt, dim=1), batch["there"] * batch["goes_on"]
                    scores, after = read_on(network, before, there, symbols, state)
                else:
                    scores, after = read(network, symbols, state, cut_each_step=recipe.detach == "step")
            nats = cross_entropy(scores.float().flatten(0, 1), batch["targets"].flatten(), reduction="none")
            if recipe.loss_on == "answer":
                nats = nats * batch["answers"].flatten() / self.share_of_answers
            named = zip(self.carried, tree_leaves(after), strict=True)
            return {"loss": nats.mean(), **{name: each for name, each in named if name}}

        values = descend(self.name, losses)
        for name in filter(None, self.carried):
            batch[name].copy_(values[name])
        if recipe.detach == "never":
            there = torch.cat([batch["there"][1:] * batch["goes_on"], torch.ones_like(batch["there"][:1])])
            batch["there"].copy_(there)
            batch["before"].copy_(torch.cat([batch["before"], symbols], dim=1)[:, recipe.bptt :])
        return {"loss": values["loss"]}

    def evaluate_epoch(self, validation: Split, test: Split) -> dict[str, float]:
        """How well the whole validation text is told; the test text waits for the end."""
        return self._evaluated("validation", validation) if len(validation) else {}

    def evaluate_end(self, test: Split) -> dict[str, float]:
        """The same of the test text."""
        return self._evaluated("test", test)

    def _evaluated(self, name: str, split: Split) -> dict[str, float]:
        self.evaluated.eval()
        told = tell(self.evaluated, split, chunk=self.recipe.bptt, carry=self.recipe.carry_state == "on")
        self.evaluated.train()
        num_characters, num_bytes = self.text.lengths(split["targets"])[told.rows].sum(dim=0).tolist()
        total, mean = told.nats.sum().item(), told.nats.mean().item()
        return {
            f"{name}/loss": mean,
            f"{name}/nats_per_character": total / num_characters,
            f"{name}/bits_per_byte": total / num_bytes / math.log(2),
            f"{name}/perplexity": told.nats.mean().exp().item(),
            f"{name}/accuracy": told.right.double().mean().item(),
        }

    def preview(self) -> Preview | None:
        """A text that the network writes, where the next symbol is what it learns to tell."""
        if self.text.asks:
            return None
        self.evaluated.eval()
        generator = stream(self.recipe.seed, "preview", device=self.device)
        text = continued(
            self.evaluated,
            self.text.vocabulary,
            "",
            PREVIEW_SYMBOLS,
            temperature=PREVIEW_TEMPERATURE,
            generator=generator,
            chunk=self.recipe.bptt,
        )
        self.evaluated.train()
        return Text(tuple(text.split("\n")))

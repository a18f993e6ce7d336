"""Does self-attention know the order of what it reads?"""

from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from etude.drawing.evidence import intervals
from etude.families.ranges import Range
from etude.models.attention import MultiHeadAttention
from etude.models.transformer import SinusoidalPositions
from etude.streams import global_stream, stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, measured, ruled
from etude.studies.pictures import bars

WAYS = ("self-attention", "self-attention with positions", "causal self-attention", "GRU")
MOVED = "change of the outputs by shuffling, {}"
TOLD = "accuracy of the order of two words, {}"
DIM, HEADS = 16, 2
KNOWS = 0.9
ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class SelfAttentionQueries(Repeated):
    """Networks that must tell whether the word A or the word B comes first among others."""

    words: Annotated[int, Range(2, 1000)] = 10
    """Words of a sentence."""
    vocabulary: Annotated[int, Range(3, 1000)] = 8
    """Different words."""
    steps: Annotated[int, Range(1, 100_000)] = 400
    """Steps of Adam on 64 new sentences each."""


class Reader(nn.Module):
    """Tokens (N, T) to vectors (N, T, dim) in one of the ways, and their mean to a score (N,)."""

    def __init__(self, vocabulary: int, way: str) -> None:
        super().__init__()
        self.way = way
        self.embedding = nn.Embedding(vocabulary, DIM)
        self.attention, self.positions = MultiHeadAttention(DIM, HEADS), SinusoidalPositions()
        self.gru = nn.GRU(DIM, DIM, batch_first=True)
        self.hidden, self.score = nn.Linear(DIM, DIM), nn.Linear(DIM, 1)

    def read(self, vectors: Tensor) -> Tensor:
        """Vectors (N, T, dim) that have seen each other."""
        if self.way == "GRU":
            return self.gru(vectors)[0]
        if self.way == "self-attention with positions":
            vectors = self.positions(vectors)
        return vectors + self.attention(vectors, causal=self.way == "causal self-attention")

    def forward(self, tokens: Tensor) -> Tensor:
        """The score of "A comes first"."""
        return self.score(torch.relu(self.hidden(self.read(self.embedding(tokens)))).mean(1))[:, 0]


def sentences(design: SelfAttentionQueries, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sentences (N, T) with one word 0 and one word 1 at drawn places, and whether 0 comes first (N,)."""
    tokens = torch.randint(2, design.vocabulary, (count, design.words), generator=generator)
    places = torch.rand(count, design.words, generator=generator).argsort(1)[:, :2]  # (N, 2)
    tokens.scatter_(1, places, torch.tensor([0, 1]).expand(count, 2))
    return tokens, (places[:, 0] < places[:, 1]).float()


@torch.no_grad()
def moved(network: Reader, tokens: Tensor, generator: torch.Generator) -> float:
    """Change of the outputs, over their size, if inputs are shuffled and outputs put back; rounding counts as 0."""
    vectors, order = network.embedding(tokens), torch.randperm(tokens.shape[1], generator=generator)
    straight, shuffled = network.read(vectors), network.read(vectors[:, order])
    change = float((shuffled - straight[:, order]).norm() / straight.norm())
    return 0.0 if change < ROUNDING else change


def trained(design: SelfAttentionQueries, way: str, seed: int) -> tuple[float, float]:
    """What shuffling changes before training, and the accuracy on new sentences after it."""
    with global_stream(seed, f"weights/{way}"):
        network = Reader(design.vocabulary, way).double()
    generator = stream(seed, "sentences")
    test, wanted = sentences(design, 1000, generator)
    change = moved(network, test[:100], generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(design.steps):
        tokens, first = sentences(design, 64, generator)
        loss = nn.functional.binary_cross_entropy_with_logits(network(tokens), first.double())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return change, float(((network(test) > 0) == (wanted > 0)).double().mean())


def experiment(design: SelfAttentionQueries, lab: Lab) -> Findings:
    """Shuffle inputs, then train each to tell the order of two words."""
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for seed in lab.each(design.each_seed, "seeds"):
        for way in WAYS:
            found[way].append(trained(design, way, seed))
    changes = [measured(MOVED.format(way), [each[0] for each in found[way]]) for way in WAYS]
    told = [measured(TOLD.format(way), [each[1] for each in found[way]]) for way in WAYS]
    return Findings((*changes, *told))


def judge(found: Findings) -> Ruling:
    """The claim holds if self-attention alone tells the order of two words right in more than 0.9 of the sentences."""
    alone, told = found[MOVED.format(WAYS[0])], [found[TOLD.format(way)] for way in WAYS]
    return ruled(
        above(told[0], KNOWS),
        f"if the inputs are shuffled and the outputs put back, those of self-attention change by {alone.value:.2g} of "
        f"their size; it tells which of two words comes first in {told[0].value:.0%} of the sentences, with positions "
        f"in {told[1].value:.0%}, causal in {told[2].value:.0%}, a GRU in {told[3].value:.0%}.",
    )


def draw(found: Findings) -> Figure:
    """What shuffling changes, and what each learns."""
    names = ["self-attention", "with positions", "causal", "GRU"]
    return intervals(
        bars([found[MOVED.format(way)] for way in WAYS], names=names, label="change, over the size of the outputs",
             title="inputs shuffled, outputs put back"),
        bars([found[TOLD.format(way)] for way in WAYS], names=names, label="accuracy on new sentences",
             title="which of two words comes first", level=0.5, level_means="guessing"),
        title="What a layer knows of the order of its inputs",
    )  # fmt: skip


STUDY = Study(
    name="self-attention-queries",
    topic="sequences",
    question="In self-attention, queries, keys and values come from the same words. Does it know the words' order?",
    claim="Self-attention knows the order of the words, as a recurrent network does.",
    design=SelfAttentionQueries(),
    quick={"seeds": 3, "steps": 300},
    held_fixed="one layer of width 16 (two heads), mean over the words, same sentences; float64",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "Each output is a mean of values whose weights are softmax(q · k): no index of a word occurs in it. Shuffled "
        "words therefore give the same outputs, shuffled, and a mean over them is the same number. What brings the "
        "order back are positions added to the vectors, or a mask that lets each word see only those before it."
    ),
    source="Vaswani et al. 2017, section 3.5; Lee et al. 2019, property 1",
    wrong_answer='"Yes, since the words come in a row": the formula does not see the row.',
)

"""An embedding layer against a linear layer on one-hot rows."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.models import Embedding
from etude.streams import stream
from etude.studies import Evidence, Findings, Lab, Repeated, Ruling, Study, below, every, exact, measured, ruled
from etude.studies.pictures import line

OUTPUT, GRADIENT, TRAINED = (
    "largest difference of outputs",
    "largest difference of gradients",
    "largest difference of the tables after training",
)
BYTES, SLOWER = "bytes of input per token, {}, {:,} words", "fastest step, one-hot over embedding, {:,} words"
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class EmbeddingOrOneHot(Repeated):
    """One table of vectors, used in two ways."""

    words: tuple[int, ...] = (100, 1000, 10_000)
    """Sizes of the vocabulary."""
    dim: Annotated[int, Range(1, 1000)] = 32
    """Numbers per word."""
    tokens: Annotated[int, Range(1, 100_000)] = 320
    """Tokens per step."""
    steps: Annotated[int, Range(1, 10_000)] = 20
    """Steps of gradient descent in which both tables are trained."""

    def rules(self) -> Iterator[Rule]:
        """See `Design`."""
        fit = bool(self.words) and list(self.words) == sorted(set(self.words))
        yield fit and self.words[0] >= 2 and self.words[-1] <= 50_000, "words", "numbers from 2 to 50,000, rising"


def looked_up(table: Tensor, tokens: Tensor) -> Tensor:
    """The rows of the table at tokens (N,), by étude's embedding: (N, dim)."""
    layer = Embedding(*table.shape).to(table.dtype)
    return torch.func.functional_call(layer, {"weight": table}, (tokens,))


def multiplied(table: Tensor, tokens: Tensor) -> Tensor:
    """One-hot rows (N, words) times the table (words, dim): (N, dim)."""
    return F.one_hot(tokens, len(table)).to(table.dtype) @ table


def step(table: Tensor, head: Tensor, tokens: Tensor, wanted: Tensor, way: str) -> tuple[Tensor, Tensor]:
    """Vectors of tokens (N,), and the gradient of a cross-entropy by the table."""
    vectors = (looked_up if way == "embedding" else multiplied)(table, tokens)
    (gradient,) = torch.autograd.grad(F.cross_entropy(torch.tanh(vectors) @ head, wanted), table)
    return vectors.detach(), gradient


def both(design: EmbeddingOrOneHot, words: int, seed: int) -> tuple[float, float, float, float]:
    """Train a table in both ways: differences of outputs, gradients and tables, and the ratio of the fastest steps."""
    generator = stream(seed, "embedding-or-one-hot")
    table = torch.randn(words, design.dim, generator=generator, dtype=torch.float64)
    head = torch.randn(design.dim, 10, generator=generator, dtype=torch.float64)
    tables = {way: nn.Parameter(table.clone()) for way in ("embedding", "one-hot")}
    fastest = dict.fromkeys(tables, math.inf)
    largest = [0.0, 0.0]
    for _ in range(design.steps):
        tokens, wanted = (torch.randint(n, (design.tokens,), generator=generator) for n in (words, 10))
        found = {}
        for way, each in tables.items():
            started = time.perf_counter()
            found[way] = step(each, head, tokens, wanted, way)
            fastest[way] = min(fastest[way], time.perf_counter() - started)
        for place, (one, other) in enumerate(zip(*found.values(), strict=True)):
            largest[place] = max(largest[place], float((one - other).abs().max()))
        with torch.no_grad():
            for way, each in tables.items():
                each -= found[way][1]
    apart = float((tables["embedding"] - tables["one-hot"]).detach().abs().max())
    return largest[0], largest[1], apart, fastest["one-hot"] / fastest["embedding"]


def experiment(design: EmbeddingOrOneHot, lab: Lab) -> Findings:
    """Compare both on the same tokens, for each size of the vocabulary."""
    evidence: list[Evidence] = []
    differences = []
    for words in design.words:
        rows = [both(design, words, seed) for seed in lab.each(design.each_seed, f"{words:,} words")]
        differences += rows
        evidence += [
            measured(SLOWER.format(words), [row[3] for row in rows]),
            exact(BYTES.format("embedding", words), torch.zeros((), dtype=torch.int64).element_size()),
            exact(BYTES.format("one-hot", words), words * torch.zeros((), dtype=torch.float32).element_size()),
        ]
    worst = [max(row[place] for row in differences) for place in range(3)]
    evidence[:0] = [exact(name, value) for name, value in zip((OUTPUT, GRADIENT, TRAINED), worst, strict=True)]
    return Findings(tuple(evidence), {"words": list(design.words)})


def judge(found: Findings) -> Ruling:
    """The claim holds if outputs, gradients and tables after training differ by less than 1e-9, in float64."""
    parts = [found[name] for name in (OUTPUT, GRADIENT, TRAINED)]
    words = int(found.curves["words"][-1])
    return ruled(
        every(*(below(each, ROUNDING) for each in parts)),
        f"outputs differ by at most {parts[0].value:.2g}, gradients by {parts[1].value:.2g}, tables after training by "
        f"{parts[2].value:.2g}; with {words:,} words a step with one-hot rows takes "
        f"{found[SLOWER.format(words)].value:.2g} times as long.",
    )


def draw(found: Findings) -> Figure:
    """What one-hot rows cost, by the size of the vocabulary."""
    words = found.curves["words"]
    slower = [found[SLOWER.format(int(each))] for each in words]
    sizes = [
        Line(name=name, x=words, y=[found[BYTES.format(name, int(each))].value for each in words])
        for name in ("embedding", "one-hot")
    ]
    times = line("one-hot", words, slower)
    return lines(
        Axis(lines=[times], x_label="words", x_scale="log", title="time", levels={"embedding": 1},
             y_label="fastest step, over that of an embedding"),
        Axis(lines=sizes, x_label="words", x_scale="log", y_scale="log", y_label="bytes of input per token",
             title="memory"),
        title="What one-hot rows cost; results are the same",
    )  # fmt: skip


STUDY = Study(
    name="embedding-or-one-hot",
    topic="sequences",
    question="Could one train without an embedding layer, on one-hot vectors and a linear layer instead?",
    claim="A linear layer on one-hot vectors is the same function as an embedding, with the same gradients.",
    design=EmbeddingOrOneHot(),
    quick={"seeds": 3, "words": (100, 1000)},
    held_fixed="the same table, tokens and loss for both; float64; bytes are those of int64 numbers and float32 rows",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "A one-hot row times a matrix picks one row of it, and that is what an embedding looks up. Its gradient is "
        "put into the same row, all others get zeros. So the difference is only the cost: the product multiplies "
        "zeros, one for every word of the vocabulary and every token."
    ),
    source="Goodfellow, Bengio and Courville 2016, section 12.4.2; Bengio et al. 2003",
    wrong_answer='"No, words must be embedded before a network can learn from them", or "it learns something else".',
)

"""The recipes of language models."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from etude.families.ranges import Range, Rule
from etude.families.recipe import Optimizer, Recipe

if TYPE_CHECKING:
    from etude.data.reading import Reading


@dataclass(frozen=True, kw_only=True)
class Language(Recipe):
    """A language model: it reads a running text in columns, chunk by chunk, and tells each next symbol."""

    family: ClassVar[str] = "language"

    networks: ClassVar[tuple[str, ...]] = ("lstm", "gru", "rnn", "transformer")
    network: str
    """lstm (Hochreiter and Schmidhuber 1997); gru (Cho et al. 2014); rnn: tanh (Elman 1990); transformer: causal
    self-attention (Vaswani et al. 2017) with scores that fall with the distance (Press et al. 2022); or FILE.py:NAME, a
    network of your own (docs/sequences.md)."""
    width: Annotated[int | None, Range(1, 4096)] = None
    """Units of each recurrent layer, numbers per symbol of a transformer. Default: 256; transformer 128."""
    layers: Annotated[int | None, Range(1, 24)] = None
    """Layers. Default: 2; transformer 4."""
    heads: Annotated[int | None, Range(1, 64)] = None
    """transformer: heads of each attention, a divisor of the width. Default: 4."""
    context: Annotated[int | None, Range(1, 10_000)] = None
    """transformer: how many symbols before a symbol each of its layers sees. Default: --bptt."""
    batch_size: Annotated[int, Range(1)]
    """Columns that the text is divided into; each step reads a chunk of all of them."""
    dropout: Annotated[float, Range(0, below=1)] = 0.0
    """Share of units that are set to 0 in training."""
    bptt: Annotated[int, Range(1, 10_000)] = 100
    """Symbols of a chunk: a step reads one chunk of each column, and gradients reach back as far as its beginning."""
    carry_state: Literal["on", "off"] = "on"
    """on: a chunk begins with the state that the chunk before it ended with; off: with a state of zeros."""
    detach: Literal["chunk", "step", "never"] = "chunk"
    """Where the gradient is cut on its way back in time: at the beginning of each chunk; at each step, so that only the
    last symbol has one; never: it goes on through the 15 chunks before, which are read again with the weights of now
    (BPTT(h; h') of Williams and Peng 1990), so that a step costs 16 times as much."""
    loss_on: Literal["all", "answer"] = "all"
    """Symbols that have a loss in training: all, or answer, those where the data asks something, as cue does."""
    tokenizer: Literal["characters", "subwords"] | None = None
    """How the text is divided into symbols. Default: characters; subwords: byte-pair encoding."""
    lower: bool = False
    """Lower-case the text first."""
    vocabulary_size: Annotated[int | None, Range(1)] = None
    """The most symbols, <unk> counted. Default: 8,000 subwords; all characters."""
    min_count: Annotated[int | None, Range(1)] = None
    """How often a character, or a pair that becomes a subword, must occur in the training text. Default: once; twice
    for pairs."""

    @property
    def examples_per_step(self) -> int:
        """Symbols that one step takes: a chunk of each column."""
        return self.batch_size * self.bptt

    @property
    def reading(self) -> "Reading":
        """See `Recipe`."""
        return replace(
            super().reading,
            tokenizer=self.tokenizer,
            lower=self.lower or None,
            vocabulary_size=self.vocabulary_size,
            min_count=self.min_count,
        )

    def rules(self) -> Iterator[Rule]:
        """See `Recipe`."""
        carried = self.detach != "never" or self.carry_state == "on"
        yield carried, "detach", "chunk or step with --carry-state off, which carries nothing to the next chunk"
        if self.code:
            yield self.width is None, "width", "unset for a network of your own; as in net.py:Net(width=16)"
            yield self.layers is None, "layers", "unset for a network of your own; as in net.py:Net(layers=2)"
        if self.network == "transformer":
            width, heads = self.width or 128, self.heads or 4
            yield width % heads == 0, "heads", f"a divisor of the width, {width}"
        else:
            yield self.heads is None, "heads", "unset; only a transformer has it"
            yield self.context is None, "context", "unset; only a transformer has it"


CHAR_LSTM = Language(
    name="char-lstm",
    about="language model of characters, an LSTM trained by truncated backpropagation",
    data="tiny-shakespeare",
    network="lstm",
    dropout=0.3,
    bptt=50,
    epochs=16,
    batch_size=64,
    report_every=50,
    optimizer=Optimizer(name="adam", learning_rate=3e-3, schedule="cosine", clip_norm=1.0, average=0.99),
)
CHAR_GRU = replace(
    CHAR_LSTM,
    name="char-gru",
    about="language model of characters, a gated recurrent unit (Cho et al. 2014)",
    network="gru",
)
CHAR_TRANSFORMER = replace(
    CHAR_LSTM,
    name="char-transformer",
    about="language model of characters, a small transformer (Vaswani et al. 2017)",
    network="transformer",
    dropout=0.0,
    bptt=128,
    batch_size=32,
    epochs=5,
    optimizer=Optimizer(name="adamw", learning_rate=2e-3, schedule="triangular", clip_norm=1.0),
)
RECIPES = (CHAR_LSTM, CHAR_GRU, CHAR_TRANSFORMER)

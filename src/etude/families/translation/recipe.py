"""The recipes of translators."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from etude.families.ranges import Range, Rule
from etude.families.recipe import Optimizer, Recipe

if TYPE_CHECKING:
    from etude.data.reading import Reading

Attention = Literal["none", "additive", "dot", "bilinear"]
Encoder = Literal["recurrent", "self-attention"]


@dataclass(frozen=True, kw_only=True)
class Translation(Recipe):
    """A translator: an encoder reads a sentence, a decoder writes its translation token by token."""

    family: ClassVar[str] = "translation"

    networks: ClassVar[tuple[str, ...]] = ("gru", "luong", "transformer")
    network: str
    """gru: the decoder looks at the source before each token (Bahdanau et al. 2015); luong: an LSTM whose states look
    at it afterwards, all at once (Luong et al. 2015); transformer (Vaswani et al. 2017); or FILE.py:NAME, a network of
    your own (docs/training.md)."""
    attention: Attention | None = None
    """gru and luong: how well a source token fits a decoder state: additive, dot or bilinear; none: the decoder knows
    only the encoder's last state. Default: additive for gru, dot for luong."""
    encoder: Encoder | None = None
    """gru and luong: recurrent, in both directions, or self-attention (two layers). Default: recurrent."""
    width: Annotated[int, Range(8, 4096)] = 256
    """Units of each direction of a recurrent encoder, whose decoder has twice as many; numbers per token of a
    transformer. A multiple of 8."""
    layers: Annotated[int | None, Range(1, 24)] = None
    """transformer: layers of the encoder, and of the decoder. Default: 3."""
    heads: Annotated[int | None, Range(1, 64)] = None
    """transformer: heads of each attention, a divisor of the width. Default: 4."""
    dropout: Annotated[float, Range(0, below=1)] = 0.0
    """Share of units that are set to 0 in training."""
    teacher_forcing: Annotated[float, Range(0, 1)] = 1.0
    """Share of the tokens in training after which the decoder is told the right one; after the others it goes on
    from its own (Bengio et al. 2015). Below 1 each token is a step of its own, which is slower."""
    label_smoothing: Annotated[float, Range(0, below=1)] = 0.0
    """Share of the target probability spread evenly over all tokens."""
    beam: Annotated[int, Range(1, 100)] = 5
    """Sentences that decoding keeps at the end of training and later; 1 takes the most likely token each time.
    While it trains, validation/bleu is of 1."""
    tokenizer: Literal["words", "subwords", "characters"] | None = None
    """How sentences are divided. Default: words; subwords: byte-pair encoding of both languages together."""
    lower: bool = False
    """Lower-case both languages first."""
    vocabulary_size: Annotated[int | None, Range(1)] = None
    """The most tokens of a vocabulary, the special ones counted. Default: 8,000 subwords; all words and characters."""
    min_count: Annotated[int | None, Range(1)] = None
    """How often a token must occur in the training examples. Default: twice; characters once."""
    max_tokens: Annotated[int | None, Range(1)] = None
    """Leave out training pairs with more tokens on a side. Default: 256."""

    @property
    def reading(self) -> "Reading":
        """See `Recipe`."""
        return replace(
            super().reading,
            tokenizer=self.tokenizer,
            lower=self.lower or None,
            vocabulary_size=self.vocabulary_size,
            min_count=self.min_count,
            max_tokens=self.max_tokens,
        )

    def rules(self) -> Iterator[Rule]:
        """See `Recipe`."""
        name = "a network of your own" if self.code else self.network
        if self.code or self.network == "transformer":
            yield self.attention is None, "attention", f"unset for {name}; train gru or luong with it"
            yield self.encoder is None, "encoder", f"unset for {name}; train gru or luong with it"
        if self.code or self.network != "transformer":
            yield self.layers is None, "layers", f"unset for {name}; train a transformer with it"
            yield self.heads is None, "heads", f"unset for {name}; train a transformer with it"
        yield self.width % 8 == 0, "width", "multiples of 8"
        yield self.heads is None or self.width % self.heads == 0, "heads", f"a divisor of the width, {self.width}"


TRANSLATE_GRU = Translation(
    name="translate-gru",
    about="translator with a GRU that looks at the source before each word (Bahdanau et al. 2015)",
    data="multi30k",
    network="gru",
    dropout=0.2,
    label_smoothing=0.1,
    epochs=8,
    batch_size=64,
    optimizer=Optimizer(name="adam", learning_rate=2e-3, schedule="cosine", clip_norm=1.0),
)
TRANSLATE_LUONG = replace(
    TRANSLATE_GRU,
    name="translate-luong",
    about="translator with an LSTM whose states look at the source (Luong et al. 2015)",
    network="luong",
    epochs=12,
)
TRANSLATE_TRANSFORMER = replace(
    TRANSLATE_GRU,
    name="translate-transformer",
    about="a small transformer that translates (Vaswani et al. 2017)",
    network="transformer",
    tokenizer="subwords",
    vocabulary_size=6_000,
    epochs=10,
    optimizer=Optimizer(
        name="adam", learning_rate=1e-3, schedule="triangular", beta2=0.98, clip_norm=1.0, average=0.998
    ),
)
RECIPES = (TRANSLATE_GRU, TRANSLATE_LUONG, TRANSLATE_TRANSFORMER)

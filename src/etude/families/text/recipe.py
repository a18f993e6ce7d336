"""The recipes of classifiers of sentences."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from etude.families.ranges import Range, Rule
from etude.families.recipe import Optimizer, Recipe

if TYPE_CHECKING:
    from etude.data.reading import Reading


@dataclass(frozen=True, kw_only=True)
class TextClassification(Recipe):
    """A classifier of sentences, trained with cross-entropy on batches of like lengths."""

    family: ClassVar[str] = "text"
    repeated_over: ClassVar[tuple[str, ...]] = ("fold",)

    networks: ClassVar[tuple[str, ...]] = ("bag", "rnn", "gru", "lstm", "bilstm", "cnn", "self-attention")
    network: str = "lstm"
    """How a sentence is read. bag: the mean of its vectors, then a hidden layer (Iyyer et al. 2015); rnn, gru, lstm:
    the last state of a recurrent layer; bilstm: of two, one from each end; cnn: convolutions over 3, 4 and 5 tokens
    (Kim 2014); self-attention: a layer of self-attention; or FILE.py:NAME, your own (docs/sequences.md)."""
    input: Literal["embedding", "one-hot"] = "embedding"
    """How a token becomes a vector: looked up in a table, or as a one-hot row times the same table. Both are the same
    function; one-hot is slow, so take a --vocabulary-size of 2,000 at most."""
    embedding_dim: Annotated[int | None, Range(1, 4096)] = None
    """Numbers per token. Default: 128."""
    width: Annotated[int | None, Range(1, 4096)] = None
    """Units of the layer that reads, in each direction of bilstm; channels of each size of cnn. Default: 64."""
    dropout: Annotated[float | None, Range(0, below=1)] = None
    """Share of the numbers of the tokens' vectors, and of the sentence's, set to 0 in training. Default: 0.5."""
    word_dropout: Annotated[float, Range(0, below=1)] = 0.0
    """Share of the tokens that are replaced by <unk> in training, drawn at every step (Iyyer et al. 2015)."""
    label_smoothing: Annotated[float, Range(0, below=1)] = 0.0
    """Share of the target probability spread evenly over all classes."""
    tokenizer: Literal["words", "subwords", "characters"] | None = None
    """How sentences are divided. Default: words."""
    lower: bool | None = None
    """Lower-case sentences first. Default: yes."""
    vocabulary_size: Annotated[int | None, Range(1)] = None
    """The most tokens of the vocabulary, the special ones counted. Default: 8,000 subwords; all words, characters."""
    min_count: Annotated[int | None, Range(1)] = None
    """How often a token must occur in the training examples. Default: twice; characters once."""
    max_tokens: Annotated[int | None, Range(1)] = None
    """Cut sentences after this many tokens. Default: 256."""
    fold: Annotated[int | None, Range(0, 9)] = None
    """rt-polarity: which of its ten folds is the test split. Default: 0. `etude sweep` with --grid fold=0..9 reports
    the mean over them."""

    @property
    def reading(self) -> "Reading":
        """See `Recipe`."""
        return replace(
            super().reading,
            tokenizer=self.tokenizer,
            lower=self.lower,
            vocabulary_size=self.vocabulary_size,
            min_count=self.min_count,
            max_tokens=self.max_tokens,
            fold=self.fold,
        )

    @property
    def sizes(self) -> dict[str, Any]:
        """Embedding dimension, width and dropout, also those that are not set."""
        return {
            "embedding_dim": self.embedding_dim or 128,
            "width": self.width or 64,
            "dropout": 0.5 if self.dropout is None else self.dropout,
        }

    def rules(self) -> Iterator[Rule]:
        """What only étude's networks have; attention's heads need a dimension that they divide."""
        if self.code:
            for name in ("embedding_dim", "width", "dropout"):
                allowed = f"none for a network of your own; as in net.py:Net({name}=…)"
                yield getattr(self, name) is None, name, allowed
            yield self.input == "embedding", "input", "embedding for a network of your own, which gets tokens"
        elif self.network == "self-attention":
            divisible = self.embedding_dim is None or self.embedding_dim % 4 == 0
            yield divisible, "embedding_dim", "multiples of 4 for self-attention"


SENTIMENT_LSTM = TextClassification(
    name="sentiment-lstm",
    about="tells whether a sentence is for or against: an LSTM on a learned embedding",
    data="rt-polarity",
    network="lstm",
    word_dropout=0.2,
    epochs=6,
    batch_size=64,
    optimizer=Optimizer(name="adam", learning_rate=2e-3, schedule="cosine", average=0.99),
)
TEXT_CLASSIFIER = replace(
    SENTIMENT_LSTM,
    name="text-classifier",
    about="a classifier for sentences of your own: the mean of their vectors, or a network of your own",
    data="opinions",
    network="bag",
)
RECIPES = (SENTIMENT_LSTM, TEXT_CLASSIFIER)

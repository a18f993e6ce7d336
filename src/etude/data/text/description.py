"""Describe texts in numbers and examples: lengths, unknown tokens, vocabularies."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from etude.data.kinds import Kind, RunningText, TokenPairs, Tokens
from etude.data.split import Split
from etude.data.text.vocabulary import Vocabulary
from etude.errors import printable

TextKind = Tokens | TokenPairs | RunningText
NUM_EXAMPLES = 3
LONGEST_SHOWN = 200
"""The most characters that are shown of an example."""


class DescribedTexts(Protocol):
    """The parts of a `Dataset` that are described."""

    @property
    def kind(self) -> Kind: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def train(self) -> Split: ...
    @property
    def validation(self) -> Split | None: ...
    @property
    def test(self) -> Split: ...


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The numbers for a column of ids in a split; final."""

    examples: int
    tokens: int
    """All tokens except <pad>, <bos> and <eos>."""
    mean_length: float | None
    """Tokens per sentence. None for running text, like `longest`."""
    longest: int | None
    unknown: float
    """The share of tokens that are not in the vocabulary, in [0, 1]."""


def columns(kind: TextKind) -> dict[str, tuple[str, Vocabulary]]:
    """The columns of ids with their vocabularies, by the names that a person sees."""
    if isinstance(kind, TokenPairs):
        return {
            kind.source_name: ("source", kind.source_vocabulary),
            kind.target_name: ("target", kind.target_vocabulary),
        }
    return {kind.column: (kind.column, kind.vocabulary)}


def measure(ids: Tensor, vocabulary: Vocabulary) -> Sizes:
    """Count a column of ids, int64 (N, L) for sentences, (N,) for running text."""
    unknown = ids == vocabulary.unknown
    real = unknown | (ids >= len(vocabulary.special))
    tokens = int(real.sum())
    return Sizes(
        examples=len(ids),
        tokens=tokens,
        mean_length=tokens / len(ids) if ids.ndim == 2 else None,
        longest=int(real.sum(dim=1).max()) if ids.ndim == 2 else None,
        unknown=int(unknown.sum()) / max(1, tokens),
    )


def sizes(dataset: DescribedTexts) -> dict[str, dict[str, Sizes]]:
    """The numbers for each column of ids, by its name and by split."""
    assert isinstance(dataset.kind, TextKind)
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return {
        name: {role: measure(split[column], vocabulary) for role, split in splits.items() if split is not None}
        for name, (column, vocabulary) in columns(dataset.kind).items()
    }


def rows(dataset: DescribedTexts) -> tuple[list[str], list[list[str]]]:
    """The headings and rows of a table of `sizes`."""
    found = sizes(dataset)
    headings = ["", *next(iter(found.values()))]
    lines: list[list[str]] = []
    if isinstance(dataset.kind, TokenPairs):
        first = next(iter(found.values()))
        lines.append(["pairs", *(f"{each.examples:,}" for each in first.values())])
    for name, each in found.items():
        start = f"{name}: " if len(found) > 1 else ""
        token = "symbols" if isinstance(dataset.kind, RunningText) else "tokens"
        lines.append([f"{start}{token}", *(f"{one.tokens:,}" for one in each.values())])
        if not isinstance(dataset.kind, RunningText):
            lines.append([f"{start}tokens per sentence", *(f"{one.mean_length:.1f}" for one in each.values())])
            lines.append([f"{start}longest sentence", *(f"{one.longest:,}" for one in each.values())])
        lines.append([f"{start}unknown", *(f"{100 * one.unknown:.2f} %" for one in each.values())])
    return headings, lines


def in_short(kind: TextKind) -> str:
    """The examples in a few words: "sentences of at most 59 tokens"."""
    if isinstance(kind, Tokens):
        return f"sentences of at most {kind.length} tokens"
    if isinstance(kind, TokenPairs):
        return f"pairs of sentences of at most {kind.source_length - 1} and {kind.target_length - 2} tokens"
    return "symbols"


def vocabularies(kind: TextKind) -> list[str]:
    """The size of each vocabulary, in a sentence."""
    if isinstance(kind, TokenPairs) and kind.joint:
        return [f"Vocabulary of both sides: {_in_words(kind.source_vocabulary)}."]
    named = columns(kind)
    called = "Vocabulary" if len(named) == 1 else "Vocabulary of {}"
    return [f"{called.format(name)}: {_in_words(vocabulary)}." for name, (_, vocabulary) in named.items()]


def _in_words(vocabulary: Vocabulary) -> str:
    lower = ", lower-cased" if vocabulary.tokenizer.lower else ""
    return f"{len(vocabulary):,} {vocabulary.tokenizer.name} of the training split{lower}"


def examples(dataset: DescribedTexts) -> Iterator[str]:
    """The first training sentences, one class after the other, or the beginning of running text."""
    kind, train = dataset.kind, dataset.train
    if isinstance(kind, RunningText):
        text = kind.vocabulary.decode(train["symbols"][:LONGEST_SHOWN].tolist())
        yield from map(printable, text.strip("\n").split("\n"))
    elif isinstance(kind, Tokens):
        for number in range(NUM_EXAMPLES):
            label = number % kind.num_classes
            of_class = (train.labels == label).nonzero()[:, 0]
            row = int(of_class[number // kind.num_classes % len(of_class)])
            yield f"{printable(kind.class_names[label])}: {_shown(train.texts['text'][row])}"
    else:
        for source, target in list(zip(train.texts["source"], train.texts["target"], strict=True))[:NUM_EXAMPLES]:
            yield f"{_shown(source)} → {_shown(target)}"


def _shown(text: str) -> str:
    text = printable(text)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"

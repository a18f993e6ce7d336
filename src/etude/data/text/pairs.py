"""Sentences and their translations, as splits of the kind `TokenPairs`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from etude.data.arrays import TEST_SHARE, Parts, draw
from etude.data.kinds import TokenPairs
from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.data.reading import Reading
from etude.data.split import Split
from etude.data.text.lines import read_sentences
from etude.data.text.sentences import MOST_TOKENS, VALIDATION_SHARE
from etude.data.text.vocabulary import Vocabulary, learn
from etude.errors import DataError, UsageError


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Sentences and their translations, with the name that errors use for them; final."""

    sources: Sequence[str]
    targets: Sequence[str]
    name: str

    def __len__(self) -> int:
        return len(self.sources)

    def take(self, rows: torch.Tensor) -> "Pairs":
        """The pairs with these row numbers."""
        numbers = rows.tolist()
        return replace(
            self, sources=[self.sources[row] for row in numbers], targets=[self.targets[row] for row in numbers]
        )


def read_parallel(first: Path, second: Path) -> Pairs:
    """Read sentences from one file and their translations from another, line by line. `DataError` if one is longer."""
    sources, targets = read_sentences(first), read_sentences(second)
    if len(sources) != len(targets):
        (shorter, ends), (_, longer) = sorted(((len(sources), first), (len(targets), second)))
        raise DataError(
            f"{longer}, line {shorter + 1}: has no partner, because {ends} ends at line {shorter:,}; a line of each "
            "makes a pair."
        )
    return Pairs(sources=sources, targets=targets, name="the files")


def make_pairs(
    given: Mapping[str, Pairs],
    reading: Reading,
    *,
    source_name: str = "source",
    target_name: str = "target",
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Parts:
    """Make splits of pairs. `given` has those to train on, and may have others for validation and testing.

    Without test pairs, a fifth is drawn for testing with `seed`. Without validation pairs, a tenth of the rest is
    drawn. Words keep their capitals and the space before them, and each side has its own vocabulary. Subwords are
    learned from both sides together, so that names are spelled alike. Training pairs with more than `max_tokens` tokens
    on a side are left out. Other pairs are cut, but `Split.texts` keeps them whole. Raises `UsageError` if a sentence
    is empty, or if the sides differ in length.
    """
    told = list(notes)
    for each in given.values():
        _require_pairs(each)
    parts = _with_splits(dict(given), seed, told)
    source, target = _vocabularies(parts[TRAIN], reading)
    rows = {
        role: ([source.encode(text) for text in each.sources], [target.encode(text) for text in each.targets])
        for role, each in parts.items()
    }
    most = reading.max_tokens or MOST_TOKENS
    fits = {role: [max(map(len, pair)) <= most for pair in zip(*each, strict=True)] for role, each in rows.items()}
    if left := fits[TRAIN].count(False):
        if left == len(fits[TRAIN]):
            raise UsageError(f"--max-tokens {most}: all pairs to train on have more tokens; allow more.")
        told.append(f"{left:,} of {len(fits[TRAIN]):,} pairs to train on have more than {most:,} tokens: left out")
        kept = torch.tensor(fits[TRAIN]).nonzero()[:, 0]
        sources, targets = rows[TRAIN]
        rows[TRAIN] = [sources[row] for row in kept.tolist()], [targets[row] for row in kept.tolist()]
        parts[TRAIN] = parts[TRAIN].take(kept)
    if cut := sum(each.count(False) for role, each in fits.items() if role != TRAIN):
        told.append(f"{cut:,} pairs to validate and to test on have more than {most:,} tokens: cut after them")
    lengths = [min(most, max(len(row) for each in rows.values() for row in each[side])) for side in (0, 1)]
    kind = TokenPairs(
        source_name=source_name,
        target_name=target_name,
        source_length=lengths[0] + 1,
        target_length=lengths[1] + 2,
        source_vocabulary=source,
        target_vocabulary=target,
    )
    splits = {
        role: Split(
            {"source": each.sources, "target": each.targets},
            source=kind.padded_sources(rows[role][0]),
            target=kind.padded_targets(rows[role][1]),
        )
        for role, each in parts.items()
    }
    return Parts(kind=kind, train=splits[TRAIN], validation=splits[VALIDATION], test=splits[TEST], notes=tuple(told))


def _with_splits(parts: dict[str, Pairs], seed: int, told: list[str]) -> dict[str, Pairs]:
    """Pairs drawn from the training split for splits that are missing."""
    for role, share, words in ((TEST, TEST_SHARE, "a fifth"), (VALIDATION, VALIDATION_SHARE, "a tenth of the rest")):
        if role in parts:
            continue
        kept, drawn = draw(torch.zeros(len(parts[TRAIN]), dtype=torch.int64), share, seed)
        if not len(drawn):
            raise UsageError(f"{parts[TRAIN].name} holds too few pairs; give three or more.")
        doing = "test" if role == TEST else "validate"
        told.append(f"no pairs to {doing} on: {words}, {len(drawn):,} in all, is drawn for that")
        parts |= {role: parts[TRAIN].take(drawn), TRAIN: parts[TRAIN].take(kept)}
    return parts


def _vocabularies(train: Pairs, reading: Reading) -> tuple[Vocabulary, Vocabulary]:
    tokenizer = reading.tokenizer or "words"
    sides = [[*train.sources, *train.targets]] if tokenizer == "subwords" else [train.sources, train.targets]
    found = [
        learn(
            side,
            tokenizer=tokenizer,
            lower=bool(reading.lower),
            spaces=True,
            vocabulary_size=reading.vocabulary_size,
            min_count=reading.min_count,
        )
        for side in sides
    ]
    return found[0], found[-1]


def _require_pairs(given: Pairs) -> None:
    if len(given.sources) != len(given.targets):
        raise UsageError(
            f"{given.name} has {len(given.sources):,} sentences and {len(given.targets):,} translations: give one for "
            "each sentence."
        )
    if not len(given):
        raise UsageError(f"{given.name} holds no pairs of sentences.")
    for side in (given.sources, given.targets):
        for row, text in enumerate(side):
            if not text.strip():
                raise UsageError(f"{given.name} holds an empty sentence (example {row}): write one, or leave it out.")

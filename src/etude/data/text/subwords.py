"""Byte-pair encoding: the most frequent pair of tokens becomes a token, again and again.

Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", https://aclanthology.org/P16-1162.
Here a word keeps the space before it, and characters that no training text has are written as UTF-8 bytes. So every
text can be encoded, and decodes exactly.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import ClassVar

from etude.data.text.tokenizers import TokenizerName

Pair = tuple[str, str]

BYTES = tuple(bytes([byte]).decode("ascii", "surrogateescape") for byte in range(256))
"""One token per byte. Bytes from 128 are lone surrogates. No text has these, so they are not mistaken for letters."""
_WORD = re.compile(r" ?\w+| ?[^\w\s]+|\s")
"""Words and punctuation with the space before them, and other white space. Together they are the whole text."""


@dataclass(frozen=True, kw_only=True)
class Subwords:
    """Pieces of words, by the merges of `learn_merges`. `join(split(text))` is the text, for any text."""

    name: ClassVar[TokenizerName] = "subwords"
    lower: bool
    """Whether texts are lower-cased first."""
    letters: frozenset[str] = field(repr=False)
    """The characters that are tokens. Others are written as bytes."""
    merges: tuple[Pair, ...] = field(repr=False)
    """Pairs of tokens that become one token, in the order in which they were learned."""

    def split(self, text: str) -> list[str]:
        """The tokens of a text. A space is added before it, so that its first word is the same token as elsewhere."""
        return [token for word in words_of(text, lower=self.lower) for token in self._divided(word)]

    def join(self, tokens: Iterable[str]) -> str:
        """The text that has these tokens. Bytes that are no UTF-8 become U+FFFD."""
        text = "".join(tokens).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return text.removeprefix(" ")

    @cached_property
    def _ranks(self) -> dict[Pair, int]:
        return {pair: rank for rank, pair in enumerate(self.merges)}

    @cached_property
    def _known(self) -> dict[str, list[str]]:
        """The tokens of words that were divided before."""
        return {}

    def _divided(self, word: str) -> list[str]:
        if word not in self._known:
            self._known[word] = self._merged(list(self._spelled(word)))
        return self._known[word]

    def _spelled(self, word: str) -> Iterator[str]:
        for letter in word:
            yield from [letter] if letter in self.letters else (BYTES[byte] for byte in letter.encode("utf-8"))

    def _merged(self, tokens: list[str]) -> list[str]:
        """The tokens after all merges, in the order in which these were learned."""
        never = len(self.merges)
        while len(tokens) > 1:
            pair = min(pairwise(tokens), key=lambda pair: self._ranks.get(pair, never))
            if pair not in self._ranks:
                break
            tokens = _with_merged(tokens, pair)
        return tokens


def words_of(text: str, *, lower: bool) -> list[str]:
    """The words of a text, after a space is added before it. Lone surrogates, which are no characters, become "?"."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return _WORD.findall(" " + (text.lower() if lower else text))


def learn_merges(counts: Counter[str], *, num_tokens: int, min_count: int) -> list[Pair]:
    """Learn the merges that make at most `num_tokens` new tokens. `counts` has the words of the training texts.

    The next merge is the most frequent pair, in alphabetical order if several are, and must occur `min_count` times.
    The counts of pairs are kept up to date, so a merge only visits the words that have its pair.
    """
    words = [list(word) for word in counts]
    times = list(counts.values())
    pairs: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)
    for number, word in enumerate(words):
        for pair in pairwise(word):
            pairs[pair] += times[number]
            places[pair].add(number)
    queue = [(-count, pair) for pair, count in pairs.items()]
    heapify(queue)
    merges: list[Pair] = []
    made: set[str] = set()
    while queue and len(made) < num_tokens:
        count, pair = heappop(queue)
        if -count != pairs[pair]:  # out of date: a newer entry is in the queue
            continue
        if -count < min_count:
            break
        merges.append(pair)
        made.add("".join(pair))
        changed: set[Pair] = set()
        for number in places.pop(pair):
            before, after = words[number], _with_merged(words[number], pair)
            words[number] = after
            for each in pairwise(before):
                pairs[each] -= times[number]
                changed.add(each)
            for each in pairwise(after):
                pairs[each] += times[number]
                places[each].add(number)
                changed.add(each)
        for each in changed:
            if pairs[each] > 0:
                heappush(queue, (-pairs[each], each))
    return merges


def _with_merged(tokens: Sequence[str], pair: Pair) -> list[str]:
    """The tokens with each occurrence of the pair merged, from the left."""
    left, right = pair
    merged: list[str] = []
    place = 0
    while place < len(tokens):
        if tokens[place] == left and place + 1 < len(tokens) and tokens[place + 1] == right:
            merged.append(left + right)
            place += 2
        else:
            merged.append(tokens[place])
            place += 1
    return merged

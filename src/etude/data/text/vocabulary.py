"""A vocabulary: tokens and their ids, learned from training texts and kept in readable files."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from etude.data.text.subwords import BYTES, Pair, Subwords, learn_merges, words_of
from etude.data.text.tokenizers import UNKNOWN, Characters, TokenizerName, Words
from etude.errors import UsageError
from etude.files import checksum

PAD, UNK, BOS, EOS = range(4)
"""The first ids in a vocabulary of sentences: padding, unknown tokens, the start and the end of a sentence."""
SPECIAL = ("<pad>", UNKNOWN, "<bos>", "<eos>")
SPECIAL_RUNNING = (UNKNOWN,)
"""The special tokens of running text, which is one row without start and end."""
DEFAULT_SUBWORDS = 8_000
_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4}|[tnr\\])")

Tokenizer = Words | Characters | Subwords


class DamagedFile(ValueError):
    """A file of a vocabulary is missing, or has changed since it was written."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Tokens by their ids, and how a text is divided into them; final. `learn` makes one."""

    tokenizer: Tokenizer
    special: tuple[str, ...] = SPECIAL
    """The first tokens: no text is divided into these."""
    ordinary: tuple[str, ...] = field(repr=False)
    """All others, by id."""

    def __len__(self) -> int:
        return len(self.special) + len(self.ordinary)

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """All tokens by id."""
        return self.special + self.ordinary

    @property
    def unknown(self) -> int:
        """The id of a token that is not in the vocabulary."""
        return self.special.index(UNKNOWN)

    def encode(self, text: str) -> list[int]:
        """The ids of a text's tokens, without those of a sentence's start and end."""
        ids, unknown = self._ids, self.unknown
        return [ids.get(token, unknown) for token in self.tokenizer.split(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, up to the first <eos>; <pad> and <bos> are left out."""
        return self.tokenizer.join(self.shown(ids))

    def shown(self, ids: Iterable[int]) -> list[str]:
        """The tokens that `decode` puts together."""
        found = []
        for each in ids:
            token = self.tokens[each]
            if each < len(self.special):
                if token == SPECIAL[EOS]:
                    break
                if token != UNKNOWN:
                    continue
            found.append(token)
        return found

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.ordinary, len(self.special))}

    # Files ------------------------------------------------------------------------------------------------------------

    def files(self, suffix: str = "") -> dict[str, str]:
        """Readable files by name: `vocabulary.txt`, one token per line in the order of the ids; subwords' `merges.txt`.

        What cannot be printed is written as an escape of Python's, such as \\n. `suffix` comes before ".txt".
        """
        found = {f"vocabulary{suffix}.txt": "".join(f"{_escaped(token)}\n" for token in self.tokens)}
        if isinstance(self.tokenizer, Subwords):
            merges = ("\t".join(map(_escaped, pair)) for pair in self.tokenizer.merges)
            found[f"merges{suffix}.txt"] = "".join(f"{merge}\n" for merge in merges)
        return found

    def as_dict(self) -> dict[str, Any]:
        """What the files do not say, and their checksum, for `from_files`."""
        found: dict[str, Any] = {"tokenizer": self.tokenizer.name, "lower": self.tokenizer.lower}
        if isinstance(self.tokenizer, Words):
            found["spaces"] = self.tokenizer.spaces
        return {**found, "tokens": len(self), "checksum": _checksum(self.files().values())}

    @classmethod
    def from_files(
        cls, values: object, read: Callable[[str], str], *, suffix: str = "", special: tuple[str, ...] = SPECIAL
    ) -> Self:
        """The vocabulary of which `as_dict` gave the values, and `files` the texts that `read` gives by name.

        `ValueError` says what is wrong with the values, `DamagedFile` what with a file.
        """
        if not isinstance(values, dict) or type(values.get("lower")) is not bool:
            raise ValueError(f"{values!r} for a vocabulary")
        name, lower = values.get("tokenizer"), values["lower"]
        if name not in ("words", "characters", "subwords") or (
            name == "words" and type(values.get("spaces")) is not bool
        ):
            raise ValueError(f"{values!r} for a vocabulary")
        names = [f"vocabulary{suffix}.txt", *([f"merges{suffix}.txt"] if name == "subwords" else [])]
        texts = [read(each) for each in names]
        if values.get("checksum") != _checksum(texts):
            raise DamagedFile(f"{' or '.join(names)} has changed since it was written")
        tokens = tuple(map(_unescaped, texts[0].split("\n")[:-1]))
        if tokens[: len(special)] != special:
            raise DamagedFile(f"{names[0]} does not begin with {' '.join(special)}")
        ordinary = tokens[len(special) :]
        match name:
            case "words":
                tokenizer: Tokenizer = Words(lower=lower, spaces=values["spaces"])
            case "characters":
                tokenizer = Characters(lower=lower)
            case _:
                letters = frozenset(token for token in ordinary if len(token) == 1)
                tokenizer = Subwords(lower=lower, letters=letters, merges=_merges(texts[1], names[1]))
        return cls(tokenizer=tokenizer, special=special, ordinary=ordinary)


def learn(
    texts: Sequence[str],
    *,
    tokenizer: TokenizerName,
    lower: bool,
    spaces: bool = False,
    special: tuple[str, ...] = SPECIAL,
    vocabulary_size: int | None = None,
    min_count: int | None = None,
) -> Vocabulary:
    """Learn the vocabulary of training texts: tokens that occur at least `min_count` times, the most frequent first.

    By default, words must occur twice, so that <unk> is trained on the others, and characters once. At most
    `vocabulary_size` tokens are kept, with the special ones. Subwords are learned until there are that many (default:
    8,000), or until no pair occurs `min_count` times (default: 2). Equally frequent tokens are in alphabetical order.
    Raises `UsageError` if the vocabulary has no room for what it must hold, or nothing to hold.
    """
    most = None if vocabulary_size is None else vocabulary_size - len(special)
    if tokenizer == "subwords":
        return _learn_subwords(texts, lower, special, most, min_count or 2)
    way = Words(lower=lower, spaces=spaces) if tokenizer == "words" else Characters(lower=lower)
    least = min_count or (2 if tokenizer == "words" else 1)
    if most is not None and most < 1:
        raise _too_small(vocabulary_size, len(special) + 1)
    counts = Counter(token for text in texts for token in way.split(text))
    found = sorted((-count, token) for token, count in counts.items() if count >= least)
    if not found:
        raise UsageError(f"no token occurs {least} times in the texts to train on; choose a smaller --min-count.")
    return Vocabulary(tokenizer=way, special=special, ordinary=tuple(token for _, token in found[:most]))


def _learn_subwords(
    texts: Sequence[str], lower: bool, special: tuple[str, ...], most: int | None, min_count: int
) -> Vocabulary:
    counts = Counter(word for text in texts for word in words_of(text, lower=lower))
    letters = [*BYTES, *sorted({letter for word in counts for letter in word} - set(BYTES))]
    most = DEFAULT_SUBWORDS - len(special) if most is None else most
    if most < len(letters):
        raise _too_small(most + len(special), len(letters) + len(special))
    merges = learn_merges(counts, num_tokens=most - len(letters), min_count=min_count)
    made = dict.fromkeys("".join(pair) for pair in merges)
    way = Subwords(lower=lower, letters=frozenset(letters), merges=tuple(merges))
    return Vocabulary(tokenizer=way, special=special, ordinary=(*letters, *made))


def _too_small(given: int | None, least: int) -> UsageError:
    return UsageError(f"--vocabulary-size {given} (allowed: at least {least}, for the special tokens and the others).")


def _merges(text: str, name: str) -> tuple[Pair, ...]:
    merges = []
    for number, line in enumerate(text.split("\n")[:-1], 1):
        left, _, right = line.partition("\t")
        if not left or not right:
            raise DamagedFile(f"{name}, line {number}, is no pair of tokens")
        merges.append((_unescaped(left), _unescaped(right)))
    return tuple(merges)


def _checksum(texts: Iterable[str]) -> str:
    return checksum("\0".join(texts).encode())


def _escaped(token: str) -> str:
    return "".join(
        each if each.isprintable() and each != "\\" else each.encode("unicode_escape", "surrogatepass").decode()
        for each in token
    )


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: found[0].encode().decode("unicode_escape", "surrogatepass"), text)

"""Divide a text into words or characters, and join these again. Subwords have their own module."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

TokenizerName = Literal["words", "characters", "subwords"]

UNKNOWN = "<unk>"
"""The token for all that are not in a vocabulary. No tokenizer finds this token in a text."""

_WORD = re.compile(r"\w+|[^\w\s]")
_WORD_AND_SPACE = re.compile(r"(\s*)(\w+|[^\w\s])")


@dataclass(frozen=True, kw_only=True)
class Words:
    r"""Words and single punctuation marks, by the regular expression `\w+|[^\w\s]`."""

    name: ClassVar[TokenizerName] = "words"
    lower: bool
    """Whether texts are lower-cased first."""
    spaces: bool
    """Whether a token keeps the space before it: "word." is " word" and ".".

    Then `join(split(text))` is the text, if its only white space is single spaces between words. Otherwise, `join`
    puts a space between all tokens.
    """

    def split(self, text: str) -> list[str]:
        """The tokens of a text. A space is added before the first word, so that it is the same token as elsewhere."""
        text = text.lower() if self.lower else text
        if not self.spaces:
            return _WORD.findall(text)
        return [" " + word if space else word for space, word in _WORD_AND_SPACE.findall(" " + text)]

    def join(self, tokens: Iterable[str]) -> str:
        """The text that has these tokens; see `spaces`."""
        if not self.spaces:
            return " ".join(tokens)
        return "".join(f" {UNKNOWN}" if token == UNKNOWN else token for token in tokens).removeprefix(" ")


@dataclass(frozen=True, kw_only=True)
class Characters:
    """Single characters, including white space: `join(split(text))` is the text."""

    name: ClassVar[TokenizerName] = "characters"
    lower: bool
    """Whether texts are lower-cased first."""

    def split(self, text: str) -> list[str]:
        """The characters of a text."""
        return list(text.lower() if self.lower else text)

    def join(self, tokens: Iterable[str]) -> str:
        """The text that has these characters."""
        return "".join(tokens)

"""How a text is divided into tokens and put together again: words or characters. Subwords have their own module."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

TokenizerName = Literal["words", "characters", "subwords"]

UNKNOWN = "<unk>"
"""What a token that is not in a vocabulary decodes to. No tokenizer makes this token of a text."""

_WORD = re.compile(r"\w+|[^\w\s]")
_WORD_AND_SPACE = re.compile(r"(\s*)(\w+|[^\w\s])")


@dataclass(frozen=True, kw_only=True)
class Words:
    r"""Words and single punctuation marks, by the regular expression `\w+|[^\w\s]`."""

    name: ClassVar[TokenizerName] = "words"
    lower: bool
    """Whether texts are lower-cased first."""
    spaces: bool
    """Whether a token keeps the space before it, as in " word" and "." for "word.".

    Then `join(split(text))` is the text, if it has no white space but single spaces between its words. Without them
    `join` puts a space before every token.
    """

    def split(self, text: str) -> list[str]:
        """The tokens of a text. The first one counts as having a space before it, so that it is no other token."""
        text = text.lower() if self.lower else text
        if not self.spaces:
            return _WORD.findall(text)
        return [" " + word if space else word for space, word in _WORD_AND_SPACE.findall(" " + text)]

    def join(self, tokens: Iterable[str]) -> str:
        """The text of tokens; see `spaces`."""
        if not self.spaces:
            return " ".join(tokens)
        return "".join(f" {UNKNOWN}" if token == UNKNOWN else token for token in tokens).removeprefix(" ")


@dataclass(frozen=True, kw_only=True)
class Characters:
    """Single characters, white space among them: `join(split(text))` is the text."""

    name: ClassVar[TokenizerName] = "characters"
    lower: bool
    """Whether texts are lower-cased first."""

    def split(self, text: str) -> list[str]:
        """The characters of a text."""
        return list(text.lower() if self.lower else text)

    def join(self, tokens: Iterable[str]) -> str:
        """The text of characters."""
        return "".join(tokens)

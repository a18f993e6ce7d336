"""How a data set is read, where its name leaves that open: the pictures of a folder, or texts."""

from dataclasses import dataclass, fields

from etude.data.pictures import Fit
from etude.data.text.tokenizers import TokenizerName
from etude.errors import UsageError

NUM_FOLDS = 10
_IMAGE_FIELDS = ("image_size", "fit", "skip_broken")
_TEXT_FIELDS = ("tokenizer", "lower", "vocabulary_size", "min_count", "max_tokens")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a data set is read; what is None is as usual for the data."""

    image_size: int | None = None
    """folder: the side of the squares that pictures are fitted into, in pixels; 32 by default."""
    fit: Fit | None = None
    """folder: how a picture becomes square: crop (by default), pad or stretch."""
    skip_broken: bool = False
    """folder: leave out pictures that cannot be read."""
    tokenizer: TokenizerName | None = None
    """Texts: words, characters or subwords. By default characters of running text, else words."""
    lower: bool | None = None
    """Texts: lower-case them first. By default sentences with a class are, others are not."""
    vocabulary_size: int | None = None
    """Texts: the most tokens of a vocabulary, the special ones counted. By default 8,000 subwords, else all."""
    min_count: int | None = None
    """Texts: how often a token must occur in the training split. By default twice for words, and for pairs that become
    subwords; once for characters."""
    max_tokens: int | None = None
    """Texts: the most tokens of a sentence; see `text.sentences` and `text.pairs` for what becomes of longer ones."""
    fold: int | None = None
    """rt-polarity: which of its ten folds, 0 to 9, is the test split; 0 by default."""

    def __post_init__(self) -> None:
        ranges = (
            ("vocabulary-size", self.vocabulary_size, 1, None),
            ("min-count", self.min_count, 1, None),
            ("max-tokens", self.max_tokens, 1, None),
            ("fold", self.fold, 0, NUM_FOLDS - 1),
        )
        wrong = [
            f"--{flag} {given} (allowed: {f'at least {low}' if high is None else f'{low} to {high}'})"
            for flag, given, low, high in ranges
            if given is not None and (given < low or (high is not None and given > high))
        ]
        if wrong:
            raise UsageError(f"out of range: {'; '.join(wrong)}.")

    @property
    def given(self) -> tuple[str, ...]:
        """The settings that are not as usual, by name."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name) != each.default)

    def require_for_texts(self, name: str, *, folds: bool = False) -> None:
        """Raise a `UsageError` where a setting is given that texts do not have; `folds` says whether they have any."""
        for each in self.given:
            if each in _IMAGE_FIELDS:
                raise UsageError(
                    f"{self._flag(each)}: only the pictures of folder:PATH have it; leave it out for {name}."
                )
            if each == "fold" and not folds:
                raise UsageError(f"{self._flag(each)}: only rt-polarity has folds; leave it out for {name}.")

    def require_for_others(self, name: str) -> None:
        """Raise a `UsageError` where a setting of texts is given."""
        for each in self.given:
            if each not in _IMAGE_FIELDS:
                what = "has folds" if each == "fold" else "is divided into tokens"
                of = "rt-polarity" if each == "fold" else "text"
                raise UsageError(f"{self._flag(each)}: only {of} {what}; leave it out for {name}.")

    def _flag(self, field: str) -> str:
        """A setting as on the command line."""
        flag, value = field.replace("_", "-"), getattr(self, field)
        if value is False:
            return f"--no-{flag}"
        return f"--{flag}" if value is True else f"--{flag} {value}"

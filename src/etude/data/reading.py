"""How a data set is read, if its name leaves that open: a folder of pictures, or texts."""

from dataclasses import dataclass, fields

from etude.data.pictures import Fit
from etude.data.text.tokenizers import TokenizerName
from etude.errors import UsageError

NUM_FOLDS = 10
_IMAGE_FIELDS = ("image_size", "fit", "skip_broken")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a data set is read. None means the default for that kind of data."""

    image_size: int | None = None
    """For a folder of pictures: resize them to squares with this side, in pixels. Default: 32."""
    fit: Fit | None = None
    """For a folder of pictures: how to make them square, crop (the default), pad or stretch."""
    skip_broken: bool = False
    """For a folder of pictures: leave out those that cannot be read."""
    tokenizer: TokenizerName | None = None
    """For texts: words, characters or subwords. Default: characters for running text, otherwise words."""
    lower: bool | None = None
    """For texts: lower-case them first. Default: only sentences with a class."""
    vocabulary_size: int | None = None
    """For texts: the largest size of a vocabulary, with its special tokens. Default: 8,000 for subwords, else all."""
    min_count: int | None = None
    """For texts: how often a token must occur in the training split. Default: once for characters, otherwise twice."""
    max_tokens: int | None = None
    """For texts: the most tokens of a sentence. Longer ones are cut, longer training pairs left out. Default: 256."""
    fold: int | None = None
    """For rt-polarity: which of its ten folds, 0 to 9, is the test split. Default: 0."""

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
        """The names of the settings that are not the default."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name) != each.default)

    def require_for_texts(self, name: str, *, folds: bool = False) -> None:
        """Raise a `UsageError` for a setting that texts do not have. `folds`: whether this data set has folds."""
        for each in self.given:
            if each in _IMAGE_FIELDS:
                raise UsageError(
                    f"{self._flag(each)}: only the pictures of folder:PATH have it; leave it out for {name}."
                )
            if each == "fold" and not folds:
                raise UsageError(f"{self._flag(each)}: only rt-polarity has folds; leave it out for {name}.")

    def require_for_others(self, name: str) -> None:
        """Raise a `UsageError` for a setting that only texts have."""
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

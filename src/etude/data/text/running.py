"""One long text, divided where it stands, as a data set of the kind `RunningText`."""

from collections.abc import Mapping, Sequence

from etude.data.arrays import Parts
from etude.data.kinds import RunningText
from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.data.reading import Reading
from etude.data.split import Split
from etude.data.text.vocabulary import SPECIAL_RUNNING, learn
from etude.errors import UsageError

HELD_OUT = 0.1
"""The share of a text, at its end, that is to test on, and the share before it that is to validate on."""
FEWEST_CHARACTERS = 100


def divide(text: str, name: str) -> dict[str, str]:
    """A text by what it is for: the first 80 % to train, the next tenth to validate, the last to test on."""
    if len(text) < FEWEST_CHARACTERS:
        raise UsageError(f"{name} holds {len(text)} characters; give at least {FEWEST_CHARACTERS}.")
    first, second = round((1 - 2 * HELD_OUT) * len(text)), round((1 - HELD_OUT) * len(text))
    return {TRAIN: text[:first], VALIDATION: text[first:second], TEST: text[second:]}


def make_running(given: Mapping[str, str], reading: Reading, *, notes: Sequence[str] = ()) -> Parts:
    """The parts of a text as splits. Its symbols are characters, or subwords, of the part that trains.

    Raises `UsageError` for words, which do not keep line breaks, and for `max_tokens`, since it has no sentences.
    """
    if reading.tokenizer == "words":
        raise UsageError(
            "--tokenizer words: running text is divided into characters or subwords, which keep line breaks."
        )
    if reading.max_tokens is not None:
        raise UsageError(f"--max-tokens {reading.max_tokens}: running text has no sentences; leave it out.")
    vocabulary = learn(
        [given[TRAIN]],
        tokenizer=reading.tokenizer or "characters",
        lower=bool(reading.lower),
        special=SPECIAL_RUNNING,
        vocabulary_size=reading.vocabulary_size,
        min_count=reading.min_count,
    )
    kind = RunningText(vocabulary=vocabulary)
    splits = {role: Split(symbols=kind.encoded(text)) for role, text in given.items()}
    return Parts(kind=kind, train=splits[TRAIN], validation=splits[VALIDATION], test=splits[TEST], notes=tuple(notes))

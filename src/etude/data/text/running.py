"""One long text, divided into consecutive parts, as splits of the kind `RunningText`."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from etude.data.arrays import Parts
from etude.data.kinds import RunningText
from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.data.reading import Reading
from etude.data.split import Split
from etude.data.text.vocabulary import SPECIAL_RUNNING, learn
from etude.errors import UsageError

HELD_OUT = 0.1
"""The share of a text for testing, at its end, and the equal share for validation before it."""
FEWEST_CHARACTERS = 100


def make_running(given: Mapping[str, str], reading: Reading, *, notes: Sequence[str] = ()) -> Parts:
    """Make splits of a text. `given` has the part to train on, and may have parts for validation and testing.

    Without a part for testing, the last tenth is used. Without one for validation, the tenth before it is used. The
    symbols are characters or subwords of the part that trains. Raises `UsageError` for a short text, for words (they do
    not keep line breaks), and for `max_tokens` (there are no sentences).
    """
    if reading.tokenizer == "words":
        raise UsageError(
            "--tokenizer words: running text is divided into characters or subwords, which keep line breaks."
        )
    if reading.max_tokens is not None:
        raise UsageError(f"--max-tokens {reading.max_tokens}: running text has no sentences; leave it out.")
    parts, told = dict(given), list(notes)
    if (length := len(parts[TRAIN])) < FEWEST_CHARACTERS:
        raise UsageError(f"the text holds {length} characters; give at least {FEWEST_CHARACTERS}.")
    for role, doing in ((TEST, "test"), (VALIDATION, "validate")):
        if role not in parts:
            place = len(parts[TRAIN]) - round(HELD_OUT * length)
            parts |= {TRAIN: parts[TRAIN][:place], role: parts[TRAIN][place:]}
            told.append(
                f"no text to {doing} on: the last {len(parts[role]):,} characters of the training text are that"
            )
    vocabulary = learn(
        [parts[TRAIN]],
        tokenizer=reading.tokenizer or "characters",
        lower=bool(reading.lower),
        special=SPECIAL_RUNNING,
        vocabulary_size=reading.vocabulary_size,
        min_count=reading.min_count,
    )
    kind = RunningText(vocabulary=vocabulary)
    splits = {role: _split(kind.encoded(text)) for role, text in parts.items()}
    return Parts(kind=kind, train=splits[TRAIN], validation=splits[VALIDATION], test=splits[TEST], notes=tuple(told))


def _split(symbols: Tensor) -> Split:
    """Each symbol (N,) but the last, and the one that follows it."""
    return Split(symbols=symbols[:-1], targets=symbols[1:])

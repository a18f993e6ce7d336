"""Numbers and names in the words of a report."""

from collections.abc import Sequence

from etude.errors import printable

LONGEST_NAME, LONGEST_TEXT = 60, 400


def cut(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text, its end left out where it is too long."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def named(name: str) -> str:
    """A name on one line, cut if it is too long."""
    return cut(printable(name), LONGEST_NAME)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 4.1 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def counted(number: int, what: str) -> str:
    """A number with its noun: 1 epoch, 3 epochs."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them: a, b and c."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def recorded(name: str) -> str:
    """A number that training recorded, test/loss_nats say, in words: test loss in nats."""
    split, slash, quantity = name.partition("/")
    words = f"{'training' if split == 'train' else split}{slash}{quantity}".replace("/", " ").replace("_", " ")
    return f"{words.removesuffix(' nats')} in nats" if words.endswith(" nats") else words

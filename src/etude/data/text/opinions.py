"""Generated sentences with an opinion, to see what the order of words tells: `not good`, `dull, but clever`.

They come with étude and are always the same. Every sentence is in one split only. Words alone tell nothing, because
each word is as frequent in both classes. A network must read which adjective `not` and `but` belong to.
"""

from collections.abc import Sequence
from random import Random

NUM_TRAIN, NUM_VALIDATION, NUM_TEST = 4_000, 500, 1_000
CLASSES = ("negative", "positive")

_SUBJECTS = (
    "the film", "the plot", "the acting", "the music", "the ending", "the cast", "the camera work", "the dialogue",
    "the opening", "the hero", "the villain", "the humour", "the story", "the pace", "the last scene", "the script",
)  # fmt: skip
_ADJECTIVES = (
    ("bad", "dull", "silly", "slow", "stale", "cold", "clumsy", "tired", "boring", "weak", "shallow", "confused"),
    ("good", "funny", "moving", "clever", "fresh", "warm", "elegant", "lively", "gripping", "strong", "deep", "clear"),
)  # fmt: skip
_DEGREES = ("", "", "", "very ", "really ", "quite ", "truly ")
_AFFIRMING = (
    "{subject} is {degree}{adjective}",
    "i find {subject} {degree}{adjective}",
    "{subject} seems {degree}{adjective}",
)
_DENYING = (
    "{subject} is not {degree}{adjective}", "i never find {subject} {degree}{adjective}",
    "nobody would call {subject} {degree}{adjective}", "{subject} is far from {adjective}",
)  # fmt: skip


def make_opinions() -> list[tuple[str, int]]:
    """Sentences with their class, 0 for negative and 1 for positive: those to train, validate and test on in turn."""
    random = Random(0)
    found: dict[str, int] = {}
    while len(found) < NUM_TRAIN + NUM_VALIDATION + NUM_TEST:
        opinion = len(found) % 2
        found.setdefault(_sentence(random, opinion), opinion)
    return list(found.items())


def _sentence(random: Random, opinion: int) -> str:
    match _choice(random, ("one", "both", "but", "although")):
        case "one":
            return f"{_clause(random, opinion)} ."
        case "both":
            return f"{_clause(random, opinion)} , and {_clause(random, opinion)} ."
        case "but":
            return f"{_clause(random, 1 - opinion)} , but {_clause(random, opinion)} ."
        case _:
            return f"although {_clause(random, 1 - opinion)} , {_clause(random, opinion)} ."


def _clause(random: Random, opinion: int) -> str:
    denying = random.random() < 0.5
    return _choice(random, _DENYING if denying else _AFFIRMING).format(
        subject=_choice(random, _SUBJECTS),
        degree=_choice(random, _DEGREES),
        adjective=_choice(random, _ADJECTIVES[1 - opinion if denying else opinion]),
    )


def _choice(random: Random, items: Sequence[str]) -> str:
    return items[int(random.random() * len(items))]  # Python promises to keep `random`, not `choice`

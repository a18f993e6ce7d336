"""Generated German sentences with English translations, which have another order of words.

They come with étude and are always the same. The German verb goes to the end of a clause. Articles and adjectives have
endings by gender and case. A sentence has one to three clauses, so that short and long ones can be compared.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, TypeVar

NUM_TRAIN, NUM_VALIDATION, NUM_TEST = 6_000, 500, 1_000
T = TypeVar("T")


class _Noun(NamedTuple):
    german: str
    gender: str
    english: str


_NOUNS = tuple(
    _Noun(*each.split())
    for each in (
        "Hund m dog", "Katze f cat", "Kind n child", "Mann m man", "Frau f woman", "Vogel m bird", "Pferd n horse",
        "Lehrer m teacher", "Nachbarin f neighbour", "Mädchen n girl", "Bruder m brother", "Schwester f sister",
        "Fisch m fish", "Maus f mouse", "Schaf n sheep", "Arzt m doctor",
    )
)  # fmt: skip
_ADJECTIVES = (
    ("klein", "small"), ("alt", "old"), ("jung", "young"), ("groß", "big"), ("müd", "tired"), ("schnell", "fast"),
    ("braun", "brown"), ("still", "quiet"),
)  # fmt: skip
_VERBS = (
    # infinitive and participle; infinitive and past
    ("sehen", "gesehen", "see", "saw"), ("finden", "gefunden", "find", "found"),
    ("malen", "gemalt", "paint", "painted"), ("suchen", "gesucht", "look for", "looked for"),
    ("hören", "gehört", "hear", "heard"), ("besuchen", "besucht", "visit", "visited"),
    ("rufen", "gerufen", "call", "called"),
    ("retten", "gerettet", "save", "saved"), ("vergessen", "vergessen", "forget", "forgot"),
    ("verstehen", "verstanden", "understand", "understood"), ("grüßen", "gegrüßt", "greet", "greeted"),
    ("fragen", "gefragt", "ask", "asked"),
)  # fmt: skip
_PLACES = (
    ("gestern", "yesterday"), ("heute", "today"), ("im Garten", "in the garden"), ("am Morgen", "in the morning"),
    ("am Montag", "on Monday"), ("auf der Straße", "on the street"), ("vor dem Haus", "in front of the house"),
)  # fmt: skip
_CONJUNCTIONS = (("weil", "because"), ("bevor", "before"), ("während", "while"), ("obwohl", "although"))
_ARTICLES = {
    "der": {"m": ("der", "den"), "f": ("die", "die"), "n": ("das", "das")},
    "ein": {"m": ("ein", "einen"), "f": ("eine", "eine"), "n": ("ein", "ein")},
}
"""Nominative and accusative by gender."""
_ENDINGS = {
    "der": {"m": ("e", "en"), "f": ("e", "e"), "n": ("e", "e")},
    "ein": {"m": ("er", "en"), "f": ("e", "e"), "n": ("es", "es")},
}


class _Pair(NamedTuple):
    german: str
    english: str


def make_clauses() -> list[tuple[str, str]]:
    """German sentences and their translations: those to train, validate and test on in turn; none occurs twice."""
    random = Random(0)
    found: dict[str, str] = {}
    while len(found) < NUM_TRAIN + NUM_VALIDATION + NUM_TEST:
        german, english = _sentence(random)
        found.setdefault(german, english)
    return list(found.items())


def _sentence(random: Random) -> _Pair:
    parts = [_main_clause(random)]
    for _ in range(int(random.random() * 3)):
        german, english = _choice(random, _CONJUNCTIONS)
        subject, rest = _noun(random, 0), _subordinate(random)
        parts.append(
            _Pair(f", {german} {subject.german} {rest.german}", f" {english} {subject.english} {rest.english}")
        )
    german, english = ("".join(part[side] for part in parts) for side in (0, 1))
    return _Pair(f"{german[0].upper()}{german[1:]}.", f"{english[0].upper()}{english[1:]}.")


def _main_clause(random: Random) -> _Pair:
    """The verb's first part comes second: "gestern hat der Hund …", "der Hund will …"."""
    subject, item = _noun(random, 0), _noun(random, 1)
    infinitive, participle, present, past = _choice(random, _VERBS)
    place, where = _choice(random, _PLACES)
    match int(random.random() * 3):
        case 0:
            german = f"{subject.german} hat {place} {item.german} {participle}"
            return _Pair(german, f"{subject.english} {past} {item.english} {where}")
        case 1:
            german = f"{place} hat {subject.german} {item.german} {participle}"
            return _Pair(german, f"{where} {subject.english} {past} {item.english}")
        case _:
            german = f"{subject.german} will {item.german} {place} {infinitive}"
            return _Pair(german, f"{subject.english} wants to {present} {item.english} {where}")


def _subordinate(random: Random) -> _Pair:
    """What follows the subject of a clause with a conjunction: the verb is at its end."""
    item = _noun(random, 1)
    _, participle, _, past = _choice(random, _VERBS)
    return _Pair(f"{item.german} {participle} hat", f"{past} {item.english}")


def _noun(random: Random, case: int) -> _Pair:
    """A noun with its article and often an adjective; `case` is 0 for the subject, 1 for the object."""
    noun, article = _choice(random, _NOUNS), _choice(random, ("der", "ein"))
    adjective, quality = _choice(random, _ADJECTIVES) if random.random() < 0.5 else ("", "")
    ending = f"{adjective}{_ENDINGS[article][noun.gender][case]} " if adjective else ""
    english = f"{quality} {noun.english}".strip()
    the = "the" if article == "der" else "an" if english[0] in "aeiou" else "a"
    return _Pair(f"{_ARTICLES[article][noun.gender][case]} {ending}{noun.german}", f"{the} {english}")


def _choice(random: Random, items: Sequence[T]) -> T:
    return items[int(random.random() * len(items))]  # Python promises to keep `random`, not `choice`

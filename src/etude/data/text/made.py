"""The texts that come with étude: generated ones, and Python's own documentation."""

import platform
from collections.abc import Callable

import numpy as np

from etude.data.arrays import Parts
from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.data.reading import Reading
from etude.data.text import clauses, opinions
from etude.data.text.cue import make_cue
from etude.data.text.pairs import Pairs, make_pairs
from etude.data.text.running import make_running
from etude.data.text.sentences import Labelled, make_tokens
from etude.errors import DataError

NUM_CHARACTERS = 400_000
"""How much of Python's documentation is used. Every version has this much."""


def _make_opinions(reading: Reading) -> Parts:
    made = opinions.make_opinions()
    given = {
        role: Labelled(
            texts=[text for text, _ in made[part]],
            labels=np.array([label for _, label in made[part]]),
            name=role,
            labels_name=f"the labels of {role}",
        )
        for role, part in _parts(opinions.NUM_TRAIN, opinions.NUM_VALIDATION).items()
    }
    return make_tokens(given, reading, class_names=opinions.CLASSES)


def _make_clauses(reading: Reading) -> Parts:
    made = clauses.make_clauses()
    given = {
        role: Pairs(
            sources=[german for german, _ in made[part]], targets=[english for _, english in made[part]], name=role
        )
        for role, part in _parts(clauses.NUM_TRAIN, clauses.NUM_VALIDATION).items()
    }
    return make_pairs(given, reading, source_name="de", target_name="en")


def _make_docs(reading: Reading) -> Parts:
    """What `help()` shows for Python's topics, in alphabetical order."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError("python-docs: this Python was installed without its documentation (pydoc_data).") from None
    text = "\n".join(topics[name].strip() + "\n" for name in sorted(topics))[:NUM_CHARACTERS]
    note = f"the documentation of Python {platform.python_version()}: another version has another text"
    return make_running({TRAIN: text}, reading, notes=[note])


def _parts(num_train: int, num_validation: int) -> dict[str, slice]:
    place = num_train + num_validation
    return {TRAIN: slice(num_train), VALIDATION: slice(num_train, place), TEST: slice(place, None)}


MADE: dict[str, Callable[[Reading], Parts]] = {
    "opinions": _make_opinions,
    "clauses": _make_clauses,
    "python-docs": _make_docs,
    "cue": make_cue,
}

"""Names in any script: written in a font of the machine, or replaced by numbers if no font has their letters.

matplotlib's own font has Latin, Greek, Cyrillic, Arabic, Hebrew and more. It lacks Chinese, Japanese, Korean and most
scripts of India and South-East Asia. For those, the first font of the machine, by name, that has the letters is used.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

OWN_FONT = "DejaVu Sans"
"""It comes with matplotlib, so the picture is the same on every machine."""
LONGEST = 24
NUMBERED = "#N: no font here can write the name"

_families = [OWN_FONT]


def families() -> list[str]:
    """The fonts to write with: matplotlib's, then those that names needed so far."""
    return list(_families)


def legible(names: Sequence[str]) -> list[str]:
    """The names as a figure can write them: #NUMBER if no font can write one; long ones shortened.

    Numbers count from 0, like labels. If a name needs a font of the machine, every later figure uses that font too.
    """
    shown = []
    for number, name in enumerate(names):
        plain = "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter for letter in name)
        shown.append(f"#{number}" if not is_written(plain) else _shortened(plain))
    return shown


def is_written(text: str) -> bool:
    """Whether the fonts here have all its letters. Adds the fonts that it needs to `families`."""
    lacking = set(map(ord, text))
    for family in _families:
        lacking -= _letters_of(family)
    found = {_family_with(letter) for letter in sorted(lacking)}
    _families.extend(sorted(family for family in found if family))
    return None not in found


def explain(title: str, shown: Sequence[str]) -> str:
    """The title, with a line below it where `legible` replaced names by numbers."""
    replaced = any(name == f"#{number}" for number, name in enumerate(shown))
    return f"{title}\n{NUMBERED}" if replaced else title


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


@cache
def _family_with(letter: int) -> str | None:
    """The first font of the machine, by name, that has the letter."""
    for font in sorted(font_manager.fontManager.ttflist, key=lambda font: (font.name, font.fname)):
        usual = font.style == "normal" and font.weight in (400, "normal", "regular") and font.stretch == "normal"
        # Last Resort draws boxes; the letters of a colour font are pictures, which matplotlib cannot draw.
        if usual and "Last Resort" not in font.name and "Color" not in font.name and letter in _letters(font.fname):
            return font.name
    return None


@cache
def _letters_of(family: str) -> frozenset[int]:
    """In its usual face and, for matplotlib's font, also in bold, which some names use."""
    usual = _letters(font_manager.findfont(family))
    if family != OWN_FONT:
        return usual
    return usual & _letters(font_manager.findfont(font_manager.FontProperties(family=family, weight="bold")))


@cache
def _letters(path: str) -> frozenset[int]:
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # a damaged font
        return frozenset()

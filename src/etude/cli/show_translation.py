"""What `etude translate` prints: translations, and what the translator looked at."""

import contextlib
import sys
from collections.abc import Iterable
from typing import Any

from etude.cli.lines import parts_of
from etude.cli.printing import print_json
from etude.errors import UsageError
from etude.families.abilities import Translation
from etude.runs import Run, load

__all__ = ["load", "translations"]

LEAST_SHOWN = 0.1
"""The least weight of a source token that is named."""


def translations(run: Run, lines: Iterable[str], *, beam: int | None, attention: bool, json: bool) -> None:
    """Translate lines and print a translation for each, in order; empty lines stay empty."""
    run.translate([], beam=beam)  # what is wrong with run and beam is said before the first line is waited for
    for part in parts_of(lines):
        texts = [line for line in part if line.strip()]
        with contextlib.redirect_stdout(sys.stderr):  # what the network's own code prints is not a result
            found = iter(run.translate(texts, beam=beam))
        for line in part:
            if not line.strip():
                print()
                continue
            each = next(found)
            if json:
                print_json(as_dict(each))
            else:
                rows = _looked_at(run, each) if attention else []
                print("\n  ".join([each.translation, *rows]))


def as_dict(translation: Translation) -> dict[str, Any]:
    """Plain values for JSON; `alignment` is null without attention."""
    weights = translation.alignment
    alignment = None if weights is None else {
        "source_tokens": list(translation.source_tokens),
        "tokens": list(translation.tokens),
        "weights": [[round(weight, 4) for weight in row] for row in weights.tolist()],
    }  # fmt: skip
    return {"source": translation.source, "translation": translation.translation, "alignment": alignment}


def _looked_at(run: Run, translation: Translation) -> list[str]:
    """A line for each token that was written: the source tokens it looked at most, with their weights."""
    if translation.alignment is None:
        raise UsageError(f"run {run.name} has no attention: leave --attention out.")
    width = max(map(len, translation.tokens))
    lines = []
    for token, row in zip(translation.tokens, translation.alignment.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda place, row=row: -row[place])
        shown = [place for place in order[:3] if row[place] >= LEAST_SHOWN] or order[:1]
        named = "  ".join(f"{translation.source_tokens[place]} {row[place]:.2f}" for place in shown)
        lines.append(f"{token:<{width}}  {named}")
    return lines

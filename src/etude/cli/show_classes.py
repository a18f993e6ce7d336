"""What `etude classify` prints: classes of sentences, and what moved the decisions."""

import contextlib
import sys
from collections.abc import Iterable
from typing import Any

from etude.cli.lines import parts_of
from etude.cli.printing import print_json
from etude.data.kinds import Tokens
from etude.errors import UsageError
from etude.families.abilities import By, Classifies
from etude.runs import Run, load
from etude.runs.explaining import Explained, explain

__all__ = ["classes", "load"]


def classes(run: Run, lines: Iterable[str], *, by: By | None, json: bool) -> None:
    """Print the class of each line, in order; empty lines stay empty. With `by`, print the words that moved it."""
    if not run.can(Classifies) or not isinstance(run.kind, Tokens):
        raise UsageError(f"run {run.name} is of a {run.recipe.name} and reads no sentences: choose a sentiment-lstm.")
    for part in parts_of(lines):
        texts = [line for line in part if line.strip()]
        with contextlib.redirect_stdout(sys.stderr):  # what the network's own code prints is not a result
            probabilities = iter(run.classify(texts).double().tolist() if texts else [])
            explained = iter(explain(run, texts, by=by) if by and texts else [])
        for line in part:
            if not line.strip():
                print()
                continue
            found = as_dict(run, line, next(probabilities), next(explained, None))
            if json:
                print_json(found)
            else:
                print("\n".join(_shown(found)))


def as_dict(run: Run, text: str, probabilities: list[float], explained: Explained | None) -> dict[str, Any]:
    """Plain values for JSON."""
    named = dict(zip(run.class_names, probabilities, strict=True))
    found: dict[str, Any] = {"text": text, "class": max(named, key=lambda name: named[name]), "probabilities": named}
    if explained:
        rows = zip(explained.words, explained.known, explained.scores, strict=True)
        found["words"] = [{"word": word, "known": known, "nats": nats} for word, known, nats in rows]
    return found


def _shown(found: dict[str, Any]) -> list[str]:
    """The class and its probability before the sentence; below it the words, those that are unknown in brackets."""
    name = found["class"]
    lines = [f"{name}  {found['probabilities'][name]:.3f}  {found['text']}"]
    if words := found.get("words"):
        shown = (f"{each['word'] if each['known'] else '[' + each['word'] + ']'} {each['nats']:+.2f}" for each in words)
        lines.append(f"  {'  '.join(shown)}")
    return lines

"""What the page asks of networks for texts: the words that moved a decision, translations, a text symbol by symbol."""

from typing import Any

import numpy as np
import torch

from etude.data import Split
from etude.data.kinds import RunningText, TokenPairs
from etude.errors import UsageError
from etude.families.abilities import Predicts
from etude.runs.explaining import explain
from etude.studio.opened import Opened, number, text, whole

LONGEST_SENTENCE, LONGEST_PROMPT, MOST_SYMBOLS = 2000, 2000, 1000


def words(opened: Opened, given: dict[str, Any]) -> dict[str, Any]:
    """The class of a sentence and the words that moved it."""
    opened.ability("Explains")
    by = given.get("by", "gradient")
    (found,) = explain(opened.run, text(given.get("text"), "text", LONGEST_SENTENCE), by=by, label=given.get("label"))
    return {
        "words": found.words,
        "known": found.known,
        "scores": found.scores,
        "label": found.label,
        "probabilities": found.probabilities,
    }


def translate(opened: Opened, given: dict[str, Any]) -> dict[str, Any]:
    """A sentence's translation, its tokens, and how much each looked at each source token."""
    opened.ability("Translates")
    beam = None if given.get("beam") is None else whole(given["beam"], "beam", 1, 20)
    (found,) = opened.run.translate(text(given.get("text"), "text", LONGEST_SENTENCE), beam=beam)
    return {
        "translation": found.translation,
        "source_tokens": found.source_tokens,
        "tokens": found.tokens,
        "alignment": None if found.alignment is None else found.alignment.tolist(),
    }


def write(opened: Opened, given: dict[str, Any]) -> dict[str, Any]:
    """A text that goes on from a prompt, and the probability of each of its symbols."""
    trained: Predicts = opened.ability("Predicts")
    prompt = text(given.get("prompt", ""), "prompt", LONGEST_PROMPT)
    written = opened.run.continue_text(
        prompt,
        length=whole(given.get("length"), "length", 1, MOST_SYMBOLS),
        temperature=number(given.get("temperature"), "temperature", 0, 10),
        seed=whole(given.get("seed"), "seed", 0, 2**31 - 1),
    )
    return {"prompt": prompt, "text": written, **_told(opened, trained, written)}


@torch.no_grad()
def _told(opened: Opened, trained: Predicts, written: str) -> dict[str, Any]:
    """The symbols of a text, and the probability of each after those before it; None for the first."""
    kind = opened.run.kind
    if not isinstance(kind, RunningText):
        raise UsageError(f"run {opened.run.name} writes no running text.")
    symbols = kind.encoded(written)
    told = trained.tell(Split(symbols=symbols[:-1], targets=symbols[1:]))
    return {
        "symbols": kind.vocabulary.tokenizer.split(written),
        "probabilities": [None, *np.exp(-told.nats.double().numpy()).tolist()],
    }


def sentences(opened: Opened) -> dict[str, Any]:
    """A few test sentences to begin with."""
    test = opened.test
    column = "source" if isinstance(opened.run.kind, TokenPairs) else "text"
    return {"sentences": list(test.texts.get(column, ()))[:20]}

"""Texts that a person gives to trained networks: sentences, and the start of one to go on with."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.data.kinds import Kind, RunningText, Tokens
from etude.errors import UsageError
from etude.families.abilities import Predicts
from etude.streams import stream

MOST_SYMBOLS = 100_000
HOTTEST = 100.0
"""The highest temperature, at which all symbols are nearly as likely as each other."""
SHOWN = 5
"""Unknown characters that an error names."""


def continued(name: str, trained: Predicts, kind: Kind, prompt: str, length: int, temperature: float, seed: int) -> str:
    """The prompt and `length` symbols more, by the run of that name: see `Run.continue_text`."""
    assert isinstance(kind, RunningText)
    if not 1 <= length <= MOST_SYMBOLS:
        raise UsageError(f"--length {length} (allowed: 1 to {MOST_SYMBOLS:,}).")
    if not 0 <= temperature <= HOTTEST:
        raise UsageError(f"--temperature {temperature:g} (allowed: 0 to {HOTTEST:g}).")
    if not 0 <= seed < 2**63:
        raise UsageError(f"--seed {seed} (allowed: in [0, 2^63)).")
    if unknown := kind.unknown_in(prompt):
        shown = ", ".join(map(repr, unknown[:SHOWN]))
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        raise UsageError(
            f"--prompt: run {name} was not trained on {shown}{more}; vocabulary.txt in its folder lists what it knows."
        )
    return trained.write(prompt, length, temperature=temperature, generator=stream(seed, "sample"))


def ids_of(name: str, kind: Tokens, given: Any) -> Tensor:
    """Sentences, a text or several, or ids (N, L) of their tokens, as ids."""
    texts = [given] if isinstance(given, str) else given
    if isinstance(texts, list | tuple) and texts and all(isinstance(each, str) for each in texts):
        if empty := [row for row, text in enumerate(texts) if not text.strip()]:
            raise UsageError(f"sentence {empty[0]} is empty; run {name} takes sentences with words.")
        return kind.encoded(texts)
    ids = torch.as_tensor(given) if isinstance(given, Tensor | np.ndarray) else torch.empty(0)
    if ids.ndim != 2 or ids.is_floating_point() or not ((ids >= 0) & (ids < len(kind.vocabulary))).all():
        raise UsageError(f"run {name} takes sentences: a list of texts, or ids (N, L) below {len(kind.vocabulary):,}.")
    return ids.long()

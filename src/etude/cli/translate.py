"""`etude translate`."""

import sys
from pathlib import Path

import tyro

from etude.errors import UsageError


def translate(
    run: tyro.conf.Positional[str],
    text: tyro.conf.Positional[str | None] = None,
    *,
    beam: int | None = None,
    attention: bool = False,
    checkpoint: str = "last",
    runs_dir: Path | None = None,
    trust: bool = False,
    json: bool = False,
) -> None:
    """Translate a sentence, or each line of stdin, with a trained translator.

    Args:
        run: The run's name or folder.
        text: The sentence. Without one, each line of stdin is a sentence.
        beam: Sentences that are kept while one is written. 1 takes the most likely token each time. Default: the
            recipe's.
        attention: Also print which source tokens each token looked at. --json has that anyway.
        checkpoint: Which weights: last, best (by the validation examples), or the step of a kept checkpoint.
        runs_dir: Where runs are kept.
        trust: Run the code kept in the run, although the run was made elsewhere. Read that code first.
        json: Print one JSON object per sentence on stdout: source, translation, alignment.
    """
    from etude.cli import show_translation as show

    if text is not None and not text.strip():
        raise UsageError(f"{text!r} has no word to translate: give a sentence.")
    which = int(checkpoint) if checkpoint.isdecimal() and len(checkpoint) < 20 else checkpoint
    opened = show.load(run, runs_dir=runs_dir, checkpoint=which, trust=trust)
    lines = sys.stdin if text is None else [text]
    show.translations(opened, lines, beam=beam, attention=attention, json=json)

"""`etude classify`."""

import sys
from pathlib import Path
from typing import Literal

import tyro


def classify(
    run: tyro.conf.Positional[str],
    text: tyro.conf.Positional[str | None] = None,
    *,
    words: bool = False,
    by: Literal["gradient", "occlusion"] = "gradient",
    checkpoint: str = "last",
    runs_dir: Path | None = None,
    trust: bool = False,
    json: bool = False,
) -> None:
    """Tell the class of a sentence, or of each line of stdin, with a trained classifier of sentences.

    Args:
        run: The run's name or folder.
        text: The sentence. Without one, each line of stdin is a sentence.
        words: Also print how much each word moved the decision: nats that it adds to the log-odds of the class.
        by: How to find that: gradient times input, or occlusion, the change when <unk> takes a word's place.
        checkpoint: Which weights: last, best (by the validation examples), or the step of a kept checkpoint.
        runs_dir: Where runs are kept.
        trust: Run the code kept in the run, although the run was made elsewhere. Read that code first.
        json: Print one JSON object per sentence on stdout: text, class, probabilities and, with --words, words.
    """
    from etude.cli import show_classes as show

    which = int(checkpoint) if checkpoint.isdecimal() and len(checkpoint) < 20 else checkpoint
    opened = show.load(run, runs_dir=runs_dir, checkpoint=which, trust=trust)
    show.classes(opened, sys.stdin if text is None else [text], by=by if words else None, json=json)

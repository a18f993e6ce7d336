"""Spoilt inputs of every parser: a small, seeded part of the fuzz run in `attacks/parsers.py`."""

import warnings
from pathlib import Path

from attacks.parsers import run

WAITING = ("expression: ", "--shapes: ", "--mirror: ", "recipe.json: ", "metrics")
"""Parsers with faults that are known, not counted here yet."""


def test_spoilt_inputs_end_with_errors_of_our_own(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd pictures
        counts, faults = run(0, 4000, tmp_path)
    assert sum(counts.values()) > 3900
    assert {name: example for name, example in faults.items() if not name.startswith(WAITING)} == {}

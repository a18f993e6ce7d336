"""Spoilt inputs of every parser: a small, seeded part of the fuzz run in `attacks/parsers.py`."""

import warnings
from pathlib import Path

from attacks.parsers import run


def test_spoilt_inputs_end_with_errors_of_our_own(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd pictures
        counts, faults = run(0, 3000, tmp_path)
    assert faults == {}
    assert sum(counts.values()) > 2900

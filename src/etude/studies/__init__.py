"""Studies: textbook claims settled by experiment, one file per claim in a folder per topic.

A study has a question, a claim, an experiment, and a rule by which the numbers decide. `etude study NAME` runs one.
"""

from etude.studies.claim import Design, Repeated, Study
from etude.studies.evidence import (
    Evidence,
    Findings,
    Ruling,
    above,
    below,
    every,
    exact,
    measured,
    no,
    ruled,
    some,
)
from etude.studies.lab import Lab, Trained
from etude.studies.settled import Settled
from etude.studies.settling import study

__all__ = [
    "Design",
    "Evidence",
    "Findings",
    "Lab",
    "Repeated",
    "Ruling",
    "Settled",
    "Study",
    "Trained",
    "above",
    "below",
    "every",
    "exact",
    "measured",
    "no",
    "ruled",
    "some",
    "study",
]

"""The translators that two studies share, so that none is trained twice."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from etude.families.ranges import Range
from etude.recipes import get
from etude.runs import Run
from etude.studies import Lab, Repeated

WITH, WITHOUT = "with attention", "without attention"
QUICK = {"seeds": 4, "epochs": 4}
"""What `--quick` changes in both, so that they share these runs too."""


@dataclass(frozen=True, kw_only=True)
class Translators(Repeated):
    """The knobs of a study that trains translators with and without attention; abstract."""

    seeds: Annotated[int, Range(2, 1000)] = 6
    """How often each translator is trained, each time with other random numbers. Intervals are over these."""
    recipe: Literal["translate-gru", "translate-luong"] = "translate-luong"
    """The translator; gru looks at the source before it writes a word, luong afterwards."""
    data: Literal["clauses", "multi30k"] = "clauses"
    """Pairs of sentences: clauses comes with étude, multi30k is downloaded and takes much longer."""
    width: Annotated[int, Range(8, 1024)] = 32
    """Units of each direction of the encoder; the decoder has twice as many. A multiple of 8."""
    epochs: Annotated[int, Range(1, 100)] = 8
    """Passes over the training sentences."""
    learning_rate: Annotated[float, Range(above=0, high=1)] = 1e-2
    """Step size of Adam at the beginning; large, for few and simple sentences."""


def train(lab: Lab, design: Translators, name: str) -> tuple[Run, ...]:
    """A run for each seed, with the recipe's attention or without any."""
    attention = {} if name == WITH else {"attention": "none"}
    (cell,) = lab.train(
        design.recipe, grid={}, seeds=design.each_seed, data=design.data, width=design.width, epochs=design.epochs,
        dropout=0.0, label_smoothing=0.0, beam=1,
        optimizer=replace(get(design.recipe).optimizer, learning_rate=design.learning_rate), **attention,
    )  # fmt: skip
    return cell.runs

"""How far back can a network use what it read, if gradients reach back only a few steps?"""

from dataclasses import dataclass, replace
from typing import Annotated

from matplotlib.figure import Figure

from etude.data.text.cue import LAG
from etude.drawing.evidence import intervals
from etude.families.ranges import Range
from etude.recipes import get
from etude.studies import Evidence, Findings, Lab, Repeated, Ruling, Study, above, measured, no, ruled, some
from etude.studies.pictures import bars

CELLS = {
    ("on", "all"): "state carried, loss at every symbol",
    ("on", "answer"): "state carried, loss at the answer only",
    ("off", "all"): "state of zeros at each chunk, loss at every symbol",
    ("off", "answer"): "state of zeros at each chunk, loss at the answer only",
}
"""The values of carry_state and loss_on, in the order of the grid."""
ACCURACY = "accuracy of the answer, {}"
KNOWS = 0.9


@dataclass(frozen=True, kw_only=True)
class TBPTTReach(Repeated):
    """Language models on a text that asks for a letter which was read 19 symbols before."""

    seeds: Annotated[int, Range(2, 1000)] = 8
    """How often each model is trained, each time with other random numbers. Intervals are over these."""
    bptt: Annotated[int, Range(1, 100)] = 5
    """Symbols of a chunk: gradients reach back to its beginning."""
    width: Annotated[int, Range(1, 1000)] = 32
    """Units of each of the two LSTM layers."""
    epochs: Annotated[int, Range(1, 100)] = 2
    """Passes over the text of 2,000 blocks."""


def experiment(design: TBPTTReach, lab: Lab) -> Findings:
    """Train with and without a carried state, with a loss at every symbol or at the answer."""
    optimizer = replace(get("char-lstm").optimizer, learning_rate=0.01, schedule="constant")
    carried, places = (list(dict.fromkeys(each)) for each in zip(*CELLS, strict=True))
    cells = lab.train(
        "char-lstm", grid={"carry_state": carried, "loss_on": places}, seeds=design.each_seed, data="cue",
        bptt=design.bptt, width=design.width, epochs=design.epochs, batch_size=20, dropout=0.0, optimizer=optimizer,
    )  # fmt: skip
    evidence: list[Evidence] = []
    for cell in cells:
        name = CELLS[cell.changes["carry_state"], cell.changes["loss_on"]]
        evidence.append(measured(ACCURACY.format(name), cell.last("test/accuracy")))
    return Findings(tuple(evidence), {"bptt": [design.bptt]})


def judge(found: Findings) -> Ruling:
    """The claim is false if a network of one kind is right at 0.9 of the answers or more, where half is a guess."""
    carried, answer, zeros = (
        found[ACCURACY.format(CELLS[cell])] for cell in (("on", "all"), ("on", "answer"), ("off", "all"))
    )
    knows = [above(each, KNOWS) for each in found]
    return ruled(
        no(some(*knows)),
        f"in chunks of {found.curves['bptt'][0]:.0f} steps the letter {LAG} symbols back is told right in "
        f"{carried.value:.0%} of the cases with a carried state and a loss at every symbol, in {answer.value:.0%} with "
        f"a loss at the answer only, and in {zeros.value:.0%} without the state.",
    )


def draw(found: Findings) -> Figure:
    """The accuracies of all four."""
    names = [name.replace(", ", ",\n") for name in CELLS.values()]
    return intervals(
        bars(list(found), names=names, label=f"accuracy of a letter read {LAG} symbols before", level=0.5,
             level_means="guessing"),
        title=f"Chunks of {found.curves['bptt'][0]:.0f} symbols",
    )  # fmt: skip


STUDY = Study(
    name="tbptt-reach",
    topic="sequences",
    question="Gradients are cut after 5 steps. Can the network still use a letter that it read 19 symbols before?",
    claim="With chunks of 5 steps, a network cannot use what lies 19 steps back, since no gradient reaches that far.",
    design=TBPTTReach(),
    quick={"seeds": 2, "epochs": 1},
    held_fixed="two LSTM layers on the text `cue`, in which each answer is a letter 19 symbols before it",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "Truncation cuts the gradient, not the state: what is in the carried state still reaches the answer. With a "
        "loss at every symbol each chunk learns to hand the letter from its own first step to its last, and so along "
        "the whole block. With a loss at the answer only, earlier chunks get no gradient and learn nothing; with a "
        "state of zeros at each chunk the letter is gone, and truncation is then no more than shorter inputs."
    ),
    source="Williams and Peng 1990; docs/sequences.md",
    wrong_answer='"TBPTT is backpropagation on shorter inputs": only if the state is not carried from chunk to chunk.',
)

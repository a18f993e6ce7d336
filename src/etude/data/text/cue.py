"""A generated text in which an answer depends on a cue `LAG` symbols before: how far back does a network see?

Blocks of `PERIOD` symbols, `A…?` or `B…?`, as many of each, in a drawn order. Row i of
a split is in block i // PERIOD: the cue is at i % PERIOD == 0, the answer at i % PERIOD == LAG, where the column
`answers` is true. The target of every symbol of a block is the block's cue, so that a loss may be taken at every step,
or at the answers only. With truncated backpropagation over LAG steps or fewer, no gradient of an answer reaches its
cue.
"""

from dataclasses import replace
from random import Random

import torch

from etude.data.arrays import Parts
from etude.data.kinds import RunningText
from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.data.reading import Reading
from etude.data.split import Split
from etude.data.text.running import make_running

LAG = 19
PERIOD = LAG + 1
CUES = ("A", "B")
_BLOCKS = {TRAIN: 2_000, VALIDATION: 400, TEST: 400}
NUM_TRAIN, NUM_TEST = (PERIOD * _BLOCKS[role] for role in (TRAIN, TEST))


def make_cue(reading: Reading) -> Parts:
    """The blocks as splits of the kind `RunningText`, with a column `targets`; always the same ones."""
    random = Random(0)
    cues = {role: _shuffled(CUES * (count // len(CUES)), random) for role, count in _BLOCKS.items()}
    texts = {role: "".join(f"{cue}{'.' * (LAG - 1)}?" for cue in each) for role, each in cues.items()}
    parts = make_running(texts, reading)
    assert isinstance(parts.kind, RunningText)
    told = {}
    for role, text in texts.items():
        symbols, cue = parts.kind.encoded(text), parts.kind.encoded("".join(cues[role]))  # (N,), (blocks,)
        answers = torch.arange(len(symbols)) % PERIOD == LAG
        told[role] = Split(symbols=symbols, targets=cue.repeat_interleave(PERIOD), answers=answers)
    note = f"the answer to each ? is the letter {LAG} symbols before it, and the target of every symbol of its block"
    kind = replace(parts.kind, asks=True)
    return Parts(kind=kind, train=told[TRAIN], validation=told[VALIDATION], test=told[TEST], notes=(note,))


def _shuffled(items: tuple[str, ...], random: Random) -> list[str]:
    return sorted(items, key=lambda _: random.random())

"""Runs of language models: stopped and resumed, several as one program, and what truncated backpropagation reaches."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

import etude
from etude import Dataset
from etude.errors import Interrupted
from etude.runs import Run
from etude.runs.checkpoint import list_steps
from etude.training import Display

TEXT = Dataset.of("the cat sat on the mat, and the dog sat on the log. " * 30, name="cats")
SMALL = {"width": 8, "layers": 1, "batch_size": 4, "bptt": 10, "epochs": 2, "report_every": 7}


class StopAfter(Display):
    """Asks for a stop, as Ctrl-C does, after the given steps."""

    def __init__(self, *steps: int) -> None:
        super().__init__(quiet=True)
        self.steps = steps

    def step(self, step: int, losses: object) -> None:
        if step in self.steps:
            signal.raise_signal(signal.SIGINT)


def train(recipe: str, folder: Path, display: Display | None = None, **changes: Any) -> Run:
    settings = {"data": TEXT, "threads": 1, "precision": "fp32", **SMALL, **changes}
    return etude.train(recipe, name="run", runs_dir=folder, display=display or Display(quiet=True), **settings)


def contents(run: Run) -> dict[str, bytes]:
    """Every file of a run that must come out the same, by name."""
    last = run.path / "checkpoints" / f"step-{list_steps(run.path / 'checkpoints')[-1]}"
    files = [run.path / "metrics.jsonl", last / "model.safetensors", last / "trainer.safetensors"]
    files += sorted((run.path / "samples").glob("*.txt"))
    return {file.name: file.read_bytes() for file in files}


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        ("char-lstm", {}),  # with dropout
        ("char-lstm", {"precision": "bf16"}),
        ("char-gru", {"dropout": 0.0}),
        ("char-gru", {"detach": "never", "bptt": 3}),
        ("char-gru", {"detach": "step", "bptt": 3}),
        ("char-lstm", {"carry_state": "off"}),
        ("char-transformer", {"context": 25}),
        ("char-transformer", {"dropout": 0.1}),
    ],
)
def test_stopped_and_resumed_equals_uninterrupted(recipe: str, changes: dict[str, Any], tmp_path: Path) -> None:
    whole = train(recipe, tmp_path / "whole", **changes)
    total = whole.state.step
    for stops in {(1,), (whole.steps_per_epoch,), (2, total - 1)}:
        folder = tmp_path / "-".join(map(str, stops))
        with pytest.raises(Interrupted):
            train(recipe, folder, StopAfter(*stops), **changes)
        run = etude.load(folder / "run", data=TEXT)
        for stop in stops[1:]:
            with pytest.raises(Interrupted):
                etude.resume(run, display=StopAfter(stop))
        assert contents(etude.resume(run, display=Display(quiet=True))) == contents(whole), stops


def test_a_network_of_ones_own_does_all_that_etudes_do(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, vocabulary_size, dropout):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, 8)
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.dropout, self.linear = nn.Dropout(dropout), nn.Linear(8, vocabulary_size)

    def forward(self, symbols, state=None):
        vectors, state = self.lstm(self.embedding(symbols), state)
        return self.linear(self.dropout(vectors)), state
"""
    )
    changes = {"network": f"{tmp_path / 'net.py'}:Net", "width": None, "layers": None}
    whole = train("char-lstm", tmp_path / "whole", **changes)
    with pytest.raises(Interrupted):
        train("char-lstm", tmp_path / "stopped", StopAfter(whole.steps_per_epoch + 3), **changes)
    resumed = etude.resume(etude.load(tmp_path / "stopped" / "run", data=TEXT), display=Display(quiet=True))
    assert contents(resumed) == contents(whole)
    assert whole.continue_text("the", length=5).startswith("the")
    assert "nats_per_character" in etude.measure(whole)


def test_runs_of_several_seeds_as_one_program_are_those_of_each(tmp_path: Path) -> None:
    from etude.training.start import train_together

    recipe = etude.recipes.change(etude.recipes.get("char-lstm"), **SMALL, dropout=0.0)
    both = train_together(
        [etude.recipes.change(recipe, seed=seed) for seed in (0, 1)],
        dataset=TEXT,
        names=["a", "b"],
        runs_dir=tmp_path,
        data_dir=None,
        compute=etude.compute.Compute(threads=1, precision="fp32"),
        display=Display(quiet=True),
    )
    for seed, run in enumerate(both):
        alone = train("char-lstm", tmp_path / f"alone-{seed}", dropout=0.0, seed=seed)
        assert run.metrics().last() == pytest.approx(alone.metrics().last(), rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "accuracy"),
    [
        ({}, (1.0, 1.0)),
        ({"loss_on": "answer"}, (0.4, 0.6)),
        ({"carry_state": "off"}, (0.4, 0.6)),
    ],
)
def test_what_reaches_further_back_than_a_chunk(
    changes: dict[str, Any], accuracy: tuple[float, float], tmp_path: Path
) -> None:
    """A cue 19 symbols back, chunks of 5: a carried state tells of it if each chunk teaches to keep it."""
    optimizer = etude.recipes.Optimizer(name="adam", learning_rate=0.01, clip_norm=1.0)
    settings = {"bptt": 5, "width": 32, "batch_size": 20, "epochs": 2, "dropout": 0.0, "optimizer": optimizer}
    run = train("char-lstm", tmp_path, data="cue", **{**settings, **changes})
    low, high = accuracy
    assert low <= run.metrics().last()["test/accuracy"] <= high


def test_learning_leaves_the_global_random_state_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    train("char-lstm", tmp_path)
    assert torch.equal(torch.get_rng_state(), before)

"""The studies of sequences that train: one epoch, two seeds."""

from pathlib import Path

import pytest

import etude
from etude.studies.sequences import attention_probe, length_and_attention
from etude.studies.sequences.translators import WITH, WITHOUT


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them keep their runs."""
    return tmp_path_factory.mktemp("runs")


def test_tbptt_reach_runs(runs_dir: Path) -> None:
    found = etude.study("tbptt-reach", runs_dir=runs_dir, seeds=2, epochs=1, width=2, bptt=20)
    assert found.figure.exists()
    assert all(0 <= each.value <= 1 for each in found.findings)


def test_translators_are_shared(runs_dir: Path) -> None:
    probe = etude.study("attention-probe", runs_dir=runs_dir, seeds=2, epochs=1, width=8)
    trained = sorted((runs_dir / "studies" / "runs").iterdir())
    length = etude.study("length-and-attention", runs_dir=runs_dir, seeds=2, epochs=1, width=8)
    assert sorted((runs_dir / "studies" / "runs").iterdir()) == trained
    for name in (WITH, WITHOUT):
        assert 0.5 < probe.findings[attention_probe.WORDS.format(name)].value <= 1
        short, long, fall = (
            length.findings[what.format(name)].value
            for what in (length_and_attention.SHORT, length_and_attention.LONG, length_and_attention.FALL)
        )
        assert 0 <= short < 100
        assert 0 <= long < 100
        assert fall <= 1
    assert length.figure.exists()

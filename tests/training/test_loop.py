"""What the loop writes down of a run."""

from pathlib import Path

import pytest

import etude
from etude.training import Display


def test_losses_are_means_since_the_last_report_and_over_the_epoch(tmp_path: Path) -> None:
    short = {"data": "digits", "train_images": 80, "batch_size": 20, "epochs": 2, "report_every": 2}
    run = etude.train("vae", runs_dir=tmp_path, threads=1, precision="fp32", display=Display(quiet=True), **short)
    rows = run.metrics().rows
    running = {row["step"]: row["running/kl_nats"] for row in rows if "running/kl_nats" in row}
    epochs = {row["step"]: row["train/kl_nats"] for row in rows if "train/kl_nats" in row}
    assert list(running) == [2, 4, 6, 8]
    assert epochs == pytest.approx({4: (running[2] + running[4]) / 2, 8: (running[6] + running[8]) / 2}, rel=1e-5)
    assert min(running.values()) > 0

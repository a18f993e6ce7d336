"""Run folders that étude 0.1.0 wrote still open, resume and measure.

Each was interrupted after the first of two epochs on the digits. The initial weights followed a short pattern, so that
the folders, which are archives here, are small.
"""

import tarfile
from pathlib import Path

import pytest

import etude
from etude.figures.catalogue import available
from etude.training import Display

ARCHIVES = Path(__file__).parent / "format_1"


@pytest.mark.parametrize(
    ("recipe", "metric", "headline"),
    [
        ("lenet", "accuracy", "test/accuracy"),
        ("gan", "kid", "train/generator_loss"),
        ("vae", "active_latents", "test/loss_nats"),
    ],
)
def test_an_old_run_opens_resumes_and_measures(recipe: str, metric: str, headline: str, tmp_path: Path) -> None:
    with tarfile.open(ARCHIVES / f"{recipe}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / f"{recipe}-1"
    before = (folder / "metrics.jsonl").read_bytes()

    run = etude.load(folder)
    assert (run.state.status, run.state.epoch) == ("interrupted", 1)
    assert "losses" in available(run)

    run = etude.resume(run, display=Display(quiet=True))
    assert run.state.status == "finished"
    assert (folder / "metrics.jsonl").read_bytes().startswith(before)
    assert headline in run.metrics().last()
    features = tmp_path / "features.py"
    features.write_text("from torch import nn\nFeatures = lambda: nn.Sequential(nn.AvgPool2d(4), nn.Flatten())\n")
    measured = etude.measure(run, metrics=[metric], num_samples=200, features=f"{features}:Features")
    assert measured[metric]["value"] is not None

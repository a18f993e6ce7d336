"""Several numbers of latents in one command: trained once, measured, refused where it makes no sense."""

import json
from pathlib import Path

import pytest

from etude.cli import main
from etude.measurement import Settings, measure, reference_classifier
from etude.metrics.likelihood import GREY_NOTE
from etude.runs import Run
from etude.sweeps.latent_study import METRICS

QUICK = ["--data", "digits", "--epochs", "1", "--jobs", "1", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(autouse=True)
def _quick_classifier(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_classifier, "IMAGES_SEEN", 6_000)
    monkeypatch.setattr(reference_classifier, "cache_folder", lambda: folder / "cache")


def test_each_number_of_latents_is_trained_once_and_measured(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["latents", *QUICK, "--dims", "5,2", "--seeds", "2", "--runs-dir", str(folder), "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["split"] == "test"
    assert [(run["latent_dim"], run["seed"]) for run in found["runs"]] == [(2, 0), (2, 1), (5, 0), (5, 1)]
    for each in found["runs"]:
        run = Run(Path(each["run"]))
        assert run.recipe.latent_dim == each["latent_dim"]  # type: ignore[attr-defined]
        results = measure(run, Settings(metrics=METRICS))
        assert each["negative_elbo_nats"] == pytest.approx(results["negative_elbo_nats"]["value"])
        assert each["active_latents"] == results["active_latents"]["value"] <= each["latent_dim"]
        assert each["note"] == GREY_NOTE
        assert (each["fid"], each["fid_floor"]) == (results["fid"]["value"], results["fid"]["floor"])
    png, svg = map(Path, found["figures"])
    assert png == folder / "vae-digits-sweep-1" / "latents.png"
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.is_file()

    monkeypatch.setattr("etude.sweeps.processes.Worker", None)  # nothing is trained again
    assert main(words[:-1]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "on the test images; nats per image, mean ± standard deviation over seeds"
    assert lines[1].split() == [
        "latents", "negative", "ELBO", "reconstruction", "KL", "in", "use", "linear", "probe", "FID", "seeds",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[2:4]] == ["2", "5"]
    assert lines[2].split()[2] == "±"
    assert lines.count(f"note: {GREY_NOTE}") == 1  # of four runs, and the nats are no likelihood
    assert str(png) in lines


def test_one_run_of_each_says_that_seeds_are_not_known(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latents", *QUICK, "--dims", "2", "--runs-dir", str(folder), "--name", "one"]) == 0
    out = capsys.readouterr().out
    assert "note: with one run each, it is not known how much another seed would differ; --seeds 8 shows it." in out
    assert "±" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gan"], "recipe gan has no latents: choose vae, beta-vae, cvae or a file with one of them."),
        (["--dims", "2,x"], "--dims 2,x (allowed: whole numbers separated by commas, such as 2,5,10)."),
        (["--dims", "0"], "out of range: --latent-dim 0 (allowed: 1 to 4096)."),
        (["--seeds", "0"], "--seeds 0 (allowed: 1 to 10,000)."),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["latents", "--data", "digits", "--runs-dir", str(tmp_path), *words]) == 2
    assert capsys.readouterr().err == f"etude: {message}\n"

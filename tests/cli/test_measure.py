"""`etude measure` as a person uses it."""

import json
from pathlib import Path

import pytest

from etude.cli import main
from etude.measurement import reference_classifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for recipe in ("lenet", "vae"):
        words = ["train", recipe, "--data", "digits", "--epochs", "1", "--threads", "1", "--quiet", "--no-figures"]
        assert main([*words, "--runs-dir", str(folder), "--name", recipe]) == 0
    return folder


@pytest.fixture(autouse=True)
def _quick_classifier(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_classifier, "IMAGES_SEEN", 6_000)
    monkeypatch.setattr(reference_classifier, "cache_folder", lambda: folder.parent / "cache")


def test_json_is_one_object_and_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--metrics", "fid,kid,nll_nats", "--num-importance", "10", "--num-likelihood-images", "20", "--json"]
    assert main(["measure", str(folder / "vae"), *words]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["fid", "kid", "nll_nats", "about", "notes"]
    assert set(result["fid"]) == {"value", "interval", "floor", "num_samples", "features"}
    assert result["fid"]["num_samples"] == 297
    assert result["nll_nats"]["method"] == "quadrature"


def test_the_table_has_value_floor_and_number_of_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--metrics", "kid, nll_nats", "--num-importance", "10", "--num-likelihood-images", "20"]
    assert main(["measure", "vae", "--runs-dir", str(folder), *words]) == 0
    shown = capsys.readouterr()
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[0] == ["vae", "at", "step", "46", "(the", "last),", "digits:", "test", "images,", "seed", "0"]
    assert lines[1][0] == "features:"
    assert lines[1][2:4] == ["test", "accuracy"]
    assert lines[3] == ["metric", "value", "floor", "95%", "interval", "images"]
    assert lines[4][0] == "kid"
    assert lines[4][-1] == "297"
    assert shown.out.splitlines()[5].endswith("exact, pixels as they are")
    assert "bits/dim" not in shown.out
    assert shown.out.splitlines()[-1].startswith("note: grey pixels: these nats bound a cross-entropy")


def test_the_first_time_says_that_it_trains_a_classifier(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_classifier, "cache_folder", lambda: tmp_path)
    assert main(["measure", "vae", "--runs-dir", str(folder), "--metrics", "fid", "--seed", "7"]) == 0
    (classifier,) = (tmp_path / "classifiers").iterdir()
    assert capsys.readouterr().err == (
        f"training the classifier whose features compare images (once for digits, kept in {classifier})\n"
    )


def test_a_classifier_has_intervals(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "lenet", "--runs-dir", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lenet at step 337 (the last), digits: test images, seed 0"
    assert lines[2].split() == ["metric", "value", "floor", "95%", "interval", "images"]
    rows = {line.split()[0]: line for line in lines[3:] if line}
    assert {"accuracy", "top_k_accuracy", "class_accuracy", "nll_nats", "brier", "ece", "temperature"} <= set(rows)
    assert "k = 3" in rows["top_k_accuracy"]
    assert "fitted on validation; test nll" in rows["temperature"]
    assert "–" in rows["accuracy"]
    assert "minimum of 10 classes, " in rows["class_accuracy"]
    assert rows["ece"].rstrip().endswith("floor: labels drawn from its own probabilities")
    for row in rows.values():  # value, floor and limits end at one decimal
        words = row.split()
        if "–" in words:
            numbers = [word for word in words[1 : words.index("–") + 2] if word != "–"]
            assert len({len(number.partition(".")[2]) for number in numbers}) == 1, row


def test_bits_stand_only_where_nats_are_a_likelihood(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--metrics", "nll_nats", "--binarize", "dynamic", "--num-likelihood-images", "20"]
    assert main(["measure", "vae", "--runs-dir", str(folder), *words]) == 0
    assert "bits/dim, exact, dynamic binarisation" in capsys.readouterr().out


def test_the_checkpoint_that_validation_chose(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["measure", str(folder / "lenet"), "--metrics", "accuracy"]
    for which, shown in (("best", "337 (the best by validation)"), ("337", "337")):
        assert main([*words, "--checkpoint", which]) == 0
        assert capsys.readouterr().out.startswith(f"lenet at step {shown}, digits: test images")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lenet", "--metrics", "acuracy"], "unknown metric 'acuracy': did you mean 'accuracy'? Choose from "),
        (["lenet", "--metrics", "fid"], "metric 'fid' does not fit run lenet, a lenet: choose from accuracy, "),
        (["lenett"], "no run 'lenett' here or in FOLDER: did you mean 'lenet'? `etude runs` lists 2."),
        (["lenet", "vae"], "FOLDER/lenet is a run, not a sweep: name a single run, or only sweeps."),
        (["vae", "--features", "net.py:N"], "there is no file net.py; give the path of a Python file, as net.py:Net."),
        (["vae", "--checkpoint", "best"], "run vae has no best checkpoint: it held no images out; use 'last'."),
        (["lenet", "--checkpoint", "3"], "run lenet has no checkpoint 3: choose from last, best, [0, 337]."),
        (["vae", "--num-samples", "1"], "out of range: --num-samples 1 (allowed: at least 10)."),
    ],
)
def test_mistakes_are_one_line(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", *words, "--runs-dir", str(folder)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"etude: {message.replace('FOLDER', str(folder))}")
    assert shown.err.count("\n") == 1

"""A classifier of sentences on the command line: trained, resumed, asked, measured, drawn, repeated over folds."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import etude
from etude.cli import main
from etude.data import load
from etude.figures.material import Material
from etude.figures.words import words

QUICK = ["--train-images", "320", "--epochs", "2", "--batch-size", "32", "--threads", "1", "--no-figures", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run `lstm` on made sentences."""
    folder = tmp_path_factory.mktemp("runs")
    command = ["train", "text-classifier", "--network", "lstm", *QUICK, "--runs-dir", str(folder), "--name", "lstm"]
    assert main(command) == 0
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder / "lstm", tmp_path / "lstm"))


def test_a_sentence_gets_a_class(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", str(run), "the plot is not dull ."]) == 0
    shown = capsys.readouterr().out.split()
    assert shown[0] in ("negative", "positive")
    assert 0.5 <= float(shown[1]) <= 1
    assert shown[2:] == ["the", "plot", "is", "not", "dull", "."]
    assert main(["classify", str(run), "The plot is not xylophonic .", "--words", "--by", "occlusion", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["text", "class", "probabilities", "words"]
    assert found["text"] == "The plot is not xylophonic ."
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert found["class"] == max(found["probabilities"], key=found["probabilities"].get)
    assert [each["word"] for each in found["words"]] == ["the", "plot", "is", "not", "xylophonic", "."]
    assert [each["known"] for each in found["words"]] == [True, True, True, True, False, True]
    assert found["words"][4]["nats"] == pytest.approx(0, abs=1e-6)
    assert main(["classify", str(run), "not xylophonic", "--words"]) == 0
    line = capsys.readouterr().out.splitlines()[1].split()
    assert (line[0], line[2]) == ("not", "[xylophonic]")


def test_lines_of_stdin_are_answered_in_order(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"the plot is {word} ." for word in ("good", "dull", "moving")]
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{texts[0]}\r\n\n{texts[1]}\n{texts[2]}"))
    assert main(["classify", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in lines] == [texts[0], "", texts[1], texts[2]]
    expected = etude.load(run).classify(texts)
    shown = [float(line.split()[1]) for line in lines if line]
    assert shown == pytest.approx(expected.max(dim=1).values.tolist(), abs=6e-4)


def test_text_that_is_not_utf_8_is_said(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"good\n\xff\n"), encoding="utf-8"))
    assert main(["classify", str(run)]) == 2
    assert capsys.readouterr().err == "etude: stdin is not UTF-8 (invalid start byte at byte 5): give text in UTF-8.\n"


def test_words_are_drawn(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure", str(run), "words"]) == 0
    assert main(["figure", str(run), "words", "--text", "not dull", "--text", "dull", "--by", "occlusion"]) == 0
    names = ["words.png", "words.svg", "words-occlusion-text.png", "words-occlusion-text.svg"]
    assert capsys.readouterr().out.splitlines() == [str(run / "figures" / name) for name in names]
    assert main(["figure", str(run), "--all"]) == 0
    drawn = {Path(line).stem for line in capsys.readouterr().out.splitlines()}
    assert drawn == {"losses", "confusion", "per-class-accuracy", "reliability", "words"}


def test_test_sentences_that_are_right_and_wrong_are_drawn(run: Path) -> None:
    opened = etude.load(run)
    material = Material(opened, data_dir=None)
    shown = [text.get_text() for text in words(material).texts]
    headings = [text for text in shown if text.startswith("predicted: ")]
    assert [heading.split("; ")[1].split(",")[0] for heading in headings] == ["right"] * 3 + ["wrong"] * 3
    sure = [float(heading.split("p = ")[1][:4]) for heading in headings]
    assert sure[0] >= sure[1] >= sure[2] >= 0.5
    assert sure[3] >= sure[4] >= sure[5] >= 0.5
    most = opened.classify(material.dataset.test["tokens"]).max().item()
    assert max(sure) == pytest.approx(most, abs=0.006)
    own = [text.get_text() for text in words(Material(opened, data_dir=None, texts=["dull"])).texts]
    assert own[1].startswith("predicted: ")
    assert ";" not in own[1]
    assert own[2] == "dull"


def test_every_metric_of_a_classifier_and_the_floors_are_measured(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found)[:9] == [
        "accuracy", "top_k_accuracy", "class_accuracy", "nll_nats", "brier", "ece", "temperature", "naive_bayes",
        "nbsvm",
    ]  # fmt: skip
    assert found["notes"] == []
    opinions = load("opinions")
    assert found["naive_bayes"]["num_train"] == 320 + len(opinions.validation or ())
    assert found["nbsvm"]["c"] in (0.01, 0.03, 0.1, 0.3, 1.0)
    # Its own words say little, and pairs of words more: `not dull`.
    assert 0.45 < found["naive_bayes"]["value"] < found["nbsvm"]["value"] < 0.75
    assert main(["measure", str(run), "--metrics", "nbsvm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lstm at step 20 (the last), opinions: test sentences, seed 0"
    assert lines[2].split()[-1] == "sentences"
    assert lines[3].endswith("learned from 820 sentences")
    assert main(["measure", str(run), "--metrics", "naive_bayes", "--split", "validation"]) == 2
    assert capsys.readouterr().err == (
        "etude: naive_bayes and nbsvm learn from the validation sentences too: leave them or --split validation out.\n"
    )


def test_a_killed_run_goes_on_to_the_same_bits(folder: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "etude", "train", "text-classifier", "--network", "lstm", *QUICK, "--runs-dir",
        str(tmp_path), "--name", "lstm", "--report-every", "3",
    ]  # fmt: skip
    whole = [*command[:-4], "--name", "whole", "--report-every", "3"]
    subprocess.run(whole, check=True, capture_output=True)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "lstm" / "checkpoints" / "step-10").exists() and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    if etude.load(tmp_path / "lstm").state.status != "finished":  # on a slow machine the kill may come late
        etude.resume(tmp_path / "lstm")
    for name in ("metrics.jsonl", "checkpoints/step-20/model.safetensors", "checkpoints/step-20/trainer.safetensors"):
        assert (tmp_path / "lstm" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_mean_over_folds_is_reported_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opinions = load("opinions")
    for label, ending in enumerate(("neg", "pos")):
        lines = [
            text for text, of in zip(opinions.train.texts["text"], opinions.train.labels, strict=True) if of == label
        ]
        path = tmp_path / "rt-polarity" / f"rt-polarity.{ending}"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines[:150]), encoding="utf-8")
    command = [
        "sweep",
        "sentiment-lstm",
        "--network",
        "bag",
        "--grid",
        "fold=0..2",
        "--epochs",
        "1",
        "--quiet",
        "--json",
    ]
    where = ["--runs-dir", str(tmp_path / "runs"), "--data-dir", str(tmp_path), "--jobs", "1"]
    assert main([*command, *where, "--name", "folds"]) == 0
    found = json.loads(capsys.readouterr().out)
    (cell,) = found["cells"]
    assert (cell["cell"], cell["num_runs"], list(cell["values"])) == ("sentiment-lstm", 3, ["0", "1", "2"])
    assert cell["mean"] == pytest.approx(sum(cell["values"].values()) / 3)
    assert found["seeds"] == [0]
    texts: set[str] = set()
    for fold in range(3):
        one = etude.load(tmp_path / "runs" / "folds" / f"fold-{fold}-seed-0").dataset()
        assert len(one.test) == 30
        assert not texts & set(one.test.texts["text"])
        texts |= set(one.test.texts["text"])
    assert main(["measure", str(tmp_path / "runs" / "folds"), "--metrics", "accuracy,naive_bayes", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)["sweeps"][0]["metrics"]
    assert measured["accuracy"]["cells"][0]["values"] == pytest.approx(cell["values"])
    assert len(measured["naive_bayes"]["cells"]) == 1
    assert measured["naive_bayes"]["cells"][0]["num_runs"] == 3

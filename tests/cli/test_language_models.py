"""A language model by the commands: trained on a file, it writes, is measured and drawn."""

import json
from pathlib import Path

import pytest

import etude
from etude.cli import main

SMALL = ["--width", "24", "--layers", "1", "--batch-size", "4", "--bptt", "20", "--optimizer.learning-rate", "0.02"]
TEXT = "The cat sat on the mat.\nThe dog sat on the log.\n" * 120


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `char-lstm` on a small file."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "cats.txt").write_text(TEXT)
    words = ["train", "char-lstm", "--data", f"chars:{folder / 'cats.txt'}", *SMALL, "--epochs", "3", "--threads", "1"]
    assert main([*words, "--runs-dir", str(folder), "--name", "cats", "--quiet", "--json"]) == 0
    return folder / "cats"


def test_training_records_nats_bits_and_texts(run: Path) -> None:
    metrics = etude.load(run).metrics().last()
    for split in ("validation", "test"):
        assert metrics[f"{split}/nats_per_character"] == metrics[f"{split}/loss"] < 1.5
        assert metrics[f"{split}/bits_per_byte"] == pytest.approx(metrics[f"{split}/loss"] / 0.6931471805599453)
    samples = sorted((run / "samples").iterdir())
    assert [path.name for path in samples] == [f"step-{step:06d}.txt" for step in (0, 57, 114, 171)]
    assert samples[-1].read_text().count(" sat ") > samples[0].read_text().count(" sat ")
    assert (run / "vocabulary.txt").read_text().splitlines()[0] == "<unk>"
    assert (run / "figures" / "losses.png").exists()


def written(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["sample", *words]) == 0
    return capsys.readouterr().out


def test_it_goes_on_with_a_prompt(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = [str(run), "--prompt", "The dog", "--length", "30"]
    text = written([*words, "--temperature", "0.8"], capsys)
    assert text.startswith("The dog")
    assert len(text) == 7 + 30 + 1
    assert written([*words, "--temperature", "0.8"], capsys) == text
    assert written([*words, "--temperature", "0.8", "--seed", "1"], capsys) != text
    greedy = [written([*words, "--temperature", "0", "--seed", seed], capsys) for seed in "01"]
    assert greedy[0] == greedy[1]
    assert etude.load(run).continue_text("The dog", length=30, temperature=0.8) == text.removesuffix("\n")
    assert len(written([str(run)], capsys)) == 1 + 500 + 1
    file = tmp_path / "text.txt"
    assert written([*words, "--temperature", "0", "--out", str(file)], capsys) == f"{file}\n"
    assert file.read_text() == greedy[0]


MISTAKES = {
    "sample RUN --prompt Ähm→": "--prompt: run cats was not trained on 'Ä', '→'; vocabulary.txt in its folder lists "
    "what it knows.",
    "sample RUN --prompt 0123456": "--prompt: run cats was not trained on '0', '1', '2', '3', '4' and 2 more; "
    "vocabulary.txt in its folder lists what it knows.",
    "sample RUN --temperature -1": "--temperature -1 (allowed: 0 to 100).",
    "sample RUN --temperature nan": "--temperature nan (allowed: 0 to 100).",
    "sample RUN --length 0": "--length 0 (allowed: 1 to 100,000).",
    "sample RUN --seed -1": "--seed -1 (allowed: in [0, 2^63)).",
    "sample RUN --num 3": "--num 3 is for images, and run cats writes a text: leave it out.",
    "sample RUN --label x": "--label x is for images, and run cats writes a text: leave it out.",
    "sample RUN --out x.png": "--out x.png (allowed: a name that ends in .txt).",
    "figure RUN samples": "figure 'samples' does not fit run cats, a lstm: choose from losses, memory.",
    "measure RUN --metrics fid": "metric 'fid' does not fit run cats, a lstm: choose from nats_per_character, "
    "bits_per_byte, perplexity, accuracy.",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line(words: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([each.replace("RUN", str(run)) for each in words.split()]) == 2
    assert capsys.readouterr().err == f"etude: {MISTAKES[words]}\n"


def test_flags_of_texts_are_not_for_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", "digits", "--epochs", "1", "--train-images", "256", "--quiet", "--no-figures", "--name", "gan"]
    assert main(["train", "gan", *words, "--runs-dir", str(tmp_path)]) == 0
    for flag, value in (("prompt", "a"), ("length", "3"), ("temperature", "0.5")):
        capsys.readouterr()
        assert main(["sample", str(tmp_path / "gan"), f"--{flag}", value]) == 2
        assert capsys.readouterr().err == (
            f"etude: --{flag} {value} is for texts, and run gan is no language model: leave it out.\n"
        )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--batch-size", "600"],
            "--batch-size 600 needs 12000 symbols a step, and there are 4607 to train on: choose at most 230.",
        ),
        (
            ["--bptt", "5000"],
            "--batch-size 4 needs 20000 symbols a step, and there are 4607 to train on: give more symbols to train on.",
        ),
        (["--data", "digits"], "lstm does not take images, and digits holds them: a language model takes none."),
    ],
)
def test_what_does_not_fit_the_text(
    flags: list[str], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "char-lstm", "--data", f"chars:{run.parent / 'cats.txt'}", *SMALL, *flags]
    assert main([*words, "--runs-dir", str(run.parent / "none")]) == 2
    assert capsys.readouterr().err == f"etude: {message}\n"
    assert not (run.parent / "none").exists()


def test_a_loss_on_answers_needs_a_text_that_asks(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, runs = f"chars:{run.parent / 'cats.txt'}", run.parent / "none"
    assert main(["train", "char-lstm", "--data", data, *SMALL, "--loss-on", "answer", "--runs-dir", str(runs)]) == 2
    assert capsys.readouterr().err == f"etude: --loss-on answer: {data} asks nothing; train on cue, or leave it out.\n"
    assert not runs.exists()


def test_it_is_measured(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    recorded = etude.load(run).metrics().last()
    for name, metric in (
        ("nats_per_character", "nats_per_character"),
        ("bits_per_byte", "bits_per_byte"),
        ("perplexity", "perplexity"),
        ("accuracy", "accuracy"),
    ):
        low, high = found[name]["interval"]
        assert low <= found[name]["value"] <= high
        assert found[name]["value"] == pytest.approx(recorded[f"test/{metric}"], rel=1e-5)
        assert found[name]["num_samples"] == 575
    counted = etude.metrics.ngram_nats
    dataset = etude.load(run).dataset()
    size = len(dataset.kind.vocabulary)  # pyright: ignore[reportAttributeAccessIssue]
    train, test = dataset.train["targets"], dataset.test["targets"]
    result = found["nats_per_character"]
    assert result["floor"] == pytest.approx(counted(train, test, num_symbols=size, order=5).mean())
    assert result["unigram"] == pytest.approx(counted(train, test, num_symbols=size, order=1).mean())
    assert main(["measure", str(run)]) == 0
    out = capsys.readouterr().out
    assert f"floor: a 5-gram model; single symbols {result['unigram']:.3g}" in out


def test_etude_show_tells_of_the_text(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"data         {run.parent / 'cats.txt'}".split()[0] == lines[2].split()[0]
    assert "4,607 train, 575 validation, 575 test symbols" in lines[2]

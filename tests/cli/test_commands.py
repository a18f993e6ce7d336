"""The command line as a person uses it: what it prints, where, and with which exit code."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etude.cli import COMMANDS, main

QUICK = ["--data", "digits", "--epochs", "1", "--threads", "1", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run each of `cvae`, `gan` and `lenet`, made by the command."""
    folder = tmp_path_factory.mktemp("runs")
    for recipe in ("cvae", "gan", "lenet"):
        assert main(["train", recipe, *QUICK, "--runs-dir", str(folder), "--name", recipe, "--no-figures"]) == 0
    return folder


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ETUDE_RUNS", raising=False)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for line in (
        "  train         Train a recipe on images, tables or texts",
        "  resume        Continue a run that was stopped",
    ):
        assert line in out


@pytest.mark.parametrize("code", ["from etude.cli import main; main(['--help'])", "import etude"])
def test_help_and_the_package_load_no_large_library(code: str) -> None:
    code += "; import sys; print([name for name in ('torch', 'numpy', 'matplotlib', 'scipy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def commands() -> list[list[str]]:
    """Every command's words; train and sweep with a recipe of each family, study with one of each topic."""
    words: list[list[str]] = []
    for name, command in (each for group in COMMANDS.values() for each in group.items()):
        if name in ("train", "sweep"):
            words += [[name, recipe] for recipe in ("lenet", "gan", "vae")]
        elif name == "study":
            words += [[name, each] for each in ("ravine", "tanh-24", "mode-collapse", "bound", "tbptt-reach")]
        else:
            words += [[name, *verb.split()] for verb in (command if isinstance(command, dict) else [""])]
    return words


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_a_page(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*words, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert f"usage: etude {' '.join(words)}" in out
    assert "--help" in out
    assert "None" not in out
    assert "(default: )" not in out


def test_the_page_of_a_recipe_has_all_its_flags_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "lsgan", "--help"])
    out = capsys.readouterr().out
    for flag in ("--noise-dim INT", "--optimizer.learning-rate FLOAT", "--data STR", "--name STR", "--json"):
        assert flag in out
    text = " ".join(out.replace("│", " ").split())
    assert "(default: least_squares)" in text
    assert "Step size. (above 0; default: 0.001)" in text
    assert "maps to an image. (1 to 4096; default: 96)" in text
    assert "with this side in pixels. Default: 32. (at least 16; default: unset)" in text


def test_a_recipes_switch_is_listed_both_ways_and_taken_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "cifar-fast", "--help"])
    out = capsys.readouterr().out
    assert "--alternate-flips, --no-alternate-flips" in out
    assert "--no-quiet" not in out
    small = ["--data", "digits", "--train-images", "20", "--batch-size", "20", "--epochs", "1", "--quiet", "--json"]
    for words, flips in (([], True), (["--alternate-flips"], True), (["--no-alternate-flips"], False)):
        assert main(["train", "cifar-fast", "--width", "4", *small, "--no-figures", *words]) == 0
        run = Path(json.loads(capsys.readouterr().out)["run"])
        assert json.loads((run / "recipe.json").read_text())["recipe"]["alternate_flips"] is flips


def test_train_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "vae", *QUICK[:-1], "--json", "--latent-dim", "3", "--optimizer.learning-rate", "2e-3"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"run", "recipe", "data", "parameters", "epochs", "steps", "seconds", "metrics"}
    assert (result["run"], result["recipe"], result["data"]) == ("runs/vae-digits-1", "vae", "digits")
    assert (result["epochs"], result["steps"]) == (1, 1500 // 32)
    assert result["parameters"] == {"vae": 97_237 + 2 * 17 + 3136}  # one more latent: two heads and the decoder
    assert {"test/loss_nats", "test/reconstruction_nats", "test/kl_nats"} <= set(result["metrics"])
    assert json.loads(Path("runs/vae-digits-1/recipe.json").read_text())["recipe"]["optimizer"]["learning_rate"] == 2e-3
    figures = {path.name for path in Path("runs/vae-digits-1/figures").iterdir()}
    assert {"losses.png", "losses.svg", "latent-scatter.png", "reconstructions.svg", "samples.png"} <= figures


def test_classifier_and_gan_report_theirs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for recipe, metrics in (
        ("lenet", ["test/accuracy", "validation/accuracy", "train/loss"]),
        ("gan", ["train/discriminator_loss", "train/generator_loss"]),
    ):
        assert main(["show", recipe, "--runs-dir", str(folder), "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert set(metrics) <= set(shown["metrics"])
        assert shown["state"]["status"] == "finished"


def test_running_losses_are_printed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "lenet", *QUICK[:-1], "--report-every", "100", "--print-losses", "--no-figures"]
    assert main(words) == 0
    printed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[epoch")]
    assert [line.split("]")[0] for line in printed] == ["[epoch 1,   100", "[epoch 1,   200", "[epoch 1,   300"]
    assert all("loss: " in line for line in printed)


def test_runs_lists_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--runs-dir", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "recipe", "data", "state", "epochs", "result", "begun"]
    assert [line.split()[:5] for line in lines[1:]] == [
        [name, name, "digits", "finished", "1/1"] for name in ("cvae", "gan", "lenet")
    ]
    assert main(["runs", "--runs-dir", str(folder), "--json"]) == 0
    assert [run["run"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["cvae", "gan", "lenet"]


def test_no_runs_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == "no runs in runs yet: `etude train vae --data digits` makes one.\n"


def test_show_says_what_and_how_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(folder / "gan")]) == 0
    out = capsys.readouterr().out
    assert "data         digits: 1,350 train, 150 validation, 297 test images of 1×28×28, 10 classes\n" in out
    assert "parameters   discriminator 267,009, generator 1,952,528\n" in out
    assert 'loss = "nonsaturating"\n' in out


def test_sample_writes_a_picture_or_an_array(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(folder / "cvae")
    assert main(["sample", run, "--num", "9", "--label", "4", "--out", "four.png"]) == 0
    assert capsys.readouterr().out == "four.png\n"
    with Image.open("four.png") as picture:
        assert picture.width == picture.height
    assert main(["sample", run, "--num", "9", "--label", "4", "--out", "four.npy"]) == 0
    images = np.load("four.npy")
    assert (images.shape, images.dtype) == ((9, 1, 28, 28), np.float32)
    assert main(["sample", run, "--num", "3"]) == 0
    assert (folder / "cvae" / "samples.png").exists()


def test_recipes_are_listed_printed_and_saved(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "lenet", "cifar-fast", "classifier", "sentiment-lstm", "text-classifier", "gan", "lsgan", "dcgan", "wgan-gp",
        "vae", "beta-vae", "cvae", "ddpm", "flow", "translate-gru", "translate-luong", "translate-transformer",
        "char-lstm", "char-gru", "char-transformer",
    ]  # fmt: skip
    assert main(["recipes", "vae"]) == 0
    printed = capsys.readouterr().out
    assert main(["recipes", "vae", "--out", "mine.toml"]) == 0
    assert Path("mine.toml").read_text() == printed
    Path("mine.toml").write_text('name = "vae"\ndata = "digits"\nepochs = 1\nlatent_dim = 4\n')
    assert (
        main(["train", "mine.toml", "--threads", "1", "--quiet", "--no-figures", "--name", "m", "--epochs", "2"]) == 0
    )
    recipe = json.loads(Path("runs/m/recipe.json").read_text())["recipe"]
    assert (recipe["latent_dim"], recipe["epochs"]) == (4, 2)


def test_figures_of_a_run_are_listed_and_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure", str(folder / "lenet")]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "losses", "confusion", "per-class-accuracy", "reliability",
    ]  # fmt: skip
    assert main(["figure", str(folder / "lenet"), "confusion"]) == 0
    drawn = capsys.readouterr().out.splitlines()
    assert drawn == [str(folder / "lenet" / "figures" / f"confusion.{ending}") for ending in ("png", "svg")]
    assert all(Path(path).stat().st_size > 1000 for path in drawn)


ALLOWED = "lists what is allowed."
MISTAKES = {
    "trian": "unknown command 'trian': did you mean 'train'? Choose from",
    "train lenett": "unknown recipe 'lenett': did you mean 'lenet'? Choose from beta-vae, char-gru, char-lstm, "
    "char-transformer, cifar-fast, classifier, cvae, dcgan, ddpm, flow, gan, lenet, lsgan, sentiment-lstm, "
    "text-classifier, translate-gru, translate-luong, translate-transformer, vae, wgan-gp; `etude recipes` describes "
    "them.",
    "train --epochs 3": "the recipe comes first: `etude train RECIPE --epochs …`; `etude recipes` lists them.",
    "train vae --epoch 3": "unknown flag or word: --epoch, 3; did you mean --epochs? `etude train vae --help` "
    f"{ALLOWED}",
    "train lenet --no-test-flip": "unknown flag or word: --no-test-flip; did you mean --test-flips, --no-test-flips? "
    f"`etude train lenet --help` {ALLOWED}",
    "train vae --epochs three": "Error parsing --epochs: invalid literal for int() with base 10: 'three'; "
    f"`etude train vae --help` {ALLOWED}",
    "train vae --epochs": "Missing value for argument '--epochs'. Expected 1 values; `etude train vae --help` "
    f"{ALLOWED}",
    "train vae --epochs 0 --beta -1": "out of range: --epochs 0 (allowed: at least 1); --beta -1.0 (allowed: 0 or "
    "more).",
    "train vae --data mnits": "unknown data set 'mnits': did you mean 'mnist'? Choose from",
    "train vae --data digits --batch-size 5000": "--batch-size 5000 needs 5000 images a step, and there are 1500 to "
    "train on: choose at most 1500, or hold out fewer --validation-images.",
    "train wgan-gp --data digits --batch-size 500": "--batch-size 500 needs 2500 images a step, and there are 1350 to "
    "train on: choose at most 270, or hold out fewer --validation-images.",
    "train vae --data digits --device tpu": "invalid choice 'tpu' for argument '--device'. Expected one of ('auto', "
    f"'cpu', 'cuda', 'mps'); `etude train vae --help` {ALLOWED}",
    "train vae --data digits --threads 0": "--threads 0 (allowed: 1 to 1024; this machine has "
    f"{os.cpu_count()} cores).",
    "measure RUNS/cvae --binarize foo": "invalid choice 'foo' for argument '--binarize'. Expected one of ('none', "
    f"'static', 'dynamic', 'threshold'); `etude measure --help` {ALLOWED}",
    "train vae --image-size None": "Error parsing --image-size: invalid literal for int() with base 10: 'None'; "
    f"`etude train vae --help` {ALLOWED}",
    "train mine.toml": "cannot read recipe mine.toml: no such file or directory.",
    "show": "Missing from etude show: RUN The run's or the sweep's name or folder. (required); "
    f"`etude show --help` {ALLOWED}",
    "show nothing": "no run 'nothing' here or in runs: `etude runs` lists 0.",
    "resume nothing": "no run 'nothing' here or in runs: `etude runs` lists 0.",
    "sample RUNS/lenet": "run lenet is of a lenet and cannot sample: choose a run of a GAN or VAE.",
    "sample RUNS/gan --out x.jpg": "--out x.jpg (allowed: a name that ends in .png or .npy).",
    "sample RUNS/cvae --label eleven": "unknown label 'eleven': choose from 0, 1, 2, 3, 4, 5, 6, 7, 8, 9.",
    "sample RUNS/gan --num 0": "--num 0 (allowed: 1 to 100,000; draw more with other seeds).",
    "sample RUNS/gan --out nowhere/x.npy": "cannot write nowhere/x.npy: no such file or directory; free some space or "
    "choose another folder.",
    "figure RUNS/gan lossess": "unknown figure 'lossess': did you mean 'losses'? Choose from",
    "figure RUNS/gan --all --label 3": "--all draws every figure: leave the figure's name and its flags out, or leave "
    "--all out.",
    "figure RUNS/lenet confusion --text dull": "figure 'confusion' takes no texts: leave --text and --by out; words "
    "takes them.",
    "figure RUNS/lenet words": "figure 'words' does not fit run lenet, a lenet: choose from",
    "classify RUNS/lenet dull": "run lenet is of a lenet and reads no sentences: choose a sentiment-lstm.",
    "recipes --out x.toml": "--out x.toml: name the recipe to write, `etude recipes NAME --out x.toml`.",
    "data shwo": "unknown data command 'shwo': did you mean 'show'? Choose from fetch, show; or `etude data` alone.",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_gets_one_line_and_exit_code_2(words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.replace("RUNS", str(folder)).split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"etude: {MISTAKES[words]}")
    if MISTAKES[words].endswith("."):
        assert captured.err == f"etude: {MISTAKES[words]}\n"
    assert captured.err.count("\n") == 1


def test_a_loss_that_is_no_longer_finite_stops_with_the_last_good_checkpoint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["train", "lenet", *QUICK, "--name", "wild", "--optimizer.learning-rate", "1e30", "--report-every", "5"]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        "etude: the loss is no longer finite after step 5 of runs/wild: train again with a lower "
        "--optimizer.learning-rate (now 1e+30); the last good checkpoint, step 0, is kept.\n"
    )
    assert main(["show", "wild", "--json"]) == 0
    state = json.loads(capsys.readouterr().out)["state"]
    assert (state["status"], state["step"], state["epoch"]) == ("failed", 0, 0)
    assert state["seconds"] > 0
    assert main(["resume", "wild"]) == 2
    assert capsys.readouterr().err.startswith("etude: run runs/wild failed, and would do so again: the loss is no lo")


def test_a_full_disk_stops_with_one_line_and_loses_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.fsync, 0

    def full(file: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 20:  # after the first checkpoint
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    monkeypatch.setattr(os, "fsync", full)
    words = ["train", "vae", *QUICK, "--name", "full", "--no-figures"]
    assert main([*words, "--epochs", "3"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("etude: cannot write runs/full/")
    assert message.endswith("no space left on device; free some space or choose another folder.\n")
    monkeypatch.setattr(os, "fsync", real)
    assert main(["resume", "full", "--quiet", "--no-figures"]) == 0
    assert not list(Path("runs/full").rglob("*.part"))
    assert main(["train", "vae", *QUICK, "--name", "roomy", "--no-figures", "--epochs", "3"]) == 0
    for name in ("metrics.jsonl", "checkpoints/step-138/model.safetensors", "checkpoints/step-138/trainer.safetensors"):
        assert Path("runs/full", name).read_bytes() == Path("runs/roomy", name).read_bytes()


def test_no_traceback_from_a_process() -> None:
    process = subprocess.run(
        [sys.executable, "-c", "from etude.cli import main; import sys; sys.exit(main())", "train", "gam"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.startswith("etude: unknown recipe 'gam': did you mean 'gan'?")
    assert process.stderr.count("\n") == 1

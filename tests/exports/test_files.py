"""`etude export` to ONNX and safetensors, what it says on one line, and the documented ten lines."""

import json
import re
import runpy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import etude
from etude.cli import main
from etude.errors import EtudeError, UsageError
from etude.exports import weights
from etude.measurement.results import Result
from etude.runs import Run, code
from etude.runs.checkpoint import load_model
from exports.conftest import untrained
from made_up import make_run

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text("utf-8")


# ONNX -----------------------------------------------------------------------------------------------------------------


def session(path: Path) -> Any:
    return pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture
def _onnx() -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)


@pytest.mark.usefixtures("_onnx")
def test_a_classifier_in_onnx(made: Callable[[str], Run], tmp_path: Path) -> None:
    (path,) = etude.export(made("lenet"), to="onnx", path=tmp_path / "here")
    assert path == tmp_path / "here" / "classifier.onnx"
    loaded = session(path)
    images = torch.rand(3, 1, 28, 28)
    assert [each.name for each in loaded.get_inputs()] == ["images"]
    (found,) = loaded.run(["probabilities"], {"images": images.numpy()})
    np.testing.assert_allclose(found, made("lenet").classify(images), atol=1e-5)


@pytest.mark.usefixtures("_onnx")
def test_both_halves_of_a_conditional_autoencoder_in_onnx(made: Callable[[str], Run], tmp_path: Path) -> None:
    run = made("cvae")
    decoder, encoder = etude.export(run, to="onnx", path=tmp_path)
    images, labels, z = torch.rand(4, 1, 28, 28), torch.tensor([3, 1, 4, 1]), torch.randn(4, 2)
    (found,) = session(decoder).run(["images"], {"latents": z.numpy(), "labels": labels.numpy()})
    np.testing.assert_allclose(found, run.decode(z, labels=labels), atol=1e-5)
    mean, _ = session(encoder).run(["mean", "logvar"], {"images": images.numpy(), "labels": labels.numpy()})
    np.testing.assert_allclose(mean, run.encode(images, labels=labels), atol=1e-4)


@pytest.mark.usefixtures("_onnx")
def test_a_file_that_gives_other_numbers_is_not_written(
    made: Callable[[str], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etude.exports import onnx

    monkeypatch.setattr(onnx, "MOST_DIFFERENCE", -1)
    with pytest.raises(
        UsageError, match=r"^the generator of run gan gives other numbers by onnxruntime than by PyTorch"
    ):
        etude.export(made("gan"), to="onnx", path=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_missing_extra_is_named(made: Callable[[str], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError) as caught:
        etude.export(made("lenet"), to="onnx", path=tmp_path)
    assert str(caught.value) == "--to onnx needs onnx, which is not installed: pip install onnx onnxscript onnxruntime."


# safetensors ----------------------------------------------------------------------------------------------------------


def test_a_folder_for_the_hub(made: Callable[[str], Run], tmp_path: Path) -> None:
    run = made("cvae")
    paths = etude.export(run, to="safetensors", path=tmp_path)
    assert [path.name for path in paths] == ["model.safetensors", "config.json", "README.md"]
    from safetensors.torch import load_file

    tensors, expected = load_file(paths[0]), load_model(run.checkpoint_path())
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)
    config = json.loads(paths[1].read_text("utf-8"))
    assert config["tensors"] == {name: list(tensor.shape) for name, tensor in expected.items()}
    assert (config["classes"], config["data"]["shape"]) == (list("0123456789"), [1, 28, 28])
    assert config["recipe"]["latent_dim"] == 2
    text = paths[2].read_text("utf-8")
    assert text.startswith("---\nlibrary_name: etude\nlicense: unknown\ntags: [")
    assert "| data | `digits`, images of 1×28×28; licence of the data: CC BY 4.0 |" in text
    assert "Not measured yet; these are from training." in text
    assert "etude train cvae --data digits" in text


def test_the_command_of_the_card_trains_the_same_recipe(tmp_path: Path) -> None:
    run = untrained(tmp_path, "vae", epochs=3, latent_dim=7, seed=5)
    (command,) = re.findall(r"^```\n(etude train .*?)\n```$", weights.card(run), re.MULTILINE | re.DOTALL)
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:3] == ["etude", "train", "vae"]
    given = dict(zip(words[3::2], words[4::2], strict=True))
    assert {"--data": "digits", "--epochs": "3", "--seed": "5", "--latent-dim": "7"}.items() <= given.items()


def test_measures_stand_in_the_card(made: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch) -> None:
    result = Result({"value": 0.9534, "floor": 0.1, "interval": [0.93, 0.97], "num_samples": 297})
    kept = weights.Kept(metric="accuracy", split="test", settings={}, result=result)
    monkeypatch.setattr(weights, "kept_results", lambda _: type("Found", (), {"results": [kept]}))
    (row,) = re.findall(r"^\| accuracy .*$", weights.card(made("lenet")), re.MULTILINE)
    assert row == "| accuracy | 0.953 | 0.100 | 0.930 – 0.970 | test | 297 |"


def test_no_path_and_no_markup_leaves_the_machine(tmp_path: Path) -> None:
    run = untrained(tmp_path, "lenet", class_names=("a|b", "<script>"))
    data = f"folder:{tmp_path}/secret/pictures"
    run.configuration["recipe"]["data"] = data
    object.__setattr__(run.recipe, "data", data)
    paths = etude.export(run, to="safetensors", path=tmp_path / "out")
    for path in paths[1:]:
        text = path.read_text("utf-8")
        assert "secret" not in text
        assert "folder:pictures" in text
    assert '| classes | "a\\|b", "&lt;script>" |' in paths[2].read_text("utf-8")


def test_the_ten_lines_of_the_page_load_a_decoder_without_etude(
    made: Callable[[str], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"^```python\n# decode\.py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert "etude" not in code
    assert len(code.strip().splitlines()) <= 10
    etude.export(made("vae"), to="safetensors", path=tmp_path)
    (tmp_path / "decode.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    found = runpy.run_path("decode.py")
    z = torch.tensor([[0.5, -1.0], [2.0, 0.0]])
    torch.testing.assert_close(found["decode"](z), made("vae").decode(z))


# What it says ---------------------------------------------------------------------------------------------------------


def test_the_command_prints_the_files(
    made: Callable[[str], Run], runs_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made("vae")
    for words, names in (
        (["--to", "html"], ["vae.html"]),
        (
            ["--to", "safetensors"],
            [f"safetensors/{name}" for name in ("model.safetensors", "config.json", "README.md")],
        ),
    ):
        assert main(["export", "vae", "--runs-dir", str(runs_dir), *words]) == 0
        assert capsys.readouterr().out.splitlines() == [f"{runs_dir}/vae/exports/{name}" for name in names]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vae", "--to", "html", "--out", "page.png"], "--out page.png (allowed: a name that ends in .html)."),
        (["vae", "--to", "html", "--out", "file/page.html"],
         "cannot write file: file exists; free some space or choose another folder."),
        (["vae", "--to", "safetensors", "--out", "file"],
         "cannot write file: file exists; free some space or choose another folder."),
        (["absent", "--to", "html"], "no run 'absent' here or in RUNS: `etude runs` lists "),
        (["empty", "--to", "html"], "run empty has no checkpoint yet: train on with `etude resume RUNS/empty`."),
        (["empty", "--to", "safetensors"], "run empty has no checkpoint yet: train on with `etude resume RUNS/empty`."),
        (["damaged", "--to", "html"], "damaged checkpoint RUNS/damaged/checkpoints/step-40/model.safetensors: its "
         "content has changed since it was written; delete the folder RUNS/damaged/checkpoints/step-40 to use the one "
         "before it."),
        (["vae", "--to", "pdf"], "invalid choice 'pdf' for argument '--to'. Expected one of ('html', 'onnx', "
         "'safetensors', 'tensorboard'); `etude export --help` lists what is allowed."),
    ],
)  # fmt: skip
def test_mistakes_are_told_on_one_line(
    words: list[str], message: str, made: Callable[[str], Run], runs_dir: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    made("vae")
    if not (runs_dir / "empty").exists():
        make_run(runs_dir, "empty")
        broken = untrained(runs_dir, "gan", name="damaged").checkpoint_path() / "model.safetensors"
        broken.write_bytes(broken.read_bytes()[:-1] + b"x")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["export", *words, "--runs-dir", str(runs_dir)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"etude: {message.replace('RUNS', str(runs_dir))}")
    assert printed.err.count("\n") == 1


def test_an_unknown_format_in_python(made: Callable[[str], Run]) -> None:
    with pytest.raises(UsageError) as caught:
        etude.export(made("vae"), to="htm")  # pyright: ignore[reportArgumentType]
    assert str(caught.value) == (
        "unknown format 'htm': did you mean 'html'? Choose from html, onnx, safetensors, tensorboard."
    )


TEXTS: dict[str, dict[str, Any]] = {
    "char-gru": {"data": "cue", "width": 8, "train_images": 400, "batch_size": 4},
    "text-classifier": {"data": "opinions", "train_images": 64},
}


@pytest.mark.parametrize("recipe", TEXTS)
def test_networks_of_texts_have_weights_and_no_page(recipe: str, tmp_path: Path) -> None:
    display = etude.training.Display(quiet=True)
    usual: dict[str, Any] = {"epochs": 1, "threads": 1, "precision": "fp32", "name": "run", "display": display}
    run = etude.train(recipe, runs_dir=tmp_path, **usual, **TEXTS[recipe])
    for to, what in (("html", "a page shows images"), ("onnx", "html and onnx are for images and tables")):
        with pytest.raises(EtudeError) as caught:
            etude.export(run, to=to)  # pyright: ignore[reportArgumentType]
        assert str(caught.value) == (
            f"run run is of {run.kind.called}, and {what}: `etude export run --to safetensors` exports its weights."
        )
    names = [path.name for path in etude.export(run, to="safetensors")]
    assert names[:3] == ["model.safetensors", "config.json", "README.md"]
    assert "vocabulary.txt" in names


OWN = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.SELU(), nn.Linear(8, 10))
    def forward(self, x):
        return self.layers(x)
"""


def test_a_network_of_ones_own_needs_trust_and_has_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.py").write_text(OWN)
    display = etude.training.Display(quiet=True)
    run = etude.train("classifier", network=f"{tmp_path}/own.py:Net", data="digits", epochs=1, train_images=64,
                      threads=1, precision="fp32", name="run", runs_dir=tmp_path, display=display)  # fmt: skip
    monkeypatch.setattr(code, "key_path", lambda: tmp_path / "key of another user")
    with pytest.raises(EtudeError, match="trust"):
        etude.export(etude.load(run.path), to="html")
    assert len(etude.export(etude.load(run.path), to="safetensors")) == 3
    monkeypatch.undo()
    said: list[str] = []
    (path,) = etude.export(etude.load(run.path), to="html", say=said.append)
    assert said == []
    assert '"page":"drawing"' in path.read_text("utf-8")
    assert str(tmp_path) not in path.read_text("utf-8")

"""Features: étude's classifier, a module of the user's, Inception, and what is wrong with a file."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from etude import recipes
from etude.data import load
from etude.errors import DataError, UsageError
from etude.measurement.feature_network import FeatureNetwork, feature_source
from etude.runs import Run

IMAGES = load("digits").test.images[:20]
GOOD = """
import torch
from torch import nn

class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(49, 8)
        self.dropout = nn.Dropout(0.5)
    def forward(self, images):
        return self.dropout(self.linear(nn.functional.avg_pool2d(images, 4).flatten(1)))

class Flat(nn.Module):
    def forward(self, images):
        return images

class Pair(nn.Module):
    def forward(self, images):
        return images.flatten(1), images

class Broken(nn.Module):
    def forward(self, images):
        return nn.functional.linear(images.flatten(1), torch.ones(3, 5))

class Needs(nn.Module):
    def __init__(self, size):
        super().__init__()

ready = Pooled()
number = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    return path


def network(choice: str) -> FeatureNetwork:
    said: list[str] = []
    recipe = recipes.change(recipes.get("gan"), data="digits")
    return feature_source(choice, recipe, load("digits"), data_dir=None, say=said.append).load()


def test_auto_features_are_the_penultimate_activations_of_an_etude_classifier() -> None:
    made = network("auto")
    features = made.of(IMAGES, what="real")
    assert features.values.shape == (20, 84)
    assert features.values.min() >= 0  # after a ReLU
    assert features.logits is not None
    assert features.logits.shape == (20, 10)
    assert made.test_accuracy is not None
    assert made.test_accuracy > 0.7
    lenet = made.module.network
    assert isinstance(lenet, nn.Module)
    with torch.no_grad():
        torch.testing.assert_close(features.logits, lenet(IMAGES.float() / 127.5 - 1), rtol=1e-4, atol=1e-4)
    assert made.name.startswith("lenet-digits-")


def test_the_classifier_is_trained_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network("auto")
    monkeypatch.setattr("etude.measurement.reference_classifier.train", None)
    network("auto")


def test_an_interrupted_classifier_is_trained_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from etude.measurement import reference_classifier

    monkeypatch.setattr(reference_classifier, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(reference_classifier, "IMAGES_SEEN", 1500)
    first = network("auto")
    run = Run(next((tmp_path / "classifiers").iterdir()))
    run.write_state(run.state.__class__(status="interrupted", step=run.state.step))
    again = network("auto")
    np.testing.assert_array_equal(first.of(IMAGES, what="real").values, again.of(IMAGES, what="real").values)
    assert Run(run.path).state.status == "finished"


@pytest.mark.parametrize("name", ["Pooled", "ready"])
def test_a_module_of_ones_own_in_evaluation_mode_and_without_gradient(file: Path, name: str) -> None:
    made = network(f"{file}:{name}")
    made.module.train()
    first, again = (made.of(IMAGES, what="real").values for _ in range(2))
    np.testing.assert_array_equal(first, again)  # no dropout
    assert first.shape == (20, 8)
    assert made.module.training  # as it was
    assert network(f"{file}:{name}").name == made.name  # its random weights are the same ones each time


def test_uint8_and_float_images_have_the_same_features(file: Path) -> None:
    made = network(f"{file}:Pooled")
    as_float = made.of(IMAGES.float() / 255, what="real").values
    np.testing.assert_array_equal(made.of(IMAGES, what="real").values, as_float)


def test_the_name_changes_with_the_file(file: Path) -> None:
    before = network(f"{file}:Pooled").name
    file.write_text(GOOD.replace("Dropout(0.5)", "Dropout(0.4)"))
    assert network(f"{file}:Pooled").name != before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Flat", "gives shape (20, 1, 28, 28) for 20 images; allowed: (20, features), one row per image: flatten or "
                 "pool the rest."),
        ("Pair", "gives a tuple; allowed: a tensor (images, features)."),
        ("Broken", "fails on images of shape (20, 1, 28, 28): RuntimeError: mat1 and mat2 shapes cannot be multiplied "
                   "(20x784 and 5x3)."),
    ],
)  # fmt: skip
def test_features_of_a_wrong_kind(file: Path, name: str, message: str) -> None:
    made = network(f"{file}:{name}")
    with pytest.raises(UsageError) as error:
        made.of(IMAGES, what="real")
    assert str(error.value) == f"--features {file}:{name} {message}"


def test_features_that_are_no_numbers_name_the_file(file: Path) -> None:
    file.write_text(
        "from torch import nn\nclass Log(nn.Module):\n def forward(self, x): return -(x.flatten(1) - 2).log()\n"
    )
    with pytest.raises(UsageError) as error:
        network(f"{file}:Log").of(IMAGES, what="real")
    assert str(error.value).startswith(f"real features of {file}:Log: 15,680 of 15,680 values are NaN or infinite,")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("autp", "--features autp (allowed: auto, inception, or FILE.py:NAME, a torch module in a file)."),
        ("MINE", "--features MINE (allowed: auto, inception, or FILE.py:NAME, a torch module in a file)."),
        ("nowhere.py:Net", "there is no file nowhere.py; give the path of a Python file, as net.py:Net."),
        ("MINE:Poold", "unknown network in MINE: 'Poold': did you mean 'Pooled'? Choose from Broken, Flat, Needs, "
                        "Pair, Pooled, ready."),
        ("MINE:number", "MINE:number is a int; name a class, a function or a torch.nn.Module."),
        ("MINE:Needs", "Needs takes (size): missing a required argument: 'size'; give constructor arguments, as in "
                       "'MINE:Needs(3)'."),
    ],
)  # fmt: skip
def test_a_wrong_choice(file: Path, choice: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        network(choice.replace("MINE", str(file)))
    assert str(error.value) == message.replace("MINE", str(file))


def test_a_file_that_does_not_run(file: Path) -> None:
    file.write_text("import torch\nnet = torch.nn.Linaer(3, 4)\n")
    with pytest.raises(UsageError) as error:
        network(f"{file}:net")
    assert str(error.value) == (
        f"{file} could not be imported: AttributeError: module 'torch.nn' has no attribute 'Linaer'."
    )


def test_inception_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(DataError) as error:
        network("inception")
    assert str(error.value) == (
        "--features inception needs the package torch-fidelity (ModuleNotFoundError: import of "
        "torch_fidelity.feature_extractor_inceptionv3 halted; None in sys.modules): "
        "`pip install torch-fidelity torchvision`, or leave --features out."
    )


class Recorded(nn.Module):
    """In torch-fidelity's place: what it is given, and features of it."""

    def __init__(self, name: str, features: list[str], *, feature_extractor_weights_path: str) -> None:
        super().__init__()
        assert features == ["2048", "logits_unbiased"]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert (images.dtype, images.shape[1]) == (torch.uint8, 3)
        return images.flatten(1).float(), images[:, :, 0, 0].float()


def test_inception_with_and_without_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    stand_in.FeatureExtractorInceptionV3 = Recorded  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", stand_in)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    weights = tmp_path / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"
    with pytest.raises(DataError) as error:
        network("inception")
    assert str(error.value) == (
        f"--features inception needs its weights, {weights}: fetch them from torch-fidelity's releases on GitHub, or "
        "leave --features out."
    )
    weights.parent.mkdir()
    weights.touch()
    features = network("inception").of(IMAGES.float() / 255, what="real").values
    np.testing.assert_array_equal(features[:, :784], IMAGES.flatten(1).numpy())  # grey as three equal colours, 0 to 255

"""Networks and data given in Python, as objects: trained, kept with the run, opened and resumed without them."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import etude
from etude import source_text
from etude.errors import DataError, UsageError
from etude.training import Display

WIDTH = 8
ACTIVATIONS = {"relu": nn.ReLU, "gelu": partial(nn.GELU, approximate="tanh")}


def block(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, padding=1), ACTIVATIONS["gelu"](), nn.MaxPool2d(2))


class Net(nn.Module):
    """A network that needs a function, a number and a module of its file."""

    def __init__(self, in_channels: int, num_classes: int, width: int = WIDTH) -> None:
        super().__init__()
        self.features = block(in_channels, width)
        self.classifier = nn.LazyLinear(num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(images).flatten(1))


def train(folder: Path, **changes: Any) -> etude.Run:
    return etude.train(
        "classifier", network=Net, epochs=1, batch_size=64, runs_dir=folder, display=Display(quiet=True), **changes
    )


def test_a_class_is_kept_with_the_run_and_opened_without_it(tmp_path: Path) -> None:
    run = train(tmp_path, data="digits", name="mine")
    assert list(run.networks) == ["Net"]
    images = etude.data.load("digits").test.images[:8]
    code = (
        f"import etude, sys; run = etude.load({str(run.path)!r}); "
        "print(run.logits(etude.data.load('digits').test.images[:8]).double().sum().item())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    assert float(done.stdout) == pytest.approx(run.logits(images).double().sum().item(), rel=1e-6)
    assert (run.path / "code" / "Net.py").read_text().count("def block") == 1


def test_arrays_and_a_class_together(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = (random.integers(0, 50, (300, 16, 16)) + 60 * y[:, None, None]).astype(np.uint8)
    dataset = etude.Dataset.of(x, y, test=(x[:60], y[:60]), name="levels")
    run = train(tmp_path, data=dataset)
    assert run.data_name == "levels"
    text = (
        f"run {run.path} was trained on a data set given in Python: give the same one as data=, or save it to a file "
        "and train on npz:FILE."
    )
    with pytest.raises(DataError) as caught:
        etude.measure(etude.load(run.path), metrics=["accuracy"])
    assert str(caught.value) == text
    assert etude.measure(run, metrics=["accuracy"])["accuracy"].value == run.metrics().last()["test/accuracy"]
    measured = etude.measure(etude.load(run.path, data=dataset), metrics=["accuracy"])
    assert measured["accuracy"]["value"] == pytest.approx(run.metrics().last()["test/accuracy"])


def test_the_text_of_a_class_defines_it_and_what_it_needs() -> None:
    names: dict[str, object] = {}
    exec(compile(source_text.text_of(Net), "Net.py", "exec"), names)
    made = names["Net"](1, 10)  # type: ignore[operator]
    assert made(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert names["WIDTH"] == WIDTH
    activations = names["ACTIVATIONS"]
    assert isinstance(activations, dict)
    assert activations["relu"] is nn.ReLU
    assert activations["gelu"]().approximate == "tanh"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear(3, 2), "network is a Linear that is made already; give its class, or a function that makes it, so "
                          "that every seed has its own initial weights."),
        (3, "network is 3; allowed: a name, FILE.py:NAME, a torch.nn.Module class, or a named function."),
    ],
)  # fmt: skip
def test_other_objects(network: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        etude.train("classifier", network=network, data="digits", runs_dir=tmp_path)
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_kept() -> None:
    generator = torch.Generator()

    class Bound(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.rand(3, generator=generator)

    with pytest.raises(UsageError) as caught:
        source_text.text_of(Bound)
    assert str(caught.value) == (
        "generator is a Generator, which cannot be kept with the run: put the network into a file and give "
        "FILE.py:NAME."
    )

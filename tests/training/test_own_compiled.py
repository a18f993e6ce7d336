"""How the steps of a person's network are computed."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import etude
from etude.errors import UsageError
from etude.runs import Run
from etude.training import Display

NETS = """
import torch
from torch import nn

class Plain(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Linear(4, num_classes)
    def forward(self, x):
        return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))

class Item(Plain):
    def forward(self, x):
        return super().forward(x if x.mean().item() < 10 else x + 1)

class Drop(Plain):
    def forward(self, x):
        return torch.dropout(super().forward(x), 0.5, self.training)
"""


class Notes(Display):
    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETS)
    return tmp_path / "net.py"


def train(network: str, display: Display | None = None, **changes: Any) -> Run:
    few: dict[str, Any] = {"epochs": 1, "train_images": 96, "batch_size": 16, "threads": 1, "precision": "fp32"}
    return etude.train(
        "classifier", network=f"net.py:{network}", data="digits", display=display or Notes(), **{**few, **changes}
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
def test_a_compiled_step_learns_what_an_eager_one_does(file: Path) -> None:
    eager, compiled = train("Plain", compile="off"), train("Plain", compile="on")
    assert compiled.configuration["execution"]["compiled"]
    for key, tensor in eager.networks["Plain"].state_dict().items():
        torch.testing.assert_close(compiled.networks["Plain"].state_dict()[key], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Item", "FILE:Item cannot be traced: what it does depends on the numbers that it meets (.item(), or an if on "
                 "a tensor)"),
        ("Drop", "Drop draws random numbers of its own, as dropout does"),
    ],
)  # fmt: skip
def test_a_network_that_cannot_be_compiled(name: str, why: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etude.speed.traits.steps_that_pay", lambda num_parameters: 1)
    why = why.replace("FILE", str(file))
    display = Notes()
    run = train(name, display, compile="auto")
    assert not run.configuration["execution"]["compiled"]
    assert f"not compiled: {why}." in display.notes
    with pytest.raises(UsageError) as error:
        train(name, compile="on", name="other")
    assert str(error.value) == f"--compile on: {why}; train with --compile off."
    assert not Path("runs/other").exists()

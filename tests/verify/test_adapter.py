"""Adapters: names of classes, functions and methods, and every message about one that does not fit."""

import sys
from pathlib import Path

import pytest

from etude.errors import UsageError
from etude.verify import CONTRACTS, find
from etude.verify.adapter import read_adapter
from etude.verify.loader import CannotLoad, load
from etude.verify.matching import judge
from etude.verify.sandbox import verify_file

MINE = """
import torch
from torch import nn

class Losses:
    d = staticmethod(abs)

def make_g(): ...

def draw(mean, logvar):
    return mean + (logvar / 2).exp() * torch.randn_like(mean)

class Autoencoder(nn.Module):
    def __init__(self, latents):
        super().__init__()
        self.heads = nn.ModuleList([nn.Linear(784, latents), nn.Linear(784, latents)])
        self.from_latent = nn.Sequential(nn.Linear(latents, 784), nn.Sigmoid())
    def to_latent(self, x):
        return [head(x.flatten(1)) for head in self.heads]
    def run(self, x):
        mean, logvar = self.to_latent(x)
        return self.from_latent(draw(mean, logvar)), mean, logvar
"""


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to write one, beside the file `mine.py`."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path / "names.toml"


def test_names_are_mapped_dotted_ones_too(adapter: Path):
    adapter.write_text('file = "mine.py"\n[names]\ndiscriminator_loss = "Losses.d"\ngenerator = "make_g"\n')
    names = load(read_adapter(adapter)).names
    assert names["discriminator_loss"] is abs
    assert names["generator"].__name__ == "make_g"


def test_methods_are_mapped(adapter: Path):
    """To a method, a function of the file, a module inside the object, a method with its class's name."""
    adapter.write_text(
        'file = "mine.py"\n[names]\nVAE = "Autoencoder"\n"VAE.encode" = "to_latent"\n"VAE.sample_latent" = "draw"\n'
        '"VAE.decode" = "from_latent"\n"VAE.forward" = "Autoencoder.run"\n'
    )
    vae = load(read_adapter(adapter)).names["VAE"]
    results = [judge(check, vae) for check in find("vae").checks if check.looks_for == "VAE"]
    assert [result.status for result in results] == ["pass"] * 5, results


def test_methods_are_a_table_too(adapter: Path):
    adapter.write_text('file = "mine.py"\n[names]\nVAE.encode = "to_latent"\n[names.SGD]\nstep = "update"')
    assert read_adapter(adapter).names == {"VAE.encode": "to_latent", "SGD.step": "update"}


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ('generator = "g"', "generator is mapped to g, which mine.py does not define"),
        ('generator = "Losses.g"', "generator is mapped to Losses.g, which mine.py does not define"),
        ('"VAE.encode" = "to_latent"', "VAE.encode is mapped to to_latent, but mine.py has no class VAE"),
        ('VAE = "make_g"\n"VAE.encode" = "e"', "VAE.encode is mapped to e, but mine.py has no class VAE"),
    ],
)
def test_names_that_the_file_lacks(names: str, reason: str, adapter: Path):
    adapter.write_text(f'file = "mine.py"\n[names]\n{names}')
    with pytest.raises(CannotLoad) as error:
        load(read_adapter(adapter))
    assert str(error.value) == reason


def test_a_method_that_objects_lack_is_a_reason(adapter: Path):
    adapter.write_text('file = "mine.py"\n[names]\nVAE = "Autoencoder"\n"VAE.encode" = "to_latents"')
    result = judge(find("vae.VAE.encode").checks[0], load(read_adapter(adapter)).names["VAE"])
    assert result.message.startswith(
        "encode raised AttributeError: 'Autoencoder' object has no attribute 'to_latents'; call: encode(x)"
    )


CHOICE = (
    "Choose from VAE, VAE.decode, VAE.encode, VAE.forward, VAE.sample_latent, kl_loss, loss_function, "
    "reconstruction_loss."
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file = ", "names.toml is not TOML: Invalid value (at end of document)."),
        ("[names]", 'names.toml needs `file = "…"` and a table [names] of texts.'),
        ('file = "mine.py"\nnames = "x"', 'names.toml needs `file = "…"` and a table [names] of texts.'),
        ('file = "mine.py"\n[names]\nVAE = 1', 'names.toml needs `file = "…"` and a table [names] of texts.'),
        ('file = "other.py"', "names.toml names other.py, which is no .py or .ipynb file."),
        (
            'file = "mine.py"\n[names]\nkl_los = "f"',
            f"unknown name in names.toml 'kl_los': did you mean 'kl_loss'? {CHOICE}",
        ),
        (
            'file = "mine.py"\n[names]\ngenerator = "f"\nVAE.encoder = "f"',
            f"unknown name in names.toml 'VAE.encoder': did you mean 'VAE.encode'? {CHOICE}",
        ),
    ],
)
def test_adapters_that_do_not_fit(text: str, message: str, adapter: Path):
    adapter.write_text(text)
    with pytest.raises(UsageError) as error:
        verify_file("vae", adapter)
    assert str(error.value) == message


def test_the_names_to_map_are_functions_classes_and_methods():
    assert CONTRACTS["optimizers"].names == {"SGD", "SGD.step", "Adam", "Adam.step", "AdamW", "AdamW.step"}
    assert CONTRACTS["classifier"].names == {"Net", "transform", "train_step", "evaluate"}

"""A person's network is tried before training starts: what is wrong is said in one sentence."""

from pathlib import Path
from typing import Any

import pytest
import torch

import etude
from etude.compute import Execution
from etude.data import Images, Table
from etude.data import load as load_data
from etude.errors import UsageError
from etude.families.family import Examined
from etude.recipes import change, get
from etude.runs.code import admit
from etude.training import Display
from etude.training.learners import create_learner, examined

KIND = Images(shape=(1, 8, 8), class_names=tuple("0123456789"))
HEAD = """
import random
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

class Good(nn.Module):
    def __init__(self, num_classes, num_features, width=5):
        super().__init__()
        self.fc1 = nn.Linear(num_features, width)
        self.fc2 = nn.Linear(width, num_classes)
    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x.flatten(1))))
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "net.py"
    path.write_text(HEAD + text)
    return path


def try_network(path: Path, name: str, recipe: str = "classifier", kind: Any = KIND, **changes: Any) -> Examined:
    """What trying the network told, as a training that names it begins."""
    return examined(admit(change(get(recipe), network=f"{path}:{name}", **changes)), kind)


def forward(body: str) -> str:
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return f"class Net(Good):\n    def forward(self, x):\n{lines}"


def init(body: str, forward: str = "return super().forward(x)") -> str:
    inits, forwards = ("".join(f"        {line}\n" for line in text.splitlines()) for text in (body, forward))
    return (
        "class Net(Good):\n    def __init__(self, num_classes, num_features):\n"
        f"        super().__init__(num_classes, num_features)\n{inits}    def forward(self, x):\n{forwards}"
    )


MISTAKES = {
    forward("return self.fc2(x.flatten(1))"):
        "Net fails on images of shape (3, 1, 8, 8) in layer fc2, Linear(in_features=5, out_features=10, bias=True), "
        "given (3, 64) (net.py line 17): RuntimeError: mat1 and mat2 shapes cannot be multiplied (3x64 and 5x10).",
    forward("return x.nothing"):
        "Net fails on images of shape (3, 1, 8, 8) (net.py line 17): AttributeError: 'Tensor' object has no attribute "
        "'nothing'.",
    forward("import sys; sys.exit(0)"):
        "Net fails on images of shape (3, 1, 8, 8) (net.py line 17): SystemExit: 0.",
    forward("return super().forward(x)[:, :7]"):
        "Net gives shape (3, 7) for 3 images; allowed: (3, 10), a score for each class, as with num_classes=10.",
    forward("return super().forward(x).squeeze(0)"):
        "Net gives shape (10,) for one of the images; allowed: (1, 10), a score for each class, as with "
        "num_classes=10.",
    forward("return super().forward(x), x"):
        "Net gives a tuple; allowed: one tensor, (3, 10), a score for each class, as with num_classes=10.",
    forward("return super().forward(x).argmax(1, keepdim=True).expand(-1, 10)"):
        "Net gives torch.int64; allowed: floating-point numbers, (3, 10), a score for each class, as with "
        "num_classes=10.",
    forward("return super().forward(x) / 0"):
        "Net gives NaN or infinite numbers for 3 images: look at its initial weights.",
    forward("return super().forward(x).softmax(1)"):
        "Net: its outputs look like a softmax; return the logits, the numbers before it.",
    forward("return super().forward(x).sigmoid()"):
        "Net: its outputs look like a sigmoid; return the logits, the numbers before it.",
    forward("return super().forward(x).detach()"):
        "none of the parameters of Net gets a gradient: leave detach(), .data, .item() and no_grad() out.",
    forward("return torch.zeros(len(x), 10, requires_grad=True) + x.flatten(1)[:, :10]"):
        "none of the parameters of Net gets a gradient: leave detach(), .data, .item() and no_grad() out.",
    forward("return super().forward(x) * random.random()"):
        "Net draws from Python's random while it is applied: a run could not be repeated; use torch.rand or "
        "nn.Dropout.",
    forward("return super().forward(x) * float(np.random.rand())"):
        "Net draws from NumPy while it is applied: a run could not be repeated; use torch.rand or nn.Dropout.",
    forward("x *= 2\nreturn super().forward(x)"):
        "Net changes its input in place: leave inplace=True out of its first layers, and write x = x * 2 in place of "
        "x *= 2.",
    init("self.calls = 0", "self.calls += 1\nreturn super().forward(x) * self.calls"):
        "Net gives other numbers for the same weights, input and seed: it keeps a state in Python or draws from a "
        "generator of its own; keep the state in a buffer (self.register_buffer) and draw as nn.Dropout does.",
    init("self.g = torch.Generator().manual_seed(0)",
         "return super().forward(x) + torch.rand(10, generator=self.g)"):
        "Net gives other numbers for the same weights, input and seed: it keeps a state in Python or draws from a "
        "generator of its own; keep the state in a buffer (self.register_buffer) and draw as nn.Dropout does.",
    init("self.mean = torch.zeros(10)",
         "y = super().forward(x)\nif self.training: self.mean = self.mean + y.detach().mean(0)\nreturn y - self.mean "
         "if not self.training else y"):
        "Net gives other numbers for the same weights, input and seed: it keeps a state in Python or draws from a "
        "generator of its own; keep the state in a buffer (self.register_buffer) and draw as nn.Dropout does.",
    init("self.register_buffer('seen', torch.zeros(()), persistent=False)",
         "if self.training: self.seen += 1\nreturn super().forward(x)"):
        "Net changes seen in training and does not save it: leave persistent=False out of its register_buffer.",
    init("self.double()"):
        "Net: fc1.weight is float64; allowed: float32. Leave .double(), .half() and dtype= out: --precision bf16 "
        "computes in bfloat16.",
    init("self.to('meta')"):
        "Net: fc1.weight lies on the meta device and has no numbers; make it on the cpu.",
    init("self.me = self"):
        "Net contains itself, as me: keep a parent in a list, [parent], not as a layer.",
    init("for p in self.parameters(): p.requires_grad = False"):
        "Net has no parameters to train: all have requires_grad=False.",
    init("self.get_extra_state = lambda: {}\n") + "    def get_extra_state(self): return {'n': 1}\n":
        "Net keeps _extra_state, a dict, beside its tensors (get_extra_state); keep it in a buffer: "
        "self.register_buffer.",
    init("raise ValueError('no luck')"): "Net could not be built: ValueError: no luck.",
    "class Net(nn.Module):\n    def forward(self, x): return x.flatten(1)[:, :10]\n":
        "Net has no parameters to train; make its layers attributes, as in self.fc = ….",
    "class Net(Good):\n    forward = None\n":
        "Net fails on images of shape (3, 1, 8, 8): TypeError: 'NoneType' object is not callable.",
    "class Net(Good):\n    def __init__(self, size): super().__init__(10, size)\n":
        "Net takes (size): missing a required argument: 'size'; give constructor arguments, as in 'PATH:Net(3)'.",
}  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES)
def test_a_classifier_that_cannot_be_trained(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    before = torch.get_rng_state()
    with pytest.raises(UsageError) as error:
        try_network(path, "Net")
    assert str(error.value) == MISTAKES[text].replace("PATH", str(path))
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_that_fail(tmp_path: Path) -> None:
    path = write(tmp_path, forward("x = super().forward(x)\ny = x.exp()\nx = y.mul(y)\ny.zero_()\nreturn x"))
    with pytest.raises(UsageError) as error:
        try_network(path, "Net")
    assert str(error.value).startswith(
        "the gradients of Net fail: RuntimeError: one of the variables needed for gradient computation has been "
        "modified by an inplace operation: "
    )


def test_batch_norm_with_a_batch_of_one(tmp_path: Path) -> None:
    path = write(tmp_path, init("self.bn = nn.BatchNorm1d(10)", "return self.bn(super().forward(x))"))
    with pytest.raises(UsageError) as error:
        try_network(path, "Net", batch_size=1)
    assert str(error.value).replace("bias=True, ", "") == (  # which newer versions of PyTorch show
        "Net fails on images of shape (1, 1, 8, 8) in layer bn, BatchNorm1d(10, eps=1e-05, momentum=0.1, affine=True, "
        "track_running_stats=True), given (1, 10) (net.py line 20): ValueError: Expected more than 1 value per channel "
        "when training, got input size torch.Size([1, 10])."
    )
    assert try_network(path, "Net", batch_size=2).notes == ()


@pytest.mark.parametrize(
    ("text", "note", "eager"),
    [
        (
            forward("print('hello')\nreturn super().forward(x)"),
            "Net prints while it is applied: that goes to stderr.",
            "",
        ),
        (forward("return super().forward(x).log_softmax(1)"), "Net gives log-probabilities, which are logits too.", ""),
        (
            init("self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)"),
            "Net has parameters that get no gradient and stay as they are: a.weight, a.bias, b.weight and 1 more.",
            "some of its parameters get no gradient",
        ),
    ],
)
def test_what_a_person_should_know(text: str, note: str, eager: str, tmp_path: Path) -> None:
    found = try_network(write(tmp_path, text), "Net")
    assert found.notes == (note,)
    assert found.traits.eager == eager
    assert not found.draws


def test_dropout_is_told_and_keeps_steps_eager(tmp_path: Path) -> None:
    path = write(tmp_path, init("self.drop = nn.Dropout(0.5)", "return self.drop(super().forward(x))"))
    found = try_network(path, "Net")
    assert found.draws
    assert found.traits.eager == "Net draws random numbers of its own, as dropout does"


def test_frozen_parameters_keep_steps_eager(tmp_path: Path) -> None:
    path = write(tmp_path, init("self.fc1.requires_grad_(False)"))
    assert try_network(path, "Net").traits.eager == "some of its parameters are frozen"


def test_tables_and_arguments_in_parentheses(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    kind = Table(class_names=("a", "b", "c"), mean=(0.0, 0.0), scale=(1.0, 1.0))
    assert try_network(path, "Good(width=7)", kind=kind).parameters == {"Good": 2 * 7 + 7 + 7 * 3 + 3}


def test_a_view_keeps_channels_in_planes(tmp_path: Path) -> None:
    text = """
class View(nn.Module):
    def __init__(self, in_channels):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(in_channels, 4, 3), nn.Linear(144, 10)
    def forward(self, x):
        return self.fc(self.conv(x).view(len(x), -1))
class Flatten(View):
    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))
"""
    path = write(tmp_path, text)
    assert not try_network(path, "View").traits.channels_last
    assert try_network(path, "Flatten").traits.channels_last


def test_weights_come_from_the_seed_and_the_file_is_run_once(tmp_path: Path) -> None:
    path = write(tmp_path, "print('running')\n")
    recipe = admit(change(get("classifier"), network=f"{path}:Good"))
    one, two, other = (
        create_learner(change(recipe, seed=seed), load_data("digits"), EXECUTION).networks["Good"].state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["fc1.weight"], other["fc1.weight"])


EXECUTION = Execution(device="cpu", threads=1, precision="fp32", compiled=False)

GAN = """
class G(nn.Module):
    def __init__(self, noise_dim, image_shape):
        super().__init__()
        self.shape, self.fc = image_shape, nn.Linear(noise_dim, 64)
    def forward(self, noise):
        return self.fc(noise).tanh().view(-1, *self.shape)
class Flat(G):
    def forward(self, noise): return self.fc(noise)
class Sigmoid(G):
    def forward(self, noise): return super().forward(noise).sigmoid()
class Labelled(G):
    def forward(self, noise, labels): return super().forward(noise)
class Unbounded(G):
    def forward(self, noise): return self.fc(noise).view(-1, *self.shape)
class D(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.fc = nn.Linear(num_features, 1)
    def forward(self, images): return self.fc(images.flatten(1))
class DSigmoid(D):
    def forward(self, images): return super().forward(images).sigmoid()
class DMany(D):
    def forward(self, images): return super().forward(images).expand(-1, 2)
class DLabelled(D):
    def forward(self, images, labels): return super().forward(images)
class DFrozen(D):
    def __init__(self, num_features):
        super().__init__(num_features)
        self.fc.bias.requires_grad = False
"""


@pytest.mark.parametrize(
    ("generator", "discriminator", "message"),
    [
        ("Flat", "D", "Flat gives shape (3, 64) for noise (3, 96); allowed: images (3, 1, 8, 8)."),
        ("Sigmoid", "D", "Sigmoid: its images look like a sigmoid's, in [0, 1]; they are in [-1, 1]: end with tanh."),
        ("G", "DSigmoid", "DSigmoid: its scores look like a sigmoid's; return the numbers before it."),
        ("G", "DMany", "DMany gives shape (3, 2) for 3 images; allowed: (3, 1) or (3,), a score for each."),
        ("Labelled", "D", "the generator takes labels and the discriminator takes none: give the forward of both a "
                          "second argument, labels, or that of neither."),
        ("G", "DLabelled", "the discriminator takes labels and the generator takes none: give the forward of both a "
                           "second argument, labels, or that of neither."),
        ("G", "DFrozen", "a network of the GAN has parameters with requires_grad=False: keep what is not trained in "
                         "buffers."),
    ],
)  # fmt: skip
def test_a_gan_that_cannot_be_trained(generator: str, discriminator: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, GAN)
    recipe = change(get("gan"), generator=f"{path}:{generator}", discriminator=f"{path}:{discriminator}")
    with pytest.raises(UsageError) as error:
        examined(admit(recipe), KIND)
    assert str(error.value) == message


def test_a_gan_of_ones_own(tmp_path: Path) -> None:
    path = write(tmp_path, GAN)
    both = change(get("gan"), generator=f"{path}:G", discriminator=f"{path}:D")
    found = examined(admit(both), KIND)
    assert found == Examined(traits=found.traits, parameters={"discriminator": 65, "generator": 97 * 64})
    labelled = change(both, generator=f"{path}:Labelled", discriminator=f"{path}:DLabelled")
    assert examined(admit(labelled), KIND).conditional
    unbounded = change(both, generator=f"{path}:Unbounded")
    assert examined(admit(unbounded), KIND).notes == (
        "Unbounded gives numbers beyond [-1, 1], where images end: a last tanh keeps them inside.",
    )


VAE = """
class V(nn.Module):
    def __init__(self, latent_dim, num_features):
        super().__init__()
        self.enc, self.dec = nn.Linear(num_features, 2 * latent_dim), nn.Linear(latent_dim, num_features)
    def encode(self, x): return self.enc(x.flatten(1)).chunk(2, dim=1)
    def decode(self, z): return self.dec(z).view(-1, 1, 8, 8)
class One(V):
    def encode(self, x): return self.enc(x.flatten(1))
class Sigmoid(V):
    def decode(self, z): return super().decode(z).sigmoid()
class NoDecode(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(64, 4)
    def encode(self, x): return self.enc(x.flatten(1))
class Narrow(V):
    def encode(self, x): return self.enc(x.flatten(1))[:, :2]
class Flat(V):
    def decode(self, z): return self.dec(z)
class Half(V):
    def encode(self, x, labels): return super().encode(x)
class Wrong(V):
    def decode(self, z): return self.enc(z)
class Both(Half):
    def decode(self, z, labels): return super().decode(z)
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Sigmoid", "Sigmoid: what decode gives looks like a sigmoid's; return the logits, the numbers before it."),
        ("NoDecode", "NoDecode has no decode; a VAE needs encode(x), which gives mean and logvar, and decode(z), which "
                     "gives logits of the pixels."),
        ("Narrow", "Narrow gives shape (3, 2) for 3 examples, in encode; allowed: mean and logvar, (3, 2) each, or one "
                   "tensor (3, 4)."),
        ("Flat", "Flat gives shape (3, 64) for latents (3, 2); allowed: logits of the pixels (3, 1, 8, 8)."),
        ("Half", "Half: give both encode and decode a second argument, labels, or neither."),
        ("Wrong", "Wrong fails on latents, in decode, of shape (3, 2) in layer enc, Linear(in_features=64, "
                  "out_features=4, bias=True), given (3, 2) (net.py line 38): RuntimeError: mat1 and mat2 shapes "
                  "cannot be multiplied (3x2 and 64x4)."),
    ],
)  # fmt: skip
def test_a_vae_that_cannot_be_trained(name: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, VAE)
    with pytest.raises(UsageError) as error:
        try_network(path, name, "vae")
    assert str(error.value) == message


@pytest.mark.parametrize(("name", "conditional"), [("V", False), ("One", False), ("Both", True)])
def test_a_vae_of_ones_own(name: str, conditional: bool, tmp_path: Path) -> None:
    found = try_network(write(tmp_path, VAE), name, "vae")
    assert found.parameters == {name: 65 * 4 + 3 * 64}
    assert found.conditional == conditional


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ("classifier", {"network": "lenett"}, "unknown network 'lenett': did you mean 'lenet'? Choose from cifar-fast, "
                                              "lenet, mlp; or a file's, as net.py:Net."),
        ("classifier", {"network": "net.py:Net", "width": 3}, "out of range: --width 3 (allowed: none for a network of "
                                                              "your own; as in net.py:Net(width=16))."),
        ("gan", {"generator": "G"}, "out of range: --generator G (allowed: FILE.py:NAME)."),
        ("classifier", {"network": "nowhere.py:Net"}, "there is no file FOLDER/nowhere.py; give the path of a Python "
                                                      "file, as net.py:Net."),
    ],
)  # fmt: skip
def test_names_of_networks(
    recipe: str, changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        etude.train(recipe, data="digits", display=Display(quiet=True), **changes)
    assert str(error.value) == message.replace("FOLDER", str(tmp_path))
    assert list(tmp_path.iterdir()) == []

# ruff: noqa: E501 (messages are compared as they are printed)
from pathlib import Path

import pytest
import torch
from torch import nn

from etude.errors import UsageError
from etude.families.book import specimens
from etude.inspection.inspecting import inspect
from etude.inspection.source import example, load

COUNTS = {
    "lenet": 62_006, "gan-discriminator": 267_009, "gan-generator": 1_952_528, "dcgan-discriminator": 1_102_721,
    "dcgan-generator": 6_675_009, "vae": 97_237, "cvae": 200_725,
    "cifar-fast": 497_816, "denoiser": 620_548, "cdenoiser": 621_828,
    # A table of 8,900 vectors of 128 numbers, a reader, and a linear layer.
    "sentiment-bag": 1_139_200 + 8_256 + 130, "sentiment-rnn": 1_139_200 + 12_416 + 130,
    "sentiment-gru": 1_139_200 + 3 * 12_416 + 130, "sentiment-lstm": 1_139_200 + 4 * 12_416 + 130,
    "sentiment-bilstm": 1_139_200 + 8 * 12_416 + 258, "sentiment-cnn": 1_139_200 + 12 * 8_192 + 192 + 386,
    "sentiment-self-attention": 1_139_200 + 4 * 16_512 + 3 * 256 + 8_256 + 8_320 + 258,
    # Tables of 8,208 German and 6,285 English words and 256 numbers, two encoders, the decoder, its first state, what
    # looks, the readout and the vocabulary.
    "translate-gru": 14_493 * 256 + 2 * 3 * (2 * 256 * 256 + 512) + 3 * 512 * (768 + 512 + 2) + 512 * 513
    + 2 * 512 * 256 + 256 + 256 * 1281 + 6_285 * 257,
    "translate-luong": 14_493 * 256 + 2 * 4 * (2 * 256 * 256 + 512) + 4 * 512 * (256 + 512 + 2) + 2 * 512 * 513
    + 256 * 1281 + 6_285 * 257,
    # A table of 6,000 subwords; three layers of one attention and three of two; a norm at the end of each side.
    "translate-transformer": 6_000 * 256 + 3 * (3 * 4 * 256 * 257 + 2 * (1024 * 257 + 256 * 1025) + 5 * 512) + 2 * 512,
    # A table of 65 characters, two layers, a linear layer to the characters.
    "char-lstm": 65 * 256 + 2 * 4 * 256 * 514 + 65 * 257, "char-gru": 65 * 256 + 2 * 3 * 256 * 514 + 65 * 257,
    "char-transformer": 65 * 128 + 4 * (4 * 128 * 129 + 512 * 129 + 128 * 513 + 2 * 256) + 256 + 65 * 129,
}  # fmt: skip

FINDINGS = {
    # One table for both languages is meant.
    "translate-transformer": [
        "repeated module: target_embedding, source_embedding are one Embedding object, used 2 times with the same "
        "weights; build a new one each time (a list comprehension, not `[…] * n`) if that is not meant."
    ],
    # Four tokens have no middle one.
    "sentiment-cnn": [
        "misaligned: mul in reader joins branches whose centres lie 0.5 input positions apart along axis 0 (padding or kernel parity differ)."
    ],
}

FILE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width, depth=1):
        super().__init__()
        self.layers = nn.Sequential(*[nn.Linear(4, width) for _ in range(depth)])
    def forward(self, x):
        return self.layers(x)

class Small(nn.Linear):
    def __init__(self):
        super().__init__(4, 2)

class Broken(nn.Module):
    def __init__(self):
        raise RuntimeError("no luck")

def make(width=3):
    return nn.Linear(4, width)

def nothing():
    return 3

ready = nn.Linear(4, 5)
number = 3
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(FILE)
    return Path("net.py")


@pytest.mark.parametrize("name", specimens())
def test_our_own_networks_have_the_parameters_counted_by_hand(name: str) -> None:
    subject = load(name)
    found = inspect(subject.module, *subject.inputs, **subject.keywords)
    assert found.parameters == sum(p.numel() for p in subject.module.parameters()) == COUNTS[name]
    assert found.uncounted == []
    assert found.findings == FINDINGS.get(name, [])


def test_classes_functions_and_modules_of_a_file(file: Path) -> None:
    assert isinstance(load("net.py:Net(6)", ["4"]).module, nn.Module)
    assert len(list(load("net.py:Net(4, depth=3)", ["4"]).module.parameters())) == 6
    assert load("net.py:Small", ["4"]).module.out_features == 2
    assert load("net.py:make(width=7)", ["4"]).module.out_features == 7
    assert load("net.py:ready", ["4"]).module.out_features == 5


def test_seeds_determine_weights_and_inputs_and_leave_the_global_state() -> None:
    state = torch.get_rng_state()
    a, b, other = load("lenet"), load("lenet"), load("lenet", seed=1)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(a.inputs[0], b.inputs[0])
    assert torch.equal(next(a.module.parameters()), next(b.module.parameters()))
    assert not torch.equal(next(a.module.parameters()), next(other.module.parameters()))


def test_shapes_of_inputs() -> None:
    assert example("3,32,32", 2).shape == (2, 3, 32, 32)
    assert example("3x8x8", 1).shape == (1, 3, 8, 8)
    indices = example("int9:20", 4)
    assert indices.shape == (4, 20)
    assert indices.dtype == torch.int64
    assert 0 <= int(indices.min()) <= int(indices.max()) < 9


@pytest.mark.parametrize(
    ("target", "shapes", "message"),
    [
        ("lenett", [], "unknown network 'lenett': did you mean 'lenet'? Choose from cdenoiser, char-gru, char-lstm, char-transformer, "
         "cifar-fast, cvae, dcgan-discriminator, dcgan-generator, denoiser, gan-discriminator, gan-generator, lenet, sentiment-bag, sentiment-bilstm, "
         "sentiment-cnn, sentiment-gru, sentiment-lstm, sentiment-rnn, sentiment-self-attention, translate-gru, "
         "translate-luong, translate-transformer, vae; or a file's, as net.py:Net."),
        ("other.py:Net", [], "there is no file other.py; give the path of a Python file, as net.py:Net."),
        ("net.py", [], "net.py is a file; name the network in it too, net.py:Net."),
        ("net.py:Nett", ["4"], "unknown network in net.py: 'Nett': did you mean 'Net'? Choose from Broken, Net, Small, ready."),
        ("net.py:Net", ["4"], "Net takes (width, depth): missing a required argument: 'width'; give constructor arguments, as in "
         "'net.py:Net(3)'."),
        ("net.py:Net(4,", ["4"], "'net.py:Net(4,' names no network; write FILE.py:NAME or FILE.py:NAME(3, width=16)."),
        ("net.py:Net(4)", [], "net.py:Net(4) needs the shape of its input, without the batch: --input 3,32,32, for example."),
        ("net.py:Net(4)", ["3,a"], "--input is '3,a'; allowed: sizes without the batch, as 3,32,32, or int9:20 for indices."),
        ("net.py:Broken", ["4"], "Broken could not be built: RuntimeError: no luck."),
        ("net.py:nothing", ["4"], "net.py:nothing made a int, not a torch.nn.Module; name a class or a function of one."),
        ("net.py:number", ["4"], "net.py:number is a int; name a class, a function or a torch.nn.Module."),
        ("gan-generator", ["3"], "gan-generator takes no --input: it takes noise; got 3."),
        ("lenet", ["3,8,8"], None),
    ],
)  # fmt: skip
def test_mistakes_are_told_on_one_line(file: Path, target: str, shapes: list[str], message: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        load(target, shapes)
    assert "\n" not in str(caught.value)
    if message:
        assert str(caught.value) == message


def test_files_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.py").write_text("x = 1\ndef f(:\n")
    Path("missing.py").write_text("import no_such_module_anywhere\n")
    Path("exits.py").write_text("raise SystemExit(3)\n")
    messages = []
    for name in ("bad", "missing", "exits"):
        with pytest.raises(UsageError) as caught:
            load(f"{name}.py:Net", ["4"])
        messages.append(str(caught.value))
    assert messages == [
        "bad.py could not be imported (line 2): invalid syntax.",
        "missing.py could not be imported: ModuleNotFoundError: No module named 'no_such_module_anywhere'.",
        "exits.py could not be imported: SystemExit: 3.",
    ]

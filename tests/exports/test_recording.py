"""A recorded network computes what PyTorch computes: its program in PyTorch, and the page's JavaScript in node."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.exports.layers import Untranslatable
from etude.exports.networks import networks_of
from etude.exports.program import Program, as_weight
from etude.exports.recording import record
from etude.models import ConvGenerator, Generator, LeNet
from etude.runs import Run

MAPS, ROWS = (4, 9, 9), (10,)


class Attention(nn.Module):
    """Patches, an encoder layer with attention, a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 16, 7, 7)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layer(self.patches(images).flatten(2).transpose(1, 2)).mean(1))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = make()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and part.track_running_stats:
                nn.init.uniform_(part.get_buffer("running_mean"), -0.3, 0.3)
                nn.init.uniform_(part.get_buffer("running_var"), 0.5, 2)
    return module.eval()


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "lenet": (lambda: LeNet((1, 28, 28), 10), (1, 28, 28)),
    "generator": (lambda: Generator(4, (1, 28, 28)), (4,)),
    "convolutional generator of odd sides": (lambda: ConvGenerator(4, (3, 19, 18)), (4,)),
    "attention": (Attention, (1, 28, 28)),
    "groups": (lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2), MAPS),
    "transposed groups": (
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2), MAPS
    ),
    "batch-norm": (lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3)), MAPS),
    "batch-norm without statistics": (lambda: nn.BatchNorm2d(4, track_running_stats=False), MAPS),
    "instance-norm": (lambda: nn.InstanceNorm2d(4, affine=True), MAPS),
    "group-norm": (lambda: nn.GroupNorm(2, 4), MAPS),
    "layer-norm": (lambda: nn.LayerNorm([9, 9]), MAPS),
    "max-pooling": (lambda: nn.MaxPool2d(3, 2, padding=1, dilation=2, ceil_mode=True), MAPS),
    "mean-pooling": (lambda: nn.AvgPool2d(3, 2, padding=1), MAPS),
    "mean-pooling of what is there": (lambda: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), MAPS),
    "mean-pooling, ceil": (lambda: nn.AvgPool2d(2, ceil_mode=True), MAPS),
    "adaptive pooling": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d((4, 3)), nn.AdaptiveAvgPool2d(1)), MAPS),
    "upsampling": (lambda: nn.Upsample(scale_factor=2), MAPS),
    "pixel shuffle": (lambda: nn.Sequential(nn.PixelShuffle(2), nn.ZeroPad2d(1), nn.PixelUnshuffle(2)), MAPS),
    "dropout": (lambda: nn.Sequential(nn.Dropout(), nn.Flatten(), nn.Linear(324, 5), nn.Dropout1d()), MAPS),
}  # fmt: skip
for activation in (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus,
                   nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Softsign):  # fmt: skip
    MODULES[activation.__name__] = (activation, MAPS)
MODULES["GELU by tanh"] = (lambda: nn.GELU(approximate="tanh"), MAPS)
MODULES["Softmax over channels"] = (lambda: nn.Softmax(1), MAPS)
MODULES["LogSoftmax"] = (lambda: nn.LogSoftmax(3), MAPS)

FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "broadcasting": (lambda x: x * x.mean((2, 3), keepdim=True) - x.amax(1, keepdim=True) / (2 + x[:, :1].abs()), MAPS),
    "numbers": (lambda x: 1 - (3 * x - 1) / 2 + x**2 - torch.rsqrt(x.abs() + 1) + (x.abs() + 1).reciprocal(), MAPS),
    "alpha": (lambda x: torch.add(x, torch.ones(9), alpha=3), MAPS),
    "in place": (lambda x: x.clone().mul_(2).sub_(1).relu_(), MAPS),
    "joining": (lambda x: torch.cat([x, x.exp()], 2).flip(1) + torch.stack([x, -x], 2).flatten(2, 3), MAPS),
    "cutting": (lambda x: x.chunk(2, 1)[1][:, :, 1:-1, ::2].roll(1, 3).transpose(1, 3).reshape(1, -1), MAPS),
    "padding": (lambda x: F.pad(F.pad(x, (1, 2, 0, 1), value=0.5), (2, 2, 2, 2), mode="reflect"), MAPS),
    "minimum": (lambda x: torch.minimum(x, -x).clamp(min=-1) + torch.maximum(x, x.sin()).clamp(max=1), MAPS),
    "reductions": (lambda x: x.sum(1) + x.amin((1, 3), keepdim=True)[:, 0] + x.mean(), MAPS),
    "products": (lambda x: (x @ x.transpose(2, 3)).softmax(-1) @ x, MAPS),
    "constants": (lambda x: x * torch.linspace(0, 1, 10).cos() + torch.eye(10)[3], ROWS),
}  # fmt: skip


class Case(NamedTuple):
    call: Callable[[Tensor], Tensor]
    program: Program
    inputs: Tensor


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    given = {name: (seeded(make), shape) for name, (make, shape) in MODULES.items()} | FUNCTIONS
    found = {}
    for name, (call, shape) in given.items():
        inputs = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
        found[name] = Case(call, record(lambda x, _, call=call: call(x), torch.ones(1, *shape)), inputs)
    return found


@pytest.fixture(scope="module")
def outputs_in_node(cases: dict[str, Case], node: Callable[[str, Any], Any]) -> dict[str, list[list[float]]]:
    """What the page's JavaScript computes, of all cases in one process."""
    given = {name: [case.program.packed(), case.inputs.flatten(1).tolist()] for name, case in cases.items()}
    script = (
        "Object.fromEntries(Object.entries(given).map(([name, [packed, inputs]]) => {"
        "const network = makeNetwork(packed);"
        "return [name, inputs.map((each) => Array.from(network(Float32Array.from(each))))]; }))"
    )
    return node(script, given)


@pytest.mark.parametrize("name", [*MODULES, *FUNCTIONS])
@torch.no_grad()
def test_a_program_computes_what_pytorch_computes(name: str, cases: dict[str, Case]) -> None:
    call, program, inputs = cases[name]
    for one in inputs:
        expected = call(one[None])[0]
        assert program(one).shape == expected.shape
        torch.testing.assert_close(program(one), expected, rtol=2e-3, atol=2e-3)  # weights have 11 bits


@pytest.mark.parametrize("name", [*MODULES, *FUNCTIONS])
def test_the_page_computes_what_its_program_computes(
    name: str, cases: dict[str, Case], outputs_in_node: dict[str, list[list[float]]]
) -> None:
    _, program, inputs = cases[name]
    for one, output in zip(inputs, outputs_in_node[name], strict=True):
        torch.testing.assert_close(torch.tensor(output), program(one).flatten(), rtol=1e-4, atol=1e-5)


def test_classes_leave_only_numbers_behind(node: Callable[[str, Any], Any]) -> None:
    embedding, linear = nn.Embedding(3, 200), nn.Linear(6, 200)

    def call(x: Tensor, label: int) -> Tensor:
        labels = torch.tensor([label])
        return linear(torch.cat([x, F.one_hot(labels, 3).float()], 1)) * embedding(labels)

    program = record(call, torch.zeros(1, 3), num_classes=3)
    assert [weight.by_class for weight in program.weights].count(True) == 2
    x = torch.randn(3)
    script = "given[1].map((label) => Array.from(makeNetwork(given[0])(Float32Array.from(given[2]), label)))"
    found = node(script, [program.packed(), [0, 1, 2], x.tolist()])
    for label in range(3):
        with torch.no_grad():
            expected = call(x[None], label)[0]
        torch.testing.assert_close(program(x, label), expected, rtol=2e-3, atol=2e-3)
        torch.testing.assert_close(torch.tensor(found[label]), program(x, label), rtol=1e-5, atol=1e-6)


def test_equal_weights_are_kept_once() -> None:
    linear = nn.Linear(20, 20)
    program = record(lambda x, _: linear(linear(x)), torch.zeros(1, 20))
    assert len(program.weights) == 2
    assert program.num_bytes == 2 * 400 + 4 * 20


def test_weights_beyond_16_bits_stay_in_32() -> None:
    large = torch.full((100,), 1e6)
    assert as_weight([large]).numbers.dtype == torch.float32
    assert as_weight([large / 1e6]).numbers.dtype == torch.float16


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda x, _: torch.fft.fft(x).real, "it uses _fft_r2c, for which there is no rule"),
        (lambda x, _: torch.ones(1, 3), "its output does not depend on its input"),
        (lambda x, _: x if x.sum().item() > 0 else -x, "it decides by the values of its input"),
        (lambda x, label: x * 2 if label else x, "it takes different ways for different classes"),
        (lambda x, _: F.conv1d(x[None], torch.ones(1, 1, 2)), "it uses a convolution that is not over images, "
         "for which there is no rule"),
        (lambda x, _: x.long().float(), "it turns what depends on its input into whole numbers, "
         "for which there is no rule"),
    ],
)  # fmt: skip
def test_what_no_page_can_compute_is_said(call: Callable[[Tensor, int], Tensor], reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        record(call, torch.ones(1, 4), num_classes=2)
    assert str(caught.value) == reason


def test_a_diffusion_model_is_one_program(made: Callable[[str], Run]) -> None:
    network = networks_of(made("flow"))["generator"]
    unet = made("flow").networks["average"]

    def call(x: Tensor, label: int) -> Tensor:
        return unet(x, torch.tensor([0.3]), F.one_hot(torch.tensor([label]), 10).float())

    program = record(call, network.inputs(1), num_classes=2)
    noise = network.inputs(1, seed=1)
    with torch.no_grad():
        expected = call(noise, 1)[0]
    torch.testing.assert_close(program(noise[0], 1), expected, rtol=0, atol=1e-2)


def test_multiplications_are_counted() -> None:
    layers = nn.Sequential(
        nn.Conv2d(2, 6, 3, groups=2), nn.ConvTranspose2d(6, 4, 2, stride=2), nn.Flatten(), nn.LazyLinear(7)
    )
    layers(torch.zeros(1, 2, 6, 6))
    program = record(lambda x, _: layers(x), torch.zeros(1, 2, 6, 6))
    assert sum(step.num_products for step in program.steps) == 6 * 16 * 9 + 6 * 16 * 4 * 4 + 4 * 64 * 7

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.inspection.gradients.gradcheck import gradcheck, summary
from etude.models import ConvGenerator, Generator, LeNet
from inspection.architectures import ARCHITECTURES


def op(forward: Callable[..., Tensor], backward: Callable[..., Any]) -> Callable[..., Tensor]:
    """A function with a backward pass of its own, as people write it for exercises."""

    class Written(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *args: Tensor) -> Tensor:
            ctx.save_for_backward(*args)
            return forward(*args)

        @staticmethod
        def backward(ctx: Any, *grad: Tensor) -> Any:
            return backward(grad[0], *ctx.saved_tensors)

    return Written.apply


class Weighted(nn.Module):
    """A function of the input and one parameter."""

    def __init__(self, function: Callable[..., Tensor], *shape: int) -> None:
        super().__init__()
        self.function, self.weight = function, nn.Parameter(torch.randn(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight)


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


class Cached(nn.Module):
    """Uses a copy of its weight that it took when it was made, and lets the gradient go to the weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))
        self.register_buffer("copy", self.weight.detach().clone())
        self.copy: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.copy + self.weight - self.weight.detach())


def linear(gradient_x: Callable[..., Tensor], gradient_w: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return op(lambda x, w: x @ w.T, lambda g, x, w: (gradient_x(g, x, w), gradient_w(g, x, w)))


def right_x(g: Tensor, x: Tensor, w: Tensor) -> Tensor:
    return g @ w


def right_w(g: Tensor, x: Tensor, w: Tensor) -> Tensor:
    return g.T @ x


square_without_2 = op(lambda x: x * x, lambda g, x: g * x)
FAULTS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str, str]] = {
    # name: (module, input shape, the tensor, the fault)
    "missing 2": (lambda: Weighted(lambda x, w: square_without_2(w) + x, 5), (5,), "weight", "ratio"),
    "missing 1/N": (
        lambda: Weighted(op(lambda x, w: x @ w.T / len(x), lambda g, x, w: (g @ w / len(x), g.T @ x)), 3, 4),
        (5, 4),
        "weight",
        "ratio",
    ),
    "1/N too many": (
        lambda: Weighted(linear(right_x, lambda g, x, w: g.T @ x / len(x)), 3, 4),
        (5, 4),
        "weight",
        "ratio",
    ),
    "sign": (lambda: Weighted(linear(lambda g, x, w: -g @ w, right_w), 3, 4), (5, 4), "input", "sign"),
    "transpose": (lambda: Weighted(linear(right_x, lambda g, x, w: x.T @ g), 4, 4), (5, 4), "weight", "transpose"),
    "reshape for transpose": (
        lambda: Weighted(linear(right_x, lambda g, x, w: (x.T @ g).reshape(w.shape)), 3, 4),
        (5, 4),
        "weight",
        "transpose",
    ),
    "detached": (lambda: Weighted(lambda x, w: x * w.detach() + 0 * w, 4), (3, 4), "weight", "detached"),
    "data": (lambda: Weighted(lambda x, w: x * torch.sigmoid(w.data), 4), (3, 4), "weight", "detached"),
    "no path at all": (lambda: Weighted(lambda x, w: x * w.sum().item(), 4), (3, 4), "weight", "detached"),
    "cached copy": (Cached, (2, 3), "weight", "unused value"),
    "straight through": (lambda: Weighted(lambda x, w: x + _round(w), 4), (3, 4), "weight", "unused value"),
    "clipped": (
        lambda: Weighted(linear(right_x, lambda g, x, w: (g.T @ x).clamp(-0.5, 0.5)), 3, 4),
        (5, 4),
        "weight",
        "clipped",
    ),
    "penalty": (
        lambda: Weighted(linear(right_x, lambda g, x, w: g.T @ x + 0.1 * w), 3, 4),
        (5, 4),
        "weight",
        "penalty",
    ),
    "offset": (lambda: Weighted(linear(right_x, lambda g, x, w: g.T @ x + 0.1), 3, 4), (5, 4), "weight", "offset"),
    "misplaced": (
        lambda: Weighted(linear(right_x, lambda g, x, w: (g.T @ x).flip(0)), 3, 4),
        (5, 4),
        "weight",
        "misplaced",
    ),
    "partly zero": (
        lambda: Weighted(lambda x, w: x * torch.cat([w[:2], w[2:].detach()]), 4),
        (3, 4),
        "weight",
        "partly zero",
    ),
    "not finite": (
        lambda: Weighted(lambda x, w: x.sum() + (w * 0 + 1) * torch.sqrt((w - w.detach()) ** 2), 4),
        (3, 4),
        "weight",
        "not finite",
    ),
    "float32 inside": (
        lambda: Weighted(lambda x, w: torch.sin(x.float() * w.float()), 4),
        (3, 4),
        "weight",
        "precision",
    ),
    "counts its calls": (Counts, (3, 4), "the forward pass", "non-determinism"),
    "bias from one example": (
        lambda: Weighted(op(lambda x, w: x + w, lambda g, x, w: (g, g[0])), 4),
        (3, 4),
        "weight",
        "mismatch",
    ),
    "forgotten derivative of the activation": (
        lambda: Weighted(
            op(lambda x, w: torch.tanh(x * w), lambda g, x, w: (g * w * (1 - torch.tanh(x * w) ** 2), (g * x).sum(0))),
            4,
        ),
        (3, 4),
        "weight",
        "mismatch",
    ),
    "softmax without its cross terms": (
        lambda: Weighted(lambda x, w: _softmax(x + w), 4),
        (3, 4),
        "weight",
        "mismatch",
    ),
}
_round = op(torch.round, lambda g, x: g)
_softmax = op(lambda z: F.softmax(z, -1), lambda g, z: g * F.softmax(z, -1) * (1 - F.softmax(z, -1)))


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_named(name: str) -> None:
    build, shape, tensor, fault = FAULTS[name]
    found = {check.name: check for check in gradcheck(build(), torch.randn(shape))}
    assert found[tensor].fault == fault
    assert found[tensor].wrong == (name not in ("float32 inside", "counts its calls"))  # these cannot be checked
    assert "\n" not in found[tensor].message
    others = [check.name for check in found.values() if check.wrong and check.name != tensor]
    assert others == [] or name in ("float32 inside", "softmax without its cross terms")


RIGHT: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(4, 3), (5, 4)),
    "bilinear": (lambda: Weighted(lambda x, w: F.bilinear(x, x, w), 2, 4, 4), (5, 4)),
    "mlp, relu": (lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), (5, 4)),
    "mlp, leaky relu": (lambda: nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.01), nn.Linear(8, 2)), (5, 4)),
    "sigmoid": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()), (5, 4)),
    "tanh": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh()), (5, 4)),
    "gelu": (lambda: nn.Sequential(nn.Linear(4, 3), nn.GELU()), (5, 4)),
    "silu": (lambda: nn.Sequential(nn.Linear(4, 3), nn.SiLU()), (5, 4)),
    "elu": (lambda: nn.Sequential(nn.Linear(4, 3), nn.ELU()), (5, 4)),
    "softplus": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Softplus()), (5, 4)),
    "prelu": (lambda: nn.Sequential(nn.Linear(4, 3), nn.PReLU()), (5, 4)),
    "softmax": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1)), (5, 4)),
    "log softmax": (lambda: nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(-1)), (5, 4)),
    "conv": (lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 2, 5, 5)),
    "strided dilated conv": (lambda: nn.Conv2d(2, 4, 3, 2, dilation=2, groups=2), (2, 2, 8, 8)),
    "conv1d": (lambda: nn.Conv1d(2, 3, 3), (2, 2, 9)),
    "transposed conv": (lambda: nn.ConvTranspose2d(2, 3, 4, 2, 1), (2, 2, 4, 4)),
    "max-pool": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)), (2, 1, 8, 8)),
    "avg-pool": (lambda: nn.AvgPool2d(2), (2, 2, 4, 4)),
    "batch-norm in training": (lambda: nn.BatchNorm1d(4), (6, 4)),
    "batch-norm at rest": (lambda: nn.BatchNorm2d(2).eval(), (2, 2, 3, 3)),
    "layer norm": (lambda: nn.LayerNorm(4), (5, 4)),
    "group norm": (lambda: nn.GroupNorm(2, 4), (2, 4, 3, 3)),
    "dropout, the mask held": (lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2)), (5, 4)),
    "rnn": (lambda: _First(nn.RNN(3, 4, batch_first=True)), (2, 4, 3)),
    "lstm": (lambda: _First(nn.LSTM(3, 4, batch_first=True)), (2, 4, 3)),
    "gru both ways": (lambda: _First(nn.GRU(3, 4, bidirectional=True, batch_first=True)), (2, 4, 3)),
    "transformer": (lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), (2, 3, 4)),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (5, 4)),
    "bilinear upsampling": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 1, 4, 4)),
    "instance norm": (lambda: nn.InstanceNorm1d(3, affine=True), (2, 3, 6)),
    "tied weights": (lambda: nn.Sequential(*[nn.Linear(4, 4), nn.Tanh()] * 3), (5, 4)),
    "in place": (lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 1)), (5, 4)),
    "a factor written right": (
        lambda: Weighted(op(lambda x, w: x * w * w, lambda g, x, w: (g * w * w, (2 * g * x * w).sum(0))), 4),
        (3, 4),
    ),
    "generator": (lambda: nn.Sequential(Generator(8, (1, 16, 16))), (3, 8)),
    "dcgan generator": (lambda: ConvGenerator(8, (1, 16, 16)), (3, 8)),
    "lenet": (lambda: LeNet((1, 16, 16), 10), (2, 1, 16, 16)),
    "resnet": (lambda: ARCHITECTURES["resnet"]()[0], (2, 2, 8, 8)),
    "inception": (lambda: ARCHITECTURES["inception"]()[0], (2, 2, 8, 8)),
    "squeeze-excitation": (lambda: ARCHITECTURES["squeeze-excitation"]()[0], (2, 2, 8, 8)),
}


class _First(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)[0]


@pytest.mark.parametrize("name", RIGHT)
def test_right_modules_raise_nothing(name: str) -> None:
    build, shape = RIGHT[name]
    found = gradcheck(build(), torch.randn(shape), num_entries=1 if "generator" in name else 4)
    assert found
    assert [(check.name, check.message) for check in found if check.wrong] == []


def test_a_kink_is_a_note() -> None:
    (check,) = gradcheck(nn.ReLU(), torch.zeros(2))
    assert check.fault == "kink"
    assert not check.wrong
    assert check.message.startswith("kink at entry (0,): slope ")
    (check,) = gradcheck(nn.MaxPool1d(2), torch.tensor([[[1.0, 1.0, 3.0, 2.0]]]))
    assert check.fault == "kink"


def test_messages() -> None:
    def message(name: str) -> str:
        build, shape, tensor, _ = FAULTS[name]
        return next(c.message for c in gradcheck(build(), torch.randn(shape)) if c.name == tensor)

    assert message("missing 2") == "constant ratio 1/2: every entry must be multiplied by 2."
    assert message("1/N too many") == "constant ratio 1/5: divided once too often by the batch size 5 (mean for sum)."
    assert message("missing 1/N") == "constant ratio 5: a division by the batch size 5 is missing (sum for mean)."
    assert message("sign") == "sign: autograd gives exactly the negative; the gradient's sign is flipped."
    assert message("clipped") == "clipped: entries beyond ±0.5 are cut off in the backward pass."


def test_the_module_stays_as_it_is() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    x, state = torch.randn(4, 3), torch.get_rng_state()
    gradcheck(module, x)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert module.training
    assert not x.requires_grad
    assert all(p.grad is None for p in module.parameters())


def test_noise_around_a_gradient_of_zero_is_no_difference() -> None:
    """The bias before a batch-norm: both numbers are rounding, and their ratio means nothing."""
    checks = gradcheck(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), torch.rand(3, 4))
    assert [check.fault for check in checks] == ["ok"] * 5
    assert max(check.worst for check in checks) < 1e-5


def test_summary() -> None:
    assert summary(gradcheck(nn.Identity(), torch.rand(2, 2))).startswith("the one gradient agrees with central ")
    assert summary(gradcheck(nn.Linear(2, 1), torch.ones(1, 2))).startswith(
        "all 3 gradients agree with central differences (5 entries"
    )
    build, shape, _, _ = FAULTS["sign"]
    assert summary(gradcheck(build(), torch.randn(shape))) == "1 of 2 gradients are wrong: input."


class Squares(torch.autograd.Function):
    """z² with the conjugate forgotten: autograd's gradient of a complex number wants it."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return z * z

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> Tensor:
        return grad[0] * 2 * ctx.saved_tensors[0]


class Complex(nn.Module):
    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function, self.weight = function, nn.Parameter(torch.randn(4, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: (x * w).abs(),
        lambda x, w: x * w,
        lambda x, w: torch.fft.fft(x * w).imag,
        lambda x, w: torch.einsum("bi,i->b", x + 0j, w).conj(),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_complex_numbers_are_checked(function: Callable[..., Tensor], dtype: torch.dtype) -> None:
    checks = gradcheck(Complex(function), torch.randn(3, 4, dtype=dtype))
    assert [(check.name, check.fault) for check in checks] == [("input", "ok"), ("weight", "ok")]
    assert len(checks[1].entries) == 8  # real and imaginary parts


def test_a_wrong_complex_gradient_is_wrong() -> None:
    checks = gradcheck(Complex(lambda x, w: (x * Squares.apply(w)).real), torch.randn(3, 4))
    assert [check.name for check in checks if check.wrong] == ["weight"]


class PowerIteration(nn.Module):
    """Spectral norm by hand: u moves in every pass and is no function of the weight as far as autograd knows."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 4))
        self.register_buffer("u", F.normalize(torch.randn(5), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            v = F.normalize(self.weight.T @ self.u, dim=0)  # type: ignore[operator]
            self.u.copy_(F.normalize(self.weight @ v, dim=0))  # type: ignore[operator]
        return F.linear(x, self.weight / (self.u @ self.weight @ v))  # type: ignore[operator]


class Averages(nn.Module):
    """Keeps an average that it does not read in training, and forgets the gradient of its mean: wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.mean.lerp_(x.mean(0), 0.1)  # type: ignore[operator]
        return x - x.mean(0).detach()


class Explicit(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.to(self.weight.dtype)).float().sigmoid().to(input.dtype)


UNCHECKED: dict[str, tuple[Callable[[], nn.Module], Tensor, str, str]] = {
    # name: (module, input, the tensor, how the message begins)
    "casts and casts back": (
        lambda: Explicit(4, 3),
        torch.randn(3, 4),
        "weight",
        "not checked: computes in float32 whatever its inputs are.",
    ),
    "power iteration": (
        PowerIteration,
        torch.randn(3, 4),
        "weight",
        "not checked: every pass writes u, which depends on it without a gradient; if that is meant (a power "
        "iteration, an average), check in eval mode.",
    ),
    "max_norm": (
        lambda: nn.Embedding(6, 3, max_norm=0.5),
        torch.tensor([[0, 1]]),
        "weight",
        "not checked: max_norm rescales its rows in every pass, without a gradient.",
    ),
    "scale_grad_by_freq": (
        lambda: nn.Embedding(6, 3, scale_grad_by_freq=True),
        torch.tensor([[0, 1, 1]]),
        "weight",
        "not checked: scale_grad_by_freq divides its gradient by how often a row is used.",
    ),
}


@pytest.mark.parametrize("name", UNCHECKED)
def test_what_cannot_be_checked_is_not_wrong(name: str) -> None:
    build, x, tensor, message = UNCHECKED[name]
    checks = {check.name: check for check in gradcheck(build(), x)}
    assert checks[tensor].message == message
    assert not checks[tensor].checked
    assert [check.name for check in checks.values() if check.wrong] == []
    assert "wrong" not in summary(list(checks.values()))


def test_an_average_that_is_written_and_not_read_hides_no_mistake() -> None:
    (check,) = gradcheck(Averages(), torch.randn(3, 4))
    assert check.wrong


def test_summaries_separate_what_could_not_be_checked() -> None:
    checks = gradcheck(PowerIteration(), torch.randn(3, 4))
    text = summary(checks)
    assert text.startswith("1 of 2 gradients agree with central differences (12 entries, worst relative difference ")
    assert text.endswith("). 1 could not be checked: weight.")
    assert summary(gradcheck(Explicit(4, 3), torch.randn(3, 4))) == (
        "no gradient could be checked: computes in float32 whatever its inputs are."
    )
    both = nn.Sequential(Weighted(lambda x, w: x * w.detach() + 0 * w, 4), PowerIteration())
    assert summary(gradcheck(both, torch.randn(3, 4))) == (
        "1 of 3 gradients are wrong: 0.weight. 1 could not be checked: 1.weight."
    )


@pytest.mark.parametrize(
    "module", [nn.utils.spectral_norm(nn.Linear(40, 5)), nn.utils.parametrizations.spectral_norm(nn.Linear(40, 5))]
)
def test_spectral_norm_holds_its_vectors(module: nn.Module) -> None:
    assert [check.fault for check in gradcheck(module, torch.rand(2, 40))] == ["ok"] * 3
    assert module.training


def test_padding_rows_are_left_out() -> None:
    (check,) = gradcheck(nn.Embedding(6, 3, padding_idx=0), torch.tensor([[0, 1, 2]]))
    assert check.fault == "ok"
    assert {entry.index[0] for entry in check.entries} == {1, 2, 3, 4, 5}


def test_parameters_in_any_layout_are_checked() -> None:
    class Transposed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5, 4).T)

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight

    assert [check.fault for check in gradcheck(Transposed(), torch.randn(3, 4))] == ["ok", "ok"]
    maps = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert [check.fault for check in gradcheck(maps, torch.randn(2, 2, 5, 5))] == ["ok"] * 3


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "point", "fault"),
    [
        (torch.relu, torch.zeros(2, 2), "kink"),
        (torch.abs, torch.zeros(2, 2), "ok"),  # its subgradient 0 is the central difference
        (lambda x: x.max(1)[0], torch.ones(2, 3), "kink"),
        (lambda x: x.amax(1), torch.ones(2, 3), "kink"),
        (lambda x: x.median(), torch.ones(2, 2), "kink"),
        (lambda x: F.max_pool1d(x, 3, 1), torch.ones(1, 1, 5), "kink"),
        (lambda x: x.clamp(min=1), torch.ones(2, 2), "kink"),
        (lambda x: x.sort()[0], torch.ones(3), "kink"),
        (lambda x: (x > 0) + x, torch.zeros(2, 2), "jump"),
        (torch.sign, torch.zeros(2), "jump"),
        (torch.relu, torch.full((2, 2), 3e-6), "ok"),
    ],
)
def test_points_without_a_gradient_are_notes(function: Callable[[Tensor], Tensor], point: Tensor, fault: str) -> None:
    (check,) = gradcheck(Function(function), point)
    assert (check.fault, check.wrong) == (fault, False)
    assert check.worst < 1e-5
    assert summary([check]).startswith("the one gradient agrees")


def test_messages_at_points_without_a_gradient() -> None:
    (check,) = gradcheck(Function(lambda x: x.median()), torch.ones(2, 2))
    assert check.message == "kink: several entries tie at this very point; 0.01 beside it all agree."
    (check,) = gradcheck(Function(torch.sign), torch.zeros(()))
    assert check.message.startswith("jump at it: the loss changes by ")
    assert check.message.endswith(" at this very point; there is no gradient to compare with.")


def test_progress_counts_entries() -> None:
    seen: list[tuple[int, int]] = []
    checks = gradcheck(nn.Linear(4, 3), torch.randn(3, 4), progress=lambda done, total: seen.append((done, total)))
    total = sum(len(check.entries) for check in checks)
    assert seen == [(done, total) for done in range(1, total + 1)]


def test_a_check_shows_itself_on_one_line() -> None:
    check = gradcheck(nn.Linear(2, 3), torch.rand(1, 2))[1]
    assert repr(check) == f"weight: ok (6 entries, worst {check.worst:.1e})"
    assert repr(replace(check, fault="zero", message="zero: wrong", entries=[])) == "weight: zero: wrong"

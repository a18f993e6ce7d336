"""The networks, the noise and the optimizer of the GAN exercise (Goodfellow et al. 2014; Radford et al. 2016)."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from etude.verify.contract import Check, mistake
from etude.verify.inputs import normal
from etude.verify.networks import observe_network
from etude.verify.observation import Observation, Refused, call, tensor_result
from etude.verify.sampling import DRAWS, all_differ, distribution, fact, tolerance

Layer = Callable[[], nn.Module]


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.01)


def discriminator(
    *,
    hidden: int = 256,
    activation: Layer = _leaky,
    second_activation: bool = True,
    second_layer: bool = True,
    bias: bool = True,
    end: Layer = nn.Identity,
) -> nn.Module:
    """784 → 256 → 256 → 1."""
    middle = [nn.Linear(hidden, hidden, bias), activation() if second_activation else nn.Identity()]
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, hidden, bias),
        activation(),
        *(middle if second_layer else []),
        nn.Linear(hidden, 1, bias),
        end(),
    )


def generator(
    noise_dim: int,
    *,
    hidden: int = 1024,
    activation: Layer = nn.ReLU,
    second_activation: bool = True,
    second_layer: bool = True,
    bias: bool = True,
    end: Layer = nn.Tanh,
    fixed_dim: int | None = None,
) -> nn.Module:
    """noise → 1024 → 1024 → 784."""
    middle = [nn.Linear(hidden, hidden, bias), activation() if second_activation else nn.Identity()]
    return nn.Sequential(
        nn.Linear(fixed_dim or noise_dim, hidden, bias),
        activation(),
        *(middle if second_layer else []),
        nn.Linear(hidden, 784, bias),
        end(),
    )


def build_dc_classifier(
    batch_size: int,
    *,
    activation: Layer = _leaky,
    pool: Callable[[int], nn.Module] = nn.MaxPool2d,
    hidden_layer: bool = True,
    last_activation: bool = True,
    end: Layer = nn.Identity,
) -> nn.Module:
    """conv 32 k5 → pool → conv 64 k5 → pool → 1024 → 1, LeakyReLU after each but the last."""
    hidden = [nn.Linear(1024, 1024), activation() if last_activation else nn.Identity()]
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 32, 5),
        activation(),
        pool(2),
        nn.Conv2d(32, 64, 5),
        activation(),
        pool(2),
        nn.Flatten(),
        *(hidden if hidden_layer else []),
        nn.Linear(1024, 1),
        end(),
    )


def build_dc_generator(
    noise_dim: int,
    *,
    activation: Layer = nn.ReLU,
    norm_first: bool = False,
    norms: bool = True,
    end: Layer = nn.Tanh,
    fixed_dim: int | None = None,
) -> nn.Module:
    """noise → 1024 → 6272 = 128×7×7 → transposed conv 64 → transposed conv 1, ReLU then batch-norm between."""

    def after(norm: nn.Module) -> list[nn.Module]:
        if not norms:
            return [activation()]
        return [norm, activation()] if norm_first else [activation(), norm]

    return nn.Sequential(
        nn.Linear(fixed_dim or noise_dim, 1024),
        *after(nn.BatchNorm1d(1024)),
        nn.Linear(1024, 6272),
        *after(nn.BatchNorm1d(6272)),
        nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1),
        *after(nn.BatchNorm2d(64)),
        nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1),
        end(),
    )


def sample_noise(
    batch_size: int,
    dim: int,
    *,
    low: float = -1.0,
    high: float = 1.0,
    normal: bool = False,
    transposed: bool = False,
    seeded: bool = False,
    one_row: bool = False,
) -> Tensor:
    """Uniform numbers in [−1, 1], shape (batch_size, dim)."""
    if seeded:
        torch.manual_seed(0)
    noise = torch.randn(batch_size, dim) if normal else low + (high - low) * torch.rand(batch_size, dim)
    noise = noise[:1].expand(batch_size, dim) if one_row else noise
    return noise.T if transposed else noise


def _observe_noise(draw: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    batch, dim = case["batch_size"], case["dim"]
    first, second = (tensor_result(call(draw, batch, dim, name="it")) for _ in range(2))
    rows_differ = all_differ(first)
    fresh = first.shape != second.shape or not torch.equal(first, second)
    return Observation(
        {
            "shape": torch.tensor(first.shape, dtype=torch.float64),
            "two calls differ": fact(fresh),
            "rows differ": rows_differ,
            "distribution": distribution(first) * rows_differ,  # repeated draws have no law to compare
        }
    )


def get_optimizer(
    model: nn.Module,
    *,
    kind: type[torch.optim.Optimizer] = torch.optim.Adam,
    lr: float = 1e-3,
    beta1: float = 0.5,
    beta2: float = 0.999,
    share: str = "all",
) -> torch.optim.Optimizer:
    """Adam, learning rate 1e-3, betas (0.5, 0.999)."""
    parameters = list(model.parameters())
    parameters = {"all": parameters, "first": parameters[:2], "last": parameters[-2:]}[share]
    settings = {"lr": lr} if kind is torch.optim.SGD else {"lr": lr, "betas": (beta1, beta2)}
    return kind(parameters, **settings)  # pyright: ignore[reportArgumentType]


def _observe_optimizer(factory: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """How far three steps with given gradients move every weight of a small model."""
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            parameter.copy_(normal(parameter.shape, index))
    start = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = call(factory, model)
    if not hasattr(optimizer, "step"):
        raise Refused(type(optimizer).__name__, f"it returned {type(optimizer).__name__}; expected an optimizer")
    for step in range(3):
        for index, parameter in enumerate(model.parameters()):
            parameter.grad = normal(parameter.shape, case["seed"] + 10 * step + index).to(parameter)
        call(optimizer.step, name="its step")
        for parameter, was in zip(model.parameters(), start, strict=True):
            tensor_result(parameter, "a parameter after its step", was.shape)
    moved = [(now.detach() - was).flatten() for now, was in zip(model.parameters(), start, strict=True)]
    return Observation({"result": torch.cat(moved)})


_SIGMOID_END = ("sigmoid at the end", "σ(W h + b)", "W h + b: the loss takes logits")
_RELU = ("ReLU instead of LeakyReLU", "max(0, x)", "max(0.01 x, x)")
_SLOPE = ("LeakyReLU with slope 0.2", "max(0.2 x, x)", "max(0.01 x, x)")
_NO_TANH = ("tanh forgotten at the end", "W h + b", "tanh(W h + b): pixels in [−1, 1]")
_SIGMOID_FOR_TANH = ("sigmoid instead of tanh", "σ(W h + b): pixels in [0, 1]", "tanh(W h + b): pixels in [−1, 1]")
_FIXED_DIM = ("noise_dim hard-coded to 96", "Linear(96, 1024)", "Linear(noise_dim, 1024)")
_LEAKY_G = ("LeakyReLU instead of ReLU", "max(0.01 x, x)", "max(0, x)")


def _images(seed: int, batch: int, arguments: tuple[object, ...]) -> dict[str, Any]:
    return {"seed": seed, "arguments": arguments, "images": normal((batch, 1, 28, 28), seed), "flat": True}


def _noise(seed: int, batch: int, dim: int) -> dict[str, Any]:
    return {"seed": seed, "arguments": (dim,), "images": normal((batch, dim), seed), "flat": True}


def _leaky_02() -> nn.Module:
    return nn.LeakyReLU(0.2)


CHECKS = (
    Check(
        name="sample_noise",
        call="sample_noise(batch_size, dim) → (batch_size, dim), uniform in [−1, 1]",
        right=sample_noise,
        mistakes=(
            mistake("uniform in [0, 1]", "z ~ U[0, 1]", "z ~ U[−1, 1]", low=0.0),
            mistake("uniform in [−½, ½]", "z ~ U[0, 1] − ½", "z ~ U[−1, 1]", low=-0.5, high=0.5),
            mistake("normal instead of uniform", "z ~ N(0, 1)", "z ~ U[−1, 1]", normal=True),
            mistake("shape transposed", "(dim, batch_size)", "(batch_size, dim)", transposed=True),
            mistake("the same noise at every call", "the seed is set inside", "a fresh draw at every call",
                    seeded=True),
            mistake("one row for the whole batch", "z₁ = z₂ = … = z_N", "z₁, …, z_N independent", one_row=True),
        ),
        extremes=({"batch_size": 200, "dim": DRAWS // 200}, {"batch_size": 2500, "dim": DRAWS // 2500}),
        observe=_observe_noise,
        tolerance=tolerance(),
        is_random=True,
    ),
    Check(
        name="discriminator",
        call="discriminator() → module from (batch, 784) to scores (batch, 1) or (batch,)",
        right=discriminator,
        mistakes=(
            mistake(*_SIGMOID_END, end=nn.Sigmoid),
            mistake(*_RELU, activation=nn.ReLU),
            mistake(*_SLOPE, activation=_leaky_02),
            mistake("second activation forgotten", "W₂ h + b₂", "LeakyReLU(W₂ h + b₂)", second_activation=False),
            mistake("second hidden layer forgotten", "784 → 256 → 1", "784 → 256 → 256 → 1", second_layer=False),
            mistake("no biases", "W x", "W x + b", bias=False),
            mistake("128 hidden units", "784 → 128 → 128 → 1", "784 → 256 → 256 → 1", hidden=128),
        ),
        seeded=lambda first: (_images(first + 1, 1, ()), _images(first + 2, 5, ())),
        observe=observe_network,
    ),
    Check(
        name="generator",
        call="generator(noise_dim) → module from (batch, noise_dim) to (batch, 784)",
        right=generator,
        mistakes=(
            mistake(*_NO_TANH, end=nn.Identity),
            mistake(*_SIGMOID_FOR_TANH, end=nn.Sigmoid),
            mistake(*_LEAKY_G, activation=_leaky),
            mistake("second activation forgotten", "W₂ h + b₂", "ReLU(W₂ h + b₂)", second_activation=False),
            mistake("second hidden layer forgotten", "noise → 1024 → 784", "noise → 1024 → 1024 → 784",
                    second_layer=False),
            mistake("no biases", "W x", "W x + b", bias=False),
            mistake("256 hidden units", "noise → 256 → 256 → 784", "noise → 1024 → 1024 → 784", hidden=256),
            mistake(*_FIXED_DIM, fixed_dim=96),
        ),
        seeded=lambda first: (_noise(first + 1, 1, 4), _noise(first + 2, 5, 96)),
        observe=observe_network,
    ),
    Check(
        name="build_dc_classifier",
        call="build_dc_classifier(batch_size) → module from (batch, 784) or (batch, 1, 28, 28) to scores (batch, 1)",
        right=build_dc_classifier,
        mistakes=(
            mistake(*_SIGMOID_END, end=nn.Sigmoid),
            mistake(*_RELU, activation=nn.ReLU),
            mistake(*_SLOPE, activation=_leaky_02),
            mistake("average instead of max-pooling", "mean of each 2×2", "maximum of each 2×2", pool=nn.AvgPool2d),
            mistake("linear 1024 → 1024 forgotten", "1024 → 1", "1024 → 1024 → 1", hidden_layer=False),
            mistake("last LeakyReLU forgotten", "W h + b", "LeakyReLU(W h + b)", last_activation=False),
        ),
        seeded=lambda first: (_images(first + 1, 1, (1,)), _images(first + 2, 4, (4,))),
        observe=observe_network,
    ),
    Check(
        name="build_dc_generator",
        call="build_dc_generator(noise_dim) → module from (batch, noise_dim) to (batch, 784) or (batch, 1, 28, 28)",
        right=build_dc_generator,
        mistakes=(
            mistake(*_NO_TANH, end=nn.Identity),
            mistake(*_SIGMOID_FOR_TANH, end=nn.Sigmoid),
            mistake(*_LEAKY_G, activation=_leaky),
            mistake("batch-norm before ReLU", "ReLU(BN(x))", "BN(ReLU(x))", norm_first=True),
            mistake("batch-norm forgotten", "ReLU(x)", "BN(ReLU(x))", norms=False),
            mistake(*_FIXED_DIM, fixed_dim=96),
        ),
        seeded=lambda first: (_noise(first + 1, 3, 4), _noise(first + 2, 2, 96)),
        observe=observe_network,
    ),
    Check(
        name="get_optimizer",
        call="get_optimizer(model) → Adam, learning rate 1e-3, betas (0.5, 0.999)",
        right=get_optimizer,
        mistakes=(
            mistake("default beta1", "β₁ = 0.9", "β₁ = 0.5", beta1=0.9),
            mistake("beta2 0.9", "β₂ = 0.9", "β₂ = 0.999", beta2=0.9),
            mistake("learning rate 2e-4", "α = 2e-4", "α = 1e-3", lr=2e-4),
            mistake("learning rate 1e-4", "α = 1e-4", "α = 1e-3", lr=1e-4),
            mistake("SGD instead of Adam", "w − α g", "w − α m̂ / (√v̂ + ε)", kind=torch.optim.SGD),
            mistake("AdamW instead of Adam", "w − α λ w − α m̂ / (√v̂ + ε)", "w − α m̂ / (√v̂ + ε)",
                    kind=torch.optim.AdamW),
            mistake("only the first layer's parameters", "the first layer moves", "every parameter moves",
                    share="first"),
            mistake("only the last layer's parameters", "the last layer moves", "every parameter moves",
                    share="last"),
        ),
        seeded=lambda first: ({"seed": first + 1}, {"seed": first + 100}),
        observe=_observe_optimizer,
    ),
)  # fmt: skip

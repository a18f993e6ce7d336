"""Optimizers, called as those of `torch.optim`: a class of parameters and settings with a method `step()`.

Settings are given by keyword and only if they are not 0; all of them, then by position, to a class that refuses that.

Adam: Kingma and Ba 2015, algorithm 1. AdamW: Loshchilov and Hutter 2019, algorithm 2. Momentum: as in PyTorch,
v ← μ v + g, w ← w − α v. L2 adds λ w to the gradient; weight decay shrinks w by the factor 1 − α λ.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from etude.verify.contract import Case, Check, Mistake, mistake
from etude.verify.inputs import normal
from etude.verify.observation import Observation, Refused, call, tensor_result


class SGD:
    """w ← w − α v, v ← μ v + g + λ w."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        sign: float = 1.0,
        dampened: bool = False,
        nesterov: bool = False,
        remembers: bool = True,
        decay_factor: float = 1.0,
        decay: str = "gradient",
        velocity_sign: float = 1.0,
    ) -> None:
        self.params = list(params)
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.sign, self.dampened, self.nesterov, self.remembers = sign, dampened, nesterov, remembers
        self.decay_factor, self.decay = decay_factor, decay
        self.velocity_sign = velocity_sign
        self.velocities: dict[int, Tensor] = {}

    @torch.no_grad()
    def step(self) -> None:
        for index, w in enumerate(self.params):
            if w.grad is None:
                continue
            strength = self.decay_factor * self.weight_decay
            if self.decay == "no lr":
                w.mul_(1 - strength)
            g = w.grad + (strength * w if self.decay == "gradient" else 0)
            if self.decay == "after momentum":
                w.mul_(1 - self.lr * strength)
            before = self.velocities.get(index, torch.zeros_like(w))
            g = (1 - self.momentum) * g if self.dampened else g
            velocity = self.momentum * before * self.velocity_sign + g if self.remembers else g
            self.velocities[index] = velocity
            move = g + self.momentum * velocity if self.nesterov else velocity
            w.sub_(self.sign * self.lr * move)


class Adam:
    """m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², w ← w − α m̂ / (√v̂ + ε), with L2 or decoupled decay."""

    decay = "gradient"

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        sign: float = 1.0,
        epsilon: str = "outside",
        corrected: tuple[bool, bool] = (True, True),
        square_root: bool = True,
        squared: bool = True,
        betas_swapped: bool = False,
        weights_swapped: bool = False,
        first_step: int = 1,
        shared_count: bool = False,
        decay: str | None = None,
        decay_factor: float = 1.0,
    ) -> None:
        self.params = list(params)
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay
        if betas_swapped:
            self.betas = betas[1], betas[0]
        self.sign, self.epsilon, self.corrected = sign, epsilon, corrected
        self.square_root, self.squared = square_root, squared
        self.weights_swapped, self.shared_count = weights_swapped, shared_count
        self.decay, self.decay_factor = decay or type(self).decay, decay_factor
        self.count = first_step - 1
        self.moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in self.params]

    @torch.no_grad()
    def step(self) -> None:
        if not self.shared_count:
            self.count += 1
        for index, w in enumerate(self.params):
            if w.grad is None:
                continue
            if self.shared_count:
                self.count += 1  # wrong: once per parameter
            self._update(index, w, w.grad)

    def _update(self, index: int, w: Tensor, g: Tensor) -> None:
        strength = self.decay_factor * self.weight_decay
        if self.decay == "gradient":
            g = g + strength * w
        elif self.decay == "decoupled":
            w.mul_(1 - self.lr * strength)
        elif self.decay == "no lr":
            w.mul_(1 - strength)

        (beta1, beta2), (m, v) = self.betas, self.moments[index]
        second = g**2 if self.squared else g.abs()
        if self.weights_swapped:
            m, v = (1 - beta1) * m + beta1 * g, (1 - beta2) * v + beta2 * second
        else:
            m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * second
        self.moments[index] = m, v
        correction1 = 1 - beta1**self.count if self.corrected[0] else 1.0
        correction2 = 1 - beta2**self.count if self.corrected[1] else 1.0
        m_hat = m / correction1
        v_hat = v / correction2
        if not self.square_root:
            denominator = v_hat + self.eps
        elif self.epsilon == "inside":
            denominator = (v_hat + self.eps).sqrt()
        elif self.epsilon == "before correction":
            denominator = (v.sqrt() + self.eps) / math.sqrt(correction2)
        elif self.epsilon == "forgotten":
            denominator = v_hat.sqrt()
        else:
            denominator = v_hat.sqrt() + self.eps
        w.sub_(self.sign * self.lr * m_hat / denominator)
        if self.decay == "after step":
            w.mul_(1 - self.lr * strength)


class AdamW(Adam):
    """Adam with decay apart from the gradient: w ← (1 − α λ) w before the step."""

    decay = "decoupled"


def _observe(cls: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """Where each of five steps with given gradients takes two parameters."""
    dtype = torch.get_default_dtype()
    shapes = ((3,), (2, 2))
    weights = [normal(shape, case["seed"] + i).to(dtype).requires_grad_() for i, shape in enumerate(shapes)]
    optimizer = _build(cls, weights, {key: value for key, value in case.items() if key not in ("seed", "scale")})
    path = []
    for step in range(5):
        for i, w in enumerate(weights):
            w.grad = (case["scale"] * normal(w.shape, case["seed"] + 10 + 2 * step + i)).to(dtype)
        call(optimizer.step, name="step")
        now = [tensor_result(w, "a parameter after its step", shape) for w, shape in zip(weights, shapes, strict=True)]
        path.append(torch.cat([w.detach().flatten() for w in now]))
    # In units of the step size: a difference of the tenth digit of w is one of the whole step.
    return Observation({"result": torch.stack(path).diff(dim=0, prepend=_start(case, shapes, dtype)) / case["lr"]})


def _build(cls: Callable[..., Any], weights: list[Tensor], settings: dict[str, Any]) -> Any:
    needed = {key: value for key, value in settings.items() if value != 0}
    refused: list[Refused] = []
    for positional, keywords in (((), needed), ((), settings), (settings.values(), {})):
        try:
            optimizer = call(cls, weights, *positional, name="the class", **keywords)
        except Refused as error:
            refused.append(error)
            if error.kind == "signature":
                continue
            raise
        if not hasattr(optimizer, "step"):
            raise Refused("step", "the class has no method step")
        return optimizer
    raise refused[0]


def _start(case: Mapping[str, Any], shapes: tuple[tuple[int, ...], ...], dtype: torch.dtype) -> Tensor:
    return torch.cat([normal(shape, case["seed"] + i).to(dtype).flatten() for i, shape in enumerate(shapes)])[None]


def _sgd(momentum: float, weight_decay: float) -> Callable[[int], tuple[Case, ...]]:
    return lambda first: tuple(
        {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "seed": first + number, "scale": 1.0}
        for number, lr in ((1, 0.1), (2, 0.01))
    )


def _adam(weight_decay: float) -> Callable[[int], tuple[Case, ...]]:
    """Small gradients (1e-7) show where ε stands."""
    return lambda first: tuple(
        {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "seed": first + number, "scale": scale}
        for number, (lr, betas, eps, scale) in enumerate(
            ((0.1, (0.9, 0.999), 1e-8, 1.0), (0.01, (0.5, 0.99), 1e-8, 1e-7), (0.05, (0.8, 0.95), 1e-3, 1e-2))
        )
    )


_ADAM = "w − α m̂ / (√v̂ + ε)"
_SIGN = mistake("sign", "w ← w + α …", "w ← w − α …", sign=-1.0)
_L2 = "g + λ w"
_MOMENTUM = "v ← μ v + g, w ← w − α v"


def _momentum_mistakes() -> tuple[Mistake, ...]:
    return (
        _SIGN,
        mistake("dampened gradient", "v ← μ v + (1 − μ) g", _MOMENTUM, dampened=True),
        mistake("Nesterov's momentum", "w ← w − α (g + μ v)", _MOMENTUM, nesterov=True),
        mistake("velocity not kept", "v ← g", _MOMENTUM, remembers=False),
        mistake("velocity subtracted", "v ← g − μ v", _MOMENTUM, velocity_sign=-1.0),
    )


def _adam_mistakes() -> tuple[Mistake, ...]:
    return (
        _SIGN,
        mistake("ε inside the square root", "w − α m̂ / √(v̂ + ε)", _ADAM, epsilon="inside"),
        mistake("ε added before the bias correction", "w − α m̂ / ((√v + ε) / √(1 − β₂ᵗ))", _ADAM,
                epsilon="before correction"),
        mistake("ε forgotten", "w − α m̂ / √v̂", _ADAM, epsilon="forgotten"),
        mistake("no bias correction", "w − α m / (√v + ε)", _ADAM, corrected=(False, False)),
        mistake("first moment not corrected", "w − α m / (√v̂ + ε)", _ADAM, corrected=(False, True)),
        mistake("second moment not corrected", "w − α m̂ / (√v + ε)", _ADAM, corrected=(True, False)),
        mistake("square root forgotten", "w − α m̂ / (v̂ + ε)", _ADAM, square_root=False),
        mistake("gradient not squared", "v ← β₂ v + (1 − β₂) |g|", "v ← β₂ v + (1 − β₂) g²", squared=False),
        mistake("betas swapped", "m with β₂, v with β₁", "m with β₁, v with β₂", betas_swapped=True),
        mistake("β and 1 − β swapped", "m ← (1 − β₁) m + β₁ g", "m ← β₁ m + (1 − β₁) g", weights_swapped=True),
        mistake("steps counted from 0", "t = 0 at the first step: 1 − βᵗ = 0", "t = 1 at the first step",
                first_step=0),
        mistake("steps counted from 2", "t = 2 at the first step", "t = 1 at the first step", first_step=2),
        mistake("steps counted per parameter", "t ← t + 1 for each parameter", "t ← t + 1 for each step",
                shared_count=True),
    )  # fmt: skip


CHECKS = (
    Check(
        name="SGD",
        call="SGD(params, lr=…).step(): w − α g",
        right=SGD,
        mistakes=(_SIGN,),
        seeded=_sgd(0.0, 0.0),
        observe=_observe,
        method="step",
    ),
    Check(
        name="SGD.momentum",
        call="SGD(params, lr=…, momentum=…).step(): v ← μ v + g, w ← w − α v",
        right=SGD,
        mistakes=_momentum_mistakes(),
        seeded=_sgd(0.9, 0.0),
        observe=_observe,
        method="step",
    ),
    Check(
        name="SGD.weight_decay",
        call="SGD(params, lr=…, momentum=…, weight_decay=…).step(): L2, g + λ w before the momentum",
        right=SGD,
        mistakes=(
            mistake("L2 forgotten", "g", _L2, decay_factor=0.0),
            mistake("L2 with factor 2", "g + 2 λ w", _L2, decay_factor=2.0),
            mistake("L2 with factor ½", "g + ½ λ w", _L2, decay_factor=0.5),
            mistake("sign of the L2 term", "g − λ w", _L2, decay_factor=-1.0),
            mistake("decay without the learning rate", "w ← (1 − λ) w", "w ← w − α (g + λ w)", decay="no lr"),
            mistake(
                "decay apart from the momentum", "w ← (1 − α λ) w − α v", "v ← μ v + g + λ w", decay="after momentum"
            ),
            *_momentum_mistakes(),
        ),
        seeded=_sgd(0.9, 0.1),
        observe=_observe,
        method="step",
    ),
    Check(
        name="Adam",
        call="Adam(params, lr=…, betas=…, eps=…).step()",
        right=Adam,
        mistakes=_adam_mistakes(),
        seeded=_adam(0.0),
        observe=_observe,
        method="step",
        points=2,
    ),
    Check(
        name="Adam.weight_decay",
        call="Adam(params, lr=…, betas=…, eps=…, weight_decay=…).step(): L2, g + λ w in both moments",
        right=Adam,
        mistakes=(
            mistake("decoupled decay instead of L2", "w ← (1 − α λ) w", _L2, decay="decoupled"),
            mistake("L2 forgotten", "g", _L2, decay_factor=0.0),
            mistake("L2 with factor 2", "g + 2 λ w", _L2, decay_factor=2.0),
            mistake("sign of the L2 term", "g − λ w", _L2, decay_factor=-1.0),
            *_adam_mistakes(),
        ),
        seeded=_adam(0.1),
        observe=_observe,
        method="step",
    ),
    Check(
        name="AdamW",
        call="AdamW(params, lr=…, betas=…, eps=…, weight_decay=…).step(): w ← (1 − α λ) w, then Adam's step",
        right=AdamW,
        mistakes=(
            mistake("coupled weight decay", "g + λ w, as in L2", "w ← (1 − α λ) w", decay="gradient"),
            mistake("decay without the learning rate", "w ← (1 − λ) w", "w ← (1 − α λ) w", decay="no lr"),
            mistake(
                "decay after the step",
                "w ← (1 − α λ) (w − α m̂ / (√v̂ + ε))",
                "w ← (1 − α λ) w − α m̂ / (√v̂ + ε)",
                decay="after step",
            ),
            mistake("decay forgotten", "w", "w ← (1 − α λ) w", decay_factor=0.0),
            mistake("sign of the decay", "w ← (1 + α λ) w", "w ← (1 − α λ) w", decay_factor=-1.0),
            *_adam_mistakes(),
        ),
        seeded=_adam(0.1),
        observe=_observe,
        method="step",
        points=2,
    ),
)

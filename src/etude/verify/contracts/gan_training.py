"""One training step of a GAN: the discriminator learns, then the generator, each from noise of its own."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.verify.contract import Check, mistake
from etude.verify.inputs import normal
from etude.verify.observation import Observation, call
from etude.verify.sampling import fact

Loss = Callable[..., Tensor]
_NOISE_DIM, _PIXELS, _BATCH = 8, 784, 4


def train_step(
    D: nn.Module,
    G: nn.Module,
    D_solver: torch.optim.Optimizer,
    G_solver: torch.optim.Optimizer,
    discriminator_loss: Loss,
    generator_loss: Loss,
    real: Tensor,
    noise_dim: int,
    *,
    same_noise: bool = False,
    detach: bool = True,
    reset_discriminator: bool = True,
    reset_generator: bool = True,
    swapped: bool = False,
    generator_step_moves_discriminator: bool = False,
    discriminator_step_moves_generator: bool = False,
    generator_first: bool = False,
    generator_cut_off: bool = False,
    discriminator_moves: bool = True,
    normal_noise: bool = False,
    low: float = -1.0,
    high: float = 1.0,
    joint: bool = False,
) -> None:
    """D's step on real and detached generated images, then G's step on fresh noise."""

    def noise() -> Tensor:
        shape = len(real), noise_dim
        return torch.randn(shape) if normal_noise else low + (high - low) * torch.rand(shape)

    def learn_discriminator(generated: Tensor) -> None:
        if reset_discriminator:
            D_solver.zero_grad()
        logits = D(real), D(generated.detach() if detach else generated)
        loss = discriminator_loss(*(reversed(logits) if swapped else logits))
        loss.backward(retain_graph=True)
        if discriminator_moves:
            D_solver.step()
        if discriminator_step_moves_generator:
            G_solver.step()

    def learn_generator(generated: Tensor) -> None:
        if reset_generator:
            G_solver.zero_grad()
        if generator_cut_off:
            return
        generator_loss(D(generated)).backward()
        G_solver.step()
        if generator_step_moves_discriminator:
            D_solver.step()

    if joint:
        generated = G(noise())
        logits = D(real), D(generated.detach() if detach else generated)
        D_solver.zero_grad()
        G_solver.zero_grad()
        loss = discriminator_loss(*logits) + generator_loss(D(generated if same_noise else G(noise())))
        loss.backward()
        D_solver.step()
        G_solver.step()
        return
    if generator_first:
        learn_generator(G(noise()))
        learn_discriminator(G(noise()))
        return
    generated = G(noise())
    learn_discriminator(generated)
    learn_generator(generated if same_noise else G(noise()))


class _Recorder(nn.Module):
    """A small generator that remembers its noise, or uses remembered noise instead of what it is given."""

    def __init__(self, replay: list[Tensor]) -> None:
        super().__init__()
        self.linear = nn.Linear(_NOISE_DIM, _PIXELS)
        self.given: list[Tensor] = []
        self.replay = replay

    def forward(self, noise: Tensor) -> Tensor:
        self.given.append(noise.detach().clone())
        index = len(self.given) - 1
        if index < len(self.replay) and self.replay[index].shape == noise.shape:
            noise = self.replay[index]
        return torch.tanh(self.linear(noise))


def _observe_steps(step: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """Where two training steps leave the weights of a small pair of networks."""
    seed = case["seed"]
    G = _Recorder(seen.state if seen is not None and seen.state is not None else [])
    D = nn.Sequential(nn.Flatten(), nn.Linear(_PIXELS, 4), nn.Tanh(), nn.Linear(4, 1))
    with torch.no_grad():
        for index, parameter in enumerate([*D.parameters(), *G.parameters()]):
            parameter.copy_(normal(parameter.shape, seed + index, parameter.shape[-1] ** -0.5))
    solvers = torch.optim.SGD(D.parameters(), lr=0.5), torch.optim.SGD(G.parameters(), lr=0.5)
    for batch in range(2):
        real = normal((_BATCH, _PIXELS), seed + 100 + batch).tanh().to(torch.get_default_dtype())
        call(step, D, G, *solvers, _discriminator_loss, _generator_loss, real, _NOISE_DIM)
    flat = [tuple(noise.flatten().tolist()) for noise in G.given]
    return Observation(
        {
            "discriminator's weights": nn.utils.parameters_to_vector(D.parameters()).detach(),
            "generator's weights": nn.utils.parameters_to_vector(G.parameters()).detach(),
            "fresh noise for each step": fact(len(set(flat)) == 4),
            # Facts of 128 numbers, each missed by a right sampler once in 2^127 at most.
            "noise in [−1, 1]": fact(all((noise.abs() <= 1).all() for noise in G.given)),
            "noise on both sides of 0": fact(
                any((n < 0).any() for n in G.given) and any((n > 0).any() for n in G.given)
            ),
            "noise beyond ±½": fact(any((noise.abs() > 0.5).any() for noise in G.given)),
        },
        state=G.given,
    )


def _discriminator_loss(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    return F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()


def _generator_loss(logits_fake: Tensor) -> Tensor:
    return F.softplus(-logits_fake).mean()


_APART = "L_D.backward(), D's step; then L_G.backward(), G's step"

CHECKS = (
    Check(
        name="train_step",
        call="train_step(D, G, D_solver, G_solver, discriminator_loss, generator_loss, real, noise_dim)"
        "; real is (batch, 784) in [−1, 1]",
        right=train_step,
        mistakes=(
            mistake("the same noise for both steps", "D(G(z)), then D(G(z))", "D(G(z)), then D(G(z′)) with z′ fresh",
                    same_noise=True),
            mistake("discriminator's gradients not reset", "g ← g + ∂L_D", "g ← 0 + ∂L_D", reset_discriminator=False),
            mistake("generator's gradients not reset", "g ← g + ∂L_G", "g ← 0 + ∂L_G", reset_generator=False),
            mistake("labels the wrong way round", "discriminator_loss(D(G(z)), D(x))",
                    "discriminator_loss(D(x), D(G(z)))", swapped=True),
            mistake("no detach, and the generator's gradients not reset", "L_D(D(x), D(G(z))) reaches G",
                    "L_D(D(x), D(G(z).detach()))", detach=False, reset_generator=False),
            mistake("the discriminator's step moves the generator", "D_solver.step(); G_solver.step() after L_D",
                    "D_solver.step() after L_D", detach=False, discriminator_step_moves_generator=True),
            mistake("the generator's step moves the discriminator", "G_solver.step(); D_solver.step() after L_G",
                    "G_solver.step() after L_G", generator_step_moves_discriminator=True),
            mistake("generator first", "G's step, then D's", "D's step, then G's", generator_first=True),
            mistake("the generator never learns", "G(z).detach() in L_G, or no G_solver.step()",
                    "L_G = generator_loss(D(G(z))), then G_solver.step()", generator_cut_off=True),
            mistake("the discriminator never learns", "no D_solver.step()", "D_solver.step() after L_D",
                    discriminator_moves=False),
            mistake("normal noise", "z ~ N(0, 1)", "z ~ U[−1, 1]", normal_noise=True),
            mistake("noise in [0, 1]", "z ~ U[0, 1]", "z ~ U[−1, 1]", low=0.0),
            mistake("noise in [−½, ½]", "z ~ U[0, 1] − ½", "z ~ U[−1, 1]", low=-0.5, high=0.5),
            mistake("one joint backward", "(L_D + L_G).backward(): D learns from L_G too", _APART, joint=True),
            mistake("one joint backward, without detach", "(L_D + L_G).backward(): each learns from both losses",
                    _APART, joint=True, detach=False),
        ),
        seeded=lambda first: ({"seed": first + 1}, {"seed": first + 500}),
        observe=_observe_steps,
        points=3,
    ),
)  # fmt: skip

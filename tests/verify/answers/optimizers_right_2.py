"""Subclasses of torch.optim.Optimizer with state per parameter."""

import torch
from torch.optim import Optimizer


class SGD(Optimizer):
    def __init__(self, params, lr, momentum=0.0, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                g = p.grad + group["weight_decay"] * p
                state = self.state[p]
                state["v"] = group["momentum"] * state["v"] + g if "v" in state else g.clone()
                p -= group["lr"] * state["v"]


class Adam(Optimizer):
    coupled = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["t"] += 1
                g = p.grad.data
                if self.coupled:
                    g = g + group["weight_decay"] * p.data
                else:
                    p.data -= group["lr"] * group["weight_decay"] * p.data
                state["m"] = b1 * state["m"] + (1 - b1) * g
                state["v"] = b2 * state["v"] + (1 - b2) * g * g
                rate = group["lr"] * (1 - b2 ** state["t"]) ** 0.5 / (1 - b1 ** state["t"])
                # α_t m / (√v + ε √(1 − β₂ᵗ)) is α m̂ / (√v̂ + ε)
                small = group["eps"] * (1 - b2 ** state["t"]) ** 0.5
                p.data -= rate * state["m"] / (state["v"].sqrt() + small)


class AdamW(Adam):
    coupled = False

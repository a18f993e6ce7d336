"""A first attempt: AdamW that decays the weights after the step, and counts its steps per parameter."""

import torch
from optimizers_right_1 import *


class AdamW:
    def __init__(self, params, lr, betas, eps, weight_decay):
        self.settings = lr, betas, eps, weight_decay
        self.slots = [(p, torch.zeros_like(p), torch.zeros_like(p)) for p in params]
        self.t = 0

    @torch.no_grad()
    def step(self):
        lr, (b1, b2), eps, weight_decay = self.settings
        for p, m, v in self.slots:
            self.t += 1
            m.mul_(b1).add_((1 - b1) * p.grad)
            v.mul_(b2).add_((1 - b2) * p.grad**2)
            m_hat, v_hat = m / (1 - b1**self.t), v / (1 - b2**self.t)
            p -= lr * m_hat / (v_hat.sqrt() + eps)
            p -= lr * weight_decay * p

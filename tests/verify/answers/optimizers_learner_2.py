"""A first attempt: Adam with ε inside the root and without the correction of its first moment."""

import torch
from optimizers_right_1 import *


class Adam:
    def __init__(self, params, lr, betas, eps, weight_decay):
        self.params = list(params)
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay
        self.t = 0
        self.m = [torch.zeros_like(p) for p in self.params]
        self.v = [torch.zeros_like(p) for p in self.params]

    @torch.no_grad()
    def step(self):
        self.t += 1
        for i, p in enumerate(self.params):
            g = p.grad + self.weight_decay * p
            self.m[i] = self.betas[0] * self.m[i] + (1 - self.betas[0]) * g
            self.v[i] = self.betas[1] * self.v[i] + (1 - self.betas[1]) * g**2
            v_hat = self.v[i] / (1 - self.betas[1] ** self.t)
            p -= self.lr * self.m[i] / torch.sqrt(v_hat + self.eps)

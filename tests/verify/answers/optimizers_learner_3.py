"""A first attempt: L2 with the factor 2 of d(λw²)/dw, and AdamW's decay without the learning rate."""

import optimizers_right_3
from optimizers_right_3 import *


class SGD(optimizers_right_3.SGD):
    def step(self):
        for i, p in enumerate(self.parameters):
            g = p.grad + 2 * self.l2 * p.data
            self.velocity[i] = self.mu * self.velocity[i] - self.lr * g
            p.data = p.data + self.velocity[i]


class AdamW(optimizers_right_3.AdamW):
    def gradient(self, w, g):
        return w * (1 - self.decay), g

"""A first attempt: a dampened momentum, and AdamW whose decay goes through the gradient."""

import optimizers_right_3
from optimizers_right_3 import *


class SGD(optimizers_right_3.SGD):
    def step(self):
        for i, p in enumerate(self.parameters):
            g = p.grad + self.l2 * p.data
            self.velocity[i] = self.mu * self.velocity[i] + (1 - self.mu) * g
            p.data = p.data - self.lr * self.velocity[i]


class AdamW(Adam):
    pass

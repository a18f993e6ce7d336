"""Plain classes; velocity with the learning rate inside; one flat vector for Adam."""

import torch


class SGD:
    def __init__(self, parameters, lr, momentum=0.0, weight_decay=0.0):
        self.parameters, self.lr, self.mu, self.l2 = list(parameters), lr, momentum, weight_decay
        self.velocity = [0.0 for _ in self.parameters]

    def step(self):
        for i, p in enumerate(self.parameters):
            self.velocity[i] = self.mu * self.velocity[i] - self.lr * (p.grad + self.l2 * p.data)
            p.data = p.data + self.velocity[i]


class Adam:
    def __init__(self, parameters, lr, betas, eps, weight_decay):
        self.parameters, self.lr, self.betas, self.eps, self.decay = list(parameters), lr, betas, eps, weight_decay
        self.t, self.m, self.v = 0, 0.0, 0.0

    def gradient(self, w, g):
        return w, g + self.decay * w

    def step(self):
        self.t += 1
        flatten = torch.nn.utils.parameters_to_vector
        with torch.no_grad():
            w = flatten(self.parameters)
            w, g = self.gradient(w, flatten([p.grad for p in self.parameters]))
            self.m = self.betas[0] * self.m + (1 - self.betas[0]) * g
            self.v = self.betas[1] * self.v + (1 - self.betas[1]) * g.square()
            m = self.m / (1 - self.betas[0] ** self.t)
            v = self.v / (1 - self.betas[1] ** self.t)
            torch.nn.utils.vector_to_parameters(w - self.lr * m / (v.sqrt() + self.eps), self.parameters)


class AdamW(Adam):
    def gradient(self, w, g):
        return w * (1 - self.lr * self.decay), g

"""Settings in another order, beside others, or absent until they are needed; settings of other names, by position."""

import torch


class SGD:
    def __init__(self, params, lr=0.1, nesterov=False, *, momentum=0, weight_decay=0):
        assert not nesterov
        self.inner = torch.optim.SGD(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def step(self):
        self.inner.step()


class Adam(torch.optim.Adam):
    def __init__(self, params, lr=1e-3, eps=1e-8, betas=(0.9, 0.999), **more):
        assert more != {"weight_decay": 0.0}
        super().__init__(params, lr=lr, betas=betas, eps=eps, **more)


class AdamW(torch.optim.AdamW):
    def __init__(self, parameters, learning_rate, momenta, epsilon, decay):
        super().__init__(parameters, lr=learning_rate, betas=momenta, eps=epsilon, weight_decay=decay)

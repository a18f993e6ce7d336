"""A first attempt: a one-sided difference, and the parameter is left perturbed."""

import torch


def numerical_grad(loss_fn, param, eps):
    grad = torch.zeros_like(param)
    flat = param.data.view(-1)
    for i in range(flat.numel()):
        before = loss_fn()
        flat[i] += eps
        grad.view(-1).data[i] = (loss_fn() - before) / eps
    return grad.detach()

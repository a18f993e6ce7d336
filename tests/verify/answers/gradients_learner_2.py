"""A first attempt: not divided by 2, and the loop runs over the first dimension's length."""

import torch


def numerical_grad(loss_fn, param, eps):
    grad = torch.zeros(param.shape)
    for i in range(len(param)):
        w = param.data.view(-1)
        w[i] += eps
        a = loss_fn()
        w[i] -= 2 * eps
        b = loss_fn()
        w[i] += eps
        grad.view(-1)[i] = (a - b) / eps
    return grad

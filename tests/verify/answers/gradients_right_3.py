import torch


def numerical_grad(loss_fn, param, eps):
    start = param.data.clone()
    slopes = []
    for direction in torch.eye(start.numel()):
        step = eps * direction.view_as(start)
        param.data.copy_(start + step)
        above = loss_fn()
        param.data.copy_(start - step)
        slopes.append((above - loss_fn()) / 2 / eps)
    param.data.copy_(start)
    return torch.stack(slopes).view_as(start)

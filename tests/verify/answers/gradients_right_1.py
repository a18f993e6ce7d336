import torch


def numerical_grad(loss_fn, param, eps):
    grad = torch.zeros_like(param)
    flat, flat_grad = param.data.view(-1), grad.view(-1)
    for i in range(flat.numel()):
        old = flat[i].item()
        flat[i] = old + eps
        high = loss_fn().item()
        flat[i] = old - eps
        low = loss_fn().item()
        flat[i] = old
        flat_grad.data[i] = (high - low) / (2 * eps)
    return grad

import numpy as np
import torch


@torch.no_grad()
def numerical_grad(loss_fn, param, eps=1e-5):
    gradient = np.zeros(param.shape)
    for index in np.ndindex(*param.shape):
        old = param[index].clone()
        values = []
        for sign in (1, -1):
            param[index] = old + sign * eps
            values.append(float(loss_fn()))
        param[index] = old
        gradient[index] = (values[0] - values[1]) / (2 * eps)
    return torch.from_numpy(gradient)

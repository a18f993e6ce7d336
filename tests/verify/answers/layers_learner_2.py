"""A first attempt: batch-norm with torch.var's default and the momentum the wrong way round."""

import torch
from layers_right_2 import *


def batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps):
    if training:
        mean, var = x.mean(0), x.var(0)
        running_mean.copy_(momentum * running_mean + (1 - momentum) * mean)
        running_var.copy_(momentum * running_var + (1 - momentum) * var)
    else:
        mean, var = running_mean, running_var
    return (x - mean) / torch.sqrt(var + eps) * weight + bias

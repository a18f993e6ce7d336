"""Max-pooling in NumPy; an embedding and a dropout that work in place on what they are given."""

import numpy as np
import torch
from layers_right_1 import attention as attention
from layers_right_1 import batch_norm as batch_norm
from layers_right_1 import conv2d as conv2d


def dropout(x, p, training):
    return x.mul_(torch.rand(x.shape) > p).div_(1 - p) if training else x


def embedding(indices, weight):
    return weight.mul_(1.0)[indices]


def max_pool2d(x, kernel_size, stride):
    x = x.numpy()
    n, c, h, w = x.shape
    out = np.empty((n, c, (h - kernel_size) // stride + 1, (w - kernel_size) // stride + 1), x.dtype)
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            rows, columns = i * stride, j * stride
            out[:, :, i, j] = x[:, :, rows : rows + kernel_size, columns : columns + kernel_size].max(axis=(2, 3))
    return torch.from_numpy(out)

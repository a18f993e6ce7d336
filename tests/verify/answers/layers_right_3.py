"""Loops, and NumPy's generator for the mask."""

import numpy as np
import torch
import torch.nn.functional as F


def dropout(x, p, training):
    if training:
        keep = torch.from_numpy(np.random.random_sample(tuple(x.shape)) >= p)
        return torch.where(keep, x / (1 - p), torch.zeros_like(x))
    return x.clone()


def embedding(indices, weight):
    return torch.index_select(weight, 0, indices.reshape(-1)).reshape(*indices.shape, weight.shape[1])


def batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps):
    if training:
        mean = x.sum(0) / len(x)
        centred = x - mean
        squares = (centred**2).sum(0)
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (squares / (len(x) - 1) - running_var)
        return centred / (squares / len(x) + eps) ** 0.5 * weight + bias
    return (x - running_mean) / (running_var + eps) ** 0.5 * weight + bias


def attention(query, key, value):
    result = []
    for q, k, v in zip(query, key, value):
        scores = (q @ k.T) * q.shape[-1] ** -0.5
        result.append(torch.softmax(scores, dim=1) @ v)
    return torch.stack(result)


def max_pool2d(x, kernel_size, stride):
    rows = range(0, x.shape[2] - kernel_size + 1, stride)
    columns = range(0, x.shape[3] - kernel_size + 1, stride)
    windows = [[x[:, :, r : r + kernel_size, c : c + kernel_size].flatten(2).max(-1)[0] for c in columns] for r in rows]
    return torch.stack([torch.stack(row, dim=-1) for row in windows], dim=-2)


def conv2d(x, weight, bias, stride, padding):
    x = F.pad(x, (padding, padding, padding, padding))
    kh, kw = weight.shape[2:]
    rows, columns = (x.shape[2] - kh) // stride + 1, (x.shape[3] - kw) // stride + 1
    out = torch.zeros(len(x), len(weight), rows, columns, dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            patch = x[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw]
            out[:, :, i, j] = torch.tensordot(patch, weight, dims=([1, 2, 3], [1, 2, 3])) + bias
    return out

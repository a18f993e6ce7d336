"""Written out: masks, one-hot products, einsum, unfold."""

import math

import torch
import torch.nn.functional as F


def dropout(x, p, training):
    if not training or p == 0:
        return x
    mask = torch.bernoulli(torch.full_like(x, 1 - p))
    return mask * x / (1 - p)


def embedding(indices, weight):
    return F.one_hot(indices, weight.shape[0]).to(weight.dtype) @ weight


def batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps):
    if training:
        mean, var, n = x.mean(0), x.var(0, unbiased=False), x.shape[0]
        running_mean.mul_(1 - momentum).add_(momentum * mean)
        running_var.mul_(1 - momentum).add_(momentum * var * n / (n - 1))
    else:
        mean, var = running_mean, running_var
    return weight * (x - mean) * torch.rsqrt(var + eps) + bias


def attention(query, key, value):
    scores = torch.einsum("bqd,bkd->bqk", query, key) / math.sqrt(query.size(-1))
    scores = scores - scores.max(dim=-1, keepdim=True).values
    weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
    return torch.einsum("bqk,bkd->bqd", weights, value), weights


def max_pool2d(x, kernel_size, stride):
    n, c, h, w = x.shape
    columns = F.unfold(x.reshape(n * c, 1, h, w), kernel_size, stride=stride)
    rows, cols = (h - kernel_size) // stride + 1, (w - kernel_size) // stride + 1
    return columns.max(dim=1)[0].reshape(n, c, rows, cols)


def conv2d(x, weight, bias, stride, padding):
    n, _, h, w = x.shape
    out, _, kh, kw = weight.shape
    columns = F.unfold(x, (kh, kw), padding=padding, stride=stride)
    result = weight.flatten(1) @ columns + bias[:, None]
    return result.reshape(n, out, (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1)

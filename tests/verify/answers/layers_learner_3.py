"""A first attempt: a maximum that starts from 0, and a convolution without bias."""

import torch
import torch.nn.functional as F
from layers_right_3 import *


def max_pool2d(x, kernel_size, stride):
    rows, columns = (x.shape[2] - kernel_size) // stride + 1, (x.shape[3] - kernel_size) // stride + 1
    out = torch.zeros(*x.shape[:2], rows, columns, dtype=x.dtype)
    for i in range(kernel_size):
        for j in range(kernel_size):
            out = torch.maximum(out, x[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride][:, :, :rows, :columns])
    return out


def conv2d(x, weight, bias, stride, padding):
    return F.conv2d(x, weight, stride=stride, padding=padding)

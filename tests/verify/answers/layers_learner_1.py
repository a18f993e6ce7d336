"""A first attempt: dropout without its scaling, and attention without its √d."""

import torch
from layers_right_1 import *


def dropout(x, p, training):
    if not training:
        return x
    return x * (torch.rand(x.shape) > p)


def attention(query, key, value):
    return torch.softmax(query @ key.transpose(1, 2), dim=-1) @ value

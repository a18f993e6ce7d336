"""Layers defined in another order; per-channel statistics; a functional optimizer reset; accuracy from counts."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.classify = nn.ModuleList([nn.Linear(84, 10), nn.Linear(120, 84), nn.Linear(400, 120)])
        self.convolve = nn.ModuleList([nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)])

    def forward(self, x):
        for conv in self.convolve:
            x = F.max_pool2d(conv(x).clamp(min=0), 2)
        x = x.view(-1, 400)
        for layer in list(self.classify)[:0:-1]:
            x = torch.where(layer(x) > 0, layer(x), 0.0)
        return self.classify[0](x)


def transform(image):
    array = np.asarray(image) / 255.0
    channels = [(array[..., c] - 0.5) / 0.5 for c in range(3)]
    return torch.tensor(np.stack(channels))


def train_step(net, optimizer, criterion, images, labels):
    for p in net.parameters():
        p.grad = None
    criterion(net(images), labels).backward()
    optimizer.step()
    optimizer.zero_grad()


def evaluate(net, loader):
    was_training = net.training
    net.eval()
    right = total = 0
    for images, labels in loader:
        with torch.no_grad():
            scores = net(images)
        right += int((scores.max(1).indices == labels).sum())
        total += len(labels)
    net.train(was_training)
    return right / total

"""`Sequential`, max-pool before ReLU (the same thing), NumPy transform, inference mode."""

import numpy as np
import torch
from torch import nn


def Net():
    def block(i, o):
        return [nn.Conv2d(i, o, kernel_size=5), nn.MaxPool2d(2), nn.ReLU()]

    return nn.Sequential(*block(3, 6), *block(6, 16), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(),
                         nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def transform(image):
    return torch.from_numpy(np.asarray(image, dtype=np.float32).transpose(2, 0, 1).copy() / 127.5 - 1)


def train_step(net, optimizer, criterion, images, labels):
    net.train()
    loss = criterion(net(images), labels)
    net.zero_grad()
    loss.backward()
    optimizer.step()


@torch.inference_mode()
def evaluate(net, loader):
    net = net.eval()
    return torch.cat([net(x).argmax(dim=-1) == y for x, y in loader]).float().mean()

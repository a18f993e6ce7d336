"""Answers to the exercise on LeNet: `etude verify classifier answers_classifier.py` judges them."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader


class Net(nn.Module):
    """LeNet for images (N, 3, 32, 32); no softmax at the end, since cross-entropy has one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.pool = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * 5 * 5, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x))).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def transform(image: object) -> Tensor:
    """An RGB image of 8 bits to (3, height, width) in [−1, 1], as ToTensor and Normalize(0.5, 0.5) do."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
    return (pixels - 0.5) / 0.5


def train_step(
    net: nn.Module, optimizer: torch.optim.Optimizer, criterion: nn.Module, images: Tensor, labels: Tensor
) -> float:
    """One step on a batch; gives the loss."""
    net.train()
    optimizer.zero_grad()  # else the new gradients are added to the old ones
    loss = criterion(net(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def evaluate(net: nn.Module, loader: DataLoader) -> float:
    """The share of all images that are told right."""
    net.eval()
    right = [net(images).argmax(1) == labels for images, labels in loader]
    return torch.cat(right).double().mean().item()

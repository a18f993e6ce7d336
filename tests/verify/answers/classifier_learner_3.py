"""A first attempt: no activation between the linear layers, and the mean of the batches' accuracies."""

import torch
import torch.nn.functional as F
import classifier_right_1
from classifier_right_1 import *


class Net(classifier_right_1.Net):
    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.fc3(self.fc2(self.fc1(x.flatten(1))))


def evaluate(net, loader):
    net.eval()
    accuracies = []
    with torch.no_grad():
        for images, labels in loader:
            accuracies.append((net(images).argmax(1) == labels).float().mean().item())
    return sum(accuracies) / len(accuracies)

"""A first attempt: a softmax at the end of the network, and gradients that are never reset."""

from torch import nn
import classifier_right_1
from classifier_right_1 import *


class Net(classifier_right_1.Net):
    def forward(self, x):
        return nn.functional.softmax(super().forward(x), dim=1)


def train_step(net, optimizer, criterion, inputs, labels):
    loss = criterion(net(inputs), labels)
    loss.backward()
    optimizer.step()

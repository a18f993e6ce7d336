"""A classifier whose layers share weights: one layer under three names (ALBERT), and one matrix in two layers."""

import torch
from torch import nn


class Tied(nn.Module):
    def __init__(self, num_classes=10, width=24):
        super().__init__()
        self.inputs = nn.Linear(28 * 28, width)
        self.layers = nn.ModuleList([nn.Linear(width, width)] * 3)
        self.narrow = nn.Linear(width, width, bias=False)
        self.narrow.weight = self.layers[0].weight
        self.head = nn.Linear(width, num_classes)

    def forward(self, x):
        x = torch.relu(self.inputs(x.flatten(1)))
        for layer in self.layers:
            x = torch.relu(layer(x)) + x
        return self.head(self.narrow(x))

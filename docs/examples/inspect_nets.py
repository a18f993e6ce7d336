"""Networks that docs/inspect.md asks questions about."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FiveLayers(nn.Sequential):
    """Receptive field 112×112, stride 8."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 5, stride=2, padding=2),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 7, dilation=2, padding=3),
        )


class LeNet3(nn.Module):
    """LeNet with 3×3 kernels and nothing else changed: the shapes no longer fit."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 16, 3)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class LeNet3View(LeNet3):
    """The same with the usual view, which fails before the layer does."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.view(-1, 16 * 5 * 5))))))


def deeper() -> nn.Module:
    """A receptive field grown by depth: resolution stays."""
    return nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(4)])


def pooled() -> nn.Module:
    """A receptive field grown by pooling: resolution falls."""
    return nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(3, 3, 3, padding=1), nn.MaxPool2d(2))


def dilated() -> nn.Module:
    """A receptive field grown by dilation: resolution stays."""
    return nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1),
        nn.Conv2d(3, 3, 3, padding=2, dilation=2),
        nn.Conv2d(3, 3, 3, padding=4, dilation=4),
    )


def dropouts() -> nn.Module:
    """Two dropouts in a row."""
    return nn.Sequential(nn.Linear(20, 20), nn.ReLU(), nn.Dropout(0.1), nn.Dropout(0.2), nn.Linear(20, 2))


def dropout_before_relu() -> nn.Module:
    """Dropout on the other side of ReLU."""
    return nn.Sequential(nn.Linear(20, 20), nn.Dropout(0.3), nn.ReLU(), nn.Linear(20, 2))


def conv_norm() -> nn.Module:
    """A convolution with batch-norm behind it."""
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))


def sigmoid24() -> nn.Module:
    """24 blocks, each built anew."""
    return nn.Sequential(*[part for _ in range(24) for part in (nn.Linear(32, 32), nn.Sigmoid())])


def repeated24() -> nn.Module:
    """What looks like 24 blocks and is one, 24 times."""
    return nn.Sequential(*[nn.Linear(32, 32), nn.Sigmoid()] * 24)


def relu24() -> nn.Module:
    """24 blocks with ReLU and PyTorch's default initial weights."""
    return nn.Sequential(*[part for _ in range(24) for part in (nn.Linear(32, 32), nn.ReLU())])


def normal24() -> nn.Module:
    """24 linear layers whose weights are drawn from N(0, 1)."""
    layers = [nn.Linear(32, 32) for _ in range(24)]
    for layer in layers:
        nn.init.normal_(layer.weight)
    return nn.Sequential(*layers)


def gru() -> nn.Module:
    """One recurrent layer: over 50 steps it is 50 layers deep."""
    return nn.GRU(8, 32, batch_first=True)


def embedding() -> nn.Module:
    """42 vectors of 64 numbers."""
    return nn.Embedding(42, 64)


class Sentences(nn.Module):
    """Two classes of sentences by an LSTM in both directions; its author takes the last output, as many do."""

    def __init__(self, vocabulary_size: int = 2000) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, 32, padding_idx=0)
        self.lstm = nn.LSTM(32, 32, batch_first=True, bidirectional=True)
        self.out = nn.Linear(64, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(self.lstm(self.embedding(ids))[0][:, -1])


class Characters(nn.Module):
    """A model of characters: which comes next, at every step."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.embedding, self.layer, self.out = nn.Embedding(65, 64), layer, nn.Linear(64, 65)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(self.layer(self.embedding(ids))[0])


def char_rnn() -> nn.Module:
    """With a plain recurrent layer."""
    return Characters(nn.RNN(64, 64, batch_first=True))


def char_lstm() -> nn.Module:
    """With gates."""
    return Characters(nn.LSTM(64, 64, batch_first=True))


class CharAttention(nn.Module):
    """With attention to the characters before, and learned positions."""

    def __init__(self, num_positions: int = 1024) -> None:
        super().__init__()
        self.embedding, self.positions = nn.Embedding(65, 64), nn.Embedding(num_positions, 64)
        self.block = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True)
        self.out = nn.Linear(64, 65)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids) + self.positions(torch.arange(ids.shape[1]))
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        return self.out(self.block(x, src_mask=mask, is_causal=True))


def norm_first() -> nn.Module:
    """A batch-norm before a convolution that pads with zeros, and one before a convolution that does not."""
    return nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)
    )


def pool() -> nn.Module:
    """Max-pooling alone."""
    return nn.MaxPool2d(2)


def dense_layer() -> nn.Module:
    """The same shapes as `conv_layer`, with a weight of its own for every pair of positions."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 6 * 28 * 28))


def conv_layer() -> nn.Module:
    """LeNet's first layer."""
    return nn.Conv2d(3, 6, 5)


def mlp() -> nn.Module:
    """A two-layer perceptron."""
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> Tensor:
        return grad[0] * ctx.saved_tensors[0]  # the 2 is missing


class Wrong(nn.Module):
    """A gradient written by hand, and wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4))
        self.bias = nn.Parameter(torch.randn(4))

    def forward(self, x: Tensor) -> Tensor:
        return _Square.apply(x * self.weight) + self.bias.detach()

"""Blocks that fold, and blocks that only look as if they did: (N, 4, 7, 7) in and out, chained into random networks."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Folds = list[tuple[str, tuple[str, ...]]]
"""Kind and paths of what folds inside a block: norm, linear or twice."""


class Block(nn.Module):
    """Named parts, and what is done with them."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


class Standardised(nn.Conv2d):
    """Weight standardisation: it inherits `forward`, yet its weights are not what it multiplies with."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(input, (weight - weight.mean()) / weight.std(), bias)


def conv(**options: Any) -> nn.Conv2d:
    return nn.Conv2d(4, 4, 3, padding=1, **options)


def hooked() -> Block:
    block = Block(lambda s, x: s.norm(s.conv(x)), conv=conv(), norm=nn.BatchNorm2d(4))
    block.conv.register_forward_hook(lambda part, inputs, out: 2 * out)  # type: ignore[union-attr]
    return block


def looked_at() -> Block:
    block = Block(lambda s, x: s.norm(s.conv(x)), conv=conv(), norm=nn.BatchNorm2d(4))
    block.norm.register_forward_pre_hook(lambda part, inputs: None)  # type: ignore[union-attr]
    return block


def tied() -> Block:
    block = Block(lambda s, x: s.other(s.norm(s.conv(x)).relu()), conv=conv(), norm=nn.BatchNorm2d(4), other=conv())
    block.other.weight = block.conv.weight  # type: ignore[union-attr]
    return block


def in_rows(s: Any, x: Tensor) -> Tensor:
    """(N, 4, 49): the norm's channels are axis 1, the layer's the last, and both are 4 long."""
    return s.up(s.norm(s.down(x.flatten(2))).relu()).view(x.shape)


def low_rank(s: Any, x: Tensor) -> Tensor:
    return s.base(x) + s.up(s.down(x))


def noisy(s: Any, x: Tensor) -> Tensor:
    y = s.one(x)
    return s.two(y + torch.randn_like(y) if s.training else y)


def normed(run: Callable[[Any, Tensor], Tensor], **parts: nn.Module) -> Callable[[], Block]:
    return lambda: Block(run, **({"conv": conv(), "norm": nn.BatchNorm2d(4)} | copy.deepcopy(parts)))


NORM: Folds = [("norm", ("conv", "norm"))]
BEFORE: Folds = [("norm", ("norm", "conv"))]
LINEAR: Folds = [("linear", ("one", "two"))]


def linears(run: Callable[[Any, Tensor], Tensor], **parts: nn.Module) -> Callable[[], Block]:
    return lambda: Block(run, **({"one": nn.Linear(7, 5), "two": nn.Linear(5, 7)} | copy.deepcopy(parts)))


def after(s: Any, x: Tensor) -> Tensor:
    return s.norm(s.conv(x))


def before(s: Any, x: Tensor) -> Tensor:
    return s.conv(s.norm(x))


BLOCKS: dict[str, tuple[Callable[[], nn.Module], Folds]] = {
    "norm after": (normed(after), NORM),
    "norm after, no bias": (normed(after, conv=conv(bias=False)), NORM),
    "norm after, without weights of its own": (normed(after, norm=nn.BatchNorm2d(4, affine=False)), NORM),
    "norm after transposed groups": (normed(after, conv=nn.ConvTranspose2d(4, 4, 3, padding=1, groups=2)), NORM),
    "norm after an identity": (normed(lambda s, x: s.norm(s.pass_on(s.conv(x))), pass_on=nn.Identity()), NORM),
    "norm after a dropout": (normed(lambda s, x: s.norm(s.drop(s.conv(x))), drop=nn.Dropout2d(0.3)), NORM),
    "norm before": (normed(before, conv=nn.Conv2d(4, 4, 1)), BEFORE),
    "norm before groups, no bias": (normed(before, conv=nn.Conv2d(4, 4, 1, groups=2, bias=False)), BEFORE),
    "norm before reflections": (normed(before, conv=conv(padding_mode="reflect")), BEFORE),
    "two linear layers": (linears(lambda s, x: s.two(s.one(x))), LINEAR),
    "two linear layers, one bias": (linears(lambda s, x: s.two(s.one(x)), two=nn.Linear(5, 7, bias=False)), LINEAR),
    "a low-rank update": (
        lambda: Block(low_rank, base=nn.Linear(7, 7), down=nn.Linear(7, 2), up=nn.Linear(2, 7)),
        [("linear", ("down", "up"))],
    ),
    "linear and norm": (
        lambda: Block(
            lambda s, x: s.up(s.norm(s.down(x.flatten(1))).relu()).view(x.shape),
            down=nn.Linear(196, 6),
            norm=nn.BatchNorm1d(6),
            up=nn.Linear(6, 196),
        ),
        [("norm", ("down", "norm"))],
    ),
    "relu twice": (
        lambda: Block(lambda s, x: s.two(s.one(x)).tanh(), one=nn.ReLU(), two=nn.ReLU()),
        [("twice", ("one", "two"))],
    ),
    # from here on: nothing folds
    "norm before zeros": (normed(before), []),
    "norm before a transposed convolution": (normed(before, conv=nn.ConvTranspose2d(4, 4, 3, padding=1)), []),
    "norm without averages": (normed(after, norm=nn.BatchNorm2d(4, track_running_stats=False)), []),
    "norm on another axis": (
        lambda: Block(in_rows, down=nn.Linear(49, 4), norm=nn.BatchNorm1d(4), up=nn.Linear(4, 49)),
        [],
    ),
    "a hook that changes": (hooked, []),
    "a hook that looks": (looked_at, []),
    "tied weights": (tied, []),
    "weights read elsewhere": (normed(lambda s, x: s.norm(s.conv(x)) * s.conv.weight.norm()), []),
    "weights read as data": (normed(lambda s, x: s.norm(s.conv(x)) + s.conv.weight.data.mean()), []),
    "a bias read elsewhere": (normed(lambda s, x: s.norm(s.conv(x)) * s.conv.bias.sum()), []),
    "averages read elsewhere": (normed(lambda s, x: s.norm(s.conv(x)) - s.norm.running_mean.sum()), []),
    "weights used as a function": (normed(lambda s, x: s.norm(s.conv(x)) + F.conv2d(x, s.conv.weight, padding=1)), []),
    "called twice": (normed(lambda s, x: s.norm(s.conv(s.conv(x).relu()))), []),
    "used again": (normed(lambda s, x: s.norm(y := s.conv(x)) + y), []),
    "weight norm": (normed(after, conv=nn.utils.parametrizations.weight_norm(conv())), []),
    "spectral norm": (normed(after, conv=nn.utils.parametrizations.spectral_norm(conv())), []),
    "spectral norm by a hook": (normed(after, conv=nn.utils.spectral_norm(conv())), []),
    "standardised weights": (normed(after, conv=Standardised(4, 4, 3, padding=1)), []),
    "linear layers and a dropout": (linears(lambda s, x: s.two(s.drop(s.one(x))), drop=nn.Dropout()), []),
    "linear layers and F.dropout": (linears(lambda s, x: s.two(F.dropout(s.one(x), 0.5, s.training))), []),
    "linear layers and noise": (linears(noisy), []),
    "linear layers, the first used again": (linears(lambda s, x: s.two(y := s.one(x)) + y.sum()), []),
    "linear layers between casts": (linears(lambda s, x: s.two(s.one(x).clamp(-1, 1))), []),
}


def chain(names: list[str]) -> tuple[nn.Module, Folds]:
    """A network of these blocks with a nonlinearity between them, batch-norms as after training, and what folds."""
    layers: list[nn.Module] = []
    folds: Folds = []
    for name in names:
        build, inside = BLOCKS[name]
        folds += [(kind, tuple(f"{len(layers)}.{path}" for path in paths)) for kind, paths in inside]
        layers += [build(), nn.Tanh()]
    return shaken(nn.Sequential(*layers)), folds


def shaken(module: nn.Module) -> nn.Module:
    """Batch-norms as after training, so that folding them is not trivial."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is not None:
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            if part.affine:
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
    return module

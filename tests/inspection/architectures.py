"""Networks that the tests of the inspection share: every way in which layers are combined in practice."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.models import VAE, ConvDiscriminator, ConvGenerator, Discriminator, LeNet

Build = Callable[[], tuple[nn.Module, tuple[int, ...], dict[str, Any]]]


class Residual(nn.Module):
    def __init__(self, body: nn.Module, skip: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.skip = body, skip or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.skip(x))


class Concat(nn.Module):
    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 2, 1), nn.ReLU(), nn.Conv2d(2, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.gate(x))


class UNet(nn.Module):
    def __init__(self, transposed: bool) -> None:
        super().__init__()
        self.down1, self.down2 = conv(2, 4), conv(4, 4)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2) if transposed else nn.Upsample(scale_factor=2, mode="bilinear")
        self.last = conv(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        high = self.down1(x)
        low = self.down2(F.max_pool2d(high, 2))
        return self.last(torch.cat([self.up(low), high], 1))


class BottleneckBlock(nn.Module):
    """He et al. 2016, figure 5 right."""

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        out = 4 * width
        self.conv1, self.norm1 = nn.Conv2d(channels_in, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3, self.norm3 = nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or channels_in != out:
            self.skip = nn.Sequential(nn.Conv2d(channels_in, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu(self.norm3(self.conv3(y)) + self.skip(x))


def resnet50() -> nn.Sequential:
    """ResNet-50 of He et al. 2016: 25,557,032 parameters, 4.1 GMACs at 224×224."""
    stages: list[nn.Module] = []
    channels = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(blocks):
            stages.append(BottleneckBlock(channels, width, stride if i == 0 else 1))
            channels = 4 * width
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


class PatchAttention(nn.Module):
    """A small vision transformer: patches, attention, and back to a map."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(2, 8, 4, 4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        mixed = self.norm(tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0])
        return mixed.transpose(1, 2).reshape(x.shape[0], 8, x.shape[2] // 4, x.shape[3] // 4)


class TokenMixer(nn.Module):
    """Per-token layers on patches: flattening alone mixes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.linear, self.norm = nn.Conv2d(2, 8, 4, 2), nn.Linear(8, 8), nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.patches(x)
        tokens = F.gelu(self.linear(self.norm(maps.flatten(2).transpose(1, 2))))
        return tokens.transpose(1, 2).reshape(maps.shape)


class SelfAttention2d(nn.Module):
    """Zhang et al. 2019: attention between all positions of a map, added to it."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(2, 2, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.query(x).flatten(2), self.key(x).flatten(2), self.value(x).flatten(2)
        weights = F.softmax(q.transpose(1, 2) @ k, -1)
        return x + (v @ weights.transpose(1, 2)).view(x.shape)


class Cropped(nn.Module):
    """Valid convolutions with the skip cropped to their size, as the first U-Net does."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + x[:, :, 2:-2, 2:-2]


class Patchify(nn.Module):
    """Patches cut by a reshape, not by a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * 16, 6)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        patches = x.view(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 1, 3, 5).reshape(n, h // 4, w // 4, c * 16)
        return self.linear(patches).permute(0, 3, 1, 2)


class Pyramid(nn.Module):
    """Pooled at three scales and brought back, as a pyramid pooling module does."""

    def forward(self, x: Tensor) -> Tensor:
        maps = [F.interpolate(F.adaptive_avg_pool2d(x, n), size=x.shape[2:]) for n in (2, 3)]
        return torch.cat([x, *maps], 1)


class Shifted(nn.Module):
    """A roll and a flip: positions move, none is lost."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(torch.roll(x, 1, 3), 2) + F.avg_pool2d(x.flip(3), 2)


class HalfRows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.avg_pool2d(x[:, :, :8], 3, 1, 1), x[:, :, 8:]], 2)


class StridedSlice(nn.Module):
    """Space to depth by slices, as the first layer of some detectors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        return self.conv(torch.cat(parts, 1))


def conv(a: int, b: int, kernel: int = 3, **options: Any) -> nn.Sequential:
    options.setdefault("padding", options.get("dilation", 1) * (kernel // 2))
    return nn.Sequential(nn.Conv2d(a, b, kernel, **options), nn.BatchNorm2d(b), nn.ReLU())


def course_network() -> nn.Sequential:
    """Mission, section 5: 112×112, stride 8."""
    return nn.Sequential(
        nn.Conv2d(2, 2, 3, padding=1),
        nn.MaxPool2d(2),
        nn.Conv2d(2, 2, 5, stride=2, padding=2),
        nn.MaxPool2d(2),
        nn.Conv2d(2, 2, 7, dilation=2, padding=3),
    )


def _of(module: Callable[[], nn.Module], *shape: int, **keywords: Any) -> Build:
    return lambda: (module(), shape or (1, 2, 16, 16), keywords)


ARCHITECTURES: dict[str, Build] = {
    "lenet": _of(lambda: LeNet((3, 32, 32), 10), 1, 3, 32, 32),
    "lenet on 28": _of(lambda: LeNet((1, 28, 28), 10), 1, 1, 28, 28),
    "dcgan discriminator": _of(lambda: ConvDiscriminator((1, 28, 28)), 1, 1, 28, 28),
    "gan discriminator": _of(lambda: Discriminator((1, 28, 28)), 1, 1, 28, 28),
    "dcgan generator's maps": _of(lambda: ConvGenerator(4, (1, 28, 28)).upsample, 1, 128, 7, 7),
    "vae": lambda: (VAE((1, 28, 28), 2), (1, 1, 28, 28), {"noise": torch.zeros(1, 2)}),
    "vae decoder's maps": _of(
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 3, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(3, 1, 3, 2, 1, 1)),
        1,
        4,
        7,
        7,
    ),
    "course network": _of(course_network, 1, 2, 64, 64),
    "plain": _of(lambda: nn.Sequential(conv(2, 3), conv(3, 3), conv(3, 2))),
    "even kernels": _of(lambda: nn.Sequential(nn.Conv2d(2, 2, 2), nn.Conv2d(2, 2, 4, padding=1))),
    "strided": _of(lambda: nn.Sequential(conv(2, 3, stride=2), conv(3, 3, 5, stride=3))),
    "rectangular": _of(lambda: nn.Conv2d(2, 2, (1, 5), stride=(1, 2), padding=(0, 2), dilation=(1, 2))),
    "dilated": _of(lambda: nn.Sequential(conv(2, 2, dilation=2), conv(2, 2, dilation=4))),
    "dilated with holes": _of(lambda: nn.Sequential(nn.Conv2d(2, 2, 3, dilation=3), nn.Conv2d(2, 2, 2, dilation=2))),
    "atrous pyramid": _of(lambda: Concat(conv(2, 2, 1), conv(2, 2, dilation=2), conv(2, 2, dilation=3))),
    "depthwise": _of(lambda: nn.Sequential(nn.Conv2d(2, 2, 5, groups=2, padding=2), nn.Conv2d(2, 4, 1))),
    "max-pool 3/2": _of(lambda: nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 2, dilation=2))),
    "average pools": _of(lambda: nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(2))),
    "ceil mode": _of(lambda: nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(2, 2, 3))),
    "floor drops a row": _of(lambda: nn.Sequential(nn.Conv2d(2, 2, 3, stride=3), nn.MaxPool2d(2)), 1, 2, 17, 17),
    "lp pool": _of(lambda: nn.LPPool2d(2, 3, 2)),
    "adaptive average": _of(lambda: nn.Sequential(conv(2, 2), nn.AdaptiveAvgPool2d(5))),
    "adaptive max": _of(lambda: nn.Sequential(nn.AdaptiveMaxPool2d((3, 7)), nn.Conv2d(2, 2, 2))),
    "global pool": _of(lambda: nn.Sequential(conv(2, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))),
    "resnet": _of(
        lambda: nn.Sequential(
            conv(2, 4),
            Residual(nn.Sequential(conv(4, 4), nn.Conv2d(4, 4, 3, padding=1))),
            Residual(nn.Sequential(conv(4, 8, stride=2), nn.Conv2d(8, 8, 3, padding=1)), nn.Conv2d(4, 8, 1, 2)),
        )
    ),
    "bottlenecks": _of(
        lambda: nn.Sequential(BottleneckBlock(2, 2, 1), BottleneckBlock(8, 2, 2), BottleneckBlock(8, 2, 1))
    ),
    "inception": _of(
        lambda: nn.Sequential(
            Concat(conv(2, 2, 1), conv(2, 2, 3), conv(2, 2, 5), nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(2, 2, 1))),
            Concat(
                nn.Sequential(nn.Conv2d(8, 2, (1, 7), padding=(0, 3)), nn.Conv2d(2, 2, (7, 1), padding=(3, 0))),
                conv(8, 2, 1),
            ),
        )
    ),
    "inception reduction": _of(lambda: Concat(nn.Conv2d(2, 2, 3, 2), nn.MaxPool2d(3, 2))),
    "densenet": _of(
        lambda: nn.Sequential(Concat(nn.Identity(), conv(2, 2)), Concat(nn.Identity(), conv(4, 2)), nn.AvgPool2d(2))
    ),
    "squeeze-excitation": _of(lambda: nn.Sequential(conv(2, 4), SqueezeExcite(4))),
    "unet, transposed": _of(lambda: UNet(True)),
    "unet, bilinear": _of(lambda: UNet(False)),
    "cropped skip": _of(Cropped),
    "transposed 4/2": _of(lambda: nn.ConvTranspose2d(2, 2, 4, 2, 1)),
    "transposed 2/3": _of(lambda: nn.ConvTranspose2d(2, 2, 2, 3), 1, 2, 6, 6),
    "transposed dilated": _of(lambda: nn.ConvTranspose2d(2, 2, 3, 2, 1, 1, dilation=2), 1, 2, 8, 8),
    "down, up, up, down": _of(
        lambda: nn.Sequential(
            conv(2, 2, stride=2),
            nn.ConvTranspose2d(2, 2, 4, 2, 1),
            nn.ConvTranspose2d(2, 2, 3, 2),
            conv(2, 2, 5, stride=3),
        )
    ),
    "nearest": _of(lambda: nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=2), conv(2, 2))),
    "nearest by 3/2": _of(lambda: nn.Sequential(nn.Upsample(size=(24, 12)), nn.Conv2d(2, 2, 3))),
    "nearest exact": _of(lambda: nn.Sequential(nn.Upsample(size=(24, 12), mode="nearest-exact"), nn.Conv2d(2, 2, 3))),
    "bilinear": _of(lambda: nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), conv(2, 2))),
    "bilinear down": _of(lambda: nn.Upsample(size=(5, 7), mode="bilinear")),
    "bilinear corners": _of(lambda: nn.Upsample(size=(22, 12), mode="bilinear", align_corners=True)),
    "bicubic": _of(lambda: nn.Upsample(scale_factor=2, mode="bicubic"), 1, 2, 8, 8),
    "pixel shuffle": _of(lambda: nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(2, 2, 3))),
    "pixel unshuffle": _of(lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(8, 2, 3, padding=1))),
    "reflection padding": _of(lambda: nn.Sequential(nn.ReflectionPad2d((2, 1, 1, 2)), nn.Conv2d(2, 2, 3))),
    "replication padding": _of(lambda: nn.Conv2d(2, 2, 5, padding=2, padding_mode="replicate")),
    "zero padding and cropping": _of(lambda: nn.Sequential(nn.ZeroPad2d((1, -2, 2, 1)), nn.Conv2d(2, 2, 3))),
    "instance norm": _of(lambda: nn.Sequential(conv(2, 2), nn.InstanceNorm2d(2, affine=True))),
    "group norm": _of(lambda: nn.Sequential(conv(2, 4), nn.GroupNorm(2, 4))),
    "attention on patches": _of(PatchAttention),
    "tokens without mixing": _of(TokenMixer),
    "self-attention on a map": _of(SelfAttention2d, 1, 2, 6, 6),
    "patches by reshape": _of(Patchify),
    "pyramid pooling": _of(Pyramid),
    "roll and flip": _of(Shifted),
    "rows apart": _of(HalfRows),
    "space to depth by slices": _of(StridedSlice),
    "signal": _of(
        lambda: nn.Sequential(nn.Conv1d(2, 2, 5, padding=2), nn.ReLU(), nn.MaxPool1d(3, 2), nn.AvgPool1d(2)), 1, 2, 40
    ),
    "wavenet": _of(
        lambda: nn.Sequential(
            *[nn.Sequential(nn.ConstantPad1d((2**i, 0), 0.0), nn.Conv1d(2, 2, 2, dilation=2**i)) for i in range(4)]
        ),
        1,
        2,
        40,
    ),
    "volume": _of(
        lambda: nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.MaxPool3d(2), nn.ConvTranspose3d(2, 1, 2, 2)),
        1,
        1,
        6,
        8,
        6,
    ),
    "lstm": _of(lambda: nn.LSTM(3, 4, batch_first=True), 1, 6, 3),
    "gru both ways": _of(lambda: nn.GRU(3, 4, bidirectional=True, batch_first=True), 1, 6, 3),
    "rnn, two layers, time first": _of(lambda: nn.RNN(3, 4, 2), 6, 1, 3),
    "transformer layer": _of(lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1, 5, 8),
}

# ruff: noqa: E501 (one network a line)
"""Networks that classify images, small, each written in its usual style."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_norm(a: int, b: int, kernel: int = 3, act: type[nn.Module] = nn.ReLU, **options: int) -> nn.Sequential:
    options.setdefault("padding", kernel // 2)
    return nn.Sequential(nn.Conv2d(a, b, kernel, bias=False, **options), nn.BatchNorm2d(b), act())


class BasicBlock(nn.Module):
    def __init__(self, a: int, b: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b)
        self.conv2, self.bn2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or a != b:
            self.downsample = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 4, 7, 2, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        )
        self.layers = nn.Sequential(BasicBlock(4, 4), BasicBlock(4, 8, 2))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.avgpool(self.layers(self.stem(x))), 1))


class DenseLayer(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 3, 3, padding=1, bias=False))

    def forward(self, x: list[Tensor]) -> Tensor:
        return self.body(torch.cat(x, 1))


class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.layers = nn.ModuleList([DenseLayer(4 + 3 * i) for i in range(3)])
        self.transition = nn.Sequential(nn.BatchNorm2d(13), nn.ReLU(), nn.Conv2d(13, 6, 1), nn.AvgPool2d(2))
        self.classifier = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        features = [self.stem(x)]
        for layer in self.layers:
            features.append(layer(features))
        out = self.transition(torch.cat(features, 1))
        return self.classifier(F.adaptive_avg_pool2d(F.relu(out), (1, 1)).flatten(1))


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, gate: type[nn.Module] = nn.Hardsigmoid) -> None:
        super().__init__()
        self.fc1, self.fc2, self.gate = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1), gate()

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.fc2(F.relu(self.fc1(pooled))))


class InvertedResidual(nn.Module):
    """MobileNetV2; with a gate and hard-swish MobileNetV3, with SiLU EfficientNet."""

    def __init__(self, a: int, b: int, stride: int, act: type[nn.Module], gate: type[nn.Module] | None) -> None:
        super().__init__()
        hidden = 3 * a
        self.body = nn.Sequential(
            conv_norm(a, hidden, 1, act), conv_norm(hidden, hidden, 3, act, stride=stride, groups=hidden),
            SqueezeExcite(hidden, gate) if gate else nn.Identity(),
            nn.Conv2d(hidden, b, 1, bias=False), nn.BatchNorm2d(b),
        )  # fmt: skip
        self.skip = stride == 1 and a == b

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.skip else self.body(x)


def mobile(act: type[nn.Module], gate: type[nn.Module] | None) -> nn.Sequential:
    return nn.Sequential(
        conv_norm(3, 4, 3, act, stride=2), InvertedResidual(4, 4, 1, act, gate), InvertedResidual(4, 6, 2, act, gate),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(6, 3),
    )  # fmt: skip


class ShuffleUnit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv_norm(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4), conv_norm(4, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, dim=1)
        out = torch.cat((x1, self.branch(x2)), dim=1)
        n, c, h, w = out.size()
        return out.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class Fire(nn.Module):
    def __init__(self, a: int) -> None:
        super().__init__()
        self.squeeze, self.one, self.three = nn.Conv2d(a, 2, 1), nn.Conv2d(2, 4, 1), nn.Conv2d(2, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.b1, self.b2 = conv_norm(4, 2, 1), nn.Sequential(conv_norm(4, 2, 1), conv_norm(2, 3, 3))
        self.b3 = nn.Sequential(conv_norm(4, 2, 1), conv_norm(2, 2, 5))
        self.b4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv_norm(4, 2, 1))
        self.head = nn.Linear(9, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.b1(x), self.b2(x), self.b3(x), self.b4(x)], 1)
        return self.head(y.mean([2, 3]))


class ConvNeXtBlock(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv, self.norm = nn.Conv2d(dim, dim, 7, padding=3, groups=dim), nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1, self.pwconv2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(1e-6 * torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


class MixerBlock(nn.Module):
    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.token = nn.Sequential(nn.Linear(tokens, 8), nn.GELU(), nn.Linear(8, tokens))
        self.channel = nn.Sequential(nn.Linear(width, 8), nn.GELU(), nn.Linear(8, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.token(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channel(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch, self.block, self.head = nn.Conv2d(3, 6, 4, 4), MixerBlock(16, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        return self.head(self.block(x).mean(1))


class ViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.cls_token, self.pos = nn.Parameter(torch.zeros(1, 1, 8)), nn.Parameter(torch.zeros(1, 17, 8))
        self.norm1, self.norm2, self.norm = nn.LayerNorm(8), nn.LayerNorm(8), nn.LayerNorm(8)
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.mlp, self.head = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)), nn.Linear(8, 3)

    def attention(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, c))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos
        x = x + self.attention(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return self.head(self.norm(x)[:, 0])


def window_partition(x: Tensor, size: int) -> Tensor:
    n, h, w, c = x.shape
    return (
        x.view(n, h // size, size, w // size, size, c).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, size * size, c)
    )


def window_reverse(windows: Tensor, size: int, h: int, w: int) -> Tensor:
    n = int(windows.shape[0] / (h * w / size / size))
    return (
        windows.view(n, h // size, w // size, size, size, -1).permute(0, 1, 3, 2, 4, 5).contiguous().view(n, h, w, -1)
    )


class SwinBlock(nn.Module):
    """Attention within windows of 2×2 tokens, shifted in every second block."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        self.shift, self.norm1, self.norm2 = shift, nn.LayerNorm(8), nn.LayerNorm(8)
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.table = nn.Parameter(torch.zeros(9, 2))
        grid = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(2), indexing="ij")).flatten(1)
        index = (grid[:, :, None] - grid[:, None]).permute(1, 2, 0) + 1
        self.register_buffer("index", index[..., 0] * 3 + index[..., 1])
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        _, h, w, c = x.shape
        y = torch.roll(self.norm1(x), (-self.shift, -self.shift), (1, 2)) if self.shift else self.norm1(x)
        windows = window_partition(y, 2)
        m, t, _ = windows.shape
        q, k, v = self.qkv(windows).reshape(m, t, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        bias = self.table[self.index.view(-1)].view(t, t, 2).permute(2, 0, 1)
        attn = F.softmax(q @ k.transpose(-2, -1) / 2 + bias.unsqueeze(0), dim=-1)
        y = window_reverse(self.proj((attn @ v).transpose(1, 2).reshape(m, t, c)), 2, h, w)
        y = torch.roll(y, (self.shift, self.shift), (1, 2)) if self.shift else y
        x = x + y
        return x + self.mlp(self.norm2(x))


class Swin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch, self.one, self.two = nn.Conv2d(3, 8, 2, 2), SwinBlock(0), SwinBlock(1)
        self.merge = nn.Linear(32, 16, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(self.patch(x).permute(0, 2, 3, 1)))
        parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.merge(torch.cat(parts, -1)).permute(0, 3, 1, 2)


class CBAM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = conv_norm(3, 6)
        self.mlp = nn.Sequential(nn.Linear(6, 2), nn.ReLU(), nn.Linear(2, 6))
        self.spatial = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        average = self.mlp(F.avg_pool2d(x, x.size()[2:]).flatten(1))
        largest = self.mlp(F.max_pool2d(x, x.size()[2:]).flatten(1))
        x = x * torch.sigmoid(average + largest)[:, :, None, None].expand_as(x)
        maps = torch.cat([x.max(1, keepdim=True)[0], x.mean(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.spatial(maps))


class Capsules(nn.Module):
    """Sabour et al. 2017: routing by agreement."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.primary = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3, 2)
        self.weight = nn.Parameter(torch.randn(1, 3, 18, 5, 4))

    @staticmethod
    def squash(x: Tensor) -> Tensor:
        norm = x.norm(dim=-1, keepdim=True)
        return norm**2 / (1 + norm**2) * x / (norm + 1e-8)

    def forward(self, x: Tensor) -> Tensor:
        u = self.primary(F.relu(self.conv(x)))
        u = self.squash(u.view(u.size(0), 2, 4, -1).transpose(2, 3).reshape(u.size(0), -1, 4))
        votes = (self.weight @ u[:, None, :, :, None]).squeeze(-1)
        logits = torch.zeros_like(votes[..., :1])
        for _ in range(2):
            v = self.squash((F.softmax(logits, dim=1) * votes).sum(2, keepdim=True))
            logits = logits + (votes * v).sum(-1, keepdim=True)
        return v.squeeze(2).norm(dim=-1)


class STN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.local = nn.Sequential(nn.Conv2d(1, 2, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 16, 6))
        self.body = nn.Sequential(nn.Conv2d(1, 2, 5), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 64, 3))

    def forward(self, x: Tensor) -> Tensor:
        theta = self.local(x).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(x.size()), align_corners=False)
        return self.body(F.grid_sample(x, grid, align_corners=False))


class Deformable(nn.Module):
    """Offsets that a convolution predicts, read by grid_sample."""

    def __init__(self) -> None:
        super().__init__()
        self.offset, self.conv = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        ys, xs = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
        grid = torch.stack([xs, ys], -1).to(x).expand(n, h, w, 2) + 0.1 * self.offset(x).permute(0, 2, 3, 1)
        return self.conv(F.grid_sample(x, grid, align_corners=True))


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3 * 49, 4))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return F.pairwise_distance(self.tower(a), self.tower(b))


class Maxout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 4 * 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).view(x.size(0), 4, 3).max(-1)[0]


class Highway(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers, self.gates = (nn.ModuleList([nn.Linear(6, 6) for _ in range(3)]) for _ in "12")

    def forward(self, x: Tensor) -> Tensor:
        for layer, gate in zip(self.layers, self.gates, strict=True):
            t = torch.sigmoid(gate(x))
            x = t * torch.relu(layer(x)) + (1 - t) * x
        return x


def image(*shape: int) -> Tensor:
    return torch.rand(shape or (1, 3, 16, 16))


NETWORKS = {
    "ResNet": (ResNet, lambda: (image(1, 3, 32, 32),), {}, None),
    "DenseNet": (DenseNet, lambda: (image(),), {}, None),
    "MobileNetV2": (lambda: mobile(nn.ReLU6, None), lambda: (image(),), {}, None),
    "MobileNetV3": (lambda: mobile(nn.Hardswish, nn.Hardsigmoid), lambda: (image(),), {}, None),
    "EfficientNet": (lambda: mobile(nn.SiLU, nn.Sigmoid), lambda: (image(),), {}, None),
    "ShuffleNet": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), ShuffleUnit(), ShuffleUnit()), lambda: (image(),), {}, None),
    "SqueezeNet": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(4), Fire(8), nn.Conv2d(8, 3, 1),
                              nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten()),
        lambda: (image(1, 3, 24, 24),), {}, None,
    ),
    "Inception": (Inception, lambda: (image(1, 4, 8, 8),), {}, None),
    "ConvNeXt": (lambda: nn.Sequential(nn.Conv2d(3, 4, 4, 4), ConvNeXtBlock(4)), lambda: (image(1, 3, 32, 32),), {}, None),
    "MLP-Mixer": (Mixer, lambda: (image(),), {}, None),
    "ViT": (ViT, lambda: (image(),), {}, None),
    "Swin": (Swin, lambda: (image(),), {}, None),
    "SE-net": (lambda: nn.Sequential(conv_norm(3, 4), SqueezeExcite(4, nn.Sigmoid)), lambda: (image(1, 3, 8, 8),), {}, None),
    "CBAM": (CBAM, lambda: (image(1, 3, 8, 8),), {}, None),
    "capsules": (Capsules, lambda: (image(1, 1, 9, 9),), {}, None),
    # two convolutions, the grid's 3 numbers for each of 2 coordinates, two linear layers
    "spatial transformer": (
        STN, lambda: (image(1, 1, 12, 12),), {}, 2 * 2 * 64 * 25 + 32 * 6 + 144 * 2 * 3 + 128 * 3,
    ),
    "deformable": (Deformable, lambda: (image(1, 2, 6, 6),), {}, None),
    "Siamese": (Siamese, lambda: (image(1, 1, 16, 16), image(1, 1, 16, 16)), {}, None),
    "maxout": (Maxout, lambda: (torch.rand(2, 6),), {}, None),
    "highway": (Highway, lambda: (torch.rand(2, 6),), {}, None),
}  # fmt: skip

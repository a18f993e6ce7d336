# ruff: noqa: E501 (one network a line)
"""Networks that make images, boxes or other fields, small, each written in its usual style."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


def timestep_embedding(t: Tensor, dim: int) -> Tensor:
    freqs = torch.exp(-math.log(10000) * torch.arange(dim // 2) / (dim // 2))
    args = t[:, None].float() * freqs[None]
    return torch.cat([torch.cos(args), torch.sin(args)], dim=-1)


class ResBlock(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(2, a), nn.Conv2d(a, b, 3, padding=1)
        self.time, self.norm2, self.conv2 = nn.Linear(8, b), nn.GroupNorm(2, b), nn.Conv2d(b, b, 3, padding=1)
        self.skip = nn.Conv2d(a, b, 1) if a != b else nn.Identity()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(t))[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


class DDPM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 8))
        self.first, self.down, self.shrink = nn.Conv2d(1, 4, 3, padding=1), ResBlock(4, 4), nn.Conv2d(4, 4, 3, 2, 1)
        self.middle, self.grow, self.up = ResBlock(4, 4), nn.Conv2d(4, 4, 3, padding=1), ResBlock(8, 4)
        self.norm, self.qkv, self.last = nn.GroupNorm(2, 4), nn.Conv2d(4, 12, 1), nn.Conv2d(4, 1, 3, padding=1)

    def attention(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, 3 * c, h * w).chunk(3, dim=1)
        weights = torch.einsum("bct,bcs->bts", q, k).div(math.sqrt(c)).softmax(-1)
        return x + torch.einsum("bts,bcs->bct", weights, v).reshape(n, c, h, w)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        emb = self.time(timestep_embedding(t, 8))
        h1 = self.down(self.first(x), emb)
        h2 = self.attention(self.middle(self.shrink(h1), emb))
        h = self.grow(F.interpolate(h2, scale_factor=2, mode="nearest"))
        return self.last(self.up(torch.cat([h, h1], 1), emb))


class UNet(nn.Module):
    """Ronneberger et al. 2015: valid convolutions, cropped skips."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.up1 = self.twice(1, 2), self.twice(2, 4), self.twice(4, 2)
        self.up, self.out = nn.ConvTranspose2d(4, 2, 2, stride=2), nn.Conv2d(2, 2, 1)

    @staticmethod
    def twice(a: int, b: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(a, b, 3), nn.ReLU(inplace=True), nn.Conv2d(b, b, 3), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        c1 = self.down1(x)
        y = self.up(self.down2(F.max_pool2d(c1, 2)))
        dy, dx = c1.size(2) - y.size(2), c1.size(3) - y.size(3)
        c1 = c1[:, :, dy // 2 : dy // 2 + y.size(2), dx // 2 : dx // 2 + y.size(3)]
        return self.out(self.up1(torch.cat([c1, y], dim=1)))


class Pix2Pix(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.d1 = nn.Conv2d(3, 4, 4, 2, 1)
        self.d2 = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(4, 6, 4, 2, 1), nn.InstanceNorm2d(6))
        self.u2 = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(6, 4, 4, 2, 1), nn.InstanceNorm2d(4), nn.Dropout(0.5))
        self.u1 = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        d1 = self.d1(x)
        return self.u1(torch.cat([self.u2(self.d2(d1)), d1], 1))


class CycleBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(4, 4, 3), nn.InstanceNorm2d(4), nn.ReLU(True), nn.ReflectionPad2d(1),
            nn.Conv2d(4, 4, 3), nn.InstanceNorm2d(4),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def cyclegan() -> nn.Sequential:
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, 4, 7), nn.ReLU(True), nn.Conv2d(4, 4, 3, 2, 1), CycleBlock(),
        nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=1), nn.ReLU(True), nn.ReflectionPad2d(3), nn.Conv2d(4, 3, 7), nn.Tanh(),
    )  # fmt: skip


def srcnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bicubic"), nn.Conv2d(1, 4, 9, padding=4), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.ReLU(),
        nn.Conv2d(3, 1, 5, padding=2),
    )  # fmt: skip


def espcn() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.Tanh(), nn.Conv2d(4, 9, 3, padding=1), nn.PixelShuffle(3), nn.Sigmoid()
    )


class Yolo(nn.Module):
    """A head with anchors on two scales, boxes decoded on a grid."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 8, 3, 2, 1)
        self.heads = nn.ModuleList([nn.Conv2d(6, 2 * 7, 1), nn.Conv2d(8, 2 * 7, 1)])
        self.register_buffer("anchors", torch.rand(2, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        maps, out = [F.silu(self.one(x))], []
        maps.append(F.silu(self.two(maps[0])))
        for i, (head, y) in enumerate(zip(self.heads, maps, strict=True)):
            n, _, h, w = y.shape
            p = head(y).view(n, 2, 7, h, w).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
            ys, xs = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            grid = torch.stack((xs, ys), 2).view(1, 1, h, w, 2).float()
            xy = (p[..., 0:2] * 2 - 0.5 + grid) * 2 ** (i + 1)
            wh = (p[..., 2:4] * 2) ** 2 * self.anchors[i].view(1, 2, 1, 1, 2)
            out.append(torch.cat((xy, wh, p[..., 4:]), -1).view(n, -1, 7))
        return torch.cat(out, 1)


class FPN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 6, 3, 2, 1), nn.Conv2d(6, 8, 3, 2, 1)
        self.lateral = nn.ModuleList([nn.Conv2d(c, 4, 1) for c in (4, 6, 8)])
        self.smooth = nn.ModuleList([nn.Conv2d(4, 4, 3, padding=1) for _ in range(3)])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        c1 = F.relu(self.c1(x))
        c2 = F.relu(self.c2(c1))
        c3 = F.relu(self.c3(c2))
        p3 = self.lateral[2](c3)
        p2 = self.lateral[1](c2) + F.interpolate(p3, size=c2.shape[-2:], mode="nearest")
        p1 = self.lateral[0](c1) + F.interpolate(p2, size=c1.shape[-2:], mode="nearest")
        return {f"p{i}": smooth(p) for i, (smooth, p) in enumerate(zip(self.smooth, (p1, p2, p3), strict=True))}


class DETR(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.conv = nn.Conv2d(3, 6, 4, 4), nn.Conv2d(6, 8, 1)
        self.transformer = nn.Transformer(8, 2, 1, 1, 16)
        self.query_pos = nn.Parameter(torch.rand(5, 8))
        self.row_embed, self.col_embed = nn.Parameter(torch.rand(4, 4)), nn.Parameter(torch.rand(4, 4))
        self.linear_class, self.linear_bbox = nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.conv(self.backbone(x))
        rows, columns = h.shape[-2:]
        pos = torch.cat([
            self.col_embed[:columns].unsqueeze(0).repeat(rows, 1, 1), self.row_embed[:rows].unsqueeze(1).repeat(1, columns, 1)
        ], dim=-1).flatten(0, 1).unsqueeze(1)  # fmt: skip
        queries = self.query_pos.unsqueeze(1).repeat(1, h.shape[0], 1)
        h = self.transformer(pos + 0.1 * h.flatten(2).permute(2, 0, 1), queries).transpose(0, 1)
        return {"logits": self.linear_class(h), "boxes": self.linear_bbox(h).sigmoid()}


class ModulatedConv(nn.Module):
    """StyleGAN2: weights scaled by a style, normalised, one group per image."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.weight, self.style = nn.Parameter(torch.randn(1, b, a, 3, 3)), nn.Linear(6, a)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        n, a, height, width = x.shape
        weight = self.weight * self.style(w).view(n, 1, a, 1, 1)
        weight = weight * torch.rsqrt(weight.pow(2).sum([2, 3, 4], keepdim=True) + 1e-8)
        out = F.conv2d(x.reshape(1, n * a, height, width), weight.view(-1, a, 3, 3), padding=1, groups=n)
        return out.view(n, -1, height, width)


class StyleGAN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Sequential(*[part for _ in range(2) for part in (nn.Linear(6, 6), nn.LeakyReLU(0.2))])
        self.constant, self.conv1, self.conv2 = (
            nn.Parameter(torch.randn(1, 4, 4, 4)),
            ModulatedConv(4, 4),
            ModulatedConv(4, 3),
        )

    def forward(self, z: Tensor) -> Tensor:
        w = self.mapping(z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8))
        x = F.leaky_relu(self.conv1(self.constant.repeat(z.shape[0], 1, 1, 1), w), 0.2)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return torch.tanh(self.conv2(x, w))


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU())
        self.mu, self.logvar = nn.Linear(12, 3), nn.Linear(12, 3)
        self.decoder = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 64), nn.Sigmoid())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return self.decoder(z).view_as(x), kl


class VQVAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Conv2d(1, 4, 4, 2, 1), nn.ConvTranspose2d(4, 1, 4, 2, 1)
        self.codebook = nn.Embedding(7, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encoder(x).permute(0, 2, 3, 1).contiguous()
        flat = z.view(-1, 4)
        distances = (
            flat.pow(2).sum(1, keepdim=True) + self.codebook.weight.pow(2).sum(1) - 2 * flat @ self.codebook.weight.t()
        )
        q = self.codebook(distances.argmin(1)).view(z.shape)
        loss = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(q.detach(), z)
        q = z + (q - z).detach()
        return self.decoder(q.permute(0, 3, 1, 2)), loss


class Coupling(nn.Module):
    """RealNVP: half of the numbers scale and shift the other half."""

    def __init__(self, flip: bool) -> None:
        super().__init__()
        self.flip = flip
        self.scale, self.shift = (nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)) for _ in "12")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.chunk(2, dim=1)
        a, b = (b, a) if self.flip else (a, b)
        s = torch.tanh(self.scale(a))
        b = b * torch.exp(s) + self.shift(a)
        return torch.cat((b, a) if self.flip else (a, b), dim=1), s.sum(1)


class RealNVP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Coupling(False), Coupling(True)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_det = torch.zeros(x.shape[0], device=x.device)
        for layer in self.layers:
            x, s = layer(x)
            log_det = log_det + s
        return x, log_det


class NICE(nn.Module):
    """Additive coupling of the even and the odd numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        out = torch.empty_like(x)
        out[:, ::2] = x[:, ::2]
        out[:, 1::2] = x[:, 1::2] + self.net(x[:, ::2])
        return out


class SpectralConv(nn.Module):
    """The layer of a Fourier neural operator."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, 3, dtype=torch.cfloat) / 4)

    def forward(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(x)
        out = torch.zeros(x.shape[0], 4, x.size(-1) // 2 + 1, dtype=spectrum.dtype, device=x.device)
        out[:, :, :3] = torch.einsum("bix,iox->box", spectrum[:, :, :3], self.weight)
        out[..., 0].imag.zero_()
        return torch.fft.irfft(out, n=x.size(-1))


class FNO(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lift, self.spectral, self.local, self.out = (
            nn.Linear(2, 4),
            SpectralConv(),
            nn.Conv1d(4, 4, 1),
            nn.Linear(4, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        grid = torch.linspace(0, 1, x.shape[1]).reshape(1, -1, 1).repeat(x.shape[0], 1, 1).to(x)
        x = self.lift(torch.cat((x, grid), dim=-1)).permute(0, 2, 1)
        x = F.gelu(self.spectral(x) + self.local(x))
        return self.out(x.permute(0, 2, 1))


def image(*shape: int) -> Tensor:
    return torch.rand(shape)


NETWORKS = {
    "DDPM U-Net": (DDPM, lambda: (image(1, 1, 8, 8), torch.tensor([3])), {}, None),
    "U-Net": (UNet, lambda: (image(1, 1, 28, 28),), {}, None),
    "pix2pix": (Pix2Pix, lambda: (image(1, 3, 16, 16),), {}, None),
    "CycleGAN": (cyclegan, lambda: (image(1, 3, 12, 12),), {}, None),
    "SRCNN": (srcnn, lambda: (image(1, 1, 8, 8),), {}, None),
    "ESPCN": (espcn, lambda: (image(1, 1, 8, 8),), {}, None),
    "YOLO": (Yolo, lambda: (image(1, 3, 16, 16),), {}, None),
    "FPN": (FPN, lambda: (image(1, 3, 32, 32),), {}, None),
    "DETR": (DETR, lambda: (image(1, 3, 16, 16),), {}, None),
    "StyleGAN": (StyleGAN, lambda: (image(2, 6),), {}, None),
    "VAE": (VAE, lambda: (image(1, 1, 8, 8),), {}, None),
    "VQ-VAE": (VQVAE, lambda: (image(1, 1, 8, 8),), {}, None),
    "RealNVP": (RealNVP, lambda: (image(2, 6),), {}, None),
    "NICE": (NICE, lambda: (image(2, 8),), {}, None),
    "SN-GAN": (
        lambda: nn.Sequential(spectral_norm(nn.Conv2d(1, 4, 3, 2)), nn.LeakyReLU(0.1), nn.Flatten(), spectral_norm(nn.Linear(36, 1))),
        lambda: (image(1, 1, 8, 8),), {}, 4 * 9 * 9 + 36 + 4 * 9 + 4 + 36 + 1,  # and each weight's u · W v
    ),
    "FNO": (FNO, lambda: (image(1, 16, 1),), {}, None),
}  # fmt: skip

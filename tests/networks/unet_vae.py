"""A variational autoencoder of U-Net blocks without the skips past its latents."""

import torch
import torch.nn as nn


class DoubleConv(nn.Module):
    """(convolution => [BN] => ReLU) * 2"""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(in_channels, out_channels))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, in_channels, out_channels, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        else:
            self.up = nn.ConvTranspose2d(in_channels, in_channels, kernel_size=2, stride=2)
        self.conv = DoubleConv(in_channels, out_channels)

    def forward(self, x):
        return self.conv(self.up(x))


class UNetVAE(nn.Module):
    def __init__(self, image_shape, latent_dim, width=4, bilinear=False):
        super().__init__()
        channels, height, self.width = image_shape[0], image_shape[1], width
        self.side = height // 4
        self.inc = DoubleConv(channels, width)
        self.down1, self.down2 = Down(width, 2 * width), Down(2 * width, 4 * width)
        self.to_latent = nn.Linear(4 * width * self.side**2, 2 * latent_dim)
        self.from_latent = nn.Linear(latent_dim, 4 * width * self.side**2)
        self.up1, self.up2 = Up(4 * width, 2 * width, bilinear), Up(2 * width, width, bilinear)
        self.outc = nn.Conv2d(width, channels, kernel_size=1)

    def encode(self, x):
        h = self.down2(self.down1(self.inc(x)))
        return self.to_latent(torch.flatten(h, 1))

    def decode(self, z):
        h = self.from_latent(z).view(-1, 4 * self.width, self.side, self.side)
        return self.outc(self.up2(self.up1(h)))

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def forward(self, x):
        mu, logvar = self.encode(x).chunk(2, dim=1)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar

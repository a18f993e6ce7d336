"""Discriminators under spectral norm (Miyato et al. 2018), by PyTorch's older way and by its newer one."""

import torch.nn as nn
from torch.nn.utils import spectral_norm
from torch.nn.utils.parametrizations import spectral_norm as parametrized

leak = 0.1


class Discriminator(nn.Module):
    def __init__(self, in_channels, w=8):
        super(Discriminator, self).__init__()
        self.conv1 = spectral_norm(nn.Conv2d(in_channels, w, 3, stride=1, padding=(1, 1)))
        self.conv2 = spectral_norm(nn.Conv2d(w, w, 4, stride=2, padding=(1, 1)))
        self.conv3 = spectral_norm(nn.Conv2d(w, 2 * w, 4, stride=2, padding=(1, 1)))
        self.fc = spectral_norm(nn.Linear(7 * 7 * 2 * w, 1))

    def forward(self, x):
        m = x
        m = nn.LeakyReLU(leak)(self.conv1(m))
        m = nn.LeakyReLU(leak)(self.conv2(m))
        m = nn.LeakyReLU(leak)(self.conv3(m))
        return self.fc(m.view(-1, 7 * 7 * 16))


class Parametrized(nn.Module):
    def __init__(self, in_channels, ndf=8):
        super().__init__()
        self.main = nn.Sequential(
            parametrized(nn.Conv2d(in_channels, ndf, 4, 2, 1)),
            nn.LeakyReLU(0.2, inplace=True),
            parametrized(nn.Conv2d(ndf, 2 * ndf, 4, 2, 1)),
            nn.LeakyReLU(0.2, inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            parametrized(nn.Linear(2 * ndf, 1)),
        )

    def forward(self, input):
        return self.main(input).squeeze(1)

"""Written with classes and torch's own losses; images stay (batch, 1, 28, 28); float32 targets."""

import torch
import torch.nn.functional as F
from torch import nn


def sample_noise(batch_size, dim):
    return torch.empty(batch_size, dim).uniform_(-1, 1)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(256, 1)
        self.first = nn.Linear(784, 256)
        self.second = nn.Linear(256, 256)

    def forward(self, x):
        x = F.leaky_relu(self.first(x.view(-1, 784)), 0.01)
        return self.out(F.leaky_relu(self.second(x), 0.01))


def discriminator():
    return Discriminator()


class Generator(nn.Module):
    def __init__(self, noise_dim):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(noise_dim, 1024), nn.Linear(1024, 1024), nn.Linear(1024, 784)])

    def forward(self, z):
        for layer in self.layers[:2]:
            z = torch.relu(layer(z))
        return torch.tanh(self.layers[2](z))


def generator(noise_dim):
    return Generator(noise_dim)


def bce_loss(input, target):
    return F.binary_cross_entropy_with_logits(input, target)


def discriminator_loss(logits_real, logits_fake):
    loss = nn.BCEWithLogitsLoss()
    return loss(logits_real, torch.ones_like(logits_real)) + loss(logits_fake, torch.zeros_like(logits_fake))


def generator_loss(logits_fake):
    return F.binary_cross_entropy_with_logits(logits_fake, torch.ones(logits_fake.shape, dtype=torch.float32))


def ls_discriminator_loss(scores_real, scores_fake):
    mse = nn.MSELoss()
    return (mse(scores_real, torch.ones_like(scores_real)) + mse(scores_fake, torch.zeros_like(scores_fake))) / 2


def ls_generator_loss(scores_fake):
    return F.mse_loss(scores_fake, torch.ones_like(scores_fake)) / 2


def get_optimizer(model):
    return torch.optim.Adam([{"params": model.parameters()}], lr=0.001, betas=(0.5, 0.999), foreach=False)


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5), nn.Conv2d(32, 64, 5)
        self.fc1, self.fc2 = nn.Linear(1024, 1024), nn.Linear(1024, 1)

    def forward(self, x):
        x = x.reshape(-1, 1, 28, 28)
        x = F.max_pool2d(F.leaky_relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.leaky_relu(self.conv2(x)), 2)
        return self.fc2(F.leaky_relu(self.fc1(x.flatten(1))))


def build_dc_classifier(batch_size):
    return Convolutional()


class Deconvolutional(nn.Module):
    def __init__(self, noise_dim):
        super().__init__()
        self.fc1, self.bn1 = nn.Linear(noise_dim, 1024), nn.BatchNorm1d(1024)
        self.fc2, self.bn2 = nn.Linear(1024, 6272), nn.BatchNorm1d(6272)
        self.up1, self.bn3 = nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1), nn.BatchNorm2d(64)
        self.up2 = nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1)

    def forward(self, z):
        z = self.bn1(F.relu(self.fc1(z)))
        z = self.bn2(F.relu(self.fc2(z))).view(-1, 128, 7, 7)
        return torch.tanh(self.up2(self.bn3(F.relu(self.up1(z)))))


def build_dc_generator(noise_dim):
    return Deconvolutional(noise_dim)


def train_step(d, g, opt_d, opt_g, loss_d, loss_g, images, dim):
    with torch.no_grad():
        fake = g(sample_noise(images.shape[0], dim))
    opt_d.zero_grad(set_to_none=False)
    loss_d(d(images), d(fake)).backward()
    opt_d.step()
    for p in d.parameters():
        p.requires_grad_(False)
    opt_g.zero_grad()
    loss_g(d(g(sample_noise(images.shape[0], dim)))).backward()
    opt_g.step()
    for p in d.parameters():
        p.requires_grad_(True)

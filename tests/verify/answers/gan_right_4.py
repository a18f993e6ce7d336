"""Scores (batch,) throughout, losses that work in place, a layer left over, a training step for (batch, 784) images."""

import torch
from gan_right_1 import build_dc_classifier as build_dc_classifier
from gan_right_1 import build_dc_generator as build_dc_generator
from gan_right_1 import generator as generator
from gan_right_1 import get_optimizer as get_optimizer
from gan_right_1 import sample_noise as sample_noise
from torch import nn


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(784, 256), nn.Linear(256, 256), nn.Linear(256, 1)
        self.left_over = nn.Linear(256, 10)
        self.lazily_left_over = nn.LazyLinear(10)
        self.activation = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, x):
        h = self.activation(self.second(self.activation(self.first(x.view(-1, 784)))))
        self.left_over(h)  # a debugging line, whose result nobody uses
        return self.third(h).squeeze(1)


def discriminator():
    return Discriminator()


def bce_loss(input, target):
    (n,) = input.shape
    return nn.BCEWithLogitsLoss(reduction="sum")(input, target) / n


def discriminator_loss(logits_real, logits_fake):
    logits_real.neg_()
    both = torch.cat([logits_real, logits_fake])
    n = torch.tensor([len(logits_real), len(logits_fake)])
    return (torch.logaddexp(both, torch.zeros(len(both))) / n.repeat_interleave(n)).sum()


def generator_loss(logits_fake):
    n = len(logits_fake)
    return nn.functional.binary_cross_entropy_with_logits(logits_fake, torch.ones(n))


def ls_discriminator_loss(scores_real, scores_fake):
    return (scores_real.sub_(1).square_().mean() + scores_fake.square_().mean()) / 2


def ls_generator_loss(scores_fake):
    return ((scores_fake - torch.ones(len(scores_fake))) ** 2).mean().mul_(0.5)


def train_step(D, G, D_solver, G_solver, discriminator_loss, generator_loss, real, noise_dim):
    real = real.view(-1, 784)
    n = real.size(0)
    D_solver.zero_grad()
    fake = G(sample_noise(n, noise_dim)).detach()
    discriminator_loss(D(real.type(torch.get_default_dtype())), D(fake.view(n, 1, 28, 28))).backward()
    D_solver.step()
    G_solver.zero_grad()
    fake = G(sample_noise(n, noise_dim))
    generator_loss(D(fake.view(n, 1, 28, 28))).backward()
    G_solver.step()

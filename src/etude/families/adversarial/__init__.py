"""Generative adversarial networks: a discriminator and a generator, trained in turn."""

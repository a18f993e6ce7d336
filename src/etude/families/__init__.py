"""Families: everything that makes a classifier, a GAN or a VAE what it is, a folder each.

A folder holds the family's recipe (`recipe`, without PyTorch), its way to train (`learner`), what its trained networks
can do (`trained`), and the object that names them all (`family.FAMILY`).
"""

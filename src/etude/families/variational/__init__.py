"""Variational autoencoders, plain or given the label, trained on the evidence lower bound."""

"""Diffusion models: networks that take noise from an example little by little, by noise prediction or flow matching."""

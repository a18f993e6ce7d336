"""Diffusion models: networks that remove noise step by step, trained by noise prediction or flow matching."""

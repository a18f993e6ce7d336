"""The effect of more latents on an autoencoder: its two loss terms, the latents in use, its samples."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from etude.drawing.style import BLUE, GREEN, GREY, PURPLE, VERMILLION, style


@style()
def latent_effect(
    latent_dims: np.ndarray,
    *,
    reconstruction_nats: np.ndarray,
    kl_nats: np.ndarray,
    active_latents: np.ndarray,
    fid: np.ndarray,
    fid_floor: float,
    title: str,
) -> Figure:
    """Three panels against the number of latents (log scale), one point per run (num_runs,), lines through the means.

    The panels show reconstruction, KL and their sum in nats per image; latents in use, and all latents; the Fréchet
    distance of samples from the prior, and its floor.
    """
    figure = Figure(figsize=(10.2, 3.7), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    nats, active, distance = figure.subplots(1, 3)
    _draw(nats, latent_dims, reconstruction_nats + kl_nats, "sum: negative ELBO", BLUE, "o")
    _draw(nats, latent_dims, reconstruction_nats, "reconstruction", VERMILLION, "s")
    _draw(nats, latent_dims, kl_nats, "KL", GREEN, "^")
    nats.set(title="Loss on the test images", ylabel="nats per image", ylim=(0, None))

    unique = np.unique(latent_dims)
    active.plot(unique, unique, "--", color=GREY, linewidth=1.3, label="all")
    _draw(active, latent_dims, active_latents, "in use", PURPLE, "o")
    active.set(title="Latents in use", ylabel="latents", ylim=(0, None))

    _draw(distance, latent_dims, fid, "samples", BLUE, "o")
    distance.axhline(fid_floor, linestyle="--", color=GREY, linewidth=1.3, label=f"real images: {fid_floor:.2g}")
    distance.set(title="Samples from the prior", ylabel="Fréchet distance", ylim=(0, None))

    for axes in (nats, active, distance):
        axes.set_xscale("log")
        axes.set_xticks(unique, [str(each) for each in unique.tolist()])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("number of latents")
        axes.grid(True)
        axes.legend()
    return figure


def _draw(axes: Axes, dims: np.ndarray, values: np.ndarray, label: str, colour: str, marker: str) -> None:
    unique = np.unique(dims)
    means = [values[dims == each].mean() for each in unique]
    axes.plot(unique, means, color=colour)
    axes.plot(dims, values, marker, color=colour, markersize=4.5, label=label)

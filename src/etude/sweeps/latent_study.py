"""The effect of more latents on an autoencoder: a sweep over their number, with every run measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.errors import UsageError
from etude.families.abilities import Encodes
from etude.families.book import family_of
from etude.measurement import Settings, measure
from etude.recipes import Recipe
from etude.runs import Run
from etude.sweeps.results import Results
from etude.sweeps.start import sweep

METRICS = ("negative_elbo_nats", "active_latents", "linear_probe", "fid")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One autoencoder of the study, on the test images."""

    run: str
    """The run's folder."""
    latent_dim: int
    seed: int
    reconstruction_nats: float
    """-log p(image | latent), nats per image."""
    kl_nats: float
    """KL divergence of the posterior from the prior, nats per image."""
    active_latents: int
    linear_probe: float
    """Accuracy of a linear classifier on the latents, in [0, 1]."""
    fid: float
    fid_floor: float
    """Fréchet distance of its samples from the test images, and of real images from real ones."""
    note: str | None
    """A note to show with nats that are not a likelihood."""

    @property
    def negative_elbo_nats(self) -> float:
        """The loss: the sum of both terms."""
        return self.reconstruction_nats + self.kl_nats


def study_latents(
    recipe: Recipe, latent_dims: Sequence[int], *, data_dir: Path | None = None, **options: Any
) -> tuple[Results, list[Measured]]:
    """Train the recipe with every number of latents and several seeds, and measure each run.

    Returns the sweep's results and the measured runs, by number of latents and seed, without failed runs.
    `options` are those of `etude.sweeps.sweep`. Raises `UsageError` for a recipe without latents, and as `sweep` does.
    """
    if Encodes not in family_of(recipe).abilities:
        raise UsageError(f"recipe {recipe.name} has no latents: choose vae, beta-vae, cvae or a file with one of them.")
    results = sweep(recipe, grid={"latent_dim": sorted(set(latent_dims))}, data_dir=data_dir, **options)
    runs = [
        Run(member.path)
        for cell in results.sweep.cells
        for member in results.sweep.members(cell)
        if member.state.status == "finished"
    ]
    return results, [_measured(run) for run in runs]


def _measured(run: Run) -> Measured:
    results = measure(run, Settings(metrics=METRICS))
    elbo, fid = results["negative_elbo_nats"], results["fid"]
    return Measured(
        run=str(run.path),
        latent_dim=run.recipe.num_latents,
        seed=run.recipe.seed,
        reconstruction_nats=elbo["reconstruction_nats"],
        kl_nats=elbo["kl_nats"],
        active_latents=results["active_latents"]["value"],
        linear_probe=results["linear_probe"]["value"],
        fid=fid["value"],
        fid_floor=fid["floor"],
        note=elbo.note,
    )

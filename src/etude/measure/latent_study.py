"""What more latents do to an autoencoder: one recipe with few and with many, each trained and measured."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from etude import recipes
from etude.errors import UsageError
from etude.measure.measuring import measure
from etude.measure.settings import Settings
from etude.recipes import Recipe, Variational
from etude.training import Display, train_once

METRICS = ("negative_elbo_nats", "active_latents", "linear_probe", "fid")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One autoencoder of the study, measured on the test images."""

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
    """Fréchet distance of its samples from the test images, and that of real images from real ones."""

    @property
    def negative_elbo_nats(self) -> float:
        """The loss: the sum of both terms."""
        return self.reconstruction_nats + self.kl_nats


def study_latents(
    recipe: Recipe,
    latent_dims: Sequence[int],
    *,
    num_seeds: int = 1,
    runs_dir: Path,
    data_dir: Path | None = None,
    threads: int | None = None,
    display: Display,
) -> list[Trained]:
    """Train the recipe with every number of latents and seeds 0 to `num_seeds` - 1, and measure each run.

    The runs lie in `runs_dir`; those that are there are not trained again, one that was stopped goes on. Raises
    `UsageError` for a recipe without latents, no number of latents, or a number out of range.
    """
    if not isinstance(recipe, Variational):
        raise UsageError(f"recipe {recipe.name} has no latents: choose vae, beta-vae, cvae or a file with one of them.")
    wrong = [
        f"--{flag} {given} (allowed: {allowed})"
        for holds, flag, given, allowed in (
            (latent_dims and min(latent_dims) >= 1, "dims", ",".join(map(str, latent_dims)), "numbers from 1 up"),
            (num_seeds >= 1, "seeds", num_seeds, "at least 1"),
        )
        if not holds
    ]
    if wrong:
        raise UsageError(f"out of range: {'; '.join(wrong)}.")
    return [
        _trained(
            replace(recipe, latent_dim=latent_dim, seed=seed),
            runs_dir=runs_dir, data_dir=data_dir, threads=threads, display=display,
        )
        for latent_dim in sorted(set(latent_dims))
        for seed in range(num_seeds)
    ]  # fmt: skip


def _trained(
    recipe: Variational, *, runs_dir: Path, data_dir: Path | None, threads: int | None, display: Display
) -> Trained:
    run = train_once(
        recipe, name=_name(recipe), runs_dir=runs_dir, data_dir=data_dir, threads=threads, display=display
    )  # fmt: skip
    results = measure(run, Settings(metrics=METRICS), data_dir=data_dir, say=display.note)
    elbo, fid = results["negative_elbo_nats"], results["fid"]
    return Trained(
        run=str(run.path),
        latent_dim=recipe.latent_dim,
        seed=recipe.seed,
        reconstruction_nats=elbo["reconstruction_nats"],
        kl_nats=elbo["kl_nats"],
        active_latents=results["active_latents"]["value"],
        linear_probe=results["linear_probe"]["value"],
        fid=fid["value"],
        fid_floor=fid["floor"],
    )


def _name(recipe: Variational) -> str:
    """A run's name that stands for the whole recipe."""
    digest = hashlib.sha256(json.dumps(recipes.to_dict(recipe), sort_keys=True).encode()).hexdigest()
    return f"{recipe.name}-{recipe.latent_dim}-latents-seed-{recipe.seed}-{digest[:6]}"

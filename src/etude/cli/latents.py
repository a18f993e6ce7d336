"""`etude latents`."""

from pathlib import Path

import tyro

from etude import recipes
from etude.cli.recipe_word import start_recipe
from etude.errors import UsageError


def latents(
    recipe: tyro.conf.Positional[str] = "vae",
    *,
    dims: str = "2,5,10,20,50",
    seeds: int = 1,
    data: str | None = None,
    epochs: int | None = None,
    name: str | None = None,
    jobs: int | None = None,
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
    quiet: bool = False,
    json: bool = False,
) -> None:
    """Train an autoencoder with few and with many latents, and compare.

    This is a sweep. Ctrl-C saves all runs, and the same command continues. A larger --seeds adds runs.

    Args:
        recipe: vae, beta-vae, cvae, or a TOML file with one of them.
        dims: The numbers of latents, separated by commas.
        seeds: Runs per number of latents. One run does not say how much another would differ.
        data: The data set. Default: the recipe's.
        epochs: Passes over the training images. Default: the recipe's.
        name: The sweep's name. Default: RECIPE-DATA-sweep-NUMBER.
        jobs: Worker processes. Default: one per core; on a GPU a single one, which trains many runs together.
        runs_dir: Where runs are kept.
        data_dir: Where to look for data first.
        quiet: Show no progress.
        json: Print one JSON object on stdout.
    """
    from etude.cli import show_latents as show

    try:
        latent_dims = [int(word) for word in dims.split(",")]
    except ValueError:
        raise UsageError(f"--dims {dims} (allowed: whole numbers separated by commas, such as 2,5,10).") from None
    changes = {field: value for field, value in (("data", data), ("epochs", epochs)) if value is not None}
    results, measured = show.study_latents(
        recipes.change(start_recipe(recipe, command="latents"), **changes), latent_dims,
        seeds=seeds, name=name, jobs=jobs, runs_dir=runs_dir, data_dir=data_dir, quiet=quiet,
    )  # fmt: skip
    show.report(results, measured, json=json)

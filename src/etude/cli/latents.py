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

    It is a sweep: Ctrl-C saves all, and the same command goes on; more seeds are added to those that are there.

    Args:
        recipe: vae, beta-vae, cvae, or a TOML file with one of them.
        dims: The numbers of latents, separated by commas.
        seeds: Runs of each; one run says nothing of how much another one would differ.
        data: The data set; the recipe's own when not given.
        epochs: Passes over the training images; the recipe's own when not given.
        name: The sweep's name; RECIPE-DATA-sweep-NUMBER when not given.
        jobs: Processes side by side; one a core when not given, on a GPU one, which trains many runs as one program.
        runs_dir: Where runs are kept.
        data_dir: Where data is looked for first.
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

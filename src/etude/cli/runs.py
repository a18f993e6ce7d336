"""`etude recipes`, `etude runs`, `etude show` and `etude sample`."""

import json as json_format
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import tyro

from etude import recipes as recipe_book
from etude.cli.printing import json_text, stdout_console
from etude.errors import EtudeError, UsageError, printable


def recipes(name: tyro.conf.Positional[str | None] = None, *, out: Path | None = None, json: bool = False) -> None:
    """List the recipes; with a name, print one as TOML.

    Args:
        name: A recipe to print.
        out: Write it to this file, to be edited and trained with `etude train FILE.toml`.
        json: Print one JSON object on stdout.
    """
    if name is None:
        if out is not None:
            raise UsageError(f"--out {out}: name the recipe to write, `etude recipes NAME --out {out}`.")
        if json:
            print(json_format.dumps({name: recipe_book.to_dict(each) for name, each in recipe_book.RECIPES.items()}))
        else:
            print(recipe_book.described())
        return
    recipe = recipe_book.get(name)
    if out is not None:
        recipe_book.write_toml(recipe, out)
        print(out)
    elif json:
        print(json_format.dumps(recipe_book.to_dict(recipe)))
    else:
        print(recipe_book.to_toml(recipe), end="")


def runs(*, runs_dir: Path | None = None, json: bool = False) -> None:
    """List the runs and the sweeps.

    Args:
        runs_dir: Where runs are kept; the folder in ETUDE_RUNS, or ./runs, when not given.
        json: Print one JSON object on stdout.
    """
    from etude.cli import sweep
    from etude.runs import default_runs_dir, list_paths
    from etude.sweeps.folder import list_paths as list_sweeps

    folder = runs_dir or default_runs_dir()
    rows = [_row(path) for path in list_paths(folder)]
    sweeps = [sweep.listing(path) for path in list_sweeps(folder)]
    if json:
        print(json_text({"runs": rows, "sweeps": sweeps}))
        return
    if not rows and not sweeps:
        print(f"no runs in {folder} yet: `etude train vae --data digits` makes one.")
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("run", "recipe", "data", "state", "epochs", "result", "begun"):
        table.add_column(heading, justify="right" if heading == "epochs" else "left", overflow="fold")

    def add(*cells: str) -> None:
        table.add_row(*(escape(printable(cell)) for cell in cells))

    for row in rows:
        if row["state"] == "damaged":
            add(row["run"], "", "", "damaged", "", row["error"], "")
            continue
        result = " ".join(f"{name} {value:.4g}" for name, value in row["headline"].items())
        epochs = f"{row['epoch']}/{row['epochs']}"
        begun = datetime.fromisoformat(row["created"]).astimezone().strftime("%d %b %H:%M")
        add(row["run"], row["recipe"], row["data"], row["state"], epochs, result, begun)
    console = stdout_console()
    if rows:
        console.print(table)
    for each in sweeps:
        console.print(printable(sweep.describe(folder, each)), markup=False, soft_wrap=True)


def show(
    run: tyro.conf.Positional[str],
    *,
    interval: Literal["t", "bootstrap-t"] = "t",
    runs_dir: Path | None = None,
    json: bool = False,
) -> None:
    """Show a run's configuration and results, or a sweep's results.

    Args:
        run: The run's or the sweep's name or folder.
        interval: For sweeps: how the intervals over seeds are computed; bootstrap-t suits skewed values.
        runs_dir: Where runs are kept.
        json: Print one JSON object on stdout.
    """
    from etude.compute import Execution
    from etude.data.kinds import Images
    from etude.families.family import count_parameters
    from etude.runs import load
    from etude.sweeps.folder import find

    if path := find(run, runs_dir=runs_dir):
        from etude.cli import sweep

        sweep.show(path, interval=interval, json=json)
        return
    if interval != "t":
        raise UsageError(f"--interval {interval} is for sweeps, and {run} is a run: leave it out.")
    loaded = load(run, runs_dir=runs_dir)
    state, metrics = loaded.state, loaded.metrics().last()
    pictures = sorted(str(path) for path in loaded.path.glob("figures/*.png"))
    if json:
        results = {"state": asdict(state), "metrics": metrics, "figures": pictures}
        print(json_text({"run": str(loaded.path), **loaded.configuration, **results}))
        return
    configuration = loaded.configuration
    dataset, execution = configuration["dataset"], configuration["execution"]
    shape, what = "×".join(map(str, loaded.kind.shape)), "images" if isinstance(loaded.kind, Images) else "rows"
    print(f"{loaded.path}: {state.status}, epoch {state.epoch} of {loaded.recipe.epochs}, {state.seconds:.1f} s")
    if state.error:
        print(f"  {state.error}")
    print(
        f"\ndata         {dataset['name']}: {dataset['train_images']:,} train, {dataset['validation_images']:,} "
        f"validation, {dataset['test_images']:,} test {what} of {shape}, {len(loaded.class_names)} classes"
    )
    for note in dataset.get("notes", ()):
        print(f"             {note}")
    versions = ", ".join(f"{name} {version}" for name, version in configuration["versions"].items())
    print(f"computed on  {Execution(**execution)}; {versions}")
    print(f"begun        {configuration['created']}")
    if (loaded.path / "checkpoints").exists():
        counts = ", ".join(f"{name} {count:,}" for name, count in count_parameters(loaded.networks).items())
        print(f"parameters   {counts}")
    print(f"\n{recipe_book.to_toml(loaded.recipe)}")
    for name, value in metrics.items():
        print(f"{name:<32}{value:.6g}")
    if pictures:
        print("\n" + "\n".join(pictures))


def sample(
    run: tyro.conf.Positional[str],
    *,
    num: int = 64,
    out: Path | None = None,
    label: str | None = None,
    seed: int = 0,
    runs_dir: Path | None = None,
) -> None:
    """Draw new images from a GAN or VAE into a PNG or NPY file.

    Args:
        run: The run's name or folder.
        num: How many images.
        out: FILE.png, a grid; or FILE.npy, float32 (N, C, H, W) in [0, 1]; samples.png in the run's folder otherwise.
        label: The class to draw, by name or index (cvae).
        seed: Determines the images.
        runs_dir: Where runs are kept.
    """
    import io
    import math

    import numpy as np

    from etude.drawing.tiles import tile, write_png
    from etude.files import write_atomically
    from etude.runs import load

    loaded = load(run, runs_dir=runs_dir)
    path = out or loaded.path / "samples.png"
    if path.suffix.lower() not in (".png", ".npy"):
        raise UsageError(f"--out {path} (allowed: a name that ends in .png or .npy).")
    images = loaded.sample(num, seed=seed, labels=None if label is None else loaded.label_index(label))
    if path.suffix.lower() == ".png":
        write_png(path, tile(images, columns=math.ceil(math.sqrt(num))))
    else:
        content = io.BytesIO()
        np.save(content, images.numpy())
        write_atomically(path, content.getvalue())
    print(path)


def _row(path: Path) -> dict[str, Any]:
    """One run in the list; a damaged one says so, and is no reason to hide the others."""
    from etude.runs import Run

    try:
        run = Run(path)
        state, metrics = run.state, run.metrics().last()
    except EtudeError as error:
        return {"run": path.name, "state": "damaged", "error": str(error)}
    headline = next((name for name in run.family.series.headline if name in metrics), None)
    return {
        "run": run.name,
        "recipe": run.recipe.name,
        "data": run.data_name,
        "state": state.status,
        "epoch": state.epoch,
        "epochs": run.recipe.epochs,
        "headline": {headline: metrics[headline]} if headline else {},
        "created": run.configuration["created"],
    }

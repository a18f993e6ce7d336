"""`etude recipes`, `etude runs`, `etude show` and `etude sample`."""

from pathlib import Path
from typing import Literal

import tyro

from etude import recipes as recipe_book
from etude.cli.printing import print_json
from etude.errors import UsageError


def recipes(name: tyro.conf.Positional[str | None] = None, *, out: Path | None = None, json: bool = False) -> None:
    """List the recipes; with a name, print one as TOML.

    Args:
        name: A recipe to print.
        out: Write it to this file. Edit the file and train it with `etude train FILE.toml`.
        json: Print one JSON object on stdout.
    """
    if name is None:
        if out is not None:
            raise UsageError(f"--out {out}: name the recipe to write, `etude recipes NAME --out {out}`.")
        if json:
            print_json({name: recipe_book.to_dict(each) for name, each in recipe_book.RECIPES.items()})
        else:
            print(recipe_book.described())
        return
    recipe = recipe_book.get(name)
    if out is not None:
        recipe_book.write_toml(recipe, out)
        print(out)
    elif json:
        print_json(recipe_book.to_dict(recipe))
    else:
        print(recipe_book.to_toml(recipe), end="")


def runs(*, runs_dir: Path | None = None, json: bool = False) -> None:
    """List the runs and the sweeps.

    Args:
        runs_dir: Where runs are kept. Default: the folder in ETUDE_RUNS, or ./runs.
        json: Print one JSON object on stdout.
    """
    from etude.cli import show_runs

    show_runs.table(runs_dir, json=json)


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
        interval: For sweeps: how to compute the intervals over seeds. bootstrap-t suits skewed values.
        runs_dir: Where runs are kept.
        json: Print one JSON object on stdout.
    """
    from etude.cli import show_run, show_sweep

    if path := show_sweep.find(run, runs_dir=runs_dir):
        show_sweep.show(path, interval=interval, json=json)
        return
    if interval != "t":
        raise UsageError(f"--interval {interval} is for sweeps, and {run} is a run: leave it out.")
    show_run.show(show_run.load(run, runs_dir=runs_dir), json=json)


def sample(
    run: tyro.conf.Positional[str],
    *,
    num: int | None = None,
    prompt: str | None = None,
    length: int | None = None,
    temperature: float | None = None,
    out: Path | None = None,
    label: str | None = None,
    seed: int = 0,
    runs_dir: Path | None = None,
    trust: bool = False,
) -> None:
    """Draw new images, or let a language model write a text.

    Images of a GAN, a VAE or a diffusion model go into a PNG or NPY file. A text is printed.

    Args:
        run: The run's name or folder.
        num: How many images. Default: 64.
        prompt: The beginning of a text. Default: a new line.
        length: How many symbols a text has after the prompt. Default: 500.
        temperature: For a text: 1 draws each symbol as likely as the network finds it, less draws likelier ones, 0
            takes the likeliest. Default: 1.
        out: FILE.png for a grid, FILE.npy for float32 (N, C, H, W) in [0, 1]. Default: samples.png in the run's folder.
            A text goes into FILE.txt, if given.
        label: The class to draw, by name or index (cvae, flow).
        seed: Determines the images, or the text.
        runs_dir: Where runs are kept.
        trust: Run the code kept in the run, although the run was made elsewhere. Read that code first.
    """
    from etude.cli import show_run

    loaded = show_run.load(run, runs_dir=runs_dir, trust=trust)
    of_images, of_texts = {"num": num, "label": label}, {"prompt": prompt, "length": length, "temperature": temperature}
    writes = show_run.writes_texts(loaded)
    for flag, given in (of_images if writes else of_texts).items():
        if given is not None:
            what = "images, and run {} writes a text" if writes else "texts, and run {} is no language model"
            raise UsageError(f"--{flag} {given} is for {what.format(loaded.name)}: leave it out.")
    if writes:
        if out is not None and out.suffix.lower() != ".txt":
            raise UsageError(f"--out {out} (allowed: a name that ends in .txt).")
        show_run.write_text(
            loaded,
            out,
            prompt=prompt or "",
            length=500 if length is None else length,
            temperature=1.0 if temperature is None else temperature,
            seed=seed,
        )
        return
    path = out or loaded.path / "samples.png"
    if path.suffix.lower() not in (".png", ".npy"):
        raise UsageError(f"--out {path} (allowed: a name that ends in .png or .npy).")
    show_run.write_samples(loaded, path, num=64 if num is None else num, seed=seed, label=label)
    print(path)

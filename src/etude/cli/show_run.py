"""What the commands print of one run: its configuration and results, what its training ended with, its samples."""

import contextlib
import io
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from etude.cli.printing import print_json
from etude.compute import Execution
from etude.data.kinds import Images
from etude.data.text.description import TextKind, in_short, vocabularies
from etude.drawing.tiles import tile, write_png
from etude.errors import UsageError
from etude.families.abilities import Predicts
from etude.figures.catalogue import draw_all
from etude.files import write_atomically
from etude.recipes import to_toml
from etude.runs import Run, load
from etude.training import Display
from etude.training import resume as resume_run
from etude.training import train as train_run

__all__ = [
    "Display",
    "finished",
    "load",
    "resume_run",
    "show",
    "summary",
    "train_run",
    "write_samples",
    "write_text",
    "writes_texts",
]


def show(loaded: Run, *, json: bool) -> None:
    """Print a run's configuration and results."""
    state, metrics = loaded.state, loaded.metrics().last()
    pictures = sorted(str(path) for path in loaded.path.glob("figures/*.png"))
    if json:
        results = {"state": asdict(state), "metrics": metrics, "figures": pictures}
        print_json({"run": str(loaded.path), **loaded.configuration, **results})
        return
    configuration = loaded.configuration
    dataset, execution = configuration["dataset"], configuration["execution"]
    kind = loaded.kind
    what = "images" if isinstance(kind, Images) else "rows"
    held = in_short(kind) if isinstance(kind, TextKind) else f"{what} of {'×'.join(map(str, kind.shape))}"
    classes = f", {len(kind.class_names)} classes" if kind.class_names else ""
    print(f"{loaded.path}: {state.status}, epoch {state.epoch} of {loaded.recipe.epochs}, {state.seconds:.1f} s")
    if state.error:
        print(f"  {state.error}")
    print(
        f"\ndata         {dataset['name']}: {dataset['train_images']:,} train, {dataset['validation_images']:,} "
        f"validation, {dataset['test_images']:,} test {held}{classes}"
    )
    for line in vocabularies(kind) if isinstance(kind, TextKind) else ():
        print(f"             {line}")
    for note in dataset.get("notes", ()):
        print(f"             {note}")
    versions = ", ".join(f"{name} {version}" for name, version in configuration["versions"].items())
    print(f"computed on  {Execution(**execution)}; {versions}")
    print(f"begun        {configuration['created']}")
    if (loaded.path / "checkpoints").exists():
        counts = ", ".join(f"{name} {count:,}" for name, count in loaded.parameters.items())
        print(f"parameters   {counts}")
    print(f"\n{to_toml(loaded.recipe)}")
    for name, value in metrics.items():
        print(f"{name:<32}{value:.6g}")
    if pictures:
        print("\n" + "\n".join(pictures))


def write_samples(loaded: Run, path: Path, *, num: int, seed: int, label: str | None) -> None:
    """Draw new images into a PNG or NPY file, new rows of a table into an NPY file."""
    if path.suffix.lower() == ".png" and not isinstance(loaded.kind, Images):
        raise UsageError(
            f"--out {path}: run {loaded.name} makes rows of a table: give FILE.npy; "
            f"`etude figure {loaded.name} points` draws them."
        )
    with contextlib.redirect_stdout(sys.stderr):  # what the networks' own code prints is not a result
        images = loaded.sample(num, seed=seed, labels=None if label is None else loaded.label_index(label))
    if path.suffix.lower() == ".png":
        write_png(path, tile(images, columns=math.ceil(math.sqrt(num))))
    else:
        content = io.BytesIO()
        np.save(content, images.numpy())
        write_atomically(path, content.getvalue())


def writes_texts(loaded: Run) -> bool:
    """Whether it is of a language model."""
    return loaded.can(Predicts)


def write_text(loaded: Run, path: Path | None, *, prompt: str, length: int, temperature: float, seed: int) -> None:
    """Let a language model go on with the prompt; print the text, or write it into a file and print its name."""
    with contextlib.redirect_stdout(sys.stderr):  # what the networks' own code prints is not a result
        text = loaded.continue_text(prompt, length=length, temperature=temperature, seed=seed)
    if path is None:
        print(text)
        return
    write_atomically(path, text + "\n")
    print(path)


def finished(run: Run, display: Display, *, draw_figures: bool, data_dir: Path | None, json: bool) -> None:
    """Draw the figures of a finished run and print its results."""
    if draw_figures:
        display.note(f"{run.name}: drawing figures")
        with contextlib.redirect_stdout(sys.stderr):  # what the networks' own code prints is not a result
            draw_all(run, data_dir=data_dir)
    result = summary(run)
    if json:
        print_json(result)
        return
    counts = ", ".join(f"{name} {count:,}" for name, count in result["parameters"].items())
    epochs = "1 epoch" if result["epochs"] == 1 else f"{result['epochs']} epochs"
    print(f"{run.name}: {result['recipe']} on {result['data']}, {epochs} in {result['seconds']:.1f} s")
    print(f"  parameters   {counts}")
    for name, value in result["metrics"].items():
        if name.count("/") == 1 and not name.startswith("running/"):
            print(f"  {name:<28} {value:.4g}")
    if draw_figures:
        print(f"  pictures     {run.path / 'figures'}")
    print(f"  more         etude show {run.path}", flush=True)
    sys.stdout.flush()


def summary(run: Run) -> dict[str, Any]:
    """What `--json` prints of a run."""
    state = run.state
    return {
        "run": str(run.path),
        "recipe": run.recipe.name,
        "data": run.data_name,
        "parameters": run.parameters,
        "epochs": state.epoch,
        "steps": state.step,
        "seconds": round(state.seconds, 3),
        "metrics": run.metrics().last(),
    }

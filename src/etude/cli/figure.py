"""`etude figure`."""

import contextlib
import sys
from pathlib import Path
from typing import Literal

import tyro

from etude.errors import UsageError


def figure(
    run: tyro.conf.Positional[str],
    name: tyro.conf.Positional[str | None] = None,
    *,
    all: bool = False,
    label: str | None = None,
    text: tyro.conf.UseAppendAction[list[str]] = [],  # noqa: B006 (tyro shows the default)
    by: Literal["gradient", "occlusion"] | None = None,
    runs_dir: Path | None = None,
    data: str | None = None,
    data_dir: Path | None = None,
    trust: bool = False,
) -> None:
    """Draw a figure of a run, as PNG and SVG.

    Without a name it lists the figures that fit the run.

    Args:
        run: The run's name or folder.
        name: The figure: losses, boundaries, points, samples, evolution, denoising, copies, confusion,
            per-class-accuracy, reliability, words, alignment, lengths, memory, latent-plane, latent-scatter,
            reconstructions, interpolation or styles.
        all: Draw every figure that fits the run, except copies and memory.
        label: Draw only this class, by name or index (samples, denoising and latent figures of a cvae or flow).
        text: For words: your own sentences in place of test sentences. May be repeated.
        by: For words: how to find what moved a decision: gradient times input, or occlusion, the change when <unk>
            takes a word's place. Default: gradient.
        runs_dir: Where runs are kept.
        data: Where the run's data is now, such as folder:PATH, if it has moved. The images must be the same.
        data_dir: Where to look for data first. For a run on a folder: where that folder is now.
        trust: Run the code kept in the run, although the run was made elsewhere. Read that code first.
    """
    from etude.figures.catalogue import FIGURES, available, draw, draw_all
    from etude.runs import load

    loaded = load(run, runs_dir=runs_dir, data=data, trust=trust)
    if all and (name or label is not None or text or by):
        raise UsageError("--all draws every figure: leave the figure's name and its flags out, or leave --all out.")
    if name or all:
        with contextlib.redirect_stdout(sys.stderr):  # what the networks' own code prints is not a result
            if name:
                paths = draw(loaded, name, label=label, texts=text, by=by, data_dir=data_dir)
            else:
                paths = draw_all(loaded, data_dir=data_dir)
    else:
        print("\n".join(f"{name:<20}{FIGURES[name].about}" for name in available(loaded)))
        return
    print("\n".join(map(str, paths)))

"""`etude figure`."""

import contextlib
import sys
from pathlib import Path

import tyro

from etude.errors import UsageError


def figure(
    run: tyro.conf.Positional[str],
    name: tyro.conf.Positional[str | None] = None,
    *,
    all: bool = False,
    label: str | None = None,
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
            per-class-accuracy, reliability, alignment, lengths, latent-plane, latent-scatter, reconstructions,
            interpolation or styles.
        all: Draw every figure that fits the run, except copies.
        label: Draw only this class, by name or index (samples, denoising and latent figures of a cvae or flow).
        runs_dir: Where runs are kept.
        data: Where the run's data is now, such as folder:PATH, if it has moved. The images must be the same.
        data_dir: Where to look for data first. For a run on a folder: where that folder is now.
        trust: Run the code kept in the run, although the run was made elsewhere. Read that code first.
    """
    from etude.report.figures import FIGURES, available, draw, draw_all
    from etude.runs import load

    loaded = load(run, runs_dir=runs_dir, data=data, trust=trust)
    if all and (name or label is not None):
        raise UsageError("--all draws every figure: leave the figure's name and --label out, or leave --all out.")
    if all or name:
        with contextlib.redirect_stdout(sys.stderr):  # what the networks' own code prints is not a result
            paths = draw(loaded, name, label=label, data_dir=data_dir) if name else draw_all(loaded, data_dir=data_dir)
    else:
        print("\n".join(f"{name:<20}{FIGURES[name].about}" for name in available(loaded)))
        return
    print("\n".join(map(str, paths)))

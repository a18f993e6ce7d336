"""`etude export`."""

import contextlib
import sys
from pathlib import Path
from typing import Literal

import tyro


def export(
    run: tyro.conf.Positional[str],
    *,
    to: Literal["html", "onnx", "safetensors", "tensorboard"],
    out: Path | None = None,
    checkpoint: str = "last",
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
    trust: bool = False,
) -> None:
    """Export a run: a page that computes its network, ONNX, safetensors or TensorBoard files.

    html is one file that works without a server and without a network: the latent plane of a VAE, samples of a GAN, a
    sheet to draw on for a classifier. onnx is a file per network, checked with onnxruntime. safetensors is a folder
    with weights, configuration and a model card. tensorboard are event files. The names of the files are printed.

    Args:
        run: The run's name or folder.
        to: The format.
        out: FILE.html for html, a folder for the others. Default: in the folder exports of the run.
        checkpoint: Which weights: last, best (by the validation split), or the step of a kept checkpoint.
        runs_dir: Where runs are kept.
        data_dir: Where to look for data first. A page of a classifier looks at the training images.
        trust: Run the code kept in the run, although the run was made elsewhere. Read that code first.
    """
    from etude import exports
    from etude.runs import load

    which = int(checkpoint) if checkpoint.isdecimal() and len(checkpoint) < 20 else checkpoint
    loaded = load(run, runs_dir=runs_dir, checkpoint=which, trust=trust)
    with contextlib.redirect_stdout(sys.stderr):  # what the networks' own code prints is not a result
        paths = exports.export(loaded, to=to, path=out, data_dir=data_dir)
    print("\n".join(map(str, paths)))

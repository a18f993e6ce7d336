"""From a run and a format to files."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from etude.errors import UsageError, unknown
from etude.files import make_folder, write_atomically
from etude.runs import Run, load

Format = Literal["html", "onnx", "safetensors", "tensorboard"]
FORMATS: tuple[Format, ...] = get_args(Format)


def export(
    run: Run | str | Path,
    *,
    to: Format,
    path: str | Path | None = None,
    data_dir: str | Path | None = None,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> list[Path]:
    """Export a run, given as an object, by name or by folder, and return the files.

    `to` is "html", a page that computes the network in a browser; "onnx", a file per network; "safetensors", a folder
    for the Hugging Face Hub; or "tensorboard", event files. `path` is a file that ends in .html, or a folder for the
    others. Default: in the folder `exports` of the run. A page of a classifier looks at the training images, which
    `data_dir` helps to find. `say` is told what a person should know. Raises `UsageError` if the run has nothing to
    export in that form.
    """
    run = run if isinstance(run, Run) else load(run)
    if to not in FORMATS:
        raise unknown("format", str(to), FORMATS)
    target = Path(path) if path else run.path / "exports" / (f"{run.name}.html" if to == "html" else to)
    match to:
        case "html":
            return [_write_page(run, target, Path(data_dir) if data_dir else None, say)]
        case "onnx":
            from etude.exports.onnx import write_onnx

            return write_onnx(run, target)
        case "safetensors":
            from etude.exports.weights import write_weights

            return write_weights(run, target)
        case "tensorboard":
            from etude.exports.tensorboard import write_event_files

            return write_event_files(run, target)


def _write_page(run: Run, path: Path, data_dir: Path | None, say: Callable[[str], None]) -> Path:
    if path.suffix.lower() != ".html":
        raise UsageError(f"--out {path} (allowed: a name that ends in .html).")
    from etude.exports.page import page_of

    page = page_of(run, data_dir=data_dir)
    for note in page.notes:
        say(f"note: {note}")
    target = make_folder(path.parent) / path.name
    write_atomically(target, page.text)
    return target

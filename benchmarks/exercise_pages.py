"""Run every command of docs/exercises in its order, write what it prints below it, and copy the pictures it draws.

    python benchmarks/exercise_pages.py [PAGE …]
    python benchmarks/exercise_pages.py --keep-studies      # studies that have an output keep it

Pages run in a folder of their own, where docs/examples lies. Runs of studies are kept there between calls.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("classifier", "summary", "gans", "vaes")
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"\.\./images/exercises/(\S+)\.png")
WIDTH, COLOURS = 800, 64
"""Of a picture in docs/images: enough for figures, at a fraction of the size."""


def parts(block: str) -> list[tuple[str, str]]:
    """The commands of a block, each with what it prints."""
    found = [part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(command, output.strip("\n")) for command, _, output in found]


def printed(command: str, folder: Path) -> str:
    """What a command prints, on stdout or, if it fails, on stderr."""
    started = time.perf_counter()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": path, "ETUDE_RUNS": "runs", "COLUMNS": "100"},
    )  # fmt: skip
    print(f"{time.perf_counter() - started:6.1f} s  {command}", flush=True)
    return "\n".join(line.rstrip() for line in (done.stdout or done.stderr).strip().splitlines())


def filled(page: str, folder: Path, *, keep_studies: bool) -> str:
    """The page with the output of every command."""

    def block(match: re.Match[str]) -> str:
        texts = []
        for command, before in parts(match[1]):
            kept = before if keep_studies and command.startswith("etude study ") else ""
            texts.append(f"$ {command}\n{kept or printed(command, folder)}\n")
        return "```console\n" + "\n".join(texts) + "```"

    return BLOCK.sub(block, page)


def small(file: Path | BytesIO, width: int, colours: int) -> Image.Image:
    """A picture of at most this width, with at most this number of colours."""
    with Image.open(file) as picture:
        found = picture.convert("RGB")
    found.thumbnail((width, 10 * width), Image.Resampling.LANCZOS)
    return found.quantize(colours)


def copy_pictures(page: str, folder: Path) -> None:
    """The pictures that a page shows: NAME.png of the folder, or RUN-FIGURE.png of a run's figures."""
    target = DOCS / "images" / "exercises"
    target.mkdir(exist_ok=True)
    for name in PICTURE.findall(page):
        run, _, figure = name.partition("-")
        drawn = folder / f"{name}.png" if not figure else folder / "runs" / run / "figures" / f"{figure}.png"
        small(drawn, WIDTH, COLOURS).save(target / f"{name}.png", optimize=True)


def main() -> None:
    """Fill the pages that are named, or all."""
    flags = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    flags.add_argument("pages", nargs="*", choices=PAGES)
    flags.add_argument("--keep-studies", action="store_true", help="studies that have an output keep it")
    given = flags.parse_args()
    folder = Path(tempfile.gettempdir()) / "etude-exercises"
    shutil.copytree(DOCS / "examples", folder, dirs_exist_ok=True)
    for name in given.pages or PAGES:
        path = DOCS / "exercises" / f"{name}.md"
        for run in re.findall(r"--name (\w+)", path.read_text("utf-8")):
            shutil.rmtree(folder / "runs" / run, ignore_errors=True)
        page = filled(path.read_text("utf-8"), folder, keep_studies=given.keep_studies)
        path.write_text(page, "utf-8")
        copy_pictures(page, folder)


if __name__ == "__main__":
    main()

"""Run every command of docs/exercises in its order and write what it prints below it.

    python benchmarks/exercise_pages.py [PAGE …]

Pages run in a folder of their own, where docs/examples lies. Results of studies are kept there between calls.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    """The commands of a block, without what they print."""
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


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


def filled(page: str, folder: Path) -> str:
    """The page with the output of every command."""

    def block(match: re.Match[str]) -> str:
        parts = "\n".join(f"$ {command}\n{printed(command, folder)}\n" for command in commands(match[1]))
        return f"```console\n{parts}```"

    return BLOCK.sub(block, page)


def main() -> None:
    """Fill the pages that are named, or all."""
    folder = Path(tempfile.gettempdir()) / "etude-exercises"
    shutil.copytree(DOCS / "examples", folder, dirs_exist_ok=True)
    for name in sys.argv[1:] or ["classifier", "summary", "gans", "vaes"]:
        page = DOCS / "exercises" / f"{name}.md"
        for run in ("lenet", "gan", "lsgan", "dcgan", "vae", "cvae"):
            shutil.rmtree(folder / "runs" / run, ignore_errors=True)
        page.write_text(filled(page.read_text("utf-8"), folder), "utf-8")


if __name__ == "__main__":
    main()

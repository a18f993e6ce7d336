"""A run that is stopped and resumed ends bit for bit where an uninterrupted one ends."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import etude
from etude.errors import Interrupted
from etude.recipes import Optimizer
from etude.runs import Run
from etude.runs.checkpoint import list_steps
from etude.training import Display

SHORT: dict[str, dict[str, Any]] = {
    "lenet": {"epochs": 2, "batch_size": 50, "report_every": 10, "optimizer": None},
    "cifar-fast": {"epochs": 3, "batch_size": 100, "report_every": 5, "width": 4},
    "gan": {"epochs": 3, "report_every": 7},
    "dcgan": {"epochs": 2, "report_every": 3, "train_images": 400},
    "wgan-gp": {"epochs": 2, "report_every": 1, "batch_size": 64},
    "vae": {"epochs": 2, "report_every": 20, "binarize": "dynamic"},
    "cvae": {"epochs": 2, "report_every": 20, "validation_images": 100},
    "translate-luong": {"attention": "none"},
    "translate-gru": {"teacher_forcing": 0.5},
    "translate-transformer": {"layers": 1, "optimizer": Optimizer(name="adam", learning_rate=1e-3, average=0.99)},
}
TRANSLATES = {
    "data": "clauses", "width": 8, "train_images": 100, "validation_images": 20, "beam": 1, "batch_size": 16,
    "epochs": 2, "report_every": 2,
}  # fmt: skip

# Without the instructions for it, products in bf16 take fifty times as long; two threads wait for each other at each.
FEW_IMAGES = {
    "lenet": {"train_images": 300, "report_every": 4},
    "gan": {"batch_size": 16, "train_images": 64},
    "dcgan": {"batch_size": 16, "train_images": 64},
    "vae": {"train_images": 320, "report_every": 4},
    "cifar-fast": {"batch_size": 20, "train_images": 120, "report_every": 2},
}


class StopAfter(Display):
    """Asks for a stop, as Ctrl-C does, after the given steps."""

    def __init__(self, *steps: int, number: signal.Signals = signal.SIGINT) -> None:
        super().__init__(quiet=True)
        self.steps, self.number = steps, number

    def step(self, step: int, losses: object) -> None:
        if step in self.steps:
            signal.raise_signal(self.number)


def train(recipe: str, folder: Path, display: Display | None = None, **changes: Any) -> Run:
    few = FEW_IMAGES.get(recipe, {}) if changes.keys() & {"precision", "threads", "compile"} else {}
    sentences = TRANSLATES if recipe.startswith("translate") else {}
    usual = {"data": "digits", "threads": 1, "precision": "fp32"}
    changes = {**usual, **sentences, **SHORT[recipe], **few, **changes}
    changes = {key: value for key, value in changes.items() if value is not None}
    return etude.train(recipe, name="run", runs_dir=folder, display=display or Display(quiet=True), **changes)


def contents(run: Run) -> dict[str, bytes]:
    """Every file of a run that must come out the same, by name."""
    last = run.path / "checkpoints" / f"step-{list_steps(run.path / 'checkpoints')[-1]}"
    files = [run.path / "metrics.jsonl", last / "model.safetensors", last / "trainer.safetensors"]
    files += sorted((run.path / "samples").glob("*"))
    return {file.name: file.read_bytes() for file in files}


COMPILES = (
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the compiler's own
    pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler"),
)
MODES: list[tuple[str, dict[str, Any]]] = [
    *((recipe, {}) for recipe in SHORT),
    *((recipe, {"precision": "bf16"}) for recipe in FEW_IMAGES),
    *((recipe, {"threads": 2}) for recipe in FEW_IMAGES),
    ("translate-transformer", {"tokenizer": "words"}),  # a table for each language
]
COMPILED: list[tuple[str, dict[str, Any]]] = [
    ("lenet", {}),
    ("gan", {"threads": 2}),
    ("dcgan", {"precision": "bf16", "threads": 2}),
    ("vae", {"precision": "bf16"}),
]


@pytest.mark.parametrize(("recipe", "mode"), MODES)
def test_stopped_and_resumed_equals_uninterrupted(recipe: str, mode: dict[str, Any], tmp_path: Path) -> None:
    whole = train(recipe, tmp_path / "whole", **mode)
    total = whole.state.step
    # In the first epoch, at an epoch's last step, and between two reports of a later epoch.
    for stops in {(1,), (whole.steps_per_epoch,), (2, total - 1)}:
        folder = tmp_path / "-".join(map(str, stops))
        with pytest.raises(Interrupted):
            train(recipe, folder, StopAfter(*stops), **mode)
        run = etude.load(folder / "run")
        assert run.state.status == "interrupted"
        for stop in stops[1:]:
            with pytest.raises(Interrupted):
                etude.resume(run, display=StopAfter(stop))
        resumed = etude.resume(run, display=Display(quiet=True))
        assert resumed.state.status == "finished"
        assert contents(resumed) == contents(whole), stops


@pytest.mark.parametrize(
    ("recipe", "mode"), [pytest.param(recipe, {"compile": "on", **mode}, marks=COMPILES) for recipe, mode in COMPILED]
)
def test_a_compiled_run_stopped_and_resumed_equals_an_uninterrupted_one(
    recipe: str, mode: dict[str, Any], tmp_path: Path
) -> None:
    whole = train(recipe, tmp_path / "whole", **mode)
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "stopped", StopAfter(3), **mode)
    resumed = etude.resume(etude.load(tmp_path / "stopped" / "run"), display=Display(quiet=True))
    assert resumed.configuration["execution"]["compiled"] is True
    assert contents(resumed) == contents(whole)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
@pytest.mark.parametrize("cache", ["kept", "lost"])
def test_a_compiled_run_resumed_by_another_process_equals_an_uninterrupted_one(
    cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mode = {"compile": "on", "threads": 2}
    whole = train("gan", tmp_path / "whole", **mode)
    with pytest.raises(Interrupted):
        train("gan", tmp_path / "stopped", StopAfter(3), **mode)
    run = etude.load(tmp_path / "stopped" / "run")
    if cache == "lost":  # as after a restart of the machine
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    words = ["resume", str(run.path), "--quiet", "--no-figures"]
    subprocess.run([sys.executable, "-m", "etude", *words], check=True, stdout=subprocess.DEVNULL)
    assert contents(run) == contents(whole)


@pytest.mark.parametrize(
    ("recipe", "mode"),
    [
        ("gan", {}),
        ("gan", {"threads": 2}),
        ("gan", {"precision": "bf16"}),
        *(pytest.param(recipe, {"compile": "on", **mode}, marks=COMPILES) for recipe, mode in COMPILED),
    ],
)
def test_same_seed_same_bits_and_another_seed_other_bits(recipe: str, mode: dict[str, Any], tmp_path: Path) -> None:
    first, second = (contents(train(recipe, tmp_path / name, epochs=1, **mode)) for name in "ab")
    other = contents(train(recipe, tmp_path / "c", epochs=1, seed=1, **mode))
    assert first == second
    assert first["model.safetensors"] != other["model.safetensors"]


def test_global_random_state_is_left_alone_and_does_not_matter(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = contents(train("vae", tmp_path / "a", epochs=1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert contents(train("vae", tmp_path / "b", epochs=1)) == first


def test_cosine_schedule_survives_a_stop(tmp_path: Path) -> None:
    cosine = etude.recipes.Optimizer(name="sgd", learning_rate=0.01, momentum=0.9, schedule="cosine")
    whole = train("lenet", tmp_path / "whole", optimizer=cosine)
    with pytest.raises(Interrupted):
        train("lenet", tmp_path / "stopped", StopAfter(30), optimizer=cosine)
    resumed = etude.resume(etude.load(tmp_path / "stopped" / "run"), display=Display(quiet=True))
    assert contents(resumed) == contents(whole)
    assert contents(whole)["model.safetensors"] != contents(train("lenet", tmp_path / "constant"))["model.safetensors"]


def test_sigterm_stops_as_ctrl_c_does_and_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(Interrupted) as caught:
        train("gan", tmp_path, StopAfter(3, number=signal.SIGTERM))
    total = 3 * (1350 // 128)
    assert str(caught.value) == (
        f"stopped after step 3 of {total}, all is saved: go on with `etude resume {tmp_path / 'run'}`."
    )
    assert caught.value.exit_code == 143


def test_the_last_two_checkpoints_and_the_best_are_kept(tmp_path: Path) -> None:
    run = train("lenet", tmp_path, epochs=6, optimizer=etude.recipes.Optimizer(name="adam", learning_rate=3e-3))
    steps, accuracies = run.metrics().series("validation/accuracy")
    best = int(steps[accuracies.argmax()])
    kept = list_steps(run.path / "checkpoints")
    assert kept == sorted({best, *steps[-2:].tolist()})
    assert etude.load(run.path, checkpoint="best").checkpoint_path().name == f"step-{best}"

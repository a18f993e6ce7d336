"""bf16 where it pays: chosen by a measurement, learns the same, and leaves weights and losses in float32."""

import fcntl
import json
import re
import shutil
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

import etude
from etude import recipes
from etude.compute import Compile, Compute, Execution, Precision
from etude.errors import UsageError
from etude.families.book import NAMES, family_named
from etude.families.traits import Traits
from etude.models import VAE, ConvDiscriminator, ConvGenerator, Discriminator, Generator, LeNet
from etude.runs import Run
from etude.runs.checkpoint import load_model
from etude.speed import bf16, execution
from etude.speed.execution import choose_execution
from etude.speed.kernels import kernel_of, native
from etude.training import Display
from etude.training.start import execution_of

NETWORKS = {network: family for family in map(family_named, NAMES) for network in family.networks}
"""Every network's family by the network's name."""
RECIPES = {"lenet": "running/loss", "gan": "running/discriminator_loss", "vae": "running/loss_nats"}


def traits(network: str) -> Traits:
    """What makes a network fast."""
    return NETWORKS[network].networks[network].traits


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, on a processor with bf16 instructions."""
    monkeypatch.setattr(bf16, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    return tmp_path / "bf16.json"


def measured(monkeypatch: pytest.MonkeyPatch, *gains: float) -> None:
    monkeypatch.setattr(bf16, "measure_gains", lambda: dict(zip(("matrix product", "convolution"), gains, strict=True)))


@pytest.mark.parametrize(("gains", "fast"), [((4.0, 2.0), True), ((4.0, 0.25), False), ((1.1, 3.0), False)])
def test_both_kernels_must_gain(
    gains: tuple[float, float], fast: bool, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, *gains)
    assert bf16.bf16_is_fast() is fast


def test_the_verdict_is_kept_and_a_damaged_one_made_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, 4.0, 2.0)
    assert bf16.bf16_is_fast()
    measured(monkeypatch, 0.1, 0.1)
    assert bf16.bf16_is_fast()
    (verdict,) = json.loads(cache.read_text()).values()
    assert verdict == {"fast": True, "gains": {"matrix product": 4.0, "convolution": 2.0}}
    cache.write_text("[1, 2")
    assert not bf16.bf16_is_fast()


def test_verdicts_of_other_machines_are_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write_text(json.dumps({"torch 1.0, elsewhere": {"fast": False}}))
    measured(monkeypatch, 4.0, 2.0)
    assert bf16.bf16_is_fast()
    verdicts = json.loads(cache.read_text())
    assert verdicts.pop("torch 1.0, elsewhere") == {"fast": False}
    assert [each["fast"] for each in verdicts.values()] == [True]


def test_of_runs_that_begin_together_one_measures(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, 1.0, 1.0)
    assert not bf16.bf16_is_fast()
    verdict = cache.read_text()
    cache.unlink()
    measured(monkeypatch, 4.0, 2.0)
    with ThreadPoolExecutor() as pool, cache.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as another run does that measures
        late = pool.submit(bf16.bf16_is_fast)
        with pytest.raises(TimeoutError):
            late.result(timeout=0.2)
        cache.write_text(verdict)
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert late.result(timeout=60) is False


def test_without_the_instructions_nothing_is_measured(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    monkeypatch.setattr(bf16, "measure_gains", lambda: pytest.fail("measured"))
    assert not bf16.bf16_is_fast()


def test_gains_are_positive_ratios() -> None:
    assert all(gain > 0 for gain in bf16.measure_gains().values())


def test_auto(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, 4.0, 2.0)

    def chosen(network: str, precision: Precision = "auto") -> str:
        compute = Compute(device="cpu", precision=precision)
        return choose_execution(compute, traits(network), num_steps=10, examples_per_step=128).precision

    slower = ("lenet", "mlp")
    assert {network for network in NETWORKS if chosen(network) == "fp32"} == set(slower)
    assert {chosen(network) for network in NETWORKS if network not in slower} == {"bf16"}
    assert chosen("gan", "fp32") == "fp32"
    assert chosen("lenet", "bf16") == "bf16"


def test_a_small_step_takes_one_thread() -> None:
    def threads(network: str, examples_per_step: int, asked: int | None = None) -> int:
        compute = Compute(device="cpu", threads=asked, precision="fp32")
        return choose_execution(compute, traits(network), num_steps=10, examples_per_step=examples_per_step).threads

    every = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert (threads("lenet", 4), threads("lenet", 5), threads("gan", 4)) == (1, 2, 2)
        assert threads("lenet", 4, asked=2) == 2
    finally:
        torch.set_num_threads(every)


def test_what_was_chosen_is_said() -> None:
    assert str(Execution(device="cpu", threads=1, precision="bf16", compiled=False)) == "cpu, 1 thread, bf16"
    assert str(Execution(device="cuda", threads=2, precision="fp32", compiled=True)) == (
        "cuda, fp32, compiled, a step as one CUDA graph"
    )


@pytest.mark.parametrize(
    ("name", "num_images", "change", "expected"),
    [
        ("gan", 50_000, {}, True),
        ("lsgan", 50_000, {}, True),
        ("dcgan", 50_000, {}, True),
        ("wgan-gp", 50_000, {}, False),
        ("vae", 60_000, {}, True),
        ("cvae", 60_000, {}, True),
        ("lenet", 45_000, {}, True),
        ("lenet", 45_000, {"batch_size": 16}, False),
        ("lenet", 45_000, {"batch_size": 16, "epochs": 20}, True),
        ("cifar-fast", 50_000, {}, False),
    ],
)
def test_which_of_the_courses_runs_are_compiled(
    name: str, num_images: int, change: dict[str, Any], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "missing_for_compiling", lambda traits, device: None)
    recipe = recipes.change(recipes.get(name), **change)
    steps = recipe.epochs * (num_images // recipe.examples_per_step)
    assert execution_of(recipe, Compute(device="cpu"), num_steps=steps).compiled == expected


def test_the_networks_with_kernels_are_those_named() -> None:
    networks = {
        "lenet": [LeNet((1, 28, 28), 10)],
        "gan": [Discriminator((1, 28, 28)), Generator(96, (1, 28, 28))],
        "dcgan": [ConvDiscriminator((1, 28, 28)), ConvGenerator(96, (1, 28, 28))],
        "vae": [VAE((1, 28, 28), 2)],
        "cvae": [VAE((1, 28, 28), 2, 10)],
    }
    have = {
        name
        for name, each in networks.items()
        if any(kernel_of(layer, torch.float32, compiled=True) for network in each for layer in network.modules())
    }
    assert have == {name for name in NETWORKS if traits(name).own_layers}


def test_compiling_is_for_long_runs_of_small_networks_where_there_is_a_compiler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def compiled(network: str, num_steps: int, compile: Compile = "auto", **more: Any) -> bool:
        compute = Compute(device="cpu", precision="fp32", compile=compile)
        chosen = choose_execution(compute, traits(network), num_steps=num_steps, examples_per_step=4, **more)
        return chosen.compiled

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(native, "load", lambda: None)
    assert [compiled("lenet", steps) for steps in (11_999, 12_000)] == [False, True]
    assert [compiled(network, 18_750) for network in ("vae", "cvae", "gan", "cifar-fast")] == [True, True, True, False]
    assert [compiled("dcgan", 1_950, differentiates_twice=penalised) for penalised in (False, True)] == [True, False]
    assert compiled("gan", 1, compile="on")
    assert not compiled("lenet", 56_000, compile="off")

    def fail() -> None:
        raise OSError("g++ could not compile plain.cpp: unknown option")

    with monkeypatch.context() as patch:
        patch.setattr(native, "load", fail)
        assert not compiled("lenet", 56_000)
        assert compiled("gan", 56_000)  # takes none of them
        with pytest.raises(UsageError, match=r"needs a C\+\+ compiler that étude's layers pass \(g\+\+ could not"):
            compiled("lenet", 56_000, compile="on")
    (tmp_path / "Python.h").unlink()
    assert not compiled("lenet", 56_000)
    with pytest.raises(UsageError, match=r"^--compile on needs the header Python\.h .*, not found here"):
        compiled("lenet", 56_000, compile="on")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert not compiled("lenet", 56_000)
    with pytest.raises(UsageError, match=r"needs the C\+\+ compiler g\+\+, not found here: install it"):
        compiled("lenet", 56_000, compile="on")


def test_an_unknown_precision() -> None:
    text = "unknown precision 'fp16': did you mean 'bf16'? Choose from auto, bf16, fp32."
    with pytest.raises(UsageError, match=re.escape(text)):
        choose_execution(
            Compute(precision="fp16"),  # pyright: ignore[reportArgumentType]
            traits("gan"),
            num_steps=10,
            examples_per_step=128,
        )


@pytest.mark.parametrize("recipe", RECIPES)
def test_bf16_learns_what_float32_learns(recipe: str, tmp_path: Path) -> None:
    runs = {precision: train(recipe, tmp_path / precision, precision=precision) for precision in ("fp32", "bf16")}
    curves = {name: [event.get(RECIPES[recipe]) for event in events(run)] for name, run in runs.items()}
    pairs = [(a, b) for a, b in zip(*curves.values(), strict=True) if a is not None and b is not None]
    first, second = pairs[0]  # later ones drift apart, as in any two roundings of a GAN
    assert first == pytest.approx(second, rel=0.03)
    assert first != second  # another arithmetic was used
    for run in runs.values():
        model = load_model(run.path / "checkpoints" / "step-20")
        assert {tensor.dtype for tensor in model.values()} <= {torch.float32, torch.int64}


def train(recipe: str, folder: Path, **how: Any) -> Run:
    quiet = Display(quiet=True)
    return etude.train(
        recipe, data="digits", train_images=640, batch_size=32, epochs=1, report_every=10, runs_dir=folder,
        threads=1, display=quiet, **how,
    )  # fmt: skip


def events(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]

"""Networks as people write them, in tests/networks, train unchanged, resume exactly and are sampled and measured."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import etude
from etude.data import Dataset, Images, Split
from etude.errors import Interrupted
from etude.runs import Run
from etude.training import Display
from training.test_resume import StopAfter, contents

NETWORKS = Path(__file__).parents[1] / "networks"
pytestmark = [
    pytest.mark.filterwarnings("ignore:Lazy modules"),
    pytest.mark.filterwarnings("ignore:.*spectral_norm"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def pictures(side: int, channels: int) -> Dataset:
    """Made-up images of 10 classes: 40 to train on, 20 to test on."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (60, channels, side, side), dtype=torch.uint8, generator=generator)
    labels = torch.arange(60) % 10
    return Dataset(
        name="made-up",
        kind=Images(shape=(channels, side, side), class_names=tuple(map(str, range(10)))),
        train=Split(images=images[:40], labels=labels[:40]),
        test=Split(images=images[40:], labels=labels[40:]),
        licence="none",
        source="made up",
    )


def spec(name: str) -> str:
    return f"{NETWORKS}/{name}"


GREY, COLOUR = (28, 1), (32, 3)
CASES: dict[str, tuple[str, tuple[int, int], dict[str, Any], dict[str, int] | None]] = {
    "resnet": ("classifier", COLOUR, {"network": spec("resnet.py:ResNet18(width=4)")}, None),
    "resnet-18": ("classifier", COLOUR, {"network": spec("resnet.py:ResNet18"), "epochs": 1}, {"ResNet18": 11_173_962}),
    "vgg": ("classifier", COLOUR, {"network": spec("vgg.py:vgg11_bn(num_classes=10, divide=16)")}, None),
    "mobilenet": ("classifier", COLOUR, {"network": spec("mobilenet.py:MobileNetV2(width_mult=0.25)")}, None),
    "vit": ("classifier", GREY, {"network": spec("vit.py:ViT")}, None),
    "tied": ("classifier", GREY, {"network": spec("tied.py:Tied")}, {"Tied": 785 * 24 + 25 * 24 + 250}),
    "mixer": ("classifier", GREY, {"network": spec("mixer.py:MLPMixer")}, None),
    "blitz": ("lenet", COLOUR, {"network": spec("blitz.py:Net")}, {"Net": 62_006}),
    "ready": ("classifier", COLOUR, {"network": spec("blitz.py:net")}, {"net": 62_006}),
    "unet": ("vae", GREY, {"network": spec("unet_vae.py:UNetVAE"), "latent_dim": 3}, None),
    "spectral": ("gan", GREY, {"discriminator": spec("spectral.py:Discriminator")}, None),
    "parametrized": ("dcgan", GREY, {"discriminator": spec("spectral.py:Parametrized")}, None),
    "dcgan": (
        "gan", GREY, {"generator": spec("dcgan.py:Generator"), "discriminator": spec("dcgan.py:Discriminator")}, None,
    ),
    "conditional": (
        "wgan-gp", GREY,
        {"generator": spec("conditional.py:Generator"), "discriminator": spec("conditional.py:Discriminator")}, None,
    ),
}  # fmt: skip


def train(name: str, folder: Path, display: Display | None = None, **changes: Any) -> Run:
    recipe, (side, channels), given, _ = CASES[name]
    few = {"epochs": 2, "batch_size": 10, "report_every": 2, "validation_images": 0}
    few |= {"discriminator_steps": 2} if recipe == "wgan-gp" else {}
    return etude.train(
        recipe,
        **{**few, **given, **changes},
        data=pictures(side, channels),
        name="run",
        runs_dir=folder,
        threads=1,
        precision="fp32",
        display=display or Display(quiet=True),
    )


@pytest.mark.parametrize("name", CASES)
def test_it_trains_resumes_and_is_used(name: str, tmp_path: Path) -> None:
    recipe, (side, channels), _, parameters = CASES[name]
    whole = train(name, tmp_path / "whole")
    if parameters:
        assert whole.parameters == parameters
    assert sum(whole.parameters.values()) == sum(
        p.numel() for network in whole.networks.values() for p in network.parameters()
    )
    with pytest.raises(Interrupted):
        train(name, tmp_path / "stopped", StopAfter(3))
    stopped = etude.load(tmp_path / "stopped" / "run")
    etude.resume(stopped, data=pictures(side, channels), display=Display(quiet=True))
    assert contents(etude.load(stopped.path)) == contents(whole)

    images = torch.rand(3, channels, side, side, generator=torch.Generator().manual_seed(1))
    if recipe in ("classifier", "lenet"):
        probabilities = whole.classify(images)
        torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(3))
    else:
        sample = whole.sample(5, seed=1)
        assert sample.shape == (5, channels, side, side)
        assert torch.equal(sample, whole.sample(5, seed=1))
        assert 0 <= sample.min() <= sample.max() <= 1
    if recipe == "vae":
        assert whole.encode(images).shape == (3, 3)
    assert whole.conditional == (name == "conditional")


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    one, other = (train("vit", tmp_path / str(seed), seed=seed, epochs=1) for seed in (0, 1))
    assert contents(one) != contents(other)


def test_a_conditional_gan_draws_the_labels_it_is_given(tmp_path: Path) -> None:
    run = train("conditional", tmp_path, epochs=1)
    zeros, ones = (run.sample(4, seed=0, labels=label) for label in (0, 1))
    assert not torch.equal(zeros, ones)
    assert torch.equal(run.sample(4, seed=0)[1], ones[1])  # without labels each class in turn


def test_the_copy_is_trained_whatever_becomes_of_the_file(tmp_path: Path) -> None:
    file, near = tmp_path / "mixer.py", tmp_path / "mixer_blocks.py"
    for each in (file, near):
        each.write_bytes((NETWORKS / each.name).read_bytes())
    whole = train("mixer", tmp_path / "whole")
    with pytest.raises(Interrupted):
        train("mixer", tmp_path / "stopped", StopAfter(3), network=f"{file}:MLPMixer")
    file.write_text("raise RuntimeError('edited')\n")
    near.unlink()
    path = tmp_path / "stopped" / "run"
    assert sorted(each.name for each in (path / "code").iterdir()) == ["mixer.py", "mixer_blocks.py"]
    recorded = json.loads((path / "recipe.json").read_text())
    assert recorded["recipe"]["network"] == "code/mixer.py:MLPMixer"
    assert [entry["file"] for entry in recorded["code"]] == ["mixer.py", "mixer_blocks.py"]
    moved = path.rename(tmp_path / "moved")
    etude.resume(moved, data=pictures(28, 1), display=Display(quiet=True))
    assert contents(etude.load(moved)) == contents(whole)

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from etude import recipes
from etude.data import Dataset, Images, Split
from etude.drawing.tiles import tile, write_png
from etude.errors import DataError, DiskError, RunError, UsageError
from etude.families.variational.recipe import Variational
from etude.figures import latents, learning
from etude.figures.catalogue import FIGURES, available, draw, draw_all
from etude.figures.material import Material
from etude.models import VAE
from etude.runs import Run, create_run
from etude.runs.splits import make_splits
from etude.training.learners import build_networks
from made_up import configuration

STEPS = 40
LOSSES = {"classifier": ["loss"], "diffusion": ["loss"], "adversarial": ["discriminator_loss", "generator_loss"]}
VAE_FIGURES = [
    "losses",
    "samples",
    "evolution",
    "copies",
    "latent-plane",
    "latent-scatter",
    "reconstructions",
    "interpolation",
]


def make_run(
    folder: Path,
    recipe: recipes.Recipe,
    *,
    shape: tuple[int, int, int] = (1, 28, 28),
    names: tuple[str, ...] = tuple("0123456789"),
) -> Run:
    """A run as training leaves it, but with the networks' initial weights, and losses of its own."""
    made_up = configuration(image_shape=shape, class_names=names, images=STEPS * recipe.examples_per_step)
    run = create_run(recipe, name=None, runs_dir=folder, configuration=made_up)
    keys = LOSSES.get(recipe.family, ["loss_nats", "reconstruction_nats", "kl_nats"])
    splits = ("running", "train") if recipe.family == "adversarial" else ("running", "train", "validation", "test")
    with (run.path / "metrics.jsonl").open("w") as file:
        for number in range(1, 4):
            values = {f"{split}/{key}": 1 / number for split in splits for key in keys}
            file.write(json.dumps({"event": number - 1, "step": number * STEPS, "epoch": number, **values}) + "\n")
    if recipe.family != "classifier":
        for step in (0, STEPS):
            images = np.full((64, *shape), step / STEPS)
            write_png(run.path / "samples" / f"step-{step:06d}.png", tile(images, columns=8))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = build_networks(recipe, Images(shape=shape, class_names=names))
    run.__dict__["networks"] = {name: network.eval() for name, network in networks.items()}
    return run


def digits(name: str, **changes: object) -> recipes.Recipe:
    return replace(recipes.get(name), data="digits", **changes)  # type: ignore[arg-type]


def colour_data(num_classes: int = 3, num_images: int = 60) -> Dataset:
    """Coloured images sorted by class, as a folder gives them."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (num_images, 3, 32, 32), generator=random, dtype=torch.uint8)
    split = Split(images=images, labels=(torch.arange(num_images) * num_classes // num_images))
    names = tuple(f"class {index}" for index in range(num_classes))
    return Dataset(
        name="colours",
        kind=Images(shape=(3, 32, 32), class_names=names),
        train=split,
        test=split,
        licence="",
        source="",
    )


FITTING = {
    "lenet": ["losses", "confusion", "per-class-accuracy", "reliability"],
    "gan": ["losses", "samples", "evolution", "copies"],
    "dcgan": ["losses", "samples", "evolution", "copies"],
    "ddpm": ["losses", "samples", "evolution", "denoising", "copies"],
    "vae": VAE_FIGURES,
    "cvae": [*VAE_FIGURES, "styles"],
}


@pytest.mark.parametrize(("name", "expected"), FITTING.items())
def test_figures_that_fit(tmp_path: Path, name: str, expected: list[str]) -> None:
    assert available(make_run(tmp_path, digits(name))) == expected


@pytest.mark.parametrize("name", ["lenet", "gan", "ddpm", "cvae"])
def test_every_figure_that_fits_is_drawn(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path, digits(name))
    expected = [each for each in FITTING[name] if each != "copies"]
    if name == "cvae":
        expected += [f"latent-{kind}-label-{label}" for label in (4, 8) for kind in ("plane", "scatter")]
    paths = draw_all(run)
    assert [path.name for path in paths] == [f"{each}.{format}" for each in expected for format in ("png", "svg")]
    assert sorted(path.name for path in (run.path / "figures").iterdir()) == sorted(path.name for path in paths)
    for path in paths:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert max(image.size) < 1800
                image.load()
        else:
            ElementTree.parse(path)
            assert path.stat().st_size < 4_000_000


@pytest.mark.parametrize("name", ["lenet", "dcgan", "cvae"])
def test_colour_images_of_a_few_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    dataset = colour_data()
    run = make_run(tmp_path, digits(name), shape=(3, 32, 32), names=dataset.class_names)
    monkeypatch.setattr(Run, "dataset", lambda *_: dataset)
    names = [path.name for path in draw_all(run, formats=("png",))]
    labelled = [f"latent-{kind}-label-{label}.png" for label in (0, 2) for kind in ("plane", "scatter")]
    assert names == [f"{each}.png" for each in available(run) if each != "copies"] + (
        labelled if name == "cvae" else []
    )


def test_the_nearest_pairs_are_a_new_image_above_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, digits("gan"))
    training = make_splits(run.recipe, run.dataset()).train.images.float() / 255
    shown: list[np.ndarray] = []
    monkeypatch.setattr(Run, "sample", lambda self, num: torch.cat([torch.rand(30, 1, 28, 28), training[:12]]))
    monkeypatch.setattr(learning, "pairs", lambda upper, lower, **words: (shown.extend((upper, lower)), words)[1])
    words: Any = learning.copies(Material(run, data_dir=None))
    np.testing.assert_allclose(shown[0], shown[1], atol=1e-6)
    assert len(shown[0]) == 12
    assert words["column_labels"] == ["0.00"] * 12
    monkeypatch.undo()
    assert draw(run, "copies", formats=("png",)) == [run.path / "figures" / "copies.png"]


def test_one_class_and_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = colour_data(num_classes=1, num_images=1)
    monkeypatch.setattr(Run, "dataset", lambda *_: dataset)
    for name in ("lenet", "cvae"):
        run = make_run(tmp_path, digits(name), shape=(3, 32, 32), names=("only",))
        draw_all(run, formats=("png",))


def test_the_class_is_given_by_name_or_index(tmp_path: Path) -> None:
    dataset_names = ("T-shirt/top", "Trouser", *"23456789")
    run = make_run(tmp_path, digits("cvae"), names=dataset_names)
    figures = run.path / "figures"
    assert draw(run, "samples", label="Trouser", formats=("png",)) == [figures / "samples-label-Trouser.png"]
    assert draw(run, "samples", label=1, formats=("png",)) == [figures / "samples-label-Trouser.png"]
    assert draw(run, "samples", label="0", formats=("svg",)) == [figures / "samples-label-0.svg"]  # no / in a file name


# What the figures hold -----------------------------------------------------------------------------------------------


def test_plane_decodes_the_latents_that_its_axes_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, digits("vae", latent_dim=3))
    seen = []

    def decode(z: torch.Tensor, labels: None) -> torch.Tensor:
        seen.append(z)
        return torch.zeros(len(z), 1, 28, 28)

    monkeypatch.setattr(run, "decode", decode)
    figure = latents.plane(Material(run, data_dir=None))
    z = seen[0].reshape(31, 31, 3)
    torch.testing.assert_close(z[0, -1], torch.tensor([2.0, -2.0, 0.0]))
    torch.testing.assert_close(z[-1, 0], torch.tensor([-2.0, 2.0, 0.0]))
    assert figure.axes[0].get_title("left") == f"Decoded latent plane, latent 3 at 0 · {run.name}"


def test_scatter_takes_the_two_latents_that_vary_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, digits("vae", latent_dim=4))
    scales = torch.tensor([0.1, 3.0, 0.2, 2.0])

    def encode(images: torch.Tensor, labels: None) -> torch.Tensor:
        return torch.randn(len(images), 4, generator=torch.Generator().manual_seed(0)) * scales

    monkeypatch.setattr(run, "encode", encode)
    (axes,) = latents.scatter(Material(run, data_dir=None)).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("latent 2", "latent 4 (these two vary most)")
    offsets = np.asarray(axes.collections[0].get_offsets())
    np.testing.assert_allclose(offsets.std(axis=0), [3, 2], rtol=0.1)
    assert len(offsets) == 1500


def test_scatter_of_a_class_holds_only_its_images(tmp_path: Path) -> None:
    run = make_run(tmp_path, digits("cvae"))
    (axes,) = latents.scatter(Material(run, data_dir=None, label=4)).axes
    num_fours = int((run.dataset().train.labels == 4).sum())
    assert len(np.asarray(axes.collections[0].get_offsets())) == num_fours
    assert axes.get_title("left") == f"Latent means of {num_fours} training images, class 4 · {run.name}"


@pytest.mark.parametrize(
    ("name", "draws", "num_originals"), [("reconstruction", "reconstructions", 1), ("between", "interpolation", 2),
                                         ("styles", "style_rows", 1)]
)  # fmt: skip
@pytest.mark.parametrize("binarize", ["none", "dynamic"])
def test_originals_are_shown_as_the_network_was_given_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, draws: str, num_originals: int, binarize: str
) -> None:
    run = make_run(tmp_path, digits("cvae", binarize=binarize))
    shown: list[torch.Tensor] = []
    monkeypatch.setattr(
        latents, draws, lambda *images, **_: shown.extend([images[0], images[-1]] if num_originals == 2 else images[:1])
    )
    encoded: list[torch.Tensor] = []
    network = run.networks["cvae"]
    assert isinstance(network, VAE)
    encode = network.encode
    monkeypatch.setattr(network, "encode", lambda *given: (encoded.append(given[0]), encode(*given))[1])
    getattr(latents, name)(Material(run, data_dir=None))
    assert len(shown) == len(encoded) == num_originals
    for original, given in zip(shown, encoded, strict=True):
        assert torch.equal(original, given)
        assert bool(((original == 0) | (original == 1)).all()) == (binarize == "dynamic")


def test_confusion_counts_the_test_images(tmp_path: Path) -> None:
    run = make_run(tmp_path, digits("lenet"))
    material = Material(run, data_dir=None)
    test = material.dataset.test
    assert material.confusion.sum() == len(test) == 297
    right = (run.classify(test.images).argmax(dim=1) == test.labels).sum()
    assert np.trace(material.confusion) == right


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("gan", ["log 2 at D = ½", "log 4 at D = ½"]),
        ("lsgan", ["⅛ at D = ½", "¼ at D = ½"]),
        ("wgan-gp", []),
    ],
)
def test_gan_losses_have_their_equilibrium(tmp_path: Path, name: str, texts: list[str]) -> None:
    (axes,) = learning.losses(Material(make_run(tmp_path, digits(name)), data_dir=None)).axes
    assert [text.get_text() for text in axes.texts] == texts


def test_vae_losses_stand_at_the_steps_they_were_measured(tmp_path: Path) -> None:
    figure = learning.losses(Material(make_run(tmp_path, digits("vae")), data_dir=None))
    assert [axes.get_title("left") for axes in figure.axes] == ["Loss", "Reconstruction", "KL to the prior"]
    lines = {line.get_label(): np.asarray(line.get_xdata()) for line in figure.axes[0].lines}
    np.testing.assert_array_equal(lines["test"], [40, 80, 120])
    np.testing.assert_array_equal(lines["training"], [20, 60, 100])  # a mean over an epoch, at its middle
    assert figure.axes[0].get_ylabel() == "nats per image"


def test_the_finer_training_loss_is_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path, digits("vae", report_every=10))
    with (run.path / "metrics.jsonl").open("w") as file:
        for number, step in enumerate(range(10, 2 * STEPS + 1, 10)):
            event = {"event": number, "step": step, "epoch": 1, "running/loss_nats": float(step)}
            file.write(json.dumps(event) + "\n")
        file.write(json.dumps({"event": 8, "step": 2 * STEPS, "epoch": 2, "train/loss_nats": 0.0}) + "\n")
    (axes,) = learning.losses(Material(run, data_dir=None)).axes
    (line,) = axes.lines
    np.testing.assert_array_equal(np.asarray(line.get_xdata()), np.arange(5, 80, 10))
    assert line.get_label() == "training"


# What a person can do wrong ------------------------------------------------------------------------------------------


def test_unknown_figure(tmp_path: Path) -> None:
    run = make_run(tmp_path, digits("vae"))
    with pytest.raises(UsageError) as caught:
        draw(run, "latent-plan")
    assert str(caught.value) == (
        "unknown figure 'latent-plan': did you mean 'latent-plane'? Choose from alignment, boundaries, confusion, "
        "copies, denoising, evolution, interpolation, latent-plane, latent-scatter, lengths, losses, memory, "
        "per-class-accuracy, points, reconstructions, reliability, samples, styles, words."
    )
    assert not (run.path / "figures").exists()


@pytest.mark.parametrize(
    ("recipe", "figure", "expected"),
    [
        (
            digits("gan"),
            "confusion",
            "figure 'confusion' does not fit run gan-digits-1, a gan: choose from losses, samples, evolution, copies.",
        ),
        (
            digits("vae", latent_dim=1),
            "latent-plane",
            "figure 'latent-plane' does not fit run vae-digits-1, a vae with 1 latent: "
            "choose from losses, samples, evolution, copies, reconstructions, interpolation.",
        ),
    ],
)
def test_figure_that_does_not_fit(tmp_path: Path, recipe: recipes.Recipe, figure: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        draw(make_run(tmp_path, recipe), figure)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("recipe", "figure", "label", "expected"),
    [
        (
            "cvae",
            "latent-plane",
            "twelve",
            "unknown label 'twelve': choose from 0, 1, 2, 3, 4, 5, 6, 7, 8, 9.",
        ),
        ("cvae", "latent-plane", 10, "unknown label '10': did you mean '1'? Choose from 0, 1, 2, 3, 4, 5, 6, 7, 8, 9."),
        ("cvae", "latent-plane", -1, "unknown label '-1': did you mean '1'? Choose from 0, 1, 2, 3, 4, 5, 6, 7, 8, 9."),
        (
            "cvae",
            "losses",
            4,
            "figure 'losses' of run cvae-digits-1, a cvae, takes no label: leave --label 4 out; "
            "samples, denoising, latent-plane, latent-scatter of a conditional network, such as a cvae, take one.",
        ),
        (
            "vae",
            "samples",
            4,
            "figure 'samples' of run vae-digits-1, a vae, takes no label: leave --label 4 out; "
            "samples, denoising, latent-plane, latent-scatter of a conditional network, such as a cvae, take one.",
        ),
    ],
)
def test_wrong_label(tmp_path: Path, recipe: str, figure: str, label: int | str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        draw(make_run(tmp_path, digits(recipe)), figure, label=label)
    assert str(caught.value) == expected


def test_a_run_that_has_not_got_that_far(tmp_path: Path) -> None:
    run = make_run(tmp_path, digits("gan"))
    (run.path / "metrics.jsonl").unlink()
    for path in (run.path / "samples").iterdir():
        path.unlink()
    for name, what in (("losses", "losses"), ("evolution", "sample grids")):
        with pytest.raises(RunError) as caught:
            draw(run, name)
        assert str(caught.value) == f"run gan-digits-1 has no {what} yet: let it train through its first epoch."


@pytest.mark.parametrize("damage", [b"no picture", None])
def test_a_damaged_sample_grid(tmp_path: Path, damage: bytes | None) -> None:
    run = make_run(tmp_path, digits("gan"))
    path = run.path / "samples" / "step-000040.png"
    if damage:
        path.write_bytes(damage)
    else:
        write_png(path, np.zeros((10, 10), np.uint8))
    with pytest.raises(RunError) as caught:
        draw(run, "evolution")
    assert str(caught.value) == f"damaged sample grid {path}: delete it and draw again."


def test_missing_data_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, digits("lenet"))

    def missing(*_: object) -> Dataset:
        raise DataError("digits is missing.")

    monkeypatch.setattr(Run, "dataset", missing)
    with pytest.raises(DataError, match=r"^digits is missing\.$"):
        draw(run, "confusion")


def test_a_figures_folder_that_cannot_be_made(tmp_path: Path) -> None:
    run = make_run(tmp_path, digits("gan"))
    (run.path / "figures").write_bytes(b"")
    with pytest.raises(DiskError) as caught:
        draw(run, "losses")
    assert str(caught.value) == (
        f"cannot write {run.path / 'figures'}: file exists; free some space or choose another folder."
    )


def test_figures_say_what_they_are_in_a_line() -> None:
    for kind in FIGURES.values():
        assert "\n" not in kind.about
        assert len(kind.about) < 80
    assert isinstance(recipes.get("cvae"), Variational)

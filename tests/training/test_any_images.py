"""Every family trains on a person's own images: grey or colour, small, not as high as the course's, few classes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import etude
from etude.errors import UsageError
from etude.figures.catalogue import draw_all
from etude.training import Display

RECIPES = ("lenet", "cifar-fast", "gan", "lsgan", "dcgan", "wgan-gp", "vae", "beta-vae", "cvae")


def picture_folder(folder: Path, *, mode: str) -> str:
    """Three classes of 14 pictures of odd sizes; the data set's name."""
    generator = np.random.default_rng(0)
    for number, name in enumerate(("ant", "bee", "cat")):
        (folder / name).mkdir(parents=True)
        for index in range(14):
            shape = (40 + index, 35, 3) if mode == "RGB" else (40 + index, 35)
            pixels = generator.integers(80 * number, 80 * number + 90, size=shape).astype(np.uint8)
            Image.fromarray(pixels, mode).save(folder / name / f"{index:02}.png")
    return f"folder:{folder}"


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(("mode", "size"), [("RGB", 32), ("L", 17)])
def test_every_recipe_trains_on_a_folder(recipe: str, mode: str, size: int, tmp_path: Path) -> None:
    run = etude.train(
        recipe,
        data=picture_folder(tmp_path / "pictures", mode=mode),
        image_size=size,
        epochs=2,
        batch_size=6 if recipe == "wgan-gp" else 8,
        report_every=2,
        runs_dir=str(tmp_path / "runs"),
        threads=1,
        display=Display(quiet=True),
    )
    shape = (3 if mode == "RGB" else 1, size, size)
    assert (run.state.status, run.image_shape, run.class_names) == ("finished", shape, ("ant", "bee", "cat"))
    if recipe in ("lenet", "cifar-fast"):
        assert run.classify(run.dataset().test.images).shape == (9, 3)
    else:
        assert run.sample(5).shape == (5, *shape)
    assert draw_all(run, formats=("png",))


def test_images_too_small_for_a_network_leave_no_run_behind(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        etude.train("lenet", data=picture_folder(tmp_path / "pictures", mode="L"), image_size=15, runs_dir=tmp_path)
    assert not (tmp_path / "lenet-pictures-1").exists()

"""A run shows itself in a notebook."""

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image

import etude
from etude.recipes import RECIPES
from etude.runs import create_run
from etude.training import Display
from made_up import configuration


@pytest.mark.parametrize(("recipe", "pictures"), [("lenet", 1), ("gan", 2), ("vae", 2)])
def test_a_run_shows_curves_numbers_and_samples(recipe: str, pictures: int, tmp_path: Path) -> None:
    run = etude.train(recipe, data="digits", epochs=1, runs_dir=tmp_path, threads=1, display=Display(quiet=True))
    html = run._repr_html_()
    assert f"{recipe} on digits: finished, epoch 1 of 1" in html
    assert ">latest value</th>" in html
    embedded = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    assert len(embedded) == pictures
    for text in embedded:
        with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
            assert picture.width > 200


def test_a_run_that_has_only_begun_shows_what_it_is(tmp_path: Path) -> None:
    run = create_run(RECIPES["gan"], name=None, runs_dir=tmp_path, configuration=configuration(class_names=("<b>",)))
    assert run._repr_html_() == "<h4>gan-mnist-1</h4><p>gan on digits: interrupted, epoch 0 of 10, 0 s</p>"

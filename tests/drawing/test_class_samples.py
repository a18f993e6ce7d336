from itertools import pairwise

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from etude.drawing.class_samples import SAMPLES_PER_CLASS, class_samples
from etude.drawing.style import render
from etude.drawing.tiles import GAP_LEVEL


def picture(figure: Figure) -> np.ndarray:
    (axes,) = figure.axes
    (image,) = axes.images
    return np.asarray(image.get_array())


def test_each_row_holds_the_first_images_of_its_class() -> None:
    labels = torch.tensor([1, 0] * 12 + [1])
    images = torch.arange(25, dtype=torch.uint8).reshape(25, 1, 1, 1).expand(25, 1, 4, 6) * 10
    pixels = picture(class_samples(images, labels, ["even", "odd"]))
    assert pixels.shape == (2 * 5 + 1, SAMPLES_PER_CLASS * 7 + 1, 3)
    middles = pixels[3::5, 3::7, 0]
    assert middles[0].tolist() == [10 * index for index in range(1, 21, 2)]
    assert middles[1].tolist() == [10 * index for index in range(0, 20, 2)]
    assert (pixels[0] == GAP_LEVEL).all()
    assert (pixels[:, 0] == GAP_LEVEL).all()
    assert (pixels[5] == GAP_LEVEL).all()


def test_colours_and_short_rows() -> None:
    images = np.zeros((3, 3, 2, 2), np.uint8)
    images[:, 2] = 200  # blue
    pixels = picture(class_samples(images, np.array([0, 0, 2]), ["a", "b", "c"]))
    assert pixels.shape == (10, 7, 3)
    assert pixels[1, 1].tolist() == pixels[1, 4].tolist() == pixels[7, 1].tolist() == [0, 0, 200]
    assert (pixels[3:7] == GAP_LEVEL).all()  # a class without images
    assert (pixels[7:, 4:] == GAP_LEVEL).all()


@pytest.mark.parametrize("num_classes", [1, 10, 40])
def test_the_class_names_stand_beside_their_rows(num_classes: int) -> None:
    names = [f"a rather long class name {index}" for index in range(num_classes)]
    images = torch.zeros(num_classes, 1, 28, 28, dtype=torch.uint8)
    figure = class_samples(images, torch.arange(num_classes), names, title="things")
    (axes,) = figure.axes
    labels = axes.get_yticklabels()
    assert [label.get_text() for label in labels] == names
    assert axes.get_title(loc="left") == "things"
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in labels]
    assert all(box.x0 >= 0 for box in boxes)  # none is cut off
    assert all(upper.y0 >= lower.y1 for upper, lower in pairwise(boxes))  # none overlap
    assert render(figure, "png").startswith(b"\x89PNG")

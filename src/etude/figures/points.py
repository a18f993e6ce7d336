"""Figures of runs on points in the plane."""

import numpy as np
import torch
from matplotlib.figure import Figure

from etude.data.kinds import Table
from etude.drawing.points import MOST_POINTS, decision_regions, real_and_generated
from etude.figures.material import Material


def boundaries(material: Material) -> Figure:
    """The plane in the colours of the predicted classes, with the test points in the colours of their true classes."""
    run, test = material.run, material.dataset.test

    def classify(points: np.ndarray) -> np.ndarray:
        return run.classify(torch.from_numpy(points)).numpy()

    title = material.title("Predicted class, and test points", with_names=True)
    names = _feature_names(material)
    return decision_regions(classify, test.features, test.labels, material.class_names, names, title=title)


def generated(material: Material) -> Figure:
    """New rows over test rows, by their first two features."""
    test, names = material.dataset.test, _feature_names(material)
    new = material.run.sample(min(len(test), MOST_POINTS), labels=material.label)
    return real_and_generated(test.features, new, names, title=material.title("Generated and real points"))


def _feature_names(material: Material) -> tuple[str, ...]:
    kind = material.run.kind
    assert isinstance(kind, Table)
    return kind.feature_names

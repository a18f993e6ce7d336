import json
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from etude.data import Images, Kind, Table
from etude.data.kinds import kind_from_dict

PICTURES = Images(shape=(3, 4, 5), class_names=("cat", "dog"))
FLOWERS = Table(
    class_names=("a", "b", "c"), mean=(1.5, -0.1), scale=(0.25, 1.0), feature_names=("length", "width")
)  # fmt: skip


def test_levels_become_pixels_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    pixels = PICTURES.scaled(levels)
    assert pixels.dtype == torch.float32
    assert torch.equal(pixels, levels.float() / 255)
    assert torch.equal(PICTURES.unscaled(pixels), levels)
    assert PICTURES.unscaled(torch.tensor([-0.1, 1.1, 0.4999])).tolist() == [0, 255, 127]


def test_features_are_standardised_as_scikit_learn_does() -> None:
    features = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
    reference = StandardScaler().fit(features)
    mean, scale = (np.asarray(each, dtype=np.float64) for each in (reference.mean_, reference.scale_))
    kind = Table(class_names=("a",), mean=tuple(mean.tolist()), scale=tuple(scale.tolist()))
    scaled = kind.scaled(torch.from_numpy(features))
    assert scaled.dtype == torch.float32
    torch.testing.assert_close(
        scaled, torch.from_numpy(np.asarray(reference.transform(features))), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(kind.unscaled(scaled), torch.from_numpy(features))
    assert (kind.num_features, kind.shape, kind.num_classes, kind.column) == (4, (4,), 1, "features")


@pytest.mark.parametrize("kind", [PICTURES, FLOWERS, Table(class_names=("a",), mean=(0.1,), scale=(1 / 3,))])
def test_a_kind_survives_json(kind: Kind) -> None:
    assert kind_from_dict(json.loads(json.dumps(kind.as_dict())), {}.__getitem__) == kind


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "None for the name of a kind"),
        ({}, "None for the name of a kind"),
        ({"name": "sounds"}, "'sounds' for the name of a kind"),
        ({"name": []}, "[] for the name of a kind"),
        (PICTURES.as_dict() | {"shape": [3, 4]}, "[3, 4] for shape"),
        (PICTURES.as_dict() | {"shape": [3, 4, 0]}, "[3, 4, 0] for shape"),
        (PICTURES.as_dict() | {"shape": [3, 4, 100_001]}, "[3, 4, 100001] for shape"),
        (PICTURES.as_dict() | {"shape": [3, 4, True]}, "[3, 4, True] for shape"),
        (PICTURES.as_dict() | {"class_names": []}, "no class_names"),
        (PICTURES.as_dict() | {"class_names": "ab"}, "'ab' for class_names"),
        (PICTURES.as_dict() | {"class_names": ["a", 1]}, "['a', 1] for class_names"),
        (FLOWERS.as_dict() | {"mean": None}, "None for mean"),
        (FLOWERS.as_dict() | {"mean": [1, 2.0]}, "[1, 2.0] for mean"),
        (FLOWERS.as_dict() | {"mean": []}, "other than one finite mean and one scale above 0 for each feature"),
        (
            FLOWERS.as_dict() | {"scale": [1.0, 0.0]},
            "other than one finite mean and one scale above 0 for each feature",
        ),
        (FLOWERS.as_dict() | {"scale": [1.0]}, "other than one finite mean and one scale above 0 for each feature"),
        (
            FLOWERS.as_dict() | {"mean": [1.0, float("nan")]},
            "other than one finite mean and one scale above 0 for each feature",
        ),
        (FLOWERS.as_dict() | {"feature_names": ["x"]}, "1 feature_names for 2 features"),
    ],
)
def test_other_values_are_no_kind(values: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the text is compared)
        kind_from_dict(values, {}.__getitem__)
    assert str(error.value) == message

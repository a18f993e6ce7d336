"""Which rows a run trains on."""

from dataclasses import replace

import pytest
import torch

from etude.data import Dataset, Images, Split
from etude.recipes import RECIPES
from etude.runs.splits import make_rows


def dataset(labels: list[int]) -> Dataset:
    split = Split(images=torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8), labels=torch.tensor(labels))
    kind = Images(shape=(1, 1, 1), class_names=tuple("abc"))
    return Dataset(name="made", kind=kind, train=split, test=split, licence="", source="")


def rows(labels: list[int], train: int | None, validation: int | None = 0) -> tuple[list[int], list[int]]:
    recipe = replace(RECIPES["lenet"], train_images=train, validation_images=validation)
    found = make_rows(recipe, dataset(labels))
    return found.train.tolist(), found.validation.tolist()


def test_the_first_rows_train_if_they_have_all_classes() -> None:
    assert rows([0, 2, 1, 0, 1, 2], 3) == ([0, 1, 2], [])
    assert rows([0, 2, 1, 0, 1, 2], 2) == ([0, 1], [])  # two rows cannot have more classes
    assert rows([0] * 6 + [1] * 3 + [2] * 3, None) == (list(range(12)), [])


def test_rows_of_data_that_lie_class_by_class_are_of_all_classes_in_their_proportions() -> None:
    labels = [0] * 60 + [1] * 30 + [2] * 10
    train, validation = rows(labels, 20, 30)
    assert train == sorted(train)
    assert [sum(labels[row] == label for row in train) for label in range(3)] == [12, 6, 2]
    assert train[:12] == list(range(12))
    assert not set(train) & set(validation)
    assert len(validation) == 30


@pytest.mark.parametrize("count", range(3, 40))
def test_no_class_is_left_out(count: int) -> None:
    labels = [0] * 50 + [1] * 2 + [2]
    train, _ = rows(labels, count)
    assert {labels[row] for row in train} == {0, 1, 2}
    assert len(train) == count

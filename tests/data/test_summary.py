"""How a data set shows itself, whatever its classes are called."""

import pytest
import torch

from etude.data import Dataset, Images, Split, Table
from etude.data.summary import html, text


def dataset(*class_names: str, notes: tuple[str, ...] = ()) -> Dataset:
    labels = torch.arange(len(class_names))
    split = Split(images=torch.zeros(len(class_names), 1, 8, 8, dtype=torch.uint8), labels=labels)
    kind = Images(shape=(1, 8, 8), class_names=class_names)
    return Dataset(name="pets", kind=kind, train=split, test=split, licence="yours", source="pets", notes=notes)


def test_odd_names_of_classes_break_no_table() -> None:
    odd = dataset("a\nb", "\x1b[31mred", "left\u202eright", "x" * 61, "y" * 60, "[bold]é")
    names = ["a\\nb", "\\x1b[31mred", "left\\u202eright", "x" * 59 + "…", "y" * 60, "[bold]é"]
    lines = [line.split() for line in text(odd).splitlines()]
    assert lines[-8:] == [["class", "train", "test"], *([name, "1", "1"] for name in names), ["all", "6", "6"]]
    assert all(f">{name}</td>" in html(odd) for name in names)


@pytest.mark.parametrize(
    ("num_features", "heading"),
    [(1, "a table of 1 feature"), (2, "a table of 2 features"), (5, "a table of 5 features")],
)
def test_a_table_shows_its_rows_as_points(num_features: int, heading: str) -> None:
    features = torch.arange(6.0 * num_features).reshape(6, num_features).sin()
    split = Split(features=features, labels=torch.arange(6) % 2)
    kind = Table(class_names=("a", "b"), mean=(0.0,) * num_features, scale=(1.0,) * num_features)
    table = Dataset(name="flowers", kind=kind, train=split, test=split, licence="yours", source="field")
    assert text(table).splitlines()[0] == f"flowers: {heading}, licence: yours"
    assert f"<h4>flowers: {heading}, licence: yours</h4>" in html(table)
    assert 'alt="the training rows by class"' in html(table)


def test_a_note_begins_with_a_capital_or_the_name_of_a_folder() -> None:
    notes = ("no class folders: all of one class", "test/ has no class folders", "the pictures of a\nb lie deeper")
    assert text(dataset("a", notes=notes)).splitlines()[-3:] == [
        "No class folders: all of one class.",
        "test/ has no class folders.",
        "The pictures of a\\nb lie deeper.",
    ]

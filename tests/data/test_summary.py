"""How a data set shows itself, whatever its classes are called."""

import torch

from etude.data import Dataset, Images, Split
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


def test_a_note_begins_with_a_capital_or_the_name_of_a_folder() -> None:
    notes = ("no class folders: all of one class", "test/ has no class folders", "the pictures of a\nb lie deeper")
    assert text(dataset("a", notes=notes)).splitlines()[-3:] == [
        "No class folders: all of one class.",
        "test/ has no class folders.",
        "The pictures of a\\nb lie deeper.",
    ]

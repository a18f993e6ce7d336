# ruff: noqa: E501 (a message on a line)
"""`Dataset.of`: what a person has in Python, recognised."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

import etude
from etude.data import Dataset, Images, Table, load
from etude.errors import UsageError

DRAWN = "no examples to test on: a fifth of each class, {} in all, is drawn for that"
ALLOWED = "allowed: arrays, tensors, lists, a torch Dataset or a Hugging Face dataset"


def grey(count: int = 10, height: int = 5, width: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width), dtype=np.uint8)


def colours(count: int = 10) -> np.ndarray:
    """(N, C, H, W)"""
    return np.random.default_rng(0).integers(0, 256, (count, 3, 5, 6), dtype=np.uint8)


def halves(count: int = 10) -> np.ndarray:
    return np.arange(count) % 2


def whole(dataset: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and labels in the order of what was given, of a set that was given with the same to test on."""
    return dataset.train.images, dataset.train.labels


def of(x: Any, y: Any = None, **changes: Any) -> Dataset:
    """A set with itself to test on, so that no example is moved."""
    return Dataset.of(x, y, test=(x, y) if y is not None else x, **changes)


# Images ---------------------------------------------------------------------------------------------------------------


def test_it_is_exported() -> None:
    assert etude.Dataset is Dataset


def test_grey_images() -> None:
    dataset = of(grey(), halves())
    images, labels = whole(dataset)
    assert dataset.kind == Images(shape=(1, 5, 6), class_names=("0", "1"))
    assert images.dtype == torch.uint8
    assert np.array_equal(images.numpy(), grey()[:, None])
    assert labels.dtype == torch.int64
    assert labels.tolist() == halves().tolist()
    assert (dataset.name, dataset.licence, dataset.source, dataset.notes) == (
        "yours",
        "not stated",
        "given in Python",
        (),
    )


@pytest.mark.parametrize(
    "x",
    [colours(), colours().transpose(0, 2, 3, 1), torch.from_numpy(colours()), colours().tolist(), list(colours()),
     list(torch.from_numpy(colours())), colours().astype(np.int64), colours().astype(np.float64), colours()[::-1][::-1],
     colours().astype(">i4"), torch.from_numpy(colours()).to(torch.int32),
     [Image.fromarray(each.transpose(1, 2, 0)) for each in colours()]],
    ids=["first", "last", "tensor", "lists", "list of arrays", "list of tensors", "int64", "float64", "strides",
         "big-endian", "int32", "pictures"],
)  # fmt: skip
def test_colours_in_every_arrangement_and_type(x: Any) -> None:
    dataset = of(x, halves())
    assert dataset.kind.shape == (3, 5, 6)
    assert np.array_equal(dataset.train.images.numpy(), colours())
    assert dataset.notes == ()


@pytest.mark.parametrize(
    ("x", "note"),
    [
        (colours() / np.float32(255), "pixels from 0 to 1 are read as levels from 0 to 255"),
        (
            torch.from_numpy(colours()).bfloat16().float().div(255),
            "pixels from 0 to 1 are read as levels from 0 to 255",
        ),
        (colours() / np.float64(127.5) - 1, "pixels from -1 to 1 are read as levels from 0 to 255"),
        (torch.from_numpy(colours()).float().div(127.5).sub(1), "pixels from -1 to 1 are read as levels from 0 to 255"),
    ],
)
def test_fractions_become_levels(x: Any, note: str) -> None:
    dataset = of(x, halves())
    exact = torch.from_numpy(colours()).bfloat16().byte().numpy() if "bfloat16" in str(x.dtype) else None
    expected = colours() if exact is None else exact
    assert np.abs(dataset.train.images.numpy().astype(int) - expected).max() <= (0 if x.dtype != torch.float32 else 1)
    assert dataset.notes == (note,)


def test_half_precision_and_a_little_overshoot() -> None:
    x = torch.tensor([0.0, 0.5, 1.004, -0.004]).reshape(4, 1, 1, 1).expand(4, 1, 2, 2)
    for each in (x, x.half(), x.bfloat16()):
        assert of(each, [0, 1, 0, 1]).train.images[:, 0, 0, 0].tolist() == [0, 128, 255, 0]


def test_black_and_white_dark_and_unlabelled() -> None:
    for x in (grey() > 99, (grey() > 99).astype(np.uint8), (grey() > 99).astype(np.int64)):
        dataset = of(x, halves())
        assert np.array_equal(dataset.train.images[:, 0].numpy(), (grey() > 99) * 255)
        assert dataset.notes == ("all levels are 0 or 1: they are read as black and white",)
    assert of(grey() % 17, halves()).notes == ("the pictures are dark: levels from 0 to 16, where white is 255",)
    unlabelled = Dataset.of(grey(), name="mine")
    assert unlabelled.notes == (
        "no labels: all examples are of one class, enough for a GAN or a VAE, not for a classifier",
        DRAWN.format(2),
    )
    assert (unlabelled.name, unlabelled.class_names) == ("mine", ("all",))
    assert Dataset.of(grey(), class_names=["cat"]).class_names == ("cat",)


def test_what_it_holds_is_a_copy() -> None:
    x, y = grey(), halves()
    dataset = of(x, y)
    before = dataset.digest()
    x[:], y[:] = 0, 0
    assert dataset.digest() == before


# Tables ---------------------------------------------------------------------------------------------------------------


def test_a_table_is_standardised_by_its_training_split() -> None:
    x = np.array([[1.0, 10, 7], [3, 10, 7], [5, 10, 7], [7, 10, 7]])
    dataset = Dataset.of(x, [0, 1, 0, 1], test=(x * 100, [0, 1, 0, 1]), validation=(x - 1, [1, 1, 1, 1]))
    assert dataset.kind == Table(class_names=("0", "1"), mean=(4.0, 10.0, 7.0), scale=(5**0.5, 1.0, 1.0))
    assert dataset.notes == ("the same in every example to train on: feature 1, 2",)
    assert dataset.train.features.dtype == torch.float32
    assert dataset.kind.scaled(dataset.train.features).std(dim=0, correction=0).tolist() == pytest.approx([1, 0, 0])
    assert dataset.validation is not None
    assert dataset.validation.features.tolist() == (x - 1).tolist()


@pytest.mark.parametrize(
    "column",
    [[0.1] * 7, [1e30] * 7, [1e-40 * n for n in range(7)], [1e8 + 1e-3 * n for n in range(7)], [3e38, -3e38] * 4],
)
def test_scaled_features_are_finite_whatever_their_size(column: list[float]) -> None:
    kind = of(np.array(column)[:, None], np.arange(len(column)) % 2).kind
    scaled = kind.scaled(torch.tensor(column, dtype=torch.float32)[:, None])
    assert scaled.isfinite().all()
    assert scaled.abs().max() < 1e3


def test_kind_says_what_an_array_is() -> None:
    table = of(grey(), halves(), kind="table")
    assert table.kind.shape == (30,)
    assert table.train.features.tolist() == grey().reshape(10, 30).tolist()
    assert table.notes == ("examples of 5×6 are flattened to 30 features",)
    assert of(grey(), halves(), kind="images").kind.shape == (1, 5, 6)
    assert of(np.eye(10, 4) > 0, halves()).kind.shape == (4,)


# Labels ---------------------------------------------------------------------------------------------------------------

CATS = "labels by name: the classes are cat, dog, in the order of the alphabet"


@pytest.mark.parametrize(
    ("y", "names", "note"),
    [
        (np.arange(10) % 2, ("0", "1"), None),
        ((np.arange(10) % 2)[:, None], ("0", "1"), None),
        (np.arange(10) % 2 > 0, ("0", "1"), None),
        (torch.arange(10) % 2, ("0", "1"), None),
        ([n % 2 for n in range(10)], ("0", "1"), None),
        ([torch.tensor(n % 2) for n in range(10)], ("0", "1"), None),
        ((np.arange(10) % 2).astype(np.uint8), ("0", "1"), None),
        (np.array([n % 2 for n in range(10)], dtype=object), ("0", "1"), None),
        ((np.arange(10) % 2).astype(float), ("0", "1"), "labels that are written as fractions (1.0) are read as class numbers"),
        (np.eye(2)[np.arange(10) % 2], ("0", "1"), "one-hot labels of 2 classes are read as class numbers"),
        (["cat", "dog"] * 5, ("cat", "dog"), CATS),
        (np.array(["cat", "dog"] * 5, dtype=object), ("cat", "dog"), CATS),
        (np.array([b"cat", b"dog"] * 5), ("cat", "dog"), CATS),
        (np.array(["cat", "dog"] * 5, dtype=np.dtypes.StringDType()), ("cat", "dog"), CATS),
        ([-1, 1] * 5, ("-1", "1"), "labels that do not count from 0: the classes are -1, 1, in this order"),
        ([7, 9] * 5, ("7", "9"), "labels that do not count from 0: the classes are 7, 9, in this order"),
    ],
)  # fmt: skip
def test_labels_of_every_type(y: Any, names: tuple[str, ...], note: str | None) -> None:
    dataset = of(grey(), y)
    assert dataset.train.labels.tolist() == halves().tolist()
    assert dataset.class_names == names
    assert dataset.notes == ((note,) if note else ())


def test_class_names_of_ones_own() -> None:
    assert of(grey(), halves(), class_names=["a", "b", "c"]).class_names == ("a", "b", "c")
    named = Dataset.of(grey(), ["dog", "cat"] * 5, test=(grey(1), ["bird"]), class_names=["dog", "cat", "bird"])
    assert (named.train.labels[:2].tolist(), named.test.labels.tolist()) == ([0, 1], [2])
    one = of(grey(), ["cat"] * 10)
    assert one.notes == (
        "labels by name: the classes are cat, in the order of the alphabet",
        "all examples are of one class: enough for a GAN or a VAE, not for a classifier",
    )


# The split ------------------------------------------------------------------------------------------------------------


def test_a_fifth_of_each_class_is_drawn_to_test_on() -> None:
    x, y = np.arange(63, dtype=np.float32)[:, None], np.array([0] * 50 + [1] * 10 + [2] * 2 + [3])
    dataset = Dataset.of(x, y)
    assert dataset.notes[-1] == DRAWN.format(13)
    assert dataset.test.labels.bincount(minlength=4).tolist() == [10, 2, 1, 0]
    together = [*dataset.train.features[:, 0].tolist(), *dataset.test.features[:, 0].tolist()]
    assert sorted(together) == x[:, 0].tolist()
    assert dataset.train.features[:, 0].tolist() == sorted(dataset.train.features[:, 0].tolist())
    assert Dataset.of(x, y).digest() == dataset.digest()
    assert Dataset.of(x, y, seed=1).digest() != dataset.digest()
    mean = dataset.train.features.double().mean().item()
    assert isinstance(dataset.kind, Table)
    assert dataset.kind.mean[0] == pytest.approx(mean)


# torch's data sets ----------------------------------------------------------------------------------------------------


class Pairs(TorchDataset):
    """Pairs of a list."""

    def __init__(self, pairs: list[Any], classes: Any = None) -> None:
        self.pairs, self.classes = pairs, classes

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Any:
        return self.pairs[index]


class Random(Pairs):
    """Pictures that are augmented at random."""

    def __getitem__(self, index: int) -> Any:
        return torch.rand(1, 5, 6), index % 2


def test_a_torch_data_set_of_tensors() -> None:
    tensors = TensorDataset(torch.from_numpy(colours()), torch.arange(10) % 2)
    dataset = Dataset.of(tensors, test=Subset(tensors, [3, 4]))
    assert np.array_equal(dataset.train.images.numpy(), colours())
    assert np.array_equal(dataset.test.images.numpy(), colours()[3:5])
    assert dataset.notes == ()


def test_a_torch_data_set_of_pictures() -> None:
    pictures = [Image.fromarray(each.transpose(1, 2, 0)) for each in colours()]
    pairs = Pairs([(each, n % 2) for n, each in enumerate(pictures)], classes=["cat", "dog"])
    dataset = Dataset.of(Subset(pairs, [1, 0]), test=pairs)
    assert np.array_equal(dataset.train.images.numpy(), colours()[[1, 0]])
    assert dataset.class_names == ("cat", "dog")
    as_grey = Pairs([(Image.fromarray(each), np.int64(n % 2)) for n, each in enumerate(grey())])
    assert np.array_equal(Dataset.of(as_grey, test=as_grey).train.images[:, 0].numpy(), grey())
    clear = Image.new("RGBA", (6, 5), (9, 9, 9, 0))
    assert of([clear, clear.convert("LA")] * 2, [0, 1] * 2).train.images.unique().tolist() == [255]


def test_pictures_that_are_drawn_at_random_are_said() -> None:
    dataset = Dataset.of(Random([0] * 10), test=Random([0] * 4))
    assert dataset.notes[0] == "the data set draws at random: each example is read once, and stays as it was drawn"


class Failing(Pairs):
    def __getitem__(self, index: int) -> Any:
        raise OSError("the disk is gone")


class Endless(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        yield 1


# Hugging Face's, of which this is a small stand-in --------------------------------------------------------------------


def feature(name: str, **attributes: Any) -> Any:
    return type(name, (SimpleNamespace,), {})(**attributes)


INT, FLOAT, STRING = (feature("Value", dtype=dtype) for dtype in ("int64", "float32", "string"))
CLASSES = feature("ClassLabel", names=["cat", "dog"])
PICTURE = feature("Image")


class Hub:
    """Columns and what they hold, with the parts of the library's `Dataset` that étude uses."""

    def __init__(self, features: dict[str, Any], columns: dict[str, list[Any]]) -> None:
        self.features, self.columns = features, columns

    @property
    def column_names(self) -> list[str]:
        return list(self.features)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        return {name: column[key] for name, column in self.columns.items()}


class Streamed:
    column_names, features = None, None

    def __iter__(self) -> Iterator[Any]:
        yield 1


def hub_pictures(count: int = 10) -> Hub:
    pictures = [Image.fromarray(each.transpose(1, 2, 0)) for each in colours(count)]
    columns = {"image": pictures, "label": [n % 2 for n in range(count)], "id": ["x"] * count}
    return Hub({"image": PICTURE, "label": CLASSES, "id": STRING}, columns)


def test_pictures_of_the_hub() -> None:
    dataset = Dataset.of(hub_pictures(), test=hub_pictures())
    assert np.array_equal(dataset.train.images.numpy(), colours())
    assert (dataset.class_names, dataset.notes) == (("cat", "dog"), ("columns that are not read: id",))


def test_the_splits_of_the_hub() -> None:
    splits = {"train": hub_pictures(), "Validation": hub_pictures(2), "test": hub_pictures(4), "extra": hub_pictures(1)}
    dataset = Dataset.of(splits)
    assert dataset.validation is not None
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [10, 2, 4]
    assert dataset.notes == ("splits that are not read: extra", "columns that are not read: id")
    other = Dataset.of(splits, test=hub_pictures(6))
    assert len(other.test) == 6
    assert other.notes[0] == "splits that are not read: test, extra"


@pytest.mark.parametrize(
    ("features", "columns", "kind"),
    [
        (
            {"a": FLOAT, "b": INT, "species": CLASSES},
            {"a": [1.0, 3.0] * 2, "b": [2, 2, 4, 4], "species": [0, 1] * 2},
            Table(class_names=("cat", "dog"), mean=(2.0, 3.0), scale=(1.0, 1.0), feature_names=("a", "b")),
        ),
        (
            {"y": INT, "x": feature("List")},
            {"y": [0, 1] * 2, "x": [[1.0, 2.0], [3.0, 4.0]] * 2},
            Table(class_names=("0", "1"), mean=(2.0, 3.0), scale=(1.0, 1.0)),
        ),
        (
            {"Label": STRING, "x": feature("Array2D")},
            {"Label": ["a", "b"] * 2, "x": grey(4).tolist()},
            Images(shape=(1, 5, 6), class_names=("a", "b")),
        ),
    ],
)
def test_tables_and_lists_of_the_hub(features: dict, columns: dict, kind: Any) -> None:
    split = Hub(features, columns)
    assert Dataset.of(split, test=split).kind == kind


def test_the_hub_without_labels() -> None:
    split = Hub({"image": PICTURE}, {"image": hub_pictures().columns["image"]})
    assert Dataset.of(split, test=split).class_names == ("all",)


# What is refused ------------------------------------------------------------------------------------------------------

NAN = np.where(np.arange(20).reshape(10, 2) == 7, np.nan, 1.0)
TEXTS = Hub({"text": STRING, "label": CLASSES}, {"text": ["a", "b"], "label": [0, 1]})
TWO_LABELS = Hub({"x": INT, "fine": CLASSES, "coarse": CLASSES}, {"x": [1, 2], "fine": [0, 1], "coarse": [0, 1]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        # x
        ((np.zeros(10), halves()), "x has shape (10,); allowed: images (N, H, W), (N, H, W, C) or (N, C, H, W), or a table (N, features); for one feature reshape it to (10, 1)."),
        ((np.zeros((10, 1, 2, 3, 4)), halves()), "x has shape (10, 1, 2, 3, 4); allowed: images (N, H, W), (N, H, W, C) or (N, C, H, W), or a table (N, features)."),
        ((np.zeros((10, 784)), halves(), "images"), "x has shape (10, 784); allowed: images (N, H, W), (N, H, W, C) or (N, C, H, W); reshape it to (10, 28, 28)."),
        ((grey(), halves(), "pictures"), "kind is 'pictures'; allowed: 'images', 'table', 'tokens', 'pairs', 'text', or nothing."),
        ((np.zeros((0, 4)), []), "x has shape (0, 4), without a single number."),
        ((np.zeros((10, 4, 8, 8)), halves()), "x has shape (10, 4, 8, 8); allowed: 1 channel (grey) or 3 (red, green, blue), first or last: (N, C, H, W) or (N, H, W, C)."),
        ((np.zeros((10, 3, 8, 3)), halves()), "x has shape (10, 3, 8, 3): its channels may be the first or the last; pad the pictures to sides other than 1 and 3."),
        ((NAN, halves()), "x holds 1 value that is not finite (NaN, infinite or beyond float32), first in example 3: replace or leave out."),
        ((np.full((10, 4, 4), np.inf), halves()), "x holds 160 values that are not finite (NaN, infinite or beyond float32), first in example 0: replace or leave out."),
        ((np.full((10, 2), 1e39), halves()), "x holds 20 values that are not finite (NaN, infinite or beyond float32), first in example 0: replace or leave out."),
        ((grey().astype(int) * 2, halves()), "x holds levels from 0 to 510; allowed: whole numbers from 0 to 255, or fractions from 0 to 1 or from -1 to 1."),
        ((grey().astype(int) - 9, halves()), "x holds levels from -9 to 246; allowed: whole numbers from 0 to 255, or fractions from 0 to 1 or from -1 to 1."),
        ((grey() / 100 - 1, halves()), "x holds levels from -1 to 1.55; allowed: whole numbers from 0 to 255, or fractions from 0 to 1 or from -1 to 1; undo what normalised them."),
        ((np.array([["a", "b"]] * 10), halves()), "x holds <U1; allowed: numbers."),
        ((np.full((10, 2), None), halves()), "x holds object; allowed: numbers."),
        ((np.full((10, 2), 1j), halves()), "x holds complex128; allowed: numbers."),
        (([[1, 2], [3]] * 5, halves()), f"x holds examples of different shapes; {ALLOWED}, all examples of one shape."),
        (([torch.zeros(1, 5, 6), torch.zeros(1, 5, 5)], [0, 1]), "x has an example of 1×5×6 and one of 1×5×5 (example 1): resize all to one shape."),
        (([torch.zeros(1, 5, 6), torch.zeros(1, 5, 6).int()], [0, 1]), "x has an example of float32 and one of int32 (example 1): give all the same type."),
        (([Image.new("L", (4, 4)), Image.new("I;16", (4, 4))], [0, 1]), "x, example 1 is a picture of more than 8 bits (I;16): convert it to L or RGB."),
        (([Image.new("L", (4, 4)), None], [0, 1]), "x, example 1 is of type NoneType; allowed: numbers, a tensor, an array or a picture."),
        ((iter([1, 2]), [0, 1]), f"x is of type list_iterator; {ALLOWED}."),
        (("mnist", None), "the text holds 5 characters; give at least 100."),
        # y
        ((grey(), halves(9)), "x has shape (10, 5, 6) and y (9,): give a label for each example."),
        ((grey(), 3), f"y is of type int; {ALLOWED}."),
        ((grey(), np.zeros((10, 2))), "y has shape (10, 2); allowed: one label for each example, (N,), or one-hot rows (N, classes)."),
        ((grey(), np.arange(10) / 2), "y holds 0.5 (example 1); allowed: class numbers or names, for étude classifies."),
        ((grey(), [0.0, np.nan] * 5), "y holds nan (example 1); allowed: class numbers or names, for étude classifies."),
        ((grey(), np.array([2**64 - 1, 0] * 5, dtype=np.uint64)), "y holds 18446744073709551615; allowed: class numbers from 0."),
        ((grey(), np.array([None, "a"] * 5)), "y holds None (example 0); allowed: class numbers, or names, the same kind for all."),
        ((grey(), np.array([1, "a"] * 5, dtype=object)), "y holds 'a' (example 1); allowed: class numbers, or names, the same kind for all."),
        ((grey(), np.array([2**63, 0] * 5, dtype=object)), "y holds 9223372036854775808 (example 0); allowed: class numbers, or names, the same kind for all."),
        ((grey(), np.arange(10).astype("M8[D]")), "y holds datetime64[D]; allowed: class numbers or names."),
        ((grey(), ["", "a"] * 5), "y holds an empty name (example 0): give each class a name."),
        ((grey(60), np.arange(60)), "y holds 60 different labels for 60 examples; allowed: at most 1,000 classes, and two examples of each: étude classifies."),
        ((grey(3), [0, 1, 2]), "x holds one example of each class: give two or more, to train and to test on."),
        # data sets
        ((DataLoader(TensorDataset(torch.zeros(2, 2))),), "x is a DataLoader, which gives batches: give its data set, `loader.dataset`."),
        ((Endless(),), "x is a data set without a length: read it whole, not streamed."),
        ((Streamed(),), "x is a data set without a length: read it whole, not streamed."),
        (({"train": Streamed()},), "x is a data set without a length: read it whole, not streamed."),
        ((Pairs([]),), "x is an empty data set."),
        ((Hub({"x": INT}, {"x": []}),), "x is an empty data set."),
        ((Pairs([(1, 2, 3)]),), "x gives 3 values for example 0; allowed: a pair (x, y)."),
        ((Pairs([torch.zeros(2)]),), "x gives a Tensor for example 0; allowed: a pair (x, y)."),
        ((Failing([1, 2]),), "x fails to give its examples: OSError: the disk is gone."),
        ((Pairs([(torch.zeros(2), 0)] * 4), halves(4)), "y is given, and x is a Pairs, which has labels of its own: leave y out."),
        ((hub_pictures(), halves()), "y is given, and x is a Hub, which has labels of its own: leave y out."),
        ((TEXTS,), "x has the columns text (string); allowed: one of pictures, some of numbers, or one of lists of numbers: keep these with select_columns, or give (x, y)."),
        ((Hub({"label": CLASSES}, {"label": [0, 1]}),), "x has the columns of labels alone; allowed: one of pictures, some of numbers, or one of lists of numbers: keep these with select_columns, or give (x, y)."),
        ((TWO_LABELS,), "x has several columns of labels, fine, coarse: keep one with remove_columns, or give (x, y)."),
        ((Hub({"a": FLOAT, "label": CLASSES}, {"a": [1.0, None], "label": [0, 1]}),), "x holds 1 value that is not finite (NaN, infinite or beyond float32), first in example 1: replace or leave out."),
        ((Hub({"a": FLOAT, "label": CLASSES}, {"a": [1.0, 2.0], "label": [0, -1]}),), "y holds labels from -1 to 0; allowed: 0 to 1, for 2 classes."),
        (({"a": TEXTS, "b": TEXTS},), "x has the splits a, b, and no train: give one, as in data['train']."),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_one_line(arguments: tuple, message: str) -> None:
    x, y, kind = (*arguments, None, None)[:3]
    with pytest.raises(UsageError) as error:
        Dataset.of(x, y, kind=kind)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": (grey(3, 4, 4), [0, 1, 0])}, "test x has examples of 4×4 and x of 5×6: give all the same shape."),
        ({"test": (grey(3), [0, 1, 2])}, "test y holds the label '2', which y lacks: give each label examples to train on."),
        ({"test": (grey(3), None)}, "test y is missing, and y is there: give labels for all, or for none."),
        ({"test": (grey(3), ["a"] * 3)}, "y holds numbers and test y names: use one of them."),
        ({"test": (grey(3) / 255, [0, 1, 0])}, "x holds uint8 and test x float64: give the pixels of both as whole numbers, or of both as fractions."),
        ({"test": grey(3)}, "test is of type ndarray; allowed: (x, y), a torch Dataset or a Hugging Face dataset."),
        ({"validation": (grey(3),)}, "validation is of type tuple; allowed: (x, y), a torch Dataset or a Hugging Face dataset."),
        ({"validation": (np.zeros((2, 5)), [0, 1])}, "validation x has examples of 5 and x of 5×6: give all the same shape."),
        ({"class_names": ["a"]}, "y holds labels from 0 to 1; allowed: 0 to 0, for 1 class."),
        ({"class_names": "ab"}, "class_names is 'ab'; allowed: a name for each class, as in ['cat', 'dog']."),
        ({"class_names": ["a", 1]}, "class_names is ['a', 1]; allowed: a name for each class, as in ['cat', 'dog']."),
        ({"class_names": ["a", "a"]}, "class_names has 'a' twice: give each class a name of its own."),
        ({"name": "a b"}, "name is 'a b' (allowed: letters, digits, '.', '_' and '-', starting with a letter or digit, at most 100)."),
        ({"name": "mnist"}, "name is 'mnist', which is one of étude's own data sets: choose another."),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_rest_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        Dataset.of(grey(), halves(), **changes)
    assert str(error.value) == message


class Unwilling:
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no array today")


def test_what_refuses_to_become_an_array() -> None:
    with pytest.raises(UsageError) as error:
        Dataset.of(Unwilling(), halves())
    assert str(error.value) == (
        f"x cannot become an array (RuntimeError: no array today); {ALLOWED}, all examples of one shape."
    )


def test_a_name_that_no_class_has() -> None:
    with pytest.raises(UsageError) as error:
        Dataset.of(grey(), ["cat", "cow"] * 5, class_names=["cat", "dog"])
    assert (
        str(error.value)
        == "y holds the label 'cow', which is not in class_names (cat, dog): give each label examples to train on."
    )


def test_the_digits_come_through_unchanged() -> None:
    digits = load("digits")
    again = Dataset.of(
        digits.train.images, digits.train.labels, test=(digits.test.images.numpy(), digits.test.labels.tolist())
    )
    assert again.digest() == digits.digest()
    assert again.kind == digits.kind

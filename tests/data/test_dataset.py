import hashlib
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.data import Dataset, Images, Split, Table, hold_out, load
from etude.errors import UsageError


def numbered(count: int) -> Split:
    """Images that say which one they are."""
    numbers = torch.arange(count)
    return Split(images=numbers.reshape(-1, 1, 1, 1).to(torch.uint8), labels=numbers)


def test_a_data_set_knows_its_image_shape() -> None:
    split = Split(images=torch.zeros(2, 3, 4, 5, dtype=torch.uint8), labels=torch.zeros(2, dtype=torch.int64))
    dataset = Dataset(
        name="x", kind=Images(shape=(3, 4, 5), class_names=("a",)), train=split, test=split, licence="", source=""
    )
    assert dataset.image_shape == (3, 4, 5)
    assert len(dataset.train) == 2


def test_the_columns_of_a_split_stand_in_alphabetical_order() -> None:
    split = Split(source=torch.arange(3), target=torch.arange(6).reshape(3, 2), length=torch.tensor([7, 8, 9]))
    assert list(split.columns) == ["length", "source", "target"]
    assert len(split) == 3
    assert split["target"].tolist() == [[0, 1], [2, 3], [4, 5]]
    taken = split.take(torch.tensor([2, 0]))
    assert {name: column.tolist() for name, column in taken.columns.items()} == {
        "length": [9, 7], "source": [2, 0], "target": [[4, 5], [0, 1]],
    }  # fmt: skip
    assert split.to("meta")["source"].device.type == "meta"
    assert repr(split) == "<Split of 3: length, source, target 2>"
    table = Split(labels=torch.arange(3), features=torch.ones(3, 2))
    assert torch.equal(table.features, torch.ones(3, 2))
    assert table.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("columns", "given"),
    [({}, "nothing"), ({"x": torch.zeros(3), "labels": torch.zeros(2)}, "labels 2, x 3")],
)
def test_columns_of_unequal_length_are_refused(columns: dict[str, torch.Tensor], given: str) -> None:
    with pytest.raises(UsageError) as error:
        Split(None, **columns)
    assert str(error.value) == f"columns of {given}: give each column of a split the same number of rows."


def test_texts_lie_beside_their_rows() -> None:
    split = Split(texts={"text": ["a", "b", "c"]}, tokens=torch.arange(3))
    assert list(split.columns) == ["tokens"]
    taken = split.take(torch.tensor([2, 0])).to("cpu")
    assert (taken.texts, taken["tokens"].tolist()) == ({"text": ("c", "a")}, [2, 0])
    joined = Split.joined([split, taken])
    assert (joined.texts, joined["tokens"].tolist()) == ({"text": ("a", "b", "c", "c", "a")}, [0, 1, 2, 2, 0])
    assert repr(split) == "<Split of 3: tokens>"
    with pytest.raises(UsageError) as error:
        Split(texts={"text": ["a"]}, tokens=torch.arange(3))
    assert str(error.value) == (
        "columns of texts of text 1, tokens 3: give each column of a split the same number of rows."
    )


def test_the_digest_sees_texts() -> None:
    kind = Table(class_names=("a",), mean=(0.0,), scale=(1.0,))
    digests = set()
    for texts in (None, {"text": ["a", "b"]}, {"text": ["ab", ""]}, {"text": ["b", "a"]}):
        split = Split(texts, features=torch.zeros(2, 1))
        digests.add(Dataset(name="x", kind=kind, train=split, test=split, licence="", source="").digest())
    assert len(digests) == 4


def test_a_table_has_no_image_shape() -> None:
    split = Split(features=torch.zeros(2, 3), labels=torch.arange(2))
    kind = Table(class_names=("a", "b"), mean=(0.0,) * 3, scale=(1.0,) * 3)
    table = Dataset(name="irises", kind=kind, train=split, test=split, licence="", source="")
    assert (table.class_names, table.kind.shape) == (("a", "b"), (3,))
    with pytest.raises(UsageError) as error:
        _ = table.image_shape
    assert str(error.value) == ("irises is a table, not images: it has no image_shape; see `kind.shape`.")


def test_the_digest_of_images_is_that_of_the_first_versions() -> None:
    """Pixels, then labels, of training, test and validation split: runs recorded it."""
    digest = hashlib.blake2b(digest_size=16)
    train, test, validation = numbered(5), numbered(3), numbered(2)
    for split in (train, test, validation):
        digest.update(bytes(split.images.flatten().tolist()))
        digest.update(b"".join(int(label).to_bytes(8, sys.byteorder) for label in split.labels))
    kind = Images(shape=(1, 1, 1), class_names=tuple("abcde"))
    whole = Dataset(name="", kind=kind, train=train, test=test, validation=validation, licence="", source="")
    assert whole.digest() == digest.hexdigest()
    assert load("digits").digest() == "c1091a2f4fba4aab5c46de20c00d5047"
    by_columns = replace(whole, train=Split(images=train.images.mT, labels=train.labels))  # the same in another stride
    assert by_columns.digest() == whole.digest()


@settings(deadline=None)
@given(st.data())
def test_the_parts_are_disjoint_ordered_and_of_the_asked_size(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 200))
    asked_train = data.draw(st.none() | st.integers(1, 250))
    asked_validation = data.draw(st.none() | st.integers(0, total - 1))
    held_out = min(5_000, total // 10) if asked_validation is None else asked_validation
    train, validation = hold_out(
        total, train_images=asked_train, validation_images=asked_validation, seed=data.draw(st.integers(0, 9))
    )
    used, kept_back = train.tolist(), validation.tolist()
    assert len(validation) == held_out
    assert len(train) == (total - held_out if asked_train is None else min(asked_train, total - held_out))
    assert not set(used) & set(kept_back)
    assert used == sorted(used)
    assert kept_back == sorted(kept_back)
    if asked_train is not None:
        assert used == list(range(len(train)))


def test_rows_of_a_split_are_taken_in_their_order() -> None:
    taken = numbered(9).take(torch.tensor([7, 2]))
    assert taken.images.flatten().tolist() == taken.labels.tolist() == [7, 2]


def test_mnist_in_the_course_trains_on_the_first_50000() -> None:
    train, validation = hold_out(60_000, train_images=50_000, validation_images=None, seed=0)
    assert torch.equal(train, torch.arange(50_000))
    assert len(validation) == 5_000
    assert validation.min() >= 50_000


def test_the_seed_decides_who_is_held_out() -> None:
    def draw(seed: int) -> torch.Tensor:
        return hold_out(1_000, train_images=None, validation_images=None, seed=seed)[1]

    before = torch.random.get_rng_state()
    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert torch.equal(before, torch.random.get_rng_state())


def test_every_image_is_held_out_equally_often() -> None:
    counts = torch.zeros(20)
    for seed in range(2_000):
        _, validation = hold_out(20, train_images=None, validation_images=5, seed=seed)
        counts[validation] += 1
    # 2,000 draws with probability 1/4: standard deviation 19.4
    assert (counts - 500).abs().max() < 5 * 19.4


def test_too_many_images_are_refused() -> None:
    with pytest.raises(UsageError) as error:
        hold_out(1_500, train_images=0, validation_images=1_500, seed=0)
    assert str(error.value) == (
        "out of range: --validation-images 1500 (allowed: 0 to 1499, of the 1500 images to train on); "
        "--train-images 0 (allowed: at least 1)."
    )


def test_nothing_can_be_held_out() -> None:
    train, validation = hold_out(9, train_images=None, validation_images=None, seed=0)
    assert (len(train), len(validation)) == (9, 0)

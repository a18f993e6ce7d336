import dataclasses
import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from etude.data import cifar, load
from etude.data.catalog import CATALOG, IDX_FILES
from etude.data.loading import fetch, locate
from etude.errors import DataError, UsageError

SetWriter = Callable[..., None]
REAL_DATA = os.environ.get("ETUDE_DATA")  # before the fixture hides it


@pytest.fixture(autouse=True)
def small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every set, 50 training and 20 test images make it whole."""
    for name in ("mnist", "fashion-mnist"):
        monkeypatch.setitem(CATALOG, name, dataclasses.replace(CATALOG[name], num_train=50, num_test=20))


def test_digits_need_nothing() -> None:
    dataset = load("digits")
    assert dataset.image_shape == (1, 28, 28)
    assert dataset.class_names == tuple("0123456789")
    assert (len(dataset.train), len(dataset.test), dataset.licence) == (1_500, 297, "CC BY 4.0")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("subfolder", ["MNIST/raw", "MNIST", "mnist", "raw", ""])
def test_mnist_is_found_in_each_layout(tmp_path: Path, write_idx_set: SetWriter, subfolder: str, zipped: bool) -> None:
    write_idx_set(tmp_path / subfolder, zipped=zipped)
    dataset = load("mnist", data_dir=tmp_path, download=False)
    assert dataset.train.images.shape == (50, 1, 28, 28)
    assert dataset.test.images.shape == (20, 1, 28, 28)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(dataset.train.images[:, 0], rng.integers(0, 256, (50, 28, 28), dtype=np.uint8))
    np.testing.assert_array_equal(dataset.train.labels, rng.integers(0, 10, 50, dtype=np.uint8))
    assert dataset.train.labels.dtype == torch.int64


def test_the_older_spelling_is_understood(tmp_path: Path, write_idx_set: SetWriter) -> None:
    write_idx_set(tmp_path)
    for file in IDX_FILES:
        (tmp_path / file).rename(tmp_path / file.replace("-idx", ".idx"))
    assert len(load("mnist", data_dir=tmp_path, download=False).train) == 50


def test_where_it_is_looked_for(
    tmp_path: Path, write_idx_set: SetWriter, monkeypatch: pytest.MonkeyPatch, no_data_here: Path
) -> None:
    """Each place is found, and one before it in the order is preferred."""
    entry = CATALOG["mnist"]
    system, variable, given, second = (tmp_path / name for name in ("system", "variable", "given", "second"))
    given.mkdir()
    data_dir = Path(f"{given}{os.pathsep}{second}")
    second.mkdir()
    monkeypatch.setattr("etude.data.search_paths.SYSTEM_FOLDER", system)
    monkeypatch.setenv("ETUDE_DATA", str(variable))
    assert locate(entry, data_dir) is None
    for root in (system, no_data_here, variable, second, given):
        write_idx_set(root / "mnist")
        found = locate(entry, data_dir)
        assert found == [root / "mnist" / file for file in IDX_FILES]


def test_mnist_and_fashion_mnist_are_not_mixed_up(
    tmp_path: Path, write_idx_set: SetWriter, idx_bytes: Callable[[np.ndarray], bytes]
) -> None:
    """Their files have the same names: lying directly in a folder, only the labels tell them apart."""
    write_idx_set(tmp_path)
    for name, other in (("mnist", "fashion-mnist"), ("fashion-mnist", "mnist")):
        labels = np.zeros(20, np.uint8)
        labels[:10] = list(CATALOG[name].first_labels)
        (tmp_path / IDX_FILES[3]).write_bytes(idx_bytes(labels))
        assert locate(CATALOG[name], tmp_path)
        assert locate(CATALOG[other], tmp_path) is None


def test_each_wrong_file_has_its_message(
    tmp_path: Path, write_idx_set: SetWriter, idx_bytes: Callable[[np.ndarray], bytes]
) -> None:
    images, labels = tmp_path / IDX_FILES[0], tmp_path / IDX_FILES[1]
    tens = np.full(50, 10, np.uint8)
    for file, array, message in (
        (images, np.zeros((49, 28, 28), np.uint8), "holds 49×28×28 values, mnist has 50×28×28"),
        (images, np.zeros((50, 32, 32), np.uint8), "holds 50×32×32 values, mnist has 50×28×28"),
        (labels, np.zeros(49, np.uint8), "holds 49 labels for 50 images"),
        (labels, tens, "holds labels that are not numbers from 0 to 9"),
    ):
        write_idx_set(tmp_path)
        file.write_bytes(idx_bytes(array))
        with pytest.raises(DataError) as error:
            load("mnist", data_dir=tmp_path)
        assert str(error.value) == f"{file}: {message}; get a fresh copy."


@pytest.mark.parametrize("place", ["", "cifar-10-batches-py", "cifar10/cifar-10-batches-py", "cifar10", "CIFAR10"])
def test_cifar10_is_found_in_each_layout(
    tmp_path: Path, cifar_batch: Callable[[int, int], tuple[bytes, Any, Any]], place: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(cifar, "IMAGES_PER_BATCH", 3)
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for seed, batch in enumerate(cifar.BATCHES):
            data, _, _ = cifar_batch(3, seed)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{batch}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            (folder / batch).write_bytes(data)
    unpacked = load("cifar10", data_dir=tmp_path, download=False)
    assert unpacked.image_shape == (3, 32, 32)
    assert (len(unpacked.train), len(unpacked.test)) == (15, 3)
    (folder / "test_batch").unlink()
    (folder / cifar.ARCHIVE_NAME).write_bytes(buffer.getvalue())
    archived = load("cifar10", data_dir=tmp_path, download=False)
    assert torch.equal(unpacked.train.images, archived.train.images)
    assert torch.equal(unpacked.test.labels, archived.test.labels)


def test_what_is_nowhere_is_said(tmp_path: Path, no_data_here: Path) -> None:
    with pytest.raises(DataError) as error:
        load("mnist", data_dir=tmp_path, download=False)
    assert str(error.value) == (
        f"mnist is not in {tmp_path}, {no_data_here}, /nowhere/datasets; `etude data fetch mnist` downloads it, or "
        f"name its folder with --data-dir or ETUDE_DATA."
    )


def test_wrong_names_and_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    allowed = (
        "chars:FILE, cifar10, clauses, csv:FILE, cue, digits, fashion-mnist, folder:PATH, mixture, mnist, moons, "
        "multi30k, multi30k-en-de, npz:FILE, opinions, pairs:FILE, python-docs, rings, rt-polarity, text:PATH, "
        "tiny-shakespeare; `etude data` lists what is here."
    )
    for call, message in (
        (lambda: load("mnits"), f"unknown data set 'mnits': did you mean 'mnist'? Choose from {allowed}"),
        (lambda: load(""), f"unknown data set '': choose from {allowed}"),
        (lambda: load("MNIST"), f"unknown data set 'MNIST': did you mean 'mnist'? Choose from {allowed}"),
        (
            lambda: load("FashionMNIST"),
            f"unknown data set 'FashionMNIST': did you mean 'fashion-mnist'? Choose from {allowed}",
        ),
        (lambda: load("CIFAR10"), f"unknown data set 'CIFAR10': did you mean 'cifar10'? Choose from {allowed}"),
        (lambda: load("Cifar-10"), f"unknown data set 'Cifar-10': did you mean 'cifar10'? Choose from {allowed}"),
        (lambda: load("/x/pics"), "unknown data set '/x/pics': for pictures in a folder write folder:/x/pics."),
        (lambda: load("pics/"), "unknown data set 'pics/': for pictures in a folder write folder:pics/."),
        (lambda: load("x/a.NPZ"), "unknown data set 'x/a.NPZ': for a file of your own write npz:x/a.NPZ."),
        (lambda: load("a.csv"), "unknown data set 'a.csv': for a file of your own write csv:a.csv."),
        (lambda: load("a.tsv"), "unknown data set 'a.tsv': for a file of your own write text:a.tsv."),
        (lambda: load("a.jsonl"), "unknown data set 'a.jsonl': for a file of your own write text:a.jsonl."),
        (lambda: load("a.txt"), "unknown data set 'a.txt': for a file of your own write chars:a.txt."),
        (lambda: fetch("csv:a.csv"), "csv:a.csv is a file of your own: there is nothing to fetch."),
        (lambda: load("npz:"), "npz: needs a path, as in npz:pathmnist.npz."),
        (
            lambda: load("csv:a.csv", image_size=64),
            "--image-size 64: only folder:PATH is resized; leave csv:a.csv as it is.",
        ),
        (
            lambda: load("moons", image_size=64),
            "--image-size 64: only folder:PATH is resized; leave moons as it is.",
        ),
        (lambda: load("npz:a", fit="pad"), "--fit pad: only folder:PATH is fitted; leave npz:a as it is."),
        (
            lambda: load("npz:a", skip_broken=True),
            "--skip-broken is for folder:PATH, and npz:a is whole or an error: leave it out.",
        ),
        (lambda: load("here"), "unknown data set 'here': for pictures in a folder write folder:here."),
        (
            lambda: load("digits", fit="pad"),
            "--fit pad: only folder:PATH is fitted; the images of digits are square: leave it out.",
        ),
        (
            lambda: load("mnist", skip_broken=True),
            "--skip-broken is for folder:PATH, and mnist is whole or an error: leave it out.",
        ),
        (lambda: fetch("imagenet"), f"unknown data set 'imagenet': choose from {allowed}"),
        (
            lambda: load("mnist", image_size=32),
            "--image-size 32: only folder:PATH is resized; mnist is always 28×28.",
        ),
        (lambda: load("folder:x", image_size=0), "--image-size 0: allowed: at least 1."),
        (
            lambda: load("folder:"),
            "folder: needs a path, as in folder:pictures, with one folder per class below it.",
        ),
        (lambda: fetch("folder:x"), "folder:x is a folder of your own: there is nothing to fetch."),
    ):
        with pytest.raises(UsageError) as error:
            call()
        assert str(error.value) == message


def test_only_the_published_files_are_called_mnist(
    tmp_path: Path, write_idx_set: SetWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other data under MNIST's names may be used, under its own name: one pixel is enough to be other data."""
    write_idx_set(tmp_path / "MNIST/raw", zipped=True)
    checksums = {}
    for file in IDX_FILES:
        content = gzip.decompress((tmp_path / f"MNIST/raw/{file}.gz").read_bytes())
        checksums[file] = f"sha256:{hashlib.sha256(content).hexdigest()}"
    downloads = tuple(
        dataclasses.replace(download, checksums={file: checksums[file]})
        for download, file in zip(CATALOG["mnist"].downloads, IDX_FILES, strict=True)
    )
    monkeypatch.setitem(CATALOG, "mnist", dataclasses.replace(CATALOG["mnist"], downloads=downloads))
    published = load("mnist", data_dir=tmp_path, download=False)
    assert (published.name, published.licence, published.notes) == ("mnist", "CC BY-SA 3.0", ())

    path = tmp_path / f"MNIST/raw/{IDX_FILES[2]}.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))
    other = load("mnist", data_dir=tmp_path, download=False)
    place = str(tmp_path / "MNIST/raw")
    assert (other.name, other.licence) == (place, "not stated")
    assert other.source == "files under the names of mnist, with other content than the published"
    assert other.notes == (
        f"the files under the names of mnist in {place} are not the published ones: called by their path",
    )
    assert torch.equal(other.train.images, published.train.images)


def test_labels_of_other_data_are_numbers(tmp_path: Path, write_idx_set: SetWriter) -> None:
    write_idx_set(tmp_path)
    assert load("fashion-mnist", data_dir=tmp_path, download=False).class_names == tuple("0123456789")


@pytest.mark.parametrize("file", IDX_FILES)
def test_a_damaged_copy_does_not_hide_a_good_one(tmp_path: Path, write_idx_set: SetWriter, file: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for root in (first, second):
        write_idx_set(root / "mnist")
    damaged = first / "mnist" / file
    damaged.write_bytes(damaged.read_bytes()[:-1])
    dataset = load("mnist", data_dir=Path(f"{first}{os.pathsep}{second}"), download=False)
    assert dataset.name == str(second / "mnist")
    assert dataset.notes[0].startswith(f"passed over a damaged copy: {damaged}: truncated: holds fewer values than ")
    with pytest.raises(DataError, match=f"^{damaged}: truncated"):
        load("mnist", data_dir=first, download=False)


def test_a_damaged_cifar_does_not_hide_a_good_one(
    tmp_path: Path, cifar_batch: Callable[[int, int], tuple[bytes, Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar, "IMAGES_PER_BATCH", 3)
    first, second = tmp_path / "first", tmp_path / "second"
    for root in (first, second):
        root.mkdir()
        for seed, batch in enumerate(cifar.BATCHES):
            (root / batch).write_bytes(cifar_batch(3, seed)[0])
    (first / "data_batch_3").write_bytes(b"")
    dataset = load("cifar10", data_dir=Path(f"{first}{os.pathsep}{second}"), download=False)
    assert (dataset.name, dataset.class_names[0]) == (str(second), "airplane")
    assert dataset.notes[0].startswith(f"passed over a damaged copy: {first}/data_batch_3: ")


@pytest.fixture
def served(mirror: Any, tmp_path: Path, write_idx_set: SetWriter, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A mirror that has a small MNIST, and a catalog that knows it."""
    write_idx_set(tmp_path / "served")
    downloads = []
    for download, file in zip(CATALOG["mnist"].downloads, IDX_FILES, strict=True):
        content = (tmp_path / "served" / file).read_bytes()
        mirror.files[f"/{file}.gz"] = gzip.compress(content)
        checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
        url = f"{mirror.url}{file}.gz"
        downloads.append(dataclasses.replace(download, mirrors=(url,), checksums={file: checksum}))
    monkeypatch.setitem(CATALOG, "mnist", dataclasses.replace(CATALOG["mnist"], downloads=tuple(downloads)))
    return mirror


def test_what_is_missing_is_downloaded_once(served: Any, no_data_here: Path, tmp_path: Path) -> None:
    first = load("mnist")
    assert len(served.requests) == 4
    assert sorted(path.name for path in (no_data_here / "mnist").iterdir()) == sorted([".lock", *IDX_FILES])
    again = load("mnist", download=False)
    assert torch.equal(first.train.images, again.train.images)
    assert len(served.requests) == 4


def test_fetch_says_where_it_is(served: Any, no_data_here: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert fetch("mnist", data_dir=own) == own / "mnist"
    assert fetch("mnist", data_dir=own) == own / "mnist"
    assert len(served.requests) == 4
    assert fetch("mnist") == no_data_here / "mnist"
    assert len(served.requests) == 8
    assert fetch("digits") is None


@pytest.mark.parametrize("entry", CATALOG.values(), ids=lambda entry: entry.name)
def test_the_catalog_is_whole(entry: Any) -> None:
    assert entry.licence
    assert entry.source
    num_classes = {"moons": 2, "rings": 2, "mixture": 8, "opinions": 2, "rt-polarity": 2}.get(entry.name, 10)
    assert len(set(entry.class_names)) == (0 if entry.kind in ("pairs", "text") else num_classes)
    if entry.downloads:
        assert entry.download_folder in entry.subfolders
        needed = cifar.BATCHES if entry.name == "cifar10" else IDX_FILES
        assert set(needed) <= {content for download in entry.downloads for content in download.checksums}
    for download in entry.downloads:
        assert len(download.mirrors) >= 2
        assert all(url.endswith(f"/{download.file}") for url in download.mirrors)
        for checksum in download.checksums.values():
            algorithm, _, digest = checksum.partition(":")
            assert len(bytes.fromhex(digest)) == hashlib.new(algorithm).digest_size


@pytest.mark.skipif(not REAL_DATA, reason="ETUDE_DATA is not set")
def test_the_real_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published mean and standard deviation of the training pixels, the class counts, and our own checksums."""
    monkeypatch.setenv("ETUDE_DATA", REAL_DATA or "")
    entry = dataclasses.replace(CATALOG["mnist"], num_train=60_000, num_test=10_000)
    monkeypatch.setitem(CATALOG, "mnist", entry)
    if not (paths := locate(entry, None)):
        pytest.skip("no MNIST in ETUDE_DATA")
    dataset = load("mnist")
    assert (dataset.name, dataset.notes) == ("mnist", ())
    pixels = dataset.train.images.double() / 255
    assert round(pixels.mean().item(), 4) == 0.1307
    assert round(pixels.std().item(), 4) == 0.3081
    assert dataset.train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert dataset.test.labels[:10].tolist() == list(entry.first_labels)
    for path, download in zip(paths, entry.downloads, strict=True):
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        (checksum,) = download.checksums.values()
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == checksum

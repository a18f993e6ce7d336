"""The data sets by name: what each is, where its files may lie, and how it becomes tensors in memory."""

from dataclasses import dataclass
from pathlib import Path

import torch

from etude.data import cifar, places
from etude.data.dataset import Dataset, Split
from etude.data.digits import TEST_IMAGES, TRAIN_IMAGES, load_digits
from etude.data.folder import DEFAULT_IMAGE_SIZE, load_folder
from etude.data.idx import read_idx
from etude.errors import DataError, UsageError, unknown

FOLDER_PREFIX = "folder:"
_TEN_DIGITS = tuple("0123456789")
_GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_IDX_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What étude knows of a data set before reading it."""

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    train_images: int
    test_images: int
    licence: str
    source: str
    subfolders: tuple[str, ...] = ()
    """Where below a searched folder its files may lie, "" for in it directly."""
    first_labels: bytes = b""
    """The first ten test labels, which tell MNIST and Fashion-MNIST apart: their files have the same names."""


CATALOG = {
    entry.name: entry
    for entry in (
        Entry(
            name="digits",
            class_names=_TEN_DIGITS,
            image_shape=(1, 28, 28),
            train_images=TRAIN_IMAGES,
            test_images=TEST_IMAGES,
            licence="CC BY 4.0",
            source="Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998), as in scikit-learn",
        ),
        Entry(
            name="mnist",
            class_names=_TEN_DIGITS,
            image_shape=(1, 28, 28),
            train_images=60_000,
            test_images=10_000,
            licence="CC BY-SA 3.0",
            source="MNIST (LeCun, Cortes and Burges 1998), http://yann.lecun.com/exdb/mnist",
            subfolders=("MNIST/raw", "MNIST", "mnist/raw", "mnist", "raw", ""),
            first_labels=bytes((7, 2, 1, 0, 4, 1, 4, 9, 5, 9)),
        ),
        Entry(
            name="fashion-mnist",
            class_names=_GARMENTS,
            image_shape=(1, 28, 28),
            train_images=60_000,
            test_images=10_000,
            licence="MIT",
            source="Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), https://github.com/zalandoresearch/fashion-mnist",
            subfolders=("FashionMNIST/raw", "FashionMNIST", "fashion-mnist/raw", "fashion-mnist", "raw", ""),
            first_labels=bytes((9, 2, 1, 1, 6, 1, 4, 6, 5, 7)),
        ),
        Entry(
            name="cifar10",
            class_names=_CIFAR_CLASSES,
            image_shape=(3, 32, 32),
            train_images=50_000,
            test_images=10_000,
            licence="none stated; cite the source",
            source="CIFAR-10 (Krizhevsky 2009), https://www.cs.toronto.edu/~kriz/cifar.html",
            subfolders=(
                "cifar-10-batches-py",
                "cifar10/cifar-10-batches-py",
                "CIFAR10/cifar-10-batches-py",
                "cifar10",
                "CIFAR10",
                "",
            ),
        ),
    )
}


def load(
    name: str,
    *,
    data_dir: Path | None = None,
    image_size: int | None = None,
    download: bool = True,
    seed: int = 0,
) -> Dataset:
    """The data set of that name, in memory.

    `name` is a key of `CATALOG` or `folder:PATH`. Files are looked for as `places.search_folders` says; with `download`
    what is not found is fetched into the user's cache. `image_size` (default 32) and `seed`, which draws the test
    images where there is no `test/`, are for `folder:PATH` only.

    Raises `UsageError` for a wrong name or argument, `DataError` for data that is missing or damaged.
    """
    if name.startswith(FOLDER_PREFIX):
        return _load_own(name, image_size=DEFAULT_IMAGE_SIZE if image_size is None else image_size, seed=seed)
    entry = get(name)
    if image_size is not None:
        size = entry.image_shape[1]
        raise UsageError(f"--image-size {image_size}: only folder:PATH is resized; {name} is always {size}×{size}.")
    if name == "digits":
        train, test = load_digits()
    else:
        train, test = _read(entry, locate(entry, data_dir) or _obtain(entry, data_dir, download=download))
    return Dataset(
        name=name,
        class_names=entry.class_names,
        train=train,
        test=test,
        licence=entry.licence,
        source=entry.source,
    )


def get(name: str) -> Entry:
    """The entry of that name; a `UsageError` suggests the nearest one."""
    if name not in CATALOG:
        raise unknown("data set", name, [*CATALOG, "folder:PATH"], hint="`etude data` lists what is here")
    return CATALOG[name]


def locate(entry: Entry, data_dir: Path | None) -> list[Path] | None:
    """The files of a data set on this machine, in the order of `_read`; None where there are none."""
    roots = places.search_folders(data_dir)
    if entry.name == "cifar10":
        folders = places.matches(roots, entry.subfolders, [(batch,) for batch in cifar.BATCHES])
        archives = places.matches(roots, entry.subfolders, [(cifar.ARCHIVE_NAME,)])
        return next(folders, None) or next(archives, None)
    others = {other.first_labels for other in CATALOG.values() if other.first_labels and other is not entry}
    spellings = [_spellings(file) for file in _IDX_FILES]
    for paths in places.matches(roots, entry.subfolders, spellings):
        if _labels(paths[3], entry.test_images)[:10].tobytes() not in others:
            return paths
    return None


def _spellings(file: str) -> list[str]:
    return [f"{spelling}-ubyte{suffix}" for suffix in ("", ".gz") for spelling in (file, file.replace("-idx", ".idx"))]


def _obtain(entry: Entry, data_dir: Path | None, *, download: bool) -> list[Path]:
    searched = ", ".join(str(folder) for folder in places.search_folders(data_dir))
    raise DataError(
        f"{entry.name} is not in {searched}; `etude data fetch {entry.name}` downloads it, or name its folder with "
        f"--data-dir or ETUDE_DATA."
    )


def _read(entry: Entry, paths: list[Path]) -> tuple[Split, Split]:
    if entry.name == "cifar10":
        return cifar.read_archive(paths[0]) if len(paths) == 1 else cifar.read_folder(paths[0].parent)
    train_images, train_labels, test_images, test_labels = paths
    return (
        Split(
            images=_images(train_images, entry, entry.train_images), labels=_classes(train_labels, entry.train_images)
        ),
        Split(images=_images(test_images, entry, entry.test_images), labels=_classes(test_labels, entry.test_images)),
    )


def _images(path: Path, entry: Entry, count: int) -> torch.Tensor:
    expected = (count, *entry.image_shape[1:])
    pixels = read_idx(path, dimensions=3)
    if pixels.shape != expected:
        given, wanted = ("×".join(f"{size}" for size in shape) for shape in (pixels.shape, expected))
        raise DataError(f"{path}: holds {given} values, {entry.name} has {wanted}; get a fresh copy.")
    return torch.from_numpy(pixels).unsqueeze(1)  # (N, 1, H, W)


def _labels(path: Path, count: int):
    labels = read_idx(path, dimensions=1)
    if len(labels) != count:
        raise DataError(f"{path}: holds {len(labels)} labels for {count} images; get a fresh copy.")
    if labels.max(initial=0) > 9:
        raise DataError(f"{path}: holds labels that are not numbers from 0 to 9; get a fresh copy.")
    return labels


def _classes(path: Path, count: int) -> torch.Tensor:
    return torch.from_numpy(_labels(path, count)).to(torch.int64)


def _load_own(name: str, *, image_size: int, seed: int) -> Dataset:
    path = Path(name.removeprefix(FOLDER_PREFIX)).expanduser()
    if name == FOLDER_PREFIX:
        raise UsageError("folder: needs a path, as in folder:pictures, with one folder per class below it.")
    if image_size < 1:
        raise UsageError(f"--image-size {image_size}: allowed: at least 1.")
    class_names, train, test = load_folder(path, image_size=image_size, seed=seed)
    return Dataset(
        name=name, class_names=class_names, train=train, test=test, licence="not stated", source=str(path.resolve())
    )

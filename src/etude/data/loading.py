"""A data set by its name, as tensors in memory: find its files, fetch them where they are missing, read them."""

from pathlib import Path

import numpy as np
import torch

from etude.data import catalog, cifar, places
from etude.data.catalog import CATALOG, IDX_FILES, Entry
from etude.data.dataset import Dataset, Split
from etude.data.digits import load_digits
from etude.data.download import fetch_files
from etude.data.folder import DEFAULT_IMAGE_SIZE, load_folder
from etude.data.idx import read_idx
from etude.errors import DataError, UsageError
from etude.files import expand_home

FOLDER_PREFIX = "folder:"


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
    entry = catalog.get(name)
    if image_size is not None:
        size = entry.image_shape[1]
        raise UsageError(f"--image-size {image_size}: only folder:PATH is resized; {name} is always {size}×{size}.")
    if name == "digits":
        train, test = load_digits()
    else:
        train, test = _read(entry, locate(entry, data_dir) or _obtain(entry, data_dir, allowed=download))
    return Dataset(
        name=name,
        class_names=entry.class_names,
        train=train,
        test=test,
        licence=entry.licence,
        source=entry.source,
    )


def fetch(name: str, *, data_dir: Path | None = None) -> Path | None:
    """The folder that holds the files of a data set, downloaded where they are missing; None for the embedded digits.

    Downloads go to the first folder of `data_dir`, made where it is missing, or else into the user's cache.
    """
    if name.startswith(FOLDER_PREFIX):
        raise UsageError(f"{name} is a folder of your own: there is nothing to fetch.")
    entry = catalog.get(name)
    if not entry.downloads:
        return None
    target = next(iter(places.split(data_dir)), places.cache_folder())
    found = locate(entry, data_dir) if data_dir is None or target.is_dir() else None
    if not found:
        fetch_files(name, entry.downloads, target / entry.download_folder)
        found = locate(entry, target)
        assert found, f"{entry.subfolders} lacks {entry.download_folder}"
    return found[0].parent


def locate(entry: Entry, data_dir: Path | None) -> list[Path] | None:
    """The files of a data set on this machine, in the order of `_read`; None where there are none."""
    roots = places.search_folders(data_dir)
    if entry.name == "cifar10":
        folders = places.matches(roots, entry.subfolders, [(batch,) for batch in cifar.BATCHES])
        archives = places.matches(roots, entry.subfolders, [(cifar.ARCHIVE_NAME,)])
        return next(folders, None) or next(archives, None)
    others = {other.first_labels for other in CATALOG.values() if other.first_labels and other is not entry}
    spellings = [_spellings(file) for file in IDX_FILES]
    for paths in places.matches(roots, entry.subfolders, spellings):
        if _labels(paths[3], entry.test_images)[:10].tobytes() not in others:
            return paths
    return None


def _spellings(file: str) -> list[str]:
    return [f"{spelling}{suffix}" for suffix in ("", ".gz") for spelling in (file, file.replace("-idx", ".idx"))]


def _obtain(entry: Entry, data_dir: Path | None, *, allowed: bool) -> list[Path]:
    if allowed:
        cache = places.cache_folder()
        fetch_files(entry.name, entry.downloads, cache / entry.download_folder)
        if found := locate(entry, cache):
            return found
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


def _labels(path: Path, count: int) -> np.ndarray:
    labels = read_idx(path, dimensions=1)
    if len(labels) != count:
        raise DataError(f"{path}: holds {len(labels)} labels for {count} images; get a fresh copy.")
    if labels.max(initial=0) > 9:
        raise DataError(f"{path}: holds labels that are not numbers from 0 to 9; get a fresh copy.")
    return labels


def _classes(path: Path, count: int) -> torch.Tensor:
    return torch.from_numpy(_labels(path, count)).to(torch.int64)


def _load_own(name: str, *, image_size: int, seed: int) -> Dataset:
    path = expand_home(name.removeprefix(FOLDER_PREFIX))
    if name == FOLDER_PREFIX:
        raise UsageError("folder: needs a path, as in folder:pictures, with one folder per class below it.")
    if image_size < 1:
        raise UsageError(f"--image-size {image_size}: allowed: at least 1.")
    class_names, train, test = load_folder(path, image_size=image_size, seed=seed)
    return Dataset(
        name=name, class_names=class_names, train=train, test=test, licence="not stated", source=str(path.resolve())
    )

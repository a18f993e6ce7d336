"""A data set by its name, as tensors in memory: find its files, fetch them where they are missing, read them."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from etude.data import catalog, cifar, search_paths
from etude.data.arrays import table_kind
from etude.data.catalog import CATALOG, IDX_FILES, Entry
from etude.data.dataset import Dataset
from etude.data.digits import load_digits
from etude.data.download import fetch_files
from etude.data.folder import DEFAULT_IMAGE_SIZE, load_folder
from etude.data.idx import content_checksum, read_idx
from etude.data.kinds import Images, Kind
from etude.data.names import TEXT_FORMATS, parse_own
from etude.data.npz import load_npz
from etude.data.points import FEATURE_NAMES, POINTS, make_points
from etude.data.reading import Reading
from etude.data.split import Split
from etude.data.table import load_csv
from etude.data.text.corpora import CORPORA
from etude.data.text.made import MADE
from etude.data.text.own import load_texts
from etude.errors import DataError, UsageError


def load(
    name: str,
    *,
    data_dir: Path | None = None,
    reading: Reading | None = None,
    left_out: Collection[str] | None = None,
    download: bool = True,
    seed: int = 0,
    **settings: Any,
) -> Dataset:
    """The data set of that name, in memory.

    `name` is a key of `CATALOG`, or names data of one's own: `folder:PATH`, `npz:FILE`, `csv:FILE` or, where a column
    has the labels, `csv:FILE:COLUMN`; of texts `text:PATH` or `text:FILE:TEXT,LABEL`, `pairs:FILE` or
    `pairs:FILE,FILE`, and `chars:FILE`. Files of the catalogue are looked for as `search_paths.search_folders` says;
    with `download` what is not found is fetched into the user's cache. `reading` says how it is read; `settings` are
    fields of a `Reading`, and go before those of `reading`. `seed` draws the examples to test on from data that have
    none. `left_out` is for `folder:PATH` only, as `folder.load_folder` says.

    Files with the published content are called by the data set's name, others by their path (`Dataset.name`).

    Raises `UsageError` for a wrong name or argument, `DataError` for data that is missing or damaged.
    """
    own, reading = parse_own(name), replace(reading or Reading(), **settings)
    if own and own.format in TEXT_FORMATS:
        return load_texts(own, name=name, reading=reading, seed=seed)
    if own is None and name in (*CORPORA, *MADE):
        return _load_texts(catalog.get(name), data_dir, reading, seed)
    reading.require_for_others(name)
    image_size, fit, skip_broken = reading.image_size, reading.fit, reading.skip_broken
    if own and own.format == "folder":
        size = DEFAULT_IMAGE_SIZE if image_size is None else image_size
        if size < 1:
            raise UsageError(f"--image-size {size}: allowed: at least 1.")
        how: dict[str, Any] = {"fit": fit or "crop", "skip_broken": skip_broken, "left_out": left_out}
        return load_folder(own.path, name=name, image_size=size, seed=seed, **how)
    entry = None if own else catalog.get(name)
    if image_size is not None:
        kept = (
            f"{name} is always {entry.shape[1]}×{entry.shape[1]}"
            if entry and entry.is_images
            else f"leave {name} as it is"
        )
        raise UsageError(f"--image-size {image_size}: only folder:PATH is resized; {kept}.")
    if fit is not None:
        kept = (
            f"the images of {name} are square: leave it out" if entry and entry.is_images else f"leave {name} as it is"
        )
        raise UsageError(f"--fit {fit}: only folder:PATH is fitted; {kept}.")
    if skip_broken:
        raise UsageError(f"--skip-broken is for folder:PATH, and {name} is whole or an error: leave it out.")
    if own:
        if own.format == "npz":
            return load_npz(own.path, name=name, seed=seed)
        return load_csv(own.path, name=name, column=own.column, seed=seed)
    assert entry is not None
    if name in POINTS:
        return _dataset(entry, *make_points(name))
    if name == "digits":
        return _dataset(entry, *load_digits())
    damage: list[DataError] = []
    for paths in candidates(entry, data_dir):
        try:
            return _read(entry, paths, damage)
        except DataError as error:
            damage.append(error)
    if damage:
        raise damage[0]
    return _read(entry, _obtain(entry, data_dir, allowed=download), [])


def _load_texts(entry: Entry, data_dir: Path | None, reading: Reading, seed: int) -> Dataset:
    """Texts of the catalogue."""
    reading.require_for_texts(entry.name, folds=entry.name == "rt-polarity")
    about = {"name": entry.name, "licence": entry.licence, "source": entry.source}
    if entry.name in MADE:
        return Dataset(**about, **MADE[entry.name](reading).as_fields())
    found, place = CORPORA[entry.name].load(entry.name, data_dir, reading, seed=seed)
    dataset = Dataset(**about, records=found.files, **found.parts.as_fields())
    return dataset if place is None else _by_path(dataset, entry, place)


def fetch(name: str, *, data_dir: Path | None = None) -> Path | None:
    """The folder that holds the files of a data set, downloaded where they are missing; None for the embedded digits.

    Downloads go to the first folder of `data_dir`, made where it is missing, or else into the user's cache.
    """
    if own := parse_own(name):
        what = "folder" if own.format == "folder" else "file"
        raise UsageError(f"{name} is a {what} of your own: there is nothing to fetch.")
    entry = catalog.get(name)
    if name in CORPORA:  # never downloaded: a `DataError` says where they belong
        return CORPORA[name].find(name, data_dir)[0].parent
    if not entry.downloads:
        return None
    target = next(iter(search_paths.split(data_dir)), search_paths.cache_folder())
    found = locate(entry, data_dir) if data_dir is None or target.is_dir() else None
    if not found:
        fetch_files(name, entry.downloads, target / entry.download_folder)
        found = locate(entry, target)
        assert found, f"{entry.subfolders} lacks {entry.download_folder}"
    return found[0].parent


def locate(entry: Entry, data_dir: Path | None) -> list[Path] | None:
    """The files of the first copy of a data set on this machine, in the order of `_read`; None where there are none.

    An IDX copy with damaged labels is passed over; where it is the only one, its `DataError` is raised.
    """
    if entry.name in CORPORA:
        return CORPORA[entry.name].locate(search_paths.search_folders(data_dir))
    damage = None
    for paths in candidates(entry, data_dir):
        try:
            if entry.name != "cifar10":
                _labels(paths[3], entry.num_test)
            return paths
        except DataError as error:
            damage = damage or error
    if damage:
        raise damage
    return None


def candidates(entry: Entry, data_dir: Path | None) -> Iterator[list[Path]]:
    """The files of every copy of a data set on this machine, as far as their names and first labels say, in the order
    of the search.
    """
    roots = search_paths.search_folders(data_dir)
    if entry.name == "cifar10":
        yield from search_paths.matches(roots, entry.subfolders, [(batch,) for batch in cifar.BATCHES])
        yield from search_paths.matches(roots, entry.subfolders, [(cifar.ARCHIVE_NAME,)])
        return
    others = {other.first_labels for other in CATALOG.values() if other.first_labels and other is not entry}
    for paths in search_paths.matches(roots, entry.subfolders, [_spellings(file) for file in IDX_FILES]):
        with suppress(DataError):  # damaged: reading it will say so
            if _labels(paths[3], entry.num_test)[:10].tobytes() in others:
                continue
        yield paths


def _spellings(file: str) -> list[str]:
    return [f"{spelling}{suffix}" for suffix in ("", ".gz") for spelling in (file, file.replace("-idx", ".idx"))]


def _obtain(entry: Entry, data_dir: Path | None, *, allowed: bool) -> list[Path]:
    if allowed:
        cache = search_paths.cache_folder()
        fetch_files(entry.name, entry.downloads, cache / entry.download_folder)
        if found := locate(entry, cache):
            return found
    searched = ", ".join(str(folder) for folder in search_paths.search_folders(data_dir))
    raise DataError(
        f"{entry.name} is not in {searched}; `etude data fetch {entry.name}` downloads it, or name its folder with "
        f"--data-dir or ETUDE_DATA."
    )


def _read(entry: Entry, paths: list[Path], damage: Sequence[DataError]) -> Dataset:
    """The data set in these files; `damage` is what is wrong with copies that come before it in the search."""
    if entry.name == "cifar10":
        read = cifar.read_archive(paths[0]) if len(paths) == 1 else cifar.read_folder(paths[0].parent)
        train, test, checksums = read
    else:
        checksums = {}
        arrays = [
            _images(paths[0], entry, entry.num_train, checksums),
            _classes(paths[1], entry.num_train, checksums),
            _images(paths[2], entry, entry.num_test, checksums),
            _classes(paths[3], entry.num_test, checksums),
        ]
        train, test = Split(images=arrays[0], labels=arrays[1]), Split(images=arrays[2], labels=arrays[3])
    notes = [f"passed over a damaged copy: {str(error).removesuffix('.')}" for error in damage]
    published = {file: each for download in entry.downloads for file, each in download.checksums.items()}
    if all(published[file] == checksum for file, checksum in checksums.items()):
        return _dataset(entry, train, test, notes=notes)
    # Numbers are all that such labels are known to be; CIFAR-10's batches say more rarely what they are not.
    names = entry.class_names if entry.name == "cifar10" else tuple("0123456789")
    dataset = replace(_dataset(entry, train, test, notes=notes), kind=_kind(entry, names, train))
    return _by_path(dataset, entry, str((paths[0] if len(paths) == 1 else paths[0].parent).resolve()))


def _by_path(dataset: Dataset, entry: Entry, place: str) -> Dataset:
    """Data under the names of the catalogue's files that are not the published ones, which are called by their path."""
    note = f"the files under the names of {entry.name} in {place} are not the published ones: called by their path"
    return replace(
        dataset,
        name=place,
        notes=(*dataset.notes, note),
        licence="not stated",
        source=f"files under the names of {entry.name}, with other content than the published",
    )


def _dataset(entry: Entry, train: Split, test: Split, *, notes: Sequence[str] = ()) -> Dataset:
    return Dataset(
        name=entry.name,
        kind=_kind(entry, entry.class_names, train),
        train=train,
        test=test,
        licence=entry.licence,
        source=entry.source,
        notes=tuple(notes),
    )


def _kind(entry: Entry, class_names: tuple[str, ...], train: Split) -> Kind:
    if not entry.is_images:
        return table_kind(train, class_names, FEATURE_NAMES, [])
    channels, height, width = entry.shape
    return Images(shape=(channels, height, width), class_names=class_names)


def _images(path: Path, entry: Entry, count: int, checksums: dict[str, str]) -> torch.Tensor:
    expected = (count, *entry.shape[1:])
    pixels = read_idx(path, dimensions=3)
    if pixels.shape != expected:
        given, wanted = ("×".join(f"{size}" for size in shape) for shape in (pixels.shape, expected))
        raise DataError(f"{path}: holds {given} values, {entry.name} has {wanted}; get a fresh copy.")
    checksums[_canonical(path)] = f"sha256:{content_checksum(pixels)}"
    return torch.from_numpy(pixels).unsqueeze(1)  # (N, 1, H, W)


def _labels(path: Path, count: int) -> np.ndarray:
    labels = read_idx(path, dimensions=1)
    if len(labels) != count:
        raise DataError(f"{path}: holds {len(labels)} labels for {count} images; get a fresh copy.")
    if labels.max(initial=0) > 9:
        raise DataError(f"{path}: holds labels that are not numbers from 0 to 9; get a fresh copy.")
    return labels


def _classes(path: Path, count: int, checksums: dict[str, str]) -> torch.Tensor:
    labels = _labels(path, count)
    checksums[_canonical(path)] = f"sha256:{content_checksum(labels)}"
    return torch.from_numpy(labels).to(torch.int64)


def _canonical(path: Path) -> str:
    """The name that the file has in `IDX_FILES`."""
    return path.name.removesuffix(".gz").replace(".idx", "-idx")

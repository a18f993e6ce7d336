"""A person's own pictures as a data set: found (`layout`), read (`pictures`), split, and told what was done."""

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import Tensor

from etude.data.dataset import Dataset
from etude.data.kinds import Images
from etude.data.layout import TEST, TRAIN, VALIDATION, Classes, find_pictures
from etude.data.pictures import BrokenPicture, Fit, Kind, Picture, Range, choose_range, read_picture
from etude.data.split import Split
from etude.errors import DataError

DEFAULT_IMAGE_SIZE = 32
_TEST_SHARE = 0.2
_SHOW_PROGRESS_FROM = 2_000
_MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class _File:
    path: Path
    split: str
    label: int


def load_folder(
    root: Path,
    *,
    name: str,
    image_size: int,
    fit: Fit = "crop",
    seed: int,
    skip_broken: bool = False,
    left_out: Collection[str] | None = None,
) -> Dataset:
    """The pictures below `root`, laid out as `layout` understands, as a data set called `name`.

    All are fitted into a square of `image_size`, as `pictures.read_picture` says. They are grey, (N, 1, H, W), if none
    has a colour, else RGB, (N, 3, H, W). Levels beyond 8 bits get one range, that of the training pictures
    (`pictures.choose_range`). Without a folder to test on, a fifth of each class is drawn for it with `seed`.

    A picture that cannot be read is an error, or left out with `skip_broken`. `left_out` are the pictures, as paths
    below `root`, that an earlier reading left out: exactly these are left out again. Raises `DataError` that names what
    is wrong, with all broken pictures at once.
    """
    layout = find_pictures(root)
    train, test = (layout.train, layout.test) if layout.test else _stratified(layout.train, seed)
    parts = {TRAIN: train, VALIDATION: layout.validation or {}, TEST: test}
    class_names = tuple(train)
    files = [
        _File(path=path, split=split, label=label)
        for split, classes in parts.items()
        for label, name_of_class in enumerate(class_names)
        for path in classes.get(name_of_class, ())
    ]
    notes = list(layout.notes)
    if left_out is not None:
        files = [file for file in files if _below(file.path, root) not in left_out]
    files, images, pictures, broken = _read(files, image_size, fit, notes)
    if broken:
        if not skip_broken:
            raise _broken_error(broken, len(files) + len(broken), root, offer=left_out is None)
        names = [_below(path, root) for path in broken]
        notes.append(f"{_some(names)}: {_pictures(len(names))} left out as broken")
        left_out = names
    _require_every_class(files, class_names, root)
    notes += _told(pictures)
    if fit == "crop":
        notes += _lost_by_crop(pictures)
    labels = torch.tensor([file.label for file in files])
    sizes = [sum(file.split == split for file in files) for split in parts]
    splits = {
        split: Split(images=part, labels=part_labels)
        for split, part, part_labels in zip(parts, images.split(sizes), labels.split(sizes), strict=True)
    }
    return Dataset(
        name=name,
        kind=Images(shape=(images.shape[1], image_size, image_size), class_names=class_names),
        train=splits[TRAIN],
        validation=splits[VALIDATION] if layout.validation else None,
        test=splits[TEST],
        licence="not stated",
        source=str(root.resolve()),
        layout=layout.seen,
        notes=tuple(notes),
        left_out=tuple(sorted(left_out or ())),
    )


def read_image(path: Path, size: int, *, fit: Fit = "crop") -> np.ndarray:
    """One picture as `load_folder` would read it: uint8 (size, size, 3). Raises `DataError` if it is not one."""
    try:
        with _refusing_bombs():
            picture = read_picture(path, size, fit=fit, ranges={})
            if picture.pixels is None:
                picture = read_picture(path, size, fit=fit, ranges=_ranges([picture]))
    except BrokenPicture as error:
        raise DataError(f"{path}: {error}; replace or remove it.") from None
    assert picture.pixels is not None
    return picture.pixels


def _stratified(files: Classes, seed: int) -> tuple[Classes, Classes]:
    """A fifth of each class, at least one image, for testing; both parts in the order of the names."""
    generator = torch.Generator().manual_seed(seed)
    train, test = {}, {}
    for name, images in files.items():
        if len(images) < 2:
            raise DataError(f"{images[0].parent}: holds one image; a class needs two, to train and to test on.")
        num_test = max(1, round(_TEST_SHARE * len(images)))
        held_out = set(torch.randperm(len(images), generator=generator)[:num_test].tolist())
        train[name] = [image for index, image in enumerate(images) if index not in held_out]
        test[name] = [image for index, image in enumerate(images) if index in held_out]
    return train, test


def _read(
    files: Sequence[_File], size: int, fit: Fit, notes: list[str]
) -> tuple[list[_File], Tensor, list[Picture], dict[Path, str]]:
    """The files that could be read, their images, what is known about each, and why others could not be read."""
    try:
        images = np.empty((len(files), 3, size, size), dtype=np.uint8)
    except MemoryError:
        raise DataError(
            f"{len(files)} images of 3×{size}×{size} do not fit into memory; choose a smaller --image-size."
        ) from None

    def read(index: int) -> Picture | str:
        try:
            picture = read_picture(files[index].path, size, fit=fit, ranges=ranges)
        except BrokenPicture as error:
            return str(error)
        if picture.pixels is not None:
            images[index] = picture.pixels.transpose(2, 0, 1)
        return picture

    ranges: dict[Kind, Range] = {}
    found = _in_threads(read, range(len(files)))
    deep = [index for index, each in enumerate(found) if isinstance(each, Picture) and each.pixels is None]
    if deep:
        known = [(files[index], picture) for index in deep if isinstance(picture := found[index], Picture)]
        ranges |= _ranges([picture for _, picture in known])
        ranges |= _ranges([picture for file, picture in known if file.split == TRAIN])
        for index, each in zip(deep, _in_threads(read, deep), strict=True):
            found[index] = each
        notes += _ranges_in_words(known, ranges)
    whole = [index for index, each in enumerate(found) if isinstance(each, Picture)]
    broken = {file.path: each for file, each in zip(files, found, strict=True) if isinstance(each, str)}
    if broken:
        images = images[whole]
    grey = all((images[:, 0] == images[:, channel]).all() for channel in (1, 2))
    tensor = torch.from_numpy(images[:, :1].copy() if grey else images)
    return [files[index] for index in whole], tensor, [each for each in found if isinstance(each, Picture)], broken


def _in_threads(read: Callable[[int], Picture | str], indices: Sequence[int]) -> list[Picture | str]:
    with _refusing_bombs(), ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets other threads run as it decodes
        results = track(
            pool.map(read, indices),
            total=len(indices),
            description="reading images",
            console=Console(stderr=True, force_jupyter=False),
            transient=True,
            disable=len(indices) < _SHOW_PROGRESS_FROM,
        )
        return list(results)


@contextmanager
def _refusing_bombs() -> Iterator[None]:
    """Turn Pillow's warning about a decompression bomb into an error, in all threads, and hide its other warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _ranges(pictures: Iterable[Picture]) -> dict[Kind, Range]:
    """The range of each kind of levels beyond 8 bits, over all of the pictures."""
    pictures = list(pictures)
    ranges: dict[Kind, Range] = {}
    kinds: tuple[Kind, ...] = ("whole numbers", "fractions")
    for kind in kinds:
        of_kind = [picture for picture in pictures if picture.kind == kind]
        if not of_kind:
            continue
        lowest = np.fmin.reduce([picture.lowest for picture in of_kind])
        highest = np.fmax.reduce([picture.highest for picture in of_kind])
        ranges[kind] = choose_range(kind, float(lowest), float(highest))
    return ranges


def _ranges_in_words(known: Sequence[tuple[_File, Picture]], ranges: dict[Kind, Range]) -> list[str]:
    notes = []
    for kind, (low, high) in sorted(ranges.items()):
        of_kind = [(file, picture) for file, picture in known if picture.kind == kind]
        note = (
            f"{_pictures(len(of_kind))} with levels beyond 8 bits ({kind}): {low:g} to {high:g} becomes 0 to 255, "
            "by the training pictures"
        )
        clipped = sum(picture.lowest < low or picture.highest > high for _, picture in of_kind)
        note += f"; {_pictures(clipped)} outside training clipped to it" if clipped else ""
        if not_finite := sum(picture.not_finite for _, picture in of_kind):
            note += f"; {not_finite:,} levels that are no finite numbers became black or white"
        notes.append(note)
    return notes


def _told(pictures: Sequence[Picture]) -> list[str]:
    moving = sum(picture.moves for picture in pictures)
    return [f"{_pictures(moving)} of several frames: the first is read"] if moving else []


def _lost_by_crop(pictures: Sequence[Picture]) -> list[str]:
    kept = float(np.mean([picture.kept for picture in pictures])) if pictures else 1.0
    if round(100 * kept) >= 100:
        return []
    return [f"not all are square: the crop keeps {100 * kept:.0f} % of their pixels on average (--fit pad keeps all)"]


def _broken_error(broken: dict[Path, str], total: int, root: Path, *, offer: bool) -> DataError:
    """One line for all broken pictures: the first few by name."""
    ending = "replace or remove" if offer else "restore"
    skip = ", or leave {} out with --skip-broken" if offer else ""
    if len(broken) == 1:
        ((path, reason),) = broken.items()
        return DataError(f"{path}: {reason}; {ending} it{skip.format('it')}.")
    reasons = [f"{_below(path, root)} ({reason})" for path, reason in list(broken.items())[:_MOST_NAMED]]
    more = f" and {len(broken) - len(reasons)} more" if len(broken) > len(reasons) else ""
    return DataError(
        f"{root}: {len(broken):,} of {total:,} pictures are broken: {', '.join(reasons)}{more}; "
        f"{ending} them{skip.format('them')}."
    )


def _require_every_class(files: Sequence[_File], class_names: Sequence[str], root: Path) -> None:
    """A class whose pictures in a split were all left out has none left, as if its folder were empty."""
    splits = {file.split for file in files} | {TRAIN, TEST}
    there = {(file.split, file.label) for file in files}
    for split in (TRAIN, VALIDATION, TEST):
        for label, name in enumerate(class_names):
            if split in splits and (split, label) not in there:
                raise DataError(
                    f"{root}: no picture of {name!r} that is whole is left for {split}; add some, or remove this "
                    "class from every split."
                )


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _pictures(count: int) -> str:
    return f"{count:,} picture{'' if count == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (
        f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    )

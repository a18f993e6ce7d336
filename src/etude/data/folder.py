"""A person's own images: one folder a class, images of any size and mode.

PATH/train/CLASS/IMAGE and PATH/test/CLASS/IMAGE, or PATH/CLASS/IMAGE, which is then split.
"""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from rich.console import Console
from rich.progress import track
from torch import Tensor

from etude.data.dataset import Split
from etude.errors import DataError

DEFAULT_IMAGE_SIZE = 32
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Pillow's other readers are for rare formats, and one of them (EPS) starts another program.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_TEST_SHARE = 0.2
_SHOW_PROGRESS_FROM = 2_000


def load_folder(root: Path, *, image_size: int, seed: int) -> tuple[tuple[str, ...], Split, Split]:
    """The class names and the (training, test) split of the images below `root`.

    An image is cropped to its central square and resized to `image_size`. All are grey, (N, 1, H, W), when none has a
    colour, else RGB, (N, 3, H, W); transparent parts become white. Without `train/` and `test/`, a fifth of each class
    is drawn with `seed` for the test split. Files without an image's suffix and hidden files are passed over.

    Raises `DataError` naming the first file or folder that is wrong.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; folder:PATH needs one folder per class below PATH.")
    try:
        train_files, test_files = _split_files(root, seed)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}).") from None
    class_names = tuple(train_files)
    files = [file for part in (train_files, test_files) for name in class_names for file in part[name]]
    labels = torch.tensor(
        [label for part in (train_files, test_files) for label, name in enumerate(class_names) for _ in part[name]]
    )
    images = _read_images(files, image_size)
    num_train = sum(map(len, train_files.values()))
    return (
        class_names,
        Split(images=images[:num_train], labels=labels[:num_train]),
        Split(images=images[num_train:], labels=labels[num_train:]),
    )


def _split_files(root: Path, seed: int) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    train, test = root / "train", root / "test"
    if train.is_dir() and test.is_dir():
        train_files, test_files = _class_files(train), _class_files(test)
        if different := sorted(train_files.keys() ^ test_files.keys()):
            lacking = test if different[0] in train_files else train
            raise DataError(f"{lacking}: lacks the class folder {different[0]!r}; train/ and test/ need the same ones.")
        return train_files, test_files
    for one, other in ((train, "test"), (test, "train")):
        # A class may well be called train, but then there are images in it.
        if one.is_dir() and not _image_files(one):
            raise DataError(f"{root}: has {one.name}/ but no {other}/; add it, or put the class folders into {root}.")
    return _stratified(_class_files(root), seed)


def _class_files(folder: Path) -> dict[str, list[Path]]:
    """The image files of each class folder; classes and files sorted by name."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not classes:
        raise DataError(f"{folder}: holds no class folders; put the images of each class into a folder of its own.")
    files = {path.name: _image_files(path) for path in classes}
    if empty := [name for name, images in files.items() if not images]:
        raise DataError(
            f"{folder / empty[0]}: holds no images; allowed are {', '.join(SUFFIXES)}; add some or remove it."
        )
    return files


def _image_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _stratified(files: dict[str, list[Path]], seed: int) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
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


def _read_images(files: Sequence[Path], size: int) -> Tensor:
    try:
        images = np.empty((len(files), 3, size, size), dtype=np.uint8)
    except MemoryError:
        raise DataError(
            f"{len(files)} images of 3×{size}×{size} do not fit into memory; choose a smaller --image-size."
        ) from None

    def read(index: int) -> None:
        images[index] = read_image(files[index], size).transpose(2, 0, 1)

    # Pillow lets other threads run while it decodes. A warning about a bomb becomes an error for all of them.
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            images_read = pool.map(read, range(len(files)))
            for _ in track(
                images_read,
                total=len(files),
                description="reading images",
                console=Console(stderr=True),
                transient=True,
                disable=len(files) < _SHOW_PROGRESS_FROM,
            ):
                pass
        except DataError:
            pool.shutdown(cancel_futures=True)
            raise
    grey = all((images[:, 0] == images[:, channel]).all() for channel in (1, 2))
    return torch.from_numpy(images[:, :1].copy() if grey else images)


def read_image(path: Path, size: int) -> np.ndarray:
    """The central square of an image, resized: uint8 (size, size, 3). Raises `DataError` on what is not an image."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            image.draft(None, (2 * size, 2 * size))  # lets a large JPEG be decoded at a fraction of its size
            upright = _to_rgb(ImageOps.exif_transpose(image))
            side = min(upright.size)
            left, top = (upright.width - side) // 2, (upright.height - side) // 2
            square = upright.crop((left, top, left + side, top + side))
            return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise DataError(f"{path}: refused, has over {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller.") from None
    except OSError as error:
        if error.errno is not None:
            raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    except MemoryError:
        raise DataError(f"{path}: does not fit into memory; make it smaller.") from None
    except Exception:  # Pillow's readers let every kind of error through on damaged files
        pass
    raise DataError(f"{path}: not a whole image, or of an unknown format; replace or remove it.")


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB: transparent parts on white; 16-bit levels divided by 257, fractions up to 1 times 255."""
    if image.mode.startswith("I"):
        grey = np.asarray(image).clip(0, 65_535) // 257
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        levels = np.nan_to_num(np.asarray(image))
        levels = levels * (255 if levels.max() <= 1 else 1)
        return Image.fromarray(levels.clip(0, 255).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours).convert("RGB")
    return image.convert("RGB")

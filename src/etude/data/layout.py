"""How a person's pictures lie in folders: the class and the split of each.

PATH/CLASS/1.png, or PATH/train/CLASS/1.png with val/ and test/ beside train/, or no class folders at all. These are
understood too: other names and capitals of the splits (`ROLES`), a folder inside another (pics/pics/CLASS), and
pictures in a folder below their class (CLASS/images/1.png). `Layout.notes` says what is guessed.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import features

from etude.errors import DataError

SUFFIXES = tuple(
    suffix
    for suffix in (
        ".apng", ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm",
        ".ppm", ".tif", ".tiff", ".webp",
    )
    if suffix != ".avif" or features.check("avif")
)  # fmt: skip
"""The endings of pictures, in lower case."""

UNREAD_PICTURES = (
    ".arw", ".cr2", ".cr3", ".dcm", ".dng", ".eps", ".exr", ".fits", ".hdr", ".heic", ".heif", ".hif", ".j2k", ".jp2",
    ".jxl", ".nef", ".npy", ".npz", ".orf", ".pfm", ".psd", ".qoi", ".raw", ".rw2", ".svg", ".tga",
    *{".avif"}.difference(SUFFIXES),
)  # fmt: skip
"""Endings of pictures that étude does not read. A folder of them is a class that cannot be read, not something else."""

ARCHIVES = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tbz", ".tbz2", ".tgz", ".txz", ".xz", ".zip", ".zst")

TRAIN, VALIDATION, TEST = "train", "val", "test"
ROLES = {
    "train": TRAIN, "training": TRAIN, "trn": TRAIN,
    "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "validate": VALIDATION, "dev": VALIDATION,
    "test": TEST, "testing": TEST, "tst": TEST,
}  # fmt: skip
"""The names of a split's folder, in any capitals. "set", "split", "data" or "images" may follow."""

_ROLE = re.compile(rf"({'|'.join(ROLES)})(?:[ ._-]?(?:set|split|data|images|imgs))?", re.IGNORECASE)
_JUNK = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found", "__pycache__"}
_NO_CLASS = {"image", "images", "img", "imgs", "jpg", "jpeg", "png", "photos", "pictures", "unknown", "unlabeled"}
"""Names of a single folder that is not a class, if the other splits have classes."""
_DEEPEST = 12
_MOST_REASONS = 5


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder, and everything below it; final. Hidden files and files of the operating system are left out."""

    path: Path
    pictures: list[Path]
    """Directly in it, sorted; by their names."""
    others: list[Path]
    """Other files, directly in it."""
    folders: list["Folder"]

    @property
    def name(self) -> str:
        """Its name as a class."""
        return class_name(self.path)

    @cached_property
    def all_pictures(self) -> list[Path]:
        """In it and below."""
        return [*self.pictures, *(picture for folder in self.folders for picture in folder.all_pictures)]

    @cached_property
    def all_others(self) -> list[Path]:
        """Other files in it and below."""
        return [*self.others, *(other for folder in self.folders for other in folder.all_others)]

    @property
    def may_be_a_class(self) -> bool:
        """Whether it holds pictures, readable or not, or nothing at all."""
        unread = any(path.suffix.lower() in UNREAD_PICTURES for path in self.all_others)
        return bool(self.all_pictures) or unread or not self.all_others


Classes = dict[str, list[Path]]
"""The pictures of each class, by its name; both sorted."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the pictures of each split and class are. `validation` and `test` are None if they have no folder."""

    train: Classes
    validation: Classes | None
    test: Classes | None
    seen: str
    """What was found, in words: "class folders in train/ and test/"."""
    notes: tuple[str, ...]
    """What was guessed, and what is not read, one sentence each."""


def class_name(path: Path) -> str:
    """A folder's name as a class: composed (NFC), because macOS decomposes letters. Bytes not of UTF-8 as \\xNN."""
    return unicodedata.normalize("NFC", os.fsencode(path.name).decode("utf-8", "backslashreplace"))


def find_pictures(root: Path) -> Layout:
    """The layout of the pictures below `root`. `DataError` names the folder that is not understood."""
    if not os.path.isdir(root):  # Path.is_dir raises for a name that is too long
        if os.path.exists(root):
            if root.suffix.lower() in ARCHIVES:
                raise DataError(
                    f"{root}: a file; folder:PATH needs a folder with one folder per class: unpack it first."
                )
            raise DataError(f"{root}: a file, not a folder; give the folder that holds it.")
        raise DataError(f"{root}: no such folder; folder:PATH needs one folder per class below PATH.")
    whole = _scan(root, root)
    notes: list[str] = []
    top = _unpacked(whole)
    splits = _splits(top)
    if splits:
        train, validation, test, seen = _read_splits(top, splits, notes)
    else:
        train, seen = _classes_or_flat(top, notes)
        validation = test = None
    if top is not whole:
        notes.insert(0, f"the pictures lie in {_relative(top.path, root)}, which is taken for {root.name or root}")
    parts = [part for part in (train, validation, test) if part]
    read = {picture for part in parts for pictures in part.values() for picture in pictures}
    if skipped := _not_read(whole, read):
        notes.append(skipped)
    return Layout(train=train, validation=validation, test=test, seen=seen, notes=tuple(notes))


def _scan(folder: Path, root: Path, above: tuple[str, ...] = ()) -> Folder:
    pictures, others, folders = [], [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower() in _JUNK:
                    continue
                path = folder / entry.name
                if entry.is_dir():
                    folders.append(path)
                elif path.suffix.lower() in SUFFIXES and entry.is_file():
                    pictures.append(path)
                else:
                    others.append(path)
    except OSError as error:
        raise DataError(f"{error.filename or folder}: cannot be read ({error.strerror}).") from None
    below = []
    for path in sorted(folders):
        here = (*above, os.path.realpath(path))
        if len(above) < _DEEPEST and here[-1] not in above:  # a link may lead back up
            below.append(_scan(path, root, here))
    return Folder(path=folder, pictures=sorted(pictures), others=sorted(others), folders=below)


def role_of(name: str) -> str | None:
    """The split that a folder of this name is for, None where it is a class."""
    match = _ROLE.fullmatch(name)
    return ROLES[match[1].lower()] if match else None


def _unpacked(folder: Folder) -> Folder:
    """The folder itself, or the only one inside it that holds the classes or splits: pics/pics/CLASS."""
    while len(_with_pictures(folder)) == 1 and not folder.pictures:
        (inner,) = _with_pictures(folder)
        holds_splits = any(role_of(each.name) == TRAIN for each in inner.folders)
        holds_classes = sum(bool(each.all_pictures) for each in inner.folders) > 1
        packs_another = role_of(inner.name) not in (None, role_of(folder.name))
        if packs_another or inner.pictures or not (holds_splits or holds_classes or _is_wrapper(inner)):
            break
        folder = inner
    return folder


def _is_wrapper(folder: Folder) -> bool:
    """Whether it only holds one more folder that holds the classes."""
    return not folder.pictures and _unpacked(folder) is not folder


def _splits(top: Folder) -> dict[str, Folder]:
    """The folders of the splits by role; empty if the folders are classes."""
    found: dict[str, Folder] = {}
    for folder in top.folders:
        if role := role_of(folder.name):
            if role in found:
                raise DataError(
                    f"{top.path}: has both {found[role].path.name}/ and {folder.path.name}/; merge them, or remove one."
                )
            found[role] = folder
    classes = [folder for folder in top.folders if role_of(folder.name) is None and folder.all_pictures]
    # A class may well be called train. Then there are pictures in it, and other classes beside it.
    if TRAIN in found:
        train = found[TRAIN]
        return {} if train.pictures and not _with_pictures(train) and classes else found
    if any(not folder.pictures for folder in found.values()):
        folder = next(folder for folder in found.values() if not folder.pictures)
        raise DataError(
            f"{top.path}: has {folder.path.name}/ but no train/; add it, or put the class folders into {top.path}."
        )
    return {}


def _with_pictures(folder: Folder) -> list[Folder]:
    return [each for each in folder.folders if each.all_pictures]


def _read_splits(
    top: Folder, splits: dict[str, Folder], notes: list[str]
) -> tuple[Classes, Classes | None, Classes | None, str]:
    inner = {role: _unpacked(splits[role]) for role in (TRAIN, VALIDATION, TEST) if role in splits}
    train_folder = inner[TRAIN]
    labelled = bool(_with_pictures(train_folder)) or not train_folder.pictures
    parts: dict[str, Classes] = {}
    if labelled:
        for role, folder in inner.items():
            if role != TRAIN and _has_no_classes(folder, train_folder):
                count = f"{len(folder.all_pictures):,}"
                notes.append(f"{splits[role].path.name}/ has no class folders: its {count} pictures are not read")
            else:
                parts[role] = _class_files(folder, notes)
        _require_same_classes(parts, inner)
    else:
        name = splits[TRAIN].name
        parts = {role: {name: folder.all_pictures} for role, folder in inner.items() if folder.all_pictures}
        for role, folder in inner.items():
            if _with_pictures(folder) and not _has_no_classes(folder, train_folder):
                ignored = (
                    f"those in {splits[role].path.name}/ ({_some([each.name for each in _with_pictures(folder)])})"
                )
                notes.append(f"{name}/ has no class folders: {ignored} are ignored, and all pictures are of one class")
        if labels := _labels_elsewhere(top, train_folder):
            notes.append(labels)
    # The usual train/ and test/ need no words.
    named = {role: splits[role].path.name for role in (TRAIN, VALIDATION, TEST) if role in parts}
    verbs = {TRAIN: "trains", VALIDATION: "validates", TEST: "tests"}
    if VALIDATION in parts or any(role != name for role, name in named.items()):
        notes.insert(0, f"splits: {', '.join(f'{name}/ {verbs[role]}' for role, name in named.items())}")
    if TEST not in parts:
        notes.append(f"no pictures to test on beside {named[TRAIN]}/: a fifth of it is drawn for that")
    where = " and ".join(f"{name}/" for name in named.values())
    count = sum(map(len, parts[TRAIN].values()))
    seen = _seen(where, parts[TRAIN]) if labelled else f"{count:,} pictures lie directly in {named[TRAIN]}/"
    return parts[TRAIN], parts.get(VALIDATION), parts.get(TEST), seen


def _seen(where: str, classes: Classes) -> str:
    """What a person with a single class reads: what étude took for it."""
    if len(classes) == 1:
        return f"the only class folder in {where} is {next(iter(classes))}"
    return f"the class folders in {where} are {_some(list(classes))}"


def _has_no_classes(folder: Folder, train: Folder) -> bool:
    """Whether a split holds pictures without classes: directly, or in one folder whose name no class has."""
    classes = _with_pictures(folder)
    names = {each.name for each in train.folders}
    if len(classes) == 1 and classes[0].name.lower() in _NO_CLASS and classes[0].name not in names:
        return True
    return bool(folder.pictures) and not classes


def _classes_or_flat(top: Folder, notes: list[str]) -> tuple[Classes, str]:
    if any(folder.all_pictures or (folder.may_be_a_class and folder.all_others) for folder in top.folders):
        classes = _class_files(top, notes)
        return classes, _seen(top.path.name, classes)
    if empty := [folder for folder in top.folders if folder.may_be_a_class]:
        raise _empty(empty[0])
    if not top.pictures:
        raise DataError(f"{top.path}: holds no pictures{_holds_instead(top)}; allowed are {', '.join(SUFFIXES)}.")
    count, where = len(top.pictures), top.path.name
    notes.append(f"no class folders: the {count:,} pictures in {where} are all of one class")
    if labels := _labels_elsewhere(top):
        notes.append(labels)
    return {top.name: top.pictures}, f"{count:,} pictures lie directly in {where}"


def _class_files(folder: Folder, notes: list[str]) -> Classes:
    """The pictures of each class folder: those in it or, if there are none, those in its folders."""
    classes = [each for each in folder.folders if each.may_be_a_class]
    if not classes:
        raise DataError(
            f"{folder.path}: holds no class folders; put the images of each class into a folder of its own."
        )
    files: Classes = {}
    deeper = []
    for each in classes:
        if not each.all_pictures:
            raise _empty(each)
        if not each.pictures:
            if roles := [inner.path.name for inner in each.folders if role_of(inner.name)]:
                raise DataError(
                    f"{each.path}: holds {roles[0]}/; a split lies above the classes, as in {roles[0]}/{each.name}: "
                    "move it."
                )
            deeper.append(each.name)
        if each.name in files:
            raise DataError(f"{each.path}: a second class folder of the same name, spelled otherwise; merge them.")
        files[each.name] = each.pictures or each.all_pictures
    if deeper:
        notes.append(f"the pictures of {_some(deeper)} lie in folders inside the class folder, and are read there")
    return files


def _require_same_classes(parts: dict[str, Classes], folders: dict[str, Folder]) -> None:
    """Require pictures of each class in each split. Otherwise the error is that of an empty class folder (`_empty`)."""
    names = sorted({name for classes in parts.values() for name in classes})
    for name in names:
        for role, classes in parts.items():
            if name not in classes:
                raise _empty(folders[role], name, others=list(classes))


def _empty(folder: Folder, name: str | None = None, *, others: list[str] | None = None) -> DataError:
    """The error for a class that lacks pictures: its folder is empty, or missing from one of the splits."""
    path, holds = (folder.path, _holds_instead(folder)) if name is None else (folder.path / name, "")
    alike = [each for each in others or () if name and each.lower() == name.lower()]
    near = f" (there is {alike[0]!r}: use one spelling)" if alike else ""
    allowed = ", ".join(SUFFIXES)
    return DataError(
        f"{path}: holds no images{holds}{near}; add some ({allowed}), or remove this class from every split."
    )


def _holds_instead(folder: Folder) -> str:
    if not folder.all_others:
        return ""
    return f" but {_kinds(folder.all_others)}"


def _kinds(files: list[Path]) -> str:
    """85 .heic, 2 .csv"""
    return ", ".join(f"{count:,} {kind}" for kind, count in _by_number(Counter(map(_kind, files)))[:_MOST_REASONS])


def _by_number(counted: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def _kind(path: Path) -> str:
    if path.suffix.lower() in SUFFIXES:
        return "that are no files"  # links to nothing, pipes
    return path.suffix.lower() or "without an ending"


def _labels_elsewhere(*folders: Folder) -> str:
    tables = [path.name for folder in folders for path in folder.others if path.suffix.lower() in (".csv", ".tsv")]
    return f"labels in {tables[0]} are not read: étude takes them from class folders" if tables else ""


def _not_read(whole: Folder, read: set[Path]) -> str:
    """4 of 89 files read: 85 .heic skipped"""
    reasons = Counter(map(_kind, whole.all_others))
    for folder in _walk(whole):
        missed = sum(picture not in read for picture in folder.pictures)
        if missed:
            reasons["beside the folders" if folder is whole else f"in {_relative(folder.path, whole.path)}"] += missed
    if not reasons:
        return ""
    named = _by_number(reasons)[:_MOST_REASONS]
    more = reasons.total() - sum(count for _, count in named)
    parts = [f"{count:,} {reason}" for reason, count in named] + ([f"{more:,} others"] if more else [])
    return f"{len(read):,} of {len(read) + reasons.total():,} files read: {', '.join(parts)} skipped"


def _walk(folder: Folder) -> Iterator[Folder]:
    yield folder
    for each in folder.folders:
        yield from _walk(each)


def _relative(path: Path, root: Path) -> str:
    return f"{path.relative_to(root).as_posix()}/"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

"""The user code that a run keeps: a copy of each file in its folder `code`, with digests and a seal.

The seal says that the run was made here, by this user. It is an HMAC over the files' digests and what the recipe names
in them, with a key in the user's data folder. Without a valid seal, nothing of a run is executed unless the user allows
it.
"""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TypeVar

import platformdirs

from etude.errors import RunError, UsageError
from etude.families import own_networks
from etude.families.recipe import Recipe
from etude.files import expand_home, read_whole, write_and_flush
from etude.user_code import Source, parse_spec

R = TypeVar("R", bound=Recipe)
FOLDER = "code"
_trusted: set[Path] = set()


def trust(folder: Path) -> None:
    """Allow the code in this folder, of a run or a sweep, to run wherever it was made: its user has read it."""
    _trusted.add(folder.resolve())


# What a recipe names -------------------------------------------------------------------------------------------------


def admit(recipe: R) -> R:
    """Run the files that a person's recipe names, so that networks can be made of them. Returns the recipe with
    absolute paths."""
    changes = {}
    for field, text in recipe.code.items():
        spec = parse_spec(text)
        path = expand_home(spec.path).absolute()
        own_networks.admit(path)
        changes[field] = f"{path}:{spec.expression}"
    return replace(recipe, **changes)


def sources_of(recipes: Sequence[Recipe]) -> dict[str, Source]:
    """The files that recipes name and those that they import, by their paths in the folder of copies."""
    found: dict[str, Source] = {}
    for text in _texts(recipes):
        for source in own_networks.admitted(parse_spec(text).path).sources:
            if found.setdefault(source.path, source).text != source.text:
                raise UsageError(f"two different files are called {source.path}: rename one of them.")
    return found


def _texts(recipes: Sequence[Recipe]) -> list[str]:
    """What recipes name in files, each once."""
    return list(dict.fromkeys(text for recipe in recipes for text in recipe.code.values()))


def inside(recipe: R) -> R:
    """The recipe with its specs as a folder's file has them: `code/net.py:Net`."""
    return _moved(recipe, Path(FOLDER))


def outside(recipe: R, folder: Path) -> R:
    """The recipe that `inside` gave, with absolute paths of the copies in a folder.

    Raises `ValueError` if it names a file elsewhere.
    """
    for text in recipe.code.values():
        if parse_spec(text).path.parent != Path(FOLDER):
            raise ValueError(f"it names {text}, which lies outside of {FOLDER}/")
    return _moved(recipe, folder.absolute() / FOLDER)


def _moved(recipe: R, folder: Path) -> R:
    return replace(recipe, **{field: moved(text, folder) for field, text in recipe.code.items()})


def moved(text: str, folder: Path = Path(FOLDER)) -> str:
    """A spec with the file of the same name in another folder."""
    return parse_spec(text).at(folder).text


# Copies ---------------------------------------------------------------------------------------------------------------


def write(folder: Path, *recipes: Recipe) -> list[dict[str, str]]:
    """Copy the code of recipes into the new folder of a run or a sweep. Returns what its file says about the copies."""
    sources = sources_of(recipes)
    for path, source in sources.items():
        target = folder / FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_and_flush(target, source.text)
    return [
        {"file": path, "sha256": source.sha256, "seal": _seal(recipes, path, source.sha256)}
        for path, source in sources.items()
    ]


def check_entries(entries: object) -> list[dict[str, str]]:
    """What a folder's file says about its copies. Raises `ValueError` if it is not what `write` gave."""
    keys = ("file", "sha256", "seal")
    if not isinstance(entries, list):
        raise ValueError(f"it has {entries!r:.100} for code")
    for entry in entries:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in keys):
            raise ValueError(f"it has {entry!r:.100} in code")
        path = PurePosixPath(entry["file"])
        if path.is_absolute() or ".." in path.parts or path.suffix != ".py" or "\0" in entry["file"]:
            raise ValueError(f"it has {entry['file']!r:.100} for a file in code")
    return [{key: entry[key] for key in keys} for entry in entries]


def open_copies(kind: str, folder: Path, recipes: Sequence[Recipe], entries: list[dict[str, str]]) -> None:
    """Admit the copies in the folder of a run or a sweep, its `kind`, for the recipes that were read from there.

    Raises `RunError` if they have changed, or were not made here and are not trusted.
    """
    named = [parse_spec(text).path.name for text in _texts(recipes)]
    if not named:
        return
    path = folder / FOLDER
    files: dict[str, bytes] = {}
    for entry in entries:
        try:
            text = read_whole(path / entry["file"])
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise RunError(
                f"damaged {kind} {folder}: {FOLDER}/{entry['file']}: {reason}; put the file back."
            ) from error
        if hashlib.sha256(text).hexdigest() != entry["sha256"]:
            raise RunError(
                f"damaged {kind} {folder}: {FOLDER}/{entry['file']} has changed since the {kind} began; put the file "
                "back, or train it again."
            )
        files[entry["file"]] = text
    if missing := [name for name in named if name not in files]:
        raise RunError(f"damaged {kind} {folder}: it has no copy of {missing[0]}; train it again.")
    if not may_run(folder, recipes, entries):
        raise RunError(
            f"{kind} {folder.name} has code of its own, {path / named[0]}, and was not made here: read it, then give "
            "--trust to run it."
        )
    for name in dict.fromkeys(named):
        own_networks.admit(path.absolute() / name, files)


def may_run(folder: Path, recipes: Sequence[Recipe], entries: list[dict[str, str]]) -> bool:
    """Whether the code in a folder, if any, may run: its user trusts it, or it was made here."""
    return is_trusted(folder) or not _texts(recipes) or all(_is_sealed(recipes, entry) for entry in entries)


def is_trusted(folder: Path) -> bool:
    """Whether the user trusts the folder, or the sweep that it lies in."""
    return not _trusted.isdisjoint({folder.resolve(), folder.resolve().parent})


def _is_sealed(recipes: Sequence[Recipe], entry: dict[str, str]) -> bool:
    seal = _seal(recipes, entry["file"], entry["sha256"])
    return bool(seal) and hmac.compare_digest(entry["seal"].encode(), seal.encode())


def _seal(recipes: Sequence[Recipe], file: str, sha256: str) -> str:
    """The seal of a folder. It covers what the recipe names too, because that is what is called. Empty without a
    key."""
    key = _read_key(key_path())
    content = json.dumps([file, sha256, sorted(map(moved, _texts(recipes)))])
    return hmac.new(key, content.encode(), "sha256").hexdigest() if key else ""


def key_path() -> Path:
    """The place of the key. It is made when first needed, and only its user can read it."""
    return Path(platformdirs.user_data_dir("etude")) / "seal.key"


@cache
def _read_key(path: Path) -> bytes:
    """The key. Empty if none can be kept: then every run with user code asks."""
    with suppress(OSError):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(number, "wb") as file:
                file.write(secrets.token_bytes(32))
            with suppress(FileExistsError):
                os.link(temporary, path)  # whole, and the first if there are several
            temporary.unlink()
        return path.read_bytes()
    return b""

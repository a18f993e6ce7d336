"""recipe.json: everything that determines a run, written once when the run begins."""

from datetime import datetime
from pathlib import Path
from typing import Any

from etude import recipes
from etude.data.kinds import Kind, kind_from_dict
from etude.data.text.vocabulary import DamagedFile
from etude.errors import EtudeError, RunError
from etude.files import parse_checked_json, read_whole
from etude.recipes import Recipe
from etude.runs import code

FORMAT = 2
"""Version of the run folder; a reader refuses a newer one. Since 2, recipe.json and state.json have a checksum."""

_OPTIONAL_TEXT = (str, type(None))
_WANTED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "recipe": {},
    "versions": {},
    "dataset": {
        "name": str,
        "train_images": int,
        "validation_images": int,
        "test_images": int,
        "data_dir": _OPTIONAL_TEXT,
        "digest": str,
    },
    "execution": {"device": str, "threads": int, "precision": str, "compiled": bool},
}


def read_configuration(path: Path) -> tuple[dict[str, Any], Recipe, Kind]:
    """What recipe.json of the run folder `path` holds, the recipe in it, and the kind of data with its vocabulary.

    Raises `RunError` when it is missing, damaged or of a newer étude; what it returns has the types that it should.
    """
    configuration = _read(path)
    for part, keys in _WANTED.items():
        values = configuration.get(part)
        if not isinstance(values, dict):
            raise _damaged(path, f"lacks {part}")
        for key, kind in keys.items():
            value = values.get(key)
            if not isinstance(value, kind) or (kind is int and (type(value) is not int or value < 0)):
                raise _damaged(path, f"has {value!r} for {part}.{key}")
    dataset = configuration["dataset"]
    for key in ("left_out", "notes"):  # not in runs of étude 0.1
        if not isinstance(texts := dataset.setdefault(key, []), list) or not all(isinstance(t, str) for t in texts):
            raise _damaged(path, f"has {texts!r} for dataset.{key}")
    if "kind" not in dataset:  # a run from before there were other kinds than images
        shape, names = (dataset.get(key) for key in ("image_shape", "class_names"))
        dataset["kind"] = {"name": "images", "shape": shape, "class_names": names}
    try:
        kind = kind_from_dict(dataset["kind"], lambda name: _text_of(path, name))
    except DamagedFile as error:
        raise RunError(f"damaged run {path}: {error}; put the file back, or train the run again.") from error
    except ValueError as error:
        raise _damaged(path, f"has {error} of dataset.kind") from error
    try:
        datetime.fromisoformat(configuration["created"]).astimezone()
    except KeyError:
        raise _damaged(path, "lacks created") from None
    except (TypeError, ValueError, OverflowError):
        raise _damaged(path, f"has {configuration['created']!r} for created") from None
    # The keys that are known, and no others: they are arguments elsewhere.
    configuration["execution"] = {key: configuration["execution"][key] for key in _WANTED["execution"]}
    try:
        configuration["code"] = code.check_entries(configuration.get("code", []))
        recipe = recipes.from_dict(configuration["recipe"], source=str(path / "recipe.json"))
        return configuration, code.outside(recipe, path), kind
    except (EtudeError, ValueError) as error:
        raise _damaged(path, f"holds no recipe ({str(error).rstrip('.')})") from error


def _read(path: Path) -> dict[str, Any]:
    """The content of recipe.json, as it was written."""
    file = path / "recipe.json"
    try:
        configuration, has_checksum = parse_checked_json(read_whole(file))
        version = configuration["format"]
        if type(version) is not int or version < 1:
            raise ValueError(f"it has {version!r} for format")
    except FileNotFoundError:
        if file.is_symlink():
            raise _damaged(path, "is a link that leads nowhere") from None
        raise RunError(f"no run at {path}: `etude runs` lists the runs there are.") from None
    except OSError as error:
        raise RunError(f"cannot read {file}: {(error.strerror or str(error)).lower()}.") from error
    except KeyError:
        raise _damaged(path, "lacks format") from None
    except ValueError as error:
        raise _damaged(path, f"cannot be read ({error})") from error
    if version > FORMAT:
        raise RunError(f"run {path} is of format {version}, newer than {FORMAT}: update étude to open it.")
    if version > 1 and not has_checksum:
        raise _damaged(path, "has lost its checksum")
    return configuration


def _text_of(path: Path, name: str) -> str:
    """A file of the vocabulary."""
    try:
        return read_whole(path / name).decode()
    except FileNotFoundError:
        raise DamagedFile(f"{name} is missing") from None
    except OSError as error:
        raise DamagedFile(f"{name} cannot be read ({(error.strerror or str(error)).lower()})") from None
    except UnicodeDecodeError:
        raise DamagedFile(f"{name} has changed since it was written") from None


def _damaged(path: Path, what: str) -> RunError:
    what = what if len(what) <= 300 else f"{what[:300]} …"
    return RunError(f"damaged run {path}: recipe.json {what}; put the file back, or train the run again.")

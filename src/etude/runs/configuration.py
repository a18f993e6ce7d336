"""recipe.json: everything that determines a run, written once when the run begins."""

import json
from pathlib import Path
from typing import Any

from etude.errors import RunError

FORMAT = 1
"""Version of the run folder; a reader refuses a newer one."""

_WANTED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "dataset": {
        "name": str,
        "image_shape": list,
        "class_names": list,
        "train_images": int,
        "validation_images": int,
        "test_images": int,
        "data_dir": (str, type(None)),
        "digest": str,
    },
    "execution": {"device": str, "threads": int, "precision": str, "compiled": bool},
}


def read_configuration(path: Path) -> dict[str, Any]:
    """What recipe.json of the run folder `path` holds; `RunError` when it is missing, damaged or of a newer étude."""
    file = path / "recipe.json"
    if not file.is_file():
        raise RunError(f"no run at {path}: `etude runs` lists the runs there are.")
    try:
        configuration = json.loads(file.read_bytes())
        version = int(configuration["format"])
    except OSError as error:
        raise RunError(f"cannot read {file}: {(error.strerror or str(error)).lower()}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"cannot be read ({error})") from error
    if version > FORMAT:
        raise RunError(f"run {path} is of format {version}, newer than {FORMAT}: update étude to open it.")
    for part, keys in {"recipe": {}, "versions": {}, **_WANTED}.items():
        values = configuration.get(part)
        if not isinstance(values, dict):
            raise _damaged(path, f"lacks {part}")
        for key, kind in keys.items():
            if not isinstance(values.get(key), kind):
                raise _damaged(path, f"has {values.get(key)!r} for {part}.{key}")
    shape = configuration["dataset"]["image_shape"]
    if len(shape) != 3 or not all(isinstance(size, int) and size > 0 for size in shape):
        raise _damaged(path, f"has {shape!r} for dataset.image_shape")
    if not isinstance(configuration.get("created"), str):
        raise _damaged(path, "lacks created")
    return configuration


def _damaged(path: Path, what: str) -> RunError:
    return RunError(f"damaged run {path}: recipe.json {what}; put the file back, or train the run again.")

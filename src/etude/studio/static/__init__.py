"""The files of the page, read once: nothing that a request says reaches the disk."""

from importlib.resources import files

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def _read() -> dict[str, tuple[bytes, str]]:
    found = {}
    for file in files(__name__).iterdir():
        suffix = f".{file.name.rpartition('.')[2]}"
        if suffix in TYPES:
            found[file.name] = file.read_bytes(), TYPES[suffix]
    return found


FILES = _read()
"""Content and type of each file by name."""

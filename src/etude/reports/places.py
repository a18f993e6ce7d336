"""What a report must not tell: where files lie on this machine, what it is called, and who its user is."""

import getpass
import re
import socket
from contextlib import suppress
from pathlib import Path

from etude.data.names import GIVEN_PREFIX, OwnName, parse_own
from etude.errors import EtudeError
from etude.sweeps.grid import fit_for_a_folder

_PATH = re.compile(r"(?<![\w./…])/(?!/)(?:[^\s/'\"<>:;,()|`]+/)*([^\s/'\"<>:;,()|`]+)/?")
"""An absolute path; a slash between two words, and the address of a page, are none."""
_SPACED = re.compile(r"(?<![\w./…])/(?!/)(?:[^\n/'\"<>:;,()|`]+/)+([^\s/'\"<>:;,()|`]+)/?")
"""The same where names may have spaces: in a message, too much may go rather than too little."""
LEAST = 3
"""Shorter names of a machine or a user are not looked for."""


def without_paths(text: str) -> str:
    """The text with …/NAME in place of each absolute path: "cannot read /home/me/x.npz" says "cannot read …/x.npz"."""
    return _PATH.sub(r"…/\1", text) if "/" in text else text


def told(text: str, *folders: Path) -> str:
    """A message of étude's or of the system's without paths and names of this machine. `folders` are left out first."""
    forms = {str(form): form.name for folder in folders for form in _forms(folder) if form.name}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(f"{form}/", "").replace(form, forms[form])
    text = without_paths(_SPACED.sub(r"…/\1", text))
    for name in _names():
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", text)
    return text


def data_told(name: str) -> str:
    """The name of a data set: of a person's own with the last part of its path alone, `folder:photos`."""
    try:
        own = parse_own(name)
    except EtudeError:
        own = None
    if own is None:
        return told(name.removeprefix(GIVEN_PREFIX))
    second = own.second and Path(own.second.name)
    return str(OwnName(format=own.format, path=Path(own.path.name or "data"), second=second, column=own.column))


def name_told(name: str, data: str) -> str:
    """The name of a run on some data: a sweep over data writes the path of a person's own into it."""
    return name.replace(fit_for_a_folder(data), fit_for_a_folder(data_told(data))) if parse_own(data) else name


def _forms(folder: Path) -> set[Path]:
    """The ways in which a message may write a folder."""
    forms = {folder.absolute(), *([folder] if len(folder.parts) > 1 else [])}
    with suppress(OSError, RuntimeError):
        forms.add(folder.resolve())
    return forms


def _names() -> list[str]:
    """What the machine and its user are called."""
    found = {socket.gethostname(), socket.gethostname().partition(".")[0]}
    with suppress(OSError, KeyError, RuntimeError):
        found.add(getpass.getuser())
    with suppress(RuntimeError):
        found.add(Path.home().name)
    return sorted((name for name in found if len(name) >= LEAST), key=len, reverse=True)

"""Networks from a person's file: which files may run, and what is made of the names in them.

A file runs only once it was admitted, by whoever trains or opens a run. That holds for what the person named and for
what lies sealed in a run's folder (`etude.runs.code`). So a recipe from elsewhere runs nothing by itself.
"""

import copy
import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from etude import source_text, user_code
from etude.data.kinds import Images, Kind, RunningText, TokenPairs, Tokens
from etude.errors import RunError, UsageError
from etude.streams import global_stream
from etude.user_code import Program

_programs: dict[Path, Program] = {}
"""What running the admitted files gave."""
_given: set[Path] = set()
"""Those that are not files, but the text of what was given in Python."""


def admit(path: Path, files: Mapping[str, bytes] | None = None) -> Program:
    """Run a person's file. From now on networks are made from it as it is now.

    With `files`, texts by their paths relative to its folder, these are run and nothing is read from the disk.
    """
    key = path.resolve()
    known = _programs.get(key)
    if known is not None and files is None and key in _given:
        return known
    if known is not None and files is not None and all(files.get(each.path) == each.text for each in known.sources):
        return known
    with global_stream(0, "import"):  # a module that the file makes has the same weights each time
        program = _programs[key] = user_code.run_program(path, files)
    return program


def given(thing: Any) -> str:
    """Admit a class or function given in Python and return its spec. Its text is kept as if it were a file."""
    if isinstance(thing, nn.Module):
        raise UsageError(
            f"network is a {type(thing).__name__} that is made already; give its class, or a function that makes it, "
            "so that every seed has its own initial weights."
        )
    if not (isinstance(thing, type) or inspect.isfunction(thing)) or thing.__name__ == "<lambda>":
        raise UsageError(
            f"network is {thing!r}; allowed: a name, FILE.py:NAME, a torch.nn.Module class, or a named function."
        )
    path = Path(f"{thing.__name__}.py").absolute()
    admit(path, {path.name: source_text.text_of(thing).encode()})
    _given.add(path.resolve())
    return f"{path}:{thing.__name__}"


def admitted(path: Path) -> Program:
    """What running an admitted file gave."""
    program = _programs.get(path.resolve())
    if program is None:
        raise RunError(f"{path} has not been admitted to run: give it to `etude train`, or open its run.")
    return program


def make(text: str, kind: Kind, **offered: Any) -> nn.Module:
    """Make the network that `FILE.py:NAME(…)` of an admitted file names, for a kind of data.

    PyTorch's global generator draws its initial weights. Its arguments may be the sizes of the data, and `offered`.
    """
    spec = user_code.parse_spec(text)
    program = admitted(spec.path)
    module = user_code.load(text, offered={**sizes(kind), **offered}, program=program)
    user_code.require_no_loop(module, spec.expression)
    if module is program.names.get(spec.name):  # it is made once, when the file runs: each run gets a copy
        with user_code.contained(lambda error: UsageError(f"{spec.expression} cannot be copied: {_again(error)}.")):
            module = copy.deepcopy(module)
    return module


def _again(error: BaseException) -> str:
    return f"{user_code.reason(error)}; name its class, or a function that makes it"


def sizes(kind: Kind) -> dict[str, Any]:
    """The arguments about the data that a network may take."""
    if isinstance(kind, TokenPairs):
        return {
            "source_vocabulary_size": len(kind.source_vocabulary),
            "target_vocabulary_size": len(kind.target_vocabulary),
        }
    if isinstance(kind, Tokens | RunningText):
        found: dict[str, Any] = {"vocabulary_size": len(kind.vocabulary), "vocab_size": len(kind.vocabulary)}
        if isinstance(kind, Tokens):
            found |= {"max_tokens": kind.length, "num_classes": kind.num_classes}
        return found
    found = {
        "input_shape": kind.shape,
        "num_features": math.prod(kind.shape),
        "num_classes": kind.num_classes,
    }
    if isinstance(kind, Images):
        channels, height, width = kind.shape
        found |= {"image_shape": kind.shape, "in_channels": channels}
        found |= {"image_size": height} if height == width else {}
    return found


def example_of(kind: Kind, num_examples: int, generator: torch.Generator | None = None) -> Tensor:
    """Made-up examples as a classifier or discriminator takes them: images in [-1, 1], features standardised."""
    if isinstance(kind, Images):
        return torch.rand(num_examples, *kind.shape, generator=generator) * 2 - 1
    return torch.randn(num_examples, *kind.shape, generator=generator)


def takes_labels(function: Any) -> bool:
    """Whether it requires a second argument, the label."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1 and positional[1].default is inspect.Parameter.empty


def name_of(text: str) -> str:
    """The name of the network in `FILE.py:NAME(…)`: NAME."""
    return user_code.parse_spec(text).name

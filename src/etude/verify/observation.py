"""What one call of the learner's code showed: named tensors, or why there are none."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

OUT_OF_MEMORY = "asked for more memory than verify allows"


@dataclass(frozen=True)
class Observation:
    """The named results of one call, compared with those of the right answer and of the mutants."""

    parts: Mapping[str, Tensor]
    state: Any = None
    """What a mutant needs to run alike: weights, noise. Not compared."""


class Refused(Exception):
    """The learner's code gave nothing to compare: it raised, or returned something of the wrong kind."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        """What a mutant must share to be the same mistake: the exception's name, or what was returned."""


class NotAllowed(PermissionError):
    """The learner's code asked for the network or for another process."""


class Undecided(Exception):
    """The learner's code cannot be judged here; the text says why."""


def call(function: Callable[..., Any], *arguments: Any, name: str = "it") -> Any:
    """Call the learner's code; whatever goes wrong in there becomes `Refused` or `Undecided`, on one line."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # built-in functions have none
        signature = None
    if signature is not None:
        try:
            signature.bind(*arguments)
        except TypeError:
            raise Refused("signature", f"{name} takes {signature}; it is called") from None
    try:
        return function(*arguments)
    except (NotAllowed, MemoryError) as error:
        raise Undecided(str(error) or OUT_OF_MEMORY) from None
    except SystemExit:
        raise Refused("SystemExit", f"{name} called exit") from None
    except Exception as error:
        if "can't allocate memory" in str(error):
            raise Undecided(OUT_OF_MEMORY) from None
        raise Refused(type(error).__name__, f"{name} raised {type(error).__name__}: {one_line(str(error))}") from None


def call_function(
    function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None = None
) -> Observation:
    """Observe a plain function of tensors: its result for the case's values as positional arguments."""
    return Observation({"result": tensor_result(call(function, *in_default_dtype(case).values()))})


def call_loss(function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None = None) -> Observation:
    """Observe a loss: its value, and whether gradients reach its first argument."""
    values = in_default_dtype(case)
    next(iter(values.values())).requires_grad_()
    value = tensor_result(call(function, *values.values()))
    return Observation({"result": value.detach(), "has a gradient": torch.tensor(float(value.requires_grad))})


def in_default_dtype(case: Mapping[str, Any]) -> dict[str, Any]:
    """Fresh copies of the case's values, so that code which works in place spoils nothing; floats in default dtype."""
    return {name: _fresh(value) for name, value in case.items()}


def _fresh(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.to(torch.get_default_dtype(), copy=True) if value.is_floating_point() else value.clone()


def tensor_result(value: Any, what: str = "it") -> Tensor:
    """`value` if it is a tensor on the CPU, else `Refused`."""
    if not isinstance(value, Tensor):
        raise Refused(type(value).__name__, f"{what} returned {_described(value)}; expected a tensor")
    if value.device.type != "cpu":
        raise Refused("device", f"{what} returned a tensor on device {value.device}; expected cpu")
    return value


def _described(value: Any) -> str:
    if value is None:
        return "None (is a `return` missing?)"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def one_line(text: str, width: int = 160) -> str:
    """The text's first line, cut to `width` characters."""
    line = text.strip().partition("\n")[0]
    return line if len(line) <= width else line[: width - 1] + "…"

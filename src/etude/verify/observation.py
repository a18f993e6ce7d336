"""What one call of the learner's code showed: named tensors, or why there are none."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

OUT_OF_MEMORY = "asked for more memory than verify allows"


@dataclass(frozen=True)
class Observation:
    """The named results of one call, compared with those of the right answer and of the mutants."""

    parts: Mapping[str, Tensor]
    state: Any = None
    """What a mutant needs to run alike: weights, noise. Not compared."""
    note: str = ""
    """The convention that was followed, if there are several; a pass shows it. Not compared."""


class Refused(Exception):
    """The learner's code gave nothing to compare: it raised, or returned something of the wrong kind."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        """What a mutant must share to be the same mistake: the exception's name, or what was returned."""


class NotAllowed(PermissionError):
    """The learner's code tried to use the network or another process."""


class Undecided(Exception):
    """The learner's code cannot be judged here. The text says why."""


def call(function: Callable[..., Any], *arguments: Any, name: str = "it", **keywords: Any) -> Any:
    """Call the learner's code. Whatever goes wrong becomes `Refused` or `Undecided`, on one line."""
    try:
        signature = inspect.signature(function.forward if isinstance(function, nn.Module) else function)
    except (TypeError, ValueError):  # built-in functions have none
        signature = None
    if signature is not None:
        try:
            signature.bind(*arguments, **keywords)
        except TypeError:
            raise Refused("signature", f"{name} takes {signature}; it is called") from None
    try:
        return function(*arguments, **keywords)
    except NotAllowed as error:
        raise Undecided(str(error)) from None
    except SystemExit:
        raise Refused("SystemExit", f"{name} called exit") from None
    except Exception as error:
        if is_out_of_memory(error):
            raise Undecided(OUT_OF_MEMORY) from None
        raise Refused(type(error).__name__, f"{name} raised {type(error).__name__}: {one_line(str(error))}") from None


def is_out_of_memory(error: BaseException) -> bool:
    """Python's own error, or PyTorch's."""
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)


def call_function(
    function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None = None
) -> Observation:
    """Observe a plain function of tensors: its result for the case's values as positional arguments."""
    return Observation({"result": tensor_result(call(function, *in_default_dtype(case).values()))})


def call_loss(function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None = None) -> Observation:
    """Observe a loss: its value, and whether gradients reach its first argument."""
    first, *others = in_default_dtype(case).values()
    value = tensor_result(call(function, tracked(first), *others))
    return Observation({"result": value.detach(), "has a gradient": torch.tensor(float(value.requires_grad))})


def tracked(value: Tensor) -> Tensor:
    """`value` with gradients, as a network would give it: not a leaf, so that code may change it in place."""
    return value.requires_grad_().clone()


def gradients(result: Tensor, *inputs: Tensor) -> list[Tensor]:
    """d Σ result / d input for each of `inputs`, zeros for one that it does not reach; `Refused` if backward raises."""
    if not result.requires_grad:
        return [torch.zeros_like(each) for each in inputs]
    found = call(torch.autograd.grad, result.sum(), inputs, allow_unused=True, name="its backward pass")
    return [torch.zeros_like(each) if gradient is None else gradient
            for each, gradient in zip(inputs, found, strict=True)]  # fmt: skip


def in_default_dtype(case: Mapping[str, Any]) -> dict[str, Any]:
    """Fresh copies of the case's values, so that code which works in place spoils nothing; floats in default dtype."""
    return {name: _fresh(value) for name, value in case.items()}


def _fresh(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.to(torch.get_default_dtype(), copy=True) if value.is_floating_point() else value.clone()


def tensor_result(value: Any, what: str = "it", shape: tuple[int, ...] | None = None) -> Tensor:
    """`value` if it is a dense tensor of real numbers on the CPU, of this `shape` if one is given; else `Refused`."""
    if not isinstance(value, Tensor):
        raise Refused(type(value).__name__, f"{what} returned {_described(value)}; expected a tensor")
    if value.device.type != "cpu":
        raise Refused("device", f"{what} returned a tensor on device {value.device}; expected cpu")
    if value.layout != torch.strided or value.is_nested or value.is_quantized:
        raise Refused("layout", f"{what} returned a sparse, nested or quantized tensor; expected a dense one")
    if value.is_complex():
        raise Refused("complex", f"{what} returned complex numbers ({value.dtype}); expected real ones")
    if shape is not None and value.shape != shape:
        raise Refused(f"shape {tuple(value.shape)}", f"{what} has shape {tuple(value.shape)}; expected {tuple(shape)}")
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

"""How a learner's function or class is called: settings given to either, masks by the meaning that their name says."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from etude.verify.inputs import normal
from etude.verify.networks import build
from etude.verify.observation import Refused, call, tensor_result

HIDES = ("pad", "drop", "ignore", "block", "exclude", "invalid", "hide")
"""Words in the name of a mask that is True where something is hidden."""
TIME_FIRST = ("time_first", "seq_first", "time_major", "tnd")
"""Words in the name of an argument that says: time before batch."""


def is_class(candidate: Any) -> bool:
    """Whether it is a class, or one with some of its arguments given."""
    return isinstance(candidate.func if isinstance(candidate, partial) else candidate, type)


def as_function(candidate: Any, *settings: Any) -> Callable[..., Any]:
    """A function of the inputs alone. A class gets the settings when it is made, or else at each call."""
    if not is_class(candidate):
        return lambda *inputs: call(candidate, *inputs, *settings)
    try:
        made, left = call(candidate, *settings, name="the class"), ()
    except Refused as error:
        if error.kind != "signature" or not settings:
            raise
        made, left = call(candidate, name="the class"), settings
    if isinstance(made, nn.Module):
        made.eval()
    return lambda *inputs: call(made, *inputs, *left)


def made_module(cls: Any, *sizes: int, pad: int | None = None) -> nn.Module:
    """An object of the learner's class, batch first if it can be asked for, in eval mode.

    `pad` goes to the argument with `pad` in its name, else after the sizes, if there is one more. Other arguments
    without a default get 0 if their name says dropout, else 50 (another size, a longest length).
    """
    try:
        parameters = list(inspect.signature(cls).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    keywords: dict[str, Any] = {"batch_first": True} if any(each.name == "batch_first" for each in parameters) else {}
    if pad is not None:
        named = [each.name for each in plain if "pad" in each.name]
        keywords |= {named[0]: pad} if named else {}
        sizes = sizes if named or len(plain) <= len(sizes) else (*sizes, pad)
    for each in plain[len(sizes) :]:
        if each.default is each.empty:
            keywords.setdefault(each.name, 0.0 if "drop" in each.name else 50)
    return build(partial(cls, **keywords), *sizes, name="the class").eval()


def refill(module: nn.Module, seed: int) -> None:
    """Give every parameter of the learner's module numbers that `seed` determines."""
    with torch.no_grad():
        for index, parameter in enumerate(module.parameters()):
            parameter.copy_(normal(parameter.shape, 100 * seed + index, 0.7))


def _called(candidate: Any) -> Any:
    """What a call runs: the function, or the `forward` or `__call__` of a class."""
    cls = candidate.func if isinstance(candidate, partial) else candidate
    if not isinstance(cls, type):
        return candidate
    return cls.forward if issubclass(cls, nn.Module) else cls.__call__


def names_of(function: Any) -> list[str]:
    """The names of its arguments, in lower case; none if it does not tell."""
    try:
        return [name.lower() for name in inspect.signature(function).parameters]
    except (TypeError, ValueError):
        return []


def is_time_first(candidate: Any) -> bool:
    """Whether an argument's name, of the class or of its call, says that time comes before the batch."""
    return any(word in name for name in [*names_of(candidate), *names_of(_called(candidate))] for word in TIME_FIRST)


def mask_as_named(candidate: Any, keep: Tensor) -> tuple[Tensor, str]:
    """The mask `keep`, (batch, …, keys) and True at real keys, as the argument's name asks for it; and a note.

    A name with `pad`, `drop`, … means True at hidden keys, one with `len` the number of real keys, (batch,).
    """
    for name in names_of(_called(candidate)):
        if "len" in name:
            return keep.flatten(1).sum(1), f"{name} is the number of real keys"
        if "dropout" not in name and any(word in name for word in HIDES):
            return ~keep, f"True in {name} hides a key, as the name says"
    return keep, ""


def takes(function: Callable[..., Any], *inputs: Any) -> bool:
    """Whether it gives a result for these inputs."""
    try:
        function(*inputs)
    except Refused:
        return False
    return True


def masked(function: Callable[..., Any], *inputs: Tensor, mask: Tensor) -> Any:
    """Call it with a mask of truth values, or of 0 and 1 if it takes only those: it may compute 1 − mask."""
    if mask.dtype == torch.bool and not takes(function, *inputs, mask) and takes(function, *inputs, mask.long()):
        return function(*inputs, mask.long())
    return function(*inputs, mask)


def one_of_shape(result: Any, *shapes: tuple[int, ...]) -> Tensor:
    """The result, or the first of several that has one of these shapes, in the first of them; else `Refused`."""
    several = result if isinstance(result, tuple | list) and result else (result,)
    tensors = [each for each in several if isinstance(each, Tensor) and not each.is_nested]
    fits = [each for each in tensors if tuple(each.shape) in shapes]
    if not fits:
        return tensor_result(several[0], shape=shapes[0])
    return tensor_result(fits[0]).reshape(shapes[0])

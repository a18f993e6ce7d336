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


def made_module(cls: Any, *sizes: int) -> nn.Module:
    """An object of the learner's class, batch first if it can be asked for, in eval mode.

    Settings without a default that come after the sizes get 0 if their name says dropout, else 50 (a longest length).
    """
    try:
        parameters = list(inspect.signature(cls).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    more = [0.0 if "drop" in each.name else 50 for each in plain[len(sizes) :] if each.default is each.empty]
    keywords = {"batch_first": True} if any(each.name == "batch_first" for each in parameters) else {}
    return build(partial(cls, **keywords), *sizes, *more, name="the class").eval()


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


def _names(function: Any) -> list[str]:
    try:
        return [name.lower() for name in inspect.signature(function).parameters]
    except (TypeError, ValueError):
        return []


def is_time_first(candidate: Any) -> bool:
    """Whether an argument's name, of the class or of its call, says that time comes before the batch."""
    return any(word in name for name in [*_names(candidate), *_names(_called(candidate))] for word in TIME_FIRST)


def mask_as_named(candidate: Any, keep: Tensor) -> tuple[Tensor, str]:
    """The mask `keep`, (batch, …, keys) and True at real keys, as the argument's name asks for it; and a note.

    A name with `pad`, `drop`, … means True at hidden keys, one with `len` the number of real keys, (batch,).
    """
    for name in _names(_called(candidate)):
        if "len" in name:
            return keep.flatten(1).sum(1), f"{name} is the number of real keys"
        if "dropout" not in name and any(word in name for word in HIDES):
            return ~keep, f"True in {name} hides a key, as the name says"
    return keep, ""


def masked(function: Callable[..., Any], *inputs: Tensor, mask: Tensor) -> Any:
    """Call it with a mask of truth values, or of 0 and 1 if it refuses those: it may compute 1 − mask."""
    try:
        return function(*inputs, mask)
    except Refused:
        if mask.dtype != torch.bool:
            raise
        try:
            return function(*inputs, mask.long())
        except Refused:
            pass
        raise


def one_of_shape(result: Any, *shapes: tuple[int, ...]) -> Tensor:
    """The result, or the first of several that has one of these shapes, in the first of them; else `Refused`."""
    several = result if isinstance(result, tuple | list) and result else (result,)
    tensors = [each for each in several if isinstance(each, Tensor) and not each.is_nested]
    fits = [each for each in tensors if tuple(each.shape) in shapes]
    if not fits:
        return tensor_result(several[0], shape=shapes[0])
    return tensor_result(fits[0]).reshape(shapes[0])

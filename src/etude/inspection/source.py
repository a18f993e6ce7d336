"""From what a person names on the command line to a network and inputs for it.

A network is one of étude's by its name, or `FILE.py:NAME`: a class, a function that returns a module, or a module,
with constructor arguments as in Python: `net.py:Net(3, width=16)`.
"""

import ast
import contextlib
import importlib.util
import inspect
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from etude.errors import UsageError, unknown
from etude.families import family as families
from etude.families.book import specimens
from etude.inspection.inputs import examples
from etude.inspection.trace.record import shape_text
from etude.user_code import contained, reason, require_no_loop, text_of

MOST_NUMBERS = 2**27
"""Of an input, and of a network of étude's for unusual images: half a gigabyte."""


@dataclass(frozen=True, eq=False)
class Specimen:
    """A network and inputs to run it on."""

    name: str
    module: nn.Module
    inputs: tuple[Any, ...]
    keywords: dict[str, Any] = field(default_factory=dict)


def load(target: str, shapes: Sequence[str] = (), *, batch_size: int = 1, seed: int = 0) -> Specimen:
    """The network that `target` names, with random weights and inputs that `seed` determines.

    `shapes` are those of its inputs without the batch: `3,32,32`, or `int9:20` for 20 whole numbers below 9; with a
    name before and a type after them, as `mask=20:bool`. Raises a `UsageError` that says what is missing.
    """
    if batch_size < 1:
        raise UsageError(f"--batch-size is {batch_size}; allowed: 1 or more.")
    if not 0 <= seed < 2**63:
        raise UsageError(f"--seed is {seed}; allowed: in [0, 2^63).")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if target in (own := specimens()):
            return _own(target, own[target], shapes, batch_size)
        if ".py:" not in target:
            if target.endswith(".py"):
                raise UsageError(f"{target} is a file; name the network in it too, {target}:{_first_name(target)}.")
            raise unknown("network", target, own, hint="or a file's, as net.py:Net")
        module = _foreign(target)
        require_no_loop(module, target)
        if not shapes:
            raise UsageError(f"{target} needs the shape of its input, without the batch: --input 3,32,32, for example.")
        inputs, keywords = examples(shapes, batch_size, example)
        if any(isinstance(part, LazyModuleMixin) for part in module.modules()):
            _give_shapes(module, inputs, keywords)
        return Specimen(target, module, inputs, keywords)


def _give_shapes(module: nn.Module, inputs: tuple[Tensor, ...], keywords: dict[str, Any]) -> None:
    """Run a network with lazy layers once, so that their parameters exist; where that fails, `trace` says why not."""
    mode = module.training
    with contextlib.suppress(Exception), torch.no_grad():
        module.eval()(*inputs, **keywords)
    module.train(mode)


def _own(name: str, own: families.Specimen, shapes: Sequence[str], batch_size: int) -> Specimen:
    if len(shapes) > 1 or (shapes and own.input_shape):
        wanted = "no --input: it takes noise" if own.input_shape else "one --input, the image's shape"
        raise UsageError(f"{name} takes {wanted}; got {' '.join(shapes)}.")
    image = _sizes(shapes[0]) if shapes else own.image_shape
    example_shape = _affordable((batch_size, *(own.input_shape or image)))
    with torch.device("meta"):
        numbers = sum(each.numel() for each in own.build(image).parameters())
    if numbers > MOST_NUMBERS:
        raise UsageError(
            f"{name} for images of {shape_text(image)} has {numbers:,} parameters; allowed: {MOST_NUMBERS:,}."
        )
    module = own.build(image)
    inputs: tuple[Tensor, ...] = (torch.rand(example_shape),)
    if own.num_classes:
        inputs = (*inputs, torch.arange(batch_size) % own.num_classes)
    keywords = {key: torch.zeros(shape) for key, shape in own.keywords.items()}  # for any number of images
    return Specimen(name, module, inputs, keywords)


def example(shape: str, batch_size: int) -> Tensor:
    """Uniform numbers in [0, 1) of a shape with the batch before it; `int9:20` makes whole numbers below 9."""
    match = re.fullmatch(r"int([0-9]+):(.+)", shape)
    if match:
        if len(match[1]) > 18:
            raise UsageError(f"--input is {shape!r}; allowed: whole numbers below 10^18.")
        return torch.randint(max(1, int(match[1])), _affordable((batch_size, *_sizes(match[2]))))
    return torch.rand(_affordable((batch_size, *_sizes(shape))))


def _affordable(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an input, or a `UsageError` where it would fill the memory."""
    if (numbers := math.prod(shape)) > MOST_NUMBERS:
        raise UsageError(
            f"an input of {shape_text(shape)} has {numbers:,} numbers; allowed: {MOST_NUMBERS:,}; give smaller sizes "
            "or a smaller --batch-size."
        )
    return shape


def _sizes(text: str) -> tuple[int, ...]:
    parts = re.split(r"[,x×]", text)
    if not all(re.fullmatch(r"[1-9][0-9]{,17}", part) for part in parts):
        raise UsageError(f"--input is {text!r}; allowed: sizes without the batch, as 3,32,32, or int9:20 for indices.")
    return tuple(int(part) for part in parts)


def _foreign(target: str) -> nn.Module:
    file, _, expression = target.partition(".py:")
    path = Path(f"{file}.py")
    if not os.path.isfile(path):
        raise UsageError(f"there is no file {path}; give the path of a Python file, as net.py:Net.")
    name, arguments, keywords = _parse_call(expression, target)
    namespace = _run(path)
    if name not in namespace or name.startswith("_"):
        candidates = [key for key, value in namespace.items() if _makes_modules(value, path)]
        if not candidates:
            raise UsageError(f"{path} has no {name!r}, nor any class derived from torch.nn.Module.")
        raise unknown(f"network in {path}:", name, candidates)
    thing = namespace[name]
    if isinstance(thing, nn.Module):
        return thing
    if not callable(thing):
        raise UsageError(f"{target} is a {type(thing).__name__}; name a class, a function or a torch.nn.Module.")
    _check_arguments(thing, name, arguments, keywords, target)
    with contained(lambda error: UsageError(f"{expression} could not be built: {_reason(error)}.")):
        module = thing(*arguments, **keywords)
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"{target} made a {type(module).__name__}, not a torch.nn.Module; name a class or a function of one."
        )
    return module


def _parse_call(expression: str, target: str) -> tuple[str, list[Any], dict[str, Any]]:
    try:
        tree = ast.parse(expression, mode="eval").body
        if isinstance(tree, ast.Name):
            return tree.id, [], {}
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
            raise ValueError("no call")
        arguments = [ast.literal_eval(value) for value in tree.args]
        return tree.func.id, arguments, {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords}
    except (
        SyntaxError,
        ValueError,
        TypeError,
        RecursionError,
        MemoryError,
    ) as error:  # the last two: nested too deeply
        raise UsageError(f"{target!r} names no network; write FILE.py:NAME or FILE.py:NAME(3, width=16).") from error


def _check_arguments(
    thing: Callable[..., Any], name: str, arguments: list[Any], keywords: dict[str, Any], target: str
) -> None:
    try:
        signature = inspect.signature(thing)
    except (ValueError, TypeError):  # built in C, or odd: the call itself will tell
        return
    try:
        signature.bind(*arguments, **keywords)
    except TypeError as error:
        wanted = ", ".join(str(p).split(":")[0].split("=")[0].strip() for p in signature.parameters.values())
        raise UsageError(
            f"{name} takes ({wanted}): {_reason(error)}; give constructor arguments, as in "
            f"'{target.partition('(')[0]}(3)'."
        ) from error


def _run(path: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # its own imports work as when it is run
    sys.modules[spec.name], before = module, sys.modules.get(spec.name)  # dataclasses and pickling look there

    def tell(error: BaseException) -> UsageError:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        return UsageError(f"{path} could not be imported{line}: {_reason(error)}.")

    try:
        with contained(tell):
            spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
        if before is not None:
            sys.modules[spec.name] = before
    return vars(module)


def _makes_modules(value: Any, path: Path) -> bool:
    return isinstance(value, nn.Module) or (
        isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == path.stem
    )


def _first_name(target: str) -> str:
    try:
        names = re.findall(r"^class (\w+)\(.*Module", Path(target).read_text(errors="replace"), re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else "Net"


def _reason(error: BaseException) -> str:
    return text_of(error) if isinstance(error, TypeError | SyntaxError) else reason(error)


def describe(inputs: Sequence[Any]) -> str:
    """The shapes of the inputs, for a heading."""
    return ", ".join(shape_text(tuple(value.shape)) for value in inputs if isinstance(value, Tensor))

"""From what a person names on the command line to a network and inputs for it.

A network is one of étude's by its name, or `FILE.py:NAME`: a class, a function that returns a module, or a module,
with constructor arguments as in Python: `net.py:Net(3, width=16)`.
"""

import contextlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from etude import user_code
from etude.errors import UsageError, unknown
from etude.families import family as families
from etude.families.book import specimens
from etude.inspection.inputs import examples
from etude.inspection.sequences.ids import LENGTH, inputs_of, looks_up, with_ids
from etude.inspection.trace.record import shape_text

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
        if not user_code.is_spec(target):
            if target.endswith(".py"):
                first = user_code.first_class(Path(target))
                raise UsageError(f"{target} is a file; name the network in it too, {target}:{first}.")
            raise unknown("network", target, own, hint="or a file's, as net.py:Net")
        module = user_code.load(target)
        user_code.require_no_loop(module, target)
        inputs, keywords = _examples(target, module, shapes, batch_size)
        if any(isinstance(part, LazyModuleMixin) for part in module.modules()):
            _give_shapes(module, inputs, keywords)
        return Specimen(target, module, inputs, keywords)


def _examples(
    target: str, module: nn.Module, shapes: Sequence[str], batch_size: int
) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """Inputs of these shapes; a network that looks its inputs up is given whole numbers, a sequence without a shape."""
    if not looks_up(module):
        if not shapes:
            raise UsageError(f"{target} needs the shape of its input, without the batch: --input 3,32,32, for example.")
        return examples(shapes, batch_size, example)
    needed = inputs_of(module)
    texts = shapes or [str(LENGTH)] * len(needed)
    inputs, keywords = examples(texts, batch_size, example)
    by_place = iter(inputs)
    names = [text.rpartition("=")[0] for text in texts]
    given = [(name, keywords[name] if name else next(by_place)) for name in names]
    plain = {number for number, text in enumerate(texts) if ":" not in text and given[number][1].is_floating_point()}
    tensors = with_ids(target, module, given, plain)
    if not shapes and (not tensors or any(tensor.is_floating_point() for tensor in tensors)):
        raise UsageError(
            f"{target} needs an --input for each of {', '.join(needed) or 'its inputs'}, without the batch: 20 for 20 "
            "symbols, len20 for their number, 20,8 for 20 vectors."
        )
    made = list(zip(names, tensors, strict=True))
    return tuple(x for name, x in made if not name), {name: x for name, x in made if name}


def _give_shapes(module: nn.Module, inputs: tuple[Tensor, ...], keywords: dict[str, Any]) -> None:
    """Run a network with lazy layers once, so that their parameters exist; where that fails, `trace` says why not."""
    mode = module.training
    with contextlib.suppress(Exception), torch.no_grad():
        module.eval()(*inputs, **keywords)
    module.train(mode)


def _own(name: str, own: families.Specimen, shapes: Sequence[str], batch_size: int) -> Specimen:
    if own.inputs:
        module = own.build(())
        return Specimen(name, module, *_examples(name, module, shapes or own.inputs, batch_size))
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
    """Uniform numbers in [0, 1) of a shape, with the batch before it or where it has an N.

    `int9:20` makes whole numbers below 9, `len20` the length 20 for each example.
    """
    if match := re.fullmatch(r"len([1-9][0-9]{,8})", shape):
        return torch.full(_affordable((batch_size,)), int(match[1]))
    match = re.fullmatch(r"int([0-9]+):(.+)", shape)
    if match:
        if len(match[1]) > 18:
            raise UsageError(f"--input is {shape!r}; allowed: whole numbers below 10^18.")
        return torch.randint(max(1, int(match[1])), _with_batch(match[2], batch_size))
    return torch.rand(_with_batch(shape, batch_size))


def _with_batch(text: str, batch_size: int) -> tuple[int, ...]:
    """`20,8` -> (N, 20, 8); `20,N,8` -> (20, N, 8), as a network takes it that has time first."""
    parts = re.split(r"[,x×]", text)
    if parts.count("N") != 1 or len(parts) == 1:
        return _affordable((batch_size, *_sizes(text)))
    return _affordable(tuple(batch_size if part == "N" else _sizes(part)[0] for part in parts))


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


def describe(inputs: Sequence[Any]) -> str:
    """The shapes of the inputs, for a heading."""
    return ", ".join(shape_text(tuple(value.shape)) for value in inputs if isinstance(value, Tensor))

"""A network that fails when it is run: told on one line, with what would fix it."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

from torch import nn

from etude.errors import EtudeError, UsageError
from etude.models.embedding import Embedding

_SPEAK_FOR_THEMSELVES = (RuntimeError, ValueError, TypeError)
"""Their texts say what is wrong; others (a KeyError's text is the key) need their name."""
_AXES = {1: "length", 2: "height, width", 3: "depth, height, width"}


@contextmanager
def told(circumstances: str) -> Iterator[None]:
    """Turn what a person's network raises into a `UsageError`; around calls of the network only.

    `circumstances`: how it was run, as in "the network fails {in training mode}".
    """
    try:
        yield
    except EtudeError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"the network fails {circumstances}: {one_line(error)}.") from error


def one_line(error: BaseException) -> str:
    """An exception's text without line breaks and final full stop, its type before it where the text needs that."""
    text = " ".join(str(error).split()).rstrip(".")
    if not text:
        return type(error).__name__
    return text if isinstance(error, _SPEAK_FOR_THEMSELVES) else f"{type(error).__name__}: {text}"


def remedy(module: nn.Module, shape: Sequence[int] | None) -> str:
    """What would fix a layer that got a shape it was not made for; empty where that is not known."""
    if shape is None:
        return ""
    dims = len(getattr(module, "kernel_size", ())) if isinstance(module, nn.modules.conv._ConvNd) else 0
    if dims and len(shape) != dims + 2:
        return (
            f" It takes {dims + 2} dimensions (batch, channels, {_AXES[dims]}) and gets {len(shape)}: give the input "
            "that many, or reshape before it."
        )
    if isinstance(module, nn.Embedding | nn.EmbeddingBag | Embedding):
        rows = len(module.weight)
        return f" It has {rows:,} rows, for whole numbers from 0 to {rows - 1:,}."
    if len(shape) < 2:
        return ""
    if isinstance(module, nn.Linear) and shape[-1] != module.in_features:
        return (
            f" Make it Linear({shape[-1]}, {module.out_features}), or change the layers before it (padding, "
            f"kernel, pooling) or the input so that {module.in_features} features arrive."
        )
    channels = getattr(module, "in_channels", getattr(module, "num_features", None))
    if isinstance(channels, int) and shape[1] != channels:
        return f" It is made for {channels} channels and gets {shape[1]}: change one of the two."
    return ""


def view_remedy(module: nn.Module, message: str, shapes: Sequence[Sequence[int]]) -> str:
    """What would fix a `view` or `reshape` to rows of a fixed length; empty where that is not known.

    `message` is PyTorch's, `shapes` are those of the results so far, and the last one of the right size was viewed.
    """
    match = re.search(r"shape '\[([-\d, ]+)\]' is invalid for input of size (\d+)", message)
    if not match:
        return ""
    target, count = [int(size) for size in match[1].split(",")], int(match[2])
    before = next((shape for shape in reversed(shapes) if len(shape) > 1 and prod(shape) == count), None)
    if before is None or len(target) < 2 or min(target[1:]) < 1:
        return ""
    wanted, each = prod(target[1:]), prod(before[1:])
    if wanted == each:
        return f" The view is written for a batch of {target[0]} and gets {before[0]}: write flatten(1) instead."
    fitting = [
        f"{name} Linear({each}, {part.out_features})"
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear) and part.in_features == wanted
    ]
    layer = fitting[0] if len(fitting) == 1 else f"the layer after it take {each} features"
    return (
        f" An example has {'·'.join(map(str, before[1:]))} = {each} numbers here, not {wanted}. Make it flatten(1) and "
        f"{layer}, or change the layers before it (padding, kernel, pooling) or the input so that {wanted} features "
        "arrive."
    )

"""A network that fails when it is run: told on one line, with what would fix it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from etude.errors import EtudeError, UsageError

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

"""Which dimensions of an input are positions: the pixels of an image, the steps of a sequence; the rest are the batch
and the channels."""

from etude.inspection.trace.record import Trace, Value

_SLIDING = {"convolution", "max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d"}


def position_axes(value: Value, trace: Trace, *, time_first: bool = False) -> tuple[int, ...]:
    """The dimensions of an input that hold positions; none for a batch of vectors.

    With `time_first`, the first one of a sequence does; otherwise the layers tell for vectors.
    """
    rank = len(value.shape)
    if not (value.dtype.is_floating_point or value.dtype.is_complex):
        return (0 if time_first else 1,) if rank == 2 else ()  # token indices (N, T)
    if rank == 3:  # (N, C, L) when something slides along the last dimension, else a sequence of vectors (N, T, C)
        slides = any(
            operation.name in _SLIDING and len(operation.outputs[0].shape) in (3, 4) for operation in trace.operations
        )
        if not slides and (time_first or _is_time_first(trace)):
            return (0,)
        return (2,) if slides else (1,)
    return tuple(range(2, rank)) if rank in (4, 5) else ()


def _is_time_first(trace: Trace) -> bool:
    """Whether the first layers of the library that take sequences take them as (T, N, C), PyTorch's own default."""
    for call in trace.calls:
        batch_first = getattr(call.module, "batch_first", None)
        if isinstance(batch_first, bool):
            return not batch_first
    return False

"""The receptive field of a layer in the numbers that people use: size, taps, stride, offset."""

from dataclasses import dataclass
from fractions import Fraction

from etude.inspection.field.receptive_field import TensorReach


@dataclass(frozen=True)
class AxisField:
    """The receptive field of a layer along one axis of the input, in input positions."""

    size: int
    """From the first to the last position seen; may exceed the input."""
    taps: int
    """Positions seen, without the holes that dilation leaves."""
    stride: Fraction | None
    """Input positions per step of the layer; None where the layer has no positions or they do not repeat."""
    offset: int
    """The first input position that position 0 sees; negative in the padding."""
    whole: bool
    """An operation over all positions came before: every position the layer before could see."""


def axis_fields(state: TensorReach) -> tuple[AxisField, ...]:
    """What the first position of a tensor sees, and how that moves from position to position, along each axis."""
    return tuple(
        AxisField(
            f.size,
            f.taps,
            f.pattern.stride if f.pattern else None,
            f.pattern.offset if f.pattern else min((_lowest(bits) for bits in f.seen if bits), default=0),
            f.whole,
        )
        for f in state.fields
    )


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1

"""The image shapes that the networks accept, and the sizes that their layers make of them."""

from etude.errors import UsageError

ImageShape = tuple[int, int, int]
"""Channels, height and width."""

LEAST_SIDE = 16
"""Pixels: two 5×5 convolutions, each halved by a max-pool, leave one pixel of 16 and none of 15."""


def check_image_shape(image_shape: ImageShape) -> ImageShape:
    """The shape itself, or a `UsageError` where it is not (channels, height, width) of at least (1, 16, 16)."""
    least = (1, LEAST_SIDE, LEAST_SIDE)
    if len(image_shape) != 3 or any(given < allowed for given, allowed in zip(image_shape, least, strict=True)):
        raise UsageError(
            f"image shape {tuple(image_shape)} is not allowed: give (channels, height, width) "
            f"of at least {least}; enlarge smaller images first."
        )
    return image_shape


def check_count(name: str, count: int) -> int:
    """The count itself, or a `UsageError` where it is below 1."""
    if count < 1:
        raise UsageError(f"{name} {count} is not allowed: give a whole number of at least 1.")
    return count


def after_two_convolutions_and_pools(side: int) -> int:
    """Pixels left of a side after two rounds of a 5×5 convolution (stride 1, no padding) and a 2×2 max-pool."""
    for _ in range(2):
        side = (side - 4) // 2
    return side

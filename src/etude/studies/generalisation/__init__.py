"""Studies of generalisation."""

NAMES: tuple[str, ...] = ()
"""In the order in which a reader meets them."""

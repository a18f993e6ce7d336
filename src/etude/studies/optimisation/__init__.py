"""Studies of optimisation."""

NAMES: tuple[str, ...] = ()
"""In the order in which a reader meets them."""

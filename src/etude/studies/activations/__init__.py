"""Studies of activations."""

NAMES: tuple[str, ...] = ()
"""In the order in which a reader meets them."""

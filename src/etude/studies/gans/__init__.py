"""Studies of GANs."""

NAMES: tuple[str, ...] = ("xy-game",)
"""In the order in which a reader meets them."""

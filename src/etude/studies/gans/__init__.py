"""Studies of GANs."""

NAMES: tuple[str, ...] = ("xy-game", "saturating-loss", "gan-optimum")
"""In the order in which a reader meets them."""

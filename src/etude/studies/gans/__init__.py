"""Studies of GANs."""

NAMES: tuple[str, ...] = (
    "gan-optimum",
    "saturating-loss",
    "least-squares",
    "xy-game",
    "leak-into-generator",
    "noise-distribution",
    "mode-collapse",
    "losses-as-signs",
    "fifty-percent",
    "pretrained-discriminator",
)
"""In the order in which a reader meets them."""

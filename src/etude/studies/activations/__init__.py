"""Studies of activations."""

NAMES: tuple[str, ...] = (
    "l2-for-classification",
    "sigmoid-24",
    "tanh-24",
    "relu-statements",
    "max-pool-gradient",
    "residual-filters",
)
"""In the order in which a reader meets them."""

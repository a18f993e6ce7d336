"""Studies of generalisation."""

NAMES: tuple[str, ...] = (
    "overfitting-remedies",
    "label-noise",
    "batch-and-epochs",
    "why-convolutions",
    "batch-norm-noise",
    "l2-or-weight-decay",
    "dropout-scaling",
)
"""In the order in which a reader meets them."""

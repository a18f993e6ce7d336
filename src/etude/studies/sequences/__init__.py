"""Studies of sequences."""

NAMES: tuple[str, ...] = (
    "embedding-or-one-hot",
    "tbptt-reach",
    "self-attention-queries",
    "attention-probe",
    "length-and-attention",
)
"""In the order in which a reader meets them."""

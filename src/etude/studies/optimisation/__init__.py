"""Studies of optimisation."""

NAMES: tuple[str, ...] = (
    "numerical-gradient",
    "ravine",
    "convergence-guarantees",
    "epoch-steps",
    "gradient-noise",
    "escape",
    "memory",
    "batch-doubling",
    "implicit-layer",
    "vanish-or-explode",
)
"""In the order in which a reader meets them."""

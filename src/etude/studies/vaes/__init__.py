"""Studies of vaes."""

NAMES: tuple[str, ...] = (
    "bound",
    "encode-twice",
    "posterior-of-one-image",
    "without-kl",
    "std-or-logvar",
    "more-latents",
    "retrain",
    "classify-latents",
    "conditional-latents",
    "style-swap",
    "z-in-vae-and-gan",
)
"""In the order in which a reader meets them."""

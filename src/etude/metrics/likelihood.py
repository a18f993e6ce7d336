"""How likely images are under a VAE: the evidence lower bound, and a tighter bound from many samples per image.

The model is an `etude.models.VAE` or any module with its `encode` and `decode_logits`: a Gaussian encoder, a standard
normal prior. Nats are a likelihood only on binary pixels or with a Gaussian decoder: binarise grey images first. On
grey pixels the same arithmetic bounds a cross-entropy, whose floor is the pixels' own entropy, not 0.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from etude.errors import UsageError, unknown
from etude.losses import bernoulli_from_logits, kl_to_standard_normal
from etude.metrics.arguments import Seed, evaluating, generator_of, require_count

Binarization = Literal["static", "dynamic", "threshold"]
# (decoded, images) of equal shape (N, ...) to -log p(image | latent) in nats (N,), as `etude.losses.gaussian`.
Reconstruction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
STATIC_SEED = 0
MAX_DECODED = 250
"""Images decoded at once: their feature maps fit the processor's cache. 4,000 took twice the time and a gigabyte."""
GREY_NOTE = (
    "grey pixels: these nats bound a cross-entropy and are no likelihood; "
    "binarise (static, dynamic or threshold) to compare with published values."
)


def binarize(images: Tensor, method: Binarization, *, seed: Seed | None = None) -> Tensor:
    """Images in [0, 1], any shape, as images of 0 and 1 in the same type.

    `dynamic` draws each pixel with its grey value as the probability (Salakhutdinov and Murray 2008), again at each
    call: pass a generator. `static` draws once, from a fixed seed: always binarise the same whole split, since the draw
    depends on the position. `threshold` rounds at one half, and one half up.
    """
    if method not in get_args(Binarization):
        raise unknown("binarisation", str(method), get_args(Binarization))
    if method == "dynamic" and seed is None:
        raise UsageError("dynamic binarisation draws again at each call: give a seed or a torch.Generator.")
    _check_images(images)
    if method == "threshold":
        return (images >= 0.5).to(images.dtype)
    generator = generator_of(STATIC_SEED if method == "static" or seed is None else seed)
    uniform = torch.rand(images.shape, generator=generator, device=generator.device)
    return (uniform.to(images.device) < images).to(images.dtype)


def grey_note(images: Tensor) -> str | None:
    """The sentence that a report must print with nats of these images; None if every pixel is 0 or 1."""
    return None if ((images == 0) | (images == 1)).all() else GREY_NOTE


@dataclass(frozen=True)
class ElboTerms:
    """The two terms of the evidence lower bound in nats, float64: per image (N,), and per image and latent."""

    reconstruction_nats: Tensor  # (N,)
    kl_nats: Tensor  # (N, latent_dim)

    @property
    def negative_elbo_nats(self) -> Tensor:
        """Their sum per image (N,): an upper bound of -log p(image) on average over the draws."""
        return self.reconstruction_nats + self.kl_nats.sum(dim=1)


def elbo_terms(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    seed: Seed,
    reconstruction: Reconstruction = bernoulli_from_logits,
    batch_size: int = 1000,
) -> ElboTerms:
    """Reconstruction (one latent drawn per image) and KL to the prior, in nats (Kingma and Welling 2014, eq. 3)."""
    generator = generator_of(seed)
    reconstructions, kls = [], []
    with evaluating(model):
        for batch, batch_labels in _batches(images, labels, batch_size):
            mean, logvar = _encode(model, batch, batch_labels)
            noise = _standard_normal(mean, generator)
            decoded = _decode(model, mean + torch.exp(0.5 * logvar) * noise, batch_labels, like=batch)
            reconstructions.append(reconstruction(decoded, batch).double())
            kls.append(kl_to_standard_normal(mean, logvar))
    return ElboTerms(torch.cat(reconstructions).cpu(), torch.cat(kls).cpu())


def importance_weighted_bound(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    num_samples: int,
    seed: Seed,
    reconstruction: Reconstruction = bernoulli_from_logits,
    max_decoded: int = MAX_DECODED,
) -> Tensor:
    """A lower bound of log p(image) in nats, (N,) float64: log of the mean of `num_samples` importance weights.

    log 1/K Σ p(x | z_k) p(z_k) / q(z_k | x) with z_k drawn from q: the ELBO at K = 1, rising with K towards log p(x)
    (Burda et al. 2016, eq. 8 and theorem 1). At most `max_decoded` images are decoded at once, for any N and K, so
    memory is bounded. Sums stay in logarithms, in float64.
    """
    require_count("num_samples", num_samples, 1, float("inf"), "1 or more")
    require_count("max_decoded", max_decoded, 1, float("inf"), "1 or more")
    generator = generator_of(seed)
    bounds = []
    with evaluating(model):
        for batch, batch_labels in _batches(images, labels, max(1, max_decoded // num_samples)):
            mean, logvar = _encode(model, batch, batch_labels)  # (n, latent_dim) each
            log_sum = torch.full((len(batch),), -math.inf, dtype=torch.float64, device=mean.device)
            left = num_samples
            while left > 0:
                draws = min(left, max(1, max_decoded // len(batch)))
                left -= draws
                noise = _standard_normal(mean.expand(draws, *mean.shape), generator)  # (draws, n, latent_dim)
                latents = mean + torch.exp(0.5 * logvar) * noise
                repeated = batch.repeat(draws, *[1] * (batch.dim() - 1))  # (draws · n, ...)
                repeated_labels = None if batch_labels is None else batch_labels.repeat(draws)
                decoded = _decode(model, latents.flatten(0, 1), repeated_labels, like=repeated)
                log_likelihood = -reconstruction(decoded, repeated).double().view(draws, len(batch))
                # log p(z) - log q(z | x): the constants of the two Gaussians cancel.
                log_prior_ratio = 0.5 * (noise.square() + logvar - latents.square()).sum(dim=2)  # (draws, n)
                log_sum = torch.logaddexp(log_sum, torch.logsumexp(log_likelihood + log_prior_ratio, dim=0))
            bounds.append(log_sum - math.log(num_samples))
    return torch.cat(bounds).cpu()


def bits_per_dimension(nats: float, num_dimensions: int) -> float:
    """Nats per image as bits per pixel and channel: nats / (num_dimensions · ln 2)."""
    require_count("num_dimensions", num_dimensions, 1, float("inf"), "1 or more")
    return nats / (num_dimensions * math.log(2))


def _check_images(images: Tensor) -> None:
    if images.numel() == 0 or not images.is_floating_point():
        raise UsageError(
            f"images has shape {tuple(images.shape)} and type {images.dtype}; "
            "allowed: one image or more, in floating point."
        )
    low, high = images.min().item(), images.max().item()
    if not (low >= 0 and high <= 1):  # NaN as well
        raise UsageError(f"images runs from {low:.4g} to {high:.4g}; allowed: grey values in [0, 1].")


def _batches(images: Tensor, labels: Tensor | None, batch_size: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    if images.dim() < 2 or len(images) == 0:
        raise UsageError(f"images has shape {tuple(images.shape)}; allowed: (images, ...), at least one image.")
    if labels is not None and labels.shape != images.shape[:1]:
        raise UsageError(f"labels has shape {tuple(labels.shape)}; allowed: ({len(images)},), one label per image.")
    for start in range(0, len(images), batch_size):
        rows = slice(start, start + batch_size)
        yield images[rows], None if labels is None else labels[rows]


def _encode(model: Any, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of the latents in float64, (N, latent_dim) each."""
    mean, logvar = model.encode(images, labels)
    return mean.double(), logvar.double()


def _decode(model: Any, latents: Tensor, labels: Tensor | None, *, like: Tensor) -> Tensor:
    decoded = model.decode_logits(latents.to(like.dtype), labels)
    if decoded.shape != like.shape:
        raise UsageError(
            f"the model decodes to shape {tuple(decoded.shape)}, the images have {tuple(like.shape)}: they must agree."
        )
    return decoded


def _standard_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(like.shape, generator=generator, dtype=torch.float64, device=generator.device)
    return noise.to(like.device)

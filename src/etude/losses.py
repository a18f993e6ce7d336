"""Adversarial, variational and classification losses: pure functions of tensors.

Scores and logits may be as large as ±1e4. Inputs in bf16 or float16 are computed, summed and returned in float32;
float32 and float64 keep their type. Losses are in nats wherever they are log-likelihoods.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import grad


class AdversarialLoss(NamedTuple):
    """The two halves of an adversarial loss, both to be minimised; means over the batch, scalars.

    `discriminator(real_scores, generated_scores)` and `generator(generated_scores)`; scores are (N, 1) logits.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def cross_entropy_discriminator(real_scores: Tensor, generated_scores: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))) with D the sigmoid of a score; log 4 at D = 1/2 (Goodfellow et al. 2014, eq. 1).

    1 - sigmoid(s) = sigmoid(-s), so both terms are log-sigmoids and never the logarithm of a rounded 0.
    """
    return -F.logsigmoid(_wide(real_scores)).mean() - F.logsigmoid(-_wide(generated_scores)).mean()


def nonsaturating_generator(generated_scores: Tensor) -> Tensor:
    """-E log D(G(z)); log 2 at D = 1/2 (Goodfellow et al. 2014, section 3, last paragraph)."""
    return -F.logsigmoid(_wide(generated_scores)).mean()


def minimax_generator(generated_scores: Tensor) -> Tensor:
    """E log(1 - D(G(z))), minimised: -log 2 at D = 1/2, flat where D is sure (Goodfellow et al. 2014, eq. 1)."""
    return F.logsigmoid(-_wide(generated_scores)).mean()


def least_squares_discriminator(real_scores: Tensor, generated_scores: Tensor) -> Tensor:
    """½ E (D(x) - 1)² + ½ E D(G(z))², D the score itself (Mao et al. 2017, eq. 9)."""
    return 0.5 * (_wide(real_scores) - 1).square().mean() + 0.5 * _wide(generated_scores).square().mean()


def least_squares_generator(generated_scores: Tensor) -> Tensor:
    """½ E (D(G(z)) - 1)² (Mao et al. 2017, eq. 9)."""
    return 0.5 * (_wide(generated_scores) - 1).square().mean()


def wasserstein_discriminator(real_scores: Tensor, generated_scores: Tensor) -> Tensor:
    """E D(G(z)) - E D(x), D the score itself; needs `gradient_penalty` beside it (Arjovsky et al. 2017, eq. 2)."""
    return _wide(generated_scores).mean() - _wide(real_scores).mean()


def wasserstein_generator(generated_scores: Tensor) -> Tensor:
    """-E D(G(z)) (Arjovsky et al. 2017, algorithm 1); the hinge loss has the same generator half."""
    return -_wide(generated_scores).mean()


def hinge_discriminator(real_scores: Tensor, generated_scores: Tensor) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))), D the score itself (Miyato et al. 2018, eq. 16)."""
    return F.relu(1 - _wide(real_scores)).mean() + F.relu(1 + _wide(generated_scores)).mean()


ADVERSARIAL: dict[str, AdversarialLoss] = {
    "nonsaturating": AdversarialLoss(cross_entropy_discriminator, nonsaturating_generator),
    "least_squares": AdversarialLoss(least_squares_discriminator, least_squares_generator),
    "minimax": AdversarialLoss(cross_entropy_discriminator, minimax_generator),
    "wasserstein": AdversarialLoss(wasserstein_discriminator, wasserstein_generator),
    "hinge": AdversarialLoss(hinge_discriminator, wasserstein_generator),
}


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, generated: Tensor, *, mixing: Tensor
) -> Tensor:
    """E (|∇D(x̂)| - 1)² at points x̂ between real and generated images, without its weight; a scalar.

    `real` and `generated` are (N, C, H, W); `mixing` (N,), uniform in [0, 1), is the share of the real image. The
    penalty trains the discriminator; it does not reach the generator's weights. Gulrajani et al. 2017, equation 3. The
    discriminator must treat each image alone (no batch-norm).
    """
    mixing = mixing.to(real.dtype).view(-1, *[1] * (real.dim() - 1))  # (N, 1, 1, 1)
    points = (mixing * real + (1 - mixing) * generated).detach()  # (N, C, H, W)
    gradient = grad(lambda images: discriminator(images).sum())(points)  # (N, C, H, W)
    norm = torch.linalg.vector_norm(_wide(gradient).flatten(1), dim=1)  # (N,)
    return (norm - 1).square().mean()


def bernoulli_from_logits(logits: Tensor, images: Tensor) -> Tensor:
    """Binary cross-entropy of images (N, ...) in [0, 1] given logits of the same shape: nats per image (N,).

    Summed over pixels: -y log σ(l) - (1 - y) log(1 - σ(l)) of each logit l, computed as (1 - y) l - log σ(l). Rounding
    is relative to |l|, not to the loss: a pixel that is surely right costs up to 1e-6 nats too much or too little in
    float32, less than the sum over an image loses anyway.
    """
    per_pixel = F.binary_cross_entropy_with_logits(_wide(logits), _wide(images), reduction="none")
    return per_pixel.flatten(1).sum(1)


def bernoulli(probabilities: Tensor, images: Tensor) -> Tensor:
    """Binary cross-entropy of images (N, ...) in [0, 1] given probabilities in [0, 1]: nats per image (N,).

    Summed over pixels; logarithms are cut off at -100, as in `torch.nn.functional.binary_cross_entropy`, so that a sure
    and wrong pixel costs 100 nats. Prefer `bernoulli_from_logits` for training.
    """
    # Under autocast PyTorch refuses this loss on GPUs, even for float32 inputs.
    with torch.autocast(probabilities.device.type, enabled=False):
        per_pixel = F.binary_cross_entropy(_wide(probabilities), _wide(images), reduction="none")
    return per_pixel.flatten(1).sum(1)


def gaussian(mean: Tensor, images: Tensor) -> Tensor:
    """-log N(image; mean, I) of images (N, ...): ½ (y - mean)² + ½ log 2π summed over pixels, nats per image (N,)."""
    squared_error = (_wide(images) - _wide(mean)).square()
    return (0.5 * squared_error + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)


def kl_to_standard_normal(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, e^logvar) || N(0, 1)) of each latent: nats (N, latent_dim), 0 only at (0, 0).

    -½ (1 + logvar - mean² - e^logvar), Kingma and Welling 2014, appendix B. Finite, with finite gradients, up to a
    logvar of 88 in float32 and 709 in float64, where e^logvar overflows; any logvar below 0 will do.
    """
    mean, logvar = _wide(mean), _wide(logvar)
    return 0.5 * (mean.square() + torch.expm1(logvar) - logvar)


def negative_elbo(
    reconstruction: Tensor, kl: Tensor, *, beta: float | Tensor = 1.0, free_bits_nats: float = 0.0
) -> Tensor:
    """The negative evidence lower bound in nats per image, to be minimised; the mean over the batch, a scalar.

    `reconstruction` (N,) and `kl` (N, latent_dim) are in nats. `beta` weighs the KL (Higgins et al. 2017, eq. 4).
    Of each latent, KL up to `free_bits_nats` is not penalised: it counts as max(free_bits_nats, mean over the batch)
    (Kingma et al. 2016, eq. 15), so with free bits the value is above the bound itself.
    """
    kl_per_latent = _wide(kl).mean(0).clamp(min=free_bits_nats)  # (latent_dim,)
    return _wide(reconstruction).mean() + beta * kl_per_latent.sum()


def cross_entropy(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of class indices (N,), int64, given logits (N, num_classes); the mean over the batch in nats.

    `label_smoothing` in [0, 1) spreads that share of the target evenly over all classes (Szegedy et al. 2016, sec. 7).
    """
    return F.cross_entropy(_wide(logits), labels, label_smoothing=label_smoothing)


def sequence_cross_entropy(
    logits: Tensor, targets: Tensor, *, padding: int | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of tokens (N, T), int64, given logits (N, T, V): nats per token, the mean over all real tokens.

    Tokens equal to `padding` are not counted: neither in the sum nor in the number that it is divided by.
    """
    real = torch.ones_like(targets, dtype=torch.bool) if padding is None else targets != padding
    wanted = torch.where(real, targets, 0).flatten()
    nats, _ = _CrossEntropyOfTokens.apply(logits.flatten(0, 1), wanted, label_smoothing)
    return torch.where(real.flatten(), nats, 0).sum() / real.sum()


_NUMBERS_AT_ONCE = 2**18
"""Of logits: 1 MiB in float32, which the cache of a core holds."""


class _CrossEntropyOfTokens(torch.autograd.Function):
    """Logits (M, V) and targets (M,) to nats (M,) and their gradient by the logits (M, V).

    A few rows at a time stay in the processor's cache. PyTorch's own goes over all numbers a dozen times, each time
    through the whole memory.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, targets: Tensor, label_smoothing: float) -> tuple[Tensor, Tensor]:
        num_rows, nats, errors = max(1, _NUMBERS_AT_ONCE // logits.shape[1]), [], []
        for some, wanted in zip(logits.split(num_rows), targets.split(num_rows), strict=True):
            wide, wanted = _wide(some), wanted[:, None]
            highest = wide.amax(1, keepdim=True)
            of_target = (wide.gather(1, wanted) - highest)[:, 0]
            if label_smoothing:
                of_mean = wide.mean(1) - highest[:, 0]
                of_target = of_target + label_smoothing * (of_mean - of_target)
            error = (wide - highest).exp_()
            total = error.sum(1, keepdim=True)
            error = error.mul_(1 / total)  # the probabilities
            if label_smoothing:
                error = error.sub_(label_smoothing / logits.shape[1])
            error = error.scatter_add_(1, wanted, torch.full_like(total, label_smoothing - 1))
            nats.append(total.log()[:, 0] - of_target)
            errors.append(error.to(logits.dtype))
        return torch.cat(nats), torch.cat(errors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        _, targets, ctx.label_smoothing = inputs
        ctx.save_for_backward(output[1], targets)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        (errors, targets), (of_nats, of_errors), found = ctx.saved_tensors, gradients, None
        if of_nats is not None:
            found = errors * of_nats[:, None].to(errors.dtype)
        if of_errors is not None:  # a gradient of the gradient
            at_target = torch.full_like(targets[:, None], 1 - ctx.label_smoothing, dtype=errors.dtype)
            chances = (errors + ctx.label_smoothing / errors.shape[1]).scatter_add(1, targets[:, None], at_target)
            more = chances * (of_errors - (chances * of_errors).sum(1, keepdim=True))
            found = more if found is None else found + more
        return found, None, None


def _wide(tensor: Tensor) -> Tensor:
    """The tensor in float32 at least: sums of half-precision numbers lose more than the numbers themselves."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))

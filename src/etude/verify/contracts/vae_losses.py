"""The two terms of the variational bound and their sum, in nats per image (Kingma and Welling 2014, appendix B)."""

from collections.abc import Mapping
from typing import Any

import hypothesis.strategies as st
import torch
import torch.nn.functional as F
from torch import Tensor

from etude.verify.contract import Case, Check, mistake
from etude.verify.inputs import batches, generator, tensor
from etude.verify.observation import Observation, Refused, call, call_loss, in_default_dtype, tensor_result, tracked
from etude.verify.sampling import fact


def _over_batch(per_image: Tensor, reduce: str) -> Tensor:
    return {"mean": per_image.mean, "sum": per_image.sum, "none": lambda: per_image}[reduce]()


def kl_loss(
    mean_z: Tensor,
    logvar_z: Tensor,
    *,
    factor: float = 0.5,
    sign: float = 1.0,
    reduce: str = "mean",
    over_latents: str = "sum",
    logvar_means: str = "logvar",
    mean_power: float = 2.0,
    variance_power: float = 1.0,
    one: float = 1.0,
    exponential: bool = True,
    detached: bool = False,
) -> Tensor:
    """−½ Σ(1 + logvar − mean² − e^logvar) over latents, mean over the batch."""
    logvar = {"logvar": logvar_z, "std": 2 * logvar_z.abs().log(), "variance": logvar_z.abs().log()}[logvar_means]
    variance = (variance_power * logvar).exp() if exponential else logvar
    squared = mean_z**mean_power
    inside = sign * factor * (squared + variance - logvar - one)  # (batch, latents)
    per_image = inside.sum(1) if over_latents == "sum" else inside.mean(1)
    loss = _over_batch(per_image, reduce)
    return loss.detach() if detached else loss


def reconstruction_loss(
    recon_x: Tensor,
    x: Tensor,
    *,
    kind: str = "cross-entropy",
    over_pixels: str = "sum",
    reduce: str = "mean",
    sign: float = 1.0,
    swapped: bool = False,
    detached: bool = False,
) -> Tensor:
    """Binary cross-entropy summed over pixels, mean over the batch."""
    if swapped:
        recon_x, x = x, recon_x.detach().requires_grad_()
    if kind == "logits":
        pixels = F.binary_cross_entropy_with_logits(recon_x, x, reduction="none")
    elif kind == "first term":
        pixels = -x * recon_x.clamp(min=1e-40).log()
    elif kind == "squared":
        pixels = (recon_x - x) ** 2
    elif kind == "absolute":
        pixels = (recon_x - x).abs()
    elif kind == "0 log 0":
        pixels = -x * recon_x.log() - (1 - x) * (1 - recon_x).log()
    else:
        pixels = F.binary_cross_entropy(recon_x, x, reduction="none")
    pixels = sign * pixels.flatten(1)
    per_image = pixels.sum(1) if over_pixels == "sum" else pixels.mean(1)
    loss = _over_batch(per_image, reduce)
    return loss.detach() if detached else loss


def loss_function(
    recon_x: Tensor,
    x: Tensor,
    mean_z: Tensor,
    logvar_z: Tensor,
    *,
    kl_weight: float = 1.0,
    reconstruction_weight: float = 1.0,
    kl_over_latents: str = "sum",
    over_pixels: str = "sum",
    reduce: str = "mean",
    kl_factor: float = 0.5,
) -> Tensor:
    """Reconstruction + KL."""
    reconstruction = reconstruction_loss(recon_x, x, over_pixels=over_pixels, reduce=reduce)
    kl = kl_loss(mean_z, logvar_z, over_latents=kl_over_latents, reduce=reduce, factor=kl_factor)
    return reconstruction_weight * reconstruction + kl_weight * kl


def _observe_total(function: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """The loss, or the first of several results: some return the terms beside their sum."""
    recon_x, *others = in_default_dtype(case).values()
    result = call(function, tracked(recon_x), *others)
    if isinstance(result, tuple | list) and not result:
        raise Refused("empty", "it returned nothing; expected a tensor")
    total = tensor_result(result[0] if isinstance(result, tuple | list) else result)
    return Observation({"result": total.detach(), "has a gradient": fact(total.requires_grad)})


@st.composite
def _images(draw: st.DrawFn, latents: bool = False) -> dict[str, Tensor]:
    """Reconstructions well inside (0, 1), so that an ε in a right loss's logarithm makes little difference."""
    batch = draw(st.integers(1, 3))
    random = generator(draw(st.integers(0, 1000)))
    shape = (batch, 1, 28, 28)
    case = {
        "recon_x": 0.1 + 0.8 * torch.rand(shape, generator=random, dtype=torch.float64),
        "x": torch.rand(shape, generator=random, dtype=torch.float64),
    }
    if latents:
        dim = draw(st.integers(2, 3))
        case |= {"mean_z": draw(tensor((batch, dim), -3, 3)), "logvar_z": draw(tensor((batch, dim), -3, 3))}
    return case


def _flat(case: Case) -> Case:
    """Images as (batch, 784)."""
    return {name: value.flatten(1) for name, value in case.items()}


_EPSILON = 0.05
"""Nats per image: an ε of up to 1e-5 in the logarithm of 784 pixels is no mistake."""
_KL = "−½ Σ(1 + logvar − mean² − e^logvar)"
_BCE = "−Σ x log r + (1 − x) log(1 − r)"
_MEAN_PIXELS = ("mean over pixels instead of sum", "1/784 Σ over pixels", "Σ over pixels, mean over the batch")
_SUM_BATCH = ("sum over the batch instead of mean", "Σ over the batch", "1/N Σ over the batch")
_MEAN_LATENTS = ("mean over latents instead of sum", "1/L Σ over latents", "Σ over latents, mean over the batch")
_NONE = ("not reduced over the batch", "one number per image", "1/N Σ over the batch, one number")
_DETACHED = ("cut off from the gradient", "loss.detach() or loss.data", "the loss keeps its graph")
_SATURATED = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(392).reshape(1, 1, 28, 28)

RECONSTRUCTION = Check(
    name="reconstruction_loss",
    call="reconstruction_loss(recon_x, x) → one number: cross-entropy summed over pixels, mean over the batch; "
    "images (batch, 1, 28, 28) or (batch, 784)",
    right=reconstruction_loss,
    mistakes=(
        mistake(*_MEAN_PIXELS, over_pixels="mean"),
        mistake(*_SUM_BATCH, reduce="sum"),
        mistake(*_NONE, reduce="none"),
        mistake("squared error", "Σ(r − x)²", _BCE, kind="squared"),
        mistake("absolute error", "Σ|r − x|", _BCE, kind="absolute"),
        mistake("probabilities fed as logits", "cross-entropy of σ(r)", _BCE, kind="logits"),
        mistake("second term forgotten", "−Σ x log r", _BCE, kind="first term"),
        mistake("arguments swapped", "−Σ r log x + (1 − r) log(1 − x)", _BCE, swapped=True),
        mistake("sign", "Σ x log r + (1 − x) log(1 − r)", _BCE, sign=-1.0),
        mistake("0 log 0 is NaN", "x log r at x = r = 0", "0 there: clamp the logarithm", kind="0 log 0"),
        mistake(*_DETACHED, detached=True),
    ),
    inputs=_images(),
    extremes=({"recon_x": _SATURATED, "x": _SATURATED},),
    overflow=mistake("0 log 0 is NaN", "x log r at x = r = 0", "0 there: clamp the logarithm"),
    other_form=_flat,
    observe=call_loss,
    tolerance=_EPSILON,
)
KL = Check(
    name="kl_loss",
    call="kl_loss(mean_z, logvar_z) → one number: summed over latents, mean over the batch",
    right=kl_loss,
    mistakes=(
        mistake("½ forgotten", "−Σ(1 + logvar − mean² − e^logvar)", _KL, factor=1.0),
        mistake("sign", "½ Σ(1 + logvar − mean² − e^logvar)", _KL, sign=-1.0),
        mistake(*_SUM_BATCH, reduce="sum"),
        mistake(*_NONE, reduce="none"),
        mistake(*_MEAN_LATENTS, over_latents="mean"),
        mistake("logvar taken for the standard deviation", "1 + log logvar² − mean² − logvar²",
                "1 + logvar − mean² − e^logvar", logvar_means="std"),
        mistake("logvar taken for the variance", "1 + log logvar − mean² − logvar", "1 + logvar − mean² − e^logvar",
                logvar_means="variance"),
        mistake("mean not squared", "1 + logvar − mean − e^logvar", "1 + logvar − mean² − e^logvar", mean_power=1.0),
        mistake("standard deviation for variance", "1 + logvar − mean² − e^(½ logvar)",
                "1 + logvar − mean² − e^logvar", variance_power=0.5),
        mistake("logvar squared in the exponent", "1 + logvar − mean² − (e^logvar)²",
                "1 + logvar − mean² − e^logvar", variance_power=2.0),
        mistake("exponential forgotten", "1 + logvar − mean² − logvar", "1 + logvar − mean² − e^logvar",
                exponential=False),
        mistake("1 forgotten", "logvar − mean² − e^logvar", "1 + logvar − mean² − e^logvar", one=0.0),
        mistake(*_DETACHED, detached=True),
    ),
    inputs=batches({"mean_z": (-3, 3), "logvar_z": (-3, 3)}, max_batch=3, width=3),
    extremes=(
        {"mean_z": torch.tensor([[1.0, -2.0], [0.5, 3.0]]).double(), "logvar_z": torch.tensor([[-20.0, 3.0],
                                                                                               [2.0, 30.0]]).double()},
        {"mean_z": torch.zeros(2, 2).double(), "logvar_z": torch.zeros(2, 2).double()},
    ),
    observe=call_loss,
    points=2,
)  # fmt: skip
TOTAL = Check(
    name="loss_function",
    call="loss_function(recon_x, x, mean_z, logvar_z) → reconstruction + KL, one number (or first of several)",
    right=loss_function,
    mistakes=(
        mistake("KL forgotten", "reconstruction", "reconstruction + KL", kl_weight=0.0),
        mistake("KL subtracted", "reconstruction − KL", "reconstruction + KL", kl_weight=-1.0),
        mistake("reconstruction forgotten", "KL", "reconstruction + KL", reconstruction_weight=0.0),
        mistake("reconstruction negated", "−reconstruction + KL", "reconstruction + KL", reconstruction_weight=-1.0),
        mistake("½ of the KL forgotten", "−Σ(1 + logvar − mean² − e^logvar)", _KL, kl_factor=1.0),
        mistake(*_MEAN_PIXELS, over_pixels="mean"),
        mistake(*_MEAN_LATENTS, kl_over_latents="mean"),
        mistake(*_SUM_BATCH, reduce="sum"),
    ),
    inputs=_images(latents=True),
    other_form=_flat,
    observe=_observe_total,
    tolerance=_EPSILON,
    points=2,
)

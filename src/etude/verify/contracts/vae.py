"""The variational autoencoder's sampling, shapes and gradients, plain and conditional (Kingma and Welling 2014).

Any network will do: what is checked are properties that every right one has, as yes-or-no parts of the observation.
"""

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.verify.contract import Case, Check, mistake
from etude.verify.contracts.autoencoder import VAE
from etude.verify.contracts.vae_losses import KL, RECONSTRUCTION, TOTAL
from etude.verify.inputs import generator
from etude.verify.networks import build
from etude.verify.observation import Observation, Refused, call, gradients, tensor_result, tracked
from etude.verify.sampling import DRAWS, all_differ, distribution, fact, tolerance

NUM_CLASSES = 12
"""Not 10, so that a hard-coded 10 shows."""
_BATCH = 6


def _model(cls: Callable[..., Any], case: Mapping[str, Any]) -> nn.Module:
    arguments = [case["latent_size"], *([NUM_CLASSES] if case["conditional"] else [])]
    return build(cls, *arguments, name="the class")


def _use(model: nn.Module, method: str, case: Mapping[str, Any], x: Tensor, labels: Tensor) -> Any:
    """Call a method; a model that refuses images (batch, 1, 28, 28) gets (batch, 784), and indices one-hot rows."""
    images = (x, x.flatten(1)) if x.ndim == 4 else (x,)
    extra = ((labels,), (F.one_hot(labels, NUM_CLASSES).to(x.dtype),)) if case["conditional"] else ((),)
    refused: list[Refused] = []
    for form, label in product(images, extra):
        try:
            return _method(model, method, form, *label)
        except Refused as error:
            refused.append(error)
    raise refused[0]


def _method(model: nn.Module, method: str, *arguments: Tensor) -> Any:
    if not hasattr(model, method):
        raise Refused("method", f"the class has no method {method}")
    return call(getattr(model, method), *arguments, name=method)


def _pair(value: Any, what: str, count: int = 2) -> list[Tensor]:
    if not isinstance(value, tuple | list) or len(value) != count:
        number = f"{len(value)} results" if isinstance(value, tuple | list) else f"a {type(value).__name__}"
        raise Refused("count", f"{what} returned {number}; expected {count}")
    return [tensor_result(each, what) for each in value]


def _images(case: Mapping[str, Any]) -> Tensor:
    return torch.rand(_BATCH, 1, 28, 28, generator=generator(case["seed"])).to(torch.get_default_dtype())


_LABELS = torch.arange(_BATCH) + NUM_CLASSES - _BATCH


def _shape(tensor: Tensor) -> Tensor:
    return torch.tensor(tensor.shape, dtype=torch.float64)


def _image_shape(pixels: Tensor) -> Tensor:
    """Flat pixels are right too."""
    return torch.tensor((_BATCH, 1, 28, 28) if pixels.shape == (_BATCH, 784) else pixels.shape, dtype=torch.float64)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one.double(), other.double())


def _observe_encode(cls: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """In eval mode, as in `_observe_decode`: dropout would change what is compared."""
    model, x = _model(cls, case).eval(), _images(case)
    mean, logvar = _pair(_use(model, "encode", case, x, _LABELS), "encode")
    parts = {
        "shape of mean": _shape(mean),
        "shape of logvar": _shape(logvar),
        "mean and logvar differ": fact(not _same(mean, logvar)),
    }
    return Observation({**parts, **_wide_facts(cls, case)})


def _wide_facts(cls: Callable[..., Any], case: Mapping[str, Any]) -> dict[str, Tensor]:
    """Facts of 40 latents: a right network misses one once in 2^40; an encoder that ends in a ReLU always does."""
    wide = {**case, "latent_size": 40}
    model, x = _model(cls, wide).eval(), _images(wide)
    mean, logvar = _pair(_use(model, "encode", wide, x, _LABELS), "encode")
    is_wide = mean.shape == logvar.shape == (_BATCH, 40)  # if not, the shapes tell
    facts = {
        "some means are negative": fact(not is_wide or (mean < 0).any()),
        "some log-variances are negative": fact(not is_wide or (logvar < 0).any()),
        "means depend on the image": all_differ(mean),
    }
    if case["conditional"]:
        other, _ = _pair(_use(model, "encode", wide, x, _LABELS.flip(0)), "encode")
        facts["the label changes the mean"] = fact(not _same(mean, other))
    return facts


def _observe_decode(cls: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    model = _model(cls, case).eval()
    z = 3 * torch.randn(_BATCH, case["latent_size"], generator=generator(case["seed"])).to(torch.get_default_dtype())

    def decoded(z: Tensor, labels: Tensor = _LABELS) -> Tensor:
        return tensor_result(_use(model, "decode", case, z, labels), "decode")

    pixels, far = decoded(z), decoded(1e4 * z)  # far out, pixels that are not squashed leave [0, 1]
    moved = z.clone()
    moved[:, -1] += 5.0
    sums = pixels.double().flatten(1).sum(1) if pixels.ndim > 1 else pixels.double()
    parts = {
        "shape": _image_shape(pixels),
        "pixels at least 0": fact((pixels >= 0).all() and (far >= 0).all()),
        "pixels at most 1": fact((pixels <= 1).all() and (far <= 1).all()),
        "pixels of one image sum to 1": fact(_same(sums, torch.ones_like(sums))),
        "every latent matters": fact(not torch.equal(pixels, decoded(moved))),
    }
    if case["conditional"]:
        parts["the label changes the image"] = fact(not _same(pixels, decoded(z, _LABELS.flip(0))))
    return Observation(parts)


_DROPOUTS = nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout


def _observe_forward(cls: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """The results in eval mode, where dropout rests; their noise in train mode: some models have it only there."""
    model, x = _model(cls, case).eval(), _images(case)
    mean, logvar = _pair(_use(model, "encode", case, x, _LABELS), "encode")
    _, second, third = _pair(_use(model, "forward", case, x, _LABELS), "forward", 3)
    for module in model.train().modules():
        module.train(not isinstance(module, _DROPOUTS))
    first, given_mean, _ = _pair(_use(model, "forward", case, x, _LABELS), "forward", 3)
    again, _, _ = _pair(_use(model, "forward", case, x, _LABELS), "forward", 3)
    parts = {
        "shape of reconstruction": _image_shape(first),
        "second result is the mean": fact(_same(second, mean)),
        "third result is logvar": fact(_same(third, logvar)),
        "two reconstructions of one image differ": fact(not _same(first, again)),
        "the reconstruction's gradient reaches the mean": fact(_reaches(first, given_mean)),
    }
    if case["conditional"]:
        parts["decoded with its own label"] = fact(_decodes_with(model, case, x))
    return Observation(parts)


def _decodes_with(model: nn.Module, case: Mapping[str, Any], x: Tensor) -> bool:
    """Whether forward gives decode the image's label; true also if it decodes in its own way."""
    decode, labels = model.decode, []

    def record(*arguments: Any, **keywords: Any) -> Any:
        given = [*arguments, *keywords.values()][1:]
        labels.extend(each.argmax(1) if each.ndim == 2 else each for each in given if isinstance(each, Tensor))
        return decode(*arguments, **keywords)  # pyright: ignore[reportCallIssue]

    if isinstance(decode, nn.Module):
        return True
    model.decode = record  # pyright: ignore[reportArgumentType]
    _use(model, "forward", case, x, _LABELS)
    del model.decode
    return all(each.shape == _LABELS.shape and torch.equal(each.long(), _LABELS) for each in labels)


def _reaches(output: Tensor, source: Tensor) -> bool:
    return source.requires_grad and bool((gradients(output, source)[0] != 0).any())


_SAMPLED_AT = ((1.0, 1.0), (-3.0, -2.0))


def _samples(conditional: bool) -> Callable[[int], tuple[Case, ...]]:
    """Means and log-variances to sample at: two that are always tried and one of the seed's own."""

    def cases(first: int) -> tuple[Case, ...]:
        mean, logvar = torch.rand(2, generator=generator(first)).tolist()
        return tuple(
            {"mean_z": mean, "logvar_z": logvar, "latent_size": 2, "conditional": conditional}
            for mean, logvar in (*_SAMPLED_AT, (round(6 * mean - 3, 2), round(1 + logvar, 2)))
        )

    return cases


def _observe_sampling(cls: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """(z − mean) / e^(½ logvar) must be standard normal; at mean 1, logvar 1 too."""
    model = _model(cls, case).train()
    mean = torch.full((DRAWS // case["latent_size"], case["latent_size"]), float(case["mean_z"]))
    logvar = torch.full_like(mean, case["logvar_z"])
    z, again = (
        tensor_result(_method(model, "sample_latent", mean.clone(), logvar.clone()), "sample_latent") for _ in range(2)
    )
    noise = (z.double() - case["mean_z"]) / math.exp(0.5 * case["logvar_z"])
    calls_differ, rows_differ = fact(not _same(z, again)), all_differ(z)
    return Observation(
        {
            "shape": _shape(z),
            "two calls differ": calls_differ,
            "rows differ": rows_differ,
            "distribution": distribution(noise) * calls_differ * rows_differ,  # repeated draws have no law to compare
        }
    )


def _observe_gradients(cls: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """Whether the sample is differentiable in both, whatever noise was drawn."""
    model = _model(cls, case).train()
    mean, logvar = (
        torch.randn(_BATCH, case["latent_size"], generator=generator(case["seed"] + index))
        .to(torch.get_default_dtype())
        for index in range(2)
    )  # fmt: skip
    z = tensor_result(_method(model, "sample_latent", tracked(mean), tracked(logvar)), "sample_latent")
    return Observation(
        {
            f"gradient reaches {name}": fact((gradient != 0).any())
            for name, gradient in zip(("mean_z", "logvar_z"), gradients(z, mean, logvar), strict=True)
        }
    )


def _one_noise(mean: Tensor) -> Tensor:
    return torch.randn_like(mean[:1]).expand_as(mean)


def _checks(cls: str, conditional: bool) -> tuple[Check, ...]:
    x, z = ("x, labels", "z, labels") if conditional else ("x", "z")

    def cases(*sizes: int) -> Callable[[int], tuple[Case, ...]]:
        return lambda first: tuple({"latent_size": size, "seed": first + number, "conditional": conditional}
                                   for number, size in enumerate(sizes))  # fmt: skip

    shapes = mistake("latent_size hard-coded to 2", "Linear(…, 2)", "Linear(…, latent_size)", fixed_latents=2)
    classes = mistake("num_classes hard-coded to 10", "one_hot(labels, 10)", "one_hot(labels, num_classes)",
                      fixed_classes=10)  # fmt: skip
    law = "z = mean + e^(½ logvar) ε, ε ~ N(0, 1)"
    return (
        Check(
            name=f"{cls}.encode",
            call=f"encode({x}) → mean, logvar, each (batch, latent_size); x: (batch, 1, 28, 28) or (batch, 784)",
            right=VAE,
            mistakes=(
                shapes,
                mistake("ReLU after the mean", "mean = max(0, W h + b)", "mean = W h + b", head=torch.relu),
                mistake("one layer for mean and logvar", "logvar = mean", "two layers, one each", shared_head=True),
                mistake("variance instead of logvar", "encode returns e^logvar", "encode returns logvar",
                        variance_head=True),
                *((mistake("label ignored in the encoder", "encode(x)", "encode(x, label)", encoder_label=False),
                   classes) if conditional else ()),
            ),
            seeded=cases(2, 5),
            observe=_observe_encode,
            method="encode",
        ),
        Check(
            name=f"{cls}.sample_latent",
            call="sample_latent(mean_z, logvar_z) → mean + e^(½ logvar) ε",
            right=VAE,
            mistakes=(
                mistake("variance for standard deviation", "z = mean + e^logvar ε", law, std=torch.exp),
                mistake("logvar for standard deviation", "z = mean + logvar ε", law, std=lambda logvar: logvar),
                mistake("sign in the exponent", "z = mean + e^(−½ logvar) ε", law,
                        std=lambda logvar: torch.exp(-0.5 * logvar)),
                mistake("uniform noise", "ε ~ U[0, 1]", "ε ~ N(0, 1)", noise=torch.rand_like),
                mistake("mean forgotten", "z = e^(½ logvar) ε", law, mean_weight=0.0),
                mistake("no noise", "z = mean", law, noise=torch.zeros_like),
                mistake("one noise for the whole batch", "ε₁ = ε₂ = … = ε_N", "ε₁, …, ε_N independent",
                        noise=_one_noise),
            ),
            seeded=_samples(conditional),
            observe=_observe_sampling,
            method="sample_latent",
            tolerance=tolerance(),
            is_random=True,
            points=2,
        ),
        Check(
            name=f"{cls}.gradients",
            call="sample_latent(mean_z, logvar_z): gradients reach both (reparameterisation)",
            right=VAE,
            mistakes=(
                mistake("no gradient through the sample", "z ~ Normal(mean, std).sample()",
                        "z = mean + e^(½ logvar) ε keeps its graph", cut_off=True),
                mistake("gradient reaches only the mean", "z = mean + std.detach() ε",
                        "z = mean + e^(½ logvar) ε keeps its graph",
                        std=lambda logvar: torch.exp(0.5 * logvar).detach()),
            ),
            seeded=cases(2, 3),
            observe=_observe_gradients,
            method="sample_latent",
        ),
        Check(
            name=f"{cls}.decode",
            call=f"decode({z}) → pixels in [0, 1], (batch, 1, 28, 28) or (batch, 784)",
            right=VAE,
            mistakes=(
                shapes,
                mistake("sigmoid forgotten", "W h + b", "σ(W h + b): pixels in [0, 1]", end=nn.Identity()),
                mistake("tanh instead of sigmoid", "tanh(W h + b): pixels in [−1, 1]", "σ(W h + b): pixels in [0, 1]",
                        end=torch.tanh),
                mistake("ReLU instead of sigmoid", "max(0, W h + b)", "σ(W h + b): pixels in [0, 1]", end=torch.relu),
                mistake("softmax instead of sigmoid", "e^aᵢ / Σ e^aⱼ", "σ(aᵢ), each pixel for itself",
                        end=nn.Softmax(1)),
                mistake("no channel dimension", "(batch, 28, 28)", "(batch, 1, 28, 28)", image_shape=(28, 28)),
                *((mistake("label ignored in the decoder", "decode(z)", "decode(z, label)", decoder_label=False),
                   classes) if conditional else ()),
            ),
            seeded=cases(2, 5),
            observe=_observe_decode,
            method="decode",
        ),
        Check(
            name=f"{cls}.forward",
            call=f"forward({x}) → reconstruction, mean, logvar",
            right=VAE,
            mistakes=(
                mistake("decodes the mean without sampling", "decode(mean)", "decode(sample_latent(mean, logvar))",
                        sampling=False),
                mistake("mean and logvar swapped", "return recon, logvar, mean", "return recon, mean, logvar",
                        order=(0, 2, 1)),
                mistake("reconstruction last", "return mean, logvar, recon", "return recon, mean, logvar",
                        order=(1, 2, 0)),
                mistake("latent code cut off from the encoder", "decode(z.detach())", "decode(z)", detached=True),
                *((mistake("forward decodes without its label", "decode(z, 0)", "decode(z, label)",
                           label_in_forward=False), classes) if conditional else ()),
            ),
            seeded=cases(2, 5),
            observe=_observe_forward,
            method="forward",
            points=2,
        ),
    )  # fmt: skip


CHECKS = (*_checks("VAE", False), RECONSTRUCTION, KL, TOTAL)
CONDITIONAL_CHECKS = (*_checks("ConditionalVAE", True), RECONSTRUCTION, KL, TOTAL)

"""The variational autoencoder's sampling, shapes and gradients, plain and conditional (Kingma and Welling 2014).

Any network will do: what is checked are properties that every right one has, as yes-or-no parts of the observation.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.verify.contract import Check, mistake
from etude.verify.contracts.vae_losses import KL, RECONSTRUCTION, TOTAL
from etude.verify.inputs import generator
from etude.verify.networks import build
from etude.verify.observation import Observation, Refused, call, tensor_result
from etude.verify.sampling import DRAWS, all_differ, distribution, fact, tolerance

NUM_CLASSES = 12
"""Not 10, so that a hard-coded 10 shows."""
_BATCH = 6


class VAE(nn.Module):
    """A small right answer with switches; with `num_classes` the label goes into both halves."""

    def __init__(
        self,
        latent_size: int,
        num_classes: int | None = None,
        *,
        fixed_latents: int | None = None,
        fixed_classes: int | None = None,
        head: Callable[[Tensor], Tensor] = lambda mean: mean,
        shared_head: bool = False,
        variance_head: bool = False,
        end: Callable[[Tensor], Tensor] = torch.sigmoid,
        flat_output: bool = False,
        std: Callable[[Tensor], Tensor] = lambda logvar: torch.exp(0.5 * logvar),
        noise: Callable[[Tensor], Tensor] = torch.randn_like,
        mean_weight: float = 1.0,
        cut_off: bool = False,
        sampling: bool = True,
        order: tuple[int, ...] = (0, 1, 2),
        detached: bool = False,
        encoder_label: bool = True,
        decoder_label: bool = True,
        label_in_forward: bool = True,
    ) -> None:
        super().__init__()
        latents, classes = fixed_latents or latent_size, fixed_classes or num_classes or 0
        self.num_classes, self.classes = num_classes, classes
        self.first = nn.Linear(784, 32)
        self.label_in = nn.Linear(classes, 32) if classes else None
        self.mean, self.logvar = nn.Linear(32, latents), nn.Linear(32, latents)
        self.second = nn.Linear(latents, 32)
        self.label_out = nn.Linear(classes, 32) if classes else None
        self.last = nn.Linear(32, 784)
        self.head, self.shared_head, self.variance_head = head, shared_head, variance_head
        self.end, self.flat_output, self.std, self.noise = end, flat_output, std, noise
        self.mean_weight, self.cut_off, self.sampling = mean_weight, cut_off, sampling
        self.order, self.detached = order, detached
        self.encoder_label, self.decoder_label, self.label_in_forward = encoder_label, decoder_label, label_in_forward

    def _label(self, layer: nn.Linear | None, y: Tensor | None, used: bool) -> Tensor | float:
        if layer is None or y is None:
            return 0.0
        one_hot = F.one_hot(y, self.classes).to(torch.get_default_dtype())  # raises beyond the classes
        return layer(one_hot) if used else 0.0

    def encode(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden = torch.relu(self.first(x.flatten(1)) + self._label(self.label_in, y, self.encoder_label))
        mean = self.head(self.mean(hidden))
        logvar = mean if self.shared_head else self.logvar(hidden)
        return mean, logvar.exp() if self.variance_head else logvar

    def sample_latent(self, mean_z: Tensor, logvar_z: Tensor) -> Tensor:
        if self.cut_off:
            mean_z, logvar_z = mean_z.detach(), logvar_z.detach()
        return self.mean_weight * mean_z + self.std(logvar_z) * self.noise(mean_z)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        hidden = torch.relu(self.second(z) + self._label(self.label_out, y, self.decoder_label))
        pixels = self.end(self.last(hidden))
        return pixels if self.flat_output else pixels.unflatten(1, (1, 28, 28))

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        mean, logvar = self.encode(x, y)
        z = self.sample_latent(mean, logvar) if self.sampling else mean
        z = z.detach() if self.detached else z
        results = self.decode(z, y if self.label_in_forward else torch.zeros_like(y)), mean, logvar  # pyright: ignore
        return tuple(results[index] for index in self.order)


# --- what is seen ---


def _model(cls: Callable[..., Any], case: Mapping[str, Any]) -> nn.Module:
    arguments = [case["latent_size"], *([NUM_CLASSES] if case["conditional"] else [])]
    return build(cls, *arguments, name="the class").train()


def _use(model: nn.Module, method: str, case: Mapping[str, Any], x: Tensor, labels: Tensor) -> Any:
    """Call a method, with the labels as indices, and as one-hot rows for a model that wants them so."""
    if not case["conditional"]:
        return _method(model, method, x)
    try:
        return _method(model, method, x, labels)
    except Refused as error:
        if labels.max() >= NUM_CLASSES:
            raise
        try:
            return _method(model, method, x, F.one_hot(labels, NUM_CLASSES).to(x.dtype))
        except Refused:
            raise error from None


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


def _observe_encode(cls: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    model, x = _model(cls, case), _images(case)
    mean, logvar = _pair(_use(model, "encode", case, x, _LABELS), "encode")
    parts = {
        "shape of mean": _shape(mean),
        "shape of logvar": _shape(logvar),
        "mean and logvar differ": fact(mean.shape != logvar.shape or not torch.equal(mean, logvar)),
        **_signs(cls, case),
    }
    if case["conditional"]:
        other, _ = _pair(_use(model, "encode", case, x, _LABELS.flip(0)), "encode")
        parts["the label changes the mean"] = fact(not torch.allclose(mean, other))
    return Observation(parts)


def _signs(cls: Callable[..., Any], case: Mapping[str, Any]) -> dict[str, Tensor]:
    """Facts of 40 latents: a right network misses one once in 2^40; an encoder that ends in a ReLU always does."""
    wide = {**case, "latent_size": 40}
    mean, logvar = _pair(_use(_model(cls, wide), "encode", wide, _images(wide), _LABELS), "encode")
    is_wide = mean.shape == logvar.shape == (_BATCH, 40)  # if not, the shapes tell
    return {
        "some means are negative": fact(not is_wide or (mean < 0).any()),
        "some log-variances are negative": fact(not is_wide or (logvar < 0).any()),
        "means depend on the image": all_differ(mean.reshape(len(mean), -1)),
    }


def _observe_decode(cls: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    model = _model(cls, case)
    z = 3 * torch.randn(_BATCH, case["latent_size"], generator=generator(case["seed"])).to(torch.get_default_dtype())
    pixels = tensor_result(_use(model, "decode", case, z, _LABELS), "decode")
    # Far out, pixels that are not squashed leave [0, 1].
    far = tensor_result(_use(model, "decode", case, 1e4 * z, _LABELS), "decode")
    moved = z.clone()
    moved[:, -1] += 5.0
    parts = {
        "shape": _shape(pixels),
        "pixels at least 0": fact(pixels.min() >= 0 and far.min() >= 0),
        "pixels at most 1": fact(pixels.max() <= 1 and far.max() <= 1),
        "pixels of one image sum to 1": fact(torch.allclose(pixels.flatten(1).sum(1), torch.ones(()))),
        "every latent matters": fact(
            not torch.equal(pixels, tensor_result(_use(model, "decode", case, moved, _LABELS), "decode"))
        ),
    }
    if case["conditional"]:
        other = tensor_result(_use(model, "decode", case, z, _LABELS.flip(0)), "decode")
        parts["the label changes the image"] = fact(not torch.allclose(pixels, other))
    return Observation(parts)


def _observe_forward(cls: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    model, x = _model(cls, case), _images(case)
    results = _pair(_use(model, "forward", case, x, _LABELS), "forward", 3)
    again = _pair(_use(model, "forward", case, x, _LABELS), "forward", 3)
    mean, logvar = _pair(_use(model, "encode", case, x, _LABELS), "encode")
    first = results[0]
    parts = {
        "shape of reconstruction": _shape(first),
        "second result is the mean": fact(_same(results[1], mean)),
        "third result is logvar": fact(_same(results[2], logvar)),
        "two reconstructions of one image differ": fact(not _same(first, again[0])),
        "the reconstruction's gradient reaches the mean": fact(_reaches(first, results[1])),
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


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other)


def _reaches(output: Tensor, source: Tensor) -> bool:
    if not output.requires_grad or not source.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(output.sum(), source, allow_unused=True, retain_graph=True)
    return gradient is not None and bool((gradient != 0).any())


_SAMPLED_AT = ((1.0, 1.0), (-3.0, -2.0), (0.0, 2.0))


def _observe_sampling(cls: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """(z − mean) / e^(½ logvar) must be standard normal; at mean 1, logvar 1 too."""
    model = _model(cls, case)
    mean = torch.full((DRAWS // case["latent_size"], case["latent_size"]), float(case["mean_z"]))
    logvar = torch.full_like(mean, case["logvar_z"])
    z = tensor_result(_method(model, "sample_latent", mean, logvar), "sample_latent")
    noise = (z - case["mean_z"]) / torch.tensor(0.5 * case["logvar_z"]).exp()
    again = tensor_result(_method(model, "sample_latent", mean, logvar), "sample_latent")
    calls_differ, rows_differ = fact(not _same(z, again)), all_differ(z.reshape(len(z), -1))
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
    model = _model(cls, case)
    mean, logvar = (
        torch.randn(_BATCH, case["latent_size"], generator=generator(case["seed"] + index))
        .to(torch.get_default_dtype())
        .requires_grad_()
        for index in range(2)
    )
    z = tensor_result(_method(model, "sample_latent", mean, logvar), "sample_latent")
    reached = torch.autograd.grad(z.sum(), (mean, logvar), allow_unused=True) if z.requires_grad else (None, None)
    return Observation(
        {
            f"gradient reaches {name}": fact(gradient is not None and (gradient != 0).any())
            for name, gradient in zip(("mean_z", "logvar_z"), reached, strict=True)
        }
    )


# --- what goes wrong ---


def _one_noise(mean: Tensor) -> Tensor:
    return torch.randn_like(mean[:1]).expand_as(mean)


def _checks(cls: str, conditional: bool) -> tuple[Check, ...]:
    x, z = ("x, labels", "z, labels") if conditional else ("x", "z")

    def cases(*sizes: int, **more: Any) -> tuple[dict[str, Any], ...]:
        return tuple({"latent_size": size, "seed": seed, "conditional": conditional, **more}
                     for seed, size in enumerate(sizes))  # fmt: skip

    shapes = mistake("latent_size hard-coded to 2", "Linear(…, 2)", "Linear(…, latent_size)", fixed_latents=2)
    classes = mistake("num_classes hard-coded to 10", "one_hot(labels, 10)", "one_hot(labels, num_classes)",
                      fixed_classes=10)  # fmt: skip
    law = "z = mean + e^(½ logvar) ε, ε ~ N(0, 1)"
    return (
        Check(
            name=f"{cls}.encode",
            call=f"encode({x}) → mean, logvar, each (batch, latent_size)",
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
            extremes=cases(2, 5),
            observe=_observe_encode,
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
            extremes=tuple(
                {"mean_z": mean, "logvar_z": logvar, "latent_size": 2, "conditional": conditional}
                for mean, logvar in _SAMPLED_AT
            ),
            observe=_observe_sampling,
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
            extremes=cases(2, 3),
            observe=_observe_gradients,
        ),
        Check(
            name=f"{cls}.decode",
            call=f"decode({z}) → images (batch, 1, 28, 28) in [0, 1]",
            right=VAE,
            mistakes=(
                shapes,
                mistake("sigmoid forgotten", "W h + b", "σ(W h + b): pixels in [0, 1]", end=nn.Identity()),
                mistake("tanh instead of sigmoid", "tanh(W h + b): pixels in [−1, 1]", "σ(W h + b): pixels in [0, 1]",
                        end=torch.tanh),
                mistake("ReLU instead of sigmoid", "max(0, W h + b)", "σ(W h + b): pixels in [0, 1]", end=torch.relu),
                mistake("softmax instead of sigmoid", "e^aᵢ / Σ e^aⱼ", "σ(aᵢ), each pixel for itself",
                        end=nn.Softmax(1)),
                mistake("flat output", "(batch, 784)", "(batch, 1, 28, 28)", flat_output=True),
                *((mistake("label ignored in the decoder", "decode(z)", "decode(z, label)", decoder_label=False),
                   classes) if conditional else ()),
            ),
            extremes=cases(2, 5),
            observe=_observe_decode,
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
            extremes=cases(2, 5),
            observe=_observe_forward,
            points=2,
        ),
    )  # fmt: skip


CHECKS = (*_checks("VAE", False), RECONSTRUCTION, KL, TOTAL)
CONDITIONAL_CHECKS = (*_checks("ConditionalVAE", True), RECONSTRUCTION, KL, TOTAL)

"""An autoencoder from a person's file: a module with `encode` and `decode`."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from etude.data.kinds import Images, Kind, Table
from etude.errors import UsageError
from etude.families.family import Examined, Network, Networks, count_parameters
from etude.families.own_networks import make, name_of, takes_labels
from etude.families.stands import stands
from etude.families.trial import LARGE, Trial, looks_like, materialise
from etude.families.variational.recipe import Variational
from etude.models.vae import reparameterise


class OwnAutoencoder(nn.Module):
    """A person's module, `own`, with the methods of étude's `VAE`; final.

    `own.encode(examples)` gives the mean and the log-variance of the latents, (N, latent_dim) each, as two tensors or
    as one (N, 2 · latent_dim). `own.decode(latents)` gives logits of pixels, or the features of a table, (N, ...). Both
    may take the labels (N,) as a second argument.
    """

    def __init__(self, own: nn.Module, latent_dim: int, num_classes: int | None) -> None:
        super().__init__()
        self.own, self.latent_dim, self.num_classes = own, latent_dim, num_classes

    def forward(
        self, examples: Tensor, labels: Tensor | None = None, *, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `VAE.forward`."""
        mean, logvar = self.encode(examples, labels)
        latents = mean if noise is None else reparameterise(mean, logvar, noise)
        return self.decode_logits(latents, labels), mean, logvar

    def encode(self, examples: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `VAE.encode`."""
        output: Any = self.own.encode(examples, *self._given(labels))  # pyright: ignore[reportCallIssue]
        mean, logvar = output.chunk(2, dim=1) if isinstance(output, Tensor) else output
        return mean, logvar

    def decode_logits(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """See `VAE.decode_logits`."""
        return self.own.decode(latents, *self._given(labels))  # pyright: ignore[reportCallIssue]

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """See `VAE.decode`."""
        return torch.sigmoid(self.decode_logits(latents, labels))

    def _given(self, labels: Tensor | None) -> tuple[Tensor, ...]:
        """The labels as class indices (N,). They may come one-hot."""
        if self.num_classes is None or labels is None:
            return ()
        return (labels.argmax(dim=1),) if labels.is_floating_point() else (labels,)


def build(recipe: Variational, kind: Kind) -> Networks:
    """Make the autoencoder that the recipe names."""
    module, name = make(recipe.network, kind, latent_dim=recipe.latent_dim), name_of(recipe.network)
    missing = [method for method in ("encode", "decode") if not callable(getattr(module, method, None))]
    if missing:
        raise UsageError(
            f"{name} has no {' and no '.join(missing)}; a VAE needs encode(x), which gives mean and logvar, and "
            "decode(z), which gives logits of the pixels."
        )
    conditional = takes_labels(module.encode)
    if conditional != takes_labels(module.decode):
        raise UsageError(f"{name}: give both encode and decode a second argument, labels, or neither.")
    network = OwnAutoencoder(module, recipe.latent_dim, kind.num_classes if conditional else None)
    labels = torch.arange(2) % kind.num_classes if conditional else None
    materialise(module, partial(network, _examples(kind, 2), labels))
    return {name: network}


def _examples(kind: Kind, number: int) -> Tensor:
    """Made-up examples as a VAE takes them: images in [0, 1], features standardised."""
    draw = torch.rand if isinstance(kind, Images) else torch.randn
    return draw(number, *kind.shape, generator=torch.Generator().manual_seed(0))


def examine(recipe: Variational, kind: Kind) -> Examined:
    """Try it on a few made-up examples."""
    networks = build(recipe, kind)
    ((name, network),) = networks.items()
    assert isinstance(network, OwnAutoencoder)
    trial, latents = Trial(recipe.network, network), recipe.latent_dim
    trial.check_tensors()
    what, shape = kind.plural if isinstance(kind, Images) else "rows", ", ".join(map(str, kind.shape))
    own: Any = network.own
    all_labels = torch.arange(3) % kind.num_classes if network.num_classes else None
    for number in (3, 1):
        labels = () if all_labels is None else (all_labels[:number],)
        output = trial.apply(f"{what}, in encode,", _examples(kind, number), *labels, call=own.encode, train=False)
        _require_latents(trial, output, number, latents)
        z = torch.randn(number, latents, generator=torch.Generator().manual_seed(0))
        output = trial.apply("latents, in decode,", z, *labels, call=own.decode, train=False)
        wanted = (
            f"logits of the pixels ({number}, {shape})" if isinstance(kind, Images) else f"rows ({number}, {shape})"
        )
        small = trial.require_tensor(output, wanted, [(number, *kind.shape)], f"latents ({number}, {latents})")
        large = trial.apply("latents, in decode,", z * LARGE, *labels, call=own.decode, train=False)
        if isinstance(kind, Images) and looks_like(small.detach(), large.detach()) == "sigmoid":
            raise UsageError(
                f"{name}: what decode gives looks like a sigmoid's; return the logits, the numbers before it."
            )
    examples = _examples(kind, min(recipe.batch_size, 3))
    labels = None if all_labels is None else all_labels[: len(examples)]
    noise = torch.randn(len(examples), latents, generator=torch.Generator().manual_seed(1))
    call = partial(_step, network, labels)
    trial.check_step(what, [examples, noise], call)
    return Examined(
        traits=stands(trial, what, examples, noise, call=call),
        notes=tuple(trial.notes),
        draws=trial.draws,
        conditional=network.num_classes is not None,
        parameters=count_parameters(networks),
    )


def _step(network: OwnAutoencoder, labels: Tensor | None, examples: Tensor, noise: Tensor) -> Any:
    return network(examples, labels, noise=noise)


def _require_latents(trial: Trial, output: Any, number: int, latents: int) -> None:
    """The output of `encode`: two tensors (N, latents), or one of twice as many."""
    wanted = f"mean and logvar, ({number}, {latents}) each, or one tensor ({number}, {2 * latents})"
    if isinstance(output, tuple | list) and len(output) == 2:
        for each in output:
            trial.require_tensor(each, wanted, [(number, latents)], f"{number} examples, in encode")
        return
    trial.require_tensor(output, wanted, [(number, 2 * latents)], f"{number} examples, in encode")


def network(recipe: Variational) -> Network[Variational]:
    """The autoencoder that the recipe names, for images and tables."""
    return Network(build=build, examine=examine, kinds=(Images, Table))

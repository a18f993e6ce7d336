"""A small variational autoencoder with switches for what goes wrong in one (Kingma and Welling 2014)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
        image_shape: tuple[int, ...] = (1, 28, 28),
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
        self.end, self.image_shape, self.std, self.noise = end, image_shape, std, noise
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
        return self.end(self.last(hidden)).unflatten(1, self.image_shape)

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        mean, logvar = self.encode(x, y)
        z = self.sample_latent(mean, logvar) if self.sampling else mean
        z = z.detach() if self.detached else z
        results = self.decode(z, y if self.label_in_forward else torch.zeros_like(y)), mean, logvar  # pyright: ignore
        return tuple(results[index] for index in self.order)

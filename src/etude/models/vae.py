"""The convolutional variational autoencoder, plain or conditional on the class.

Sources: Kingma and Welling, "Auto-encoding variational Bayes", 2014; Sohn et al., "Learning structured output
representation using deep conditional generative models", 2015, for the conditional one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.errors import UsageError
from etude.models.maps import LinearFromMaps, LinearToMaps
from etude.models.sizes import ImageShape, check_count, check_image_shape


class VAE(nn.Module):
    """An encoder from images to a Gaussian over latents, and a decoder from latents to the logits of the pixels.

    97,237 parameters for 1×28×28 and 2 latents. With `num_classes` both halves are given the label, added as a linear
    layer of its one-hot form to their first layer; labels are int64 class indices (N,), or that form itself, floats
    (N, num_classes), which is taken as it is. Images below 16×16, labels that are missing, unwanted, of a wrong
    shape or out of range are a `UsageError`.
    """

    def __init__(self, image_shape: ImageShape, latent_dim: int, num_classes: int | None = None) -> None:
        super().__init__()
        self.image_shape = check_image_shape(image_shape)
        self.latent_dim = check_count("latent_dim", latent_dim)
        self.num_classes = None if num_classes is None else check_count("num_classes", num_classes)
        self.encoder = _Encoder(image_shape, latent_dim, num_classes)
        self.decoder = _Decoder(image_shape, latent_dim, num_classes)
        for name, layer in self.named_modules():
            if name.split(".")[-1] in ("conv1", "conv2", "linear"):
                _start_from_he(layer)

    def forward(
        self, images: Tensor, labels: Tensor | None = None, *, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Images (N, C, H, W) in [0, 1] to logits (N, C, H, W), mean and logvar (N, latent_dim), all a loss needs.

        `noise` (N, latent_dim) is standard normal; without it the mean is decoded.
        """
        mean, logvar = self.encode(images, labels)
        latents = mean if noise is None else reparameterise(mean, logvar, noise)
        return self.decode_logits(latents, labels), mean, logvar

    def encode(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) in [0, 1] to the mean and the log-variance of their latents, (N, latent_dim) each."""
        return self.encoder(images, self._one_hot(labels, like=images))

    @staticmethod
    def sample_latent(mean: Tensor, logvar: Tensor, *, generator: torch.Generator) -> Tensor:
        """Latents mean + exp(logvar / 2) · ε, ε standard normal, of the shape of `mean`, differentiable in both.

        Kingma and Welling 2014, section 2.4. ε is drawn on the device of `generator`, in float32 at least, so that one
        generator gives the same noise in bf16 and in float32, on a CPU and on a GPU.
        """
        wide = torch.promote_types(mean.dtype, torch.float32)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device, dtype=wide)
        return reparameterise(mean, logvar, noise.to(mean.device))

    def decode_logits(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_dim) to the logit of every pixel (N, C, H, W)."""
        return self.decoder(latents, self._one_hot(labels, like=latents))

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_dim) to images (N, C, H, W) in [0, 1]."""
        return torch.sigmoid(self.decode_logits(latents, labels))

    def _one_hot(self, labels: Tensor | None, *, like: Tensor) -> Tensor | None:
        """Labels (N,) as (N, num_classes) in the type of `like` (N, ...); None for a plain VAE."""
        if self.num_classes is None:
            if labels is not None:
                raise UsageError("this VAE is not conditional: leave the labels out, or build it with num_classes.")
            return None
        if labels is None:
            raise UsageError(
                f"this VAE is conditional on {self.num_classes} classes: give labels, one class index for each image."
            )
        if labels.is_floating_point() and labels.shape == (like.shape[0], self.num_classes):
            return labels.to(like.dtype)
        if labels.dtype != torch.int64 or labels.shape != like.shape[:1]:
            raise UsageError(
                f"labels of shape {tuple(labels.shape)} and type {labels.dtype} are not allowed: "
                f"give one int64 class index for each image, shape ({len(like)},)."
            )
        if ((labels < 0) | (labels >= self.num_classes)).any():
            outside = labels[(labels < 0) | (labels >= self.num_classes)]
            raise UsageError(
                f"label {int(outside[0])} is out of range: this VAE knows the classes 0 to {self.num_classes - 1}."
            )
        return F.one_hot(labels, self.num_classes).to(like.dtype)


def reparameterise(mean: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """mean + exp(logvar / 2) · noise in the type of `mean`, all three of one shape (Kingma and Welling 2014, 2.4)."""
    return (mean + torch.exp(0.5 * logvar.to(noise.dtype)) * noise).to(mean.dtype)


class _Encoder(nn.Module):
    def __init__(self, image_shape: ImageShape, latent_dim: int, num_classes: int | None) -> None:
        super().__init__()
        channels, height, width = image_shape
        half, quarter = (_half(height), _half(width)), (_half(_half(height)), _half(_half(width)))
        self.conv1 = nn.Conv2d(channels, 32, kernel_size=3, stride=2, padding=1)
        self.label = LinearToMaps(num_classes, (32, *half)) if num_classes else None
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, stride=2, padding=1)
        self.linear = LinearFromMaps((64, *quarter), 16)
        self.mean = nn.Linear(16, latent_dim)
        self.logvar = nn.Linear(16, latent_dim)

    def forward(self, images: Tensor, one_hot: Tensor | None) -> tuple[Tensor, Tensor]:
        # The shapes in the comments are those of 1×28×28 images.
        hidden = self.conv1(images)  # (N, 32, 14, 14)
        if self.label is not None:
            hidden = hidden + self.label(one_hot)
        hidden = F.relu(self.conv2(F.relu(hidden)))  # (N, 64, 7, 7)
        hidden = F.relu(self.linear(hidden))  # (N, 16)
        return self.mean(hidden), self.logvar(hidden)  # (N, latent_dim) each


class _Decoder(nn.Module):
    def __init__(self, image_shape: ImageShape, latent_dim: int, num_classes: int | None) -> None:
        super().__init__()
        channels, height, width = image_shape
        maps = (64, _half(_half(height)), _half(_half(width)))
        self.linear = LinearToMaps(latent_dim, maps)
        self.label = LinearToMaps(num_classes, maps) if num_classes else None
        self.conv1 = _doubling(64, 32, to=(_half(height), _half(width)))
        self.conv2 = _doubling(32, channels, to=(height, width))

    def forward(self, latents: Tensor, one_hot: Tensor | None) -> Tensor:
        # The shapes in the comments are those of 1×28×28 images.
        hidden = self.linear(latents)  # (N, 64, 7, 7)
        if self.label is not None:
            hidden = hidden + self.label(one_hot)
        hidden = F.relu(self.conv1(F.relu(hidden)))  # (N, 32, 14, 14)
        return self.conv2(hidden)  # (N, 1, 28, 28)


def _start_from_he(layer: nn.Module) -> None:
    """He uniform weights (He et al. 2015), biases 0, for all layers but the two heads and those of the label.

    With PyTorch's own initial weights most of the encoder's 16 ReLU units die in the first steps, in some runs all of
    them: the latents then say nothing of the image, and the KL term is 0 for good (docs/log.md, 2026-11-23).
    """
    assert isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    assert layer.bias is not None
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)


def _half(side: int) -> int:
    """Pixels that a 3×3 convolution of stride 2 and padding 1 makes of a side: half of it, rounded up."""
    return (side + 1) // 2


def _doubling(in_channels: int, out_channels: int, *, to: tuple[int, int]) -> nn.ConvTranspose2d:
    """The transposed convolution that undoes `_half`: n pixels to 2n, or to 2n - 1 where `to` is odd."""
    output_padding = (1 - to[0] % 2, 1 - to[1] % 2)
    return nn.ConvTranspose2d(
        in_channels, out_channels, kernel_size=3, stride=2, padding=1, output_padding=output_padding
    )

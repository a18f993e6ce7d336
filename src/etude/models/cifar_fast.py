"""The small convolutional network of the CIFAR-10 speed-runs: a whitening layer, then blocks of convolutions."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.models.sizes import ImageShape, check_count, check_image_shape

PATCH = 2
"""Side in pixels of the patches that the first layer whitens."""
SMALLEST_VARIANCE = 5e-4
"""Added to that along each direction: where patches hardly differ there is noise, which is not to be blown up."""
SCORE_SCALE = 1 / 9
"""Of the logits: at first the classes should be nearly equally likely, though features add up over many channels."""


class CifarFast(nn.Module):
    """Images (N, C, H, W) to one score per class (N, num_classes), before any softmax.

    The first layer projects each 2×2 patch on the directions in which patches vary, each scaled to variance 1, and on
    their opposites; `whiten` computes it from images, and only its bias is trained (Page, "How to train your ResNet",
    2018, part 8). Then three blocks of two 3×3 convolutions with batch-norm, max-pooling after the first; the strongest
    response of each channel decides. Source: Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, sections
    3.1 to 3.3; ReLU in place of GELU, which costs a fifth more on a processor. `width` 64 is the paper's. Works
    from 16×16 pixels up; smaller images are a `UsageError`.
    """

    def __init__(self, image_shape: ImageShape, num_classes: int, width: int) -> None:
        super().__init__()
        channels, _, _ = check_image_shape(image_shape)
        directions = channels * PATCH**2
        widths = (2 * directions, width, 4 * width, 4 * width)
        # Not parameters: no optimizer moves them. Random until `whiten`.
        self.register_buffer("whitening", torch.randn(2 * directions, channels, PATCH, PATCH))
        self.bias = nn.Parameter(torch.zeros(2 * directions))
        # The shapes in the comments are those of 3×32×32 images and width 64.
        self.blocks = nn.Sequential(
            block(widths[0], widths[1]),  # (N, 64, 15, 15)
            block(widths[1], widths[2]),  # (N, 256, 7, 7)
            block(widths[2], widths[3]),  # (N, 256, 3, 3)
        )
        self.classifier = nn.Linear(widths[3], check_count("num_classes", num_classes), bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W), normalised to about [-1, 1], to logits (N, num_classes)."""
        patches = F.conv2d(images, self.get_buffer("whitening"), self.bias)  # (N, 24, 31, 31)
        features = self.blocks(patches.relu())  # (N, 256, 3, 3)
        return SCORE_SCALE * self.classifier(features.amax(dim=(2, 3)))  # (N, 256) to (N, num_classes)

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Compute the first layer from training images (N, C, H, W), normalised as `forward` takes them."""
        whitening = self.get_buffer("whitening")
        filters = whitening_filters(images).to(whitening)
        whitening.copy_(torch.cat([filters, -filters]))


def block(channels_in: int, channels_out: int) -> nn.Sequential:
    """Images (N, channels_in, H, W) to (N, channels_out, H // 2, W // 2)."""
    return nn.Sequential(
        OrderedDict(
            conv1=convolution(channels_in, channels_out),
            pool=nn.MaxPool2d(2),
            norm1=nn.BatchNorm2d(channels_out, momentum=0.4),  # a run is short: averages must forget its beginning
            relu1=nn.ReLU(),
            conv2=convolution(channels_out, channels_out),
            norm2=nn.BatchNorm2d(channels_out, momentum=0.4),
            relu2=nn.ReLU(),
        )
    )


def convolution(channels_in: int, channels_out: int) -> nn.Conv2d:
    """A 3×3 convolution whose first channels at first hand its input on (Jordan 2024, section 3.3)."""
    layer = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False)
    nn.init.dirac_(layer.weight[:channels_in])
    return layer


def whitening_filters(images: Tensor) -> Tensor:
    """Filters (C·4, C, 2, 2) whose responses to the 2×2 patches of the images are uncorrelated, of variance 1.

    They are Λ^(-½) Eᵀ of the patches' covariance E Λ Eᵀ, strongest direction first; `SMALLEST_VARIANCE` is added to Λ.
    """
    channels = images.shape[1]
    patches = images.double().unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # (N, C, H-1, W-1, 2, 2)
    patches = patches.permute(1, 4, 5, 0, 2, 3).reshape(channels * PATCH**2, -1)  # (C·4, patches)
    variances, directions = torch.linalg.eigh(patches.cov())
    filters = (directions / (variances + SMALLEST_VARIANCE).sqrt()).T.flip(0)
    return filters.reshape(-1, channels, PATCH, PATCH)

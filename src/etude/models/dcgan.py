"""The convolutional generative adversarial network.

Source: Radford et al., "Unsupervised representation learning with deep convolutional generative adversarial networks",
2016; two convolutions per network, for small images. Linear and transposed convolution layers start from Xavier
uniform weights (Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
equation 16). All biases, plain convolutions and batch-norms keep PyTorch's own start.
"""

from collections import OrderedDict

from torch import Tensor, nn

from etude.models.gan import NEGATIVE_SLOPE
from etude.models.maps import BatchNormOfPixels, LinearToMaps
from etude.models.sizes import ImageShape, after_two_convolutions_and_pools, check_count, check_image_shape


class ConvDiscriminator(nn.Module):
    """Images (N, C, H, W) to one score each (N, 1): the logit of "this image is real", no sigmoid.

    Two convolutions and two linear layers; 1,102,721 parameters for 1×28×28. Images below 16×16 are a `UsageError`.
    """

    def __init__(self, image_shape: ImageShape) -> None:
        super().__init__()
        channels, height, width = check_image_shape(image_shape)
        rows, columns = after_two_convolutions_and_pools(height), after_two_convolutions_and_pools(width)
        num_features = 64 * rows * columns
        # The shapes in the comments are those of 1×28×28 images.
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(channels, 32, kernel_size=5),  # (N, 32, 24, 24)
                relu1=nn.LeakyReLU(NEGATIVE_SLOPE),
                pool1=nn.MaxPool2d(2),  # (N, 32, 12, 12)
                conv2=nn.Conv2d(32, 64, kernel_size=5),  # (N, 64, 8, 8)
                relu2=nn.LeakyReLU(NEGATIVE_SLOPE),
                pool2=nn.MaxPool2d(2),  # (N, 64, 4, 4)
            )
        )
        self.critic = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(num_features, num_features),
                relu1=nn.LeakyReLU(NEGATIVE_SLOPE),
                linear2=nn.Linear(num_features, 1),
            )
        )
        self.apply(_start_from_xavier)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] to scores (N, 1)."""
        features = self.features(images)  # (N, 64, 4, 4)
        return self.critic(features.flatten(1))  # (N, 1024) to (N, 1)


class ConvGenerator(nn.Module):
    """Noise (N, noise_dim) to images (N, C, H, W) in [-1, 1].

    Two linear layers make a small map of 128 channels, two transposed convolutions double it twice; 6,580,801
    parameters for 4 numbers of noise and 1×28×28. Batch-norm needs at least two images in training mode.
    Images below 16×16 are a `UsageError`.
    """

    def __init__(self, noise_dim: int, image_shape: ImageShape) -> None:
        super().__init__()
        self.noise_dim = check_count("noise_dim", noise_dim)
        self.image_shape = channels, height, width = check_image_shape(image_shape)
        # A layer makes 2n pixels of n or, with an output padding of 1, 2n + 1: what halving the size twice left over.
        self.map_shape = (128, height // 4, width // 4)
        padding1 = (height // 2 % 2, width // 2 % 2)
        padding2 = (height % 2, width % 2)
        # The shapes in the comments are those of 1×28×28 images.
        self.project = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(noise_dim, 1024),
                relu1=nn.ReLU(),
                norm1=nn.BatchNorm1d(1024),
                linear2=LinearToMaps(1024, self.map_shape),  # (N, 128, 7, 7)
                relu2=nn.ReLU(),
                norm2=BatchNormOfPixels(self.map_shape),
            )
        )
        self.upsample = nn.Sequential(
            OrderedDict(
                conv1=_doubling(128, 64, output_padding=padding1),  # (N, 64, 14, 14)
                relu1=nn.ReLU(),
                norm1=nn.BatchNorm2d(64),
                conv2=_doubling(64, channels, output_padding=padding2),  # (N, 1, 28, 28)
                tanh=nn.Tanh(),
            )
        )
        self.apply(_start_from_xavier)

    def forward(self, noise: Tensor) -> Tensor:
        """Noise (N, noise_dim), uniform in [-1, 1] (see `uniform_noise`), to images (N, C, H, W)."""
        return self.upsample(self.project(noise))  # (N, 128, 7, 7) to (N, 1, 28, 28)


def _doubling(in_channels: int, out_channels: int, *, output_padding: tuple[int, int]) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(
        in_channels, out_channels, kernel_size=4, stride=2, padding=1, output_padding=output_padding
    )


def _start_from_xavier(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)

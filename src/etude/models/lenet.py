"""LeNet, the small convolutional classifier, with ReLU and max-pooling in place of the original's layers."""

from collections import OrderedDict

from torch import Tensor, nn

from etude.models.sizes import ImageShape, after_two_convolutions_and_pools, check_count, check_image_shape


class LeNet(nn.Module):
    """Images (N, C, H, W) to one score per class (N, num_classes), before any softmax.

    Two convolutions and three linear layers; 62,006 parameters for 3×32×32 and 10 classes. Works from 16×16 pixels up;
    smaller images are a `UsageError`. Source: LeCun et al., "Gradient-based learning applied to document recognition",
    1998, figure 2, as tutorials simplify it.
    """

    def __init__(self, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        channels, height, width = check_image_shape(image_shape)
        rows, columns = after_two_convolutions_and_pools(height), after_two_convolutions_and_pools(width)
        # The shapes in the comments are those of 3×32×32 images.
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(channels, 6, kernel_size=5),  # (N, 6, 28, 28)
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),  # (N, 6, 14, 14)
                conv2=nn.Conv2d(6, 16, kernel_size=5),  # (N, 16, 10, 10)
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),  # (N, 16, 5, 5)
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(16 * rows * columns, 120),
                relu1=nn.ReLU(),
                linear2=nn.Linear(120, 84),
                relu2=nn.ReLU(),
                linear3=nn.Linear(84, check_count("num_classes", num_classes)),
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W), normalised to about [-1, 1], to logits (N, num_classes)."""
        features = self.features(images)  # (N, 16, 5, 5)
        return self.classifier(features.flatten(1))  # (N, 400) to (N, num_classes)

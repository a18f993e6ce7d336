"""A network that somebody wrote in the usual way gets the kernels that étude's own of the same layers has."""

import shutil
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from etude.models import ConvDiscriminator, LeNet
from etude.speed.kernels import use_kernels
from etude.speed.kernels.pooling import KernelPooling

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")


class TutorialNet(nn.Module):
    """LeNet as tutorials write it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = F.max_pool2d(F.relu(self.conv2(x)), (2, 2))
        x = torch.flatten(x, 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class TutorialDiscriminator(nn.Module):
    """dcgan's discriminator as somebody may write it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5), nn.Conv2d(32, 64, 5)
        self.fc1, self.fc2 = nn.Linear(1024, 1024), nn.Linear(1024, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.leaky_relu(self.conv1(x), 0.01), 2, stride=2)
        x = F.max_pool2d(F.leaky_relu(self.conv2(x), 0.01), 2, stride=2)
        return self.fc2(F.leaky_relu(self.fc1(x.reshape(len(x), -1)), 0.01))


def operations(network: nn.Module, images: Tensor, dtype: torch.dtype) -> tuple[Counter[str], Tensor]:
    """How often a step calls each operation of étude's, and the gradient of the images."""
    network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (missing in its stubs)
    use_kernels(network, dtype, compiled=True)
    names = [name for name, _ in network.named_parameters()]

    def gradients(images: Tensor, *parameters: Tensor) -> Tensor:
        def loss(images: Tensor, *parameters: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16), KernelPooling():
                scores = torch.func.functional_call(network, dict(zip(names, parameters, strict=True)), (images,))
            return scores.float().square().sum()

        everything = tuple(range(1 + len(parameters)))
        of_images, *of_parameters = torch.func.grad(loss, argnums=everything)(images, *parameters)
        return of_images + sum(each.sum() for each in of_parameters)

    inputs = images, *(each.detach() for each in network.parameters())
    graph = make_fx(gradients)(*inputs)
    return Counter(str(node.target) for node in graph.graph.nodes if "etude" in str(node.target)), graph(*inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["lenet", "discriminator"])
def test_a_network_of_the_same_layers_has_the_same_kernels(kind: str, dtype: torch.dtype) -> None:
    mine, theirs = (
        (LeNet((3, 32, 32), 10), TutorialNet())
        if kind == "lenet"
        else (ConvDiscriminator((1, 28, 28)), TutorialDiscriminator())
    )
    for to, value in zip(theirs.parameters(), mine.parameters(), strict=True):
        to.data.copy_(value)
    images = torch.randn(4, 3, 32, 32) if kind == "lenet" else torch.randn(4, 1, 28, 28)
    found, gradient = operations(theirs, images, dtype)
    expected, expected_gradient = operations(mine, images, dtype)
    assert found == expected
    assert found.total() >= 2  # a pooling there and back
    assert torch.equal(gradient, expected_gradient)

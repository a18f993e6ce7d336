"""LeNet: its size, its layers in their order, the images it accepts."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from etude.errors import UsageError
from etude.models import LeNet


def test_parameters_of_the_classical_network() -> None:
    network = LeNet((3, 32, 32), 10)
    assert sum(p.numel() for p in network.parameters()) == 62_006
    assert {name: tuple(p.shape) for name, p in network.named_parameters()} == {
        "features.conv1.weight": (6, 3, 5, 5),
        "features.conv1.bias": (6,),
        "features.conv2.weight": (16, 6, 5, 5),
        "features.conv2.bias": (16,),
        "classifier.linear1.weight": (120, 400),
        "classifier.linear1.bias": (120,),
        "classifier.linear2.weight": (84, 120),
        "classifier.linear2.bias": (84,),
        "classifier.linear3.weight": (10, 84),
        "classifier.linear3.bias": (10,),
    }


def test_layers_in_the_order_of_the_course() -> None:
    network = LeNet((3, 32, 32), 10)
    w = dict(network.named_parameters())
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    x = F.max_pool2d(F.relu(F.conv2d(images, w["features.conv1.weight"], w["features.conv1.bias"])), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, w["features.conv2.weight"], w["features.conv2.bias"])), 2)
    x = x.reshape(4, 400)
    x = torch.relu(x @ w["classifier.linear1.weight"].T + w["classifier.linear1.bias"])
    x = torch.relu(x @ w["classifier.linear2.weight"].T + w["classifier.linear2.bias"])
    x = x @ w["classifier.linear3.weight"].T + w["classifier.linear3.bias"]
    torch.testing.assert_close(network(images), x)


def test_shapes_layer_by_layer() -> None:
    network = LeNet((3, 32, 32), 10)
    seen: list[tuple[str, tuple[int, ...]]] = []
    for layer in network.modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda layer, _, out: seen.append((type(layer).__name__, tuple(out.shape))))
    network(torch.zeros(2, 3, 32, 32))
    assert seen == [
        ("Conv2d", (2, 6, 28, 28)),
        ("ReLU", (2, 6, 28, 28)),
        ("MaxPool2d", (2, 6, 14, 14)),
        ("Conv2d", (2, 16, 10, 10)),
        ("ReLU", (2, 16, 10, 10)),
        ("MaxPool2d", (2, 16, 5, 5)),
        ("Linear", (2, 120)),
        ("ReLU", (2, 120)),
        ("Linear", (2, 84)),
        ("ReLU", (2, 84)),
        ("Linear", (2, 10)),
    ]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("width", [16, 17, 23, 28, 64])
def test_any_image_of_at_least_16_pixels_a_side(channels: int, width: int) -> None:
    for height in range(16, 33):
        with torch.device("meta"):
            logits = LeNet((channels, height, width), 7)(torch.empty(3, channels, height, width))
        assert logits.shape == (3, 7)


def test_every_weight_is_trained() -> None:
    network = LeNet((1, 28, 28), 10)
    network(torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_initial_weights_follow_the_global_seed_and_a_forward_draws_nothing() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first = LeNet((1, 28, 28), 10)
        torch.manual_seed(3)
        second = LeNet((1, 28, 28), 10)
        state = torch.get_rng_state()
        images = torch.ones(2, 1, 28, 28)
        assert torch.equal(first(images), second(images))
        assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(3, 15, 32), (3, 32, 15), (0, 32, 32), (28, 28), (1, 1, 28, 28)])
def test_impossible_shapes(shape: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError) as error:
        LeNet(shape, 10)
    assert str(error.value) == (
        f"image shape {shape} is not allowed: give (channels, height, width) of at least (1, 16, 16); "
        "enlarge smaller images first."
    )


def test_no_classes() -> None:
    with pytest.raises(UsageError) as error:
        LeNet((3, 32, 32), 0)
    assert str(error.value) == "num_classes 0 is not allowed: give a whole number of at least 1."


def test_half_precision() -> None:
    network: nn.Module = LeNet((1, 28, 28), 10).bfloat16()
    assert network(torch.ones(2, 1, 28, 28, dtype=torch.bfloat16)).dtype == torch.bfloat16

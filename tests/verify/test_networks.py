"""Networks compared by what they compute, however they are written."""

import torch
from torch import Tensor, nn

from etude.verify import find
from etude.verify.matching import judge
from etude.verify.networks import fill, parameters_in_order_of_use


class Backwards(nn.Module):
    """Layers defined in the reverse of the order in which they are used."""

    def __init__(self) -> None:
        super().__init__()
        self.second, self.first = nn.Linear(3, 1), nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def test_parameters_come_in_order_of_use():
    network = Backwards()
    used = parameters_in_order_of_use(network, lambda: network(torch.zeros(1, 2)))
    expected = [*network.first.parameters(), *network.second.parameters()]
    assert [id(parameter) for parameter in used] == [id(parameter) for parameter in expected]


def test_parameters_that_no_module_call_uses_come_in_order_of_definition():
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.linear.weight.T

    network = Bare()
    used = parameters_in_order_of_use(network, lambda: network(torch.zeros(1, 2)))
    assert [id(parameter) for parameter in used] == [id(network.linear.weight)]


def test_parameters_that_do_not_matter_are_left_out():
    class LeftOver(Backwards):
        def __init__(self) -> None:
            super().__init__()
            self.never_used, self.lazy = nn.Linear(7, 7), nn.LazyLinear(4)
            self.used_for_nothing = nn.Linear(2, 2)
            self.first.weight.requires_grad_(False)  # frozen, but it matters

        def forward(self, x: Tensor) -> Tensor:
            self.used_for_nothing(x)
            return super().forward(x)

    network = LeftOver()
    used = parameters_in_order_of_use(network, lambda: network(torch.zeros(1, 2)))
    expected = [*network.first.parameters(), *network.second.parameters()]
    assert [id(parameter) for parameter in used] == [id(parameter) for parameter in expected]


def test_filling_is_determined_by_the_seed_and_keeps_the_scale():
    one, other, third = (nn.Linear(400, 500) for _ in range(3))
    for layer, seed in ((one, 1), (other, 1), (third, 2)):
        fill(list(layer.parameters()), seed)
    assert torch.equal(one.weight, other.weight)
    assert not torch.equal(one.weight, third.weight)
    assert abs(one.weight.std().item() * 20 - 1.5) < 0.02


def test_etudes_own_networks_pass():
    from etude.models.dcgan import ConvDiscriminator, ConvGenerator
    from etude.models.gan import Discriminator, Generator

    shape = (1, 28, 28)
    networks = {
        "discriminator": lambda: nn.Sequential(nn.Unflatten(1, shape), Discriminator(shape)),
        "generator": lambda noise_dim: nn.Sequential(Generator(noise_dim, shape), nn.Flatten()),
        "build_dc_classifier": lambda batch_size: nn.Sequential(nn.Unflatten(1, shape), ConvDiscriminator(shape)),
        "build_dc_generator": lambda noise_dim: ConvGenerator(noise_dim, shape),
    }
    for name, factory in networks.items():
        result = judge(find(f"gan.{name}").checks[0], factory)
        assert result.status == "pass", result

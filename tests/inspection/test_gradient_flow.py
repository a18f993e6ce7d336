import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.inspection.gradient_flow import LayerFlow, gradient_flow, judge, try_remedies


def mlp(activation: type[nn.Module], depth: int = 24, width: int = 32) -> nn.Sequential:
    return nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(width, width), activation())])


def test_24_sigmoid_blocks_vanish_and_tanh_alone_does_not_cure_it() -> None:
    x = torch.randn(64, 32)
    flow = gradient_flow(mlp(nn.Sigmoid), x)
    assert flow.verdict == "vanishing"
    assert flow.ratio < 1e-10
    assert sum(layer.op == "linear" for layer in flow.layers) == 24
    remedies = {remedy.name: remedy for remedy in try_remedies(mlp(nn.Sigmoid), x)}
    assert not remedies["activation: tanh"].cures
    assert not remedies["initialisation"].cures
    assert remedies["activation: ReLU, with initialisation"].cures
    assert remedies["residual connections"].cures
    assert all(remedy.flow for remedy in remedies.values())


def test_measured_gradients_equal_those_of_autograd_by_hand() -> None:
    a, b = nn.Linear(3, 4), nn.Linear(4, 2)
    x = torch.randn(5, 3)
    flow = gradient_flow(nn.Sequential(a, nn.Tanh(), b), x, seed=3)
    weights = torch.randn((5, 2), generator=torch.Generator().manual_seed(3)) / 5
    hidden = a(x).detach()
    gradient = weights @ b.weight.detach() * (1 - torch.tanh(hidden) ** 2)
    assert flow.layers[2].gradient_rms == pytest.approx(float(weights.double().square().mean().sqrt()))
    assert flow.layers[0].gradient_rms == pytest.approx(float(gradient.double().square().mean().sqrt()), rel=1e-5)
    assert flow.layers[0].activation_rms == pytest.approx(float(hidden.double().square().mean().sqrt()), rel=1e-5)


def test_large_weights_explode() -> None:
    net = mlp(nn.ReLU)
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, nn.Linear):
                layer.weight *= 10
    flow = gradient_flow(net, torch.randn(16, 32))
    assert flow.verdict == "exploding"
    assert flow.message.startswith("exploding: the gradient changes ")


def test_overflow_is_not_finite() -> None:
    net = mlp(nn.Identity)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 1e5
    assert gradient_flow(net, torch.randn(4, 32)).message == "not finite: activations or gradients overflow."


def test_relu_networks_vanish_too() -> None:
    assert gradient_flow(mlp(nn.ReLU), torch.randn(64, 32)).verdict == "vanishing"  # PyTorch's default initial weights


def test_dead_units_cut_the_gradient_off() -> None:
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    with torch.no_grad():
        net[0].bias.fill_(-100.0)  # type: ignore[union-attr,operator]
    flow = gradient_flow(net, torch.randn(8, 4))
    assert flow.layers[1].dead == 1
    assert flow.verdict == "cut off"


def test_saturation_is_counted() -> None:
    net = nn.Sequential(nn.Linear(1, 2), nn.Sigmoid())
    with torch.no_grad():
        next(net.parameters()).copy_(torch.tensor([[0.0], [100.0]]))
        list(net.parameters())[1].zero_()
    flow = gradient_flow(net, torch.ones(4, 1))
    assert flow.layers[1].saturated == 0.5


def test_functional_activations_are_seen_and_in_place_ones_are_no_trouble() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 3, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(F.relu(self.conv(x)).mean((2, 3)))

    flow = gradient_flow(Net(), torch.randn(4, 1, 6, 6))
    assert [(layer.path, layer.op) for layer in flow.layers] == [("conv", "conv2d"), ("", "relu"), ("fc", "linear")]
    inplace = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 1))
    assert gradient_flow(inplace, torch.randn(8, 4)).verdict == "healthy"
    assert inplace[1].inplace  # type: ignore[union-attr]


def test_what_is_overwritten_later_is_measured_as_it_was() -> None:
    class Adds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.layer(x)
            y.mul_(10)
            return y

    (layer,) = gradient_flow(Adds(), torch.randn(8, 3), seed=1).layers
    weights = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    assert layer.gradient_rms == pytest.approx(float((10 * weights / 8).square().mean().sqrt()))


def test_recurrent_layers_and_attention_are_layers() -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.lstm = nn.Embedding(5, 4), nn.LSTM(4, 4, batch_first=True)
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            y = self.lstm(self.embedding(x))[0]
            return self.attention(y, y, y)[0]

    flow = gradient_flow(Reads(), torch.randint(5, (8, 6)))
    assert [layer.op for layer in flow.layers] == ["embedding", "lstm", "multi_head_attention_forward"]
    assert all(layer.gradient_rms for layer in flow.layers)


def test_one_layer_has_no_depth() -> None:
    message = gradient_flow(nn.Linear(3, 3), torch.randn(8, 3)).message
    assert message == "healthy: a gradient reaches the one layer with weights; there is no depth for it to vanish in."


def test_a_shared_layer_stays_shared_under_a_remedy() -> None:
    remedies = try_remedies(nn.Sequential(*[nn.Linear(8, 8), nn.Sigmoid()] * 24), torch.randn(16, 8))
    failed = [(remedy.name, remedy.why_not) for remedy in remedies if remedy.flow is None]
    # One Linear is the first and the last layer: there is none between to normalise.
    assert failed == [("normalisation (batch-norm)", "nothing to change: such layers are not modules of this network")]


def test_verdicts() -> None:
    def flow(*gradients: float) -> list[LayerFlow]:
        return [LayerFlow("", "linear", 1.0, gradient) for gradient in gradients]

    assert judge(flow(0.9e-3, 1)).verdict == "vanishing"
    assert judge(flow(1.1e-3, 1)).verdict == "healthy"
    assert judge(flow(1.1e3, 1)).verdict == "exploding"
    assert judge(flow(0.0, 1)).verdict == "cut off"
    assert judge(flow(math.nan, 1)).verdict == "not finite"
    assert judge([]).verdict == "unknown"


def test_the_module_stays_as_it_is() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ReLU()).eval()
    before, state = {k: v.clone() for k, v in net.state_dict().items()}, torch.get_rng_state()
    gradient_flow(net, x := torch.randn(4, 3))
    state = torch.get_rng_state()
    try_remedies(net, x)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert not net.training

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from etude.inspection.folding.simplify import simplify
from etude.inspection.gradients.flow import LayerFlow, gradient_flow, judge, try_remedies
from etude.inspection.gradients.gradcheck import gradcheck
from etude.inspection.modes import compare_modes


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


class Loops(nn.Module):
    """A cell called in a loop; `forward` of a test decides what else happens."""

    def __init__(self, cell: nn.Module, cut: int = -1) -> None:
        super().__init__()
        self.cell, self.cut = cell, cut

    def forward(self, x: Tensor) -> Tensor:
        h: Any = torch.zeros(x.shape[0], 8)
        state = (h, h) if isinstance(self.cell, nn.LSTMCell) else h
        outputs = []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            if t == self.cut:
                state = tree_map(Tensor.detach, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs, 1)


class Written(nn.Module):
    """A recurrence written with products, as in an exercise: no layer of PyTorch at all."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.u, self.w = nn.Parameter(torch.randn(4, 8) / 2), nn.Parameter(torch.eye(8) * scale)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.shape[0], 8)
        for t in range(x.shape[1]):
            h = x[:, t] @ self.u + h @ self.w
        return h


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_gradients_over_time_equal_those_of_autograd_by_hand(kind: Callable[..., Any]) -> None:
    net, x = kind(4, 8, batch_first=True), torch.randn(5, 20, 4)
    (time,) = gradient_flow(net, x, seed=3).time
    net.double()
    given = x.double().requires_grad_()
    last = net(given)[0][:, -1]
    weights = torch.randn(last.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((last * weights).sum() / 5, given)
    assert time.gradients == pytest.approx(gradient.square().mean((0, 2)).sqrt().tolist(), rel=1e-6)


def test_a_gradient_vanishes_over_50_steps_of_a_gru_and_gates_that_remember_cure_it() -> None:
    net, x = nn.GRU(8, 16, batch_first=True), torch.randn(16, 50, 8)
    flow = gradient_flow(net, x)
    assert flow.verdict == "vanishing"
    (time,) = flow.time
    assert (time.steps, time.verdict) == (50, "vanishing")
    assert flow.message == (
        f"vanishing over time: the network (gru), 50 steps: the gradient changes {time.ratio:.2g}-fold from the last "
        f"step to the first, {time.per_step:.2g} a step."
    )
    assert time.per_step == pytest.approx(time.ratio ** (1 / 49))
    cured = [remedy.name for remedy in try_remedies(net, x) if remedy.cures]
    assert cured == ["recurrent weights orthogonal, gates that remember"]


def test_a_short_sequence_is_healthy_and_its_depth_is_time() -> None:
    flow = gradient_flow(nn.LSTM(4, 8, batch_first=True), torch.randn(8, 4, 4))
    assert flow.message == "healthy: a gradient reaches the one layer with weights; its depth is time, 4 steps."


@pytest.mark.parametrize(("kind", "cell"), [(nn.RNN, nn.RNNCell), (nn.GRU, nn.GRUCell), (nn.LSTM, nn.LSTMCell)])
def test_cells_in_a_loop_vanish_as_the_fused_layer_does(kind: Callable[..., Any], cell: Callable[..., Any]) -> None:
    fused, single = kind(4, 8, batch_first=True), cell(4, 8)
    with torch.no_grad():
        for mine, name in ((getattr(single, n), n) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")):
            mine.copy_(getattr(fused, f"{name}_l0"))
    x = torch.randn(6, 40, 4)
    (a,), (b,) = gradient_flow(fused, x).time, gradient_flow(Loops(single), x).time
    assert (a.steps, b.steps, a.verdict, b.verdict) == (40, 40, "vanishing", "vanishing")
    assert a.per_step == pytest.approx(b.per_step, rel=0.1)  # of the input here, of the state there
    assert (b.path, b.op[:-5]) == ("cell", a.op)


def test_a_packed_batch_is_measured_by_its_longest_sequences() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(4, 8, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(x, [30, 30, 9, 2], batch_first=True)
            return nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)[0]

    net, x = Packed(), torch.randn(4, 30, 4)
    (time,) = gradient_flow(net, x, seed=5).time
    (whole,) = gradient_flow(net.gru, x[:2], seed=5).time
    assert time.gradients == pytest.approx(whole.gradients, rel=1e-6)


def test_a_bidirectional_layer_is_measured_forwards() -> None:
    flow = gradient_flow(nn.LSTM(4, 8, 2, bidirectional=True), torch.randn(40, 6, 4))
    assert flow.verdict == "vanishing"
    assert flow.time[0].steps == 40


def test_a_recurrence_written_with_products_has_the_factor_of_its_matrix() -> None:
    x = torch.randn(5, 30, 4)
    for scale, verdict in ((0.5, "vanishing"), (1.0, "healthy"), (1.5, "exploding")):
        flow = gradient_flow(Written(scale), x)
        (time,) = flow.time
        assert time.per_step == pytest.approx(scale, rel=1e-4)
        assert (time.verdict, flow.verdict) == (verdict, verdict)


def test_a_detached_state_is_told_with_its_reach() -> None:
    (time,) = gradient_flow(Loops(nn.LSTMCell(4, 8), cut=9), torch.randn(3, 20, 4)).time
    assert (time.verdict, time.reach) == ("cut off", 11)
    assert time.message == (
        "cut off over time: cell (lstm_cell), 20 steps: the gradient of step 20 reaches back to step 11; before it the "
        "state is detached (truncated backpropagation, if that is meant)."
    )


def test_a_layer_that_branches_share_is_no_recurrence() -> None:
    class Siamese(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return sum((self.layer(row) for row in x.unbind(1)), torch.zeros(()))

    assert gradient_flow(Siamese(), torch.randn(3, 5, 4)).time == []


@dataclass
class Output:
    loss: Tensor
    logits: Tensor


class Returns(nn.Module):
    def __init__(self, what: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layers, self.what = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)), what

    def forward(self, x: Tensor) -> Any:
        return self.what(self.layers(x))


@pytest.mark.parametrize(
    "what",
    [
        lambda y: y.square().mean(),
        lambda y: (y, y.square().mean()),
        lambda y: {"loss": y.square().mean(), "logits": [y]},
        lambda y: Output(y.square().mean(), y),
        lambda y: torch.distributions.Normal(y, 1.0),
        lambda y: torch.fft.fft(y),
        lambda y: (None, "text", {"rest": y}),
    ],
)
def test_whatever_holds_the_outputs_the_gradient_is_measured(what: Callable[[Tensor], Any]) -> None:
    flow = gradient_flow(Returns(what), torch.randn(8, 4))
    assert flow.verdict == "healthy"
    assert all(layer.gradient_rms for layer in flow.layers)


def test_the_gradient_of_a_loss_is_that_of_the_loss() -> None:
    net, x = Returns(lambda y: y.square().mean()), torch.randn(8, 4)
    y = net.layers(x).detach()
    flow = gradient_flow(net, x)
    assert flow.layers[-1].gradient_rms == pytest.approx(float((2 * y / y.numel()).square().mean().sqrt()), rel=1e-5)


def test_a_generator_that_is_given_stays_where_it_is() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
            return self.layer(x + torch.randn(x.shape, generator=generator))

    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    for question in (gradient_flow, try_remedies, compare_modes, gradcheck, simplify):
        question(Noisy(), torch.randn(4, 4), generator)
        assert torch.equal(generator.get_state(), before), question.__name__


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


def test_it_shows_itself_as_its_verdict() -> None:
    flow = gradient_flow(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)), torch.rand(8, 3))
    assert repr(flow) == flow.message
    assert repr(replace(flow, unknown=["no hook"])) == f"{flow.message}\n! no hook"


class Told(nn.Module):
    """Takes a second input and one by its name, as the network of a diffusion model does."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 1))

    def forward(self, x: Tensor, other: Tensor, *, time: Tensor) -> Tensor:
        return self.layers(x + other + time)


def test_remedies_are_tried_on_networks_of_several_inputs() -> None:
    remedies = try_remedies(Told(), torch.randn(16, 8), torch.randn(16, 8), time=torch.zeros(1))
    assert [remedy.name for remedy in remedies if remedy.flow is None] == []

"""The gradient of the last output by steps back."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from etude.errors import UsageError
from etude.inspection.gradients.lag_flow import LagFlow, lag_flow
from etude.inspection.inspecting import inspect
from etude.models.recurrent import LSTMCell, Recurrent, RNNCell
from inspection.sequences.networks import SYMBOLS, Loop, Model, Sentiment, Tagger, Translator, ids


def flows(module: nn.Module, *inputs: Tensor, seed: int = 3) -> list[LagFlow]:
    facts = inspect(module, *(x[:1] for x in inputs)).sequence
    assert facts is not None
    return lag_flow(module, inputs, {}, facts, seed=seed)


def by_hand(embedding: nn.Module, rest: Callable[[Tensor], Tensor], symbols: Tensor) -> list[float]:
    """By steps back, the root mean square of the gradient of a mixture of the last output for the vectors (N, T, D)."""
    vectors = embedding(symbols).detach().requires_grad_()
    last = rest(vectors)
    weights = torch.randn(last.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((last * weights).sum() / len(symbols), vectors)
    return gradient.square().mean((0, 2)).sqrt().flip(0).tolist()


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("time_first", [False, True])
def test_gradients_by_lag_equal_those_of_autograd_by_hand(layer: Callable[..., nn.Module], time_first: bool) -> None:
    module, symbols = Tagger(layer(4, 8, batch_first=not time_first), time_first=time_first), ids(5, 9)
    (flow,) = flows(module, symbols)
    module.double()

    def rest(x: Tensor) -> Tensor:
        out = module.layer(x.transpose(0, 1))[0][-1] if time_first else module.layer(x)[0][:, -1]
        return module.out(out)

    assert flow.gradients == pytest.approx(by_hand(module.embedding, rest, symbols), rel=1e-9)


@pytest.mark.parametrize("make", [lambda: Loop(), lambda: Tagger(Recurrent(LSTMCell(4, 8)))])
def test_loops_and_our_own_layers_too(make: Callable[[], Any]) -> None:
    module, symbols = make(), ids(5, 9)
    (flow,) = flows(module, symbols)
    module.double()
    cell = module.cell if isinstance(module, Loop) else module.layer.cell

    def rest(x: Tensor) -> Tensor:
        state = (torch.zeros(5, 8).double(),) * 2
        for step in x.unbind(1):
            state = cell(step, state)
        return module.out(state[0])

    assert flow.gradients == pytest.approx(by_hand(module.embedding, rest, symbols), rel=1e-9)


def test_a_network_that_takes_time_first_and_one_that_takes_vectors() -> None:
    layer, x = nn.GRU(4, 8), torch.rand(9, 3, 4)
    (flow,) = lag_flow(layer, (x,), {}, facts_of(layer, x), seed=3)
    given = x.double().requires_grad_()
    last = layer.double()(given)[0][-1]
    weights = torch.randn(last.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((last * weights).sum() / 3, given)
    assert flow.gradients == pytest.approx(gradient.square().mean((1, 2)).sqrt().flip(0).tolist(), rel=1e-9)
    symbols = Tagger(nn.GRU(4, 8))
    assert len(lag_flow(symbols, (ids(9, 3),), {}, facts_of(symbols, ids(9, 3)), seed=3)[0].gradients) == 9


def facts_of(module: nn.Module, *inputs: Tensor) -> Any:
    return inspect(module, *inputs).sequence


def test_the_factor_a_step_is_that_of_the_recurrent_matrix() -> None:
    cell = RNNCell(4, 8)
    with torch.no_grad():
        cell.weight_hh.copy_(torch.eye(8) / 2)
        cell.weight_ih.mul_(1e-4)  # tanh is linear there
        cell.bias_ih.zero_()
        cell.bias_hh.zero_()
    (flow,) = flows(Tagger(Recurrent(cell)), ids(4, 9))
    assert [b / a for a, b in zip(flow.gradients, flow.gradients[1:], strict=False)] == pytest.approx(
        [0.5] * 8, rel=1e-6
    )
    assert flow.reach == 7  # (1/2)^6 of that one step back is 1.6 %
    assert flow.message == (
        "reach over T: from 1 to 8 steps back the gradient changes 0.0078-fold, 0.5 a step; up to 7 steps back it is "
        "at least 1 % of that at 1."
    )


def test_a_mean_is_flat() -> None:
    (flow,) = flows(Sentiment(nn.GRU(4, 4, batch_first=True), 4, lambda out, state: out.mean(1)), ids(4, 6))
    assert flow.reach == 5

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.out = nn.Embedding(SYMBOLS, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.embedding(x).mean(1))

    (flow,) = flows(Mean(), ids(4, 6))
    assert flow.gradients == pytest.approx([flow.gradients[0]] * 6, rel=1e-9)
    assert (flow.ratio, flow.reach) == (pytest.approx(1), 5)


def test_attention_reaches_every_step_and_a_recurrent_network_does_not() -> None:
    """The same length, untrained: the comparison of the docs."""
    (attention,) = flows(Model(num_positions=40), ids(8, 40))
    (recurrent,) = flows(Tagger(nn.RNN(4, 8, batch_first=True)), ids(8, 40))
    assert (attention.reach, recurrent.reach < 20) == (39, True)
    assert 0.2 < attention.ratio < 5
    assert recurrent.ratio < 1e-4


def test_source_and_target_have_a_curve_each() -> None:
    source, target = flows(Translator(), ids(2, 9), torch.randint(7, (2, 6)))
    assert (source.letter, len(source.gradients), target.letter, len(target.gradients)) == ("S", 9, "T", 6)


def test_a_detached_step_cuts_the_curve() -> None:
    class Cut(Loop):
        def forward(self, ids: Tensor) -> Tensor:
            h = c = torch.zeros(len(ids), 8)
            for t, x in enumerate(self.embedding(ids).unbind(1)):
                h, c = self.cell(x, (h.detach(), c.detach()) if t == 7 else (h, c))
            return self.out(h)

    (flow,) = flows(Cut(), ids(2, 9))
    assert [gradient > 0 for gradient in flow.gradients] == [True] * 2 + [False] * 7
    assert flow.reach == 1
    nothing = LagFlow("T", [1.0, 0.0, 0.0])
    assert nothing.message == "reach over T: no gradient of the last output arrives at the steps before it."
    assert nothing.ratio == 0


def test_two_steps_are_too_few() -> None:
    assert flows(Tagger(nn.GRU(4, 8, batch_first=True)), ids(2, 2)) == []


def test_a_network_that_fails_in_float64_says_so() -> None:
    class Single(Tagger):
        def forward(self, ids: Tensor) -> Tensor:
            return super().forward(ids) @ torch.ones(3, 3, dtype=torch.float32)

    with pytest.raises(UsageError, match=r"^the network fails in float64: "):
        flows(Single(nn.GRU(4, 8, batch_first=True)), ids(2, 5))

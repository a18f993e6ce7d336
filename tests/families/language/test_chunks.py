"""A text read in chunks: the same as read at once, in which order, and where gradients end."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from etude.data import Split
from etude.families.language.chunks import columns, read, read_on, tell
from etude.families.language.recurrent import RecurrentModel
from etude.families.language.transformer import TransformerModel
from etude.models.recurrent import FUSED, GRUCell, LSTMCell, Recurrent, RNNCell

V = 7
CELLS = {"rnn": RNNCell, "gru": GRUCell, "lstm": LSTMCell}


def network_of(name: str, **changes: Any) -> nn.Module:
    """A small network in float64, whose scores differ much from symbol to symbol."""
    torch.manual_seed(0)
    if name == "transformer":
        network: nn.Module = TransformerModel(
            V, **{"width": 8, "num_layers": 2, "num_heads": 2, "context": 4, "dropout": 0.0, **changes}
        )
        nn.init.normal_(network.get_parameter("embedding.weight"))
    else:
        network = RecurrentModel(V, FUSED[name], width=8, num_layers=2, dropout=0.0)
    return network.double().eval()


def symbols_of(num_columns: int, num_symbols: int) -> Tensor:
    return torch.randint(V, (num_columns, num_symbols), generator=torch.Generator().manual_seed(1))


NAMES = ("rnn", "gru", "lstm", "transformer")


def test_columns_are_pieces_of_the_text_that_go_on_from_step_to_step() -> None:
    text = torch.arange(47)
    steps = columns(47, num_columns=3, chunk=5).view(-1, 3, 5)
    whole = text[:45].view(3, -1)  # (columns, symbols), as PyTorch's own example divides a text
    assert torch.equal(torch.cat([*steps], dim=1), whole)
    assert columns(14, num_columns=3, chunk=5).shape == (0, 15)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [(5, 8), (1, 1, 11), (12, 1)])
def test_chunks_with_the_state_carried_are_one_pass(name: str, sizes: tuple[int, ...]) -> None:
    network, symbols = network_of(name), symbols_of(2, 13)
    whole, last = network(symbols)
    state, parts = None, []
    for part in symbols.split(sizes, dim=1):
        scores, state = network(part, state)
        parts.append(scores)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    tree_map(torch.testing.assert_close, state, last)


@pytest.mark.parametrize("name", NAMES)
def test_zeros_are_the_state_before_the_first_symbol(name: str) -> None:
    network, symbols = network_of(name), symbols_of(2, 6)
    scores, state = network(symbols)
    torch.testing.assert_close(network(symbols, tree_map(torch.zeros_like, state))[0], scores)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_knows_nothing_of_others_or_of_the_future(name: str) -> None:
    network, symbols = network_of(name), symbols_of(3, 9)
    scores, _ = network(symbols)
    torch.testing.assert_close(network(symbols[1:2])[0], scores[1:2])
    changed = symbols.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % V
    later, _ = network(changed)
    torch.testing.assert_close(later[:, :5], scores[:, :5])
    assert not torch.allclose(later[:, 5:], scores[:, 5:])


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_recurrent_layers_are_the_cells_written_out(name: str) -> None:
    network, symbols = network_of(name), symbols_of(2, 11)
    vectors = F.embedding(symbols, network.get_parameter("embedding.weight"))
    for number in range(2):
        layer = Recurrent(CELLS[name](8, 8)).double()
        for key, parameter in layer.cell.named_parameters():
            parameter.data = network.get_parameter(f"layers.{number}.{key}_l0").data
        vectors, _ = layer(vectors)
    scores = F.linear(vectors, *(network.get_parameter(f"to_scores.{key}") for key in ("weight", "bias")))
    torch.testing.assert_close(network(symbols)[0], scores)


def test_a_symbol_of_the_transformer_sees_itself_and_so_many_before_it() -> None:
    """Written out for each position by itself, with attention weights from a softmax over what it sees."""
    network, symbols = network_of("transformer"), symbols_of(1, 9)
    weight = dict(network.named_parameters())
    vectors = F.embedding(symbols[0], weight["embedding.weight"])  # (T, 8)
    for number in range(2):
        prefix = f"layers.{number}"

        def linear(name: str, inputs: Tensor, prefix: str = prefix) -> Tensor:
            return F.linear(inputs, weight[f"{prefix}.{name}.weight"], weight[f"{prefix}.{name}.bias"])

        def norm(name: str, inputs: Tensor, prefix: str = prefix) -> Tensor:
            return F.layer_norm(inputs, (8,), weight[f"{prefix}.{name}.weight"], weight[f"{prefix}.{name}.bias"])

        normed = norm("attention_norm", vectors)
        query, key, value = (linear(f"attention.{each}", normed).view(-1, 2, 4) for each in ("query", "key", "value"))
        found = []
        for time in range(9):
            first = max(0, time - 4)
            heads = []
            for head, slope in enumerate((2**-4, 2**-8)):
                scores = key[first : time + 1, head] @ query[time, head] / 2
                scores = scores - slope * torch.arange(time - first, -1, -1)
                heads.append(scores.softmax(0) @ value[first : time + 1, head])
            found.append(torch.cat(heads))
        vectors = vectors + linear("attention.out", torch.stack(found))
        hidden = linear("feed_forward.0", norm("feed_forward_norm", vectors)).relu()
        vectors = vectors + linear("feed_forward.2", hidden)
    vectors = F.layer_norm(vectors, (8,), weight["norm.weight"], weight["norm.bias"])
    scores = F.linear(vectors, weight["to_scores.weight"], weight["to_scores.bias"])
    torch.testing.assert_close(network(symbols)[0][0], scores)


# Gradients ------------------------------------------------------------------------------------------------------------


def reach(name: str, *, chunk: int, detach: str) -> list[float]:
    """The size of the gradient of the loss at the last of 12 symbols with respect to each symbol's vector."""
    network, symbols = network_of(name, context=12), symbols_of(1, 12)
    vectors = network.get_parameter("embedding.weight")[symbols[0]].detach().requires_grad_()
    given = iter(vectors.split(1))
    # Each symbol is looked up once more, so that its vector at that time has a gradient of its own.
    network.get_submodule("embedding").forward = lambda symbols: torch.cat(  # pyright: ignore[reportAttributeAccessIssue]
        [next(given) for _ in range(symbols.shape[1])]
    )[None]
    parts, state = symbols.split(chunk, dim=1), None
    scores = torch.empty(0)
    if detach == "never":
        beginning = tree_map(torch.zeros_like, network_of(name, context=12)(symbols[:, :1])[1])
        scores, _ = read_on(network, parts[:-1], torch.ones(len(parts) - 1), parts[-1], beginning)
    for part in parts if detach != "never" else ():
        state = tree_map(Tensor.detach, state) if state else None
        scores, state = read(network, part, state, cut_each_step=detach == "step") if state else network(part)
    F.cross_entropy(scores[:, -1], torch.tensor([3])).backward()
    assert vectors.grad is not None
    return vectors.grad.norm(dim=1).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_ends_exactly_where_the_chunk_begins(name: str) -> None:
    gradients = reach(name, chunk=4, detach="chunk")
    assert gradients[:8] == [0] * 8
    assert min(gradients[8:]) > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_cut_at_each_step_reaches_the_last_symbol_only(name: str) -> None:
    gradients = reach(name, chunk=4, detach="step")
    assert gradients[:11] == [0] * 11
    assert gradients[11] > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_that_is_never_cut_is_that_of_the_whole_text(name: str) -> None:
    gradients = reach(name, chunk=4, detach="never")
    assert min(gradients) > 0
    torch.testing.assert_close(gradients, reach(name, chunk=12, detach="chunk"))


def test_chunks_before_the_beginning_leave_a_state_of_zeros() -> None:
    network, symbols = network_of("gru"), symbols_of(2, 5)
    odd = tree_map(lambda each: each + 3.0, network(symbols)[1])
    scores, oldest = read_on(network, [symbols, symbols, symbols], torch.tensor([0.0, 0.0, 1.0]), symbols, odd)
    torch.testing.assert_close(scores, network(torch.cat([symbols, symbols], dim=1))[0][:, 5:])
    assert all(not each.any() for each in oldest)


# What it tells --------------------------------------------------------------------------------------------------------


def text_of(num_symbols: int, **more: Tensor) -> Split:
    symbols = symbols_of(1, num_symbols + 1)[0]
    return Split(None, symbols=symbols[:-1], targets=symbols[1:], **more)


def in_one_pass(network: nn.Module, text: Split) -> tuple[Tensor, Tensor]:
    scores = network(text["symbols"][None])[0][0]
    return F.cross_entropy(scores, text["targets"], reduction="none"), scores.argmax(1) == text["targets"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chunk", [1, 5, 50])
@torch.no_grad()
def test_it_tells_each_symbol_as_one_pass_does(name: str, chunk: int) -> None:
    network, text = network_of(name), text_of(23)
    told = tell(network, text, chunk=chunk, carry=True)
    nats, right = in_one_pass(network, text)
    torch.testing.assert_close(told.nats, nats, rtol=1e-6, atol=1e-6)
    assert torch.equal(told.right, right)
    assert torch.equal(told.rows, torch.arange(23))


@torch.no_grad()
def test_a_long_text_is_told_in_columns_as_one_pass_does() -> None:
    network, text = network_of("lstm"), text_of(9_001)
    told = tell(network, text, chunk=100, carry=True)
    nats, right = in_one_pass(network, text)
    torch.testing.assert_close(told.nats, nats, rtol=1e-6, atol=1e-6)
    assert torch.equal(told.right, right)


@torch.no_grad()
def test_without_a_carried_state_each_chunk_is_told_by_itself() -> None:
    network, text = network_of("gru"), text_of(23)
    told = tell(network, text, chunk=5, carry=False)
    parts = [in_one_pass(network, text.take(rows))[0] for rows in torch.arange(23).split(5)]
    torch.testing.assert_close(told.nats, torch.cat(parts), rtol=1e-6, atol=1e-6)


def test_only_what_the_text_asks_for_is_told() -> None:
    network, asked = network_of("gru"), torch.arange(23) % 4 == 3
    told = tell(network, text_of(23, answers=asked), chunk=5, carry=True)
    assert told.rows.tolist() == [3, 7, 11, 15, 19]
    torch.testing.assert_close(told.nats, tell(network, text_of(23), chunk=5, carry=True).nats[asked])


@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_finds_all_symbols_as_likely_needs_log_v_nats(name: str) -> None:
    network = network_of(name)
    for parameter in network.parameters():
        parameter.data.zero_()
    told = tell(network, text_of(23), chunk=5, carry=True)
    torch.testing.assert_close(told.nats, torch.full((23,), math.log(V), dtype=torch.float64), rtol=1e-6, atol=0)

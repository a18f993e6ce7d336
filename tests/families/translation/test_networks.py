"""The translators: token by token equals all at once; pads, batch-mates and the future change nothing."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from etude.data.text.vocabulary import BOS, EOS
from etude.families.translation.recurrent import GRUTranslator, LuongTranslator
from etude.families.translation.transformer import Transformer
from etude.families.translation.translator import Translator

SOURCE_SIZE, TARGET_SIZE = 20, 30
RECURRENT = [
    f"{network} {attention} {encoder}"
    for network in ("gru", "luong")
    for attention in ("none", "additive", "dot", "bilinear")
    for encoder in ("recurrent", "self-attention")
]
ALL = [*RECURRENT, "transformer"]


@pytest.fixture(autouse=True)
def seeded_initial_weights() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def make(name: str, *, dropout: float = 0.0) -> Translator:
    if name == "transformer":
        network: Translator = Transformer(SOURCE_SIZE, TARGET_SIZE, width=8, num_layers=2, num_heads=2, dropout=dropout)
    else:
        kind, attention, encoder = name.split()
        cls = {"gru": GRUTranslator, "luong": LuongTranslator}[kind]
        network = cls(SOURCE_SIZE, TARGET_SIZE, width=4, attention=attention, encoder=encoder, dropout=dropout)
    return network.double()


def sources() -> Tensor:
    """Five of 7 tokens, but the third has 4, EOS included."""
    source = torch.randint(4, SOURCE_SIZE, (5, 7))
    source[:, 6] = EOS
    source[2, 3] = EOS
    source[2, 4:] = 0
    return source


def targets() -> Tensor:
    target = torch.randint(4, TARGET_SIZE, (5, 6))
    target[:, 0] = BOS
    return target


@pytest.mark.parametrize("name", ALL)
def test_token_by_token_is_all_at_once(name: str) -> None:
    network, source, target = make(name), sources(), targets()
    logits = network(source, target)
    assert logits.shape == (5, 6, TARGET_SIZE)
    forced = torch.ones_like(target, dtype=torch.bool)
    torch.testing.assert_close(network(source, target, forced), logits)


@pytest.mark.parametrize("name", ALL)
def test_unforced_tokens_are_the_decoders_own(name: str) -> None:
    network, source, target = make(name), sources(), targets()
    forced = torch.zeros_like(target, dtype=torch.bool)
    free = network(source, target, forced)
    own = torch.cat([target[:, :1], free.argmax(2)[:, :-1]], dim=1)
    torch.testing.assert_close(network(source, own), free)
    forced[:, 3] = True
    own[:, 3] = target[:, 3]
    mixed = network(source, target, forced)
    torch.testing.assert_close(mixed[:, :3], free[:, :3])
    torch.testing.assert_close(mixed[:, 3], network(source, own)[:, 3])


@pytest.mark.parametrize("name", ALL)
def test_pads_mates_and_order_change_nothing(name: str) -> None:
    network, source, target = make(name), sources(), targets()
    logits = network(source, target)
    torch.testing.assert_close(network(source[2:3, :4], target[2:3]), logits[2:3])
    order = torch.tensor([3, 2, 4, 0, 1])
    longer = torch.cat([source, torch.zeros(5, 2, dtype=torch.int64)], dim=1)[order]
    torch.testing.assert_close(network(longer, target[order]), logits[order])


@pytest.mark.parametrize("name", ALL)
def test_nothing_comes_from_the_future(name: str) -> None:
    network, source, target = make(name), sources(), targets()
    other = target.clone()
    other[:, 3:] = targets()[:, 3:]
    assert not torch.equal(other, target)
    before, after = network(source, target), network(source, other)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3:], after[:, 3:])


@pytest.mark.parametrize("name", ALL)
def test_alignments_are_shares_of_the_source_without_its_pads(name: str) -> None:
    network, source, target = make(name), sources(), targets()
    weights = network.align(source, target)
    if " none " in name:
        assert weights is None
        return
    assert weights is not None
    torch.testing.assert_close(weights.sum(2), torch.ones(5, 6, dtype=torch.float64))
    assert not weights[2, :, 4:].any()
    assert weights[2, :, :4].min() > 0


@pytest.mark.parametrize("name", RECURRENT)
def test_without_attention_the_last_state_is_all_that_the_decoder_knows(name: str) -> None:
    network, source, target = make(name), sources(), targets()
    memory = network.read(source)
    ends = network.ends(source)
    assert ends is not None
    assert torch.equal(memory.ends, ends)
    state, tokens = network.start(memory), target[:, 0]
    logits, _ = network.write(memory, state, tokens)
    other, _ = network.write(memory._replace(states=memory.states.flip(0)), state, tokens)
    assert torch.equal(logits, other) == (" none " in name)


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_is_trained(name: str) -> None:
    network = make(name)
    network(sources(), targets()).square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        # A bias of all keys moves all scores of a query alike, so the softmax does not feel it.
        assert parameter.grad.abs().max() > 1e-12 or key.endswith("attention.key.bias"), key


@pytest.mark.parametrize("name", ALL)
def test_dropout_acts_in_training_alone(name: str) -> None:
    network, source, target = make(name, dropout=0.5), sources(), targets()
    assert not torch.equal(network(source, target), network(source, target))
    network.eval()
    assert torch.equal(network(source, target), network(source, target))


def test_one_vocabulary_has_one_embedding() -> None:
    apart = Transformer(30, 30, width=8, num_layers=1, num_heads=2, dropout=0)
    joint = Transformer(30, 30, width=8, num_layers=1, num_heads=2, dropout=0, joint=True)
    sizes = [sum(parameter.numel() for parameter in network.parameters()) for network in (apart, joint)]
    assert sizes[0] - sizes[1] == 30 * 8

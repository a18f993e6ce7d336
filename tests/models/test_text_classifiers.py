"""Networks for sentences: equal to independent references; pads, batch-mates and order change nothing."""

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from etude.errors import UsageError
from etude.models.text_classifiers import INPUTS, KERNEL_SIZES, PAD, READERS, TextClassifier

TOKENS = torch.tensor(
    [[3, 7, 2, 9, 4, 1], [5, 5, 8, PAD, PAD, PAD], [6, PAD, PAD, PAD, PAD, PAD], [PAD] * 6, [2, 9, 1, 1, 3, PAD]]
)
LENGTHS = (TOKENS != PAD).sum(dim=1)
REAL = LENGTHS > 0
NAMES = tuple(READERS)


def network(reader: str, input: str = "embedding", **sizes: int) -> Any:
    return TextClassifier(10, 3, reader=reader, input=input, **{"embedding_dim": 8, "width": 4, **sizes}).double()


def vectors_of(net: Any) -> Tensor:
    """The tokens' vectors (N, L, D), 0 at pads."""
    return F.embedding(TOKENS, net.vectors.weight) * (TOKENS != PAD)[:, :, None]


@pytest.mark.parametrize("name", NAMES)
def test_a_row_s_logits_depend_on_its_tokens_alone(name: str) -> None:
    net = network(name)
    together = net(TOKENS)
    assert together.shape == (5, 3)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(net(TOKENS[row : row + 1, : max(1, length)])[0], together[row])
    torch.testing.assert_close(net(F.pad(TOKENS, (0, 4), value=PAD)), together)
    order = torch.tensor([4, 2, 0, 3, 1])
    torch.testing.assert_close(net(TOKENS[order]), together[order])
    changed = TOKENS.clone()
    changed[0, 2] = 8
    assert ((net(changed) - together).abs().amax(dim=1) > 1e-4).tolist() == [True, False, False, False, False]


@pytest.mark.parametrize("name", NAMES)
def test_one_hot_rows_and_an_embedding_are_one_function(name: str) -> None:
    embedded, one_hot = network(name), network(name, "one-hot")
    one_hot.load_state_dict(embedded.state_dict())
    torch.testing.assert_close(one_hot(TOKENS), embedded(TOKENS))
    for net in (embedded, one_hot):
        F.cross_entropy(net(TOKENS), torch.tensor([0, 1, 2, 0, 1])).backward()
    for (key, mine), (other, yours) in zip(embedded.named_parameters(), one_hot.named_parameters(), strict=True):
        assert key == other
        torch.testing.assert_close(mine.grad, yours.grad)


@pytest.mark.parametrize("name", NAMES)
def test_no_gradient_reaches_the_vector_of_pads(name: str) -> None:
    net = network(name)
    net(TOKENS).square().sum().backward()
    gradient = net.vectors.weight.grad
    assert isinstance(gradient, Tensor)
    assert gradient.isfinite().all()
    assert not gradient[PAD].any()
    assert gradient[TOKENS.unique()[1:]].any(dim=1).all()


def test_a_mean_is_that_of_the_real_tokens() -> None:
    net = network("bag")
    means = vectors_of(net).sum(dim=1) / LENGTHS.clamp(min=1)[:, None]
    weight, bias = net.reader.hidden.weight, net.reader.hidden.bias
    torch.testing.assert_close(net(TOKENS), net.head(torch.relu(means @ weight.T + bias)))


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_a_recurrent_reader_gives_the_last_state_of_packed_sentences(name: str) -> None:
    net = network(name)
    packed = pack_padded_sequence(vectors_of(net)[REAL], LENGTHS[REAL], batch_first=True, enforce_sorted=False)
    state = net.reader.layer(packed)[1]
    last = state[0] if name == "lstm" else state  # (1, N, width)
    torch.testing.assert_close(net(TOKENS)[REAL], net.head(last[0]))
    torch.testing.assert_close(net(TOKENS)[3], net.head.bias)


def test_a_bidirectional_reader_gives_both_last_states_of_pytorchs() -> None:
    net = network("bilstm")
    theirs = nn.LSTM(8, 4, batch_first=True, bidirectional=True, dtype=torch.float64)
    layer = net.reader.layer
    state = dict(layer.forwards.state_dict())
    state |= {f"{name}_reverse": value for name, value in layer.backwards.state_dict().items()}
    theirs.load_state_dict(state)
    packed = pack_padded_sequence(vectors_of(net)[REAL], LENGTHS[REAL], batch_first=True, enforce_sorted=False)
    last = theirs(packed)[1][0]  # (2, N, width)
    torch.testing.assert_close(net(TOKENS)[REAL], net.head(torch.cat([last[0], last[1]], dim=1)))


def test_a_convolutional_reader_gives_the_maximum_over_the_windows_of_a_sentence() -> None:
    net = network("cnn")
    expected = torch.zeros(5, len(KERNEL_SIZES) * 4, dtype=torch.float64)
    for row, length in enumerate(LENGTHS.tolist()):
        for number, size in enumerate(KERNEL_SIZES):
            layer = net.reader.layers[number]
            for place in range(length):
                window = torch.zeros(size, 8, dtype=torch.float64)
                for offset in range(size):
                    at = place - (size - 1) // 2 + offset
                    if 0 <= at < length:
                        window[offset] = vectors_of(net)[row, at]
                value = torch.einsum("wdk,kd->w", layer.weight, window) + layer.bias
                part = slice(4 * number, 4 * number + 4)
                expected[row, part] = torch.maximum(expected[row, part], torch.relu(value))
    torch.testing.assert_close(net(TOKENS), net.head(expected))


def test_an_attention_reader_knows_the_order() -> None:
    net, sentence = network("self-attention"), TOKENS[:1]
    assert not torch.allclose(net(sentence), net(sentence.flip(1)))
    mean = network("bag")
    torch.testing.assert_close(mean(sentence), mean(sentence.flip(1)))


def test_dropout_is_for_training_alone() -> None:
    torch.manual_seed(0)
    net = TextClassifier(10, 3, reader="lstm", embedding_dim=8, width=4, dropout=0.5)
    assert not torch.equal(net(TOKENS), net(TOKENS))
    net.eval()
    assert torch.equal(net(TOKENS), net(TOKENS))


@pytest.mark.parametrize("input", INPUTS)
def test_initial_vectors_are_small(input: str) -> None:
    net = TextClassifier(2_000, 2, input=input, embedding_dim=50)
    assert float(net.vectors.weight.detach().std()) == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("name", ["vocabulary_size", "num_classes", "embedding_dim", "width"])
def test_a_size_below_one_is_refused(name: str) -> None:
    sizes: dict[str, Any] = {"vocabulary_size": 10, "num_classes": 2, name: 0}
    with pytest.raises(UsageError, match=re.escape(f"{name} 0 is not allowed: give a whole number of at least 1.")):
        TextClassifier(**sizes)

"""Which tokens moved a decision: closed forms for a linear network, and what both ways have in common."""

import pytest
import torch
from torch import Tensor, nn

from etude.data.text.vocabulary import UNK
from etude.errors import UsageError
from etude.families.text.contributions import gradient_times_input, log_odds, occlusion
from etude.models.text_classifiers import PAD, READERS, TextClassifier

TOKENS = torch.tensor([[3, 7, 2, 9], [5, 5, PAD, PAD], [6, UNK, 4, PAD]])


class Sum(nn.Module):
    """The sum of the tokens' vectors: a linear network."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 3)
        self.head = nn.Linear(3, 2)
        self.double()

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (N, 2)."""
        return self.head((self.table(tokens) * (tokens != PAD)[:, :, None]).sum(dim=1))


def test_log_odds_are_those_of_the_probability() -> None:
    logits = torch.randn(5, 4, dtype=torch.float64)
    labels = torch.tensor([0, 3, 1, 2, 2])
    share = logits.softmax(dim=1).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(log_odds(logits, labels), (share / (1 - share)).log())


def test_gradient_times_input_is_the_share_of_each_token_in_a_linear_network() -> None:
    torch.manual_seed(0)
    net, labels = Sum(), torch.tensor([0, 1, 1])
    direction = net.head.weight[1] - net.head.weight[0]
    shares = (net.table(TOKENS) @ direction) * torch.tensor([[-1], [1], [1]]) * (TOKENS != PAD)
    found = gradient_times_input(net, TOKENS, labels)
    torch.testing.assert_close(found, shares.detach())
    bias = (net.head.bias[1] - net.head.bias[0]) * torch.tensor([-1, 1, 1])
    torch.testing.assert_close(found.sum(dim=1) + bias, log_odds(net(TOKENS), labels))


def test_occlusion_is_the_difference_to_unknown_in_a_linear_network() -> None:
    torch.manual_seed(0)
    net, labels = Sum(), torch.tensor([0, 1, 1])
    direction = net.head.weight[1] - net.head.weight[0]
    shares = (net.table(TOKENS) - net.table.weight[UNK]) @ direction * torch.tensor([[-1], [1], [1]])
    found = occlusion(net, TOKENS, labels)
    torch.testing.assert_close(found, (shares * (TOKENS != PAD)).detach())
    assert found[2, 1] == 0


@pytest.mark.parametrize("reader", READERS)
def test_gradients_agree_with_differences(reader: str) -> None:
    """The gradient along a token's own vector, by central differences of its length."""
    torch.manual_seed(0)
    net = TextClassifier(10, 3, reader=reader, embedding_dim=8, width=4).double().eval()
    net.requires_grad_(False)  # as a running average of weights
    labels = torch.tensor([2, 0, 1])
    found = gradient_times_input(net, TOKENS, labels)

    def odds(row: int, place: int, factor: float) -> Tensor:
        def scale(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
            factors = torch.ones(TOKENS.shape, dtype=torch.float64)
            factors[row, place] = factor
            return output * factors[:, :, None]

        handle = net.vectors.register_forward_hook(scale)
        value = log_odds(net(TOKENS), labels)[row]
        handle.remove()
        return value

    for row, place in ((0, 1), (1, 0), (2, 2)):
        difference = (odds(row, place, 1 + 1e-4) - odds(row, place, 1 - 1e-4)) / 2e-4
        torch.testing.assert_close(found[row, place], difference, rtol=1e-5, atol=1e-8)
    assert not found[TOKENS == PAD].any()
    assert not any(each._forward_hooks for each in net.modules())


def test_a_network_without_an_embedding_has_no_gradient_of_a_word() -> None:
    class Counts(nn.Module):
        def forward(self, tokens: Tensor) -> Tensor:
            return torch.stack([(tokens == 3).sum(1), (tokens == 5).sum(1)], dim=1).float()

    with pytest.raises(UsageError) as error:
        gradient_times_input(Counts(), TOKENS, torch.tensor([0, 1, 1]))
    assert str(error.value) == (
        "Counts has no nn.Embedding that gets its tokens (N, L) as they are, so there is no gradient of a word: take "
        "--by occlusion."
    )
    assert occlusion(Counts(), TOKENS, torch.tensor([0, 1, 1])).tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]

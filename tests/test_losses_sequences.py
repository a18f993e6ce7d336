"""The cross-entropy of sequences: its closed form over real tokens alone."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from etude.losses import sequence_cross_entropy


def made_up(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


TARGETS = torch.tensor([[3, 1, 2, 4], [2, 3, 0, 0], [4, 0, 0, 0]])


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_it_is_the_mean_over_real_tokens(label_smoothing: float, dtype: torch.dtype) -> None:
    logits = (3 * made_up(3, 4, 5)).to(dtype)
    found = sequence_cross_entropy(logits, TARGETS, padding=0, label_smoothing=label_smoothing)
    rows = logits.double().numpy()
    total = 0.0
    for n, t in np.argwhere(TARGETS.numpy() != 0).tolist():
        nats = np.log(np.exp(rows[n, t]).sum()) - rows[n, t]
        total += (1 - label_smoothing) * nats[TARGETS[n, t]] + label_smoothing * nats.mean()
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert found.item() == pytest.approx(total / 7, rel=1e-6 if dtype != torch.float64 else 1e-12)


def test_a_uniform_model_loses_the_logarithm_of_the_vocabulary() -> None:
    for smoothing in (0.0, 0.3):
        found = sequence_cross_entropy(torch.zeros(3, 4, 5), TARGETS, padding=0, label_smoothing=smoothing)
        assert found.item() == pytest.approx(math.log(5), rel=1e-6)


def test_pads_have_no_gradient_and_count_for_nothing() -> None:
    logits = made_up(3, 4, 5).requires_grad_()
    sequence_cross_entropy(logits, TARGETS, padding=0).backward()
    assert logits.grad is not None
    assert not logits.grad[TARGETS == 0].any()
    assert (logits.grad[TARGETS != 0].abs().sum(1) > 0).all()
    longer = torch.nn.functional.pad(logits.detach(), (0, 0, 0, 2), value=9)
    more = torch.nn.functional.pad(TARGETS, (0, 2))
    assert sequence_cross_entropy(longer, more, padding=0) == sequence_cross_entropy(logits, TARGETS, padding=0)


def test_without_padding_every_token_counts() -> None:
    logits = made_up(3, 4, 5)
    expected = -logits.log_softmax(2).gather(2, TARGETS[..., None]).mean()
    torch.testing.assert_close(sequence_cross_entropy(logits, TARGETS), expected)

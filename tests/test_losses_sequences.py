"""The cross-entropy of sequences: its closed form over real tokens alone."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import grad, vmap

from etude import losses
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


def ours_and_pytorchs(label_smoothing: float) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    def ours(logits: Tensor, targets: Tensor) -> Tensor:
        return sequence_cross_entropy(logits, targets, padding=0, label_smoothing=label_smoothing)

    def theirs(logits: Tensor, targets: Tensor) -> Tensor:
        more = {"ignore_index": 0, "label_smoothing": label_smoothing}
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), **more)

    return ours, theirs


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("num_at_once", [1, 25, 2**18])  # numbers: a row of 12 and more, two rows, all rows
def test_value_and_gradients_are_pytorchs(
    label_smoothing: float, num_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "_NUMBERS_AT_ONCE", num_at_once)
    logits, targets = made_up(3, 4, 12), TARGETS
    ours, theirs = ours_and_pytorchs(label_smoothing)
    assert ours(logits, targets).item() == pytest.approx(theirs(logits, targets).item(), rel=1e-12)
    torch.testing.assert_close(grad(ours)(logits, targets), grad(theirs)(logits, targets), rtol=1e-12, atol=1e-15)
    bits = logits.bfloat16()
    expected = grad(theirs)(bits.float(), targets)
    torch.testing.assert_close(grad(ours)(bits, targets).float(), expected, rtol=2**-7, atol=1e-7)


def test_gradients_of_both_orders_and_of_several_runs_at_once() -> None:
    ours, theirs = ours_and_pytorchs(0.1)
    logits, targets = made_up(2, 3, 4, 5), TARGETS.expand(2, 3, 4)
    one = logits[0].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda each: ours(each, TARGETS), one)
    assert torch.autograd.gradgradcheck(lambda each: ours(each, TARGETS), one)

    def second(loss: Callable[..., Tensor]) -> Tensor:
        return vmap(grad(lambda *given: grad(loss)(*given).pow(3).sum()))(logits, targets)

    torch.testing.assert_close(second(ours), second(theirs), rtol=1e-10, atol=1e-16)


def test_large_scores_stay_finite() -> None:
    logits = torch.tensor([[[1e4, -1e4, 0.0, 2e4, -2e4]]], requires_grad=True)
    loss = sequence_cross_entropy(logits, torch.tensor([[4]]), label_smoothing=0.1)
    (slopes,) = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(0.9 * 4e4 + 0.1 * 2e4, rel=1e-6)
    assert torch.isfinite(slopes).all()

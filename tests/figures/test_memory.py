"""Gradients of a language model's loss by lag, beside those of the vectors themselves."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude import Dataset
from etude.families.language.recipe import CHAR_LSTM, Language
from etude.families.language.recurrent import RecurrentModel
from etude.families.language.trained import TrainedLanguageModel
from etude.figures.memory import by_lag
from etude.recipes import change

KIND: Any = Dataset.of("abcd" * 40, name="letters").kind
V = len(KIND.vocabulary)
SYMBOLS = torch.randint(V, (5, 12), generator=torch.Generator().manual_seed(0))
TARGETS = torch.randint(V, (5,), generator=torch.Generator().manual_seed(1))


def trained(**changes: Any) -> TrainedLanguageModel:
    torch.manual_seed(0)
    recipe = change(CHAR_LSTM, bptt=4, **changes)
    assert isinstance(recipe, Language)
    return TrainedLanguageModel(recipe, {"lstm": RecurrentModel(V, nn.LSTM, 6, 1, 0.0).eval()}, KIND)


def expected(model: TrainedLanguageModel) -> Tensor:
    """By the vectors of the symbols, given to the layers as they are."""
    network: Any = model.network
    vectors = F.embedding(SYMBOLS, network.embedding.weight).detach().requires_grad_()
    outputs, _ = network.layers[0](vectors)
    F.cross_entropy(network.to_scores(outputs[:, -1]), TARGETS, reduction="sum").backward()
    assert vectors.grad is not None
    return vectors.grad.square().sum(2).mean(0).sqrt().flip(0)


@pytest.mark.parametrize(("detach", "reach"), [("chunk", 4), ("step", 1), ("never", 12)])
def test_gradients_end_where_training_cuts_them(detach: str, reach: int) -> None:
    model = trained(detach=detach)
    whole = expected(model)
    torch.testing.assert_close(torch.tensor(by_lag(model.network, model, SYMBOLS, TARGETS, cut=False)), whole)
    cut = torch.tensor(by_lag(model.network, model, SYMBOLS, TARGETS, cut=True))
    torch.testing.assert_close(cut[:reach], whole[:reach])
    assert not cut[reach:].any()


def test_nothing_is_looked_at_before_a_chunk_that_begins_with_zeros() -> None:
    model = trained(carry_state="off")
    gradients = torch.tensor(by_lag(model.network, model, SYMBOLS, TARGETS, cut=False))
    assert gradients[:4].all()
    assert not gradients[4:].any()

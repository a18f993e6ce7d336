"""How a text goes on: the likeliest symbols, draws as likely as they should be, the same text for the same seed."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn

from etude.data.text.vocabulary import SPECIAL_RUNNING, learn
from etude.families.language.recurrent import RecurrentModel
from etude.families.language.writing import continued, go_on, opening

V = 6


def network_of(layer: type[nn.RNN | nn.GRU | nn.LSTM] = nn.LSTM) -> RecurrentModel:
    torch.manual_seed(3)
    return RecurrentModel(V, layer, width=8, num_layers=1, dropout=0.0).eval()


def write(network: Any, prompt: list[int], num_symbols: int, **changes: Any) -> list[int]:
    settings: dict[str, Any] = {"temperature": 1.0, "seed": 0, "chunk": 4, "never": 0, **changes}
    generator = torch.Generator().manual_seed(settings.pop("seed"))
    return go_on(network, torch.tensor(prompt), num_symbols, generator=generator, **settings).tolist()


@torch.no_grad()
def test_at_temperature_0_it_takes_the_likeliest_after_all_before() -> None:
    network, text = network_of(), [1, 2, 3, 4, 5, 1, 2]
    written = write(network, text, 9, temperature=0)
    for symbol in written:
        scores = network(torch.tensor([text]))[0][0, -1]
        scores[0] = -torch.inf
        assert symbol == scores.argmax()
        text.append(symbol)


class Fixed(nn.Module):
    """The same scores at every symbol, and a state that says nothing."""

    def __init__(self, probabilities: list[float]) -> None:
        super().__init__()
        self.scores = torch.tensor(probabilities).log()

    def forward(self, symbols: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        return self.scores.expand(*symbols.shape, -1), torch.zeros(1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_symbols_are_drawn_as_likely_as_they_should_be(temperature: float) -> None:
    given = np.array([0.2, 0.1, 0.3, 0.4])
    written = write(Fixed(given.tolist()), [1], 4_000, temperature=temperature)
    expected = given[1:] ** (1 / temperature)  # symbol 0 is never written
    counts = np.bincount(written, minlength=4)
    assert counts[0] == 0
    assert chisquare(counts[1:], 4_000 * expected / expected.sum()).pvalue > 1e-3


def test_same_seed_same_text() -> None:
    network = network_of()
    assert write(network, [1], 50) == write(network, [1], 50)
    assert write(network, [1], 50) != write(network, [1], 50, seed=1)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    write(network, [1], 5)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_prompt_is_read_in_chunks_of_any_size() -> None:
    network, prompt = network_of(nn.GRU), [1, 2, 3, 4, 5, 1, 2, 3]
    assert write(network, prompt, 20, chunk=3) == write(network, prompt, 20, chunk=100)


class Window(nn.Module):
    """Without a state: what follows is one more than the number of symbols that it was given, up to 4."""

    def forward(self, symbols: Tensor, state: Any = None) -> tuple[Tensor, None]:
        seen = torch.arange(symbols.shape[1]).clamp(max=V - 2) + 1
        return nn.functional.one_hot(seen, V).float()[None], None


def test_a_network_without_a_state_reads_the_last_symbols_again() -> None:
    assert write(Window(), [1], 6, temperature=0) == [1, 2, 3, 4, 4, 4]
    assert write(Window(), [1] * 9, 2, temperature=0, chunk=2) == [2, 2]


def test_a_text_begins_with_its_prompt_or_a_new_line() -> None:
    lines, letters = (
        learn([text], tokenizer="characters", lower=False, special=SPECIAL_RUNNING) for text in ("ab\nc" * 9, "abbcde")
    )
    assert (opening(lines), opening(letters)) == ("\n", "b")
    settings: dict[str, Any] = {"temperature": 1.0, "generator": torch.Generator().manual_seed(0), "chunk": 5}
    text = continued(network_of(), letters, "abc", 10, **settings)
    assert text.startswith("abc")
    assert len(text) == 13
    assert continued(network_of(), letters, "", 10, **settings).startswith("b")

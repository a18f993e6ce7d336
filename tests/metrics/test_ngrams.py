"""Interpolated n-grams beside a count in dictionaries."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from etude.errors import UsageError
from etude.metrics import ngram_nats


def counted(train: list[int], test: list[int], num_symbols: int, order: int) -> list[float]:
    """Witten and Bell's interpolation as the formula says."""
    after: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for length in range(order):
        for place in range(length, len(train)):
            after[tuple(train[place - length : place])][train[place]] += 1
    found = []
    for place, symbol in enumerate(test):
        probability = 1 / num_symbols
        for length in range(min(order, place + 1)):
            seen = after.get(tuple(test[place - length : place]), Counter())
            if seen:
                total, followers = sum(seen.values()), len(seen)
                probability = (seen[symbol] + followers * probability) / (total + followers)
        found.append(-np.log(probability))
    return found


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_it_is_what_counting_gives(order: int) -> None:
    random = np.random.default_rng(order)
    train, test = (random.integers(0, 4, size).tolist() for size in (300, 120))
    given = ngram_nats(np.array(train), np.array(test), num_symbols=5, order=order)
    np.testing.assert_allclose(given, counted(train, test, 5, order), rtol=1e-12)


def test_probabilities_of_all_symbols_sum_to_one() -> None:
    random = np.random.default_rng(0)
    train, context = random.integers(0, 4, 200), random.integers(0, 4, 6)
    nats = [ngram_nats(train, np.append(context, symbol), num_symbols=5, order=4)[-1] for symbol in range(5)]
    assert np.exp(-np.array(nats)).sum() == pytest.approx(1)


def test_single_symbols_of_a_long_text_have_its_entropy() -> None:
    shares = np.array([0.5, 0.25, 0.125, 0.125])
    text = np.random.default_rng(0).choice(4, size=50_000, p=shares)
    nats = ngram_nats(text[:40_000], text[40_000:], num_symbols=4, order=1)
    assert nats.mean() == pytest.approx(-(shares * np.log(shares)).sum(), abs=0.02)


def test_a_text_of_one_symbol() -> None:
    assert ngram_nats(np.zeros(9, dtype=int), np.zeros(3, dtype=int), num_symbols=1, order=3).tolist() == [0, 0, 0]


def test_an_order_of_0_is_refused() -> None:
    with pytest.raises(UsageError) as error:
        ngram_nats(np.zeros(9, dtype=int), np.zeros(3, dtype=int), num_symbols=1, order=0)
    assert str(error.value) == "order is 0; allowed: 1 to 20."

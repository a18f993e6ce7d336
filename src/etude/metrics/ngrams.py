"""What a model that only counts reaches on a text: interpolated n-grams."""

import numpy as np

from etude.metrics.arguments import Array, require_count


def ngram_nats(train: Array, test: Array, *, num_symbols: int, order: int) -> np.ndarray:
    """−log p of each symbol of a text, nats (M,), by how often what comes before it was followed by what in another.

    `train` (N,) and `test` (M,) hold symbols from 0 to num_symbols − 1. The probability after the last order − 1
    symbols is mixed with the one after one symbol less, and so on down to 1 / num_symbols: the share of the shorter
    context is the number of different symbols that were seen after the longer one (Witten and Bell 1991, method C, as
    interpolated in Chen and Goodman 1999, section 2.5). Contexts begin with the text.
    """
    require_count("order", order, 1, 20, "1 to 20")
    train, test = np.asarray(train).astype(np.int64), np.asarray(test).astype(np.int64)
    symbols, is_test = np.concatenate([train, test]), np.arange(len(train) + len(test)) >= len(train)
    place = np.concatenate([np.arange(len(train)), np.arange(len(test))])
    contexts = np.zeros(len(symbols), dtype=np.int64)
    probability = np.full(len(test), 1 / num_symbols)
    for length in range(order):
        # Numbers for the contexts with their next symbols: those of one more symbol, a place later.
        _, grams = np.unique(contexts * num_symbols + symbols, return_inverse=True)
        counted = ~is_test & (place >= length)
        seen_gram = np.bincount(grams[counted], minlength=len(symbols))
        seen_context = np.bincount(contexts[counted], minlength=len(symbols))
        first = np.unique(grams[counted], return_index=True)[1]
        followers = np.bincount(contexts[counted][first], minlength=len(symbols))
        asked = np.flatnonzero(is_test & (place >= length) & (seen_context[contexts] > 0))
        context, gram, rows = contexts[asked], grams[asked], place[asked]
        probability[rows] = (seen_gram[gram] + followers[context] * probability[rows]) / (
            seen_context[context] + followers[context]
        )
        contexts = np.concatenate([[0], grams[:-1]])
    return -np.log(probability)

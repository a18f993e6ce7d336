"""Recipes for sentences: what goes to the reading of the data, and each wrong value's message."""

from typing import Any

import pytest

from etude.data.reading import Reading
from etude.errors import UsageError
from etude.recipes import change, get


def test_the_fields_of_the_text_reach_the_reading() -> None:
    given: dict[str, Any] = {
        "tokenizer": "characters", "lower": False, "vocabulary_size": 99, "min_count": 3, "max_tokens": 30, "fold": 4
    }  # fmt: skip
    assert change(get("sentiment-lstm"), **given).reading == Reading(**given)
    assert get("sentiment-lstm").reading == Reading()


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "network": (
        {"network": "lstn"},
        "unknown network 'lstn': did you mean 'lstm'? Choose from bag, bilstm, cnn, gru, lstm, rnn, self-attention; or "
        "a file's, as net.py:Net.",
    ),
    "dropout": ({"dropout": 1.0}, "out of range: --dropout 1.0 (allowed: in [0, 1))."),
    "word_dropout": ({"word_dropout": -0.1}, "out of range: --word-dropout -0.1 (allowed: in [0, 1))."),
    "fold": ({"fold": 10}, "out of range: --fold 10 (allowed: 0 to 9)."),
    "width": ({"width": 0}, "out of range: --width 0 (allowed: 1 to 4096)."),
    "heads": (
        {"network": "self-attention", "embedding_dim": 66},
        "out of range: --embedding-dim 66 (allowed: multiples of 4 for self-attention).",
    ),
    "own": (
        {"network": "net.py:Net", "width": 8, "dropout": 0.5},
        "out of range: --width 8 (allowed: none for a network of your own; as in net.py:Net(width=…)); --dropout 0.5 "
        "(allowed: none for a network of your own; as in net.py:Net(dropout=…)).",
    ),
    "own input": (
        {"network": "net.py:Net", "input": "one-hot"},
        "out of range: --input one-hot (allowed: embedding for a network of your own, which gets tokens).",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_value_is_said_on_one_line(name: str) -> None:
    changes, text = MISTAKES[name]
    with pytest.raises(UsageError) as error:
        change(get("sentiment-lstm"), **changes)
    assert str(error.value) == text

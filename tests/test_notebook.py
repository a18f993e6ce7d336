"""Numbers in tables."""

import pytest

from etude.notebook import rounded


@pytest.mark.parametrize(
    ("value", "spread", "shown"),
    [
        (32.4817, 1.2213, "32.5"),
        (32.4817, 4.7, "32"),
        (0.87153, 0.0098, "0.872"),
        (0.87153, 0.0031, "0.8715"),
        (12345.6, 170, "12,350"),
        (0.0004, 0.012, "0.000"),
        (-0.0001, 0.012, "0.000"),
        (0.123456, 0.0, "0.1235"),  # no spread: four digits
        (float("nan"), 0.1, "nan"),
        (1.5, float("inf"), "1.5"),
    ],
)
def test_digits_follow_the_spread(value: float, spread: float, shown: str) -> None:
    assert rounded(value, spread) == shown

"""Evidence, its intervals, and the rules that decide by them."""

import math

import numpy as np
import pytest
from scipy import stats

from etude.studies import Findings, Ruling, above, below, every, exact, measured, no, ruled, some


def test_a_measured_value_has_students_interval() -> None:
    values = [0.2, 0.5, 0.1, 0.4]
    found = measured("accuracy", values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert found.value == pytest.approx(0.3)
    assert found.interval
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert str(found) == f"0.3 ({low:.4g} to {high:.4g})"


def test_an_exact_value_is_its_own_interval_and_one_seed_has_none() -> None:
    assert exact("steps", 6).interval == exact("steps", 6.0).interval
    assert str(exact("steps", 6)) == "6"
    assert measured("loss", [1.0]).interval is None
    assert measured("loss", [1.0, math.nan]).interval is None


def test_a_limit_within_the_interval_is_not_decided() -> None:
    found = measured("difference", [0.9, 1.1, 1.0, 1.0])  # 1 ± 0.13
    assert above(found, 0.5) is True
    assert above(found, 1.5) is False
    assert above(found, 1.05) is None
    assert below(found, 1.5) is True
    assert below(found, 0.5) is False
    assert below(found, 1.05) is None
    assert above(measured("x", [5.0]), 0) is below(measured("x", [5.0]), 0) is None
    assert above(exact("x", 1), 1) is False
    assert below(exact("x", 1), 1) is False


@pytest.mark.parametrize(
    ("parts", "all_hold", "one_holds"),
    [
        ((True, True), True, True),
        ((True, False), False, True),
        ((True, None), None, True),
        ((False, None), False, None),
        ((False, False), False, False),
        ((None, None), None, None),
    ],
)
def test_three_valued_logic_is_that_of_kleene(
    parts: tuple[bool | None, ...], all_hold: bool | None, one_holds: bool | None
) -> None:
    assert every(*parts) is all_hold
    assert some(*parts) is one_holds
    assert no(every(*parts)) is some(*map(no, parts))  # De Morgan


def test_differences_and_ratios_are_taken_seed_by_seed() -> None:
    a, b = measured("a", [1.0, 2.0, 3.0]), measured("b", [0.5, 1.0, 1.5])
    assert (a - b).values == (0.5, 1.0, 1.5)
    assert (a / b).values == (2.0, 2.0, 2.0)
    assert (a - exact("c", 1)).values == (0.0, 1.0, 2.0)
    assert not (a - exact("c", 1)).exact
    assert (exact("c", 3) - exact("d", 1)).exact
    assert (a - b).what == "a minus b"
    with pytest.raises(ValueError, match="a has 3 seeds and c 2"):
        _ = a - measured("c", [1.0, 2.0])


def test_evidence_as_json() -> None:
    assert exact("steps", 6).to_dict() == {"what": "steps", "value": 6.0, "interval": [6.0, 6.0], "seeds": 0}
    assert measured("loss", [1.0]).to_dict() == {"what": "loss", "value": 1.0, "interval": None, "seeds": 1}
    assert measured("loss", [1.0, math.inf]).to_dict() == {"what": "loss", "value": None, "interval": None, "seeds": 2}


def test_a_ruling_says_what_follows() -> None:
    assert ruled(True, "so.").verdict == "true"
    assert ruled(False, "so.").verdict == "false"
    assert ruled(None, "so.").verdict == "undecided"
    assert Ruling("only if", "so.", "the batch is large").condition
    with pytest.raises(ValueError, match="only if"):
        Ruling("only if", "so.")
    with pytest.raises(ValueError, match="only if"):
        Ruling("true", "so.", "the batch is large")


def test_findings_with_other_values() -> None:
    found = Findings((measured("a", [1, 2]), exact("b", 3)))
    changed = found.with_values({"b": [4]})
    assert (changed["a"].values, changed["b"].values) == ((1.0, 2.0), (4.0,))
    assert changed["b"].exact
    assert [each.what for each in changed] == ["a", "b"]

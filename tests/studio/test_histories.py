"""Reading metrics on as they grow, and thinning them, beside what a plain loop finds."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from etude.errors import UsageError
from etude.studio.comparing import bands, curves
from etude.studio.histories import Histories, History, Points, thinned


def line(step: int, **values: Any) -> bytes:
    return json.dumps({"event": 0, "step": step, "epoch": 1, **values}).encode() + b"\n"


def read(history: History, column: str = "loss") -> list[tuple[float, float]]:
    history.update()
    return [*zip(*(each.tolist() for each in history.series(column)), strict=True)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


# Reading --------------------------------------------------------------------------------------------------------------


def test_no_file_is_no_points(file: Path) -> None:
    history = History(file)
    assert read(history) == []
    assert history.columns == []
    assert history.last("loss") is None


def test_what_is_appended_is_read_on(file: Path) -> None:
    history = History(file)
    content, expected = b"", []
    for step in range(1, 30):
        content += line(step, loss=1 / step)
        expected.append((step, 1 / step))
        file.write_bytes(content)
        assert read(history) == expected
    with file.open("ab") as more:
        more.write(line(30, accuracy=1))
    assert read(history) == expected
    assert read(history, "accuracy") == [(30, 1)]
    assert history.columns == ["loss", "accuracy"]
    assert history.last("loss") == 1 / 29


def test_only_new_bytes_are_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    rows = "etude.studio.histories._rows"
    monkeypatch.setattr(rows, lambda lines: seen.append(lines) or [json.loads(each) for each in lines.splitlines()])
    history = History(file)
    file.write_bytes(line(1, loss=1.0))
    history.update()
    history.update()  # nothing changed: not even opened
    with file.open("ab") as more:
        more.write(line(2, loss=2.0))
    history.update()
    assert seen == [line(1, loss=1.0), line(2, loss=2.0)]


def test_a_torn_line_is_read_once_it_is_whole(file: Path) -> None:
    history, second = History(file), line(2, loss=0.5)
    for cut in range(len(second)):
        file.write_bytes(line(1, loss=1.0) + second[:cut])
        assert read(history) == [(1, 1)]
    file.write_bytes(line(1, loss=1.0) + second)
    assert read(history) == [(1, 1), (2, 0.5)]


def test_a_file_that_begins_again_is_read_from_its_start(file: Path) -> None:
    history = History(file)
    file.write_bytes(b"".join(line(step, loss=1.0) for step in range(1, 10)))
    assert len(read(history)) == 9
    os.truncate(file, len(line(1, loss=1.0)))  # as a run does that goes on from an earlier checkpoint
    assert read(history) == [(1, 1)]
    file.unlink()
    file.write_bytes(b"".join(line(step, loss=2.0) for step in range(1, 20)))  # another file
    assert read(history) == [(step, 2) for step in range(1, 20)]


@pytest.mark.parametrize("more", [1, 5, 40])
def test_a_file_that_was_cut_and_grew_again_unseen_is_read_from_its_start(file: Path, more: int) -> None:
    history = History(file)
    file.write_bytes(b"".join(line(step, loss=1.0) for step in range(1, 20)))
    assert len(read(history)) == 19
    with file.open("r+b") as again:
        again.truncate(3 * len(line(1, loss=1.0)))
        again.seek(0, os.SEEK_END)
        again.write(b"".join(line(step, loss=2.0) for step in range(4, 20 + more)))
    assert read(history) == [(step, 1 if step < 4 else 2) for step in range(1, 20 + more)]


def test_the_same_lines_after_a_cut_are_not_read_twice(file: Path) -> None:
    history, content = History(file), b"".join(line(step, loss=1.0) for step in range(1, 20))
    file.write_bytes(content)
    assert len(read(history)) == 19
    with file.open("r+b") as again:  # a resumed run writes what it wrote before
        again.truncate(len(content) // 2)
        again.seek(0)
        again.write(content + line(20, loss=1.0))
    assert read(history) == [(step, 1) for step in range(1, 21)]


@pytest.mark.parametrize(
    "damaged",
    [
        b"no JSON\n", b"\n", b"[1, 2]\n", b"3\n", b"\xff\xfe\n", b'{"step": 2, "loss": \n', b"[" * 5000 + b"\n",
        b'{"step": "2", "loss": 3}\n', b'{"loss": 3}\n', b'{"step": true, "loss": 3}\n', b'{"step": 2.0, "loss": 3}\n',
        b'{"step": -1, "loss": 3}\n', b'{"step": 4294967296, "loss": 3}\n',
        b'{"step": 2, "loss": 1%s}\n' % (b"0" * 400),
        b'{"step": 2, "loss": "<script>"}\n', b'{"step": 2, "loss": [3]}\n', b'{"step": 2, "loss": true}\n',
    ],
)  # fmt: skip
def test_a_damaged_line_is_left_out(file: Path, damaged: bytes) -> None:
    file.write_bytes(line(1, loss=1.0) + damaged + line(3, loss=2.0))
    assert read(History(file)) == [(1, 1), (3, 2)]


def test_what_is_not_finite_stays_so(file: Path) -> None:
    values = [float("nan"), float("inf"), -float("inf"), 1.0]
    file.write_bytes(b"".join(line(step, loss=value) for step, value in enumerate(values)))
    history = History(file)
    assert np.array_equal([value for _, value in read(history)], values, equal_nan=True)


def test_a_link_is_not_followed(tmp_path: Path, file: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(line(1, loss=1.0))
    file.symlink_to(tmp_path / "elsewhere")
    assert read(History(file)) == []


def test_a_history_is_kept_per_run(tmp_path: Path) -> None:
    histories = Histories()
    (tmp_path / "metrics.jsonl").write_bytes(line(1, loss=1.0))
    assert histories.of(tmp_path) is histories.of(tmp_path)
    assert histories.of(tmp_path).last("loss") == 1


# Thinning -------------------------------------------------------------------------------------------------------------


def brute_force(points: Points, low: float, high: float, most: int) -> set[tuple[float, float]]:
    """What must be left, by plain loops: the smallest and largest of each bin, the first and the last point."""
    inside = [index for index, step in enumerate(points[0]) if low <= step <= high]
    begin = (inside[0] if inside else int(np.searchsorted(points[0], low))) - 1
    end = (inside[-1] if inside else begin) + 1
    pairs = [(float(points[0][index]), float(points[1][index])) for index in range(len(points[0]))]
    pairs = pairs[max(0, begin) : end + 1]
    if len(pairs) <= most:
        return set(pairs)
    width = 1
    while 2 * (pairs[-1][0] // width - pairs[0][0] // width + 1) + 2 > most:
        width *= 2
    bins: dict[float, list[tuple[float, float]]] = {}
    for step, value in pairs:
        bins.setdefault(step // width, []).append((step, value))
    ends = {value for each in bins.values() for value in (min(v for _, v in each), max(v for _, v in each))}
    return {pair for pair in pairs if pair[1] in ends} | {pairs[0], pairs[-1]}


def series(steps: list[int], seed: int) -> Points:
    return np.array(steps, dtype=np.float64), np.random.default_rng(seed).standard_normal(len(steps))


def _steps(count: int, last: int, seed: int) -> list[int]:
    return sorted(np.random.default_rng(seed).choice(last, min(count, last), replace=False).tolist())


STEPS = st.builds(_steps, st.integers(1, 400), st.integers(1, 5000), st.integers(0, 99))


@given(
    steps=STEPS,
    seed=st.integers(0, 9),
    most=st.integers(10, 60),
    limits=st.tuples(st.integers(-10, 5010), st.integers(-10, 5010)).map(sorted),
)
def test_what_is_left_is_what_a_plain_loop_leaves(steps: list[int], seed: int, most: int, limits: list[int]) -> None:
    low, high = limits
    points = series(steps, seed)
    found = thinned(points, low=low, high=high, most=most)
    assert len(found[0]) <= most
    assert np.all(np.diff(found[0]) > 0)
    assert {*zip(*(each.tolist() for each in found), strict=True)} == brute_force(points, low, high, most)


@given(steps=STEPS, seed=st.integers(0, 9), most=st.integers(10, 60), data=st.data())
def test_a_spike_of_one_step_survives_at_every_zoom(
    steps: list[int], seed: int, most: int, data: st.DataObject
) -> None:
    points = series(steps, seed)
    at = data.draw(st.integers(0, len(steps) - 1))
    spike = data.draw(st.sampled_from([1e6, -1e6]))
    points[1][at] = spike
    low = data.draw(st.integers(0, steps[at]))
    high = data.draw(st.integers(steps[at], 5000))
    for in_line in (False, True):
        found = thinned(points, low=low, high=high, most=most, in_line=in_line)
        assert spike in found[1]
        assert len(found[0]) <= most
    exact = thinned(points, low=low, high=high, most=most)
    assert exact[0][exact[1] == spike] == steps[at]


@given(steps=STEPS, seed=st.integers(0, 9), most=st.integers(10, 60))
def test_the_first_and_the_last_point_stay(steps: list[int], seed: int, most: int) -> None:
    points = series(steps, seed)
    for in_line in (False, True):
        found = thinned(points, most=most, in_line=in_line)
        assert (found[0][0], found[1][0]) == (points[0][0], points[1][0])
        assert (found[0][-1], found[1][-1]) == (points[0][-1], points[1][-1])


@given(steps=STEPS, seed=st.integers(0, 9), most=st.integers(10, 60))
def test_points_stay_where_they_are_while_others_arrive(steps: list[int], seed: int, most: int) -> None:
    points = series(steps, seed)
    before: set[float] = set()
    for count in range(1, len(steps) + 1):
        found = thinned((points[0][:count], points[1][:count]), most=most)
        now = set(found[0].tolist())
        # A point comes only from what is new: those at the end, in the bin that is being filled.
        old = {step for step in now if count > 1 and step < steps[count - 2]}
        assert old <= before
        before = now


@pytest.mark.parametrize("in_line", [False, True])
def test_a_million_points_become_a_thousand(in_line: bool) -> None:
    points = np.arange(1e6), np.sin(np.arange(1e6) / 1e4)
    points[1][123_456] = 5.0
    steps, values = thinned(points, in_line=in_line)
    assert 500 < len(steps) <= 1000
    assert values.max() == 5
    assert values.min() == points[1].min()
    assert np.all(np.diff(steps) > 0)


def test_no_points_stay_no_points() -> None:
    nothing = np.array([]), np.array([])
    assert [len(each) for each in thinned(nothing)] == [0, 0]
    assert [len(each) for each in thinned((np.arange(5.0), np.arange(5.0)), low=np.inf, high=-np.inf)] == [0, 0]


# Several runs ---------------------------------------------------------------------------------------------------------


def history_of(folder: Path, values: list[float], *, every: int = 1) -> History:
    folder.mkdir()
    rows = [line(every * (step + 1), loss=value) for step, value in enumerate(values)]
    (folder / "metrics.jsonl").write_bytes(b"".join(rows))
    return Histories().of(folder)


def test_a_band_is_the_mean_and_the_interval_of_student(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((5, 30))
    found = bands([[history_of(tmp_path / str(row), values.tolist()) for row, values in enumerate(rows)]], "loss")
    assert found.about == {"bands": [{"group": 0, "n": 5}]}
    steps, mean, _, low, _, high = found.arrays.values()
    assert steps.tolist() == [*range(1, 31)]
    np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-5, atol=1e-6)
    expected = stats.t.interval(0.95, 4, loc=rows.mean(axis=0), scale=stats.sem(rows, axis=0))
    np.testing.assert_allclose([low, high], expected, rtol=1e-5, atol=1e-6)


def test_a_band_ends_where_its_shortest_run_does_and_one_run_has_none(tmp_path: Path) -> None:
    long, short = history_of(tmp_path / "long", [1.0] * 20), history_of(tmp_path / "short", [3.0] * 10)
    found = bands([[long], [long, short], [short, History(tmp_path / "nothing")]], "loss")
    assert found.about == {"bands": [{"group": 1, "n": 2}]}
    assert found.arrays["steps0"].tolist() == [*range(1, 11)]
    assert set(found.arrays["values1"].tolist()) == {2.0}


def test_steps_beyond_what_a_curve_may_have_are_refused(tmp_path: Path) -> None:
    history = history_of(tmp_path / "a", [1.0])
    with pytest.raises(UsageError, match=r"^1001 runs with 2 metrics each \(allowed: 2000 series\)\.$"):
        curves([("a", history)] * 1001, ["loss", "x"], low=0, high=1)

"""The folder of a sweep: named, found, extended, told from another, damaged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etude.cli import main
from etude.errors import RunError
from etude.files import checked_json, parse_checked_json
from etude.sweeps import Sweep, load

MakeSweep = Callable[..., Sweep]


def test_without_a_name_the_plan_finds_its_folder_again(make_sweep: MakeSweep, tmp_path: Path) -> None:
    first = make_sweep({"epochs": [1, 2]}, {"epochs-1": [], "epochs-2": []}, seeds=2)
    assert first.path == tmp_path / "runs" / "lenet-digits-sweep-1"
    assert make_sweep({"epochs": [1, 3]}, {"epochs-1": [], "epochs-3": []}, seeds=2).name == "lenet-digits-sweep-2"
    assert make_sweep({}, {"lenet": []}, seeds=2).name == "lenet-digits-seeds-1"
    more = make_sweep({"epochs": [1, 2]}, {"epochs-1": [], "epochs-2": []}, seeds=4)
    assert (more.path, more.seeds) == (first.path, [0, 1, 2, 3])
    # Seed by seed, so that an early stop leaves whole rows of pairs.
    assert [member.path.name for member in more.members()][:3] == [
        "epochs-1-seed-0",
        "epochs-2-seed-0",
        "epochs-1-seed-1",
    ]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"batch_size": 20}, "another batch_size (10; asked for: 20)"),
        ({"label_smoothing": 0.1}, "another label_smoothing (0.0; asked for: 0.1)"),
        ({"seed": 5}, "other seeds (0 to 1; asked for: 5 to 6)"),
        ({"seeds": 1}, "other seeds (0 to 1; asked for: 0)"),
        ({"grid": {"epochs": [1]}}, "another grid (none; asked for: epochs=1)"),
    ],
)
def test_another_plan_of_the_same_name_is_refused(
    make_sweep: MakeSweep, tmp_path: Path, changes: dict[str, Any], difference: str
) -> None:
    make_sweep({}, {"lenet": []}, seeds=2, name="mine")
    with pytest.raises(RunError) as caught:
        make_sweep(**{"grid": {}, "runs": {"lenet": []}, "seeds": 2, "name": "mine", **changes})
    assert str(caught.value) == (
        f"sweep {tmp_path / 'runs' / 'mine'} has {difference}: choose another --name, "
        "or continue the sweep as it is with `etude resume mine`."
    )


def test_a_sweep_from_before_a_field_existed_has_its_default(make_sweep: MakeSweep) -> None:
    plan: dict[str, Any] = {"recipe": "vae", "epochs": 1, "seeds": 2, "name": "mine"}
    sweep = make_sweep({}, {"vae": []}, **plan)
    content, _ = parse_checked_json((sweep.path / "sweep.json").read_bytes())
    assert content["recipe"].pop("binarize") == "none"
    (sweep.path / "sweep.json").write_text(json.dumps({**content, "format": 1}))
    assert make_sweep({}, {"vae": []}, **plan).path == sweep.path
    with pytest.raises(RunError, match=r"another binarize \(none; asked for: dynamic\)"):
        make_sweep({}, {"vae": []}, **plan, binarize="dynamic")


def test_a_run_of_that_name_is_no_sweep(make_sweep: MakeSweep, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    (run / "recipe.json").write_text("{}")
    with pytest.raises(RunError) as caught:
        make_sweep({}, {"lenet": []}, seeds=2, name="mine")
    assert str(caught.value) == f"{run} already exists and is not a sweep: choose another --name."


def test_sweeps_are_found_by_name_and_path_and_near_misses_are_suggested(make_sweep: MakeSweep, tmp_path: Path) -> None:
    sweep = make_sweep({}, {"lenet": []}, seeds=2, name="mine")
    assert load(sweep.path).path == load("mine", runs_dir=tmp_path / "runs").path == sweep.path
    with pytest.raises(RunError) as caught:
        load("mime", runs_dir=tmp_path / "runs")
    assert str(caught.value) == (
        f"no sweep 'mime' here or in {tmp_path / 'runs'}: did you mean 'mine'? `etude runs` lists 1."
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "{",
            "sweep.json cannot be read (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))",
        ),
        ('{"format": 1, "recipe": {}, "grid": {}}', "sweep.json has no seeds"),
    ],
)
def test_a_damaged_sweep_says_so_and_hides_no_other(
    make_sweep: MakeSweep, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, problem: str
) -> None:
    sweep = make_sweep({}, {"lenet": []}, seeds=2, name="mine")
    make_sweep({}, {"lenet": [0.5, None]}, name="other", epochs=1)
    (sweep.path / "sweep.json").write_text(content)
    with pytest.raises(RunError) as caught:
        load(sweep.path)
    message = f"damaged sweep {sweep.path}: {problem}; start it again."
    assert str(caught.value) == message
    assert main(["runs", "--runs-dir", str(tmp_path / "runs")]) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == [
        f"sweep mine: {message}",
        f"sweep other: lenet on digits, 1 of 2 runs finished, 1 failed; `etude show {tmp_path / 'runs' / 'other'}`",
    ]


def test_a_sweep_of_a_newer_version_is_left_alone(make_sweep: MakeSweep) -> None:
    sweep = make_sweep({}, {"lenet": []}, seeds=2, name="mine")
    content, _ = parse_checked_json((sweep.path / "sweep.json").read_bytes())
    (sweep.path / "sweep.json").write_text(checked_json({**content, "format": 3}))
    with pytest.raises(RunError) as caught:
        load(sweep.path)
    assert str(caught.value) == f"sweep {sweep.path} is of format 3, newer than 2: update étude to open it."


def test_a_changed_plan_is_not_gone_on_with(make_sweep: MakeSweep) -> None:
    sweep = make_sweep({}, {"lenet": []}, seeds=2, name="mine")
    text = (sweep.path / "sweep.json").read_text()
    (sweep.path / "sweep.json").write_text(text.replace('"learning_rate": 0.001', '"learning_rate": 0.003'))
    with pytest.raises(RunError) as caught:
        load(sweep.path)
    assert str(caught.value) == (
        f"damaged sweep {sweep.path}: sweep.json cannot be read (its content has changed since it was written); "
        "start it again."
    )

"""One odd folder among the runs stops no command from showing the others; it is listed as damaged, with the reason.

A small grammar makes the odd ones: a whole run or sweep with one value replaced, one key gone or added, one file
that is none, or bytes of no format, under names with markup and control characters.
"""

import copy
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etude import recipes
from etude.cli import main
from etude.compute import Compute
from etude.errors import EtudeError, RunError
from etude.files import checked_json, parse_checked_json
from etude.recipes import RECIPES
from etude.runs import Run, find, list_paths
from etude.sweeps import Sweep
from etude.sweeps.folder import prepare
from made_up import make_run

NUM_ODD = int(os.environ.get("ETUDE_ODD_FOLDERS", "100"))

VALUES: list[Any] = [
    None, True, -1, 0, 1.5, 10**30, -(10**18), "", "x", "[/red]", "[bold", "\n\x1b[31m", "\ud800", "x" * 3000, [], [[]],
    [None], {}, {"a": 1}, "Infinity", "2020-01-01", "0001-01-01T00:00:00", "folder:/nowhere", "cuda", "vae", "gan",
]  # fmt: skip
TEXTS = ["Infinity", "-Infinity", "NaN", "1e400", "9" * 5000, "[" * 100_000, '{"a":' * 3000 + "1" + "}" * 3000]
"""What stands in the file in place of a value, JSON or not."""
NAMES = [
    "[red]", "[bold]x", "$frac{", "$a^b^c$", "a\nb", "tab\there", "bell\x07", "\x1b[31mred", "ünïcode", "%s{}", "-dash",
    "x" * 200,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there are values in a value."""
    yield path
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(each, (*path, key))


def changed(value: Any, draw: random.Random) -> str:
    """JSON, or nearly, of the value with one thing in it replaced, gone or added."""
    value = copy.deepcopy(value)
    path = draw.choice(list(places(value))[1:])
    inside = value
    for key in path[:-1]:
        inside = inside[key]
    if draw.random() < 0.1 and isinstance(inside, dict):
        del inside[path[-1]]
        return json.dumps(value)
    if draw.random() < 0.1 and isinstance(inside, dict):
        inside["more"] = draw.choice(VALUES)
        return json.dumps(value)
    if draw.random() < 0.3:
        inside[path[-1]] = "PLACE"
        return json.dumps(value).replace('"PLACE"', draw.choice(TEXTS))
    inside[path[-1]] = draw.choice(VALUES)
    return json.dumps(value)


def harm(folder: Path, file: str, draw: random.Random) -> None:
    """Make one file of a run or sweep an odd one; where it has a checksum, mostly with a right one."""
    path = folder / file
    kind = draw.random()
    if kind < 0.06:
        path.unlink()
        draw.choice(
            [path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to(path), lambda: path.symlink_to("no")]
        )()
        return
    if kind < 0.12:
        path.write_bytes(draw.choice([b"", b"\xff\xfe", b"{", b"null", b"[]", b"3", b'"x"', bytes(range(256))]))
        return
    if file == "metrics.jsonl":
        path.write_text(changed(json.loads(path.read_text()), draw) + "\n")
        (folder / "state.json").unlink()  # which knows its checksum
        return
    content, _ = parse_checked_json(path.read_bytes())
    content = {**content, "format": 1} if "format" in content else content
    text = changed(content, draw)
    try:
        path.write_text(checked_json(json.loads(text)) if draw.random() < 0.5 else text)
    except (ValueError, AttributeError, RecursionError):
        path.write_text(text, errors="surrogatepass")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, a whole sweep, and many odd ones."""
    folder, draw = tmp_path_factory.mktemp("odd"), random.Random(0)
    run = make_run(folder, "whole")
    sweep = make_sweep(folder, "whole-sweep")
    for number in range(NUM_ODD):
        name = f"{number}{draw.choice(NAMES)}"
        if draw.random() < 0.3:
            harm(Path(shutil.copytree(sweep.path, folder / name)), "sweep.json", draw)
        else:
            copied = Path(shutil.copytree(run.path, folder / name))
            harm(copied, draw.choice(["recipe.json", "recipe.json", "state.json", "metrics.jsonl"]), draw)
    shutil.copytree(run.path, os.fsdecode(os.fsencode(folder) + b"/bytes-\xff"))
    return folder


def make_sweep(folder: Path, name: str) -> Sweep:
    """A sweep of two cells and two seeds, finished."""
    recipe = recipes.change(RECIPES["lenet"], data="digits", batch_size=10)
    compute = Compute(device="cpu", threads=1)
    sweep = prepare(recipe, {"epochs": [1, 2]}, seeds=2, name=name, runs_dir=folder, data_dir=None, compute=compute)
    for member in sweep.members():
        make_run(sweep.path, member.path.name)
    return sweep


def test_odd_folders_are_listed_and_hide_no_other(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--runs-dir", str(odd), "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    listed = json.loads(captured.out)
    runs = {row["run"]: row for row in listed["runs"]}
    sweeps = {row["sweep"]: row for row in listed["sweeps"]}
    assert runs["whole"]["state"] == "finished"
    assert sweeps["whole-sweep"]["finished"] == 4
    assert len(runs.keys() | sweeps.keys()) == len(list(odd.iterdir()))
    damaged = [row["error"] for row in runs.values() if row["state"] == "damaged"]
    damaged += [row["error"] for row in sweeps.values() if "error" in row]
    assert len(damaged) > NUM_ODD / 2
    assert all(error.startswith(("damaged ", "cannot read ", "run ", "sweep ")) for error in damaged)
    assert all("\n" not in error.replace("a\nb", "") for error in damaged)
    assert main(["runs", "--runs-dir", str(odd)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "a\\nb" in captured.out
    assert "[red]" in captured.out


def test_each_odd_folder_is_shown_or_refused_in_a_line(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in odd.iterdir():
        if path.name.startswith("whole"):
            continue
        code = main(["show", str(path), "--json"])
        error = capsys.readouterr().err
        assert (code, bool(error)) in ((0, False), (2, True)), path
        assert error.startswith("etude: ") or not error


def test_each_odd_folder_is_reported_or_refused_in_a_line(
    odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("etude.reports.pictures.render", lambda figure, format: b"drawn")  # the time of most
    for path in odd.iterdir():
        code = main(["report", str(path), "--out", str(tmp_path / "page.html")])
        captured = capsys.readouterr()
        assert (code, bool(captured.err), bool(captured.out)) in ((0, False, True), (2, True, False)), path
        assert captured.err.count("\n") == (1 if code else 0)


@pytest.mark.parametrize("file", ["recipe.json", "sweep.json"])
@pytest.mark.parametrize(
    "spoil", [lambda path: path.symlink_to(path), lambda path: path.symlink_to("nowhere"), Path.mkdir]
)
def test_what_is_listed_as_damaged_is_shown_with_the_same_reason(
    tmp_path: Path, file: str, spoil: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    path = (make_run(tmp_path, "x") if file == "recipe.json" else make_sweep(tmp_path, "x")).path
    (path / file).unlink()
    spoil(path / file)
    assert main(["runs", "--runs-dir", str(tmp_path), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    (row,) = [*listed["runs"], *listed["sweeps"]]
    for words in ([str(path)], ["x", "--runs-dir", str(tmp_path)]):
        assert main(["show", *words]) == 2
        assert capsys.readouterr().err == f"etude: {row['error']}\n"


def test_odd_runs_of_a_sweep_count_as_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(1)
    for number in range(5):
        sweep = make_sweep(tmp_path, f"sweep-{number}")
        harm(sweep.path / "epochs-1-seed-0", draw.choice(["recipe.json", "state.json", "metrics.jsonl"]), draw)
        assert main(["show", str(sweep.path), "--json"]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        values = {cell["cell"]: cell["values"] for cell in json.loads(captured.out)["cells"]}
        assert values["epochs-2"] == {"0": 0.5, "1": 0.5}


def test_a_folder_one_may_not_read_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path, "whole")
    closed = make_run(tmp_path, "closed").path
    # Root may read everything, and tests may run as root.
    for name in ("open", "stat", "lstat"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name), closed))
    for name in ("open", "read_bytes"):
        monkeypatch.setattr(Path, name, refusing(getattr(Path, name), closed))
    assert main(["runs", "--runs-dir", str(tmp_path), "--json"]) == 0
    rows = {row["run"]: row for row in json.loads(capsys.readouterr().out)["runs"]}
    assert rows["whole"]["state"] == "finished"
    assert rows["closed"] == {
        "run": "closed",
        "state": "damaged",
        "error": f"cannot read {closed}/recipe.json: permission denied.",
    }
    with pytest.raises(RunError) as caught:
        find("closed", runs_dir=tmp_path)
    assert str(caught.value) == f"cannot read {closed}: permission denied."
    assert find("whole", runs_dir=tmp_path) == tmp_path / "whole"
    with pytest.raises(RunError, match="did you mean 'closed'"):
        find("clsed", runs_dir=tmp_path)


def refusing(call: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """The call, which refuses whatever lies in the folder, as the system does."""

    def refuse(path: Any, *args: Any, **options: Any) -> Any:
        if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(f"{folder}/"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return call(path, *args, **options)

    return refuse


def test_what_is_no_run_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / ".hidden").mkdir()
    assert list_paths(tmp_path) == list_paths(tmp_path / "nowhere") == list_paths(tmp_path / "file") == []


def test_opening_an_odd_run_raises_nothing_else(odd: Path) -> None:
    opened = 0
    for path in list_paths(odd):
        try:
            run = Run(path)
            run.metrics().last()
            repr(run)
            opened += 1
        except EtudeError:
            pass
    assert opened

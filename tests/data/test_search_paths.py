import os
from pathlib import Path

import pytest

from etude.data.search_paths import cache_folder, matches, search_folders
from etude.errors import UsageError


def test_the_order_of_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_data_here: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    monkeypatch.setenv("ETUDE_DATA", f"/nowhere/a{os.pathsep}/nowhere/b")
    expected = [one, two, Path("/nowhere/a"), Path("/nowhere/b"), no_data_here, Path("/nowhere/datasets")]
    assert search_folders(Path(f"{one}{os.pathsep}{two}")) == expected
    assert search_folders(None) == expected[2:]
    assert cache_folder() == no_data_here


def test_home_is_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ETUDE_DATA", "~/data")
    assert search_folders(None)[0] == tmp_path / "data"


def test_a_data_dir_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        search_folders(tmp_path / "none")
    assert str(error.value) == f"--data-dir {tmp_path / 'none'}: no such folder; name one that exists."


def test_a_match_is_a_folder_with_all_the_files(tmp_path: Path) -> None:
    for file in ("a/x", "a/y.gz", "b/sub/x.gz", "b/sub/x", "b/sub/y", "c/x"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "c/y").mkdir()
    roots = [tmp_path / "none", tmp_path / "c", tmp_path / "b", tmp_path / "a"]
    found = list(matches(roots, ["sub", ""], [("x", "x.gz"), ("y", "y.gz")]))
    assert found == [[tmp_path / "b/sub/x", tmp_path / "b/sub/y"], [tmp_path / "a/x", tmp_path / "a/y.gz"]]

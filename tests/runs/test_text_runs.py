"""A run on texts keeps its vocabulary in readable files, and says in one line what is wrong with them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from etude.data import Dataset, Reading, Tokens, load
from etude.errors import RunError, UsageError
from etude.recipes import RECIPES
from etude.runs import Run, create_run
from etude.runs.splits import make_rows, make_splits
from made_up import configuration


def run_on(dataset: Dataset, folder: Path) -> Run:
    """A run that was never trained."""
    described = configuration()
    described["dataset"] |= {"name": dataset.name, "kind": dataset.kind.as_dict(), "digest": dataset.digest()}
    files = {**dataset.kind.files(), **dataset.records}
    return create_run(RECIPES["lenet"], name="a", runs_dir=folder, configuration=described, files=files)


@pytest.mark.parametrize(
    ("name", "reading", "files"),
    [
        ("opinions", Reading(), {"vocabulary.txt"}),
        ("clauses", Reading(), {"vocabulary.source.txt", "vocabulary.target.txt"}),
        ("clauses", Reading(tokenizer="subwords", vocabulary_size=300), {"vocabulary.txt", "merges.txt"}),
        ("cue", Reading(), {"vocabulary.txt"}),
        ("moons", Reading(), set()),
    ],
)
def test_a_run_knows_its_kind_again(tmp_path: Path, name: str, reading: Reading, files: set[str]) -> None:
    dataset = load(name, reading=reading)
    run = run_on(dataset, tmp_path)
    assert run.kind == dataset.kind
    assert run.class_names == dataset.class_names
    assert {path.name for path in run.path.iterdir()} == {"recipe.json", *files}


def test_what_was_divided_is_kept_with_the_run(tmp_path: Path) -> None:
    for part in ("neg", "pos"):
        (tmp_path / f"rt-polarity.{part}").write_text("".join(f"{part} {row}\n" for row in range(30)))
    run = run_on(load("rt-polarity", data_dir=tmp_path, fold=4), tmp_path / "runs")
    assert "fold 4 is the test split\nneg " in (run.path / "folds.txt").read_text()


def test_damaged_vocabularies_are_told(tmp_path: Path) -> None:
    path = run_on(load("opinions"), tmp_path).path
    file = path / "vocabulary.txt"

    def message() -> str:
        with pytest.raises(RunError) as error:
            Run(path)
        return str(error.value).replace(str(path), "RUN")

    changed = (
        "damaged run RUN: vocabulary.txt has changed since it was written; put the file back, or train the run again."
    )
    file.write_text(file.read_text() + "word\n")
    assert message() == changed
    file.write_bytes(b"\xff")
    assert message() == changed
    file.unlink()
    assert message() == "damaged run RUN: vocabulary.txt is missing; put the file back, or train the run again."
    file.mkdir()
    assert message() == (
        "damaged run RUN: vocabulary.txt cannot be read (is a directory); put the file back, or train the run again."
    )


def test_sentences_go_in_as_texts_or_ids(tmp_path: Path) -> None:
    dataset = load("opinions")
    run = run_on(dataset, tmp_path)
    assert isinstance(run.kind, Tokens)
    text = "the film is not dull ."
    ids = run.kind.encoded([text])
    assert torch.equal(run._examples([text]), ids)
    assert torch.equal(run._examples(text), ids)
    assert torch.equal(run._examples(ids[:, :7].numpy()), ids[:, :7])


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (["good", " "], "sentence 1 is empty; run a takes sentences with words."),
        ([], "run a takes sentences: a list of texts, or ids (N, L) below 67."),
        (3, "run a takes sentences: a list of texts, or ids (N, L) below 67."),
        (["a", 3], "run a takes sentences: a list of texts, or ids (N, L) below 67."),
        (torch.zeros(2, 3), "run a takes sentences: a list of texts, or ids (N, L) below 67."),
        (torch.zeros(3, dtype=torch.int64), "run a takes sentences: a list of texts, or ids (N, L) below 67."),
        (torch.full((1, 3), 67), "run a takes sentences: a list of texts, or ids (N, L) below 67."),
        (torch.full((1, 3), -1), "run a takes sentences: a list of texts, or ids (N, L) below 67."),
    ],
)
def test_other_examples_are_refused(tmp_path: Path, examples: Any, message: str) -> None:
    run = run_on(load("opinions"), tmp_path)
    with pytest.raises(UsageError) as error:
        run._examples(examples)
    assert str(error.value) == message


def test_a_run_on_texts_has_no_images(tmp_path: Path) -> None:
    run = run_on(load("cue"), tmp_path)
    with pytest.raises(UsageError) as error:
        _ = run.image_shape
    assert str(error.value) == "run a was trained on running text, not on images."


def test_validation_rows_of_running_text_follow_one_another() -> None:
    recipe = RECIPES["lenet"]
    rows = make_rows(type(recipe)(**{**vars(recipe), "validation_images": 40, "train_images": 100}), load("cue"))
    assert rows.train.tolist() == list(range(100))
    assert rows.validation.tolist() == list(range(40_000, 40_040))
    drawn = make_rows(type(recipe)(**{**vars(recipe), "validation_images": 40}), load("opinions"))
    assert drawn.validation.diff().max() > 1


def test_the_texts_of_a_run_s_splits_lie_beside_their_tokens() -> None:
    splits = make_splits(RECIPES["lenet"], load("opinions"))
    dataset = load("opinions")
    assert isinstance(dataset.kind, Tokens)
    for split in splits:
        assert torch.equal(dataset.kind.encoded(split.texts["text"]), split["tokens"])

"""A grid's cells, and what a person may get wrong in one."""

import pytest

from etude import recipes
from etude.errors import UsageError
from etude.sweeps import make_cells, parse_grid

LENET = recipes.get("lenet")


def test_cells_are_all_combinations_the_last_field_fastest() -> None:
    cells = make_cells(LENET, parse_grid(["batch-size=4,16", "optimizer.learning_rate=1e-3,0.01"]))
    assert [cell.name for cell in cells] == [
        "batch_size-4-optimizer.learning_rate-0.001",
        "batch_size-4-optimizer.learning_rate-0.01",
        "batch_size-16-optimizer.learning_rate-0.001",
        "batch_size-16-optimizer.learning_rate-0.01",
    ]
    assert cells[3].label == "batch_size=16 optimizer.learning_rate=0.01"
    assert (cells[3].recipe.batch_size, cells[3].recipe.optimizer.learning_rate) == (16, 0.01)
    # What the grid does not name stays as it was.
    assert recipes.change(cells[3].recipe, batch_size=4, optimizer=LENET.optimizer) == LENET


def test_no_grid_is_one_cell_of_the_recipe_itself() -> None:
    (cell,) = make_cells(LENET, {})
    assert (cell.name, cell.label, cell.recipe) == ("lenet", "lenet", LENET)


def test_words_become_numbers_where_they_are_numbers() -> None:
    assert parse_grid(["batch_size=4", "data=digits,mnist", "label_smoothing=0.1", "test_flips=true,False"]) == {
        "batch_size": [4],
        "data": ["digits", "mnist"],
        "label_smoothing": [0.1],
        "test_flips": [True, False],
    }


FIELDS = (
    "alternate_flips, batch_size, data, epochs, fit, image_size, label_smoothing, network, optimizer.average, "
    "optimizer.beta1, optimizer.beta2, optimizer.clip_norm, optimizer.learning_rate, optimizer.momentum, "
    "optimizer.name, optimizer.nesterov, optimizer.schedule, optimizer.weight_decay, report_every, shift_pixels, "
    "skip_broken, test_flips, train_images, validation_images, width"
)
MISTAKES = {
    "batch_size": "--grid batch_size (allowed: FIELD=VALUE,VALUE,… as in --grid batch_size=4,16).",
    "batch_size=4,": "--grid batch_size=4, (allowed: FIELD=VALUE,VALUE,… as in --grid batch_size=4,16).",
    "batch_size=4 batch-size=8": "--grid batch_size is given twice: list all its values once, "
    "--grid batch_size=VALUE,VALUE.",
    "batch_size=4,4": "--grid batch_size has 4 twice (allowed: one value or more, each once).",
    "epoch=4": f"unknown field in --grid 'epoch': did you mean 'epochs'? Choose from {FIELDS}.",
    "seed=1,2": f"unknown field in --grid 'seed': choose from {FIELDS}; `--seeds` varies the seed.",
    "epochs=5.5": "--grid: epochs is 5.5; allowed: a whole number.",
    "test_flips=1": "--grid: test_flips is 1; allowed: true or false.",
    "epochs=0,1": "out of range: --epochs 0 (allowed: at least 1).",
    "data=folder:a/b,folder:a-b": "--grid: two cells would both be called data-folder-a-b; rename one of the folders.",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_named(words: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_cells(LENET, parse_grid(words.split()))
    assert str(caught.value) == MISTAKES[words]


@pytest.mark.parametrize("values", [5, "5,20"])
def test_values_from_python_are_a_list(values: object) -> None:
    with pytest.raises(UsageError) as caught:
        make_cells(LENET, {"epochs": values})  # type: ignore[dict-item]
    assert str(caught.value) == f"--grid epochs has {values!r} (allowed: a list of values)."

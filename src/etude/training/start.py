"""Starting a run from a recipe, and resuming one."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from etude import recipes
from etude.compute import Compile, Compute, Device, Execution, Precision
from etude.data import Dataset
from etude.data import load as load_dataset
from etude.data.names import GIVEN_PREFIX, absolute
from etude.errors import DataError, RunError
from etude.families import own_networks
from etude.families.book import family_of
from etude.files import make_folder
from etude.recipes import Recipe
from etude.runs import Run, create_run, default_runs_dir, load
from etude.runs.code import admit
from etude.runs.lock import training_lock
from etude.runs.splits import Rows, make_rows
from etude.speed.execution import choose_execution, describe_machine
from etude.training.display import Display
from etude.training.learners import build_networks, examined, require_a_step, require_classes, require_kind
from etude.training.loop import fit
from etude.training.own_code import as_traced, own_code


def train(
    recipe: str | Recipe,
    *,
    name: str | None = None,
    runs_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    device: Device = "auto",
    threads: int | None = None,
    precision: Precision = "auto",
    compile: Compile = "auto",
    display: Display | None = None,
    tensorboard: str | Path | None = None,
    **changes: Any,
) -> Run:
    """Train a recipe, given by name or as an object, and return its run.

    `changes` are fields of the recipe: `etude.train("vae", data="digits", epochs=3)`. `data` may be a `Dataset`,
    `data=etude.Dataset.of(x, y)`. `network` may be a class of your own, `network=Net`.

    The run is called `name` (or RECIPE-DATA-NUMBER) and lies in `runs_dir`. étude looks for data in `data_dir` first.
    `threads` is the number of processor threads; `precision` is auto, fp32 or bf16; `compile` is auto, on or off. In
    `tensorboard` the run gets a folder of event files for TensorBoard, written while it trains.
    Raises `Interrupted` after Ctrl-C, once everything is saved.
    """
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    others = train.__kwdefaults__ or ()
    recipes.require_arguments(recipe, changes, others, hint="`etude.sweep` trains several seeds")
    given = changes.get("data")
    dataset = given if isinstance(given, Dataset) else None
    if dataset is not None:
        changes["data"] = f"{GIVEN_PREFIX}{dataset.name}"
    recipe = admit(recipes.change(recipe, **with_specs(recipe, changes)))
    (run,) = train_together(
        [recipe],
        dataset=dataset,
        names=[name],
        runs_dir=Path(runs_dir) if runs_dir else default_runs_dir(),
        data_dir=Path(data_dir) if data_dir else None,
        compute=Compute(device=device, threads=threads, precision=precision, compile=compile),
        display=display,
        tensorboard=make_folder(tensorboard) if tensorboard else None,
    )
    run.moved_data = dataset  # what was given as an object can be measured and drawn without being given again
    return run


def with_specs(recipe: Recipe, changes: dict[str, Any]) -> dict[str, Any]:
    """The changes, with the specs of networks that were given as classes or functions."""
    objects = {name: changes[name] for name in recipe.code_fields if not isinstance(changes.get(name), str | None)}
    return {**changes, **{name: own_networks.given(thing) for name, thing in objects.items()}}


def train_together(
    together: Sequence[Recipe],
    *,
    dataset: Dataset | None = None,
    names: Sequence[str | None],
    runs_dir: Path,
    data_dir: Path | None,
    compute: Compute,
    display: Display | None,
    tensorboard: Path | None = None,
) -> list[Run]:
    """Train recipes with the same `replicas.program_key` as one program, each into its own run.

    `dataset` is their data if it was given as an object; otherwise it is read as the recipes say. A run that diverges
    records it in its state, and the others go on; otherwise as `train`.
    """
    together = [with_absolute_path(recipe) for recipe in together]
    first = together[0]
    dataset = dataset or load_for(first, data_dir)
    display = display or Display()
    rows = checked_rows(first, dataset)
    num_steps = first.epochs * (len(rows.train) // first.examples_per_step)
    execution = execution_of(first, compute, num_steps=num_steps, kind=dataset.kind)
    configuration: dict[str, Any] = {"dataset": _describe_data(dataset, rows, data_dir)}
    if first.code:
        found = examined(first, dataset.kind)
        configuration["networks"] = {"parameters": dict(found.parameters), "conditional": found.conditional}
        for note in found.notes:
            display.note(note)
        execution = as_traced(first, dataset, compute, execution, num_steps=num_steps, display=display)
    configuration |= {"execution": dataclasses.asdict(execution), **describe_machine()}
    files = {**dataset.kind.files(), **dataset.records}
    runs = [
        create_run(recipe, name=name, runs_dir=runs_dir, configuration=configuration, files=files)
        for recipe, name in zip(together, names, strict=True)
    ]
    for run in runs:
        run.open_code()
    for note in dataset.notes:
        display.note(f"{dataset.name}: {note}")
    with training_locks(runs), own_code(runs):
        fit(runs, dataset, execution=execution, display=display, tensorboard=tensorboard)
    return runs


def execution_of(recipe: Recipe, compute: Compute, *, num_steps: int, kind: Any = None) -> Execution:
    """How a run of the recipe is computed. `kind` is that of its data, with which a person's network is tried."""
    network = family_of(recipe).network_of(recipe)
    return choose_execution(
        compute,
        network.traits if kind is None else examined(recipe, kind).traits,
        num_steps=num_steps,
        examples_per_step=recipe.examples_per_step,
        differentiates_twice=recipe.differentiates_twice,
    )


def load_for(recipe: Recipe, data_dir: Path | None) -> Dataset:
    """The data set of a recipe, read as the recipe says."""
    return load_dataset(recipe.data, data_dir=data_dir, reading=recipe.reading)


def checked_rows(recipe: Recipe, dataset: Dataset) -> Rows:
    """The images of a run. Raises `UsageError` if they are too few for a step, or the networks do not fit them."""
    require_kind(recipe, dataset)
    require_classes(recipe, dataset)
    rows = make_rows(recipe, dataset)
    require_a_step(recipe, dataset, len(rows.train))
    if recipe.code:
        examined(recipe, dataset.kind)
        return rows
    with torch.device("meta"):  # no memory, no time: only whether the networks fit the images, before there is a run
        build_networks(recipe, dataset.kind)
    return rows


def with_absolute_path(recipe: Recipe) -> Recipe:
    """The recipe with the absolute path of a person's data, so that it can be resumed from another folder."""
    return dataclasses.replace(recipe, data=absolute(recipe.data))


def resume(
    run: Run | str | Path,
    *,
    data: str | Dataset | None = None,
    data_dir: str | Path | None = None,
    display: Display | None = None,
    tensorboard: str | Path | None = None,
) -> Run:
    """Continue an interrupted or killed run, given as an object, by name or by folder.

    It ends bit for bit as if it had never stopped. If its data has moved, `data` says where it is now, such as
    `folder:PATH`, or is the `Dataset` that the run was given. The images must be the same. `tensorboard` is as in
    `train`; events that are in that folder already are not written again. Raises `RunError` if there
    is nothing to continue: a finished run, or one that diverged and would do so again.
    """
    run = run if isinstance(run, Run) else load(run)
    run.moved_data = run.moved_data if data is None else data
    events = make_folder(tensorboard) if tensorboard else None
    resume_together([run], data_dir=Path(data_dir) if data_dir else None, display=display, tensorboard=events)
    return run


def resume_together(
    runs: Sequence[Run], *, data_dir: Path | None, display: Display | None, tensorboard: Path | None = None
) -> None:
    """Continue, as one program, runs with the same `replicas.program_key` and the same step; otherwise as `resume`."""
    with (
        training_locks(runs),
        own_code(runs),
    ):  # before their states are read: the process that had the lock may have finished them
        for run in runs:
            state = run.state
            if state.status == "finished":
                raise RunError(f"run {run.path} is finished; train another with `etude train {run.recipe.name}`.")
            if state.status == "failed":
                raise RunError(f"run {run.path} failed, and would do so again: {state.error}")
        run = runs[0]
        dataset = run.dataset(data_dir)
        if dataset.digest() != run.configuration["dataset"]["digest"]:
            raise DataError(
                f"{run.recipe.data} does not hold the data that run {run.path} began with: restore it, or name its "
                "folder with --data-dir."
            )
        recorded = run.configuration["execution"]
        compute = Compute(
            device=recorded["device"],
            threads=recorded["threads"],
            precision=recorded["precision"],
            compile="on" if recorded["compiled"] else "off",
        )
        for each in runs:
            each.open_code()
        execution = execution_of(run.recipe, compute, num_steps=0, kind=run.kind)
        fit(runs, dataset, execution=execution, display=display or Display(), tensorboard=tensorboard)


@contextmanager
def training_locks(runs: Sequence[Run]) -> Iterator[None]:
    """Hold the locks of all runs for training. Raises `RunError` if another process trains one of them."""
    with ExitStack() as held:
        for run in runs:
            held.enter_context(training_lock(run.path))
        yield


def _describe_data(dataset: Dataset, rows: Rows, data_dir: Path | None) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "kind": dataset.kind.as_dict(),
        "train_images": len(rows.train),
        "validation_images": len(rows.validation),
        "test_images": len(dataset.test),
        "data_dir": str(data_dir.absolute()) if data_dir else None,
        "digest": dataset.digest(),
        "validation_split": dataset.validation is not None,
        "left_out": list(dataset.left_out),
        "notes": list(dataset.notes),
    }

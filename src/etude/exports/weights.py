"""`--to safetensors`: a folder as the Hugging Face Hub has it, with weights, configuration and a model card."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save

from etude.data.catalog import CATALOG
from etude.data.names import parse_own
from etude.files import make_folder, write_atomically
from etude.measurement.kept import Kept, kept_results
from etude.reports.commands import run_command
from etude.runs import Run
from etude.runs.checkpoint import load_model
from etude.runs.folder import short_data_name


def write_weights(run: Run, folder: Path) -> list[Path]:
    """Write model.safetensors, config.json, README.md and, of a run on texts, its vocabulary.

    Names in them have no path of this machine. None of the run's own code is run, and none is written.
    """
    tensors = load_model(run.checkpoint_path())
    contents: dict[str, bytes | str] = {
        "model.safetensors": save(tensors, metadata={"format": "pt"}),
        "config.json": json.dumps(configuration(run), indent=1, ensure_ascii=False) + "\n",
        "README.md": card(run),
        **run.kind.files(),
    }
    made = make_folder(folder)
    for name, content in contents.items():
        write_atomically(made / name, content)
    return [made / name for name in contents]


def configuration(run: Run) -> dict[str, Any]:
    """What config.json says: recipe, kind of data with its shape and classes, every tensor's shape."""
    tensors = load_model(run.checkpoint_path())
    recipe = {**run.configuration["recipe"], "data": _public(run.recipe.data)}
    return {
        "library_name": "etude",
        "etude_version": version("etude"),
        "recipe": recipe,
        "step": _step(run),
        "data": run.kind.as_dict(),
        "classes": list(run.class_names),
        "tensors": {name: list(tensor.shape) for name, tensor in tensors.items()},
    }


def _step(run: Run) -> int:
    return int(run.checkpoint_path().name.removeprefix("step-"))


def _public(data: str) -> str:
    """A data set's name without a path: `folder:NAME` for a person's folder."""
    own = parse_own(data)
    return f"{own.format}:{short_data_name(data)}" if own else data


def card(run: Run) -> str:
    """The model card, in Markdown."""
    recipe, data = run.recipe, _public(run.recipe.data)
    licence = CATALOG[data].licence if data in CATALOG else "not stated"
    counts = ", ".join(f"{name} {count:,}" for name, count in run.parameters.items())
    front = json.dumps(["etude", recipe.family, recipe.name, short_data_name(recipe.data)])
    shape = "×".join(map(str, getattr(run.kind, "shape", ())))
    classes = ", ".join(json.dumps(name, ensure_ascii=False) for name in run.class_names)
    facts = [
        ("recipe", f"`{recipe.name}`"),
        ("parameters", counts),
        ("trained for", f"{run.state.epoch} epochs, {_step(run):,} steps"),
        ("data", f"{_code(data)}, {run.kind.called}{f' of {shape}' if shape else ''}; licence of the data: {licence}"),
        *([("classes", classes)] if classes else []),
    ]
    lines = [
        "---",
        "library_name: etude",
        "license: unknown",
        f"tags: {front}",
        "---",
        "",
        f"# {run.name}",
        "",
        f"This is {run.family.about} trained with étude. The licence of the weights is for their author to choose: put "
        "it in place of `unknown` above.",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {_cell(text)} |" for name, text in facts),
        "",
        "## Metrics",
        "",
        *_metrics(run),
        "",
        "## Files",
        "",
        "- `model.safetensors`: all tensors, named NETWORK.PARAMETER",
        "- `config.json`: the recipe, the shapes of the tensors, the classes",
        "",
        "The weights load with safetensors alone:",
        "",
        "```python",
        "from safetensors.torch import load_file",
        "",
        'weights = load_file("model.safetensors")',
        "for name, tensor in weights.items():",
        "    print(name, tuple(tensor.shape))",
        "```",
        "",
        "## Made by",
        "",
        *_made_by(run),
        "",
    ]
    return "\n".join(lines)


def _metrics(run: Run) -> list[str]:
    """The kept results of `etude measure` on these weights, else the last metrics of training."""
    kept = kept_results(run).results
    if kept:
        head = [
            "| metric | value | floor | 95 % interval | split | examples |",
            "| --- | --: | --: | --: | --- | --: |",
        ]
        return [*head, *map(_row, kept)]
    last = {name: value for name, value in run.metrics().last().items() if not name.startswith("running/")}
    rows = [f"| {_cell(name)} | {value:.4g} |" for name, value in last.items()]
    return ["Not measured yet; these are from training.", "", "| metric | value |", "| --- | --: |", *rows]


def _row(kept: Kept) -> str:
    value, floor, interval, count, _ = kept.result.texts()
    return f"| {_cell(kept.metric)} | {value} | {floor} | {interval} | {kept.split} | {count} |"


def _made_by(run: Run) -> list[str]:
    """The command that trains it again."""
    command = run_command(run)
    toml = ["", "```toml", command.toml.rstrip(), "```"] if command.toml else []
    return ["```", command.text, "```", *toml, *(line for note in command.notes for line in ("", note))]


def _code(text: str) -> str:
    return f"`{text.replace('`', '')}`"


def _cell(text: str) -> str:
    """A text that stays in its cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

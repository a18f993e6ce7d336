"""Checkpoints: all that training needs to go on exactly where it was. No pickle, and whole or not there at all.

A checkpoint is a folder `step-N` with four files:

    model.safetensors    the networks' parameters and buffers, named NETWORK.PARAMETER
    trainer.safetensors  optimizer moments, states of the random streams, running sums of the losses
    trainer.json         where training stands: steps, best checkpoint, size and checksum of the metrics file
    checksums.json       a BLAKE2 checksum of each of these, by which damage is noticed

It is written under a temporary name and renamed once all of it is on the disk; one that goes gets a temporary name
first. So a folder `step-N` is whole, whenever the process is killed.
"""

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer

from etude.errors import RunError
from etude.files import (
    cannot_write,
    checksum,
    flush_folder,
    is_temporary,
    parse_json,
    read_whole,
    temporary_path,
    write_and_flush,
)

MODEL, TRAINER, PROGRESS, CHECKSUMS = "model.safetensors", "trainer.safetensors", "trainer.json", "checksums.json"


@dataclass(frozen=True, kw_only=True)
class Best:
    """The checkpoint that the validation split prefers so far."""

    step: int
    metric: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where training stands; the scalar part of a checkpoint."""

    step: int = 0
    """Steps done."""
    metrics_bytes: int = 0
    """Size of the metrics file at this step."""
    metrics_checksum: str = ""
    """Of that many bytes of the metrics file; empty in runs of étude 0.1."""
    best: Best | None = None
    seconds: float = 0.0
    """Wall-clock time spent so far, over all sittings."""


def save_checkpoint(folder: Path, *, model: dict[str, Tensor], trainer: dict[str, Tensor], progress: Progress) -> None:
    """Write `folder/step-N`, then drop all but it, the one before it and the best.

    One that is there already, whole and with the same content, is left: an epoch ended, then Ctrl-C came before the
    next step.
    """
    final = folder / f"step-{progress.step}"
    files = {
        MODEL: save(_contiguous(model)),
        TRAINER: save(_contiguous(trainer)),
        PROGRESS: json.dumps(asdict(progress), indent=1).encode(),
    }
    if not _holds(final, files[MODEL], files[TRAINER], progress):
        files[CHECKSUMS] = json.dumps({name: checksum(content) for name, content in files.items()}, indent=1).encode()
        _write(final, files)
    drop_old(folder, step=progress.step, best=progress.best)


def drop_old(folder: Path, *, step: int, best: Best | None) -> None:
    """Drop all checkpoints but that of `step`, the one before it and the best, and what an interrupted save left."""
    steps = [each for each in list_steps(folder) if each <= step]
    kept = {*steps[-2:], *([best.step] if best else [])}
    for other in set(list_steps(folder)) - kept:  # a later one is damaged: training went on from one before it
        drop(folder / f"step-{other}")
    for leftover in folder.glob(".*"):  # of a save that a kill interrupted
        if is_temporary(leftover):
            shutil.rmtree(leftover, ignore_errors=True)


def _write(final: Path, files: dict[str, bytes]) -> None:
    """Make the folder with these files; a damaged one of that name goes only when the new one is on the disk."""
    temporary = temporary_path(final)
    try:
        temporary.mkdir(parents=True)
        for name, content in files.items():
            write_and_flush(temporary / name, content)
        flush_folder(temporary)
        drop(final)
        temporary.rename(final)
        flush_folder(final.parent)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise cannot_write(final, error) from error


def drop(checkpoint: Path) -> None:
    """Remove a checkpoint, if there is one: first its name, then its files."""
    trash = temporary_path(checkpoint)
    with suppress(OSError):
        checkpoint.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)


def _holds(checkpoint: Path, model: bytes, trainer: bytes, progress: Progress) -> bool:
    """Whether the checkpoint is there, whole, and the same; how long training took may differ."""
    if not checkpoint.exists():
        return False
    try:
        there = load_progress(checkpoint)
        same = replace(there, seconds=progress.seconds) == progress
        return same and (_read(checkpoint / MODEL), _read(checkpoint / TRAINER)) == (model, trainer)
    except RunError:
        return False


def list_steps(folder: Path) -> list[int]:
    """The steps at which there is a checkpoint, ascending."""
    names = [path.name.removeprefix("step-") for path in folder.glob("step-*")]
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal() and str(int(name)) == name)


def load_model(checkpoint: Path) -> dict[str, Tensor]:
    """The networks' parameters and buffers; `RunError` when the file is damaged."""
    return _tensors(checkpoint / MODEL)


def load_trainer(checkpoint: Path) -> dict[str, Tensor]:
    """Optimizer moments, random streams and running sums; `RunError` when the file is damaged."""
    return _tensors(checkpoint / TRAINER)


def load_progress(checkpoint: Path) -> Progress:
    """Where training stood; `RunError` when the file is damaged."""
    path = checkpoint / PROGRESS
    try:
        values: dict[str, Any] = parse_json(_read(path))
        best = values.pop("best")
        progress = Progress(**values, best=Best(**best) if best else None)
        if checkpoint.name != f"step-{progress.step}":
            raise ValueError(f"it is of step {progress.step}")
        return progress
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # of another version, say
        raise damaged(path, str(error)) from error


def optimizer_tensors(optimizer: Optimizer, prefix: str) -> dict[str, Tensor]:
    """The optimizer's moments as flat tensors named PREFIX/PARAMETER-INDEX/MOMENT."""
    return {
        f"{prefix}/{index}/{name}": value
        for index, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor], prefix: str) -> None:
    """Undo `optimizer_tensors`, each moment laid out as its parameter; hyper-parameters stay the optimizer's own."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix + "/"):
            index, name = key.removeprefix(prefix + "/").split("/")
            parameter = parameters[int(index)]
            if value.shape == parameter.shape:
                value = torch.empty_like(parameter).copy_(value)
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def network_tensors(networks: dict[str, nn.Module]) -> dict[str, Tensor]:
    """Parameters and buffers of all networks, named NETWORK.PARAMETER."""
    return {f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}


def restore_networks(networks: dict[str, nn.Module], tensors: dict[str, Tensor], *, source: Path) -> None:
    """Undo `network_tensors`, in place; `RunError` when they do not fit."""
    for name, network in networks.items():
        prefix = f"{name}."
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        try:
            network.load_state_dict(own)
        except RuntimeError as error:
            raise damaged(source / MODEL, " ".join(str(error).split())) from error


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as a file holds them. One that lies where another does, as tied weights do, is written too."""
    found: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if place in places else tensor
        places.add(place)
    return found


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load(_read(path))
    except SafetensorError as error:
        raise damaged(path, str(error)) from error


def _read(path: Path) -> bytes:
    """A file of a checkpoint, once its checksum has been found right."""
    try:
        checksums = parse_json(read_whole(path.parent / CHECKSUMS))
        content = read_whole(path)
        wanted = checksums[path.name]
    except OSError as error:
        raise damaged(Path(error.filename), (error.strerror or str(error)).lower()) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(path.parent / CHECKSUMS, f"not the checksums of its files ({error})") from error
    if checksum(content) != wanted:
        raise damaged(path, "its content has changed since it was written")
    return content


def damaged(path: Path, reason: str) -> RunError:
    """The error for a file of a checkpoint."""
    return RunError(f"damaged checkpoint {path}: {reason}; delete the folder {path.parent} to use the one before it.")

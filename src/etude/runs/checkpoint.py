"""Checkpoints: all that training needs to go on exactly where it was. No pickle, and whole or not there at all.

A checkpoint is a folder `step-N` with four files:

    model.safetensors    the networks' parameters and buffers, named NETWORK.PARAMETER
    trainer.safetensors  optimizer moments, states of the random streams, running sums of the losses
    trainer.json         where training stands: steps, metrics file, best checkpoint
    checksums.json       a BLAKE2 checksum of each of these, by which damage is noticed

It is written under a temporary name and renamed once all of it is on the disk.
"""

import hashlib
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer

from etude.errors import RunError
from etude.files import cannot_write, flush_folder

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
    best: Best | None = None
    seconds: float = 0.0
    """Wall-clock time spent so far, over all sittings."""


def save_checkpoint(folder: Path, *, model: dict[str, Tensor], trainer: dict[str, Tensor], progress: Progress) -> None:
    """Write `folder/step-N`, then drop all but the last two checkpoints and the best."""
    final = folder / f"step-{progress.step}"
    temporary = folder / f".{final.name}.{secrets.token_hex(4)}.part"
    files = {
        MODEL: save(_contiguous(model)),
        TRAINER: save(_contiguous(trainer)),
        PROGRESS: json.dumps(asdict(progress), indent=1).encode(),
    }
    files[CHECKSUMS] = json.dumps({name: _checksum(content) for name, content in files.items()}, indent=1).encode()
    try:
        temporary.mkdir(parents=True)
        for name, content in files.items():
            _write(temporary / name, content)
        flush_folder(temporary)
        if final.exists():  # written at an epoch's end, then again on Ctrl-C before the next step
            shutil.rmtree(final)
        temporary.rename(final)
        flush_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise cannot_write(final, error) from error
    kept = {*list_steps(folder)[-2:], *([progress.best.step] if progress.best else [])}
    for step in set(list_steps(folder)) - kept:
        shutil.rmtree(folder / f"step-{step}", ignore_errors=True)
    for leftover in folder.glob(".*.part"):  # of a save that a kill interrupted
        shutil.rmtree(leftover, ignore_errors=True)


def list_steps(folder: Path) -> list[int]:
    """The steps at which there is a checkpoint, ascending."""
    return sorted(int(path.name[5:]) for path in folder.glob("step-*") if path.name[5:].isdigit())


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
        values: dict[str, Any] = json.loads(_read(path))
        best = values.pop("best")
        return Progress(**values, best=Best(**best) if best else None)
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # of another version, say
        raise _damaged(path, str(error)) from error


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
            raise _damaged(source / MODEL, " ".join(str(error).split())) from error


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _checksum(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load(_read(path))
    except SafetensorError as error:
        raise _damaged(path, str(error)) from error


def _read(path: Path) -> bytes:
    """A file of a checkpoint, once its checksum has been found right."""
    try:
        checksums = json.loads((path.parent / CHECKSUMS).read_bytes())
        content = path.read_bytes()
        wanted = checksums[path.name]
    except OSError as error:
        raise _damaged(Path(error.filename), (error.strerror or str(error)).lower()) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path.parent / CHECKSUMS, f"not the checksums of its files ({error})") from error
    if _checksum(content) != wanted:
        raise _damaged(path, "its content has changed since it was written")
    return content


def _damaged(path: Path, reason: str) -> RunError:
    return RunError(f"damaged checkpoint {path}: {reason}; delete the folder {path.parent} to use the one before it.")

"""`--to onnx`: a file for each network of a run that is useful alone, checked with onnxruntime."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from etude.errors import UsageError
from etude.exports.networks import Exported, networks_of
from etude.files import make_folder, write_atomically
from etude.runs import Run

INSTALL = "pip install onnx onnxscript onnxruntime"
MOST_DIFFERENCE = 1e-3
"""How far onnxruntime may be from PyTorch, relative to the largest number."""
NUM_COMPARED = 5


def write_onnx(run: Run, folder: Path) -> list[Path]:
    """Write NETWORK.onnx into `folder` for each network, once it agrees with PyTorch; the first axis is the batch.

    Inputs are named as `networks_of` says, and `labels`, int64, of a conditional network.
    """
    runtime = _required()
    paths = []
    for name, network in networks_of(run).items():
        content = _converted(run, network, len(run.class_names))
        _compare(run, network, content, runtime, len(run.class_names))
        paths.append(make_folder(folder) / f"{name}.onnx")
        write_atomically(paths[-1], content)
    return paths


def _required() -> Any:
    """The module onnxruntime; `UsageError` names what to install."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UsageError(f"--to onnx needs {error.name}, which is not installed: {INSTALL}.") from error
    return onnxruntime


class _Module(nn.Module):
    """A network as PyTorch's exporter takes it; final."""

    def __init__(self, network: Exported, parts: dict[str, nn.Module], num_classes: int | None) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts.values())
        self.network, self.num_classes = network, num_classes

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        if labels is not None and self.num_classes is not None:
            labels = one_hot(labels, self.num_classes).to(x.dtype)
        return tuple(self.network.call(x, labels))


def _converted(run: Run, network: Exported, num_classes: int) -> bytes:
    """The content of the file. Labels that a network checks one by one are given in one-hot form instead."""
    examples: list[Tensor] = [network.inputs(2)]
    if network.conditional:
        examples.append(torch.arange(2) % num_classes)
    names, batch = [network.input, "labels"][: len(examples)], torch.export.Dim("batch")
    problem: Exception | None = None
    for form in (None, num_classes) if network.conditional else (None,):
        module = _Module(network, run.networks, form).eval()
        try:
            with _silent(), torch.no_grad():
                shapes = tuple({0: batch} for _ in examples)
                exported = torch.export.export(module, tuple(examples), dynamic_shapes=shapes, strict=False)
                program = torch.onnx.export(exported, input_names=names, output_names=list(network.outputs))
            assert program is not None
            return program.model_proto.SerializeToString()
        except Exception as error:  # whatever the exporter meets in a network
            problem = error
    reason = next((line for line in str(problem).splitlines() if line.strip()), type(problem).__name__)
    raise UsageError(
        f"PyTorch cannot export the {network.name} of run {run.name} to ONNX: {reason[:200]}."
    ) from problem


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without what the exporter prints, logs and warns of."""
    logging.disable(logging.CRITICAL)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


@torch.no_grad()
def _compare(run: Run, network: Exported, content: bytes, runtime: Any, num_classes: int) -> None:
    """Raise `UsageError` unless onnxruntime gives what PyTorch gives, for a batch of another size."""
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    inputs = network.inputs(NUM_COMPARED, seed=1)
    labels = torch.arange(NUM_COMPARED) % num_classes if network.conditional else None
    given = {network.input: inputs.numpy()} | ({} if labels is None else {"labels": labels.numpy()})
    for found, expected in zip(session.run(None, given), network.call(inputs, labels), strict=True):
        difference = (torch.from_numpy(found) - expected).abs().max().item() / max(expected.abs().max().item(), 1)
        if not difference <= MOST_DIFFERENCE:
            raise UsageError(
                f"the {network.name} of run {run.name} gives other numbers by onnxruntime than by PyTorch: a "
                f"difference of {difference:.2g} (allowed: {MOST_DIFFERENCE:g}); nothing was written for it."
            )

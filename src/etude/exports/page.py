"""`--to html`: one page that computes a network in the visitor's browser."""

import base64
import html
import json
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from etude.data.kinds import Images
from etude.drawing.tiles import png_of, tile
from etude.errors import DataError, UsageError
from etude.exports.drawn import Frame, frame_of
from etude.exports.layers import Untranslatable
from etude.exports.networks import Exported, networks_of
from etude.exports.program import Program
from etude.exports.recording import record
from etude.runs import Run
from etude.runs.folder import short_data_name

MOST_DIFFERENCE = 1e-2
"""How far a page may be from PyTorch, per pixel or probability."""
NUM_COMPARED = 8
MOST_BYTES = 64 * 2**20
"""Weights beyond which no page is made."""
MOST_FRAMED = 500
PAGES = {"decoder": "latents", "generator": "samples", "classifier": "drawing"}
SCRIPTS = ("kernels", "network", "page", "latent", "samples", "drawing", "pictures", "start")
REACH, SIDE = 3.0, 15
"""Of the plane of pictures, for networks that no page can compute."""


@final
@dataclass(frozen=True, kw_only=True)
class Page:
    """A page, and what a person should know about it."""

    text: str
    notes: tuple[str, ...] = ()
    difference: float | None = None
    """The largest difference from PyTorch, per pixel or probability; None if it shows pictures."""


def page_of(run: Run, *, data_dir: Path | None = None) -> Page:
    """The page of a run on images. `UsageError` if it has nothing to show."""
    if not isinstance(run.kind, Images):
        raise UsageError(
            f"run {run.name} is of {run.kind.called}, and a page shows images: "
            f"`etude export {run.name} --to safetensors` exports its weights."
        )
    network = next(iter(networks_of(run).values()))
    classes = list(run.class_names) if network.conditional or network.name == "classifier" else []
    content: dict[str, Any] = {"shape": list(run.kind.shape), "classes": classes, "noise": network.drawn}
    notes: list[str] = []
    difference = None
    compared = network.inputs(NUM_COMPARED)
    if network.name == "classifier":
        frame, images = _framed(run, data_dir, notes)
        content |= {"frame": frame.as_dict(), "advice": _advice(run)}
        compared = torch.cat([compared, images])
    try:
        program = _program(network, len(run.class_names))
        difference = compare(program, network, compared, len(run.class_names))
        if not difference <= MOST_DIFFERENCE:
            raise Untranslatable(f"its result differs from PyTorch's by {difference:.2g}")
        content |= {"page": PAGES[network.name], "network": program.packed()}
    except Untranslatable as error:
        reason = f"A page cannot compute this network: {error}."
        if network.name == "classifier":
            raise UsageError(
                f"a page cannot compute the network of run {run.name}: {error}; "
                f"`etude export {run.name} --to onnx` exports it."
            ) from error
        notes.append(f"{reason} It shows pictures drawn now.")
        difference = None
        pictures = [_picture(network, label) for label in range(len(classes) or 1)]
        content |= {"page": "pictures", "pictures": pictures, "reason": reason, "caption": _caption(network)}
    return Page(text=_text(run, content, difference), notes=tuple(notes), difference=difference)


def _program(network: Exported, num_classes: int) -> Program:
    def call(example: Tensor, label: int) -> Tensor:
        return network.call(example, torch.tensor([label]) if network.conditional else None)[0]

    program = record(call, network.inputs(1, seed=1), num_classes=num_classes if network.conditional else 1)
    if program.num_bytes > MOST_BYTES:
        raise Untranslatable(f"its weights take {program.num_bytes / 2**20:.0f} MB")
    return program


@torch.no_grad()
def compare(program: Program, network: Exported, inputs: Tensor, num_classes: int) -> float:
    """The largest difference between a program and PyTorch's network, both in float32, on inputs (N, ...)."""
    labels = torch.arange(len(inputs)) % num_classes if network.conditional else None
    expected = network.call(inputs, labels)[0]
    given = [0] * len(inputs) if labels is None else labels.tolist()
    found = torch.stack([program(example, label) for example, label in zip(inputs, given, strict=True)])
    return (found - expected).abs().max().item()


def _framed(run: Run, data_dir: Path | None, notes: list[str]) -> tuple[Frame, Tensor]:
    """How drawings are made to look like the data, and some of its images; MNIST's frame where the data is gone."""
    try:
        images = run.dataset(data_dir).train.images[:MOST_FRAMED].float() / 255
    except DataError as error:
        notes.append(f"drawings are centred as MNIST is, for the data is not here: {error}")
        return Frame(), torch.zeros(0, *run.kind.shape)
    return frame_of(images), images[:NUM_COMPARED]


def _advice(run: Run) -> str:
    pen = "Draw with the mouse, a finger or the arrow keys (Space lowers the pen, Shift makes finer steps)."
    if run.image_shape[0] != 1:
        return f"{pen} The network was trained on colour images: open one, and it is resized."
    return f"{pen} The drawing is scaled and centred as the training images are."


@torch.no_grad()
def _picture(network: Exported, label: int) -> str:
    """A grid of images of one class as a data URL: over the plane of the first two latents, or of random noise."""
    if network.name == "decoder":
        ticks = torch.linspace(-REACH, REACH, SIDE)
        inputs = torch.zeros(SIDE * SIDE, *network.input_shape)
        inputs[:, 0] = ticks.repeat(SIDE)
        inputs[:, min(1, inputs.shape[1] - 1)] = ticks.flip(0).repeat_interleave(SIDE)
    else:
        inputs = network.inputs(64)
    labels = torch.full((len(inputs),), label) if network.conditional else None
    images = network.call(inputs, labels)[0]
    columns = SIDE if network.name == "decoder" else 8
    return f"data:image/png;base64,{base64.b64encode(png_of(tile(images, columns=columns))).decode()}"


def _caption(network: Exported) -> str:
    if network.name == "decoder":
        return f"What each point of the latent plane decodes to: both dimensions from −{REACH:g} to {REACH:g}."
    return "64 samples."


def _text(run: Run, content: dict[str, Any], difference: float | None) -> str:
    """The page. Whatever it names is escaped: no name can end an element or begin another."""
    static = resources.files("etude.exports") / "static"
    count = sum(run.parameters.values())
    facts = f"{count:,} parameters, step {run.checkpoint_path().name.removeprefix('step-')}."
    if difference is not None:
        facts += " Computed in your browser; nothing leaves this page."
    what = "probability" if content["page"] == "drawing" else "pixel"
    exact = "" if difference is None else f"; weights in 16 bits, at most {difference:.1g} per {what} from PyTorch"
    scripts = [(static / f"{name}.js").read_text("utf-8") for name in SCRIPTS]
    parts = {
        "title": html.escape(f"{run.name}: {run.recipe.name} on {short_data_name(run.recipe.data)}"),
        "facts": html.escape(facts),
        "footer": html.escape(f"Made by étude{exact}."),
        "style": (static / "page.css").read_text("utf-8").strip(),
        "script": "(() => {\n" + "\n".join(scripts) + "})();",
        "content": embedded(content),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], (static / "page.html").read_text("utf-8"))


def embedded(content: Any) -> str:
    """JSON that is safe in a script element: without `<` and without characters beyond ASCII."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")

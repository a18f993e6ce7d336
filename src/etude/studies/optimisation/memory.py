"""Memory of one training step: SGD, mini-batch and full batch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.models import LeNet
from etude.streams import global_stream, stream
from etude.studies import Design, Evidence, Findings, Lab, Ruling, Study, above, exact, ruled

MEGABYTE = 1e6


@dataclass(frozen=True, kw_only=True)
class Memory(Design):
    """One training step of LeNet at several batch sizes."""

    samples: Annotated[int, Range(2, 100_000)] = 1_500
    """Training images: the full batch."""
    mini_batch: Annotated[int, Range(1, 100_000)] = 32
    """Size of a mini-batch."""
    image_size: Annotated[int, Range(16, 256)] = 28
    """Pixels of an image's sides."""
    channels: Annotated[int, Range(1, 64)] = 1
    """Channels of an image."""

    def rules(self) -> Iterator[Rule]:
        numbers = self.samples * self.image_size**2 * max(self.channels, 12)  # LeNet makes about 12 of each pixel
        yield numbers <= 3e8, "samples", "fewer, or smaller images: their full batch would take more than 2 GB"


class LiveTensors(TorchDispatchMode):
    """The bytes of all tensors that are alive, looked at after every operation."""

    def __init__(self, *tensors: Tensor) -> None:
        super().__init__()
        self.peak_bytes = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self._look(tensors)

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self._look(each for each in tree_leaves(out) if isinstance(each, Tensor))
        return out

    def _look(self, tensors: Any) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            # the weak reference keeps the number of a storage that is gone from being given again
            if storage._cdata not in self._alive:
                self._alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self._alive = {key: each for key, each in self._alive.items() if not each[0].expired()}
        self.peak_bytes = max(self.peak_bytes, sum(size for _, size in self._alive.values()))


def step_bytes(design: Memory, batch_size: int) -> tuple[int, int, int]:
    """One step of training: bytes of the parameters, bytes kept for backward, most bytes of tensors at any time.

    Kept are the results of layers that the backward pass needs, without the parameters and the images.
    """
    with global_stream(0, "initial weights"):
        model = LeNet((design.channels, design.image_size, design.image_size), 10)
    generator = stream(0, "images")
    images = torch.rand(batch_size, design.channels, design.image_size, design.image_size, generator=generator)
    labels = torch.randint(10, (batch_size,), generator=generator)
    given = {each.untyped_storage().data_ptr() for each in (*model.parameters(), images, labels)}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in given:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with (
        LiveTensors(*model.parameters(), images, labels) as live,
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    parameters = sum(each.nbytes for each in model.parameters())
    return parameters, sum(kept.values()), live.peak_bytes


def experiment(design: Memory, lab: Lab) -> Findings:
    """Measure a step of SGD, of a mini-batch and of the full batch."""
    sizes = {"SGD": 1, "mini-batch": min(design.mini_batch, design.samples), "full batch": design.samples}
    peaks, kept, parameters = {}, {}, 0
    for name in lab.each(tuple(sizes), "batch sizes"):
        parameters, kept[name], peaks[name] = step_bytes(design, sizes[name])
    per_image = (peaks["full batch"] - peaks["SGD"]) / max(1, design.samples - 1)
    evidence = [
        *(exact(f"most memory at any time of a step, {name}, MB", peaks[name] / MEGABYTE) for name in sizes),
        *(exact(f"kept for the backward pass, {name}, MB", kept[name] / MEGABYTE) for name in sizes),
        exact("parameters, MB", parameters / MEGABYTE),
        exact("memory per image of the batch, MB", per_image / MEGABYTE),
        exact("a full batch of 50,000 images at that rate, MB", (peaks["SGD"] + 49_999 * per_image) / MEGABYTE),
    ]
    return Findings(tuple(evidence), {"sizes": [float(size) for size in sizes.values()]})


def _peaks(found: Findings) -> list[Evidence]:
    return [found[f"most memory at any time of a step, {name}, MB"] for name in ("SGD", "mini-batch", "full batch")]


def judge(found: Findings) -> Ruling:
    """The claim holds if a step of SGD takes more memory, at its highest, than one of the full batch."""
    sgd, mini, full = _peaks(found)
    return ruled(
        above(sgd - full, 0),
        f"a step of SGD takes {sgd.value:.3g} MB, one of a mini-batch {mini.value:.3g} MB and one of the full batch "
        f"{full.value:.3g} MB.",
    )


def draw(found: Findings) -> Figure:
    """Memory against batch size."""
    sizes = found.curves["sizes"]
    names = ("SGD", "mini-batch", "full batch")
    kept = [found[f"kept for the backward pass, {name}, MB"].value for name in names]
    panel = Axis(
        lines=[
            Line(name="most at any time", x=sizes, y=[each.value for each in _peaks(found)]),
            Line(name="kept for the backward pass", x=sizes, y=kept),
        ],
        x_label="batch size: SGD, mini-batch, full batch",
        y_label="memory of one step (MB)",
        x_scale="log",
        y_scale="log",
        levels={"parameters": found["parameters, MB"].value},
    )
    return lines(panel, title="Memory of a training step")


STUDY = Study(
    name="memory",
    topic="optimisation",
    question="Which needs more memory: a step of SGD or one of full-batch gradient descent?",
    claim="SGD needs more memory than full-batch gradient descent.",
    design=Memory(),
    held_fixed="LeNet in float32 on random images; all tensors of a step are counted, on the CPU",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "Backpropagation keeps the results of every layer for every sample of the batch until it needs them again. "
        "Parameters and gradients are the same at any batch size, so that memory grows in a straight line with the "
        "batch. SGD keeps one sample; for the full batch of a large data set there may be no machine that can hold it, "
        "unless gradients are added up over parts of the batch."
    ),
    source="Goodfellow, Bengio and Courville 2016, sections 6.5.7 and 8.1.3",
    wrong_answer='"More, since it takes more steps": a step frees what it kept before the next one begins.',
)

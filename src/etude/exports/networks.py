"""What of a run is exported as one network: a function of one tensor and the label, by what the run can do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor

from etude.data.kinds import Images, Table
from etude.errors import UsageError
from etude.families.abilities import Classifies, Encodes, Generates
from etude.families.inputs import scaled
from etude.runs import Run


@final
@dataclass(frozen=True, kw_only=True)
class Exported:
    """A network with names for what goes in and comes out."""

    name: Literal["encoder", "decoder", "generator", "classifier"]
    input: str
    input_shape: tuple[int, ...]
    """Shape of one example."""
    drawn: Literal["normal", "uniform", "pixels", "features"]
    """What inputs look like: standard normal, uniform in [-1, 1], pixels in [0, 1], or features in their own units."""
    outputs: tuple[str, ...]
    call: Callable[[Tensor, Tensor | None], Any]
    """Inputs (N, *input_shape) and labels (N,), if it is conditional, to a tensor for each of `outputs`."""
    conditional: bool

    def inputs(self, number: int, *, seed: int = 0) -> Tensor:
        """Inputs (number, *input_shape) to compare results on."""
        generator = torch.Generator().manual_seed(seed)
        shape = (number, *self.input_shape)
        match self.drawn:
            case "uniform":
                return torch.rand(shape, generator=generator) * 2 - 1
            case "pixels":
                return torch.rand(shape, generator=generator)
            case _:
                return torch.randn(shape, generator=generator)


def networks_of(run: Run) -> dict[str, Exported]:
    """The networks of a run by name, the one that a page shows first; `UsageError` if there are none."""
    kind = run.kind
    examples: Any = {"input_shape": kind.shape, "drawn": "pixels" if isinstance(kind, Images) else "features"}
    what = "images" if isinstance(kind, Images) else "features"
    found: list[Exported] = []
    if not isinstance(kind, Images | Table):
        raise UsageError(
            f"run {run.name} is of {kind.called}, and html and onnx are for images and tables: "
            f"`etude export {run.name} --to safetensors` exports its weights."
        )
    conditional: Any = {"conditional": run.conditional}
    trained: Any = run.trained if any(map(run.can, (Encodes, Generates, Classifies))) else None
    if run.can(Encodes):
        found.append(
            Exported(
                name="decoder",
                input="latents",
                input_shape=(trained.latent_dim,),
                drawn="normal",
                outputs=(what,),
                call=lambda z, labels: (trained.decode(z, labels),),
                **conditional,
            )
        )
        found.append(
            Exported(
                name="encoder",
                input=what,
                outputs=("mean", "logvar"),
                call=lambda x, labels: trained.encode(scaled(kind, x), labels),
                **examples,
                **conditional,
            )
        )
    elif run.can(Generates):
        found.append(
            Exported(
                name="generator",
                input="noise",
                input_shape=tuple(trained.noise(1, generator=torch.Generator()).shape[1:]),
                drawn=trained.prior,
                outputs=(what,),
                call=lambda noise, labels: (trained.generate(noise, labels),),
                **conditional,
            )
        )
    if run.can(Classifies):
        found.append(
            Exported(
                name="classifier",
                input=what,
                outputs=("probabilities",),
                call=lambda x, _: (trained.logits(trained.inputs(x, generator=torch.Generator())).softmax(1),),
                conditional=False,
                **examples,
            )
        )
    if not found:
        raise UsageError(
            f"run {run.name} ({run.recipe.name}) has no decoder, generator or classifier to export: "
            f"`etude export {run.name} --to safetensors` exports its weights."
        )
    return {each.name: each for each in found}

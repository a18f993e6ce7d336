"""The recipes of diffusion models."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from etude.families.ranges import Range, Rule
from etude.families.recipe import Optimizer, Recipe


@dataclass(frozen=True, kw_only=True)
class Diffusion(Recipe):
    """A diffusion model: it learns what noise was mixed into an example, and draws new ones by removing it."""

    family: ClassVar[str] = "diffusion"

    network: Literal["denoiser", "cdenoiser"]
    """denoiser: a U-Net for images (Ho et al. 2020), residual linear layers for tables; cdenoiser: given the label."""
    width: int = 32
    """Channels of the U-Net's first level; a quarter of the units of a linear layer. A multiple of 16."""
    predicts: Literal["velocity", "noise"]
    """velocity: from an example to noise (flow matching, Lipman et al. 2023); noise: the noise itself (Ho et al. 2020).
    """
    schedule: Literal["straight", "cosine", "linear"]
    """The way to noise: straight, at constant velocity; cosine (Nichol and Dhariwal 2021); linear rates (Ho et al.
    2020)."""
    times: Literal["uniform", "logit-normal"] = "uniform"
    """Times to train at: uniform; logit-normal, more in the middle (Esser et al. 2024)."""
    label_dropout: Annotated[float, Range(0, below=1)] = 0.1
    """Share of the examples whose label is hidden in training. Guidance needs some."""
    sampler: Literal["euler", "heun", "ddim"]
    """How to draw new examples: euler, heun (two evaluations per step), or ddim (Song et al. 2021)."""
    sampling_steps: Annotated[int, Range(1, 1000)]
    """Steps from noise to an example."""
    time_shift: Annotated[float, Range(0.01, 100)] = 1.0
    """Where the steps are: 1 evenly; more for smaller steps where there is more noise (Esser et al. 2024, eq. 23)."""
    guidance: Annotated[float, Range(0, 100)] = 1.0
    """Weight of the label when drawing (Ho and Salimans 2022): 1 as learned; more for clearer examples of their class.
    """

    @property
    def conditional(self) -> bool:
        """Whether the network is given the label."""
        return self.network == "cdenoiser"

    def rules(self) -> Iterator[Rule]:
        """Which schedules fit a prediction, which widths fit the network, and when guidance is possible."""
        # At the noisy end of straight, the noise says nothing about the example. At the other end of linear, the
        # velocity is infinite.
        fitting = {"velocity": ("straight", "cosine"), "noise": ("cosine", "linear")}[self.predicts]
        allowed = f"{' or '.join(fitting)} for --predicts {self.predicts}"
        yield self.schedule in fitting, "schedule", allowed
        yield 16 <= self.width <= 1024 and self.width % 16 == 0, "width", "multiples of 16 up to 1024"
        guided = self.conditional and self.label_dropout > 0
        wanted = "1 for denoiser, which is not given the label, and where --label-dropout is 0"
        yield self.guidance == 1 or guided, "guidance", wanted


DDPM = Diffusion(
    name="ddpm",
    about="diffusion model that predicts noise, drawn by DDIM (Ho et al. 2020; Song et al. 2021)",
    network="denoiser",
    predicts="noise",
    schedule="cosine",
    sampler="ddim",
    sampling_steps=50,
    epochs=5,
    batch_size=64,
    validation_images=0,
    optimizer=Optimizer(name="adam", learning_rate=4e-3, schedule="triangular", beta2=0.99, average=0.999),
)
FLOW = replace(
    DDPM,
    name="flow",
    about="flow matching given the label, with guidance (Lipman et al. 2023; Ho and Salimans 2022)",
    network="cdenoiser",
    predicts="velocity",
    schedule="straight",
    times="logit-normal",
    sampler="heun",
    sampling_steps=5,
    time_shift=1.5,
    epochs=4,
    guidance=1.15,
)
RECIPES = (DDPM, FLOW)

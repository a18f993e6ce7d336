"""How a diffusion model trains: mix noise into an example, predict what was mixed in."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from etude.compute import Execution
from etude.data import Dataset, Split
from etude.data.kinds import Images, Table
from etude.families.descent import Descent, Losses
from etude.families.diffusion.denoising import way_from_noise
from etude.families.diffusion.noising import SCHEDULES
from etude.families.diffusion.recipe import Diffusion
from etude.families.inputs import EXAMPLES_AT_ONCE, signed, unsigned
from etude.families.learner import Batch, Learner
from etude.families.preview import COLUMNS, ImageGrid, Preview, points
from etude.streams import stream

EVALUATED_EXAMPLES = 2_000
"""The most examples of a split to evaluate on. The network is large, and its loss is a mean over all pixels."""
NUM_PREVIEW_IMAGES, NUM_PREVIEW_WAYS, NUM_PREVIEW_POINTS = 40, 3, 500


class DiffusionLearner(Learner[Diffusion]):
    """Training on the squared error of the prediction (Ho et al. 2020, algorithm 1; Lipman et al. 2023, eq. 23); final.

    Evaluations and new examples use the running average of the weights.
    """

    loss_names = ("loss",)
    best_by = "validation/loss"

    def __init__(
        self, recipe: Diffusion, networks: dict[str, nn.Module], dataset: Dataset, execution: Execution
    ) -> None:
        super().__init__(recipe, networks, dataset, execution)
        del self.optimizers["average"]
        self.averages = {"average": "network"}
        self.average = networks["average"]
        self.shown = dataset.test.take(torch.arange(min(len(dataset.test), NUM_PREVIEW_POINTS)))
        self.streams = {name: stream(recipe.seed, name, device=self.device) for name in ("noise", "times", "labels")}

    def scaled(self, examples: Tensor) -> Tensor:
        """Images in [-1, 1]."""
        return signed(self.kind, examples)

    def draws(self) -> Batch:
        """Noise (batch, ...), times (batch,) and, for a conditional network, whether it is told the label, 1 or 0
        (batch,)."""
        size = self.recipe.batch_size
        draws = {
            "noise": self._noise(size, self.streams["noise"]),
            "times": self._times(size, self.streams["times"]),
        }
        if self.recipe.conditional:
            chances = torch.rand(size, generator=self.streams["labels"], device=self.device)
            draws["told"] = (chances >= self.recipe.label_dropout).float()
        return draws

    def _noise(self, num_examples: int, generator: torch.Generator) -> Tensor:
        return torch.randn(num_examples, *self.kind.shape, generator=generator, device=self.device)

    def _times(self, num_examples: int, generator: torch.Generator) -> Tensor:
        if self.recipe.times == "logit-normal":
            return torch.randn(num_examples, generator=generator, device=self.device).sigmoid()
        return torch.rand(num_examples, generator=generator, device=self.device)

    def step(self, batch: Batch, descend: Descent) -> Losses:
        """One gradient step on the squared error of a batch."""
        # Before the gradient: encoding checks whether labels are in range, and a step compiled as one graph cannot.
        classes = self._classes(batch["labels"]) * batch["told"][:, None] if self.recipe.conditional else None
        return descend("network", lambda networks: {"loss": self._loss(networks["network"], batch, classes)})

    def _loss(self, network: Callable[..., Tensor], batch: Batch, classes: Tensor | None) -> Tensor:
        """Mean squared error of the prediction, over all numbers of the batch; a scalar."""
        examples, noise, times = batch[self.kind.column], batch["noise"], batch["times"]
        levels = SCHEDULES[self.recipe.schedule](times.view(-1, *[1] * (noise.ndim - 1)))
        with self.autocast():
            predicted = network(levels.mixed(examples, noise), times, classes)
        target = levels.velocity(examples, noise) if self.recipe.predicts == "velocity" else noise
        return (predicted.float() - target).square().mean()

    def _classes(self, labels: Tensor) -> Tensor:
        # Not `one_hot`, which checks whether labels are in range: a step compiled as one graph cannot.
        return (
            labels[:, None] == torch.arange(self.kind.num_classes, device=labels.device)
        ).float()  # (N, num_classes)

    def evaluate_epoch(self, validation: Split, test: Split) -> dict[str, float]:
        """The average's loss on the first examples of the test split, and of the validation split if there is one."""
        splits = {"validation": validation, "test": test}
        return {f"{name}/loss": self._mean_loss(split) for name, split in splits.items() if len(split)}

    @torch.no_grad()
    def _mean_loss(self, split: Split) -> float:
        generator = stream(self.recipe.seed, "evaluation", device=self.device)  # the same draws each time
        split = split.take(torch.arange(min(len(split), EVALUATED_EXAMPLES)))
        total = 0.0
        for rows in torch.arange(len(split), device=self.device).split(EXAMPLES_AT_ONCE):
            draws = {"noise": self._noise(len(rows), generator), "times": self._times(len(rows), generator)}
            batch = self.batch(split.columns, rows, draws)
            classes = self._classes(batch["labels"]) if self.recipe.conditional else None
            total += len(rows) * float(self._loss(self.average, batch, classes))
        return total / len(split)

    @torch.no_grad()
    def preview(self) -> Preview:
        """For images: five rows of new ones, the classes in turn, and three rows that show one each on its way from
        noise. For a table: new points over real ones."""
        shown = NUM_PREVIEW_IMAGES + NUM_PREVIEW_WAYS if isinstance(self.kind, Images) else NUM_PREVIEW_POINTS
        noise = self._noise(shown, stream(self.recipe.seed, "preview", device=self.device))
        turn = torch.arange(shown, device=self.device) % self.kind.num_classes
        classes = self._classes(turn) if self.recipe.conditional else None
        with self.autocast():
            way = [noise, *way_from_noise(self.recipe, self.average, self.kind, noise, classes)]
        if isinstance(self.kind, Table):
            return points(self.kind, unsigned(self.kind, way[-1]), self.shown)
        moments = torch.linspace(0, len(way) - 1, COLUMNS).round().int().tolist()
        ways = torch.stack([way[moment][NUM_PREVIEW_IMAGES:] for moment in moments], dim=1)  # (ways, moments, C, H, W)
        images = torch.cat([way[-1][:NUM_PREVIEW_IMAGES], ways.flatten(0, 1)])
        return ImageGrid(unsigned(self.kind, images).clamp(0, 1))

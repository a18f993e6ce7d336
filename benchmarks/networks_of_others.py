"""étude's networks beside the same layers as somebody else writes them: `python benchmarks/networks_of_others.py`.

    python benchmarks/networks_of_others.py                              # lenet, vae and dcgan, every way
    python benchmarks/networks_of_others.py lenet --batch-size 4 --precision fp32 --compile on

Prints for each the processor milliseconds of a training step of both, in turn in one process on one thread (the
shortest of eight turns), and the ratio of the two and of their medians. Random pixels: a step's time is that of any.
"""

import argparse
import statistics
import time
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude import recipes
from etude.compute import Execution
from etude.data import Dataset, Images, Split
from etude.families.book import family_of
from etude.families.recipe import Rates
from etude.models import VAE
from etude.speed.execution import computing
from etude.speed.steps import make_step

TURNS, SECONDS = 8, 0.25
SHAPES = {"lenet": (3, 32, 32), "vae": (1, 28, 28), "dcgan": (1, 28, 28)}


class Net(nn.Module):
    """`lenet`, as tutorials write it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * 5 * 5, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Discriminator(nn.Module):
    """`dcgan`'s, with functions and a reshape."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5), nn.Conv2d(32, 64, 5)
        self.fc1, self.fc2 = nn.Linear(1024, 1024), nn.Linear(1024, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.leaky_relu(self.conv1(x), 0.01), 2)
        x = F.max_pool2d(F.leaky_relu(self.conv2(x), 0.01), 2)
        return self.fc2(F.leaky_relu(self.fc1(x.reshape(-1, 1024)), 0.01))


def generator(noise_dim: int) -> nn.Module:
    """`dcgan`'s, as one `nn.Sequential`."""
    return nn.Sequential(
        *(nn.Linear(noise_dim, 1024), nn.ReLU(), nn.BatchNorm1d(1024)),
        *(nn.Linear(1024, 128 * 7 * 7), nn.ReLU(), nn.BatchNorm1d(128 * 7 * 7), nn.Unflatten(1, (128, 7, 7))),
        *(nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(), nn.BatchNorm2d(64)),
        *(nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh()),
    )


class SomebodysVAE(VAE):
    """`vae`, with layers and a forward of its own: the base class is there for its checks alone."""

    def __init__(self, latent_dim: int) -> None:
        nn.Module.__init__(self)
        self.image_shape, self.latent_dim, self.num_classes = SHAPES["vae"], latent_dim, None
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3, 2, 1), nn.Conv2d(32, 64, 3, 2, 1)
        self.fc1, self.mu, self.logvar = nn.Linear(3136, 16), nn.Linear(16, latent_dim), nn.Linear(16, latent_dim)
        self.fc2 = nn.Linear(latent_dim, 3136)
        self.up1, self.up2 = nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ConvTranspose2d(32, 1, 3, 2, 1, 1)

    def encode(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden = F.relu(self.conv2(F.relu(self.conv1(images))))
        hidden = F.relu(self.fc1(hidden.flatten(1)))
        return self.mu(hidden), self.logvar(hidden)

    def decode_logits(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        hidden = F.relu(self.fc2(latents)).view(-1, 64, 7, 7)
        return self.up2(F.relu(self.up1(hidden)))


def kind(shape: tuple[int, int, int]) -> Images:
    """Pictures of ten classes."""
    return Images(shape=shape, class_names=tuple("0123456789"))


def somebodys(recipe: Any) -> dict[str, nn.Module]:
    """Networks of the recipe's layers that owe étude nothing."""
    match recipe.network:
        case "lenet":
            return {"lenet": Net()}
        case "vae":
            return {"vae": SomebodysVAE(recipe.latent_dim)}
    return {"discriminator": Discriminator(), "generator": generator(recipe.noise_dim)}


@dataclass
class Trained:
    """A network in training, and its times."""

    recipe: Any
    networks: dict[str, nn.Module]
    execution: Execution

    def __post_init__(self) -> None:
        shape = SHAPES[self.recipe.network]
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(0, 256, (2048, *shape), dtype=torch.uint8, generator=generator)
        train = Split(images=pixels, labels=torch.arange(2048) % 10)
        dataset = Dataset(name="noise", kind=kind(shape), train=train, test=train, licence="", source="")
        for network in self.networks.values():
            network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (missing in its stubs)
        learner = family_of(self.recipe).learner(self.recipe, self.networks, dataset, self.execution)
        self.step, self.times = make_step([learner], train, self.execution), list[float]()

    def milliseconds(self, steps: int) -> float:
        """Of the processor, per step."""
        rows = torch.arange(self.recipe.examples_per_step)[None]
        began = time.process_time()
        for _ in range(steps):
            self.step(rows, Rates(schedule=1.0, average=0.0))
        return 1e3 * (time.process_time() - began) / steps


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=list(SHAPES), help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--precision", choices=("fp32", "bf16"))
    parser.add_argument("--compile", choices=("off", "on"))
    given = parser.parse_args()
    print("| network, batch | how | étude's, ms | somebody's, ms | ratio | ratio of medians |\n" + "| --- " * 6 + "|")
    for name, precision, compile in product(given.recipes, ("fp32", "bf16"), ("off", "on")):
        if precision != (given.precision or precision) or compile != (given.compile or compile):
            continue
        recipe = recipes.get(name)
        recipe = recipes.change(recipe, batch_size=given.batch_size or recipe.batch_size)
        execution = Execution(device="cpu", threads=1, precision=precision, compiled=compile == "on")
        own = family_of(recipe).network_of(recipe).build(recipe, kind(SHAPES[name]))
        with computing(execution):
            both = [Trained(recipe, networks, execution) for networks in (own, somebodys(recipe))]
            for each in both:
                each.milliseconds(3)
            steps = max(3, int(1e3 * SECONDS / both[0].milliseconds(2)))
            for _ in range(TURNS):
                for each in both:
                    each.times.append(each.milliseconds(steps))
        first, second = (min(each.times) for each in both)
        medians = [statistics.median(each.times) for each in both]
        print(f"| `{name}`, {recipe.batch_size} | {execution} | {first:.2f} | {second:.2f} | {second / first:.2f} | {medians[1] / medians[0]:.2f} |", flush=True)  # fmt: skip  # noqa: E501


if __name__ == "__main__":
    main()

"""A run: the folder of one training, and everything that can be read from it or done with its networks.

recipe.json      the whole configuration, the data's shape, versions, the machine
state.json       running, finished, interrupted or failed; how far, how long
metrics.jsonl    one line an event (see `events`)
samples/*.png    pictures drawn while training
checkpoints/     step-N folders (see `checkpoint`)
figures/         pictures drawn after training
measures/        results of `etude measure` (see `etude.measurement`)
"""

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from etude.data import Dataset
from etude.data import load as load_dataset
from etude.data.loading import FOLDER_PREFIX
from etude.errors import DataError, RunError, UsageError, unknown
from etude.files import expand_home
from etude.models import VAE, uniform_noise
from etude.recipes import Adversarial, Classifier, Variational
from etude.runs import checkpoint
from etude.runs.configuration import read_configuration
from etude.runs.events import Table, read_events
from etude.runs.inputs import IMAGES_AT_ONCE, network_inputs
from etude.runs.lock import is_training
from etude.runs.networks import build_networks, classify
from etude.runs.notebook import run_html
from etude.runs.state import State, read_state, write_state
from etude.streams import stream

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MOST_SAMPLES = 100_000


class Run:
    """One training, from its folder; final. Made by `etude.load` and by training.

    Images that come out are float tensors in [0, 1], shape (N, channels, height, width); images that go in are the
    same, or uint8 in [0, 255], as tensors or arrays. Networks are in evaluation mode, on the CPU.
    """

    def __init__(self, path: Path, *, checkpoint: int | str = "last", data: str | None = None) -> None:
        self.path = path
        self.name = path.name
        self.which_checkpoint = checkpoint
        self.configuration, self.recipe = read_configuration(path)
        self.moved_data = data
        """Where its data is now, `folder:PATH` say, if it has moved since the run began."""
        dataset = self.configuration["dataset"]
        channels, height, width = dataset["image_shape"]
        self.image_shape: tuple[int, int, int] = (channels, height, width)
        self.data_name: str = dataset["name"]
        """What its data was called when it began: files other than the published ones have their path as a name."""
        self.class_names: tuple[str, ...] = tuple(dataset["class_names"])
        self.steps_per_epoch: int = dataset["train_images"] // self.recipe.images_per_step  # a rest sits an epoch out

    # What the folder says -------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """How far the run is; a run whose process was killed says interrupted."""
        state = read_state(self.path)
        killed = state.status == "running" and not is_training(self.path)
        return replace(state, status="interrupted") if killed else state

    def write_state(self, state: State) -> None:
        """Record how far the run is."""
        write_state(self.path, state)

    def metrics(self) -> Table:
        """All metrics as a table: `.columns`, `.series(column)`, `.last()`.

        Of a run that is in training also what was written since its last checkpoint.
        """
        path, state = self.path / "metrics.jsonl", self.state
        size_bytes = state.metrics_bytes
        events = read_events(path, size_bytes=size_bytes, checksum=state.metrics_checksum)
        if state.status == "running":
            events = read_events(path)
        return Table(events, steps_per_epoch=self.steps_per_epoch)

    def preview_images(self) -> list[tuple[int, Path]]:
        """The sample grids drawn while training, by step."""
        paths = {path.stem.removeprefix("step-"): path for path in (self.path / "samples").glob("step-*.png")}
        return sorted((int(step), path) for step, path in paths.items() if step.isascii() and step.isdecimal())

    @property
    def data_dir(self) -> Path | None:
        """Where data was looked for first when the run began."""
        recorded = self.configuration["dataset"]["data_dir"]
        return Path(recorded) if recorded else None

    def dataset(self, data_dir: Path | None = None) -> Dataset:
        """The data set the run was trained on, read again, as it was read then.

        Where the run was told that its data has moved, or its data is a folder and `data_dir` is given, it is read
        from there, and must be the same images: `DataError` otherwise.
        """
        data = self.moved_data
        if data is None and data_dir and self.recipe.data.startswith(FOLDER_PREFIX):
            data = f"{FOLDER_PREFIX}{expand_home(data_dir).absolute()}"
        if data is None and self.recipe.data.startswith(FOLDER_PREFIX):
            folder = self.recipe.data.removeprefix(FOLDER_PREFIX)
            if not os.path.isdir(folder):
                raise DataError(
                    f"{folder}: no such folder any more, where run {self.path} found its images; "
                    "give --data folder:PATH, where they are now."
                )
        recorded = self.configuration["dataset"]
        dataset = load_dataset(
            data or self.recipe.data,
            data_dir=data_dir or self.data_dir,
            image_size=self.recipe.image_size,
            fit=self.recipe.fit,
            left_out=recorded["left_out"],
        )
        if not recorded.get("validation_split"):
            # A run from before val/ was read, or before there was one, held images out of the training split.
            dataset = replace(dataset, validation=None)
        if data and dataset.digest() != recorded["digest"]:
            raise DataError(
                f"the images of {data} are not those that run {self.path} began with, {self.recipe.data}: "
                "name the folder where these are now."
            )
        return dataset

    # What its networks do -------------------------------------------------------------------------------------------

    @cached_property
    def networks(self) -> dict[str, nn.Module]:
        """The trained networks by name."""
        folder = self.checkpoint_path()
        networks = build_networks(self.recipe, image_shape=self.image_shape, num_classes=len(self.class_names))
        checkpoint.restore_networks(networks, checkpoint.load_model(folder), source=folder)
        return {name: network.eval() for name, network in networks.items()}

    @property
    def model(self) -> nn.Module:
        """The trained network, to be called as `run.model(x)`; of a GAN the generator (`networks` has both).

        A classifier takes `inputs(images)` and gives logits (N, classes). A VAE takes `inputs(images)`, a conditional
        one labels (N,) as well, and gives logits of the pixels, mean and log-variance (N, latent_dim). A generator
        takes noise (N, noise_dim) in [-1, 1] and gives images in [-1, 1].
        """
        networks = self.networks
        return networks["generator"] if "generator" in networks else next(iter(networks.values()))

    def checkpoint_path(self) -> Path:
        """The folder of the checkpoint in use."""
        folder = self.path / "checkpoints"
        steps = checkpoint.list_steps(folder)
        if not steps:
            raise RunError(f"run {self.name} has no checkpoint yet: train on with `etude resume {self.path}`.")
        if self.which_checkpoint == "last":
            return folder / f"step-{steps[-1]}"
        if self.which_checkpoint == "best":
            best = checkpoint.load_progress(folder / f"step-{steps[-1]}").best
            if best is None:
                raise RunError(f"run {self.name} has no best checkpoint: it held no images out; use 'last'.")
            return folder / f"step-{best.step}"
        if self.which_checkpoint in steps:
            return folder / f"step-{self.which_checkpoint}"
        raise RunError(f"run {self.name} has no checkpoint {self.which_checkpoint!r}: choose from last, best, {steps}.")

    @torch.no_grad()
    def sample(self, num_samples: int, *, seed: int = 0, labels: "ArrayLike | Tensor | int | None" = None) -> Tensor:
        """New images from a GAN or VAE, (num_samples, channels, height, width) in [0, 1].

        A conditional VAE draws the given labels, one for all or one each; without them each class in turn.
        """
        if not 1 <= num_samples <= MOST_SAMPLES:
            raise UsageError(f"--num {num_samples} (allowed: 1 to {MOST_SAMPLES:,}; draw more with other seeds).")
        if not 0 <= seed < 2**63:
            raise UsageError(f"--seed {seed} (allowed: in [0, 2^63)).")
        generator = stream(seed, "sample")
        if isinstance(self.recipe, Adversarial):
            self._no_labels(labels)
            noise = uniform_noise(num_samples, self.recipe.noise_dim, generator=generator)
            draw = self.networks["generator"]
            return torch.cat([(draw(part) + 1) / 2 for part in noise.split(IMAGES_AT_ONCE)])
        if isinstance(self.recipe, Variational):
            if labels is None and self.recipe.network == "cvae":
                labels = torch.arange(num_samples) % len(self.class_names)
            z = torch.randn(num_samples, self.recipe.latent_dim, generator=generator)
            return self.decode(z, labels=labels)
        raise self._cannot("sample", "a GAN or VAE")

    def inputs(self, images: "ArrayLike | Tensor", *, generator: torch.Generator | None = None) -> Tensor:
        """Images as the run's networks take them, (N, channels, height, width): see `runs.inputs.network_inputs`.

        Where a VAE was trained on binarised pixels they are drawn from `generator`; without one, the same draw at
        every call.
        """
        images = self._images(images).clamp(0, 1)
        return network_inputs(self.recipe, images, generator=generator or stream(0, "inputs"))

    @torch.no_grad()
    def encode(self, images: "ArrayLike | Tensor", labels: "ArrayLike | Tensor | int | None" = None) -> Tensor:
        """Means of the latent posterior, (N, latent_dim); a conditional VAE needs the images' labels.

        The network is given `inputs(images)`.
        """
        network, images = self._vae("encode"), self.inputs(images)
        parts = self._parts(images, labels)
        return torch.cat([network.encode(part, part_labels)[0] for part, part_labels in parts])

    @torch.no_grad()
    def decode(self, z: "ArrayLike | Tensor", labels: "ArrayLike | Tensor | int | None" = None) -> Tensor:
        """Images of latents (N, latent_dim), (N, channels, height, width) in [0, 1]."""
        network, z = self._vae("decode"), torch.as_tensor(z, dtype=torch.float32)
        latent_dim = z.shape[1] if z.ndim == 2 else None
        if latent_dim != network.latent_dim:
            raise UsageError(f"latents of shape {tuple(z.shape)}; run {self.name} decodes (N, {network.latent_dim}).")
        return torch.cat([network.decode(part, part_labels) for part, part_labels in self._parts(z, labels)])

    def classify(self, images: "ArrayLike | Tensor") -> Tensor:
        """Class probabilities, (N, number of classes)."""
        return self.logits(images).softmax(dim=1)

    @torch.no_grad()
    def logits(self, images: "ArrayLike | Tensor") -> Tensor:
        """A classifier's scores before the softmax, (N, number of classes)."""
        if not isinstance(self.recipe, Classifier):
            raise self._cannot("classify", "a classifier")
        parts = self.inputs(images).split(IMAGES_AT_ONCE)
        return torch.cat([classify(self.recipe, self.model, part) for part in parts])

    def label_index(self, label: int | str) -> int:
        """The index of a class given by its name or its index; `UsageError` names the classes."""
        if str(label) in self.class_names:
            return self.class_names.index(str(label))
        if str(label).isdecimal() and len(str(label)) <= 9 and int(label) < len(self.class_names):
            return int(label)
        raise unknown("label", str(label), self.class_names)

    # Helpers --------------------------------------------------------------------------------------------------------

    def _vae(self, verb: str) -> VAE:
        if not isinstance(self.recipe, Variational):
            raise self._cannot(verb, "a VAE")
        network = self.model
        assert isinstance(network, VAE)
        return network

    def _cannot(self, verb: str, wanted: str) -> UsageError:
        return UsageError(f"run {self.name} is of a {self.recipe.name} and cannot {verb}: choose a run of {wanted}.")

    def _images(self, images: "ArrayLike | Tensor") -> Tensor:
        tensor = torch.as_tensor(images)
        if tensor.ndim != 4 or tuple(tensor.shape[1:]) != self.image_shape:
            wanted = ", ".join(map(str, self.image_shape))
            raise UsageError(f"images of shape {tuple(tensor.shape)}; run {self.name} takes (N, {wanted}).")
        if tensor.dtype == torch.uint8:
            return tensor.float() / 255
        # Colours mixed or resized may overshoot by rounding; -1 to 1, 0 to 255 and NaN are mistakes.
        if not tensor.is_floating_point() or not ((tensor > -0.01) & (tensor < 1.01)).all():
            values = (
                f"{tensor.dtype} from {tensor.min():g} to {tensor.max():g}" if tensor.numel() else f"{tensor.dtype}"
            )
            raise UsageError(
                f"images of {values}; run {self.name} takes floating-point in [0, 1] or uint8 in [0, 255]."
            )
        return tensor.float()

    def _parts(self, inputs: Tensor, labels: "ArrayLike | Tensor | int | None") -> list[tuple[Tensor, Tensor | None]]:
        """The inputs with their labels, a bounded number at a time."""
        if self.recipe.network != "cvae":  # type: ignore[attr-defined]  # of a Variational recipe here
            self._no_labels(labels)
            return [(part, None) for part in inputs.split(IMAGES_AT_ONCE)]
        if labels is None:
            raise UsageError(f"run {self.name} is conditional: give the labels too, one for all or one each.")
        each = torch.as_tensor(np.asarray(labels))
        if each.ndim > 1 or each.numel() not in (1, len(inputs)):
            raise UsageError(f"{each.numel()} labels for {len(inputs)} inputs: give one for all or one each.")
        last = len(self.class_names) - 1
        if each.is_floating_point() or each.is_complex() or not ((each >= 0) & (each <= last)).all():
            raise UsageError(
                f"labels {each.unique().tolist()[:5]} of {each.dtype}; allowed: integers from 0 to {last}."
            )
        each = each.long()
        each = each.expand(len(inputs))
        return list(zip(inputs.split(IMAGES_AT_ONCE), each.split(IMAGES_AT_ONCE), strict=True))

    def _no_labels(self, labels: object) -> None:
        if labels is not None:
            raise UsageError(f"run {self.name} ({self.recipe.name}) knows no labels: leave them out, or train a cvae.")

    def __repr__(self) -> str:
        state = self.state
        return f"<Run {self.name}: {self.recipe.name} on {self.data_name}, {state.status}, epoch {state.epoch}>"

    def _repr_html_(self) -> str:
        return run_html(self)

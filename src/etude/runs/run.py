"""A run: the folder of one training, and everything that can be read from it or done with its networks.

recipe.json      the whole configuration, the data's shape, versions, the machine
vocabulary.txt   of a run on texts: its tokens by their ids (see `etude.data.text.vocabulary`); merges.txt, folds.txt
code/            of networks of one's own: the files that define them (see `code`)
state.json       running, finished, interrupted or failed; how far, how long
metrics.jsonl    one line an event (see `events`)
samples/*.png    pictures drawn while training
checkpoints/     step-N folders (see `checkpoint`)
figures/         pictures drawn after training
remarks.json     tags and a note of a person's (see `remarks`)
measures/        results of `etude measure` (see `etude.measurement`)
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from etude import recipes
from etude.data import Dataset
from etude.data import load as load_dataset
from etude.data.kinds import Images, Kind, Tokens
from etude.data.names import GIVEN_PREFIX, parse_own
from etude.errors import DataError, RunError, UsageError, unknown
from etude.families.abilities import Classifies, Encodes, Predicts, Samples, Trained, Translates, Translation
from etude.families.book import family_of
from etude.families.family import count_parameters
from etude.families.inputs import EXAMPLES_AT_ONCE
from etude.files import expand_home
from etude.runs import checkpoint, code
from etude.runs.configuration import read_configuration
from etude.runs.events import Table, read_events
from etude.runs.lock import is_training
from etude.runs.notebook import run_html
from etude.runs.state import RunStatus, read_state, write_state
from etude.runs.texts import continued, ids_of
from etude.streams import stream

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MOST_SAMPLES = 100_000
MOST_BEAMS = 100


class Run:
    """One training, from its folder; final. Made by `etude.load` and by training.

    Images that come out are float tensors in [0, 1], shape (N, channels, height, width); images that go in are the
    same, or uint8 in [0, 255], as tensors or arrays. Networks are in evaluation mode, on the CPU.
    """

    def __init__(
        self, path: Path, *, checkpoint: int | str = "last", data: str | Dataset | None = None, trust: bool = False
    ) -> None:
        self.path = path
        if trust:
            code.trust(path)
        self.name = path.name
        self.which_checkpoint = checkpoint
        self.configuration, self.recipe, kind = read_configuration(path)
        self.kind: Kind = kind
        """What its examples are: images of a shape, rows of a table, or texts with their vocabulary."""
        self.moved_data = data
        """Where its data is now, `folder:PATH` say, if it has moved since the run began; or the data set itself."""
        dataset = self.configuration["dataset"]
        self.data_name: str = dataset["name"]
        """What its data was called when it began: files other than the published ones have their path as a name."""
        self.class_names: tuple[str, ...] = self.kind.class_names
        self.family = family_of(self.recipe)
        """Of a family of one's own whose code has not run, only what tables and figures need."""
        # A rest sits an epoch out. Training needs a step; a folder that somebody wrote by hand may say otherwise.
        self.steps_per_epoch: int = max(1, dataset["train_images"] // self.recipe.examples_per_step)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of its images; `UsageError` where its examples are none."""
        if not isinstance(self.kind, Images):
            raise UsageError(f"run {self.name} was trained on {self.kind.called}, not on images.")
        return self.kind.shape

    # What the folder says -------------------------------------------------------------------------------------------

    @property
    def state(self) -> RunStatus:
        """How far the run is; a run whose process was killed says interrupted."""
        state = read_state(self.path)
        killed = state.status == "running" and not is_training(self.path)
        return replace(state, status="interrupted") if killed else state

    def write_state(self, state: RunStatus) -> None:
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
        if isinstance(data, Dataset):
            return self._same(data, data.name)
        if data is None and self.recipe.data.startswith(GIVEN_PREFIX):
            raise DataError(
                f"run {self.path} was trained on a data set given in Python: give the same one as data=, or save it to "
                "a file and train on npz:FILE."
            )
        own = parse_own(self.recipe.data)
        if data is None and own and data_dir and own.format == "folder":
            data = f"folder:{expand_home(data_dir).absolute()}"
        if data is None and own and not own.is_there:
            what = "folder" if own.format == "folder" else "file"
            raise DataError(
                f"{own.path}: no such {what} any more, where run {self.path} found its {self.kind.plural}; "
                f"give --data {own.format}:PATH, where they are now."
            )
        recorded = self.configuration["dataset"]
        dataset = load_dataset(
            data or self.recipe.data,
            data_dir=data_dir or self.data_dir,
            reading=replace(self.recipe.reading, skip_broken=False),
            left_out=recorded["left_out"],
        )
        if not recorded.get("validation_split"):
            # A run from before val/ was read, or before there was one, held images out of the training split.
            dataset = replace(dataset, validation=None)
        return self._same(dataset, data) if data else dataset

    def _same(self, dataset: Dataset, name: str) -> Dataset:
        """The data set, which must hold the very examples that the run began with."""
        if dataset.digest() != self.configuration["dataset"]["digest"]:
            raise DataError(
                f"the {self.kind.plural} of {name} are not those that run {self.path} began with, {self.recipe.data}: "
                "name the folder where these are now."
            )
        return dataset

    # What its networks do -------------------------------------------------------------------------------------------

    def open_code(self) -> None:
        """Run the code of its own that it keeps, if any; `RunError` where it was not made here and is not trusted."""
        code.open_copies("run", self.path, [self.recipe], self.configuration["code"])
        self.recipe = recipes.opened(self.recipe)
        self.family = family_of(self.recipe)

    @property
    def parameters(self) -> dict[str, int]:
        """Trainable numbers of each network; known without running code of the run's own."""
        recorded = self.configuration.get("networks")
        return recorded["parameters"] if recorded else count_parameters(self.networks)

    @cached_property
    def networks(self) -> dict[str, nn.Module]:
        """The trained networks by name."""
        self.open_code()
        folder = self.checkpoint_path()
        networks = self.family.network_of(self.recipe).build(self.recipe, self.kind)
        checkpoint.restore_networks(networks, checkpoint.load_model(folder), source=folder)
        return {name: network.eval() for name, network in networks.items()}

    @cached_property
    def trained(self) -> Trained:
        """What its trained networks can do: see `families.abilities`."""
        networks = self.networks  # before the family is asked: the code of one's own must have run
        return self.family.trained(self.recipe, networks, self.kind)

    def can(self, ability: type) -> bool:
        """Whether its trained networks have an ability, such as `Samples`; known without them."""
        return ability in self.family.abilities

    @property
    def conditional(self) -> bool:
        """Whether its networks are given the label; known without them."""
        recorded = self.configuration.get("networks")
        return recorded["conditional"] if recorded else self.family.network_of(self.recipe).conditional

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
        trained: Samples = self._able(Samples, "sample", "a GAN or VAE")
        given = self._labels(labels, num_samples, needed=False)
        if given is None and self.conditional:
            given = torch.arange(num_samples) % len(self.class_names)
        with self.sampling_precision():
            return trained.sample(num_samples, labels=given, generator=stream(seed, "sample"))

    def sampling_precision(self) -> torch.autocast:
        """The context in which it draws: in bf16 where a network trained in it takes many passes, else in float32."""
        many_passes = self.family.network_of(self.recipe).traits.bf16_to_sample
        bf16 = many_passes and self.configuration["execution"]["precision"] == "bf16"
        return torch.autocast("cpu", torch.bfloat16, enabled=bf16)

    def inputs(
        self, examples: "ArrayLike | Tensor | Sequence[str]", *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Examples as the run's networks take them, (N, ...): images in the range that they were trained on.

        Where a VAE was trained on binarised pixels they are drawn from `generator`; without one, the same draw at
        every call.
        """
        return self.trained.inputs(self._examples(examples), generator=generator or stream(0, "inputs"))

    @torch.no_grad()
    def encode(self, examples: "ArrayLike | Tensor", labels: "ArrayLike | Tensor | int | None" = None) -> Tensor:
        """Means of the latent posterior, (N, latent_dim); a conditional VAE needs the images' labels.

        The network is given `inputs(examples)`.
        """
        trained: Encodes = self._able(Encodes, "encode", "a VAE")
        parts = self._parts(self.inputs(examples), labels)
        return torch.cat([trained.encode(part, part_labels)[0] for part, part_labels in parts])

    @torch.no_grad()
    def decode(self, z: "ArrayLike | Tensor", labels: "ArrayLike | Tensor | int | None" = None) -> Tensor:
        """Examples of latents (N, latent_dim): images (N, channels, height, width) in [0, 1]."""
        trained: Encodes = self._able(Encodes, "decode", "a VAE")
        z = torch.as_tensor(z, dtype=torch.float32)
        latent_dim = z.shape[1] if z.ndim == 2 else None
        if latent_dim != trained.latent_dim:
            raise UsageError(f"latents of shape {tuple(z.shape)}; run {self.name} decodes (N, {trained.latent_dim}).")
        return torch.cat([trained.decode(part, part_labels) for part, part_labels in self._parts(z, labels)])

    def classify(self, examples: "ArrayLike | Tensor | Sequence[str]") -> Tensor:
        """Class probabilities, (N, number of classes); a classifier of sentences also takes texts."""
        return self.logits(examples).softmax(dim=1)

    @torch.no_grad()
    def logits(self, examples: "ArrayLike | Tensor | Sequence[str]") -> Tensor:
        """A classifier's scores before the softmax, (N, number of classes)."""
        trained: Classifies = self._able(Classifies, "classify", "a classifier")
        return torch.cat([trained.logits(part) for part in self.inputs(examples).split(EXAMPLES_AT_ONCE)])

    def translate(self, texts: "str | Sequence[str]", *, beam: int | None = None) -> list[Translation]:
        """The translations of a text or of several, with what the translator looked at as it wrote them.

        `beam` sentences are kept while one is written: by default as many as the recipe says; 1 to 100.
        """
        if beam is not None and not 1 <= beam <= MOST_BEAMS:
            raise UsageError(f"--beam {beam} (allowed: 1 to {MOST_BEAMS}).")
        trained: Translates = self._able(Translates, "translate", "a translator")
        return trained.translate([texts] if isinstance(texts, str) else texts, beam=beam)

    def continue_text(self, prompt: str = "", *, length: int = 500, temperature: float = 1.0, seed: int = 0) -> str:
        """The prompt (by default a new line), and `length` symbols more by a language model; see `Predicts.write`."""
        trained = self._able(Predicts, "write a text", "a language model")
        return continued(self.name, trained, self.kind, prompt, length, temperature, seed)

    def label_index(self, label: int | str) -> int:
        """The index of a class given by its name or its index; `UsageError` names the classes."""
        if str(label) in self.class_names:
            return self.class_names.index(str(label))
        if str(label).isdecimal() and len(str(label)) <= 9 and int(label) < len(self.class_names):
            return int(label)
        raise unknown("label", str(label), self.class_names)

    # Helpers --------------------------------------------------------------------------------------------------------

    def _able(self, ability: type, verb: str, wanted: str) -> Any:
        """What its trained networks can do, which must include the ability."""
        if not self.can(ability):
            raise UsageError(f"run {self.name} is of a {self.recipe.name} and cannot {verb}: choose a run of {wanted}.")
        return self.trained

    def _examples(self, examples: "ArrayLike | Tensor | Sequence[str]") -> Tensor:
        """Examples of the run's kind as a tensor; pixels as float32 in [0, 1]; sentences, also as texts, as ids."""
        if isinstance(self.kind, Tokens):
            return ids_of(self.name, self.kind, examples)
        tensor = torch.as_tensor(examples)
        what = "images" if isinstance(self.kind, Images) else "features"
        if tensor.ndim != 1 + len(self.kind.shape) or tuple(tensor.shape[1:]) != tuple(self.kind.shape):
            wanted = ", ".join(map(str, self.kind.shape))
            raise UsageError(f"{what} of shape {tuple(tensor.shape)}; run {self.name} takes (N, {wanted}).")
        if not isinstance(self.kind, Images):
            return tensor.float()
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
        return tensor.float().clamp(0, 1)

    def _parts(self, inputs: Tensor, labels: "ArrayLike | Tensor | int | None") -> list[tuple[Tensor, Tensor | None]]:
        """The inputs with their labels, a bounded number at a time."""
        given, parts = self._labels(labels, len(inputs), needed=True), inputs.split(EXAMPLES_AT_ONCE)
        if given is None:
            return [(part, None) for part in parts]
        return list(zip(parts, given.split(EXAMPLES_AT_ONCE), strict=True))

    def _labels(self, labels: "ArrayLike | Tensor | int | None", count: int, *, needed: bool) -> Tensor | None:
        """One label each (count,), where the networks take any."""
        if not self.conditional:
            if labels is not None:
                raise UsageError(
                    f"run {self.name} ({self.recipe.name}) knows no labels: leave them out, or train a cvae."
                )
            return None
        if labels is None:
            if not needed:
                return None
            raise UsageError(f"run {self.name} is conditional: give the labels too, one for all or one each.")
        each = torch.as_tensor(np.asarray(labels))
        if each.ndim > 1 or each.numel() not in (1, count):
            raise UsageError(f"{each.numel()} labels for {count} inputs: give one for all or one each.")
        last = len(self.class_names) - 1
        if each.is_floating_point() or each.is_complex() or not ((each >= 0) & (each <= last)).all():
            raise UsageError(
                f"labels {each.unique().tolist()[:5]} of {each.dtype}; allowed: integers from 0 to {last}."
            )
        return each.long().expand(count)

    def __repr__(self) -> str:
        state = self.state
        return f"<Run {self.name}: {self.recipe.name} on {self.data_name}, {state.status}, epoch {state.epoch}>"

    def _repr_html_(self) -> str:
        return run_html(self.name, self.recipe, self.data_name, self.state, self.metrics(), self.preview_images())

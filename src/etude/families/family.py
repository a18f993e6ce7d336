"""A family: a way to train networks, and what the trained ones can do."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from etude.data.kinds import Images, Kind
from etude.errors import UsageError
from etude.families.learner import Learner
from etude.families.recipe import Recipe
from etude.families.series import Series, of_losses
from etude.families.trained import TrainedNetworks

R = TypeVar("R", bound=Recipe)
Networks = dict[str, nn.Module]
"""The networks of a run by name."""


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What makes a network fast, measured on it (docs/performance.md); none of it changes what is learned."""

    channels_last: bool = False
    """Whether its convolutions gain when the channels of a pixel lie side by side."""
    bf16: bool = False
    """Whether it gains by bf16 on a processor that is fast at it."""
    bf16_to_sample: bool = False
    """Whether it also draws new examples in bf16, where it was trained in it: each takes many passes."""
    bf16_on_a_gpu: bool = False
    """Whether a GPU computes it in bf16 unless asked otherwise: most of its work is in large convolutions."""
    steps_that_pay_for_compiling: int | None = None
    """Steps that, compiled, save by the second run what compiling costs in both; None where compiling is slower."""
    own_layers: bool = False
    """Whether étude's own kernels compute some of its layers in compiled steps on a processor."""
    slower_compiled_without_own_layers: bool = False
    """Whether it gains by compiling only where those are taken: Inductor pools one number at a time."""
    largest_batch_for_one_thread: int = 0
    """Images in steps so small that further threads gain less than they cost in waiting for each other."""
    eager: str = ""
    """Why its steps are computed operation by operation, and never as one function of tensors; empty where they may."""


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What trying a person's networks told."""

    traits: Traits
    notes: tuple[str, ...] = ()
    """What the person should know, a sentence each."""
    draws: bool = False
    """Whether they draw from PyTorch's global generator, as dropout does."""
    conditional: bool = False
    """Whether they are given the label."""
    parameters: Mapping[str, int] = field(default_factory=dict)
    """Trainable numbers of each network."""


@dataclass(frozen=True, kw_only=True)
class Network(Generic[R]):
    """One choice of a recipe's `network`."""

    build: Callable[[R, Any], Networks]
    """The networks for a recipe and a kind of data, with initial weights from PyTorch's global generator."""
    kinds: tuple[type[Kind], ...] = (Images,)
    """The kinds of data that they take."""
    conditional: bool = False
    """Whether they are given the label."""
    examine: Callable[[R, Any], Examined] | None = None
    """Of a person's own: tries them for a recipe and a kind of data, and tells what came out; `UsageError` says what is
    wrong with them.
    """
    prepare: Callable[[Networks, Tensor], None] | None = None
    """What is computed from the first training examples, as the networks take them, before the first step."""
    traits: Traits = field(default_factory=Traits)


Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """A network by itself, with random weights and no training: what `etude inspect NAME` looks at."""

    build: Callable[[Shape], nn.Module]
    """The network for images of a shape (C, H, W)."""
    image_shape: Shape
    """That of the images it is usually for."""
    input_shape: Shape | None = None
    """That of its input where that is not the image."""
    num_classes: int | None = None
    """Labels, int64 below this number, are its second input where it is given."""
    keywords: Mapping[str, Shape] = field(default_factory=dict)
    """Further inputs by name, with their shapes, batch and all: zeros."""


@dataclass(frozen=True, kw_only=True)
class Family(Generic[R]):
    """Everything that the rest of étude needs to know of a family; each is a folder beside this file."""

    recipe: type[R]
    networks: Mapping[str, Network[R]]
    """By the recipe's `network`."""
    learner: type[Learner[R]]
    """How it trains; made of a recipe, its networks on the device, a data set and an `Execution`."""
    about: str = ""
    """What a run of it is, with its article: "a classifier"; "a NAME" when not given."""
    trained: Callable[[R, Networks, Any], Any] = TrainedNetworks
    """What trained networks can do, for a recipe and a kind of data: it has the methods of some `abilities`."""
    abilities: Set[type] = frozenset()
    """Those that it has."""
    series: Series = field(default=None)  # pyright: ignore[reportAssignmentType]  (set below where it is not given)
    """What tables and figures show of a run; its losses in training when not given."""
    specimens: Mapping[str, Specimen] = field(default_factory=dict)
    """Its networks for `etude inspect`, by name."""
    needs_classes: bool = False
    """Whether it tells classes apart."""
    own: Callable[[R], Network[R]] | None = None
    """The network of a recipe that names one in a person's file."""

    def __post_init__(self) -> None:
        if not self.about:
            object.__setattr__(self, "about", f"a {getattr(self.recipe, 'family', 'network')}")
        if self.series is None:
            object.__setattr__(self, "series", of_losses(getattr(self.learner, "loss_names", ("loss",))))

    @property
    def name(self) -> str:
        """The family's name, as in a recipe's file."""
        return self.recipe.family

    def network_of(self, recipe: R) -> Network[R]:
        """The network that the recipe names."""
        return self.own(recipe) if self.own and recipe.code else self.networks[recipe.network]


def count_parameters(networks: Networks) -> dict[str, int]:
    """Trainable numbers of each network."""
    return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}


def as_image(shape: Shape) -> tuple[int, int, int]:
    """A shape that is an image's, (C, H, W); `UsageError` for any other."""
    if len(shape) != 3:
        raise UsageError(f"an image of {'×'.join(map(str, shape))}; allowed: channels, height and width, as 3,32,32.")
    channels, height, width = shape
    return channels, height, width

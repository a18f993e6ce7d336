"""A family: a way to train networks, and what trained ones can do."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from etude.data.kinds import Images, Kind
from etude.errors import UsageError
from etude.families.learner import Learner
from etude.families.recipe import Recipe
from etude.families.series import Series, of_losses
from etude.families.trained import TrainedNetworks
from etude.families.traits import Traits

R = TypeVar("R", bound=Recipe)
Networks = dict[str, nn.Module]
"""The networks of a run by name."""


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What `Trial` found out about a person's networks."""

    traits: Traits
    notes: tuple[str, ...] = ()
    """What the person should know, one sentence each."""
    draws: bool = False
    """Whether they draw from PyTorch's global generator, as dropout does."""
    conditional: bool = False
    """Whether they are given the label."""
    parameters: Mapping[str, int] = field(default_factory=dict)
    """The number of trainable numbers of each network."""


@dataclass(frozen=True, kw_only=True)
class Network(Generic[R]):
    """One choice of a recipe's `network`."""

    build: Callable[[R, Any], Networks]
    """The networks for a recipe and a kind of data, with initial weights from PyTorch's global generator."""
    kinds: tuple[type[Kind], ...] = (Images,)
    """The kinds of data that they take."""
    conditional: bool = False
    """Whether they are given the label."""
    draws: bool | Callable[[R], bool] = False
    """Whether they draw random numbers in training, as dropout does, or what says so for a recipe. étude then computes
    their steps operation by operation, with PyTorch's global generator seeded from the run's own stream."""
    examine: Callable[[R, Any], Examined] | None = None
    """For a person's networks: try them with a recipe and a kind of data, and return what was found. `UsageError` says
    what is wrong with them."""
    prepare: Callable[[Networks, Tensor], None] | None = None
    """Computes what depends on data before the first step, from the first training examples, as the networks take them.
    """
    traits: Traits = field(default_factory=Traits)


Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """A network alone, with random weights: what `etude inspect NAME` looks at."""

    build: Callable[[Shape], nn.Module]
    """The network for images of a shape (C, H, W), which is () for one that reads sequences."""
    image_shape: Shape = ()
    """The image shape it is usually used for."""
    inputs: Sequence[str] = ()
    """What it reads in place of an image, as `--input` writes it: 20 for 20 symbols of each sequence."""
    input_shape: Shape | None = None
    """The shape of its input, if that is not an image."""
    num_classes: int | None = None
    """If given, labels below this number, int64, are its second input."""
    keywords: Mapping[str, Shape] = field(default_factory=dict)
    """Shapes of further inputs by name, with the batch dimension. They are zeros."""


@dataclass(frozen=True, kw_only=True)
class Family(Generic[R]):
    """Everything that the rest of étude needs to know of a family. Each is a folder beside this file."""

    recipe: type[R]
    networks: Mapping[str, Network[R]]
    """The choices of the recipe's `network`, by name."""
    learner: type[Learner[R]]
    """How it trains: made from a recipe, its networks on the device, a data set and an `Execution`."""
    about: str = ""
    """What one of its runs is called, with the article: "a classifier". Default: "a NAME"."""
    trained: Callable[[R, Networks, Any], Any] = TrainedNetworks
    """What trained networks can do, for a recipe and a kind of data. The object has the methods of some `abilities`."""
    abilities: Set[type] = frozenset()
    """The abilities that it has."""
    series: Series = field(default=None)  # pyright: ignore[reportAssignmentType]  (set below where it is not given)
    """What tables and figures show of a run. Default: its losses in training."""
    specimens: Mapping[str, Specimen] = field(default_factory=dict)
    """Its networks for `etude inspect`, by name."""
    needs_classes: bool = False
    """Whether it tells classes apart."""
    own: Callable[[R], Network[R]] | None = None
    """What to do with a recipe that names a network in a person's file."""

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
    """The number of trainable numbers of each network."""
    return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}


def as_image(shape: Shape) -> tuple[int, int, int]:
    """Return the shape if it is that of an image, (C, H, W); else raise `UsageError`."""
    if len(shape) != 3:
        raise UsageError(f"an image of {'×'.join(map(str, shape))}; allowed: channels, height and width, as 3,32,32.")
    channels, height, width = shape
    return channels, height, width

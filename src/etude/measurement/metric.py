"""What a metric is: its name, the networks that it fits, and the settings that its result depends on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from etude.data.kinds import Images, Kind, Table
from etude.measurement.results import Result
from etude.measurement.subject import Subject

Better = Literal["higher", "lower"] | None


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric of some networks."""

    name: str
    about: str
    """What it is, in a few words for a table."""
    compute: Callable[[Subject], dict[str, Any]]
    """From a run to the numbers of a `Result`; None and numbers that are not finite are allowed."""
    remark: Callable[[Result], str] = lambda result: ""
    """What else a reader of the table needs to know of a result."""
    needs: type
    """The ability that networks must have."""
    conditional: bool = False
    """Only for networks that are given the label."""
    kinds: tuple[type[Kind], ...] = (Images, Table)
    """The kinds of data that it is for."""
    depends_on: tuple[str, ...] = ("num_samples", "seed")
    """Fields of `Settings` that change its result."""
    better: Better = "higher"
    """Which way is better; None where neither is."""
    on_request: bool = False
    """Whether it is computed only when asked for."""
    code: str = ""
    """The digest of a person's code that computes it."""
    kept: bool = True
    """Whether its result is kept in the run: not where nothing says whether its code has changed."""

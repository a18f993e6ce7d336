"""A recipe of a person's family as its file has it, before the family's code has run."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from tyro.conf import Suppress

from etude.families.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class UnopenedRecipe(Recipe):
    """What every recipe has. The family's own fields are only in `values`. Final.

    `values["facts"]` is what tables and figures need to know of the family: see `facts.facts_of`.
    """

    values: Annotated[Mapping[str, Any], Suppress] = field(hash=False)

    @property
    def family(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The family's name."""
        return self.values["family"]

    @property
    def examples_per_step(self) -> int:
        """As the family's own recipe said."""
        return self.values["facts"]["examples_per_step"]

    @property
    def num_latents(self) -> int:
        """As the family's own recipe said."""
        return self.values["facts"]["num_latents"]

    def require_facts(self) -> None:
        """Raise `KeyError` or `TypeError` if a fact is missing or is not a number."""
        for name in ("examples_per_step", "num_latents"):
            if not isinstance(self.values["facts"][name], int):
                raise TypeError(f"{name} is {self.values['facts'][name]!r}")


BASIC = tuple(each.name for each in fields(Recipe))
"""The fields that every recipe has."""

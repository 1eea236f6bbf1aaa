"""What was asked of `effect_size`, checked: an unknown choice, or one that would have no effect, is an error."""

import math
from dataclasses import dataclass
from typing import Literal

from metapeer.effects import continuous
from metapeer.effects.binary import TACC
from metapeer.effects.measures import (
    ARMS,
    CORRELATION,
    EVENTS,
    GROUP_EVENTS,
    GROUP_MEAN,
    GROUP_RATE,
    LOG_RANK,
    RATES,
    Measure,
    ZeroCells,
    find_measure,
)
from metapeer.errors import ChoiceError, check_choice

__all__ = ["Options", "Prefer"]

Prefer = Literal["arms", "review", "reported"]

_SOURCES = {
    ARMS: "arms",
    EVENTS: "events",
    RATES: "rates",
    LOG_RANK: "log_rank",
    GROUP_EVENTS: "group_events",
    GROUP_RATE: "group_rate",
    GROUP_MEAN: "group_mean",
    CORRELATION: "correlation",
    (): "generic",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The arguments of `metapeer.effects.table.effect_size`, whose docstring explains them.

    Parameters
    ----------
    measure : Measure
        What to compute.
    variance, prefer, orient, events_to_smd, zero_cells, add, drop_double_zero, level
        As `effect_size` has them.
    """

    measure: Measure
    variance: str
    prefer: Prefer
    orient: bool | None
    events_to_smd: bool
    zero_cells: ZeroCells | None
    add: float | Literal["TACC"]
    drop_double_zero: bool | None
    level: float

    def __post_init__(self) -> None:
        code = self.measure.code
        if code == "SMD":
            continuous.find_smd_variance(self.variance)
        elif self.measure.variances:
            check_choice("variance", self.variance, ("metafor", *self.measure.variances))
        check_choice("prefer", self.prefer, ("arms", "review", "reported"))
        if self.zero_cells is not None:
            check_choice("zero_cells", self.zero_cells, ("only0", "all", "if0all", "none"))
        self._reject_idle()
        if self.add != TACC and not (isinstance(self.add, int | float) and 0 <= self.add < math.inf):
            raise ChoiceError(f"add {self.add!r} will not do; it must be a number of at least 0, or 'TACC'")
        if not (isinstance(self.level, int | float) and 0 < self.level < 1):
            raise ChoiceError(f"level {self.level!r} will not do; it must lie between 0 and 1, such as 0.95")

    def _reject_idle(self) -> None:
        code = self.measure.code
        idle = {
            "variance": code != "SMD" and not self.measure.variances and self.variance != "metafor",
            "prefer": len(self.sources) == 1 and self.prefer != "arms",
            "orient": not self.measure.comparative and self.orient is not None,
            "events_to_smd": code != "SMD" and self.events_to_smd,
            "zero_cells": not self.uses_events and self.zero_cells is not None,
            "add": not self.uses_events and self.add != 0.5,
            "drop_double_zero": not self._has_tables and self.drop_double_zero is not None,
        }
        for name, has_no_effect in idle.items():
            if has_no_effect:
                unless = " without events_to_smd=True" if code == "SMD" else ""
                raise ChoiceError(f"{name} has no effect with measure {code!r}{unless}; leave it out")
        if self.add == TACC and self.of_events.columns != EVENTS:
            raise ChoiceError(f"add 'TACC' needs participants in two arms, which {code!r} does not have; give a number")

    @property
    def uses_events(self) -> bool:
        """Whether effects are computed from event counts."""
        return self.measure.counts or self.events_to_smd

    @property
    def _has_tables(self) -> bool:
        return self.events_to_smd or (self.measure.counts and self.measure.comparative)

    @property
    def smd(self) -> continuous.SMDVariance:
        """The definition of the standardised mean difference."""
        return continuous.find_smd_variance(self.variance)

    @property
    def averages(self) -> bool:
        """Whether the variance of a row depends on the effects of the others, and so on which way signs are turned."""
        return self.measure.code == "SMD" and self.smd.name == "AV"

    @property
    def of_events(self) -> Measure:
        """What is computed from events: the odds ratio, where it will become a standardised mean difference."""
        return find_measure("OR") if self.events_to_smd else self.measure

    @property
    def turns_signs(self) -> bool:
        """Whether signs are turned so that positive favours arm 1."""
        return self.measure.oriented if self.orient is None else self.orient

    @property
    def kind(self) -> str:
        """What the measure itself is computed from, by a name of its own."""
        return _SOURCES[self.measure.columns]

    @property
    def sources(self) -> tuple[str, ...]:
        """Where effects may come from, the preferred one first."""
        if not self.measure.comparative or self.kind == "generic":
            return (self.kind,)
        computed = [self.kind, *(["events"] if self.events_to_smd else [])]
        return tuple(
            {
                "arms": [*computed, "reported"],
                "review": ["review", *computed, "reported"],
                "reported": ["reported", *computed],
            }[self.prefer]
        )

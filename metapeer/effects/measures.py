"""The register of effect measures: what each needs, on which scale it is pooled, and how it reads."""

import math
from dataclasses import dataclass
from typing import Literal

from metapeer.errors import check_choice

__all__ = ["ARMS", "EVENTS", "MEASURES", "Measure", "MeasureCode", "ZeroCells", "find_measure"]

MeasureCode = Literal["SMD", "SMDH", "MD", "ROM", "RR", "OR", "RD", "AS", "PETO", "GEN"]
ZeroCells = Literal["only0", "all", "if0all", "none"]

ARMS = ("n1", "mean1", "sd1", "n2", "mean2", "sd2")
EVENTS = ("events1", "total1", "events2", "total2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One effect measure.

    Parameters
    ----------
    code : str
        metafor's code, such as ``"SMD"``.
    name : str
        The name for a label.
    scale : {"identity", "log"}
        The scale `yi` is on; a ratio is pooled as its logarithm.
    columns : tuple of str
        The columns it is computed from; empty for a ready-made effect.
    oriented : bool
        Whether signs are turned, unless asked otherwise, so that positive favours arm 1. True where instruments of
        both directions are meant to be pooled together; a natural unit or a ratio is left as its arms give it.
    zero_cells : {"only0", "all", "if0all", "none"}
        Where a constant is added to the cells of a table of events, unless asked otherwise.
    drop_double_zero : bool
        Whether a table without events, or without non-events, in either arm is left out unless asked otherwise.
    variances : tuple of str
        Names of variance formulas, where the formula is a choice that does not stand in
        `metapeer.effects.continuous.SMD_VARIANCES`.
    """

    code: MeasureCode
    name: str
    scale: Literal["identity", "log"] = "identity"
    columns: tuple[str, ...] = ()
    oriented: bool = False
    zero_cells: ZeroCells = "none"
    drop_double_zero: bool = False
    variances: tuple[str, ...] = ()

    @property
    def null(self) -> float:
        """The value of no effect as it is displayed: 1 for a ratio, otherwise 0."""
        return self.display(0.0)

    def display(self, yi: float) -> float:
        """Turn an effect on the analysis scale into the one a reader expects.

        Parameters
        ----------
        yi : float
            An effect, or a limit of its interval.

        Returns
        -------
        float
            ``exp(yi)`` for a ratio, otherwise `yi`.
        """
        return math.exp(yi) if self.scale == "log" else yi


# Zero cells: RR, OR and RD as metafor's escalc (a half to each cell of a table with a zero cell). The arcsine
# difference and Peto's odds ratio exist to do without (Rücker et al. 2009, Stat Med 28:721-738; Cochrane Handbook
# 6.5, section 10.4.4.1). Double-zero tables say nothing about a ratio but do about a difference (section 10.4.4.1).
MEASURES: dict[str, Measure] = {
    measure.code: measure
    for measure in (
        Measure(code="SMD", name="standardised mean difference (Hedges g)", columns=ARMS, oriented=True),
        Measure(
            code="SMDH",
            name="standardised mean difference, heteroscedastic",
            columns=ARMS,
            oriented=True,
            variances=("LS",),
        ),
        Measure(code="MD", name="mean difference", columns=ARMS, variances=("LS", "HO")),
        Measure(code="ROM", name="ratio of means", scale="log", columns=ARMS, variances=("LS", "HO")),
        Measure(code="RR", name="risk ratio", scale="log", columns=EVENTS, zero_cells="only0", drop_double_zero=True),
        Measure(code="OR", name="odds ratio", scale="log", columns=EVENTS, zero_cells="only0", drop_double_zero=True),
        Measure(code="RD", name="risk difference", columns=EVENTS, zero_cells="only0"),
        Measure(code="AS", name="arcsine risk difference", columns=EVENTS),
        Measure(code="PETO", name="Peto odds ratio", scale="log", columns=EVENTS, drop_double_zero=True),
        Measure(code="GEN", name="effect"),
    )
}


def find_measure(code: object) -> Measure:
    """Return the measure called `code`.

    Parameters
    ----------
    code : str
        metafor's code.

    Returns
    -------
    Measure
        Its entry in the register.

    Raises
    ------
    ChoiceError
        If there is no such measure.

    Examples
    --------
    >>> find_measure("RR").name
    'risk ratio'
    >>> find_measure("RR").null
    1.0
    """
    return MEASURES[check_choice("measure", code, MEASURES)]

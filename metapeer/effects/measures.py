"""The register of effect measures: what each needs, on which scale it is pooled, and how it reads."""

import math
from dataclasses import dataclass
from typing import Literal

from metapeer.effects.scales import SCALES, Scale
from metapeer.errors import check_choice

__all__ = [
    "ARMS",
    "CORRELATION",
    "EVENTS",
    "GROUP_EVENTS",
    "GROUP_MEAN",
    "GROUP_RATE",
    "LOG_RANK",
    "MEASURES",
    "RATES",
    "Measure",
    "MeasureCode",
    "ZeroCells",
    "find_measure",
]

MeasureCode = Literal[
    "SMD", "SMDH", "MD", "ROM",
    "RR", "OR", "RD", "AS", "PETO",
    "IRR", "IRD", "IRSD", "HR",
    "PR", "PLN", "PLO", "PAS", "PFT",
    "IR", "IRLN", "IRS", "IRFT",
    "MN", "MNLN",
    "COR", "UCOR", "ZCOR",
    "GEN",
]  # fmt: skip
ZeroCells = Literal["only0", "all", "if0all", "none"]

ARMS = ("n1", "mean1", "sd1", "n2", "mean2", "sd2")
EVENTS = ("events1", "total1", "events2", "total2")
RATES = ("events1", "time1", "events2", "time2")
LOG_RANK = ("oe", "v")
GROUP_EVENTS = ("events", "total")
GROUP_RATE = ("events", "time")
GROUP_MEAN = ("mean", "sd", "n")
CORRELATION = ("r", "n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One effect measure.

    Parameters
    ----------
    code : str
        metafor's code, such as ``"SMD"``.
    name : str
        The name for a label.
    scale : str
        The scale `yi` is on, a key of `metapeer.effects.scales.SCALES`; a ratio is pooled as its logarithm.
    columns : tuple of str
        The columns it is computed from; empty for a ready-made effect.
    oriented : bool
        Whether signs are turned, unless asked otherwise, so that positive favours arm 1. True where instruments of
        both directions are meant to be pooled together; a natural unit or a ratio is left as its arms give it.
    zero_cells : {"only0", "all", "if0all", "none"}
        Where a constant is added to counts, unless asked otherwise.
    drop_double_zero : bool
        Whether a table without events, or without non-events, in either arm is left out unless asked otherwise.
    variances : tuple of str
        Names of variance formulas, where the formula is a choice that does not stand in
        `metapeer.effects.continuous.SMD_VARIANCES`.
    comparative : bool
        Whether two arms are compared, so that a sign can favour one of them.
    has_null : bool
        Whether zero on the scale of `yi` means no effect; it does not for a proportion, a rate or a mean.
    """

    code: MeasureCode
    name: str
    scale: Scale = "identity"
    columns: tuple[str, ...] = ()
    oriented: bool = False
    zero_cells: ZeroCells = "none"
    drop_double_zero: bool = False
    variances: tuple[str, ...] = ()
    comparative: bool = True
    has_null: bool = True

    @property
    def null(self) -> float:
        """The value of no effect as it is displayed: 1 for a ratio, 0 for a difference, NaN where there is none."""
        return self.display(0.0) if self.has_null else math.nan

    @property
    def counts(self) -> bool:
        """Whether it is computed from counts of events."""
        return self.columns in (EVENTS, RATES, GROUP_EVENTS, GROUP_RATE)

    def display(self, yi: float, variance: float = 0.0) -> float:
        """Turn an effect on the analysis scale into the one a reader expects.

        Parameters
        ----------
        yi : float
            An effect, or a limit of its interval.
        variance : float, default 0
            Sampling variance of the effect: Freeman and Tukey's measures, ``"PFT"`` and ``"IRFT"``, cannot be turned
            back without the sample size, which it tells. The others do not need it.

        Returns
        -------
        float
            ``exp(yi)`` for a ratio, a proportion for a logit, and so on.

        Examples
        --------
        >>> find_measure("PLO").display(0.0), find_measure("MD").display(2.5)
        (0.5, 2.5)
        """
        return SCALES[self.scale](yi, variance)


def _of_one_group(
    code: MeasureCode, name: str, columns: tuple[str, ...], scale: Scale, zero_cells: ZeroCells
) -> Measure:
    return Measure(
        code=code,
        name=name,
        columns=columns,
        scale=scale,
        zero_cells=zero_cells,
        comparative=False,
        has_null=False,
    )


def _correlation(code: MeasureCode, name: str, scale: Scale, variances: tuple[str, ...]) -> Measure:
    return Measure(code=code, name=name, columns=CORRELATION, scale=scale, variances=variances, comparative=False)


# Zero counts: as metafor's escalc, a half to each cell of a table with a zero cell, except where a measure exists to do
# without: the arcsine and root measures (Rücker et al. 2009, Stat Med 28:721-738) and Peto's odds ratio (Cochrane
# Handbook 6.5, section 10.4.4.1). Double-zero tables say nothing about a ratio but do about a difference (same place).
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
        Measure(
            code="IRR",
            name="incidence rate ratio",
            scale="log",
            columns=RATES,
            zero_cells="only0",
            drop_double_zero=True,
        ),
        Measure(code="IRD", name="incidence rate difference", columns=RATES, zero_cells="only0"),
        Measure(code="IRSD", name="difference of root incidence rates", columns=RATES),
        Measure(code="HR", name="hazard ratio", scale="log", columns=LOG_RANK),
        _of_one_group("PR", "proportion", GROUP_EVENTS, "identity", "only0"),
        _of_one_group("PLN", "proportion (log)", GROUP_EVENTS, "log", "only0"),
        _of_one_group("PLO", "proportion (logit)", GROUP_EVENTS, "logit", "only0"),
        _of_one_group("PAS", "proportion (arcsine)", GROUP_EVENTS, "arcsine", "none"),
        _of_one_group("PFT", "proportion (Freeman-Tukey double arcsine)", GROUP_EVENTS, "double arcsine", "none"),
        _of_one_group("IR", "incidence rate", GROUP_RATE, "identity", "only0"),
        _of_one_group("IRLN", "incidence rate (log)", GROUP_RATE, "log", "only0"),
        _of_one_group("IRS", "incidence rate (root)", GROUP_RATE, "root", "none"),
        _of_one_group("IRFT", "incidence rate (Freeman-Tukey double root)", GROUP_RATE, "double root", "none"),
        _of_one_group("MN", "mean", GROUP_MEAN, "identity", "none"),
        _of_one_group("MNLN", "mean (log)", GROUP_MEAN, "log", "none"),
        _correlation("COR", "correlation", "identity", ("LS", "AV")),
        _correlation("UCOR", "correlation (Olkin-Pratt unbiased)", "identity", ("LS", "AV")),
        _correlation("ZCOR", "correlation (Fisher's z)", "Fisher z", ()),
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

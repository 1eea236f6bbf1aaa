"""Priors of tau read off past reviews: the predictive distributions of Turner et al. and of Rhodes et al. (2015).

Both papers modelled the heterogeneity of thousands of meta-analyses in the Cochrane Database and give, for a new
meta-analysis of a given kind, the distribution of tau**2 to expect: log-normal for log odds ratios (Turner), log-t with
5 degrees of freedom for standardised mean differences (Rhodes).

The numbers were read in two transcriptions of the papers' tables: the R packages bayesmeta (``TurnerEtAlParameters``,
``RhodesEtAlParameters``) and rnmamod (``table_tau2_prior``). A cell on which the two differ is left out (None). In the
papers' models a location is the sum of an effect of the outcome, of the comparison and of the medical area, so that
every cell can be foretold from its neighbours to within rounding; all can but the two in `DOUBTFUL`.
"""

import warnings
from typing import Literal

from metapeer.errors import ChoiceError, DataWarning, check_choice
from metapeer.pooling.priors import TauPrior, log_normal, log_t

__all__ = ["DOUBTFUL", "RHODES", "TURNER", "rhodes", "turner"]

TurnerComparison = Literal[
    "pharmacological vs control",
    "pharmacological vs pharmacological",
    "non-pharmacological vs control",
    "non-pharmacological vs pharmacological",
    "non-pharmacological vs non-pharmacological",
]
RhodesComparison = Literal[
    "pharmacological vs control", "pharmacological vs pharmacological", "non-pharmacological vs any"
]
Area = Literal["other", "respiratory", "cancer"]

TURNER_COMPARISONS: tuple[TurnerComparison, ...] = (
    "pharmacological vs control",
    "pharmacological vs pharmacological",
    "non-pharmacological vs control",
    "non-pharmacological vs pharmacological",
    "non-pharmacological vs non-pharmacological",
)
RHODES_COMPARISONS: tuple[RhodesComparison, ...] = (
    "pharmacological vs control",
    "pharmacological vs pharmacological",
    "non-pharmacological vs any",
)

Cell = tuple[float, float]

TURNER: dict[str, tuple[Cell, ...]] = {
    "all-cause mortality": ((-3.95, 1.34), (-4.18, 1.41), (-4.17, 1.55), (-2.92, 1.02), (-3.50, 1.26)),
    "obstetric": ((-3.52, 1.74), (-3.75, 1.79), (-3.74, 1.91), (-2.49, 1.50), (-3.08, 1.68)),
    "cause-specific mortality or major morbidity": (
        (-3.71, 1.74),
        (-3.95, 1.79),
        (-3.93, 1.91),
        (-2.68, 1.51),
        (-3.27, 1.68),
    ),
    "resource use": ((-2.34, 1.74), (-2.58, 1.79), (-2.56, 1.91), (-1.31, 1.50), (-1.90, 1.68)),
    "surgical or device success": ((-2.14, 1.74), (-2.37, 1.79), (-2.36, 1.91), (-1.11, 1.50), (-1.69, 1.68)),
    "withdrawals": ((-2.99, 1.74), (-3.23, 1.79), (-3.21, 1.91), (-1.96, 1.51), (-2.55, 1.68)),
    "structure": ((-2.71, 1.74), (-2.94, 1.79), (-2.93, 1.92), (-1.67, 1.51), (-2.26, 1.68)),
    "general physical health": ((-2.29, 1.53), (-2.53, 1.58), (-2.51, 1.72), (-1.26, 1.25), (-1.85, 1.46)),
    "adverse events": ((-1.87, 1.52), (-2.10, 1.58), (-2.10, 1.71), (-0.84, 1.24), (-1.43, 1.45)),
    "infection or new disease": ((-2.49, 1.52), (-2.73, 1.58), (-2.71, 1.71), (-1.46, 1.24), (-2.05, 1.45)),
    "signs or symptoms": ((-2.06, 1.51), (-2.29, 1.58), (-2.28, 1.71), (-1.03, 1.24), (-1.61, 1.45)),
    "pain": ((-1.83, 1.52), (-2.06, 1.58), (-2.05, 1.71), (-0.80, 1.25), (-1.38, 1.45)),
    "quality of life": ((-2.54, 1.54), (-2.78, 1.60), (-2.77, 1.73), (-1.51, 1.27), (-2.10, 1.47)),
    "mental health": ((-2.12, 1.53), (-2.35, 1.60), (-2.34, 1.72), (-1.09, 1.27), (-1.67, 1.47)),
    "biological markers": ((-1.77, 1.52), (-2.00, 1.58), (-1.99, 1.71), (-0.74, 1.24), (-1.33, 1.45)),
    "various subjective": ((-2.70, 1.52), (-2.93, 1.58), (-2.92, 1.71), (-1.67, 1.25), (-2.26, 1.45)),
}
"""Turner et al. (2015), Table IV: mean and standard deviation of log tau², in the order of `TURNER_COMPARISONS`."""

TURNER_GENERAL: Cell = (-2.56, 1.74)
"""Turner et al. (2015), p. 993: any outcome, any comparison."""

RHODES: dict[Area, dict[str, tuple[Cell | None, ...]]] = {
    "other": {  # Table 3
        "obstetric": ((-4.13, 2.34), (-4.40, 2.31), (-3.99, 2.11)),
        "resource use": ((-2.55, 2.73), (-2.83, 2.70), (-2.41, 2.57)),
        "structure": ((-2.43, 2.50), (-2.70, 2.46), (-2.29, 2.32)),
        "general physical health": ((-3.16, 2.50), (-3.44, 2.44), (-3.02, 2.27)),
        "signs or symptoms": ((-3.00, 2.50), (-3.27, 2.47), (-2.86, 2.33)),
        "mental health": ((-2.99, 2.16), (-3.27, 2.14), (-3.85, 1.93)),
        "biological markers": ((-3.41, 2.83), (-3.68, 2.78), (-3.27, 2.66)),
        "various subjective": ((-2.76, 2.58), (-3.03, 2.59), (-2.62, 2.41)),
    },
    "respiratory": {  # Table A.3.1
        "obstetric": ((-6.03, 2.36), (-6.31, 2.31), (-5.89, 2.21)),
        "resource use": ((-4.46, 2.74), (-4.73, 2.70), (-4.32, 2.57)),
        "structure": ((-4.33, 2.51), (-4.61, 2.46), (-4.19, 2.33)),
        "general physical health": ((-5.07, 2.51), (-5.34, 2.45), (-4.93, 2.28)),
        "signs or symptoms": ((-4.90, 2.50), (-5.18, 2.47), (-4.76, 2.33)),
        "mental health": ((-4.90, 2.17), (-5.17, 2.14), (-4.76, 1.94)),
        "biological markers": ((-5.31, 2.83), (-5.59, 2.78), (-5.17, 2.66)),
        "various subjective": ((-4.66, 2.59), (-4.94, 2.59), (-4.52, 2.41)),
    },
    "cancer": {  # Table A.3.2
        "obstetric": ((-1.57, 2.45), (-1.85, 2.41), (-1.43, 2.24)),
        "resource use": (None, (-0.27, 2.79), (0.15, 2.68)),
        "structure": ((-0.13, 2.61), (-0.14, 2.56), (0.27, 2.45)),
        "general physical health": ((-0.60, 2.61), (-0.88, 2.55), (-0.46, 2.40)),
        "signs or symptoms": ((-0.44, 2.60), (-0.71, 2.57), (-0.30, 2.46)),
        "mental health": ((-0.43, 2.28), (-0.71, 2.25), (-0.29, 2.08)),
        "biological markers": ((-0.85, 2.93), (-1.13, 2.87), (-0.71, 2.78)),
        "various subjective": ((-0.20, 2.68), (-0.48, 2.68), (-0.06, 2.53)),
    },
}
"""Rhodes et al. (2015): location and scale of the t distribution of log tau², in the order of `RHODES_COMPARISONS`.

The empty cell: bayesmeta has 0.01 as its location, rnmamod -0.01.
"""

RHODES_GENERAL: Cell = (-3.44, 2.59)
"""Rhodes et al. (2015), section 3.3: any outcome, any comparison."""

DOUBTFUL: dict[tuple[Area, str, RhodesComparison], float] = {
    ("other", "mental health", "non-pharmacological vs any"): -2.85,
    ("cancer", "structure", "pharmacological vs control"): 0.13,
}
"""Cells of `RHODES` that do not fit the sums they are made of, with the location that would; probably misprints."""


def _choose(name: str, value: str | None, known: tuple[str, ...], remedy: str) -> str:
    if value is None:
        raise ChoiceError(f"{name} is missing: {remedy}")
    return check_choice(name, value, known)


def turner(*, outcome: str | None = None, comparison: TurnerComparison | None = None) -> TauPrior:
    """Prior of tau for log odds ratios, from past meta-analyses of binary outcomes.

    Parameters
    ----------
    outcome : str, optional
        "all-cause mortality", "obstetric", "cause-specific mortality or major morbidity", "resource use", "surgical or
        device success", "withdrawals", "structure", "general physical health", "adverse events", "infection or new
        disease", "signs or symptoms", "pain", "quality of life", "mental health", "biological markers" or "various
        subjective". Left out with `comparison`, the distribution over all of medicine is taken.
    comparison : str, optional
        "pharmacological vs control", "pharmacological vs pharmacological", "non-pharmacological vs control",
        "non-pharmacological vs pharmacological" or "non-pharmacological vs non-pharmacological". A control is a
        placebo, usual care or no treatment.

    Returns
    -------
    TauPrior
        Log-normal for tau².

    Raises
    ------
    ChoiceError
        If the outcome or the comparison is unknown, or one is given without the other.

    References
    ----------
    Turner et al. (2015), Stat Med 34:984-998, doi:10.1002/sim.6381, Table IV and p. 993.

    Examples
    --------
    >>> prior = turner(outcome="mental health", comparison="non-pharmacological vs control")
    >>> prior.location, prior.scale, round(prior.quantile(0.5), 2)
    (-2.34, 1.72, 0.31)
    """
    if outcome is None and comparison is None:
        return log_normal(*TURNER_GENERAL, label="turner()")
    outcome = _choose("outcome", outcome, tuple(TURNER), "give it together with comparison, or neither")
    chosen = _choose("comparison", comparison, TURNER_COMPARISONS, "give it together with outcome, or neither")
    cells = dict(zip(TURNER_COMPARISONS, TURNER[outcome], strict=True))
    return log_normal(*cells[chosen], label=f"turner({outcome!r}, {chosen!r})")  # type: ignore[index]


def rhodes(*, outcome: str | None = None, comparison: RhodesComparison | None = None, area: Area = "other") -> TauPrior:
    """Prior of tau for standardised mean differences, from 6,492 past meta-analyses of continuous outcomes.

    Parameters
    ----------
    outcome : str, optional
        "obstetric", "resource use", "structure", "general physical health" (also adverse events, pain, quality of
        life and functioning), "signs or symptoms" (also infection and onset of disease), "mental health",
        "biological markers" or "various subjective". Left out with `comparison`, the distribution over all of
        medicine is taken.
    comparison : str, optional
        "pharmacological vs control", "pharmacological vs pharmacological" or "non-pharmacological vs any".
    area : {"other", "respiratory", "cancer"}, default "other"
        Medical area.

    Returns
    -------
    TauPrior
        Log-t with 5 degrees of freedom for tau².

    Raises
    ------
    ChoiceError
        If a choice is unknown, outcome or comparison is given without the other, or the cell could not be verified.

    Warns
    -----
    DataWarning
        If the cell does not fit its neighbours and is probably a misprint.

    References
    ----------
    Rhodes, Turner & Higgins (2015), J Clin Epidemiol 68:52-60, doi:10.1016/j.jclinepi.2014.08.012, Tables 3, A.3.1 and
    A.3.2, and section 3.3.

    Examples
    --------
    >>> prior = rhodes(outcome="general physical health", comparison="non-pharmacological vs any")
    >>> prior.location, prior.scale, round(prior.quantile(0.5), 2)
    (-3.02, 2.27, 0.22)
    """
    area = check_choice("area", area, tuple(RHODES))
    if outcome is None and comparison is None:
        if area != "other":
            raise ChoiceError("area has no effect without outcome and comparison; leave it out, or give them")
        return log_t(*RHODES_GENERAL, label="rhodes()")
    outcome = _choose("outcome", outcome, tuple(RHODES[area]), "give it together with comparison, or neither")
    chosen: RhodesComparison = _choose(  # type: ignore[assignment]
        "comparison", comparison, RHODES_COMPARISONS, "give it together with outcome, or neither"
    )
    cell = dict(zip(RHODES_COMPARISONS, RHODES[area][outcome], strict=True))[chosen]
    name = f"rhodes({outcome!r}, {chosen!r}" + ("" if area == "other" else f", area={area!r}") + ")"
    if cell is None:
        raise ChoiceError(f"{name} could not be verified: two transcriptions of the table differ; use log_t() instead")
    expected = DOUBTFUL.get((area, outcome, chosen))
    if expected is not None:
        warnings.warn(
            f"{name} has location {cell[0]}, as two transcriptions of the table have it, but its neighbours say "
            f"{expected}; log_t({expected}, {cell[1]}) is probably what was meant",
            DataWarning,
            stacklevel=2,
        )
    return log_t(cell[0], cell[1], label=name)

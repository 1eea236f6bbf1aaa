"""How much information a meta-analysis needs before one test of it has the power that is asked for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metapeer.effects.measures import MEASURES, find_measure
from metapeer.errors import ChoiceError, MetapeerError
from metapeer.formatting import Printable, TextTable, format_number
from metapeer.living.sequential_formulas import required_drift

__all__ = ["RequiredInformation", "check_share", "required_information_size"]

BINARY = ("RR", "OR", "RD")
LARGEST_SHARE = 99.9
"""Per cent of diversity beyond which a thousand times the information would be needed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RequiredInformation(Printable):
    """The result of `required_information_size`.

    Parameters
    ----------
    measure : str
        What the effect is; empty when not stated.
    effect : float
        The effect to be found, in the units of the pooled effects (log for ratios).
    alpha, power : float
        Two-sided error, and power.
    heterogeneity : float
        Per cent of diversity that was adjusted for.
    adjusted_by : str
        Where that number comes from, in words; empty when none was adjusted for.
    information : float
        Required statistical information: one over the sum of squared standard errors under a common effect.
    participants : int or None
        Required participants of both arms, of equal size; None where the measure does not tell.
    sd : float or None
        Standard deviation within arms, for effects in its units.
    control_risk : float or None
        Risk in arm 2, for effects of events.
    """

    measure: str
    effect: float
    alpha: float
    power: float
    heterogeneity: float
    adjusted_by: str
    information: float
    participants: int | None
    sd: float | None
    control_risk: float | None

    def to_frame(self) -> pd.DataFrame:
        """Put everything in a row.

        Returns
        -------
        DataFrame
            One row; ratios on the log scale.
        """
        names = ("measure", "effect", "alpha", "power", "heterogeneity", "adjusted_by", "information", "participants")
        return pd.DataFrame([{name: getattr(self, name) for name in (*names, "sd", "control_risk")}])

    def rows(self) -> list[tuple[str, str]]:
        """Say what is required and for what.

        Returns
        -------
        list of (str, str)
            Names and values.
        """
        shown = format_number(MEASURES[self.measure or "GEN"].display(self.effect), 3)
        what = f"{self.measure or 'effect'} {shown}"
        if self.control_risk is not None:
            what += f" from a risk of {self.control_risk:.3g} in arm 2"
        if self.sd is not None:
            what += f", standard deviation {self.sd:.4g}"
        found = [
            ("effect to be found", what),
            ("two-sided error; power", f"{self.alpha:.3g}; {self.power:.3g}"),
            (
                "adjustment for heterogeneity",
                f"{self.heterogeneity:.1f}% ({self.adjusted_by}): times {1 / (1 - self.heterogeneity / 100):.3g}"
                if self.heterogeneity > 0.0
                else self.adjusted_by or "none",
            ),
            ("required information", f"{self.information:.4g} (1 / squared standard error)"),
        ]
        if self.participants is not None:
            found.append(("required participants", f"{self.participants:,} in arms of equal size"))
        return found

    def text_tables(self) -> Sequence[TextTable]:
        """Describe what is required in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        return (
            TextTable(
                title="Required information size of a meta-analysis",
                header=("", ""),
                rows=self.rows(),
                notes=["for one look when all information is there; looks before that cost power"],
            ),
        )


def check_share(name: str, value: object, low: float = 0.0, high: float = 1.0) -> float:
    """Return a number that lies strictly between two others.

    Parameters
    ----------
    name : str
        The argument.
    value : object
        What was given.
    low, high : float
        Between which it must lie.

    Returns
    -------
    float
        The same number.

    Raises
    ------
    MetapeerError
        If it does not.

    Examples
    --------
    >>> check_share("power", 80)
    Traceback (most recent call last):
    metapeer.errors.MetapeerError: power must be a number between 0 and 1, not 80
    """
    good = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not good or not low < float(value) < high:  # type: ignore[arg-type]
        raise MetapeerError(f"{name} must be a number between {low:g} and {high:g}, not {value!r}")
    return float(value)  # type: ignore[arg-type]


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(float(value)):
        raise MetapeerError(f"{name} must be a finite number, not {value!r}")
    return float(value)


def _risk_1(measure: str, effect: float, risk: float) -> float:
    """Risk in arm 1 that makes the effect."""
    if measure == "RD":
        return risk + effect
    ratio = math.exp(min(effect, 100.0))
    return risk * ratio if measure == "RR" else risk * ratio / (1 - risk + risk * ratio)


def _effect_of(measure: str, risk: float, reduction: float) -> float:
    """The effect that a relative reduction of the risk makes."""
    other = risk * (1.0 - reduction)
    if not 0.0 < other < 1.0:
        raise MetapeerError(
            f"a relative risk reduction of {reduction:g} makes of a risk of {risk:g} one of {other:.3g}; it must lie "
            "between 0 and 1"
        )
    if measure == "RD":
        return other - risk
    return math.log(other / risk) - (math.log((1 - other) / (1 - risk)) if measure == "OR" else 0.0)


def required_information_size(
    *,
    measure: str = "SMD",
    effect: float | None = None,
    sd: float | None = None,
    control_risk: float | None = None,
    relative_risk_reduction: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    heterogeneity: float = 0.0,
    adjusted_by: str = "stated",
) -> RequiredInformation:
    """Compute the information that a meta-analysis needs to find an effect, as statistical information and as people.

    Parameters
    ----------
    measure : str, default "SMD"
        What the effect is. Any measure has a required statistical information; participants are computed for SMD, MD,
        RR, OR and RD.
    effect : float, optional
        The smallest effect that matters, in the units of the pooled effects (log for ratios). State it; do not take it
        from the data at hand.
    sd : float, optional
        Standard deviation within arms, for participants of a mean difference. For SMD it is 1.
    control_risk : float, optional
        Risk in arm 2, for participants of RR, OR and RD.
    relative_risk_reduction : float, optional
        Instead of `effect`, for RR, OR and RD: 0.2 for a fifth less, negative for more.
    alpha : float, default 0.05
        Two-sided error.
    power : float, default 0.8
        Power to find the effect.
    heterogeneity : float, default 0.0
        Per cent of diversity (D²) or inconsistency (I²) to adjust for; the required information is divided by
        ``1 - heterogeneity / 100``.
    adjusted_by : str, default "stated"
        What that number is, in words.

    Returns
    -------
    RequiredInformation
        ``information = (z(1 - alpha/2) + z(power))² / effect²`` and ``participants = 4 (...)² variance / difference²``,
        with the squared standard deviation, or ``p (1 - p)`` at the mean of the two risks and their difference; both
        adjusted. Participants are rounded up to an even number.

    Raises
    ------
    MetapeerError
        If the effect is not stated or makes no sense.
    ChoiceError
        If an option has no effect for the measure.

    References
    ----------
    Wetterslev, Thorlund, Brok & Gluud (2008), J Clin Epidemiol 61:64-75; (2009), BMC Med Res Methodol 9:86. Pogue &
    Yusuf (1997), Control Clin Trials 18:580-593.

    Examples
    --------
    >>> required_information_size(effect=0.2).participants
    786
    >>> found = required_information_size(measure="RR", control_risk=0.1, relative_risk_reduction=0.2, heterogeneity=25)
    >>> found.participants, round(found.effect, 4)
    (8572, -0.2231)
    """
    code = measure or "GEN"
    find_measure(code)
    error, share = check_share("alpha", alpha), check_share("power", power)
    percent = _number("heterogeneity", heterogeneity)
    if not 0.0 <= percent <= LARGEST_SHARE:
        raise MetapeerError(f"heterogeneity must be per cent, from 0 to {LARGEST_SHARE:g}, not {heterogeneity!r}")
    drift = required_drift(error, share)
    if drift <= 0.0:
        raise MetapeerError(f"a power of {share:g} is no more than chance with alpha={error:g}")
    for name, value, codes in (
        ("sd", sd, ("MD",)),
        ("control_risk", control_risk, BINARY),
        ("relative_risk_reduction", relative_risk_reduction, BINARY),
    ):
        if value is not None and code not in codes:
            raise ChoiceError(f"{name} has no effect for {measure or 'effects of no stated measure'}; leave it out")
    risk = None if control_risk is None else check_share("control_risk", control_risk)
    spread = None if sd is None else check_share("sd", sd, 0.0, math.inf)
    size = _size(code, effect, risk, relative_risk_reduction)
    adjustment = 1.0 / (1.0 - percent / 100.0)
    people = 4.0 * drift**2 * _variance(code, size, spread, risk) * adjustment
    return RequiredInformation(
        measure=measure,
        effect=size,
        alpha=error,
        power=share,
        heterogeneity=percent,
        adjusted_by=adjusted_by if percent > 0.0 else "",
        information=drift**2 / size**2 * adjustment,
        participants=None if math.isnan(people) else 2 * math.ceil(round(people / 2.0, 9)),
        sd=spread,
        control_risk=risk,
    )


def _size(code: str, effect: float | None, risk: float | None, reduction: float | None) -> float:
    """The effect to be found, however it was stated."""
    if (effect is None) == (reduction is None):
        raise MetapeerError(
            "state the effect to be found: either effect=, in the units of the pooled effects, or for events "
            "relative_risk_reduction= with control_risk="
        )
    if reduction is None:
        size = _number("effect", effect)
    elif risk is None:
        raise MetapeerError("relative_risk_reduction needs control_risk=, the risk in arm 2")
    else:
        size = _effect_of(code, risk, _number("relative_risk_reduction", reduction))
    if not 1e-6 <= abs(size) <= 1e6:
        raise MetapeerError(f"effect must not be 0 nor beyond all measure, not {size:g}; state the smallest of note")
    return size


def _variance(code: str, size: float, spread: float | None, risk: float | None) -> float:
    """Variance of one person's outcome by the squared difference to be found; NaN where it is not known."""
    if code == "SMD":
        return 1.0 / size**2
    if spread is not None:
        return spread**2 / size**2
    if risk is None:
        return math.nan
    other = _risk_1(code, size, risk)
    if not 0.0 < other < 1.0:
        raise MetapeerError(f"with a risk of {risk:g} in arm 2 this effect makes a risk of {other:.3g} in arm 1")
    middle = (risk + other) / 2.0
    return middle * (1.0 - middle) / (other - risk) ** 2

"""WAAP-WLS: the weighted average of adequately powered studies, or weighted least squares where they are too few."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from metapeer.errors import ChoiceError
from metapeer.formatting import Printable, TextTable, count, format_level, format_number
from metapeer.pooling.intervals import Interval, t_quantile, two_sided_p
from metapeer.pooling.models import Notes
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray, total
from metapeer.sensitivity.p_values_input import (
    check_alpha,
    estimate_row,
    p_words,
    read_evidence,
    size_words,
    tell_few,
    tell_shared,
)

__all__ = ["LeastSquaresMean", "WaapResult", "waap_wls"]

ENOUGH = 2
"""Adequately powered studies that WAAP needs."""


@dataclass(frozen=True, slots=True)
class LeastSquaresMean:
    """A weighted mean whose variance is scaled by how much the effects differ, more or less than their errors allow.

    Parameters
    ----------
    k : int
        Studies.
    estimate, se : float
        The mean and its standard error.
    ci : Interval
        t with ``k - 1`` df.
    p_value : float
        Test of no effect, by the same distribution.
    phi : float
        The scale factor ``Q / (k - 1)``.
    """

    k: int
    estimate: float
    se: float
    ci: Interval
    p_value: float
    phi: float


def _mean(yi: FloatArray, vi: FloatArray, level: float) -> LeastSquaresMean:
    w = 1.0 / vi
    estimate = float(w @ yi) / total(w)
    phi = float(w @ (yi - estimate) ** 2) / (yi.size - 1)
    se = math.sqrt(phi / total(w))
    df = yi.size - 1
    half = t_quantile(level, df) * se
    ci = Interval(estimate - half, estimate + half, level, f"t, {df} df")
    p = two_sided_p(estimate / se, df) if se > 0.0 else math.nan
    return LeastSquaresMean(int(yi.size), estimate, se, ci, p, phi)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class WaapResult(Printable):
    """The result of `waap_wls`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    k : int
        Studies.
    adequate : int
        Adequately powered ones.
    used : str
        ``"WAAP"`` or, with fewer than two of those, ``"WLS"``.
    wls : LeastSquaresMean
        Of all studies.
    waap : LeastSquaresMean or None
        Of the adequately powered ones.
    limit : float
        Standard error up to which a study is adequately powered.
    power, alpha : float
        What that means: power of a two-sided test at `alpha`.
    level : float
        Confidence level.
    labels : tuple of str
        Studies.
    is_adequate : array of bool of shape (k,)
        Which are adequately powered; read-only.
    notes : tuple of str
        What a reader must know.
    size : str
        How many effects there are, in words.
    """

    measure: str
    k: int
    adequate: int
    used: str
    wls: LeastSquaresMean
    waap: LeastSquaresMean | None
    limit: float
    power: float
    alpha: float
    level: float
    labels: tuple[str, ...]
    is_adequate: NDArray[np.bool_]
    notes: tuple[str, ...]
    size: str

    @property
    def answer(self) -> LeastSquaresMean:
        """The estimate that counts: WAAP where there is one, otherwise WLS."""
        return self.wls if self.waap is None else self.waap

    @property
    def estimate(self) -> float:
        """Its value, on the scale of analysis."""
        return self.answer.estimate

    @property
    def ci(self) -> Interval:
        """Its interval."""
        return self.answer.ci

    def studies(self) -> pd.DataFrame:
        """List the studies.

        Returns
        -------
        DataFrame
            ``label`` and ``adequate``.
        """
        return pd.DataFrame({"label": self.labels, "adequate": self.is_adequate})

    def to_frame(self) -> pd.DataFrame:
        """Put both means in rows.

        Returns
        -------
        DataFrame
            One row for WLS and, where there is one, one for WAAP; ``used`` marks the one that counts.
        """
        rows = []
        for name, mean in (("WLS", self.wls), ("WAAP", self.waap)):
            if mean is not None:
                row = {"measure": self.measure, "method": name, "used": name == self.used, "k": mean.k}
                row |= {"estimate": mean.estimate, "se": mean.se, "ci_low": mean.ci.low, "ci_high": mean.ci.high}
                row |= {"level": self.level, "p_value": mean.p_value, "df": mean.k - 1, "phi": mean.phi}
                rows.append(row)
        return pd.DataFrame(rows)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: both means and the notes.
        """
        name, level = self.measure or "effect", format_level(self.level)
        rows = []
        for mean, title in ((self.wls, f"{name}, WLS"), (self.waap, f"{name}, WAAP")):
            if mean is not None:
                words = f"{mean.ci.method}; {p_words(mean.p_value)}; {count(mean.k, 'study', 'studies')}"
                scale = f"; variance factor {format_number(mean.phi, 2)}"
                rows.append(estimate_row(f"{title} ({level} CI)", self.measure, mean.estimate, mean.ci, words + scale))
        title = f"WAAP-WLS: {self.size}; the answer is {self.used}"
        return (TextTable(title=title, header=("", "", "", ""), rows=rows, notes=self.notes),)


def waap_wls(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
    level: float | None = None,
) -> WaapResult:
    """Pool the adequately powered studies; all of them by weighted least squares when fewer than two are.

    Small studies that are published for being significant exaggerate; those that would find the effect anyway do not.
    A study is adequately powered when its standard error is at most the weighted least squares estimate of all studies
    over ``1.96 + 0.84``, for 80% power at 5%.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects as `effect_size` returns it.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of a fit.
    power, alpha : float, default 0.8 and 0.05
        Power of a two-sided test at `alpha` that makes a study adequately powered.
    level : float, optional
        Confidence level; that of the fit, or 0.95.

    Returns
    -------
    WaapResult
        The estimate that counts, and both.

    Raises
    ------
    DataError
        If the effects cannot be used, or are fewer than two.
    ChoiceError
        If an option makes no sense.

    Warns
    -----
    DataWarning
        If studies are few or share trials.

    References
    ----------
    Stanley & Doucouliagos (2015), Stat Med 34:2116-2127 (unrestricted weighted least squares); Stanley, Doucouliagos &
    Ioannidis (2017), Stat Med 36:1580-1598; Ioannidis, Stanley & Doucouliagos (2017), Econ J 127:F236-F265.

    Examples
    --------
    >>> yi, sei = [0.3, 0.25, 0.35, 0.8, 0.9, 0.7] * 2, [0.05, 0.06, 0.08, 0.3, 0.35, 0.3] * 2
    >>> found = waap_wls(yi=yi, sei=sei)
    >>> found.used, found.adequate, round(found.estimate, 3), round(found.wls.estimate, 3)
    ('WAAP', 6, 0.293, 0.31)
    """
    evidence = read_evidence(
        data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, level=level, least=2, method="WAAP-WLS"
    )
    power, alpha = check_alpha("power", power), check_alpha("alpha", alpha)
    if power <= alpha:
        raise ChoiceError(f"power must be larger than alpha, not {power:g} with alpha = {alpha:g}")
    notes = Notes()
    everyone = _mean(evidence.yi, evidence.vi, evidence.level)
    limit = abs(everyone.estimate) / float(ndtri(power) - ndtri(alpha / 2.0))
    adequate = evidence.sei <= limit
    number = int(adequate.sum())
    waap = _mean(evidence.yi[adequate], evidence.vi[adequate], evidence.level) if number >= ENOUGH else None
    tell_few(evidence.effects.trial_count, "study", notes)
    tell_shared(evidence, notes)
    have = (
        f"{number} of {count(evidence.k, 'study', 'studies')} have {format_level(power)} power to find the WLS estimate"
    )
    notes.say(f"{have} (standard error at most {limit:.4g})")
    if waap is None:
        notes.doubt(
            f"WAAP needs {ENOUGH} adequately powered studies: the answer is the weighted least squares mean of all, "
            "which reduces the bias of small studies but does not remove it"
        )
    elif number < 5:
        notes.say(f"its interval rests on {number - 1} df")
    notes.warn(stacklevel=2)
    adequate.setflags(write=False)
    return WaapResult(
        measure=evidence.effects.measure,
        k=evidence.k,
        adequate=number,
        used="WLS" if waap is None else "WAAP",
        wls=everyone,
        waap=waap,
        limit=limit,
        power=power,
        alpha=alpha,
        level=evidence.level,
        labels=evidence.effects.labels,
        is_adequate=adequate,
        notes=tuple(notes.said),
        size=size_words(evidence),
    )

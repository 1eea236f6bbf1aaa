"""The door to p-curve: a fit or effects in, a `PCurveResult` out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import DataError
from metapeer.formatting import Printable, TextTable, count, format_level, format_number
from metapeer.pooling.intervals import Interval, check_level, two_sided_p
from metapeer.pooling.models import Notes
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.p_curve_tests import (
    ALPHA,
    FLAT,
    HALF,
    LEAST,
    MOST,
    Curve,
    Stouffer,
    curve_tests,
    expected_shares,
    power_interval,
)
from metapeer.sensitivity.p_values_input import (
    choose_side,
    p_words,
    read_evidence,
    side_words,
    size_words,
    tell_few,
    tell_heterogeneity,
    tell_shared,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PCurveResult", "p_curve"]

_BINS = np.array([0.0, 0.01, 0.02, 0.03, 0.04, 0.05])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PCurveResult(Printable):
    """The result of `p_curve`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    k : int
        Studies.
    significant : int
        Of them, those with p < 0.05 in a direction that counts; they make the full curve.
    small : int
        Of these, those with p < 0.025; they make the half curve.
    right_full, right_half, flat_full, flat_half : Stouffer
        Tests: is the curve skewed to the right; is it flatter than at 33% power.
    right_binomial, flat_binomial : float
        p values of the number of p values below 0.025.
    evidential_value : bool
        Half curve skewed to the right (p < 0.05), or both curves at p < 0.1.
    evidence_absent : bool
        Full curve flatter than at 33% power (p < 0.05), or the half curve and the binomial test both at p < 0.1.
    power : float
        Estimated power of the significant studies.
    power_ci : Interval
        Its interval; both within 0.05 to 0.99.
    favoured : str
        Which significant effects count.
    labels : tuple of str
        Studies.
    yi, p_values : array of shape (k,)
        Effects and two-sided p values of normal tests; read-only.
    used : array of bool of shape (k,)
        Which make the curve; read-only.
    notes : tuple of str
        What a reader must know.
    size : str
        How many effects there are, in words.
    """

    measure: str
    k: int
    significant: int
    small: int
    right_full: Stouffer
    right_half: Stouffer
    flat_full: Stouffer
    flat_half: Stouffer
    right_binomial: float
    flat_binomial: float
    evidential_value: bool
    evidence_absent: bool
    power: float
    power_ci: Interval
    favoured: str
    labels: tuple[str, ...]
    yi: FloatArray
    p_values: FloatArray
    used: "np.typing.NDArray[np.bool_]"
    notes: tuple[str, ...]
    size: str

    def studies(self) -> pd.DataFrame:
        """List the studies.

        Returns
        -------
        DataFrame
            ``label``, ``yi``, ``p_value`` and ``used``.
        """
        return pd.DataFrame({"label": self.labels, "yi": self.yi, "p_value": self.p_values, "used": self.used})

    def curve(self) -> pd.DataFrame:
        """Put the curve in a table, as it is drawn.

        Returns
        -------
        DataFrame
            For p values up to 0.01, 0.02, 0.03, 0.04 and 0.05: ``p`` (the upper limit), ``count``, and the shares in
            per cent ``observed``, ``no_effect``, ``power_33`` and, at the estimated power, ``power_estimated``.
        """
        inside = self.p_values[self.used]
        counts = np.histogram(inside, bins=_BINS)[0]
        columns: dict[str, Any] = {
            "p": _BINS[1:],
            "count": counts,
            "observed": 100.0 * counts / self.significant,
            "no_effect": np.full(5, 20.0),
        }
        for name, power in (("power_33", FLAT), ("power_estimated", self.power)):
            columns[name] = 100.0 * np.diff(expected_shares(power, _BINS))
        return pd.DataFrame(columns)

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row.

        Returns
        -------
        DataFrame
            One row.
        """
        row: dict[str, Any] = {n: getattr(self, n) for n in ("measure", "k", "significant", "small")}
        for name in ("right_full", "right_half", "flat_full", "flat_half"):
            test: Stouffer = getattr(self, name)
            row |= {f"{name}_z": test.z, f"{name}_p": test.p_value}
        row |= {n: getattr(self, n) for n in ("right_binomial", "flat_binomial", "evidential_value", "evidence_absent")}
        row |= {"power": self.power, "power_ci_low": self.power_ci.low, "power_ci_high": self.power_ci.high}
        return pd.DataFrame([row | {"power_level": self.power_ci.level, "favoured": self.favoured}])

    def words(self) -> str:
        """Say what the curve shows.

        Returns
        -------
        str
            One sentence, by the authors' rules.
        """
        if self.evidential_value and self.evidence_absent:
            return (
                "The curve is skewed to the right and yet flatter than at 33% power: evidence of a very small effect."
            )
        if self.evidential_value:
            return "The curve is skewed to the right: the significant results contain evidential value."
        if self.evidence_absent:
            return "The curve is flatter than at 33% power: evidential value is inadequate or absent."
        return "The curve shows neither that evidential value is there nor that it is absent."

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: tests, power, what they show, and the notes.
        """
        rows = [
            (name, format_number(test.z, 3), f"{p_words(test.p_value)}; Stouffer, {count(test.k, 'p value')}")
            for name, test in (
                ("right skew, full curve", self.right_full),
                ("right skew, half curve", self.right_half),
                ("flatter than 33% power, full curve", self.flat_full),
                ("flatter than 33% power, half curve", self.flat_half),
            )
        ]
        share = f"{self.small} of {self.significant} below {HALF:g}"
        rows += [
            ("right skew, binomial", share, p_words(self.right_binomial)),
            ("flatter than 33% power, binomial", share, p_words(self.flat_binomial)),
            ("power of the significant studies", _percent(self.power), _power_words(self.power_ci)),
        ]
        title = (
            f"p-curve: {self.size}, {self.significant} with p < {ALPHA:g} ({side_words(self.favoured)}), "
            "two-sided normal tests"
        )
        return (TextTable(title=title, header=("", "z", ""), rows=rows, notes=(self.words(), *self.notes)),)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `p_curve_plot` takes: ``title``, ``notes``,
            ``width`` and ``height`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and others.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.plots.p_curves import p_curve_plot

        said = {
            "power_label": f"at the estimated power, {_percent(self.power)}",
            "notes": [f"{self.significant} of {self.k} two-sided p values are below {ALPHA:g}."],
        }
        return p_curve_plot(self.curve(), ax=ax, **{**said, **options})


def _percent(value: float) -> str:
    if math.isnan(value):
        return "NA"
    sign = "≤" if value <= LEAST else "≥" if value >= MOST else ""
    return f"{sign}{format_number(100.0 * value, 0)}%"


def _power_words(ci: Interval) -> str:
    return f"{format_level(ci.level)} interval {_percent(ci.low)} to {_percent(ci.high)}"


def p_curve(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    favoured: Literal["positive", "negative", "both"] | None = None,
    level: float = 0.9,
) -> PCurveResult:
    """Ask of significant p values alone whether there is an effect behind them.

    Each study is a two-sided normal test of its effect and standard error, as the R package dmetar has it. The tests
    that a paper reported (t or F of its main hypothesis) may have other p values, and are what the authors of the
    method ask for.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects as `effect_size` returns it.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of a fit.
    favoured : {"positive", "negative", "both"}, optional
        The significant effects that count; by default those of the sign of the common-effect estimate. dmetar takes
        ``"both"``.
    level : float, default 0.9
        Of the interval of the power.

    Returns
    -------
    PCurveResult
        Tests of the full and the half curve, the power, and the figure.

    Raises
    ------
    DataError
        If the effects cannot be used, or none is significant.
    ChoiceError
        If an option is unknown.

    Warns
    -----
    DataWarning
        If significant studies are few, studies share trials, or effects differ much.

    References
    ----------
    Simonsohn, Nelson & Simmons (2014), J Exp Psychol Gen 143:534-547; Simonsohn, Simmons & Nelson (2015), J Exp Psychol
    Gen 144:1146-1152; van Aert, Wicherts & van Assen (2016), Perspect Psychol Sci 11:713-729; Morey & Davis-Stober
    (2025), J Am Stat Assoc, doi 10.1080/01621459.2025.2544397 (a critique).

    Examples
    --------
    >>> yi = [0.62, 0.44, 0.81, 0.58, 0.2, 0.71, 0.66, 0.9, 0.52, 0.49, 0.77, 0.6]
    >>> found = p_curve(yi=yi, sei=[0.2] * 12)
    >>> found.significant, round(found.right_half.p_value, 5), found.evidential_value, round(found.power, 2)
    (11, 0.0, True, 0.85)
    """
    check_level(level)
    evidence = read_evidence(data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, level=None, method="p-curve")
    notes = Notes()
    side = choose_side(favoured, evidence, notes, more=("both",))
    z = evidence.yi / evidence.sei
    counted = np.ones(evidence.k, dtype=bool) if side == "both" else (z > 0 if side == "positive" else z < 0)
    size = np.abs(z)
    tests: Curve = curve_tests(size[counted])
    if not tests.right_full.k:
        which = "none is" if side == "both" else f"none is {side} and"
        raise DataError("the effects", [f"{which} significant at {ALPHA:g}; p-curve has nothing to go by"])
    p_values = np.array([two_sided_p(value, None) for value in size.tolist()])
    used = counted & (p_values < ALPHA)
    power, low, high = power_interval(size[counted], level)
    tell_few(tests.right_full.k, "significant study", notes)
    tell_shared(evidence, notes)
    tell_heterogeneity(
        evidence,
        notes,
        what="where true effects differ p-curve tells of the mean power of the significant studies, which is "
        "larger than that of all (van Aert et al. 2016)",
    )
    if side == "both" and bool((z[used] > 0).any() and (z[used] < 0).any()):
        notes.doubt("significant effects of both signs make one curve, although they cannot all be one hypothesis")
    notes.warn(stacklevel=2)
    for array in (p_values, used):
        array.setflags(write=False)
    right_half, right_full = tests.right_half.p_value, tests.right_full.p_value
    return PCurveResult(
        measure=evidence.effects.measure,
        k=evidence.k,
        significant=tests.right_full.k,
        small=tests.small,
        right_full=tests.right_full,
        right_half=tests.right_half,
        flat_full=tests.flat_full,
        flat_half=tests.flat_half,
        right_binomial=tests.right_binomial,
        flat_binomial=tests.flat_binomial,
        evidential_value=right_half < 0.05 or (right_half < 0.1 and right_full < 0.1),
        evidence_absent=tests.flat_full.p_value < 0.05 or (tests.flat_half.p_value < 0.1 and tests.flat_binomial < 0.1),
        power=power,
        power_ci=Interval(low, high, level, "inverted Stouffer test"),
        favoured=side,
        labels=evidence.effects.labels,
        yi=evidence.yi,
        p_values=p_values,
        used=used,
        notes=tuple(notes.said),
        size=size_words(evidence),
    )

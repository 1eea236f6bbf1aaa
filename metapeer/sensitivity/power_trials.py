"""The power that each trial had for effects chosen beforehand, and the median over trials."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtr

from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_number
from metapeer.pooling.intervals import normal_quantile
from metapeer.pooling.models import Effects, Notes, _from_arrays, read_effects
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.power_plans import check_alpha, listed, numbers, single
from metapeer.sensitivity.power_results import effect_words, power_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["TrialPowerResult", "trial_power"]

STANDARDISED = ("SMD", "SMDH")
DEFAULT_EFFECTS = tuple(round(0.1 * i, 1) for i in range(1, 11))
"""Those of Quintana (2023), for standardised mean differences."""
BANDS = (0.2, 0.4, 0.6, 0.8)
KINDS = ("sunset", "firepower")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TrialPowerResult(Printable):
    """The power of each trial for each of several true effects.

    Parameters
    ----------
    measure : str
        Effect measure; empty when unknown.
    labels : tuple of str
        Names of the trials.
    yi, sei : array of shape (k,)
        Effects and standard errors; read-only.
    effects : tuple of float
        True effects assumed, in the units of the measure (log for ratios).
    power : array of shape (k, number of effects)
        Power of the two-sided normal test of each trial; read-only.
    alpha : float
        Level of that test.
    notes : tuple of str
        What a reader must know.
    """

    measure: str
    labels: tuple[str, ...]
    yi: FloatArray
    sei: FloatArray
    effects: tuple[float, ...]
    power: FloatArray
    alpha: float
    notes: tuple[str, ...]

    @property
    def median(self) -> tuple[float, ...]:
        """Median power over trials, for each effect."""
        return tuple(float(one) for one in np.median(self.power, axis=0))

    def to_frame(self) -> pd.DataFrame:
        """Put each trial and effect in a row.

        Returns
        -------
        DataFrame
            ``study``, ``yi``, ``sei``, ``effect`` and ``power``.
        """
        k, e = self.power.shape
        return pd.DataFrame(
            {
                "study": np.repeat(np.array(self.labels, dtype=object), e),
                "yi": np.repeat(self.yi, e),
                "sei": np.repeat(self.sei, e),
                "effect": np.tile(self.effects, k),
                "power": self.power.ravel(),
            }
        )

    def medians(self) -> pd.DataFrame:
        """Put the median over trials in a row for each effect.

        Returns
        -------
        DataFrame
            ``effect``, ``power`` (the median) and ``adequate``, the number of trials with a power of 80% or more.
        """
        adequate = (self.power >= BANDS[-1]).sum(axis=0)
        return pd.DataFrame({"effect": self.effects, "power": self.median, "adequate": adequate})

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: a row for each trial, and the median.
        """
        rows = [
            (label, format_number(se, 3), *(power_words(one) for one in line))
            for label, se, line in zip(self.labels, self.sei, self.power, strict=True)
        ]
        rows.append(
            ("Median", format_number(float(np.median(self.sei)), 3), *(power_words(one) for one in self.median))
        )
        scale = measure_of(self.measure).scale
        name = f" {self.measure}" if self.measure else ""
        name = f" {scale}{name}" if scale != "identity" else name
        header = ("", "se", *(f"{one:.3g}" for one in self.effects))
        title = f"Power of each trial by the true effect{name}, two-sided normal test, alpha {self.alpha:g}"
        return (TextTable(title=title, header=header, rows=rows, notes=self.notes),)

    def plot(
        self, *, kind: str = "sunset", effect: float | None = None, ax: "Axes | None" = None, **options: Any
    ) -> "Figure":
        """Draw a sunset funnel plot for one effect, or tiles of the median power for all.

        Parameters
        ----------
        kind : {"sunset", "firepower"}
            Which figure.
        effect : float, optional
            The true effect of a sunset funnel plot; needed when several were assumed.
        ax : Axes, optional
            Where to draw; by default a new Figure.
        **options
            As in `metapeer.plots.power.sunset_plot` or `metapeer.plots.power.firepower_plot`: ``title``, ``notes``,
            ``width`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and what else they name.

        Returns
        -------
        Figure
            The figure drawn on.

        Raises
        ------
        ChoiceError
            If an option makes no sense.
        """
        from metapeer.plots.power import firepower_plot, sunset_plot

        name = self.measure or "effect"
        if measure_of(self.measure).scale != "identity":
            name = f"{measure_of(self.measure).scale} {name}"
        if check_choice("kind", kind, KINDS) == "firepower":
            if effect is not None:
                raise ChoiceError("effect has no use for kind='firepower', which shows all effects")
            options.setdefault("x_label", f"True {name}")
            options.setdefault("title", f"Median power of {count(len(self.labels), 'trial')}, in per cent")
            return firepower_plot(self.medians(), ax=ax, **options)
        if effect is None:
            if len(self.effects) > 1:
                shown = ", ".join(f"{one:.4g}" for one in self.effects)
                raise ChoiceError(f"give effect=, one of {shown}")
            effect = self.effects[0]
        wanted = single("effect", effect)
        place = next((i for i, one in enumerate(self.effects) if math.isclose(one, wanted)), None)
        if place is None:
            raise ChoiceError(f"effect {effect!r} is not among those assumed; call trial_power with effects={effect!r}")
        chosen = self.effects[place]
        bands = pd.DataFrame({"power": BANDS, "sei": [_se_for(one, chosen, self.alpha) for one in BANDS]})
        words = (
            f"Ground and dashed line: if the true effect is {effect_words(chosen, self.measure)}; "
            f"median power {power_words(self.median[place])}. Trials beyond the grey lines have p < {self.alpha:g}."
        )
        options.setdefault("x_label", name)
        options.setdefault("notes", (words,))
        options.setdefault("critical", normal_quantile(1.0 - self.alpha))
        table = pd.DataFrame({"yi": self.yi, "sei": self.sei})
        return sunset_plot(table, bands=bands, effect=chosen, ax=ax, **options)


def _power(effect: float, se: FloatArray, alpha: float) -> FloatArray:
    critical = normal_quantile(1.0 - alpha)
    shift = abs(effect) / se
    return np.asarray(ndtr(shift - critical) + ndtr(-shift - critical))


def _se_for(power: float, effect: float, alpha: float) -> float:
    """The standard error with which a trial has a power for an effect."""
    if alpha >= power:
        raise ChoiceError(f"a sunset funnel plot needs alpha below {BANDS[0]:g}, not {alpha:g}")
    shift = brentq(lambda one: float(_power(one, np.ones(1), alpha)[0]) - power, 0.0, 50.0, xtol=1e-12)
    return abs(effect) / float(shift)


def _read(
    data: object, vi: ArrayLike | None, sei: ArrayLike | None, labels: str | Sequence[str] | None, measure: str | None
) -> tuple[Effects, float]:
    """Take effects from a fit, a table or arrays, and the pooled effect if there is one."""
    if isinstance(data, MetaAnalysisResult):
        if any(one is not None for one in (vi, sei, labels, measure)):
            raise ChoiceError("a fit has its own vi, labels and measure; leave them out")
        return Effects(yi=data.yi, vi=data.vi, labels=data.labels, measure=data.measure), data.estimate
    if isinstance(data, pd.DataFrame):
        if vi is not None or sei is not None:
            raise ChoiceError("a table has its own vi or sei; leave them out")
        effects = read_effects(data, labels=labels, measure=measure)
        if not effects.yi.size:
            faults = [Fault(row=label, message=reason) for label, reason in effects.excluded]
            raise DataError("no effect can be used: the table", faults or ["has no rows"])
    else:
        if data is None or isinstance(data, str) or not hasattr(data, "__len__"):
            raise MetapeerError(
                f"data is a {type(data).__name__}; give a fit, a table of effects, or effects with vi or sei"
            )
        if isinstance(labels, str):
            raise ChoiceError("labels names a column, and there is no table; give a list of names")
        effects = _from_arrays(data, vi, sei, labels, measure)  # type: ignore[arg-type]
        if not effects.yi.size:
            raise DataError("the effects", ["has no values"])
    return effects, math.nan


def trial_power(
    data: MetaAnalysisResult | pd.DataFrame | ArrayLike,
    *,
    effects: float | Sequence[float] | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    alpha: float = 0.05,
) -> TrialPowerResult:
    """Compute the power that each trial of a meta-analysis had for effects chosen beforehand.

    It asks whether the trials were large enough for effects that would matter. It is not the power "observed": put in
    the effect that the same trials found, and the answer repeats their p-values.

    Parameters
    ----------
    data : MetaAnalysisResult, DataFrame or array-like
        A fit, a table of effects, or the effects with `vi` or `sei`.
    effects : float or sequence of float, optional
        True effects, in the units of the measure (log for ratios). For standardised mean differences 0.1, 0.2 up to
        1.0 when left out; for other measures say what matters.
    vi, sei : array-like, optional
        Sampling variances or standard errors, with effects as an array.
    labels : str or sequence of str, optional
        Names of the rows, or the column that holds them.
    measure : str, optional
        The effect measure, when the table does not say.
    alpha : float, default 0.05
        Level of each trial's two-sided normal test.

    Returns
    -------
    TrialPowerResult
        A table with medians, and two figures.

    Raises
    ------
    DataError
        If the effects cannot be used; every fault is listed.
    ChoiceError
        If an option makes no sense.

    Warns
    -----
    DataWarning
        If an effect assumed is the pooled one.

    References
    ----------
    Quintana (2023), Adv Methods Pract Psychol Sci 6(1); Kossmeier, Tran & Voracek (2020), Z Psychol 228:43-49; Hoenig
    & Heisey (2001), Am Stat 55:19-24 (power after the fact).

    Examples
    --------
    >>> found = trial_power([1.187, 0.155, 0.245], sei=[0.479, 0.380, 0.222], effects=[0.1, 0.2, 0.5])
    >>> [round(one, 3) for one in found.median]
    [0.058, 0.082, 0.26]
    """
    given, pooled = _read(data, vi, sei, labels, measure)
    alpha = check_alpha(alpha)
    if effects is None:
        if given.measure not in STANDARDISED:
            raise ChoiceError(
                "effects is missing; say which true effects would matter"
                + (f" on the scale of {given.measure}" if given.measure else "")
            )
        chosen = np.array(DEFAULT_EFFECTS)
    else:
        faults: list[Fault] = []
        chosen = numbers("effects", np.asarray(listed("effects", effects), dtype=object), faults)
        if faults:
            raise DataError("the true effects", faults)
        if (chosen == 0.0).any():
            raise ChoiceError("effects holds 0; without an effect there is no power, only the chance of a false alarm")
        chosen = np.unique(chosen)
    notes = Notes()
    if not math.isnan(pooled) and np.isclose(np.abs(chosen), abs(pooled), rtol=5e-3, atol=0.0).any():
        notes.doubt(
            "one of the true effects assumed is the pooled estimate of these trials; power at an effect that the same"
            " trials estimated repeats their p-values, and the estimate tends to be too large where small trials are"
            " missing"
        )
    notes.say(
        "The power is that of finding this effect in one trial; it says nothing about whether the effect is real."
    )
    notes.warn(stacklevel=2)
    sei_ = np.sqrt(given.vi)
    power = np.stack([_power(float(one), sei_, alpha) for one in chosen], axis=1)
    for array in (sei_, power):
        array.setflags(write=False)
    return TrialPowerResult(
        measure=given.measure,
        labels=given.labels,
        yi=given.yi,
        sei=sei_,
        effects=tuple(float(one) for one in chosen),
        power=power,
        alpha=alpha,
        notes=tuple(notes.said),
    )

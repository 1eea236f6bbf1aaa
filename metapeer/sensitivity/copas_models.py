"""The door to Copas' selection model: a fit or effects in, a `CopasResult` out."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import ChoiceError, ConvergenceError, DataError
from metapeer.formatting import count
from metapeer.pooling.intervals import chi2_tail
from metapeer.pooling.models import Notes
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray, coefficients
from metapeer.sensitivity.copas_contours import contours, crossings, round_levels
from metapeer.sensitivity.copas_likelihood import (
    ALIKE,
    CopasMaxima,
    maximise_copas,
    publication_probability,
    unpublished,
)
from metapeer.sensitivity.copas_results import CopasResult
from metapeer.sensitivity.p_values_input import (
    Evidence,
    check_alpha,
    choose_side,
    read_evidence,
    side_words,
    size_words,
    tell_few,
    tell_shared,
)

__all__ = ["copas_model"]

NO_SELECTION = (10.0, 0.0)
"""Parameters at which everything is published: Copas & Shi (2001), p. 256."""
RHO_BOUND = 0.9999
"""As in metasens; at 1 the likelihood is not smooth."""
_CERTAIN = 1e-5
"""Length of the gradient, in standard errors, up to which a maximum counts as found."""
_SPIKE = 0.01
"""Difference of log-likelihoods above which another maximum is worth a note."""


def _ranges(
    sei: FloatArray, gamma0: Sequence[float] | None, gamma1: Sequence[float] | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Selection parameters to look at: by default from little selection to a probability of 0.4 of the least precise.

    Carpenter et al. (2009): over the range of gamma1, the probabilities of the most and the least precise study differ
    by a factor that spans most selection one would believe.
    """
    small, large = float(sei.min()), float(sei.max())
    if gamma1 is None:
        if not large > small * (1.0 + 1e-9):
            raise DataError(
                "the effects", ["their standard errors are all the same, so that selection by precision cannot be told"]
            )
        second = (0.0, 1.29 / (1.0 / small - 1.0 / large))
    else:
        second = _pair("gamma1_range", gamma1)
    return (-0.25 - second[1] / large, 2.0) if gamma0 is None else _pair("gamma0_range", gamma0), second


def _pair(name: str, given: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in given)
    except (TypeError, ValueError):
        raise ChoiceError(f"{name} must be two numbers, not {given!r}") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ChoiceError(f"{name} must be two finite numbers, the smaller first, not {given!r}")
    return low, high


def _by_egger(evidence: Evidence, notes: Notes) -> str:
    """The side on which small studies lie, by the slope of effects in their standard errors."""
    X = np.column_stack([np.ones(evidence.k), evidence.sei])
    slope = float(coefficients(evidence.yi, evidence.vi, 0.0, X).beta[1])
    side = "positive" if slope > 0.0 else "negative"
    notes.say(f"taken as favoured: {side_words(side)}, the side of imprecise studies by Egger's regression")
    return side


def copas_model(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    favoured: Literal["positive", "negative"] | None = None,
    gamma0_range: Sequence[float] | None = None,
    gamma1_range: Sequence[float] | None = None,
    grid: int = 20,
    residual_alpha: float = 0.1,
    level: float | None = None,
) -> CopasResult:
    """Fit Copas and Shi's selection model over a range of degrees of selection.

    A study with standard error s is published with a probability that grows with ``gamma0 + gamma1 / s`` and with its
    result. How strong selection is cannot be estimated from published studies; so the two parameters are varied over a
    grid, everything else is estimated by maximum likelihood at each point, and the adjusted effects are told along the
    line that crosses their contours at right angles. The adjusted effect is that of the weakest selection after which
    no small-study effect remains.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects as `effect_size` returns it. The between-study variance is estimated by ML here,
        whatever the fit used.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of a fit.
    favoured : {"positive", "negative"}, optional
        The effects that are published more often; by default those of the side on which imprecise studies lie, by
        Egger's regression. The correlation of effect and selection has that sign.
    gamma0_range, gamma1_range : (float, float), optional
        Selection parameters to look at; by default those of metasens, which follow from the standard errors.
    grid : int, default 20
        Values of each parameter.
    residual_alpha : float, default 0.1
        Level of the test of residual selection that picks the adjusted effect.
    level : float, optional
        Confidence level; that of the fit, or 0.95.

    Returns
    -------
    CopasResult
        Adjusted effects by degree of selection, and the one that the residual test picks.

    Raises
    ------
    DataError
        If the effects cannot be used, are fewer than three, or all have one standard error.
    ChoiceError
        If an option makes no sense.
    ConvergenceError
        If a maximum on the line is none by its gradient.

    Warns
    -----
    DataWarning
        If studies are few or share trials, if no degree of selection explains the funnel, or if the correlation lies on
        its bound.

    References
    ----------
    Copas & Shi (2000), Biostatistics 1:247-262; Copas & Shi (2001), Stat Methods Med Res 10:251-265; Carpenter,
    Schwarzer, Rücker & Künstler (2009), J Clin Epidemiol 62:624-631; Schwarzer, Carpenter & Rücker (2010), J Clin
    Epidemiol 63:282-288. Function ``copas`` of the R package metasens.

    Examples
    --------
    >>> yi = [0.43, 0.24, 0.29, 0.43, 0.37, 0.64, 0.02, 0.56, 0.38, 0.79, 0.82, 0.78]
    >>> sei = [0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.22, 0.25, 0.28, 0.3, 0.35]
    >>> found = copas_model(yi=yi, sei=sei)
    >>> found.favoured, round(float(found.estimate[0]), 3), round(found.adjusted, 3), found.gradient < 1e-6
    ('positive', 0.391, 0.38, True)
    """
    evidence = read_evidence(
        data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, level=level, least=3, method="Copas' model"
    )
    if isinstance(grid, bool) or not isinstance(grid, int | np.integer) or not 5 <= grid <= 100:
        raise ChoiceError(f"grid must be a whole number from 5 to 100, not {grid!r}")
    residual_alpha = check_alpha("residual_alpha", residual_alpha)
    notes = Notes()
    first, second = _ranges(evidence.sei, gamma0_range, gamma1_range)
    side = _by_egger(evidence, notes) if favoured is None else choose_side(favoured, evidence, notes)
    sign = 1.0 if side == "positive" else -1.0
    own, errors, rho = sign * evidence.yi, evidence.sei, (0.0, RHO_BOUND)

    values = [np.linspace(*ends, int(grid)) for ends in (first, second)]
    pairs = np.stack([axis.ravel() for axis in np.meshgrid(*values, indexing="ij")], axis=1)
    surface = maximise_copas(own, errors, pairs, rho=rho)
    estimates = surface.x[:, 0].reshape(int(grid), int(grid))
    gamma, slope = _along(estimates, first, second, float(errors.max()))
    found = maximise_copas(own, errors, gamma, rho=rho)
    wider = maximise_copas(own, errors, gamma, rho=rho, near=found.x)
    gradient = float(max(found.slope.max(), wider.slope.max()))
    if not gradient < _CERTAIN:
        raise ConvergenceError(
            f"a likelihood of Copas' model rises still where its climb ended (gradient {gradient:.2g} standard "
            "errors); try other ranges of gamma0 and gamma1"
        )
    residual = np.array([chi2_tail(max(0.0, 2.0 * gap), 1) for gap in (wider.value - found.value).tolist()])
    passed = np.flatnonzero(residual > residual_alpha)
    selected = int(passed[0]) if passed.size else None
    u = gamma[:, [0]] + gamma[:, [1]] / errors
    _tell(evidence, found, selected, residual_alpha, slope, notes)
    notes.warn(stacklevel=2)
    arrays = {
        "grid": sign * estimates,
        "gamma0": gamma[:, 0].copy(),
        "gamma1": gamma[:, 1].copy(),
        "publication_probability": publication_probability(gamma[:, 0] + gamma[:, 1] / float(errors.max())),
        "estimate": sign * found.x[:, 0],
        "se": found.se,
        "rho": sign * found.x[:, 1],
        "tau2": found.x[:, 2].copy(),
        "unpublished": unpublished(u).sum(axis=1),
        "residual_p": residual,
        "log_likelihood": found.value,
    }
    for array in arrays.values():
        array.setflags(write=False)
    found.at_bound.setflags(write=False)
    return CopasResult(
        measure=evidence.effects.measure,
        k=evidence.k,
        favoured=side,
        gamma0_range=first,
        gamma1_range=second,
        slope=slope,
        at_bound=found.at_bound,
        gradient=gradient,
        selected=selected,
        residual_alpha=residual_alpha,
        level=evidence.level,
        notes=tuple(notes.said),
        size=size_words(evidence),
        **arrays,
    )


def _along(
    estimates: FloatArray, first: tuple[float, float], second: tuple[float, float], largest: float
) -> tuple[FloatArray, float]:
    """Selection parameters where the line crosses the contours, from the weakest selection to the strongest."""
    unit = np.linspace(0.0, 1.0, estimates.shape[0])
    low, high = float(estimates.min()), float(estimates.max())
    slope, x, y = math.nan, np.empty(0), np.empty(0)
    if high - low > 1e-9 * max(abs(low), abs(high)):
        found = crossings(contours(unit, unit, estimates, round_levels(low, high, 10)))
        slope, x, y = found.slope, found.x, found.y
    gamma = np.column_stack([first[0] + x * (first[1] - first[0]), second[0] + y * (second[1] - second[0])])
    order = np.argsort(-publication_probability(gamma[:, 0] + gamma[:, 1] / largest), kind="stable")
    return np.vstack([np.array([NO_SELECTION]), gamma[order]]), slope


def _tell(
    evidence: Evidence, found: CopasMaxima, selected: int | None, residual_alpha: float, slope: float, notes: Notes
) -> None:
    tell_few(evidence.effects.trial_count, "study", notes)
    tell_shared(evidence, notes)
    if math.isnan(slope):
        notes.doubt("the adjusted effect hardly changes over the grid, so that no line crosses its contours")
    if selected is None:
        notes.doubt(
            f"at every degree of selection considered a small-study effect remains (p ≤ {residual_alpha:g}): the model "
            "does not explain the funnel"
        )
    elif found.at_bound[selected]:
        notes.doubt("the adjusted effect has a correlation on its bound, and its standard error takes that for known")
    number = int(found.at_bound.sum())
    if number:
        notes.say(
            f"rho lies on its bound at {count(number, 'point')} of the line; there is no standard error if tau is 0"
        )
    alike = found.spike[(found.spike > _SPIKE) & (found.spike <= ALIKE)]
    if alike.size:
        notes.say(
            f"at {count(alike.size, 'point')} the likelihood has a second, higher maximum with a stronger correlation "
            f"(by up to {float(alike.max()):.2f}); the one with the weaker is taken"
        )
    endless = found.spike[found.spike > ALIKE]
    if endless.size:
        notes.doubt(
            f"at {count(endless.size, 'point')} the likelihood is higher elsewhere (by up to "
            f"{float(endless.max()):.2f}), where no climb ended in a maximum; the highest maximum found is taken"
        )

"""The door to meta-regression: a table of effects and moderators in, a `MetaRegressionResult` out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.design import Design, check_rank, formula_columns, make_design, missing_moderators
from metapeer.pooling.heterogeneity import cochran_q, h2_from_tau2, i2_from_h2
from metapeer.pooling.intervals import Interval, check_level, normal_quantile, t_quantile
from metapeer.pooling.models import (
    Effects,
    Model,
    Notes,
    read_effects,
    refuse_without_tau2,
    tell_dependence,
    tell_maxima,
)
from metapeer.pooling.regression import (
    REGRESSION_CI_METHODS,
    RegressionFit,
    fit_regression,
    fit_statistics,
    linear_combinations,
    orthonormal,
    r2_common,
    r2_random,
    wald_test,
)
from metapeer.pooling.regression_results import MetaRegressionResult
from metapeer.pooling.tau2 import TAU2_METHODS, Tau2Estimate, estimate_tau2
from metapeer.pooling.tau2_intervals import TAU2_CI_METHODS, tau2_interval
from metapeer.pooling.weighted import FloatArray, coefficients, total

__all__ = ["Prepared", "meta_regression", "prepare", "regression_ci_method", "tell_size"]

STUDIES_PER_MODERATOR = 10
"""Deeks, Higgins & Altman, Cochrane Handbook 6.4 (2023), section 10.11.4."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """Effects and coded moderators, row by row.

    Parameters
    ----------
    effects : Effects
        Rows with every moderator; the others are among its excluded.
    designs : tuple of Design
        One for each model that was asked for.
    source : str
        What errors call the table.
    kept : array of int, shape (k,)
        Which of the rows that could be pooled those are.
    size : int
        How many rows could be pooled.
    """

    effects: Effects
    designs: tuple[Design, ...]
    source: str
    kept: NDArray[np.intp]
    size: int


def _listed(name: str, moderators: object) -> list[str]:
    columns = [moderators] if isinstance(moderators, str) else moderators
    if not isinstance(columns, Sequence | tuple) or not all(isinstance(column, str) for column in columns):
        raise MetapeerError(f"{name} must be names of columns, such as ['year', 'format'], not {moderators!r}")
    twice = sorted({column for column in columns if list(columns).count(column) > 1})
    if twice:
        raise ChoiceError(f"{name} names {', '.join(twice)} more than once")
    return list(columns)


def prepare(
    data: pd.DataFrame,
    wanted: Sequence[tuple[str, str | Sequence[str] | None, str | None]],
    *,
    reference: Mapping[str, str] | None,
    labels: str | Sequence[str] | None,
    measure: str | None,
) -> Prepared:
    """Check a table, leave out rows without a moderator, and code the rest.

    Parameters
    ----------
    data : DataFrame
        Effects and moderators.
    wanted : sequence of (str, str or sequence of str or None, str or None)
        For each model the name of its argument, its columns, and its formula; one of the two is None.
    reference, labels, measure
        As in `meta_regression`.

    Returns
    -------
    Prepared
        Effects with designs of full rank.

    Raises
    ------
    DataError
        If the table cannot be used; every fault is listed.
    """
    if not isinstance(data, pd.DataFrame):
        raise MetapeerError(f"data is a {type(data).__name__}, not a DataFrame")
    source = str(data.attrs.get("source", "the table"))
    listed: list[list[str]] = []
    for name, columns, formula in wanted:
        if (columns is None) == (formula is None):
            raise MetapeerError(f"give either {name}, a list of columns, or a formula")
        known = [str(column) for column in data.columns]
        listed.append(_listed(name, columns) if formula is None else formula_columns(formula, known))
    used = list(dict.fromkeys(name for names in listed for name in names))
    references = dict(reference or {})
    for name in references:
        check_choice("reference: the column", name, used)
    effects = read_effects(data, labels=labels, measure=measure)
    assert effects.data is not None  # noqa: S101  a table was given
    reasons = missing_moderators(effects.data, used, source=source)
    lacking = tuple((effects.labels[i], reason) for i, reason in enumerate(reasons) if reason)
    kept = np.flatnonzero([not reason for reason in reasons])
    effects = effects.rows(kept.tolist(), excluded=(*effects.excluded, *lacking))
    if not effects.yi.size:
        faults = [Fault(row=label, message=reason) for label, reason in effects.excluded]
        raise DataError(f"no effect can be used: {source}", faults or ["has no rows"])
    assert effects.data is not None  # noqa: S101
    designs = []
    for columns, (_, _, formula) in zip(listed, wanted, strict=True):
        design = make_design(
            effects.data,
            moderators=columns if formula is None else None,
            formula=formula,
            reference={name: level for name, level in references.items() if name in columns},
            source=source,
        )
        check_rank(design, source=source)
        designs.append(design)
    for array in (effects.yi, effects.vi):
        array.setflags(write=False)
    return Prepared(effects=effects, designs=tuple(designs), source=source, kept=kept, size=len(reasons))


def regression_ci_method(model: str, ci_method: str | None) -> str:
    """Check the interval method, and fill it in.

    Parameters
    ----------
    model : {"random", "common"}
        The model.
    ci_method : str or None
        As in `meta_regression`.

    Returns
    -------
    str
        HK under random effects and z under a common effect when left out.

    Raises
    ------
    ChoiceError
        If it is unknown, or scales residual heterogeneity that a common effect does not have.
    """
    check_choice("model", model, ("random", "common"))
    chosen = check_choice("ci_method", ci_method or ("HK" if model == "random" else "z"), REGRESSION_CI_METHODS)
    if model == "common" and chosen not in ("z", "t"):
        raise ChoiceError(f"ci_method {chosen!r} belongs to the random-effects model; a common effect takes z or t")
    return chosen


def tell_size(effects: Effects, design: Design, notes: Notes) -> None:
    """Note what the number of studies, and how they are spread over levels, cannot carry.

    Parameters
    ----------
    effects : Effects
        What is used.
    design : Design
        Its moderators.
    notes : Notes
        Takes the notes.
    """
    k, m = len(set(effects.trials)), len(design.terms)
    if m and k < STUDIES_PER_MODERATOR * m:
        notes.say(
            f"{count(k, 'study', 'studies')} for {count(m, 'moderator term')}: with fewer than "
            f"{STUDIES_PER_MODERATOR} studies for each, expect low power and chance findings"
        )
    assert effects.data is not None  # noqa: S101
    for column in design.columns:
        if column.levels is None:
            continue
        cells = effects.data[column.name].astype(str)
        alone = [level for level in column.levels if int((cells == level).sum()) == 1]
        if alone:
            notes.say(f"{column.name}: {', '.join(alone)} {'has one row' if len(alone) == 1 else 'have one row each'}")
        numbers = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        written = effects.data[column.name]
        if np.isfinite(numbers).all() and not isinstance(written.dtype, pd.CategoricalDtype):
            notes.doubt(
                f"{column.name} holds numbers written as text and is taken as categories; "
                "turn it into numbers with pandas.to_numeric() if a slope is meant"
            )


def _tell_tau2(tau2: Tau2Estimate, method: str, tau2_ci: Interval, notes: Notes) -> None:
    tell_maxima(tau2, method, notes)
    if tau2_ci.empty:
        notes.say(f"the {tau2_ci.method} set for tau² is empty: the residuals agree better than any tau² ≥ 0 allows")


def _tell_collapse(fit: RegressionFit, design: Design, common: FloatArray, level: float, notes: Notes) -> None:
    """Warn of Knapp-Hartung intervals narrower than sampling error alone allows."""
    if fit.method != "HK" or fit.df is None:
        return
    widths = t_quantile(level, fit.df) * np.sqrt(np.diag(fit.covariance))
    narrow = widths < normal_quantile(level) * np.sqrt(np.diag(common))
    names = [design.names[j] for j in np.flatnonzero(narrow).tolist()]
    if names:
        notes.doubt(
            f"the Knapp-Hartung interval of {', '.join(names)} is narrower than the common-effect interval "
            f"(q = {fit.hk_q:.3g}): the effects agree better than their sampling errors allow; compare "
            "ci_method='HK_se'"
        )


def meta_regression(
    data: pd.DataFrame,
    *,
    moderators: str | Sequence[str] | None = None,
    formula: str | None = None,
    reference: Mapping[str, str] | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    model: Model = "random",
    tau2_method: str | None = None,
    ci_method: str | None = None,
    tau2_ci_method: str | None = None,
    level: float = 0.95,
) -> MetaRegressionResult:
    """Ask how effects depend on moderators.

    Parameters
    ----------
    data : DataFrame
        A table with ``yi`` and ``vi`` or ``sei``, as `effect_size` returns it, and the moderators. Rows with an
        ``exclusion_reason`` or without a moderator are not used; the result lists them.
    moderators : str or sequence of str, optional
        Columns: numbers are taken as they are, text and categories are compared with a reference level. An empty list
        fits a mean and nothing else.
    formula : str, optional
        Or a formula, such as ``"year * C(format)"``. It may call functions, so do not pass on text from strangers.
    reference : mapping of str to str, optional
        Reference levels by column; the first category, or the first level in alphabetical order, when left out.
    labels, measure
        As in `meta_analysis`.
    model : {"random", "common"}, default "random"
        Whether true effects vary beyond what the moderators say.
    tau2_method : str, optional
        Estimator of the residual between-study variance, as in `meta_analysis`; REML when left out.
    ci_method : {"HK", "HK_se", "t", "z"}, optional
        Tests and intervals of the coefficients: Knapp-Hartung, the same with a scale factor of at least 1, t without
        it, or normal. Default HK under random effects, z under a common effect.
    tau2_ci_method : str, optional
        Interval of the residual tau2, as in `meta_analysis`; QP when left out.
    level : float, default 0.95
        Level of every interval.

    Returns
    -------
    MetaRegressionResult
        Coefficients, tests, residual heterogeneity, and methods to predict, compare and permute.

    Raises
    ------
    DataError
        If the table cannot be used, a moderator has one level, coefficients cannot be told apart, or no residual
        degrees of freedom are left; the columns are named.
    ChoiceError
        If an option is unknown, or is about tau2 under a common effect.

    Warns
    -----
    DataWarning
        If one trial contributes several effects, if Knapp-Hartung intervals collapse, if the likelihood of tau2 has
        several maxima, or if a moderator holds numbers written as text.

    References
    ----------
    Thompson & Higgins (2002), Stat Med 21:1559-1573; Knapp & Hartung (2003), Stat Med 22:2693-2710; Viechtbauer et al.
    (2015), Psychol Methods 20:360-374.

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer.pooling.regression_models import meta_regression
    >>> table = pd.DataFrame({"yi": [0.1, 0.3, 0.2, 0.6, 0.4, 0.7], "vi": [0.02, 0.03, 0.02, 0.04, 0.03, 0.02],
    ...                       "year": [2001, 2004, 2008, 2011, 2013, 2019]})
    >>> fit = meta_regression(table, moderators=["year"])
    >>> fit.names, fit.beta.round(4).tolist(), fit.p_value.round(4).tolist()
    (('Intercept', 'year'), [-63.6455, 0.0319], [0.0137, 0.0134])
    """
    method = regression_ci_method(model, ci_method)
    refuse_without_tau2(model, tau2_method=tau2_method, tau2_ci_method=tau2_ci_method)
    tau2_method = check_choice("tau2_method", tau2_method or "REML", TAU2_METHODS)
    tau2_ci_method = check_choice("tau2_ci_method", tau2_ci_method or "QP", TAU2_CI_METHODS)
    check_level(level)
    ready = prepare(data, [("moderators", moderators, formula)], reference=reference, labels=labels, measure=measure)
    effects, (design,) = ready.effects, ready.designs
    yi, vi, X = effects.yi, effects.vi, design.X
    basis = orthonormal(X)
    k, p = X.shape
    random = model == "random"
    notes = Notes()
    tell_dependence(effects, notes)
    tell_size(effects, design, notes)

    tau2 = estimate_tau2(yi, vi, tau2_method, basis) if random else Tau2Estimate(0.0, math.nan)
    fit = fit_regression(yi, vi, X, tau2=tau2.tau2, method=method)
    each = linear_combinations(fit, np.eye(p), level=level)
    if random:
        _tell_collapse(fit, design, coefficients(yi, vi, 0.0, X).covariance, level, notes)

    het, het_without = cochran_q(yi, vi, basis), cochran_q(yi, vi)
    tau2_ci, i2_ci, without, h2 = None, None, math.nan, math.nan
    if random:
        tau2_ci = tau2_interval(yi, vi, tau2, method=tau2_ci_method, tau2_method=tau2_method, level=level, X=basis)
        _tell_tau2(tau2, tau2_method, tau2_ci, notes)
        low, high = (i2_from_h2(h2_from_tau2(end, het.typical_variance)) for end in tau2_ci)
        i2_ci = Interval(low, high, level, tau2_ci.method, tau2_ci.empty)
        without = estimate_tau2(yi, vi, tau2_method).tau2
        h2 = h2_from_tau2(tau2.tau2, het.typical_variance)
    R2 = math.nan
    if design.terms and _holds_equal_means(basis):
        R2 = r2_random(without, tau2.tau2) if random else r2_common(het_without.Q, k - 1, het.Q, het.df)

    w = 1.0 / (vi + tau2.tau2)
    weights = 100.0 / total(w) * w
    for array in (fit.beta, each.se, each.low, each.high, each.statistic, each.p_value, fit.covariance, weights, X):
        array.setflags(write=False)
    notes.warn(stacklevel=2)
    assert effects.data is not None  # noqa: S101
    return MetaRegressionResult(
        measure=effects.measure,
        model=model,
        formula=design.words,
        k=k,
        trials=len(set(effects.trials)),
        names=design.names,
        beta=fit.beta,
        se=each.se,
        ci_low=each.low,
        ci_high=each.high,
        statistic=each.statistic,
        p_value=each.p_value,
        covariance=fit.covariance,
        df=fit.df,
        ci_method=method,
        hk_q=fit.hk_q,
        omnibus=wald_test(fit, np.eye(p)[list(design.tested)]) if design.tested else None,
        tau2=tau2.tau2,
        tau2_se=tau2.se,
        tau2_method=tau2_method if random else "",
        tau2_ci=tau2_ci,
        tau2_without=without,
        R2=R2,
        I2=i2_from_h2(h2),
        H2=h2,
        I2_ci=i2_ci,
        QE=het.Q,
        QE_df=het.df,
        QE_p=het.p_value,
        I2_Q=i2_from_h2(het.Q / het.df),
        ML=fit_statistics(yi, vi, basis, tau2=tau2.tau2, variances=int(random), restricted=False),
        REML=fit_statistics(yi, vi, basis, tau2=tau2.tau2, variances=int(random), restricted=True),
        other_maxima=tau2.other_maxima,
        level=level,
        positive_favours=effects.positive_favours,
        labels=effects.labels,
        yi=yi,
        vi=vi,
        weights=weights,
        excluded=effects.excluded,
        notes=tuple(notes.said),
        design=design,
        data=effects.data,
    )


def _holds_equal_means(basis: FloatArray) -> bool:
    """Whether the model contains the one without moderators, as it also does with a column for every level."""
    ones = np.ones(basis.shape[0])
    return bool(np.abs(ones - basis @ (basis.T @ ones)).max() < 1e-9)

"""What a meta-regression found, and what can be asked of it afterwards."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number, format_p
from metapeer.pooling.design import Column, Design, encode_rows
from metapeer.pooling.intervals import Interval, check_level, chi2_tail
from metapeer.pooling.regression import (
    FitStatistics,
    Linear,
    RegressionFit,
    WaldTest,
    adjust_p,
    fit_regression,
    fit_statistics,
    generalised_vif,
    linear_combinations,
    orthonormal,
    prediction_limits,
    r2_random,
    wald_test,
)
from metapeer.pooling.regression_comparisons import ModelComparison, PermutationTest, p_equals
from metapeer.pooling.regression_permutation import permute
from metapeer.pooling.results import measure_of
from metapeer.pooling.tau2 import estimate_tau2
from metapeer.pooling.weighted import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "MetaRegressionResult",
    "coefficient_rows",
    "frame_of_rows",
    "read_contrasts",
    "wald_words",
]

Rows = pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]]


def frame_of_rows(new: Rows) -> pd.DataFrame:
    """Make a table of what a caller gives as new rows.

    Parameters
    ----------
    new : DataFrame, mapping, or sequence of mappings
        A table; columns or single values by name; or one mapping for each row.

    Returns
    -------
    DataFrame
        With a fresh index.

    Raises
    ------
    MetapeerError
        If it is none of these, or its columns differ in length.

    Examples
    --------
    >>> frame_of_rows({"year": [2000, 2010], "format": "group"})
       year format
    0  2000  group
    1  2010  group
    """
    if isinstance(new, pd.DataFrame):
        return new.reset_index(drop=True)
    try:
        if isinstance(new, Mapping):
            lists = any(pd.api.types.is_list_like(value) for value in new.values())
            return pd.DataFrame(dict(new), index=None if lists else [0]).reset_index(drop=True)
        return pd.DataFrame([dict(row) for row in new])
    except (TypeError, ValueError) as error:
        raise MetapeerError(f"new rows must be a table, or values by column name: {error}") from None


def read_contrasts(weights: object, names: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Read linear combinations of coefficients: one by coefficient, or several of these by name.

    Parameters
    ----------
    weights : mapping
        Weights by coefficient, or mappings of these by name.
    names : sequence of str
        The coefficients.

    Returns
    -------
    labels : list of str
        What each combination is called; one without a name is called by its weights.
    L : array of shape (m, p)
        One combination a row.

    Raises
    ------
    ChoiceError
        If a coefficient is unknown, a weight is no number, or a combination has none.

    Examples
    --------
    >>> labels, L = read_contrasts({"a": 1, "b": -1}, ["a", "b", "c"])
    >>> labels, L.tolist()
    (['+1 a -1 b'], [[1.0, -1.0, 0.0]])
    """
    if not isinstance(weights, Mapping) or not weights:
        raise ChoiceError("weights must map coefficients to numbers, such as {'year': 10}")
    several = {str(name): value for name, value in weights.items() if isinstance(value, Mapping)}
    if several and len(several) < len(weights):
        raise ChoiceError("give either one contrast or several by name, not both")
    named = several or {" ".join(f"{_signed(value)} {name}" for name, value in weights.items()): weights}
    L = np.zeros((len(named), len(names)))
    for row, combination in zip(L, named.values(), strict=True):
        for name, weight in combination.items():
            at = list(names).index(check_choice("coefficient", name, list(names)))
            if isinstance(weight, bool) or not isinstance(weight, int | float | np.number) or not math.isfinite(weight):
                raise ChoiceError(f"the weight of {name} must be a finite number, not {weight!r}")
            row[at] = float(weight)
        if not row.any():
            raise ChoiceError("a contrast needs a weight other than zero")
    return list(named), L


def wald_words(found: WaldTest) -> str:
    """Say what a Wald test found.

    Parameters
    ----------
    found : WaldTest
        The test.

    Returns
    -------
    str
        Such as ``"F = 4.06, df = 1 and 26, p = 0.054"``.

    Examples
    --------
    >>> wald_words(WaldTest(test="chi2", statistic=6.0, df=2.0, df2=math.nan, p_value=0.0498))
    'QM = 6.00, df = 2, p = 0.050'
    """
    value = format_number(found.statistic, 2)
    if found.test == "F":
        return f"F = {value}, df = {found.df:g} and {found.df2:g}, p {p_equals(found.p_value)}"
    return f"QM = {value}, df = {found.df:g}, p {p_equals(found.p_value)}"


def _digits(se: float) -> int:
    """Decimals that show two digits of a standard error, and not fewer than three."""
    return 3 if not se > 0 else min(8, max(3, 1 - math.floor(math.log10(se))))


def coefficient_rows(names: Sequence[str], found: Linear, *, ratio: bool = False) -> list[tuple[str, ...]]:
    """Write coefficients as rows of a text table.

    Parameters
    ----------
    names : sequence of str
        Names of the coefficients.
    found : Linear
        Their estimates and tests.
    ratio : bool, default False
        Whether a column of ``exp(estimate)`` with its limits is wanted.

    Returns
    -------
    list of tuple of str
        Name, estimate, standard error, interval, statistic, p, and the ratio.
    """
    rows = []
    for i, name in enumerate(names):
        value, se, low, high = (float(part[i]) for part in (found.estimate, found.se, found.low, found.high))
        digits = _digits(se)
        row = [
            name,
            format_number(value, digits),
            format_number(se, digits),
            format_interval(low, high, digits),
            format_number(float(found.statistic[i]), 2),
            format_p(float(found.p_value[i])),
        ]
        if ratio:
            shown = [format_number(math.exp(min(part, 700.0)), 3) for part in (value, low, high)]
            row.append(f"{shown[0]} ({shown[1]} to {shown[2]})")
        rows.append(tuple(row))
    return rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MetaRegressionResult(Printable):
    """The result of `meta_regression`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    model : {"random", "common"}
        Whether true effects vary beyond what the moderators say.
    formula : str
        The moderators as a formula.
    k, trials : int
        Effects used, and different trials among them.
    names : tuple of str
        The coefficients.
    beta, se, ci_low, ci_high, statistic, p_value : array of shape (p,)
        Coefficients (on the log scale for ratios) with standard errors, limits and tests; read-only.
    covariance : array of shape (p, p)
        Of the coefficients, as the tests use it; read-only.
    df : float or None
        Degrees of freedom of the tests; None for the normal distribution.
    ci_method : str
        "z", "t", "HK" or "HK_se".
    hk_q : float
        Knapp and Hartung's scale factor, whether used or not.
    omnibus : WaldTest or None
        Test of all coefficients but the intercept; None when there is no other.
    tau2, tau2_se : float
        Between-study variance that the moderators leave; zero and NaN under a common effect.
    tau2_method : str
        Its estimator; empty under a common effect.
    tau2_ci : Interval or None
        Its interval.
    tau2_without : float
        The same without moderators.
    R2 : float
        Share of it that the moderators account for, in per cent; under a common effect, the adjusted share of Q. NaN
        when there is nothing to account for, or when the model cannot hold all means equal.
    I2, H2 : float
        From the residual tau2 and the typical sampling variance; NaN under a common effect.
    I2_ci : Interval or None
        From `tau2_ci`.
    QE, QE_df, QE_p : float, int, float
        Test of residual heterogeneity.
    I2_Q : float
        I² from QE, in per cent.
    ML, REML : FitStatistics
        Log-likelihood and information criteria at this tau2.
    other_maxima : tuple of (float, float)
        Other local maxima of the likelihood of tau2, and how far below the best each lies in log-likelihood.
    level : float
        Confidence level of every interval.
    positive_favours : str
        The arm that a positive effect favours; empty when unknown.
    labels : tuple of str
        Names of the rows used.
    yi, vi, weights : array of shape (k,)
        Effects, sampling variances, and weights in per cent; read-only.
    excluded : tuple of (str, str)
        Rows not used, each with the reason.
    notes : tuple of str
        What a reader must know about how this result came about.
    design : Design
        The coded moderators.
    data : DataFrame
        The rows used, as they were given.
    """

    measure: str
    model: str
    formula: str
    k: int
    trials: int
    names: tuple[str, ...]
    beta: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    statistic: FloatArray
    p_value: FloatArray
    covariance: FloatArray
    df: float | None
    ci_method: str
    hk_q: float
    omnibus: WaldTest | None
    tau2: float
    tau2_se: float
    tau2_method: str
    tau2_ci: Interval | None
    tau2_without: float
    R2: float
    I2: float
    H2: float
    I2_ci: Interval | None
    QE: float
    QE_df: int
    QE_p: float
    I2_Q: float
    ML: FitStatistics
    REML: FitStatistics
    other_maxima: tuple[tuple[float, float], ...]
    level: float
    positive_favours: str
    labels: tuple[str, ...]
    yi: FloatArray
    vi: FloatArray
    weights: FloatArray
    excluded: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    design: Design = field(repr=False)
    data: pd.DataFrame = field(repr=False)

    @property
    def tau(self) -> float:
        """Residual between-study standard deviation, in the units of the effects."""
        return math.sqrt(self.tau2)

    @property
    def references(self) -> dict[str, str]:
        """The level that the others are compared with, of each categorical moderator coded that way."""
        return self.design.references

    @property
    def _fit(self) -> RegressionFit:
        return RegressionFit(
            beta=self.beta, covariance=self.covariance, hk_q=self.hk_q, df=self.df, method=self.ci_method
        )

    def _linear(self, L: FloatArray, level: float | None) -> Linear:
        return linear_combinations(self._fit, L, level=self.level if level is None else check_level(level))

    def _frame(self, found: Linear, level: float | None) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "estimate": found.estimate,
                "se": found.se,
                "ci_low": found.low,
                "ci_high": found.high,
                "level": self.level if level is None else level,
                "statistic": found.statistic,
                "df": math.nan if self.df is None else self.df,
                "p_value": found.p_value,
            }
        )

    def to_frame(self) -> pd.DataFrame:
        """Put the coefficients in rows.

        Returns
        -------
        DataFrame
            One row for each coefficient; ratios stay on the log scale, as ``scale`` says.
        """
        frame = self._frame(self._linear(np.eye(len(self.names)), None), None)
        frame.insert(0, "coefficient", list(self.names))
        owners = {j: term.name for term in self.design.terms for j in term.columns}
        frame.insert(1, "term", [owners.get(j, "") for j in range(len(self.names))])
        return frame.assign(ci_method=self.ci_method, measure=self.measure, scale=measure_of(self.measure).scale)

    def predict(self, new: Rows | None = None, *, level: float | None = None, displayed: bool = False) -> pd.DataFrame:
        """Expected effects for given moderators, and where the true effect of such a study may lie.

        Parameters
        ----------
        new : DataFrame, mapping, or sequence of mappings, optional
            A value for every moderator; the studies themselves when left out.
        level : float, optional
            Level of the intervals; the result's own when left out.
        displayed : bool, default False
            Whether effects are turned into what a reader expects, such as ratios instead of their logarithms.

        Returns
        -------
        DataFrame
            The moderators, then ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``pi_low``, ``pi_high`` (prediction
            limits; NaN under a common effect) and ``level``. ``se`` always belongs to the scale of the analysis.

        Raises
        ------
        DataError
            If a moderator is missing or has a value that the model cannot take; all faults are listed.

        Examples
        --------
        >>> from metapeer.pooling.regression_models import meta_regression
        >>> table = pd.DataFrame({"yi": [0.1, 0.3, 0.2, 0.6], "vi": [0.02] * 4, "year": [2001, 2004, 2008, 2011]})
        >>> fit = meta_regression(table, moderators=["year"], ci_method="t")
        >>> fit.predict({"year": [2000, 2010]})[["year", "estimate", "ci_low", "ci_high"]].round(2)
           year  estimate  ci_low  ci_high
        0  2000      0.06   -0.57     0.69
        1  2010      0.46   -0.03     0.95
        """
        chosen = self.level if level is None else check_level(level)
        if new is None:
            shown = self.data[[column.name for column in self.design.columns]].reset_index(drop=True)
            shown.insert(0, "label", list(self.labels))
            X = self.design.X
        else:
            shown = frame_of_rows(new)
            X = encode_rows(self.design, shown)
        found = self._linear(X, chosen)
        columns = {"estimate": found.estimate, "se": found.se, "ci_low": found.low, "ci_high": found.high}
        columns["pi_low"] = columns["pi_high"] = np.full(len(shown), math.nan)
        if self.model == "random":
            columns["pi_low"], columns["pi_high"] = prediction_limits(
                found.estimate, found.se, tau2=self.tau2, df=self.df, level=chosen
            )
        if displayed:
            measure = measure_of(self.measure)
            for name in ("estimate", "ci_low", "ci_high", "pi_low", "pi_high"):
                columns[name] = np.array(
                    [measure.display(v, s * s) for v, s in zip(columns[name].tolist(), found.se.tolist(), strict=True)]
                )
        shown = shown.drop(columns=[name for name in (*columns, "level") if name in shown])
        return shown.assign(**columns, level=chosen)

    def contrast(
        self,
        weights: Mapping[str, float] | Mapping[str, Mapping[str, float]],
        *,
        adjust: str = "holm",
        level: float | None = None,
    ) -> pd.DataFrame:
        """Estimate and test linear combinations of the coefficients.

        Parameters
        ----------
        weights : mapping
            Weights by coefficient, such as ``{"format[T.group]": 1, "format[T.mixed]": -1}``; or several of these by
            name.
        adjust : {"holm", "bonferroni", "none"}, default "holm"
            Adjustment of the p values when there are several. Intervals are not adjusted.
        level : float, optional
            Level of the intervals; the result's own when left out.

        Returns
        -------
        DataFrame
            One row for each contrast.

        Raises
        ------
        ChoiceError
            If a coefficient is unknown.

        Examples
        --------
        >>> from metapeer.pooling.regression_models import meta_regression
        >>> table = pd.DataFrame({"yi": [0.1, 0.3, 0.2, 0.6], "vi": [0.02] * 4, "year": [2001, 2004, 2008, 2011]})
        >>> fit = meta_regression(table, moderators=["year"], ci_method="t")
        >>> fit.contrast({"ten years": {"year": 10}})[["contrast", "estimate", "p_value"]].round(3)
            contrast  estimate  p_value
        0  ten years     0.397    0.193
        """
        names, L = read_contrasts(weights, self.names)
        return self._contrasts(names, L, adjust, level)

    def _contrasts(self, names: list[str], L: FloatArray, adjust: str, level: float | None) -> pd.DataFrame:
        found = self._linear(L, level)
        frame = self._frame(found, level)
        frame.insert(0, "contrast", names)
        return frame.assign(p_adjusted=adjust_p(found.p_value, adjust), adjustment=adjust)

    def pairwise(self, moderator: str, *, adjust: str = "holm", level: float | None = None) -> pd.DataFrame:
        """Compare every two levels of a categorical moderator, the other moderators held equal.

        Parameters
        ----------
        moderator : str
            The column.
        adjust : {"holm", "bonferroni", "none"}, default "holm"
            Adjustment of the p values. Intervals are not adjusted.
        level : float, optional
            Level of the intervals; the result's own when left out.

        Returns
        -------
        DataFrame
            One row for each pair, ``"group - mixed"`` being the expected effect in groups minus that in mixed formats.

        Raises
        ------
        ChoiceError
            If the moderator is not categorical, or if its effect depends on another one.

        Examples
        --------
        >>> from metapeer.pooling.regression_models import meta_regression
        >>> table = pd.DataFrame({"yi": [0.1, 0.2, 0.3, 0.5, 0.6, 0.9], "vi": [0.02] * 6, "dose": list("aabbcc")})
        >>> fit = meta_regression(table, moderators="dose", ci_method="t")
        >>> fit.pairwise("dose")[["contrast", "estimate", "p_value", "p_adjusted"]].round(3)
          contrast  estimate  p_value  p_adjusted
        0    b - a      0.25    0.200       0.212
        1    c - a      0.60    0.029       0.088
        2    c - b      0.35    0.106       0.212
        """
        column = self._column(moderator)
        if column.levels is None:
            raise ChoiceError(f"{moderator} holds numbers; its coefficient is the comparison, see contrast()")
        rows = self.data.reset_index(drop=True)
        coded = {
            level_name: encode_rows(self.design, rows.assign(**{moderator: level_name})) for level_name in column.levels
        }
        names, weights = [], []
        for first, second in combinations(column.levels, 2):
            difference = coded[second] - coded[first]
            if not np.allclose(difference, difference[0], rtol=0, atol=1e-9 * float(np.abs(difference).max())):
                raise ChoiceError(
                    f"the effect of {moderator} depends on other moderators; "
                    "say at which of their values with contrast()"
                )
            names.append(f"{second} - {first}")
            weights.append(difference[0])
        return self._contrasts(names, np.array(weights), adjust, level)

    def _column(self, name: str) -> Column:
        columns = {column.name: column for column in self.design.columns}
        return columns[check_choice("moderator", name, list(columns))]

    def wald_test(self, terms: str | Sequence[str]) -> WaldTest:
        """Test some of the terms or coefficients together.

        Parameters
        ----------
        terms : str or sequence of str
            Terms of the model, such as ``"format"``, or single coefficients.

        Returns
        -------
        WaldTest
            Chi-squared or F, as the tests of the coefficients.

        Raises
        ------
        ChoiceError
            If a term is unknown.

        Examples
        --------
        >>> from metapeer.pooling.regression_models import meta_regression
        >>> table = pd.DataFrame({"yi": [0.1, 0.2, 0.3, 0.5, 0.6, 0.9], "vi": [0.02] * 6, "dose": list("aabbcc")})
        >>> found = meta_regression(table, moderators="dose", ci_method="t").wald_test("dose")
        >>> found.test, found.df, found.df2, round(found.p_value, 3)
        ('F', 2.0, 3.0, 0.065)
        """
        asked = [terms] if isinstance(terms, str) else list(terms)
        owned = {term.name: term.columns for term in self.design.terms}
        chosen: list[int] = []
        for name in asked:
            if name in owned:
                chosen += owned[name]
            else:
                chosen.append(self.names.index(check_choice("term", name, [*owned, *self.names])))
        if not chosen:
            raise ChoiceError(f"terms is empty; the model has {', '.join(self.names)}")
        return wald_test(self._fit, np.eye(len(self.names))[sorted(set(chosen))])

    def vif(self) -> pd.DataFrame:
        """Variance inflation factors: how much the moderators' overlap costs.

        Returns
        -------
        DataFrame
            One row for each term: ``df``, ``gvif`` (the VIF of a term with one coefficient), and ``sif``, its 2 df-th
            root, by how much standard errors are longer than they would be without overlap.

        References
        ----------
        Fox & Monette (1992), J Am Stat Assoc 87:178-183.

        Examples
        --------
        >>> from metapeer.pooling.regression_models import meta_regression
        >>> table = pd.DataFrame(
        ...     {"yi": [0.1, 0.3, 0.2, 0.6, 0.4], "vi": [0.02] * 5, "a": [1.0, 2, 3, 4, 5], "b": [1.0, 3, 2, 4, 5]}
        ... )
        >>> meta_regression(table, moderators=["a", "b"]).vif().round(2)
          term  df  gvif   sif
        0    a   1  5.26  2.29
        1    b   1  5.26  2.29
        """
        rows = []
        for term in self.design.terms:
            others = [j for j in self.design.tested if j not in term.columns]
            found = generalised_vif(self.covariance, term.columns, others)
            size = len(term.columns)
            rows.append({"term": term.name, "df": size, "gvif": found, "sif": found ** (0.5 / size)})
        return pd.DataFrame(rows, columns=["term", "df", "gvif", "sif"])

    def compare(self, other: "MetaRegressionResult") -> ModelComparison:
        """Compare with another model of the same effects, both fitted by maximum likelihood.

        Parameters
        ----------
        other : MetaRegressionResult
            From the same rows and the same kind of model.

        Returns
        -------
        ModelComparison
            Likelihood ratio test if one model contains the other, and information criteria in any case.

        Raises
        ------
        MetapeerError
            If the two are not of the same effects.

        Examples
        --------
        >>> from metapeer.pooling.regression_models import meta_regression
        >>> table = pd.DataFrame({"yi": [0.1, 0.3, 0.2, 0.6], "vi": [0.02] * 4, "year": [2001, 2004, 2008, 2011]})
        >>> full, empty = meta_regression(table, moderators=["year"]), meta_regression(table, moderators=[])
        >>> found = full.compare(empty)
        >>> round(found.LRT, 3), found.df, round(found.p_value, 3)
        (3.799, 1, 0.051)
        """
        if not isinstance(other, MetaRegressionResult):
            raise MetapeerError(f"compare() takes another meta-regression, not a {type(other).__name__}")
        if self.model != other.model:
            raise MetapeerError("one model has random effects and the other a common effect; fit both alike")
        if not (np.array_equal(self.yi, other.yi) and np.array_equal(self.vi, other.vi)):
            raise MetapeerError(
                f"the models use different effects ({self.k} and {other.k} rows); rows without a moderator were left "
                "out, so fit both to the rows that have all moderators"
            )
        full, reduced = (self, other) if len(self.names) >= len(other.names) else (other, self)
        found = []
        for fit in (full, reduced):
            X, variances = orthonormal(fit.design.X), int(fit.model == "random")
            tau2 = estimate_tau2(fit.yi, fit.vi, "ML", X).tau2 if variances else 0.0
            statistics = fit_statistics(fit.yi, fit.vi, X, tau2=tau2, variances=variances, restricted=False)
            found.append((tau2, statistics))
        (full_tau2, full_found), (reduced_tau2, reduced_found) = found
        df = len(full.names) - len(reduced.names)
        nested = df > 0 and _contains(full.design.X, reduced.design.X)
        LRT = max(0.0, 2.0 * (full_found.log_likelihood - reduced_found.log_likelihood)) if nested else math.nan
        notes = [] if nested else ["the models are not nested: there is no likelihood ratio test, only AIC, BIC, AICc"]
        return ModelComparison(
            full=full.formula,
            reduced=reduced.formula,
            LRT=LRT,
            df=df,
            p_value=chi2_tail(LRT, df) if nested else math.nan,
            full_statistics=full_found,
            reduced_statistics=reduced_found,
            full_tau2=full_tau2,
            reduced_tau2=reduced_tau2,
            R2=r2_random(reduced_tau2, full_tau2) if nested and self.model == "random" else math.nan,
            notes=tuple(notes),
        )

    def permutation_test(self, *, permutations: int = 1000, seed: int = 20260101) -> PermutationTest:
        """Test the coefficients by sharing out the moderators among the studies anew.

        Parameters
        ----------
        permutations : int, default 1000
            All different arrangements are tried when there are no more than this; otherwise so many.
        seed : int, default 20260101
            Of the draws, so that the same call gives the same answer.

        Returns
        -------
        PermutationTest
            p values that need no distribution, only that studies could have had each other's moderators.

        Raises
        ------
        ChoiceError
            If `permutations` is not a whole number of at least 20.

        References
        ----------
        Higgins & Thompson (2004), Stat Med 23:1663-1682; Follmann & Proschan (1999), Biometrics 55:732-737 (signs, for
        a model without moderators).

        Examples
        --------
        >>> from metapeer.pooling.regression_models import meta_regression
        >>> table = pd.DataFrame({"yi": [0.1, 0.3, 0.2, 0.6, 0.7], "vi": [0.02] * 5, "year": [1, 2, 3, 4, 5]})
        >>> found = meta_regression(table, moderators=["year"]).permutation_test()
        >>> found.exact, found.number, round(found.omnibus_p, 3)
        (True, 120, 0.067)
        """
        if isinstance(permutations, bool) or not isinstance(permutations, int | np.integer) or permutations < 20:
            raise ChoiceError(f"permutations must be a whole number of at least 20, not {permutations!r}")
        vi, method, random = self.vi, self.ci_method, self.model == "random"

        def refit(yi: FloatArray, X: FloatArray) -> RegressionFit:
            tau2 = estimate_tau2(yi, vi, self.tau2_method, orthonormal(X)).tau2 if random else 0.0
            return fit_regression(yi, vi, X, tau2=tau2, method=method)

        tested = list(self.design.tested) or [0]
        contrasts = np.eye(len(self.names))[tested]
        found = permute(refit, self.yi, self.design.X, contrasts, permutations=int(permutations), seed=seed)
        omnibus = wald_test(self._fit, contrasts)
        return PermutationTest(
            names=self.names,
            p_values=found.p_values,
            parametric=self.p_value,
            omnibus_p=found.omnibus_p,
            omnibus_parametric=omnibus.p_value,
            exact=found.exact,
            number=found.number,
            seed=None if found.exact else seed,
            what="moderators" if self.design.tested else "signs",
        )

    def _quantities(self) -> list[tuple[str, str, str, str]]:
        rows: list[tuple[str, str, str, str]] = []
        if self.model == "random":
            tau2_ci, i2_ci = self.tau2_ci, self.I2_ci
            how = self.tau2_method
            if tau2_ci is not None:
                how += f"; {format_level(tau2_ci.level)} {tau2_ci.method} interval"
                how += " is empty" if tau2_ci.empty else ""
            rows += [
                ("residual tau²", format_number(self.tau2, 4), _ends_in_words(tau2_ci, 4), how),
                ("residual I² from tau²", _percent(self.I2), _ends_in_words(i2_ci, 1, "%"), ""),
            ]
        rows += [
            ("residual I² from QE", _percent(self.I2_Q), "", ""),
            ("QE", format_number(self.QE, 2), "", f"{self.QE_df} df; p {p_equals(self.QE_p)}"),
        ]
        if self.design.terms:
            of = f"of tau² = {format_number(self.tau2_without, 4)}" if self.model == "random" else "of Q, adjusted"
            rows.append(("R²", _percent(self.R2), "", of if not math.isnan(self.R2) else "nothing to account for"))
        return rows

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            The coefficients, and then the heterogeneity with the notes.
        """
        measure = measure_of(self.measure)
        kind = "Random-effects" if self.model == "random" else "Common-effect"
        size = count(self.k, "study", "studies") if self.trials == self.k else count(self.k, "effect")
        if self.trials != self.k:
            size += f" from {count(self.trials, 'trial')}"
        title = f"{kind} meta-regression: {size}; {self.formula}"
        if self.measure:
            title += f"\n{measure.name}"
            if measure.scale != "identity":
                title += f", coefficients on the {measure.scale} scale"
            if self.positive_favours:
                title += f"; positive favours {'peer support' if self.positive_favours == 'arm1' else 'the comparison'}"
        ratio = measure.scale == "log"
        symbol = "z" if self.df is None else f"t ({self.df:g} df)"
        header = ("", "estimate", "SE", f"{format_level(self.level)} CI", symbol, "p", *(["ratio"] if ratio else []))
        rows = coefficient_rows(self.names, self._linear(np.eye(len(self.names)), None), ratio=ratio)
        below = [f"Tests: {_test_name(self.ci_method, self.hk_q)}"]
        below += [f"Reference level of {name}: {level}" for name, level in self.references.items()]
        if self.omnibus is not None:
            tested = "Moderators together" if self.design.intercept is not None else "All coefficients together"
            below.append(f"{tested}: {wald_words(self.omnibus)}")
        notes = list(self.notes)
        if self.excluded:
            notes.append(f"{count(len(self.excluded), 'row')} not used:")
            notes += [f"  {label}: {reason}" for label, reason in self.excluded]
        return (
            TextTable(title=title, header=header, rows=rows, notes=below),
            TextTable(header=("", "", "", ""), rows=self._quantities(), notes=notes),
        )

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        moderator: str | None = None,
        at: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> "Figure":
        """Draw a bubble plot: effects against a numeric moderator, with the fitted line and its bands.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        moderator : str, optional
            The moderator across; may be left out when only one holds numbers.
        at : mapping, optional
            Values of the other moderators for the line; by default the mean of numbers and the commonest level.
        **options
            Anything else that `bubble_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.

        Raises
        ------
        ChoiceError
            If no moderator holds numbers, or several do and none is named.
        """
        from metapeer.pooling.bubble_table import draw_bubbles

        return draw_bubbles(self, moderator=moderator, at=at, ax=ax, **options)


def _signed(value: object) -> str:
    return f"{value:+g}" if isinstance(value, int | float | np.number) else str(value)


def _contains(larger: FloatArray, smaller: FloatArray) -> bool:
    """Whether the columns of one design can be made from those of another."""
    size = np.sqrt(np.einsum("ij,ij->j", smaller, smaller))
    basis, scaled = orthonormal(larger), smaller / size
    return bool(np.abs(scaled - basis @ (basis.T @ scaled)).max() < 1e-9)


def _percent(value: float) -> str:
    return "NA" if math.isnan(value) else f"{format_number(value, 1)}%"


def _ends_in_words(interval: Interval | None, digits: int, unit: str = "") -> str:
    if interval is None:
        return ""
    if interval.empty:
        return "empty"
    if math.isnan(interval.low) or math.isnan(interval.high):
        return "NA"
    return f"{format_number(interval.low, digits)}{unit} to {format_number(interval.high, digits)}{unit}"


def _test_name(method: str, q: float) -> str:
    if method == "HK":
        return f"Knapp-Hartung, q = {format_number(q, 3)}"
    if method == "HK_se":
        return f"Knapp-Hartung, q = {format_number(q, 3)}{' raised to 1' if q < 1 else ''}"
    return "normal" if method == "z" else "t"

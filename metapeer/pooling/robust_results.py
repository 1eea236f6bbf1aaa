"""What cluster-robust inference found, and what can be asked of it afterwards."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number, format_p
from metapeer.pooling.intervals import check_level
from metapeer.pooling.models import Notes
from metapeer.pooling.regression_results import read_contrasts
from metapeer.pooling.results import measure_of
from metapeer.pooling.robust_bootstrap import wild_bootstrap_test
from metapeer.pooling.robust_sandwich import VCOV, Sandwich, sandwich
from metapeer.pooling.robust_tests import FEWEST_DF, ROUNDING, WildBootstrapTest, tell_coefficients, wald_in_words
from metapeer.pooling.robust_wald import COEFFICIENT_TESTS, RobustWald, robust_linear, robust_wald
from metapeer.pooling.weighted import FloatArray

__all__ = ["ClusterRobustResult"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ClusterRobustResult(Printable):
    """The result of `cluster_robust`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    k, clusters : int
        Effects, and clusters they stand in.
    clustering : str
        What the clusters are, in words.
    vcov : str
        Correction for few clusters, such as "CR2".
    test : str
        Distribution of the tests, such as "Satterthwaite".
    names : tuple of str
        The coefficients.
    estimate, se, statistic, df, p_value, ci_low, ci_high : array of shape (p,)
        Coefficients as fitted (on the log scale for ratios) with robust standard errors, tests and limits; read-only.
        All but the estimate are NaN for a coefficient that one cluster alone decides.
    covariance : array of shape (p, p)
        Robust covariance of the coefficients; read-only.
    omnibus : RobustWald or None
        Test of all coefficients but the intercept; None when there are not several.
    level : float
        Confidence level of the intervals.
    terms : mapping of str to tuple of int
        Terms of several coefficients, and which they are.
    notes : tuple of str
        What a reader must know about how this result came about.
    fit : Sandwich
        The computation, for those who need its parts.
    """

    measure: str
    k: int
    clusters: int
    clustering: str
    vcov: str
    test: str
    names: tuple[str, ...]
    estimate: FloatArray
    se: FloatArray
    statistic: FloatArray
    df: FloatArray
    p_value: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    covariance: FloatArray
    omnibus: RobustWald | None
    level: float
    terms: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...]
    fit: Sandwich = field(repr=False)

    @property
    def method(self) -> str:
        """What was done, in words: such as "CR2, Satterthwaite df, 27 clusters"."""
        return f"{self.vcov}, {COEFFICIENT_TESTS[self.test]}, {count(self.clusters, 'cluster')}"

    def to_frame(self) -> pd.DataFrame:
        """Put the coefficients in rows.

        Returns
        -------
        DataFrame
            One row for each coefficient; ratios stay on the log scale, as ``scale`` says.
        """
        return pd.DataFrame(
            {
                "coefficient": list(self.names),
                "estimate": self.estimate,
                "se": self.se,
                "ci_low": self.ci_low,
                "ci_high": self.ci_high,
                "level": self.level,
                "statistic": self.statistic,
                "df": self.df,
                "p_value": self.p_value,
                "vcov": self.vcov,
                "test": self.test,
                "clusters": self.clusters,
                "measure": self.measure,
                "scale": measure_of(self.measure).scale,
            }
        )

    def contrast(
        self, weights: Mapping[str, float] | Mapping[str, Mapping[str, float]], *, level: float | None = None
    ) -> pd.DataFrame:
        """Estimate and test linear combinations of the coefficients, each with degrees of freedom of its own.

        Parameters
        ----------
        weights : mapping
            Weights by coefficient, such as ``{"format[T.group]": 1, "format[T.mixed]": -1}``; or several of these by
            name.
        level : float, optional
            Level of the intervals; the result's own when left out.

        Returns
        -------
        DataFrame
            One row for each contrast: ``contrast``, ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``level``,
            ``statistic``, ``df``, ``p_value``.

        Raises
        ------
        ChoiceError
            If a coefficient is unknown.

        Examples
        --------
        >>> from metapeer.pooling.regression_models import meta_regression
        >>> from metapeer.pooling.robust_models import cluster_robust
        >>> yi = [0.1, 0.3, 0.2, 0.6, 0.4, 0.7, 0.1, 0.5, 0.2, 0.6, 0.4, 0.8]
        >>> table = pd.DataFrame({"yi": yi, "vi": [0.02] * 12, "year": [1.0, 2, 3, 4, 5, 6] * 2})
        >>> found = cluster_robust(meta_regression(table, moderators="year"))
        >>> found.contrast({"at year 10": {"Intercept": 1, "year": 10}})[["contrast", "estimate", "se", "df"]].round(3)
             contrast  estimate     se     df
        0  at year 10     1.086  0.144  5.218
        """
        names, L = read_contrasts(weights, self.names)
        chosen = self.level if level is None else check_level(level)
        found = robust_linear(self.fit, L, test=self.test, level=chosen)
        notes = Notes()
        tell_coefficients(self.fit, found, names, self.test, notes)
        notes.warn(stacklevel=2)
        return pd.DataFrame(
            {
                "contrast": names,
                "estimate": found.estimate,
                "se": found.se,
                "ci_low": found.low,
                "ci_high": found.high,
                "level": chosen,
                "statistic": found.statistic,
                "df": found.df,
                "p_value": found.p_value,
            }
        )

    def _constraints(self, which: "str | Sequence[str] | FloatArray") -> tuple[FloatArray, str]:
        """Rows of what is tested, and what to call it."""
        p = len(self.names)
        asked = [which] if isinstance(which, str) else which
        if not isinstance(asked, Sequence) or any(not isinstance(name, str) for name in asked):
            try:
                L = np.array(asked, dtype=np.float64, ndmin=2)
            except (TypeError, ValueError):
                raise ChoiceError("constraints must be names of coefficients or rows of numbers") from None
            if L.ndim != 2 or L.shape[1] != p or not np.isfinite(L).all():
                raise ChoiceError(
                    f"constraints must be rows of {p} finite numbers, one for each of {', '.join(self.names)}"
                )
            words = count(L.shape[0], "combination") + " of coefficients"
        else:
            columns: list[int] = []
            for name in asked:
                known = check_choice("term", name, list(dict.fromkeys([*self.terms, *self.names])))
                columns += self.terms.get(known, ()) or (self.names.index(known),)
            L = np.eye(p)[sorted(set(columns))]
            words = ", ".join(asked)
        if not L.size:
            raise ChoiceError(f"nothing is tested; the coefficients are {', '.join(self.names)}")
        scaled = L / np.maximum(np.linalg.norm(L, axis=1, keepdims=True), np.finfo(float).tiny)
        if np.linalg.matrix_rank(scaled) < len(L):
            raise ChoiceError("the constraints depend on one another; leave out those that follow from the others")
        return L, words

    def wald_test(self, which: "str | Sequence[str] | FloatArray", *, test: str = "HTZ") -> RobustWald:
        """Test several coefficients, or combinations of them, together.

        Parameters
        ----------
        which : str, sequence of str, or array of shape (q, p)
            Terms or coefficients that are to be zero, or combinations of the coefficients, one a row.
        test : {"HTZ", "naive-F", "naive-Fp", "chi-sq"}, default "HTZ"
            Approximate Hotelling test; F tests with clusters less one, or less the coefficients, as degrees of freedom;
            chi-squared test. Only the first keeps its level with few clusters.

        Returns
        -------
        RobustWald
            ``statistic``, ``df1``, ``df2`` and ``p_value``.

        Raises
        ------
        ChoiceError
            If a term is unknown, or the combinations depend on one another.

        Warns
        -----
        DataWarning
            If there are too few degrees of freedom, or the covariance is singular.

        References
        ----------
        Tipton & Pustejovsky (2015), J Educ Behav Stat 40:604-634.

        Examples
        --------
        >>> from metapeer.pooling.regression_models import meta_regression
        >>> from metapeer.pooling.robust_models import cluster_robust
        >>> yi = [0.1, 0.3, 0.2, 0.6, 0.4, 0.7, 0.1, 0.5, 0.2, 0.6, 0.4, 0.8, 0.2, 0.3, 0.5]
        >>> table = pd.DataFrame({"yi": yi, "vi": [0.02] * 15, "dose": list("abc" * 5)})
        >>> found = cluster_robust(meta_regression(table, moderators="dose")).wald_test("dose")
        >>> round(found.statistic, 3), found.df1, round(found.df2, 2), round(found.p_value, 3)
        (0.406, 2.0, 8.0, 0.679)
        """
        L, words = self._constraints(which)
        found = robust_wald(self.fit, L, test=test)
        notes = Notes()
        if math.isnan(found.statistic):
            notes.doubt(
                f"{words}: there is no {test} test; {count(self.clusters, 'cluster')} tell too little of "
                f"the covariance of {count(len(L), 'combination')} of coefficients"
            )
        elif found.df2 < FEWEST_DF * (1.0 - ROUNDING):
            notes.doubt(f"{words}: fewer than 4 degrees of freedom ({found.df2:.1f}), p value not trustworthy")
        notes.warn(stacklevel=2)
        return found

    def wild_bootstrap(
        self,
        which: "str | Sequence[str] | FloatArray",
        *,
        reps: int = 1999,
        seed: int = 20260101,
        vcov: str = "CR0",
        residuals: str = "CR0",
    ) -> WildBootstrapTest:
        """Test coefficients by a cluster wild bootstrap that imposes the hypothesis.

        Each replicate gives the residuals under the hypothesis a sign for every cluster (Rademacher weights) and
        computes the test again, with the weights and variance components of the fit as they are.

        Parameters
        ----------
        which : str, sequence of str, or array of shape (q, p)
            What is to be zero, as in `wald_test`.
        reps : int, default 1999
            Replicates. All ``2^(m - 1)`` different patterns of signs of m clusters are gone through when they are no
            more.
        seed : int, default 20260101
            Of the draws, so that the same call gives the same answer.
        vcov : str, default "CR0"
            Correction for few clusters in the statistic.
        residuals : str, default "CR0"
            Correction of the residuals that are given signs, such as "CR2".

        Returns
        -------
        WildBootstrapTest
            F and the p value, in which ties count.

        Raises
        ------
        ChoiceError
            If `reps` is not a whole number of at least 20, or `seed` is not one from 0 up.

        References
        ----------
        Joshi, Pustejovsky & Beretvas (2022), Res Synth Methods 13:457-477; their R package wildmeta estimates the
        variance components anew in each replicate.

        Examples
        --------
        >>> from metapeer.pooling.regression_models import meta_regression
        >>> from metapeer.pooling.robust_models import cluster_robust
        >>> yi = [0.1, 0.3, 0.2, 0.6, 0.4, 0.7, 0.1, 0.5, 0.2, 0.6, 0.4, 0.8]
        >>> table = pd.DataFrame({"yi": yi, "vi": [0.02] * 12, "year": [1.0, 2, 3, 4, 5, 6] * 2})
        >>> print(cluster_robust(meta_regression(table, moderators="year")).wild_bootstrap("year"))
        Cluster wild bootstrap: year = 0; 12 clusters
        <BLANKLINE>
        F  31.033                1 constraint, CR0
        p   0.018  1,999 replicates, seed 20260101
        <BLANKLINE>
        Residuals under the hypothesis: CR0; weights and variances as fitted.
        """
        for name, value, least in (("reps", reps, 20), ("seed", seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise ChoiceError(f"{name} must be a whole number of at least {least}, not {value!r}")
        check_choice("vcov", vcov, VCOV)
        check_choice("residuals", residuals, VCOV)
        L, words = self._constraints(which)
        names = [self.fit.clusters[j] for j in self.fit.cluster_of.tolist()]
        fit = self.fit if vcov == self.vcov else sandwich(self.fit.model, names, method=vcov)
        found = wild_bootstrap_test(fit, L, reps=int(reps), seed=int(seed), adjust=residuals)
        notes = Notes()
        if math.isnan(found.statistic):
            notes.doubt(
                f"{words}: there is no test; {count(self.clusters, 'cluster')} tell too little of the covariance"
            )
        elif found.exact and found.replicates < 1.0 / (1.0 - self.level):
            notes.doubt(
                f"{count(self.clusters, 'cluster')} have {found.replicates} different patterns of signs; no p "
                f"value can be below {1 / found.replicates:.3g}"
            )
        notes.warn(stacklevel=2)
        return WildBootstrapTest(
            what=words,
            constraints=len(L),
            statistic=found.statistic / len(L),
            p_value=found.p_value,
            exact=found.exact,
            replicates=found.replicates,
            seed=None if found.exact else int(seed),
            clusters=self.clusters,
            vcov=vcov,
            residuals=residuals,
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: the coefficients, how they were tested, and the notes.
        """
        measure = measure_of(self.measure)
        ratio = measure.scale == "log"
        title = (
            f"Cluster-robust tests: {count(self.k, 'effect')} in {count(self.clusters, 'cluster')}, {self.clustering}"
        )
        if self.measure:
            title += f"\n{measure.name}"
            title += "" if measure.scale == "identity" else f", coefficients on the {measure.scale} scale"
        t = self.test != "z"
        rows = []
        for i, name in enumerate(self.names):
            value, se, low, high = (float(part[i]) for part in (self.estimate, self.se, self.ci_low, self.ci_high))
            digits = 3 if not se > 0 else min(8, max(3, 1 - math.floor(math.log10(se))))
            row = [
                name,
                format_number(value, digits),
                format_number(se, digits),
                format_interval(low, high, digits),
                format_number(float(self.statistic[i]), 2),
                *([format_number(float(self.df[i]), 1)] if t else []),
                format_p(float(self.p_value[i])),
            ]
            if ratio:
                row.append(_ratio(value, low, high))
            rows.append(row)
        below = [f"Tests: {self.method}"]
        if self.omnibus is not None:
            below.append(f"All coefficients but the intercept: {wald_in_words(self.omnibus)}")
        header = (
            "",
            "estimate",
            "SE",
            f"{format_level(self.level)} CI",
            "t" if t else "z",
            *(["df"] if t else []),
            "p",
        )
        return (
            TextTable(
                title=title,
                header=(*header, "ratio") if ratio else header,
                rows=rows,
                notes=[*below, *self.notes],
            ),
        )


def _ratio(value: float, low: float, high: float) -> str:
    point, first, last = (math.exp(min(part, 700.0)) for part in (value, low, high))
    return f"{format_number(point, 3)} ({format_interval(first, last, 3)})"

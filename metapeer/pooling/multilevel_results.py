"""What a multilevel meta-analysis found, and what can be asked of it afterwards."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number
from metapeer.pooling.design import Design, encode_rows
from metapeer.pooling.intervals import Interval, check_level, normal_quantile, t_quantile
from metapeer.pooling.multilevel_comparison import Compared, LikelihoodRatioTest, RandomTerm, likelihood_ratio_test
from metapeer.pooling.multilevel_fit import Certificate, MixedFit, Problem
from metapeer.pooling.multilevel_inference import linear, wald
from metapeer.pooling.multilevel_profile import Profile
from metapeer.pooling.regression import FitStatistics, Linear, WaldTest, adjust_p
from metapeer.pooling.regression_comparisons import p_equals
from metapeer.pooling.regression_results import Rows, coefficient_rows, frame_of_rows, read_contrasts, wald_words
from metapeer.pooling.results import measure_of
from metapeer.pooling.robust import WorkingModel
from metapeer.pooling.weighted import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MultilevelResult"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MultilevelResult(Printable):
    """The result of `multilevel_meta_analysis`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    formula : str
        The moderators as a formula; ``"1"`` without any.
    random : tuple of RandomTerm
        The random effects.
    method : {"REML", "ML"}
        The likelihood that was maximised.
    k, trials : int
        Effects used, and different trials among them.
    names : tuple of str
        The coefficients.
    beta, se, ci_low, ci_high, statistic, df, p_value : array of shape (p,)
        Coefficients (on the log scale for ratios) with standard errors, limits and tests; `df` is NaN for normal tests.
    covariance : array of shape (p, p)
        Of the coefficients, as the model has it.
    ci_method : {"contain", "t", "z"}
        Distribution of the tests.
    omnibus : WaldTest or None
        Test of all coefficients but the intercept; None when there is no other.
    I2 : float
        Share of the variance of effects that is heterogeneity, in per cent, beside the typical sampling variance; NaN
        when variances differ between levels.
    typical_variance : float
        Typical sampling variance, from the whole sampling covariance.
    QE, QE_df, QE_p : float, int, float
        Test of residual heterogeneity.
    statistics : FitStatistics
        Log-likelihood and information criteria of the likelihood that was maximised.
    certificate : Certificate
        How sure the maximum is.
    sampling : str
        What was assumed of the sampling errors.
    level : float
        Confidence level of every interval.
    positive_favours : str
        The arm that a positive effect favours; empty when unknown.
    labels, trial_of : tuple of str
        Names of the rows used, and the trial of each.
    yi, vi : array of shape (k,)
        Effects and sampling variances.
    excluded : tuple of (str, str)
        Rows not used, each with the reason.
    notes : tuple of str
        What a reader must know about how this result came about.
    design : Design
        The coded moderators.
    data : DataFrame
        The rows used, as they were given.
    fit : MixedFit
        The variance components at the maximum, for further questions.
    """

    measure: str
    formula: str
    random: tuple[RandomTerm, ...]
    method: str
    k: int
    trials: int
    names: tuple[str, ...]
    beta: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    statistic: FloatArray
    df: FloatArray
    p_value: FloatArray
    covariance: FloatArray
    ci_method: str
    omnibus: WaldTest | None
    I2: float
    typical_variance: float
    QE: float
    QE_df: int
    QE_p: float
    statistics: FitStatistics
    certificate: Certificate
    sampling: str
    level: float
    positive_favours: str
    labels: tuple[str, ...]
    trial_of: tuple[str, ...]
    yi: FloatArray
    vi: FloatArray
    excluded: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    design: Design = field(repr=False)
    data: pd.DataFrame = field(repr=False)
    fit: MixedFit = field(repr=False)

    def _only(self) -> int:
        if len(self.names) != 1:
            raise MetapeerError(
                f"the model has {len(self.names)} coefficients ({', '.join(self.names)}); read beta, se, ci_low and "
                "ci_high, or ask predict()"
            )
        return 0

    @property
    def estimate(self) -> float:
        """The pooled effect of a model without moderators."""
        return float(self.beta[self._only()])

    @property
    def ci(self) -> Interval:
        """Its confidence interval."""
        i = self._only()
        return Interval(float(self.ci_low[i]), float(self.ci_high[i]), self.level, self.ci_method)

    @property
    def prediction_interval(self) -> Interval:
        """Interval for the true effect behind one row of a new trial, in a model without moderators."""
        self._only()
        row = self.predict().iloc[0]
        return Interval(float(row["pi_low"]), float(row["pi_high"]), self.level, self.ci_method)

    def _linear(self, L: FloatArray, level: float | None = None) -> tuple[Linear, FloatArray]:
        chosen = self.level if level is None else check_level(level)
        return linear(self.beta, self.covariance, self.df, L, level=chosen)

    def _frame(self, found: Linear, df: FloatArray, level: float | None) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "estimate": found.estimate,
                "se": found.se,
                "ci_low": found.low,
                "ci_high": found.high,
                "level": self.level if level is None else level,
                "statistic": found.statistic,
                "df": df,
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
        found, df = self._linear(np.eye(len(self.names)))
        frame = self._frame(found, df, None)
        frame.insert(0, "coefficient", list(self.names))
        return frame.assign(ci_method=self.ci_method, measure=self.measure, scale=measure_of(self.measure).scale)

    def _profiles(self) -> list[tuple[RandomTerm, Profile]]:
        return [
            (term, Profile(fit=self.fit, term=t, component=component))
            for t, (term, fitted) in enumerate(zip(self.random, self.fit.problem.terms, strict=True))
            for component in fitted.structure.components
        ]

    def variance_components(self, *, ci: bool = True, level: float | None = None) -> pd.DataFrame:
        """List variances and correlations of the random effects, with profile-likelihood intervals.

        Parameters
        ----------
        ci : bool, default True
            Whether intervals are computed, which takes a number of refits for each component.
        level : float, optional
            Their level; the result's own when left out.

        Returns
        -------
        DataFrame
            One row for each component: ``term``, ``component`` ("variance" or "correlation"), ``levels``, ``groups``,
            ``estimate``, ``sd`` (NaN for correlations), and ``ci_low``, ``ci_high``, ``level`` when asked for. An upper
            limit of infinity says that the likelihood never falls far enough.

        Examples
        --------
        >>> import pandas as pd
        >>> from metapeer.pooling.multilevel_models import multilevel_meta_analysis
        >>> table = pd.DataFrame({"study_id": list("aabbccdd"), "vi": [0.02, 0.03] * 4,
        ...                       "yi": [0.1, 0.3, 0.6, 0.8, 0.2, 0.1, 0.5, 0.9]})
        >>> fit = multilevel_meta_analysis(table, random="~ 1 | study_id")
        >>> fit.variance_components()[["term", "estimate", "ci_low", "ci_high"]].round(4)
               term  estimate  ci_low  ci_high
        0  study_id    0.0715  0.0115    0.716
        """
        chosen = self.level if level is None else check_level(level)
        rows = []
        for term, profile in self._profiles():
            estimate = profile.estimate
            variance = profile.component.kind == "variance"
            row: dict[str, Any] = {
                "term": term.name,
                "component": profile.component.kind,
                "levels": term.component_name(profile.component),
                "groups": term.groups,
                "estimate": estimate,
                "sd": math.sqrt(estimate) if variance else math.nan,
            }
            if ci:
                row["ci_low"], row["ci_high"] = profile.interval(chosen)
                row["level"] = chosen
            rows.append(row)
        names = ["term", "component", "levels", "groups", "estimate", "sd", *(["ci_low", "ci_high", "level"] * ci)]
        return pd.DataFrame(rows, columns=names)

    def profile(self, term: str, *, levels: str = "", points: int = 41) -> pd.DataFrame:
        """Trace the likelihood along one variance or correlation, with all else at its best for each value.

        Parameters
        ----------
        term : str
            The random effects, as `variance_components` names them.
        levels : str, default ""
            The levels of the component, where the term has several.
        points : int, default 41
            How many values.

        Returns
        -------
        DataFrame
            ``value`` and ``log_likelihood``, from the lower end of the range to beyond the interval.

        Raises
        ------
        ChoiceError
            If there is no such component.
        """
        known = {(t.name, t.component_name(p.component)): p for t, p in self._profiles()}
        check_choice("term", term, dict.fromkeys(name for name, _ in known))
        check_choice("levels", levels, [part for name, part in known if name == term])
        profile = known[term, levels]
        low, high = profile.interval(self.level)
        at = profile.estimate
        if profile.component.kind == "correlation":
            values = np.linspace(profile.component.low, profile.component.high, points)
        else:
            far = high if math.isfinite(high) else 10.0 * max(at, self.typical_variance)
            values = np.linspace(math.sqrt(max(0.0, 0.5 * low)), math.sqrt(at + 1.3 * (far - at)), points) ** 2
        curve = profile.curve()
        values = np.unique(np.append(values, at))
        return pd.DataFrame(
            {"value": values, "log_likelihood": [self.statistics.log_likelihood + curve(float(v)) for v in values]}
        )

    def certify(self) -> Certificate:
        """Look along every variance and correlation whether anything near by does better.

        Returns
        -------
        Certificate
            The certificate of the result, completed by profiles.
        """
        return replace(self.certificate, profiles=all(profile.falls() for _, profile in self._profiles()))

    def _spread(self, shown: pd.DataFrame) -> FloatArray:
        """Variance of the true effect behind each row about its expectation."""
        total = np.zeros(len(shown))
        for term, matrix in zip(self.random, self.fit.matrices(), strict=True):
            diagonal = np.diag(matrix)
            if np.ptp(diagonal) == 0.0:
                total += diagonal[0]
            elif term.inner in shown:
                at = {level: i for i, level in enumerate(term.levels)}
                total += np.array([diagonal[at[str(v)]] if str(v) in at else math.nan for v in shown[term.inner]])
            else:
                total += math.nan
        return total

    def predict(self, new: Rows | None = None, *, level: float | None = None, displayed: bool = False) -> pd.DataFrame:
        """Expected effects for given moderators, and where the true effect behind one row of a new trial may lie.

        Parameters
        ----------
        new : DataFrame, mapping, or sequence of mappings, optional
            A value for every moderator, and for the inner column of random effects whose variance depends on it; when
            left out, the pooled effect of a model without moderators, or the rows themselves.
        level : float, optional
            Level of the intervals; the result's own when left out.
        displayed : bool, default False
            Whether effects are turned into what a reader expects, such as ratios instead of their logarithms.

        Returns
        -------
        DataFrame
            The moderators, then ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``pi_low``, ``pi_high`` and ``level``.
            Prediction limits are NaN where the variance depends on a column that was not given.

        Raises
        ------
        DataError
            If a moderator is missing or has a value that the model cannot take.

        Examples
        --------
        >>> import pandas as pd
        >>> from metapeer.pooling.multilevel_models import multilevel_meta_analysis
        >>> table = pd.DataFrame({"study_id": list("aabbccdd"), "vi": [0.02, 0.03] * 4,
        ...                       "yi": [0.1, 0.3, 0.6, 0.8, 0.2, 0.1, 0.5, 0.9]})
        >>> fit = multilevel_meta_analysis(table, random="~ 1 | study_id")
        >>> fit.predict()[["estimate", "ci_low", "ci_high", "pi_low", "pi_high"]].round(2)
           estimate  ci_low  ci_high  pi_low  pi_high
        0      0.42   -0.04     0.88   -0.55     1.39
        """
        chosen = self.level if level is None else check_level(level)
        if new is not None:
            shown = frame_of_rows(new)
            X = encode_rows(self.design, shown)
        elif self.design.columns:
            shown = self.data.reset_index(drop=True)
            X = self.design.X
        else:
            shown, X = pd.DataFrame(index=[0]), self.design.X[:1]
        found, _ = self._linear(X, chosen)
        if self.ci_method == "z":
            quantile = normal_quantile(chosen)
        else:
            outermost = min((term.groups for term in self.random), default=self.k)
            df = self.k if self.ci_method == "t" else outermost
            quantile = t_quantile(chosen, float(max(1, df - len(self.names))))
        half = quantile * np.sqrt(found.se**2 + self._spread(shown)) if self.random else np.full(len(X), math.nan)
        columns = {"estimate": found.estimate, "se": found.se, "ci_low": found.low, "ci_high": found.high}
        columns |= {"pi_low": found.estimate - half, "pi_high": found.estimate + half}
        if displayed:
            measure = measure_of(self.measure)
            for name in ("estimate", "ci_low", "ci_high", "pi_low", "pi_high"):
                values = zip(columns[name].tolist(), found.se.tolist(), strict=True)
                columns[name] = np.array([measure.display(v, s * s) for v, s in values])
        kept = [name for name in shown if name in {column.name for column in self.design.columns}]
        kept += [term.inner for term in self.random if term.inner in shown and term.inner not in kept]
        return shown[list(dict.fromkeys(kept))].assign(**columns, level=chosen)

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
            Weights by coefficient, or several of these by name.
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
            If a coefficient is unknown, or there is no weight.
        """
        names, L = read_contrasts(weights, self.names)
        found, df = self._linear(L, level)
        frame = self._frame(found, df, level)
        frame.insert(0, "contrast", names)
        return frame.assign(p_adjusted=adjust_p(found.p_value, adjust))

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw a forest plot of a model without moderators: trials with their effects, and the pooled effect.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure of the right height when left out.
        **options
            ``arms``, the names of the two arms, and anything that `forest_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.

        Raises
        ------
        MetapeerError
            If the model has moderators.
        """
        from metapeer.pooling.displays_multilevel import draw_multilevel

        return draw_multilevel(self, ax=ax, **options)

    def wald_test(self, terms: str | Sequence[str]) -> WaldTest:
        """Test some of the terms or coefficients together.

        Parameters
        ----------
        terms : str or sequence of str
            Terms of the model, such as ``"outcome"``, or single coefficients.

        Returns
        -------
        WaldTest
            Chi-squared, or F with the fewest degrees of freedom of the coefficients that take part.

        Raises
        ------
        ChoiceError
            If a term is unknown.
        """
        asked = [terms] if isinstance(terms, str) else list(terms)
        owned = {term.name: term.columns for term in self.design.terms}
        chosen: set[int] = set()
        for name in asked:
            if name in owned:
                chosen |= set(owned[name])
            else:
                chosen.add(self.names.index(check_choice("term", name, [*owned, *self.names])))
        if not chosen:
            raise ChoiceError(f"terms is empty; the model has {', '.join(self.names)}")
        return wald(self.beta, self.covariance, self.df, sorted(chosen))

    def compare(self, other: "MultilevelResult") -> LikelihoodRatioTest:
        """Compare with another model of the same effects.

        Models with the same moderators are compared by the likelihood they were fitted by; others are fitted again by
        maximum likelihood, since restricted likelihoods of different moderators cannot be compared.

        Parameters
        ----------
        other : MultilevelResult
            Of the same rows and sampling covariance.

        Returns
        -------
        LikelihoodRatioTest
            The test where one model contains the other, and information criteria in any case.

        Raises
        ------
        MetapeerError
            If the two are not of the same effects, or were fitted by different likelihoods.
        """
        if not isinstance(other, MultilevelResult):
            raise MetapeerError(f"compare() takes another multilevel model, not a {type(other).__name__}")
        if not (np.array_equal(self.yi, other.yi) and np.array_equal(self.vi, other.vi)):
            raise MetapeerError(
                f"the models use different effects ({self.k} and {other.k} rows); rows without a moderator were left "
                "out, so fit both to the rows that have all moderators"
            )
        if not _same_blocks(self.fit.problem, other.fit.problem):
            raise MetapeerError("the models assume different sampling covariances, which are not for a test to choose")
        if self.method != other.method:
            raise MetapeerError(f"one model was fitted by {self.method}, the other by {other.method}; fit both alike")
        return likelihood_ratio_test(
            *(
                Compared(words=fit.words, random=fit.random, X=fit.design.X, fit=fit.fit, method=fit.method)
                for fit in (self, other)
            )
        )

    @property
    def words(self) -> str:
        """The model in one line: moderators, then random effects."""
        fixed = "pooled effect" if self.formula == "1" else f"moderators {self.formula}"
        return "; ".join([fixed, *(term.words for term in self.random)])

    def random_effects(self, *, level: float | None = None) -> pd.DataFrame:
        """Predict the random effects: how far each group lies from what the moderators say.

        Parameters
        ----------
        level : float, optional
            Level of the limits; the result's own when left out.

        Returns
        -------
        DataFrame
            One row for each term, group and level: ``term``, ``group``, ``levels``, ``estimate`` (best linear unbiased
            prediction), ``se``, ``pi_low``, ``pi_high`` and ``level``.

        References
        ----------
        Robinson (1991), Stat Sci 6:15-32; Kackar & Harville (1981), Commun Stat Theory Methods 10:1249-1261.

        Examples
        --------
        >>> import pandas as pd
        >>> from metapeer.pooling.multilevel_models import multilevel_meta_analysis
        >>> table = pd.DataFrame({"study_id": list("aabbccdd"), "vi": [0.02, 0.03] * 4,
        ...                       "yi": [0.1, 0.3, 0.6, 0.8, 0.2, 0.1, 0.5, 0.9]})
        >>> fit = multilevel_meta_analysis(table, random="~ 1 | study_id")
        >>> fit.random_effects()[["group", "estimate", "se"]].round(3)
          group  estimate    se
        0     a    -0.205  0.16
        1     b     0.223  0.16
        2     c    -0.223  0.16
        3     d     0.205  0.16
        """
        chosen = self.level if level is None else check_level(level)
        quantile = normal_quantile(chosen)
        if self.ci_method != "z":
            quantile = t_quantile(chosen, float(np.nanmin(self.df)))
        problem = self.fit.problem
        model, matrices = problem.model(), self.fit.matrices()
        scaled = [matrix / problem.unit**2 for matrix in matrices]
        e = model.residuals(scaled) / problem.unit
        C = self.fit.covariance / problem.unit**2
        found: list[tuple[float, float]] = []
        places: list[dict[tuple[int, int], int]] = [{} for _ in self.random]
        for block, covariance in model.blocks(scaled):
            W = np.linalg.inv(covariance)
            F = W @ problem.X[block]
            for t, (fitted, G) in enumerate(zip(problem.terms, matrices, strict=True)):
                outer, inner = fitted.outer[block], fitted.inner[block]
                for group in np.unique(outer).tolist():
                    inside = outer == group
                    for a in np.unique(inner[inside]).tolist():
                        c = np.where(inside, G[a, inner], 0.0)
                        through = c @ F
                        explained = (float(c @ W @ c) - float(through @ C @ through)) / problem.unit**2
                        places[t][group, a] = len(found)
                        found.append((float(c @ e[block]), math.sqrt(max(0.0, float(G[a, a]) - explained))))
        parts = []
        for t, term in enumerate(self.random):
            for (group, a), at in sorted(places[t].items()):
                estimate, se = found[at]
                parts.append(
                    {
                        "term": term.name,
                        "group": term.group_names[group],
                        "levels": term.levels[a] if term.inner else "",
                        "estimate": estimate,
                        "se": se,
                        "pi_low": estimate - quantile * se,
                        "pi_high": estimate + quantile * se,
                        "level": chosen,
                    }
                )
        return pd.DataFrame(parts)

    def working_model(self) -> WorkingModel:
        """Hand the effects, the design and the fitted covariance on to cluster-robust inference.

        Returns
        -------
        WorkingModel
            For `cluster_robust`.
        """
        problem = self.fit.problem
        scaled = [matrix / problem.unit**2 for matrix in self.fit.matrices()]
        blocks = tuple((rows, block * problem.unit**2) for rows, block in problem.model().blocks(scaled))
        return WorkingModel(
            yi=self.yi,
            X=self.design.X,
            names=self.names,
            blocks=blocks,
            labels=self.labels,
            trials=self.trial_of,
            level=self.level,
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            The coefficients, the variance components, and the heterogeneity with the notes.
        """
        measure = measure_of(self.measure)
        size = f"{count(self.k, 'effect')} from {count(self.trials, 'trial')}"
        kind = "Multilevel meta-analysis" if self.random else "Common-effect model of dependent effects"
        title = f"{kind} ({self.method}): {size}; {self.words}"
        if self.measure:
            title += f"\n{measure.name}"
            if measure.scale != "identity":
                title += f", coefficients on the {measure.scale} scale"
            if self.positive_favours:
                title += f"; positive favours {'peer support' if self.positive_favours == 'arm1' else 'the comparison'}"
        ratio = measure.scale == "log"
        found, df = self._linear(np.eye(len(self.names)))
        several = len(set(df.tolist())) > 1
        symbol = "z" if self.ci_method == "z" else "t" if several else f"t ({df[0]:g} df)"
        header = ("", "estimate", "SE", f"{format_level(self.level)} CI", symbol, "p", *(["ratio"] if ratio else []))
        rows = coefficient_rows(self.names, found, ratio=ratio)
        below = [f"Tests: {_TESTS[self.ci_method]}"]
        if several and self.ci_method != "z":
            below.append(f"Degrees of freedom: {', '.join(f'{n} {d:g}' for n, d in zip(self.names, df, strict=True))}")
        below += [f"Reference level of {name}: {level}" for name, level in self.design.references.items()]
        if self.omnibus is not None:
            tested = "Moderators together" if self.design.intercept is not None else "All coefficients together"
            below.append(f"{tested}: {wald_words(self.omnibus)}")
        if len(self.names) == 1 and self.random:
            pi = self.prediction_interval
            variance = float(self.se[0]) ** 2
            shown = format_interval(measure.display(pi.low, variance), measure.display(pi.high, variance), 2)
            below.append(f"{format_level(self.level)} prediction interval: {shown}")
        components = self.variance_components(ci=False)
        parts = [
            (row["term"], row["component"], row["levels"], str(row["groups"]), format_number(row["estimate"], 4))
            for row in components.to_dict("records")
        ]
        I2 = "NA" if math.isnan(self.I2) else f"{format_number(self.I2, 1)}%"
        certificate = self.certificate
        criteria = f"log-likelihood ({self.method}) {format_number(self.statistics.log_likelihood, 3)}"
        heterogeneity = f"I² {I2}, beside a typical sampling variance of {format_number(self.typical_variance, 4)}"
        if math.isnan(self.I2) and self.random:
            heterogeneity = (
                f"typical sampling variance {format_number(self.typical_variance, 4)}; "
                "variances differ between levels, so that there is no single I²"
            )
        notes = [
            *([heterogeneity] if self.random else []),
            f"QE = {format_number(self.QE, 2)}, df = {self.QE_df}, p {p_equals(self.QE_p)}",
            f"{criteria}, AIC {format_number(self.statistics.AIC, 2)}",
            self.sampling,
        ]
        if self.random:
            notes.append(
                f"maximum: {certificate.agreeing} of {count(certificate.starts, 'climb')} from different starts ended "
                f"here, gradient {certificate.gradient:.1e} standard errors"
            )
        notes += self.notes
        if self.excluded:
            notes.append(f"{count(len(self.excluded), 'row')} not used:")
            notes += [f"  {label}: {reason}" for label, reason in self.excluded]
        if not self.random:
            return (TextTable(title=title, header=header, rows=rows, notes=[*below, *notes]),)
        return (
            TextTable(title=title, header=header, rows=rows, notes=below),
            TextTable(
                title="Random effects",
                header=("term", "component", "levels", "groups", "estimate"),
                rows=parts,
                notes=notes,
            ),
        )


def _same_blocks(one: Problem, other: Problem) -> bool:
    """Whether two models have the same sampling covariance, zeros between rows included."""
    found = []
    for problem in (one, other):
        cells: dict[tuple[int, int], float] = {}
        for rows, block in problem.blocks:
            for a, b in np.argwhere(block != 0.0).tolist():
                cells[int(rows[a]), int(rows[b])] = float(block[a, b]) * problem.unit**2
        found.append(cells)
    first, second = found
    return first.keys() == second.keys() and all(math.isclose(first[at], second[at], rel_tol=1e-9) for at in first)


_TESTS = {
    "z": "normal",
    "t": "t with k - p degrees of freedom",
    "contain": "t; degrees of freedom from the groups within which a coefficient's variable is constant",
}

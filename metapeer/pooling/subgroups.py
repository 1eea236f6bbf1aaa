"""Do subgroups of studies differ? Each is pooled, and the difference tested, with its own or with a common tau2."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.special import fdtrc

from metapeer.errors import ChoiceError, DataError, MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number, format_p
from metapeer.pooling.intervals import chi2_tail
from metapeer.pooling.models import (
    Effects,
    MetaOptions,
    Model,
    Notes,
    meta_options,
    pool,
    read_effects,
    refuse_without_tau2,
)
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.tau2 import Tau2Estimate, estimate_tau2
from metapeer.pooling.weighted import coefficients

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SubgroupAnalysisResult", "subgroup_analysis"]

TAU2_SHARING = ("separate", "common")
SHARED_CI_METHODS = ("z", "t", "HK", "HK_se", "HK_ci", "HK_IQWiG6")
FEW_STUDIES = 5
"""Below this a subgroup's own tau2 is too uncertain to use (Borenstein et al. 2009, chapter 19)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SubgroupAnalysisResult(Printable):
    """The result of `subgroup_analysis`.

    Parameters
    ----------
    by : tuple of str
        The columns that make the subgroups.
    levels : tuple of str
        Names of the subgroups.
    results : tuple of MetaAnalysisResult
        One for each level.
    overall : MetaAnalysisResult
        All rows together, without regard to subgroups.
    tau2 : {"separate", "common"}
        Whether each subgroup has its own between-study variance.
    tau2_common : float
        The common between-study variance within subgroups; NaN when separate.
    test : {"chi2", "F", ""}
        Kind of test between subgroups; empty when there is nothing to test.
    Q_between : float
        Its statistic: chi-squared distributed, or F when `test` is "F".
    df, df2 : float
        Degrees of freedom; `df2` is NaN for a chi-squared test.
    p_value : float
        Its p value.
    notes : tuple of str
        What a reader must know about how this result came about.
    """

    by: tuple[str, ...]
    levels: tuple[str, ...]
    results: tuple[MetaAnalysisResult, ...]
    overall: MetaAnalysisResult
    tau2: str
    tau2_common: float
    test: str
    Q_between: float
    df: float
    df2: float
    p_value: float
    notes: tuple[str, ...]

    def __getitem__(self, level: str) -> MetaAnalysisResult:
        """Return the result of one subgroup."""
        return self.results[self.levels.index(check_choice("subgroup", level, self.levels))]

    def to_frame(self) -> pd.DataFrame:
        """Put the subgroups and the whole in rows.

        Returns
        -------
        DataFrame
            One row for each subgroup and one called "overall", with the columns of `MetaAnalysisResult.to_frame` after
            ``subgroup``, and the test between subgroups on the last: ``test``, ``Q_between``, ``df_between``,
            ``df2_between`` and ``p_between``.
        """
        frames = [fit.to_frame() for fit in (*self.results, self.overall)]
        table = pd.concat(frames, ignore_index=True)
        table.insert(0, "subgroup", [*self.levels, "overall"])
        blank = len(self.levels)
        return table.assign(
            test=[""] * blank + [self.test],
            Q_between=[math.nan] * blank + [self.Q_between],
            df_between=[math.nan] * blank + [self.df],
            df2_between=[math.nan] * blank + [self.df2],
            p_between=[math.nan] * blank + [self.p_value],
        )

    def test_words(self) -> str:
        """Say what the test between subgroups found.

        Returns
        -------
        str
            One line; empty when there is no test.
        """
        if not self.test:
            return ""
        p = format_p(self.p_value)
        p = p if p.startswith("<") else f"= {p}"
        if self.test == "F":
            return f"Test for subgroup differences: F = {self.Q_between:.2f}, df = {self.df:g} and {self.df2:g}, p {p}"
        return f"Test for subgroup differences: Q = {self.Q_between:.2f}, df = {self.df:g}, p {p}"

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table with a row for each subgroup, the test, and the notes.
        """
        overall = self.overall
        measure = measure_of(overall.measure)
        level = format_level(overall.level)

        def shown(variance: float, low: float, high: float) -> str:
            return format_interval(measure.display(low, variance), measure.display(high, variance), 2)

        rows = []
        for name, fit in zip((*self.levels, "overall"), (*self.results, overall), strict=True):
            prediction = fit.prediction_interval
            rows.append(
                (
                    name,
                    str(fit.k),
                    str(fit.trials),
                    format_number(measure.display(fit.estimate, fit.se**2), 2),
                    shown(fit.se**2, *fit.ci),
                    "NA" if prediction is None else shown(fit.se**2, *prediction),
                    format_number(fit.tau2, 4),
                    "NA" if math.isnan(fit.I2) else f"{format_number(fit.I2, 0)}%",
                    "NA" if math.isnan(fit.I2_Q) else f"{format_number(fit.I2_Q, 0)}%",
                )
            )
        header = (
            " x ".join(self.by),
            "k",
            "trials",
            overall.measure or "effect",
            f"{level} CI",
            f"{level} PI",
            "tau²",
            "I² (tau²)",
            "I² (Q)",
        )
        model = "Random-effects" if overall.model == "random" else "Common-effect"
        sharing = ""
        if overall.model == "random":
            sharing = (
                f", a common tau² of {format_number(self.tau2_common, 4)} within subgroups"
                if self.tau2 == "common"
                else ", each subgroup with its own tau²"
            )
        title = f"{model} subgroup analysis by {' and '.join(self.by)}: {count(overall.k, 'effect')}{sharing}"
        notes = [text for text in (self.test_words(),) if text] + list(self.notes)
        return (TextTable(title=title, header=header, rows=rows, notes=notes),)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw a forest plot with a heading and a diamond for each subgroup.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure of the right height when left out.
        **options
            ``arms``, the names of the two arms; ``risk_of_bias=True``, signs for each domain; ``layout`` ("metapeer",
            "revman", "jama" or "bmj"); ``width`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and
            whatever else `forest_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.pooling.forest_table import draw_subgroups

        return draw_subgroups(self, ax=ax, **options)


def _levels(data: pd.DataFrame, by: tuple[str, ...]) -> list[str]:
    """Name each row's subgroup; empty where a column is."""
    parts = [["" if pd.isna(value) else str(value) for value in data[column]] for column in by]
    return [" / ".join(row) if all(row) else "" for row in zip(*parts, strict=True)]


def _order(data: pd.DataFrame, by: tuple[str, ...], names: list[str]) -> list[str]:
    """Subgroups in the order of a categorical column, otherwise as they first appear."""
    found = list(dict.fromkeys(name for name in names if name))
    if len(by) == 1 and isinstance(data[by[0]].dtype, pd.CategoricalDtype):
        rank = {str(category): i for i, category in enumerate(data[by[0]].cat.categories)}
        found.sort(key=lambda name: rank[name])
    return found


def _between(results: Sequence[MetaAnalysisResult]) -> tuple[float, float, float]:
    """Q between subgroups: how far their estimates lie apart, in the standard errors of their own intervals."""
    estimates = np.array([fit.estimate for fit in results])
    variances = np.array([fit.se**2 for fit in results])
    df = float(len(results) - 1)
    if df == 0 or not (variances > 0).all():
        return math.nan, df, math.nan
    w = 1.0 / variances
    mean = float(w @ estimates / w.sum())
    q = float(w @ (estimates - mean) ** 2)
    return q, df, chi2_tail(q, df)


def _omnibus(effects: Effects, X: np.ndarray, tau2: float, ci_method: str) -> tuple[str, float, float, float, float]:
    """Wald test that all subgroup means are equal, under one tau2: chi-squared, or F with Knapp and Hartung's scale."""
    k, p = X.shape
    fit = coefficients(effects.yi, effects.vi, tau2, X)
    contrast = np.hstack([-np.ones((p - 1, 1)), np.eye(p - 1)])
    difference = contrast @ fit.beta
    wald = float(difference @ np.linalg.solve(contrast @ fit.covariance @ contrast.T, difference))
    df, df2 = float(p - 1), float(k - p)
    if ci_method == "z":
        return "chi2", wald, df, math.nan, chi2_tail(wald, df)
    if df2 == 0:
        return "", math.nan, df, df2, math.nan
    scale = 1.0 if ci_method == "t" else fit.q / df2
    if ci_method in ("HK_se", "HK_IQWiG6"):
        scale = max(1.0, scale)
    statistic = wald / df / scale if scale > 0 else math.nan
    return "F", statistic, df, df2, float(fdtrc(df, df2, statistic))


def _check_shared(options: MetaOptions) -> None:
    """Refuse what would estimate tau2 again within a subgroup, or has no test that goes with it."""
    if options["ci_method"] not in SHARED_CI_METHODS:
        raise ChoiceError(
            f"ci_method {options['ci_method']!r} does not go with tau2='common'; choose one of: "
            f"{', '.join(SHARED_CI_METHODS)}"
        )
    if options["prediction_method"] == "NNF":
        raise ChoiceError("prediction_method 'NNF' does not go with tau2='common': it estimates tau² in each subgroup")


def _pass_on(notes: Notes, names: Sequence[str], fits: Sequence[MetaAnalysisResult]) -> None:
    """Repeat the notes of each subgroup, once for all that share one."""
    said: dict[str, list[str]] = {}
    for name, fit in zip(names, fits, strict=True):
        for text in fit.notes:
            said.setdefault(text, []).append(name)
    for text, who in said.items():
        notes.say(f"{', '.join(who)}: {text}")


def subgroup_analysis(
    data: pd.DataFrame,
    *,
    by: str | Sequence[str],
    tau2: Literal["separate", "common"] = "separate",
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    model: Model = "random",
    tau2_method: str | None = None,
    ci_method: str | None = None,
    prediction_method: str | None = None,
    tau2_ci_method: str | None = None,
    level: float = 0.95,
    preset: str | None = None,
) -> SubgroupAnalysisResult:
    """Pool subgroups of studies and test whether they differ.

    Parameters
    ----------
    data : DataFrame
        A table with columns ``yi`` and ``vi`` or ``sei``, as `effect_size` returns it.
    by : str or sequence of str
        The column that makes the subgroups; several are crossed. Rows with an empty cell are listed as excluded.
    tau2 : {"separate", "common"}, default "separate"
        Whether each subgroup has its own between-study variance or all share one. The test between subgroups is then
        Cochran's Q of the subgroup estimates, with the standard errors of their own intervals, or the Wald test of a
        meta-regression (F under Hartung-Knapp).
    labels, measure, model, tau2_method, ci_method, prediction_method, tau2_ci_method, level, preset
        As in `meta_analysis`.

    Returns
    -------
    SubgroupAnalysisResult
        One result for each subgroup, the whole, and the test.

    Raises
    ------
    DataError
        If the table cannot be pooled; every fault is listed.
    ChoiceError
        If an option is unknown, or does not go with a common tau2: Kenward-Roger, the profile likelihoods, sign flips,
        Henmi-Copas, IVhet and NNF estimate tau2 anew. If one has no effect, as those about tau2 under a common effect.

    Warns
    -----
    DataWarning
        If a trial stands in several subgroups, which the test between them does not allow for.

    References
    ----------
    Borenstein et al. (2009), Introduction to Meta-Analysis, chapter 19; Knapp & Hartung (2003), Stat Med 22:2693-2710.

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer import subgroup_analysis
    >>> table = pd.DataFrame({"yi": [0.1, 0.3, 0.2, 0.5, 0.7, 0.6], "vi": [0.02] * 6, "dose": list("aaabbb")})
    >>> found = subgroup_analysis(table, by="dose", ci_method="z")
    >>> round(found["b"].estimate, 2), round(found.Q_between, 2), found.df, round(found.p_value, 4)
    (0.6, 12.0, 1.0, 0.0005)
    """
    columns = (by,) if isinstance(by, str) else tuple(by)
    refuse_without_tau2(model, tau2=None if check_choice("tau2", tau2, TAU2_SHARING) == "separate" else tau2)
    options = meta_options(
        model=model,
        tau2_method=tau2_method,
        ci_method=ci_method,
        prediction_method=prediction_method,
        tau2_ci_method=tau2_ci_method,
        level=level,
        preset=preset,
    )
    if not isinstance(data, pd.DataFrame):
        raise MetapeerError(f"data is a {type(data).__name__}, not a DataFrame")
    absent = [column for column in columns if column not in data]
    if absent or not columns:
        source = str(data.attrs.get("source", "the table"))
        raise DataError(
            source, [f"there is no column {column!r} to make subgroups by" for column in absent] or ["by is empty"]
        )
    effects = read_effects(data, labels=labels, measure=measure)
    assert effects.data is not None  # noqa: S101  a table was given
    names = _levels(effects.data, columns)
    placed = [i for i, name in enumerate(names) if name]
    homeless = tuple(
        (effects.labels[i], f"{' or '.join(columns)} is empty") for i, name in enumerate(names) if not name
    )
    whole = effects.rows(placed, excluded=(*effects.excluded, *homeless))
    names = [names[i] for i in placed]
    overall = pool(whole, **options, warn=False)
    assert whole.data is not None  # noqa: S101
    levels = _order(whole.data, columns, names)
    members = [[i for i, name in enumerate(names) if name == level_name] for level_name in levels]

    notes = Notes()
    shared: Tau2Estimate | None = None
    X = np.array([[float(name == level_name) for level_name in levels] for name in names])
    if tau2 == "common":
        _check_shared(options)
        if len(names) <= len(levels):
            raise DataError("the table", ["a common tau² needs at least one subgroup with two studies"])
        shared = estimate_tau2(whole.yi, whole.vi, options["tau2_method"], X)
    results = tuple(pool(whole.rows(chosen), **options, tau2=shared, warn=False) for chosen in members)

    test, statistic, df, df2, p_value = "", math.nan, float(len(levels) - 1), math.nan, math.nan
    if len(levels) < 2:
        notes.say("one subgroup: there is nothing to compare")
    elif shared is not None:
        test, statistic, df, df2, p_value = _omnibus(whole, X, shared.tau2, options["ci_method"])
    else:
        statistic, df, p_value = _between(results)
        test = "" if math.isnan(p_value) else "chi2"
    if len(levels) > 1 and not test:
        notes.say(
            "no test for subgroup differences: a subgroup has a standard error of zero, or no degrees "
            "of freedom are left"
        )
    few = [name for name, chosen in zip(levels, members, strict=True) if len(chosen) < FEW_STUDIES]
    if few and shared is None and model == "random" and len(levels) > 1:
        notes.say(f"fewer than {FEW_STUDIES} studies in {', '.join(few)}: consider tau2='common'")
    stands_in: dict[str, set[str]] = {}
    for name, trial in zip(names, whole.trials, strict=True):
        stands_in.setdefault(trial, set()).add(name)
    repeated = [trial for trial, where in stands_in.items() if len(where) > 1]
    if repeated and len(levels) > 1:
        notes.doubt(
            f"{count(len(repeated), 'trial')} contribute to more than one subgroup; the test for subgroup differences "
            "treats them as independent"
        )
    _pass_on(notes, (*levels, "overall"), (*results, overall))
    notes.warn(stacklevel=2)
    return SubgroupAnalysisResult(
        by=columns,
        levels=tuple(levels),
        results=results,
        overall=overall,
        tau2=tau2,
        tau2_common=math.nan if shared is None else shared.tau2,
        test=test,
        Q_between=statistic,
        df=df,
        df2=df2,
        p_value=p_value,
        notes=tuple(notes.said),
    )

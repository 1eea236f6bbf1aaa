"""What influence diagnostics found: a row for each study, the cut-offs, and the plots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.formatting import (
    Printable,
    TextTable,
    count,
    format_interval,
    format_level,
    format_number,
    format_p,
)
from metapeer.pooling.intervals import normal_quantile
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.influence_diagnostics import Cutoffs, cutoffs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["POOLED_EFFECT", "InfluenceResult", "OutliersResult"]

SHOWN = 40
"""Rows of the printed table; of more, those with the largest Cook's distances are printed, and `to_frame` has all."""

BEYOND_WORDS = {"dffits": "DFFITS", "cook_d": "Cook's distance", "hat": "hat", "dfbetas": "DFBETAS"}

POOLED_EFFECT = ("estimate",)
"""What the one coefficient of a fit without moderators is called."""

_Column = tuple[str, str, FloatArray, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class InfluenceResult(Printable):
    """The result of `influence`; arrays have one number for each study and are read-only.

    Parameters
    ----------
    measure, model : str
        Of the fit.
    k : int
        Effects in it.
    names : tuple of str
        Its coefficients.
    labels : tuple of str
        Its rows.
    tau2_method, ci_method : str
        How it was made, and repeated.
    level : float
        Its confidence level.
    tau2, QE : float
        Between-study variance and residual heterogeneity of the whole fit.
    rstandard : array of shape (k,)
        Internally standardised residuals.
    rstudent : array of shape (k,)
        Externally studentised residuals, from the fit without the study.
    dffits : array of shape (k,)
        Change of the study's fitted value, in standard errors.
    cook_d : array of shape (k,)
        Cook's distances.
    cov_r : array of shape (k,)
        Covariance ratios: below 1 where the fit is more precise without the study.
    tau2_del, QE_del : array of shape (k,)
        Between-study variance and residual heterogeneity without the study.
    hat : array of shape (k,)
        Leverages.
    weight : array of shape (k,)
        Weights in per cent.
    dfbetas : array of shape (k, p)
        Change of each coefficient, in standard errors.
    baujat_x, baujat_y : array of shape (k,)
        The study's share in heterogeneity, and what it does to the result, as `plot_baujat` draws them.
    beyond : tuple of tuple of str
        For each study the measures beyond their cut-offs.
    notes : tuple of str
        What a reader must know.
    """

    measure: str
    model: str
    k: int
    names: tuple[str, ...]
    labels: tuple[str, ...]
    tau2_method: str
    ci_method: str
    level: float
    tau2: float
    QE: float
    rstandard: FloatArray
    rstudent: FloatArray
    dffits: FloatArray
    cook_d: FloatArray
    cov_r: FloatArray
    tau2_del: FloatArray
    QE_del: FloatArray
    hat: FloatArray
    weight: FloatArray
    dfbetas: FloatArray
    baujat_x: FloatArray
    baujat_y: FloatArray
    beyond: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def arrays(self) -> tuple[FloatArray, ...]:
        """Everything that has a number for each study.

        Returns
        -------
        tuple of array
            In the order of the fields.
        """
        return (
            self.rstandard,
            self.rstudent,
            self.dffits,
            self.cook_d,
            self.cov_r,
            self.tau2_del,
            self.QE_del,
            self.hat,
            self.weight,
            self.dfbetas,
            self.baujat_x,
            self.baujat_y,
        )

    @property
    def is_influential(self) -> NDArray[np.bool_]:
        """Whether a study lies beyond any of the cut-offs."""
        return np.array([bool(names) for names in self.beyond])

    @property
    def cutoffs(self) -> Cutoffs:
        """The cut-offs, which are those of metafor's ``influence``."""
        return cutoffs(self.k, len(self.names))

    def to_frame(self) -> pd.DataFrame:
        """Put the studies in rows.

        Returns
        -------
        DataFrame
            ``label``, ``rstandard``, ``rstudent``, ``dffits``, ``cook_d``, ``cov_r``, ``tau2_del``, ``QE_del``,
            ``hat``, ``weight``, ``dfbetas`` (or ``dfbetas_`` and the coefficient, when there are several),
            ``baujat_x``, ``baujat_y``, ``is_influential`` and ``beyond``, the measures beyond their cut-offs.
        """
        several = len(self.names) > 1
        changes = {f"dfbetas_{name}" if several else "dfbetas": self.dfbetas[:, j] for j, name in enumerate(self.names)}
        columns: dict[str, Any] = {
            "label": list(self.labels),
            "rstandard": self.rstandard,
            "rstudent": self.rstudent,
            "dffits": self.dffits,
            "cook_d": self.cook_d,
            "cov_r": self.cov_r,
            "tau2_del": self.tau2_del,
            "QE_del": self.QE_del,
            "hat": self.hat,
            "weight": self.weight,
            **changes,
            "baujat_x": self.baujat_x,
            "baujat_y": self.baujat_y,
            "is_influential": self.is_influential,
            "beyond": ["; ".join(BEYOND_WORDS[name] for name in names) for names in self.beyond],
        }
        return pd.DataFrame({name: np.array(values) for name, values in columns.items()})

    def _columns(self) -> list[_Column]:
        random = [("tau2.del", "tau2_del", self.tau2_del, 4)] if self.model == "random" else []
        return [
            ("rstudent", "rstudent", self.rstudent, 2),
            ("DFFITS", "dffits", self.dffits, 2),
            ("Cook's d", "cook_d", self.cook_d, 3),
            ("cov. ratio", "cov_r", self.cov_r, 3),
            *random,
            ("QE.del", "QE_del", self.QE_del, 2),
            ("hat", "hat", self.hat, 3),
            ("weight %", "weight", self.weight, 1),
            *((f"DFBETAS {n}" if len(self.names) > 1 else "DFBETAS", "dfbetas", self.dfbetas[:, j], 2)
              for j, n in enumerate(self.names)),
        ]  # fmt: skip

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the diagnostics in words.

        Returns
        -------
        sequence of TextTable
            One table, with the cut-offs and what lies beyond them below it.
        """
        columns = self._columns()
        chosen = np.arange(self.k)
        notes: list[str] = []
        if self.k > SHOWN:
            ranks = np.argsort(-np.nan_to_num(self.cook_d, nan=-1.0), kind="stable")
            chosen = np.sort(ranks[:SHOWN])
            notes.append(f"the {SHOWN} of {self.k} with the largest Cook's distances; to_frame() has all")
        rows = [
            (
                self.labels[i],
                *(format_number(float(values[i]), digits) for _, _, values, digits in columns),
                "yes" if self.beyond[i] else "",
            )
            for i in chosen.tolist()
        ]
        limit = self.cutoffs
        notes.append(
            "cut-offs (metafor's influence(); Viechtbauer & Cheung 2010): |DFFITS| > "
            f"{format_number(limit.dffits, 3)}, Cook's d > {format_number(limit.cook_d, 3)}, hat > "
            f"{format_number(limit.hat, 3)}, |DFBETAS| > 1"
        )
        flagged = [i for i in range(self.k) if self.beyond[i]]
        if flagged:
            notes += [
                f"{self.labels[i]}: {', '.join(BEYOND_WORDS[name] for name in self.beyond[i])} beyond the cut-off"
                for i in flagged
            ]
            notes.append("a cut-off marks what to look at; it is no test, and no reason to leave a study out")
        else:
            notes.append("no study lies beyond a cut-off")
        where = "Residual heterogeneity" if len(self.names) > 1 else "Heterogeneity"
        tau2 = f"tau² {format_number(self.tau2, 4)}, " if self.model == "random" else ""
        notes.append(f"{where} of the whole fit: {tau2}QE {format_number(self.QE, 2)}")
        model = "random effects" if self.model == "random" else "common effect"
        where_to = "" if self.names == POOLED_EFFECT else " on a meta-regression"
        return (
            TextTable(
                title=f"Influence of each of {count(self.k, 'row')}{where_to}: {model}"
                f"{f', {self.tau2_method}' if self.tau2_method else ''}, {self.ci_method}",
                header=("", *(title for title, _, _, _ in columns), "influential"),
                rows=rows,
                notes=[*notes, *self.notes],
            ),
        )

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw an index plot of every diagnostic, with its cut-offs.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Its place in a figure is divided among the panels; a new figure when left out.
        **options
            Anything that `influence_plot` takes: ``title``, ``notes``,
            ``width`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and others.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.plots.influence_panels import Panel, influence_plot

        limit = self.cutoffs
        z = normal_quantile(0.95)
        lines: dict[str, tuple[float, tuple[float, ...]]] = {
            "rstudent": (0.0, (-z, z)),
            "dffits": (0.0, (-limit.dffits, limit.dffits)),
            "cook_d": (math.nan, (limit.cook_d,)),
            "cov_r": (1.0, ()),
            "tau2_del": (self.tau2, ()),
            "QE_del": (self.QE, ()),
            "hat": (len(self.names) / self.k, (limit.hat,)),
            "weight": (100.0 / self.k, ()),
            "dfbetas": (0.0, (-1.0, 1.0)),
        }
        panels = [
            Panel(title=title, values=values, centre=lines[name][0], limits=lines[name][1])
            for title, name, values, _ in self._columns()
        ]
        settings: dict[str, Any] = {
            "notes": ["Dashed: cut-offs, and ±1.96 for rstudent. Thin line: the whole fit, or no change."],
            **options,
        }
        return influence_plot(self.labels, panels, marked=self.is_influential.tolist(), ax=ax, **settings)

    def plot_baujat(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw a Baujat plot: what each study adds to heterogeneity, against what it does to the result.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `baujat_plot` takes: ``title``, ``notes``,
            ``width`` and ``height`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and others.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.

        References
        ----------
        Baujat et al. (2002), Stat Med 21:2641-2652.
        """
        from metapeer.plots.baujat import baujat_plot

        table = pd.DataFrame(
            {"label": list(self.labels), "x": self.baujat_x, "y": self.baujat_y, "marked": self.is_influential}
        )
        return baujat_plot(table, ax=ax, **options)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OutliersResult(Printable):
    """The result of `outliers`.

    Parameters
    ----------
    rule : str
        Code of the rule.
    words : str
        The rule in words, with its limit.
    labels : tuple of str
        The rows it names, in the order of the table.
    rows : tuple of int
        Their positions among the pooled rows.
    values : tuple of float
        What the rule looked at: the studentised residual, the gap between the intervals, or Cook's distance.
    fit : MetaAnalysisResult
        All studies.
    without : MetaAnalysisResult or None
        The others, by the same options; the fit itself when the rule names none, None when it names all.
    """

    rule: str
    words: str
    labels: tuple[str, ...]
    rows: tuple[int, ...]
    values: tuple[float, ...]
    fit: MetaAnalysisResult
    without: MetaAnalysisResult | None

    def to_frame(self) -> pd.DataFrame:
        """Put every pooled row beside whether the rule names it.

        Returns
        -------
        DataFrame
            ``label``, ``yi``, ``vi`` and ``is_outlier``, in the order of the fit.
        """
        named = np.zeros(self.fit.k, dtype=np.bool_)
        named[list(self.rows)] = True
        return pd.DataFrame(
            {"label": list(self.fit.labels), "yi": self.fit.yi.copy(), "vi": self.fit.vi.copy(), "is_outlier": named}
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe what the rule found, and what the others say.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        measure = measure_of(self.fit.measure)
        pooled = [("all", self.fit)]
        if self.without is not None and self.rows:
            pooled.append(("without them", self.without))
        rows = [
            (
                name,
                str(one.k),
                format_number(measure.display(one.estimate, one.se**2), 3),
                format_interval(measure.display(one.ci.low, one.se**2), measure.display(one.ci.high, one.se**2), 3),
                format_p(one.p_value) if measure.has_null else "",
                format_number(one.tau2, 4),
            )
            for name, one in pooled
        ]
        notes = [f"rule: {self.words}"]
        what = {"ci": "gap", "influence": "Cook's d"}.get(self.rule, "rstudent")
        notes += [
            f"{label}: {what} {format_number(value, 3)}" for label, value in zip(self.labels, self.values, strict=True)
        ]
        if self.without is None:
            notes.append("the rule names every study: nothing is left to pool")
        if self.fit.trials < self.fit.k:
            notes.append(
                f"{count(self.fit.k, 'effect')} from {count(self.fit.trials, 'trial')} are judged one by one, as if "
                "independent; the others of a trial stay"
            )
        return (
            TextTable(
                title=f"Outliers: {count(len(self.labels), 'row')} of {self.fit.k}",
                header=(
                    "",
                    "k",
                    self.fit.measure or "effect",
                    f"{format_level(self.fit.level)} CI",
                    "p" if measure.has_null else "",
                    "tau²",
                ),
                rows=rows,
                notes=notes,
            ),
        )

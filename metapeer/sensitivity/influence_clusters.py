"""What each trial, with all of its rows, does to a multilevel model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import ConvergenceError, MetapeerError
from metapeer.formatting import Printable, TextTable, count, format_number, format_p
from metapeer.pooling.intervals import chi2_tail
from metapeer.pooling.multilevel_fit import MixedFit, Problem, fit_mixed, make_problem
from metapeer.pooling.multilevel_likelihood import Term
from metapeer.pooling.multilevel_results import MultilevelResult
from metapeer.pooling.regression import orthonormal
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.influence_diagnostics import cutoffs
from metapeer.sensitivity.influence_refits import groups_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ClusterInfluenceResult", "influence_of_clusters"]

_ALONE = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ClusterInfluenceResult(Printable):
    """The result of `influence` for a multilevel model; arrays have one number for each cluster and are read-only.

    Parameters
    ----------
    by : str
        The column that names the clusters.
    names : tuple of str
        The coefficients.
    labels : tuple of str
        The clusters, each of which left with all its rows.
    k : array of int
        Rows of each.
    cook_d : array
        Cook's distances.
    dfbetas : array of shape (clusters, p)
        Change of each coefficient, in standard errors.
    cov_r : array
        Determinant of the covariance of the coefficients without the cluster, over that with it.
    x2, x2_p : array
        The cluster's multivariate studentised residual: chi-squared with `k` degrees of freedom where the model holds,
        and its p value.
    beta_del : array of shape (clusters, p)
        Coefficients without the cluster.
    notes : tuple of str
        What a reader must know.
    """

    by: str
    names: tuple[str, ...]
    labels: tuple[str, ...]
    k: NDArray[np.int64]
    cook_d: FloatArray
    dfbetas: FloatArray
    cov_r: FloatArray
    x2: FloatArray
    x2_p: FloatArray
    beta_del: FloatArray
    notes: tuple[str, ...]

    @property
    def is_influential(self) -> NDArray[np.bool_]:
        """Whether Cook's distance exceeds the median of chi-squared with p degrees of freedom, or a DFBETAS 1."""
        limit = cutoffs(len(self.names) + 1, len(self.names)).cook_d
        return np.asarray((self.cook_d > limit) | (np.abs(self.dfbetas) > 1.0).any(axis=1))

    def to_frame(self) -> pd.DataFrame:
        """Put the clusters in rows.

        Returns
        -------
        DataFrame
            ``label``, ``k``, ``cook_d``, ``cov_r``, ``x2``, ``x2_p``, ``dfbetas`` and ``estimate`` without the cluster
            (with ``_`` and the coefficient, when there are several), and ``is_influential``.
        """
        several = len(self.names) > 1
        changes = {f"dfbetas_{name}" if several else "dfbetas": self.dfbetas[:, j] for j, name in enumerate(self.names)}
        left = {f"estimate_{name}" if several else "estimate": self.beta_del[:, j] for j, name in enumerate(self.names)}
        columns = {"cook_d": self.cook_d, "cov_r": self.cov_r, "x2": self.x2, "x2_p": self.x2_p, **changes, **left}
        return pd.DataFrame(
            {
                "label": list(self.labels),
                "k": self.k.copy(),
                **{name: values.copy() for name, values in columns.items()},
                "is_influential": self.is_influential,
            }
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the clusters in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        p = len(self.names)
        titles = [f"DFBETAS {name}" if p > 1 else "DFBETAS" for name in self.names]
        marked = self.is_influential
        limits = (
            f"cut-offs: Cook's d > {format_number(cutoffs(p + 1, p).cook_d, 3)}, the median of chi-squared with {p} "
            "df, |DFBETAS| > 1 (Viechtbauer & Cheung 2010)"
        )
        residual = "X²: the cluster's residuals from the model without it, chi-squared with as many df as it has rows"
        rows = [
            (
                label,
                str(int(self.k[i])),
                format_number(float(self.cook_d[i]), 3),
                format_number(float(self.cov_r[i]), 3),
                format_number(float(self.x2[i]), 2),
                format_p(float(self.x2_p[i])),
                *(format_number(float(value), 2) for value in self.dfbetas[i]),
                "yes" if marked[i] else "",
            )
            for i, label in enumerate(self.labels)
        ]
        return (
            TextTable(
                title=f"Influence of each of {count(len(self.labels), 'cluster')} by {self.by}: multilevel model",
                header=("", "rows", "Cook's d", "cov. ratio", "X²", "p (X²)", *titles, "influential"),
                rows=rows,
                notes=[limits, residual, *self.notes],
            ),
        )

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw an index plot of every diagnostic, with its cut-offs.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Its place in a figure is divided among the panels; a new figure when left out.
        **options
            Anything that `influence_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.plots.influence_panels import Panel, influence_plot

        p = len(self.names)
        panels = [
            Panel(title="Cook's d", values=self.cook_d, limits=(cutoffs(p + 1, p).cook_d,)),
            Panel(title="cov. ratio", values=self.cov_r, centre=1.0),
            Panel(title="X² per row", values=self.x2 / self.k, centre=1.0),
            *(
                Panel(
                    title=f"DFBETAS {name}" if p > 1 else "DFBETAS",
                    values=self.dfbetas[:, j],
                    centre=0.0,
                    limits=(-1.0, 1.0),
                )
                for j, name in enumerate(self.names)
            ),
        ]
        settings: dict[str, Any] = {
            "notes": ["Dashed: cut-offs. Thin line: no change, or what is expected."],
            **options,
        }
        return influence_plot(self.labels, panels, marked=self.is_influential.tolist(), ax=ax, **settings)


def _subset(term: Term, kept: NDArray[np.intp]) -> Term:
    _, outer = np.unique(term.outer[kept], return_inverse=True)
    return replace(term, outer=outer.astype(np.intp), inner=term.inner[kept])


def _cannot(problem: Problem, X: FloatArray, out: NDArray[np.intp], kept: NDArray[np.intp]) -> str:
    """Say why a model cannot be fitted without some rows; empty when it can."""
    if kept.size <= X.shape[1]:
        return "no degree of freedom would be left"
    basis = orthonormal(X)
    # The rows hold a direction of the design by themselves where their leverages have an eigenvalue of 1.
    block = basis[out].T @ basis[out]
    if float(np.linalg.eigvalsh(block)[-1]) > 1.0 - _ALONE:
        return "it holds a coefficient by itself"
    for term in problem.terms:
        if np.unique(term.outer[kept]).size < 2:
            return "one group would be left, and a variance between groups needs two"
        if np.unique(term.inner[kept]).size < np.unique(term.inner).size:
            return "a level of the random effects would have no row"
    return ""


def _refit(fit: MultilevelResult, kept: NDArray[np.intp]) -> tuple[MixedFit, FloatArray]:
    """Fit the model to some of its rows; also the matrix from its basis to the coefficients."""
    whole = fit.fit.problem
    place = np.full(fit.k, -1, dtype=np.intp)
    place[kept] = np.arange(kept.size)
    blocks = []
    for rows, covariance in whole.blocks:
        stay = place[rows] >= 0
        if stay.any():
            blocks.append((place[rows[stay]], covariance[np.ix_(stay, stay)] * whole.unit**2))
    X = fit.design.X[kept]
    basis = orthonormal(X)
    terms = [_subset(term, kept) for term in whole.terms]
    found = fit_mixed(make_problem(fit.yi[kept], basis, blocks, terms, restricted=whole.restricted))
    return found, np.asarray(np.linalg.solve(basis.T @ X, np.eye(X.shape[1])), dtype=np.float64)


def influence_of_clusters(fit: MultilevelResult, by: str | None) -> ClusterInfluenceResult:
    """Fit a multilevel model without each cluster in turn.

    Parameters
    ----------
    fit : MultilevelResult
        The model.
    by : str or None
        A column of its table; the trials when None.

    Returns
    -------
    ClusterInfluenceResult
        As functions ``cooks.distance``, ``dfbetas`` and ``rstudent`` of metafor have them with ``cluster``.

    Raises
    ------
    MetapeerError
        If there is one cluster.
    ConvergenceError
        If the variance components do not converge without some cluster; it is named.

    References
    ----------
    Viechtbauer (2010), J Stat Softw 36(3):1-48.
    """
    names, groups = groups_of(fit, by)
    if len(groups) < 2:
        raise MetapeerError("there is one cluster: without it nothing is left to fit")
    problem, X = fit.fit.problem, fit.design.X
    model, unit = problem.model(), problem.unit
    n, p = len(groups), X.shape[1]
    back = np.linalg.solve(problem.X.T @ X, np.eye(p))
    cook_d, cov_r, x2 = np.full(n, math.nan), np.full(n, math.nan), np.full(n, math.nan)
    beta_del, dfbetas = np.full((n, p), math.nan), np.full((n, p), math.nan)
    size = np.sqrt(np.diag(fit.covariance))
    shape = fit.covariance / np.outer(size, size)
    notes = []
    for i, (name, out) in enumerate(zip(names, groups, strict=True)):
        kept = np.setdiff1d(np.arange(fit.k), out)
        reason = _cannot(problem, X, out, kept)
        if reason:
            notes.append(f"{name} cannot be left out: {reason}")
            continue
        try:
            left, there = _refit(fit, kept)
        except ConvergenceError as error:
            raise ConvergenceError(f"without {name}: {error}") from error
        beta_del[i] = there @ left.beta
        vb = there @ left.covariance @ there.T
        change = fit.beta - beta_del[i]
        cook_d[i] = float(change / size @ np.linalg.solve(shape, change / size))
        cov_r[i] = float(np.linalg.det(vb / np.outer(size, size)) / np.linalg.det(shape))
        matrices = [matrix / unit**2 for matrix in left.matrices()]
        with_it = back @ model.solve(matrices).covariance @ back.T * unit**2
        dfbetas[i] = change / np.sqrt(np.diag(with_it))
        own = np.zeros((out.size, out.size))
        place = {int(row): j for j, row in enumerate(out)}
        for rows, block in model.blocks(matrices):
            here = [j for j, row in enumerate(rows.tolist()) if row in place]
            at = [place[int(rows[j])] for j in here]
            own[np.ix_(at, at)] = block[np.ix_(here, here)] * unit**2
        residuals = fit.yi[out] - X[out] @ beta_del[i]
        x2[i] = float(residuals @ np.linalg.solve(own + X[out] @ vb @ X[out].T, residuals))
    k = np.array([rows.size for rows in groups], dtype=np.int64)
    x2_p = np.array([math.nan if math.isnan(x) else chi2_tail(x, float(m)) for x, m in zip(x2, k, strict=True)])
    for array in (k, cook_d, dfbetas, cov_r, x2, x2_p, beta_del):
        array.setflags(write=False)
    return ClusterInfluenceResult(
        by=by or "trial",
        names=fit.names,
        labels=names,
        k=k,
        cook_d=cook_d,
        dfbetas=dfbetas,
        cov_r=cov_r,
        x2=x2,
        x2_p=x2_p,
        beta_del=beta_del,
        notes=tuple(notes),
    )

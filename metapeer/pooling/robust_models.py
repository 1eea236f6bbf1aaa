"""The door to cluster-robust inference: a fit in, a `ClusterRobustResult` out."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from metapeer.errors import DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.design import INTERCEPT
from metapeer.pooling.intervals import check_level
from metapeer.pooling.models import Notes
from metapeer.pooling.regression_results import MetaRegressionResult
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.robust import WorkingModel
from metapeer.pooling.robust_results import ClusterRobustResult
from metapeer.pooling.robust_sandwich import VCOV, sandwich
from metapeer.pooling.robust_tests import tell_coefficients
from metapeer.pooling.robust_wald import COEFFICIENT_TESTS, robust_linear, robust_wald
from metapeer.pooling.weighted import FloatArray

__all__ = ["HasWorkingModel", "build_robust", "cluster_robust", "unnamed_trials", "working_model_of"]

FEW_CLUSTERS = 40
"""With fewer, tests without corrections reject too often: Hedges, Tipton & Johnson (2010), Res Synth Methods 1:39-65;
Tipton (2015) finds that it may take more."""

OMNIBUS = {"Satterthwaite": "HTZ", "naive-t": "naive-F", "naive-tp": "naive-Fp", "z": "chi-sq"}

Vcov = Literal["CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"]
Test = Literal["Satterthwaite", "naive-t", "naive-tp", "z"]


@runtime_checkable
class HasWorkingModel(Protocol):
    """A fit that says what it assumed of its effects."""

    def working_model(self) -> WorkingModel:
        """Say what the fit assumed.

        Returns
        -------
        WorkingModel
            Effects, design and covariance.
        """
        ...


Fit = MetaAnalysisResult | MetaRegressionResult | HasWorkingModel


def _trials(data: pd.DataFrame | None, labels: tuple[str, ...]) -> tuple[str, ...]:
    """The trial of each row, as `read_effects` takes it."""
    if data is not None and "study_id" in data:
        studies = ["" if pd.isna(value) else str(value) for value in data["study_id"]]
        if all(studies):
            return tuple(studies)
    return labels


def unnamed_trials(data: pd.DataFrame | None, labels: Sequence[str]) -> list[Fault]:
    """List rows without a trial in a table whose other rows have one.

    Parameters
    ----------
    data : DataFrame or None
        The rows used.
    labels : sequence of str
        Their names.

    Returns
    -------
    list of Fault
        Empty when all rows, or none, have a ``study_id``.

    Examples
    --------
    >>> [str(fault) for fault in unnamed_trials(pd.DataFrame({"study_id": ["a", None]}), ["one", "two"])]
    ['two, study_id: is missing; give the trial, or clusters by another column']
    """
    if data is None or "study_id" not in data:
        return []
    blank = [pd.isna(value) or not str(value) for value in data["study_id"]]
    message = "is missing; give the trial, or clusters by another column"
    return [
        Fault(row=label, column="study_id", message=message)
        for label, missing in zip(labels, blank, strict=True)
        if missing and not all(blank)
    ]


def _diagonal(
    yi: FloatArray, X: FloatArray, names: tuple[str, ...], Phi: FloatArray, w: FloatArray | None, **others: Any
) -> WorkingModel:
    blocks = tuple((np.array([i]), np.array([[value]])) for i, value in enumerate(Phi.tolist()))
    weights = None if w is None else tuple(np.array([[value]]) for value in w.tolist())
    return WorkingModel(yi=yi, X=X, names=names, blocks=blocks, weights=weights, **others)


def working_model_of(fit: Fit) -> WorkingModel:
    """Say what a fit assumed of its effects.

    Parameters
    ----------
    fit : MetaAnalysisResult, MetaRegressionResult, or any with a method ``working_model()``
        The fit.

    Returns
    -------
    WorkingModel
        For the first two: independent effects with variances ``vi + tau2``, and the weights that were used.

    Raises
    ------
    MetapeerError
        If the fit is not a weighted mean or regression of effects.

    Examples
    --------
    >>> from metapeer.pooling.models import meta_analysis
    >>> model = working_model_of(meta_analysis(yi=[0.1, 0.3, 0.6], vi=[0.02, 0.03, 0.04], model="common"))
    >>> model.names, [float(Phi[0, 0]) for _, Phi in model.blocks]
    (('Intercept',), [0.02, 0.03, 0.04])
    """
    if isinstance(fit, MetaAnalysisResult):
        if fit.weighting not in ("inverse variance", "common-effect weights"):
            raise MetapeerError(f"robust variances need weighted effects; this fit was pooled by {fit.weighting}")
        return _diagonal(
            fit.yi,
            np.ones((fit.k, 1)),
            (INTERCEPT,),
            fit.vi + fit.tau2,
            None if fit.weighting == "inverse variance" else 1.0 / fit.vi,
            labels=fit.labels,
            trials=_trials(fit.data, fit.labels),
            level=fit.level,
        )
    if isinstance(fit, MetaRegressionResult):
        return _diagonal(
            fit.yi,
            fit.design.X,
            fit.names,
            fit.vi + fit.tau2,
            None,
            labels=fit.labels,
            trials=_trials(fit.data, fit.labels),
            level=fit.level,
        )
    if isinstance(fit, HasWorkingModel):
        return fit.working_model()
    raise MetapeerError(
        f"a {type(fit).__name__} has no robust variances; give a result of meta_analysis() or meta_regression()"
    )


def _default_clusters(fit: Fit, model: WorkingModel) -> tuple[list[str], str]:
    k = model.yi.size
    data = getattr(fit, "data", None)
    faults = unnamed_trials(data, model.row_names) if isinstance(data, pd.DataFrame) and len(data) == k else []
    if faults:
        raise DataError("the clustering", faults)
    clusters = list(model.trials) or [str(i) for i in range(1, k + 1)]
    return clusters, "each effect its own" if len(set(clusters)) == k else "the trials"


def _clusters(fit: Fit, model: WorkingModel, cluster: "str | Sequence[Any] | None") -> tuple[list[str], str]:
    """Cluster of each row, and what the clusters are."""
    k = model.yi.size
    if cluster is None:
        return _default_clusters(fit, model)
    words = "as given"
    if isinstance(cluster, str):
        data = getattr(fit, "data", None)
        if not isinstance(data, pd.DataFrame) or cluster not in data:
            raise DataError(
                "the clustering", [f"the fit holds no table with a column {cluster!r}; give a list of labels"]
            )
        words, cells = f"by {cluster}", data[cluster].tolist()
    else:
        try:
            cells = list(cluster)
        except TypeError:
            raise DataError(
                "the clustering", [f"{cluster!r} is not a list with the cluster of each effect, nor a column"]
            ) from None
    if len(cells) != k:
        left = len(getattr(fit, "excluded", ()))
        more = f" and left out {count(left, 'row')}, which must not be among them" if left else ""
        raise DataError("the clustering", [f"it names {count(len(cells), 'row')}; the fit used {k}{more}"])
    faults = []
    for row, cell in zip(model.row_names, cells, strict=True):
        missing = pd.isna(cell)
        if not isinstance(missing, bool | np.bool_):
            faults.append(Fault(row=row, message=f"{cell!r} is not the name of one cluster"))
        elif missing or not str(cell).strip():
            faults.append(Fault(row=row, message="its cluster is missing"))
    if faults:
        raise DataError("the clustering", faults)
    return [str(cell) for cell in cells], words


def build_robust(
    model: WorkingModel,
    clusters: Sequence[str],
    *,
    clustering: str,
    vcov: str,
    test: str,
    level: float,
    measure: str,
    terms: dict[str, tuple[int, ...]],
    notes: Notes,
) -> ClusterRobustResult:
    """Compute robust tests and wrap them.

    Parameters
    ----------
    model : WorkingModel
        What the fit assumed.
    clusters : sequence of str
        Cluster of each row.
    clustering : str
        What the clusters are, in words.
    vcov, test, level
        As in `cluster_robust`.
    measure : str
        Effect measure, or an empty string.
    terms : dict
        Terms of the model and their columns.
    notes : Notes
        Takes the notes; doubts are warned of by the caller.

    Returns
    -------
    ClusterRobustResult
        The result.
    """
    fit = sandwich(model, clusters, method=vcov)
    m, p = len(fit.clusters), len(model.names)
    found = robust_linear(fit, np.eye(p), test=test, level=level)
    tell_coefficients(fit, found, model.names, test, notes)
    if m < FEW_CLUSTERS and vcov not in ("CR2", "CR3"):
        notes.say(f"{vcov} with {m} clusters: such variances are too small on average; CR2 corrects them")
    if test == "naive-tp" and m <= p:
        notes.doubt(f"{count(m, 'cluster')} for {count(p, 'coefficient')} leave no degrees of freedom for naive-tp")
    tested = np.flatnonzero(~(model.X == 1.0).all(axis=0))
    omnibus = robust_wald(fit, np.eye(p)[tested], test=OMNIBUS[test]) if tested.size > 1 else None
    arrays = (found.estimate, found.se, found.statistic, found.df, found.p_value, found.low, found.high, fit.covariance)
    for array in arrays:
        array.setflags(write=False)
    return ClusterRobustResult(
        measure=measure,
        k=model.yi.size,
        clusters=m,
        clustering=clustering,
        vcov=vcov,
        test=test,
        names=model.names,
        estimate=found.estimate,
        se=found.se,
        statistic=found.statistic,
        df=found.df,
        p_value=found.p_value,
        ci_low=found.low,
        ci_high=found.high,
        covariance=fit.covariance,
        omnibus=omnibus,
        level=level,
        terms=terms,
        notes=tuple(notes.said),
        fit=fit,
    )


def cluster_robust(
    fit: Fit,
    *,
    cluster: "str | Sequence[Any] | None" = None,
    vcov: Vcov = "CR2",
    test: Test = "Satterthwaite",
    level: float | None = None,
) -> ClusterRobustResult:
    """Test the coefficients of a fit without trusting what it assumed of variances and dependence within clusters.

    The estimates stay as they are; standard errors and tests come from the residuals of whole clusters. Effects of
    different clusters are taken as independent, and the better the fit's own assumptions are, the more precise the
    estimates.

    Parameters
    ----------
    fit : MetaAnalysisResult, MetaRegressionResult, or any with a method ``working_model()``
        A result of `meta_analysis` or `meta_regression`, or of a multilevel model.
    cluster : str or sequence, optional
        Cluster of each effect that the fit used, or the column of its table that holds it; the trial when left out.
    vcov : {"CR2", "CR3", "CR1S", "CR1p", "CR1", "CR0"}, default "CR2"
        Correction for few clusters. CR2 is unbiased if the working model is true; CR3 is close to the jackknife; the
        others multiply CR0 by a number.
    test : {"Satterthwaite", "naive-t", "naive-tp", "z"}, default "Satterthwaite"
        t tests with Satterthwaite's degrees of freedom, with clusters less one, or with clusters less coefficients;
        normal tests. ``vcov="CR1p", test="naive-tp"`` is what metafor's ``robust()`` does by default.
    level : float, optional
        Confidence level; that of the fit when left out.

    Returns
    -------
    ClusterRobustResult
        Coefficients with tests, and methods for contrasts, joint tests and the wild bootstrap.

    Raises
    ------
    DataError
        If there is one cluster only, a row has none, clusters separate effects that the fit correlates, or (with CR3)
        one cluster alone identifies a coefficient; every fault is listed.
    ChoiceError
        If an option is unknown.
    MetapeerError
        If the fit is not a weighted mean or regression of effects.

    Warns
    -----
    DataWarning
        If a coefficient has fewer than 4 degrees of freedom, or one cluster alone decides it.

    References
    ----------
    Hedges, Tipton & Johnson (2010), Res Synth Methods 1:39-65; Tipton (2015), Psychol Methods 20:375-393; Pustejovsky &
    Tipton (2018), J Bus Econ Stat 36:672-683; Pustejovsky & Tipton (2022), Prev Sci 23:425-438.

    Examples
    --------
    >>> from metapeer.pooling.models import meta_analysis
    >>> fit = meta_analysis(yi=[0.1, 0.3, 0.35, 0.65, 0.45, 0.15, 0.2, 0.5], sei=[0.2] * 8)
    >>> found = cluster_robust(fit, cluster=["a", "a", "b", "c", "d", "d", "e", "f"])
    >>> found.method, found.se.round(4).tolist(), found.df.round(2).tolist()
    ('CR2, Satterthwaite df, 6 clusters', [0.0652], [4.37])
    """
    check_choice("vcov", vcov, VCOV)
    check_choice("test", test, COEFFICIENT_TESTS)
    model = working_model_of(fit)
    chosen = model.level if level is None else check_level(level)
    clusters, words = _clusters(fit, model, cluster)
    notes = Notes()
    design = getattr(fit, "design", None)
    found = build_robust(
        model,
        clusters,
        clustering=words,
        vcov=vcov,
        test=test,
        level=chosen,
        measure=str(getattr(fit, "measure", "")),
        terms={term.name: term.columns for term in getattr(design, "terms", ())},
        notes=notes,
    )
    notes.warn(stacklevel=2)
    return found

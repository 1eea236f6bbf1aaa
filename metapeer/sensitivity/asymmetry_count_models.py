"""The door to tests of small-study effects made for counts of events: Harbord, Peters, Deeks, Schwarzer."""

import math
import warnings
from typing import Any, Literal

import numpy as np
import pandas as pd

from metapeer.effects.measures import find_measure
from metapeer.errors import DataError, DataWarning, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.count_data import read_counts
from metapeer.pooling.models import Effects, Notes
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.asymmetry_counts import (
    efficient_score,
    hypergeometric_moments,
    mantel_haenszel_odds_ratio,
)
from metapeer.sensitivity.asymmetry_data import StudyEffects, level_of, tell_studies
from metapeer.sensitivity.asymmetry_lines import fit_line
from metapeer.sensitivity.asymmetry_models import P_METHODS
from metapeer.sensitivity.asymmetry_ranks import rank_correlation
from metapeer.sensitivity.asymmetry_results import AsymmetryTestResult, line_result, rank_result

__all__ = ["deeks_test", "harbord_test", "peters_test", "schwarzer_test"]

Counts = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def _read(data: object) -> tuple[Counts, StudyEffects]:
    """Take counts, with log odds ratios beside them; tables without information on the odds ratio are left out."""
    if isinstance(data, MetaAnalysisResult):
        if data.data is None:
            raise MetapeerError("the fit holds no table of counts; give the table")
        table, source = data.data, "the fit"
    elif isinstance(data, pd.DataFrame):
        table, source = data, str(data.attrs.get("source", "the table"))
    else:
        raise MetapeerError(f"data is a {type(data).__name__}; give a table of counts, or a fit of one")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # said again below, in words that fit a test
        found = read_counts(table, find_measure("OR"), drop_double_zero=True, stacklevel=1)
    a, n1, c, n2 = found.counts
    effects = Effects(
        yi=found.yi,
        vi=found.vi,
        labels=found.labels,
        measure="OR",
        positive_favours=found.positive_favours,
        trials=found.trials,
        data=found.data,
        excluded=found.excluded,
    )
    given = StudyEffects(effects=effects, fit=None, source=source)
    if given.k < 3:
        faults = [Fault(row=label, message=reason) for label, reason in effects.excluded]
        need = f"{count(given.k, 'study', 'studies')} can be used; at least 3 are needed"
        raise DataError(source, [*faults, Fault(message=need)])
    return (a, n1, c, n2), given


def _line(
    given: StudyEffects,
    yi: FloatArray,
    x: FloatArray,
    weights: FloatArray,
    *,
    test: str,
    formula: str,
    predictor: str,
    level: float,
    measure: str = "OR",
) -> AsymmetryTestResult:
    """Regress, and say what is doubtful; all errors are multiplicative."""
    line = fit_line(yi, 1.0 / weights, x, level=level)
    notes = Notes()
    tell_studies(given, notes)
    notes.warn(stacklevel=3)
    effects = given.effects
    percent = 100.0 * weights / float(weights.sum())
    for array in (yi, x, percent):
        array.setflags(write=False)
    return line_result(
        line,
        given=None,
        shrinks=True,
        level=level,
        words=f"multiplicative errors: factor {line.dispersion:.3g}",
        test=test,
        formula=formula,
        measure=measure,
        k=given.k,
        trials=effects.trial_count,
        predictor=predictor,
        tau2_method="",
        labels=effects.labels,
        yi=yi,
        x=x,
        weights=percent,
        excluded=effects.excluded,
        notes=tuple(notes.said),
    )


def harbord_test(data: MetaAnalysisResult | pd.DataFrame, *, level: float | None = None) -> AsymmetryTestResult:
    """Test funnel-plot asymmetry of odds ratios by Harbord's regression of efficient scores.

    The score ``Z`` of the log odds ratio at no effect and its variance ``V`` do not depend on one another as the log
    odds ratio and its variance do: ``Z / V`` is regressed on ``1 / sqrt(V)`` with weights ``V``.

    Parameters
    ----------
    data : DataFrame or MetaAnalysisResult
        Counts: ``events1``, ``total1``, ``events2``, ``total2``; or a fit of a table that has them.
    level : float, optional
        Of the intervals; that of the fit, or 0.95.

    Returns
    -------
    AsymmetryTestResult
        The slope with its t test.

    Raises
    ------
    DataError
        If there are faults in the counts, or fewer than three studies tell of the odds ratio.

    Warns
    -----
    DataWarning
        If fewer than 10 studies leave the test little power, several rows of a trial are taken as independent, or
        studies are alike in precision.

    References
    ----------
    Harbord, Egger & Sterne (2006), Stat Med 25:3443-3457.

    Examples
    --------
    >>> import pandas as pd
    >>> counts = pd.DataFrame({"events1": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17],
    ...                        "total1": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716],
    ...                        "events2": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65],
    ...                        "total2": [139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665]})
    >>> found = harbord_test(counts)
    >>> round(found.estimate, 3), round(found.p_value, 4)
    (-3.239, 0.1461)
    """
    counts, given = _read(data)
    Z, V = efficient_score(*counts)
    return _line(
        given,
        Z / V,
        1.0 / np.sqrt(V),
        V,
        test="Harbord's test",
        formula="Z/V (Peto's log odds ratio) on 1/sqrt(V), weights V; Z the efficient score, V its variance",
        predictor="score_se",
        level=level_of(level, data if isinstance(data, MetaAnalysisResult) else None),
        measure="PETO",
    )


def peters_test(data: MetaAnalysisResult | pd.DataFrame, *, level: float | None = None) -> AsymmetryTestResult:
    """Test funnel-plot asymmetry of odds ratios by Peters' regression on the inverse number of participants.

    Weights are ``1 / (1 / events + 1 / non-events)``, both arms together.

    Parameters
    ----------
    data : DataFrame or MetaAnalysisResult
        As in `harbord_test`.
    level : float, optional
        Of the intervals; that of the fit, or 0.95.

    Returns
    -------
    AsymmetryTestResult
        The slope with its t test.

    Raises
    ------
    DataError
        As in `harbord_test`.

    Warns
    -----
    DataWarning
        As in `harbord_test`.

    References
    ----------
    Peters, Sutton, Jones, Abrams & Rushton (2006), JAMA 295:676-680.

    Examples
    --------
    >>> import pandas as pd
    >>> counts = pd.DataFrame({"events1": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17],
    ...                        "total1": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716],
    ...                        "events2": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65],
    ...                        "total2": [139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665]})
    >>> found = peters_test(counts)
    >>> round(found.estimate, 1), round(found.p_value, 4)
    (-542.0, 0.2933)
    """
    counts, given = _read(data)
    a, n1, c, n2 = counts
    events, n = a + c, n1 + n2
    return _line(
        given,
        given.effects.yi,
        1.0 / n,
        events * (n - events) / n,
        test="Peters' test",
        formula="log odds ratio on 1/participants, weights 1/(1/events + 1/non-events)",
        predictor="ninv",
        level=level_of(level, data if isinstance(data, MetaAnalysisResult) else None),
    )


def deeks_test(data: MetaAnalysisResult | pd.DataFrame, *, level: float | None = None) -> AsymmetryTestResult:
    """Test funnel-plot asymmetry of odds ratios by Deeks' regression on the effective sample size.

    Made for diagnostic odds ratios, whose arms (diseased and not) differ much in size: the log odds ratio is regressed
    on ``1 / sqrt(ESS)`` with weights ``ESS = 4 n1 n2 / (n1 + n2)``.

    Parameters
    ----------
    data : DataFrame or MetaAnalysisResult
        As in `harbord_test`.
    level : float, optional
        Of the intervals; that of the fit, or 0.95.

    Returns
    -------
    AsymmetryTestResult
        The slope with its t test.

    Raises
    ------
    DataError
        As in `harbord_test`.

    Warns
    -----
    DataWarning
        As in `harbord_test`.

    References
    ----------
    Deeks, Macaskill & Irwig (2005), J Clin Epidemiol 58:882-893.

    Examples
    --------
    >>> import pandas as pd
    >>> counts = pd.DataFrame({"events1": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17],
    ...                        "total1": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716],
    ...                        "events2": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65],
    ...                        "total2": [139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665]})
    >>> found = deeks_test(counts)
    >>> round(found.estimate, 2), round(found.p_value, 4)
    (-63.35, 0.0697)
    """
    counts, given = _read(data)
    _, n1, _, n2 = counts
    size = 4.0 * n1 * n2 / (n1 + n2)
    return _line(
        given,
        given.effects.yi,
        1.0 / np.sqrt(size),
        size,
        test="Deeks' test",
        formula="log odds ratio on 1/sqrt(ESS), weights ESS = 4 n1 n2/(n1 + n2)",
        predictor="effective",
        level=level_of(level, data if isinstance(data, MetaAnalysisResult) else None),
    )


def schwarzer_test(
    data: MetaAnalysisResult | pd.DataFrame,
    *,
    p_method: Literal["normal", "normal_cc", "exact"] = "normal",
) -> AsymmetryTestResult:
    """Test funnel-plot asymmetry of sparse counts by Schwarzer's rank correlation.

    Events in arm 1 less their expectation, over its standard deviation, are ranked against the inverse of the variance;
    both come from the noncentral hypergeometric distribution at the Mantel-Haenszel odds ratio.

    Parameters
    ----------
    data : DataFrame or MetaAnalysisResult
        As in `harbord_test`.
    p_method : {"normal", "normal_cc", "exact"}, default "normal"
        As in `begg_test`.

    Returns
    -------
    AsymmetryTestResult
        Kendall's tau with its test.

    Raises
    ------
    DataError
        As in `harbord_test`, and if the Mantel-Haenszel odds ratio is 0 or infinite.
    ChoiceError
        If `p_method` is unknown.

    Warns
    -----
    DataWarning
        As in `harbord_test`.

    References
    ----------
    Schwarzer, Antes & Schumacher (2007), Stat Med 26:721-733.

    Examples
    --------
    >>> import pandas as pd
    >>> counts = pd.DataFrame({"events1": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17],
    ...                        "total1": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716],
    ...                        "events2": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65],
    ...                        "total2": [139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665]})
    >>> found = schwarzer_test(counts)
    >>> round(found.estimate, 3), round(found.p_value, 4)
    (0.111, 0.6547)
    """
    check_choice("p_method", p_method, P_METHODS)
    counts, given = _read(data)
    a, n1, c, n2 = counts
    odds_ratio = mantel_haenszel_odds_ratio(*counts)
    if not 0.0 < odds_ratio < math.inf:
        raise DataError(given.source, ["the Mantel-Haenszel odds ratio is 0 or infinite: an arm never has events"])
    moments = np.array([hypergeometric_moments(*row, odds_ratio) for row in zip(n1, n2, a + c, strict=True)])
    z, x = (a - moments[:, 0]) / np.sqrt(moments[:, 1]), 1.0 / moments[:, 1]
    if np.unique(z).size == 1 or np.unique(x).size == 1:
        raise DataError(given.source, ["all studies are the same, so that they have no order"])
    found = rank_correlation(z, x, method=p_method)
    notes = Notes()
    tell_studies(given, notes)
    notes.warn(stacklevel=2)
    effects = given.effects
    percent = 100.0 * moments[:, 1] / float(moments[:, 1].sum())
    for array in (z, x, percent):
        array.setflags(write=False)
    parts: dict[str, Any] = {
        "test": "Schwarzer's test",
        "formula": (
            "Kendall's rank correlation of standardised events with 1/variance, by the noncentral hypergeometric "
            f"distribution at the Mantel-Haenszel odds ratio {odds_ratio:.3g}"
        ),
        "measure": "OR",
        "k": given.k,
        "trials": effects.trial_count,
        "predictor": "hypergeometric variance",
        "level": 0.95,
        "labels": effects.labels,
        "yi": z,
        "x": x,
        "weights": percent,
        "excluded": effects.excluded,
        "notes": tuple(notes.said),
    }
    return rank_result(found, given=None, **parts)

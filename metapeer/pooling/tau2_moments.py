"""Estimators of tau2 in closed form: a weighted sum of squares is set equal to its expectation.

References
----------
Veroniki et al. (2016), Res Synth Methods 7:55-79.
"""

import numpy as np

from metapeer.pooling.weighted import (
    FloatArray,
    degrees_of_freedom,
    moments,
    ols_residuals,
    q_statistic,
    total,
    trace_p,
)

__all__ = [
    "sj_start",
    "tau2_ca2",
    "tau2_dl",
    "tau2_dl2",
    "tau2_genq",
    "tau2_he",
    "tau2_hs",
    "tau2_hsk",
    "tau2_sj",
]


def tau2_dl(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by DerSimonian and Laird's moment estimator.

    Parameters
    ----------
    yi : array of shape (k,)
        Effects, in the measure's units (log for ratios).
    vi : array of shape (k,)
        Sampling variances, in squared units of `yi`.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        tau2, never negative, in squared units of `yi`.

    References
    ----------
    DerSimonian & Laird (1986), Control Clin Trials 7:177-188.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_dl(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0894
    """
    if X is None:
        w = 1.0 / vi
        s1 = total(w)
        residuals = yi - w.dot(yi) / s1
        excess = float((w * residuals).dot(residuals)) - (yi.size - 1)
        return max(0.0, excess / trace_p(w))
    found = moments(yi, vi, np.zeros(1), X)
    return max(0.0, (float(found.yPy[0]) - degrees_of_freedom(yi, X)) / float(found.trP[0]))


def tau2_he(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by Hedges' estimator, the unweighted moment estimator.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        tau2, never negative.

    References
    ----------
    Hedges (1983), Psychol Bull 93:388-395.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_he(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.1
    """
    residuals = ols_residuals(yi, X)
    leverage = np.full(yi.size, 1.0 / yi.size) if X is None else (np.linalg.qr(X)[0] ** 2).sum(axis=1)
    expected = float(vi @ (1.0 - leverage))
    return max(0.0, (float(residuals @ residuals) - expected) / degrees_of_freedom(yi, X))


def tau2_hs(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by Hunter and Schmidt's estimator; biased downwards when studies are few.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        tau2, never negative.

    References
    ----------
    Hunter & Schmidt (1990), Methods of Meta-Analysis; Viechtbauer (2005), J Educ Behav Stat 30:261-293.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_hs(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0479
    """
    q, _ = q_statistic(yi, vi, 0.0, X)
    return max(0.0, (q - yi.size) / float((1.0 / vi).sum()))


def sj_start(yi: FloatArray) -> float:
    """Crude between-study variance with which Sidik and Jonkman begin: the mean squared deviation of the effects.

    Parameters
    ----------
    yi : array of shape (k,)
        Effects.

    Returns
    -------
    float
        In squared units of `yi`.
    """
    return float(np.var(yi))


def tau2_sj(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by Sidik and Jonkman's model-error estimator; positive unless all effects agree.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        tau2, never negative.

    References
    ----------
    Sidik & Jonkman (2005), J R Stat Soc C 54:367-384.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_sj(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0946
    """
    start = sj_start(yi)
    if start == 0.0:
        return 0.0
    q, _ = q_statistic(yi, vi, start, X)
    return start * q / degrees_of_freedom(yi, X)


def tau2_hsk(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by Hunter and Schmidt's estimator with a correction for few studies.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        tau2, never negative.

    References
    ----------
    Brannick, Potter, Benitez & Morris (2019), Psychol Methods 24:490-514.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_hsk(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0857
    """
    k = yi.size
    q, _ = q_statistic(yi, vi, 0.0, X)
    return max(0.0, (q * k / degrees_of_freedom(yi, X) - k) / total(1.0 / vi))


def tau2_genq(
    yi: FloatArray, vi: FloatArray, X: FloatArray | None = None, *, weights: FloatArray | None = None
) -> float:
    """Between-study variance by the generalised moment estimator: Q with any fixed weights equals its expectation.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.
    weights : array of shape (k,), optional
        The weights of Q; ``1 / sqrt(vi)``, which Jackson found to serve well, when left out.

    Returns
    -------
    float
        tau2, never negative.

    References
    ----------
    DerSimonian & Kacker (2007), Contemp Clin Trials 28:105-114; Jackson (2013), Res Synth Methods 4:220-229.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_genq(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0952
    """
    a = 1.0 / np.sqrt(vi) if weights is None else weights
    q, _ = q_statistic(yi, 1.0 / a, 0.0, X)
    if X is None:
        trace = trace_p(a)
        expected = float((a * vi).dot(total(a) - a)) / total(a)
    else:
        trace = float(moments(yi, 1.0 / a, np.zeros(1), X).trP[0])
        basis, _ = np.linalg.qr(np.sqrt(a)[:, None] * X)
        expected = float((a * vi).dot(1.0 - np.einsum("kp,kp->k", basis, basis)))
    return max(0.0, (q - expected) / trace)


def tau2_dl2(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance in two steps, the first by DerSimonian and Laird.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        tau2, never negative: the generalised moment estimate with the weights that the first step gives.

    References
    ----------
    DerSimonian & Kacker (2007), Contemp Clin Trials 28:105-114.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_dl2(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0973
    """
    return tau2_genq(yi, vi, X, weights=1.0 / (vi + tau2_dl(yi, vi, X)))


def tau2_ca2(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance in two steps, the first by the analysis of variance (Hedges' estimator).

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        tau2, never negative: the generalised moment estimate with the weights that the first step gives.

    References
    ----------
    DerSimonian & Kacker (2007), Contemp Clin Trials 28:105-114.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_ca2(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0976
    """
    return tau2_genq(yi, vi, X, weights=1.0 / (vi + tau2_he(yi, vi, X)))

"""The figure of tau in a Bayesian meta-analysis: its prior, its likelihood, and its posterior."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.errors import ChoiceError
from metapeer.formatting import format_interval, format_level, format_number
from metapeer.plots.densities import draw_densities
from metapeer.pooling.bayes_models import BayesianMetaAnalysisResult

__all__ = ["tau_posterior_plot"]

POINTS = 400
MOST = 0.998  # of the posterior lies within the panel


def tau_posterior_plot(fit: BayesianMetaAnalysisResult, *, ax: Axes | None = None, **options: Any) -> Figure:
    """Draw what a Bayesian meta-analysis says of the heterogeneity: prior, likelihood and posterior of tau.

    The likelihood is the posterior divided by the prior, drawn as high as the posterior. Where the two curves differ,
    the prior speaks; where they agree, the data do.

    Parameters
    ----------
    fit : BayesianMetaAnalysisResult
        From `bayesian_meta_analysis`.
    ax : Axes, optional
        Where to draw; by default a new figure.
    **options
        ``title``, ``notes``, ``width``, ``height`` and whatever else `draw_densities` takes.

    Returns
    -------
    Figure
        The figure drawn on; save it with `save_figure`. An improper prior has no density and is not drawn.

    Raises
    ------
    ChoiceError
        If `fit` is something else, or an option is unknown.

    References
    ----------
    Röver (2020), J Stat Softw 93(6).

    Examples
    --------
    >>> from metapeer import bayesian_meta_analysis
    >>> fit = bayesian_meta_analysis(yi=[0.1, 0.3, 0.25, 0.6], vi=[0.01, 0.02, 0.03, 0.04], measure="SMD")
    >>> figure = tau_posterior_plot(fit)
    >>> sorted({line.get_label() for line in figure.axes[0].lines if line.get_label() != "_key"})
    ['_likelihood', '_median', '_posterior', '_prior']
    """
    if not isinstance(fit, BayesianMetaAnalysisResult):
        raise ChoiceError(f"fit must be the result of bayesian_meta_analysis, not {type(fit).__name__}")
    prior = fit.posterior.tau_prior
    end = max(float(fit.posterior.tau_quantiles(np.array([MOST]))[0]), 1.05 * fit.tau.interval.high)
    tau = np.linspace(0.0, end, POINTS)
    if not math.isfinite(float(fit.posterior.tau_log_density(tau[:1])[0])):
        tau = tau[1:]  # infinite at zero
    log_posterior = fit.posterior.tau_log_density(tau)
    log_prior = np.asarray(prior.log_density(tau))
    posterior = np.exp(log_posterior)
    inside = np.isfinite(log_prior)
    log_likelihood = np.where(inside, log_posterior - np.where(inside, log_prior, 0.0), -np.inf)
    likelihood = np.exp(log_likelihood - log_likelihood.max()) * float(posterior.max())
    curves = [("posterior", "posterior", posterior), ("likelihood", "likelihood, drawn as high", likelihood)]
    ends = format_interval(fit.tau.interval.low, fit.tau.interval.high)
    told = f"Posterior: median {format_number(fit.tau.median)}, {format_level(fit.level)} interval {ends}."
    notes = [f"{told} Prior: {fit.tau_prior}."]
    if prior.proper:
        curves.append(("prior", "prior", np.exp(log_prior)))
    else:
        notes.append("The prior is improper and has no density to be drawn.")
    table = pd.concat(
        [pd.DataFrame({"value": tau, "density": y, "kind": kind, "name": name}) for kind, name, y in curves],
        ignore_index=True,
    )
    settings: dict[str, Any] = {
        "median": fit.tau.median,
        "interval": tuple(fit.tau.interval),
        "interval_label": f"{format_level(fit.level)} interval ({fit.tau.interval.method})",
        "x_label": "Heterogeneity: standard deviation τ of true effects",
        "notes": notes,
        **options,
    }
    return draw_densities(table, ax=ax, **settings)

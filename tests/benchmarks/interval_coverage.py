"""Simulate how often the intervals for the mean, a new study and a share of true effects hold what they should.

Usage: python tests/benchmarks/interval_coverage.py [REPLICATES [PROCESSES]] > docs/coverage.md

The same seed gives the same table whatever the number of processes: every cell has its own stream of random numbers.
"""

import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np
from scipy.special import gammainc, gammaincinv, ndtr, ndtri

from metapeer.pooling.exceedance import delta_interval_of_share, likelihood_interval_of_share
from metapeer.pooling.inference import infer
from metapeer.pooling.intervals import t_quantile
from metapeer.pooling.mean_intervals import (
    fixed_weight_se,
    henmi_copas,
    kenward_roger,
    mean_likelihood_interval,
    mean_likelihood_p,
)
from metapeer.pooling.prediction import nnf_prediction_interval, prediction_interval
from metapeer.pooling.tau2 import tau2_dl, tau2_reml, tau2_se

SEED = 20260101
LEVEL = 0.95
TRUTH = 0.3
TYPICAL = 0.1
"""Sampling variances are TYPICAL times a uniform variable on 0.2 to 1.8 times another drawn from 1/3, 1, 3: a ratio of
up to 81 between the largest and the smallest, drawn anew for every replicate."""

STUDIES = (3, 5, 10, 20)
SHARES = (0.0, 0.1, 0.5)
"""tau2 as a share of TYPICAL."""
SHAPE = 1.0
"""Skewed true effects are gamma variables of this shape, shifted and scaled to mean TRUTH and variance tau2."""

MEANS = ("z", "t", "HK", "HK_se", "HK_ci", "HK_IQWiG6", "KR", "PL", "HC")
PREDICTIONS = ("V", "HTS", "HK", "NNF")
ABOVE = 0.8
"""Share of true effects above the threshold, which is chosen so."""
SHARE_METHODS = ("PL", "PL (ML)", "delta", "delta.logit")
SLOW = {"PL": 10, "NNF": 20}
"""PL's coverage is that of its test, in every replicate; its width, and all of NNF, are computed in one of so many."""


def true_effects(rng, k, tau, shape):
    """Draw true effects with mean TRUTH and standard deviation `tau`."""
    if shape == "normal":
        return TRUTH + tau * rng.standard_normal(k)
    return TRUTH + tau * (rng.gamma(SHAPE, size=k) - SHAPE) / math.sqrt(SHAPE)


def share_of_new_studies(interval, tau, shape):
    """Probability that a new true effect lies in the interval: exact, so that no new study need be drawn."""
    if tau == 0.0:
        return float(TRUTH in interval)
    low, high = ((end - TRUTH) / tau for end in interval)
    if shape == "normal":
        return float(ndtr(high) - ndtr(low))
    root = math.sqrt(SHAPE)
    below = [float(gammainc(SHAPE, max(0.0, SHAPE + end * root))) for end in (low, high)]
    return below[1] - below[0]


def threshold_of(tau, shape):
    """Give the threshold that a share `ABOVE` of true effects exceeds."""
    if shape == "normal":
        return TRUTH - tau * float(ndtri(ABOVE))
    return TRUTH + tau * (float(gammaincinv(SHAPE, 1.0 - ABOVE)) - SHAPE) / math.sqrt(SHAPE)


def shares(yi, vi, tau, shape, fitted):
    """Return coverage and width of the intervals for the share; those of the delta method need tau2 above 0."""
    threshold = threshold_of(tau, shape)
    found = {
        "PL": likelihood_interval_of_share(yi, vi, threshold, LEVEL, restricted=True),
        "PL (ML)": likelihood_interval_of_share(yi, vi, threshold, LEVEL, restricted=False),
    }
    if fitted["tau2"] > 0.0:
        numbers = fitted | {"tau2_se": tau2_se(yi, vi, fitted["tau2"], "REML"), "level": LEVEL}
        found["delta"] = delta_interval_of_share(threshold, **numbers, logits=False)
        found["delta.logit"] = delta_interval_of_share(threshold, **numbers, logits=True)
    return {f"share {name}": (float(ABOVE in interval), interval.width) for name, interval in found.items()}


def one_replicate(rng, k, tau, shape, number):
    """Draw a meta-analysis, and return pairs of coverage and width by name; names of prediction begin with PI."""
    vi = TYPICAL * rng.uniform(0.2, 1.8, k) * 3.0 ** rng.integers(-1, 2, k)
    yi = true_effects(rng, k, tau, shape) + np.sqrt(vi) * rng.standard_normal(k)
    tau2 = tau2_reml(yi, vi)
    w = 1.0 / (vi + tau2)
    estimate, se = float(w @ yi / w.sum()), 1.0 / math.sqrt(w.sum())
    hk_q = float(w @ (yi - estimate) ** 2) / (k - 1)
    dl_tau2 = tau2_dl(yi, vi)
    dl_se = 1.0 / math.sqrt((1.0 / (vi + dl_tau2)).sum())
    found = {}
    for method in MEANS[:6]:
        ci = infer(estimate=estimate, classic_se=se, hk_q=hk_q, k=k, method=method, level=LEVEL, dl_se=dl_se).ci
        found[method] = (float(TRUTH in ci), ci.width)
    adjusted = kenward_roger(vi, tau2)
    half = adjusted.se * t_quantile(LEVEL, adjusted.df)
    found["KR"] = (float(abs(estimate - TRUTH) <= half), 2.0 * half)
    likely = float(mean_likelihood_p(yi - TRUTH, vi) >= 1.0 - LEVEL)
    found["PL"] = (likely, mean_likelihood_interval(yi, vi, LEVEL).width if number % SLOW["PL"] == 0 else math.nan)
    fixed = float((1.0 / vi) @ yi / (1.0 / vi).sum())
    half = henmi_copas(yi, vi, LEVEL) * fixed_weight_se(vi, dl_tau2)
    found["HC"] = (float(abs(fixed - TRUTH) <= half), 2.0 * half)
    numbers = {"estimate": estimate, "tau2": tau2, "classic_se": se, "hk_se": se * math.sqrt(hk_q), "k": k}
    for method in PREDICTIONS[:3]:
        interval = prediction_interval(**numbers, method=method, level=LEVEL)
        found[f"PI {method}"] = (share_of_new_studies(interval, tau, shape), interval.width)
    if number % SLOW["NNF"] == 0:
        interval = nnf_prediction_interval(yi, vi, LEVEL)
        found["PI NNF"] = (share_of_new_studies(interval, tau, shape), interval.width)
    if tau > 0.0:
        found |= shares(yi, vi, tau, shape, {"estimate": estimate, "se": se, "tau2": tau2})
    return found


def cell(task):
    """Run one cell of the table: coverage, its Monte Carlo standard error, and median width, by method."""
    index, (shape, k, share), replicates = task
    rng = np.random.default_rng([SEED, index])
    tau = math.sqrt(share * TYPICAL)
    results = [one_replicate(rng, k, tau, shape, number) for number in range(replicates)]
    summary = {}
    names = (*MEANS, *(f"PI {method}" for method in PREDICTIONS), *(f"share {method}" for method in SHARE_METHODS))
    for name in names:
        if tau == 0.0 and name.startswith("share "):
            continue
        pairs = np.array([result[name] for result in results if name in result])
        covered = pairs[:, 0]
        widths = pairs[~np.isnan(pairs[:, 1]), 1]
        error = float(covered.std(ddof=1)) / math.sqrt(covered.size)
        summary[name] = (float(covered.mean()), error, float(np.median(widths)))
    return summary


def markdown(cells, names, column, digits, scale=1.0):
    """Lay out one number of every cell as a table in Markdown."""
    lines = [
        "| True effects | tau² / v | k | "
        + " | ".join(name.removeprefix("PI ").removeprefix("share ") for name in names)
        + " |",
        "|---|---|---|" + "---|" * len(names),
    ]
    for (shape, k, share), summary in cells:
        numbers = " | ".join(f"{scale * summary[name][column]:.{digits}f}" for name in names)
        lines.append(f"| {shape} | {share:g} | {k} | {numbers} |")
    return "\n".join(lines)


def main(replicates: int = 2000, processes: int = 2) -> None:
    """Run every cell and print the page."""
    began = time.monotonic()
    # Without heterogeneity all true effects are one, and their shape means nothing.
    cells = [c for c in product(("normal", "skewed"), STUDIES, SHARES) if c[0] == "normal" or c[2] > 0]
    tasks = [(index, one, replicates) for index, one in enumerate(cells)]
    with ProcessPoolExecutor(processes) as pool:
        # Large cells first, so that no process idles at the end.
        order = sorted(range(len(tasks)), key=lambda i: -tasks[i][1][1])
        done = dict(zip(order, pool.map(cell, [tasks[i] for i in order]), strict=True))
    finished = sorted(
        ((one, done[i]) for i, one in enumerate(cells)), key=lambda pair: (pair[0][0], pair[0][2], pair[0][1])
    )
    predicted = [f"PI {method}" for method in PREDICTIONS]
    shared = [f"share {method}" for method in SHARE_METHODS]
    varied = [pair for pair in finished if pair[0][2] > 0]
    errors = {name: max(summary[name][1] for _, summary in finished) for name in (*MEANS, *predicted)}
    page = PAGE.format(
        replicates=f"{replicates:,}",
        nnf=f"{replicates // SLOW['NNF']:,}",
        widths=f"{replicates // SLOW['PL']:,}",
        mean_error=f"{100 * max(errors[name] for name in MEANS):.1f}",
        prediction_error=f"{100 * max(errors[name] for name in predicted if name != 'PI NNF'):.1f}",
        nnf_error=f"{100 * errors['PI NNF']:.1f}",
        seed=SEED,
        typical=TYPICAL,
        coverage=markdown(finished, MEANS, 0, 1, 100.0),
        width=markdown(finished, MEANS, 2, 2),
        prediction=markdown(finished, predicted, 0, 1, 100.0),
        prediction_width=markdown(finished, predicted, 2, 2),
        above=f"{ABOVE:.0%}",
        share_error=f"{100 * max(summary[name][1] for _, summary in varied for name in shared[:2]):.1f}",
        share=markdown(varied, shared, 0, 1, 100.0),
        share_width=markdown(varied, shared, 2, 2),
    )
    sys.stdout.write(page)
    sys.stderr.write(f"{time.monotonic() - began:.0f} s\n")


PAGE = """# How often the intervals are right

A 95% interval should hold the truth in 95 of 100 meta-analyses. Whether it does with few studies, unequal variances
and skewed true effects is simulated here, with the package's own functions.

```
python tests/benchmarks/interval_coverage.py > docs/coverage.md
```

{replicates} replicates in each cell, seed {seed}. The Monte Carlo standard error of a coverage is at most {mean_error}
percentage points for the pooled effect and {prediction_error} for prediction intervals; NNF, which is slow, has {nnf}
replicates and an error of at most {nnf_error}. Widths are medians; those of PL come from {widths} replicates.

Sampling variances are {typical} times a uniform variable on 0.2 to 1.8 times 1/3, 1 or 3, so that the largest may be 81
times the smallest. tau² is given as a share of {typical}. Skewed true effects follow a shifted exponential distribution
(skewness 2) with the same mean and variance. Estimates use REML; PL uses ML, HC uses DerSimonian and Laird.
[Methods](methods.md) explains the codes.

## Pooled effect: coverage, per cent

{coverage}

## Pooled effect: median width

{width}

## New study: coverage, per cent

The share of new true effects that the interval holds, averaged over replicates. Without heterogeneity there is a single
true effect, and the share is 0 or 1.

{prediction}

## New study: median width

{prediction_width}

## Share of true effects above a threshold: coverage, per cent

The threshold is one that {above} of true effects exceed. PL is what `exceedance()` gives beside REML, PL (ML) what it
gives beside ML. The delta method has no interval where tau² is estimated as 0, and its coverage is that of the other
replicates. The Monte Carlo standard error is at most {share_error} points for PL. All intervals take true effects for
normal.

{share}

## Share of true effects above a threshold: median width

{share_width}
"""


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

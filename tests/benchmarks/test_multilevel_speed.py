"""How long models of dependent effects take, beside metafor in R where it is installed.

Not part of the test suite; `make bench` runs it. R is timed inside, without the time it takes to start.
"""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from metapeer.pooling.multilevel_models import multilevel_meta_analysis


def effects(trials, rows):
    """Effects of many trials with as many rows each, from a fixed seed."""
    rng = np.random.default_rng(7)
    vi = rng.uniform(0.01, 0.1, trials * rows)
    shift = np.repeat(rng.normal(0.2, 0.3, trials), rows)
    yi = shift + rng.normal(0.0, np.sqrt(vi + 0.04))
    study = np.repeat(np.arange(trials), rows)
    return pd.DataFrame({"study_id": study, "outcome": np.tile(np.arange(rows), trials), "yi": yi, "vi": vi})


def metafor(tmp_path, data, code):
    """Run R code with the effects in `D`; seconds of the fastest of three runs, and the log-likelihood."""
    if shutil.which("Rscript") is None:
        pytest.skip("needs R with metafor")
    data.to_csv(tmp_path / "effects.csv", index=False)
    script = (
        f'if (!requireNamespace("metafor", quietly = TRUE)) quit(status = 3); suppressMessages(library(metafor)); '
        f'D <- read.csv("{tmp_path / "effects.csv"}"); '
        f"t <- min(replicate(3, system.time(f <<- {code})[['elapsed']])); cat(t, format(c(logLik(f)), digits = 15))"
    )
    done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("needs the R package metafor")
    assert done.returncode == 0, done.stderr
    seconds, value = done.stdout.split()[-2:]
    return float(seconds), float(value)


def fit_of(data, **options):
    return multilevel_meta_analysis(data, **options)


@pytest.mark.benchmark(group="three levels, 100 rows in 20 trials")
def test_three_levels(benchmark, tmp_path):
    data = effects(20, 5)
    fit_of(data)
    found = benchmark(fit_of, data)
    seconds, value = metafor(tmp_path, data, "rma.mv(yi, vi, random = ~ 1 | study_id/outcome, data = D)")
    benchmark.extra_info["beside"] = {"metafor rma.mv": seconds}
    assert found.statistics.log_likelihood >= value - 1e-8


@pytest.mark.benchmark(group="profile intervals, 100 rows in 20 trials")
def test_profile_intervals(benchmark):
    found = fit_of(effects(20, 5))
    frame = benchmark(found.variance_components)
    assert (frame["ci_low"] < frame["estimate"]).all()


@pytest.mark.benchmark(group="three levels, 5,000 rows in 500 trials")
def test_three_levels_of_many(benchmark):
    found = benchmark(fit_of, effects(500, 10))
    assert found.certificate.gradient < 1e-6


@pytest.mark.benchmark(group="three levels, 1,000 rows in 100 trials, metafor sparse")
def test_three_levels_of_a_thousand(benchmark, tmp_path):
    data = effects(100, 10)
    found = benchmark(fit_of, data)
    seconds, value = metafor(tmp_path, data, "rma.mv(yi, vi, random = ~ 1 | study_id/outcome, data = D, sparse = TRUE)")
    benchmark.extra_info["beside"] = {"metafor rma.mv": seconds}
    assert found.statistics.log_likelihood >= value - 1e-8


@pytest.mark.benchmark(group="unstructured, 4 outcomes of 50 trials")
def test_unstructured(benchmark, tmp_path):
    data = effects(50, 4)
    found = benchmark(fit_of, data, random="~ outcome | study_id", struct="UN")
    call = 'rma.mv(yi, vi, random = ~ factor(outcome) | study_id, struct = "UN", data = D)'
    seconds, value = metafor(tmp_path, data, call)
    benchmark.extra_info["beside"] = {"metafor rma.mv": seconds}
    assert found.statistics.log_likelihood >= value - 1e-8


@pytest.mark.parametrize(("trials", "most"), [(4_000, 16.0)])
def test_time_grows_in_proportion_to_the_trials(trials, most):
    import time

    def seconds(size):
        data = effects(size, 5)
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            fit_of(data)
            taken.append(time.perf_counter() - start)
        return min(taken)

    # Eight times the trials; twice that leaves room for a busy machine, and none for a square.
    assert seconds(trials) < most * seconds(trials // 8)

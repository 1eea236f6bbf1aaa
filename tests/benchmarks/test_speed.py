"""How long the things take that a user waits for, each in a group with its peers where they are installed.

Not part of the test suite; `make bench` runs it and prints the ratios. metafor is timed inside processes of R, and its
times travel as extra information of that process's own benchmark.
"""

import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metapeer

# The 13 trials of BCG vaccine against tuberculosis (Colditz et al. 1994, JAMA 271:698-702, as in metadat's dat.bcg):
# cases and non-cases among the vaccinated, cases and non-cases among the controls.
BCG = np.array(
    [
        (4, 119, 11, 128),
        (6, 300, 29, 274),
        (3, 228, 11, 209),
        (62, 13536, 248, 12619),
        (33, 5036, 47, 5761),
        (180, 1361, 372, 1079),
        (8, 2537, 10, 619),
        (505, 87886, 499, 87892),
        (29, 7470, 45, 7232),
        (17, 1699, 65, 1600),
        (186, 50448, 141, 27197),
        (5, 2493, 3, 2338),
        (27, 16886, 29, 17825),
    ],
    dtype=float,
)
ROWS = 10_000
METAFOR = Path(__file__).with_name("metafor_speed.R")


@pytest.fixture(scope="module")
def bcg():
    """Log risk ratios and their variances."""
    a, b, c, d = BCG.T
    return np.log(a / (a + b)) - np.log(c / (c + d)), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


@pytest.fixture(scope="module")
def arms():
    """Ten thousand comparisons of two arms, from a fixed seed."""
    rng = np.random.default_rng(13)
    return {
        "n1": rng.integers(10, 200, ROWS),
        "mean1": rng.normal(20, 5, ROWS),
        "sd1": rng.uniform(5, 15, ROWS),
        "n2": rng.integers(10, 200, ROWS),
        "mean2": rng.normal(20, 5, ROWS),
        "sd2": rng.uniform(5, 15, ROWS),
    }


def timed(benchmark, function):
    """Time a function without its first call, which may load modules, and return what it returns."""
    function()
    return benchmark(function)


def python(code):
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.benchmark(group="import")
def test_import_pandas_alone(benchmark):
    benchmark.pedantic(python, args=("import pandas",), rounds=15, warmup_rounds=2)


@pytest.mark.benchmark(group="import")
def test_import_metapeer_after_pandas(benchmark):
    benchmark.pedantic(python, args=("import pandas, metapeer",), rounds=15, warmup_rounds=2)


@pytest.mark.benchmark(group="REML and Hartung-Knapp, k = 13")
def test_fit_metapeer(benchmark, bcg):
    yi, vi = bcg
    result = timed(benchmark, lambda: metapeer.meta_analysis(yi=yi, vi=vi, measure="RR"))
    assert result.tau2 == pytest.approx(0.313243258, abs=1e-8)  # metafor 5.0-1, threshold = 1e-14


@pytest.mark.benchmark(group="REML and Hartung-Knapp, k = 13")
def test_fit_pimeta(benchmark, bcg):
    pimeta = pytest.importorskip("pimeta")
    yi, vi = bcg
    result = timed(benchmark, lambda: pimeta.rma(yi=yi, vi=vi, method="REML", test="knha"))
    assert result.tau2 == pytest.approx(0.3132, abs=1e-4)


@pytest.mark.benchmark(group="REML and Hartung-Knapp, k = 13")
def test_fit_pymare(benchmark, bcg):
    pymare = pytest.importorskip("pymare")
    yi, vi = bcg

    def fit():
        data = pymare.Dataset(y=yi, v=vi, add_intercept=True)
        return pymare.estimators.VarianceBasedLikelihoodEstimator(method="REML").fit_dataset(data).summary()

    assert timed(benchmark, fit).tau2.item() == pytest.approx(0.3132, abs=1e-4)


@pytest.mark.benchmark(group="REML and Hartung-Knapp, k = 13")
def test_fit_statsmodels_which_has_no_reml_by_paule_and_mandel(benchmark, bcg):
    from statsmodels.stats.meta_analysis import combine_effects

    yi, vi = bcg
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = timed(benchmark, lambda: combine_effects(yi, vi, method_re="iterated", use_t=True))
    assert result.tau2 == pytest.approx(0.3181, abs=1e-4)


def many(k):
    """Effects of many studies, from a fixed seed."""
    rng = np.random.default_rng(1)
    vi = rng.uniform(0.005, 0.2, k)
    return rng.normal(0.2, np.sqrt(vi + 0.05)), vi


@pytest.mark.benchmark(group="REML, k = 1,000")
def test_reml_of_a_thousand_metapeer(benchmark):
    from metapeer.pooling.tau2 import tau2_reml

    yi, vi = many(1_000)
    assert timed(benchmark, lambda: tau2_reml(yi, vi)) == pytest.approx(0.05, rel=0.5)


@pytest.mark.benchmark(group="REML, k = 1,000")
def test_reml_of_a_thousand_pimeta(benchmark):
    pimeta = pytest.importorskip("pimeta")
    yi, vi = many(1_000)
    timed(benchmark, lambda: pimeta.rma(yi, vi, method="REML"))


@pytest.mark.benchmark(group="REML and Hartung-Knapp, k = 1,000")
def test_fit_of_a_thousand_metapeer(benchmark):
    yi, vi = many(1_000)
    assert timed(benchmark, lambda: metapeer.meta_analysis(yi=yi, vi=vi, measure="SMD")).k == 1_000


@pytest.mark.benchmark(group="REML, k = 100,000")
def test_reml_of_a_hundred_thousand_metapeer(benchmark):
    from metapeer.pooling.tau2 import tau2_reml

    yi, vi = many(100_000)
    assert timed(benchmark, lambda: tau2_reml(yi, vi)) == pytest.approx(0.05, rel=0.1)


@pytest.mark.benchmark(group="SMD, 10,000 rows")
def test_effect_size_metapeer(benchmark, arms):
    frame = pd.DataFrame(arms)
    assert timed(benchmark, lambda: metapeer.effect_size(frame, measure="SMD"))["yi"].notna().all()


@pytest.mark.benchmark(group="SMD, 10,000 rows")
def test_effect_size_pimeta(benchmark, arms):
    pimeta = pytest.importorskip("pimeta")
    named = {
        f"{stem}{arm}i": arms[f"{name}{arm}"]
        for stem, name in (("m", "mean"), ("sd", "sd"), ("n", "n"))
        for arm in (1, 2)
    }
    timed(benchmark, lambda: pimeta.escalc("SMD", **named))


@pytest.mark.benchmark(group="SMD, 10,000 rows")
def test_effect_size_statsmodels(benchmark, arms):
    from statsmodels.stats.meta_analysis import effectsize_smd

    columns = [arms[f"{name}{arm}"] for arm in (1, 2) for name in ("mean", "sd", "n")]
    timed(benchmark, lambda: effectsize_smd(*columns))


def time_in_r(path, effects, rounds, fits):
    """What the script for R says of these effects: seconds by task, and tau2."""
    path.write_text("\n".join(" ".join(map(repr, values.tolist())) for values in effects), encoding="ascii")
    command = ["Rscript", "--vanilla", METAFOR, path, str(rounds), str(fits)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"Rscript has no metafor: {done.stderr.strip().splitlines()[-1]}")
    return dict(line.split() for line in done.stdout.splitlines())


# A matrix of 100,000 by 100,000 numbers, of which metafor builds several, has 80 GB; so it is not asked for that many.
@pytest.mark.benchmark(group="metafor, processes of R")
def test_metafor(benchmark, bcg, tmp_path):
    if shutil.which("Rscript") is None:
        pytest.skip("there is no Rscript")
    few, lots = benchmark.pedantic(
        lambda: (time_in_r(tmp_path / "few", bcg, 20, 20), time_in_r(tmp_path / "lots", many(1_000), 2, 1)), rounds=1
    )
    assert float(few["tau2"]) == pytest.approx(0.313243258, abs=1e-5)
    yi, vi = many(1_000)
    assert float(lots["tau2"]) == pytest.approx(metapeer.meta_analysis(yi=yi, vi=vi).tau2, abs=1e-5)
    groups = {"REML and Hartung-Knapp, k = 13": few, "REML and Hartung-Knapp, k = 1,000": lots}
    benchmark.extra_info["others"] = {
        group: {f"metafor {times['version']} {task}": float(times[task]) for task in ("rma", "rma_predict_and_confint")}
        for group, times in groups.items()
    }


@pytest.mark.benchmark(group="metapeer reproduce, all reviews")
def test_reproduce_from_the_command_line(benchmark):
    command = [sys.executable, "-m", "metapeer", "reproduce"]
    benchmark.pedantic(
        lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), rounds=5, warmup_rounds=1
    )

"""How long a hundred thousand meta-analyses of ten studies take, beside a loop in C, PyMARE, and metafor.

The C loop does the search for tau2 and the sums; metapeer's time is that of the whole call, with every interval and p
value. A peer that is given fewer sets, because a loop over all would take minutes, is timed per set.
"""

import ctypes
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest

from metapeer import meta_analysis_batch

SETS, K, FEWER = 100_000, 10, 300
GROUP = "REML and Hartung-Knapp of 100,000 sets, k = 10"
HERE = Path(__file__).parent

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def sets():
    """Effects and variances, from a fixed seed: a third of the sets homogeneous, a third of each degree otherwise."""
    rng = np.random.default_rng(1)
    vi = rng.uniform(0.01, 0.2, (SETS, K))
    return rng.normal(0.2, np.sqrt(vi + rng.choice([0.0, 0.02, 0.1], (SETS, 1)))), vi


@pytest.fixture(scope="module")
def expected(sets):
    yi, vi = sets
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return meta_analysis_batch(yi=yi, vi=vi, engine="numpy").columns


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_batch_metapeer(benchmark, sets, engine, expected):
    if engine == "numba":
        pytest.importorskip("numba")
    yi, vi = sets
    found = benchmark.pedantic(lambda: meta_analysis_batch(yi=yi, vi=vi, engine=engine), rounds=5, warmup_rounds=1)
    np.testing.assert_allclose(found.columns["estimate"], expected["estimate"], rtol=1e-9, atol=1e-12)


@pytest.mark.benchmark(group=GROUP)
def test_batch_loop_in_c_of_the_search_alone(benchmark, sets, expected, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = tmp_path / "batch_loop.so"
    flags = ["-O3", "-march=native", "-ffast-math", "-fno-finite-math-only", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, str(HERE / "batch_loop.c"), "-o", str(library), "-lm"], check=True)
    run = ctypes.CDLL(str(library)).fit_all
    array = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS")
    run.argtypes, run.restype = [ctypes.c_long, ctypes.c_int, array, array, array], None
    yi, vi = sets
    out = np.empty((SETS, 5))
    benchmark.pedantic(lambda: run(SETS, K, yi, vi, out), rounds=5, warmup_rounds=1)
    np.testing.assert_allclose(out[:, 0], expected["tau2"], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(out[:, 1], expected["estimate"], rtol=1e-9, atol=1e-12)


@pytest.mark.benchmark(group=GROUP)
def test_batch_pymare_of_the_estimates_alone(benchmark, sets, expected):
    estimators = pytest.importorskip("pymare").estimators
    yi, vi = (np.ascontiguousarray(values.T) for values in sets)
    ones = np.ones((K, 1))

    def fit():
        return estimators.VarianceBasedLikelihoodEstimator(method="REML").fit(yi, vi, ones)

    found = benchmark.pedantic(fit, rounds=3, warmup_rounds=1)
    assert np.median(np.abs(found.params_["tau2"] - expected["tau2"])) < 1e-4


@pytest.mark.benchmark(group=GROUP)
def test_batch_loop_of_metafor(benchmark, sets, expected, tmp_path):
    script = shutil.which("Rscript")
    if script is None:
        pytest.skip("there is no Rscript")
    yi, vi = sets
    lines = [" ".join(f"{x:.17g}" for x in row) for pair in zip(yi[:FEWER], vi[:FEWER], strict=True) for row in pair]
    (tmp_path / "sets.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [script, str(HERE / "metafor_loop.R"), str(tmp_path / "sets.txt")]
    ran = benchmark.pedantic(lambda: subprocess.run(command, capture_output=True, text=True, check=False), rounds=1)
    if ran.returncode:
        pytest.skip("R has no metafor")
    words = dict(line.split(" ", 1) for line in ran.stdout.splitlines())
    np.testing.assert_allclose(
        np.array(words["estimates"].split(), dtype=float), expected["estimate"][:FEWER], atol=1e-3
    )
    name = f"metafor {words['version'].strip()}, {FEWER} sets, times {SETS / FEWER:.0f}"
    benchmark.extra_info["others"] = {GROUP: {name: float(words["seconds"]) * SETS}}

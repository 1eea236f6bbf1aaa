"""Cluster-robust inference against clubSandwich, metafor's robust() and robumeta."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metapeer.pooling.robust import WorkingModel
from metapeer.pooling.robust_models import cluster_robust
from metapeer.pooling.robust_rve import robust_variance_estimation
from metapeer.pooling.robust_sandwich import alone_share

# Few clusters is what these sets are about; what is said of that is tested in test_robust.py.
pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "robust.json").read_text(encoding="utf-8"))

TOLERANCE = 1e-8
"""Closed formulas, given R's variance components with 15 digits. Most agree to 1e-13; a calendar year beside an
intercept costs R, which inverts X'WX, as many digits as the condition number of the design has (1e-11 there)."""


class Fit:
    """A fit that R made."""

    def __init__(self, model):
        self.model = model

    def working_model(self):
        return self.model


def numbers(values):
    return np.atleast_1d(np.array([np.nan if v is None else v for v in np.atleast_1d(values)], dtype=float))


@cache
def read_fit(name):
    found = GOLDEN["sets"][name]
    clusters = [str(c) for c in found["cluster"]]
    blocks = []
    for i, cluster in enumerate(dict.fromkeys(clusters)):
        rows = np.array([j for j, own in enumerate(clusters) if own == cluster])
        if "Phi" in found:
            upper = np.zeros((rows.size, rows.size))
            upper[np.triu_indices(rows.size)] = found["Phi"][i]
            Phi = upper + np.triu(upper, 1).T
        else:
            vi = numbers(found["vi"])[rows]
            Phi = found["rho"] * np.sqrt(np.outer(vi, vi))
            np.fill_diagonal(Phi, vi + found["within"])
            Phi = Phi + found["between"]
        blocks.append((rows, Phi))
    weights = tuple(np.diag(numbers(found["weights"])[rows]) for rows, _ in blocks) if "weights" in found else None
    model = WorkingModel(
        yi=numbers(found["yi"]),
        X=np.array(found["X"], dtype=float),
        names=tuple(np.atleast_1d(found["names"]).tolist()),
        blocks=tuple(blocks),
        trials=tuple(clusters),
        weights=weights,
    )
    return Fit(model)


def same(ours, theirs, *, where=None):
    ours, theirs = np.atleast_1d(ours), numbers(theirs)
    where = np.ones(ours.shape, dtype=bool) if where is None else where
    np.testing.assert_allclose(ours[where], theirs[where], rtol=TOLERANCE, atol=1e-300)


@pytest.mark.golden("robust", "coefficients")
def test_coefficients_and_their_tests_are_clubsandwichs(row):
    fit = read_fit(row["set"])
    found = cluster_robust(fit, vcov=row["vcov"], test=row["test"])
    told = alone_share(found.fit, np.eye(len(found.names))) < 1 - 1e-9  # where not, R prints rounding noise
    same(found.estimate, row["beta"])
    same(found.se, row["se"], where=told)
    same(found.statistic, row["statistic"], where=told)
    same(found.p_value, row["p"], where=told)
    if row["test"] == "z":
        assert np.isinf(found.df[told]).all()
    else:
        same(found.df, row["df"], where=told)


@pytest.mark.golden("robust", "wald")
def test_joint_tests_are_clubsandwichs(row):
    fit = read_fit(row["set"])
    found = cluster_robust(fit, vcov=row["vcov"])
    L = np.eye(len(found.names))[np.atleast_1d(row["tested"]) - 1]
    test = found.wald_test(L, test=row["test"])
    same(test.statistic, row["statistic"] * (test.df1 if row["test"] == "chi-sq" else 1.0))
    assert test.df1 == row["df1"]
    same(test.p_value, row["p"])
    if row["test"] != "chi-sq":
        same(test.df2, row["df2"])


@pytest.mark.golden("robust", "robust")
def test_metafors_robust_is_cr1p_or_cr0_with_naive_tests(row):
    found = cluster_robust(read_fit(row["set"]), vcov="CR1p" if row["adjust"] else "CR0", test="naive-tp")
    told = ~np.isnan(found.se)
    for ours, theirs in (
        (found.estimate, "beta"),
        (found.se, "se"),
        (found.statistic, "statistic"),
        (found.p_value, "p"),
        (found.ci_low, "ci_low"),
        (found.ci_high, "ci_high"),
    ):
        same(ours, row[theirs], where=told)
    same(found.df[told][:1], row["df"])


@cache
def read_table(name):
    return pd.DataFrame(GOLDEN["tables"][name])


@pytest.mark.golden("robust", "robumeta")
def test_robust_variance_estimation_is_robumetas(row):
    options = {"rho": float(row["rho"])} if row["model"] == "CORR" else {}
    formula = row["formula"].replace("log(", "np.log(")
    table = read_table(row["set"])
    found = robust_variance_estimation(table, model=row["model"], formula=formula, small=row["small"], **options)
    for ours, theirs in (
        (found.estimate, "beta"),
        (found.se, "se"),
        (found.statistic, "statistic"),
        (found.df, "df"),
        (found.p_value, "p"),
        (found.ci_low, "ci_low"),
        (found.ci_high, "ci_high"),
    ):
        same(ours, np.broadcast_to(numbers(row[theirs]), ours.shape))
    same(found.tau2, row["tau2"])
    if row["model"] == "CORR":
        same(found.I2, row["I2"])
        assert np.isnan(found.omega2)
    else:
        same(found.omega2, row["omega2"])

"""`meta_regression` and `location_scale` against metafor and meta."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metapeer.pooling.location_scale_models import location_scale
from metapeer.pooling.regression import generalised_vif
from metapeer.pooling.regression_models import meta_regression

# Several of these sets have repeated rows or few studies; what is said of that is tested in test_regression.py.
pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")

SETS = json.loads((Path(__file__).parents[1] / "golden" / "regression.json").read_text(encoding="utf-8"))["sets"]

KIND = {"ML": "likelihood", "REML": "likelihood", "EB": "likelihood", "PM": "root", "PMM": "root"}
"""How R arrives at tau2, and so how well it is converged; the others are closed formulas."""

CI_METHOD = {"z": "z", "t": "t", "knha": "HK", "adhoc": "HK_se"}


def table(name, rows=None):
    found = SETS[name]
    return pd.DataFrame({column: values for column, values in found.items() if column != "prep"}).iloc[:rows]


def fit(row, **options):
    if row.get("method") == "EE":
        return meta_regression(table(row["data"]), formula=row["formula"], model="common", **options)
    return meta_regression(table(row["data"]), formula=row["formula"], tau2_method=row.get("method", "REML"), **options)


def kind_of(row):
    # Publication years beside an intercept make X'WX, which R inverts, nearly singular: its digits end at about 1e-10
    # there. Ours are tested against exact fractions in test_regression.py.
    return "likelihood" if "year" in row["formula"] else KIND.get(row.get("method", "REML"), "formula")


@pytest.fixture
def all_agree(agrees):
    def check(kind, ours, theirs, *, scale=1.0):
        ours = np.asarray(ours, dtype=float)
        sizes = np.broadcast_to(scale, ours.shape)
        assert len(ours) == len(theirs)
        for mine, reference, size in zip(ours.tolist(), theirs, sizes.tolist(), strict=True):
            agrees(kind, mine, reference, scale=size)

    return check


@pytest.mark.golden("regression", "models")
def test_coefficients_and_heterogeneity_are_metafors(row, agrees, all_agree):
    kind = kind_of(row)
    found = fit(row, ci_method="z")
    all_agree(kind, found.beta, row["beta"], scale=found.se)
    # On the boundary R gives about 1e-12 instead of 0; typical variances are about 0.02.
    agrees(kind, found.tau2, row["tau2"], scale=0.1)
    agrees("likelihood" if "year" in row["formula"] else "formula", found.QE, row["QE"], scale=found.QE)
    agrees("p", found.QE_p, row["QE_p"])
    for ours, suffix in ((found.ML, "ML"), (found.REML, "REML")):
        agrees(kind, ours.log_likelihood, row[f"ll_{suffix}"])
        for name in ("AIC", "BIC", "AICc"):
            agrees(kind, getattr(ours, name), row[f"{name}_{suffix}"])
    if row["method"] == "EE":
        agrees(kind, found.I2_Q, row["I2"], scale=100)
    else:
        agrees(kind, found.tau2_se, row["tau2_se"], scale=0.1)
        agrees(kind, found.I2, row["I2"], scale=100)
        agrees(kind, found.H2, row["H2"])
    if row["R2"] is not None:
        agrees(kind, found.R2, row["R2"], scale=100)


@pytest.mark.golden("regression", "tests")
def test_tests_intervals_and_fitted_values_are_metafors(row, agrees, all_agree):
    kind = kind_of(row)
    found = fit(row, ci_method=CI_METHOD[row["test"]])
    all_agree(kind, found.se, row["se"], scale=found.se)
    all_agree(kind, found.statistic, row["statistic"], scale=(1 + np.abs(found.statistic)))
    assert found.df == row["df"]
    all_agree("p", found.p_value, row["p"])
    all_agree(kind, found.ci_low, row["ci_low"], scale=found.se)
    all_agree(kind, found.ci_high, row["ci_high"], scale=found.se)
    agrees(kind, found.omnibus.statistic, row["QM"], scale=(1 + found.omnibus.statistic))
    agrees("p", found.omnibus.p_value, row["QM_p"])
    if not row["rows"]:  # R gave no fitted values where a moderator is missing
        return
    fitted = found.predict().iloc[row["rows"]]
    for ours, theirs in (("estimate", "pred"), ("ci_low", "pred_low"), ("ci_high", "pred_high")):
        all_agree(kind, fitted[ours], row[theirs])
    if row["method"] != "EE":
        all_agree(kind, fitted["pi_low"], row["pi_low"])
        all_agree(kind, fitted["pi_high"], row["pi_high"])


@pytest.mark.golden("regression", "predictions")
def test_predictions_for_new_studies_are_metafors(row, all_agree):
    found = fit(row, ci_method=CI_METHOD[row["test"]]).predict(row["new"])
    for ours, theirs in (
        ("estimate", "pred"),
        *((name, name) for name in ("se", "ci_low", "ci_high", "pi_low", "pi_high")),
    ):
        all_agree("likelihood", found[ours], row[theirs])


@pytest.mark.golden("regression", "contrasts")
def test_contrasts_are_metafors(row, all_agree):
    found = fit(row, ci_method=CI_METHOD[row["test"]])
    weights = {str(i): dict(zip(found.names, one, strict=True)) for i, one in enumerate(row["weights"])}
    contrasts = found.contrast(weights, adjust="none")
    for name, column in (("estimate", "estimate"), ("se", "se"), ("statistic", "statistic")):
        all_agree("likelihood", contrasts[name], row[column])
    all_agree("p", contrasts["p_value"], row["p"])
    # The same model with a reference level: the contrasts that metafor tested together are its omnibus test.
    coded = meta_regression(table(row["data"]), moderators="alloc", ci_method=found.ci_method)
    all_agree("likelihood", [coded.omnibus.statistic], [row["QM"]])
    all_agree("p", [coded.omnibus.p_value], [row["QM_p"]])
    pairs = coded.pairwise("alloc", adjust="none").set_index("contrast")
    all_agree(
        "likelihood",
        pairs.loc[["random - alternate", "systematic - random"], "estimate"],
        [-e for e in row["estimate"]],
    )


@pytest.mark.golden("regression", "terms")
def test_tests_of_one_term_are_metafors(row, agrees):
    found = fit(row, ci_method="z").wald_test(row["term"])
    agrees("likelihood", found.statistic, row["QM"])
    assert found.df == row["df"]
    agrees("p", found.p_value, row["p"])


@pytest.mark.golden("regression", "lrt")
def test_likelihood_ratio_tests_are_metafors(row, agrees):
    full = fit(row)
    found = full.compare(meta_regression(full.data, moderators=[]))
    # Differences of log-likelihoods near 10 lose a digit.
    agrees("likelihood", found.LRT, row["LRT"], scale=10)
    assert found.df == row["df"]
    agrees("p", found.p_value, row["p"])
    agrees("likelihood", found.full_tau2, row["tau2"], scale=0.1)
    agrees("likelihood", found.reduced_tau2, row["tau2_without"], scale=0.1)
    agrees("likelihood", found.R2, row["R2"], scale=100)


@pytest.mark.golden("regression", "vif")
def test_variance_inflation_is_metafors(row, all_agree):
    found = fit(row)
    ours = dict(zip(found.vif()["term"], found.vif()["gvif"], strict=True))
    theirs = dict(zip((found.names[j] for j in found.design.tested), row["vif"], strict=True))
    for term in found.design.terms:
        # metafor gives one for each coefficient, ours one for each term; they meet where a term has one coefficient.
        if len(term.columns) == 1:
            all_agree("likelihood", [ours[term.name]], [theirs[found.names[term.columns[0]]]])
        else:
            columns = list(term.columns)
            for j in columns:
                rest = [i for i in found.design.tested if i != j]
                single = generalised_vif(found.covariance, [j], rest)
                all_agree("likelihood", [single], [theirs[found.names[j]]])


@pytest.mark.golden("regression", "permutation")
def test_exact_permutation_tests_are_metafors(row):
    data = table(row["data"], row["k"])
    options = {"tau2_method": row["method"], "ci_method": CI_METHOD[row["test"]]}
    found = meta_regression(data, formula=row["formula"], **options).permutation_test(permutations=3000)
    assert found.exact
    assert found.number == row["number"]
    assert found.p_values.tolist() == pytest.approx(row["p"], abs=1e-12)
    assert found.omnibus_p == pytest.approx(row["QM_p"], abs=1e-12)


@pytest.mark.golden("regression", "tau2_ci")
def test_intervals_of_residual_tau2_are_metafors(row, agrees):
    found = meta_regression(table(row["data"]), formula=row["formula"], tau2_ci_method=row["method"])
    kind = "root" if row["method"] == "QP" and "year" not in row["formula"] else "likelihood"
    agrees(kind, found.tau2_ci.low, row["low"])
    agrees(kind, found.tau2_ci.high, row["high"])
    agrees(kind, found.I2_ci.low, row["I2_low"], scale=100)
    agrees(kind, found.I2_ci.high, row["I2_high"], scale=100)


@pytest.mark.golden("regression", "location_scale")
def test_location_scale_models_are_metafors(row):
    # metafor stops at its default tolerance here: its log-likelihood is right to 1e-12, and its estimates to half that.
    found = location_scale(
        table(row["data"]),
        formula=row["formula"],
        scale_formula=row["scale"],
        tau2_method=row["method"],
        ci_method="z",
    )
    parts = dict(list(found.to_frame().groupby("part")))
    assert parts["scale"]["estimate"].tolist() == pytest.approx(row["alpha"], rel=1e-5, abs=1e-8)
    assert parts["scale"]["se"].tolist() == pytest.approx(row["alpha_se"], rel=1e-5)
    assert parts["location"]["estimate"].tolist() == pytest.approx(row["beta"], rel=1e-6)
    assert parts["location"]["se"].tolist() == pytest.approx(row["se"], rel=1e-6)
    assert found.scale_omnibus.p_value == pytest.approx(row["QS_p"], rel=1e-5)
    assert found.statistics.log_likelihood == pytest.approx(row["ll"], rel=1e-10)
    assert found.statistics.log_likelihood >= row["ll"] - 1e-12


@pytest.mark.golden("regression", "egger")
def test_regression_on_the_standard_error_is_metas(row, agrees, all_agree):
    data = table(row["data"]).assign(se=lambda rows: np.sqrt(rows["vi"]))
    found = meta_regression(data, moderators="se", tau2_method="DL", ci_method="z")
    all_agree("formula", found.beta, row["beta"], scale=found.se)
    all_agree("formula", found.se, row["se"])
    agrees("formula", found.tau2, row["tau2"])
    agrees("formula", found.omnibus.statistic, row["QM"])
    agrees("p", found.omnibus.p_value, row["QM_p"])
    if row["R2"] is not None and not math.isnan(found.R2):
        agrees("formula", found.R2, row["R2"], scale=100)

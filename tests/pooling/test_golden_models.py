"""`meta_analysis` as a whole against metafor and meta."""

import math

import pytest

from metapeer.pooling.models import meta_analysis

# Several of these sets are made to be doubtful; what is warned of is tested in test_edge_cases.py.
pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")

KIND = {"ML": "likelihood", "REML": "likelihood", "EB": "likelihood", "PM": "root"}
"""How R arrives at tau2, and so how well it is converged; the others are closed formulas."""

CI_METHOD = {"z": "z", "t": "t", "knha": "HK", "adhoc": "HK_se"}
"""metafor's names of the tests. Its "adhoc" is Knapp-Hartung with the scale factor raised to 1 where it is below."""

PREDICTION_METHOD = {"z": "S", "t": "V", "knha": "HK", "adhoc": "HK"}
"""metafor's predict() takes the distribution of the test; meta calls those intervals S, V and HK."""

META_NARROWS = ("k3", "ML", "HK_IQWiG6")
"""The Hartung-Knapp interval is narrower than the DerSimonian-Laird one although q is 2.6, so meta replaces its
standard error by the classic one, which is smaller still. The correction max(1, q) leaves the interval as it is."""


def fit(row, golden_set, **options):
    yi, vi, _ = golden_set(row["data"])
    if row["method"] == "EE":
        return meta_analysis(yi=yi, vi=vi, model="common", **options)
    return meta_analysis(yi=yi, vi=vi, tau2_method=row["method"], **options)


@pytest.mark.golden("pooling_metafor", "fits")
def test_estimate_and_heterogeneity_are_metafors(row, golden_set, agrees):
    kind = KIND.get(row["method"], "formula")
    found = fit(row, golden_set)
    agrees(kind, found.estimate, row["estimate"], scale=found.se)
    if row["method"] == "EE":
        # Without tau2 metafor computes I2 and H2 from Q, and lets H2 fall below 1.
        agrees(kind, found.I2_Q, row["I2"])
        agrees(kind, found.H2_Q, row["H2"])
    else:
        agrees(kind, found.I2, row["I2"], scale=100)
        agrees(kind, found.H2, row["H2"])


@pytest.mark.golden("pooling_metafor", "tests")
def test_interval_test_and_prediction_interval_are_metafors(row, golden_set, agrees):
    kind = KIND.get(row["method"], "formula")
    options = {} if row["method"] == "EE" else {"prediction_method": PREDICTION_METHOD[row["test"]]}
    found = fit(row, golden_set, ci_method=CI_METHOD[row["test"]], **options)
    agrees(kind, found.se, row["se"])
    agrees(kind, found.statistic, row["statistic"], scale=1 + abs(row["statistic"]))
    assert found.df == row["df"]
    agrees("p", found.p_value, row["p"])
    agrees(kind, found.ci.low, row["ci_low"], scale=found.ci.width)
    agrees(kind, found.ci.high, row["ci_high"], scale=found.ci.width)
    if row["pi_low"] is None:
        assert found.prediction_interval is None
    else:
        width = found.prediction_interval.width
        agrees(kind, found.prediction_interval.low, row["pi_low"], scale=width)
        agrees(kind, found.prediction_interval.high, row["pi_high"], scale=width)


@pytest.mark.golden("pooling_metafor", "tests", test=("t", "knha", "adhoc"), method=("REML", "DL", "PM"))
def test_prediction_interval_follows_the_interval_when_none_is_asked_for(row, golden_set, agrees):
    found = fit(row, golden_set, ci_method=CI_METHOD[row["test"]])
    kind, width = KIND.get(row["method"], "formula"), found.prediction_interval.width
    agrees(kind, found.prediction_interval.low, row["pi_low"], scale=width)
    agrees(kind, found.prediction_interval.high, row["pi_high"], scale=width)


@pytest.mark.golden("pooling_metafor", "level90")
def test_level_reaches_every_interval(row, golden_set, agrees):
    found = fit(row | {"method": "REML"}, golden_set, ci_method="z", prediction_method="S", level=0.9)
    agrees("likelihood", found.ci.low, row["ci_low"], scale=found.ci.width)
    agrees("likelihood", found.ci.high, row["ci_high"], scale=found.ci.width)
    agrees("likelihood", found.prediction_interval.low, row["pi_low"], scale=found.prediction_interval.width)
    agrees("likelihood", found.prediction_interval.high, row["pi_high"], scale=found.prediction_interval.width)
    intervals = (found.ci, found.prediction_interval, found.tau2_ci, found.I2_ci, found.I2_Q_ci)
    assert {interval.level for interval in intervals} == {0.9}


@pytest.mark.golden("pooling_metafor", "q_profile")
def test_intervals_of_tau2_and_i2_are_metafors_q_profiles(row, golden_set, agrees):
    found = fit(row | {"method": "REML"}, golden_set, level=row["level"] / 100)
    if row["tau2_high"] == 0:
        # metafor prints 0 to 0 both for the set {0} and for the empty set; ours tells the two apart.
        assert found.tau2_ci.empty
        assert found.I2_ci.empty
        return
    for end in ("low", "high"):
        agrees("root", getattr(found.tau2_ci, end), row[f"tau2_{end}"], scale=sorted(found.vi)[found.k // 2])
        agrees("root", getattr(found.I2_ci, end), row[f"I2_{end}"], scale=100)


@pytest.mark.golden("pooling_metafor", "weights")
def test_weights_are_metafors(row, golden_set, agrees):
    found = fit(row, golden_set)
    for ours, theirs in zip(found.weights, row["percent"], strict=True):
        agrees(KIND.get(row["method"], "formula"), ours, theirs)


@pytest.mark.golden("pooling_meta", "heterogeneity")
def test_q_and_the_test_based_interval_of_i2_are_metas(row, golden_set, agrees):
    found = fit(row | {"method": "DL"}, golden_set)
    agrees("formula", found.Q, row["Q"])
    assert found.Q_df == row["df"]
    agrees("p", found.Q_p, row["p"])
    agrees("formula", found.I2_Q, row["I2"], scale=100)
    agrees("formula", found.I2_Q_ci.low, row["I2_low"], scale=100)
    agrees("formula", found.I2_Q_ci.high, row["I2_high"], scale=100)


@pytest.mark.golden("pooling_meta", "ci")
def test_interval_and_its_corrections_are_metas(row, golden_set, agrees):
    kind = KIND.get(row["method"], "formula")
    found = fit(row, golden_set, ci_method=row["ci_method"])
    if (row["data"], row["method"], row["ci_method"]) == META_NARROWS:
        assert found.se > row["se"]
        return
    agrees(kind, found.estimate, row["estimate"], scale=found.se)
    agrees(kind, found.se, row["se"])
    assert found.df == row["df"]
    agrees(kind, found.statistic, row["statistic"], scale=1 + abs(row["statistic"]))
    agrees("p", found.p_value, row["p"])
    agrees(kind, found.ci.low, row["ci_low"], scale=found.ci.width)
    agrees(kind, found.ci.high, row["ci_high"], scale=found.ci.width)


@pytest.mark.golden("pooling_meta", "ci", ci_method=("HK_IQWiG6", "HK_se", "HK_ci"))
def test_no_correction_ever_narrows_the_hartung_knapp_interval(row, golden_set):
    plain = fit(row, golden_set, ci_method="HK")
    assert fit(row, golden_set, ci_method=row["ci_method"]).ci.width >= plain.ci.width


@pytest.mark.golden("pooling_meta", "pi")
def test_prediction_intervals_are_metas(row, golden_set, agrees):
    kind = KIND.get(row["method"], "formula")
    options = {"ci_method": row["ci_method"], "prediction_method": row["prediction_method"]}
    found = fit(row, golden_set, **options).prediction_interval
    agrees(kind, found.low, row["pi_low"], scale=found.width)
    agrees(kind, found.high, row["pi_high"], scale=found.width)


def test_the_prediction_interval_uses_the_corrected_standard_error_with_k_minus_2_df_too(golden_set, agrees):
    # meta corrects HK but not HK-PR; ours uses one standard error for both, the one the confidence interval uses.
    yi, vi, _ = golden_set("homog")
    corrected = meta_analysis(yi=yi, vi=vi, ci_method="HK_se", prediction_method="HK-PR")
    classic = meta_analysis(yi=yi, vi=vi, ci_method="z", prediction_method="HTS")
    assert corrected.hk_q < 1
    agrees("formula", corrected.prediction_interval.low, classic.prediction_interval.low)


def test_metafors_default_stopping_rule_is_not_ours(golden_set):
    # BCG trials, log risk ratio: REML .313243326 with metafor's default threshold, .313243258 when converged.
    yi, vi, _ = golden_set("bcg_rr")
    assert math.isclose(meta_analysis(yi=yi, vi=vi).tau2, 0.313243258, abs_tol=5e-10)
    assert math.isclose(meta_analysis(yi=yi, vi=vi, tau2_method="PM").tau2, 0.318068452, abs_tol=1e-9)

"""Methods for publication bias against metasens, puniform, metafor, PublicationBias, robumeta and base R."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metapeer.pooling.intervals import chi2_tail
from metapeer.pooling.models import meta_analysis
from metapeer.sensitivity.copas_contours import contours, crossings, round_levels
from metapeer.sensitivity.copas_likelihood import copas_log_likelihood, maximise_copas
from metapeer.sensitivity.copas_models import copas_model
from metapeer.sensitivity.excess_significance_results import excess_significance_test
from metapeer.sensitivity.p_curve_results import p_curve
from metapeer.sensitivity.p_uniform_likelihood import star_log_likelihood
from metapeer.sensitivity.p_uniform_results import p_uniform, p_uniform_star
from metapeer.sensitivity.waap_results import waap_wls
from metapeer.sensitivity.worst_case_results import publication_bias_sensitivity

pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")

FOLDER = Path(__file__).parents[1] / "golden"
OURS = json.loads((FOLDER / "publication_bias.json").read_text(encoding="utf-8"))["sets"]
PACKAGES = json.loads((FOLDER / "publication_bias_packages.json").read_text(encoding="utf-8"))
SETS = PACKAGES["sets"]

EXACT = 1e-8
"""Closed formulas, and equations that R solves to 1e-12."""
BISECTION = 1e-4
"""puniform stops its bisections at about 1e-4, and optimize() at about 1e-4 of the interval."""
QUADRATURE = 1e-4
"""metafor integrates powers over theta ± 5 tau only, with a relative tolerance of 1e-4; ours have no integral."""
ROOT = 1e-4
"""uniroot() with its default tolerance, 1.2e-4."""
REML = 3e-5
"""PublicationBias takes tau² from rma() at its default threshold."""


def table(found):
    data = pd.DataFrame({"yi": found["yi"], "vi": found["vi"]})
    if "study" in found:
        data["study_id"] = [str(one) for one in found["study"]]
    return data


# metasens' optimiser begins at the ML estimate of tau and, where that is 0 or it comes there, stays: the likelihood has
# no slope in tau at 0. These data sets are free of that; its optimum is then good to about 1e-5.
SMOOTH = ["bcg_rr", "cohen_z", "bangert"]


def line_of(found):
    low0, high0 = found["gamma0_range"]
    low1, high1 = found["gamma1_range"]
    x, y = np.array(found["x_slope"]), np.array(found["y_slope"])
    points = np.column_stack([low0 + x * (high0 - low0), low1 + y * (high1 - low1)])
    return np.vstack([[10.0, 0.0], points])


def effects_of(name):
    return np.array(SETS[name]["yi"]), np.sqrt(SETS[name]["vi"])


def bounds_of(found):
    return (0.0, 0.9999) if np.mean(found["rho_slope"]) > 0 else (-0.9999, 0.0)


@pytest.mark.parametrize("name", sorted(PACKAGES["copas"]))
def test_copas_likelihood_is_nowhere_lower_than_that_of_metasens(name):
    found = PACKAGES["copas"][name]
    yi, sei = effects_of(name)
    gamma = line_of(found)
    ours = maximise_copas(yi, sei, gamma, rho=bounds_of(found))
    theirs = np.column_stack([found["TE_slope"], found["rho_slope"], np.square(found["tau_slope"])])
    assert (ours.value >= copas_log_likelihood(theirs, gamma, yi, sei)[0] - 1e-9).all()
    assert ours.slope.max() < 1e-6


@pytest.mark.parametrize("name", SMOOTH)
def test_copas_estimates_errors_and_tests_are_those_of_metasens_at_the_same_selection(name):
    found = PACKAGES["copas"][name]
    yi, sei = effects_of(name)
    gamma = line_of(found)
    ours = maximise_copas(yi, sei, gamma, rho=bounds_of(found))
    wider = maximise_copas(yi, sei, gamma, rho=bounds_of(found), near=ours.x)
    assert ours.x[:, 0] == pytest.approx(found["TE_slope"], abs=2e-5)
    assert np.sqrt(ours.x[:, 2]) == pytest.approx(found["tau_slope"], abs=2e-5)
    inner = ~ours.at_bound  # metasens inverts the Hessian of parameters on their bounds, too
    assert ours.se[inner] == pytest.approx(np.array(found["seTE_slope"])[inner], abs=1e-4)
    p = [chi2_tail(max(0.0, 2.0 * gap), 1) for gap in wider.value - ours.value]
    assert p == pytest.approx(found["pval_rsb"], abs=1e-4)


@pytest.mark.sampled(keep=2)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "bangert" else name for name in SMOOTH]
)
def test_copas_line_and_adjusted_effect_are_those_of_metasens(name):
    found = PACKAGES["copas"][name]
    side = "positive" if np.mean(found["rho_slope"]) > 0 else "negative"
    result = copas_model(yi=SETS[name]["yi"], vi=SETS[name]["vi"], favoured=side)
    assert result.gamma0_range == pytest.approx(found["gamma0_range"], rel=EXACT)
    assert result.gamma1_range == pytest.approx(found["gamma1_range"], rel=EXACT)
    assert result.gamma0[1:] == pytest.approx(line_of(found)[1:, 0], abs=1e-3)
    assert result.gamma1[1:] == pytest.approx(line_of(found)[1:, 1], abs=1e-4)
    assert result.publication_probability == pytest.approx(found["publprob"], abs=3e-4)
    assert result.unpublished == pytest.approx(found["N_unpubl"], rel=2e-3, abs=1e-4)
    assert result.estimate == pytest.approx(found["TE_slope"], abs=2e-4)
    assert result.adjusted == pytest.approx(found["TE_adjust"], abs=1e-4)
    assert list(result.ci) == pytest.approx([found["lower_adjust"], found["upper_adjust"]], abs=3e-4)
    if name != "cohen_z":  # by Egger's regression there, too
        assert copas_model(yi=SETS[name]["yi"], vi=SETS[name]["vi"]).favoured == side


def test_contours_of_a_plane_are_crossed_at_right_angles():
    unit = np.linspace(0.0, 1.0, 12)
    plane = 2.0 * unit[:, None] + 1.0 * unit[None, :]
    found = crossings(contours(unit, unit, plane, round_levels(0.0, 3.0, 10)))
    assert found.slope == pytest.approx(0.5)
    assert 2.0 * found.x + found.y == pytest.approx(np.round(2.0 * found.x + found.y, 1))


@pytest.mark.parametrize("case", PACKAGES["p_uniform"], ids=lambda case: f"{case['set']}-{case['method']}")
def test_p_uniform_is_that_of_puniform(case):
    found = p_uniform(
        yi=SETS[case["set"]]["yi"], vi=SETS[case["set"]]["vi"], favoured="positive", method=case["method"]
    )
    assert found.significant == case["ksig"]
    assert found.pooled == pytest.approx(case["est_fe"], rel=EXACT)
    assert [found.estimate, *found.ci] == pytest.approx([case["est"], case["ci_lb"], case["ci_ub"]], abs=BISECTION)
    ours = [found.null_statistic, found.null_p, found.bias_statistic, found.bias_p]
    assert ours == pytest.approx([case[key] for key in ("L_0", "pval_0", "L_pb", "pval_pb")], rel=EXACT, abs=5e-9)


@pytest.mark.parametrize("case", PACKAGES["p_uniform_star"], ids=lambda case: case["set"])
def test_p_uniform_star_is_that_of_puniform_and_no_less_likely(case):
    data = SETS[case["set"]]
    found = p_uniform_star(yi=data["yi"], vi=data["vi"], favoured="positive")
    yi, vi = np.array(data["yi"]), np.array(data["vi"])
    critical = 1.959963984540054 * np.sqrt(vi)
    theirs = star_log_likelihood(np.array([case["est"]]), np.array([case["tau2"]]), yi, vi, critical)[0][0]
    assert found.log_likelihood >= theirs - 1e-12
    ours = [found.estimate, *found.ci, found.tau2, *found.tau2_ci]
    keys = ("est", "ci_lb", "ci_ub", "tau2", "tau2_lb", "tau2_ub")
    assert ours == pytest.approx([case[key] for key in keys], abs=BISECTION)
    assert [found.null_statistic, found.null_p] == pytest.approx([case["L_0"], case["pval_0"]], abs=3e-7)
    assert found.het_statistic == pytest.approx(case["L_het"], abs=1e-7)
    if found.het_statistic > 0:
        assert found.het_p == pytest.approx(case["pval_het"], rel=1e-6)


@pytest.mark.parametrize("case", PACKAGES["excess"], ids=lambda case: f"{case['set']}-{case['kind']}")
def test_excess_of_significance_is_that_of_metafor(case):
    data = {key: SETS[case["set"]][key] for key in ("yi", "vi")}
    test = {"exact": "exact", "binom": "binomial", "chi2": "chi2"}[case["test"]]
    if case["kind"] == "REML":
        found, close = excess_significance_test(meta_analysis(**data), test=test), QUADRATURE
    else:
        side = {"greater": "positive", "less": "negative", "two.sided": "both"}[case["kind"]]
        found, close = excess_significance_test(**data, favoured=side, test=test), EXACT
    assert found.observed == case["O"]
    assert found.theta == pytest.approx(case["theta"], rel=EXACT)
    assert [found.expected, found.p_value] == pytest.approx([case["E"], case["pval"]], rel=close, abs=1e-12)
    if case["X2"] is not None:
        assert found.statistic == pytest.approx(case["X2"], rel=max(close, EXACT) * 20)
    if case["limit"] is None:
        assert math.isnan(found.limit)
    else:
        assert found.limit == pytest.approx(case["limit"], abs=ROOT)


@pytest.mark.parametrize("name", sorted(OURS))
def test_weighted_least_squares_are_those_of_lm(name):
    data = OURS[name]
    found = waap_wls(yi=data["yi"], vi=data["vi"])
    assert found.adequate == data["adequate"]
    for mean, theirs in ((found.wls, data["wls"]), (found.waap, data.get("waap"))):
        if mean is None:
            assert not theirs
        else:
            ours = [mean.estimate, mean.se, mean.estimate / mean.se, mean.p_value]
            assert ours == pytest.approx(theirs, rel=EXACT, abs=1e-13)


@pytest.mark.parametrize("name", sorted(OURS))
def test_p_curve_is_that_of_noncentral_chi_squared_in_r(name):
    data, theirs = OURS[name], OURS[name]["p_curve"]
    found = p_curve(yi=data["yi"], vi=data["vi"], favoured="both")
    assert (found.significant, found.small) == (theirs["k"], theirs["small"])
    for key in ("right_full", "right_half"):
        assert getattr(found, key).z == pytest.approx(theirs[key], rel=EXACT)
    # In bcg shares are so near to 1 that R, which takes their quantiles, has lost half of its digits.
    for key in ("flat_full", "flat_half"):
        assert getattr(found, key).z == pytest.approx(theirs[key], rel=1e-3 if name == "bcg" else EXACT)
    assert [found.right_binomial, found.flat_binomial] == pytest.approx(
        [theirs["right_binomial"], theirs["flat_binomial"]], rel=1e-7, abs=1e-13
    )
    assert [found.power, *found.power_ci] == pytest.approx(theirs["power"], abs=EXACT)


@pytest.mark.parametrize("name", sorted(OURS))
def test_corrected_effects_are_those_of_robumeta(name):
    data = OURS[name]
    side = "positive" if data["sign"] > 0 else "negative"
    ratios = [row[0] for row in data["robust"]]
    found = publication_bias_sensitivity(
        table(data), selection_ratio=ratios, favoured=side, df_method="robumeta"
    ).to_frame()
    for i, (_, estimate, se, df, low, high, p) in enumerate(data["robust"]):
        row = found.iloc[i]
        ends = (low, high) if data["sign"] > 0 else (-high, -low)
        assert [row.estimate, row.se, row.df, row.ci_low, row.ci_high, row.p_value] == pytest.approx(
            [data["sign"] * estimate, se, df, *ends, p], rel=EXACT, abs=1e-9
        )


@pytest.mark.sampled(keep=6)
@pytest.mark.parametrize("case", PACKAGES["published"], ids=lambda case: case["id"])
def test_sensitivity_is_that_of_publicationbias(case):
    data = table(SETS[case["set"]])
    robust = "svalue_fixed" not in case["id"]
    options = {"model": "robust", "df_method": "robumeta"} if robust else {"model": "common"}
    if "estimate" in case:
        ratio = float(case["id"].rsplit("_", 1)[1])
        found = publication_bias_sensitivity(data, selection_ratio=ratio, favoured="positive", **options)
        ours = [found.estimates[0], found.ses[0], found.lows[0], found.highs[0], found.p_values[0]]
        theirs = [case[key] for key in ("estimate", "se", "ci_lower", "ci_upper", "p_value")]
        assert ours == pytest.approx(theirs, abs=REML)
        return
    found = publication_bias_sensitivity(data, favoured="positive", **options)
    for ours, theirs in ((found.s_value, case["sval_est"]), (found.s_value_ci, case["sval_ci"])):
        words = {"Not possible": math.inf, "--": 1.0}
        assert ours == pytest.approx(words.get(theirs, theirs), rel=1e-5)

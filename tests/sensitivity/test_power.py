"""Power of planned meta-analyses: against noncentral distributions of R, printed examples, and simulation."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.pooling.models import meta_analysis
from metapeer.sensitivity.power_comparisons import power_moderator, power_subgroup
from metapeer.sensitivity.power_dependence import power_dependent_effects
from metapeer.sensitivity.power_distributions import power_of_squares, satterthwaite_df
from metapeer.sensitivity.power_models import power_curve, power_meta_analysis
from metapeer.sensitivity.power_of_q import power_heterogeneity
from metapeer.sensitivity.power_searches import detectable_effect, studies_needed
from metapeer.sensitivity.power_trials import trial_power

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "power.json").read_text(encoding="utf-8"))
PRINTED = GOLDEN["printed"]
METHODS = ("z", "t", "HK", "HK_se", "HK_ci")


def mean_power(ci_method, **how):
    return power_meta_analysis(ci_method=ci_method, **how).power


@pytest.mark.parametrize("ci_method", ["z", "HK"])
def test_power_of_the_mean_agrees_with_quadrature_and_noncentral_t_in_r(ci_method):
    for row in GOLDEN["mean"]:
        plan = {"effect": row["effect"], "k": int(row["k"]), "vi": row["v"], "tau2": row["tau2"]}
        assert mean_power(ci_method, **plan) == pytest.approx(row[ci_method], abs=2e-9)


def test_omnibus_tests_agree_with_noncentral_f_and_chi_squared_in_r():
    from scipy.special import chdtri, fdtri

    for row in GOLDEN["between"]:
        m, df, lam = int(row["m"]), row["df"], row["lambda"]
        F = power_of_squares(lam, m * float(fdtri(m, df, 0.95)), m=m, df=df, floor=0.0)
        assert pytest.approx(row["F"], abs=1e-9) == F
        chi2 = power_of_squares(lam, float(chdtri(m, 0.05)), m=m, df=math.inf, floor=1.0)
        assert chi2 == pytest.approx(row["chi2"], abs=1e-9)


def test_printed_examples_of_metapower_come_out():
    plan = {"effect": 0.2, "k": 10, "n1": 10, "n2": 10}
    assert power_meta_analysis(**plan, model="common").power == pytest.approx(PRINTED["metapower"]["fixed"], abs=5e-8)
    for i2, printed in PRINTED["metapower"]["random"].items():
        assert mean_power("z", **plan, I2=float(i2)) == pytest.approx(printed, abs=5e-8)
    readme = power_meta_analysis(effect=0.25, k=50, n1=20, n2=20, model="common")
    assert readme.power == pytest.approx(PRINTED["metapower_readme"]["fixed"], abs=5e-7)


def test_worked_examples_of_pigott_come_out_to_the_two_decimals_printed():
    # Advances in Meta-Analysis (2012), pages 44, 46, and a chapter of 2020, page 353, from the tests of metapower.
    assert round(power_meta_analysis(effect=0.2, k=10, n1=10, n2=10, model="common").power, 2) == 0.29
    vi = 1 / 26 + 1 / 974 + 1 / 20 + 1 / 980
    odds = power_meta_analysis(effect=math.log(1.3), k=9, vi=vi, measure="OR", model="common", alternative="greater")
    assert round(odds.power, 2) == 0.83
    assert round(power_subgroup(effects=[0.0, 0.5], k=10, n1=10, n2=10, model="common").power, 2) == 0.70


def test_dmetar_formula_with_its_inflated_variance_is_tau2_counted_as_known():
    d, k, n = 0.24, 3, 30
    v = 2 / n + d * d / (4 * n)
    for factor in (1.33, 1.67, 2.0):
        shift, z = d / math.sqrt(factor * v / k), 1.959963984540054
        formula = 1 - ndtr(z - shift) + ndtr(-z - shift)
        ours = mean_power("z", effect=d, k=k, n1=n, n2=n, tau2=(factor - 1) * v, tau2_known=True)
        assert ours == pytest.approx(formula, rel=1e-12)


def test_printed_median_detectable_effect_of_pomade_has_its_power():
    printed = PRINTED["POMADE"]["mdes"]
    plan = {"trials": 30, "per_trial": 6, "vi": 0.04, "tau2": 0.05**2, "omega2": 0.02**2, "rho": 0.2}
    for shift, side in ((-5e-5, -1), (5e-5, 1)):  # the print has four decimals
        assert side * (power_dependent_effects(effect=printed + shift, **plan).power - 0.8) > 0


def test_cluster_robust_power_agrees_with_the_degrees_of_freedom_of_clubsandwich():
    for row in GOLDEN["dependent"]:
        plan = {name: row[name] for name in ("tau2", "omega2", "rho")}
        found = power_dependent_effects(effect=0.25, per_trial=row["kj"], vi=row["vj"], **plan)
        assert found.df == pytest.approx(row["df"], rel=1e-8)
        assert found.se == pytest.approx(row["se"], rel=1e-10)
        assert found.power == pytest.approx(row["power"], abs=1e-8)


def test_printed_trial_powers_of_metameta_come_out():
    printed = PRINTED["metameta"]
    found = trial_power(np.zeros(9), sei=printed["sei"], effects=[0.1, 0.178, 0.2])
    for column, effect in enumerate(("0.1", "0.178", "0.2")):
        np.testing.assert_allclose(found.power[:, column], printed[effect], atol=6e-9)
        assert found.median[column] == pytest.approx(np.median(printed[effect]), abs=6e-9)


def test_one_effect_in_every_trial_has_the_power_of_independent_trials():
    vi = [0.02, 0.05, 0.1, 0.04]
    for method in ("RVE", "Satterthwaite", "model"):
        found = power_dependent_effects(effect=0.3, per_trial=1, vi=vi, tau2=0.03, rho=0.5, method=method)
        assert found.se == pytest.approx(power_meta_analysis(effect=0.3, vi=vi, tau2=0.03).se, rel=1e-12)
    equal = power_dependent_effects(effect=0.3, trials=8, per_trial=1, vi=0.05, tau2=0.03, method="model")
    assert equal.df == 7
    assert equal.power == pytest.approx(mean_power("HK", effect=0.3, k=8, vi=0.05, tau2=0.03), abs=1e-10)


@pytest.mark.parametrize("ci_method", METHODS)
def test_power_without_effect_is_near_alpha_when_there_are_many_studies(ci_method):
    found = mean_power(ci_method, effect=0.0, k=4000, vi=0.1, tau2=0.05)
    assert found == pytest.approx(0.05, abs=5e-4)


def test_hartung_knapp_without_effect_errs_exactly_as_often_as_alpha_says():
    for k, alpha in ((2, 0.05), (3, 0.001), (7, 0.3)):
        assert mean_power("HK", effect=0.0, k=k, vi=0.1, tau2=0.05, alpha=alpha) == pytest.approx(alpha, rel=1e-8)


@given(
    effect=st.floats(-2, 2),
    k=st.integers(2, 60),
    v=st.floats(1e-3, 5),
    i2=st.floats(0, 95),
    method=st.sampled_from(METHODS),
    factor=st.floats(1e-4, 1e4),
)
@settings(max_examples=30)
def test_power_is_a_probability_that_units_and_sign_leave_alone(effect, k, v, i2, method, factor):
    power = mean_power(method, effect=effect, k=k, vi=v, I2=i2)
    assert 0 <= power <= 1
    assert mean_power(method, effect=-effect, k=k, vi=v, I2=i2) == pytest.approx(power, abs=1e-9)
    scaled = mean_power(method, effect=effect * factor, k=k, vi=v * factor**2, I2=i2)
    assert scaled == pytest.approx(power, abs=1e-8)
    greater = mean_power(method, effect=effect, k=k, vi=v, I2=i2, alpha=0.025, alternative="greater")
    less = mean_power(method, effect=effect, k=k, vi=v, I2=i2, alpha=0.025, alternative="less")
    assert greater + less == pytest.approx(power, abs=1e-9)


@given(effect=st.floats(0.02, 1), k=st.integers(2, 40), v=st.floats(0.005, 1), i2=st.floats(0, 90))
@settings(max_examples=20)
def test_power_grows_with_the_effect_and_hybrids_lie_below_hartung_knapp(effect, k, v, i2):
    plan = {"k": k, "vi": v, "I2": i2}
    powers = {method: mean_power(method, effect=effect, **plan) for method in METHODS}
    assert powers["HK"] >= powers["HK_ci"] - 1e-10
    assert powers["HK_ci"] >= powers["HK_se"] - 1e-10
    assert powers["z"] >= powers["HK_ci"] - 1e-10
    for method in METHODS:
        assert mean_power(method, effect=1.1 * effect, **plan) >= powers[method] - 1e-10


def test_a_list_of_equal_studies_is_a_number_of_them():
    listed = power_meta_analysis(effect=0.2, vi=[0.04] * 7, tau2=0.02)
    counted = power_meta_analysis(effect=0.2, vi=0.04, k=7, tau2=0.02)
    table = power_meta_analysis(effect=0.2, trials=pd.DataFrame({"sei": [0.2] * 7}), tau2=0.02)
    assert listed.power == pytest.approx(counted.power, rel=1e-10)
    assert table.power == pytest.approx(counted.power, rel=1e-10)
    assert listed.exact


def test_unequal_studies_are_not_called_exact_and_very_unequal_ones_are_doubted():
    mild = power_meta_analysis(effect=0.2, vi=[0.03, 0.04, 0.05], tau2=0.02)
    assert not mild.exact
    assert "approximate" in mild.method
    assert not any("unequal" in note for note in mild.notes)
    wild = power_meta_analysis(effect=0.2, vi=[0.001, 0.1, 0.2, 0.2], tau2=0.02)
    assert any("unequal" in note for note in wild.notes)


@pytest.mark.parametrize(
    ("how", "variance"),
    [
        ({"measure": "SMD", "effect": 0.4}, 1 / 40 + 1 / 60 + 0.16 / 200),
        ({"measure": "MD", "effect": 2.0, "sd": 5.0}, 25 * (1 / 40 + 1 / 60)),
        ({"measure": "RD", "effect": 0.1, "risk2": 0.2}, 0.21 / 40 + 0.16 / 60),
        ({"measure": "RR", "effect": math.log(1.5), "risk2": 0.2}, 0.7 / 12 + 0.8 / 12),
        ({"measure": "OR", "effect": math.log(6.0), "risk2": 0.2}, 1 / (40 * 0.24) + 1 / (60 * 0.16)),
    ],
)
def test_variances_follow_from_sizes_of_arms(how, variance):
    found = power_meta_analysis(k=1, n1=40, n2=60, model="common", **how)
    assert found.se == pytest.approx(math.sqrt(variance), rel=1e-12)


def test_variance_of_a_correlation_follows_from_its_one_group():
    assert power_meta_analysis(effect=0.3, k=4, n1=103, measure="ZCOR").se == pytest.approx(0.05, rel=1e-12)


@pytest.mark.parametrize("ci_method", METHODS)
def test_studies_needed_is_the_smallest_number(ci_method):
    plan = {"effect": 0.2, "n1": 40, "n2": 40, "I2": 40, "ci_method": ci_method}
    found = studies_needed(**plan)
    k = int(found.value)
    assert power_meta_analysis(k=k, **plan).power >= 0.8 > power_meta_analysis(k=k - 1, **plan).power
    assert found.at.k == k


def test_detectable_effect_has_the_power_asked_for_on_either_side():
    for direction, sign in (("above", 1), ("below", -1)):
        plan = {"k": 8, "n1": 80, "n2": 80, "risk2": 0.3, "measure": "OR", "I2": 20}
        found = detectable_effect(power=0.9, direction=direction, **plan)
        assert sign * found.value > 0
        assert power_meta_analysis(effect=found.value, **plan).power == pytest.approx(0.9, abs=1e-9)


def test_a_detectable_effect_is_found_however_far_it_lies():
    found = detectable_effect(k=2, vi=0.1, power=0.999, alpha=1e-6)
    assert power_meta_analysis(effect=found.value, k=2, vi=0.1, alpha=1e-6).power == pytest.approx(0.999, abs=1e-8)


def test_a_plan_that_cannot_reach_the_power_says_so():
    with pytest.raises(MetapeerError, match="even 1,000,000 studies"):
        studies_needed(effect=0.0, vi=0.1)
    with pytest.raises(MetapeerError, match="even 1,000,000 studies"):
        studies_needed(effect=-0.5, vi=0.1, alternative="greater")
    with pytest.raises(MetapeerError, match="no effect has a power"):
        detectable_effect(k=2, n1=5, n2=5, risk2=0.5, measure="RD", power=0.99, alpha=0.001)
    with pytest.raises(ChoiceError, match="does not reject below"):
        detectable_effect(k=5, vi=0.1, alternative="greater", direction="below")


def test_curve_holds_the_powers_of_its_plans():
    curve = power_curve(effect=0.2, k=[4, 9], tau2=[0.0, 0.05], vi=0.05)
    for row in curve.to_frame().itertuples():
        assert row.power == mean_power("HK", effect=0.2, k=row.k, vi=0.05, tau2=row.tau2)
    assert len(curve.to_frame()) == 4
    assert "tau² = 0.05" in str(curve)


def test_two_subgroups_and_a_moderator_with_two_values_have_one_power():
    a = power_subgroup(effects=[0.1, 0.4], k=[6, 9], vi=0.05, tau2=0.02, ci_method="HK")
    b = power_moderator(x=[0] * 6 + [1] * 9, slope=0.3, vi=0.05, tau2=0.02)
    c = power_moderator(x=["a"] * 6 + ["b"] * 9, effects={"a": 0.1, "b": 0.4}, vi=0.05, tau2=0.02)
    assert a.power == pytest.approx(b.power, abs=1e-9)
    assert a.power == pytest.approx(c.power, abs=1e-12)
    z = power_subgroup(effects=[0.1, 0.4], k=[6, 9], vi=0.05, tau2=0.02)
    assert z.power == pytest.approx(
        power_moderator(x=[0] * 6 + [1] * 9, slope=0.3, vi=0.05, tau2=0.02, ci_method="z").power, abs=1e-9
    )


def test_subgroups_of_known_heterogeneity_follow_hedges_and_pigott():
    found = power_subgroup(
        effects=[0.0, 0.3, 0.5], k=[4, 6, 5], vi=[0.04, 0.05, 0.06], tau2=[0.01, 0.02, 0.0], tau2_known=True
    )
    w = np.array([4, 6, 5]) / np.array([0.05, 0.07, 0.06])
    means = np.array([0.0, 0.3, 0.5])
    expected = (w * (means - (w * means).sum() / w.sum()) ** 2).sum()
    assert found.noncentrality == pytest.approx(expected, rel=1e-12)
    assert math.isnan(found.tau2)
    assert not found.exact


def test_power_of_q_is_that_of_simulated_q():
    vi, tau2 = np.array([0.01, 0.02, 0.1, 0.2, 0.3]), 0.1
    found = power_heterogeneity(vi=vi, tau2=tau2)
    rng = np.random.default_rng(3)
    y = rng.normal(size=(40_000, 5)) * np.sqrt(vi + tau2)
    w = 1 / vi
    Q = (w * (y - ((w * y).sum(axis=1) / w.sum())[:, None]) ** 2).sum(axis=1)
    assert found.power == pytest.approx((Q > 9.487729).mean(), abs=0.01)
    equal = power_heterogeneity(k=5, vi=0.1, tau2=0.05)
    nearly = power_heterogeneity(vi=[0.1, 0.1, 0.1, 0.1, 0.1 * (1 + 1e-7)], tau2=0.05)
    assert equal.power == pytest.approx(nearly.power, abs=1e-6)
    assert power_heterogeneity(k=5, vi=0.1, tau2=0.0).power == pytest.approx(0.05, rel=1e-9)


def test_satterthwaite_counts_equal_clusters_in_full_and_one_that_carries_all_as_one():
    assert satterthwaite_df(np.full(9, 3.0)) == pytest.approx(8.0, rel=1e-12)
    assert satterthwaite_df(np.array([1e12, 1.0, 1.0, 1.0])) == pytest.approx(1.0, abs=1e-6)


def test_power_of_enormous_differences_is_certain_and_passes_smoothly_to_the_normal():
    assert power_subgroup(effects=[1e10, -1e10], k=5, vi=1e-10).power == pytest.approx(1.0)
    for m in (1, 3):
        below, above = (
            power_of_squares(lam, 1e6, m=m, df=math.inf, floor=1.0) for lam in (1e6 * (1 - 1e-9), 1e6 * (1 + 1e-9))
        )
        assert below == pytest.approx(above, abs=1e-3)


def test_the_pooled_estimate_as_true_effect_is_warned_of():
    fit = meta_analysis(yi=[0.2, 0.4, 0.3], vi=[0.02, 0.03, 0.04], measure="SMD")
    with pytest.warns(DataWarning, match="repeats their p-values"):
        trial_power(fit, effects=[fit.estimate])
    assert trial_power(fit).effects == tuple(round(0.1 * i, 1) for i in range(1, 11))
    frame = trial_power(fit, effects=[0.5]).to_frame()
    np.testing.assert_allclose(frame["sei"], np.sqrt([0.02, 0.03, 0.04]))


@pytest.mark.parametrize(
    ("plan", "error", "words"),
    [
        ({"k": 5}, ChoiceError, "give the size of the studies"),
        ({"k": 5, "vi": 0.1, "sei": 0.2}, ChoiceError, "not vi and sei"),
        ({"k": 5, "vi": 0.1, "tau2": 0.1, "I2": 5}, ChoiceError, "twice"),
        ({"k": 5, "vi": 0.1, "I2": 100}, DataError, "below 100"),
        ({"k": 5, "vi": 0.1, "tau2": -1}, DataError, "0 or more"),
        ({"k": 5, "vi": -0.1, "I2": 120}, DataError, "2 problems"),
        ({"k": 1, "vi": 0.1}, ChoiceError, "whole number from 2"),
        ({"k": 2.5, "vi": 0.1}, ChoiceError, "whole number"),
        ({"vi": 0.1}, ChoiceError, "k is missing"),
        ({"vi": []}, DataError, "list of numbers"),
        ({"vi": "many", "k": 3}, DataError, "must be finite"),
        ({"vi": [0.1]}, ChoiceError, "k is missing"),
        ({"k": 5, "n1": 10}, ChoiceError, "give n2"),
        ({"k": 5, "n1": 10, "n2": 10, "measure": "OR"}, ChoiceError, "needs risk2"),
        ({"k": 5, "n1": 10, "n2": 10, "measure": "OR", "risk2": 1.5}, DataError, "below 1"),
        ({"k": 5, "n1": 10, "n2": 10, "measure": "RD", "risk2": 0.9}, MetapeerError, "would make the risk"),
        ({"k": 5, "n1": 10, "n2": 10, "measure": "HR"}, ChoiceError, "HR"),
        ({"k": 5, "n1": 10, "n2": 10, "sd": 2}, ChoiceError, "sd has no use"),
        ({"n1": [10, 20, 30], "n2": [10, 20]}, DataError, "has 2 values"),
        ({"k": 5, "vi": 0.1, "ci_method": "KR"}, ChoiceError, "KR"),
        ({"k": 5, "vi": 0.1, "model": "common", "tau2": 0.1}, ChoiceError, "no heterogeneity"),
        ({"k": 5, "vi": 0.1, "tau2_known": True}, ChoiceError, "tau2_known"),
        ({"k": 5, "vi": 0.1, "alpha": 5}, ChoiceError, "alpha"),
        ({"k": 5, "vi": 0.1, "effect": math.nan}, ChoiceError, "effect"),
        ({"k": 5, "vi": 0.1, "effect": "big"}, ChoiceError, "effect"),
        ({"k": 5, "vi": 0.1, "simulations": 10}, ChoiceError, "1,000 or more"),
        ({"k": 5, "vi": [0.1, 0.2], "simulations": 2000}, ChoiceError, "size of each"),
        ({"trials": pd.DataFrame({"vi": [0.1, "x", -1]})}, DataError, "2 problems"),
        ({"trials": pd.DataFrame({"weight": [1]})}, DataError, "neither vi nor sei"),
        ({"trials": pd.DataFrame({"vi": [0.1, 0.2]}), "vi": 0.1}, ChoiceError, "leave vi out"),
        ({"trials": [1, 2]}, ChoiceError, "DataFrame"),
        ({"k": 5, "vi": 0.1, "measure": "SDM"}, ChoiceError, "SMD"),
        ({"k": 5, "vi": 0.1, "alternative": "greater", "alpha": 0.6}, ChoiceError, "critical value"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_in_words(plan, error, words):
    with pytest.raises(error, match=words):
        power_meta_analysis(**{"effect": 0.3, **plan})


def test_other_doors_refuse_nonsense_in_words():
    with pytest.raises(ChoiceError, match="tau2 or I2"):
        power_heterogeneity(k=5, vi=0.1)
    with pytest.raises(ChoiceError, match="two subgroups"):
        power_subgroup(effects=[0.3], k=5, vi=0.1)
    with pytest.raises(ChoiceError, match="tau2_known=True"):
        power_subgroup(effects=[0.3, 0.1], k=5, vi=0.1, tau2=[0.1, 0.2])
    with pytest.raises(ChoiceError, match="slope for a moderator"):
        power_moderator(x=[1, 2, 3], vi=0.1)
    with pytest.raises(ChoiceError, match="same in all studies"):
        power_moderator(x=[1, 1, 1, 1], slope=1, vi=0.1)
    with pytest.raises(DataError, match="has no effect"):
        power_moderator(x=["a", "b", "c"], effects={"a": 0, "b": 1}, vi=0.1)
    with pytest.raises(DataError, match="rho"):
        power_dependent_effects(effect=0.1, trials=5, vi=0.1, rho=1.5)
    with pytest.raises(ChoiceError, match="effects is missing"):
        trial_power([0.1, 0.2], vi=[0.1, 0.1], measure="RR")
    with pytest.raises(ChoiceError, match="holds 0"):
        trial_power([0.1, 0.2], vi=[0.1, 0.1], effects=[0.0, 0.2])
    with pytest.raises(DataError, match="no values"):
        trial_power([], vi=[], effects=0.2)
    with pytest.raises(ChoiceError, match="finite number"):
        trial_power([0.1], vi=[0.1], effects=0.2).plot(effect="large")
    with pytest.raises(ChoiceError, match="power must exceed alpha"):
        studies_needed(effect=0.2, vi=0.1, power=0.01)


def test_simulation_agrees_with_the_exact_power_and_repeats_itself():
    plan = {"effect": 0.25, "k": 6, "vi": 0.05, "tau2": 0.03}
    for method in METHODS:
        simulated = power_meta_analysis(**plan, ci_method=method, simulations=20_000)
        exact = mean_power(method, **plan)
        assert simulated.power == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000))
        assert not simulated.exact
    again = power_meta_analysis(**plan, ci_method="HK_ci", simulations=20_000)
    assert again.power == simulated.power


@pytest.mark.slow
def test_the_approximation_for_unequal_studies_is_within_three_points_of_simulation_when_not_doubted():
    for vi in (np.tile([0.02, 0.04, 0.08], 3), np.linspace(0.02, 0.06, 12), np.tile([0.03, 0.09], 10)):
        for tau2 in (0.0, 0.03):
            for method in METHODS:
                plan = {"effect": 0.2, "vi": vi, "tau2": tau2, "ci_method": method}
                formula = power_meta_analysis(**plan)
                assert not any("unequal" in note for note in formula.notes)
                simulated = power_meta_analysis(**plan, simulations=100_000)
                assert formula.power == pytest.approx(simulated.power, abs=0.03)


@pytest.mark.slow
def test_simulated_subgroups_and_moderators_have_the_power_computed():
    rng = np.random.default_rng(11)
    k, v, tau2, n = 12, 0.05, 0.03, 200_000
    x = np.repeat([0.0, 1.0, 2.0], 4)
    X = {"slope": np.stack([np.ones(k), x], axis=1), "groups": (x[:, None] == np.unique(x)).astype(float)}
    truth = 0.1 + 0.2 * x
    y = truth + rng.normal(size=(n, k)) * math.sqrt(v + tau2)
    for name, design in X.items():
        hat = design @ np.linalg.solve(design.T @ design, design.T)
        fitted = y @ hat
        p = design.shape[1]
        within = ((y - fitted) ** 2).sum(axis=1) / (k - p)
        between = ((fitted - y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        chi2 = between / np.maximum(v, within)
        if name == "slope":
            z = power_moderator(x=x, slope=0.2, vi=v, tau2=tau2, ci_method="z")
            hk = power_moderator(x=x, slope=0.2, vi=v, tau2=tau2)
            limits = (3.841459, 4.964603)
        else:
            plan = {"effects": [0.1, 0.3, 0.5], "k": 4, "vi": v, "tau2": tau2}
            z, hk = power_subgroup(**plan), power_subgroup(**plan, ci_method="HK")
            limits = (5.991465, 2 * 4.256495)
        assert z.power == pytest.approx((chi2 > limits[0]).mean(), abs=0.005)
        assert hk.power == pytest.approx((between / within > limits[1]).mean(), abs=0.005)


@pytest.mark.slow
def test_simulated_dependent_effects_have_nearly_the_power_computed():
    from metapeer.sensitivity.power_distributions import satterthwaite_df

    rng = np.random.default_rng(5)
    kj, vj = np.tile([1, 3, 5, 2], 5), np.tile([0.03, 0.08, 0.05, 0.12], 5)
    tau2, omega2, rho, effect, n = 0.03, 0.02, 0.6, 0.15, 100_000
    variance = tau2 + rho * vj + (omega2 + (1 - rho) * vj) / kj
    means = effect + rng.normal(size=(n, kj.size)) * np.sqrt(variance)
    w = 1 / variance
    W = w.sum()
    b = means @ w / W
    # CR2 for a mean with the working model's weights: each cluster's residual is inflated by 1 / (1 - w / W).
    se2 = ((w**2 / (1 - w / W)) * (means - b[:, None]) ** 2).sum(axis=1) / W**2
    from scipy.special import stdtrit

    critical = stdtrit(satterthwaite_df(w), 0.975)
    simulated = (np.abs(b) / np.sqrt(se2) > critical).mean()
    found = power_dependent_effects(effect=effect, per_trial=kj, vi=vj, tau2=tau2, omega2=omega2, rho=rho)
    assert found.power == pytest.approx(simulated, abs=0.01)

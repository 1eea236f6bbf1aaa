"""Properties, words and bad input of the tests of small-study effects."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metapeer as mp
from metapeer.sensitivity.asymmetry_counts import hypergeometric_moments
from metapeer.sensitivity.asymmetry_ranks import exact_tail, rank_correlation

YI = [0.1, 0.2, 0.5, 0.3, 0.35, 0.5, 0.4, 0.7, 0.65, 0.2, 0.85]
SEI = [0.05, 0.08, 0.1, 0.13, 0.15, 0.2, 0.22, 0.28, 0.3, 0.38, 0.4]
COUNTS = pd.DataFrame(
    {
        "study_id": list("abcdefghij"),
        "events1": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17],
        "total1": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716],
        "events2": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65],
        "total2": [139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665],
    }
)
EVERY = (mp.egger_test, mp.begg_test, mp.thompson_test, mp.pet_peese, mp.limit_meta_analysis, mp.trim_and_fill)
OF_COUNTS = (mp.harbord_test, mp.peters_test, mp.deeks_test, mp.schwarzer_test)


def doubts(function, *args, **options):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        function(*args, **options)
    return " | ".join(str(one.message) for one in said)


@given(
    st.lists(st.tuples(st.floats(-2, 2), st.floats(0.05, 1.0)), min_size=4, max_size=12),
    st.floats(-3, 3),
    st.sampled_from([-1.0, 1.0]),
    st.floats(0.1, 10.0),
)
@settings(max_examples=20)
def test_shifting_scaling_and_flipping_effects_does_to_egger_what_it_does_to_a_line(pairs, shift, sign, scale):
    y, s = np.array(pairs).T
    y, s = y + np.sin(np.arange(y.size) * 7.0), s + np.arange(s.size) * 0.01
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = mp.egger_test(yi=y, sei=s)
        turned = mp.egger_test(yi=sign * scale * y + shift, sei=scale * s)
    assert turned.estimate == pytest.approx(sign * plain.estimate, rel=1e-6, abs=1e-9)
    assert turned.limit == pytest.approx(sign * scale * plain.limit + shift, rel=1e-6, abs=1e-9)
    assert turned.p_value == pytest.approx(plain.p_value, rel=1e-4, abs=1e-9)


def test_reordering_the_studies_changes_no_test():
    table = pd.DataFrame({"yi": YI, "sei": SEI})
    turned = table.iloc[::-1]
    for function in (mp.egger_test, mp.begg_test, mp.thompson_test):
        assert function(table).p_value == pytest.approx(function(turned).p_value, rel=1e-12)


@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_exact_tail_counts_orders_with_few_inversions(k):
    inversions = [
        sum(order[i] > order[j] for i in range(k) for j in range(i + 1, k))
        for order in itertools.permutations(range(k))
    ]
    for most in range(-1, k * (k - 1) // 2 + 1):
        assert exact_tail(most, k) == pytest.approx(np.mean(np.array(inversions) <= most), abs=1e-14)


def test_exact_and_normal_rank_tests_meet_for_many_studies():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 300))
    exact, normal = (rank_correlation(x, y, method=name) for name in ("exact", "normal"))
    assert (exact.method, normal.method) == ("exact", "normal")
    assert exact.p_value == pytest.approx(normal.p_value, abs=2e-3)
    assert exact.tau == normal.tau


def test_a_continuity_correction_takes_one_off_the_score():
    plain, corrected = (mp.begg_test(yi=YI, sei=SEI, p_method=name) for name in ("normal", "normal_cc"))
    assert corrected.statistic * corrected.score_se == pytest.approx(plain.score - 1.0)
    assert "continuity-corrected" in str(corrected)


def test_many_studies_need_no_table_of_all_pairs():
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(2, 1200))
    found = rank_correlation(x, y, method="exact")
    assert found.method == "normal"
    assert found.score == sum(np.sign((x[i] - x[:i]) * (y[i] - y[:i])).sum() for i in range(1200))


def test_hypergeometric_moments_are_the_central_ones_at_no_effect():
    mean, variance = hypergeometric_moments(30, 50, 24, 1.0)
    assert mean == pytest.approx(24 * 30 / 80)
    assert variance == pytest.approx(24 * 30 * 50 * 56 / (80**2 * 79))


def test_thompsons_test_is_eggers_with_additive_errors():
    one = mp.thompson_test(yi=YI, sei=SEI)
    other = mp.egger_test(yi=YI, sei=SEI, model="rma", tau2_method="DL", ci_method="t")
    assert one.to_frame().drop(columns="test").equals(other.to_frame().drop(columns="test"))


def test_a_fit_hands_on_its_model_its_tests_and_its_level():
    fit = mp.meta_analysis(yi=YI, sei=SEI, tau2_method="PM", ci_method="z", level=0.9)
    found = mp.egger_test(fit, model="rma")
    assert (found.tau2_method, found.p_method, found.level) == ("PM", "normal", 0.9)
    common = mp.egger_test(mp.meta_analysis(yi=YI, sei=SEI, model="common"), model="rma")
    assert np.isnan(common.tau2)
    assert "common-effect errors" in str(common)


def test_hc2_is_what_the_sandwich_gives_without_clusters():
    found = mp.egger_test(yi=YI, sei=SEI, vcov="CR2")
    x = np.column_stack([np.ones(len(SEI)), SEI])
    w = 1.0 / np.square(SEI)
    bread = np.linalg.inv(x.T @ (w[:, None] * x))
    e = np.array(YI) - x @ (bread @ x.T @ (w * np.array(YI)))
    leverage = np.einsum("ij,jk,ik->i", x, bread, x) * w
    meat = x.T @ ((w**2 * e**2 / (1 - leverage))[:, None] * x)
    assert found.se == pytest.approx(np.sqrt((bread @ meat @ bread)[1, 1]), rel=1e-10)


def test_few_studies_are_doubted_in_words():
    for function in EVERY:
        assert "with fewer than 10" in doubts(function, yi=YI[:9], sei=SEI[:9])
        assert "with fewer than 10" not in doubts(function, yi=YI, sei=SEI)
    for function in OF_COUNTS:
        assert "with fewer than 10" in doubts(function, COUNTS.iloc[:9])
        assert "with fewer than 10" not in doubts(function, COUNTS)


@pytest.mark.parametrize(
    ("measure", "remedy"), [("SMD", "modified_sei"), ("OR", "harbord_test"), ("RR", "peters_test")]
)
def test_a_variance_that_contains_the_effect_is_doubted(measure, remedy):
    for function in (mp.egger_test, mp.begg_test, mp.thompson_test, mp.pet_peese):
        assert remedy in doubts(function, yi=YI, sei=SEI, measure=measure)
        assert doubts(function, yi=YI, sei=SEI, measure="MD") == ""


def test_the_modified_standard_error_is_not_doubted():
    table = pd.DataFrame({"yi": YI, "sei": SEI, "measure": "SMD", "n1": 2 / np.square(SEI), "n2": 2 / np.square(SEI)})
    assert doubts(mp.egger_test, table, predictor="modified_sei") == ""
    assert doubts(mp.pet_peese, table, predictor="modified_sei") == ""


def test_several_effects_of_a_trial_are_doubted_unless_the_sandwich_allows_for_them():
    table = pd.DataFrame({"study_id": list("aabcdefghij"), "yi": YI, "sei": SEI})
    for function in (*EVERY, mp.fail_safe_n):
        assert "11 effects from 10 trials are taken as independent" in doubts(function, table)
    for function in (mp.egger_test, mp.pet_peese):
        assert "independent" not in doubts(function, table, vcov="CR2")


def test_studies_alike_in_precision_are_doubted():
    assert "too alike in precision" in doubts(mp.egger_test, yi=YI, sei=np.linspace(0.1, 0.19, 11))


def test_the_same_variance_everywhere_is_an_error_that_says_so():
    for function in (mp.egger_test, mp.thompson_test, mp.begg_test, mp.pet_peese, mp.limit_meta_analysis):
        with pytest.raises(mp.DataError, match="same"):
            function(yi=YI, sei=[0.2] * 11)
    with pytest.raises(mp.DataError, match="give side="):
        mp.trim_and_fill(yi=YI, sei=[0.2] * 11)
    assert mp.trim_and_fill(yi=YI, sei=[0.2] * 11, side="left").k0 >= 0


def test_too_few_or_impossible_effects_are_errors():
    for function in EVERY:
        with pytest.raises(mp.DataError, match="at least 3"):
            function(yi=[0.1, 0.2], sei=[0.1, 0.2])
        with pytest.raises(mp.DataError):
            function(yi=[0.1, 0.2, np.nan], sei=[0.1, 0.2, 0.3])
        with pytest.raises(mp.DataError):
            function(yi=[0.1, 0.2, 0.3], sei=[0.1, 0.0, 0.3])
        with pytest.raises(mp.MetapeerError):
            function([0.1, 0.2, 0.3])
        with pytest.raises(mp.MetapeerError):
            function()


def test_idle_and_unknown_options_are_refused():
    for options in (
        {"tau2_method": "DL"},
        {"ci_method": "z"},
        {"cluster": "study_id"},
        {"predictor": "modified_vi"},
        {"predictor": "se"},
        {"model": "ols"},
        {"vcov": "HC2"},
    ):
        with pytest.raises(mp.ChoiceError):
            mp.egger_test(yi=YI, sei=SEI, **options)
    with pytest.raises(mp.ChoiceError):
        mp.egger_test(yi=YI, sei=SEI, model="rma", vcov="CR2", ci_method="z")
    with pytest.raises(mp.MetapeerError):
        mp.egger_test(yi=YI, sei=SEI, level=95)
    with pytest.raises(mp.ChoiceError):
        mp.begg_test(yi=YI, sei=SEI, p_method="asymptotic")


def test_missing_sizes_of_arms_are_listed_row_by_row():
    table = pd.DataFrame({"study_id": list("abc"), "yi": [0.1, 0.3, 0.2], "sei": [0.1, 0.2, 0.3]})
    with pytest.raises(mp.DataError, match="n1 and n2"):
        mp.egger_test(table, predictor="modified_sei")
    with pytest.raises(mp.DataError) as error:
        mp.macaskill_test(table.assign(n1=[10, None, 0], n2=[10, 20, 30]))
    assert [fault.row for fault in error.value.faults] == ["b", "c"]


def test_a_cluster_for_each_effect_is_asked_for():
    with pytest.raises(mp.DataError, match="names 2 rows"):
        mp.egger_test(yi=YI, sei=SEI, vcov="CR2", cluster=["a", "b"])
    with pytest.raises(mp.DataError, match="no column"):
        mp.egger_test(yi=YI, sei=SEI, vcov="CR2", cluster="team")
    with pytest.raises(mp.MetapeerError):
        mp.egger_test(yi=YI, sei=SEI, vcov="CR2", cluster=7)
    with pytest.raises(mp.DataError):
        mp.egger_test(yi=YI, sei=SEI, vcov="CR2", cluster=["one"] * 11)


def test_bad_counts_are_errors_and_empty_tables_are_left_out():
    empty = pd.DataFrame({"study_id": ["k"], "events1": [0], "total1": [20], "events2": [0], "total2": [20]})
    more = pd.concat([COUNTS, empty], ignore_index=True)
    for function in OF_COUNTS:
        assert function(more).k == 10
        assert function(more).p_value == function(COUNTS).p_value
        with pytest.raises(mp.DataError):
            function(COUNTS.drop(columns="total2"))
        with pytest.raises(mp.DataError):
            function(COUNTS.assign(events1=10**6))
        with pytest.raises(mp.DataError, match="at least 3"):
            function(COUNTS.iloc[:2])
        with pytest.raises(mp.MetapeerError):
            function("counts.csv")
    with pytest.raises(mp.DataError, match="never has events"):
        mp.schwarzer_test(COUNTS.assign(events1=0))


def test_swapping_the_arms_turns_the_sign_of_the_slope():
    swapped = COUNTS.rename(
        columns={"events1": "events2", "events2": "events1", "total1": "total2", "total2": "total1"}
    )
    for function in OF_COUNTS[:3]:
        one, other = function(COUNTS), function(swapped)
        assert one.estimate == pytest.approx(-other.estimate)
        assert one.p_value == pytest.approx(other.p_value)


def test_a_fit_of_counts_serves_as_well_as_the_table():
    fit = mp.meta_analysis(mp.effect_size(COUNTS, measure="OR"))
    for function in OF_COUNTS:
        assert function(fit).p_value == pytest.approx(function(COUNTS).p_value)
    with pytest.raises(mp.MetapeerError, match="no table"):
        mp.harbord_test(mp.meta_analysis(yi=YI, sei=SEI))


def test_fits_that_are_no_mean_of_effects_are_refused():
    fit = mp.mantel_haenszel(COUNTS)
    with pytest.raises(mp.MetapeerError):
        mp.egger_test(fit)


@pytest.mark.parametrize("unit", [1e-20, 1e-3, 1e3, 1e20])
def test_tests_do_not_depend_on_the_unit_of_the_effects(unit):
    y, s = np.array(YI) * unit, np.array(SEI) * unit
    for function in (mp.egger_test, mp.begg_test, mp.thompson_test):
        assert function(yi=y, sei=s).p_value == pytest.approx(function(yi=YI, sei=SEI).p_value, rel=1e-6)
    assert mp.limit_meta_analysis(yi=y, sei=s).estimate / unit == pytest.approx(
        mp.limit_meta_analysis(yi=YI, sei=SEI).estimate, rel=1e-6
    )


def test_results_are_frozen_and_say_the_same_everywhere():
    found = mp.egger_test(yi=YI, sei=SEI)
    with pytest.raises(AttributeError):
        found.p_value = 1.0
    with pytest.raises(ValueError, match="read-only"):
        found.x[0] = 1.0
    row = found.to_frame().iloc[0]
    assert row["estimate"] == found.estimate
    assert f"p = {found.p_value:.3f}" in str(found)
    assert "9 df" in str(found)
    assert "<table>" in found._repr_html_()
    curve = found.curve()
    assert curve["estimate"].iloc[0] == pytest.approx(found.limit)
    assert found.limit_ci.low == pytest.approx(curve["ci_low"].iloc[0])


def test_pet_is_chosen_unless_it_rejects_no_effect():
    biased = mp.pet_peese(yi=np.array(SEI) * 2, sei=SEI)
    assert (biased.chosen, biased.estimate) == ("PET", biased.pet.limit)
    assert np.isnan(biased.pet_p_value)
    assert "nothing is left to test it by" in str(biased.pet)
    real = mp.pet_peese(yi=np.array(YI) + 1.0, sei=SEI)
    assert (real.chosen, real.estimate) == ("PEESE", real.peese.limit)
    assert "PET's p is below 0.1" in str(real)
    assert real.to_frame()["chosen"].tolist() == [False, True]
    with pytest.raises(mp.MetapeerError, match="alpha"):
        mp.pet_peese(yi=YI, sei=SEI, alpha=10)


def test_pet_recovers_an_effect_that_only_bias_hides():
    exact = mp.pet_peese(yi=0.2 + 1.5 * np.array(SEI), sei=SEI)
    assert exact.pet.limit == pytest.approx(0.2)
    assert mp.pet_peese(yi=0.2 + 1.5 * np.square(SEI), sei=SEI).peese.limit == pytest.approx(0.2)


def test_limit_meta_analysis_refuses_a_common_effect_and_tells_of_no_heterogeneity():
    with pytest.raises(mp.MetapeerError, match="common effect"):
        mp.limit_meta_analysis(mp.meta_analysis(yi=YI, sei=SEI, model="common"))
    flat = mp.limit_meta_analysis(yi=0.3 + 0.001 * np.array(YI), sei=SEI)
    assert (flat.tau2, flat.G2) == (0.0, 0.0)
    assert np.ptp(flat.shrunken) == pytest.approx(0.0, abs=1e-12)
    assert "tau² is estimated as 0" in str(flat)


def test_parts_of_q_add_up_and_the_curve_ends_at_the_adjusted_effect():
    found = mp.limit_meta_analysis(yi=YI, sei=SEI)
    assert found.Q_small + found.Q_residual == pytest.approx(found.Q)
    assert found.curve()["estimate"].iloc[0] == pytest.approx(found.estimate)
    assert found.shrunken_studies()["limit"].tolist() == found.shrunken.tolist()


def test_precision_beyond_all_measure_is_an_error_that_says_so():
    with pytest.raises(mp.DataError, match="no line can be weighted"):
        mp.egger_test(yi=YI, sei=[1e-9, *SEI[1:]], model="rma")
    with pytest.raises(mp.DataError, match="all studies weigh the same"):
        mp.limit_meta_analysis(yi=[1e13, *YI[1:]], sei=SEI)


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_intervals_have_the_level_of_the_fit_unless_another_is_given():
    table = mp.effect_size(COUNTS, measure="OR").assign(ni=lambda rows: rows["total1"] + rows["total2"])
    fit = mp.meta_analysis(table, level=0.8)
    for test in (mp.egger_test, mp.thompson_test, mp.macaskill_test, mp.harbord_test, mp.peters_test, mp.deeks_test):
        own, other, plain = test(fit), test(fit, level=0.9), test(table)
        assert (own.level, other.level, plain.level) == (0.8, 0.9, 0.95)
        assert own.ci.high - own.ci.low < other.ci.high - other.ci.low < plain.ci.high - plain.ci.low
        assert "80% CI" in str(own)

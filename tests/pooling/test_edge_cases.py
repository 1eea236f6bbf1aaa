# ruff: noqa: SIM300  (Q and I2 are quantities, not constants: nothing here is written the wrong way round)
"""Data that trip meta-analysis software, each as a literal case with the right answer written out."""

import math
import re
import tracemalloc
import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.regression_models import meta_regression
from metapeer.pooling.subgroups import subgroup_analysis
from metapeer.pooling.tau2 import TAU2_METHODS, estimate_tau2, tau2_se

# The Bayes modal estimate is never zero, and its prior is tied to a unit.
METHODS = tuple(method for method in TAU2_METHODS if method != "BM")

TWO_PEAKS = {"yi": [-0.9, 19.49, 1.17, 0.27], "vi": [0.159, 38.894, 0.53, 0.125]}
PEAK_BESIDE_ZERO = {"yi": [1.19, -18.05, 0.07], "vi": [0.803, 55.385, 0.102]}
AGREEING = {"yi": [0.1, 0.11, 0.09, 0.1], "vi": [0.01, 0.02, 0.015, 0.03]}
TOO_ALIKE = {"yi": [0.1, 0.1001, 0.0999, 0.1, 0.1], "vi": [0.5, 0.5, 0.5, 0.5, 0.5]}
PAIR = {"yi": [0.3, 0.9], "vi": [0.02, 0.05]}
TRIO = {"yi": [0.1, 0.5, 0.9], "vi": [0.02, 0.05, 0.03]}


def quietly(**arguments):
    """Fit data that are known to be doubtful."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return meta_analysis(**arguments)


def quiet_subgroups(data, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return subgroup_analysis(data, **arguments)


# Several maxima of the restricted likelihood


def test_reml_takes_the_higher_of_two_peaks_and_reports_the_other():
    with pytest.warns(DataWarning, match="several maxima"):
        found = meta_analysis(**TWO_PEAKS, ci_method="z")
    assert found.tau2 == pytest.approx(0.99887, abs=5e-6)
    assert found.estimate == pytest.approx(0.2947, abs=5e-5)
    ((other, drop),) = found.other_maxima
    assert other == pytest.approx(27.85, abs=0.005)
    assert drop == pytest.approx(10.6043 - 10.1805, abs=1e-4)


def test_reml_sees_a_peak_that_lies_close_to_zero():
    # metafor stops at 0, with a warning.
    found = quietly(**PEAK_BESIDE_ZERO)
    assert found.tau2 == pytest.approx(0.0910847, abs=5e-8)


def test_estimators_that_disagree_on_a_wild_set_keep_their_definitions():
    yi, vi = np.array(TWO_PEAKS["yi"]), np.array(TWO_PEAKS["vi"])
    assert estimate_tau2(yi, vi, "PM").tau2 == pytest.approx(65.03, abs=0.005)
    assert estimate_tau2(yi, vi, "DL").tau2 == pytest.approx(1.56, abs=0.005)


# Hartung-Knapp that collapses


def test_a_collapsed_hartung_knapp_interval_is_warned_of_and_shows_its_scale_factor():
    with pytest.warns(DataWarning, match="Hartung-Knapp interval is narrower"):
        found = meta_analysis(**AGREEING)
    classic = meta_analysis(**AGREEING, ci_method="z")
    assert found.se == pytest.approx(0.00393, abs=5e-6)
    assert classic.se == pytest.approx(0.06325, abs=5e-6)
    assert found.hk_q == pytest.approx((found.se / classic.se) ** 2, rel=1e-12)
    assert any("narrower" in note for note in found.notes)


@pytest.mark.parametrize("ci_method", ["z", "t", "HK_se", "HK_ci", "HK_IQWiG6"])
def test_intervals_that_cannot_collapse_are_not_warned_of(ci_method):
    assert meta_analysis(**AGREEING, ci_method=ci_method).se >= 0.0632


def test_hybrid_interval_is_the_wider_of_hartung_knapp_and_normal():
    for data in (AGREEING, TRIO):
        widths = [quietly(**data, ci_method=m).ci.width for m in ("HK", "z")]
        assert meta_analysis(**data, ci_method="HK_ci").ci.width == max(widths)


# The Q-profile interval


def test_an_empty_q_profile_set_is_flagged_and_not_shown_as_zero_to_zero():
    found = quietly(**TOO_ALIKE)
    assert found.tau2_ci.empty
    assert found.I2_ci.empty
    assert all(math.isnan(end) for end in (*found.tau2_ci, *found.I2_ci))
    assert any("empty" in note for note in found.notes)
    assert found.tau2 == 0.0


def test_a_q_profile_set_that_is_not_empty_is_not_flagged():
    found = meta_analysis(**TRIO)
    assert not found.tau2_ci.empty
    assert not any("empty" in note for note in found.notes)


def test_upper_end_of_the_q_profile_interval_is_not_capped():
    # Equal variances: Q(tau2) = S / (v + tau2) with S the sum of squares, so the end is S / chi2(.025, 1 df) - v. The
    # quantile is the square of the normal quantile at .5125.
    found = quietly(yi=[0.0, 1.0], vi=[0.1, 0.1])
    assert found.tau2_ci.high == pytest.approx(0.5 / 0.0313379820214**2 - 0.1, rel=1e-9)
    assert found.tau2_ci.high > 100


def test_lower_end_of_the_q_profile_interval_is_zero_when_homogeneity_is_not_rejected():
    found = meta_analysis(**TRIO, ci_method="z", level=0.999)
    assert found.Q_p > 0.001
    assert found.tau2_ci.low == 0.0
    assert found.I2_ci.low == 0.0


# No study, one study, two studies


def test_no_study_at_all_is_an_error():
    with pytest.raises(DataError, match="no effect"):
        meta_analysis(yi=[], vi=[])
    with pytest.raises(DataError, match="no effect"):
        meta_analysis(pd.DataFrame({"yi": [], "vi": []}))


def test_a_table_whose_every_row_is_excluded_is_an_error_that_says_why():
    table = pd.DataFrame({"study_id": ["a"], "yi": [np.nan], "vi": [np.nan], "exclusion_reason": ["sd1 is missing"]})
    with pytest.raises(DataError, match="sd1 is missing"):
        meta_analysis(table)


@pytest.mark.parametrize("model", ["random", "common"])
def test_one_study_pools_to_itself_with_a_normal_interval(model):
    found = meta_analysis(yi=[0.4], vi=[0.04], model=model)
    assert found.k == 1
    assert found.estimate == 0.4
    assert found.se == pytest.approx(0.2)
    assert tuple(found.ci) == pytest.approx((0.4 - 0.2 * 1.959963984540054, 0.4 + 0.2 * 1.959963984540054))
    assert found.ci_method == "z"
    assert found.df is None
    assert found.weights.tolist() == [100.0]
    assert found.prediction_interval is None
    assert any("one study" in note for note in found.notes)


def test_one_study_says_nothing_of_heterogeneity():
    found = meta_analysis(yi=[0.4], vi=[0.04])
    for value in (
        found.tau2,
        found.tau,
        found.tau2_se,
        found.I2,
        found.H2,
        found.I2_Q,
        found.H2_Q,
        found.hk_q,
        found.Q_p,
    ):
        assert math.isnan(value)
    assert found.Q_df == 0
    assert found.Q == 0.0


def test_two_studies_have_one_degree_of_freedom():
    found = meta_analysis(**PAIR)
    assert found.df == 1
    assert tuple(found.ci) == pytest.approx((-3.22, 4.37), abs=0.006)
    # Its half-width over its standard error is the t quantile of one degree of freedom.
    assert (found.ci.high - found.estimate) / found.se == pytest.approx(12.706204736174698, rel=1e-9)


def test_two_studies_have_no_prediction_interval_with_k_minus_2_degrees_of_freedom():
    for method in ("HTS", "HK-PR"):
        found = meta_analysis(**PAIR, prediction_method=method)
        assert found.prediction_interval is None
        assert any("no prediction interval" in note for note in found.notes)
    assert meta_analysis(**PAIR, prediction_method="V").prediction_interval is not None


@pytest.mark.parametrize("k", [2, 3, 4])
def test_a_prediction_interval_from_fewer_than_five_studies_is_noted(k):
    found = meta_analysis(yi=[0.1, 0.5, 0.9, 0.2][:k], vi=[0.02] * k)
    assert any("fewer than five" in note for note in found.notes)


def test_a_common_effect_has_no_prediction_interval_and_no_tau2():
    found = meta_analysis(**TRIO, model="common")
    assert found.prediction_interval is None
    assert found.tau2 == 0.0
    assert found.tau2_ci is None


# Scale


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1e-8, 1e4])
@pytest.mark.parametrize("data", [PAIR, TRIO, TWO_PEAKS, PEAK_BESIDE_ZERO, AGREEING, TOO_ALIKE])
def test_units_of_the_effects_do_not_matter(data, factor, method):
    yi, vi = np.array(data["yi"]), np.array(data["vi"])
    plain = quietly(yi=yi, vi=vi, tau2_method=method)
    scaled = quietly(yi=yi * factor, vi=vi * factor**2, tau2_method=method)
    assert scaled.estimate == pytest.approx(plain.estimate * factor, rel=1e-9)
    assert scaled.tau2 == pytest.approx(plain.tau2 * factor**2, rel=1e-8, abs=1e-12 * factor**2 * np.median(vi))
    assert tuple(scaled.ci) == pytest.approx(tuple(end * factor for end in plain.ci), rel=1e-8)
    assert scaled.I2 == pytest.approx(plain.I2, rel=1e-8, abs=1e-9)
    assert scaled.p_value == pytest.approx(plain.p_value, rel=1e-8)
    assert tuple(scaled.tau2_ci) == pytest.approx(
        tuple(end * factor**2 for end in plain.tau2_ci), rel=1e-8, nan_ok=True
    )
    assert len(scaled.other_maxima) == len(plain.other_maxima)


@pytest.mark.parametrize("method", METHODS)
def test_large_effects_that_hardly_differ_keep_their_digits(method):
    # The mean is near 1e6 and the spread near 1: naive sums of squares would lose all of tau2.
    yi, vi = np.array([0.25, 0.5, 1.75, 2.0]), np.array([0.25, 0.125, 0.5, 0.0625])
    plain = estimate_tau2(yi, vi, method)
    assert estimate_tau2(yi + 2.0**20, vi, method).tau2 == pytest.approx(plain.tau2, rel=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_equal_effects_have_no_tau2(method):
    assert estimate_tau2(np.full(4, 0.3), np.array([0.01, 0.02, 0.03, 0.04]), method).tau2 == 0.0


def test_equal_effects_give_a_hartung_knapp_interval_without_width_and_no_test():
    found = quietly(yi=[0.3, 0.3, 0.3], vi=[0.01, 0.02, 0.03])
    assert tuple(found.ci) == pytest.approx((0.3, 0.3), abs=1e-15)
    assert found.estimate == pytest.approx(0.3, abs=1e-15)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("small", [1e-4, 1e-8, 1e-12])
def test_one_study_of_overwhelming_precision_does_no_harm(method, small):
    found = quietly(yi=[0.1, 0.4, 2.5], vi=[small, 10.0, 1.0], tau2_method=method)
    numbers = (found.estimate, found.se, *found.ci, found.tau2, found.tau2_se, found.Q, found.I2, *found.tau2_ci)
    assert np.isfinite(numbers).all()
    # As that study's weight grows the mean becomes its effect.
    assert found.Q == pytest.approx(0.3**2 / 10 + 2.4**2, rel=20 * small + 1e-12)


@pytest.mark.parametrize("small", [1e-2, 1e-6, 1e-8, 1e-10])
@pytest.mark.parametrize("method", ["REML", "ML", "PM", "DL", "HE", "HS"])
def test_standard_error_of_tau2_survives_one_study_of_overwhelming_precision(method, small):
    # Written as w - w²/sum(w), the diagonal of P loses every digit here. All methods put tau2 at zero, where the
    # expression can be worked out in exact fractions: P = W - ww'/sum(w), for HE with weights of one.
    yi, vi = np.array([0.1, 0.4, 0.2]), np.array([small, 10.0, 1.0])
    found = estimate_tau2(yi, vi, method)
    assert found.tau2 == 0.0
    v = [Fraction(float(x)) for x in vi]
    w = [Fraction(1)] * 3 if method == "HE" else [1 / x for x in v]
    total = sum(w)
    p = [[(w[i] if i == j else 0) - w[i] * w[j] / total for j in range(3)] for i in range(3)]
    squares = float(sum(p[i][j] ** 2 for i in range(3) for j in range(3)))
    pvpv = float(sum(p[i][j] ** 2 * v[i] * v[j] for i in range(3) for j in range(3)))
    trace = float(sum(p[i][i] for i in range(3)))
    expected = {
        "REML": math.sqrt(2 / squares),
        "ML": math.sqrt(2 / float(sum(x * x for x in w))),
        "PM": math.sqrt(2 * 9 / 2) / float(total),
        "DL": math.sqrt(2 * pvpv) / trace,
        "HE": math.sqrt(2 * pvpv) / 2,
        "HS": math.sqrt(2 * pvpv) / float(total),
    }
    assert found.se == pytest.approx(expected[method], rel=1e-6)


# What is refused


@pytest.mark.parametrize("bad", [0.0, -0.1, math.nan, math.inf, -math.inf])
def test_a_variance_that_is_not_positive_and_finite_is_refused_with_its_row(bad):
    with pytest.raises(DataError) as caught:
        meta_analysis(yi=[0.1, 0.2, 0.3], vi=[0.1, bad, 0.1], labels=["smith2014", "jones2016", "wu2020"])
    (fault,) = caught.value.faults
    assert fault.row == "jones2016"
    assert fault.column == "vi"


@pytest.mark.parametrize("bad", [0.0, -0.1, math.nan, math.inf])
def test_a_standard_error_that_is_not_positive_and_finite_is_refused_with_its_row(bad):
    with pytest.raises(DataError, match="jones2016"):
        meta_analysis(yi=[0.1, 0.2], sei=[0.1, bad], labels=["smith2014", "jones2016"])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_effect_that_is_not_finite_is_refused_with_its_row(bad):
    table = pd.DataFrame({"study_id": ["smith2014", "jones2016"], "yi": [0.1, bad], "vi": [0.1, 0.1]})
    with pytest.raises(DataError) as caught:
        meta_analysis(table)
    (fault,) = caught.value.faults
    assert fault.row == "jones2016"
    assert fault.column == "yi"


def test_every_fault_is_listed_at_once():
    table = pd.DataFrame({"study_id": ["a", "b", "c"], "yi": [np.nan, 0.2, np.inf], "vi": [0.1, -1.0, 0.0]})
    with pytest.raises(DataError) as caught:
        meta_analysis(table)
    assert [(f.row, f.column) for f in caught.value.faults] == [("a", "yi"), ("b", "vi"), ("c", "yi"), ("c", "vi")]


def test_text_among_the_numbers_is_refused_with_its_row():
    table = pd.DataFrame({"study_id": ["smith2014", "jones2016"], "yi": ["0.1", "about 0.2"], "vi": [0.1, 0.1]})
    with pytest.raises(DataError, match=r"about 0\.2") as caught:
        meta_analysis(table)
    assert "jones2016" in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"yi": [0.1, 0.2], "vi": [0.1]}, id="lengths-differ"),
        pytest.param({"yi": [0.1, 0.2]}, id="no-variances"),
        pytest.param({"yi": [0.1], "vi": [0.1], "sei": [0.3]}, id="two-kinds-of-variance"),
        pytest.param({"vi": [0.1]}, id="no-effects"),
        pytest.param({}, id="nothing"),
        pytest.param({"yi": [[0.1, 0.2]], "vi": [[0.1, 0.2]]}, id="two-dimensional"),
        pytest.param({"yi": 0.1, "vi": 0.1}, id="bare-numbers"),
        pytest.param({"yi": ["x", "y"], "vi": [0.1, 0.1]}, id="words"),
        pytest.param({"yi": [None, 0.1], "vi": [0.1, 0.1]}, id="none"),
        pytest.param({"yi": [0.1, 0.2], "vi": [0.1, 0.1], "labels": ["a"]}, id="labels-too-few"),
        pytest.param({"yi": [0.1, 0.2], "vi": [0.1, 0.1], "level": 95}, id="level-in-per-cent"),
        pytest.param({"yi": [0.1, 0.2], "vi": [0.1, 0.1], "level": 0.0}, id="level-zero"),
        pytest.param({"yi": [0.1, 0.2], "vi": [0.1, 0.1], "level": math.nan}, id="level-nan"),
        pytest.param({"data": pd.DataFrame({"effect": [0.1]})}, id="table-without-effects"),
        pytest.param({"data": [0.1, 0.2]}, id="not-a-table"),
    ],
)
def test_unusable_arguments_are_the_callers_fault(arguments):
    with pytest.raises(MetapeerError):
        meta_analysis(**arguments)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("tau2_method", "RELM"),
        ("tau2_method", "reml"),
        ("ci_method", "knha"),
        ("prediction_method", "KRR"),
        ("model", "fixed"),
        ("tau2_method", 7),
    ],
)
def test_an_unknown_option_is_refused_by_name(option, value):
    with pytest.raises(ChoiceError, match=option):
        meta_analysis(**TRIO, **{option: value})


ABOUT_TAU2 = {"tau2_method": "REML", "tau2_ci_method": "QP", "prediction_method": "V", "preset": "meta"}


@pytest.mark.parametrize("option", ABOUT_TAU2)
def test_a_common_effect_refuses_options_that_would_do_nothing(option):
    # Even the default: what has no effect is not to be asked for.
    chosen = {option: ABOUT_TAU2[option]}
    table = table_of(list("aabb"), [0.1, 0.5, 0.2, 0.4], [0.02, 0.03, 0.04, 0.02]).assign(year=[1, 2, 3, 5])
    with pytest.raises(ChoiceError, match=f"^{option} has no effect"):
        meta_analysis(**TRIO, model="common", **chosen)
    with pytest.raises(ChoiceError, match=f"^{option} has no effect"):
        subgroup_analysis(table, by="level", model="common", **chosen)
    if option.startswith("tau2"):
        with pytest.raises(ChoiceError, match=f"^{option} has no effect"):
            meta_regression(table, moderators="year", model="common", **chosen)


def test_a_common_effect_has_no_hartung_knapp_interval():
    with pytest.raises(ChoiceError, match="random-effects"):
        meta_analysis(**TRIO, model="common", ci_method="HK")


def test_subgroups_with_a_common_effect_have_no_tau2_to_share():
    table = table_of(list("aabb"), [0.1, 0.5, 0.2, 0.4], [0.02, 0.03, 0.04, 0.02])
    with pytest.raises(ChoiceError, match=r"^tau2 has no effect"):
        subgroup_analysis(table, by="level", model="common", tau2="common")


# Duplicates, and what a result lets one do


def test_a_study_entered_twice_under_one_name_is_warned_of():
    table = pd.DataFrame({"study_id": ["a", "a", "b"], "yi": [0.1, 0.1, 0.5], "vi": [0.02, 0.02, 0.03]})
    with pytest.warns(DataWarning, match="2 trials"):
        found = meta_analysis(table)
    assert found.k == 3
    assert found.trials == 2


def test_rows_of_one_trial_get_names_that_tell_them_apart():
    table = pd.DataFrame(
        {"study_id": ["a", "a", "b"], "outcome": ["hope", "recovery", "hope"], "yi": [0.1, 0.2, 0.5], "vi": [0.02] * 3}
    )
    assert len(set(quietly(data=table).labels)) == 3


def test_a_result_cannot_be_edited():
    found = meta_analysis(**TRIO)
    with pytest.raises(AttributeError):
        found.estimate = 0.0
    for array in (found.yi, found.vi, found.weights):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 9.0


def test_the_callers_arrays_stay_his_own():
    yi, vi = np.array(TRIO["yi"]), np.array(TRIO["vi"])
    found = meta_analysis(yi=yi, vi=vi)
    yi[0] = 99.0
    vi[0] = 99.0
    assert found.yi[0] == TRIO["yi"][0]
    assert found.vi[0] == TRIO["vi"][0]


def test_standard_errors_are_variances_under_the_root():
    by_variance = meta_analysis(**TRIO)
    by_error = meta_analysis(yi=TRIO["yi"], sei=np.sqrt(TRIO["vi"]))
    assert by_error.estimate == pytest.approx(by_variance.estimate, rel=1e-13)
    assert tuple(by_error.ci) == pytest.approx(tuple(by_variance.ci), rel=1e-12)


def test_scalars_of_a_result_are_plain_python_numbers():
    found = meta_analysis(**TRIO)
    for name in (
        "estimate",
        "se",
        "statistic",
        "df",
        "p_value",
        "tau2",
        "tau",
        "tau2_se",
        "Q",
        "I2",
        "H2",
        "I2_Q",
        "hk_q",
    ):
        assert type(getattr(found, name)) is float, name
    assert {type(end) for end in (*found.ci, *found.tau2_ci, *found.prediction_interval)} == {float}


def test_excluded_rows_are_listed_and_do_not_count():
    table = pd.DataFrame(
        {
            "study_id": ["a", "b", "c"],
            "yi": [0.1, np.nan, 0.5],
            "vi": [0.02, np.nan, 0.03],
            "exclusion_reason": ["", "sd1 is missing", ""],
        }
    )
    found = meta_analysis(table)
    assert found.k == 2
    assert found.excluded == (("b", "sd1 is missing"),)
    assert found.estimate == pytest.approx(meta_analysis(yi=[0.1, 0.5], vi=[0.02, 0.03]).estimate, rel=1e-14)


def test_mixed_measures_are_refused():
    table = pd.DataFrame({"yi": [0.1, 0.2], "vi": [0.1, 0.1], "measure": ["SMD", "RR"]})
    with pytest.raises(DataError, match="measure"):
        meta_analysis(table)


@pytest.mark.parametrize("method", METHODS)
def test_ten_thousand_rows_need_no_matrix_of_a_hundred_million_numbers(method):
    i = np.arange(10_000)
    yi, vi = 0.3 * np.sin(i), 0.01 + 0.1 * (i % 7)
    tracemalloc.start()
    found = meta_analysis(yi=yi, vi=vi, tau2_method=method, ci_method="z")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    assert found.k == 10_000
    assert math.isfinite(found.tau2_se)


# Subgroups


def table_of(levels, yi, vi, **columns):
    return pd.DataFrame({"level": levels, "yi": yi, "vi": vi, **columns})


ONE_ALONE = table_of(list("abbbb"), [0.5, 0.1, 0.9, -0.4, 0.7], [0.04, 0.02, 0.05, 0.03, 0.02])


def test_a_subgroup_of_one_study_keeps_that_studys_interval_when_tau2_is_separate():
    found = subgroup_analysis(ONE_ALONE, by="level", ci_method="z")
    alone = found["a"]
    assert alone.k == 1
    assert alone.estimate == 0.5
    assert alone.se == pytest.approx(0.2, rel=1e-12)
    assert math.isnan(alone.tau2)


def test_a_subgroup_of_one_study_borrows_the_common_tau2():
    # What a new subgroup mean is known to within includes the spread of studies: metafor's predict() after a
    # meta-regression gives the same.
    found = subgroup_analysis(ONE_ALONE, by="level", tau2="common", ci_method="z")
    alone = found["a"]
    assert found.tau2_common > 0
    assert alone.tau2 == found.tau2_common
    assert alone.se == pytest.approx(math.sqrt(0.04 + found.tau2_common), rel=1e-12)
    # Q is then the squared distance between the two, and the intervals shown are those the test used.
    q = (alone.estimate - found["b"].estimate) ** 2 / (alone.se**2 + found["b"].se ** 2)
    assert found.Q_between == pytest.approx(q, rel=1e-10)


def test_one_subgroup_has_nothing_to_be_compared_with():
    found = subgroup_analysis(table_of(list("aaa"), **TRIO), by="level")
    assert found.test == ""
    assert math.isnan(found.Q_between)
    assert math.isnan(found.p_value)
    assert found["a"].estimate == found.overall.estimate


def test_rows_without_a_subgroup_are_listed_and_not_pooled():
    levels = ["a", None, "a", "b", "b"]
    found = quiet_subgroups(table_of(levels, [0.1, 9.0, 0.2, 0.3, 0.5], [0.02] * 5), by="level")
    assert found.overall.k == 4
    assert sum(result.k for result in found.results) == 4
    assert [label for label, _ in found.overall.excluded] == ["1"]


def test_subgroups_can_be_crossed():
    table = table_of(list("aabb"), [0.1, 0.2, 0.3, 0.5], [0.02] * 4, other=["x", "y", "x", "y"])
    assert len(quiet_subgroups(table, by=["level", "other"], ci_method="z").levels) == 4


def test_no_degrees_of_freedom_for_a_common_tau2_is_an_error_and_not_a_number():
    with pytest.raises(MetapeerError):
        subgroup_analysis(table_of(list("ab"), [0.1, 0.5], [0.02, 0.03]), by="level", tau2="common")


def test_a_trial_in_two_subgroups_is_warned_of():
    table = table_of(list("aabb"), [0.1, 0.2, 0.3, 0.5], [0.02] * 4, study_id=["s", "t", "s", "u"])
    with pytest.warns(DataWarning, match="more than one subgroup"):
        subgroup_analysis(table, by="level", ci_method="z")


def test_an_unknown_subgroup_column_or_sharing_is_refused_by_name():
    table = table_of(list("aabb"), [0.1, 0.2, 0.3, 0.5], [0.02] * 4)
    with pytest.raises(DataError, match="format"):
        subgroup_analysis(table, by="format")
    with pytest.raises(ChoiceError, match="tau2"):
        subgroup_analysis(table, by="level", tau2="shared")
    with pytest.raises(ChoiceError, match="subgroup"):
        subgroup_analysis(table, by="level", ci_method="z")["c"]


@pytest.mark.parametrize("tau2", ["separate", "common"])
def test_the_test_between_subgroups_does_not_depend_on_their_order_or_unit(tau2):
    table = table_of(list("aabbbcc"), [0.1, 0.4, 0.3, 0.8, -0.2, 0.9, 0.2], [0.02, 0.01, 0.05, 0.03, 0.02, 0.04, 0.03])
    shuffled = table.iloc[[6, 2, 0, 5, 3, 1, 4]]
    scaled = table.assign(yi=table["yi"] * 1e4, vi=table["vi"] * 1e8)
    for ci_method in ("z", "HK"):
        found, *others = (
            quiet_subgroups(data, by="level", tau2=tau2, ci_method=ci_method) for data in (table, shuffled, scaled)
        )
        for other in others:
            assert other.Q_between == pytest.approx(found.Q_between, rel=1e-9)
            assert other.p_value == pytest.approx(found.p_value, rel=1e-8)


ANEW = [("REML", "KR"), ("ML", "PL"), ("ML", "PL_B"), ("DL", "perm"), ("DL", "HC"), ("DL", "IVhet")]


@pytest.mark.parametrize(("tau2_method", "ci_method"), ANEW)
def test_an_interval_that_estimates_tau2_anew_is_refused_beside_a_common_tau2(tau2_method, ci_method):
    table = pd.DataFrame({"yi": [0.1, 0.3, 0.2, 0.5], "vi": [0.02] * 4, "g": list("aabb")})
    with pytest.raises(ChoiceError, match="does not go with tau2='common'"):
        subgroup_analysis(table, by="g", tau2="common", tau2_method=tau2_method, ci_method=ci_method)
    with pytest.raises(ChoiceError, match="NNF"):
        subgroup_analysis(table, by="g", tau2="common", prediction_method="NNF")
    assert subgroup_analysis(table, by="g", tau2_method=tau2_method, ci_method=ci_method)["a"].ci_method == ci_method


@pytest.mark.parametrize("ci_method", ["HC", "IVhet"])
def test_an_estimate_with_the_weights_of_a_common_effect_says_so(ci_method):
    yi, vi = [0.1, 0.3, 0.9, 0.5], [0.01, 0.02, 0.05, 0.1]
    found = quietly(yi=yi, vi=vi, tau2_method="DL", ci_method=ci_method)
    common = quietly(yi=yi, vi=vi, model="common")
    assert found.estimate == pytest.approx(common.estimate, rel=1e-14)
    assert found.weights == pytest.approx(common.weights, rel=1e-14)
    assert found.weighting == "common-effect weights"
    assert "common-effect weights" in found.summary().splitlines()[0]


def test_a_tau2_shared_by_subgroups_is_not_held_against_the_estimators_of_one():
    table = pd.DataFrame({"yi": [0.1, 0.1, 0.1, 0.0, 2.0, 4.0], "vi": [0.05] * 6, "g": list("aaabbb")})
    found = subgroup_analysis(table, by="g", tau2="common")
    assert not any("disagree" in note for note in found["a"].notes)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"yi": [0.2, 0.3], "vi": [1e200, 1.0]}, "too large a sampling variance to compute with"),
        ({"yi": [0.2, 0.3], "vi": [1e-300, 1.0]}, "too small a sampling variance to compute with"),
        ({"yi": [0.2, 0.3], "sei": [1e-70, 1.0]}, "too small a standard error to compute with"),
        ({"yi": [1e70, 0.3], "vi": [1.0, 1.0]}, "1e+70 is too large to compute with"),
    ],
)
def test_numbers_that_would_overflow_are_refused(given, said):
    with pytest.raises(DataError, match=re.escape(said)):
        meta_analysis(**given)


def test_effects_that_agree_exactly_leave_no_doubt_of_the_next_one():
    with pytest.warns(DataWarning, match="Hartung-Knapp"):
        fit = meta_analysis(yi=[0.25, 0.25, 0.25], vi=[0.1, 0.1, 0.1])
    assert [fit.probability_above(c) for c in (0.0, 0.25, 0.5)] == [1.0, 0.5, 0.0]


def test_a_column_that_stands_twice_is_named():
    table = pd.DataFrame([[0.1, 0.2, 0.01], [0.3, 0.1, 0.02]], columns=["yi", "yi", "vi"])
    with pytest.raises(DataError, match="yi: stands in the table more than once"):
        meta_analysis(table)


def test_variances_a_design_cannot_carry_leave_no_standard_error_of_tau2_but_no_traceback():
    vi, X = 10.0 ** np.array([-18.0, 2.0, -10.0, 1.0]), np.column_stack([np.ones(4), [0.1, 3.0, -2.0, 0.4]])
    for method in ("REML", "DL", "HE", "GENQ"):
        assert not tau2_se(np.array([0.1, 0.3, -1.0, 0.2]), vi, 0.0, method, X) < 0

"""Selection models as a reader asks for them."""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.pooling.counts import mantel_haenszel
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.regression_models import meta_regression
from metapeer.sensitivity.selection_models import selection_model

YI = np.array(
    [0.03, 0.12, -0.14, 1.18, 0.26, -0.06, -0.02, -0.32, 0.27, 0.80, 0.54, 0.18, -0.02, 0.23, -0.18, -0.06, 0.30]
)
SEI = np.array([0.13, 0.15, 0.17, 0.37, 0.37, 0.10, 0.10, 0.22, 0.16, 0.25, 0.30, 0.22, 0.29, 0.29, 0.16, 0.17, 0.14])
YEAR = np.arange(2001, 2018)


def quiet(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return selection_model(*args, **options)


@functools.cache
def fitted(**options):
    """The same fit is asked for by several tests."""
    return quiet(yi=YI, sei=SEI, **options)


effects = st.lists(
    st.tuples(st.floats(-1.5, 2.5), st.floats(0.1, 0.6)), min_size=6, max_size=15, unique_by=lambda pair: pair[0]
)


@given(effects)
@settings(max_examples=5)
def test_with_all_weights_one_the_model_is_maximum_likelihood_without_selection(pairs):
    yi, sei = np.array(pairs).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        plain = meta_analysis(yi=yi, sei=sei, tau2_method="ML", ci_method="z")
    fit = quiet(yi=yi, sei=sei, weights=(1, 1))
    assert fit.estimate == pytest.approx(plain.estimate, rel=1e-8, abs=1e-9)
    assert fit.tau2 == pytest.approx(plain.tau2, rel=1e-7, abs=1e-9)
    assert fit.log_likelihood == pytest.approx(fit.unadjusted.log_likelihood, abs=1e-9)


@pytest.mark.sampled(keep=2)
@pytest.mark.parametrize(
    "options", [{"preset": "4PSM"}, {"type": "beta"}, {"type": "logistic", "prec": "vi"}, {"type": "trunc"}]
)
def test_units_and_the_favoured_sign_do_not_matter(options):
    one = quiet(yi=YI, sei=SEI, **options)
    other = quiet(yi=-1e4 * YI, sei=1e4 * SEI, alternative="less", **options)
    assert other.estimate == pytest.approx(-1e4 * one.estimate, rel=1e-7)
    assert other.se == pytest.approx(1e4 * one.se, rel=1e-6)
    assert other.tau2 == pytest.approx(1e8 * one.tau2, rel=1e-6, abs=1e-3)
    assert other.weights == pytest.approx(one.weights, rel=1e-6)
    assert other.log_likelihood == pytest.approx(one.log_likelihood - YI.size * np.log(1e4), abs=1e-8)


def test_the_order_of_rows_does_not_matter():
    turned = np.argsort(SEI)
    assert quiet(yi=YI[turned], sei=SEI[turned], preset="4PSM").estimate == pytest.approx(
        fitted(preset="4PSM").estimate, rel=1e-8
    )


def test_two_sided_models_are_symmetric():
    one = quiet(yi=YI, sei=SEI, alternative="two-sided")
    other = quiet(yi=-YI, sei=SEI, alternative="two-sided")
    assert other.estimate == pytest.approx(-one.estimate, rel=1e-7)
    assert one.steps == (0.05,)


def test_estimates_recover_what_selection_took_away():
    rng = np.random.default_rng(7)
    sei = rng.uniform(0.1, 0.4, 4000)
    yi = rng.normal(0.2, np.sqrt(0.04 + sei**2))
    seen = rng.uniform(size=4000) < np.where(norm.sf(yi / sei) <= 0.025, 1.0, 0.25)
    fit = selection_model(yi=yi[seen], sei=sei[seen], preset="3PSM")
    assert fit.unadjusted.ci_low[0] > 0.25
    assert fit.estimate == pytest.approx(0.2, abs=3 * fit.se[0])
    assert fit.tau2 == pytest.approx(0.04, abs=3 * fit.tau2_se)
    assert fit.weights[1] == pytest.approx(0.25, abs=3 * fit.weights_se[1])
    assert fit.selection_test.p_value < 1e-6
    assert fit.notes == ()


def test_a_fit_brings_its_effects_its_model_and_its_level():
    plain = meta_analysis(yi=YI, sei=SEI, model="common", level=0.9)
    of_fit, of_arrays = quiet(plain), quiet(yi=YI, sei=SEI, model="common", level=0.9)
    assert (of_fit.model, of_fit.level, of_fit.tau2_test) == ("common", 0.9, None)
    assert of_fit.ci_low[0] == of_arrays.ci_low[0]


def test_moderators_may_come_from_a_formula_or_from_a_fit():
    table = pd.DataFrame({"yi": YI, "sei": SEI, "year": YEAR})
    asked = quiet(table, moderators="year")
    fitted = quiet(meta_regression(table, formula="year"))
    assert asked.names == fitted.names == ("Intercept", "year")
    assert asked.beta == pytest.approx(fitted.beta, rel=1e-9)
    moved = quiet(table.assign(year=YEAR - 2000.0), moderators="year")
    assert moved.beta[1] == pytest.approx(asked.beta[1], rel=1e-6)
    assert moved.log_likelihood == pytest.approx(asked.log_likelihood, abs=1e-9)


def test_profile_limits_are_where_the_likelihood_ratio_reaches_its_quantile():
    fit = quiet(yi=YI, sei=SEI, preset="3PSM", ci_method="PL")
    gap = 0.5 * chi2.ppf(0.95, 1)
    for weight in (fit.weights_ci_low[1], fit.weights_ci_high[1]):
        held = quiet(yi=YI, sei=SEI, steps=0.025, weights=(1, weight))
        assert fit.log_likelihood - held.log_likelihood == pytest.approx(gap, abs=1e-7)
    assert fit.ci_low[0] < fit.estimate < fit.ci_high[0]


@pytest.mark.slow
def test_profile_limits_of_coefficients_do_not_hang_on_their_order():
    table = pd.DataFrame({"yi": YI, "sei": SEI, "year": YEAR - 2009.0, "x": np.cos(YEAR)})
    one = quiet(table, moderators=["year", "x"], ci_method="PL")
    other = quiet(table, moderators=["x", "year"], ci_method="PL")
    assert one.ci_low[[1, 2]] == pytest.approx(other.ci_low[[2, 1]], rel=1e-6)
    assert ((one.ci_low < one.beta) & (one.beta < one.ci_high)).all()


def test_decreasing_weights_never_rise_and_never_fit_better_than_free_ones():
    free = quiet(yi=YI, sei=SEI, steps=(0.025, 0.1, 0.5))
    ordered = quiet(yi=YI, sei=SEI, steps=(0.025, 0.1, 0.5), decreasing=True)
    assert (np.diff(ordered.weights) <= 1e-12).all()
    assert ordered.log_likelihood <= free.log_likelihood + 1e-9
    assert (np.diff(free.weights) > 0).any()


@pytest.mark.slow
def test_an_estimated_cut_beats_every_given_one():
    found = quiet(yi=YI, sei=SEI, type="truncest")
    for cut in (-0.1, 0.0, 0.2, 0.79, 0.8):
        assert quiet(yi=YI, sei=SEI, type="trunc", steps=cut).log_likelihood <= found.log_likelihood + 1e-9
    assert np.isnan(found.selection_test.p_value)


def test_given_weights_are_kept_and_others_estimated():
    fit = quiet(yi=YI, sei=SEI, steps=(0.025, 0.5), weights=(1, None, 0.5))
    assert fit.weights[2] == 0.5
    assert fit.weights_given == (True, False, True)
    assert fit.selection_test is None
    assert quiet(yi=YI, sei=SEI, steps=(0.025, 0.5), weights=(2, 2, 2)).estimate == pytest.approx(
        fit.unadjusted.estimate
    )


def test_published_weights_carry_their_own_steps_and_name():
    fit = quiet(yi=YI, sei=SEI, weights="severe", alternative="two-sided")
    assert len(fit.weights) == 14
    assert fit.alternative == "greater"
    assert "severe two-tailed" in fit.summary()
    assert fit.weights_given == (True,) * 14


def test_an_empty_interval_has_weight_zero_and_is_doubted():
    yi = np.where(YI < 0.0, 0.05, YI)
    with pytest.warns(DataWarning) as told:
        fit = selection_model(yi=yi, sei=SEI, preset="4PSM")
    assert any("no effect has 0.5 < p ≤ 1: its weight is estimated as 0" in str(one.message) for one in told)
    assert fit.weights[2] == 0.0
    assert np.isnan(fit.weights_ci_low[2])
    assert "0.000" in fit.summary()


def test_an_empty_first_interval_is_refused():
    with pytest.raises(DataError, match=r"none has p ≤ 0\.025"):
        selection_model(yi=-np.abs(YI), sei=SEI)
    assert quiet(yi=-np.abs(YI), sei=SEI, weights=(1, 0.5)).counts[0] == 0


def test_few_effects_sparse_intervals_and_a_wrong_side_are_doubted():
    with pytest.warns(DataWarning) as told:
        selection_model(yi=[0.9, 0.1, -0.8, -0.5, -0.6, -0.7], sei=[0.3] * 6)
    words = " | ".join(str(one.message) for one in told)
    assert "6 effects tell little" in words
    assert "1 effect with p ≤ 0.025" in words
    assert "alternative='less'" in words


def test_several_effects_of_a_trial_are_doubted():
    table = pd.DataFrame({"study_id": ["a", *"abcdefghijklmnop"], "yi": YI, "sei": SEI})
    with pytest.warns(DataWarning, match="17 effects from 16 trials are taken as independent"):
        selection_model(table, type="negexp")


def test_other_maxima_are_reported():
    fit = fitted(preset="4PSM")
    assert fit.certificate["other_maxima"] == 1
    assert any("other maxima" in note for note in fit.notes)


RIDGE = {
    "yi": [0.89, 1.59, 1.35, 1.44, 0.22, 0.79, 1.62, -0.01, 0.47, 1.37, 0.34, -0.45, 0.02],
    "vi": [0.33, 0.19, 0.42, 0.02, 0.05, 0.01, 0.22, 0.004, 0.06, 0.07, 0.01, 0.53, 0.07],
}


def test_a_ridge_is_doubted():
    with pytest.warns(DataWarning, match="along a ridge"):
        selection_model(**RIDGE, type="beta")
    assert not any("ridge" in note for note in quiet(**RIDGE, preset="3PSM").notes)


@pytest.mark.slow
def test_a_normal_interval_hides_a_ridge_that_a_profile_shows():
    fit, profiled = quiet(**RIDGE, type="beta"), quiet(**RIDGE, type="beta", ci_method="PL")
    assert fit.ci_low[0] - profiled.ci_low[0] > 2 * (fit.ci_high[0] - fit.ci_low[0])


def test_tests_and_criteria_follow_from_the_likelihoods():
    fit = fitted(type="beta")
    statistic = 2 * (fit.log_likelihood - fit.unadjusted.log_likelihood)
    assert fit.selection_test.statistic == pytest.approx(statistic)
    assert fit.selection_test.p_value == pytest.approx(chi2.sf(statistic, 2))
    assert pytest.approx(8 - 2 * fit.log_likelihood) == fit.AIC
    assert fit.certificate["gradient"] < 1e-6
    assert fit.certificate["quadrature_error"] < 1e-9


def test_the_weight_function_is_that_of_the_parameters():
    fit = fitted(type="negexp")
    frame = fit.weight_function([0.0, 0.3, 1.0])
    assert frame["weight"].tolist() == pytest.approx(np.exp(-fit.weights[0] * np.array([0.0, 0.3, 1.0])).tolist())
    beta = fitted(type="beta")
    a, b = beta.weights - 1.0
    expected = (0.3 / 0.025) ** a * (0.7 / 0.975) ** b
    assert beta.weight_function([0.3])["weight"][0] == pytest.approx(expected)
    steps = fitted(preset="4PSM")
    assert steps.weight_function([0.025, 0.0251, 0.9])["weight"].tolist() == steps.weights.tolist()


def test_a_threshold_leaves_significant_studies_their_weight():
    fit = fitted(type="halfnorm", steps=0.05)
    weight = fit.weight_function([0.01, 0.05, 0.5])["weight"].tolist()
    assert weight[:2] == pytest.approx([1.0, 1.0])
    assert weight[2] == pytest.approx(np.exp(-fit.weights[0] * (0.25 - 0.0025)))


def test_sample_sizes_may_set_the_precision():
    n = np.round(4 / SEI**2)
    table = pd.DataFrame({"yi": YI, "sei": SEI, "n1": n / 2, "n2": n / 2})
    by_n = quiet(table, type="negexp", prec="ninv")
    assert by_n.estimate == pytest.approx(quiet(table, type="negexp", prec="vi").estimate, abs=0.01)
    with pytest.raises(DataError, match="needs n1 and n2"):
        quiet(yi=YI, sei=SEI, type="negexp", prec="ninv")


def test_tables_and_text_hold_the_same_numbers():
    fit = fitted(preset="3PSM")
    frame = fit.to_frame()
    assert frame["part"].tolist() == ["mean", "tau2", "weight", "weight"]
    assert frame.loc[0, "estimate"] == fit.estimate
    assert f"{fit.estimate:.3f}" in fit.summary()
    assert f"{fit.weights[1]:.3f}" in fit._repr_html_()
    with pytest.raises(ValueError, match="read-only"):
        fit.beta[0] = 1.0


def test_figures_draw_every_weight_function_of_p():
    for options in ({"preset": "4PSM"}, {"type": "beta"}, {"type": "power", "alternative": "two-sided"}):
        figure = fitted(**options).plot()
        low, high = figure.axes[0].get_ylim()
        assert low < 0.0
        assert high > 1.0
    with pytest.raises(MetapeerError, match="no function of p"):
        quiet(yi=YI, sei=SEI, type="trunc").plot()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"type": "stepfn"}, "Did you mean 'stepfun'"),
        ({"alternative": "up"}, "alternative 'up' is unknown"),
        ({"steps": "0.025"}, "steps must be p values"),
        ({"steps": (0.5, 0.1)}, "steps must rise"),
        ({"steps": (0.0, 0.1)}, "between 0 and 1"),
        ({"steps": ()}, "steps must be p values"),
        ({"weights": (1, 0.5, 0.2)}, "3 values, but the steps make 2 intervals"),
        ({"weights": (0, 0.5)}, "above 0"),
        ({"weights": (1, -1)}, "a weight must be"),
        ({"weights": "mild"}, "weights 'mild' is unknown"),
        ({"weights": (1, 0.5), "decreasing": True}, "leave it out"),
        ({"type": "beta", "weights": (1, 1)}, "weights belong to"),
        ({"type": "beta", "steps": 0.05}, "no effect with type='beta'"),
        ({"type": "beta", "prec": "sei"}, "prec has no effect"),
        ({"prec": "se"}, "prec 'se' is unknown"),
        ({"type": "negexp", "steps": (0.025, 0.5)}, "one p value"),
        ({"type": "trunc", "alternative": "two-sided"}, "cuts effects at one value"),
        ({"type": "trunc", "steps": "a"}, "one effect"),
        ({"type": "truncest", "ci_method": "PL"}, "no profile"),
        ({"preset": "3PSM", "steps": 0.05}, "its own steps"),
        ({"ci_method": "HK"}, "ci_method 'HK' is unknown"),
        ({"model": "fixed"}, "model 'fixed' is unknown"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ChoiceError, match=words):
        quiet(yi=YI, sei=SEI, **options)


def test_input_that_cannot_be_used_is_refused():
    with pytest.raises(MetapeerError, match="give a fit"):
        quiet([1, 2, 3])
    with pytest.raises(ChoiceError, match="model has no effect"):
        quiet(meta_analysis(yi=YI, sei=SEI), model="common")
    with pytest.raises(DataError, match="2 effects cannot tell 3 parameters"):
        quiet(yi=[0.5, 0.1], sei=[0.1, 0.1])
    with pytest.raises(DataError, match="given as 0, but 14 effects lie there"):
        quiet(yi=YI, sei=SEI, weights=(1, 0))
    with pytest.raises(MetapeerError, match="moderators are columns"):
        quiet(yi=YI, sei=SEI, moderators="year")
    with pytest.raises(DataError):
        quiet(yi=[0.1, np.nan], sei=[0.1, 0.1])


@pytest.mark.sampled(keep=2)
@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e8, 1e30])
def test_huge_and_tiny_units_give_the_same_fit(scale):
    one, other = quiet(yi=YI, sei=SEI), quiet(yi=scale * YI, sei=scale * SEI)
    assert other.estimate == pytest.approx(scale * one.estimate, rel=1e-6)
    assert other.weights == pytest.approx(one.weights, rel=1e-6)


def test_overwhelming_effects_leave_nothing_to_adjust():
    yi = 5.0 + YI
    fit = quiet(yi=yi, sei=SEI / 3, weights=(1, 0.1))
    assert fit.estimate == pytest.approx(fit.unadjusted.estimate, rel=1e-9)


def test_a_fit_of_counts_is_not_taken_for_one_of_effects():
    counts = pd.DataFrame(
        {"events1": [4, 6, 3, 9], "total1": [50, 60, 40, 80], "events2": [8, 9, 7, 12], "total2": [52, 58, 41, 79]}
    )
    with pytest.raises(MetapeerError, match="pooled by Mantel-Haenszel"):
        selection_model(mantel_haenszel(counts, measure="OR"))

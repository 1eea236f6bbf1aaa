"""Methods for publication bias: against brute force, what must not change them, and what cannot be used."""

import dataclasses
import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.errors import ChoiceError, ConvergenceError, DataError, DataWarning, MetapeerError
from metapeer.plots.copas import copas_plot
from metapeer.pooling.models import meta_analysis
from metapeer.sensitivity import copas_models
from metapeer.sensitivity.copas_likelihood import ALIKE, copas_log_likelihood, hazard, maximise_copas
from metapeer.sensitivity.copas_models import copas_model
from metapeer.sensitivity.excess_significance_counts import successes_beyond
from metapeer.sensitivity.excess_significance_results import excess_significance_test
from metapeer.sensitivity.p_curve_results import p_curve
from metapeer.sensitivity.p_uniform_estimators import uniform_sum_quantile
from metapeer.sensitivity.p_uniform_results import p_uniform, p_uniform_star
from metapeer.sensitivity.reporting_bias_bound import largest_bias
from metapeer.sensitivity.reporting_bias_results import outcome_reporting_bias
from metapeer.sensitivity.waap_results import waap_wls
from metapeer.sensitivity.worst_case_results import publication_bias_sensitivity, worst_case

YI = np.array([0.62, 0.44, 0.81, 0.12, 0.2, 0.05, 0.66, -0.1, 0.31, 0.28, 0.9, 0.15])
SEI = np.array([0.2, 0.15, 0.3, 0.1, 0.12, 0.08, 0.25, 0.18, 0.14, 0.11, 0.35, 0.09])
QUICK = [p_curve, p_uniform, p_uniform_star, excess_significance_test, waap_wls, worst_case]
QUICK += [publication_bias_sensitivity, outcome_reporting_bias]


def copas_quickly(data=None, **options):
    return copas_model(data, **{"grid": 6, **options})


ALL = [*QUICK, copas_quickly]
quiet = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")


def numbers_of(function, found):
    """The estimates of a method that have the units of the effects."""
    if function is p_curve:
        return []
    if function is excess_significance_test:
        return [found.theta, found.limit]
    if function is publication_bias_sensitivity:
        return [*found.estimates, found.worst.estimate, *found.lows, *found.highs]
    if function is outcome_reporting_bias:
        return [*found.estimates, *found.lows, *found.highs]
    if function is copas_quickly:
        return found.estimate.tolist()
    return [found.estimate, *found.ci]


@quiet
@pytest.mark.parametrize("function", ALL)
def test_a_fit_a_table_and_arrays_give_the_same(function):
    data = pd.DataFrame({"study_id": [f"t{i}" for i in range(12)], "yi": YI, "sei": SEI, "measure": "SMD"})
    results = [function(data), function(yi=YI, sei=SEI, measure="SMD")]
    if function is not excess_significance_test:  # which takes tau² from a random-effects fit
        results.append(function(meta_analysis(data)))
    first, *others = [numbers_of(function, found) for found in results]
    for other in others:
        assert other == pytest.approx(first, nan_ok=True, rel=1e-9)
    assert len({found.summary() for found in results}) == 1
    assert "<table>" in results[0]._repr_html_()
    assert len(results[0].to_frame()) >= 1


@quiet
@pytest.mark.parametrize("function", ALL)
def test_turning_all_signs_turns_the_answer(function):
    right = function(yi=YI, sei=SEI)
    left = function(yi=-YI, sei=SEI)
    ours, theirs = numbers_of(function, right), numbers_of(function, left)
    assert sorted(np.negative(theirs)) == pytest.approx(sorted(ours), rel=1e-7, nan_ok=True)
    if function is not excess_significance_test and function is not waap_wls:
        assert {getattr(one, "worst", one).favoured for one in (right, left)} == {"positive", "negative"}


@quiet
@pytest.mark.parametrize(("function", "scale"), [*itertools.product(QUICK, [1e-8, 1e6]), (copas_quickly, 1e-8)])
def test_units_do_not_matter(function, scale):
    ours = numbers_of(function, function(yi=YI * scale, sei=SEI * scale))
    assert np.divide(ours, scale) == pytest.approx(
        numbers_of(function, function(yi=YI, sei=SEI)), rel=1e-6, nan_ok=True
    )


@st.composite
def studies(draw):
    k = draw(st.integers(3, 9))
    yi = draw(st.lists(st.floats(-1.0, 2.0).map(lambda x: round(x, 3)), min_size=k, max_size=k))
    sei = draw(st.lists(st.floats(0.05, 0.6).map(lambda x: round(x, 3)), min_size=k, max_size=k))
    return np.array(yi), np.array(sei)


@quiet
@settings(max_examples=4, deadline=None)
@given(studies(), st.randoms(use_true_random=False))
def test_the_order_of_studies_does_not_matter(data, chance):
    yi, sei = data
    order = list(range(yi.size))
    chance.shuffle(order)
    for function in (p_uniform_star, waap_wls, outcome_reporting_bias):
        options = {} if function is waap_wls else {"favoured": "positive"}
        ours = numbers_of(function, function(yi=yi, sei=sei, **options))
        theirs = numbers_of(function, function(yi=yi[order], sei=sei[order], **options))
        assert theirs == pytest.approx(ours, rel=1e-6, abs=1e-7)


@quiet
@settings(max_examples=40, deadline=None)
@given(studies(), st.sampled_from(["P", "LNP", "LN1MINP", "ML"]))
def test_p_uniform_intervals_hold_their_estimate_and_its_equation(data, method):
    yi, sei = data
    try:
        found = p_uniform(yi=yi, sei=sei, favoured="positive", method=method)
    except DataError:
        assert not (yi > 1.96 * sei).any()
        return
    assert found.ci.low <= found.estimate <= found.ci.high
    with np.errstate(divide="ignore"):
        target = {"P": found.q.sum() * 2, "LNP": -np.log(found.q).sum(), "LN1MINP": -np.log1p(-found.q).sum()}
    if method in target and found.q.min() > 1e-300 and found.q.max() < 1.0:
        assert target[method] == pytest.approx(found.significant, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8), st.integers(0, 8))
def test_counts_of_significant_studies_have_the_distribution_of_all_patterns(chances, least):
    brute = sum(
        math.prod(c if hit else 1 - c for c, hit in zip(chances, pattern, strict=True))
        for pattern in itertools.product((0, 1), repeat=len(chances))
        if sum(pattern) >= least
    )
    assert successes_beyond(np.array(chances), least) == pytest.approx(brute, abs=1e-12)


def test_uniform_sums_have_the_published_quantiles():
    # Irwin-Hall, as tabled in the R package puniform (7 decimals from Mathematica).
    table = {1: 0.025, 2: 0.2236068, 5: 1.2461056, 20: 7.4750896, 50: 21.0026248, 100: 44.3444582}
    assert {k: round(uniform_sum_quantile(0.025, k), 7) for k in table} == table


@quiet
@pytest.mark.parametrize("model", ["robust", "common"])
def test_at_the_s_values_estimate_and_limit_are_the_target(model):
    found = publication_bias_sensitivity(yi=YI, sei=SEI, model=model, target=0.18)
    for value, what in ((found.s_value, "estimates"), (found.s_value_ci, "lows")):
        assert 1.0 <= value < math.inf
        at = publication_bias_sensitivity(yi=YI, sei=SEI, model=model, selection_ratio=value, target=0.1)
        if value > 1.0:
            assert getattr(at, what)[0] == pytest.approx(0.18, abs=1e-9)
        else:
            assert getattr(at, what)[0] <= 0.18


@quiet
def test_the_worst_case_is_where_correction_for_ever_stronger_selection_leads():
    found = publication_bias_sensitivity(yi=YI, sei=SEI, selection_ratio=[1, 10, 1e9], model="common")
    assert found.estimates[2] == pytest.approx(found.worst.estimate, rel=1e-6)
    rest = ~found.worst.is_affirmative
    assert found.worst.estimate == pytest.approx(meta_analysis(yi=YI[rest], sei=SEI[rest], model="common").estimate)


@quiet
def test_effects_of_one_trial_are_one_cluster_in_the_robust_model():
    data = pd.DataFrame({"study_id": [f"t{i // 2}" for i in range(12)], "yi": YI, "sei": SEI})
    alone = worst_case(data.assign(study_id=[f"t{i}" for i in range(12)]))
    together = worst_case(data)
    assert together.estimate == pytest.approx(alone.estimate)
    assert together.se != pytest.approx(alone.se, rel=1e-3)


def test_the_bound_of_reporting_bias_is_that_of_reporting_the_largest_effects_only():
    """With equal errors the worst rule reports the largest effects; their mean excess is that of a truncated normal."""
    rng = np.random.default_rng(1)
    draws = np.sort(rng.normal(0.0, 0.2, 2_000_000))
    for k, missing in ((10, 1), (10, 5), (4, 4)):
        kept = draws[round(draws.size * missing / (k + missing)) :]
        assert largest_bias(np.full(k, 0.04), 0.0, missing) == pytest.approx(kept.mean(), abs=1e-3)


@quiet
def test_so_many_suspected_studies_as_are_named_move_the_estimate_to_the_target():
    found = outcome_reporting_bias(yi=YI, sei=SEI, k_suspect=[3, 1, 3], target=0.1)
    assert found.k_suspect == (0, 1, 3)
    assert largest_bias(SEI**2, found.fit.tau2, found.k_for_estimate) == pytest.approx(found.fit.estimate - 0.1)
    assert 0 < found.k_for_ci < found.k_for_estimate
    assert outcome_reporting_bias(yi=YI, sei=SEI, target=5.0).k_for_estimate == 0.0


@quiet
def test_without_selection_copas_model_is_the_random_effects_model_by_ml():
    found = copas_quickly(yi=YI, sei=SEI)
    fit = meta_analysis(yi=YI, sei=SEI, tau2_method="ML")
    assert found.estimate[0] == pytest.approx(fit.estimate, abs=1e-9)
    assert found.tau2[0] == pytest.approx(fit.tau2, abs=1e-9)
    assert found.publication_probability[0] == 1.0
    assert found.unpublished[0] == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(found.rho[0])
    assert found.gradient < 1e-6
    assert (np.diff(found.publication_probability) <= 0).all()
    assert (np.diff(found.unpublished) >= 0).all()


@settings(max_examples=30, deadline=None)
@given(studies(), st.floats(-0.9, 0.9), st.floats(0.01, 0.5), st.floats(-1.0, 2.0))
def test_the_gradient_of_copas_likelihood_is_its_slope(data, rho, tau2, gamma0):
    yi, sei = data
    x, gamma = np.array([[0.3, rho, tau2, 0.2]]), np.array([[gamma0, 0.1]])
    _, gradient = copas_log_likelihood(x, gamma, yi, sei)
    for j in range(4):
        step = np.zeros((1, 4))
        step[0, j] = 1e-6
        up, down = (copas_log_likelihood(x + sign * step, gamma, yi, sei)[0][0] for sign in (1, -1))
        assert gradient[0, j] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-4)


@quiet
def test_waap_falls_back_to_all_studies_when_none_is_adequately_powered():
    found = waap_wls(yi=[0.1, 0.2, 0.05, 0.12], sei=[0.3, 0.25, 0.4, 0.35])
    assert (found.used, found.adequate, found.waap) == ("WLS", 0, None)
    assert found.estimate == found.wls.estimate
    assert "needs 2 adequately powered studies" in found.summary()


def test_few_studies_shared_trials_and_heterogeneity_are_doubted_in_words():
    data = pd.DataFrame({"study_id": list("aabbcd"), "yi": [0.5, 0.9, 1.5, 0.1, 0.6, 1.2], "vi": [0.02] * 6})
    with pytest.warns(DataWarning) as caught:
        found = p_uniform(data)
    said = " ".join(str(one.message) for one in caught)
    for words in ("fewer than 10", "taken as independent", "p_uniform_star() allows for it"):
        assert words in said
        assert words in found.summary()


def test_enough_independent_homogeneous_studies_raise_no_doubt():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yi = np.linspace(0.5, 0.7, 14)
        for function in (p_curve, p_uniform, excess_significance_test, outcome_reporting_bias, waap_wls):
            function(yi=yi, sei=[0.1] * 14)


@quiet
def test_evidential_value_follows_the_authors_rules():
    strong = p_curve(yi=[0.5] * 12, sei=[0.1] * 12)
    assert (strong.evidential_value, strong.evidence_absent) == (True, False)
    weak = p_curve(yi=[0.2] * 12, sei=[0.2 / 2.0] * 12)
    assert (weak.evidential_value, weak.evidence_absent) == (False, True)
    assert "inadequate or absent" in weak.summary()
    curve = weak.curve()
    assert curve["observed"].sum() == pytest.approx(100.0)
    assert curve["power_33"].sum() == pytest.approx(100.0)


@quiet
@pytest.mark.parametrize("function", ALL)
def test_what_cannot_be_used_is_said(function):
    with pytest.raises(DataError, match="finite number"):
        function(yi=[0.1, math.nan, 0.4], sei=[0.1, 0.1, 0.2])
    with pytest.raises(DataError, match="standard error"):
        function(yi=[0.1, 0.3, 0.4], sei=[0.1, 0.0, 0.2])
    with pytest.raises(MetapeerError, match="a fit, a table"):
        function()
    with pytest.raises(MetapeerError, match="data is a list"):
        function([0.1, 0.2])
    with pytest.raises(MetapeerError, match="give it alone"):
        function(meta_analysis(yi=YI, sei=SEI), measure="SMD")
    with pytest.raises(MetapeerError, match="not both"):
        function(pd.DataFrame({"yi": YI, "sei": SEI}), yi=YI)
    with pytest.raises(DataError):
        function(pd.DataFrame({"yi": [], "vi": []}))
    with pytest.raises(DataError, match="no arms"):
        function(pd.DataFrame({"yi": [None], "vi": [None], "exclusion_reason": ["no arms"]}))
    if function is not waap_wls:
        with pytest.raises(ChoiceError, match="favoured 'up' is unknown"):
            function(yi=YI, sei=SEI, favoured="up")


@quiet
@pytest.mark.parametrize(
    ("function", "options", "error", "words"),
    [
        (p_curve, {"yi": [0.1, 0.2]}, DataError, "significant at 0.05"),
        (p_uniform, {"yi": [0.1, 0.2]}, DataError, "nothing to go by"),
        (p_uniform, {"method": "KS"}, ChoiceError, "method 'KS' is unknown"),
        (p_uniform, {"alpha": 1.5}, ChoiceError, "alpha"),
        (p_uniform_star, {"yi": [0.1]}, DataError, "2 effects or more"),
        (p_uniform_star, {"yi": [0.5, 0.6], "sei": [0.2, 0.3]}, ConvergenceError, "rises still"),
        (excess_significance_test, {"theta": math.inf}, ChoiceError, "theta"),
        (excess_significance_test, {"test": "chi"}, ChoiceError, "test 'chi' is unknown"),
        (waap_wls, {"power": 0.01}, ChoiceError, "larger than alpha"),
        (worst_case, {"yi": [0.9, 0.8]}, DataError, "all are affirmative"),
        (worst_case, {"model": "common", "df_method": "robumeta"}, ChoiceError, "no effect"),
        (publication_bias_sensitivity, {"yi": [0.1, 0.2]}, DataError, "no selection to correct for"),
        (publication_bias_sensitivity, {"selection_ratio": 0.5}, ChoiceError, "at least 1"),
        (publication_bias_sensitivity, {"selection_ratio": "x"}, ChoiceError, "selection_ratio"),
        (publication_bias_sensitivity, {"target": 2.0}, ChoiceError, "lies beyond the estimate"),
        (outcome_reporting_bias, {"k_suspect": 1.5}, ChoiceError, "k_suspect"),
        (outcome_reporting_bias, {"k_suspect": [-1]}, ChoiceError, "whole numbers"),
        (copas_model, {"yi": [0.1, 0.2]}, DataError, "3 effects or more"),
        (copas_model, {"sei": [0.2] * 12}, DataError, "all the same"),
        (copas_model, {"grid": 2}, ChoiceError, "grid"),
        (copas_model, {"gamma0_range": (2, 1)}, ChoiceError, "gamma0_range"),
    ],
)
def test_options_and_data_that_make_no_sense_are_refused(function, options, error, words):
    given_yi = options.pop("yi", None)
    yi = YI if given_yi is None else np.array(given_yi)
    sei = np.array(options.pop("sei", SEI if given_yi is None else [0.2] * yi.size))
    with pytest.raises(error, match=words):
        function(yi=yi, sei=sei, **options)


@quiet
@pytest.mark.parametrize("function", [p_curve, p_uniform, excess_significance_test])
def test_one_study_is_enough_where_the_method_is_defined(function):
    assert "1 study" in function(yi=[0.9], sei=[0.2]).summary()


@quiet
def test_a_single_study_that_is_not_affirmative_keeps_its_own_interval():
    found = worst_case(yi=[0.9, 0.8, 0.1], sei=[0.2, 0.2, 0.1], model="common")
    assert [found.estimate, *found.ci] == pytest.approx([0.1, 0.1 - 0.19599640, 0.1 + 0.19599640])


@quiet
def test_far_away_effects_do_not_overflow():
    yi, sei = [40.0, 60.0, 50.0, 45.0], [0.5, 1.0, 0.7, 0.6]
    for function in (p_curve, p_uniform, p_uniform_star, excess_significance_test):
        numbers = numbers_of(function, function(yi=yi, sei=sei))
        assert all(math.isfinite(value) for value in numbers[:1])


@quiet
def test_figures_show_what_the_tables_hold():
    data = {"yi": YI, "sei": SEI}
    curve = p_curve(**data)
    figure = curve.plot()
    observed = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    assert observed.get_ydata().tolist() == curve.curve()["observed"].tolist()
    worst = worst_case(**data)
    dots = [line for line in worst.plot().axes[0].lines if line.get_marker() == "o"]
    assert sorted(len(line.get_xdata()) for line in dots) == sorted([worst.affirmative, 12 - worst.affirmative])
    copas = copas_quickly(**data)
    panels = copas.plot(title="Copas").axes
    drawn = next(line for line in panels[1].lines if len(line.get_xdata()) == copas.estimate.size > 1)
    assert drawn.get_ydata().tolist() == copas.estimate.tolist()


def test_the_normal_hazard_keeps_its_digits_far_below_and_far_above():
    u = np.array([-1e12, -1e8, -1e4, -40.0, 0.0, 5.0, 40.0])
    # Far below it is -u (1 + 1/u² - 2/u⁴ ...), by the expansion of Mills' ratio.
    expected = [1e12, 1e8, 1e4 + 1e-4, 40.0 + 1 / 40.0 - 2 / 40.0**3, math.sqrt(2 / math.pi)]
    np.testing.assert_allclose(hazard(u)[:4], expected[:4], rtol=1e-8)
    np.testing.assert_allclose(hazard(u)[4:], [expected[4], 1.4867199409e-6, 0.0], rtol=1e-7, atol=1e-300)


@quiet
@pytest.mark.parametrize("function", [*QUICK, lambda **data: p_uniform(method="LN1MINP", **data)])
def test_a_study_of_enormous_precision_raises_no_warning_of_arithmetic(function):
    sei = SEI.copy()
    sei[0] = 1e-7
    for errors in (sei, 1e-7 * SEI):
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                found = function(yi=YI, sei=errors)
            except MetapeerError as error:
                found = error
        # With tiny errors nothing is left for the worst case.
        assert not isinstance(found, MetapeerError) or "affirmative" in str(found)


@quiet
def test_higher_maxima_of_copas_are_told_from_climbs_that_ended_in_none(monkeypatch):
    real = copas_models.maximise_copas

    def with_heights(*args, **options):
        found = real(*args, **options)
        heights = np.zeros(found.spike.size)
        heights[:3] = 0.5, 1.5, 3.0
        return dataclasses.replace(found, spike=heights)

    monkeypatch.setattr(copas_models, "maximise_copas", with_heights)
    words = " ".join(copas_quickly(yi=YI, sei=SEI).notes)
    assert "at 2 points the likelihood has a second, higher maximum" in words
    assert "(by up to 1.50)" in words
    assert "at 1 point the likelihood is higher elsewhere (by up to 3.00), where no climb ended in a maximum" in words


@quiet
@pytest.mark.slow
def test_no_maximum_that_is_taken_lies_further_below_the_highest_than_a_test_could_tell():
    rng = np.random.default_rng(5)
    ends = []
    for _ in range(12):
        sei = np.exp(rng.normal(-1.5, 0.7, 9))
        yi = rng.normal(0.2 + sei, np.sqrt(sei**2 + 0.05))
        gamma = np.array([[a, b * sei.min()] for a in (-1.5, -0.5, 0.5) for b in (0.0, 0.5, 1.0)])
        ends += maximise_copas(yi, sei, gamma, rho=(0.0, 0.9999)).spike.tolist()
    assert max(ends) > 0.1  # there are higher maxima that are left aside
    assert max(ends) <= ALIKE


@quiet
def test_ratios_are_never_mixed_with_their_logarithms_without_saying_so():
    data = pd.DataFrame({"study_id": [f"t{i}" for i in range(12)], "yi": -YI, "sei": SEI, "measure": "OR"})
    text = str(outcome_reporting_bias(data, k_suspect=1))
    assert "largest bias of log OR -0." in text
    data["measure"] = "SMD"
    assert "largest bias -0." in str(outcome_reporting_bias(data, k_suspect=1))


@pytest.mark.parametrize(
    "function", [p_uniform_star, excess_significance_test, waap_wls, worst_case, publication_bias_sensitivity]
)
def test_many_effects_of_few_trials_are_few_studies(function):
    data = pd.DataFrame({"study_id": [f"t{i // 2}" for i in range(12)], "yi": YI, "sei": SEI})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        function(data)
    assert any("6 studies: with fewer than 10" in str(one.message) for one in said)


@quiet
def test_every_interval_stands_under_its_level():
    fit = meta_analysis(yi=YI, sei=SEI, level=0.9)
    for found, rows in ((worst_case(fit), 2), (publication_bias_sensitivity(fit), 6)):
        assert str(found).count("(90% CI)") == rows


def test_no_axis_of_probabilities_goes_beyond_one():
    surface = pd.DataFrame(
        {"gamma0": [0, 0, 1, 1.0], "gamma1": [0, 1, 0, 1.0], "estimate": [0.1, 0.2, 0.2, 0.4]},
    )
    line = pd.DataFrame(
        {"publication_probability": [1.0], "gamma0": [1.0], "gamma1": [0.0], "estimate": [0.4], "residual_p": [0.02]}
    )
    for panel in copas_plot(line, surface).axes[1:]:
        assert 0.0 < max(panel.get_xticks()) <= 1.0

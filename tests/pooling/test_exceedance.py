"""The share of true effects beyond a threshold: against brute force, other intervals, and what must not change it."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from metapeer.errors import ChoiceError, DataWarning, MetapeerError
from metapeer.pooling.exceedance import delta_interval_of_share, likelihood_interval_of_share, share_above
from metapeer.pooling.intervals import chi2_quantile
from metapeer.pooling.mean_intervals import mean_likelihood_interval
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.subgroups import subgroup_analysis
from metapeer.pooling.tau2_intervals import likelihood_interval
from metapeer.pooling.tau2_likelihood import maximise
from metapeer.pooling.weighted import log_likelihood

VARIED = np.array([0.1, 0.3, 0.8, 0.5, -0.2, 0.6]), np.array([0.02, 0.03, 0.04, 0.02, 0.01, 0.02])
ALIKE = np.array([0.1, 0.12, 0.11, 0.1]), np.array([0.03, 0.03, 0.05, 0.01])
PEAKS = np.array([-0.9, 19.49, 1.17, 0.27]), np.array([0.159, 38.894, 0.53, 0.125])


@st.composite
def studies(draw):
    k = draw(st.integers(2, 9))
    number = st.floats(-1.5, 1.5).map(lambda x: round(x, 3))
    yi = draw(st.lists(number, min_size=k, max_size=k))
    vi = draw(st.lists(st.floats(0.01, 1.0), min_size=k, max_size=k))
    return np.array(yi), np.array(vi), draw(number)


def held(yi, vi, threshold, distance):
    """Log-likelihood with (mu - threshold) / tau held at `distance`, by trying very many values of tau."""
    tau = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 200_001)])
    variance = vi[:, None] + tau**2
    residuals = yi[:, None] - threshold - distance * tau
    return float((-0.5 * (np.log(2 * np.pi * variance) + residuals**2 / variance)).sum(axis=0).max())


@pytest.mark.parametrize("data", [VARIED, PEAKS], ids=["varied", "peaks"])
@pytest.mark.parametrize("threshold", [-0.5, 0.15, 0.9])
def test_at_the_ends_the_likelihood_has_fallen_by_half_a_quantile_of_chi_squared(data, threshold):
    yi, vi = data
    tau2 = maximise(yi, vi, restricted=False).tau2
    bar = float(log_likelihood(yi, vi, np.array([tau2]), restricted=False)[0]) - 0.5 * chi2_quantile(0.05, 1)
    interval = likelihood_interval_of_share(yi, vi, threshold, 0.95, restricted=False)
    for end, outwards in zip(interval, (-1, 1), strict=True):
        if 0.0 < end < 1.0:
            distance = norm.ppf(end)
            assert held(yi, vi, threshold, distance) == pytest.approx(bar, abs=1e-6)
            assert all(held(yi, vi, threshold, distance + outwards * step) < bar for step in (0.05, 0.5, 3.0, 20.0))
        else:
            assert held(yi, vi, threshold, outwards * 200.0) > bar


@settings(max_examples=40, deadline=None)
@given(studies())
def test_half_is_an_end_where_the_threshold_is_an_end_of_the_interval_for_the_mean(data):
    """A share of one half is a mean at the threshold, so that the two likelihood-ratio tests are one."""
    yi, vi, _ = data
    low, high = mean_likelihood_interval(yi, vi, 0.95)
    step = 1e-6 * (high - low)
    below = likelihood_interval_of_share(yi, vi, low - step, 0.95, restricted=False)
    above = likelihood_interval_of_share(yi, vi, high + step, 0.95, restricted=False)
    assert below.low > 0.5
    assert above.high < 0.5
    assert likelihood_interval_of_share(yi, vi, low + step, 0.95, restricted=False).low <= 0.5
    assert likelihood_interval_of_share(yi, vi, high - step, 0.95, restricted=False).high >= 0.5


@settings(max_examples=40, deadline=None)
@given(studies(), st.booleans())
def test_an_end_is_0_or_1_only_where_no_heterogeneity_is_possible(data, restricted):
    yi, vi, threshold = data
    low, high = likelihood_interval_of_share(yi, vi, threshold, 0.95, restricted=restricted)
    tau2_low = likelihood_interval(yi, vi, 0.95, restricted=restricted).low
    assert 0.0 <= low <= high <= 1.0
    if tau2_low > 0.0:
        assert low > 0.0
        assert high < 1.0
    else:
        assert low == 0.0 or high == 1.0


@settings(max_examples=25, deadline=None)
@given(studies(), st.booleans(), st.sampled_from([1e-6, 0.3, 1e5]), st.floats(-3, 3))
def test_units_origin_order_and_sign_do_not_matter(data, restricted, scale, shift):
    yi, vi, threshold = data
    plain = likelihood_interval_of_share(yi, vi, threshold, 0.95, restricted=restricted)
    moved = likelihood_interval_of_share(
        scale * (yi + shift)[::-1], scale**2 * vi[::-1], scale * (threshold + shift), 0.95, restricted=restricted
    )
    turned = likelihood_interval_of_share(-yi, vi, -threshold, 0.95, restricted=restricted)
    assert tuple(moved) == pytest.approx(tuple(plain), abs=1e-6)
    assert (1.0 - turned.high, 1.0 - turned.low) == pytest.approx(tuple(plain), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(studies(), st.booleans())
def test_higher_thresholds_are_exceeded_by_fewer_and_higher_levels_need_wider_intervals(data, restricted):
    yi, vi, threshold = data

    def between(at, level):
        return likelihood_interval_of_share(yi, vi, at, level, restricted=restricted)

    one, other = between(threshold, 0.9), between(threshold + 0.2, 0.9)
    assert other.low <= one.low + 1e-9
    assert other.high <= one.high + 1e-9
    wide = between(threshold, 0.99)
    assert wide.low <= one.low + 1e-9
    assert wide.high >= one.high - 1e-9


@settings(max_examples=25, deadline=None)
@given(studies(), st.sampled_from(["REML", "ML"]), st.sampled_from([0.01, 0.5, 0.95]))
def test_the_likelihood_estimate_lies_in_its_own_interval(data, method, level):
    yi, vi, threshold = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        fit = meta_analysis(yi=yi, vi=vi, tau2_method=method)
    found = fit.exceedance(threshold, level=level)
    assert math.isnan(found.estimate) or found.ci.low - 1e-9 <= found.estimate <= found.ci.high + 1e-9
    assert method in found.ci.method


def test_many_studies_give_a_narrow_interval_around_the_truth():
    rng = np.random.default_rng(5)
    vi = rng.uniform(0.01, 0.05, 2_000)
    yi = rng.normal(0.3, np.sqrt(0.04 + vi))
    low, high = likelihood_interval_of_share(yi, vi, 0.2, 0.95, restricted=True)
    assert low < norm.cdf(0.5) < high
    assert high - low < 0.06


def test_the_delta_method_is_that_of_its_authors():
    """As R package MetaUtility writes it: terms of variance in Z = (q - M) / sqrt(t2), times the normal density."""
    q, M, t2, se_M, se_t2 = -0.2, -0.71, 0.31, 0.18, 0.17
    found = delta_interval_of_share(q, estimate=M, se=se_M, tau2=t2, tau2_se=se_t2, level=0.95, logits=False)
    Z = (q - M) / math.sqrt(t2)
    SE = math.sqrt(se_M**2 / t2 + se_t2**2 * (q - M) ** 2 / (4 * t2**3)) * norm.pdf(Z)
    phat = 1 - norm.cdf(Z)
    ends = max(0, phat - norm.ppf(0.975) * SE), min(1, phat + norm.ppf(0.975) * SE)
    assert tuple(found) == pytest.approx(ends, rel=1e-12)
    logits = delta_interval_of_share(q, estimate=M, se=se_M, tau2=t2, tau2_se=se_t2, level=0.95, logits=True)
    SE_logit = SE / (norm.cdf(Z) - norm.cdf(Z) ** 2)
    centre = math.log(phat / (1 - phat))
    expected = [1 / (1 + math.exp(-(centre + side * norm.ppf(0.975) * SE_logit))) for side in (-1, 1)]
    assert tuple(logits) == pytest.approx(expected, rel=1e-12)


def test_without_heterogeneity_the_share_is_all_none_or_unknown():
    assert share_above(0.1, estimate=0.2, tau2=0.0) == 1.0
    assert share_above(0.3, estimate=0.2, tau2=0.0) == 0.0
    assert math.isnan(share_above(0.2, estimate=0.2, tau2=0.0))


@pytest.mark.parametrize("method", ["PL", "delta", "delta.logit"])
def test_what_is_not_above_is_below(method):
    fit = meta_analysis(yi=VARIED[0], vi=VARIED[1])
    above, below = (fit.exceedance(0.15, direction=side, method=method) for side in ("above", "below"))
    assert above.estimate + below.estimate == pytest.approx(1.0)
    assert above.prediction + below.prediction == pytest.approx(1.0)
    assert (above.ci.low + below.ci.high, above.ci.high + below.ci.low) == pytest.approx((1.0, 1.0))


def test_the_prediction_beside_it_is_probability_above():
    fit = meta_analysis(yi=VARIED[0], vi=VARIED[1], prediction_method="HTS")
    found = fit.exceedance(0.15)
    assert found.prediction == fit.probability_above(0.15)
    assert found.prediction_method == "HTS"
    assert abs(found.prediction - 0.5) < abs(found.estimate - 0.5)
    assert math.isnan(meta_analysis(yi=[0.1, 0.8], vi=[0.1, 0.1], prediction_method="HTS").exceedance(0.0).prediction)


def test_what_cannot_be_ruled_out_is_said():
    def said(data, threshold):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            return meta_analysis(yi=data[0], vi=data[1]).exceedance(threshold)

    everything = said(ALIKE, 0.1)
    assert tuple(everything.ci) == (0.0, 1.0)
    assert "do not rule out any share" in str(everything)
    some = said(ALIKE, 0.4)
    assert some.ci.low == 0.0 < some.ci.high < 1.0
    assert "includes none of the true effects, because at the 95% level tau² = 0 is not ruled out" in str(some)
    assert "the estimated share is all, none or unknown" in str(some)
    assert not said(VARIED, 0.15).notes


def test_an_interval_without_its_estimate_says_why():
    found = meta_analysis(yi=PEAKS[0], vi=PEAKS[1], tau2_method="PM").exceedance(0.0, level=0.01)
    assert found.estimate not in found.ci
    assert any("the estimate lies outside" in note and "PM" in note for note in found.notes)


def test_effects_that_are_all_the_same_predict_one_more():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        fit = meta_analysis(yi=[0.2, 0.2, 0.2], vi=[0.1, 0.1, 0.1])
    assert [fit.exceedance(c).prediction for c in (0.1, 0.3)] == [1.0, 0.0]
    assert math.isnan(fit.exceedance(0.2).estimate)
    assert tuple(fit.exceedance(0.2).ci) == (0.0, 1.0)


def test_nearly_all_is_not_printed_as_all():
    found = meta_analysis(yi=VARIED[0], vi=VARIED[1]).exceedance(-3.0)
    assert found.estimate < 1.0
    assert found.ci.high < 1.0
    assert ">99.9%" in str(found)
    assert "100.0%" not in str(found)


def test_thresholds_of_ratios_are_logarithms_and_shown_as_ratios():
    fit = meta_analysis(yi=VARIED[0], vi=VARIED[1], measure="RR")
    found = fit.exceedance(math.log(1.25))
    assert "above RR 1.25 (log RR 0.2231)" in found.summary()
    row = found.to_frame().iloc[0]
    assert row["scale"] == "log"
    assert row["threshold"] == math.log(1.25)
    assert (row["ci_low"], row["ci_high"]) == tuple(found.ci)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": "0.2"}, "threshold must be a number"),
        ({"threshold": True}, "threshold must be a number"),
        ({"threshold": math.inf}, "finite"),
        ({"threshold": 0.0, "method": "pl"}, "Did you mean 'PL'"),
        ({"threshold": 0.0, "direction": "over"}, "direction 'over' is unknown"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ChoiceError, match=words):
        meta_analysis(yi=VARIED[0], vi=VARIED[1]).exceedance(**options)


def test_where_there_is_no_share_or_no_interval_the_message_says_what_would_do():
    with pytest.raises(MetapeerError, match="one true effect"):
        meta_analysis(yi=VARIED[0], vi=VARIED[1], model="common").exceedance(0.0)
    with pytest.raises(MetapeerError, match="one study"):
        meta_analysis(yi=[0.1], vi=[0.2]).exceedance(0.0)
    with pytest.raises(MetapeerError, match="use method='PL'"):
        meta_analysis(yi=ALIKE[0], vi=ALIKE[1], ci_method="z").exceedance(0.0, method="delta")
    with pytest.raises(MetapeerError, match="no standard error"):
        meta_analysis(yi=VARIED[0], vi=VARIED[1], tau2_method="BM").exceedance(0.0, method="delta")


def test_a_tau2_common_to_subgroups_is_not_estimated_anew():
    table = pd.DataFrame({"yi": np.tile(VARIED[0], 2), "vi": np.tile(VARIED[1], 2), "group": ["a"] * 6 + ["b"] * 6})
    fit = subgroup_analysis(table, by="group", tau2="common").results[0]
    with pytest.raises(MetapeerError, match="common to several subgroups"):
        fit.exceedance(0.0)
    with pytest.raises(MetapeerError, match="common to several subgroups"):
        fit.tau2_profile()
    assert fit.exceedance(0.2, method="delta.logit").ci.low > 0.0

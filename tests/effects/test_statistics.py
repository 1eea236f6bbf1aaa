"""Effects from test statistics, and variances from what is printed with an effect."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from metapeer.effects import intervals, statistics
from metapeer.effects.continuous import SMD_PRESETS, SMD_VARIANCES, cohen_d, hedges_g
from metapeer.errors import ChoiceError, DataError

SIZE = st.integers(2, 500)
T = st.floats(-8, 8).filter(lambda t: abs(t) > 1e-3)


def _t_of_arms(n1, mean1, sd1, n2, mean2, sd2):
    d = cohen_d(n1=n1, mean1=mean1, sd1=sd1, n2=n2, mean2=mean2, sd2=sd2)
    return d / np.sqrt(1 / n1 + 1 / n2)


@pytest.mark.parametrize("variance", [*SMD_VARIANCES, *SMD_PRESETS])
def test_effect_from_t_is_the_effect_of_the_arms_behind_it(variance):
    arms = {
        "n1": np.array([11.0, 250.0]),
        "mean1": np.array([17.8, 5.2]),
        "sd1": np.array([9.9, 1.1]),
        "n2": np.array([14.0, 260.0]),
        "mean2": np.array([26.9, 5.0]),
        "sd2": np.array([11.2, 1.3]),
    }
    yi, vi = hedges_g(**arms, variance=variance)
    effect = statistics.smd_from_t(t=_t_of_arms(**arms), n1=arms["n1"], n2=arms["n2"], variance=variance)
    np.testing.assert_allclose(effect.yi, yi, rtol=1e-14)
    np.testing.assert_allclose(effect.vi, vi, rtol=1e-14)


@given(t=T, n1=SIZE, n2=SIZE)
def test_t_f_p_and_d_lead_to_the_same_effect(t, n1, n2):
    sign = 1 if t > 0 else -1
    direct = statistics.smd_from_t(t=t, n1=n1, n2=n2)
    d = t * (1 / n1 + 1 / n2) ** 0.5
    p = 2 * t_distribution.sf(abs(t), n1 + n2 - 2)
    for other in (
        statistics.smd_from_f(f=t**2, n1=n1, n2=n2, sign=sign),
        statistics.smd_from_d(d=d, n1=n1, n2=n2),
        statistics.smd_from_p(p=p, n1=n1, n2=n2, sign=sign),
        statistics.smd_from_p(p=p / 2, n1=n1, n2=n2, sign=sign, tails=1),
    ):
        # A p value near 1 has few digits left to tell t by.
        assert other.yi == pytest.approx(direct.yi, rel=1e-8)
        assert other.vi == pytest.approx(direct.vi, rel=1e-8)


def test_f_and_t_of_one_trial_have_the_same_p_value():
    f = 5.3
    t = statistics.t_from_p(p=f_distribution.sf(f, 1, 45), df=45)
    assert t**2 == pytest.approx(f, rel=1e-12)


@given(t=T, n1=SIZE, n2=SIZE)
def test_effects_convert_back(t, n1, n2):
    g = statistics.smd_from_t(t=t, n1=n1, n2=n2).yi
    assert statistics.t_from_smd(g=g, n1=n1, n2=n2) == pytest.approx(t, rel=1e-12)
    d = statistics.d_from_smd(g=g, n1=n1, n2=n2)
    assert statistics.smd_from_d(d=d, n1=n1, n2=n2).yi == pytest.approx(g, rel=1e-12)
    r = statistics.correlation_from_d(d=d, n1=n1, n2=n2).yi
    assert statistics.smd_from_point_biserial(r=r, n1=n1, n2=n2).yi == pytest.approx(g, rel=1e-10)


def test_point_biserial_correlation_is_the_correlation_of_outcome_and_arm():
    rng = np.random.default_rng(20)
    arm = np.repeat([1.0, 0.0], [12, 17])
    outcome = rng.normal(size=29) + arm
    mean1, mean2 = outcome[:12].mean(), outcome[12:].mean()
    sd1, sd2 = outcome[:12].std(ddof=1), outcome[12:].std(ddof=1)
    d = cohen_d(n1=12, mean1=mean1, sd1=sd1, n2=17, mean2=mean2, sd2=sd2)
    assert statistics.correlation_from_d(d=d, n1=12, n2=17).yi == pytest.approx(np.corrcoef(arm, outcome)[0, 1])
    slope_t = _t_of_arms(12, mean1, sd1, 17, mean2, sd2)
    assert statistics.correlation_from_t(t=slope_t, n=29).yi == pytest.approx(np.corrcoef(arm, outcome)[0, 1])


@pytest.mark.parametrize("latent", ["logistic", "normal"])
def test_odds_ratio_and_smd_convert_back(latent):
    odds = statistics.log_odds_ratio_from_smd(yi=[0.2, -0.5], vi=[0.06, 0.1], latent=latent)
    back = statistics.smd_from_log_odds_ratio(yi=odds.yi, vi=odds.vi, latent=latent)
    np.testing.assert_allclose(back.yi, [0.2, -0.5], rtol=1e-14)
    np.testing.assert_allclose(back.vi, [0.06, 0.1], rtol=1e-14)


def test_chi_squared_of_a_table_gives_its_phi():
    table = np.array([[10, 2], [4, 5]])
    n = table.sum()
    a, b, c, d = table.ravel()
    phi = (a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    effect = statistics.correlation_from_chi2(chi2=n * phi**2, n=n, sign=1)
    assert effect.yi == pytest.approx(phi)
    assert statistics.smd_from_chi2(chi2=n * phi**2, n=n, sign=-1).yi == pytest.approx(
        statistics.smd_from_correlation(r=-phi, n=n).yi
    )


def test_variance_of_d_from_r_follows_from_that_of_r():
    # Borenstein et al. (2009), the example of chapter 7: r = 0.50 with variance 0.0058 is d = 1.1547, variance 0.0550.
    r, v = 0.5, 0.0058
    n = 1 + (1 - r**2) ** 2 / v
    effect = statistics.smd_from_correlation(r=r, n=n)
    assert effect.yi == pytest.approx(1.1547, abs=5e-5)
    assert effect.vi == pytest.approx(0.0550, abs=5e-5)


@given(mean=st.floats(-50, 50), sd=st.floats(0.1, 30), n=SIZE, level=st.sampled_from([0.9, 0.95, 0.99]))
def test_standard_deviation_comes_back_from_interval_and_standard_error(mean, sd, n, level):
    se = sd / n**0.5
    half = t_distribution.ppf((1 + level) / 2, n - 1) * se
    assert intervals.sd_from_se(se=se, n=n) == pytest.approx(sd)
    back = intervals.sd_from_interval(ci_low=mean - half, ci_high=mean + half, n=n, level=level)
    assert back == pytest.approx(sd, rel=1e-8)


def test_pooled_standard_deviation_comes_back_from_t():
    arms = {"n1": 25, "mean1": 32.1, "sd1": 5.0, "n2": 22, "mean2": 28.3, "sd2": 5.0}
    back = intervals.sd_from_t(difference=3.8, t=-_t_of_arms(**arms), n1=25, n2=22)
    assert back == pytest.approx(5.0)


def test_interval_made_with_student_quantiles_is_read_with_them():
    half = t_distribution.ppf(0.975, 12) * 0.4
    effect = intervals.effect_from_interval(es=1.0, ci_low=1 - half, ci_high=1 + half, measure="MD", log=False, df=12)
    assert effect.sei == pytest.approx(0.4)
    assert "over t" in effect.formula


def test_one_number_gives_a_float_and_a_column_a_read_only_array():
    one = statistics.smd_from_t(t=2.0, n1=30, n2=33)
    many = statistics.smd_from_t(t=[2.0, 1.0], n1=30, n2=[33, 20])
    assert type(one.yi) is float
    assert type(one.sei) is float
    assert many.yi[0] == one.yi
    assert many.sei.shape == (2,)
    with pytest.raises(ValueError, match="read-only"):
        many.yi[0] = 0


@pytest.mark.parametrize("t", [[2.0, None], pd.Series([2.0, None]), pd.Series([2, pd.NA], dtype="Int64")])
def test_a_missing_value_gives_a_missing_effect(t):
    effect = statistics.smd_from_t(t=t, n1=30, n2=33)
    assert np.isnan(effect.yi).tolist() == [False, True]
    assert np.isnan(effect.vi).tolist() == [False, True]


def test_every_fault_is_listed_with_its_study():
    with pytest.raises(DataError) as caught:
        statistics.smd_from_f(f=[-1, 2, 3], n1=[30, 1, 30], n2=30, sign=[1, 1, 2])
    assert str(caught.value).splitlines() == [
        "smd_from_f has 3 problems",
        "  study 1 of 3, f: -1 will not do; it must not be negative",
        "  study 3 of 3, sign: 2 will not do; it must be 1 (the effect is positive) or -1",
        "  study 2 of 3, n1: 1 will not do; it must be at least 2",
    ]


BAD = [
    (statistics.smd_from_t, {"t": 1.0, "n1": 1, "n2": 30}, "n1: 1 will not do; it must be at least 2"),
    (statistics.smd_from_t, {"t": float("inf"), "n1": 9, "n2": 30}, "t: inf will not do; it must be finite"),
    (statistics.smd_from_t, {"t": "<2", "n1": 9, "n2": 30}, "t: '<2' is not a number"),
    (statistics.smd_from_t, {"t": {}, "n1": 9, "n2": 30}, "t: .* is not a number"),
    (
        statistics.smd_from_t,
        {"t": [1, 2, 3], "n1": [9, 9], "n2": 30},
        "of one length, or single numbers; got t 3, n1 2",
    ),
    (statistics.smd_from_t, {"t": [[1.0, 2.0]], "n1": 9, "n2": 30}, "of one length"),
    (statistics.smd_from_f, {"f": -0.1, "n1": 9, "n2": 30, "sign": 1}, "f: -0.1 will not do; it must not be negative"),
    (statistics.smd_from_f, {"f": 1, "n1": 9, "n2": 30, "sign": 0}, "sign: 0 will not do; it must be 1"),
    (statistics.smd_from_p, {"p": 0, "n1": 9, "n2": 30, "sign": 1}, "p: 0 will not do; it must be an exact p value"),
    (statistics.smd_from_p, {"p": 1.2, "n1": 9, "n2": 30, "sign": 1}, "p: 1.2 will not do"),
    (statistics.smd_from_p, {"p": 0.7, "n1": 9, "n2": 30, "sign": 1, "tails": 1}, "at most 0.5 in a one-sided test"),
    (statistics.t_from_p, {"p": 1e-300, "df": 5}, "too small"),
    (statistics.t_from_p, {"p": 0.1, "df": 0}, "df: 0 will not do; it must be above 0"),
    (
        statistics.smd_from_point_biserial,
        {"r": -1, "n1": 9, "n2": 30},
        "r: -1 will not do; it must lie between -1 and 1",
    ),
    (statistics.smd_from_correlation, {"r": 1.1, "n": 30}, "r: 1.1 will not do"),
    (statistics.correlation_from_t, {"t": 1, "n": 5, "covariates": 3}, "leaves no degree of freedom"),
    (statistics.correlation_from_chi2, {"chi2": 30, "n": 30, "sign": 1}, "must be below n"),
    (statistics.smd_from_chi2, {"chi2": -1, "n": 30, "sign": 1}, "chi2: -1 will not do; it must not be negative"),
    (statistics.smd_from_log_odds_ratio, {"yi": 1, "vi": 0}, "vi: 0 will not do; it must be above 0"),
    (intervals.sd_from_se, {"se": -1, "n": 30}, "se: -1 will not do"),
    (intervals.sd_from_interval, {"ci_low": 3, "ci_high": 3, "n": 30}, "must be below ci_high"),
    (intervals.sd_from_t, {"difference": 1, "t": 0, "n1": 9, "n2": 9}, "t: 0 will not do; it says nothing"),
    (
        intervals.effect_from_interval,
        {"es": 0.9, "ci_low": 1.1, "ci_high": 2, "measure": "OR", "log": True},
        "es: 0.9 will not do; it must lie within its interval",
    ),
    (
        intervals.effect_from_interval,
        {"es": 0.9, "ci_low": 0, "ci_high": 2, "measure": "OR", "log": True},
        "ci_low: 0 will not do; it must be above 0, as a ratio is",
    ),
    (intervals.effect_from_p, {"es": 1, "p": 0.5, "measure": "OR", "log": True}, "is no effect at all"),
]


@pytest.mark.parametrize(("function", "arguments", "message"), BAD)
def test_impossible_numbers_are_named(function, arguments, message):
    with pytest.raises(DataError, match=message):
        function(**arguments)


def test_unknown_choices_are_named():
    with pytest.raises(ChoiceError, match="variance 'metaphor' is unknown"):
        statistics.smd_from_t(t=1.0, n1=9, n2=9, variance="metaphor")
    with pytest.raises(ChoiceError, match="latent 'logit' is unknown"):
        statistics.log_odds_ratio_from_smd(yi=1, vi=1, latent="logit")
    with pytest.raises(ChoiceError, match="tails 3 will not do"):
        statistics.t_from_p(p=0.1, df=9, tails=3)
    with pytest.raises(ChoiceError, match="level 95 will not do"):
        intervals.sd_from_interval(ci_low=1, ci_high=2, n=9, level=95)
    with pytest.raises(ChoiceError, match="leave out those without a value"):
        statistics.smd_from_t(t=[1.0, None], n1=9, n2=9, variance="AV")

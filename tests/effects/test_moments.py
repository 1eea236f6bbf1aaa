"""Mean and standard deviation from quantiles, and the test of skewness."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, stats

from metapeer.effects.moments import mean_sd_from_quantiles, skewness_test
from metapeer.effects.quantile_methods import QUANTILE_METHODS, _order_statistics, _power_normal_moments
from metapeer.errors import ChoiceError, DataError, DataWarning

COLUMNS = ("minimum", "q1", "median", "q3", "maximum")
SUMMARIES = {"range": (0, 2, 4), "quartiles": (1, 2, 3), "five numbers": (0, 1, 2, 3, 4)}
NORMAL = ("luo-wan-shi", "wan", "yang")


def _estimate(values, n, method, summary="five numbers"):
    given_ = {COLUMNS[i]: values[i] for i in SUMMARIES[summary]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return mean_sd_from_quantiles(**given_, n=n, method=method)


@st.composite
def quantiles(draw):
    """Five positive ascending numbers, none of them close together."""
    steps = draw(st.lists(st.floats(0.2, 5), min_size=5, max_size=5))
    return np.cumsum(steps)


METHOD = st.sampled_from(sorted(QUANTILE_METHODS))
SUMMARY = st.sampled_from(sorted(SUMMARIES))


@given(values=quantiles(), n=st.integers(5, 400), method=METHOD, summary=SUMMARY, factor=st.floats(1e-3, 1e6))
def test_another_unit_of_measurement_scales_mean_and_sd(values, n, method, summary, factor):
    first, second = _estimate(values, n, method, summary), _estimate(factor * values, n, method, summary)
    assume("beta" not in (first.distribution, second.distribution))  # shares of a whole have no other unit
    assert second.distribution == first.distribution
    assert second.mean == pytest.approx(factor * first.mean, rel=1e-6)
    assert second.sd == pytest.approx(factor * first.sd, rel=1e-6)


@given(
    values=quantiles(), n=st.integers(5, 400), method=st.sampled_from(NORMAL), summary=SUMMARY, by=st.floats(-50, 50)
)
def test_methods_for_normal_data_follow_a_shift(values, n, method, summary, by):
    first, second = _estimate(values, n, method, summary), _estimate(values + by, n, method, summary)
    assert second.mean == pytest.approx(first.mean + by, rel=1e-9, abs=1e-9)
    assert second.sd == pytest.approx(first.sd, rel=1e-9)


@given(values=quantiles(), n=st.integers(5, 400), method=st.sampled_from(["luo-wan-shi", "wan"]), summary=SUMMARY)
def test_turning_the_scale_around_turns_the_mean(values, n, method, summary):
    first, second = _estimate(values, n, method, summary), _estimate(-values[::-1], n, method, summary)
    assert second.mean == pytest.approx(-first.mean)
    assert second.sd == pytest.approx(first.sd)


@pytest.mark.parametrize("summary", SUMMARIES)
@pytest.mark.parametrize("method", sorted({*QUANTILE_METHODS} - {"shi_lognormal"}))
def test_large_normal_samples_give_back_their_mean_and_sd(method, summary):
    n = 2001  # the median is then one of the values
    rank = np.array([1, 501, 1001, 1501, 2001])
    values = 100 + 15 * stats.norm.ppf((rank - 0.375) / (n + 0.25))
    result = _estimate(values, n, method, summary)
    assert result.mean == pytest.approx(100, abs=0.05)
    # Quantile estimation puts the extremes at 1/n and 1 - 1/n, where they lie only nearly.
    assert result.sd == pytest.approx(15, rel=0.05 if method == "mcgrath_qe" else 0.006)


@pytest.mark.parametrize("summary", SUMMARIES)
@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("log-normal", stats.lognorm(0.6, scale=20)),
        ("gamma", stats.gamma(2.3, scale=400)),
        ("Weibull", stats.weibull_min(1.7, scale=0.02)),
        ("normal", stats.norm(12, 3)),
        ("beta", stats.beta(2.0, 5.0)),
    ],
)
def test_quantile_estimation_finds_the_family_whose_quantiles_it_is_given(name, family, summary):
    n = 80
    values = family.ppf([1 / n, 0.25, 0.5, 0.75, 1 - 1 / n])
    result = _estimate(values, n, "mcgrath_qe", summary)
    assert result.distribution == name
    assert result.mean == pytest.approx(family.mean(), rel=1e-5)
    assert result.sd == pytest.approx(family.std(), rel=1e-4)


@given(values=quantiles(), n=st.integers(5, 400))
def test_quantile_estimation_is_not_beaten_by_any_gamma(values, n):
    p = np.array([1 / n, 0.25, 0.5, 0.75, 1 - 1 / n])
    result = _estimate(values, n, "mcgrath_qe")
    families = {
        "normal": stats.norm,
        "gamma": lambda m, s: stats.gamma((m / s) ** 2, scale=s**2 / m),
        "log-normal": lambda m, s: stats.lognorm(np.sqrt(np.log1p((s / m) ** 2)), scale=m / np.sqrt(1 + (s / m) ** 2)),
    }
    assume(result.distribution in families)
    loss = np.sum((families[result.distribution](result.mean, result.sd).ppf(p) - values) ** 2)
    shape = np.exp(np.linspace(-2, 8, 60))[:, None]
    g = stats.gamma.ppf(p, shape)
    scale = (g @ values / np.sum(g**2, axis=1))[:, None]
    assert loss <= np.min(np.sum((scale * g - values) ** 2, axis=1)) * (1 + 1e-7) + 1e-12


def test_negative_quantiles_are_fitted_by_a_normal_distribution_alone():
    assert _estimate(np.array([-3.0, 1, 2, 9, 40]), 60, "mcgrath_qe").distribution == "normal"


def test_a_zero_is_no_obstacle_to_quantile_estimation():
    result = _estimate(np.array([0.0, 1, 2, 5, 14]), 60, "mcgrath_qe")
    assert result.distribution != "normal"
    assert np.isfinite([result.mean, result.sd]).all()


@pytest.mark.parametrize("power", [0.05, 0.3, 1.0, 1.7, 3.0])
@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 0.2), (0.4, 0.9), (-0.2, 0.5)])
def test_moments_of_the_power_normal_are_its_integrals(mu, sigma, power):
    reach = mu + 1 / power

    def integral(value):
        def inside(y):
            return value(max(1 + power * y, 0) ** (1 / power)) * stats.norm.pdf(y, mu, sigma)

        ends = max(mu - reach, mu - 14 * sigma), mu, min(mu + reach, mu + 14 * sigma)
        options = {"epsabs": 0, "epsrel": 1e-11, "limit": 500}
        return sum(integrate.quad(inside, *ends[i : i + 2], **options)[0] for i in (0, 1))

    whole = integral(lambda _: 1.0)
    mean = integral(lambda x: x) / whole
    sd = np.sqrt(integral(lambda x: (x - mean) ** 2) / whole)
    assert _power_normal_moments(mu, sigma, power) == pytest.approx((mean, sd), rel=1e-9)


def test_box_cox_of_log_symmetric_quantiles_is_the_log_normal():
    n, mu, sigma = 50, 2.0, 0.7
    values = np.exp(mu + sigma * stats.norm.ppf([0.25, 0.5, 0.75]))
    result = mean_sd_from_quantiles(q1=values[0], median=values[1], q3=values[2], n=n, method="mcgrath_bc")
    s = sigma * 2 * stats.norm.ppf(0.75) / (2 * stats.norm.ppf((0.75 * n - 0.125) / (n + 0.25)))
    assert result.mean == pytest.approx(np.exp(mu + s**2 / 2), rel=1e-6)
    assert result.sd == pytest.approx(np.exp(mu + s**2 / 2) * np.sqrt(np.expm1(s**2)), rel=1e-6)


def test_expected_order_statistics_are_those_of_the_tables():
    # Expected largest of n standard normal values: Harter (1961), Biometrika 48:151-165.
    for n, largest in ((10, 1.53875), (20, 1.86748), (50, 2.24907), (100, 2.50759)):
        expected, covariance = _order_statistics(np.array([1.0, n]), n)
        assert expected == pytest.approx([-largest, largest], rel=3e-3)
        assert covariance[0, 1] == covariance[1, 0] > 0


@pytest.mark.parametrize("summary", SUMMARIES)
def test_the_best_linear_estimator_is_unbiased(summary):
    n, rng = 41, np.random.default_rng(8)
    sample = np.sort(rng.normal(30, 6, size=(4000, n)), axis=1)
    values = sample[:, [0, n // 4, n // 2, 3 * n // 4, n - 1]].T
    result = _estimate(values, n, "yang", summary)
    assert np.mean(result.mean) == pytest.approx(30, abs=0.1)
    assert np.mean(result.sd) == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize("n", [21, 101])
def test_one_normal_sample_in_twenty_is_called_skewed(n):
    sample = np.random.default_rng(3).standard_normal((20_000, n))
    values = np.quantile(sample, [0, 0.25, 0.5, 0.75, 1], axis=1)
    for columns in SUMMARIES.values():
        test = skewness_test(n=n, **{COLUMNS[i]: values[i] for i in columns})
        assert np.mean(test.skewed) == pytest.approx(0.05, abs=0.008)


def test_skewed_samples_are_called_skewed():
    sample = np.random.default_rng(3).lognormal(0, 1, (2000, 101))
    values = np.quantile(sample, [0, 0.25, 0.5, 0.75, 1], axis=1)
    for columns in SUMMARIES.values():
        assert np.mean(skewness_test(n=101, **{COLUMNS[i]: values[i] for i in columns}).skewed) > 0.6


def test_skewness_of_each_summary_is_the_formula_by_hand():
    test = skewness_test(
        minimum=[2, np.nan, 4], q1=[np.nan, 8, 7], median=[6, 13, 9], q3=[np.nan, 17, 12], maximum=[14, np.nan, 21],
        n=[20, 50, 25],
    )  # fmt: skip
    assert test.statistic == pytest.approx([4 / 12, 1 / 9, max(2.65 * np.log(15) / 5 * 7 / 17, 1 / 5)])
    expected = [1 / np.log(29) + 2.5 / 21, 2.65 / np.sqrt(50) - 6 / 2500, 3 / 5 - 40 / 15625]
    assert test.critical == pytest.approx(expected)
    assert test.summary == ("range", "quartiles", "five numbers")
    assert test.skewed == tuple(test.statistic >= test.critical)


@pytest.mark.parametrize("method", sorted(QUANTILE_METHODS))
def test_skewed_quantiles_warn_where_normal_data_are_assumed(method):
    skewed = {"minimum": [2.0, 2.0], "median": [6.0, 3.0], "maximum": [10.0, 60.0], "n": 80}
    if method in NORMAL:
        with pytest.warns(DataWarning, match=r"1 of 2 studies \(number 2\) are skewed"):
            mean_sd_from_quantiles(**skewed, method=method)
    else:
        assert mean_sd_from_quantiles(**skewed, method=method).mean[1] > 3


def test_a_study_that_gives_no_quantiles_is_missing():
    result = mean_sd_from_quantiles(q1=[8, None], median=[13, None], q3=[17, None], n=[50, None])
    assert np.isnan(result.mean).tolist() == [False, True]
    assert result.summary == ("quartiles", "")
    assert result.distribution == ("normal", "")


BAD = [
    ({"q1": 8, "median": 7, "q3": 17, "n": 50}, "median: 7 is below q1 8"),
    ({"q1": 8, "median": 18, "q3": 17, "n": 50}, "q3: 17 is below median 18"),
    ({"minimum": 9, "q1": 8, "median": 10, "q3": 17, "maximum": 20, "n": 50}, "q1: 8 is below minimum 9"),
    ({"q1": 8, "median": 13, "q3": 17, "n": 4}, "n: 4 will not do; it must be a whole number of at least 5"),
    ({"q1": 8, "median": 13, "q3": 17, "n": 20.5}, "n: 20.5 will not do"),
    ({"q1": 8, "median": 13, "q3": 17, "n": None}, "n: is missing"),
    ({"median": 13, "n": 50}, "only median; give median with minimum and maximum, or with q1 and q3, or all five"),
    ({"minimum": 1, "q1": 8, "median": 13, "q3": 17, "n": 50}, "only minimum, q1, median, q3"),
    ({"q1": 8, "median": None, "q3": 17, "n": 50}, "only q1, q3"),
    ({"q1": 8, "median": 8, "q3": 8, "n": 50}, "q1 and q3 are both 8, which leaves no spread"),
    ({"minimum": 8, "median": 8, "maximum": 8, "n": 50}, "minimum and maximum are both 8"),
    ({"q1": 0, "median": 8, "q3": 9, "n": 50, "method": "mcgrath_bc"}, "q1: 0 will not do; it must be above 0"),
    ({"q1": -1, "median": 8, "q3": 9, "n": 50, "method": "shi_lognormal"}, "q1: -1 will not do"),
    ({"q1": 8, "median": 8, "q3": 9, "n": 50, "method": "mcgrath_bc"}, "median: 8 equals q1, and no transformation"),
    ({"q1": 1e-9, "median": 1, "q3": 1e9, "n": 5, "method": "shi_lognormal"}, "finds no mean and standard deviation"),
    ({"q1": "8-17", "median": 13, "q3": 17, "n": 50}, "q1: '8-17' is not a number"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_impossible_quantiles_are_named(arguments, message):
    with pytest.raises(DataError, match=message):
        mean_sd_from_quantiles(**arguments)


def test_all_faults_of_all_studies_are_listed():
    with pytest.raises(DataError) as caught:
        mean_sd_from_quantiles(q1=[8, 9, 7], median=[13, 8, 9], q3=[17, 7, None], n=[3, 50, 50])
    assert len(caught.value.faults) == 4


def test_an_unknown_method_is_named():
    with pytest.raises(ChoiceError, match="Did you mean 'luo-wan-shi'"):
        mean_sd_from_quantiles(q1=8, median=13, q3=17, n=50, method="luo/wan/shi")

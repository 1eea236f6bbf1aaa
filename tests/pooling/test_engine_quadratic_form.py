"""The distribution of weighted sums of chi-squared variables against closed forms, eigenvalues and simulation."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from metapeer.pooling.quadratic_form import generalised_q_cdf, quadratic_form_cdf

ACCURACY = 2e-12  # absolute; the docstrings promise about 1e-12

# Imhof (1961), Biometrika 48:419-426, table 1, first form: upper tails to four digits.
IMHOF = [(0.1, 0.9458), (0.7, 0.5064), (2.0, 0.1240)]


def hypoexponential_cdf(x, rates):
    """Distribution function of a sum of exponential variables with distinct rates, by partial fractions.

    Terms alternate and can be huge, so they are added with 400 digits.
    """
    with localcontext() as context:
        context.prec = 400
        rates, x = [Decimal(rate) for rate in rates], Decimal(x)
        upper = Decimal(0)
        for i, rate in enumerate(rates):
            share = Decimal(1)
            for j, other in enumerate(rates):
                if j != i:
                    share *= other / (other - rate)
            upper += share * (-rate * x).exp()
        return float(1 - upper)


def eigenvalues_of_q(vi, tau2, weights, X):
    """Weights of the chi-squared variables that Q is the sum of, from the k x k matrix itself."""
    a = np.diag(weights)
    design = np.ones((vi.size, 1)) if X is None else X
    p = a - a @ design @ np.linalg.solve(design.T @ a @ design, design.T @ a)
    root = np.sqrt(vi + tau2)
    return np.linalg.eigvalsh(root[:, None] * p * root)[design.shape[1] :]


@pytest.mark.parametrize("pairs", [1, 2, 3, 5, 10, 25])
@pytest.mark.parametrize("decades", [0.5, 2.0, 8.0])
def test_pairs_of_equal_weights_are_a_sum_of_exponentials(pairs, decades):
    # 2 weight X with X chi-squared on two degrees of freedom is exponential with rate 1 / (2 weight).
    rng = np.random.default_rng(pairs)
    weights = 10.0 ** np.sort(rng.uniform(0.0, decades, pairs))
    total = float(2 * weights.sum())
    for x in total * 10.0 ** np.array([-9.0, -6.0, -3.0, -1.0, -0.5, 0.0, 0.3, 0.7, 1.0, 2.0]):
        expected = hypoexponential_cdf(float(x), [1 / Decimal(2 * float(w)) for w in weights])
        assert quadratic_form_cdf(float(x), np.repeat(weights, 2)) == pytest.approx(expected, rel=0, abs=ACCURACY)


@pytest.mark.parametrize("df", [1, 2, 3, 10, 50])
@pytest.mark.parametrize("weight", [1e-8, 1.0, 1e8])
def test_equal_weights_are_chi_squared(df, weight):
    for share in (1e-10, 1e-4, 0.025, 0.5, 0.975, 1 - 1e-4, 1 - 1e-10):
        x = float(chi2.ppf(share, df))
        found = quadratic_form_cdf(weight * x, np.full(df, weight))
        assert found == pytest.approx(float(chi2.cdf(x, df)), rel=0, abs=ACCURACY)


@pytest.mark.parametrize(("x", "upper"), IMHOF)
def test_upper_tails_are_imhofs(x, upper):
    assert 1 - quadratic_form_cdf(x, np.array([0.6, 0.3, 0.1])) == pytest.approx(upper, abs=5.1e-5)


def test_a_weight_of_zero_adds_nothing():
    weights = np.array([2.0, 1.0, 0.3])
    for x in (0.01, 1.0, 9.0):
        assert quadratic_form_cdf(x, np.append(weights, 0.0)) == pytest.approx(
            quadratic_form_cdf(x, weights), rel=0, abs=ACCURACY
        )


def test_one_weight_dwarfs_the_others():
    # With a ratio of 1e8 the small ones move the large one by no more than their sum.
    weights = np.array([1.0, 1e-8, 1e-8])
    for x in (0.1, 1.0, 4.0):
        between = chi2.cdf([x - 1e-6, x], 1)
        assert between[0] <= quadratic_form_cdf(x, weights) <= between[1] + ACCURACY


@given(
    st.lists(st.floats(-8, 0), min_size=1, max_size=50),
    st.floats(-6, 3),
    st.floats(-6, 3),
    st.floats(-8, 8),
)
def test_it_is_a_distribution_function_that_scales(log_weights, first, second, log_unit):
    weights = 10.0 ** np.array(log_weights)
    low, high = sorted(float(weights.sum()) * 10.0 ** np.array([first, second]))
    at_low, at_high = quadratic_form_cdf(low, weights), quadratic_form_cdf(high, weights)
    assert 0.0 <= at_low <= at_high + ACCURACY
    assert at_high <= 1.0
    unit = 10.0**log_unit
    assert quadratic_form_cdf(high * unit, weights * unit) == pytest.approx(at_high, rel=0, abs=ACCURACY)
    # More weight, less probability of staying below.
    assert quadratic_form_cdf(high, weights * 2.0) <= at_high + ACCURACY


def test_nothing_lies_below_zero_and_all_far_out():
    weights = np.array([1.0, 3.0])
    assert quadratic_form_cdf(0.0, weights) == 0.0
    assert quadratic_form_cdf(-1.0, weights) == 0.0
    assert quadratic_form_cdf(1e6, weights) == pytest.approx(1.0, rel=0, abs=ACCURACY)
    assert generalised_q_cdf(0.0, np.array([1.0, 1.0]), 0.0, np.array([1.0, 1.0])) == 0.0


# Q of a meta-analysis


@pytest.mark.parametrize("k", [2, 3, 5, 10, 25, 50])
@pytest.mark.parametrize("moderators", [0, 1, 3])
def test_the_determinant_gives_what_the_eigenvalues_give(k, moderators):
    if k < moderators + 2:
        moderators = k - 2
    rng = np.random.default_rng(100 * k + moderators)
    for decades in (0.5, 2.0, 4.0):
        vi = 10.0 ** rng.uniform(-decades, decades, k)
        X = np.column_stack([np.ones(k), rng.normal(size=(k, moderators))]) if moderators else None
        for tau2 in (0.0, 0.1, 100.0):
            for weights in (1.0 / vi, vi**-0.5, np.ones(k)):
                lambdas = eigenvalues_of_q(vi, tau2, weights, X)
                # Rounding spoils eigenvalues absolutely, to a few units in the last place of the largest.
                lambdas = np.maximum(lambdas, 0.0)
                for ratio in (1e-3, 0.1, 0.5, 1.0, 2.0, 5.0):
                    q = float(lambdas.sum()) * ratio
                    found = generalised_q_cdf(q, vi, tau2, weights, X)
                    assert found == pytest.approx(quadratic_form_cdf(q, lambdas), rel=0, abs=1e-8)


def test_q_with_weights_of_the_true_variances_is_chi_squared_whatever_the_spread():
    rng = np.random.default_rng(9)
    for k, p in ((2, 1), (5, 1), (5, 3), (40, 1), (40, 4)):
        X = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))])
        for decades in (1.0, 4.0):
            vi, tau2 = 10.0 ** rng.uniform(-decades, decades, k), 0.3
            for share in (0.001, 0.3, 0.5, 0.975, 1 - 1e-9):
                q = float(chi2.ppf(share, k - p))
                found = generalised_q_cdf(q, vi, tau2, 1.0 / (vi + tau2), X)
                assert found == pytest.approx(share, rel=0, abs=1e-10)


def test_simulated_q_lies_below_as_often_as_computed():
    rng = np.random.default_rng(21)
    vi, tau2, draws = np.array([0.01, 0.3, 0.05, 2.0, 0.1]), 0.2, 200_000
    weights = vi**-0.5
    X = np.column_stack([np.ones(5), [1.0, 0.0, 2.0, 1.0, 3.0]])
    for design in (None, X):
        columns = np.ones((5, 1)) if design is None else design
        basis, _ = np.linalg.qr(np.sqrt(weights)[:, None] * columns)
        scaled = np.sqrt(weights * (vi + tau2)) * rng.standard_normal((draws, 5))
        q = ((scaled - scaled @ basis @ basis.T) ** 2).sum(axis=1)
        for at in np.quantile(q, [0.01, 0.2, 0.5, 0.9, 0.999]):
            share = generalised_q_cdf(float(at), vi, tau2, weights, design)
            error = math.sqrt(share * (1 - share) / draws)
            assert np.mean(q <= at) == pytest.approx(share, abs=4 * error)


def test_more_heterogeneity_makes_q_larger():
    vi = np.array([0.01, 0.3, 0.05, 2.0])
    shares = [generalised_q_cdf(3.0, vi, tau2, 1.0 / vi) for tau2 in np.geomspace(1e-6, 1e6, 60)]
    assert (np.diff(shares) < 1e-12).all()
    assert shares[0] > 0.5
    assert shares[-1] < 1e-6

"""The integrals over random effects and their derivatives, against sums over fine grids and finite differences."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.special import expit, gammaln

from metapeer.pooling.glmm_likelihood import Binomial, Hypergeometric, Poisson, derivatives, integrate

X1 = np.array([0.0, 3.0, 10.0, 0.0, 400.0])
N1 = np.array([50.0, 60.0, 40.0, 1000.0, 5000.0])
X2 = np.array([2.0, 0.0, 12.0, 0.0, 500.0])
N2 = np.array([50.0, 55.0, 41.0, 1000.0, 5000.0])
ALL = ("mu", "tau2", "level", "sigma2")

FAMILIES = {
    "binomial arms": (Binomial(X1, N1, (0.5, 1.0)), Binomial(X2, N2, (-0.5, 1.0))),
    "Poisson arms": (Poisson(X1, N1, (0.5, 1.0)), Poisson(X2, N2, (-0.5, 1.0))),
    "one binomial": (Binomial(X1, N1, offset=np.linspace(-1, 1, 5)),),
    "one Poisson": (Poisson(X1, N1),),
    "hypergeometric": (Hypergeometric(X1, N1, X2, N2),),
}


def choose(n, x):
    return gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)


def log_binomial(x, n, eta):
    return choose(n, x) + np.log(expit(eta)) * x + np.log(expit(-eta)) * (n - x)


def at(terms, point, *, points, random_level):
    mu, tau2, level, sigma2 = point
    names = ALL if random_level else ("mu", "tau2", "level")
    return integrate(
        terms,
        mu=mu,
        tau2=tau2,
        level=np.full(5, level),
        sigma2=sigma2 if random_level else 0.0,
        parameters=names,
        points=points,
        random_level=random_level,
    )


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("theta", "a"), [(0.3, -1.2), (-2.0, 0.4)])
def test_each_derivative_is_the_slope_of_the_one_before(name, theta, a):
    terms, h = FAMILIES[name], 1e-5

    def shifted(by_theta, by_a):
        return derivatives(terms, np.full((5, 1), theta + by_theta), np.full((5, 1), a + by_a))

    value, by_order = shifted(0.0, 0.0)
    assert by_order
    for j, m in by_order:
        step = (1, 0) if j else (0, 1)
        low, high = (shifted(sign * step[0] * h, sign * step[1] * h) for sign in (-1, 1))
        before = (j - step[0], m - step[1])
        slope = (high[0] - low[0]) / (2 * h) if before == (0, 0) else (high[1][before] - low[1][before]) / (2 * h)
        np.testing.assert_allclose(by_order[j, m], slope, rtol=2e-6, atol=1e-4)
    assert value.shape == (5, 1)


@pytest.mark.parametrize("eta", [-30.0, -3.0, 0.0, 2.0, 30.0])
def test_hypergeometric_probabilities_sum_to_one_and_a_study_of_two_people_has_the_textbook_probability(eta):
    support = np.arange(0, 8.0)
    tables = Hypergeometric(support, np.full(8, 9.0), 7 - support, np.full(8, 12.0))
    assert np.exp(tables.log_density(np.full((8, 1), eta))[0]).sum() == pytest.approx(1.0, rel=1e-12)
    # One event among two people, one in each arm: arm 1 has it with probability expit(eta).
    pair = Hypergeometric(np.array([1.0]), np.array([1.0]), np.array([0.0]), np.array([1.0]))
    assert pair.log_density(np.array([[eta]]))[0][0, 0] == pytest.approx(float(-np.logaddexp(0, -eta)), rel=1e-12)


def test_hypergeometric_likelihood_of_a_large_trial_neither_overflows_nor_loses_its_information():
    # With rare events both arms are nearly Poisson, and the conditional distribution nearly binomial.
    large = Hypergeometric(np.array([505.0]), np.array([2e7]), np.array([499.0]), np.array([2e7]))
    near = Binomial(np.array([505.0]), np.array([1004.0]))
    for ours, theirs in zip(large.log_density(np.array([[0.02]])), near.log_density(np.array([[0.02]])), strict=True):
        assert ours[0, 0] == pytest.approx(theirs[0, 0], rel=1e-3, abs=0.05)


@pytest.mark.parametrize("tau2", [0.01, 0.5, 9.0])
def test_one_dimensional_integral_is_the_sum_over_a_fine_grid(tau2):
    z = np.linspace(-14.0, 14.0, 40001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    for x, n in product((0.0, 3.0, 40.0), (40.0, 400.0)):
        expected = np.sum(density * np.exp(log_binomial(x, n, -1.0 + math.sqrt(tau2) * z)))
        study = Binomial(np.array([x]), np.array([n]))
        found = integrate([study], mu=-1.0, tau2=tau2, level=np.zeros(1), parameters=("mu",), points=127)
        assert found.value[0] == pytest.approx(math.log(expected), abs=1e-8)


def test_two_dimensional_integral_is_the_sum_over_a_fine_grid():
    z = np.linspace(-9.0, 9.0, 1801)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    theta, a = np.meshgrid(-0.4 + 0.9 * z, -2.0 + 1.3 * z, indexing="ij")
    found = at(FAMILIES["binomial arms"], (-0.4, 0.81, -2.0, 1.69), points=63, random_level=True)
    for i in range(4):
        joint = log_binomial(X1[i], N1[i], a + theta / 2) + log_binomial(X2[i], N2[i], a - theta / 2)
        assert found.value[i] == pytest.approx(math.log(density @ np.exp(joint) @ density), abs=1e-8)


@pytest.mark.parametrize(
    ("name", "random_level"),
    [*((name, False) for name in FAMILIES), ("binomial arms", True), ("Poisson arms", True)],
)
@pytest.mark.parametrize("point", [(-0.2, 0.3, -2.0, 0.8), (-0.2, 1e-4, -2.0, 1e-4), (0.5, 4.0, -3.0, 6.0)])
def test_gradient_and_hessian_are_those_of_the_integral(name, point, random_level):
    terms, names = FAMILIES[name], ALL if random_level else ("mu", "tau2", "level")
    points = 47 if random_level else 127
    found = at(terms, point, points=points, random_level=random_level)
    for place, parameter in enumerate(names):
        h = 1e-5 * max(abs(point[place]), 1.0) if not parameter.endswith("2") else 1e-3 * point[place]
        low, high = (
            at(
                terms,
                [x + sign * h * (i == place) for i, x in enumerate(point)],
                points=points,
                random_level=random_level,
            )
            for sign in (-1, 1)
        )
        slope = (high.value - low.value) / (2 * h)
        np.testing.assert_allclose(found.gradient[:, place], slope, rtol=1e-4, atol=1e-5 * (1 + np.abs(slope).max()))
        curve = (high.gradient - low.gradient) / (2 * h)
        np.testing.assert_allclose(found.hessian[:, place], curve, rtol=1e-4, atol=1e-4 * (1 + np.abs(curve).max()))


def test_derivative_in_tau2_is_continuous_down_to_zero():
    terms = FAMILIES["one binomial"]
    slopes = [
        integrate(terms, mu=-1.0, tau2=tau2, level=np.zeros(5), parameters=("mu", "tau2"), points=31).gradient[:3]
        for tau2 in (0.0, 1e-12, 1e-7)
    ]
    np.testing.assert_allclose(slopes[1], slopes[0], rtol=1e-6)
    np.testing.assert_allclose(slopes[2], slopes[0], rtol=1e-3)


def test_without_random_effects_the_integral_is_the_likelihood():
    terms = FAMILIES["binomial arms"]
    value, _ = derivatives(terms, np.full((5, 1), 0.2), np.full((5, 1), -1.0))
    found = at(terms, (0.2, 0.0, -1.0, 0.0), points=1, random_level=False)
    np.testing.assert_allclose(found.value, value[:, 0], rtol=1e-13)

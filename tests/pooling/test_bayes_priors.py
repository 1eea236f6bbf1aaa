"""Prior distributions: what they integrate to, what they refuse, and the tables of Turner and of Rhodes."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from metapeer.errors import ChoiceError, DataWarning, MetapeerError
from metapeer.pooling.empirical_priors import (
    DOUBTFUL,
    RHODES,
    RHODES_COMPARISONS,
    TURNER,
    TURNER_COMPARISONS,
    rhodes,
    turner,
)
from metapeer.pooling.priors import (
    half_cauchy,
    half_normal,
    half_t,
    log_normal,
    log_t,
    lomax,
    normal,
    uniform,
)
from metapeer.pooling.tau2_bayes import tau2_bayes_modal
from metapeer.pooling.tau2_likelihood import tau2_ml

PRIORS = [
    half_normal(0.5),
    half_cauchy(0.3),
    half_t(0.7, 4),
    uniform(2),
    lomax(0.4, shape=2.5),
    log_normal(-2.56, 1.74),
    log_t(-3.44, 2.59),
]


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_density_distribution_and_quantiles_belong_together(prior):
    def density(u):
        return math.exp(float(prior.log_density(np.array([math.exp(u)]))[0]) + u)

    for p in (0.01, 0.3, 0.5, 0.9, 0.99):
        tau = prior.quantile(p)
        assert prior.cdf(tau) == pytest.approx(p, rel=1e-10)
        assert prior.sf(tau) == pytest.approx(1 - p, rel=1e-10)
    low, high = math.log(prior.quantile(0.2)), math.log(prior.quantile(0.8))
    assert quad(density, low, high, epsabs=0, epsrel=1e-11)[0] == pytest.approx(0.6, rel=1e-9)


@pytest.mark.parametrize(
    "prior", [half_normal(0.5), half_cauchy(0.3), half_t(0.7, 4), uniform(2), lomax(0.4, shape=2.5)], ids=str
)
def test_a_tiny_probability_keeps_its_digits(prior):
    height = math.exp(float(prior.log_density(np.zeros(1))[0]))
    assert prior.cdf(1e-20) == pytest.approx(height * 1e-20, rel=1e-9)


def test_half_t_runs_from_half_cauchy_to_half_normal():
    tau = np.array([0.0, 0.1, 1.0, 5.0])
    assert half_t(0.5, 1).log_density(tau) == pytest.approx(half_cauchy(0.5).log_density(tau))
    assert half_t(0.5, 1e9).log_density(tau) == pytest.approx(half_normal(0.5).log_density(tau), rel=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: half_normal(0),
        lambda: half_normal("wide"),
        lambda: half_cauchy(-1),
        lambda: half_t(1, 0),
        lambda: uniform(0),
        lambda: lomax(1, shape=math.nan),
        lambda: log_normal(math.inf, 1),
        lambda: log_t(0, 0),
        lambda: normal(0, 0),
        lambda: normal(None, 1),
    ],
)
def test_impossible_parameters_are_refused(make):
    with pytest.raises(MetapeerError, match="is not a"):
        make()


def sums(table):
    """What a cell should be if a table is a sum of effects of its margins: the median over all others that tell."""
    rows, columns = table.shape
    expected = np.empty_like(table)
    for i in range(rows):
        for j in range(columns):
            told = [
                table[i, b] + table[a, j] - table[a, b]
                for a in range(rows)
                for b in range(columns)
                if a != i and b != j and not np.isnan(table[[i, a, a], [b, j, b]]).any()
            ]
            expected[i, j] = np.median(told)
    return expected


def test_turners_locations_are_sums_of_their_margins():
    table = np.array([[location for location, _ in cells] for cells in TURNER.values()])
    assert table.shape == (16, len(TURNER_COMPARISONS))
    assert np.abs(table - sums(table)).max() < 0.025


@pytest.mark.parametrize("area", sorted(RHODES))
def test_rhodes_locations_are_sums_of_their_margins_but_for_the_doubtful_ones(area):
    table = np.array([[math.nan if cell is None else cell[0] for cell in cells] for cells in RHODES[area].values()])
    doubtful = [
        [(area, outcome, comparison) in DOUBTFUL for comparison in RHODES_COMPARISONS] for outcome in RHODES[area]
    ]
    expected = sums(np.where(doubtful, np.nan, table))
    for i, outcome in enumerate(RHODES[area]):
        for j, comparison in enumerate(RHODES_COMPARISONS):
            if (area, outcome, comparison) in DOUBTFUL:
                assert abs(table[i, j] - expected[i, j]) > 0.2
                assert DOUBTFUL[area, outcome, comparison] == pytest.approx(expected[i, j], abs=0.025)
            elif not math.isnan(table[i, j]):
                assert table[i, j] == pytest.approx(expected[i, j], abs=0.025)


def test_areas_of_rhodes_differ_by_a_constant():
    for area, shift in (("respiratory", -1.90), ("cancer", 2.56)):
        for outcome, cells in RHODES[area].items():
            for comparison, cell, other in zip(RHODES_COMPARISONS, cells, RHODES["other"][outcome], strict=True):
                if cell is not None and not {(area, outcome, comparison), ("other", outcome, comparison)} & set(
                    DOUBTFUL
                ):
                    assert cell[0] - other[0] == pytest.approx(shift, abs=0.025)


def test_selectors_find_their_cells():
    assert (turner().location, turner().scale) == (-2.56, 1.74)
    assert (rhodes().location, rhodes().scale, rhodes().df) == (-3.44, 2.59, 5)
    prior = turner(outcome="all-cause mortality", comparison="non-pharmacological vs pharmacological")
    assert (prior.location, prior.scale) == (-2.92, 1.02)
    prior = rhodes(outcome="mental health", comparison="pharmacological vs control", area="respiratory")
    assert (prior.location, prior.scale) == (-4.90, 2.17)
    assert "area='respiratory'" in str(prior)


def test_a_doubtful_cell_warns_and_says_what_its_neighbours_say():
    with pytest.warns(DataWarning, match=r"log_t\(-2.85, 1.93\) is probably what was meant"):
        prior = rhodes(outcome="mental health", comparison="non-pharmacological vs any")
    assert prior.location == -3.85


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: turner(outcome="mental helth", comparison="pharmacological vs control"),
            "Did you mean 'mental health'",
        ),
        (lambda: turner(outcome="mental health"), "comparison is missing"),
        (lambda: rhodes(comparison="pharmacological vs control"), "outcome is missing"),
        (lambda: rhodes(outcome="mental health", comparison="talking"), "comparison 'talking' is unknown"),
        (lambda: rhodes(area="cancer"), "no effect"),
        (lambda: rhodes(area="eyes"), "area 'eyes' is unknown"),
        (
            lambda: rhodes(outcome="resource use", comparison="pharmacological vs control", area="cancer"),
            "could not be verified",
        ),
    ],
)
def test_selectors_say_what_they_know(make, message):
    with pytest.raises(ChoiceError, match=message):
        make()


# The Bayes modal estimator


def modal_equation(yi, vi, tau2, rate):
    """Slope in log(tau) of the profile likelihood times the gamma density; zero at the mode."""
    w = 1 / (vi + tau2)
    mean = w @ yi / w.sum()
    return tau2 * (np.sum(w**2 * (yi - mean) ** 2) - w.sum()) + 1 - rate * math.sqrt(tau2)


@pytest.mark.parametrize("name", ["k2", "k3", "homog", "extreme", "bcg_rr", "raudenbush", "hine_rd", "cohen_z"])
def test_bayes_modal_estimate_solves_its_equation_and_exceeds_maximum_likelihood(name, golden_set):
    yi, vi, _ = golden_set(name)
    found = tau2_bayes_modal(yi, vi)
    assert modal_equation(yi, vi, found, 1e-4) == pytest.approx(0, abs=1e-6)
    assert found > tau2_ml(yi, vi)


@pytest.mark.parametrize("factor", [1e-8, 1e4])
def test_bayes_modal_estimate_does_not_depend_on_the_unit_without_a_rate(factor, golden_set):
    yi, vi, _ = golden_set("homog")
    here = tau2_bayes_modal(yi, vi, rate=0)
    assert tau2_bayes_modal(yi * factor, vi * factor**2, rate=0) == pytest.approx(here * factor**2, rel=1e-8)
    assert tau2_bayes_modal(yi, vi, np.ones((yi.size, 1)), rate=0) == pytest.approx(here, rel=1e-8)

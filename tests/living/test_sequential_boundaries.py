"""Boundaries against published tables, against multivariate normal probabilities, and against simulated paths."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.living.sequential_boundaries import (
    SPENDING,
    crossing_probabilities,
    efficacy_boundaries,
    futility_boundaries,
    looks_tested,
    spent_error,
)
from metapeer.living.sequential_formulas import logarithm_boundary, required_drift, restricted_boundary

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "sequential.json").read_text(encoding="utf-8"))
FIFTHS = [0.2, 0.4, 0.6, 0.8, 1.0]


def paths(fractions, n, drift=0.0, seed=20110403):
    """Simulated z at each look."""
    times = np.asarray(fractions)
    steps = np.diff(np.append(0.0, times))
    noise = np.random.default_rng(seed).normal(size=(n, times.size)) * np.sqrt(steps)
    return np.cumsum(noise + drift * steps, axis=1) / np.sqrt(times)


@pytest.mark.parametrize("row", GOLDEN["boundaries"], ids=lambda row: f"{row['spending']}-{row['alpha']}")
def test_boundaries_are_those_of_multivariate_normal_probabilities(row):
    found = efficacy_boundaries(row["fractions"], row["alpha"], spending=row["spending"], gamma=row["gamma"])
    # Miwa's algorithm has about seven digits.
    np.testing.assert_allclose(found, row["boundaries"], rtol=2e-6)


# Lan & DeMets' programs, as printed by Reboussin et al. (2000) for five equal looks and a two-sided 0.05.
@pytest.mark.parametrize(
    ("spending", "printed"),
    [("OBF", [4.877, 3.357, 2.680, 2.290, 2.031]), ("Pocock", [2.438, 2.427, 2.410, 2.397, 2.386])],
)
def test_five_equal_looks_have_the_printed_boundaries(spending, printed):
    np.testing.assert_allclose(efficacy_boundaries(FIFTHS, 0.05, spending=spending), printed, atol=5.1e-4)


# Jennison & Turnbull (2000), tables 2.1, 2.2, 2.3 and 2.4: constants, and the information they need for a power of 0.8.
@pytest.mark.parametrize(
    ("constants", "inflation"),
    [([2.413] * 5, 1.229), ([2.040 * math.sqrt(5 / k) for k in range(1, 6)], 1.028)],
    ids=["Pocock", "OBF"],
)
def test_printed_constants_keep_the_error_and_printed_inflation_gives_the_power(constants, inflation):
    upper, lower, _ = crossing_probabilities(FIFTHS, constants)
    assert upper.sum() + lower.sum() == pytest.approx(0.05, abs=4e-5)
    drift = required_drift(0.05, 0.8) * math.sqrt(inflation)
    assert crossing_probabilities(FIFTHS, constants, drift=drift)[0].sum() == pytest.approx(0.8, abs=3e-4)


# The constants that Simmonds, an author of the method, uses in code of his own. For alpha = 0.05 and a power of 0.95
# his H is 8.228, which does not go with his V_max: H / sqrt(V_max) is 2.2414 in the other two rows of that alpha.
@pytest.mark.parametrize(
    ("alpha", "power", "height", "most"),
    [
        (0.001, 0.80, 14.576, 17.535),
        (0.001, 0.90, 16.120, 21.447),
        (0.001, 0.95, 17.394, 24.972),
        (0.010, 0.80, 9.779, 12.138),
        (0.010, 0.90, 11.029, 15.438),
        (0.010, 0.95, 12.061, 18.461),
        (0.050, 0.80, 6.457, 8.299),
        (0.050, 0.90, 7.461, 11.079),
        (0.050, 0.95, 8.288, 13.673),
    ],
)
def test_the_restricted_procedure_has_the_printed_constants(alpha, power, height, most):
    np.testing.assert_allclose(restricted_boundary(alpha, power), (height, most), atol=1.1e-3)


@given(
    st.lists(st.floats(0.02, 1.0), min_size=1, max_size=6, unique=True),
    st.sampled_from(SPENDING),
    st.sampled_from([0.01, 0.05, 0.2]),
)
def test_no_effect_is_rejected_as_often_as_was_spent(fractions, spending, alpha):
    times = sorted(fractions)
    bounds = efficacy_boundaries(times, alpha, spending=spending)
    upper, lower, _ = crossing_probabilities(times, bounds)
    last = [time for time, use in zip(times, looks_tested(times), strict=True) if use][-1]
    np.testing.assert_allclose(upper, lower, rtol=1e-9, atol=1e-18)
    spent = spent_error(last, alpha / 2, spending=spending)
    assert upper.sum() == pytest.approx(spent if spent > 1e-20 else 0.0, rel=1e-7, abs=1e-19)


@pytest.mark.parametrize("spending", SPENDING)
def test_error_is_spent_steadily_from_nothing_to_all(spending):
    spent = [spent_error(t, 0.025, spending=spending) for t in np.linspace(0.0, 1.2, 50)]
    assert spent[0] == 0.0
    assert np.all(np.diff(spent) >= 0.0)
    assert spent[-1] == 0.025
    assert spent_error(1.0 - 1e-9, 0.025, spending=spending) == pytest.approx(0.025, rel=1e-6)


def test_gamma_of_nought_spends_evenly():
    near = spent_error(0.3, 0.05, spending="HSD", gamma=1e-8)
    assert spent_error(0.3, 0.05, spending="HSD", gamma=0.0) == pytest.approx(near, rel=1e-6)
    assert near == pytest.approx(0.015, rel=1e-6)


def test_a_look_that_adds_next_to_nothing_is_left_out_and_changes_no_other():
    with_it = efficacy_boundaries([0.3, 0.30001, 0.7, 1.0], 0.05)
    np.testing.assert_allclose(with_it[[0, 2, 3]], efficacy_boundaries([0.3, 0.7, 1.0], 0.05))
    assert np.isnan(with_it[1])


def test_no_look_after_the_required_information_is_tested():
    found = efficacy_boundaries([0.5, 1.2, 1.9], 0.05)
    assert np.isfinite(found).tolist() == [True, True, False]


def test_a_first_look_with_all_information_is_the_usual_test():
    assert efficacy_boundaries([1.7], 0.05)[0] == pytest.approx(1.959963984540054, rel=1e-10)


def test_far_too_early_a_look_has_no_boundary_and_keeps_its_error():
    found = efficacy_boundaries([0.01, 0.6, 1.0], 0.05)
    assert math.isinf(found[0])
    np.testing.assert_allclose(found[1:], efficacy_boundaries([0.6, 1.0], 0.05), rtol=1e-9)


def test_futility_boundaries_spend_what_they_may_and_leave_the_error_alone():
    drift = required_drift(0.05, 0.8)
    outer = efficacy_boundaries(FIFTHS, 0.05)
    inner = futility_boundaries(FIFTHS, outer, 0.2, drift=drift)
    futile = crossing_probabilities(FIFTHS, outer, drift=drift, futility=inner)[2]
    assert futile.sum() == pytest.approx(spent_error(0.8, 0.2), rel=1e-7)
    upper, lower, _ = crossing_probabilities(FIFTHS, outer, futility=inner)
    assert upper.sum() + lower.sum() < 0.05


def test_a_hopeless_drift_makes_futility_meet_the_boundary():
    outer = efficacy_boundaries([0.5, 1.0], 0.05)
    inner = futility_boundaries([0.5, 1.0], outer, 0.9, drift=0.1, spending="Pocock")
    assert inner[0] <= outer[0]
    everything = futility_boundaries([0.9, 1.0], efficacy_boundaries([0.9, 1.0], 0.2), 0.99, drift=0.0)
    assert everything[0] == pytest.approx(efficacy_boundaries([0.9, 1.0], 0.2)[0])


def test_the_logarithm_never_lowers_the_usual_boundary_and_grows_with_information():
    found = [logarithm_boundary(information, 0.05, 2.0) for information in (0.1, 1.0, 3.0, 10.0, 1e3, 1e9)]
    assert min(found) == pytest.approx(1.959963984540054)
    assert np.all(np.diff(found) >= 0.0)
    by_hand = 1.959963984540054 * math.sqrt(2.0 * math.log(math.log(1e3)))
    assert found[4] == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("spending", SPENDING)
def test_simulated_paths_cross_as_often_as_they_may(spending):
    fractions = [0.06, 0.11, 0.3, 0.34, 0.6, 0.75, 0.93, 1.0]
    bounds = efficacy_boundaries(fractions, 0.05, spending=spending)
    crossed = (np.abs(paths(fractions, 400_000)) >= bounds).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 400_000))
    drift = required_drift(0.05, 0.8)
    power = (paths(fractions, 400_000, drift) >= bounds).any(axis=1).mean()
    computed = crossing_probabilities(fractions, bounds, drift=drift)[0].sum()
    assert power == pytest.approx(computed, abs=4 * math.sqrt(0.2 * 0.8 / 400_000))


@pytest.mark.slow
def test_simulated_paths_are_stopped_for_futility_as_often_as_they_may_be():
    drift = required_drift(0.05, 0.9)
    outer = efficacy_boundaries(FIFTHS, 0.05)
    inner = futility_boundaries(FIFTHS, outer, 0.1, drift=drift)
    z = np.abs(paths(FIFTHS, 400_000, drift))
    out, futile = z >= outer, z < np.nan_to_num(inner)
    first = np.where((out | futile).any(axis=1), (out | futile).argmax(axis=1), -1)
    stopped = futile[np.arange(len(z)), first] & (first >= 0)
    expected = spent_error(0.8, 0.1)
    assert stopped.mean() == pytest.approx(expected, abs=4 * math.sqrt(expected / 400_000))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("looks", "beyond", "most"), [(1, 1.0, 0.05), (10, 1.0, 0.05), (50, 1.0, 0.05), (50, 3.0, 0.062)]
)
def test_the_restricted_procedure_keeps_its_error_with_few_looks_and_nearly_with_one_far_beyond(looks, beyond, most):
    height, end = restricted_boundary(0.05, 0.9)
    places = np.append(np.linspace(0.0, 0.99 * end, looks + 1)[1:], beyond * end)
    bounds = height / np.sqrt(np.minimum(places, end))
    assert (np.abs(paths(places, 200_000)) >= bounds).any(axis=1).mean() < most

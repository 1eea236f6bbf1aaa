"""Standardised mean differences: J, the seven variances, and what must hold whatever the numbers."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.meta_analysis import effectsize_smd

from metapeer.effects.continuous import (
    SMD_PRESETS,
    SMD_VARIANCES,
    cohen_d,
    find_smd_variance,
    hedges_g,
    heteroscedastic_smd,
    log_ratio_of_means,
    mean_difference,
    small_sample_correction,
)
from metapeer.errors import ChoiceError

SYMMETRIC = sorted(SMD_VARIANCES)


def arms(**values):
    return {name: np.atleast_1d(np.asarray(value, dtype=float)) for name, value in values.items()}


def swap(pair):
    return {name[:-1] + {"1": "2", "2": "1"}[name[-1]]: value for name, value in pair.items()}


sizes = st.integers(2, 10**6)
means = st.floats(-100, 100)
spreads = st.floats(0.01, 100)
pairs = st.builds(arms, n1=sizes, mean1=means, sd1=spreads, n2=sizes, mean2=means, sd2=spreads)


@pytest.mark.parametrize(
    ("variance", "se"),
    [
        ("metafor", 0.419500),
        ("LS2", 0.406736),
        ("meta", 0.422352),
        ("revman5", 0.422533),
        ("metapsy", 0.406761),
        ("pymare", 0.408217),
        # With one row AV is LS: the mean g is the g.
        ("AV", 0.419500),
    ],
)
def test_seven_definitions_give_seven_standard_errors_for_the_same_trial(variance, se):
    _, vi = hedges_g(**arms(n1=11, mean1=17.8, sd1=9.9, n2=14, mean2=26.9, sd2=11.2), variance=variance)
    assert round(float(np.sqrt(vi)[0]), 6) == se


@pytest.mark.parametrize("preset", ["revman5", "statsmodels", "meta_approximate"])
def test_revman_and_statsmodels_agree(preset):
    trial = arms(n1=[11, 40], mean1=[17.8, 5], sd1=[9.9, 2], n2=[14, 38], mean2=[26.9, 4], sd2=[11.2, 3])
    yi, vi = hedges_g(**trial, variance=preset)
    theirs = effectsize_smd(*(trial[name] for name in ("mean1", "sd1", "n1", "mean2", "sd2", "n2")))
    np.testing.assert_allclose(yi, theirs[0], rtol=1e-13)
    np.testing.assert_allclose(vi, theirs[1], rtol=1e-13)


def test_every_preset_names_a_definition_and_every_label_tells_which_j():
    assert set(SMD_PRESETS.values()) <= set(SMD_VARIANCES)
    labels = {row.label for row in SMD_VARIANCES.values()}
    assert len(labels) == len(SMD_VARIANCES) == 7
    for row in SMD_VARIANCES.values():
        assert row.correction in row.label


def test_an_unknown_variance_is_met_with_the_one_that_was_meant():
    with pytest.raises(ChoiceError, match=r"'revman'.*Did you mean 'revman5'.*Known: LS, LS2, UB"):
        find_smd_variance("revman")


@pytest.mark.parametrize("m", [1, 2, 5, 49, 50, 51, 200, 5_000])
def test_exact_j_is_exact_at_even_degrees_of_freedom(m):
    # For df = 2m, gamma(m)/gamma(m - 1/2) = 4^(m-1) / (C(2m-2, m-1) sqrt(pi)), in whole numbers but for the root.
    ratio = 4 ** (m - 1) / math.comb(2 * m - 2, m - 1)
    expected = ratio / math.sqrt(math.pi * m)
    assert small_sample_correction(np.array([2.0 * m]))[0] == pytest.approx(expected, rel=2e-14)


def test_j_grows_with_the_sample_and_stays_below_one():
    df = np.array([*np.arange(2.0, 400.0), 1e4, 1e6, 1e9])
    for kind in ("exact", "approximate"):
        j = small_sample_correction(df, kind=kind)
        assert (np.diff(j) > 0).all()
        assert j[0] > 0.5
        assert j[-1] < 1


def test_approximate_j_is_close_and_never_the_same():
    df = np.array([2.0, 10.0, 50.0, 500.0])
    gap = np.abs(small_sample_correction(df) - small_sample_correction(df, kind="approximate"))
    assert (gap < 0.05 / df).all()
    assert (gap > 0).all()


@pytest.mark.parametrize("m", [1, 2, 49, 51, 5_000, 109_999])
def test_unbiased_variance_is_exact_at_even_degrees_of_freedom(m):
    # 1 - (x-2)/(x J²) tends to 1/(2x): subtracting two numbers near 1 in binary would leave few digits of it.
    with localcontext() as context:
        context.prec = 60
        pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494")
        j2 = (Decimal(4 ** (m - 1)) / Decimal(math.comb(2 * m - 2, m - 1))) ** 2 / (pi * m)
        share = float(1 - Decimal(m - 1) / (m * j2))
    n = float(m + 1)
    g, vi = hedges_g(**arms(n1=n, mean1=100, sd1=1, n2=n, mean2=0, sd2=1), variance="UB")
    assert (vi[0] - 2 / n) / g[0] ** 2 == pytest.approx(share, rel=1e-11)


@given(pair=pairs, variance=st.sampled_from(SYMMETRIC))
def test_swapping_arms_turns_the_sign_and_keeps_the_variance(pair, variance):
    yi, vi = hedges_g(**pair, variance=variance)
    turned, same = hedges_g(**swap(pair), variance=variance)
    np.testing.assert_allclose(turned, -yi, rtol=1e-12)
    np.testing.assert_allclose(same, vi, rtol=1e-12)


@given(pair=pairs)
def test_swapping_arms_turns_the_sign_of_every_other_measure(pair):
    positive = pair | {name: np.abs(pair[name]) + 1 for name in ("mean1", "mean2")}
    for compute in (heteroscedastic_smd, mean_difference, log_ratio_of_means):
        yi, vi = compute(**positive)
        turned, same = compute(**swap(positive))
        np.testing.assert_allclose(turned, -yi, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(same, vi, rtol=1e-12)


@given(pair=pairs, variance=st.sampled_from(SYMMETRIC))
def test_variances_are_positive_and_finite_from_two_to_a_million_participants(pair, variance):
    yi, vi = hedges_g(**pair, variance=variance)
    assert np.isfinite(yi).all()
    assert np.isfinite(vi).all()
    assert (vi > 0).all()


@given(pair=pairs, unit=st.sampled_from([1e-8, 1e-3, 0.25, 60.0, 1e4]), shift=st.floats(-50, 50))
def test_g_knows_neither_unit_nor_origin(pair, unit, shift):
    yi, vi = hedges_g(**pair)
    moved = pair | {f"mean{i}": (pair[f"mean{i}"] + shift) * unit for i in "12"}
    moved |= {f"sd{i}": pair[f"sd{i}"] * unit for i in "12"}
    same, also = hedges_g(**moved)
    # Adding the shift rounds the means, by 1e-14 of their size, in units of the smaller standard deviation.
    np.testing.assert_allclose(same, yi, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(also, vi, rtol=1e-9)


@given(pair=pairs)
def test_definitions_differ_only_in_j_and_variance(pair):
    d = cohen_d(**pair)
    for name, row in SMD_VARIANCES.items():
        yi, _ = hedges_g(**pair, variance=name)
        j = small_sample_correction(pair["n1"] + pair["n2"] - 2, kind=row.correction)
        np.testing.assert_allclose(yi, j * d, rtol=1e-14)


@given(pair=pairs)
def test_equal_spread_makes_both_mean_difference_variances_equal(pair):
    equal = pair | {"sd2": pair["sd1"]}
    np.testing.assert_allclose(mean_difference(**equal)[1], mean_difference(**equal, pooled=True)[1], rtol=1e-12)


def test_av_variance_rests_on_the_mean_effect():
    trial = arms(n1=[20, 60], mean1=[2, 1], sd1=[1, 1], n2=[20, 60], mean2=[0, 0], sd2=[1, 1])
    g, vi = hedges_g(**trial, variance="AV")
    mean = (40 * g[0] + 120 * g[1]) / 160
    np.testing.assert_allclose(vi, [0.1 + mean**2 / 80, 1 / 30 + mean**2 / 240], rtol=1e-14)


def test_a_ratio_of_means_has_no_value_for_a_mean_that_is_not_positive():
    yi, vi = log_ratio_of_means(**arms(n1=[9, 9], mean1=[-1, 0], sd1=[1, 1], n2=[9, 9], mean2=[1, 1], sd2=[1, 1]))
    assert np.isnan(yi).all()
    assert np.isnan(vi).all()

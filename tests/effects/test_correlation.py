"""Correlations: raw, unbiased and Fisher's z."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.effects.correlation import correlation, unbiased_correlation
from metapeer.effects.measures import find_measure
from metapeer.effects.table import effect_size
from metapeer.errors import ChoiceError, DataError


@pytest.mark.golden_effects("COR", "UCOR", "ZCOR")
def test_correlations_agree_with_metafor(columns, case):
    effects = effect_size(pd.DataFrame(columns), **case["arguments"])
    # Olkin and Pratt's function comes from the GNU Scientific Library there, from SciPy here.
    rtol = 1e-12 if case["arguments"]["measure"] == "UCOR" else 1e-14
    np.testing.assert_allclose(effects["yi"], case["yi"], rtol=rtol)
    np.testing.assert_allclose(effects["vi"], case["vi"], rtol=rtol)


def test_the_correction_for_bias_is_the_sum_of_its_series_where_the_correlation_is_small():
    # metafor 5.0-1 gives -0.042590 here, off in the fourth digit.
    r, n = -0.04, 12
    term = total = 1.0
    for i in range(10_000):
        term *= (0.5 + i) ** 2 / (((n - 2) / 2 + i) * (1 + i)) * (1 - r**2)
        total += term
    found, _ = unbiased_correlation(np.array([r]), np.array([float(n)]))
    assert found[0] == pytest.approx(r * total, rel=1e-12)


def test_four_participants_and_no_correlation_need_no_correction():
    yi, vi = unbiased_correlation(np.array([0.0, 1e-9]), np.array([4.0, 4.0]))
    assert (yi[0], vi[0]) == (0.0, 1 / 3)
    # 2/pi K(1 - r²) is (2/pi) ln(4/|r|) to first order
    assert yi[1] == pytest.approx(1e-9 * 2 / np.pi * np.log(4e9), rel=1e-12)


@settings(deadline=None)
@given(st.floats(-0.999, 0.999), st.integers(4, 100_000))
def test_the_correction_for_bias_moves_away_from_zero_and_not_beyond_one(r, n):
    yi, vi = unbiased_correlation(np.array([r]), np.array([float(n)]))
    assert abs(r) <= abs(yi[0]) * (1 + 1e-12)
    assert abs(yi[0]) <= 1
    assert vi[0] >= 0


@settings(deadline=None)
@given(st.floats(-0.999, 0.999))
def test_fisher_z_turns_back_into_the_correlation(r):
    effects = effect_size(pd.DataFrame({"r": [r], "n": [30]}), measure="ZCOR")
    assert find_measure("ZCOR").display(effects["yi"].iloc[0]) == pytest.approx(r, rel=1e-12, abs=1e-15)


def test_the_average_variance_rests_on_the_weighted_mean():
    _, vi = correlation(np.array([0.2, 0.6]), np.array([30.0, 10.0]), average=True)
    np.testing.assert_allclose(vi, (1 - 0.3**2) ** 2 / np.array([29.0, 9.0]), rtol=1e-15)


def test_what_cannot_be_pooled_says_why():
    table = pd.DataFrame({"r": [1.0, 0.4, 0.4, np.nan], "n": [30, 3, 30, 30]})
    assert effect_size(table, measure="ZCOR")["exclusion_reason"].tolist() == [
        "Fisher's z of a correlation of 1 or -1 is infinite",
        "ZCOR needs at least 4 participants",
        "",
        "r is missing; ZCOR needs r n",
    ]
    assert effect_size(table, measure="COR")["exclusion_reason"].tolist()[:2] == ["its sampling variance is 0", ""]


def test_impossible_correlations_are_listed():
    with pytest.raises(DataError) as caught:
        effect_size(pd.DataFrame({"r": [1.2, 0.1], "n": [30, 1]}), measure="COR")
    assert [fault.column for fault in caught.value.faults] == ["r", "n"]


def test_an_unknown_variance_is_refused():
    with pytest.raises(ChoiceError, match="variance"):
        effect_size(pd.DataFrame({"r": [0.2], "n": [30]}), measure="COR", variance="UB")

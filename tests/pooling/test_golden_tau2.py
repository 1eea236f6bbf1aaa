"""Between-study variances, their standard errors and their intervals against metafor."""

import math

import numpy as np
import pytest

from metapeer.pooling.heterogeneity import cochran_q, h2_from_tau2, i2_from_h2
from metapeer.pooling.tau2 import estimate_tau2
from metapeer.pooling.tau2_intervals import q_profile

KIND = {"ML": "likelihood", "REML": "likelihood", "EB": "likelihood", "PM": "root"}
"""How metafor arrives at each estimate; those not named here are closed formulas."""

LOCAL_MAXIMA = [
    # effects, variances, tau2 as metafor 3.8-1 and 5.1-12 have it: one in a hundred sets of 3 to 8 studies is like it.
    pytest.param([-0.9, 19.49, 1.17, 0.27], [0.159, 38.894, 0.53, 0.125], 27.85, id="metafor-stops-on-the-lower-peak"),
    pytest.param([1.19, -18.05, 0.07], [0.803, 55.385, 0.102], 0.0, id="metafor-stops-at-zero"),
]


def restricted_log_likelihood(yi, vi, tau2):
    """Viechtbauer (2005), equation 9, up to a constant: written out here so as not to lean on what is tested."""
    w = 1.0 / (vi + tau2)
    mean = np.sum(w * yi) / np.sum(w)
    return -0.5 * (np.sum(np.log(vi + tau2)) + np.log(np.sum(w)) + np.sum(w * (yi - mean) ** 2))


@pytest.mark.golden("pooling_metafor", "fits", method=("DL", "HE", "HS", "SJ", "ML", "REML", "EB", "PM"))
def test_tau2_is_metafors(row, golden_set, agrees):
    yi, vi, _ = golden_set(row["data"])
    kind = KIND.get(row["method"], "formula")
    found = estimate_tau2(yi, vi, row["method"])
    agrees(kind, found.tau2, row["tau2"], scale=np.median(vi))
    agrees(kind, found.se, row["se_tau2"], scale=np.median(vi))


@pytest.mark.golden("pooling_metafor", "fits", method=("REML",))
def test_no_tau2_is_more_likely_than_the_reml_estimate(row, golden_set):
    yi, vi, _ = golden_set(row["data"])
    ours = restricted_log_likelihood(yi, vi, estimate_tau2(yi, vi, "REML").tau2)
    assert ours >= restricted_log_likelihood(yi, vi, row["tau2"]) - 1e-12 * abs(ours)


@pytest.mark.parametrize(("yi", "vi", "metafors"), LOCAL_MAXIMA)
def test_reml_finds_the_global_maximum_where_metafor_does_not(yi, vi, metafors):
    yi, vi = np.array(yi), np.array(vi)
    found = estimate_tau2(yi, vi, "REML")
    assert restricted_log_likelihood(yi, vi, found.tau2) > restricted_log_likelihood(yi, vi, metafors) + 1e-3


@pytest.mark.golden("pooling_metafor", "homogeneity")
def test_cochrans_q_is_metafors(row, golden_set, agrees):
    yi, vi, _ = golden_set(row["data"])
    found = cochran_q(yi, vi)
    assert found.df == row["k"] - 1
    agrees("formula", found.Q, row["Q"])
    agrees("p", found.p_value, row["Q_p"])


@pytest.mark.golden("pooling_metafor", "q_profile")
def test_q_profile_interval_is_metafors(row, golden_set, agrees):
    yi, vi, _ = golden_set(row["data"])
    found = q_profile(yi, vi, row["level"] / 100)
    if row["tau2_high"] == 0:
        # metafor shows 0 to 0 both when the set is {0} and when it is empty; ours tells the two apart.
        assert found.empty
        assert math.isnan(found.high)
        return
    typical = cochran_q(yi, vi).typical_variance
    for end in ("low", "high"):
        tau2 = getattr(found, end)
        agrees("root", tau2, row[f"tau2_{end}"], scale=np.median(vi))
        h2 = h2_from_tau2(tau2, typical)
        agrees("root", h2, row[f"H2_{end}"])
        agrees("root", i2_from_h2(h2), row[f"I2_{end}"], scale=100)

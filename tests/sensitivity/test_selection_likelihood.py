"""The likelihood of selection models: derivatives, integrals, extremes."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from metapeer.sensitivity.selection_likelihood import SelectionLikelihood, log_share
from metapeer.sensitivity.selection_smooth import FAMILIES, smooth_selection
from metapeer.sensitivity.selection_weights import cut_points, p_values, step_selection

RNG = np.random.default_rng(20260101)
K = 7
YI, VI = RNG.normal(0.3, 0.4, K), RNG.uniform(0.01, 0.2, K)
SEI = np.sqrt(VI)
X = np.column_stack([np.ones(K), RNG.normal(size=K)])
STEPS = (0.025, 0.1, 0.5)


def make(kind, *, two_sided=False, threshold=0.0, prec=None, yi=YI, sei=SEI):
    if kind in FAMILIES:
        return smooth_selection(kind, yi / sei, sei, prec=prec, threshold=threshold, two_sided=two_sided)
    group = np.searchsorted(STEPS, p_values(yi / sei, two_sided=two_sided))
    return step_selection(
        sei[:, None] * cut_points(STEPS, two_sided=two_sided),
        group,
        fixed=(1.0, None, None, None),
        decreasing=kind == "decreasing",
        two_sided=two_sided,
    )


CASES = [
    *((kind, two_sided, threshold, prec) for kind in FAMILIES for two_sided in (False, True)
      for threshold, prec in ((0.0, None), (0.05, SEI / SEI.max()))),
    *((kind, two_sided, 0.0, None) for kind in ("stepfun", "decreasing") for two_sided in (False, True)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "two_sided", "threshold", "prec"), CASES)
def test_derivatives_are_those_of_the_value(kind, two_sided, threshold, prec):
    selection = make(kind, two_sided=two_sided, threshold=threshold, prec=prec)
    likelihood = SelectionLikelihood(yi=YI, vi=VI, X=X, selection=selection, random=True)
    x = np.concatenate([[0.2, 0.1, 0.05], selection.starts[1] + 0.1])
    _, gradient, hessian = likelihood(x)
    step = 1e-5
    for i in range(x.size):
        e = np.zeros(x.size)
        e[i] = step
        (up, slope_up, _), (down, slope_down, _) = likelihood(x + e), likelihood(x - e)
        assert (up - down) / (2 * step) == pytest.approx(gradient[i], rel=1e-6, abs=1e-5)
        assert (slope_up - slope_down) / (2 * step) == pytest.approx(
            hessian[i], rel=1e-5, abs=1e-5 * np.abs(hessian).max()
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*FAMILIES, "stepfun", "decreasing"])
@pytest.mark.parametrize("two_sided", [False, True])
def test_the_density_integrates_to_one(kind, two_sided):
    m, tau2, v = 0.25, 0.04, 0.03
    sei = math.sqrt(v)
    psi = make(kind).starts[1] + 0.1

    def density(y):
        one = np.array([y])
        selection = make(kind, two_sided=two_sided, yi=one, sei=np.array([sei]))
        likelihood = SelectionLikelihood(yi=one, vi=np.array([v]), X=np.ones((1, 1)), selection=selection, random=True)
        return math.exp(likelihood(np.concatenate([[m, tau2], psi]))[0])

    corners = {
        0.0,
        *(s * sei * z for s in (1, -1) for z in (*cut_points(STEPS, two_sided=two_sided), 4.2648908, 4.4171734)),
    }
    ends = sorted({m - 3.0, m + 3.0, *corners})
    whole = sum(quad(density, a, b, epsabs=1e-9, epsrel=1e-9)[0] for a, b in pairwise(ends))
    assert whole == pytest.approx(1.0, abs=2e-8)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("two_sided", [False, True])
def test_halving_the_panels_of_the_rule_changes_nothing(kind, two_sided):
    values = []
    for refinement in (0, 1, 2):
        selection = smooth_selection(kind, YI / SEI, SEI, two_sided=two_sided, refinement=refinement)
        likelihood = SelectionLikelihood(yi=YI, vi=VI, X=X, selection=selection, random=True)
        values.append(likelihood(np.concatenate([[0.2, 0.1, 0.05], selection.starts[1]]))[0])
    assert values[1:] == pytest.approx([values[0]] * 2, abs=1e-11)


def test_shares_of_the_normal_distribution_keep_their_digits_in_the_tails():
    low = np.array([-np.inf, 1.0, -41.0, 40.0, -1.0, 1e4])
    high = np.array([np.inf, 2.0, -40.0, 41.0, 1.0, np.inf])
    expected = [
        0.0,
        math.log(norm.cdf(2) - norm.cdf(1)),
        *[norm.logsf(40.0)] * 2,
        math.log(1 - 2 * norm.sf(1)),
        norm.logsf(1e4),
    ]
    assert log_share(low, high) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("shift", [-1e3, -40.0, 40.0, 1e3])
@pytest.mark.parametrize("kind", ["stepfun", *FAMILIES])
def test_effects_far_from_zero_leave_a_finite_likelihood(kind, shift):
    """Far above zero all weights are the same, so that the likelihood is that of a normal distribution."""
    yi = YI + shift
    selection = make(kind, yi=yi)
    likelihood = SelectionLikelihood(yi=yi, vi=VI, X=np.ones((K, 1)), selection=selection, random=True)
    value, gradient, hessian = likelihood(np.concatenate([[shift + 0.3, 0.05], selection.starts[1]]))
    assert np.isfinite([value, *gradient, *hessian.ravel()]).all()
    if shift > 100 or kind in ("stepfun", "beta"):
        assert value == pytest.approx(norm.logpdf(yi, shift + 0.3, np.sqrt(VI + 0.05)).sum(), rel=1e-9, abs=1e-9)


def test_huge_and_tiny_weights_leave_a_finite_likelihood():
    selection = make("stepfun")
    likelihood = SelectionLikelihood(yi=YI, vi=VI, X=np.ones((K, 1)), selection=selection, random=True)
    for eta in (-300.0, 300.0):
        found = likelihood(np.array([0.3, 0.05, eta, eta, eta]))
        assert all(np.isfinite(part).all() for part in found)

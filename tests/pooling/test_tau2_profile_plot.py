"""The likelihood of tau2 as a table, and how it is drawn from a result."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.errors import ChoiceError, DataWarning, MetapeerError
from metapeer.pooling.intervals import chi2_quantile
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.tau2_intervals import likelihood_interval
from metapeer.pooling.tau2_profile_table import tau2_profile_table
from metapeer.pooling.weighted import log_likelihood

TWO_PEAKS = [
    (np.array([-0.9, 19.49, 1.17, 0.27]), np.array([0.159, 38.894, 0.53, 0.125])),
    (np.array([1.19, -18.05, 0.07]), np.array([0.803, 55.385, 0.102])),
]
VARIED = np.array([0.1, 0.3, 0.8, 0.5, -0.2, 0.6]), np.array([0.02, 0.03, 0.04, 0.02, 0.01, 0.02])


def fitted(yi, vi, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return meta_analysis(yi=yi, vi=vi, **options)


def texts(figure):
    figure.draw_without_rendering()
    return [artist.get_text() for artist in figure.axes[0].get_children() if hasattr(artist, "get_text")]


def rows(table, kind):
    return table[table["kind"] == kind]


@pytest.mark.parametrize("data", TWO_PEAKS)
def test_every_maximum_is_in_the_table_and_within_the_plot(data):
    fit = fitted(*data)
    table = fit.tau2_profile()
    assert rows(table, "maximum")["tau2"].tolist() == [fit.tau2]
    ((other, drop),) = fit.other_maxima
    found = rows(table, "local maximum")
    assert found["tau2"].tolist() == [other]
    assert found["drop"].tolist() == pytest.approx([drop], rel=1e-9)
    panel = fit.plot_tau2_profile().axes[0]
    left, right = panel.get_xlim()
    low, high = panel.get_ylim()
    circles = [line for line in panel.lines if line.get_marker() == "o"]
    places = sorted((float(x), float(y)) for line in circles for x, y in zip(*line.get_data(), strict=True))
    assert len(places) == 2
    assert all(left < x < right and low < y < high for x, y in places)
    # A maximum that cannot be told from the end, or from the other, is not shown.
    assert places[0][0] - left > 0.05 * (right - left)
    assert places[1][0] - places[0][0] > 0.05 * (right - left)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(0.01, 2.0)), min_size=2, max_size=8),
    st.booleans(),
    st.sampled_from([1e-9, 1.0, 1e6]),
)
def test_the_curve_is_the_likelihood_and_its_maximum_the_highest_row(pairs, restricted, scale):
    yi, vi = (np.array(values) for values in zip(*pairs, strict=True))
    yi, vi = yi * scale, vi * scale**2
    table = tau2_profile_table(yi, vi, restricted=restricted, level=0.9, points=50)
    exact = log_likelihood(yi, vi, table["tau2"].to_numpy(), restricted=restricted)
    assert table["log_likelihood"].to_numpy() == pytest.approx(exact, rel=1e-12, abs=1e-12)
    assert table["tau2"].is_monotonic_increasing
    assert table["tau2"].iloc[0] == 0.0
    top = float(rows(table, "maximum")["log_likelihood"].iloc[0])
    assert table["log_likelihood"].max() <= top + 1e-9 * abs(top)
    assert table["drop"].to_numpy() == pytest.approx(top - exact, abs=1e-9 * max(1.0, abs(top)))
    interval = likelihood_interval(yi, vi, 0.9, restricted=restricted)
    assert rows(table, "limit")["tau2"].tolist() == list(interval)
    cut = 0.5 * chi2_quantile(0.1, 1)
    assert rows(table, "limit")["drop"].iloc[1] == pytest.approx(cut, rel=1e-6)
    assert table["drop"].iloc[-1] > cut
    assert table["tau2"].iloc[-1] < 1.2 * max(interval.high, *rows(table, "maximum")["tau2"])


def test_the_likelihood_is_that_of_the_estimator_and_restricted_for_all_others():
    for method, kind in (("ML", "ML"), ("REML", "REML"), ("DL", "REML"), ("PM", "REML")):
        fit = fitted(*VARIED, tau2_method=method)
        table = fit.tau2_profile()
        assert set(table["likelihood"]) == {kind}
        estimate = rows(table, "estimate")
        assert estimate["tau2"].tolist() == [fit.tau2]
        own = method == kind
        assert (estimate["drop"].iloc[0] == pytest.approx(0.0, abs=1e-12)) == own
        diamonds = [line for line in fit.plot_tau2_profile().axes[0].lines if line.get_marker() == "D"]
        assert len(diamonds) == (not own)


def test_the_words_below_name_estimator_likelihood_and_level():
    fit = fitted(*VARIED, tau2_method="DL", level=0.9)
    shown = " ".join(texts(fit.plot_tau2_profile()))
    assert "90%: −1.35" in shown
    assert f"Diamond: the DL estimate, τ² = {fit.tau2:.4g}." in shown
    low, high = likelihood_interval(*VARIED, 0.9, restricted=True)
    assert f"90% profile-likelihood interval (REML), τ² from {low:.4g} to {high:.4g}." in shown
    assert "(ML)" in " ".join(texts(fitted(*VARIED, tau2_method="ML").plot_tau2_profile(level=0.5)))
    assert "50%: −0.23" in " ".join(texts(fit.plot_tau2_profile(level=0.5)))


def test_an_interval_with_a_gap_is_told_of():
    (yi, vi), _ = TWO_PEAKS
    drop = fitted(yi, vi).other_maxima[0][1]
    table = tau2_profile_table(yi, vi, restricted=True, level=0.95)
    dip = table[(table["tau2"] > 1.0) & (table["tau2"] < 27.0)]["drop"].max()
    # A level whose cut-off lies between the dip and the lower maximum.
    level = math.erf(math.sqrt(0.5 * (drop + dip)))
    assert "dips below the line" in " ".join(texts(fitted(yi, vi).plot_tau2_profile(level=level)))
    assert "dips below the line" not in " ".join(texts(fitted(yi, vi).plot_tau2_profile()))


def test_the_axis_is_even_unless_a_maximum_would_be_lost_at_its_end():
    panel = fitted(*VARIED).plot_tau2_profile().axes[0]
    assert panel.get_xticks() == pytest.approx([float(label.get_text()) for label in panel.get_xticklabels()])
    figure = fitted(*TWO_PEAKS[1]).plot_tau2_profile()
    panel = figure.axes[0]
    for tick, label in zip(panel.get_xticks(), panel.get_xticklabels(), strict=True):
        assert tick == pytest.approx(math.log(float(label.get_text()) + 0.102))
    assert "The axis is even in log(τ² + 0.102), the smallest sampling variance." in texts(figure)


def test_options_given_win_and_axes_given_are_used():
    from matplotlib.figure import Figure

    figure = Figure((6, 4))
    panel = figure.subplots()
    assert fitted(*VARIED).plot_tau2_profile(panel, x_label="tau squared", notes=[]) is figure
    found = texts(figure)
    assert "tau squared" in found
    assert not any("Filled circle" in text for text in found)


def test_without_a_tau2_of_its_own_there_is_no_likelihood_to_follow():
    with pytest.raises(MetapeerError, match="common effect"):
        fitted(*VARIED, model="common").tau2_profile()
    with pytest.raises(MetapeerError, match="one study"):
        fitted([0.1], [0.2]).plot_tau2_profile()
    with pytest.raises(MetapeerError, match=r"Did you mean 0\.9"):
        fitted(*VARIED).tau2_profile(level=90)
    for points in (1, 2.5, "many", True):
        with pytest.raises(ChoiceError, match="points must be a whole number"):
            fitted(*VARIED).tau2_profile(points=points)

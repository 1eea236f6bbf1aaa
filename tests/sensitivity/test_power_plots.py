"""Figures of power: what is drawn is what the tables say."""

import numpy as np
import pandas as pd
import pytest

from metapeer.errors import ChoiceError, DataError
from metapeer.plots.power import firepower_plot, power_curve_plot, sunset_plot
from metapeer.plots.style import save_figure
from metapeer.sensitivity.power_models import power_curve
from metapeer.sensitivity.power_trials import trial_power

BANDS = pd.DataFrame({"power": [0.2, 0.4, 0.6, 0.8], "sei": [0.27, 0.18, 0.135, 0.107]})
TRIALS = pd.DataFrame({"yi": [0.1, 0.4, -0.2], "sei": [0.1, 0.2, 0.3]})


def test_curves_run_through_the_powers_computed(tmp_path):
    curve = power_curve(effect=0.2, k=[5, 10, 20], I2=[0, 50], vi=0.04)
    figure = curve.plot()
    drawn = [line.get_ydata() for line in figure.axes[0].lines if len(line.get_ydata()) == 3]
    expected = curve.to_frame()["power"].to_numpy().reshape(2, 3)
    np.testing.assert_allclose(np.array(drawn), expected)
    assert save_figure(figure, tmp_path / "curve.png", dpi=60).stat().st_size > 2000


def test_bands_of_a_sunset_plot_lie_where_a_trial_has_that_power():
    found = trial_power(TRIALS["yi"].to_numpy(), sei=TRIALS["sei"].to_numpy(), effects=[0.3], measure="SMD")
    panel = found.plot().axes[0]
    tops = sorted({round(patch.get_y(), 9) for patch in panel.patches} - {0.0})
    at_edges = trial_power(np.zeros(len(tops)), sei=tops, effects=[0.3]).power[:, 0]
    np.testing.assert_allclose(np.sort(at_edges), [0.2, 0.4, 0.6, 0.8], atol=1e-6)
    assert panel.get_ylim()[1] == 0.0  # the largest trials are at the top


def test_bands_below_every_trial_are_not_drawn():
    figure = sunset_plot(pd.DataFrame({"yi": [0.1], "sei": [0.05]}), bands=BANDS, effect=0.3)
    assert len(figure.axes[0].patches) == 1


def test_ratios_are_named_as_logarithms_in_a_sunset_plot():
    found = trial_power([0.2, 0.1], sei=[0.1, 0.2], effects=[0.3], measure="RR")
    assert any(artist.get_text() == "log RR" for artist in found.plot().axes[0].texts)


def test_tiles_show_medians_and_do_not_claim_certainty():
    found = trial_power([0.2, 0.1], sei=[0.1, 0.2], effects=[0.2, 2.0])
    shown = [text.get_text() for text in found.plot(kind="firepower").axes[0].texts]
    assert f"{100 * found.median[0]:.0f}" in shown
    assert ">99" in shown


def test_several_meta_analyses_have_a_row_of_tiles_each(tmp_path):
    table = pd.DataFrame({"effect": [0.2, 0.5] * 2, "power": [0.1, 0.3, 0.4, 0.9], "name": ["a", "a", "b", "b"]})
    figure = firepower_plot(table)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["a", "b"]
    assert save_figure(figure, tmp_path / "tiles.svg").stat().st_size > 2000


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: power_curve_plot(pd.DataFrame({"x": [1, 2], "power": [0.5, 1.5]})), DataError, "not a probability"),
        (lambda: power_curve_plot(pd.DataFrame({"x": [1]})), DataError, "is missing"),
        (lambda: power_curve_plot(pd.DataFrame({"x": [], "power": []})), DataError, "no rows"),
        (lambda: power_curve_plot(BANDS.rename(columns={"sei": "x"}), target=8), ChoiceError, "target"),
        (lambda: power_curve_plot([1]), ChoiceError, "DataFrame"),
        (lambda: sunset_plot(TRIALS, bands=BANDS.iloc[:3], effect=0.3), DataError, "0.2, 0.4, 0.6"),
        (lambda: sunset_plot(TRIALS.assign(sei=0.0), bands=BANDS, effect=0.3), DataError, "not a standard error"),
        (lambda: sunset_plot(TRIALS, bands=BANDS, effect=np.nan), ChoiceError, "effect"),
        (lambda: firepower_plot(pd.DataFrame({"effect": [1, 1], "power": [0.1, 0.2]})), DataError, "one power"),
        (lambda: firepower_plot(BANDS.rename(columns={"sei": "effect"}), row_height=50), ChoiceError, "row_height"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_effect_of_a_sunset_plot_must_be_one_of_those_assumed():
    found = trial_power([0.2, 0.1], sei=[0.1, 0.2], effects=[0.2, 0.5])
    with pytest.raises(ChoiceError, match="give effect="):
        found.plot()
    with pytest.raises(ChoiceError, match="not among"):
        found.plot(effect=0.3)
    with pytest.raises(ChoiceError, match="kind"):
        found.plot(kind="sunrise")

"""The bubble plot: what is drawn where, and what is refused."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from metapeer.errors import ChoiceError, DataError
from metapeer.plots.bubble import NARROWEST_BUBBLE, WIDEST_BUBBLE, bubble_plot
from metapeer.plots.style import save_figure
from metapeer.pooling.bubble_table import bubble_table
from metapeer.pooling.regression_models import meta_regression


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "label": ["a 2001", "b 2005", "c 2009", "d 2020"],
            "x": [2001, 2005, 2009, 2020],
            "estimate": [0.1, 0.4, 0.2, -0.3],
            "weight": [10.0, 40.0, 45.0, 0.001],
        }
    )


@pytest.fixture
def line():
    x = np.linspace(2001, 2020, 5)
    return pd.DataFrame({"x": x, "estimate": 0.1, "ci_low": -0.2, "ci_high": 0.4, "pi_low": -0.8, "pi_high": 1.0})


def texts(figure):
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.axes[0].texts] + [
        artist.get_text() for artist in figure.axes[0].get_children() if hasattr(artist, "get_text")
    ]


def test_areas_are_proportional_to_weights_and_small_bubbles_stay_visible(table):
    (bubbles,) = bubble_plot(table).axes[0].collections
    sizes = dict(zip(bubbles.get_offsets()[:, 0].tolist(), bubbles.get_sizes().tolist(), strict=True))
    assert sizes[2009] == pytest.approx(WIDEST_BUBBLE**2)
    assert sizes[2001] / sizes[2005] == pytest.approx(10 / 40)
    assert sizes[2020] == pytest.approx(NARROWEST_BUBBLE**2)


def test_small_bubbles_are_drawn_over_large_ones(table):
    (bubbles,) = bubble_plot(table).axes[0].collections
    assert (np.diff(bubbles.get_sizes()) <= 0).all()


def test_bubbles_without_weights_are_equal(table):
    (bubbles,) = bubble_plot(table.drop(columns="weight")).axes[0].collections
    assert len(set(bubbles.get_sizes().tolist())) == 1


def test_the_axes_hold_everything(table, line):
    panel = bubble_plot(table, line=line).axes[0]
    low, high = panel.get_ylim()
    assert low < -0.8 < 1.0 < high
    left, right = panel.get_xlim()
    assert left < 2001
    assert right > 2020
    assert len(panel.collections) == 3  # bubbles and two bands
    assert len(bubble_plot(table, line=line.drop(columns=["pi_low", "pi_high"])).axes[0].collections) == 2


def test_ratios_are_marked_as_ratios_at_their_logarithms(table, line):
    panel = bubble_plot(table, line=line, log_scale=True).axes[0]
    for tick, label in zip(panel.get_yticks(), panel.get_yticklabels(), strict=True):
        assert tick == pytest.approx(math.log(float(label.get_text())))
    assert any(label.get_text() == "1" for label in panel.get_yticklabels())


def test_no_effect_is_marked_unless_there_is_none(table):
    def dotted(figure):
        return [one for one in figure.axes[0].lines if list(one.get_ydata()) == [0.5, 0.5]]

    assert len(dotted(bubble_plot(table, null_value=0.5))) == 1
    assert not bubble_plot(table, null_value=None).axes[0].lines


def test_labels_title_and_notes_stand_in_the_figure_as_they_are(table):
    figure = bubble_plot(
        table, x_label="Year $x_1$", y_label="SMD", title="A title", notes=["p < 0.05; -3"], name_studies=True
    )
    found = texts(figure)
    for words in ("Year $x_1$", "SMD", "A title", "p < 0.05; −3", "a 2001", "d 2020"):
        assert words in found


def test_nothing_reaches_beyond_the_figure(table, line):
    figure = bubble_plot(
        table,
        line=line,
        x_label="Year of publication",
        y_label="Standardised mean difference (Hedges g)",
        title="A title that is so long that it needs a second line to be read by anyone who wants to read it all",
        notes=["A note that goes on and on " * 8],
        name_studies=True,
    )
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    assert box.x0 >= -0.01
    assert box.y0 >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y1 <= height + 0.01


def test_limits_are_read_as_they_are_printed(table):
    panel = bubble_plot(table, log_scale=True, y_limits=(0.25, 4), x_limits=(2000, 2030)).axes[0]
    assert panel.get_ylim() == pytest.approx((math.log(0.25), math.log(4)))
    assert panel.get_xlim() == (2000, 2030)


def test_given_axes_are_used(table):
    figure = Figure((6, 4))
    one, other = figure.subplots(1, 2)
    assert bubble_plot(table, ax=other) is figure
    assert len(other.collections) == 1
    assert not one.collections


def test_the_file_is_the_same_on_every_run(table, line, tmp_path):
    first, second = (save_figure(bubble_plot(table, line=line), tmp_path / name) for name in ("a.svg", "b.svg"))
    assert first.read_bytes() == second.read_bytes()


def test_all_faults_of_the_table_are_listed(table):
    table = table.astype({"x": float})
    table.loc[0, "x"] = np.nan
    table.loc[1, "estimate"] = np.inf
    table.loc[2, "weight"] = -1
    with pytest.raises(DataError) as caught:
        bubble_plot(table)
    assert [(fault.row, fault.column) for fault in caught.value.faults] == [
        ("row 1", "x"),
        ("row 2", "estimate"),
        ("row 3", "weight"),
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 0}, "width"),
        ({"height": "tall"}, "height"),
        ({"ax": 3}, "plain matplotlib Axes"),
        ({"y_limits": (0, 1), "log_scale": True}, "ratios above 0"),
        ({"x_limits": (3, 1)}, "lower first"),
        ({"line": 4}, "must be a DataFrame"),
        ({"null_value": math.nan}, "null_value"),
    ],
)
def test_wrong_options_are_refused(table, options, words):
    with pytest.raises(ChoiceError, match=words):
        bubble_plot(table, **options)


def test_missing_columns_and_rows_are_told_of(table):
    with pytest.raises(DataError, match="estimate: is missing"):
        bubble_plot(table[["x"]])
    with pytest.raises(DataError, match="has no rows"):
        bubble_plot(table.head(0))


@pytest.fixture
def fit():
    generator = np.random.default_rng(4)
    data = pd.DataFrame(
        {
            "yi": generator.normal(0.2, 0.3, 20),
            "vi": generator.uniform(0.01, 0.05, 20),
            "year": generator.integers(2000, 2020, 20),
            "women": generator.uniform(20, 100, 20),
            "format": ["group"] * 13 + ["one_to_one"] * 7,
        }
    )
    return meta_regression(data, moderators=["year", "women", "format"])


def test_the_line_of_a_meta_regression_is_its_prediction(fit):
    points, line, held = bubble_table(fit, moderator="year")
    assert held == {"women": pytest.approx(fit.data["women"].mean()), "format": "group"}
    expected = fit.predict({"year": line["x"].to_numpy(), **held})
    assert line["estimate"].tolist() == expected["estimate"].tolist()
    assert line["pi_high"].tolist() == expected["pi_high"].tolist()
    assert points["estimate"].tolist() == fit.yi.tolist()
    assert line["x"].iloc[[0, -1]].tolist() == [points["x"].min(), points["x"].max()]


def test_the_plot_says_what_its_line_and_bands_are(fit):
    found = texts(fit.plot(moderator="women", at={"format": "one_to_one", "year": 2010}))
    said = " ".join(found)
    assert "95% confidence band" in said
    assert "format = one_to_one" in said
    assert "year = 2010" in said


def test_the_moderator_across_must_be_one_that_holds_numbers(fit):
    with pytest.raises(ChoiceError, match="name one with moderator=: year, women"):
        fit.plot()
    with pytest.raises(ChoiceError, match="unknown"):
        fit.plot(moderator="format")
    with pytest.raises(ChoiceError, match="not a level"):
        fit.plot(moderator="year", at={"format": "online"})
    with pytest.raises(ChoiceError, match="subgroup_analysis"):
        meta_regression(fit.data, moderators="format").plot()

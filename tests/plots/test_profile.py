"""The profile plot: what is drawn where, and what is refused."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from metapeer.errors import ChoiceError, DataError
from metapeer.plots.profile import profile_plot
from metapeer.plots.style import save_figure


@pytest.fixture
def table():
    value = np.linspace(-0.9, 0.9, 19)
    frame = pd.DataFrame({"value": value, "log_likelihood": -40 - 6 * (value - 0.3) ** 2, "kind": "curve"})
    marks = pd.DataFrame(
        {
            "value": [0.3, -0.2, -0.266, 0.866],
            "log_likelihood": [-40.0, -41.5, -41.92, -41.92],
            "kind": ["maximum", "estimate", "limit", "limit"],
        }
    )
    return pd.concat([frame, marks], ignore_index=True)


def texts(figure):
    figure.draw_without_rendering()
    return [artist.get_text() for artist in figure.axes[0].get_children() if hasattr(artist, "get_text")]


def marked(panel, marker):
    return [line.get_data() for line in panel.lines if line.get_marker() == marker]


def test_heights_are_counted_from_the_maximum_and_the_curve_runs_in_order(table):
    panel = profile_plot(table.sample(frac=1.0, random_state=1)).axes[0]
    (curve,) = [line for line in panel.lines if len(line.get_xdata()) == len(table)]
    x, y = curve.get_data()
    assert (np.diff(x) >= 0).all()
    assert y.max() == 0.0
    assert y[0] == pytest.approx(-6 * 1.2**2)
    ((x, y),) = marked(panel, "o")
    assert (x.tolist(), y.tolist()) == ([0.3], [0.0])
    ((x, y),) = marked(panel, "D")
    assert (x.tolist(), y.tolist()) == ([-0.2], [-1.5])


@pytest.mark.parametrize(("level", "cut", "label"), [(0.95, 1.920729, "95%: −1.92"), (0.5, 0.227468, "50%: −0.23")])
def test_the_dashed_line_lies_half_a_quantile_of_chi_squared_below(table, level, cut, label):
    figure = profile_plot(table, level=level)
    dashed = [line for line in figure.axes[0].lines if line.is_dashed()]
    assert [line.get_ydata()[0] for line in dashed] == pytest.approx([-cut], abs=1e-6)
    assert label in texts(figure)


def test_limits_reach_from_the_line_to_the_axis(table):
    panel = profile_plot(table).axes[0]
    floor = panel.get_ylim()[0]
    upright = [line for line in panel.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2]
    assert sorted(float(line.get_xdata()[0]) for line in upright) == [-0.266, 0.866]
    assert all(line.get_ydata().tolist() == pytest.approx([floor, -1.92]) for line in upright)


def test_every_maximum_is_within_however_deep_it_lies(table):
    table.loc[len(table)] = [-0.7, -60.0, "local maximum"]
    panel = profile_plot(table).axes[0]
    filled, opened = (
        [line for line in panel.lines if line.get_marker() == "o" and line.get_markerfacecolor() == face]
        for face in ("#1d3f6e", "white")
    )
    assert len(filled) == len(opened) == 1
    assert panel.get_ylim()[0] < -20.0 == opened[0].get_ydata()[0]


def test_without_kinds_the_highest_row_is_marked():
    table = pd.DataFrame({"value": [3, 1, 2], "log_likelihood": [-1.0, -2.0, -0.5]})
    ((x, y),) = marked(profile_plot(table).axes[0], "o")
    assert (x.tolist(), y.tolist()) == ([2.0], [0.0])


def test_an_axis_of_logarithms_has_a_place_for_zero_and_labels_that_do_not_touch():
    value = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 50)])
    figure = profile_plot(pd.DataFrame({"value": value, "log_likelihood": -np.log1p(value)}), offset=0.01)
    panel = figure.axes[0]
    labels = [label.get_text() for label in panel.get_xticklabels()]
    assert labels[0] == "0"
    assert len(labels) >= 4
    for tick, label in zip(panel.get_xticks(), labels, strict=True):
        assert tick == pytest.approx(math.log(float(label) + 0.01))
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in panel.get_xticklabels()]
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


def test_values_where_the_likelihood_is_missing_leave_a_gap(table):
    table.loc[3, "log_likelihood"] = np.nan
    figure = profile_plot(table)
    assert any(np.isnan(line.get_ydata()).sum() == 1 for line in figure.axes[0].lines)


def test_words_stand_as_they_are_and_nothing_reaches_beyond_the_figure(table):
    figure = profile_plot(
        table,
        title="A title that is so long that it needs a second line to be read by anyone who wants to read it at all",
        x_label="Correlation $\\rho$",
        notes=["A note that goes on and on, -3 times " * 6, ""],
    )
    found = texts(figure)
    assert "Correlation $\\rho$" in found
    assert any("−3 times" in text for text in found)
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert min(box.x0, box.y0) >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y1 <= height + 0.01


def test_given_limits_and_axes_are_used(table):
    figure = Figure((6, 4))
    one, other = figure.subplots(1, 2)
    assert profile_plot(table, ax=other, x_limits=(0, 1)) is figure
    assert not one.lines
    assert other.get_xlim() == pytest.approx((-0.03, 1.03))


def test_the_file_is_the_same_on_every_run(table, tmp_path):
    first, second = (save_figure(profile_plot(table), tmp_path / name) for name in ("a.svg", "b.svg"))
    assert first.read_bytes() == second.read_bytes()


def test_all_faults_of_the_table_are_listed(table):
    table = table.astype({"value": object})
    table.loc[0, "value"] = "x"
    table.loc[1, "log_likelihood"] = -np.inf
    table.loc[2, "kind"] = "peak"
    with pytest.raises(DataError) as caught:
        profile_plot(table)
    assert [(fault.row, fault.column) for fault in caught.value.faults] == [
        ("row 1", "value"),
        ("row 2", "log_likelihood"),
        ("row 3", "kind"),
    ]
    for bad, words in (
        (table[["kind"]], "value: is missing"),
        (pd.DataFrame({"value": [1.0, 2.0], "log_likelihood": [np.nan, 1.0]}), "fewer than two numbers"),
        (pd.DataFrame({"value": [1.0, 1.0], "log_likelihood": [0.0, 1.0]}), "same in all rows"),
        (pd.DataFrame({"value": [], "log_likelihood": []}), "fewer than two numbers"),
    ):
        with pytest.raises(DataError, match=words):
            profile_plot(bad)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"level": 95}, "level"),
        ({"level": "high"}, "level"),
        ({"offset": 0}, "offset must be a number above 0"),
        ({"offset": 0.5}, "has no place for -0.9"),
        ({"x_limits": (1, 0)}, "lower first"),
        ({"x_limits": (-3, 0), "offset": 1}, "has no place for -3"),
        ({"width": 0.5}, "width"),
        ({"ax": "here"}, "plain matplotlib Axes"),
    ],
)
def test_wrong_options_are_refused(table, options, words):
    with pytest.raises(ChoiceError, match=words):
        profile_plot(table, **options)
    with pytest.raises(ChoiceError, match="must be a DataFrame"):
        profile_plot([1, 2])

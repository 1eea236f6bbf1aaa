"""GOSH plots: every subset is counted once, in its place, and in the colour of its group."""

import time

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from metapeer.errors import ChoiceError, DataError
from metapeer.plots.gosh_cloud import draw_gosh
from metapeer.plots.style import save_figure


def subsets(size=400, seed=1):
    rng = np.random.default_rng(seed)
    inside = rng.random(size) < 0.3
    return pd.DataFrame(
        {"estimate": rng.normal(size=size) + 2 * inside, "I2": rng.uniform(0, 90, size), "tau2": 0.1, "member": inside}
    )


def insets(figure):
    return figure.axes[0].child_axes


def bars(patch):
    counts, *_ = patch.get_data()
    return float(counts.sum())


def counted(density):
    """Points in the cells drawn, group by group."""
    return [float(image.get_array().filled(0.0).sum()) for image in density.images]


def test_every_subset_is_counted_once():
    table = subsets()
    density, top, side = insets(draw_gosh(table))
    assert counted(density) == [400.0]
    for histogram in (top, side):
        assert {bars(patch) for patch in histogram.patches} == {400.0}


def test_groups_share_the_cells_and_have_histograms_of_their_own():
    table = subsets()
    figure = draw_gosh(table, member="Smith")
    density, top, _ = insets(figure)
    assert sum(counted(density)) == 400.0
    sizes = [bars(patch) for patch in top.patches]
    assert sorted(set(sizes)) == sorted({float(table["member"].sum()), float((~table["member"]).sum())})
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == [f"with Smith ({table['member'].sum()})", f"without Smith ({(~table['member']).sum()})"]


def test_a_point_lies_in_the_cell_of_its_numbers():
    table = pd.DataFrame({"estimate": [0.0, 1.0, 1.0], "I2": [10.0, 50.0, 50.0]})
    image = insets(draw_gosh(table))[0].images[0]
    left, right, low, high = image.get_extent()
    grid = image.get_array().filled(0.0)
    for x, y, number in ((0.0, 10.0, 1.0), (1.0, 50.0, 2.0)):
        row = int((y - low) / (high - low) * grid.shape[0])
        column = int((x - left) / (right - left) * grid.shape[1])
        assert grid[row, column] == number


def test_limits_leave_out_what_lies_beyond_them():
    table = pd.DataFrame({"estimate": [0.0, 1.0, 1e90], "I2": [10.0, 50.0, 20.0]})
    density, top, _ = insets(draw_gosh(table, x_limits=(-1, 2)))
    assert counted(density) == [2.0]
    assert bars(top.patches[0]) == 2.0


def test_subsets_that_are_all_the_same_are_drawn():
    density = insets(draw_gosh(pd.DataFrame({"estimate": [0.2] * 5, "I2": [0.0] * 5})))[0]
    assert counted(density) == [5.0]


def test_ratios_stand_on_the_axis_and_any_measure_of_heterogeneity_will_do():
    density = insets(draw_gosh(subsets(), y="tau2", y_label="tau²", log_scale=True, estimate=0.1, heterogeneity=0.2))[0]
    assert "1" in [tick.get_text() for tick in density.get_xticklabels()]
    assert density.get_ylim()[1] > 0.2
    assert len(density.lines) == 2


@pytest.mark.parametrize(
    ("options", "label"),
    [
        ({}, "Pooled effect"),
        ({"measure": "RR", "log_scale": True}, "Pooled RR"),
        ({"measure": "RR"}, "Pooled effect, on the scale on which RR is pooled"),
        ({"measure": "RR", "x_label": "log RR"}, "log RR"),
    ],
)
def test_logarithms_are_not_labelled_as_ratios(options, label):
    panel = draw_gosh(subsets(), **options).axes[0]
    assert label in [artist.get_text() for artist in panel.artists + panel.texts]


def test_the_legend_keeps_out_of_the_fullest_corner():
    table = pd.DataFrame(
        {"estimate": np.linspace(0, 0.4, 300), "I2": np.linspace(88, 100, 300), "member": [1, 0] * 150}
    )
    table.loc[300] = [1.0, 0.0, 0]
    figure = draw_gosh(table, member="Smith")
    figure.canvas.draw()
    box = figure.axes[0].get_legend().get_window_extent()
    density = insets(figure)[0].get_window_extent()
    assert box.y0 < density.y0 + density.height / 2 or box.x0 > density.x0 + density.width / 2


def test_a_million_subsets_are_drawn_in_seconds(tmp_path):
    table = subsets(1_000_000)
    start = time.perf_counter()
    path = save_figure(draw_gosh(table, member="Smith"), tmp_path / "gosh.png", dpi=80)
    assert time.perf_counter() - start < 10
    assert path.stat().st_size < 500_000


def test_a_figure_is_the_same_on_every_run_and_fits_axes_given(tmp_path):
    files = [save_figure(draw_gosh(subsets(), title="GOSH"), tmp_path / f"{i}.svg").read_bytes() for i in range(2)]
    assert files[0] == files[1]
    ax = Figure((6, 5)).add_subplot()
    assert draw_gosh(subsets(), ax=ax) is ax.figure
    assert len(ax.child_axes) == 3


@pytest.mark.parametrize(
    ("table", "options", "error", "words"),
    [
        ([1, 2], {}, ChoiceError, "DataFrame"),
        (pd.DataFrame({"estimate": [1.0]}), {}, DataError, "I2: is missing"),
        (pd.DataFrame({"estimate": [], "I2": []}), {}, DataError, "no rows"),
        (pd.DataFrame({"estimate": [np.nan, "x"], "I2": [1.0, np.inf]}), {}, DataError, "3 problems"),
        (subsets().drop(columns="member"), {"member": "Smith"}, DataError, "member: is missing"),
        (subsets().assign(member=0.5), {"member": "Smith"}, DataError, "neither true nor false"),
        (subsets(), {"x_limits": (2, 1)}, ChoiceError, "x_limits"),
        (subsets(), {"estimate": np.nan}, ChoiceError, "estimate"),
        (subsets(), {"width": 0.1}, ChoiceError, "width"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(table, options, error, words):
    with pytest.raises(error, match=words):
        draw_gosh(table, **options)

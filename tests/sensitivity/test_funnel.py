"""Funnel plots: what is drawn where, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import metapeer as mp
from metapeer.plots.funnel import draw_funnel

YI = [0.1, 0.2, 0.15, 0.3, 0.35, 0.5, 0.4, 0.7, 0.65, 0.9, 0.85]
SEI = [0.05, 0.08, 0.1, 0.13, 0.15, 0.2, 0.22, 0.28, 0.3, 0.38, 0.4]
N = pd.DataFrame({"yi": YI, "sei": SEI, "n1": np.arange(11) * 7 + 20, "n2": np.arange(11) * 5 + 20})


def words(figure):
    return [text.get_text().replace("\n", " ") for text in figure.axes[0].get_legend().get_texts()]


def curve(panel, effect_at_zero):
    return next(line for line in panel.get_lines() if np.isclose(line.get_xdata()[0], effect_at_zero))


def test_studies_stand_at_their_effect_and_standard_error_with_the_precise_at_the_top():
    panel = mp.funnel_plot(yi=YI, sei=SEI).axes[0]
    dots = next(line for line in panel.get_lines() if line.get_marker() == "o")
    assert dots.get_xdata().tolist() == YI
    assert np.allclose(dots.get_ydata(), SEI)
    bottom, top = panel.get_ylim()
    assert bottom > top == 0.0


def test_contours_lie_where_the_p_value_is_that_of_their_level():
    panel = mp.funnel_plot(yi=YI, sei=SEI, contours=[0.95]).axes[0]
    (region,) = panel.collections
    ends = region.get_paths()[0].vertices
    lowest = ends[ends[:, 1] == ends[:, 1].max()]
    assert np.abs(lowest[:, 0]).max() / lowest[0, 1] == pytest.approx(1.959964, rel=1e-6)
    assert words(panel.figure)[-2:] == ["p > 0.05", "p ≤ 0.05"]


def test_eggers_line_runs_through_its_limit_on_each_axis_of_the_standard_error():
    test = mp.egger_test(yi=YI, sei=SEI)
    panel = mp.funnel_plot(yi=YI, sei=SEI, egger=test).axes[0]
    line = curve(panel, test.limit)
    assert np.allclose(line.get_xdata(), test.limit + test.estimate * line.get_ydata())
    panel = mp.funnel_plot(yi=YI, sei=SEI, egger=test, yaxis="seinv").axes[0]
    lines = [one for one in panel.get_lines() if len(one.get_xdata()) > 2 and one.get_linestyle() == "-"]
    assert np.allclose(lines[0].get_xdata(), test.limit + test.estimate / lines[0].get_ydata())
    assert panel.get_ylim()[0] < panel.get_ylim()[1]


def test_filled_studies_are_open_circles_at_their_mirror_images():
    filled = mp.trim_and_fill(yi=YI, sei=SEI)
    figure = filled.plot()
    open_ones = next(line for line in figure.axes[0].get_lines() if line.get_markerfacecolor() == "white")
    assert sorted(open_ones.get_xdata()) == pytest.approx(sorted(filled.added["yi"]))
    assert "5 studies filled in" in words(figure)
    assert "pooled with filled studies" in words(figure)


def test_the_curve_of_a_limit_meta_analysis_ends_at_the_adjusted_effect():
    found = mp.limit_meta_analysis(yi=YI, sei=SEI)
    panel = found.plot().axes[0]
    assert len(curve(panel, found.estimate).get_xdata()) > 100
    assert any(line.get_marker() == "D" for line in panel.get_lines())


@pytest.mark.parametrize("yaxis", ["sei", "vi", "seinv", "vinv", "ni", "ninv", "sqrtni", "sqrtninv", "modified_sei"])
def test_every_axis_can_be_drawn(yaxis):
    assert isinstance(mp.funnel_plot(N, yaxis=yaxis), Figure)


def test_every_result_draws_itself():
    counts = pd.DataFrame({"events1": [3, 8, 5], "total1": [20, 50, 90], "events2": [5, 9, 9], "total2": [20, 50, 90]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for found in (
            mp.egger_test(N, predictor="sqrtninv"),
            mp.egger_test(N, predictor="modified_sei"),
            mp.macaskill_test(N),
            mp.begg_test(N),
            mp.pet_peese(N),
            mp.pet_peese(N, predictor="modified_sei"),
            mp.harbord_test(counts),
            mp.peters_test(counts),
            mp.deeks_test(counts),
        ):
            assert isinstance(found.plot(), Figure)
        with pytest.raises(mp.MetapeerError, match="no line"):
            mp.schwarzer_test(counts).plot()


def test_ratios_are_printed_as_ratios():
    panel = mp.funnel_plot(yi=YI, sei=SEI, measure="OR").axes[0]
    assert "1" in [text.get_text() for text in panel.get_xticklabels()]
    assert panel.get_legend() is not None


def test_the_legend_stands_beside_the_panel():
    figure = mp.funnel_plot(yi=YI, sei=SEI, egger=True, trim_and_fill=True)
    figure.draw_without_rendering()
    panel = figure.axes[0]
    legend = panel.get_legend().get_window_extent()
    assert legend.x0 >= panel.get_window_extent().x1
    assert legend.x1 <= figure.bbox.x1
    boxes = [text.get_window_extent() for text in panel.get_legend().get_texts()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_axes_of_a_caller_are_drawn_on():
    figure = Figure((5, 4))
    ax = figure.add_subplot()
    assert mp.funnel_plot(yi=YI, sei=SEI, ax=ax) is figure
    assert ax.get_legend() is not None
    bare = figure.add_subplot()
    mp.funnel_plot(yi=YI, sei=SEI, ax=bare, legend=False)
    assert bare.get_legend() is None


def test_one_study_and_equal_standard_errors_can_be_drawn():
    assert isinstance(mp.funnel_plot(yi=[0.2], sei=[0.1]), Figure)
    assert isinstance(mp.funnel_plot(yi=[0.2, 0.4, 0.1], sei=[0.1] * 3), Figure)


def test_what_makes_no_sense_is_refused():
    for options in (
        {"yaxis": "se"},
        {"yaxis": "ni", "contours": [0.95]},
        {"yaxis": "ni", "egger": True},
        {"yaxis": "ni", "limit": True},
        {"egger": "yes"},
        {"trim_and_fill": 1},
    ):
        with pytest.raises(mp.ChoiceError):
            mp.funnel_plot(N, **options)
    for contours in ([95], 0.95, ["a"]):
        with pytest.raises(mp.MetapeerError):
            mp.funnel_plot(N, contours=contours)
    with pytest.raises(mp.ChoiceError, match="ranks"):
        mp.funnel_plot(N, egger=mp.begg_test(N))
    with pytest.raises(mp.DataError):
        mp.funnel_plot(yi=YI, sei=SEI, yaxis="ni")


def test_results_of_other_effects_are_refused():
    other = pd.DataFrame({"yi": YI[::-1], "sei": SEI})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = {
            "egger": mp.egger_test(other),
            "trim_and_fill": mp.trim_and_fill(other),
            "limit": mp.limit_meta_analysis(other),
        }
        for name, result in results.items():
            with pytest.raises(mp.ChoiceError, match=f"given as {name} is of other effects"):
                mp.funnel_plot(N, **{name: result})


def test_filled_studies_stand_at_the_height_of_their_own_study_even_if_names_repeat():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.DataWarning)
        filled = mp.trim_and_fill(yi=YI, sei=SEI, labels=["same"] * 11)
    panel = filled.plot().axes[0]
    open_ones = next(line for line in panel.get_lines() if line.get_markerfacecolor() == "white")
    assert np.allclose(open_ones.get_ydata(), filled.added["sei"])


def test_tables_that_cannot_be_drawn_list_their_faults():
    table = pd.DataFrame({"effect": [0.1, np.nan], "y": [0.1, "x"], "kind": "study", "name": "studies"})
    with pytest.raises(mp.DataError) as error:
        draw_funnel(table)
    assert len(error.value.faults) == 2
    with pytest.raises(mp.DataError, match="is missing"):
        draw_funnel(table.drop(columns="kind").assign(effect=0.1, y=0.1))
    with pytest.raises(mp.ChoiceError):
        draw_funnel(table.assign(effect=0.1, y=0.1, kind="trial"))
    with pytest.raises(mp.ChoiceError):
        draw_funnel([1, 2])

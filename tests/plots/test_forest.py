import itertools
import math
import re
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from metapeer.errors import ChoiceError, DataError, MetapeerError
from metapeer.plots.forest import forest_plot
from metapeer.plots.style import save_figure
from metapeer.plots.text import PlainText
from metapeer.plots.ticks import tick_text

FAVOURS = ("Favours usual care", "Favours peer support")


def line(kind, label="", estimate=np.nan, ci_low=np.nan, ci_high=np.nan, weight=np.nan, **more):
    numbers = {"estimate": estimate, "ci_low": ci_low, "ci_high": ci_high, "weight": weight}
    return {"kind": kind, "label": label, **numbers, **more}


def studies(k, *, names=None):
    """Invented studies: effects on a grid, so that the tests read plainly."""
    rng = np.random.default_rng(k)
    effect, error = rng.normal(0.2, 0.2, k).round(3), rng.uniform(0.08, 0.4, k).round(3)
    weight = 100 * error**-2 / (error**-2).sum()
    return [
        line(
            "study",
            names[i] if names else f"Invented {i + 1}",
            effect[i],
            effect[i] - 2 * error[i],
            effect[i] + 2 * error[i],
            weight[i],
        )
        for i in range(k)
    ]


def pooled(label="Random-effects model"):
    return [
        line("summary", label, 0.2, 0.1, 0.3, 100.0),
        line("prediction", "Prediction interval", np.nan, -0.15, 0.55),
    ]


def arms(rows):
    for i, row in enumerate(rows):
        row.update(n1=20 + 7 * i, mean_sd1=f"{1.5 * i - 3:.1f} ({2 + i / 3:.1f})", n2=400, mean_sd2="12.25 (3.10)")
    return rows


ARM_COLUMNS = {
    "n1": ("Peer support", "n"),
    "mean_sd1": ("Peer support", "Mean (SD)"),
    "n2": ("Usual care delivered by community mental health teams", "n"),
    "mean_sd2": ("Usual care delivered by community mental health teams", "Mean (SD)"),
}
SIGNS = {"rob_d1": "D1", "rob_d2": "D2", "rob_overall": "Overall judgement"}
LONG = "A randomised controlled trial of peer-led self-management for people discharged from crisis teams " * 3
STRANGE = [
    "שלום עולם 2014",
    "مرحبا بالعالم",
    "日本語の試験",
    "😀👍🏽 2020",
    "<b>x</b> & $y^2$ \\frac_1^2 %s {0}",
    "#\ufffe\0",
]
HUGE = [
    *studies(8),
    line("study", "Endless", 0.3, -np.inf, np.inf, 3.0),
    line("study", "Very wide", 0.5, -80.0, 81.0, 1.0),
    line("study", "Far away", 90.0, 80.0, 100.0, 1.0),
    line("study", "No interval", 0.1, weight=1.0),
    line("study", "Not pooled", 0.1, -0.2, 0.4),
    line("study", "No estimate", exclusion_reason="sd1 is missing"),
]

CASES = {
    "one study": (studies(1), {}),
    "two studies": ([*studies(2), *pooled()], {"favours": FAVOURS, "reference": 0.2}),
    "both arms": ([*arms(studies(22)), *pooled()], {"left": ARM_COLUMNS, "favours": FAVOURS, "axis_label": "SMD"}),
    "narrow": ([*arms(studies(5)), *pooled()], {"left": ARM_COLUMNS, "favours": FAVOURS, "width": 5.0}),
    "ratios": ([*studies(13), *pooled()], {"log_scale": True, "axis_label": "Risk ratio", "title": "Invented"}),
    "subgroups": (
        [
            line("heading", "One-to-one " + LONG),
            *studies(3),
            *pooled("Subtotal"),
            line("text", "Heterogeneity: " + "tau2 = -1, " * 20),
            line("blank"),
            line("heading", "Group"),
            *studies(2),
            *pooled("Subtotal"),
            line("text", "Test for subgroup differences: p = 0.54"),
        ],
        {"favours": ("A " * 60, "B" * 80), "notes": ["note " * 200, "another"]},
    ),
    "sixty studies": ([*studies(60), *pooled()], {"reference": 0.2}),
    "long labels": ([*studies(3, names=[LONG, "x" * 400, "a\nb"]), *pooled()], {"title": LONG, "axis_label": LONG}),
    "strange labels": ([*studies(6, names=STRANGE), *pooled()], {"favours": (STRANGE[0], STRANGE[4])}),
    "huge intervals": ([*HUGE, line("summary", "All", 0.2, -np.inf, 0.4)], {}),
    "nothing estimable": ([line("study", "Silent 1999")], {"log_scale": True}),
    "risk of bias": (
        [{**row, **dict(zip(SIGNS, ("Low risk", "", "high"), strict=True))} for row in [*studies(7), *pooled()]],
        {"judgements": SIGNS, "favours": FAVOURS, "layout": "revman", "axis_label": "SMD"},
    ),
    "one column of a journal": ([*studies(5), *pooled()], {"layout": "bmj", "width": "single", "favours": FAVOURS}),
    "both arms in a journal": (
        [*arms(studies(6)), *pooled()],
        {"left": ARM_COLUMNS, "layout": "jama", "width": "double", "axis_label": "SMD"},
    ),
}


def draw(name, **more):
    rows, options = CASES[name]
    return forest_plot(pd.DataFrame(rows), **{**options, **more})


def shapes(ax, name):
    return [patch.get_xy()[:-1] for patch in ax.patches if isinstance(patch, Polygon) and patch.get_label() == name]


def squares(ax, name="_squares"):
    return [c for c in ax.collections if isinstance(c, PathCollection) and c.get_label() == name]


def words(ax):
    return [text.get_text() for text in ax.texts]


def plain(text):
    """The text without the blanks that align it."""
    return re.sub(r"[\u2007-\u200a]", "", text)


def boxes(figure, dpi=100):
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    ax = figure.axes[0]
    texts = [text for text in [*ax.texts, *ax.get_xticklabels()] if text.get_text()]
    return [(text, text.get_window_extent(canvas.get_renderer())) for text in texts]


@pytest.mark.parametrize("dpi", [72, 100, 300])
@pytest.mark.parametrize("name", CASES)
def test_all_text_is_inside_the_figure_and_no_two_texts_overlap(name, dpi):
    if dpi == 300 and name == "sixty studies":
        dpi = 150  # the same arithmetic with a quarter of the pixels
    figure = draw(name)
    found = boxes(figure, dpi)
    page = figure.bbox
    assert found
    for text, box in found:
        assert box.x0 >= page.x0 - 0.5, text
        assert box.x1 <= page.x1 + 0.5, text
        assert box.y0 >= page.y0 - 0.5, text
        assert box.y1 <= page.y1 + 0.5, text
    found.sort(key=lambda pair: pair[1].y0)
    for (one, a), (two, b) in itertools.combinations(found, 2):
        # lines of type touch where one has a descender and the next an accent; a fifth of a line is allowed
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 0 or down <= 0.25 * min(a.height, b.height), (one, two)


@pytest.mark.parametrize("name", CASES)
def test_every_label_is_there_to_its_last_letter(name):
    rows, _ = CASES[name]
    everything = re.sub(r"\s", "", "".join(words(draw(name).axes[0])))
    for row in rows:
        expected = re.sub(r"\s", "", row["label"].translate({0: "\ufffd", 0xFFFE: "\ufffd"}))
        if row["kind"] not in ("study", "heading"):
            expected = expected.replace("-1", "−1")
        assert expected in everything


@pytest.mark.parametrize("name", CASES)
def test_the_text_columns_stand_clear_of_the_panel(name):
    figure = draw(name)
    found = boxes(figure)
    ax = figure.axes[0]
    low, high = ax.spines["bottom"].get_bounds()
    left, right = (ax.transData.transform((x, 0))[0] for x in (low, high))
    _, axis = ax.transData.transform((0, ax.spines["bottom"].get_position()[1]))
    bottom_of_title = ax.transData.transform((0, min(s for s in line_tops(ax))))[1]
    for text, box in found:
        if isinstance(text, PlainText) and axis < box.y0 and box.y1 < bottom_of_title:
            assert box.x1 < left or box.x0 > right, text


def line_tops(ax):
    return [min(line.get_ydata()) for line in ax.lines if line.get_label() in ("_null", "_reference")] or [0]


def test_areas_of_squares_are_proportional_to_weights_down_to_the_smallest():
    weights = np.array([64.0, 32.0, 16.0, 4.0, 0.001])
    rows = [line("study", f"S{i}", 0.1 * i, 0.1 * i - 1, 0.1 * i + 1, w) for i, w in enumerate(weights)]
    ax = forest_plot(pd.DataFrame(rows)).axes[0]
    (drawn,) = squares(ax)
    areas = drawn.get_sizes()
    assert areas[:4] / areas[0] == pytest.approx(weights[:4] / weights[0])
    assert areas[0] == pytest.approx(81)
    assert areas[4] == pytest.approx(4)
    assert np.asarray(drawn.get_offsets())[:, 0] == pytest.approx(0.1 * np.arange(5))


def test_squares_are_equal_without_weights_and_hollow_for_a_study_not_pooled():
    rows = studies(3)
    ax = forest_plot(pd.DataFrame(rows).drop(columns="weight")).axes[0]
    assert len(set(squares(ax)[0].get_sizes())) == 1
    assert "Weight" not in words(ax)
    rows[1]["weight"] = np.nan
    ax = forest_plot(pd.DataFrame(rows)).axes[0]
    (hollow,) = squares(ax, "_not pooled")
    assert np.asarray(hollow.get_offsets())[:, 0] == pytest.approx([rows[1]["estimate"]])
    assert len(squares(ax)[0].get_sizes()) == 2


def test_a_diamond_has_its_corners_at_the_estimate_and_the_ends_of_the_interval():
    ax = forest_plot(pd.DataFrame([*studies(3), line("summary", "All", 0.25, 0.1, 0.3)])).axes[0]
    (corners,) = shapes(ax, "_diamond")
    assert corners[:, 0] == pytest.approx([0.1, 0.25, 0.3, 0.25])
    middle = corners[0, 1]
    assert corners[2, 1] == pytest.approx(middle)
    assert corners[1, 1] - middle == pytest.approx(middle - corners[3, 1])
    assert corners[1, 1] < middle


def test_a_diamond_is_cut_where_the_axis_ends_and_gets_an_arrowhead():
    rows = [*studies(3), line("summary", "All", 0.2, -3.0, 0.4)]
    ax = forest_plot(pd.DataFrame(rows), x_limits=(-0.6, 1.0)).axes[0]
    (corners,) = shapes(ax, "_diamond")
    assert corners[:, 0].min() == pytest.approx(-0.6)
    # the height at the cut is what the uncut diamond has there: (3 - 0.6) / 3.2 of its greatest
    half = corners[:, 1].max() - corners[:, 1].min()
    cut = np.ptp(corners[np.isclose(corners[:, 0], -0.6), 1])
    assert cut / half == pytest.approx((3 - 0.6) / 3.2)
    assert -0.6 in [pytest.approx(arrow[0, 0]) for arrow in shapes(ax, "_arrow")]


def test_a_diamond_without_interval_is_an_open_mark_at_the_estimate():
    ax = forest_plot(pd.DataFrame([*studies(1), line("summary", "All", 0.2)])).axes[0]
    (mark,) = [artist for artist in ax.lines if artist.get_label() == "_summary"]
    assert list(mark.get_xdata()) == [0.2]
    assert not shapes(ax, "_diamond")


def test_intervals_run_from_end_to_end_and_the_prediction_interval_has_caps():
    rows = [*studies(4), *pooled()]
    ax = forest_plot(pd.DataFrame(rows)).axes[0]
    drawn = [tuple(artist.get_xdata()) for artist in ax.lines if artist.get_label() == "_interval"]
    ends = [(row["ci_low"], row["ci_high"]) for row in rows if row["kind"] != "summary"]
    assert np.array(drawn) == pytest.approx(np.array(ends))
    caps = [artist.get_xdata()[0] for artist in ax.lines if artist.get_label() == "_cap"]
    assert caps == pytest.approx([-0.15, 0.55])
    assert not shapes(ax, "_arrow")


def test_one_huge_interval_does_not_squash_the_others_and_ends_in_arrowheads():
    usual = studies(10)
    wide = line("study", "Wide", 0.2, -40.0, 41.0, 1.0)
    without = forest_plot(pd.DataFrame(usual)).axes[0].spines["bottom"].get_bounds()
    ax = forest_plot(pd.DataFrame([*usual, wide])).axes[0]
    low, high = ax.spines["bottom"].get_bounds()
    assert high - low < 1.6 * (without[1] - without[0])
    tips = sorted(corner[0, 0] for corner in shapes(ax, "_arrow"))
    assert tips == pytest.approx([low, high])
    assert "0.20 (−40.00 to 41.00)" in [plain(text) for text in words(ax)]


def test_a_study_beyond_the_axis_is_an_arrowhead_without_a_square():
    rows = [*studies(10), line("study", "Far", 50.0, 40.0, 60.0, 5.0)]
    ax = forest_plot(pd.DataFrame(rows)).axes[0]
    _, high = ax.spines["bottom"].get_bounds()
    assert len(squares(ax)[0].get_sizes()) == 10
    assert [corner[0, 0] for corner in shapes(ax, "_arrow")] == pytest.approx([high])


def test_pooled_estimate_no_effect_and_reference_are_always_on_the_axis():
    rows = [*studies(10), line("summary", "All", 9.0, 8.0, 10.0)]
    low, high = forest_plot(pd.DataFrame(rows), null_value=-7, reference=12).axes[0].spines["bottom"].get_bounds()
    assert low < -7
    assert high > 12


def test_identical_estimates_without_width_still_get_an_axis():
    rows = [line("study", f"S{i}", 0.0, 0.0, 0.0, 50.0) for i in range(2)]
    low, high = forest_plot(pd.DataFrame([*rows, line("summary", "All", 0.0, 0.0, 0.0)])).axes[0].get_xlim()
    assert low < 0 < high


def test_ratios_are_printed_back_transformed_with_doubling_ticks_at_their_logarithms():
    rows = [line("study", f"S{i}", math.log(r), math.log(r / 2), math.log(r * 2), 1.0) for i, r in enumerate((0.6, 2))]
    ax = forest_plot(pd.DataFrame(rows), log_scale=True, axis_label="Risk ratio").axes[0]
    assert "0.60 (0.30 to 1.20)" in words(ax)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.5", "1", "2", "4"]
    assert ax.get_xticks() == pytest.approx(np.log([0.5, 1, 2, 4]))


def test_given_ticks_and_limits_are_read_as_printed():
    table = pd.DataFrame(studies(3))
    ax = forest_plot(table, log_scale=True, x_limits=(0.1, 10), ticks=[0.2, 1, 5]).axes[0]
    assert ax.spines["bottom"].get_bounds() == pytest.approx((math.log(0.1), math.log(10)))
    assert ax.get_xticks() == pytest.approx(np.log([0.2, 1, 5]))
    assert [label.get_text() for label in ax.get_xticklabels()] == tick_text([0.2, 1, 5], common=False)


def test_headers_of_a_group_stand_once_over_their_columns():
    figure = draw("both arms")
    found = {text.get_text(): box for text, box in boxes(figure)}
    means = [box for text, box in boxes(figure) if text.get_text() == "Mean (SD)"]
    assert words(figure.axes[0]).count("Peer support") == 1
    assert len(means) == 2
    first = found["Peer support"]
    assert means[0].y1 < first.y0
    assert first.x1 < means[1].x0


def test_cells_of_a_numeric_column_end_in_line_whatever_they_hold():
    figure = draw("both arms")
    ends = [box.x1 for text, box in boxes(figure, 300) if re.search(r"\d to ", text.get_text())]
    assert len(ends) == 24
    assert max(ends) - min(ends) < 2


def test_whole_numbers_stay_whole_though_other_rows_of_the_column_are_empty():
    figure = forest_plot(pd.DataFrame([*arms(studies(3)), *pooled()]), left={"n1": "n"})
    assert {"20", "27", "34"} <= {plain(text) for text in words(figure.axes[0])}


def test_a_study_without_estimate_says_why():
    rows = [*studies(2), line("study", "Silent", exclusion_reason="sd1 is missing"), line("study", "Mute")]
    table = pd.DataFrame(rows)
    shown = words(forest_plot(table).axes[0])
    assert "sd1 is missing" in shown
    assert "Not estimable" in shown
    assert "Silent (sd1 is missing)" in words(forest_plot(table, right={"weight": "Weight"}).axes[0])


def test_minus_signs_are_true_and_hyphens_in_names_stay():
    rows = [line("study", "Smith-Jones -2", -0.5, -1.0, -0.25, 10, change="-3.5"), line("text", "z = -2.1")]
    shown = [plain(text) for text in words(forest_plot(pd.DataFrame(rows), left={"change": "Change"}).axes[0])]
    assert {"−0.50 (−1.00 to −0.25)", "Smith-Jones -2", "−3.5", "z = −2.1"} <= set(shown)


def test_favours_stand_beneath_the_axis_on_their_sides_of_no_effect_with_arrows_outside():
    figure = draw("two studies")
    found = {text.get_text(): box for text, box in boxes(figure)}
    ax = figure.axes[0]
    null = ax.transData.transform((0, 0))[0]
    assert found["←"].x1 < found[FAVOURS[0]].x0 < found[FAVOURS[0]].x1 < null
    assert null < found[FAVOURS[1]].x0 < found[FAVOURS[1]].x1 < found["→"].x0


def test_favours_too_wide_for_one_line_take_two_where_that_fits_them_beneath_the_axis():
    long = "Favours the usual care of the community team"
    figure = draw("two studies", favours=(long, "Favours peer support"), x_limits=(-0.7, 0.7))
    found = boxes(figure)
    first, second = (box for text, box in found if text.get_text() and text.get_text() in long)
    (arrow,) = (box for text, box in found if text.get_text() == "←")
    null = figure.axes[0].transData.transform((0, 0))[0]
    assert first.x1 == pytest.approx(second.x1, abs=1)
    assert arrow.x1 < min(first.x0, second.x0)
    assert max(first.x1, second.x1) < null
    assert second.y0 < arrow.y0 < first.y0


def test_favours_run_on_beyond_the_axis_outside_the_arrows_where_one_side_is_too_narrow():
    figure = draw("two studies", x_limits=(-0.05, 1.0))
    found = {text.get_text(): box for text, box in boxes(figure)}
    ax = figure.axes[0]
    null = ax.transData.transform((0, 0))[0]
    assert found[FAVOURS[0]].x1 < found["←"].x0 < found["←"].x1 < null
    assert null < found["→"].x0 < found["→"].x1 < found[FAVOURS[1]].x0


def test_an_effect_column_of_the_table_is_printed_unless_it_is_blank_for_a_study_without_estimate():
    rows = [line("study", "A", 0.1, 0.0, 0.2, effect="0.7 (0.1 to 12)"), line("study", "B", effect="")]
    shown = words(forest_plot(pd.DataFrame(rows)).axes[0])
    assert "0.7 (0.1 to 12)" in shown
    assert "0.10 (0.00 to 0.20)" not in shown
    assert "Not estimable" in shown


def test_a_mean_with_its_standard_deviation_is_printed_without_blanks_inside():
    cells = ["4.5 (0.7)", "10 (12.25)", "3.25 (2)"]
    rows = [{**row, "mean_sd": cell} for row, cell in zip(studies(3), cells, strict=True)]
    found = boxes(forest_plot(pd.DataFrame(rows), left={"mean_sd": "Mean (SD)"}), 300)
    ends = [box.x1 for text, box in found if text.get_text() in cells]
    assert len(ends) == 3
    assert max(ends) - min(ends) < 2


def test_the_level_is_in_the_header_and_the_digits_in_the_cells():
    ax = forest_plot(pd.DataFrame(studies(1)), axis_label="SMD", level=0.99, digits=3).axes[0]
    assert "SMD (99% CI)" in words(ax)
    assert any(re.fullmatch(r"−?\d\.\d{3} \(−?\d\.\d{3} to −?\d\.\d{3}\)", plain(text)) for text in words(ax))


def test_the_figure_grows_with_its_rows_and_keeps_a_given_width():
    heights = [draw(name).get_size_inches()[1] for name in ("one study", "two studies", "ratios", "sixty studies")]
    assert heights == sorted(heights)
    assert heights[0] < 2
    assert 11 < heights[-1] < 15
    assert draw("narrow").get_size_inches()[0] == pytest.approx(5)


def test_two_hundred_studies_can_be_drawn(tmp_path):
    figure = forest_plot(pd.DataFrame([*studies(200), *pooled()]))
    assert 30 < figure.get_size_inches()[1] < 45
    assert save_figure(figure, tmp_path / "long.svg").stat().st_size > 0


def test_in_given_axes_everything_stays_inside_them():
    host = Figure((12, 5), layout="constrained")
    one, two = host.subplots(1, 2)
    rows, options = CASES["both arms"]
    assert forest_plot(pd.DataFrame(rows), ax=two, **options) is host
    canvas = FigureCanvasAgg(host)
    canvas.draw()
    frame = two.get_window_extent()
    for text in two.texts:
        box = text.get_window_extent(canvas.get_renderer())
        assert frame.x0 - 1 <= box.x0
        assert box.x1 <= frame.x1 + 1
        assert frame.y0 - 1 <= box.y0
        assert box.y1 <= frame.y1 + 1
    assert not one.texts


def test_a_plot_in_given_axes_shrinks_as_a_whole():
    host = Figure((4, 2))
    ax = host.add_axes((0, 0, 1, 1))
    rows, options = CASES["both arms"]
    forest_plot(pd.DataFrame(rows), ax=ax, **options)
    sizes = {text.get_fontsize() for text in ax.texts}
    assert max(sizes) < 4
    (drawn,) = squares(ax)
    shrink = ax.texts[0].get_fontsize() / 8
    assert max(drawn.get_sizes()) == pytest.approx(81 * shrink**2)


def test_the_callers_settings_change_nothing(tmp_path):
    usual = save_figure(draw("both arms"), tmp_path / "usual.svg").read_bytes()
    odd = {
        "text.usetex": True,
        "axes.grid": True,
        "lines.marker": "o",
        "lines.linestyle": "--",
        "xtick.labeltop": True,
        "xtick.minor.visible": True,
        "figure.autolayout": True,
        "savefig.bbox": "tight",
        "figure.facecolor": "black",
        "text.color": "red",
        "font.family": "serif",
        "axes.spines.bottom": False,
    }
    with mpl.rc_context(odd):
        assert save_figure(draw("both arms"), tmp_path / "odd.svg").read_bytes() == usual


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.parametrize("name", ["both arms", "strange labels", "huge intervals"])
def test_files_are_byte_for_byte_the_same_on_every_run(tmp_path, name, suffix):
    one, two = (save_figure(draw(name), tmp_path / f"{i}.{suffix}", dpi=80).read_bytes() for i in range(2))
    assert one == two


def test_every_fault_of_the_table_is_listed_at_once():
    rows = [
        line("studdy", "A", 1, 0, 2),
        line("study", "B", "much", 0, 2),
        line("study", "C", 0.5, 2.0, 1.0),
        line("study", "D", 5.0, 0.0, 1.0),
        line("study", "E", np.inf, 0.0, np.inf),
        line("study", "F", 0.5, 0.0, 1.0, -3),
        line("heading", "G", 0.5),
        line("text", "H", cell="x"),
        line("study", "I", True, 0, 2),
    ]
    with pytest.raises(DataError) as caught:
        forest_plot(pd.DataFrame(rows), left={"cell": "Cell"})
    places = [(fault.row, fault.column) for fault in caught.value.faults]
    assert places == [
        ("row 1", "kind"),
        ("row 2 (B)", "estimate"),
        ("row 3 (C)", None),
        ("row 4 (D)", "estimate"),
        ("row 5 (E)", "estimate"),
        ("row 6 (F)", "weight"),
        ("row 7 (G)", "estimate"),
        ("row 8 (H)", None),
        ("row 9 (I)", "estimate"),
    ]


def test_missing_columns_are_listed_at_once():
    with pytest.raises(DataError) as caught:
        forest_plot(pd.DataFrame({"label": ["A"]}), left={"n1": "n"}, right={"effect": "Effect", "pp": "p"})
    assert [fault.column for fault in caught.value.faults] == ["kind", "estimate", "ci_low", "ci_high", "n1", "pp"]


@pytest.mark.parametrize(
    "table",
    [
        None,
        pd.DataFrame(),
        pd.DataFrame(columns=["kind", "label", "estimate", "ci_low", "ci_high"]),
        pd.DataFrame([["study", "A", 1, 0, 2, 3]], columns=["kind", "label", "estimate", "ci_low", "ci_high", "label"]),
        pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("kind", "label")])),
    ],
)
def test_what_is_no_table_is_refused(table):
    with pytest.raises(DataError):
        forest_plot(table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"favours": "peer support"}, "favours must be two texts"),
        ({"digits": -1}, "digits must be"),
        ({"digits": 2.5}, "digits must be"),
        ({"level": 95}, "level must lie"),
        ({"width": 0}, "width must be"),
        ({"width": 5, "ax": Figure().add_subplot()}, "width has no effect"),
        ({"ax": Figure().add_subplot(projection="polar")}, "ax must be"),
        ({"ax": "here"}, "ax must be"),
        ({"null_value": np.nan}, "null_value must be"),
        ({"reference": np.inf}, "reference must be"),
        ({"x_limits": (1, 0)}, "the lower first"),
        ({"x_limits": (0, 1), "log_scale": True}, "x_limits must be ratios above 0"),
        ({"x_limits": 3}, "x_limits must be"),
        ({"ticks": "012"}, "ticks must be"),
        ({"ticks": [0, np.nan]}, "ticks must be"),
        ({"ticks": [5], "x_limits": (0, 1)}, "must lie within"),
        ({"left": ["n1"]}, "left must map"),
        ({"left": {"n1": 3}}, "left header 3"),
        ({"right": {"effect": ("a", "b", "c")}}, "right header"),
        ({"right": {"label": "Study"}}, "labels stand on the left"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ChoiceError, match=message):
        forest_plot(pd.DataFrame(studies(2)), **options)


LABELS = st.one_of(st.text(max_size=40), st.none(), st.sampled_from([*STRANGE, LONG, "", "$", "\\", "_^{}"]))
NUMBERS = st.one_of(
    st.floats(),
    st.floats(-3, 3),
    st.sampled_from([None, "0.5", "x", "", 10**400, True, 1j, pd.NA, np.float32(0.1), -0.0, 5e-324]),
)


@st.composite
def tables(draw):
    """Any table: mostly drawable, sometimes not."""
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["study", "study", "summary", "prediction", "heading", "text", "blank"]))
        if draw(st.integers(0, 9)) == 0:
            numbers = [draw(NUMBERS) for _ in range(4)]
        elif kind in ("study", "summary", "prediction"):
            low, middle, high = sorted(draw(st.floats(allow_nan=False)) for _ in range(3))
            numbers = [middle, low, high, draw(st.floats(0, 1e9))]
        else:
            numbers = [np.nan] * 4
        rows.append(line(kind, draw(LABELS), *numbers, cell=None if kind in ("text", "blank") else draw(LABELS)))
    return pd.DataFrame(rows)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tables(),
    st.booleans(),
    st.one_of(st.none(), st.tuples(LABELS.filter(bool), LABELS.filter(bool))),
    st.sampled_from([None, 1, 4.5, 12]),
    st.text(max_size=60),
)
def test_any_table_is_drawn_without_a_warning_or_refused_in_words(table, log_scale, favours, width, text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            figure = forest_plot(
                table,
                left={"cell": ("Group " + text, text)},
                log_scale=log_scale,
                favours=favours,
                width=width,
                title=text,
                notes=[text],
                axis_label=text,
            )
        except MetapeerError:
            return
        found = boxes(figure, 60)
    page = figure.bbox
    for drawn, box in found:
        assert page.x0 - 1 <= box.x0, drawn
        assert box.x1 <= page.x1 + 1, drawn


@pytest.mark.parametrize(
    ("layout", "order", "cell"),
    [
        ("metapeer", ["panel", "effect", "weight"], "0.20 (0.10 to 0.30)"),
        ("revman", ["weight", "effect", "panel"], "0.20 [0.10, 0.30]"),
        ("jama", ["effect", "panel", "weight"], "0.20 (0.10 to 0.30)"),
        ("bmj", ["panel", "weight", "effect"], "0.20 (0.10 to 0.30)"),
    ],
)
def test_a_layout_puts_effect_and_weight_where_its_readers_look(layout, order, cell):
    figure = forest_plot(pd.DataFrame([*studies(3), *pooled()]), layout=layout)
    found = {plain(text.get_text()): box for text, box in boxes(figure)}
    (weight,) = (box.x0 for text, box in found.items() if text.startswith("Weight"))
    (panel,) = (ax.transData.transform((0.0, 0))[0] for ax in figure.axes)
    places = {"effect": found[cell].x0, "weight": weight, "panel": panel}
    assert sorted(places, key=places.get) == order


def test_effect_and_weight_that_the_caller_has_placed_are_not_repeated():
    figure = forest_plot(pd.DataFrame(studies(2)), left={"weight": "Share"}, layout="bmj")
    assert "Share" in words(figure.axes[0])
    assert not any(text.startswith("Weight") for text in words(figure.axes[0]))


def test_signs_stand_at_the_far_right_in_the_rows_of_their_studies_and_a_note_tells_them():
    figure = draw("risk of bias")
    ax = figure.axes[0]
    signs = [text for text in ax.texts if text.get_text() in {"+", "×"}]
    assert len(signs) == 2 * 9
    rows = {round(float(text.get_position()[1]), 1) for text in signs}
    assert rows == {
        round(float(t.get_position()[1]), 1) for t in ax.texts if re.match(r"Invented|Random|Predic", t.get_text())
    }
    assert max(text.get_position()[0] for text in signs) > max(
        text.get_position()[0] for text in ax.texts if "%" in text.get_text()
    )
    assert "+ low risk; × high risk." in words(ax)


def test_a_judgement_that_the_tool_does_not_know_is_a_fault_with_its_row():
    table = pd.DataFrame([{**row, "rob_d1": "dreadful"} for row in studies(2)])
    with pytest.raises(DataError, match=r"(?s)row 1 .Invented 1.*dreadful.*row 2"):
        forest_plot(table, judgements={"rob_d1": "D1"})
    with pytest.raises(DataError, match="rob_d2"):
        forest_plot(table, judgements={"rob_d2": "D2"})


def test_the_table_may_say_which_rows_are_indented():
    rows = [line("heading", "Trial"), *studies(2)]
    rows[1]["indent"], rows[2]["indent"] = True, False
    places = {t.get_text(): t.get_position()[0] for t in forest_plot(pd.DataFrame(rows)).axes[0].texts}
    assert places["Invented 1"] > places["Invented 2"] == places["Trial"]


def test_a_forest_plot_tells_in_words_what_it_shows():
    figure = forest_plot(pd.DataFrame([*studies(3), *pooled()]), axis_label="SMD")
    assert figure.metapeer_alt == "Forest plot of 3 studies; SMD. Random-effects model: 0.20 (0.10 to 0.30)"


def test_an_unknown_layout_is_refused():
    with pytest.raises(ChoiceError, match="layout 'lancet' is unknown"):
        forest_plot(pd.DataFrame(studies(1)), layout="lancet")

"""The figure of outcomes: a diamond for each that was pooled, a square for a single trial, everything legible."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from metapeer.errors import ChoiceError, DataError, MetapeerError
from metapeer.plots.forest import forest_plot
from metapeer.plots.style import save_figure
from metapeer.pooling.outcomes import pool_outcomes

SIZES = {
    "quality_of_life": ("psychosocial", 6),
    "recovery": ("psychosocial", 4),
    "hope": ("psychosocial", 2),
    "depression_anxiety": ("clinical", 3),
    "other:suicidal_ideation": ("clinical", 1),
    "hospitalisation": ("service_use", 1),
}


def table(**more):
    rng = np.random.default_rng(3)
    rows = [
        {
            "study_id": f"trial{i}",
            "outcome": name,
            "outcome_class": kind,
            "yi": rng.normal(0.2, 0.25),
            "vi": rng.uniform(0.02, 0.06),
            "n1": 400 + i,
            "n2": 500,
        }
        for name, (kind, k) in SIZES.items()
        for i in range(k)
    ]
    return pd.DataFrame(rows).assign(measure="SMD", positive_favours="arm1").assign(**more)


@pytest.fixture(scope="module")
def found():
    return pool_outcomes(table())


def shapes(ax, name):
    return [patch.get_xy()[:-1] for patch in ax.patches if isinstance(patch, Polygon) and patch.get_label() == name]


def lines(ax, name):
    return [line for line in ax.lines if line.get_label() == name]


def words(ax):
    return [re.sub(r"[\u2007-\u200a]", "", text.get_text()) for text in ax.texts]


def minus(text):
    return text.replace("-", "−")


def row_of(ax, label):
    """What stands in the line of a label, from left to right."""
    (depth,) = (text.get_position()[1] for text in ax.texts if text.get_text() == label)
    cells = [text for text in ax.texts if abs(text.get_position()[1] - depth) < 1e-6]
    shown = sorted(cells, key=lambda text: text.get_position()[0])
    return [re.sub(r"[\u2007-\u200a]", "", text.get_text()) for text in shown]


def test_every_pooled_outcome_is_a_diamond_at_its_estimate_and_interval(found):
    ax = found.plot(x_limits=(-4, 5)).axes[0]
    diamonds = shapes(ax, "_diamond")
    pooled = [fit for fit in found.results if fit.k > 1]
    assert len(diamonds) == len(pooled) == 4
    for corners, fit in zip(diamonds, pooled, strict=True):
        assert corners[:, 0] == pytest.approx([fit.ci.low, fit.estimate, fit.ci.high, fit.estimate])
    depths = [corners[0, 1] for corners in diamonds]
    assert depths == sorted(depths)


def test_a_single_trial_is_a_square_with_its_own_interval(found):
    ax = found.plot(x_limits=(-4, 5)).axes[0]
    (squares,) = (c for c in ax.collections if isinstance(c, PathCollection))
    single = [fit for fit in found.results if fit.k == 1]
    assert np.asarray(squares.get_offsets())[:, 0] == pytest.approx([fit.estimate for fit in single])
    drawn = [list(line.get_xdata()) for line in lines(ax, "_interval") if line.get_linewidth() == pytest.approx(0.9)]
    for fit in single:
        assert list(fit.ci) in [pytest.approx(ends) for ends in drawn]


def test_the_prediction_interval_is_a_capped_line_thinner_than_the_diamond_and_behind_it(found):
    ax = found.plot(x_limits=(-40, 50)).axes[0]
    predictions = [list(fit.prediction_interval) for fit in found.results if fit.prediction_interval is not None]
    drawn = [
        line for line in lines(ax, "_interval") if list(line.get_xdata()) in [pytest.approx(p) for p in predictions]
    ]
    assert len(drawn) == len(predictions) == 4
    caps = [line.get_xdata()[0] for line in lines(ax, "_cap")]
    assert caps == pytest.approx(list(itertools.chain(*predictions)))
    (diamond, *_) = (patch for patch in ax.patches if patch.get_label() == "_diamond")
    children = ax.get_children()
    assert children.index(drawn[0]) < children.index(diamond)
    height = np.ptp(diamond.get_xy()[:, 1])
    assert all(line.get_linewidth() < height / 4 for line in drawn)


def test_each_line_prints_the_numbers_of_its_outcome(found):
    ax = found.plot().axes[0]
    fit, adjusted = found["recovery"], found.adjusted[found.outcomes.index("recovery")]
    assert row_of(ax, "Recovery") == [
        "Recovery",
        "4",
        "3,606",
        minus(f"{fit.estimate:.2f} ({fit.ci.low:.2f} to {fit.ci.high:.2f})"),
        minus(f"{fit.prediction_interval.low:.2f} to {fit.prediction_interval.high:.2f}"),
        f"{fit.p_value:.3f}",
        f"{adjusted:.3f}",
    ]
    single = row_of(ax, "Hospitalisation")
    assert single[1] == "1"
    assert single[4] == "one trial"


def test_headings_names_and_what_the_marks_mean_are_written(found):
    texts = words(found.plot().axes[0])
    for expected in ("Psychosocial", "Clinical", "Service use", "Quality of life", "Suicidal ideation (other)"):
        assert texts.count(expected) == 1
    note = " ".join(texts)
    assert "Diamonds: pooled estimates with 95% confidence intervals (Hartung-Knapp)." in note
    assert "Squares: outcomes of one trial" in note
    assert "adjusted for 6 tests" in note
    assert "Favours peer support" in note


def test_nothing_is_written_of_marks_that_do_not_occur():
    data = table()
    found = pool_outcomes(data[data["outcome"].isin(["recovery", "hope"])], model="common", adjust=None, level=0.9)
    ax = found.plot().axes[0]
    note = " ".join(words(ax))
    assert "90% confidence intervals (normal)" in note
    assert "SMD (90% CI)" in note
    for absent in ("Squares", "Thin lines", "PI", "adjusted", "Holm"):
        assert absent not in note
    assert not lines(ax, "_cap")


def test_without_classes_there_are_no_headings():
    texts = words(pool_outcomes(table(), group=None).plot().axes[0])
    assert "Psychosocial" not in texts
    assert "Recovery" in texts


def test_ratios_are_drawn_as_ratios():
    found = pool_outcomes(table(measure="RR", positive_favours="arm2"))
    ax = found.plot().axes[0]
    fit = found["recovery"]
    effect = row_of(ax, "Recovery")[3]
    assert effect.startswith(f"{np.exp(fit.estimate):.2f} ({np.exp(fit.ci.low):.2f} to")
    texts = words(ax)
    assert texts.index("Favours peer support") < texts.index("Favours comparison")  # below 1, on the left


def test_outcomes_of_several_measures_are_drawn_one_measure_at_a_time():
    data = table()
    data.loc[data["outcome_class"] != "psychosocial", ["measure", "positive_favours"]] = ["RR", "arm2"]
    found = pool_outcomes(data)
    with pytest.raises(MetapeerError, match="draw one of: measure='SMD', measure='RR'"):
        found.plot()
    with pytest.raises(ChoiceError, match="Known: SMD, RR"):
        found.plot(measure="MD")
    texts = words(found.plot(measure="RR").axes[0])
    assert "Hospitalisation" in texts
    assert "Recovery" not in texts


def test_where_directions_differ_each_line_says_what_above_no_effect_favours():
    data = table(measure="RR", positive_favours="arm2")
    data.loc[data["outcome"] == "recovery", "positive_favours"] = "arm1"
    ax = pool_outcomes(data).plot(arms=("Peers", "Usual care")).axes[0]
    assert "Peers" in row_of(ax, "Recovery")
    assert "Usual care" in row_of(ax, "Hope")
    assert not any("Favours" in text for text in words(ax))


LONG = {
    "outcome": [
        "other:the_number_of_days_spent_in_hospital_in_the_twelve_months_after_the_end_of_the_intervention",
        "Recovery Assessment Scale (domain: personal confidence and hope), interviewer-rated",
        "日本語 😀 <b>$x_1$</b>",
    ]
}
CASES = {
    "as it is": (table(), {}, {}),
    "without headings": (table(), {"group": None, "adjust": None}, {}),
    "narrow": (table(), {}, {"width": 5.5}),
    "long names": (
        table().replace({"outcome": dict(zip(SIZES, LONG["outcome"], strict=False))}),
        {},
        {"title": "T " * 90},
    ),
    "hardly known": (table(vi=50.0), {}, {}),
    "known to the last digit": (table(vi=1e-9), {"ci_method": "z"}, {}),
    "one outcome of one trial": (table().iloc[-1:], {}, {}),
    "far apart": (table(yi=4.0 ** np.arange(len(table()))), {}, {}),
    "by instrument": (table(scale=[f"Scale {i % 9}" for i in range(len(table()))]), {"by": "scale", "group": None}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_all_text_is_inside_the_figure_and_no_two_texts_overlap(name):
    data, options, looks = CASES[name]
    figure = pool_outcomes(data, **options).plot(**looks)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    ax = figure.axes[0]
    texts = [text for text in [*ax.texts, *ax.get_xticklabels()] if text.get_text()]
    boxes = [(text, text.get_window_extent(canvas.get_renderer())) for text in texts]
    page = figure.bbox
    for text, box in boxes:
        inside = (
            page.x0 - 0.5 <= box.x0 and box.x1 <= page.x1 + 0.5 and page.y0 - 0.5 <= box.y0 and box.y1 <= page.y1 + 0.5
        )
        assert inside, text
    for (one, a), (two, b) in itertools.combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 0 or down <= 0.25 * min(a.height, b.height), (one, two)


def test_it_draws_in_given_axes_and_into_a_file(found, tmp_path):
    figure = Figure((9, 4))
    ax = figure.add_subplot()
    assert found.plot(ax) is figure
    assert save_figure(figure, tmp_path / "outcomes.svg").stat().st_size > 0


# --- what forest_plot learned for it


def line(kind, label, *numbers, **more):
    return {"kind": kind, "label": label, **dict(zip(("estimate", "ci_low", "ci_high"), numbers, strict=False)), **more}


def test_the_axis_covers_the_prediction_intervals_of_pooled_rows():
    rows = [line("pooled", f"O{i}", 0.2, 0.1, 0.3, pi_low=-0.05 * i, pi_high=0.4) for i in range(4)]
    low, high = forest_plot(pd.DataFrame(rows)).axes[0].spines["bottom"].get_bounds()
    assert low < -0.15
    assert high > 0.4


def test_a_prediction_interval_beyond_the_axis_ends_in_an_arrowhead():
    rows = [line("pooled", f"O{i}", 0.2, 0.1, 0.3, pi_low=0.0, pi_high=0.4) for i in range(4)]
    rows.append(line("pooled", "Wide", 0.2, 0.1, 0.3, pi_low=-90.0, pi_high=np.inf))
    ax = forest_plot(pd.DataFrame(rows)).axes[0]
    low, high = ax.spines["bottom"].get_bounds()
    assert (low, high) == pytest.approx((0.0, 0.4), abs=0.2)
    assert sorted(corner[0, 0] for corner in shapes(ax, "_arrow")) == pytest.approx([low, high])


def test_pooled_estimates_are_always_on_the_axis():
    rows = [line("pooled", f"O{i}", 0.2, 0.1, 0.3) for i in range(8)] + [line("pooled", "Far", 9.0, 8.0, 10.0)]
    _, high = forest_plot(pd.DataFrame(rows)).axes[0].spines["bottom"].get_bounds()
    assert high > 9.0


def test_a_row_of_a_list_is_set_in_regular_type_and_a_summary_in_bold():
    rows = [line("pooled", "Hope", 0.2, 0.1, 0.3), line("summary", "All", 0.2, 0.1, 0.3)]
    ax = forest_plot(pd.DataFrame(rows)).axes[0]
    weight = {text.get_text(): text.get_fontweight() for text in ax.texts}
    assert weight["Hope"] != weight["All"]


def test_prediction_intervals_that_make_no_sense_are_refused_all_at_once():
    rows = [
        line("pooled", "A", 0.2, 0.1, 0.3, pi_low=0.4, pi_high=0.0),
        line("pooled", "B", 0.2, 0.1, 0.3, pi_low=0.1),
        line("study", "C", 0.2, 0.1, 0.3, pi_low=0.0, pi_high=0.4),
        line("pooled", "D", 0.2, 0.1, 0.3, pi_low="wide", pi_high=0.4),
        line("heading", "E", pi_low=0.1, pi_high=0.4),
    ]
    with pytest.raises(DataError) as caught:
        forest_plot(pd.DataFrame(rows))
    told = [str(fault) for fault in caught.value.faults]
    assert [text.split(" ")[1] for text in told] == ["1", "2", "3", "3", "4", "5", "5"]
    assert "pi_low 0.4 and pi_high 0 are no interval" in told[0]
    assert "a study row has no prediction interval" in told[2]

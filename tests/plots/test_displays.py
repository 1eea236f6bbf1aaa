import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from metapeer.errors import ChoiceError, DataError
from metapeer.plots.densities import draw_densities
from metapeer.plots.drapery import draw_drapery
from metapeer.plots.galbraith import draw_galbraith
from metapeer.plots.judgements import TOOLS, read_judgement
from metapeer.plots.labbe import draw_labbe
from metapeer.plots.orchard import draw_orchard, draw_rainforest
from metapeer.plots.pairs import draw_pairs
from metapeer.plots.panel_reading import inches
from metapeer.plots.risk_of_bias import draw_rob_bars, draw_rob_lights
from metapeer.plots.style import save_figure

LONG = "A randomised controlled trial of peer-led self-management for people discharged from crisis teams"
AWKWARD = [
    LONG,
    "שלום עולם 2014",
    "日本語の試験",
    "<script>alert(1)</script> & $y^2$ \\frac_1^2 %s {0}",
    "two\nlines",
    "",
    "x" * 120,
    "#\ufffe\0",
]


def text_boxes(figure, dpi=100):
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    found = []
    for ax in figure.axes:
        drawn = [ax.get_xticklabels(), ax.get_yticklabels()] if ax.axison else []
        texts = [*ax.texts, *itertools.chain.from_iterable(drawn)]
        found += [(text, text.get_window_extent(canvas.get_renderer())) for text in texts if text.get_text()]
    return found


def assert_texts_are_inside_and_apart(figure, dpi=100):
    found = text_boxes(figure, dpi)
    page = figure.bbox
    assert found
    for text, box in found:
        assert page.x0 - 1 <= box.x0 <= box.x1 <= page.x1 + 1, text
        assert page.y0 - 1 <= box.y0 <= box.y1 <= page.y1 + 1, text
    for (one, a), (two, b) in itertools.combinations(found, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        # an accent may touch the descender of the line above: a quarter of a line is allowed
        assert across <= 0.5 or down <= 0.25 * min(a.height, b.height), (one, two)


def words(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def lines(figure, label):
    return [line for ax in figure.axes for line in ax.lines if line.get_label() == label]


def cloud(k, *, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    se = rng.uniform(0.08, 0.5, k) * scale
    return pd.DataFrame(
        {
            "label": [AWKWARD[i % len(AWKWARD)] if k < 20 else f"Invented {i}" for i in range(k)],
            "estimate": rng.normal(0.2, 0.3, k) * scale + rng.normal(0, 1, k) * se,
            "se": se,
            "weight": se**-2,
        }
    )


def galbraith(table, **more):
    middle = float(np.average(table["estimate"], weights=table["weight"]))
    half = 1.96 * float(table["weight"].sum()) ** -0.5
    return draw_galbraith(table, estimate=middle, ci_low=middle - half, ci_high=middle + half, **more)


def rainforest(table, **more):
    return draw_rainforest(table, estimate=0.2, ci=(0.1, 0.3), prediction=(-0.3, 0.7), **more)


def drapery(table, **more):
    p = np.array([0.001, 0.05, 0.5, 1.0, 0.5, 0.05, 0.001])
    z = np.array([-3.29, -1.96, -0.67, 0.0, 0.67, 1.96, 3.29])
    curves = [
        pd.DataFrame({"curve": str(i), "kind": "study", "effect": y + z * s, "p": p})
        for i, (y, s) in enumerate(zip(table["estimate"], table["se"], strict=True))
    ]
    curves += [pd.DataFrame({"curve": kind, "kind": kind, "effect": 0.2 + z * s, "p": p})
               for kind, s in (("pooled", 0.1), ("prediction", 0.4))]  # fmt: skip
    return draw_drapery(pd.concat(curves), **more)


def orchard(table, **more):
    groups = [AWKWARD[i] for i in (0, 1, 3)]
    fruit = table.assign(group=[groups[i % 3] for i in range(len(table))], size=1 / table["se"])
    trunks = pd.DataFrame({"group": groups, "estimate": [0.1, 0.2, 0.3], "ci_low": [0.0, 0.1, -0.5],
                           "ci_high": [0.2, 0.3, 0.9], "pi_low": [-0.5, np.nan, -2.0], "pi_high": [0.7, np.nan, 2.6],
                           "words": ["k = 3", "", "12 from 9 trials"]})  # fmt: skip
    return draw_orchard(fruit, trunks, **more)


def labbe(table, **more):
    risks = pd.DataFrame({"x": 1 / (1 + np.exp(-table["estimate"])), "y": table["se"], "size": table["weight"],
                          "label": table["label"]})  # fmt: skip
    curves = pd.DataFrame({"name": "RR 0.50", "x": [0.0, 0.8], "y": [0.0, 0.4]})
    return draw_labbe(risks, lines=curves, **more)


def pairs(table, **more):
    rows = pd.DataFrame({"label": table["label"], "first": table["estimate"], "second": table["estimate"] + 0.1,
                         "first_low": table["estimate"] - table["se"], "first_high": table["estimate"] + table["se"],
                         "words": LONG, "marked": True})  # fmt: skip
    return draw_pairs(rows, arrows=True, **more)


def lights(table, **more):
    rows = table.assign(d1="Low risk", d2=["Some concerns", ""] * (len(table) // 2) + ["High risk"] * (len(table) % 2))
    return draw_rob_lights(rows, {"d1": "D1", "d2": "Overall"}, names={"d1": LONG}, **more)


def bars(table, **more):
    rows = table.assign(d1="Low risk", d2=["Some concerns", ""] * (len(table) // 2) + ["High risk"] * (len(table) % 2))
    return draw_rob_bars(rows, {"d1": LONG, "d2": "Overall"}, weights=table["weight"], **more)


def densities(table, **more):
    x = np.linspace(0, 1, 50)
    curves = [pd.DataFrame({"value": x, "density": np.exp(-x * rate), "kind": kind, "name": f"{kind} {LONG}"})
              for kind, rate in (("posterior", 3.0), ("likelihood", 2.0), ("prior", 1.0))]  # fmt: skip
    return draw_densities(pd.concat(curves), median=0.3, interval=(0.1, 0.9), x_label=str(len(table)), **more)


KINDS = [galbraith, rainforest, drapery, orchard, labbe, pairs, lights, bars, densities]
CASES = {
    "one": (cloud(1), {}),
    "awkward labels": (cloud(9), {"title": LONG, "notes": [LONG * 3, AWKWARD[3]]}),
    "single column": (cloud(7, seed=3), {"width": "single", "notes": LONG}),
    "many": (cloud(60), {"width": "180 mm"}),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("case", [*list(CASES)[:3], pytest.param("many", marks=pytest.mark.slow)])
def test_all_text_is_inside_the_figure_and_no_two_texts_overlap(kind, case):
    table, options = CASES[case]
    assert_texts_are_inside_and_apart(kind(table, **options))


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("kind", [galbraith, rainforest, orchard, pairs], ids=lambda kind: kind.__name__)
def test_tiny_and_huge_numbers_stay_legible(kind, scale):
    assert_texts_are_inside_and_apart(kind(cloud(6, scale=scale).assign(label="Invented")))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_figure_has_the_width_of_a_journal_column_and_words_for_who_cannot_see_it(kind):
    figure = kind(CASES["single column"][0], width="double")
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(190, abs=0.1)
    assert len(figure.metapeer_alt) > 20


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_files_are_the_same_on_every_run_and_hostile_labels_stay_text(kind, tmp_path):
    figure = kind(cloud(9), title=AWKWARD[3])
    first = save_figure(figure, tmp_path / "a.svg").read_bytes()
    assert save_figure(kind(cloud(9), title=AWKWARD[3]), tmp_path / "b.svg").read_bytes() == first
    assert b"<script>" not in first
    assert b"&lt;script&gt;" in first


@pytest.mark.parametrize(("width", "mm"), [("single", 90), ("double", 190), ("12.5 cm", 125), ("5in", 127), (5, 127)])
def test_widths_are_read_with_their_unit(width, mm):
    assert inches(width) * 25.4 == pytest.approx(mm)


@pytest.mark.parametrize("width", ["wide", "90", 0.5, 300, float("nan"), True, None, "-3 mm"])
def test_a_width_that_is_none_is_refused(width):
    with pytest.raises(ChoiceError, match="width must be"):
        inches(width)


def test_the_slope_from_the_origin_to_a_study_is_its_effect():
    table = cloud(12)
    figure = galbraith(table)
    points = np.concatenate([one.get_offsets() for one in figure.axes[0].collections[1:]])
    assert sorted(points[:, 1] / points[:, 0]) == pytest.approx(sorted(table["estimate"]))
    assert sorted(1 / points[:, 0]) == pytest.approx(sorted(table["se"]))


def test_studies_outside_the_band_are_open_diamonds_with_their_names():
    table = pd.DataFrame({"label": ["near", "far"], "estimate": [0.1, 3.0], "se": [0.1, 0.1]})
    figure = draw_galbraith(table, estimate=0.1, ci_low=0.0, ci_high=0.2)
    assert "far" in words(figure)
    assert "near" not in words(figure)
    *_, outside = figure.axes[0].collections
    assert outside.get_offsets().tolist() == [[pytest.approx(10), pytest.approx(30)]]


def test_the_arc_has_each_effect_where_its_ray_meets_it():
    table = pd.DataFrame({"label": "a", "estimate": [-0.5, 0.0, 0.5, 1.0], "se": [0.1, 0.2, 0.2, 0.1]})
    figure = draw_galbraith(table, estimate=0.25, ci_low=0.0, ci_high=0.5)
    figure.set_dpi(100)
    FigureCanvasAgg(figure).draw()
    ax = figure.axes[0]
    ((arc,),) = (lines(figure, "_arc"),)
    corner = ax.transAxes.transform((0, 0))
    pixels = arc.get_transform().transform(np.column_stack(arc.get_data()))
    data = ax.transData.inverted().transform(pixels)
    effects = data[:, 1] / data[:, 0]
    assert effects[0] < -0.4
    assert effects[-1] > 0.9
    assert np.all(np.diff(effects) > 0)
    origin = ax.transData.transform((0, 0))
    radius = np.hypot(*(pixels - origin).T)
    assert np.ptp(radius) < 1e-6 * radius[0]
    assert corner[0] < pixels[:, 0].min()


@pytest.mark.parametrize("width", ["single", 5.5])
@pytest.mark.parametrize("seed", range(5))
def test_every_study_lies_within_the_arc(width, seed):
    figure = galbraith(cloud(25, seed=seed), width=width)
    figure.set_dpi(100)
    FigureCanvasAgg(figure).draw()
    ax = figure.axes[0]
    origin = ax.transData.transform((0, 0))
    ((arc,),) = (lines(figure, "_arc"),)
    radius = np.hypot(*(arc.get_transform().transform(np.column_stack(arc.get_data()))[0] - origin))
    for group in ax.collections[1:]:
        away = np.hypot(*(ax.transData.transform(group.get_offsets()) - origin).T)
        assert away.max() < radius


def test_circles_of_a_labbe_plot_lie_at_the_risks_with_areas_like_sizes():
    table = pd.DataFrame({"x": [0.1, 0.5], "y": [0.2, 0.4], "size": [100, 400]})
    figure = draw_labbe(table)
    (circles,) = figure.axes[0].collections
    assert np.asarray(circles.get_offsets()).tolist() == [[0.5, 0.4], [0.1, 0.2]]
    assert circles.get_sizes()[0] / circles.get_sizes()[1] == pytest.approx(4)
    box = figure.axes[0].get_window_extent()
    assert box.width == pytest.approx(box.height, rel=0.01)


def test_a_risk_beyond_one_is_refused_with_its_row():
    with pytest.raises(DataError, match=r"row 2.*1.5 is not a risk"):
        draw_labbe(pd.DataFrame({"x": [0.1, 0.2], "y": [0.2, 1.5]}))


def test_branch_and_twig_run_from_end_to_end_and_the_trunk_stands_at_the_estimate():
    figure = orchard(cloud(9))
    assert [tuple(line.get_xdata()) for line in lines(figure, "_branch")] == [(0.0, 0.2), (0.1, 0.3), (-0.5, 0.9)]
    assert [tuple(line.get_xdata()) for line in lines(figure, "_twig")] == [(-0.5, 0.7), (-2.0, 2.6)]
    assert [line.get_xdata()[0] for line in lines(figure, "_trunk")] == [0.1, 0.2, 0.3]


def test_fruit_is_drawn_once_each_as_wide_as_its_precision_and_within_its_row():
    table = cloud(30)
    figure = orchard(table)
    fruit = [one for one in figure.axes[0].collections if one.get_label() == "_fruit"]
    assert sum(len(one.get_offsets()) for one in fruit) == 30
    widths = np.sqrt(np.concatenate([one.get_sizes() for one in fruit]))
    assert widths.max() == pytest.approx(13)
    for row, one in zip((2, 1, 0), fruit, strict=True):
        assert np.abs(np.asarray(one.get_offsets())[:, 1] - row).max() < 0.5


def test_a_fruit_of_an_unknown_group_is_refused():
    trunks = pd.DataFrame({"group": ["a"], "estimate": [0.1]})
    with pytest.raises(DataError, match="'b' is not among the groups"):
        draw_orchard(pd.DataFrame({"group": ["b"], "estimate": [0.1]}), trunks)


def test_a_drop_is_as_long_as_the_interval_and_highest_at_the_estimate():
    table = pd.DataFrame({"label": ["a"], "estimate": [0.5], "se": [0.1]})
    figure = draw_rainforest(table, half_width=2.0)
    (drop,) = [one for one in figure.axes[0].collections if one.get_label() == "_drop"]
    outline = drop.get_paths()[0].vertices
    assert outline[:, 0].min() == pytest.approx(0.3)
    assert outline[:, 0].max() == pytest.approx(0.7)
    assert outline[np.argmax(outline[:, 1]), 0] == pytest.approx(0.5)


def test_pairs_stand_one_above_the_other_with_their_intervals():
    table = pd.DataFrame({"label": ["a", "b"], "first": [0.1, 0.2], "first_low": [0.0, 0.1], "first_high": [0.2, 0.3],
                          "second": [0.3, np.nan]})  # fmt: skip
    figure = draw_pairs(table)
    first, second = lines(figure, "_first"), lines(figure, "_second")
    assert [line.get_xdata()[0] for line in first] == [0.1, 0.2]
    assert [line.get_xdata()[0] for line in second] == [0.3]
    assert second[0].get_ydata()[0] < first[0].get_ydata()[0]
    assert [tuple(line.get_xdata()) for line in lines(figure, "_first interval")] == [(0.0, 0.2), (0.1, 0.3)]
    with pytest.raises(DataError, match="are no interval"):
        draw_pairs(table.assign(first_low=9.0))


def test_every_judgement_is_a_sign_and_an_empty_cell_is_none():
    table = pd.DataFrame({"label": ["A", "B"], "d1": ["Low risk", ""], "d2": ["high", "Some concerns"]})
    figure = draw_rob_lights(table, {"d1": "D1", "d2": "D2"})
    discs = [one for one in figure.axes[0].patches if one.get_label() == "_disc"]
    assert len(discs) == 3
    signs = [text for text in words(figure) if text in "+−×?"]
    assert sorted(signs) == sorted(["+", "×", "−", *"+−×?"])  # those judged, and the key


@pytest.mark.parametrize("tool", TOOLS)
def test_levels_of_a_tool_are_told_apart_without_colour(tool):
    signs = [level.sign for level in TOOLS[tool]]
    assert len(set(signs)) == len(signs)
    for level in TOOLS[tool]:
        for words_ in (level.name, level.name.upper(), level.sign, level.name.removesuffix(" risk")):
            assert read_judgement(words_, tool) is level


def test_unknown_judgements_are_all_listed():
    table = pd.DataFrame({"label": ["A", "B"], "d1": ["Low risk", "terrible"], "d2": ["moderate", "Low risk"]})
    with pytest.raises(DataError) as caught:
        draw_rob_lights(table, {"d1": "D1", "d2": "D2"})
    assert "terrible" in str(caught.value)
    assert "moderate" in str(caught.value)


def test_bars_share_out_the_weights_of_what_was_judged():
    table = pd.DataFrame({"d1": ["Low risk", "High risk", ""]})
    figure = draw_rob_bars(table, {"d1": "One"}, weights=[1, 3, 100])
    low, high = (one.get_width() for one in figure.axes[0].patches if one.get_label() == "_bar")
    assert high / low == pytest.approx(3)
    assert {"+ 25%", "× 75%"} <= set(words(figure))
    assert any("One: 1" in text for text in words(figure))


@pytest.mark.parametrize("weights", [[1], [1, -1, 2], [0, 0, 0], [1, np.nan, 1]])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(DataError, match="weights"):
        draw_rob_bars(pd.DataFrame({"d1": ["Low risk"] * 3}), {"d1": "One"}, weights=weights)


def test_the_shaded_area_is_the_interval_under_the_posterior():
    figure = densities(cloud(2))
    (area,) = [one for one in figure.axes[0].collections if one.get_label() == "_interval"]
    outline = area.get_paths()[0].vertices
    assert outline[:, 0].min() == pytest.approx(0.1)
    assert outline[:, 0].max() == pytest.approx(0.9)
    ((median,),) = (lines(figure, "_median"),)
    assert median.get_ydata()[1] == pytest.approx(np.exp(-0.9), rel=1e-3)


@pytest.mark.parametrize(
    "kind", [draw_galbraith, draw_labbe, draw_drapery, draw_rainforest, draw_pairs, draw_densities]
)
@pytest.mark.parametrize("table", [None, pd.DataFrame(), pd.DataFrame({"estimate": ["x"], "se": [1]})])
def test_a_table_that_cannot_be_drawn_is_a_fault(kind, table):
    options = {"estimate": 0.1, "ci_low": 0.0, "ci_high": 0.2} if kind is draw_galbraith else {}
    with pytest.raises(DataError):
        kind(table, **options)

"""What every figure shares: its width, words for who does not see it, a legend that hides nothing, names apart."""

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import metapeer as mp
from metapeer.errors import ChoiceError, MetapeerError
from metapeer.plots.baujat import baujat_plot
from metapeer.plots.bubble import bubble_plot
from metapeer.plots.copas import copas_plot
from metapeer.plots.extended_funnel import extended_funnel_plot
from metapeer.plots.funnel import draw_funnel
from metapeer.plots.gosh_cloud import draw_gosh
from metapeer.plots.influence_panels import Panel, influence_plot
from metapeer.plots.p_curves import p_curve_plot
from metapeer.plots.panel_names import place_names
from metapeer.plots.power import firepower_plot, power_curve_plot, sunset_plot
from metapeer.plots.prisma import flow_plot
from metapeer.plots.profile import profile_plot
from metapeer.plots.selection import selection_plot
from metapeer.plots.sequential import sequential_plot
from metapeer.plots.significance_funnel import significance_funnel_plot
from metapeer.plots.specification_curve import specification_curve_plot
from metapeer.plots.style import save_figure

LONG = "A randomised controlled trial of peer-led self-management for people discharged from crisis teams"
RNG = np.random.default_rng(7)
POINTS = pd.DataFrame(
    {"x": RNG.uniform(0, 4, 9), "y": RNG.uniform(0, 2, 9), "label": [f"{LONG} {i}" for i in range(9)]}
)
GRID = pd.DataFrame(
    [(a, b, 0.1 * a - b) for a in (-1.0, 0.0, 1.0) for b in (0.0, 0.1, 0.2)], columns=["gamma0", "gamma1", "estimate"]
)
LINE = pd.DataFrame(
    {
        "publication_probability": [1.0, 0.6],
        "gamma0": [10.0, 0.5],
        "gamma1": [0.0, 0.1],
        "estimate": [0.4, 0.3],
        "residual_p": [0.02, 0.3],
    }
)


def baujat(**how):
    return baujat_plot(POINTS, **how)


def bubble(**how):
    table = POINTS.rename(columns={"y": "estimate"}).assign(weight=RNG.uniform(1, 9, 9))
    return bubble_plot(table, x_label="Year", y_label="SMD", name_studies=True, **how)


def copas(**how):
    return copas_plot(LINE, GRID, **how)


def extended(**how):
    table = pd.DataFrame(
        [
            (a, b, f"the interval {'includes' if a < b else 'lies above'} no effect")
            for a in (0.0, 0.5, 1.0)
            for b in (0.1, 0.7)
        ],
        columns=["effect", "sei", "conclusion"],
    )
    return extended_funnel_plot(table, yi=[0.3], sei=[0.15], estimate=0.2, **how)


def funnel(**how):
    table = POINTS.rename(columns={"x": "effect"}).assign(kind="study", name="studies")
    lines = pd.DataFrame({"name": LONG, "effect": [1.0, 2.0], "y": [0.0, 1.0]})
    return draw_funnel(table, estimate=0.2, estimate_ci=(0.1, 0.3), lines=lines, name_studies=True, **how)


def gosh(**how):
    table = pd.DataFrame({"estimate": RNG.normal(size=50), "I2": RNG.uniform(0, 90, 50), "member": [True, False] * 25})
    return draw_gosh(table, member="Smith 2014", measure="SMD", **how)


def influence(**how):
    panels = [Panel(title=f"diagnostic {i}", values=RNG.normal(size=9)) for i in range(9)]
    return influence_plot(POINTS["label"].tolist(), panels, marked=[True] + 8 * [False], **how)


def p_curve(**how):
    table = pd.DataFrame({"p": [0.01, 0.02, 0.03, 0.04, 0.05], "observed": [60, 20, 10, 10, 0], "no_effect": [20] * 5,
                          "power_33": [44.3, 19.5, 14.4, 11.8, 10.0]})  # fmt: skip
    return p_curve_plot(table, **how)


def power(**how):
    curves = [(x, 1 - 1 / x, f"I² = {i}%") for i in (0, 25, 50, 75) for x in (5, 10, 20)]
    return power_curve_plot(pd.DataFrame(curves, columns=["x", "power", "curve"]), **how)


def sunset(**how):
    bands = pd.DataFrame({"power": [0.2, 0.4, 0.6, 0.8], "sei": [0.27, 0.18, 0.135, 0.107]})
    table = pd.DataFrame({"yi": [0.1, 0.4], "sei": [0.1, 0.2]})
    return sunset_plot(table, bands=bands, effect=0.3, critical=1.96, **how)


def firepower(**how):
    return firepower_plot(pd.DataFrame({"effect": [0.1, 0.2], "power": [0.08, 0.4]}), **how)


def flow(**how):
    table = pd.DataFrame(
        {
            "box": ["a", "b"],
            "column": [0, 1],
            "row": [0, 0],
            "text": ["Found (n = 12)", "Screened (n = 9)"],
            "to": ["b", ""],
        }
    )
    return flow_plot(table, **how)


def profile(**how):
    table = pd.DataFrame({"value": [0.0, 0.1, 0.2, 0.4], "log_likelihood": [-5.1, -4.0, -4.3, -6.2]})
    return profile_plot(table, x_label="Variance between trials", **how)


def selection(**how):
    table = pd.DataFrame({"p": [0, 0.025, 0.025, 1], "weight": [1, 1, 0.3, 0.3], "ci_low": 0.1, "ci_high": 0.9})
    return selection_plot(table, p=[0.001, 0.2], **how)


def sequential(**how):
    looks = pd.DataFrame({"information": [40, 90, 150], "z": [0.7, 1.8, 2.1]})
    lines = pd.DataFrame({"information": [40, 90, 150, 200], "boundary": [4.9, 3.0, 2.3, 2.0]})
    return sequential_plot(looks, boundary=lines, required=200, **how)


def significance(**how):
    table = pd.DataFrame({"yi": [0.1, 0.6], "sei": [0.1, 0.2], "affirmative": [False, True]})
    return significance_funnel_plot(table, estimate=0.3, worst=0.1, **how)


def specifications(**how):
    table = pd.DataFrame({"estimate": [0.3, 0.1], "ci_low": [0.1, -0.2], "ci_high": [0.5, 0.4]})
    tiles = [("tau2_method", LONG, np.array([True, False])), ("rows that count", "DL", np.array([False, True]))]
    return specification_curve_plot(table, tiles=tiles, **how)


KINDS = [baujat, bubble, copas, extended, firepower, flow, funnel, gosh, influence, p_curve, power, profile, selection,
         sequential, significance, specifications, sunset]  # fmt: skip
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def all_texts(figure):
    for ax in figure.axes:
        for inner in [ax, *ax.child_axes]:
            yield from inner.texts
            yield from [artist for artist in inner.artists if hasattr(artist, "get_text")]
            if inner.axison:
                yield from [*inner.get_xticklabels(), *inner.get_yticklabels()]
            if inner.get_legend() is not None:
                yield from [*inner.get_legend().get_texts(), inner.get_legend().get_title()]
    yield from figure.texts


def boxes_of(figure):
    figure.set_dpi(100)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    found = {id(text): text for text in all_texts(figure) if text.get_text() and text.get_visible()}
    return [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in found.values()]


@each_kind
@pytest.mark.parametrize(("width", "mm"), [("single", 90), ("double", 190), ("120 mm", 120), (6, 152.4)])
def test_every_figure_has_the_width_asked_for_in_any_unit(kind, width, mm):
    assert kind(width=width).get_size_inches()[0] * 25.4 == pytest.approx(mm, abs=0.1)


@each_kind
@pytest.mark.parametrize("width", ["single", "double"])
def test_text_stays_inside_every_figure_and_apart(kind, width):
    figure = kind(width=width, title=LONG, notes=[LONG, "$x^2$ <b>"])
    found = boxes_of(figure)
    assert len(found) > 3
    page = figure.bbox
    for text, box in found:
        assert page.x0 - 1 <= box.x0 <= box.x1 <= page.x1 + 1, text
        assert page.y0 - 1 <= box.y0 <= box.y1 <= page.y1 + 1, text
    for (one, a), (two, b) in itertools.combinations(found, 2):
        across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 0.5 or down <= 0.25 * min(a.height, b.height), (one, two)


@each_kind
@pytest.mark.parametrize("width", ["wide", 0, float("nan"), True, "5 furlongs"])
def test_a_width_that_is_none_is_refused_by_every_figure(kind, width):
    with pytest.raises(ChoiceError, match="width must be a number of inches from 1 to 200"):
        kind(width=width)


@each_kind
def test_every_figure_says_in_words_what_it_shows_and_takes_them_along_into_an_svg(kind, tmp_path):
    figure = kind()
    assert len(figure.metapeer_alt) > 20
    first = save_figure(figure, tmp_path / "a.svg").read_bytes()
    assert first == save_figure(figure, tmp_path / "b.svg").read_bytes()
    root = ET.fromstring(first)  # noqa: S314 - our own file
    space = {"s": "http://www.w3.org/2000/svg"}
    assert root.get("role") == "img"
    title, described = root.find("s:title", space), root.find("s:desc", space)
    assert root.get("aria-labelledby").split() == [title.get("id"), described.get("id")]
    assert described.text == " ".join(figure.metapeer_alt.split())
    assert described.text.startswith(title.text)


def test_words_are_computed_from_the_tables():
    assert funnel().metapeer_alt.startswith("Funnel plot of 9 studies. Pooled effect: 0.20 (0.10 to 0.30).")
    assert "2 effects, 1 of them affirmative. Pooled effect of all: 0.30; worst case" in significance().metapeer_alt
    assert "z = 2.10 at information 150 of 200 required" in sequential().metapeer_alt
    assert "median 0.20 (0.10 to 0.30)" in specifications().metapeer_alt
    assert "60% up to 0.01" in p_curve().metapeer_alt
    assert "highest at 0.10" in profile().metapeer_alt
    assert power_curve_plot(pd.DataFrame({"x": [5, 9], "power": [0.3, 0.6]})).metapeer_alt == (
        "Power against number of studies. 30% at 5 to 60% at 9."
    )


def test_a_forest_plot_tells_subgroups_apart_and_calls_studies_only_what_are_studies():
    table = pd.DataFrame(
        {
            "kind": ["heading", "study", "summary", "heading", "study", "summary"],
            "label": ["Group", "a", "Subgroup", "One-to-one", "b", "Subgroup"],
            "estimate": [np.nan, 0.1, 0.1, np.nan, 0.3, 0.3],
            "ci_low": [np.nan, 0.0, 0.0, np.nan, 0.2, 0.2],
            "ci_high": [np.nan, 0.2, 0.2, np.nan, 0.4, 0.4],
        }
    )
    words = mp.forest_plot(table).metapeer_alt
    assert "2 studies" in words
    assert "Group, Subgroup: 0.10 (0.00 to 0.20); One-to-one, Subgroup: 0.30 (0.20 to 0.40)" in words
    assert "2 rows under “Analysis”" in mp.forest_plot(table, left={"label": "Analysis"}).metapeer_alt


@pytest.mark.parametrize("words", ["Funnel. <b> & “1−2” 日\u200f", "", "x" * 3000])
def test_alternative_text_reaches_png_and_pdf_and_stays_the_same(words, tmp_path):
    figure = Figure((2, 1))
    figure.metapeer_alt = words
    for suffix in ("png", "pdf", "svg"):
        one = save_figure(figure, tmp_path / f"one.{suffix}").read_bytes()
        assert one == save_figure(figure, tmp_path / f"two.{suffix}").read_bytes()
    chunks = Image.open(tmp_path / "one.png").text
    assert chunks.get("Description", "") == words
    content = (tmp_path / "one.pdf").read_bytes()
    assert (b"/Subject" in content) == bool(words)
    assert (b"aria-labelledby" in (tmp_path / "one.svg").read_bytes()) == bool(words)


def test_two_figures_on_one_page_have_names_of_their_own(tmp_path):
    names = set()
    for kind in (funnel, power):
        content = save_figure(kind(), tmp_path / "a.svg").read_text(encoding="utf-8")
        names.add(re.search(r'aria-labelledby="(\S+)-title', content)[1])
    assert len(names) == 2


@pytest.mark.parametrize("kind", [extended, p_curve, power, significance, sunset], ids=lambda kind: kind.__name__)
def test_a_legend_stands_under_the_panel_where_it_hides_nothing(kind):
    figure = kind(width="single")
    boxes_of(figure)
    panel = figure.axes[0]
    assert panel.get_legend().get_window_extent().y1 < panel.get_window_extent().y0


def studies(k, seed=3):
    rng = np.random.default_rng(seed)
    sei = rng.uniform(0.1, 0.5, k)
    return mp.meta_analysis(
        pd.DataFrame(
            {
                "study_id": [f"Invented {i}" for i in range(k)],
                "yi": rng.normal(0.2, 0.2, k),
                "vi": sei**2,
                "measure": "SMD",
                "year": range(2000, 2000 + k),
                "rob_d1": ["Low risk", "High risk"] * (k // 2) + ["Low risk"] * (k % 2),
                "rob_overall": "Some concerns",
            }
        ),
        ci_method="z",
    )


def words_of(figure):
    return [text.get_text() for ax in figure.axes for text in [*ax.texts, *ax.artists] if hasattr(text, "get_text")]


def test_studies_of_a_funnel_have_their_names_or_are_counted_in_a_note():
    for fit, width in ((studies(5), "double"), (studies(60), "single")):
        figure = mp.funnel_plot(fit, labels=True, width=width)
        texts = words_of(figure)
        named = sum(text.startswith("Invented") for text in texts)
        notes = [re.search(r"No room for the names? of (\d+) stud", text) for text in texts]
        left_out = sum(int(note[1]) for note in notes if note)
        assert named + left_out == fit.k
        assert named > 3
        boxes = [box for text, box in boxes_of(figure) if text.startswith("Invented")]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_only_the_studies_asked_for_are_named_and_unknown_ones_are_refused():
    fit = studies(6)
    for how in ({"labels": ["Invented 2"]}, {"name_studies": ["Invented 2"]}):
        assert [text for text in words_of(mp.funnel_plot(fit, **how)) if "Invented" in text] == ["Invented 2"]
    assert not any("Invented" in text for text in words_of(mp.funnel_plot(fit)))
    with pytest.raises(ChoiceError, match="no study is called 'Nobody'"):
        mp.funnel_plot(fit, labels=["Nobody"])
    with pytest.raises(ChoiceError, match="name_studies must be"):
        mp.funnel_plot(fit, name_studies=3)


def test_names_keep_off_points_and_one_another():
    rng = np.random.default_rng(1)
    across, up, radii = rng.uniform(0, 300, 40), rng.uniform(0, 200, 40), np.full(40, 3.0)
    found, without = place_names(across, up, [f"Study {i}" for i in range(40)], radii, (300.0, 200.0), order=range(40))
    assert len(found) + without == 40
    assert len({name.index for name in found}) == len(found) > 10


@pytest.mark.parametrize("layout", ["metapeer", "revman", "jama", "bmj"])
def test_layout_and_risk_of_bias_pass_through_cumulative_and_leave_one_out_forests(layout):
    fit = studies(5)
    for found in (mp.cumulative(fit.data, order="year"), mp.leave_one_out(fit)):
        plain, signed = found.plot(layout=layout), found.plot(layout=layout, risk_of_bias=True)
        assert any("[" in text and "CI]" in text for text in words_of(plain)) == (layout == "revman")
        assert sum(text in "+−×?" for text in words_of(signed)) == 10
        assert not any(text in "+−×?" for text in words_of(plain) if text)
        assert any("Risk of bias (RoB 2)" in text for text in words_of(signed))
        with pytest.raises(ChoiceError, match="layout"):
            found.plot(layout="lancet")


def test_studies_that_enter_together_have_a_judgement_only_where_they_agree():
    fit = studies(4)
    data = fit.data.assign(year=[2000, 2000, 2001, 2002])
    figure = mp.cumulative(data, order="year", together=True, ci_method="z").plot(risk_of_bias=True)
    signs = [text for text in words_of(figure) if text and text in "+−×?"]
    assert sorted(signs) == sorted("−−−" + "+×")
    with pytest.raises(MetapeerError, match="no study has a judgement"):
        mp.leave_one_out(mp.meta_analysis(yi=[0.1, 0.2, 0.3], vi=[0.1, 0.1, 0.1], ci_method="z")).plot(
            risk_of_bias=True
        )

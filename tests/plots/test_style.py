import math
import re
import subprocess
import sys
import warnings

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure

from metapeer.errors import ChoiceError
from metapeer.plots.style import (
    FAMILY,
    PlainText,
    align_numbers,
    clean_text,
    looks_numeric,
    number_text,
    save_figure,
    text_width,
    tick_text,
    ticks_within,
    true_minus,
    wrap_text,
)


def small_figure():
    figure = Figure((2, 1))
    figure.add_axes((0.2, 0.3, 0.7, 0.6)).plot([0, 1], [0, 1])
    return figure


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")])
def test_the_suffix_decides_the_format_and_files_are_the_same_on_every_run(tmp_path, suffix, magic):
    one = save_figure(small_figure(), tmp_path / f"one{suffix}")
    two = save_figure(small_figure(), str(tmp_path / f"two{suffix}"))
    assert one.read_bytes().startswith(magic)
    assert one.read_bytes() == two.read_bytes()


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ChoiceError, match=r"suffix '\.pgn' is unknown\. Did you mean '\.png'\?"):
        save_figure(small_figure(), tmp_path / "figure.pgn")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dpi", [0, -1, math.nan, math.inf, "300"])
def test_an_impossible_resolution_is_refused(tmp_path, dpi):
    with pytest.raises(ChoiceError, match="dpi must be a number above 0"):
        save_figure(small_figure(), tmp_path / "figure.png", dpi=dpi)


def test_a_png_has_the_resolution_asked_for_and_axes_stand_for_their_figure(tmp_path):
    figure = Figure((3, 2))
    ax = figure.add_axes((0.2, 0.3, 0.7, 0.6))
    content = save_figure(ax, tmp_path / "figure.png", dpi=150).read_bytes()
    assert (int.from_bytes(content[16:20]), int.from_bytes(content[20:24])) == (450, 300)


def test_what_reaches_beyond_the_edge_enlarges_the_page(tmp_path):
    figure = Figure((3, 2))
    figure.add_artist(PlainText(2.8 / 3, 0.5, "reaches far beyond the edge", size=10, transform=figure.transFigure))
    content = save_figure(figure, tmp_path / "figure.png", dpi=100).read_bytes()
    beyond = 2.8 + text_width("reaches far beyond the edge", 10) / 72
    assert int.from_bytes(content[16:20]) == pytest.approx(100 * beyond, abs=3)


def test_resolution_gives_way_where_no_image_could_be_that_high(tmp_path):
    content = save_figure(Figure((0.1, 500)), tmp_path / "figure.png", dpi=300).read_bytes()
    assert 65_000 < int.from_bytes(content[20:24]) <= 65_535


def test_text_stays_text_in_svg_with_a_sans_serif_face_for_those_without_dejavu(tmp_path):
    figure = Figure((3, 2))
    figure.add_artist(PlainText(0.1, 0.5, "a $x^2$ <b>日</b>", size=10, transform=figure.transFigure))
    content = save_figure(figure, tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert ">a $x^2$ &lt;b&gt;日&lt;/b&gt;<" in content
    assert f"font-family: '{FAMILY}', Verdana, sans-serif" in content
    assert "dc:date" not in content


def test_type_is_set_as_wide_as_it_was_measured_at_every_resolution():
    text = "Supported employment 2014, 0.12 (−0.03 to 0.40)"
    for dpi in (72, 90, 100, 110, 300):
        figure = Figure((8, 1), dpi=dpi)
        line = figure.add_artist(PlainText(0, 0.5, text, size=7, bold=True))
        width = line.get_window_extent(RendererAgg(1, 1, dpi)).width * 72 / dpi
        assert width == pytest.approx(text_width(text, 7, bold=True), rel=0.01)


def test_a_glyph_nobody_has_is_drawn_without_a_warning(tmp_path):
    figure = Figure((2, 1))
    figure.add_artist(PlainText(0.1, 0.5, "\U0001f9ff\U00012000\u0e44", size=10, transform=figure.transFigure))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for suffix in ("png", "svg", "pdf"):
            figure.savefig(tmp_path / f"usual.{suffix}")
            save_figure(figure, tmp_path / f"ours.{suffix}")


def test_pyplot_is_never_needed():
    code = "import sys, metapeer.plots.forest; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(st.text(), st.floats(20, 300))
def test_wrapping_loses_nothing_but_blanks_and_keeps_every_line_within_the_limit(text, limit):
    cleaned = clean_text(text)
    lines = wrap_text(cleaned, limit, 8)
    assert re.sub(r"[ \n]", "", cleaned) == "".join(lines).replace(" ", "")
    assert all(text_width(line, 8) <= limit or len(line) == 1 for line in lines)


@given(st.text(st.characters(categories=["Cc", "Cs", "Zs", "Zl", "Zp", "Lu"])))
def test_clean_text_can_be_written_to_any_file(text):
    cleaned = clean_text(text)
    cleaned.encode("utf-8")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", cleaned)
    assert clean_text(cleaned) == cleaned


def test_missing_values_are_no_text():
    assert [clean_text(value) for value in (None, math.nan, pd.NA, pd.NaT, "nan", 3)] == ["", "", "", "", "nan", "3"]


def test_hyphens_become_minus_signs_only_before_free_numbers():
    assert true_minus("-1.5 to -.5; -2") == "−1.5 to −.5; −2"
    unchanged = "6-12 weeks, COVID-19, -x, 0.1-0.2, (a)-3"
    assert true_minus(unchanged) == unchanged


@pytest.mark.parametrize(
    "cells",
    [
        ["9.5 (12.1)", "−10.5 (3.1)", "100.2 (0.1)"],
        ["0.19 (0.11 to 0.27)", "−1.20 (−11.00 to −0.10)", "0.19 (NA to NA)", "0.20 (−∞ to ∞)"],
        ["1,234", "12", "−5"],
        ["5.1%", "100.0%"],
        ["3/40", "12/5"],
        ["1.5", "2", "10.25"],
    ],
)
def test_aligned_numbers_are_equally_wide_and_unchanged_but_for_blanks(cells):
    aligned = align_numbers(cells)
    # within a hair space, a tenth of an em
    widths = [text_width(cell, 10) for cell in aligned]
    assert max(widths) - min(widths) < 1.5
    assert [re.sub(r"[\u2007-\u200a]", "", cell) for cell in aligned] == cells


def test_decimal_points_stand_exactly_in_line():
    aligned = align_numbers(["9.5 (12.1)", "−10.25 (3.1)", "100.2 (0.1)"])
    points = [[text_width(cell[: m.start()], 10) for m in re.finditer(r"\.", cell)] for cell in aligned]
    for column in zip(*points, strict=True):
        assert max(column) - min(column) < 0.15


def test_odd_cells_in_a_column_of_numbers_are_left_alone():
    assert align_numbers(["10.5", "", "not reported", "9.5"]) == ["10.5", "", "not reported", "\u20079.5"]
    assert align_numbers(["group", "mixed"]) == ["group", "mixed"]


def test_words_are_not_numbers():
    assert [looks_numeric(cell) for cell in ("12/80", "<0.001", "(−0.1 to 2)", "−∞", "NA")] == [True] * 5
    assert [looks_numeric(cell) for cell in ("group", "", "NAMI 2", "2nd wave", "Trial 3")] == [False] * 5


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (math.log(0.3), math.log(3), [0.5, 1, 2]),
        (math.log(0.2), math.log(5), [0.25, 0.5, 1, 2, 4]),
        (math.log(0.04), math.log(2), [0.05, 0.1, 0.2, 0.5, 1, 2]),
        (math.log(0.002), math.log(300), [0.01, 0.1, 1, 10, 100]),
        (math.log(0.87), math.log(1.24), [0.9, 1.0, 1.1, 1.2]),
    ],
)
def test_ratio_axes_have_ticks_that_readers_know(low, high, expected):
    assert ticks_within(low, high, 200, 8, ratio=True) == pytest.approx(expected)


@given(
    st.floats(-600, 600),
    st.floats(-9, 2.5),
    st.booleans(),
    st.floats(60, 400),
)
def test_tick_labels_stay_on_the_axis_and_never_touch(low, log_span, ratio, width):
    high = low + 10**log_span * (1 if ratio else max(1.0, abs(low)))
    ticks = ticks_within(low, high, width, 8, ratio=ratio)
    labels = tick_text(ticks, common=not ratio)
    at = [(math.log(tick) if ratio else tick) for tick in ticks]
    assert all(low - 1e-9 <= place <= high + 1e-9 for place in at)
    assert len(set(labels)) == len(labels)
    halves = [text_width(label, 8) / 2 for label in labels]
    places = [(place - low) / (high - low) * width for place in at]
    for i in range(len(ticks) - 1):
        assert places[i] + halves[i] < places[i + 1] - halves[i + 1]


def test_tick_labels_have_the_decimals_they_need_and_no_more():
    assert tick_text([-1, 0, 1]) == ["−1", "0", "1"]
    assert tick_text([0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
    assert tick_text([1 / 3, 1, 3], common=False) == ["0.333", "1", "3"]
    assert tick_text([100, 100.0001]) == ["100.0000", "100.0001"]
    assert tick_text([1.25e7, 1.5e7]) == ["12500000", "15000000"]


def test_numbers_use_a_true_minus_and_give_up_decimals_beyond_a_million():
    assert [number_text(v, 1) for v in (-0.04, -1.25, math.nan, -math.inf, 12_345_678.0)] == [
        "0.0", "−1.2", "NA", "−∞", "1.2e+07",
    ]  # fmt: skip

import math
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.plots.cells import align_numbers, clean_text, is_plain_number, looks_numeric, number_text, true_minus
from metapeer.plots.text import text_width


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


def test_numbers_use_a_true_minus_and_give_up_decimals_beyond_a_million():
    assert [number_text(v, 1) for v in (-0.04, -1.25, math.nan, -math.inf, 12_345_678.0)] == [
        "0.0", "−1.2", "NA", "−∞", "1.2e+07",
    ]  # fmt: skip


def test_no_blank_stands_before_a_closing_bracket():
    aligned = align_numbers(["0.7 (0.1 to 12)", "0.75 (−1.25 to 0.5)", "(3 to 4.125)"])
    assert not any(re.search(r"\s[)\]]", cell) for cell in aligned)
    widths = [text_width(cell, 10) for cell in aligned[:2]]
    assert max(widths) - min(widths) < 1.5


def test_cells_like_the_end_of_the_others_stand_in_line_with_it():
    whole, part = align_numbers(["0.20 (−0.10 to 0.50)", "(0.05 to 0.45)"])
    after = [text_width(cell[cell.index("(") :], 10) for cell in (whole, part)]
    assert after[0] - after[1] == pytest.approx(text_width("−", 10), abs=1)
    points = [text_width(cell[cell.index("to") :], 10) for cell in (whole, part)]
    assert points[0] == pytest.approx(points[1])


def test_one_number_with_a_bound_or_a_percent_sign_is_plain():
    assert [is_plain_number(cell) for cell in ("−0.5", "<0.001", "12%", "1,234", "NA")] == [True] * 5
    assert [is_plain_number(cell) for cell in ("12/80", "4.1 (2.0)", "(2)", "5 mg", "")] == [False] * 5

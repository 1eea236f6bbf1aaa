"""Tables of words: nothing is lost, numbers stay whole, and no table is wider than it must be."""

import unicodedata
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from metapeer.formatting import GAP, NARROWEST, WIDEST, TextTable, _width, _wrap

texts = st.text(st.characters(codec="utf-8"), max_size=300) | st.lists(
    st.text("abcdefghij", min_size=1, max_size=12), max_size=60
).map(" ".join)
numbers = st.floats(-1e6, 1e6).map("{:.2f}".format) | st.sampled_from(
    ["", "NA", "<0.001", "0.11 to 0.27", "3 (4 to 5)"]
)


@st.composite
def tables(draw):
    kinds = draw(st.lists(st.sampled_from([texts, numbers]), min_size=1, max_size=7))
    header = draw(st.tuples(*[st.text("abc ", max_size=20) for _ in kinds]))
    return TextTable(header=header, rows=draw(st.lists(st.tuples(*kinds), min_size=1, max_size=5)))


def letters(text: str) -> str:
    """What can be seen of a text."""
    return "".join(c for c in text if unicodedata.category(c)[0] not in "CZ")


@given(tables(), st.integers(20, 200))
def test_a_table_is_no_wider_than_asked_unless_its_numbers_or_the_least_of_its_texts_need_it(table, limit):
    numeric = table.right_aligned()
    least = sum(
        width if number else min(width, NARROWEST) for width, number in zip(table.widths(10**6), numeric, strict=True)
    )
    allowed = max(limit, least + GAP * (len(numeric) - 1))
    assert max(_width(line) for line in table.to_text(limit).split("\n")) <= allowed


@given(tables(), st.integers(20, 200))
def test_wrapping_loses_no_letter(table, limit):
    shown = [table.header, *table.rows] if any(table.header) else table.rows
    assert sorted(letters(table.to_text(limit))) == sorted(letters("".join("".join(row) for row in shown)))


@given(tables(), st.integers(20, 200))
def test_numbers_are_never_broken(table, limit):
    lines = table.to_text(limit).split("\n")
    for i, number in enumerate(table.right_aligned()):
        if number:
            assert all(any(row[i] in line for line in lines) for row in table.rows)
            assert table.widths(limit)[i] == table.widths(10**6)[i]


@given(tables())
def test_a_table_that_fits_is_left_as_it_is(table):
    wide = table.widths(10**6)
    if sum(wide) + GAP * (len(wide) - 1) <= WIDEST:
        assert table.to_text() == table.to_text(10**6)


@given(tables(), st.integers(20, 200))
def test_columns_begin_where_their_headers_do(table, limit):
    plain = TextTable(header=["x"] * len(table.header), rows=table.rows)
    starts = [0, *accumulate(width + GAP for width in plain.widths(limit))]
    head = plain.to_text(limit).split("\n")[0]
    for start, width, number in zip(starts, plain.widths(limit), plain.right_aligned(), strict=False):
        assert head[start + width - 1 if number else start] == "x"


@given(texts, st.integers(2, 80))
def test_no_line_of_a_wrapped_text_is_too_long_and_no_letter_is_lost(text, width):
    lines = _wrap(text, width)
    assert max(map(_width, lines)) <= width
    assert "".join(lines).replace(" ", "") == text.replace("\n", "").replace(" ", "")


@given(st.lists(st.text("abcdefghij", min_size=1, max_size=20), min_size=1, max_size=40), st.integers(20, 60))
def test_words_that_fit_a_line_stay_whole(words, width):
    assert " ".join(_wrap(" ".join(words), width)).split() == words


def test_a_wide_text_is_wrapped_between_words_beside_its_number():
    table = TextTable(header=("claim", "k"), rows=[("peer support helps people to recover", "12"), ("no", "3")])
    assert table.to_text(22) == (
        "claim                k\npeer support helps  12\npeople to recover\nno                   3"
    )


def test_a_cell_cannot_move_the_cursor_of_a_terminal():
    text = TextTable(
        title="a\x1b[2J", header=("name", "n"), rows=[("x\x1b[31m\tred\x07", "1")], notes=["\x9b1m"]
    ).to_text()
    assert {c for c in text if unicodedata.category(c) == "Cc"} == {"\n"}
    assert "x [31m red" in text


def test_a_line_break_in_a_cell_stays_in_its_column():
    table = TextTable(header=("name", "n"), rows=[("first\nsecond", "1"), ("third", "2")])
    assert table.to_text().split("\n") == ["name    n", "first   1", "second", "third   2"]

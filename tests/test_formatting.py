"""Tables of words: nothing is lost, numbers stay whole, and no table is wider than it must be."""

import re
import shutil
import subprocess
import unicodedata
from html.parser import HTMLParser
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from metapeer.formatting import GAP, NARROWEST, STYLE, WIDEST, Printable, TextTable, _printable, _width, _wrap

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


# HTML and Markdown: what stands in them is what stands in the text, whatever it may look like.

MARKUP = [
    "<b>", "</td>", "</table>", "<script>alert(1)</script>", "<!--", "&lt;", "&amp", "&#36;", '"', "'", "`",
    "``a``", "$x$", "$$", "\\(x\\)", "\\", "\\|", "|", "||", "*a*", "**", "_b_", "__", "~~c~~", "H~2~O",
    "x^2^", "[a](b)", "![i](j)", "[^1]", "^[note]", "[@smith2014]", "@smith2014", "# h", "## h", "#",
    "- item", "+ item", "* item", "1. one", "2) two", "(1) one", "a. b", "iv) c", "(@) d", "> quote",
    ": caption", "Table: caption", "===", "---", "--", "...", "::: div", "{{< include x >}}", "{.class}",
    "`a`{=html}", "<https://a.b>", ":smile:", "% title", "\tcode", "    code", "  - why", "a\nb", "a\n\nb",
    "-0.25", "<0.001", "0.11 to 0.27", "\x1b[31m", "\u202eabc", "日本", "👩‍👩‍👧", "سميث", "\u2028", "R\\cmd{x}",
    "\\begin{x}", "p < .05 & p > .01",
]  # fmt: skip
parts = st.sampled_from(MARKUP) | st.text(st.characters(codec="utf-8"), max_size=20)
hostile = st.lists(parts, max_size=4).map(" ".join)


@st.composite
def hostile_tables(draw):
    columns = draw(st.integers(1, 4))
    line = st.tuples(*[hostile | numbers] * columns)
    return TextTable(
        title=draw(hostile),
        header=draw(line | st.just(("",) * columns)),
        rows=draw(st.lists(line, max_size=4)),
        notes=draw(st.lists(hostile, max_size=4)),
    )


class Page(HTMLParser):
    """Every element and the words in it; an element that is not closed in its turn is an error."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag in ("br", "col"):
            self.handle_data("\n")
        else:
            self.open.append((tag, dict(attrs), []))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        begun, attributes, words = self.open.pop()
        assert begun == tag
        self.elements.append((tag, attributes, "".join(words)))

    def handle_data(self, data):
        self.texts.append(data)
        for _, _, words in self.open:
            words.append(data)

    def handle_comment(self, data):
        raise AssertionError(data)

    def words(self, *tags):
        return [seen(words) for tag, _, words in self.elements if tag in tags]


def seen(text):
    """A text as a page shows it: blanks are one blank, and the blanks and line breaks around it are none."""
    return " ".join(re.sub("[\\s\u00a0]", " ", _printable(text)).split())


def cells_of(table):
    header = [table.header] if any(table.header) and table.rows else []
    return [seen(cell) for row in [*header, *table.rows] for cell in row]


@given(hostile_tables())
def test_html_says_what_the_table_says_and_nothing_in_it_is_a_tag(table):
    page = Page(table.to_html())
    assert page.words("td", "th") == cells_of(table)
    assert [note for note in page.words("li", "p") if note] == [
        note for note in [*([] if table.rows else [seen(table.title)]), *map(seen, table.notes)] if note
    ]
    if table.rows and table.title:
        assert page.words("caption") == ([seen(table.title)] if seen(table.title) else [])
    known = {"table", "caption", "strong", "thead", "tbody", "tr", "th", "td", "p", "ul", "li", "span"}
    assert {tag for tag, _, _ in page.elements} <= known
    assert {name for _, attributes, _ in page.elements for name in attributes} <= {"style", "scope"}


@given(hostile_tables())
def test_numbers_stand_to_the_right_in_html_and_markdown_as_in_text(table):
    if not table.rows:
        return
    right = table.right_aligned()
    cells = [attributes for tag, attributes, _ in Page(table.to_html()).elements if tag in ("td", "th")]
    assert [one["style"] == "text-align:right" for one in cells] == right * (len(cells) // len(right))
    dashes = [line for line in table.to_markdown().split("\n") if re.fullmatch(r"\|[-:|]+\|", line)]
    if dashes:
        assert [one.endswith(":") for one in dashes[0].strip("|").split("|")] == right


@given(hostile_tables())
def test_no_dollar_sign_or_backslash_has_a_neighbour_that_could_make_it_a_formula(table):
    for text in Page(table.to_html()).texts:
        assert text in ("$", "\\") or not set(text) & {"$", "\\"}


def test_only_cells_that_say_something_are_headers():
    table = TextTable(header=("", "k"), rows=[("hope", "3"), ("", "4")], title="Outcomes\nby name")
    scopes = [(a.get("scope"), words) for tag, a, words in Page(table.to_html()).elements if tag in ("td", "th")]
    assert scopes == [(None, ""), ("col", "k"), ("row", "hope"), (None, "3"), (None, ""), (None, "4")]
    assert '<caption style="text-align:left"><strong>Outcomes</strong><br>by name</caption>' in table.to_html()


def test_indented_rows_and_notes_stay_indented():
    table = TextTable(header=("", "n"), rows=[("all", "3"), ("  of these", "2")], notes=["2 left out:", "  a: b"])
    assert ">\u00a0\u00a0of these<" in table.to_html()
    assert "<li>a: b</li>" in table.to_html()
    assert "| &nbsp;&nbsp;of these |" in table.to_markdown()
    assert table.to_markdown().endswith("2 left out:\n\n- a: b")


class Shown(Printable):
    def __init__(self, *tables):
        self.tables = tables

    def text_tables(self):
        return self.tables


def test_the_style_sheet_reaches_nothing_outside_and_asks_for_nothing():
    rules = re.sub(r"</?style>", "", STYLE)
    for selectors in re.findall(r"([^{}]+)\{", rules):
        for selector in selectors.split(","):
            assert selector.strip().startswith((".metapeer", "@media print"))
    assert not re.search(r"url|@import|http|#[0-9a-f]{3}|black|white(?!-space)", rules)
    assert set(re.findall(r"rgba\((.*?),[^,]*\)", rules)) == {"128, 128, 128"}  # a grey that both themes show


@given(st.lists(hostile_tables(), max_size=3))
def test_a_result_is_one_element_with_its_style_sheet(tables):
    html = Shown(*tables)._repr_html_()
    page = Page(html)
    assert page.elements[-1][:2] == ("div", {"class": "metapeer"})
    assert [tag for tag, _, _ in page.elements].count("style") == 1
    assert page.words("td", "th") == [cell for table in tables for cell in cells_of(table)]


def said(table):
    """What a reader of the Markdown reads: the cells, and the paragraphs and items of lists."""
    plain = len(table.header) == 1 and not any(table.header)
    cells = [cell for cell in cells_of(table) if cell]
    around = [seen(table.title), *(cells if plain else []), *map(seen, table.notes)]
    return [] if plain else cells, [words for words in around if words]


@given(hostile_tables())
def test_markdown_says_what_the_table_says_and_nothing_in_it_is_markup(table):
    page = Page(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(table.to_markdown()))
    cells, around = said(table)
    assert [words for words in page.words("td", "th") if words] == cells
    assert [words for words in page.words("p", "li") if words] == around
    known = {"table", "thead", "tbody", "tr", "th", "td", "p", "ul", "li", "strong"}
    assert {tag for tag, _, _ in page.elements} <= known


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pandoc") is None, reason="needs pandoc")
@pytest.mark.parametrize("dialect", ["markdown", "gfm+emoji", "commonmark_x"])
def test_pandoc_reads_every_cell_as_it_was(dialect):
    table = TextTable(
        header=("label", "n"),
        rows=[(text, str(i)) for i, text in enumerate(MARKUP)],
        notes=MARKUP,
        title="*title* $x$\n: of it",
    )
    done = subprocess.run(
        ["pandoc", "-f", dialect, "-t", "html", "--mathjax"],
        input=table.to_markdown(), capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    page = Page(done.stdout.translate(str.maketrans("“”‘’", "\"\"''")))  # Pandoc's typographic quotation marks
    assert page.words("td", "th") == cells_of(table)
    assert page.words("p", "li") == [seen(table.title), *map(seen, MARKUP)]
    links = {words for tag, _, words in page.elements if tag == "a"}
    assert links <= {"https://a.b"}  # GitHub makes links of addresses
    known = {"a", "table", "colgroup", "thead", "tbody", "tr", "th", "td", "p", "ul", "li", "strong"}
    assert {tag for tag, _, _ in page.elements} <= known

"""The report without a browser: its numbers are the fits', it needs nothing, and what was typed stays text."""

import base64
import hashlib
import io
import re
import warnings
import zipfile
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

import metapeer as mp
from metapeer.errors import ChoiceError, DataError, MetapeerError
from metapeer.pooling.results import measure_of
from metapeer.records.catalog import dataset_names
from metapeer.reporting.page_html import first_link, plain_text
from metapeer.reporting.report_news import news_blocks

HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "two\nlines | and `code` [x](javascript:alert(1)) $x$",
    "\u202eمرحبا right to left",
    "{{ 7 * 7 }}{% raw %}",
    "nul\x00 bell\x07",
    "</title></style></svg><!--",
)
VOID = {"meta", "input", "br", "link", "img"}


class Page(HTMLParser):
    """What a browser would build: every element with its attributes, and the text of each."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.depth = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.depth.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.depth.pop() == tag

    def handle_data(self, data):
        if "script" not in self.depth and "style" not in self.depth:
            self.texts.append(data)

    def tags(self, *names):
        return [(tag, attrs) for tag, attrs in self.elements if tag in names]


def table(k=6, **columns):
    rows = {
        "study_id": [f"trial{i}" for i in range(k)],
        "yi": np.linspace(-0.1, 0.6, k),
        "vi": np.linspace(0.02, 0.09, k),
        "outcome": ["hope"] * k,
        "measure": ["SMD"] * k,
        "positive_favours": ["arm1"] * k,
    }
    return pd.DataFrame(rows | columns)


@pytest.fixture(scope="module")
def cochrane():
    return mp.report("chien2019")


@pytest.fixture(scope="module")
def hostile():
    return mp.report(
        table(
            len(HOSTILE),
            study_id=list(HOSTILE),
            instrument=list(HOSTILE[::-1]),
            source=list(HOSTILE),
            source_url=["javascript:alert(1)", "data:text/html,x", "https://example.org/a?b=1&c=2", *[""] * 5],
        ),
        title=HOSTILE[0],
    )


def shown(report):
    """Every number in a `data` element of the page: its value and its text."""
    return re.findall(r'<data value="([^"]*)">([^<]*)</data>', report.to_html())


def check_numbers(report):
    values = {value for value, _ in shown(report)}
    for one in report.pooled:
        for fit in one.fits.values():
            measure = measure_of(fit.measure)
            for number in (fit.estimate, *fit.ci, *(fit.prediction_interval or ())):
                value = measure.display(number, fit.se**2)
                assert not np.isfinite(value) or repr(float(value)) in values
    for value, text in shown(report):
        if value:
            assert float(text) == pytest.approx(float(value), abs=0.005 + 1e-12)


def check_alone(text):
    """Nothing is fetched, run or sent but what the policy names."""
    page = Page(text)
    assert page.depth == []
    assert not page.tags("img", "link", "iframe", "object", "embed", "base", "form", "image", "use", "foreignobject")
    names = {name for _, attrs in page.elements for name in attrs}
    assert not {name for name in names if name.startswith("on") or name in {"src", "style", "srcset", "xlink:href"}}
    links = [attrs["href"] for _, attrs in page.tags("a")]
    assert all(link.startswith(("#", "https://", "http://")) for link in links)
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    for _, attrs in page.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(attrs.get(name, "").split()) <= set(ids)
    policy = next(attrs["content"] for _, attrs in page.tags("meta") if "http-equiv" in attrs)
    assert "default-src 'none'" in policy
    for tag in ("script", "style"):
        found = re.findall(f"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
        assert len(found) == 1
        digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert len(text.encode()) < 2_000_000
    return page


def test_templates_ship_with_the_package():
    folder = files("metapeer.reporting") / "templates"
    assert all((folder / name).is_file() for name in ("page.html", "plots.html", "page.css", "page.js"))


def test_every_pooled_number_of_the_page_is_the_fits(cochrane, hostile):
    check_numbers(cochrane)
    check_numbers(hostile)


def test_a_page_of_a_review_needs_nothing_else(cochrane):
    check_alone(cochrane.to_html())


def test_the_same_report_is_the_same_bytes(cochrane):
    assert cochrane.to_html() == cochrane.to_html()
    one, other = (mp.report(table(12)) for _ in range(2))
    assert one.to_html() == other.to_html()
    assert one.to_markdown() == other.to_markdown()


@pytest.mark.slow
@pytest.mark.parametrize("name", dataset_names())
def test_the_report_of_each_bundled_review_is_alone_small_and_right(name):
    report = mp.report(name)
    check_alone(report.to_html())
    check_numbers(report)
    assert report.to_markdown().startswith("# ")


@pytest.mark.slow
def test_the_report_pools_what_the_plan_pools_and_reproduces():
    report = mp.report("smit2023")
    planned = mp.pool_review("smit2023")
    outcomes = {one.name: one.fit for one in report.pooled if not one.printed}
    assert {name: fit.estimate for name, fit in outcomes.items()} == {
        name: fit.estimate for name, fit in planned.items()
    }
    ledger = mp.reproduce("smit2023")
    for one in report.pooled:
        if one.printed:
            assert one.fit.estimate == ledger[one.name].result.estimate
            for code, name in (("leave_out", "suspicious rows left out"), ("apply", "suspicious rows corrected")):
                way = next(way for way in ledger[one.name].variants if way.name == name)
                assert one.fits[code, ""].estimate == way.result.estimate


def test_hostile_labels_stay_text_in_the_page(hostile):
    text = hostile.to_html()
    page = check_alone(text)
    assert len(page.tags("script")) == 1
    words = " ".join("".join(page.texts).split())
    for label in HOSTILE:
        assert " ".join(plain_text(label).split()) in words
    assert "\x00" not in text
    assert "{{ 7 * 7 }}" in words
    links = {attrs["href"] for _, attrs in page.tags("a")}
    assert {link for link in links if not link.startswith("#")} == {"https://example.org/a?b=1&c=2"}


def test_hostile_labels_stay_text_in_markdown(hostile):
    text = hostile.to_markdown()
    assert "<script" not in text.replace("\\<", "")
    assert not re.search(r"(?<!\\)\]\(javascript:", text)
    for line in text.splitlines():
        if line.startswith("| two"):
            assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", lines_head(text, line)))


def lines_head(text, line):
    before = text.splitlines()
    place = before.index(line)
    return next(one for one in reversed(before[:place]) if set(one) <= set("|-:"))


def test_an_alternative_method_is_the_fit_by_that_method():
    data = table()
    report = mp.report(data)
    fits = report.pooled[0].fits
    by_hand = {
        "": mp.meta_analysis(data),
        "PM-HK": mp.meta_analysis(data, tau2_method="PM"),
        "DL-z": mp.meta_analysis(data, tau2_method="DL", ci_method="z"),
        "common-z": mp.meta_analysis(data, model="common"),
    }
    assert {code for _, code in fits} == set(by_hand)
    for code, fit in by_hand.items():
        assert fits["", code].estimate == fit.estimate
        assert tuple(fits["", code].ci) == tuple(fit.ci)


def test_a_result_keeps_its_own_method_and_level():
    fit = mp.meta_analysis(table(), tau2_method="SJ", level=0.9)
    report = mp.report(fit, title="Mine")
    assert report.pooled[0].fit is fit
    assert "SJ" in report.method_choices[0].words
    assert {one.level for one in report.pooled[0].fits.values()} == {0.9}
    text = report.to_html()
    assert "90% CI" in text
    check_alone(text)


def test_several_results_stand_by_their_names():
    fit = mp.meta_analysis(table())
    report = mp.report({"one": fit, "two": fit})
    assert [one.title for one in report.pooled] == ["one", "two"]
    check_alone(report.to_html())


def test_ratios_are_shown_as_ratios():
    data = table(measure=["RR"] * 6)
    report = mp.report(data)
    fit = report.pooled[0].fit
    assert (repr(float(np.exp(fit.estimate))), f"{np.exp(fit.estimate):.2f}") in shown(report)
    check_numbers(report)


@pytest.mark.parametrize("k", [1, 2, 500])
def test_one_study_and_five_hundred_are_drawn(k):
    report = mp.report(table(k))
    page = check_alone(report.to_html())
    heads = [attrs for tag, attrs in page.tags("th") if attrs.get("scope") == "row"]
    assert len(heads) >= 2 * k
    assert len(report.method_choices) == (1 if k == 1 else 4)


def test_absurd_numbers_are_drawn():
    data = table(4, yi=[0.0, 1e9, -1e-12, 3.0], vi=[1e-12, 1e12, 1.0, 1e-3])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.DataWarning)
        report = mp.report(data)
    text = report.to_html()
    check_alone(text)
    for place in re.findall(r'\b(?:x|x1|x2|width)="(-?[\d.]+)%"', text):
        assert 0 <= float(place) <= 100


def test_rows_that_cannot_be_pooled_are_told():
    data = pd.DataFrame({"study_id": ["a", "b"], "n1": [10, 12], "n2": [9, 11], "outcome": ["hope", "hope"]})
    data = data.assign(mean1=3.0, mean2=2.0, sd1=float("nan"), sd2=1.0, direction="higher_better")
    text = "".join(Page(mp.report(data).to_html()).texts)
    assert "Nothing is pooled" in text
    assert "2 rows that cannot be pooled" in text


def test_a_review_without_rows_says_what_is_missing_instead_of_empty_sections():
    report = mp.report("other_reviews")
    titles = [section.title for section in report.sections]
    assert "What is missing" in titles
    assert not {"Results", "Heterogeneity", "Sensitivity", "Methods"} & set(titles)
    check_alone(report.to_html())


def test_plots_have_titles_and_tables_headers(cochrane):
    page = Page(cochrane.to_html())
    drawn = [attrs for _, attrs in page.tags("svg") if attrs.get("role") == "img"]
    hidden = [attrs for _, attrs in page.tags("svg") if attrs.get("aria-hidden") == "true"]
    assert drawn
    assert hidden
    assert all(len(attrs["aria-labelledby"].split()) == 2 for attrs in drawn)
    assert all(attrs.get("scope") in {"row", "col"} for _, attrs in page.tags("th"))
    assert {"header", "main", "nav", "footer"} <= {tag for tag, _ in page.elements}


@pytest.mark.slow
def test_a_folder_of_ones_own_has_its_news_and_hashes(tmp_path):
    folder = tmp_path / "mine"
    mp.init_review(folder, start="lloydevans2014")
    mp.release(folder, date="2026-03-01", searched="2026-02-15", why="begun *here*", author="A. Reviewer")
    report = mp.report(folder)
    titles = [section.title for section in report.sections]
    assert "What's new" in titles
    text = "".join(Page(report.to_html()).texts)
    assert "Locked: version 26.0.0 of 2026-03-01" in text
    assert "No file changed since" in text
    assert hashlib.sha256((folder / "outcomes.csv").read_bytes()).hexdigest() in text
    (folder / "README.md").write_text("changed\n")
    with (folder / "plan.toml").open("a") as plan:
        plan.write("# more\n")
    assert "Changed since: plan.toml" in "".join(Page(mp.report(folder).to_html()).texts)


@pytest.mark.slow
def test_a_document_is_the_same_bytes_and_holds_the_words(cochrane, tmp_path):
    docx = pytest.importorskip("docx")
    first = cochrane.save(tmp_path / "a.docx").read_bytes()
    assert first == cochrane.to_docx(tmp_path / "b.docx").read_bytes()
    assert {entry.date_time for entry in zipfile.ZipFile(io.BytesIO(first)).infolist()} == {(1980, 1, 1, 0, 0, 0)}
    document = docx.Document(tmp_path / "a.docx")
    assert document.paragraphs[0].text == cochrane.title
    cells = {cell.text for grid in document.tables for row in grid.rows for cell in row.cells}
    assert "psychiatric_symptoms BSI, medium term (printed result)" in cells


@pytest.mark.slow
def test_a_document_takes_hostile_labels_and_draws_forests(hostile, tmp_path):
    docx = pytest.importorskip("docx")
    document = docx.Document(hostile.to_docx(tmp_path / "h.docx"))
    assert len(document.inline_shapes) == 1


@pytest.mark.parametrize("name", ["report.pdf", "report", "report.txt"])
def test_an_unknown_form_is_refused_before_anything_is_computed(name, tmp_path):
    with pytest.raises(MetapeerError, match=r"\.html"):
        mp.report("no such review", output=tmp_path / name)


def test_what_is_no_source_is_refused():
    with pytest.raises(ChoiceError, match="lyons2021"):
        mp.report("lyons2012")
    with pytest.raises(MetapeerError, match="int"):
        mp.report(3)
    with pytest.raises(MetapeerError, match="meta_analysis"):
        mp.report({})
    with pytest.raises(MetapeerError, match="two"):
        mp.report({"two": 2})
    with pytest.raises(MetapeerError, match="no row"):
        mp.report(pd.DataFrame({"yi": [], "vi": []}))
    with pytest.raises((DataError, ChoiceError)):
        mp.report("chien2019", by="colour")


def test_a_file_that_cannot_be_written_is_told(cochrane, tmp_path):
    with pytest.raises(MetapeerError, match="cannot be written"):
        cochrane.save(tmp_path / "nowhere" / "x.html")


def test_a_csv_file_is_a_source(tmp_path):
    path = tmp_path / "trials.csv"
    table().drop(columns=["measure", "positive_favours"]).to_csv(path, index=False)
    report = mp.report(path, output=tmp_path / "r.md")
    assert report.title == "trials.csv"
    assert (tmp_path / "r.md").read_text(encoding="utf-8") == report.to_markdown()


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://example.org/a (Table 3)", "https://example.org/a"),
        ("JAVASCRIPT:alert(1)", ""),
        ("javascript:alert('https://x')", "https://x"),
        ("data:text/html,<b>", ""),
        ("//example.org", ""),
        ("file:///etc/passwd", ""),
        ("", ""),
    ],
)
def test_only_http_addresses_become_links(text, link):
    assert first_link(text) == link


def test_news_are_read_as_they_were_written():
    blocks = news_blocks("# N\n\n## 26.1.0\n\n- **What**: a \\*b\\*\n\n| r | e |\n|---|---|\n| a \\| b | 1 |\n\nend\n")
    heading, points, sheet, end = blocks
    assert heading.text == "26.1.0"
    assert points.items == ("What: a *b*",)
    assert [list(row) for row in sheet.table.rows] == [["a | b", "1"]]
    assert end.text == "end"

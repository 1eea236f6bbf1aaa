"""The page in a browser: it opens in silence, each control works, and it can be printed and read by machine."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metapeer as mp

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(
    (found for found in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if found), None
)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")]
QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as machine:
        found = machine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *QUIET])
        yield found
        found.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "smit.html"
    mp.report("smit2023", output=path)
    return path


class Opened:
    """A page, with everything it complains of and asks for."""

    def __init__(self, browser, path, **options):
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        self.page = self.context.new_page()
        self.said = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: request.url.startswith("file:") or self.said.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self):
        return self.page

    def __exit__(self, kind, *_):
        self.context.close()
        if kind is None:
            assert self.said == []


def estimate(page, key):
    """The pooled estimate that is seen of one forest plot."""
    seen = [row for row in page.query_selector_all(f"#forest-{key} tr.pooled") if row.is_visible()]
    assert len(seen) == 1
    return float(seen[0].query_selector("data").get_attribute("value"))


def test_each_switch_shows_the_variant_it_names(browser, page_file):
    report = mp.report("smit2023")
    one = next(one for one in report.pooled if one.key == "result-clinical-recovery")
    with Opened(browser, page_file) as page:
        for place, row in enumerate(report.row_choices):
            page.check(f"input[name=r][value='{place}']")
            for number, method in enumerate(report.method_choices):
                page.select_option("#method-choice", str(number))
                assert estimate(page, one.key) == one.fits[row.code, method.code].estimate
                words = page.text_content("#shown")
                assert row.words in words
                assert method.words in words
                line = page.locator("#overview-printed tbody tr:visible", has_text="clinical recovery")
                assert line.count() == 1
                value = float(line.locator("data").first.get_attribute("value"))
                assert value == one.fits[row.code, method.code].estimate


def test_trials_are_filtered_and_sorted(browser, page_file):
    with Opened(browser, page_file) as page:
        rows = page.locator("#trials-table tbody tr:visible")
        tools = page.locator(".tools[data-table=trials-table]")
        assert rows.count() == 28
        tools.locator("input").fill("cook2012")
        assert rows.count() == 2
        assert "2 of 28" in tools.locator(".count").text_content()
        tools.locator("button").click()
        tools.locator("select").first.select_option(index=1)
        assert 0 < rows.count() < 28
        tools.locator("button").click()
        assert rows.count() == 28
        head = page.locator("#trials-table thead th", has_text="year")
        years = lambda: [int(row.locator("td").first.text_content()) for row in rows.all()]  # noqa: E731
        head.locator("button").click()
        assert years() == sorted(years())
        assert head.get_attribute("aria-sort") == "ascending"
        head.locator("button").focus()
        page.keyboard.press("Enter")
        assert years() == sorted(years(), reverse=True)


def test_the_source_of_a_number_is_shown_on_focus_and_on_hover(browser, page_file):
    with Opened(browser, page_file) as page:
        link = page.locator("#forest-outcome-quality-of-life tbody a").first
        link.focus()
        tip = page.locator("#tip")
        assert tip.is_visible()
        assert "Metapsy" in tip.text_content()
        assert link.get_attribute("aria-describedby") == "tip"
        page.keyboard.press("Escape")
        assert not tip.is_visible()
        link.hover()
        assert tip.is_visible()
        link.click()
        assert page.locator(f"{link.get_attribute('href')}:visible").count() == 1


def test_the_button_turns_the_page_dark_and_back(browser, page_file):
    with Opened(browser, page_file, color_scheme="light") as page:
        paper = "getComputedStyle(document.documentElement).backgroundColor"
        light = page.evaluate(paper)
        page.click("#theme")
        assert page.evaluate(paper) != light
        assert page.get_attribute("#theme", "aria-pressed") == "true"
        page.click("#theme")
        assert page.evaluate(paper) == light
    with Opened(browser, page_file, color_scheme="dark") as page:
        assert page.evaluate(paper) != light
        assert page.get_attribute("#theme", "aria-pressed") == "true"


def test_without_script_the_first_variant_is_shown(browser, page_file):
    fit = mp.pool_review("smit2023")["quality_of_life"]
    with Opened(browser, page_file, java_script_enabled=False) as page:
        assert estimate(page, "outcome-quality-of-life") == fit.estimate
        assert page.locator("button:visible, select:visible, input:visible").count() == 0


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_stands_out_of_the_page(browser, page_file, width):
    with Opened(browser, page_file, viewport={"width": width, "height": 800}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_prints(browser, page_file, tmp_path):
    with Opened(browser, page_file) as page:
        page.emulate_media(media="print")
        assert not page.locator("nav").is_visible()
        assert page.locator("#shown").is_visible()
        content = page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
        assert content.startswith(b"%PDF")


def test_hostile_labels_run_nothing(browser, tmp_path):
    labels = ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)"]
    data = pd.DataFrame(
        {"study_id": labels, "yi": [0.1, 0.2, 0.3], "vi": [0.1, 0.1, 0.1], "source": labels, "source_url": labels}
    )
    path = tmp_path / "hostile.html"
    mp.report(data, output=path, title=labels[0])
    with Opened(browser, path) as page:
        assert labels[1] in page.text_content("main")
        page.locator("main a").first.focus()
        assert page.title() == labels[0]


def test_five_hundred_studies_open_in_two_seconds_and_are_readable(browser, tmp_path):
    k = 500
    rng = np.random.default_rng(5)
    data = pd.DataFrame(
        {"study_id": [f"study {i}" for i in range(k)], "yi": rng.normal(0.2, 0.3, k), "vi": rng.uniform(0.01, 0.2, k)}
    )
    path = tmp_path / "many.html"
    mp.report(data, output=path)
    began = time.perf_counter()
    with Opened(browser, path) as page:
        page.wait_for_selector("#forest-outcome-pooled-effect tr.pooled", state="visible")
        assert time.perf_counter() - began < 2
        heights = page.evaluate(
            "[...document.querySelectorAll('.forest tbody tr')].map(row => row.offsetHeight).filter(Boolean)"
        )
        assert min(heights) >= 16
        assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('.forest td')).fontSize)") >= 12


def axe():
    named = os.environ.get("AXE_SCRIPT", "")
    found = [Path(named)] if named else [Path("node_modules/axe-core/axe.min.js")]
    return found[0] if found[0].is_file() else None


@pytest.mark.skipif(axe() is None, reason="AXE_SCRIPT does not name axe.min.js, and there is none in node_modules")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(browser, page_file, scheme):
    with Opened(browser, page_file, color_scheme=scheme, bypass_csp=True) as page:
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        page.add_script_tag(content=axe().read_text(encoding="utf-8"))
        found = page.evaluate("axe.run()")
        assert found["passes"]
        assert [fault["id"] for fault in found["violations"]] == []

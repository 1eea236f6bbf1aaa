"""Results in notebooks: their tables say what their text says, keep to themselves, and the examples run."""

import ast
import contextlib
import io
import json
import re
import shutil
import subprocess
import tempfile
from html import unescape
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

import metapeer as mp
from metapeer.formatting import Printable

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOK = EXAMPLES / "notebook.ipynb"
QUARTO = EXAMPLES / "notebook.qmd"

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def effects():
    """One effect for each trial of psychosocial outcomes."""
    rows = mp.load_dataset("smit2023").rows()
    found = mp.effect_size(rows[rows["outcome_group"] == "personal recovery"], measure="SMD", variance="metapsy")
    return found.drop_duplicates("study_id").assign(year=range(2000, 2000 + found["study_id"].nunique()))


RESULTS = {
    "meta_analysis": mp.meta_analysis,
    "common effect": lambda effects: mp.meta_analysis(effects, model="common"),
    "one study": lambda effects: mp.meta_analysis(effects.head(1)),
    "meta_regression": lambda effects: mp.meta_regression(effects, formula="year"),
    "subgroup_analysis": lambda effects: mp.subgroup_analysis(effects, by="format"),
    "pool_outcomes": mp.pool_outcomes,
    "leave_one_out": lambda effects: mp.leave_one_out(mp.meta_analysis(effects)),
    "cumulative": lambda effects: mp.cumulative(effects, order="year"),
    "influence": lambda effects: mp.influence(mp.meta_analysis(effects)),
    "gosh": lambda effects: mp.gosh(mp.meta_analysis(effects), subsets=50),
    "multilevel": lambda effects: mp.multilevel_meta_analysis(effects, random="~ 1 | study_id"),
    "bayesian": mp.bayesian_meta_analysis,
    "trim_and_fill": lambda effects: mp.trim_and_fill(mp.meta_analysis(effects)),
    "audit": mp.audit,
    "reproduce": lambda _: mp.reproduce("white2020"),
    "update": lambda _: mp.update("lyons2021", "updates", outcomes="recovery"),
    "power": lambda _: mp.power_meta_analysis(effect=0.2, k=10, n1=50, n2=50, I2=50),
    "review": lambda _: mp.load_dataset("smit2023"),
}
SLOW = {"audit", "reproduce", "bayesian", "multilevel", "gosh", "update", "influence"}


def words(html):
    """The words of a page, each with its blanks as one."""
    plain = re.sub(r"<style>.*?</style>", " ", html, flags=re.DOTALL)
    return unescape(re.sub(r"<(?!/?(span|strong)\b)[^>]*>", " ", plain).replace("<span>", "").replace("</span>", ""))


def counted(text):
    """Letters and digits of a text; tables in text are wrapped and padded, and their lines are not."""
    return sorted(c for c in re.sub(r"</?strong>", "", text) if not c.isspace())


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in RESULTS]
)
@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_html_markdown_and_text_of_a_result_say_the_same(effects, name):
    result = RESULTS[name](effects)
    text = result.summary()
    assert counted(words(result._repr_html_())) == counted(text)
    page = MarkdownIt("commonmark").enable("table").render(result._repr_markdown_())
    assert counted(words(page)) == counted(text)
    for table in result.text_tables():
        for cell in (cell for row in table.rows for cell in row):
            assert " ".join(cell.split()) in " ".join(words(result._repr_html_()).split())


def test_a_result_that_writes_a_report_shows_its_tables_in_a_notebook(effects):
    report = mp.audit(effects)
    assert report.to_markdown().startswith("# ")
    assert report._repr_markdown_() == Printable.to_markdown(report)
    assert not re.search(r"^#", report._repr_markdown_(), flags=re.MULTILINE)


def cells_of_notebook():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def cells_of_quarto():
    return re.findall(r"^```\{python\}\n(.*?)^```$", QUARTO.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def run(cells):
    """Run cells as a notebook does, but for the lines that are IPython's; give what each ends with."""
    names, shown = {}, []
    for cell in cells:
        body = ast.parse("\n".join(line for line in cell.splitlines() if not line.startswith("%"))).body
        *before, last = body
        ends = isinstance(last, ast.Expr)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.Module(before if ends else body, []), "cell", "exec"), names)  # noqa: S102
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if ends else None  # noqa: S307
        shown.append(printed.getvalue() or value)
    return shown, names


def test_the_notebook_shows_a_result_a_figure_and_a_frame():
    shown, _ = run(cells_of_notebook())
    kinds = [type(value).__name__ for value in shown]
    expected = ["NoneType", "MetaAnalysisResult", "Figure", "LeaveOneOutResult", "SubgroupAnalysisResult", "DataFrame"]
    assert kinds == expected


def test_the_notebook_is_kept_without_what_a_run_leaves_in_it():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def test_the_quarto_document_runs_and_its_widths_are_those_asked_for():
    shown, names = run(cells_of_quarto())
    _, fit, figure, table, subgroups = shown
    assert isinstance(fit, Printable)
    assert isinstance(subgroups, Printable)
    assert isinstance(figure, Figure)
    assert figure.get_size_inches()[0] == pytest.approx(170 / 25.4)
    assert "| all " in table
    values = re.findall(r"`\{python\} (.*?)`", QUARTO.read_text(encoding="utf-8"))
    assert [eval(value, names) for value in values] == [fit.k]  # noqa: S307


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pandoc") is None, reason="needs pandoc")
def test_a_table_in_word_keeps_its_numbers(effects, tmp_path):
    result = mp.leave_one_out(mp.meta_analysis(effects))
    for made in (result._repr_html_(), result._repr_markdown_()):
        form = "html" if made.startswith("<") else "markdown"
        target = tmp_path / f"{form}.docx"
        subprocess.run(["pandoc", "-f", form, "-o", target], input=made, encoding="utf-8", check=True)
        back = subprocess.run(
            ["pandoc", target, "-t", "html"], capture_output=True, encoding="utf-8", check=True
        ).stdout
        cells = [cell.strip() for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", back, flags=re.DOTALL)]
        (table,) = result.text_tables()
        shown = [unescape(re.sub(r"<.*?>|\s+", " ", cell)).strip() for cell in cells]
        assert shown == [cell for row in (table.header, *table.rows) for cell in row]


@pytest.mark.slow
def test_a_kernel_runs_the_notebook_and_shows_tables_and_figures():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    assert {out.output_type for out in outputs} == {"execute_result"}  # no warnings, no errors, nothing twice
    shown = [set(out.data) for out in outputs]
    table = {"text/plain", "text/html", "text/markdown"}
    assert shown == [table, {"text/plain", "image/png"}, table, table, {"text/plain", "text/html"}]


PAGE = """<!doctype html><meta charset="utf-8"><style>body {{color: {ink}; background: {ground}}}</style>
<table id="other"><caption>c</caption><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>
<p id="words">p</p>{html}"""
LOOK = """() => {
  const style = (e, keys) => keys.map(key => getComputedStyle(e)[key]).join(";");
  const all = ["color", "padding", "border", "fontSize", "textAlign", "maxWidth", "margin", "captionSide"];
  return {
    outside: [...document.querySelectorAll("#other, #other *, #words")].map(e => style(e, all)),
    inks: [...new Set([...document.querySelectorAll(".metapeer *:not(style)")].map(e => style(e, ["color"])))],
    grounds: [...new Set([...document.querySelectorAll(".metapeer *")].map(e => style(e, ["backgroundColor"])))],
    right: [...document.querySelectorAll(".metapeer tbody tr:first-child > *")].map(e => style(e, ["textAlign"])),
  };
}"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize(("ink", "ground"), [("rgb(33, 37, 41)", "white"), ("rgb(230, 230, 230)", "rgb(17, 17, 17)")])
def test_a_table_takes_the_colours_of_the_page_and_changes_no_other(effects, ink, ground):
    api = pytest.importorskip("playwright.sync_api")
    html = mp.leave_one_out(mp.meta_analysis(effects))._repr_html_()
    options = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
    with tempfile.TemporaryDirectory() as folder, api.sync_playwright() as browsers:
        browser = browsers.chromium.launch_persistent_context(
            folder, executable_path=CHROMIUM, headless=True, args=options
        )
        page = browser.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.set_content(PAGE.format(ink=ink, ground=ground, html=""))
        before = page.evaluate(LOOK)
        page.set_content(PAGE.format(ink=ink, ground=ground, html=html))
        after = page.evaluate(LOOK)
        browser.close()
    assert after["outside"] == before["outside"]
    assert after["inks"] == [ink]
    assert after["grounds"] == ["rgba(0, 0, 0, 0)"]
    assert after["right"] == ["left", *["right"] * (len(after["right"]) - 1)]
    assert asked == []

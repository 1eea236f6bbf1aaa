"""The documentation: links lead somewhere, names in tables exist, and what is shown is what happens."""

import ast
import importlib.util
import inspect
import json
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import pytest

import metapeer
from metapeer.__main__ import main
from metapeer.effects.continuous import SMD_PRESETS, SMD_VARIANCES
from metapeer.effects.measures import MEASURES
from metapeer.errors import PAGES_OF_CHOICES
from metapeer.pooling.inference import CI_METHODS
from metapeer.pooling.prediction import PREDICTION_METHODS
from metapeer.pooling.presets import PRESETS
from metapeer.pooling.tau2 import TAU2_METHODS
from metapeer.pooling.tau2_intervals import TAU2_CI_METHODS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
TUTORIAL = DOCS / "tutorial.md"
FOREIGN = ["from-r.md", "from-revman.md", "from-stata.md"]
OURS = {"metapeer", "here, in Python", "type", "remarks"}
FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2", flags=re.MULTILINE | re.DOTALL)
CODES = {
    "measure": MEASURES,
    "tau2_method": TAU2_METHODS,
    "ci_method": CI_METHODS,
    "prediction_method": PREDICTION_METHODS,
    "tau2_ci_method": TAU2_CI_METHODS,
    "preset": PRESETS,
}


def prose(path):
    """A page without its blocks of code."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path):
    """Anchors of a page's headings, by GitHub's rule, which is MyST's as well."""
    found = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose(path), flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        taken = [slug, *(f"{slug}-{i}" for i in range(1, 100))]
        found.add(next(name for name in taken if name not in found))
    return found


def broken_links(path):
    """Links of a page that lead nowhere."""
    text = re.sub(r"`[^`\n]*`", "code", prose(path))
    for target in re.findall(r"\[[^\]]*\]\(<?([^)\s>]+)>?\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        if not there.exists():
            yield f"{target}: there is no such file"
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            yield f"{target}: there is no such heading"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_within_the_repository_leads_to_a_file_and_a_heading(path):
    assert list(broken_links(path)) == []


def test_the_link_check_finds_what_is_broken(tmp_path):
    (tmp_path / "other.md").write_text("# One\n\n## Two *words*, `three`\n\n## One\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#two-words-three) [b](other.md#one-1) [c](https://example.org/x)\n```\n[d](none.md)\n```\n"
        "[e](none.md) [over\nlines](other.md#two) [f](#here)\n",
        encoding="utf-8",
    )
    assert [found.split(":")[0] for found in broken_links(page)] == ["none.md", "other.md#two", "#here"]


def test_pages_that_errors_name_exist():
    named = set(PAGES_OF_CHOICES.values())
    for text in (path.read_text(encoding="utf-8") for path in (ROOT / "metapeer").rglob("*.py")):
        for node in ast.walk(ast.parse(text)) if "page=" in text else ():
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                values = [word.value for word in node.exc.keywords if word.arg == "page"]
                named |= {value.value for value in values if isinstance(value, ast.Constant)}
    assert "data-dictionary" in named
    for page in named:
        name, _, heading = page.partition("#")
        assert (DOCS / f"{name}.md").is_file(), page
        assert not heading or heading in anchors(DOCS / f"{name}.md"), page


# Tables of names


def tables(path):
    """Rows of a page's tables, each as a dict from the table's header; escaped bars are bars."""
    header = []
    for line in prose(path).splitlines():
        if not line.startswith("|"):
            header = []
            continue
        cells = [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not header:
            header = cells
        elif not re.fullmatch(r"[-: |]+", "|".join(cells)):
            yield dict(zip(header, cells, strict=True))


def named_in(path):
    """Code in the columns that say how a thing is called here."""
    for row in tables(path):
        for column in OURS & row.keys():
            yield from re.findall(r"`([^`]+)`", row[column])


@cache
def results():
    """The public classes."""
    return [thing for thing in (getattr(metapeer, name) for name in metapeer.__all__) if inspect.isclass(thing)]


@cache
def members(name):
    """What bears a name among the public results."""
    return [getattr(cls, name) for cls in results() if hasattr(cls, name)]


def takes(function, call, *, method):
    """Whether a function can be called like that: every argument is known, and none is missing."""
    places = [None] * (len(call.args) + method)
    try:
        inspect.signature(function).bind(*places, **{word.arg: None for word in call.keywords})
    except TypeError:
        return False
    return True


def codes_of(name, call):
    """What an option of a call may be, where a register says so."""
    if name == "variance" and getattr(call.func, "id", "") == "effect_size":
        return {*SMD_VARIANCES, *SMD_PRESETS}
    return CODES.get(name)


def wrong_in(code):
    """What of a piece of code does not exist here."""
    try:
        tree = ast.parse(code, mode="eval")
    except SyntaxError:
        return  # a column, a word of a shell
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not members(node.attr):
            yield f"{code}: no result has {node.attr}"
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            if node.func.id not in {*metapeer.__all__, "print"}:
                yield f"{code}: there is no {node.func.id}"
            elif node.func.id != "print" and not takes(getattr(metapeer, node.func.id), node, method=False):
                yield f"{code}: {node.func.id} does not take that"
        elif isinstance(node.func, ast.Attribute):
            able = [thing for thing in members(node.func.attr) if inspect.isfunction(thing)]
            if not any(takes(thing, node, method=True) for thing in able):
                yield f"{code}: no {node.func.attr} takes that"
        for word in node.keywords:
            known = codes_of(word.arg, node)
            if known and isinstance(word.value, ast.Constant) and word.value.value not in known:
                yield f"{code}: {word.arg} has no {word.value.value!r}"


@pytest.mark.parametrize("page", FOREIGN)
def test_every_name_that_stands_for_one_of_another_program_exists_with_its_arguments(page):
    codes = list(named_in(DOCS / page))
    assert len(codes) > 25
    assert [wrong for code in codes for wrong in wrong_in(code)] == []


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("meta_analysis(data, tau2_methode='DL')", "does not take"),
        ("meta_analysis(data, tau2_method='RELM')", "has no 'RELM'"),
        ("peto(data, data, data)", "does not take"),
        ("smd_from_t(t=2.0, n1=30)", "does not take"),
        ("forrest(fit)", "there is no forrest"),
        ("fit.plott()", "no result has plott"),
        ("leave_one_out(fit).without(name)", None),
        ("fit.exceedance(0.2, side='above')", "no exceedance takes"),
    ],
)
def test_the_check_of_names_finds_what_is_wrong(code, says):
    found = list(wrong_in(code))
    assert found == [] if says is None else any(says in line for line in found)


def test_every_option_of_a_command_in_a_table_exists():
    import typer.main

    from metapeer.cli import app

    commands = typer.main.get_command(app).commands
    checked = 0
    for page in FOREIGN:
        for row in tables(DOCS / page):
            for code in re.findall(r"`metapeer ([^`]+)`", " ".join(row.values())):
                name, *words = shlex.split(code)
                options = {option for parameter in commands[name].params for option in parameter.opts}
                assert {word for word in words if word.startswith("--")} <= options, code
                checked += 1
    assert checked > 5


# What is shown is what happens


def console_blocks(page):
    """The console blocks of a page, each a list of what is typed and what is printed; nothing, where it is left out."""
    for block in re.findall(r"^```console\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        _, *parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
        yield list(zip(parts[::2], parts[1::2], strict=True))


def test_the_commands_of_the_tutorial_print_what_it_shows(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = TUTORIAL.read_text(encoding="utf-8")
    for name, text in re.findall(r"`(\S+\.csv)`:\n\n```text\n(.*?)```", page, flags=re.DOTALL):
        Path(name).write_text(text, encoding="utf-8")
    shown = [pair for block in console_blocks(page) for pair in block if pair[1]]
    assert len(shown) >= 5
    for typed, printed in shown:
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(typed)[1:])
        assert bool(ended.value.code) is printed.startswith("error: ")
        said = capsys.readouterr()
        assert f"{said.err}{said.out}" == printed, typed


@pytest.mark.slow
def test_the_first_lines_of_the_ledger_in_the_tutorial_are_those_of_the_ledger():
    (block,) = re.findall(
        r"^```text\n(result .*?)^```", TUTORIAL.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    printed = [line.rstrip() for line in str(metapeer.reproduce("smit2023")).splitlines()]
    assert [line.rstrip() for line in block.splitlines()] == printed[2:7]


@pytest.fixture(scope="module")
def made():
    """The module that computes the tables of the documentation."""
    spec = importlib.util.spec_from_file_location("docs_tables", DOCS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_the_page_of_the_ledger_has_every_result_of_every_review(made):
    text, ledger = made.ledger(), metapeer.reproduce()
    headings = [line.replace("\\", "") for line in text.splitlines() if line.startswith("## ")]
    with_numbers = {entry.review for entry in ledger.entries}
    for review in with_numbers:
        assert any(f"({review}): published and recomputed" in heading for heading in headings), review
    verdicts = re.findall(
        r"\| (reproduced|within rounding of the inputs|differs|cannot be recomputed) +\|$", text, re.MULTILINE
    )
    assert len(verdicts) == len(ledger.entries) > 50


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_the_page_of_the_audit_counts_what_the_audit_of_each_data_set_counts(made):
    text = made.audits()
    names = [n for n in metapeer.list_datasets()["name"] if not metapeer.load_dataset(n).outcomes.empty]
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert [re.search(r"\(([\w\\]+)\)$", part.splitlines()[0])[1].replace("\\", "") for part in parts] == names
    for name, part in zip(names, parts, strict=True):
        found = metapeer.audit(metapeer.load_dataset(name)).counts()
        said = re.findall(r"(\d+) (?:error|suspicion|remark)s?\b", part)[:3]
        assert [int(number) for number in said] == list(found.values())


def test_the_page_of_benchmarks_divides_by_the_time_of_metapeer(made, tmp_path):
    assert "No benchmarks" in made.benchmarks(tmp_path / "none.json")
    run = {
        "machine_info": {"machine": "x86_64", "python_version": "3.12.1"},
        "benchmarks": [
            {"group": "fit", "name": "test_fit_metapeer", "stats": {"min": 2e-4}, "extra_info": {}},
            {"group": "fit", "name": "test_fit_other", "stats": {"min": 5e-4}, "extra_info": {}},
            {"group": "x", "name": "test_r", "stats": {"min": 9.0}, "extra_info": {"others": {"fit": {"in R": 0.02}}}},
        ],
    }
    (tmp_path / "run.json").write_text(json.dumps(run), encoding="utf-8")
    text = made.benchmarks(tmp_path / "run.json")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    assert rows[1:] == [["fit metapeer", "200 µs", "1"], ["fit other", "500 µs", "2.5"], ["in R", "20 ms", "100"]]


# Citation


def test_the_citation_says_what_the_project_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cff = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    said = dict(re.findall(r'^([a-z-]+): "?(.*?)"?$', cff, flags=re.MULTILINE))
    assert said["version"] == project["version"]
    assert said["title"] == project["name"]
    assert said["license"] == project["license"]
    assert said["abstract"] == project["description"]
    assert re.findall(r'^  - name: "(.*)"$', cff, flags=re.MULTILINE) == [a["name"] for a in project["authors"]]
    assert re.findall(r"^  - ([\w -]+)$", cff, flags=re.MULTILINE) == project["keywords"]
    assert f"Version {project['version']}" in (DOCS / "how-to-cite.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_command_of_the_readme_runs_in_its_order(tmp_path, monkeypatch, capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (peer,) = re.findall(r"```text\n(study_id,.*?)```", text, flags=re.DOTALL)
    (tmp_path / "peer.csv").write_text(peer, encoding="utf-8")
    rows = metapeer.load_dataset("smit2023").rows()
    own = rows[(rows["outcome"] == "recovery") & rows["mean1"].notna()]
    columns = ["study_id", "outcome", "instrument", "n1", "mean1", "sd1", "n2", "mean2", "sd2"]
    own.drop_duplicates("study_id")[columns].to_csv(tmp_path / "trials.csv", index=False)
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    lines = [
        line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.startswith("$ metapeer")
    ]
    assert len(lines) > 12
    for line in lines:
        words = shlex.split(line.removeprefix("$ metapeer"), comments=True)
        typed = words[: words.index(">")] if ">" in words else words
        monkeypatch.setattr("sys.argv", ["metapeer", *typed])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        # 3: the audit found something; 1 from identify: no analysis gives the invented digits
        assert ended.value.code in (0, None) or (typed[0], ended.value.code) in {("audit", 3), ("identify", 1)}, (
            line,
            said.err,
        )
    assert (tmp_path / "report.html").stat().st_size > 100_000

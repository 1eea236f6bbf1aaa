"""What holds for the house as a whole: how it loads, what it exports, and that its prose names only what exists."""

import ast
import builtins
import dataclasses
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import metapeer
from metapeer.errors import MetapeerError
from metapeer.formatting import Printable

ROOT = Path(__file__).resolve().parents[1]
PROSE = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
MODULES = sorted(m.name for m in pkgutil.walk_packages(metapeer.__path__, "metapeer.") if m.name != "metapeer.__main__")
FUNCTIONS = sorted(name for name in metapeer.__all__ if name.islower() and not name.startswith("_"))


def visible_files() -> list[Path]:
    """Every file under version control or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def fenced(path: Path, *languages: str) -> list[str]:
    """The code blocks of a Markdown file in one of the languages."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [body for language, body in blocks if language in languages]


def code_spans(path: Path) -> set[str]:
    """What stands in single backticks in a Markdown file, outside its code blocks."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([^`\n]+)`", text))


def test_importing_metapeer_loads_no_heavy_library():
    code = (
        "import sys, metapeer; print(*{'pandas', 'matplotlib', 'scipy.stats', 'statsmodels', 'rich'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", metapeer.__all__)
def test_every_exported_name_is_found_where_dir_says_and_documented(name):
    assert name in dir(metapeer)
    if name != "__version__":
        assert inspect.getdoc(getattr(metapeer, name))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        metapeer.no_such_name  # noqa: B018 - the look-up is the test


def test_version_is_the_one_in_pyproject_and_heads_the_changelog():
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    headings = re.findall(r"^## \[?([\w.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert metapeer.__version__ == version == headings[0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_documents_parameters_return_and_an_example(name):
    function = getattr(metapeer, name)
    doc = inspect.getdoc(function)
    sections = set(re.findall(r"^([A-Z]\w+)\n-{3,}$", doc, flags=re.MULTILINE))
    signature = inspect.signature(function)
    parameters = signature.parameters
    wanted = {"Examples"}
    wanted |= {"Parameters"} if parameters else set()
    wanted |= {"Returns"} if signature.return_annotation not in (None, "None") else set()
    entries = re.findall(r"^([\w*, ]+?)(?: : .+)?\n {4}\S", doc, flags=re.MULTILINE)
    documented = set(re.findall(r"\w+", " ".join(entries)))
    assert wanted - sections == set()
    assert set(parameters) <= documented


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_option_of_a_public_function_is_keyword_only_and_annotated(name):
    signature = inspect.signature(getattr(metapeer, name))
    first, *others = signature.parameters.values() or [None]
    options = [p for p in others if p.default is not p.empty]
    assert [p.name for p in options if p.kind is not p.KEYWORD_ONLY] == [], f"after {first}"
    assert [p.name for p in signature.parameters.values() if p.annotation is p.empty] == []
    assert signature.return_annotation is not signature.empty


@pytest.mark.parametrize("module", MODULES)
def test_every_result_is_a_frozen_dataclass(module):
    for name, thing in vars(importlib.import_module(module)).items():
        public = name in metapeer.__all__ and dataclasses.is_dataclass(thing)
        printable = inspect.isclass(thing) and issubclass(thing, Printable) and thing is not Printable
        if public or (printable and not name.startswith("_")):
            assert thing.__dataclass_params__.frozen, name


@pytest.mark.parametrize("module", MODULES)
def test_every_name_in_all_exists(module):
    loaded = importlib.import_module(module)
    assert loaded.__doc__
    assert [name for name in getattr(loaded, "__all__", []) if not hasattr(loaded, name)] == []


def test_no_module_bears_the_name_of_a_public_function():
    assert {module.rpartition(".")[2] for module in MODULES} & set(metapeer.__all__) == set()


def test_every_error_can_be_caught_as_one():
    module = importlib.import_module("metapeer.errors")
    named = [getattr(module, name) for name in module.__all__]
    errors = [t for t in named if isinstance(t, type) and issubclass(t, Exception) and not issubclass(t, Warning)]
    assert all(issubclass(t, MetapeerError) for t in errors)
    assert issubclass(MetapeerError, ValueError)


def test_imports_run_down_the_house(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0


def test_inner_packages_hold_a_docstring_only():
    for path in ROOT.glob("metapeer/*/**/__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert [type(node) for node in body] == [ast.Expr], path


def test_only_the_command_line_uses_the_front_door():
    guests = set()
    for path in ROOT.glob("metapeer/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if "metapeer" in names or (isinstance(node, ast.ImportFrom) and node.module == "metapeer"):
                guests.add(path.relative_to(ROOT / "metapeer").as_posix())
    assert {path for path in guests if not path.startswith("command_")} <= {"cli.py"}


def test_no_file_holds_a_path_of_the_machine_it_was_written_on():
    home = re.compile(rb"(?<![\w.:/])/(?:home|root|Users|work)/\w|[A-Z]:\\+Users\\")
    own = re.compile(re.escape(str(ROOT).encode()) + rb"\b")
    found = [p for p in visible_files() if (text := p.read_bytes()) and (home.search(text) or own.search(text))]
    assert found == []


def test_the_reference_lists_every_public_name():
    listed = set(re.findall(r"^   (\w+)$", (ROOT / "docs" / "reference.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == set(metapeer.__all__) - {"__version__"}


@pytest.mark.parametrize(
    ("module", "register"),
    [
        ("effects.measures", "MEASURES"),
        ("effects.continuous", "SMD_VARIANCES"),
        ("effects.continuous", "SMD_PRESETS"),
        ("pooling.tau2", "TAU2_METHODS"),
        ("pooling.tau2_intervals", "TAU2_CI_METHODS"),
        ("pooling.inference", "CI_METHODS"),
        ("pooling.prediction", "PREDICTION_METHODS"),
        ("pooling.presets", "PRESETS"),
    ],
)
def test_the_methods_page_names_every_choice(module, register):
    choices = getattr(importlib.import_module(f"metapeer.{module}"), register)
    assert set(choices) - code_spans(ROOT / "docs" / "methods.md") == set()


def test_the_methods_page_says_what_each_preset_does():
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    for name, preset in importlib.import_module("metapeer.pooling.presets").PRESETS.items():
        codes = [f"`{code}`" for code in (name, preset.tau2_method, preset.ci_method, preset.prediction_method)]
        assert f"| {' | '.join([*codes, preset.unverified])} |" in page


def test_the_architecture_page_names_every_file_of_the_rooms():
    named = {path for span in code_spans(ROOT / "docs" / "architecture.md") for path in ROOT.glob(span.lstrip("/"))}
    files = {path for path in (ROOT / "metapeer").rglob("*.py") if not path.name.startswith("__")}
    assert sorted(path.relative_to(ROOT).as_posix() for path in files - named) == []


PLAN_PAGE = ROOT / "docs" / "plan.md"


def refused(plan: dict) -> str:
    """What reading a plan says of it."""
    read_plan = importlib.import_module("metapeer.reproduction.planfile").read_plan
    with pytest.raises(metapeer.DataError) as caught:
        read_plan(plan, name="mine", published_ids=(), rows_of=lambda _: importlib.import_module("pandas").DataFrame())
    return str(caught.value)


def known_keys(told: str) -> set[str]:
    """The keys that a message about an unknown one offers."""
    return set(re.search(r"key 'no_such' is unknown\. Known: (.*)", told)[1].split(", "))


def test_the_page_about_plans_has_every_section_and_every_key():
    page = PLAN_PAGE.read_text(encoding="utf-8")
    parts = re.findall(r"^## `(\[+)(\w+)\]+`\n(.*?)(?=^## |\Z)", page, flags=re.MULTILINE | re.DOTALL)
    assert {name for _, name, _ in parts} == known_keys(refused({"no_such": 1}))
    own = {name: set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)) for _, name, text in parts}
    for bracket, name, text in parts:
        section = {"no_such": 1}
        known = known_keys(refused({name: [section] if bracket == "[[" else section}))
        takes_method = "Any key of `[method]` but `source`" in text
        assert known == own[name] | (own["method"] - {"source"} if takes_method else set()), name


def test_the_example_of_a_plan_prints_what_its_page_says(tmp_path):
    page = PLAN_PAGE.read_text(encoding="utf-8")
    files = re.findall(r"^`([\w.]+)`,[^`]*:\n\n```(?:text|toml)\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    folder = tmp_path / "myreview"
    folder.mkdir()
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")
    assert {name for name, _ in files} >= {"outcomes.csv", "published.csv", "plan.toml"}
    typed = "$ metapeer reproduce myreview\n"
    (shown,) = (block.removeprefix(typed) for block in fenced(PLAN_PAGE, "console") if block.startswith(typed))
    assert str(metapeer.reproduce(folder)).splitlines() == shown.splitlines()


def test_the_ledger_in_the_readme_is_an_excerpt_of_the_ledger():
    (block,) = (block for block in fenced(ROOT / "README.md", "text") if "published results:" in block)
    ledger = {" ".join(line.split()) for line in str(metapeer.reproduce()).splitlines()}
    assert {" ".join(line.split()) for line in block.splitlines()} - {"..."} - ledger == set()


def test_every_python_block_in_prose_names_only_what_the_front_door_has():
    unknown = set()
    for path in PROSE:
        for block in fenced(path, "python"):
            unknown |= {n for n in re.findall(r"\b(?:mp|metapeer)\.(\w+)\(", block) if n not in metapeer.__all__}
    assert unknown == set()


def test_every_function_named_in_prose_exists():
    known = {name for module in MODULES for name in vars(importlib.import_module(module))} | set(dir(builtins))
    for cls in [getattr(metapeer, n) for n in metapeer.__all__ if inspect.isclass(getattr(metapeer, n))]:
        known |= set(dir(cls))
    spans = {span for path in PROSE for span in code_spans(path)}
    called = {match[1] for span in spans if (match := re.fullmatch(r"(?:\w+\.)*(\w+)\(.*\)", span))}
    assert called - known == set()


def test_every_path_named_in_prose_exists():
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir()}
    paths = {s.rstrip("/") for path in PROSE for s in code_spans(path) if s.split("/")[0] in rooms and "/" in s}
    built = ("docs/_build", ".venv", "dist", ".benchmarks")
    missing = {p for p in paths if not p.startswith(built) and not re.search(r"[<>]", p) and not [*ROOT.glob(p)]}
    assert missing == set()


def test_every_command_in_prose_exists():
    import typer.main

    from metapeer.cli import app

    commands = set(typer.main.get_command(app).commands)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    lines = [line for path in PROSE for block in fenced(path, "console", "sh") for line in block.splitlines()]
    lines += [span for path in PROSE for span in code_spans(path)]
    used = [match for line in lines if (match := re.match(r"(?:\$ )?(metapeer|make) ([a-z]+)\b", line))]
    assert {m[2] for m in used if m[1] == "metapeer"} - commands == set()
    assert {m[2] for m in used if m[1] == "make"} - targets == set()


def test_the_numbers_under_the_picture_in_the_readme_are_those_of_the_data():
    review = metapeer.load_dataset("smit2023")
    options = {"measure": "SMD", "variance": "metapsy", "prefer": "review", "events_to_smd": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metapeer.DataWarning)
        found = metapeer.pool_outcomes(metapeer.effect_size(review.rows(), **options)).to_frame().set_index("name")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    words = " ".join(re.search(r"!\[(.+?)\]", readme, re.DOTALL)[1].split()).lower()
    for name in ("Recovery", "Quality of life", "Psychiatric symptoms"):
        row = found.loc[name]
        assert f"{name.lower()} {row['estimate']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f})" in words
    assert f"{review.rows()['study_id'].nunique()} trials" in words
    assert (ROOT / "docs" / "smit2023-outcomes.png").is_file()


def test_what_the_readme_says_of_the_multiverse_is_what_the_example_prints():
    printed = (ROOT / "examples" / "multiverse.out").read_text(encoding="utf-8")
    assert re.search(r"claim: above 0 +supported by 0 of", printed)
    assert "defensible choices](docs/multiverse.md) none supports them" in (ROOT / "README.md").read_text(
        encoding="utf-8"
    )

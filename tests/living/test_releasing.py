"""A release says what changed by a rule, in words made from numbers, and locks every number."""

import json
import shutil

import pandas as pd
import pytest

import metapeer as mp
from metapeer.errors import ChoiceError, DataError, MetapeerError
from metapeer.living import releasing, releasing_lock
from metapeer.living.folder import init_review
from metapeer.living.releasing import lock_review, release
from metapeer.living.releasing_lock import read_lock
from metapeer.living.releasing_numbers import Numbers
from metapeer.living.releasing_rule import next_version
from metapeer.living.releasing_words import add_news, markdown, moved_results
from metapeer.living.store import history, undo
from metapeer.records.catalog import datasets_root, load_dataset
from metapeer.records.package import check_datapackage, refresh_datapackage

FIRST = {"date": "2026-03-01", "searched": "2026-02-15", "why": "begun", "author": "A. Reviewer"}
NEXT = {"date": "2026-04-01", "why": "a reason", "author": "A. Reviewer"}


def change_cell(folder, old, new, file="outcomes.csv"):
    text = (folder / file).read_text(encoding="utf-8")
    assert text.count(old) == 1
    (folder / file).write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def package_of(folder):
    return json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "smit2023"
    shutil.copytree(datasets_root() / "smit2023", folder)
    return folder, release(folder, **FIRST)


@pytest.fixture
def released(made, tmp_path):
    shutil.copytree(made[0], tmp_path / "smit2023")
    return tmp_path / "smit2023"


@pytest.mark.parametrize(
    ("before", "change", "searched", "after"),
    [
        ("", "first", "2023-05-01", "23.0.0"),
        ("", "first", "2007-05-01", "7.0.0"),
        ("23.0.3", "patch", "2023-05-01", "23.0.4"),
        ("23.0.3", "data", "2023-05-01", "23.1.0"),
        ("23.4.3", "search", "2024-01-02", "24.0.0"),
        ("23.4.3", "search", "2026-01-02", "26.0.0"),
        ("23.4.3", "search", "2023-12-31", "23.5.0"),  # a second search in the year
        ("23.9.9", "data", "2023-05-01", "23.10.0"),
    ],
)
def test_the_version_follows_the_rule(before, change, searched, after):
    assert next_version(before, change, searched) == after


def test_the_first_release_writes_version_lock_and_news_in_one_step(made):
    folder, found = made
    assert (found.version, found.before, found.lock.change, found.written) == ("26.0.0", "", "first", True)
    assert package_of(folder)["version"] == "26.0.0"
    assert package_of(folder)["metapeer"]["last_search"] == "2026-02-15"
    assert check_datapackage(folder) == []
    assert [step.what for step in history(folder)] == ["release 26.0.0"]
    assert len(load_dataset(folder).trials) == 28


def test_every_number_is_locked_to_the_last_digit(made):
    folder, found = made
    lock = read_lock((folder / "metapeer.lock").read_bytes(), "lock")
    result = lock.results["result: clinical recovery"]
    assert result.numbers["estimate"] == found.lock.results["result: clinical recovery"].numbers["estimate"]
    assert round(result.numbers["estimate"], 6) == 0.189451
    assert result.words["beside print"] == "reproduced"
    assert "REML" in result.method
    assert lock.to_bytes() == found.lock.to_bytes() == (folder / "metapeer.lock").read_bytes()
    assert {"outcomes.csv", "trials.csv", "plan.toml", "datapackage.json"} <= set(lock.inputs)
    assert set(lock.software) == {"metapeer", "numpy", "scipy", "pandas", "python"}


def test_the_same_review_released_twice_gives_the_same_bytes(made, tmp_path):
    again = tmp_path / "smit2023"
    shutil.copytree(datasets_root() / "smit2023", again)
    release(again, **FIRST)
    for name in ("metapeer.lock", "WHATS_NEW.md", "datapackage.json"):
        assert (again / name).read_bytes() == (made[0] / name).read_bytes()


def test_a_changed_cell_is_a_change_of_data_with_estimates_before_and_after(released):
    change_cell(released, ",-0.05,0.17,", ",-0.06,0.17,")
    found = release(released, change="data", **NEXT)
    assert found.version == "26.1.0"
    assert found.files == ("outcomes.csv",)
    moved = {one.name for one in found.moved}
    assert {"result: clinical recovery", "outcome: psychosis_symptoms"} <= moved
    assert "result: personal recovery" not in moved
    news = (released / "WHATS_NEW.md").read_text(encoding="utf-8")
    assert news.index("## 26.1.0") < news.index("## 26.0.0")
    line = next(line for line in news.splitlines() if line.startswith("| outcome: psychosis"))
    assert "SMD -0.050 (95% CI -0.383 to 0.283; 1 trial) | SMD -0.060 (95% CI -0.393 to 0.273; 1 trial)" in line
    assert "- **Conclusions**: none changed" in news
    assert undo(released).what == "release 26.1.0"
    assert package_of(released)["version"] == "26.0.0"


def test_a_conclusion_that_turns_is_said_to_have_changed(released):
    change_cell(released, ",-0.05,0.17,", ",-0.95,0.17,")
    found = release(released, **NEXT)
    line = next(line for line in found.news.splitlines() if line.startswith("| outcome: psychosis"))
    assert "**changed**: the interval includes no effect before, the interval lies below no effect now" in line
    assert "- **Conclusions**: changed: " in found.news
    assert "conclusions changed: result: clinical recovery, outcome: psychosis_symptoms" in str(found)


def test_a_changed_text_is_a_patch_and_a_corrected_title_is_not(released):
    (released / "README.md").write_text("another text", encoding="utf-8")
    found = release(released, change="patch", **NEXT)
    assert (found.version, found.files, found.moved) == ("26.0.1", ("README.md",), ())
    assert "no number changed, and no conclusion" in found.news
    package = package_of(released) | {"title": "Another title"}
    (released / "datapackage.json").write_text(json.dumps(package), encoding="utf-8")
    assert release(released, **NEXT).version == "26.1.0"


def test_a_later_search_is_a_new_year_even_when_nothing_was_found(released):
    found = release(released, change="search", searched="2027-01-31", **NEXT | {"date": "2027-02-01"})
    assert (found.version, found.moved) == ("27.0.0", ())
    assert "up to 2027-01-31" in found.news


@pytest.mark.parametrize(
    ("change", "because"),
    [("patch", "'data'"), ("search", "give searched="), ("first", "'data'")],
)
def test_a_wrong_bump_is_refused_and_nothing_is_written(released, change, because):
    change_cell(released, ",-0.05,0.17,", ",-0.06,0.17,")
    lock = (released / "metapeer.lock").read_bytes()
    with pytest.raises(MetapeerError, match=rf"(?s)refused.*outcomes\.csv changed.*{because}"):
        release(released, change=change, **NEXT)
    assert (released / "metapeer.lock").read_bytes() == lock
    assert package_of(released)["version"] == "26.0.0"


def test_data_are_no_reason_when_only_a_text_changed(released):
    (released / "README.md").write_text("another text", encoding="utf-8")
    with pytest.raises(MetapeerError, match=r"'data' is refused, since README\.md changed: that is 'patch'"):
        release(released, change="data", **NEXT)


def test_nothing_changed_is_nothing_to_release(released):
    with pytest.raises(MetapeerError, match=r"nothing changed since 26\.0\.0"):
        release(released, **NEXT)


def test_numbers_that_moved_with_the_software_are_not_called_a_change_of_data(released, monkeypatch):
    path = released / "metapeer.lock"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["results"]["result: clinical recovery"]["numbers"]["estimate"] += 1e-6
    content["software"]["numpy"] = "1.0"
    path.write_text(json.dumps(content), encoding="utf-8")
    found = release(released, **NEXT)
    assert found.version == "26.1.0"
    assert "though no data of the review did: numpy 1.0 to " in found.news
    assert [one.name for one in found.moved] == ["result: clinical recovery"]


def test_new_software_with_the_same_numbers_is_a_patch(released, monkeypatch):
    monkeypatch.setattr(releasing, "software", lambda: releasing_lock.software() | {"scipy": "9.9"})
    assert release(released, change="patch", **NEXT).version == "26.0.1"


@pytest.mark.slow
def test_a_version_written_by_hand_is_refused_unless_it_is_right(released):
    change_cell(released, ",-0.05,0.17,", ",-0.06,0.17,")
    for version in ("26.7.0", 5, None, "26.1.0"):
        text = json.dumps(package_of(released) | {"version": version})
        (released / "datapackage.json").write_text(text, encoding="utf-8")
        if version == "26.1.0":
            assert release(released, **NEXT).version == version
        else:
            with pytest.raises(
                DataError, match=r"written by hand; it was 26\.0\.0, and by the rule it becomes 26\.1\.0"
            ):
                release(released, **NEXT)


def test_every_faulty_argument_is_listed_at_once(tmp_path):
    with pytest.raises(DataError) as caught:
        release(tmp_path, date="2026-02-30", why=" ", author="", searched="soon")
    assert len(caught.value.faults) == 4
    with pytest.raises(DataError):
        release(tmp_path, date=20260301, why=None, author="A", searched="1999-01-01")
    with pytest.raises(ChoiceError, match="patch"):
        release(tmp_path, **NEXT, change="patched")


@pytest.mark.parametrize(
    ("days", "because"),
    [
        ({"date": "2026-02-20"}, "before that of the last release"),
        ({"date": "2026-04-01", "searched": "2026-01-01"}, "before that of the last release, 2026-02-15"),
        ({"date": "2026-04-01", "searched": "2026-05-01"}, "after the date of the release"),
    ],
)
def test_days_in_the_wrong_order_are_refused(released, days, because):
    with pytest.raises(DataError, match=because):
        release(released, why="w", author="A", **days)


def test_a_first_release_needs_the_date_of_the_search(tmp_path):
    review = init_review(tmp_path / "mine")
    with pytest.raises(DataError, match="give searched="):
        release(review.path, **NEXT)
    found = release(review.path, **FIRST)  # an empty review has a version, too
    assert (found.version, dict(found.lock.results)) == ("26.0.0", {})


def test_showing_a_release_writes_nothing(released):
    before = {path.name: path.read_bytes() for path in released.iterdir() if path.is_file()}
    change_cell(released, ",-0.05,0.17,", ",-0.06,0.17,")
    found = release(released, write=False, **NEXT)
    assert (found.version, found.written) == ("26.1.0", False)
    now = {path.name: path.read_bytes() for path in released.iterdir() if path.is_file()}
    assert {name for name in now if now[name] != before.get(name)} == {"outcomes.csv"}


def test_bundled_data_are_never_released_but_can_be_locked():
    with pytest.raises(DataError, match="bundled"):
        release(datasets_root() / "lyons2021", **FIRST)
    lock = lock_review("lyons2021", date="2026-03-01")
    assert lock.version == load_dataset_version("lyons2021")
    assert lock.to_bytes() == lock_review(datasets_root() / "lyons2021", date="2026-03-01").to_bytes()
    assert read_lock(lock.to_bytes(), "lock").to_bytes() == lock.to_bytes()


def load_dataset_version(name):
    return package_of(datasets_root() / name)["version"]


def test_a_review_of_another_name_keeps_the_claims_of_the_one_it_began_from(tmp_path):
    review = init_review(tmp_path / "mine", start="lyons2021")
    lock = lock_review(review.path)
    assert lock.results["outcome: hope"].words["verdict"] == "not supported"
    assert lock.results["claim: lyons-symptoms"].numbers["k"] == 7


HOSTILE = "|x|\n# not a heading\n<script>alert(1)</script> [a](b) `c` \x1b[31m \u202e \ud800 _d_"


def test_hostile_words_stay_words(released):
    (released / "README.md").write_text("another text", encoding="utf-8")
    found = release(released, date="2026-04-01", why=HOSTILE, author=HOSTILE)
    news = (released / "WHATS_NEW.md").read_text(encoding="utf-8")
    assert "<script" not in news
    assert "\n# not" not in news
    assert "\x1b" not in news + str(found)
    assert "\u202e" not in news
    assert r"\|x\| \# not a heading &lt;script&gt;" in news
    release_again = read_lock((released / "metapeer.lock").read_bytes(), "lock")
    assert "<script>" in release_again.why


def test_what_people_write_into_whats_new_stays(released):
    path = released / "WHATS_NEW.md"
    path.write_bytes(
        path.read_bytes().replace(b"\n## 26.0.0", b"\nRead this first.\r\n\n## 26.0.0") + b"\nPS: thanks\n"
    )
    (released / "README.md").write_text("another text", encoding="utf-8")
    release(released, **NEXT)
    text = path.read_text(encoding="utf-8")
    places = [text.index(part) for part in ("Read this first.", "## 26.0.1", "## 26.0.0", "PS: thanks")]
    assert places == sorted(places)


def test_whats_new_that_is_no_text_is_refused():
    with pytest.raises(DataError, match="UTF-8"):
        add_news(b"\xff\xfe\x00", "t", "## 1\n")


def test_a_result_that_came_or_went_has_moved():
    one, two = {"a": Numbers(numbers={"k": 2.0})}, {"b": Numbers(numbers={"k": 2.0})}
    assert [(m.name, m.before is None, m.after is None) for m in moved_results(one, two)] == [
        ("b", True, False),
        ("a", False, True),
    ]


def test_markdown_keeps_plain_words():
    assert markdown("Rogers (2016): hope, 0.5") == "Rogers (2016): hope, 0.5"


def spoilt(lock, **parts):
    return json.dumps(json.loads(lock) | parts).encode()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lock: b"",
        lambda lock: b"\xff",
        lambda lock: b"[1, 2]",
        lambda lock: b"[" * 100_000,
        lambda lock: lock[: len(lock) // 2],
        lambda lock: b'{"format": 1, "format": 1}',
        lambda lock: spoilt(lock, format=2),
        lambda lock: spoilt(lock, format="1"),
        lambda lock: spoilt(lock, version="26"),
        lambda lock: spoilt(lock, version="26.0.0\n"),
        lambda lock: spoilt(lock, inputs={"outcomes.csv": "md5:1"}),
        lambda lock: spoilt(lock, software=[1]),
        lambda lock: spoilt(lock, results=[]),
        lambda lock: spoilt(lock, results={"a": 1}),
        lambda lock: spoilt(lock, results={"a": {"method": "", "measure": "no", "words": {}, "numbers": {}}}),
        lambda lock: spoilt(lock, results={"a": {"method": "", "measure": "", "words": {}, "numbers": {"k": "2"}}}),
        lambda lock: spoilt(lock, results={"a": {"method": "", "measure": "", "words": {}, "numbers": {"k": True}}}),
        lambda lock: spoilt(lock, results={"a": {"method": "", "measure": "", "words": {}, "numbers": {"k": 10**400}}}),
        lambda lock: spoilt(lock, results={"a": {"method": "", "measure": "", "words": {"v": 1}, "numbers": {}}}),
        lambda lock: b'{"format": 1, "k": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_spoilt_lock_is_a_data_error(made, spoil):
    with pytest.raises(DataError):
        read_lock(spoil(made[1].lock.to_bytes()), "metapeer.lock")


def test_folders_that_cannot_be_released_are_data_errors(released, tmp_path):
    package = package_of(released) | {"title": "half \ud800"}
    (released / "datapackage.json").write_text(json.dumps(package), encoding="utf-8")
    with pytest.raises(DataError, match="surrogate"):
        release(released, **NEXT)
    (released / "datapackage.json").unlink()
    for act in (lambda: release(released, **NEXT), lambda: lock_review(released)):
        with pytest.raises(DataError, match=r"smit2023 has 1 problem\n  has no datapackage\.json"):
            act()
    for folder in (None, 5, tmp_path / "no", "smit2023", "a\0b"):
        with pytest.raises(DataError):
            release(folder, **FIRST)


def test_a_release_says_who_moved_its_numbers_and_they_add_up(tmp_path):
    folder = mp.init_review(tmp_path / "mine", start="lyons2021").path
    asked = {"author": "A. Reviewer", "why": "because"}
    first = mp.release(folder, date="2026-01-31", searched="2026-01-15", **asked)
    assert first.moving is None
    rows = pd.DataFrame(
        {
            "study_id": ["smith2026", "doe2026"],
            "citation": ["Smith (2026)", "Doe (2026)"],
            "format": "group",
            "instrument": "Herth Hope Index",
            "timepoint": "end_of_treatment",
            "source": "Table 2",
            "n1": [60, 40],
            "mean1": [31.2, 33.0],
            "sd1": [8.1, 7.0],
            "n2": [58, 41],
            "mean2": [29.4, 28.0],
            "sd2": [8.8, 9.0],
        }
    )
    mp.add_rows(folder, rows, write=True)
    made = mp.release(folder, date="2026-02-28", **asked)
    assert [(one.outcome, one.stage, one.what) for one in made.moving] == [
        ("hope", "new trial", "smith2026"),
        ("hope", "new trial", "doe2026"),
    ]
    results = [lock.results["outcome: hope"].numbers["estimate"] for lock in (first.lock, made.lock)]
    assert sum(one.estimate for one in made.moving) == pytest.approx(results[1] - results[0], abs=1e-12)
    news = (folder / "WHATS_NEW.md").read_text(encoding="utf-8")
    assert "new trial smith2026" in news
    assert mp.verify(folder).ok


def test_a_release_without_the_tables_of_the_last_says_that_it_cannot_tell_who(tmp_path):
    folder = mp.init_review(tmp_path / "mine", start="smit2023").path
    asked = {"author": "A. Reviewer", "why": "because"}
    mp.release(folder, date="2026-01-31", searched="2026-01-15", **asked)
    change_cell(folder, ",-0.05,0.17,", ",-0.15,0.17,")
    told = mp.release(folder, date="2026-02-28", write=False, **asked)
    assert {one.stage for one in told.moving} == {"correction"}
    (kept,) = (folder / ".metapeer" / "released").iterdir()
    for damage in (b"PK damaged", kept.read_bytes()[:-40]):
        kept.write_bytes(damage)
        blind = mp.release(folder, date="2026-02-28", write=False, **asked)
        assert blind.moving is None
        assert "Who moved them is not known" in str(blind)


def test_half_a_character_in_the_metadata_is_refused_in_words(tmp_path):
    folder = mp.init_review(tmp_path / "mine", start="lyons2021").path
    path = folder / "datapackage.json"
    package = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(package | {"title": "\ud800"}), encoding="utf-8")
    with pytest.raises(mp.DataError, match="lone surrogate"):
        refresh_datapackage(folder)

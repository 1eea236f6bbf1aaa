"""A review that was locked reproduces when nothing was touched, and names what differs when something was."""

import json
import math
import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.errors import DataError
from metapeer.living.releasing import lock_review, release
from metapeer.living.releasing_numbers import ABSOLUTE, RELATIVE, Numbers, numbers_differ, numbers_of
from metapeer.living.verifying import verify
from metapeer.living.verifying_compare import relative_difference
from metapeer.pooling.models import Effects
from metapeer.records.catalog import datasets_root
from metapeer.reproduction import evidence


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "smit2023"
    shutil.copytree(datasets_root() / "smit2023", folder)
    release(folder, date="2026-03-01", searched="2026-02-15", why="begun", author="A. Reviewer")
    return folder


@pytest.fixture
def released(made, tmp_path):
    shutil.copytree(made, tmp_path / "smit2023")
    return tmp_path / "smit2023"


def change_cell(folder, old, new, file="outcomes.csv"):
    text = (folder / file).read_text(encoding="utf-8")
    assert text.count(old) == 1
    (folder / file).write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def with_lock(folder, **parts):
    path = folder / "metapeer.lock"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | parts), encoding="utf-8")


def test_a_review_that_nobody_touched_reproduces(made):
    found = verify(made)
    assert found.ok
    assert found.notes == ()
    assert (found.results, found.numbers > 1500) == (63, True)
    assert len(found.to_frame()) == 0
    assert "smit2023 26.0.0 of 2026-03-01 reproduces" in str(found)


def test_one_changed_cell_is_named_with_every_number_that_it_moves(released):
    change_cell(released, ",-0.05,0.17,", ",-0.06,0.17,")
    found = verify(released)
    assert not found.ok
    assert found.changed_inputs == (("outcomes.csv", "has another hash"),)
    moved = {(one.result, one.quantity): one for one in found.differences}
    one = moved["outcome: psychosis_symptoms", "estimate"]
    assert (one.locked, one.now) == (-0.05, -0.06)
    assert math.isclose(one.relative, 1 / 6)
    assert ("result: clinical recovery", "estimate") in moved
    assert not any(result == "result: personal recovery" for result, _ in moved)
    frame = found.to_frame()
    assert set(frame["kind"]) == {"input", "number", "verdict"}
    assert len(frame) == len(found.differences) + len(found.words) + 1
    for part in ("outcome: psychosis_symptoms", "does not reproduce", "0.1667", "outcomes.csv", "within rounding"):
        assert part in str(found)


def test_a_changed_note_is_a_changed_input_though_no_number_moves(released):
    change_cell(released, "Psychosis, 8, 287-300.", "Psychosis 8:287-300.", file="trials.csv")
    found = verify(released)
    assert not found.ok
    assert (found.differences, found.words, [name for name, _ in found.changed_inputs]) == ((), (), ["trials.csv"])


def test_a_locked_number_that_does_not_come_out_fails_with_both_values(released):
    lock = json.loads((released / "metapeer.lock").read_text(encoding="utf-8"))
    numbers = lock["results"]["result: personal recovery"]["numbers"]
    numbers["tau2"] *= 1 + 1e-6
    numbers["ci_low"] = None
    with_lock(released, results=lock["results"])
    found = verify(released)
    assert {one.quantity: one.relative for one in found.differences}.keys() == {"tau2", "ci_low"}
    assert math.isinf(next(one.relative for one in found.differences if one.quantity == "ci_low"))
    assert "defined in one only" in str(found)


def test_a_result_that_is_not_computed_any_more_fails_and_a_fresh_one_does_not(released):
    lock = json.loads((released / "metapeer.lock").read_text(encoding="utf-8"))
    lock["results"]["outcome: gone"] = lock["results"].pop("outcome: hope")
    with_lock(released, results=lock["results"])
    found = verify(released)
    assert (found.ok, found.gone) == (False, ("outcome: gone",))
    assert "not locked: outcome: hope" in found.notes


def test_other_software_and_texts_are_notes_and_no_failure(released):
    (released / "README.md").write_text("another text", encoding="utf-8")
    with_lock(released, software={"metapeer": "0.0.1", "numpy": "1.26.0"}, bundled={})
    found = verify(released)
    assert found.ok
    assert any(note.startswith("numpy: 1.26.0 locked, ") for note in found.notes)
    assert "text, README.md has another hash" in found.notes
    assert "bundled data, instruments.csv was added" in found.notes


def test_a_file_that_was_added_or_deleted_is_a_changed_input(released):
    (released / "overrides.csv").unlink()
    (released / "extra.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    found = verify(released)
    assert dict(found.changed_inputs) == {"extra.csv": "was added", "overrides.csv": "is gone"}


@pytest.mark.slow
def test_bundled_reviews_can_be_verified_against_a_lock_that_stands_elsewhere(tmp_path):
    path = tmp_path / "lyons.lock"
    lock = lock_review("lyons2021")
    path.write_bytes(lock.to_bytes())
    for where in (path, str(path), lock):
        assert verify("lyons2021", lock=where).ok
    assert not (datasets_root() / "lyons2021" / ".metapeer").exists()
    other = verify("lyons2021", lock=replace(lock, review="theirs", version="2.0.0"))
    assert other.ok
    assert "locked as theirs" in other.notes


@pytest.mark.parametrize("folder", ["smit2023", datasets_root() / "smit2023"])
def test_a_review_without_a_lock_says_how_to_make_one(folder):
    with pytest.raises(DataError, match=r"has no metapeer\.lock; make one with release"):
        verify(folder)


def test_a_folder_that_is_not_there_is_a_data_error(tmp_path):
    for folder in (tmp_path / "no", str(tmp_path / "no"), 5, "a\0b/"):
        with pytest.raises(DataError):
            verify(folder)
    with pytest.raises(DataError, match="does not exist"):
        verify("smit2023", lock=tmp_path / "no.lock")


def test_a_review_that_cannot_be_read_any_more_is_a_data_error(released):
    change_cell(released, "65,1.8,0.38,73,1.78,0.46", "65,1.8,-0.38,73,1.78,0.46")
    with pytest.raises(DataError, match="sd1"):
        verify(released)


def test_hostile_names_in_a_lock_do_not_reach_the_terminal(released):
    lock = json.loads((released / "metapeer.lock").read_text(encoding="utf-8"))
    lock["results"]["\x1b[31mred"] = {"method": "", "measure": "", "words": {"a": "\x1b"}, "numbers": {"k": 1}}
    with_lock(released, results=lock["results"])
    assert "\x1b" not in str(verify(released))


@pytest.mark.slow
def test_last_digits_that_platforms_differ_in_are_no_difference(monkeypatch):
    # Every effect and variance moves by one unit in the last place, up or down.
    read, turn = evidence.read_effects, iter(range(10**6))

    def shaken(effects: object) -> Effects:
        found = read(effects)
        signs = [(-1.0) ** (i + next(turn)) * 2.0**-52 for i in range(found.yi.size)]
        return replace(found, yi=found.yi * [1 + s for s in signs], vi=found.vi * [1 - s for s in signs])

    calm, _ = numbers_of(datasets_root() / "smit2023")
    monkeypatch.setattr(evidence, "read_effects", shaken)
    moved, _ = numbers_of(datasets_root() / "smit2023")
    pairs = [(calm[name].numbers[q], moved[name].numbers[q]) for name in calm for q in calm[name].numbers]
    worst = max(relative_difference(a, b) for a, b in pairs if max(abs(a), abs(b)) > ABSOLUTE)
    assert 0 < worst < RELATIVE / 100
    assert not any(numbers_differ(a, b) for a, b in pairs)


@given(st.floats(), st.floats())
def test_differing_is_symmetric_and_nothing_differs_from_itself(one, two):
    assert numbers_differ(one, two) == numbers_differ(two, one)
    assert not numbers_differ(one, one)
    assert relative_difference(one, two) >= 0


def test_a_number_is_kept_through_the_lock_to_the_last_bit(made):
    lock = lock_review(made)
    odd = {"a": 0.1 + 0.2, "b": 5e-324, "c": -0.0, "d": math.inf, "e": -math.inf, "f": 1e308, "g": 2.0**53 + 2}
    changed = replace(lock, results={"x": Numbers(numbers=odd | {"h": math.nan})})
    (made.parent / "odd.lock").write_bytes(changed.to_bytes())
    back = verify(made, lock=made.parent / "odd.lock").lock.results["x"].numbers
    assert math.isnan(back["h"])
    assert {key: value.hex() for key, value in back.items() if key != "h"} == {k: v.hex() for k, v in odd.items()}

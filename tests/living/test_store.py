"""A folder changes in one go or not at all: whatever the disk refuses, whoever else writes, whenever it is killed."""

import errno
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.errors import DataError, MetapeerError
from metapeer.living import store_files, store_journal
from metapeer.living.store import history, read_whole, transaction, undo
from metapeer.records.catalog import datasets_root

FORK = multiprocessing.get_context("fork")
OLD = {"outcomes.csv": b"old outcomes\n", "trials.csv": b"old trials\n", "gone.csv": b"to be deleted\n"}
NEW = {
    "outcomes.csv": b"new outcomes\n",
    "trials.csv": b"new trials\n",
    "new.csv": b"new\n",
    "datapackage.json": b"{}\n",
}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def make(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in OLD.items():
        (folder / name).write_bytes(content)
    return folder


def change_all(folder: Path, **options: object) -> None:
    with transaction(folder, "all of it", **options) as change:
        for name, content in NEW.items():
            change.write(name, content)
        change.remove("gone.csv")


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "review")


def test_a_change_is_made_as_a_whole_and_taken_back_as_a_whole(folder):
    change_all(folder)
    assert contents(folder) == NEW
    (step,) = history(folder)
    assert (step.number, step.what) == (1, "all of it")
    assert step.files == ("trials.csv", "outcomes.csv", "gone.csv", "new.csv", "datapackage.json")
    assert undo(folder) == step
    assert contents(folder) == OLD
    assert history(folder) == ()
    with pytest.raises(MetapeerError, match="there is no change to take back"):
        undo(folder)


def test_nothing_happens_before_the_end_nor_after_an_error(folder):
    with pytest.raises(ZeroDivisionError), transaction(folder, "x") as change:  # noqa: PT012
        change.write("outcomes.csv", b"new")
        assert change.read("outcomes.csv") == b"new"
        assert change.read("trials.csv") == OLD["trials.csv"]
        assert contents(folder) == OLD
        raise ZeroDivisionError
    assert contents(folder) == OLD
    assert history(folder) == ()


def test_a_change_that_changes_nothing_leaves_no_trace(folder):
    with transaction(folder, "nothing") as change:
        change.write("outcomes.csv", OLD["outcomes.csv"])
        change.remove("never.csv")
        assert change.files() == sorted(OLD)
    assert history(folder) == ()


def test_permissions_of_a_file_survive(folder):
    (folder / "outcomes.csv").chmod(0o640)
    change_all(folder)
    assert (folder / "outcomes.csv").stat().st_mode & 0o777 == 0o640


def test_files_in_folders_of_the_review_belong_to_it(folder):
    with transaction(folder, "release") as change:
        change.write("releases/1/lock.json", b"{}")
    assert (folder / "releases" / "1" / "lock.json").read_bytes() == b"{}"
    undo(folder)
    assert not (folder / "releases" / "1" / "lock.json").exists()


@pytest.mark.parametrize(
    "path", ["../x", "/x", "", ".", "a//b", ".metapeer/lock", ".git/config", "a\\b", "C:x", "a\0b", " a", ".Metapeer/x"]
)
def test_no_path_leads_out_of_the_folder(folder, path):
    with pytest.raises(MetapeerError, match="is not the name of a file"), transaction(folder, "x") as change:
        change.write(path, b"")


def test_a_link_is_not_followed(folder, tmp_path):
    target = tmp_path / "elsewhere.csv"
    target.write_bytes(b"mine")
    (folder / "link.csv").symlink_to(target)
    with pytest.raises(DataError, match=r"link\.csv is a link, not a file"), transaction(folder, "x") as change:
        change.write("link.csv", b"yours")
    assert target.read_bytes() == b"mine"


def test_bundled_data_and_what_is_no_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="bundled data, which are never written to"):
        change_all(datasets_root() / "lyons2021")
    with pytest.raises(DataError, match="does not exist"):
        change_all(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="is a file; name the folder it is in"):
        undo(tmp_path / "file")


def test_only_so_many_states_are_kept(folder):
    for number in range(1, 6):
        with transaction(folder, f"change {number}", keep=3) as change:
            change.write("outcomes.csv", str(number).encode())
    assert [step.what for step in history(folder)] == ["change 3", "change 4", "change 5"]
    assert [undo(folder).what for _ in range(3)] == ["change 5", "change 4", "change 3"]
    assert (folder / "outcomes.csv").read_bytes() == b"2"


def test_undo_never_loses_what_was_typed_since(folder):
    change_all(folder)
    (folder / "outcomes.csv").write_bytes(b"typed by hand\n")
    with pytest.raises(DataError, match=r"nothing was changed: outcomes\.csv was changed since by other means"):
        undo(folder)
    assert contents(folder) == NEW | {"outcomes.csv": b"typed by hand\n"}


def test_undo_does_not_trust_a_copy_that_was_damaged(folder):
    change_all(folder)
    (copy,) = [p for p in (folder / ".metapeer/backups/000001").iterdir() if p.read_bytes() == OLD["trials.csv"]]
    copy.write_bytes(b"other\n")
    with pytest.raises(DataError, match=r"the copy of trials\.csv that was kept is damaged"):
        undo(folder)
    assert contents(folder) == NEW


def test_a_file_that_another_program_changed_during_the_change_is_not_overwritten(folder):
    told = pytest.raises(DataError, match=r"trials\.csv was changed by another program meanwhile")
    with told, transaction(folder, "x") as change:
        change.write("trials.csv", change.read("trials.csv") + b"more\n")
        (folder / "trials.csv").write_bytes(b"by an editor\n")
    assert (folder / "trials.csv").read_bytes() == b"by an editor\n"


# The disk refuses: every call in turn, once or from then on.


class Disk:
    """The module os, whose calls that change a disk fail from the nth on."""

    CALLS = frozenset({"open", "write", "fsync", "replace", "unlink", "mkdir", "chmod"})

    def __init__(self, fail_at: int, code: int, *, once: bool) -> None:
        self.fail_at, self.code, self.once, self.count = fail_at, code, once, 0

    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in self.CALLS:
            return real

        def call(*args, **options):
            self.count += 1
            if self.count == self.fail_at or (self.count > self.fail_at and not self.once):
                raise OSError(self.code, os.strerror(self.code))
            return real(*args, **options)

        return call


def calls_of(act, folder, monkeypatch) -> int:
    disk = Disk(10**9, errno.ENOSPC, once=True)
    with monkeypatch.context() as patch:
        patch.setattr(store_files, "os", disk)
        act(folder)
    return disk.count


@pytest.mark.parametrize("once", [True, False], ids=["once", "from then on"])
@pytest.mark.parametrize("code", [errno.ENOSPC, pytest.param(errno.EIO, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("act", "before", "after"), [(change_all, OLD, NEW), (undo, NEW, OLD)], ids=["change", "undo"])
def test_whatever_call_the_disk_refuses_the_old_state_stays_whole(
    tmp_path, monkeypatch, act, before, after, code, once
):
    def fresh(name: str) -> Path:
        made = make(tmp_path / name)
        if act is undo:
            change_all(made)
        return made

    calls = calls_of(act, fresh("count"), monkeypatch)
    assert calls > 20
    made = raised = pending = 0
    for fail_at in range(1, calls + 1):
        folder = fresh(f"at{fail_at}")
        states = len(history(folder))
        error = None
        with monkeypatch.context() as patch:
            patch.setattr(store_files, "os", Disk(fail_at, code, once=once))
            try:
                act(folder)
            except DataError as caught:
                error = str(caught)
        if error is None:  # refused when all was done: throwing away what was prepared
            made += 1
            assert contents(folder) == after
        elif "nothing was changed" in error:
            raised += 1
            assert contents(folder) == before
            assert len(history(folder)) == states
        else:  # refused for good in the middle: put in order as soon as the disk works again
            pending += 1
            assert "a change was interrupted" in error
            assert read_whole(folder, contents) in (before, after)
        assert read_whole(folder, contents) == contents(folder)
        act_again = contents(folder) == before
        if act_again:
            act(folder)
        assert contents(folder) == after
        (undo if act is change_all else change_all)(folder)
        assert contents(folder) == before
        assert not (folder / ".metapeer" / "pending").exists()
    assert raised > 10
    assert made
    assert bool(pending) != once


def test_the_error_says_what_the_disk_lacks(folder, monkeypatch):
    monkeypatch.setattr(store_files, "os", Disk(6, errno.ENOSPC, once=False))
    with pytest.raises(DataError, match="nothing was changed: the disk is full; free some space"):
        change_all(folder)


def limited(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        with transaction(folder, "too much") as change:
            change.write("trials.csv", b"small\n")
            change.write("outcomes.csv", b"x" * 5000)
    except DataError as error:
        sys.exit(int("nothing was changed: a file would be larger" not in str(error)))
    sys.exit(2)


def test_a_file_larger_than_the_system_allows_changes_nothing(folder):
    process = FORK.Process(target=limited, args=(folder,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert contents(folder) == OLD


def without_permission(folder: Path) -> None:
    if os.geteuid() == 0:
        os.setegid(65534)
        os.seteuid(65534)
    told = []
    for act in (change_all, undo):
        try:
            act(folder)
        except DataError as error:
            told.append("nothing was changed: there is no permission to write there" in str(error))
    sys.exit(int(told != [True, True] or read_whole(folder, contents) != OLD))


@pytest.mark.parametrize("opened_before", [False, True])
def test_a_folder_that_can_only_be_read_is_read_and_not_changed(opened_before):
    with tempfile.TemporaryDirectory() as outside:
        Path(outside).chmod(0o755)
        folder = make(Path(outside) / "review")
        if opened_before:
            change_all(folder)
            undo(folder)
        folder.chmod(0o555)
        process = FORK.Process(target=without_permission, args=(folder,))
        process.start()
        process.join()
        folder.chmod(0o755)
        assert process.exitcode == 0
        assert contents(folder) == OLD


# Recovery.


class Killed(BaseException):
    """What a test raises where a process would be killed: nothing behind it runs."""


class Killer(Disk):
    """The module os, that ends at the nth call."""

    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in self.CALLS:
            return real

        def call(*args, **options):
            self.count += 1
            if self.count >= self.fail_at:
                raise Killed
            return real(*args, **options)

        return call


@pytest.mark.parametrize(("act", "before", "after"), [(change_all, OLD, NEW), (undo, NEW, OLD)], ids=["change", "undo"])
def test_ended_at_any_call_the_folder_is_old_or_new_when_it_is_next_read(tmp_path, monkeypatch, act, before, after):
    def fresh(name: str) -> Path:
        made = make(tmp_path / name)
        if act is undo:
            change_all(made)
        return made

    calls = calls_of(act, fresh("count"), monkeypatch)
    found = []
    for end_at in range(1, calls + 1):
        folder = fresh(f"at{end_at}")
        with monkeypatch.context() as patch:
            patch.setattr(store_files, "os", Killer(end_at, 0, once=False))
            with pytest.raises(Killed):
                act(folder)
        state = read_whole(folder, contents)
        assert state in (before, after), end_at
        found.append(state == after)
        assert len(history(folder)) == (state == NEW)
    # One instant parts the old from the new.
    assert found == sorted(found)
    assert 0 < sum(found) < len(found)


def interrupted(folder: Path, monkeypatch) -> None:
    """Leave a folder between two replacements, as a crash does."""
    moves = 0

    def until_the_second(source: Path, target: Path) -> None:
        nonlocal moves
        moves += target.parent == folder
        if moves > 1:
            raise Killed
        store_files.move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(store_journal, "move", until_the_second)
        patch.setattr(store_journal, "_back", lambda *_: None)
        with pytest.raises(Killed):
            change_all(folder)
    assert contents(folder) not in (OLD, NEW)


def test_an_interrupted_change_is_finished_by_the_next_reader(folder, monkeypatch):
    interrupted(folder, monkeypatch)
    assert read_whole(folder, contents) == NEW
    undo(folder)
    assert contents(folder) == OLD


def test_an_interrupted_change_whose_new_files_are_lost_is_taken_back(folder, monkeypatch):
    interrupted(folder, monkeypatch)
    shutil.rmtree(folder / ".metapeer/pending/new")
    assert read_whole(folder, contents) == OLD
    assert history(folder) == ()


def test_what_was_typed_after_a_crash_is_not_overwritten(folder, monkeypatch):
    interrupted(folder, monkeypatch)
    (folder / "outcomes.csv").write_bytes(b"typed by hand\n")
    with pytest.raises(DataError, match=r"outcomes\.csv was changed by hand after a change by metapeer"):
        change_all(folder)
    assert (folder / "outcomes.csv").read_bytes() == b"typed by hand\n"
    (folder / "outcomes.csv").unlink()
    assert read_whole(folder, contents) == NEW


def test_what_cannot_be_put_in_order_is_said(folder, monkeypatch):
    interrupted(folder, monkeypatch)
    shutil.rmtree(folder / ".metapeer/pending")
    with pytest.raises(DataError, match="what is needed to finish it is damaged"):
        change_all(folder)
    (folder / ".metapeer/journal.json").write_bytes(b"[1]")
    with pytest.raises(DataError, match=r"journal\.json has 1 problem\n  is damaged"):
        change_all(folder)


def test_a_journal_that_names_files_elsewhere_is_not_followed(folder, monkeypatch, tmp_path):
    interrupted(folder, monkeypatch)
    journal = folder / ".metapeer/journal.json"
    told = json.loads(journal.read_bytes())
    told["files"][0]["path"] = "../victim.csv"
    journal.write_text(json.dumps(told))
    (tmp_path / "victim.csv").write_bytes(b"mine")
    with pytest.raises(MetapeerError, match="is not the name of a file"):
        change_all(folder)
    assert (tmp_path / "victim.csv").read_bytes() == b"mine"


# Other writers and readers.


def test_whoever_waits_too_long_is_told_who_holds_the_folder(folder):
    told = pytest.raises(MetapeerError, match=rf"is being changed by process {os.getpid()} on .*, since .* UTC")
    with transaction(folder, "long"), told:
        change_all(folder, timeout=0.05)
    change_all(folder, timeout=0)
    assert contents(folder) == NEW


def hold_and_wait(folder: Path, ready) -> None:
    with transaction(folder, "never done") as change:
        change.write("outcomes.csv", b"never")
        ready.set()
        time.sleep(60)


def test_the_lock_of_a_killed_process_is_no_lock(folder):
    ready = FORK.Event()
    process = FORK.Process(target=hold_and_wait, args=(folder, ready))
    process.start()
    ready.wait(10)
    with pytest.raises(MetapeerError, match=f"process {process.pid}"):
        change_all(folder, timeout=0.05)
    process.kill()
    process.join()
    change_all(folder, timeout=5)
    assert contents(folder) == NEW


def test_a_hidden_folder_that_is_deleted_while_somebody_waits_does_not_let_two_in(folder):
    ready = FORK.Event()
    process = FORK.Process(target=hold_and_wait, args=(folder, ready))
    process.start()
    ready.wait(10)
    shutil.rmtree(folder / ".metapeer")
    change_all(folder, timeout=5)  # a new lock: the other holds one that nobody can see any more
    process.kill()
    process.join()
    assert contents(folder) == NEW


def count_up(folder: Path, times: int, name: str) -> None:
    for turn in range(times):
        with transaction(folder, f"{name} {turn}", timeout=120, keep=1000) as change:
            rows = change.read("outcomes.csv") + f"{name},{turn}\n".encode()
            change.write("outcomes.csv", rows)
            change.write("datapackage.json", str(len(rows)).encode())


def fits(folder: Path) -> bool:
    rows, told = ((folder / name).read_bytes() for name in ("outcomes.csv", "datapackage.json"))
    return len(rows) == int(told)


def test_of_eight_writers_at_once_nothing_is_lost_and_readers_see_whole_states(folder):
    (folder / "datapackage.json").write_bytes(str(len(OLD["outcomes.csv"])).encode())
    times = 6
    writers = [FORK.Process(target=count_up, args=(folder, times, f"writer {i}")) for i in range(8)]
    for writer in writers:
        writer.start()
    reads = 0
    while any(writer.is_alive() for writer in writers):
        assert read_whole(folder, fits)
        reads += 1
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 8
    assert reads > 5
    lines = (folder / "outcomes.csv").read_text().splitlines()[1:]
    assert sorted(lines) == sorted(f"writer {i},{turn}" for i in range(8) for turn in range(times))
    assert len(history(folder)) == 8 * times
    for _ in range(8 * times):
        undo(folder)
        assert fits(folder)
    assert (folder / "outcomes.csv").read_bytes() == OLD["outcomes.csv"]


WRITER = """
import sys
from metapeer.living.store import transaction, undo
folder, start = sys.argv[1], int(sys.argv[2])
number = start
while True:
    number += 1
    with transaction(folder, f"change {number}", keep=5) as change:
        for name in ("trials.csv", "outcomes.csv", "datapackage.json"):
            change.write(name, f"{number}\\n".encode() * (1 + number % 300))
    print(number, flush=True)
    if number % 7 == 0:
        undo(folder)
        print(number - 1, flush=True)
        number -= 1 if number % 2 else 0
"""


def states(folder: Path) -> set[str]:
    return {line for name in ("trials.csv", "outcomes.csv", "datapackage.json")
            for line in (folder / name).read_text().splitlines()}  # fmt: skip


def kill_writers(folder: Path, changes: int, seed: int) -> tuple[int, int, int]:
    """Kill a writer again and again until so many changes were seen; give changes, kills, and kills in the middle."""
    for name in ("trials.csv", "outcomes.csv", "datapackage.json"):
        (folder / name).write_bytes(b"0\n")
    chance = random.Random(seed)  # noqa: S311
    seen = kills = interrupted_ones = 0
    state = 0
    while seen < changes:
        command = [sys.executable, "-c", WRITER, str(folder), str(state)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()  # the first change is made: from here on it may die
            time.sleep(chance.uniform(0, 0.25))
            process.send_signal(signal.SIGKILL)
            seen += 1 + len(process.stdout.read().splitlines())
        kills += 1
        interrupted_ones += store_journal.is_pending(folder)
        found = read_whole(folder, states)
        assert len(found) == 1, found
        (word,) = found
        state = int(word)
        assert (folder / "trials.csv").read_bytes() == f"{state}\n".encode() * (1 + state % 300)
        assert not store_journal.is_pending(folder)
        for step in history(folder)[-1:]:
            assert step.what == f"change {state}"
    return seen, kills, interrupted_ones


def test_killed_again_and_again_the_folder_is_always_of_one_state(folder):
    changes, kills, _ = kill_writers(folder, 60, seed=1)
    assert changes >= 60
    assert kills >= 1


@pytest.mark.slow
def test_killed_at_random_instants_during_500_changes_the_folder_is_always_of_one_state(folder):
    changes, kills, in_the_middle = kill_writers(folder, 500, seed=2)
    assert changes >= 500
    assert kills >= 8
    assert in_the_middle >= 1


NAMES = st.sampled_from(["outcomes.csv", "trials.csv", "a.csv", "b/c.csv", "plan.toml"])
CHANGES = st.lists(st.dictionaries(NAMES, st.none() | st.binary(max_size=20), min_size=1), max_size=6)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".metapeer" not in path.parts
    }


@given(CHANGES)
def test_undo_walks_back_through_any_changes(changes):
    with tempfile.TemporaryDirectory() as where:
        folder = make(Path(where) / "review")
        seen = [tree(folder)]
        for change in changes:
            with transaction(folder, "x") as going:
                for name, content in change.items():
                    going.remove(name) if content is None else going.write(name, content)
            expected = {k: v for k, v in (seen[-1] | change).items() if v is not None}
            assert tree(folder) == expected
            if expected != seen[-1]:
                seen.append(expected)
        assert len(history(folder)) == len(seen) - 1
        for state in reversed(seen[:-1]):
            undo(folder)
            assert tree(folder) == state


@pytest.mark.parametrize("folder", [None, 3, "", "  ", b"x"])
def test_what_is_no_folder_is_refused_in_words(folder):
    with pytest.raises(MetapeerError), transaction(folder, "nothing"):
        pass

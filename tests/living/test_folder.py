"""A review's folder: made once, from nothing or from a bundled one, and read as a whole."""

import json

import pytest

from metapeer.errors import ChoiceError, DataError
from metapeer.living.folder import init_review, load_review
from metapeer.living.store import history, transaction
from metapeer.records.catalog import dataset_names, datasets_root, load_dataset
from metapeer.records.package import check_datapackage
from metapeer.reproduction.evidence import Store
from metapeer.reproduction.run import reproduce


@pytest.mark.sampled(keep=5)
@pytest.mark.parametrize("start", [None, *dataset_names()])
def test_a_review_begins_from_nothing_or_from_any_bundled_one_with_its_tables_byte_for_byte(tmp_path, start):
    review = init_review(tmp_path / "my review", start=start, author="A. Reviewer")
    assert review.name == "my review"
    assert check_datapackage(review.path) == []
    assert {"README.md", ".gitattributes", "plan.toml", "trials.csv", "outcomes.csv"} <= {
        path.name for path in review.path.iterdir()
    }
    for path in [p for p in review.path.rglob("*") if p.is_file() and ".metapeer" not in p.parts]:
        assert b"\r" not in path.read_bytes()
        assert path.read_bytes().endswith(b"\n")
    store = Store()
    plan = store.plan(store.add(review.path))
    package = json.loads((review.path / "datapackage.json").read_text(encoding="utf-8"))
    assert package["contributors"] == [{"title": "A. Reviewer", "roles": ["author"]}]
    if start is not None:
        origin = load_dataset(start)
        for table in origin.path.glob("*.csv"):
            assert (review.path / table.name).read_bytes() == table.read_bytes()
        assert review.attribution == origin.attribution
        assert review.doi == origin.doi
        assert review.licence == origin.licence
        assert package["metapeer"]["started_from"] == start
        if plan.claims is not None and "datasets" in origin.plan["claims"]:
            assert plan.claims.rows.datasets == (*origin.plan["claims"]["datasets"], "my review")


def test_a_copy_reproduces_what_its_origin_does(tmp_path):
    copy = init_review(tmp_path / "mine", start="smit2023")
    frames = [reproduce(which).to_frame() for which in (copy.path, "smit2023")]
    ours, theirs = (frame[frame["kind"] == "published number"] for frame in frames)
    assert ours.drop(columns="review").equals(theirs.drop(columns="review"))
    assert (ours["verdict"] == "reproduced").sum() == 3


def test_what_is_asked_for_stands_in_the_package(tmp_path):
    review = init_review(tmp_path / "mine", title="Ours", doi="10.1/x", start="lyons2021")
    assert (review.title, review.doi) == ("Ours", "10.1/x")
    assert (tmp_path / "mine" / "README.md").read_text(encoding="utf-8").startswith("# Ours\n")


def test_the_beginning_cannot_be_undone(tmp_path):
    assert history(init_review(tmp_path / "mine").path) == ()


def test_a_folder_with_anything_in_it_is_refused_but_version_control_is_nothing(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty"):
        init_review(tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes.txt"]
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    assert init_review(tmp_path / "repository").name == "repository"
    with pytest.raises(DataError, match="is not empty"):
        init_review(tmp_path / "repository")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="is a file"):
        init_review(tmp_path / "file")


def test_nothing_is_made_among_the_bundled_data(tmp_path, monkeypatch):
    for place in (datasets_root() / "mine", datasets_root(), datasets_root() / "x" / ".." / "y"):
        with pytest.raises(DataError, match="bundled data, which are never written to"):
            init_review(place)
    link = tmp_path / "link"
    link.symlink_to(datasets_root())
    with pytest.raises(DataError, match="bundled data"):
        init_review(link / "mine")


@pytest.mark.parametrize("folder", ["", " ", "a\0b", None, 3, "/"])
def test_what_is_no_folder_is_said_to_be_none(folder):
    with pytest.raises(DataError):
        init_review(folder)


def test_an_unknown_start_is_told_and_nothing_is_made(tmp_path):
    with pytest.raises(ChoiceError, match="Did you mean 'lyons2021'"):
        init_review(tmp_path / "mine", start="lyon2021")
    assert not (tmp_path / "mine").exists()


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError):
        init_review(tmp_path / "file" / "mine")


def test_a_review_is_loaded_as_it_stands(tmp_path):
    review = init_review(tmp_path / "mine", start="lyons2021")
    with transaction(review.path, "retitle") as change:
        change.write("datapackage.json", change.read("datapackage.json").replace(b"kept up to date", b"changed"))
    assert load_review(review.path).title.endswith("changed")
    with pytest.raises(DataError, match="does not exist"):
        load_review(tmp_path / "nowhere")

"""More sets than one machine holds: Parquet files and Dask, with workers killed and runs broken off."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest

from metapeer.errors import ChoiceError, DataError, MetapeerError
from metapeer.pooling.batch_models import meta_analysis_batch

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")


def effects(sets=60, seed=1, first=0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, sets)
    vi = rng.uniform(0.01, 0.2, sizes.sum())
    yi = rng.normal(0.2, np.sqrt(vi + 0.05))
    return pd.DataFrame({"gene": np.repeat(np.arange(first, first + sets), sizes), "yi": yi, "vi": vi})


def write(folder, files=4, sets=60):
    folder.mkdir(exist_ok=True)
    tables = [effects(sets, seed=i, first=i * sets) for i in range(files)]
    for i, table in enumerate(tables):
        table.to_parquet(folder / f"effects-{i}.parquet", index=False)
    return pd.concat(tables, ignore_index=True)


def same(found, whole, **options):
    expected = meta_analysis_batch(whole, by="gene", **options).to_frame()
    ours = found.sort_values("gene", ignore_index=True)
    assert ours["gene"].tolist() == expected["gene"].tolist()
    for name in ("k", "estimate", "ci_low", "ci_high", "tau2", "I2", "p_value"):
        np.testing.assert_allclose(
            ours[name].to_numpy(float, na_value=np.nan),
            expected[name].to_numpy(float, na_value=np.nan),
            rtol=1e-10,
            atol=1e-12,
        )
    assert ours["ci_method"].tolist() == expected["ci_method"].astype(str).tolist()


def test_files_give_what_one_table_gives(tmp_path):
    whole = write(tmp_path / "in")
    told = []
    found = meta_analysis_batch(
        tmp_path / "in", by="gene", output=tmp_path / "out", progress=lambda done, files: told.append((done, files))
    )
    assert (len(found), found.failed, told[-1]) == (240, 0, (4, 4))
    same(found.to_frame(), whole)
    assert "240 sets in 4 parts" in str(found)
    assert not list((tmp_path / "out").glob("*.tmp"))


def test_a_run_broken_off_goes_on_and_computes_no_part_twice(tmp_path):
    whole = write(tmp_path / "in")
    pattern = str(tmp_path / "in" / "effects-*.parquet")

    def stop(done, _):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        meta_analysis_batch(pattern, by="gene", output=tmp_path / "out", progress=stop)
    before = {part.name: part.stat().st_mtime_ns for part in (tmp_path / "out").glob("part-*")}
    assert len(before) == 2
    found = meta_analysis_batch(pattern, by="gene", output=tmp_path / "out")
    same(found.to_frame(), whole)
    assert before.items() <= {part.name: part.stat().st_mtime_ns for part in found.parts}.items()


def test_what_is_wrong_stands_beside_its_set_and_the_others_finish(tmp_path):
    table = effects()
    table.loc[5, "vi"] = -1.0
    (tmp_path / "in").mkdir()
    table.to_parquet(tmp_path / "in" / "a.parquet")
    found = meta_analysis_batch([tmp_path / "in" / "a.parquet"], by="gene", output=tmp_path / "out")
    frame = found.to_frame()
    assert (found.failed, len(found)) == (1, 60)
    problem = frame.loc[frame["problem"] != ""].iloc[0]
    assert problem["gene"] == table.loc[5, "gene"]
    assert "-1 is not a sampling variance" in problem["problem"]
    assert frame["estimate"].isna().sum() == 1


def test_a_set_in_two_files_is_refused_with_its_name(tmp_path):
    write(tmp_path / "in", files=2)
    effects(2, seed=9, first=3).to_parquet(tmp_path / "in" / "more.parquet")
    with pytest.raises(
        DataError, match=r"gene 3: lies in part-000002.parquet and in a part before it(.|\n)*pass a Dask DataFrame"
    ):
        meta_analysis_batch(tmp_path / "in", by="gene", output=tmp_path / "out")


def test_sets_that_share_a_hash_by_chance_are_not_taken_for_one(tmp_path, monkeypatch):
    write(tmp_path / "in", files=2)
    monkeypatch.setattr(pd.util, "hash_pandas_object", lambda frame, **_: pd.Series(np.zeros(len(frame), np.uint64)))
    assert len(meta_analysis_batch(tmp_path / "in", by="gene", output=tmp_path / "out")) == 120


def test_a_file_that_fails_for_a_moment_is_tried_again(tmp_path, monkeypatch):
    whole, read, failures = write(tmp_path / "in", files=2), pd.read_parquet, [OSError("busy")]

    def sometimes(path, **options):
        if failures:
            raise failures.pop()
        return read(path, **options)

    monkeypatch.setattr(pd, "read_parquet", sometimes)
    same(meta_analysis_batch(tmp_path / "in", by="gene", output=tmp_path / "out").to_frame(), whole)
    failures += [OSError("broken")] * 9
    with pytest.raises(DataError, match="cannot be read, or its results written: broken"):
        meta_analysis_batch(tmp_path / "in", by="gene", output=tmp_path / "more", retries=1)


def test_results_of_another_run_are_never_mixed_in(tmp_path):
    write(tmp_path / "in")
    meta_analysis_batch(tmp_path / "in", by="gene", output=tmp_path / "out")
    with pytest.raises(MetapeerError, match="other files or options"):
        meta_analysis_batch(tmp_path / "in", by="gene", output=tmp_path / "out", tau2_method="DL")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(MetapeerError, match="not empty"):
        meta_analysis_batch(tmp_path / "in", by="gene", output=tmp_path / "full")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "nowhere/*.parquet", "by": "gene", "output": "out"}, "no file is named"),
        ({"data": ["nowhere.parquet"], "by": "gene", "output": "out"}, "is not there"),
        ({"data": "x", "by": "gene"}, "output is missing"),
        ({"data": "x", "output": "out"}, "by is missing"),
        ({"data": 5, "by": "gene"}, "give a DataFrame, a Dask DataFrame"),
        ({"data": "x", "by": "gene", "output": "out", "on_error": "raise"}, "column problem"),
        ({"data": effects(), "by": "gene", "output": "out"}, "no effect without Parquet files"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((MetapeerError, ChoiceError), match=message):
        meta_analysis_batch(**options)


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    (tmp_path / "a.parquet").write_text("yi,vi", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.parquet(.|\n)*cannot be read as Parquet"):
        meta_analysis_batch([tmp_path / "a.parquet"], by="gene", output=tmp_path / "out")


def test_a_dask_frame_gives_what_one_table_gives_wherever_its_rows_lie():
    dd = pytest.importorskip("dask.dataframe")
    whole = effects(120)
    scattered = dd.from_pandas(whole.sample(frac=1.0, random_state=2), npartitions=5, sort=False)
    found = meta_analysis_batch(scattered, by="gene")
    assert set(found.columns) >= {"gene", "estimate", "problem"}  # known before anything is computed
    computed = found.compute(scheduler="synchronous")
    assert len(computed) == 120
    same(computed, whole)
    with pytest.raises(ChoiceError, match="no effect with a Dask DataFrame"):
        meta_analysis_batch(scattered, by="gene", output="out")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_killed_midway_loses_nothing_and_counts_nothing_twice(tmp_path):
    distributed = pytest.importorskip("distributed")
    whole = write(tmp_path / "in", files=24, sets=3000)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        finished_before = []

        def kill():
            while len(list((tmp_path / "out").glob("part-*.parquet"))) < 4:
                time.sleep(0.01)
            victim = next(iter(client.run(os.getpid).values()))
            os.kill(victim, signal.SIGKILL)
            finished_before.append(len(list((tmp_path / "out").glob("part-*.parquet"))))

        hand = threading.Thread(target=kill)
        hand.start()
        found = meta_analysis_batch(tmp_path / "in", by="gene", output=tmp_path / "out", client=client)
        hand.join(60)
    assert 4 <= finished_before[0] < 24
    assert (len(found), len(found.parts)) == (72_000, 24)
    frame = found.to_frame()
    assert frame["gene"].is_unique
    same(frame, whole)

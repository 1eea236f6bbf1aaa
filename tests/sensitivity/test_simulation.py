"""Simulation: performance measures are what a direct count gives, and known truths come out."""

import numpy as np
import pandas as pd
import pytest

from metapeer.errors import ChoiceError, MetapeerError
from metapeer.pooling.batch_models import meta_analysis_batch
from metapeer.sensitivity.simulation_draws import Draw, draw_effects, draw_smds
from metapeer.sensitivity.simulation_models import simulation_study


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_measures_are_those_of_a_direct_count():
    found = simulation_study(grid={"k": [6], "tau2": [0.05], "mean": [0.3]}, repetitions=400, seed=4)
    drawn = draw_effects(np.random.default_rng([4, 0]), 400, k=6, tau2=0.05, mean=0.3)
    for row in found.to_frame().to_dict("records"):
        tau2_method, ci_method = row["method"].split(", ")
        fits = meta_analysis_batch(yi=drawn.yi, vi=drawn.vi, tau2_method=tau2_method, ci_method=ci_method).to_frame()
        error = fits["estimate"] - 0.3
        covered = (fits["ci_low"] <= 0.3) & (fits["ci_high"] >= 0.3)
        held = (fits["pi_low"] <= drawn.new) & (drawn.new <= fits["pi_high"])
        assert row["bias"] == pytest.approx(error.mean(), abs=1e-14)
        assert row["empirical_se"] == pytest.approx(error.std(), rel=1e-12)
        assert row["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-12)
        assert row["coverage"] == covered.mean()
        assert row["coverage_mcse"] == pytest.approx(np.sqrt(covered.mean() * (1 - covered.mean()) / 400), rel=1e-12)
        assert row["rejected"] == (fits["p_value"] < 0.05).mean()
        assert row["pi_coverage"] == held.mean()
        assert row["tau2_bias"] == pytest.approx((fits["tau2"] - 0.05).mean(), abs=1e-14)


def test_hartung_and_knapps_interval_is_exact_where_variances_are_equal():
    grid = {"k": [3, 8], "tau2": [0.2], "spread": [1.0], "mean": [0.0]}
    frame = simulation_study(grid=grid, repetitions=20_000, methods={"HK": {}}).to_frame()
    assert (abs(frame["coverage"] - 0.95) < 4 * frame["coverage_mcse"]).all()
    assert (abs(frame["rejected"] - 0.05) < 4 * frame["rejected_mcse"]).all()


def test_a_block_at_a_time_counts_every_repetition_once(monkeypatch):
    whole = simulation_study(grid={"k": [4]}, repetitions=900, seed=2).to_frame()
    monkeypatch.setattr("metapeer.sensitivity.simulation_models._CELLS", 1000)
    parts = simulation_study(grid={"k": [4]}, repetitions=900, seed=2).to_frame()
    assert parts["repetitions"].tolist() == whole["repetitions"].tolist()
    assert (abs(parts["bias"] - whole["bias"]) < 6 * whole["bias_mcse"]).all()


def test_the_same_seed_gives_the_same_and_a_further_cell_changes_no_other():
    short = simulation_study(grid={"k": [3, 5]}, repetitions=200, seed=7).to_frame()
    long = simulation_study(grid={"k": [3, 5, 9]}, repetitions=200, seed=7).to_frame()
    pd.testing.assert_frame_equal(short, long.head(len(short)))


def test_smds_of_small_trials_have_the_truth_for_their_mean_and_the_right_spread():
    drawn = draw_smds(np.random.default_rng(5), 4000, k=5, mean=0.5, n=15, spread=1.0, tau2=0.1)
    assert drawn.yi.mean() == pytest.approx(0.5, abs=4 * drawn.yi.std() / np.sqrt(drawn.yi.size))
    assert drawn.yi.var() == pytest.approx(0.1 + drawn.vi.mean(), rel=0.05)


@pytest.mark.parametrize("shape", ["normal", "exponential", "two groups"])
def test_true_effects_have_the_mean_and_variance_asked_for(shape):
    drawn = draw_effects(np.random.default_rng(6), 50_000, k=1, mean=0.4, tau2=0.09, shape=shape)
    assert drawn.new.mean() == pytest.approx(0.4, abs=0.006)
    assert drawn.new.var() == pytest.approx(0.09, rel=0.04)


def test_a_draw_of_ones_own_is_fitted_and_told_by_name():
    def biased(rng, repetitions, *, k):
        drawn = draw_effects(rng, repetitions, k=k, mean=0.2)
        return Draw(drawn.yi + 1.0, drawn.vi, drawn.mean, drawn.tau2, drawn.new)

    told = []
    found = simulation_study(
        grid={"k": [5]}, draw=biased, repetitions=300, progress=lambda done, cells: told.append((done, cells))
    )
    assert found.to_frame()["bias"].tolist() == pytest.approx([1.0] * 3, abs=0.05)
    assert "drawn by biased, seed 1" in str(found)
    assert told == [(1, 1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": {}}, "grid is empty"),
        ({"grid": {"k": []}}, "grid is empty"),
        ({"grid": {"k": [5]}, "repetitions": 1}, "too few"),
        ({"grid": {"k": [5], "colour": ["red"]}}, "cannot be drawn"),
        ({"grid": {"k": [5], "tau2": [-1.0]}}, "must be 0 or more"),
        ({"grid": {"k": [5], "shape": ["round"]}}, "shape 'round' is unknown"),
        ({"grid": {"k": [5]}, "draw": "dice"}, "draw 'dice' is unknown"),
        ({"grid": {"k": [5], "variance": ["AV"]}, "draw": "smd"}, "another formula"),
        ({"grid": {"k": [5], "n": [2]}, "draw": "smd"}, "must be 4 or more"),
        ({"grid": {"k": [5]}, "methods": {"a": {"speed": 1}}}, "option 'speed'"),
        ({"grid": {"k": [5]}, "methods": {"a": {"ci_method": "PL"}}}, "use meta_analysis"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises((MetapeerError, ChoiceError), match=message):
        simulation_study(**options)

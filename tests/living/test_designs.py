"""Trials that randomised clusters are adjusted by their recorded design wherever a plan is run, and never silently."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import metapeer as mp
from metapeer.reproduction.evidence import row_effects
from metapeer.reproduction.plan import Method

TRIAL = {
    "study_id": ["smith2026"],
    "outcome": ["hope"],
    "format": ["group"],
    "timepoint": ["end_of_treatment"],
    "direction": ["higher_better"],
    "design": ["cluster"],
    "mean_cluster_size": [12.0],
    "icc": [0.05],
    "n1": [60.0],
    "mean1": [31.0],
    "sd1": [8.0],
    "n2": [58.0],
    "mean2": [29.0],
    "sd2": [9.0],
}
DEFF = 1 + 11 * 0.05
VARIANCE = "metapsy"  # of the plan of lyons2021


def trial(**changes):
    return pd.DataFrame(TRIAL | {name: [value] for name, value in changes.items()})


@pytest.fixture(scope="module")
def review():
    return mp.load_dataset("lyons2021")


def own_effect(found):
    data = found["hope"].after.data
    return data[data["study_id"] == "smith2026"].iloc[0]


def test_a_cluster_trial_weighs_as_its_effective_numbers_and_keeps_its_participants(review):
    found = mp.update(review, trial(), outcomes="hope")
    expected = mp.effect_size(trial(n1=60 / DEFF, n2=58 / DEFF), variance=VARIANCE).iloc[0]
    row = own_effect(found)
    assert row["yi"] == pytest.approx(expected["yi"], rel=1e-12)
    assert row["vi"] == pytest.approx(expected["vi"], rel=1e-12)
    assert found["hope"].after.participants - found["hope"].before.participants == 118
    assert "design effect 1.55 (mean cluster size 12, icc 0.05 as recorded)" in found["hope"].after.notes[-1]
    assert abs(sum(s.estimate for s in found["hope"].shares) - found["hope"].change["estimate"]) < 1e-12


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"icc": np.nan}, "not adjusted: icc is not recorded"),
        ({"mean_cluster_size": np.nan}, "not adjusted: mean_cluster_size is not recorded"),
        ({"icc": np.nan, "mean_cluster_size": np.nan}, "mean_cluster_size and icc are not recorded"),
        ({"design": "crossover"}, "crossover trial, pooled as it stands"),
    ],
)
def test_what_is_not_recorded_is_a_doubt_and_changes_no_number(review, changes, said):
    found = mp.update(review, trial(**changes), outcomes="hope")
    plain = mp.effect_size(trial(design=""), variance=VARIANCE).iloc[0]
    assert own_effect(found)["vi"] == pytest.approx(plain["vi"], rel=1e-12)
    assert said in found["hope"].after.notes[-1]


@pytest.mark.parametrize("design", ["", "parallel"])
def test_a_plain_design_leaves_the_rows_untouched(design):
    frame = trial(design=design)
    assert "unit_of_analysis" not in row_effects(frame, Method())


@pytest.mark.parametrize(("column", "value"), [("design", "Cluster"), ("icc", "abc"), ("mean_cluster_size", 0.5)])
def test_an_impossible_design_is_a_fault(review, column, value):
    with pytest.raises(mp.DataError, match=column):
        mp.update(review, trial(**{column: value}), outcomes="hope")


def test_a_ready_made_effect_is_widened_and_an_adjusted_one_is_not():
    ready = pd.DataFrame(
        {
            "study_id": ["a", "b"],
            "design": "cluster",
            "mean_cluster_size": 11.0,
            "icc": 0.1,
            "es_type": "d (positive favours peer support)",
            "es": 0.3,
            "es_se": 0.1,
            "statistic": ["post", "adjusted"],
        }
    )
    effects = row_effects(ready, Method())
    assert effects["sei"].tolist() == pytest.approx([0.1 * 2**0.5, 0.1], rel=1e-12)
    assert effects["es_se"].tolist() == [0.1, 0.1]
    assert "taken to allow for the clusters" in effects["unit_of_analysis"][1]


def test_a_changed_correlation_is_a_correction_that_moves_the_estimate(review, tmp_path):
    folder = mp.init_review(tmp_path / "lyons2021", start="lyons2021").path
    full = trial().assign(citation="Smith 2026", instrument="Herth Hope Index", source="Table 2")
    mp.add_rows(folder, full, write=True)
    before = mp.load_dataset(folder)
    assert before.trials.set_index("study_id").loc["smith2026", "icc"] == 0.05
    after = replace(before, trials=before.trials.assign(icc=before.trials["icc"].replace(0.05, 0.2)))
    found = mp.diff(before, after, outcomes="hope")
    assert [(share.stage, share.what) for share in found["hope"].shares] == [("correction", "smith2026.1")]
    assert found["hope"].change["estimate"] != 0
    # the ledger's claim rests on the same adjusted rows as the update
    claim = next(one for one in mp.reproduce(folder).claims if one.claim_id == "lyons-hope")
    assert claim.results["hope"].estimate == mp.pool_review(folder)["hope"].estimate
    again = mp.add_rows(folder, full.assign(study_id="doe2026", icc=np.nan))
    assert any("icc" in columns for row, columns in again.missing if row == "doe2026")


def test_a_correlation_tried_gives_what_it_gives_when_recorded(review):
    found = mp.icc_sensitivity(review, trial(), iccs=[0, 0.05, 0.3]).to_frame()
    assert set(found["outcome"]) == {"hope"}
    by_icc = found.set_index("icc")
    recorded = mp.update(review, trial(), outcomes="hope")["hope"].after
    plain = mp.update(review, trial(design="parallel"), outcomes="hope")["hope"].after
    assert by_icc.loc[0.05, "estimate"] == found["estimate"][0] == recorded.estimate
    assert by_icc.loc[0.0, "estimate"] == pytest.approx(plain.estimate, rel=1e-12)
    assert by_icc.loc[0.3, "estimate"] != plain.estimate


def test_the_sensitivity_says_what_it_cannot_vary(review):
    sizeless = mp.icc_sensitivity(review, trial(mean_cluster_size=np.nan))
    assert sizeless.lines == ()
    assert "mean_cluster_size is not recorded" in str(sizeless)
    missing = mp.icc_sensitivity(review, trial(icc=np.nan), iccs=[0.1])
    assert "not adjusted in the line 'as recorded'" in str(missing)
    with pytest.raises(mp.MetapeerError, match="from 0 to 1"):
        mp.icc_sensitivity(review, trial(), iccs=[1.5])
    assert "No cluster trial" in str(mp.icc_sensitivity(review, None))

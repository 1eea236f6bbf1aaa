"""A standard error that was not printed follows from what was, and the row says how."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metapeer as mp
from metapeer.living.adding_conversions import convert_row

PEER = {
    "study_id": ["poulsen2025"],
    "citation": ["Poulsen et al. 2025"],
    "format": ["group"],
    "outcome": ["recovery"],
    "instrument": ["QPR-15"],
    "timepoint": ["end_of_treatment"],
    "n1": [145],
    "n2": [151],
    "es_type": ["d (positive favours peer support)"],
    "es": [0.43],
    "es_se": [math.nan],
    "md": [5.1],
    "md_ci_low": [2.4],
    "md_ci_high": [7.8],
    "source": ["abstract"],
}


def cells(**changes):
    return {"es_type": "d", "es": "0.43", "md": "5.1", "md_ci_low": "2.4", "md_ci_high": "7.8"} | changes


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.01, 100).filter(lambda x: round(x, 6) > 0),
    st.floats(0.01, 50),
    st.floats(0.05, 3),
    st.sampled_from([1, -1]),
)
def test_both_effects_are_as_many_standard_errors_from_nothing(md, half, d, sign):
    low, high = sign * md - half, sign * md + half
    changed, _ = convert_row(cells(es=repr(d), md=repr(sign * md), md_ci_low=repr(low), md_ci_high=repr(high)))
    error = half / 1.959963984540054
    assert d / float(changed["es_se"]) == pytest.approx(md / error, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"md": ""}, "md: is missing"),
        ({"es": ""}, "es: is missing"),
        ({"md_ci_low": "low"}, "'low' is not a number"),
        ({"md_ci_low": "6"}, "does not lie in its interval"),
        ({"md_ci_low": "5.1", "md_ci_high": "5.1"}, "does not lie in its interval"),
        ({"md": "0", "md_ci_low": "-1"}, "gives no standard deviation"),
        ({"es": "0"}, "gives no standard deviation"),
        ({"es_type": "RR"}, "must name a standardised difference"),
        ({"es_type": ""}, "must name a standardised difference"),
        ({"es_se": "0.1"}, "would have no effect, since es_se is there"),
        ({"md": "1e999"}, "not a number"),
    ],
)
def test_what_gives_no_standard_error_is_told(changes, said):
    with pytest.raises(mp.DataError, match=said):
        convert_row(cells(**changes))


def test_a_row_without_these_columns_is_left_alone():
    assert convert_row({"es": "0.3", "es_type": "d"}) == ({}, "")


def test_adding_and_updating_agree_and_the_file_says_how(tmp_path):
    peer = pd.DataFrame(PEER)
    folder = mp.init_review(tmp_path / "mine", start="lyons2021").path
    typed = tmp_path / "peer.csv"
    peer.to_csv(typed, index=False)
    shown = mp.update("lyons2021", typed, outcomes="recovery")
    assert any("es_se computed by metapeer" in note for note in shown.notes)
    added = mp.add_rows(folder, typed, write=True)
    assert added.update["recovery"].after.estimate == shown["recovery"].after.estimate
    assert not any(finding.check == "se_not_from_sizes" for finding in added.audit.findings)
    row = mp.load_dataset(folder).outcomes.iloc[0]
    assert row["es_se"] == 0.116149
    assert "2.4 to 7.8" in row["note"]
    assert row["es"] == 0.43
    assert mp.update("lyons2021", peer, outcomes="recovery")["recovery"].after.estimate == pytest.approx(
        shown["recovery"].after.estimate, rel=1e-12
    )


def test_faults_of_a_difference_are_told_with_their_row(tmp_path):
    folder = mp.init_review(tmp_path / "mine", start="lyons2021").path
    bad = pd.DataFrame(PEER | {"md_ci_low": [9.0]})
    with pytest.raises(mp.DataError, match=r"poulsen2025.*does not lie in its interval"):
        mp.add_rows(folder, bad)
    with pytest.raises(mp.DataError, match=r"poulsen2025.*does not lie in its interval"):
        mp.update("lyons2021", bad)

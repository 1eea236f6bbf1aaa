"""Pooling every subset of the studies: against metafor's gosh(), and against single fits."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metapeer.errors import ChoiceError, MetapeerError
from metapeer.pooling.counts import mantel_haenszel
from metapeer.pooling.models import meta_analysis
from metapeer.sensitivity.gosh_models import gosh

CASES = json.loads((Path(__file__).parents[1] / "golden" / "gosh.json").read_text(encoding="utf-8"))["cases"]


def table(k=6, seed=1, outlier=None):
    rng = np.random.default_rng(seed)
    vi = rng.uniform(0.01, 0.1, k)
    yi = rng.normal(0.2, np.sqrt(vi))
    if outlier is not None:
        yi[outlier] = 3.0
    return pd.DataFrame({"study_id": [f"s{i}" for i in range(k)], "yi": yi, "vi": vi})


@pytest.mark.parametrize("case", CASES, ids=[case["method"] for case in CASES])
def test_every_subset_is_metafors(case):
    options = {"model": "common"} if case["method"] == "EE" else {"tau2_method": case["method"]}
    data = pd.DataFrame({"yi": case["yi"], "vi": case["vi"]})
    found = gosh(data, **options).to_frame()
    assert len(found) == len(case["k"])
    several = np.array(case["k"]) > 1
    for name in ("estimate", "Q", "I2", "tau2"):
        ours = found[name][found["k"] > 1] if name in ("tau2", "I2") else found[name]
        theirs = np.array(case[name])[several] if name in ("tau2", "I2") else np.array(case[name])
        # metafor goes through the subsets in another order
        np.testing.assert_allclose(np.sort(ours), np.sort(theirs), rtol=1e-10, atol=1e-10)


def test_a_subset_is_the_single_fit_of_its_studies():
    data = table()
    fit = meta_analysis(data, ci_method="z")
    found = gosh(fit)
    assert (found.model, found.tau2_method, len(found), found.complete) == ("random", "REML", 63, True)
    for row in found.to_frame().itertuples():
        inside = [bool(row.subset >> i & 1) for i in range(6)]
        single = meta_analysis(data[inside], ci_method="z")
        assert row.k == sum(inside)
        assert row.estimate == pytest.approx(single.estimate, rel=1e-12)
        if row.k > 1:
            assert (row.tau2, row.I2) == pytest.approx((single.tau2, single.I2), rel=1e-9, abs=1e-10)


def test_subsets_are_drawn_without_repetition_when_there_are_too_many():
    found = gosh(table(12), subsets=500, tau2_method="DL", seed=3)
    again = gosh(table(12), subsets=500, tau2_method="DL", seed=3)
    assert not found.complete
    assert len(np.unique(found.members)) == 500
    np.testing.assert_array_equal(found.members, again.members)
    assert "drawn at random (seed 3)" in str(found)
    shares = [found.has(f"s{i}").mean() for i in range(12)]
    assert min(shares) > 0.4
    assert max(shares) < 0.6


def test_the_study_that_makes_the_heaps_is_named():
    pytest.importorskip("sklearn")
    found = gosh(table(9, outlier=4), tau2_method="DL")
    assert found.studies()["label"][0] == "s4"
    for method in ("gmm", "kmeans", "dbscan"):
        heaps = found.clusters(method=method)
        excess = heaps.to_frame().set_index("label").abs().max(axis=1)
        assert excess.idxmax() == "s4", method
        assert excess["s4"] > 0.5, method
        assert heaps.sizes["subsets"].sum() + heaps.noise == heaps.looked_at
    assert "heaps of subsets by dbscan" in str(heaps)


def test_a_figure_shows_the_subsets_with_a_study_apart():
    figure = gosh(table(8, outlier=2), tau2_method="DL").plot(study="s2")
    assert any("s2" in text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text")))


def test_progress_reaches_the_end():
    told = []
    gosh(table(8), tau2_method="DL", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (255, 255)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gosh(table(2)), "three or more"),
        (lambda: gosh(table(64)), "too many"),
        (lambda: gosh([1, 2, 3]), "give a fit or a table"),
        (lambda: gosh(table(5), subsets=0), "number of subsets"),
        (lambda: gosh(table(5)).has("nobody"), "label 'nobody' is unknown"),
        (lambda: gosh(table(5)).clusters(clusters=1), "give 2 or more"),
        (lambda: gosh(table(3)).clusters(), "too few"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises((MetapeerError, ChoiceError), match=message):
        call()


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_two_effects_of_one_name_keep_their_own_numbers():
    data = table(k=5, outlier=1).assign(study_id=["a", "a", "b", "c", "d"])
    found = gosh(data, tau2_method="DL")
    other = gosh(data.assign(study_id=list("vwxyz")), tau2_method="DL")
    names = dict(zip("vwxyz", ["a", "a", "b", "c", "d"], strict=True))
    expected = other.studies().assign(label=lambda frame: frame["label"].map(names))
    pd.testing.assert_frame_equal(found.studies(), expected)
    with pytest.raises(ChoiceError, match="2 effects are called 'a'"):
        found.has("a")
    assert "5 effects from 4 trials" in str(found)
    assert "trials" not in str(other)


def test_ratios_are_printed_as_ratios_and_other_scales_are_named():
    data = table().assign(measure="OR")
    found = gosh(data, tau2_method="DL")
    first = found.studies().iloc[0]
    assert "OR with" in str(found)
    assert f"{np.exp(first['estimate_with']):.3f}" in str(found)
    assert "logit PLO with" in str(gosh(data.assign(measure="PLO"), tau2_method="DL"))


def test_a_fit_of_counts_is_not_taken_for_one_of_effects():
    counts = pd.DataFrame(
        {"events1": [4, 6, 3, 9], "total1": [50, 60, 40, 80], "events2": [8, 9, 7, 12], "total2": [52, 58, 41, 79]}
    )
    with pytest.raises(MetapeerError, match="Mantel-Haenszel"):
        gosh(mantel_haenszel(counts, measure="OR"))


def test_nearly_all_subsets_are_drawn_without_end_and_without_repetition():
    found = gosh(table(k=12), tau2_method="DL", subsets=2**12 - 2)
    assert len(found) == 2**12 - 2 == found.to_frame()["subset"].nunique()
    assert not found.complete

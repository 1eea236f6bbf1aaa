"""Many meta-analyses at once: each is the one that `meta_analysis` gives alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.pooling.batch_fit import BATCH_CI_METHODS, BATCH_PREDICTION_METHODS, COLUMNS, batch_options, fit_sets
from metapeer.pooling.batch_likelihood import maximise_many
from metapeer.pooling.batch_models import meta_analysis_batch
from metapeer.pooling.batch_sets import pieces, sets_from_matrix
from metapeer.pooling.batch_tau2 import SLOW_METHODS, tau2_many
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.tau2 import TAU2_METHODS, estimate_tau2

RTOL = 1e-10
"""Both sides converge to rounding; sums run in another order, which costs a few digits where effects nearly cancel."""
ENGINES = ["numpy", "numba"]
SEVERAL_PEAKS = ([-0.9, 19.49, 1.17, 0.27], [0.159, 38.894, 0.53, 0.125])


@pytest.fixture(params=ENGINES)
def engine(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    return request.param


def random_sets(seed, n=40, k=8, absent=0.3):
    rng = np.random.default_rng(seed)
    vi = np.exp(rng.normal(-2.0, 1.0, (n, k)))
    yi = rng.normal(0.2, np.sqrt(vi + rng.choice([0.0, 0.02, 0.5], (n, 1))))
    there = rng.random((n, k)) >= absent
    there[:, 0] = True
    return np.where(there, yi, np.nan), np.where(there, vi, np.nan)


def alone(yi, vi, i, **options):
    there = ~np.isnan(yi[i])
    return meta_analysis(yi=yi[i][there], vi=vi[i][there], **options).to_frame().iloc[0]


def agree(found, yi, vi, names=COLUMNS, **options):
    frame = found.to_frame()
    for i in range(len(frame)):
        fit = alone(yi, vi, i, **options)
        width = max(1.0, fit["ci_high"] - fit["ci_low"])
        for name in names:
            if name in ("other_maxima", "certified", "narrow"):
                continue
            ours, theirs = float(frame[name][i]), float(fit[name])
            assert ours == pytest.approx(theirs, rel=RTOL, abs=RTOL * width, nan_ok=True), (i, name)


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
@pytest.mark.parametrize("ci_method", BATCH_CI_METHODS)
@pytest.mark.parametrize("tau2_method", ["REML", "ML", "DL"])
def test_every_interval_is_that_of_the_single_fit(engine, tau2_method, ci_method):
    yi, vi = random_sets(1, n=12)
    options = {"tau2_method": tau2_method, "ci_method": ci_method}
    agree(meta_analysis_batch(yi=yi, vi=vi, engine=engine, **options), yi, vi, **options)


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
@pytest.mark.parametrize("prediction_method", BATCH_PREDICTION_METHODS)
@pytest.mark.parametrize("ci_method", ["z", "HK", "HK_se"])
def test_every_prediction_interval_is_that_of_the_single_fit(ci_method, prediction_method):
    yi, vi = random_sets(2, n=10)
    options = {"ci_method": ci_method, "prediction_method": prediction_method}
    agree(meta_analysis_batch(yi=yi, vi=vi, **options), yi, vi, **options)


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
@pytest.mark.parametrize("ci_method", ["z", "t"])
def test_common_effects_are_those_of_the_single_fit(ci_method):
    yi, vi = random_sets(3, n=12)
    options = {"model": "common", "ci_method": ci_method}
    agree(meta_analysis_batch(yi=yi, vi=vi, **options), yi, vi, **options)


@pytest.mark.parametrize("tau2_method", TAU2_METHODS)
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e5])
def test_every_estimator_of_tau2_is_that_of_the_single_fit_at_any_scale(tau2_method, scale):
    yi, vi = random_sets(4, n=3 if tau2_method in SLOW_METHODS else 25)
    if tau2_method == "BM" and scale != 1.0:
        pytest.skip("its prior has a unit")
    there = (~np.isnan(yi)).sum(axis=1) > 1
    yi, vi = yi[there].T * scale, vi[there].T * scale**2
    absent = np.isnan(yi)
    found = tau2_many(np.where(absent, 0.0, yi), np.where(absent, np.inf, vi), tau2_method)
    for i in range(yi.shape[1]):
        y, v = yi[~absent[:, i], i], vi[~absent[:, i], i]
        expected = estimate_tau2(y, v, tau2_method).tau2
        assert found.tau2[i] == pytest.approx(expected, rel=RTOL, abs=RTOL * v.min())


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.lists(
            st.tuples(st.floats(-5, 5).map(lambda x: round(x, 3)), st.floats(-9, 5).map(lambda x: float(np.exp(x)))),
            min_size=1,
            max_size=7,
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_sets_at_once_are_the_same_sets_alone(sets):
    widest = max(map(len, sets))
    yi, vi = np.full((len(sets), widest), np.nan), np.full((len(sets), widest), np.nan)
    for i, rows in enumerate(sets):
        yi[i, : len(rows)], vi[i, : len(rows)] = zip(*rows, strict=True)
    agree(meta_analysis_batch(yi=yi, vi=vi), yi, vi, names=("k", "estimate", "tau2", "Q", "se", "I2_Q"))


def hard_sets(n, k, seed):
    rng = np.random.default_rng(seed)
    vi = np.exp(rng.normal(-1.0, 2.0, (n, k)))
    return rng.normal(0.0, np.sqrt(vi + np.exp(rng.normal(-1.0, 2.0, (n, 1))))), vi


def test_of_several_maxima_the_highest_is_taken_and_others_are_counted(engine):
    yi, vi = hard_sets(400, 4, 5)
    yi[0], vi[0] = SEVERAL_PEAKS
    with pytest.warns(DataWarning, match="several maxima"):
        found = meta_analysis_batch(yi=yi, vi=vi, engine=engine, ci_method="z").to_frame()
    assert found["tau2"][0] == pytest.approx(0.99887, abs=1e-5)
    assert found["other_maxima"][0] == 1
    for i in range(0, 400, 4):
        single = estimate_tau2(yi[i], vi[i], "REML")
        assert found["tau2"][i] == pytest.approx(single.tau2, rel=RTOL, abs=RTOL * vi[i].min())
        assert found["other_maxima"][i] == len(single.other_maxima)
    assert found["certified"].all()


@pytest.mark.parametrize("restricted", [True, False])
def test_no_maximum_is_missed_in_many_hard_sets(restricted):
    compiled = pytest.importorskip("metapeer.pooling.batch_compiled")
    method = "REML" if restricted else "ML"
    for k in (2, 3, 5, 9):
        yi, vi = hard_sets(2500, k, k)
        found = maximise_many(yi.T.copy(), vi.T.copy(), restricted=restricted)
        rows, others = compiled.maximise_rows(yi, vi, np.full(2500, k), restricted=restricted)
        able = others >= 0
        assert able.mean() > 0.2
        np.testing.assert_allclose(rows[able], found.tau2[able], rtol=1e-9, atol=1e-10)
        np.testing.assert_array_equal(others[able], found.others[able])
        for i in range(2500):
            single = estimate_tau2(yi[i], vi[i], method)
            assert found.tau2[i] == pytest.approx(single.tau2, rel=RTOL, abs=RTOL * vi[i].min())


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_one_study_that_outweighs_all_others_costs_no_digits(engine):
    yi = np.array([[0.1, 0.5, 0.9], [0.0, 1e-7, 2e-7]])
    vi = np.array([[1e-12, 1.0, 1.0], [1e-20, 1e-4, 3.0]])
    agree(meta_analysis_batch(yi=yi, vi=vi, engine=engine), yi, vi, names=("estimate", "tau2", "I2", "Q"))


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_a_table_with_groups_in_any_order_gives_what_each_group_gives():
    yi, vi = random_sets(6, n=30)
    sets, studies = np.nonzero(~np.isnan(yi))
    table = pd.DataFrame({"gene": [f"g{i}" for i in sets], "yi": yi[sets, studies], "sei": np.sqrt(vi[sets, studies])})
    shuffled = table.sample(frac=1.0, random_state=1)
    found = meta_analysis_batch(shuffled, by="gene").to_frame().set_index("gene")
    assert list(found.index) == list(dict.fromkeys(shuffled["gene"]))
    for i in range(30):
        single = alone(yi, vi, i)
        assert found.loc[f"g{i}", "estimate"] == pytest.approx(single["estimate"], rel=RTOL)
        assert found.loc[f"g{i}", "k"] == single["k"]


def test_groups_may_be_made_of_several_columns():
    table = pd.DataFrame({"a": [1, 1, 2], "b": ["x", "y", "x"], "yi": [0.1, 0.2, 0.3], "vi": [0.1, 0.1, 0.1]})
    found = meta_analysis_batch(table, by=["a", "b"]).to_frame()
    assert found[["a", "b", "k"]].to_numpy().tolist() == [[1, "x", 1], [1, "y", 1], [2, "x", 1]]
    assert found["ci_method"].tolist() == ["z", "z", "z"]  # one study has the normal interval of that study


def test_rows_with_an_exclusion_reason_take_no_part():
    table = pd.DataFrame(
        {
            "g": ["a"] * 3,
            "yi": [0.1, None, 0.5],
            "vi": [0.1, None, 0.1],
            "exclusion_reason": ["", "sd1 is missing", None],
        }
    )
    assert meta_analysis_batch(table, by="g").to_frame()["k"].tolist() == [2]


def test_a_bad_number_in_one_set_is_reported_with_its_group_and_the_others_finish(engine):
    yi, vi = random_sets(7, n=50, absent=0.0)
    table = pd.DataFrame({"gene": np.repeat(np.arange(50), 8), "study_id": [f"s{i % 8}" for i in range(400)]})
    table["yi"], table["vi"] = yi.ravel(), vi.ravel()
    table["line"] = table.index + 2
    table.loc[91, "vi"] = -1.0
    table.loc[93, "yi"] = np.inf
    with pytest.warns(
        DataWarning, match=r"1 set could not be pooled: line 93 \(gene 11, s3\), vi: -1 is not a sampling"
    ):
        found = meta_analysis_batch(table, by="gene", engine=engine, ci_method="z")
    frame = found.to_frame()
    assert found.failed == 1
    assert found.faults[["set", "row", "column"]].to_numpy().tolist() == [[11, "s3", "vi"], [11, "s5", "yi"]]
    assert frame.loc[11, "estimate":"ci_high"].isna().all()
    assert frame.drop(index=11)["estimate"].notna().all()
    with pytest.raises(DataError) as caught:
        meta_analysis_batch(table, by="gene", on_error="raise")
    assert len(caught.value.faults) == 2


def test_a_set_of_mixed_measures_cannot_be_pooled():
    table = pd.DataFrame(
        {"g": ["a", "a", "b", "b"], "yi": [0.1] * 4, "vi": [0.1] * 4, "measure": ["SMD", "MD", "SMD", "SMD"]}
    )
    with pytest.warns(DataWarning, match="g a, measure: rows of the set differ"):
        found = meta_analysis_batch(table, by="g", ci_method="z").to_frame()
    assert found["estimate"].isna().tolist() == [True, False]


def test_several_effects_of_one_trial_are_told():
    table = pd.DataFrame({"g": ["a", "a", "b"], "study_id": ["x", "x", "x"], "yi": [0.1] * 3, "vi": [0.1] * 3})
    with pytest.warns(DataWarning, match="1 set with several effects of one trial"):
        meta_analysis_batch(table, by="g", ci_method="z")


def test_arrays_may_say_by_a_mask_which_studies_take_part():
    yi, vi = np.array([[0.1, 0.5, 9.0], [0.2, 0.3, 0.9]]), np.array([[0.02, 0.03, -1.0], [0.02, 0.03, 0.04]])
    mask = np.array([[True, True, False], [True, True, True]])
    found = meta_analysis_batch(yi=yi, vi=vi, mask=mask).to_frame()
    assert found["k"].tolist() == [2, 3]
    masked = meta_analysis_batch(yi=np.ma.array(yi, mask=~mask), vi=np.ma.array(vi, mask=~mask)).to_frame()
    pd.testing.assert_frame_equal(found, masked)


def test_an_interval_that_collapses_is_told():
    with pytest.warns(DataWarning, match="1 set with a Hartung-Knapp interval narrower"):
        found = meta_analysis_batch(yi=[[0.1, 0.11, 0.09, 0.1]], vi=[[0.01, 0.02, 0.015, 0.03]])
    assert found.to_frame()["narrow"].tolist() == [True]


def test_a_set_without_a_study_is_reported():
    with pytest.warns(DataWarning, match="set 1: has no study"):
        found = meta_analysis_batch(yi=[[0.1, 0.2], [np.nan, np.nan]], vi=[[0.1, 0.2], [np.nan, np.nan]])
    assert found.failed == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give either a table"),
        ({"yi": [[0.1]]}, "give either vi"),
        ({"yi": [0.1], "vi": [0.1]}, "row for each set"),
        ({"yi": [[0.1]], "vi": [[0.1, 0.2]]}, "pair up"),
        ({"yi": [["x"]], "vi": [[0.1]]}, "must be numbers"),
        ({"yi": [[0.1]], "vi": [[0.1]], "mask": [[1]]}, "True or False"),
        ({"yi": [[0.1]], "vi": [[0.1]], "by": "g"}, "names columns"),
        ({"yi": [[0.1]], "vi": [[0.1]], "on_error": "ignore"}, "on_error"),
        ({"yi": [[0.1]], "vi": [[0.1]], "ci_method": "PL"}, "use meta_analysis"),
        ({"yi": [[0.1]], "vi": [[0.1]], "prediction_method": "NNF"}, "use meta_analysis"),
        ({"yi": [[0.1]], "vi": [[0.1]], "model": "common", "tau2_method": "DL"}, "has no effect"),
        ({"yi": [[0.1]], "vi": [[0.1]], "model": "common", "ci_method": "HK"}, "belongs to the random"),
        ({"yi": [[0.1]], "vi": [[0.1]], "engine": "fortran"}, "engine"),
        ({"data": pd.DataFrame({"yi": [1.0], "vi": [1.0]})}, "by is missing"),
        ({"data": pd.DataFrame({"yi": [1.0]}), "by": "g"}, "column g is missing"),
        ({"data": pd.DataFrame({"yi": [1.0], "vi": [1.0], "g": [1]}), "by": ["g", "g"]}, "a column twice"),
        ({"yi": [[0.1]], "vi": [[0.1]], "workers": 0}, "number of threads"),
        ({"data": pd.DataFrame({"yi": [1.0], "vi": [1.0], "g": [None]}), "by": "g"}, "needs a set"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_remedy(arguments, message):
    with pytest.raises(MetapeerError, match=message):
        meta_analysis_batch(**arguments)


def test_no_rows_make_no_sets():
    empty = pd.DataFrame({"g": pd.Series(dtype=str), "yi": pd.Series(dtype=float), "vi": pd.Series(dtype=float)})
    found = meta_analysis_batch(empty, by="g")
    assert len(found) == 0
    assert found.to_frame().empty
    assert "0 sets pooled of 0" in str(found)


def test_pieces_hold_every_set_once_and_stay_small():
    rng = np.random.default_rng(8)
    sizes = np.concatenate([rng.integers(1, 40, 3000), [5000, 90_000]])
    there = np.arange(40) < sizes[:3000, None]
    sets = sets_from_matrix(np.ones((3000, 40)), np.ones((3000, 40)), there)
    seen = np.concatenate([piece.sets for piece in pieces(sets, np.arange(3000))])
    assert sorted(seen.tolist()) == list(range(3000))
    for piece in pieces(sets, np.arange(3000)):
        assert piece.yi.size <= 80_000
        assert np.isfinite(piece.vi).sum(axis=1).tolist() == piece.sizes.tolist()


def test_progress_is_told_to_the_end_and_threads_change_nothing(engine):
    yi, vi = hard_sets(25_000, 3, 9)
    sets, told = sets_from_matrix(yi, vi), []
    options = batch_options(engine=engine)
    one = fit_sets(sets, options, workers=1, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (25_000, 25_000)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    two = fit_sets(sets, options, workers=2)
    for name in COLUMNS:
        np.testing.assert_array_equal(one[name], two[name])


def test_an_unknown_option_names_what_is_known():
    with pytest.raises(ChoiceError, match="Did you mean 'REML'"):
        batch_options(tau2_method="RELM")

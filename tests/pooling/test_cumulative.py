"""Cumulative meta-analysis: step by step against metafor's cumul(), and in any order."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.pooling.cumulative_models import cumulative
from metapeer.pooling.models import meta_analysis

KIND = {"REML": "likelihood", "PM": "root"}


def table(yi, vi, **columns):
    names = [f"t{i}" for i in range(len(yi))]
    return pd.DataFrame({"study_id": names, "yi": yi, "vi": vi, **columns})


def options(method, ci_method="z"):
    if method == "EE":
        return {"model": "common", "ci_method": ci_method}
    return {"tau2_method": method, "ci_method": ci_method}


def compare(found, row, kind, agrees):
    frame = found.to_frame()
    assert len(frame) == len(row["estimate"])
    for i, ours in enumerate(frame.to_dict("records")):
        agrees(kind, ours["estimate"], row["estimate"][i], scale=ours["se"])
        agrees(kind, ours["se"], row["se"][i])
        agrees("p", ours["p_value"], row["p"][i])
        width = ours["ci_high"] - ours["ci_low"]
        agrees(kind, ours["ci_low"], row["ci_low"][i], scale=width)
        agrees(kind, ours["ci_high"], row["ci_high"][i], scale=width)
        agrees(kind, ours["Q"], row["Q"][i], scale=1 + row["Q"][i])
        if row["tau2"] is not None and i:
            agrees(kind, ours["tau2"], row["tau2"][i])


@pytest.mark.golden("cumulative", "steps")
def test_every_step_is_metafors(row, golden_set, agrees):
    yi, vi, _ = golden_set(row["data"])
    # metafor's order says which row enters when; ours ranks each row
    found = cumulative(table(yi, vi), order=np.argsort(row["order"]), **options(row["method"]))
    compare(found, row, KIND.get(row["method"], "formula"), agrees)


@pytest.mark.golden("cumulative", "by_year")
def test_ordered_by_year_every_step_is_metafors(row, agrees):
    method, test = row["id"].split("_")[-2:]
    found = cumulative(table(row["yi"], row["vi"], year=row["year"]), **options(method, test))
    row = dict(row)
    first = {name: row[name][0] for name in ("se", "p", "ci_low", "ci_high")}
    if test == "t":  # a t distribution of one study has no degrees of freedom; ours is normal there
        one = found.results[0]
        row |= {
            name: [value, *row[name][1:]]
            for name, value in (("p", one.p_value), ("ci_low", one.ci.low), ("ci_high", one.ci.high))
        }
        assert first["se"] == pytest.approx(one.se)
    compare(found, row, KIND.get(method, "formula"), agrees)
    assert [int(names[0][1:]) + 1 for names in found.added] == sorted(
        range(1, 14), key=lambda i: (row["year"][i - 1], i)
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(0.01, 1.0), st.integers(1990, 2000)), min_size=2, max_size=8))
def test_the_last_step_is_the_meta_analysis_of_all_and_steps_forget_nothing(trials):
    yi, vi, year = map(list, zip(*trials, strict=True))
    data = table(yi, vi, year=year)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # some draws have a likelihood with two maxima
        found = cumulative(data, ci_method="z")
        every = meta_analysis(data, ci_method="z")
        backwards = cumulative(data, descending=True, ci_method="z")
    assert found.results[-1].estimate == pytest.approx(every.estimate, rel=1e-9, abs=1e-12)
    assert [fit.k for fit in found.results] == list(range(1, len(yi) + 1))
    assert sorted(name for names in found.added for name in names) == sorted(data["study_id"])
    assert backwards.results[0].yi[0] in data.loc[data["year"] == max(year), "yi"].tolist()


def test_rows_of_one_year_may_enter_together():
    data = table([0.1, 0.2, 0.3], [0.1, 0.1, 0.1], year=[2001, 2000, 2000])
    found = cumulative(data, together=True)
    assert found.added == (("t1", "t2"), ("t0",))
    assert list(found.to_frame()["value"]) == ["2000", "2001"]


def test_rows_that_cannot_be_pooled_are_told_in_the_last_result():
    data = table([0.1, np.nan, 0.3], [0.1, np.nan, 0.1], year=[2001, 2000, 2002], exclusion_reason=["", "no sd", ""])
    found = cumulative(data)
    assert [fit.k for fit in found.results] == [1, 2]
    assert found.results[-1].excluded == (("t1", "no sd"),)


def test_every_row_without_a_year_is_named():
    data = table([0.1, 0.2, 0.3], [0.1, 0.1, 0.1], year=[2001, np.nan, np.nan])
    with pytest.raises(DataError, match=r"2 problems(.|\n)*t1, year(.|\n)*t2, year"):
        cumulative(data)


def test_an_order_that_does_not_exist_or_fit_is_refused():
    data = table([0.1, 0.2], [0.1, 0.1])
    with pytest.raises(DataError, match="no column 'year'"):
        cumulative(data)
    with pytest.raises(DataError, match="one value for each of the 2 rows"):
        cumulative(data, order=[1, 2, 3])
    with pytest.raises(DataError, match="numbers and texts"):
        cumulative(data, order=[1, "b"])
    with pytest.raises(ChoiceError, match="REML"):
        cumulative(data, order=[1, 2], tau2_method="RELM")
    with pytest.raises(MetapeerError, match="give a table"):
        cumulative([0.1, 0.2])


def test_effects_of_one_trial_are_warned_of_once():
    data = table([0.1, 0.2], [0.1, 0.1], year=[1, 2]).assign(study_id="a")
    with pytest.warns(DataWarning, match="2 effects from 1 trial"):
        cumulative(data)


def test_the_figure_has_a_diamond_for_each_step():
    data = table([0.1, 0.2, 0.4], [0.1, 0.1, 0.1], year=[2001, 2002, 2003])
    texts = [text.get_text() for text in cumulative(data).plot().axes[0].texts]
    assert {"+ t0", "+ t1", "+ t2", "2003"} <= set(texts)


def test_ratios_are_printed_as_ratios():
    data = table(np.log([2.0, 2.0]), [0.1, 0.1], year=[1, 2]).assign(measure="RR")
    assert "2.000" in cumulative(data).summary()

"""Influence: every diagnostic against metafor's, and every deletion against the meta-analysis of the other rows."""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.plots.baujat import baujat_plot
from metapeer.plots.influence_panels import Panel, influence_plot
from metapeer.pooling.counts import mantel_haenszel
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.multilevel_models import multilevel_meta_analysis
from metapeer.pooling.regression_models import meta_regression
from metapeer.sensitivity.deletion_models import leave_one_out
from metapeer.sensitivity.deletion_results import change_of_conclusion
from metapeer.sensitivity.influence_models import influence, outliers
from metapeer.sensitivity.influence_predictions import blup

GOLDEN = Path(__file__).parents[1] / "golden"
READ = json.loads((GOLDEN / "influence.json").read_text(encoding="utf-8"))
SETS = json.loads((GOLDEN / "pooling_data.json").read_text(encoding="utf-8"))["sets"]

# Relative, and absolute in units of the largest number of the column. Closed formulas agree to 1e-13; REML in metafor
# stops once a step in tau2 is below 1e-11 and so is good to about 4e-9; with moderators metafor solves normal equations
# of condition 3e5; rma.mv is level at its maximum, so that parameters are good to about 1e-5 of their standard errors.
TOLERANCES = {"formula": 1e-11, "likelihood": 1e-8, "root": 1e-10, "moderators": 1e-8, "multilevel": 2e-5}
KINDS = {"REML": "likelihood", "PM": "root"}


def rows(table):
    content = READ[table]
    found = [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]
    return [pytest.param(row, id="-".join(str(v) for v in row.values() if isinstance(v, str))) for row in found]


def agrees(kind, ours, theirs):
    expected = np.array([math.nan if value is None else value for value in theirs], dtype=float)
    there = np.isfinite(expected)
    assert there.any()
    tolerance = TOLERANCES[kind]
    largest = np.abs(expected[there]).max()
    np.testing.assert_allclose(np.asarray(ours)[there], expected[there], rtol=tolerance, atol=tolerance * largest)


def options(method, test):
    if method == "EE":
        return {"model": "common"}
    return {"tau2_method": method, "ci_method": "HK" if test == "knha" else "z"}


def golden_fit(row):
    found = SETS[row["data"]]
    return meta_analysis(yi=found["yi"], vi=found["vi"], **options(row["method"], row.get("test", "z")))


NAMES = ("rstandard", "rstudent", "dffits", "cook_d", "cov_r", "tau2_del", "QE_del", "hat", "weight")


@pytest.mark.parametrize("row", rows("diagnostics"))
@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_every_diagnostic_is_metafors(row):
    kind = KINDS.get(row["method"], "formula")
    found = influence(golden_fit(row))
    for name in (*NAMES, "baujat_x", "baujat_y"):
        if row[name] is None:
            continue
        if not any(row[name]):  # tau2 of a common effect
            assert not getattr(found, name).any()
        elif max(map(abs, row[name])) < 1e-11:  # metafor's zero on the boundary
            assert np.abs(getattr(found, name)).max() < 1e-11
        else:
            agrees(kind, getattr(found, name), row[name])
    agrees(kind, found.dfbetas[:, 0], row["dfbetas"])
    assert found.is_influential.tolist() == row["influential"]


@pytest.mark.parametrize("row", rows("leave_one_out"))
@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_every_deletion_is_metafors(row):
    kind = KINDS.get(row["method"], "formula")
    found = leave_one_out(golden_fit(row))
    for ours, theirs in (
        ("estimate", "estimate"),
        ("se", "se"),
        ("p_value", "p"),
        ("ci_low", "ci_low"),
        ("ci_high", "ci_high"),
        ("Q", "Q"),
        ("Q_p", "Q_p"),
    ):
        agrees(kind, getattr(found, ours), row[theirs])
    if row["method"] == "EE":
        agrees(kind, found.I2_Q, row["I2"])
    elif max(row["tau2"]) > 1e-11:
        agrees(kind, found.tau2, row["tau2"])
        agrees(kind, found.I2, row["I2"])


@pytest.mark.parametrize("row", rows("blup"))
def test_predictions_of_true_effects_are_metafors(row):
    kind = KINDS.get(row["method"], "formula")
    found = blup(golden_fit(row))
    if found.tau2 < 1e-11:  # metafor ends near 1e-12, whose root is the standard error of what is known exactly
        np.testing.assert_allclose(found.estimate, row["blup"], rtol=1e-9)
        return
    for ours, theirs in (("estimate", "blup"), ("se", "se"), ("pi_low", "low"), ("pi_high", "high")):
        agrees(kind, getattr(found, ours), row[theirs])


@pytest.mark.sampled(keep=7)
@pytest.mark.parametrize("row", rows("regression"))
@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_diagnostics_of_a_meta_regression_are_metafors(row):
    table = pd.DataFrame(READ["frames"]["regression"])
    fit = meta_regression(table, formula=row["formula"].lstrip("~ "), **options(row["method"], row["test"]))
    found = influence(fit)
    for name in (*NAMES, "baujat_x", "baujat_y"):
        if (name == "rstudent" and row["test"] == "knha") or (name == "tau2_del" and row["method"] == "EE"):
            continue
        agrees("moderators", getattr(found, name), row[name])
    for j, theirs in enumerate(row["dfbetas"]):
        agrees("moderators", found.dfbetas[:, j], theirs)
    assert found.is_influential.tolist() == [bool(flag) for flag in row["influential"]]
    if row["blup"]:
        own = blup(fit)
        agrees("moderators", own.estimate, row["blup"])
        agrees("moderators", own.se, row["blup_se"])


@pytest.mark.parametrize("row", rows("knha"))
def test_with_hartung_knapp_a_residual_keeps_the_rows_own_variance_which_metafor_scales(row):
    table = pd.DataFrame(READ["frames"]["regression"])
    fit = meta_analysis(yi=table["yi"], vi=table["vi"], tau2_method=row["method"])
    found, left = influence(fit), leave_one_out(fit)
    scale = np.array([left.without(name).hk_q for name in fit.labels])
    own = fit.vi + found.tau2_del
    agrees("likelihood", found.rstudent * np.sqrt((own + left.se**2) / (scale * own + left.se**2)), row["rstudent"])
    agrees("likelihood", found.rstandard, row["rstandard"])
    predicted = blup(fit)
    for ours, theirs in (("estimate", "blup"), ("pi_low", "blup_low"), ("pi_high", "blup_high")):
        agrees("likelihood", getattr(predicted, ours), row[theirs])


@pytest.mark.sampled(keep=1)
@pytest.mark.parametrize("row", rows("multilevel"))
def test_influence_of_clusters_on_a_multilevel_model_is_metafors(row):
    table = pd.DataFrame(READ["frames"]["multilevel"])
    table = table.assign(
        study_id=table["district"].astype(int).astype(str),
        school=table["school"].astype(int),
        since=table["year"] - 1990,
    )
    moderators = {} if row["mods"] == "~ 1" else {"moderators": ["since"]}
    fit = multilevel_meta_analysis(table, random="~ 1 | study_id/school", ci_method="z", **moderators)
    found = influence(fit)
    frame = found.to_frame().set_index("label").loc[row["clusters"]]
    agrees("multilevel", frame["cook_d"], row["cook_d"])
    agrees("multilevel", found.to_frame().set_index("label").loc[row["x2_clusters"], "x2"], row["x2"])
    places = [found.labels.index(name) for name in row["clusters"]]
    for j, theirs in enumerate(row["dfbetas"]):
        agrees("multilevel", found.dfbetas[places, j], theirs)
    assert found.k.sum() == len(table)


def table(yi, vi, **columns):
    return pd.DataFrame({"study_id": [f"t{i}" for i in range(len(yi))], "yi": yi, "vi": vi, **columns})


STUDIES = st.lists(st.tuples(st.floats(-2, 2), st.floats(0.01, 1.0), st.sampled_from("xyz")), min_size=4, max_size=9)
CHOICES = st.sampled_from(
    [
        {},
        {"model": "common"},
        {"tau2_method": "PM", "ci_method": "HK_se"},
        {"tau2_method": "DL", "ci_method": "z", "prediction_method": "HTS", "level": 0.9},
        {"tau2_method": "DL", "ci_method": "IVhet"},
        {"ci_method": "KR"},
    ]
)


@settings(max_examples=12, deadline=None)
@given(STUDIES, CHOICES, st.booleans())
def test_every_deletion_equals_the_meta_analysis_of_the_other_rows(trials, chosen, clusters):
    yi, vi, group = map(list, zip(*trials, strict=True))
    data = table(yi, vi, group=group)
    if clusters and len(set(group)) == 1:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        found = leave_one_out(data, by="group" if clusters else None, **chosen)
        for i, name in enumerate(found.names):
            other = data[data["group" if clusters else "study_id"] != name]
            left = meta_analysis(other, **chosen)
            pi = left.prediction_interval or (math.nan, math.nan)
            expected = (
                left.k,
                left.estimate,
                left.se,
                *left.ci,
                left.p_value,
                *pi,
                left.tau2,
                left.I2,
                left.Q,
                left.Q_p,
            )
            ours = [
                values[i]
                for values in (
                    found.k, found.estimate, found.se, found.ci_low, found.ci_high, found.p_value, found.pi_low,
                    found.pi_high, found.tau2, found.I2, found.Q, found.Q_p,
                )
            ]  # fmt: skip
            np.testing.assert_array_equal(ours, expected)
            again = found.without(name)
            assert (again.labels, again.tau2_ci, again.estimate) == (left.labels, left.tau2_ci, left.estimate)


@settings(max_examples=15, deadline=None)
@given(
    STUDIES, st.sampled_from([{}, {"model": "common"}, {"tau2_method": "DL", "ci_method": "HC"}]), st.floats(0.1, 50)
)
def test_diagnostics_do_not_depend_on_scale_sign_or_order(trials, chosen, factor):
    yi, vi, _ = (np.array(column) for column in zip(*trials, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        first = influence(yi=yi, vi=vi, **chosen)
        other = influence(yi=-factor * yi[::-1], vi=factor**2 * vi[::-1], **chosen)
    for name, sign in (("rstudent", -1), ("dffits", -1), ("cook_d", 1), ("cov_r", 1), ("hat", 1), ("rstandard", -1)):
        ours, theirs = getattr(first, name), sign * getattr(other, name)[::-1]
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7, err_msg=name)
    assert first.hat.sum() == pytest.approx(1.0)


@settings(max_examples=10, deadline=None)
@given(STUDIES)
def test_a_meta_regression_without_moderators_has_the_diagnostics_of_the_meta_analysis(trials):
    yi, vi, _ = zip(*trials, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        pooled = influence(table(yi, vi))
        mean = influence(meta_regression(table(yi, vi), moderators=[]))
    for name in (*NAMES, "baujat_x", "baujat_y"):
        np.testing.assert_allclose(getattr(mean, name), getattr(pooled, name), rtol=1e-6, atol=1e-8, err_msg=name)


@settings(max_examples=15, deadline=None)
@given(STUDIES)
def test_a_prediction_lies_between_the_observed_and_the_fitted_effect(trials):
    yi, vi, _ = (np.array(column) for column in zip(*trials, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        found = blup(yi=yi, vi=vi)
    low, high = np.minimum(yi, found.fitted), np.maximum(yi, found.fitted)
    assert (low - 1e-12 <= found.estimate).all()
    assert (found.estimate <= high + 1e-12).all()


EFFECTS = {"yi": [0.1, 0.3, 0.35, 0.2, 0.25, 1.4], "vi": [0.03, 0.03, 0.05, 0.01, 0.05, 0.02]}


@pytest.mark.parametrize("rule", ["rstudent", "bonferroni", "ci", "influence"])
def test_each_rule_names_the_planted_outlier_and_pools_the_others(rule):
    found = outliers(**EFFECTS, rule=rule, ci_method="HK_se")
    assert (found.labels, found.rows) == (("6",), (5,))
    rest = meta_analysis(yi=EFFECTS["yi"][:5], vi=EFFECTS["vi"][:5], ci_method="HK_se")
    assert found.without.estimate == rest.estimate
    assert found.to_frame()["is_outlier"].tolist() == [False] * 5 + [True]
    assert "6" in found.summary()


def test_without_outliers_the_result_is_the_fit_itself():
    fit = meta_analysis(yi=[0.1, 0.2, 0.15, 0.22], vi=[0.02] * 4, ci_method="z")
    found = outliers(fit, rule="ci")
    assert (found.labels, found.without) == ((), fit)


def test_bonferroni_shares_the_error_among_the_studies():
    effects = {"yi": [0.0, 0.1, -0.1, 0.05, 0.39], "vi": [0.02] * 5, "model": "common"}
    assert outliers(**effects).labels == ("5",)
    assert outliers(**effects, rule="bonferroni").labels == ()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ((0.2, 0.1, 0.3), (0.1, -0.1, 0.3), "the interval includes no effect"),
        ((0.1, -0.1, 0.3), (0.2, 0.1, 0.3), "the interval excludes no effect"),
        ((0.2, 0.1, 0.3), (-0.2, -0.3, -0.1), "the interval excludes no effect on the other side; the sign turns"),
        ((0.1, -0.1, 0.3), (-0.1, -0.3, 0.1), "the sign turns"),
        ((0.1, -0.1, 0.3), (0.0, -0.3, 0.3), ""),
        ((0.2, 0.1, 0.3), (0.4, 0.0, 0.8), "the interval includes no effect"),
    ],
)
def test_a_changed_conclusion_is_put_in_words(before, after, words):
    assert change_of_conclusion(before[0], before[1:], after[0], after[1:]) == words


def test_deletions_that_change_the_conclusion_are_named():
    found = leave_one_out(table([0.5, 0.1, 0.12, 0.2], [0.02, 0.02, 0.02, 0.02]), ci_method="z", tau2_method="DL")
    assert found.fit.ci.low > 0
    assert found.changing == ("t0", "t3")
    assert "without t0: the interval includes no effect" in found.summary()


def test_a_proportion_has_no_conclusion_about_no_effect():
    found = leave_one_out(yi=[-1.0, -0.8, 0.5], vi=[0.1, 0.1, 0.1], measure="PLO")
    assert found.changing == ()
    assert "no effect" not in found.summary()


def test_all_rows_of_a_trial_leave_at_once():
    data = table([0.1, 0.4, 0.2, 0.9, 0.3], [0.02, 0.03, 0.02, 0.04, 0.03]).assign(study_id=list("aabcc"))
    with pytest.warns(DataWarning, match="pooled as if independent"):
        found = leave_one_out(data, by="study_id")
    assert (found.names, found.k.tolist()) == (("a", "b", "c"), [3, 4, 3])
    with pytest.warns(DataWarning):
        single = leave_one_out(data)
    assert any("by='study_id'" in note for note in single.notes)


def test_equal_effects_have_no_standard_error_and_flag_nothing():
    with pytest.warns(DataWarning, match="q = 0"):
        found = influence(yi=[0.1] * 4, vi=[0.1] * 4)
    assert np.isnan(found.cook_d).all()
    assert not found.is_influential.any()
    assert "0" in found.summary()


def test_a_row_that_holds_a_coefficient_by_itself_is_named_and_left_empty():
    data = table([0.1, 0.3, 0.2, 0.5, 0.4, 0.8], [0.02] * 6, kind=["a", "a", "a", "b", "b", "c"])
    found = influence(meta_regression(data, moderators="kind", ci_method="z"))
    assert np.isnan(found.cook_d).tolist() == [False] * 5 + [True]
    assert found.hat[5] == pytest.approx(1.0)
    assert any("t5 cannot be left out" in note for note in found.notes)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: influence(yi=[0.1, 0.2], vi=[0.1, 0.1]), MetapeerError, "needs 3 or more"),
        (lambda: leave_one_out(yi=[0.1], vi=[0.1]), MetapeerError, "nothing is left"),
        (lambda: leave_one_out("table"), MetapeerError, "this is a str"),
        (leave_one_out, MetapeerError, "give a table"),
        (lambda: leave_one_out(**EFFECTS, by="study_id"), MetapeerError, "arrays have no column"),
        (lambda: leave_one_out(table(**EFFECTS), by="trial"), DataError, "no column 'trial'"),
        (lambda: leave_one_out(table(**EFFECTS, g=[*"abcd", None, " "]), by="g"), DataError, "2 problems"),
        (lambda: leave_one_out(meta_analysis(**EFFECTS), level=0.9), ChoiceError, "level: no effect with a fit"),
        (lambda: leave_one_out(**EFFECTS).without("7"), ChoiceError, "'7' is unknown"),
        (lambda: influence(table(**EFFECTS), by="study_id"), ChoiceError, "leave_one_out"),
        (lambda: outliers(**EFFECTS, rule="rstudnt"), ChoiceError, "Did you mean 'rstudent'"),
        (lambda: blup(**EFFECTS, model="common"), MetapeerError, "common effect"),
        (lambda: leave_one_out(_counts()), MetapeerError, "Mantel-Haenszel"),
        (lambda: influence_plot(["a"], []), ChoiceError, "a study and a panel"),
        (lambda: influence_plot(["a"], [Panel(title="x", values=np.zeros(2))]), DataError, "2 values for 1"),
        (lambda: baujat_plot(pd.DataFrame({"x": [1.0, -2.0], "y": [1, "z"]})), DataError, "2 problems"),
    ],
)
def test_what_cannot_be_done_is_said(call, error, words):
    with pytest.raises(error, match=words):
        call()


def _counts():
    columns = {"events1": [3, 4], "total1": [30, 30], "events2": [6, 8], "total2": [30, 30]}
    return mantel_haenszel(pd.DataFrame({"study_id": ["a", "b"], **columns}), measure="OR")


def test_a_multilevel_model_cannot_lose_its_last_but_one_group():
    data = pd.DataFrame({"study_id": list("aabb"), "yi": [0.1, 0.3, 0.5, 0.2], "vi": [0.02] * 4})
    found = influence(multilevel_meta_analysis(data))
    assert np.isnan(found.cook_d).all()
    assert all("a variance between groups needs two" in note for note in found.notes)


def test_figures_show_every_study_and_every_cut_off():
    found = influence(**EFFECTS)
    figure = found.plot()
    panels = figure.axes[0].child_axes
    assert len(panels) == 9
    drawn = sorted(x for line in panels[2].lines if line.get_marker() == "o" for x in line.get_xdata())
    assert drawn == pytest.approx(sorted(found.cook_d))
    dashed = [line.get_xdata()[0] for line in panels[2].lines if line.is_dashed()]
    assert dashed == pytest.approx([found.cutoffs.cook_d])
    points = found.plot_baujat().axes[0]
    assert sum(len(line.get_xdata()) for line in points.lines) == 6
    names = [text.get_text() for text in points.get_children() if hasattr(text, "get_text")]
    assert "6" in names
    assert leave_one_out(**EFFECTS).plot().axes
    assert blup(**EFFECTS).plot().axes


def test_a_thousand_studies_are_drawn_without_names():
    rng = np.random.default_rng(1)
    figure = influence_plot([f"study {i}" for i in range(1000)], [Panel(title="x", values=rng.normal(size=1000))])
    assert figure.get_size_inches()[1] < 20
    assert not any("study" in text.get_text() for text in figure.axes[0].texts)


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
@pytest.mark.parametrize("function", [leave_one_out, influence, outliers, blup])
def test_several_effects_of_a_trial_are_spoken_of_by_every_function(function):
    data = pd.DataFrame({"study_id": list("aabcde"), "yi": [0.1, 0.2, 0.5, 0.3, 0.9, -0.2], "vi": [0.02] * 6})
    assert "6 effects from 5 trials" in str(function(data))
    assert "5 trials" not in str(function(data.assign(study_id=list("abcdef"))))


def test_no_name_in_a_baujat_plot_is_cut_at_the_edge():
    frame = pd.DataFrame({"label": ["study 1", "study 2"], "x": [1.0, 0.96], "y": [0.2, 0.1]})
    names = [text for text in baujat_plot(frame).axes[0].get_children() if getattr(text, "get_text", str)() != ""]
    written = [text for text in names if text.get_text() in set(frame["label"])]
    assert {text.get_text() for text in written} == {"study 1", "study 2"}
    assert not any(text.get_clip_on() for text in written)

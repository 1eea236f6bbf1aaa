"""Tests of small-study effects against metafor, meta, metasens and clubSandwich."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metapeer as mp

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "small_study.json").read_text(encoding="utf-8"))
SETS = {name: pd.DataFrame(columns) for name, columns in GOLDEN["sets"].items()}
COUNTS = {
    name: pd.DataFrame(dict(zip(("events1", "total1", "events2", "total2"), arms, strict=True)))
    for name, arms in GOLDEN["counts"].items()
}
ARMS = pd.DataFrame(GOLDEN["arms"])
TIGHT = {"rel": 1e-8, "abs": 1e-10}
# trimfill() does not hand on its fit's control: its REML stops once a step in tau2 is below 1e-5.
REML = {"rel": 1e-3, "abs": 2e-5}

pytestmark = pytest.mark.filterwarnings("ignore::metapeer.DataWarning")


def rows(table, **only):
    found = [dict(zip(GOLDEN[table]["columns"], row, strict=True)) for row in GOLDEN[table]["rows"]]
    return [row for row in found if all(row[name] in values for name, values in only.items())]


def same(ours, theirs, tolerance=TIGHT):
    assert ours == pytest.approx(math.nan if theirs is None else theirs, nan_ok=True, **tolerance)


def fit_as(row):
    if row["method"] == "EE":
        return mp.meta_analysis(SETS[row["data"]], model="common")
    return mp.meta_analysis(SETS[row["data"]], tau2_method=row["method"], ci_method=row.get("test", "z"))


def test_egger_agrees_with_regtest_for_every_model_and_predictor():
    for row in rows("regtest"):
        if row["model"] == "lm":
            found = mp.egger_test(SETS[row["data"]], predictor=row["predictor"])
        else:
            found = mp.egger_test(fit_as(row), model="rma", predictor=row["predictor"])
        same(found.statistic, row["statistic"])
        same(found.p_value, row["p"])
        same(found.estimate, row["slope"])
        same(found.se, row["se"])
        same(found.limit, row["limit"])
        assert (found.limit_ci is None) == (row["limit"] is None)
        if found.limit_ci is not None:
            same(found.limit_ci.low, row["limit_low"])
            same(found.limit_ci.high, row["limit_high"])
        if row["method"] == "DL":
            same(found.tau2, row["tau2"])


def test_egger_with_restricted_likelihood_agrees_with_a_tight_meta_regression():
    for row in rows("regtest_REML"):
        found = mp.egger_test(SETS[row["data"]], model="rma", ci_method="z")
        assert found.limit_ci is not None
        for ours, name in (
            (found.limit, "limit"),
            (found.limit_ci.low, "limit_low"),
            (found.limit_ci.high, "limit_high"),
            (found.estimate, "slope"),
            (found.se, "se"),
            (found.p_value, "p"),
            (found.tau2, "tau2"),
        ):
            same(ours, row[name])


def test_begg_agrees_with_ranktest_exact_or_tied():
    for row in rows("ranktest"):
        found = mp.begg_test(SETS[row["data"]])
        same(found.estimate, row["tau"])
        same(found.p_value, row["p"])


def test_tests_of_effects_agree_with_metabias():
    tests = {
        "Begg": lambda data: mp.begg_test(data, p_method="normal"),
        "Egger": mp.egger_test,
        "Thompson": mp.thompson_test,
    }
    for row in rows("metabias"):
        found = tests[row["test"]](SETS[row["data"]])
        same(found.statistic, row["statistic"])
        same(found.p_value, row["p"])
        begg = row["test"] == "Begg"
        same(found.score if begg else found.estimate, row["estimate"])
        same(found.score_se if begg else found.se, row["se"])


def test_tests_of_counts_agree_with_metabias():
    of_counts = {
        "Harbord": mp.harbord_test,
        "Peters": mp.peters_test,
        "Deeks": mp.deeks_test,
        "Schwarzer": mp.schwarzer_test,
    }
    of_effects = {"Egger": mp.egger_test, "Thompson": mp.thompson_test, "Macaskill": mp.macaskill_test}
    for row in rows("metabias_counts"):
        counts = COUNTS[row["data"]]
        if row["test"] in of_counts:
            found = of_counts[row["test"]](counts)
        elif row["test"] == "Begg":
            found = mp.begg_test(mp.effect_size(counts, measure="OR"), p_method="normal")
        else:
            found = of_effects[row["test"]](mp.effect_size(counts, measure="OR"))
        same(found.statistic, row["statistic"])
        same(found.p_value, row["p"])
        ranks = row["test"] in ("Begg", "Schwarzer")
        same(found.score if ranks else found.estimate, row["estimate"])
        same(found.score_se if ranks else found.se, row["se"])
        if row["intercept"] is not None and row["test"] != "Macaskill":
            same(found.limit, row["intercept"])


def test_regression_on_the_modified_standard_error_agrees_with_r():
    for row in rows("modified"):
        ci = {"ci_method": "z"} if row["model"] == "rma" else {}
        found = mp.pet_peese(ARMS, predictor="modified_sei", model=row["model"], **ci)
        fit = found.pet if row["x"] == "w" else found.peese
        same([*fit.line.beta], [row["b0"], row["b1"]])
        same([*fit.line.se], [row["se0"], row["se1"]])
        same([*fit.line.p_value], [row["p0"], row["p1"]])


def test_the_egger_sandwich_agrees_with_clubsandwich():
    for row in rows("robust"):
        data = ARMS.assign(each=range(len(ARMS)))
        predictor = {"sqrt(vi)": "sei", "vi": "vi", "w": "modified_sei"}[row["x"]]
        found = mp.egger_test(data, predictor=predictor, model=row["model"], vcov=row["vcov"], cluster=row["by"])
        for i in (0, 1):
            same(found.line.beta[i], row[f"b{i}"])
            same(found.line.se[i], row[f"se{i}"])
            same(found.line.df[i], row[f"df{i}"], {"rel": 1e-7})
            same(found.line.p_value[i], row[f"p{i}"], {"rel": 1e-6})


def test_trim_and_fill_agrees_with_trimfill_where_that_has_an_answer():
    failed = 0
    for row in rows("trimfill"):
        asked = None if row["asked"] == "auto" else row["asked"]
        try:
            found = mp.trim_and_fill(fit_as(row), estimator=row["estimator"], side=asked)
        except mp.MetapeerError:
            assert row["side"] is None
            failed += 1
            continue
        assert row["side"] is not None
        assert (found.side, found.k0, found.filled.k) == (row["side"], row["k0"], row["k"])
        tolerance = REML if row["method"] == "REML" and found.k0 else TIGHT
        same(found.k0_se, row["k0_se"], {"rel": 1e-9})
        same(found.p_value, row["k0_p"])
        same(found.filled.estimate, row["estimate"], tolerance)
        same(found.filled.ci.low, row["ci_low"], tolerance)
        same(found.filled.ci.high, row["ci_high"], tolerance)
        same(found.filled.tau2, row["tau2"], tolerance)
    assert failed == sum(row["side"] is None for row in rows("trimfill")) > 0


def test_trimming_by_a_common_effect_agrees_with_the_package_meta():
    for row in rows("trimfill_meta"):
        effects = mp.effect_size(COUNTS[row["data"]], measure="OR")
        fit = mp.meta_analysis(effects, tau2_method="DL", ci_method="z")
        found = mp.trim_and_fill(fit, estimator=row["estimator"], trim_model="common")
        assert (found.k0, found.filled.k) == (row["k0"], row["k"])
        same(found.filled.estimate, row["estimate"])
        same(found.filled.ci.low, row["ci_low"])
        same(found.filled.ci.high, row["ci_high"])
        same(found.filled.tau2, row["tau2"])


def test_fail_safe_n_agrees_with_fsn():
    for row in rows("fsn", type=("Rosenthal", "Orwin", "Rosenberg")):
        options = {"target": 0.1} if "target" in row["case"] else {}
        if row["type"] != "Orwin":
            options = {"alpha": row["alpha"]}
        found = mp.fail_safe_n(SETS[row["data"]], method=row["type"], **options)
        assert row["N"] == found.N
        same(found.estimate, row["estimate"])
        same(found.p_value, row["p"])
        same(found.target, row["target"])


def test_the_general_fail_safe_n_is_the_smallest_that_does_where_fsn_may_give_one_more():
    from metapeer.sensitivity.fail_safe import diluted

    overshot = 0
    for row in rows("fsn", type=("General",)):
        found = mp.fail_safe_n(fit_as(row), method="General")
        y, v = (SETS[row["data"]][name].to_numpy(float) for name in ("yi", "vi"))
        same(found.estimate, row["estimate"])
        same(found.p_value, row["p"])
        # fsn() looks for a root of a step function, and rounds up from wherever it stopped on the step.
        assert row["N"] - found.N in (0, 1)
        overshot += row["N"] - found.N
        tau2 = math.nan if row["method"] == "EE" else found.tau2
        theirs = diluted(y, v, row["N"], estimate=found.estimate, tau2=tau2)
        same([*theirs], [row["estimate_N"], row["tau2_N"], row["p_N"]])
        if found.N:
            assert found.p_value_N >= 0.05 > diluted(y, v, found.N - 1, estimate=found.estimate, tau2=tau2)[2]
    assert overshot > 0


def test_limit_meta_analysis_agrees_with_limitmeta():
    for row in rows("limitmeta"):
        found = mp.limit_meta_analysis(SETS[row["data"]], adjust=row["adjust"], tau2_method="DL")
        for ours, name in (
            (found.estimate, "estimate"),
            (found.se, "se"),
            (found.ci.low, "ci_low"),
            (found.ci.high, "ci_high"),
            (found.p_value, "p"),
            (found.intercept, "alpha_r"),
            (found.slope, "beta_r"),
            (found.Q, "Q"),
            (found.Q_small, "Q_small"),
            (found.Q_residual, "Q_resid"),
            (found.G2, "G2"),
        ):
            same(ours, row[name])
        same(found.tau2, row["tau"] ** 2)
        if row["shrunken"] is not None:
            assert np.allclose(found.shrunken, row["shrunken"], rtol=1e-10)

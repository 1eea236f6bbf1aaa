"""Mantel and Haenszel, Peto, and inverse variance of counts: against R, and by what must hold."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from metapeer.effects.scales import back_transform_double_arcsine
from metapeer.effects.table import effect_size
from metapeer.errors import ChoiceError, DataError, DataWarning
from metapeer.pooling.counts import back_transform, mantel_haenszel, peto
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.stratified import (
    breslow_day,
    cochran_mantel_haenszel,
    mh_odds_ratio,
    mh_risk_difference,
    mh_risk_ratio,
)

GOLDEN = Path(__file__).parents[1] / "golden"
RARE = pd.DataFrame(
    {
        "study_id": ["a", "b", "c", "d", "e"],
        "events1": [1, 0, 3, 0, 10],
        "total1": [100, 50, 120, 40, 10],
        "events2": [4, 2, 0, 0, 12],
        "total2": [98, 55, 60, 42, 12],
    }
)


@pytest.fixture(scope="module")
def table():
    sets = json.loads((GOLDEN / "binary.json").read_text(encoding="utf-8"))["sets"]
    return lambda name: pd.DataFrame(sets[name])


@pytest.mark.golden("binary", "mantel_haenszel")
def test_mantel_haenszel_agrees_with_metafor(row, table, agrees):
    options = {"measure": row["measure"], "zero_cells": row["zero_cells"], "variance": row["variance"]}
    fit = mantel_haenszel(table(row["set"]), **options)
    for name in ("estimate", "se", "Q", "Q_df"):
        agrees("formula", getattr(fit, name), row[name])
    if row["association"] is not None:
        corrected = mantel_haenszel(table(row["set"]), correct=True, **options)
        agrees("formula", fit.association.statistic, row["association"])
        agrees("formula", corrected.association.statistic, row["association_corrected"])
    if row["breslow_day"] is not None:
        agrees("formula", fit.breslow_day.statistic, row["breslow_day"])
        agrees("formula", fit.tarone.statistic, row["tarone"])


@pytest.mark.golden("binary", "peto")
def test_peto_agrees_with_metafor(row, table, agrees):
    fit = peto(table(row["set"]), level=row["level"])
    for name in ("estimate", "se", "Q", "Q_df"):
        agrees("formula", getattr(fit, name), row[name])
    agrees("formula", fit.ci.low, row["ci_low"])
    agrees("formula", fit.ci.high, row["ci_high"])


@pytest.mark.golden("binary", "revman")
def test_mantel_haenszel_as_revman_has_it_agrees_with_meta(row, table, agrees):
    options = {"measure": row["measure"], "zero_cells": row["zero_cells"], "add": row["add"]}
    common = mantel_haenszel(table(row["set"]), **options)
    agrees("formula", common.estimate, row["estimate"])
    agrees("formula", common.se, row["se"])
    if row["Q"] is not None:
        random = mantel_haenszel(table(row["set"]), model="random", **options)
        for fit in (common, random):
            agrees("formula", fit.Q, row["Q"])
            assert fit.Q_df == row["Q_df"]
        agrees("formula", random.tau2, row["tau2"])
        agrees("formula", random.estimate, row["random_estimate"])
        agrees("formula", random.se, row["random_se"])
        agrees("formula", random.ci.low, row["random_ci_low"])
        agrees("formula", random.ci.high, row["random_ci_high"])


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")  # PFT and IRFT, and a collapsed interval
@pytest.mark.golden("binary", "inverse_variance")
def test_inverse_variance_of_groups_and_rates_agrees_with_meta(row, table, agrees):
    effects = effect_size(table(row["set"]), measure=row["measure"])
    common = meta_analysis(effects, model="common")
    for name in ("estimate", "se", "Q"):
        agrees("formula", getattr(common, name), row[name])
    random = meta_analysis(effects, tau2_method=row["tau2_method"], ci_method=row["ci_method"])
    kind = {"DL": "formula", "PM": "root", "REML": "likelihood"}[row["tau2_method"]]
    agrees(kind, random.tau2, row["tau2"])
    agrees(kind, random.estimate, row["random_estimate"])
    agrees(kind, random.se, row["random_se"])
    agrees(kind, random.ci.low, row["random_ci_low"])
    agrees(kind, random.ci.high, row["random_ci_high"])


@pytest.mark.parametrize("measure", ["OR", "RR", "RD"])
def test_one_study_without_zero_cells_pools_to_itself(measure):
    one = pd.DataFrame({"events1": [12], "total1": [50], "events2": [20], "total2": [48]})
    fit = mantel_haenszel(one, measure=measure)
    effects = effect_size(one, measure=measure)
    assert fit.estimate == pytest.approx(effects["yi"].iloc[0], rel=1e-12)
    assert fit.se == pytest.approx(effects["sei"].iloc[0], rel=1e-12)
    assert fit.Q == 0.0
    assert (fit.Q_df, fit.I2_Q_ci) == (0, None)


def test_each_measure_leaves_out_what_says_nothing_about_it_and_says_why():
    fits = {measure: mantel_haenszel(RARE, measure=measure) for measure in ("OR", "RR", "RD")}
    both = "no events, or nothing but events, in both arms: that says nothing about OR"
    assert fits["OR"].excluded == (("d", both), ("e", both))
    assert fits["RR"].excluded == (("d", "no events in either arm: that says nothing about RR"),)
    assert fits["RD"].excluded == ()
    assert [fit.k for fit in fits.values()] == [3, 4, 5]


@pytest.mark.parametrize("measure", ["OR", "RR"])
def test_studies_without_events_change_no_ratio(measure):
    fit = mantel_haenszel(RARE, measure=measure)
    without = mantel_haenszel(RARE[RARE["study_id"] != "d"], measure=measure)
    assert (fit.estimate, fit.se, fit.Q) == (without.estimate, without.se, without.Q)
    assert fit.association.statistic == without.association.statistic


def test_studies_without_events_bring_a_risk_difference_nearer_to_zero():
    fit = mantel_haenszel(RARE.head(4), measure="RD")
    without = mantel_haenszel(RARE.head(3), measure="RD")
    assert abs(fit.estimate) < abs(without.estimate)
    weight = 40 * 42 / 82
    assert fit.weights[3] == pytest.approx(100 * weight / (weight + 100 * 98 / 198 + 50 * 55 / 105 + 120 * 60 / 180))


def test_rows_that_cannot_be_used_are_listed_with_reasons():
    rows = RARE.assign(
        exclusion_reason=["", "seen twice", "", "", ""],
        events2=[4, 2, None, 0, 12],
        es_type=["", "", "RR", "", ""],
        es=[None, None, 0.5, None, None],
        es_ci_low=[None, None, 0.25, None, None],
        es_ci_high=[None, None, 1.0, None, None],
    )
    fit = mantel_haenszel(rows, measure="RR")
    assert dict(fit.excluded) == {
        "b": "seen twice",
        "c": "an effect without counts; needed are events1 total1 events2 total2",
        "d": "no events in either arm: that says nothing about RR",
    }


def test_nothing_to_pool_is_an_error_that_gives_every_reason():
    with pytest.raises(DataError, match="no events in either arm") as caught:
        mantel_haenszel(RARE.iloc[[3]], measure="RR")
    assert caught.value.faults[0].row == "d"


def test_the_same_cell_zero_in_every_study_is_an_error_with_a_remedy():
    rows = RARE.assign(events1=0).head(2)
    with pytest.raises(DataError, match="zero_cells='only0'"):
        mantel_haenszel(rows)
    assert math.isfinite(mantel_haenszel(rows, zero_cells="only0").estimate)
    assert mantel_haenszel(rows, measure="RD").estimate < 0
    assert peto(rows).estimate < 0


def test_no_event_anywhere_gives_no_interval_of_no_width():
    rows = RARE.assign(events1=0, events2=0)
    with pytest.raises(DataError, match="without a standard error; zero_cells='only0'"):
        mantel_haenszel(rows, measure="RD")
    fit = mantel_haenszel(rows, measure="RD", zero_cells="only0")
    assert fit.ci.low < 0 < fit.ci.high


def test_rows_that_disagree_which_way_is_good_are_refused():
    rows = RARE.head(3).assign(direction=["lower_better", "higher_better", "lower_better"])
    with pytest.raises(DataError, match="good in some rows and bad in others"):
        mantel_haenszel(rows)
    with pytest.raises(DataError, match="good in some rows and bad in others"):
        peto(rows)
    assert mantel_haenszel(rows.assign(direction="lower_better")).positive_favours == "arm2"


def test_rows_of_one_trial_are_warned_of():
    with pytest.warns(DataWarning, match="as if independent"):
        mantel_haenszel(RARE.assign(study_id="a", comparison=list("vwxyz")), measure="RD")


def test_impossible_counts_are_listed_at_once():
    with pytest.raises(DataError) as caught:
        mantel_haenszel(RARE.assign(events1=[200, -1, 3, 0, 10]))
    assert [(fault.row, fault.column) for fault in caught.value.faults] == [("a", "events1"), ("b", "events1")]


@pytest.mark.parametrize(
    "options",
    [
        {"measure": "SMD"},
        {"model": "fixed"},
        {"zero_cells": "some"},
        {"variance": "Sato"},
        {"measure": "RD", "variance": "HO"},
        {"ci_method": "HK"},
        {"model": "random", "ci_method": "exact"},
        {"add": 0},
    ],
)
def test_an_option_that_is_unknown_or_has_no_effect_is_refused(options):
    with pytest.raises(ChoiceError):
        mantel_haenszel(RARE, **options)


def test_a_result_says_what_was_done():
    plain = mantel_haenszel(RARE)
    added = mantel_haenszel(RARE, zero_cells="only0")
    random = mantel_haenszel(RARE, measure="RR", model="random", ci_method="HK")
    assert plain.weighting == "Mantel-Haenszel"
    assert any("pooled as counted" in note for note in plain.notes)
    assert any("was added to the counts before pooling" in note for note in added.notes)
    assert "Robins, Breslow and Greenland" in plain.summary()
    assert "Sato" in mantel_haenszel(RARE, measure="RD", variance="Sato").summary()
    assert "Cochran-Mantel-Haenszel" in plain.summary()
    assert "Tarone" in plain.summary()
    assert "Tarone" not in random.summary()
    assert random.ci_method == "HK"
    assert random.tau2_method == "DL, Mantel-Haenszel Q"
    assert peto(RARE).weighting == "Peto"
    assert peto(RARE).measure == "PETO"


def test_tarone_never_exceeds_breslow_and_day():
    fit = mantel_haenszel(RARE.head(3))
    assert 0 <= fit.tarone.statistic <= fit.breslow_day.statistic
    assert 0 <= fit.breslow_day.p_value <= fit.tarone.p_value <= 1


@st.composite
def tables(draw):
    size = draw(st.integers(1, 6))
    cells = [[float(draw(st.integers(0, 60))) for _ in range(size)] for _ in range(4)]
    a, b, c, d = (np.array(cell) for cell in cells)
    return a, b + 1, c, d + 1


@settings(deadline=None)
@given(tables())
def test_exchanging_arms_turns_every_measure_round(cells):
    a, b, c, d = cells
    for pool in (mh_odds_ratio, mh_risk_ratio):
        fit, other = pool(a, b, c, d), pool(c, d, a, b)
        assert fit.estimate == pytest.approx(-other.estimate, rel=1e-9, abs=1e-12, nan_ok=True)
        assert fit.se == pytest.approx(other.se, rel=1e-9, nan_ok=True)
    for sato in (False, True):
        fit, other = mh_risk_difference(a, b, c, d, sato=sato), mh_risk_difference(c, d, a, b, sato=sato)
        assert fit.estimate == pytest.approx(-other.estimate, rel=1e-9, abs=1e-12)
        assert fit.se == pytest.approx(other.se, rel=1e-9, abs=1e-9, nan_ok=True)
    test, turned = cochran_mantel_haenszel(a, a + b, c, c + d), cochran_mantel_haenszel(c, c + d, a, a + b)
    assert test.statistic == pytest.approx(turned.statistic, rel=1e-7, abs=1e-9, nan_ok=True)


@settings(deadline=None)
@given(tables())
def test_counting_the_opposite_event_turns_the_odds_ratio_round_and_leaves_its_tests(cells):
    a, b, c, d = cells
    fit, other = mh_odds_ratio(a, b, c, d), mh_odds_ratio(b, a, d, c)
    assert fit.estimate == pytest.approx(-other.estimate, rel=1e-9, abs=1e-12, nan_ok=True)
    assert fit.se == pytest.approx(other.se, rel=1e-9, nan_ok=True)
    assume(math.isfinite(fit.estimate))
    for one, two in zip(breslow_day(a, b, c, d, fit.estimate), breslow_day(b, a, d, c, other.estimate), strict=True):
        assert one.statistic == pytest.approx(two.statistic, rel=1e-6, abs=1e-9, nan_ok=True)
        assert one.df == two.df


@settings(deadline=None)
@given(tables(), st.integers(2, 5))
def test_an_odds_ratio_shared_by_all_studies_is_found_exactly_and_passes_as_homogeneous(cells, times):
    a, b, c, d = (cell + 1 for cell in cells)
    b = np.full_like(b, 7.0)
    a = times * c * b / d  # ad/(bc) is the same everywhere
    fit = mh_odds_ratio(a, b, c, d)
    assert fit.estimate == pytest.approx(math.log(times), rel=1e-9)
    test, _ = breslow_day(a, b, c, d, fit.estimate)
    assert test.df == a.size - 1
    assert test.statistic == pytest.approx(0.0, abs=1e-6) if test.df else math.isnan(test.statistic)


@settings(deadline=None)
@given(tables(), st.integers(2, 50))
def test_multiplying_all_counts_leaves_the_estimate_and_divides_the_variance(cells, times):
    for pool in (mh_odds_ratio, mh_risk_ratio, mh_risk_difference):
        fit, larger = pool(*cells), pool(*(times * cell for cell in cells))
        assert larger.estimate == pytest.approx(fit.estimate, rel=1e-9, abs=1e-12, nan_ok=True)
        assert larger.se == pytest.approx(fit.se / math.sqrt(times), rel=1e-9, nan_ok=True)


def test_reference_numbers_say_where_they_come_from():
    for file in ("binary", "effects_groups"):
        source = json.loads((GOLDEN / f"{file}.json").read_text(encoding="utf-8"))["source"]
        assert source["R"].startswith("R version")
        assert source["metafor"]
        assert (GOLDEN / source["script"]).is_file()


def test_random_effects_without_heterogeneity_are_the_common_effect_by_inverse_variance():
    same = pd.DataFrame({"events1": [10, 20], "total1": [100, 200], "events2": [15, 30], "total2": [100, 200]})
    random = mantel_haenszel(same, model="random")
    assert random.tau2 == 0.0
    assert random.estimate == pytest.approx(meta_analysis(effect_size(same, measure="OR"), model="common").estimate)


def test_peto_is_the_inverse_variance_mean_of_petos_odds_ratios():
    fit = peto(RARE)
    mean = meta_analysis(effect_size(RARE, measure="PETO"), model="common")
    assert fit.estimate == pytest.approx(mean.estimate, rel=1e-12)
    assert fit.se == pytest.approx(mean.se, rel=1e-12)
    assert fit.statistic**2 == pytest.approx(mantel_haenszel(RARE).association.statistic, rel=1e-12)


@pytest.mark.parametrize(("measure", "needle"), [("PLO", 0.1), ("PLN", 0.1), ("PAS", 0.1), ("PFT", 0.1), ("PR", 0.1)])
@pytest.mark.filterwarnings("ignore:the table. a pooled PFT")
def test_a_pooled_proportion_is_printed_as_a_proportion_without_a_test(measure, needle):
    groups = pd.DataFrame({"events": [10, 20, 31], "total": [100, 200, 300]})
    fit = meta_analysis(effect_size(groups, measure=measure), model="common")
    shown = back_transform(fit)
    assert shown["estimate"].iloc[0] == pytest.approx(needle, abs=0.005)
    summary = fit.summary()
    assert f"{shown['ci_low'].iloc[0]:.3f} to {shown['ci_high'].iloc[0]:.3f}" in summary
    assert summary.count("p =") + summary.count("p <") == 1  # of Q


@pytest.mark.filterwarnings("ignore:the table. a pooled PFT")
def test_a_pooled_double_arcsine_can_be_turned_back_with_either_sample_size():
    groups = pd.DataFrame({"events": [1, 20, 31], "total": [10, 200, 3000]})
    fit = meta_analysis(effect_size(groups, measure="PFT"), model="common")
    harmonic = 3 / (1 / 10 + 1 / 200 + 1 / 3000)
    expected = back_transform_double_arcsine(np.array(fit.estimate), np.array(harmonic))
    assert back_transform(fit, size="harmonic")["estimate"].iloc[0] == pytest.approx(float(expected), rel=1e-12)
    expected = back_transform_double_arcsine(np.array(fit.estimate), np.array(1 / (4 * fit.se**2) - 0.5))
    assert back_transform(fit)["estimate"].iloc[0] == pytest.approx(float(expected), rel=1e-12)
    with pytest.raises(ChoiceError, match="size"):
        back_transform(peto(RARE), size="harmonic")


def test_a_pooled_rate_is_turned_back_with_the_harmonic_mean_of_person_time():
    groups = pd.DataFrame({"events": [4, 9], "time": [10.0, 50.0]})
    with pytest.warns(DataWarning, match="IRLN"):
        effects = effect_size(groups, measure="IRFT")
    fit = meta_analysis(effects, model="common")
    root = fit.estimate - 1 / (4 * (2 / (1 / 10 + 1 / 50)) * fit.estimate)
    assert back_transform(fit, size="harmonic")["estimate"].iloc[0] == pytest.approx(root**2, rel=1e-12)


@pytest.mark.filterwarnings("ignore:the table. a pooled PFT")
@pytest.mark.parametrize("measure", ["PLO", "PAS", "PFT", "IRS", "ZCOR", "PLN"])
def test_a_forest_plot_shows_what_a_reader_expects(measure):
    groups = pd.DataFrame({"events": [10, 20, 31], "total": [100, 200, 300], "time": [100, 200, 300]})
    if measure == "ZCOR":
        groups = pd.DataFrame({"r": [0.1, 0.2, 0.15], "n": [40, 60, 80]})
    fit = meta_analysis(effect_size(groups, measure=measure), model="common")
    figure = fit.plot()
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    texts = " ".join(text.get_text() for text in axes.texts).replace("\u2007", "").replace("\u2009", "")  # padding
    shown = back_transform(fit).iloc[0]
    assert f"{shown['estimate']:.2f} ({shown['ci_low']:.2f} to {shown['ci_high']:.2f})" in texts
    if measure != "PLN":  # a logarithm has a logarithmic axis
        line = next(line for line in axes.lines if line.get_label() in ("_reference", "_null"))
        assert low <= shown["estimate"] <= high
        assert line is not None


def test_a_forest_plot_lists_events_in_person_time_and_of_one_group():
    days = RARE.rename(columns={"total1": "time1", "total2": "time2"})
    texts = [text.get_text() for text in mantel_haenszel(days, measure="IRD").plot().axes[0].texts]
    assert {"3/120", "0/60", "Events/time"} <= set(texts)
    groups = pd.DataFrame({"events": [10, 20], "total": [100, 250]})
    fit = meta_analysis(effect_size(groups, measure="PLO"), model="common")
    assert {"10/100", "20/250", "Events/total"} <= {text.get_text() for text in fit.plot().axes[0].texts}


def test_a_mantel_haenszel_result_plots_and_stacks_as_any_other():
    fit = mantel_haenszel(RARE)
    assert fit.to_frame()["weighting"].iloc[0] == "Mantel-Haenszel"
    assert fit.studies()["weight"].sum() == pytest.approx(100.0)
    assert fit.plot().axes

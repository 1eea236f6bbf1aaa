"""A preview is the meta-analysis of a table with one row more; sizes and powers are checked by other ways."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.errors import ChoiceError, DataError, MetapeerError
from metapeer.living.preview import conditional_power, extended_funnel_table, needed_trial_size, preview_trial
from metapeer.plots.extended_funnel import extended_funnel_plot
from metapeer.pooling.models import meta_analysis

YI, VI = [0.1, 0.3, 0.35, 0.05], [0.03, 0.03, 0.05, 0.02]


@pytest.fixture(scope="module")
def fit():
    return meta_analysis(yi=YI, vi=VI, measure="SMD", ci_method="HK_se")


@pytest.mark.parametrize(
    "options",
    [
        {"ci_method": "HK_se"},
        {"tau2_method": "DL", "ci_method": "z", "prediction_method": "HK"},
        {"model": "common"},
        {"tau2_method": "PM", "ci_method": "HK_se", "level": 0.9},
    ],
)
def test_the_result_after_is_the_meta_analysis_with_one_row_more(options):
    before = meta_analysis(yi=YI, vi=VI, measure="SMD", **options)
    found = preview_trial(before, effect=0.5, n1=80, n2=60)
    vi = 1 / 80 + 1 / 60 + 0.25 / 280
    after = meta_analysis(yi=[*YI, 0.5], vi=[*VI, vi], measure="SMD", **options)
    assert found.after.estimate == pytest.approx(after.estimate, rel=1e-14)
    assert tuple(found.after.ci) == pytest.approx(tuple(after.ci), rel=1e-14)
    assert pytest.approx(after.I2, rel=1e-12, nan_ok=True) == found.after.I2
    assert (found.after.prediction_interval is None) == (after.prediction_interval is None)
    assert found.after.level == after.level
    again = preview_trial(before, effect=0.5, sei=math.sqrt(vi))
    assert again.after.estimate == pytest.approx(after.estimate, rel=1e-14)


def test_variances_are_those_of_the_measures_formulas():
    for measure, extra, vi in (
        ("MD", {"sd": 3.0}, 9 * (1 / 50 + 1 / 40)),
        ("RR", {"risk": 0.4}, (1 - 0.3) / (50 * 0.3) + 0.6 / (40 * 0.4)),
        ("RD", {"risk": 0.4}, 0.3 * 0.7 / 50 + 0.4 * 0.6 / 40),
        ("OR", {"risk": 0.4}, 1 / 15 + 1 / 35 + 1 / 16 + 1 / 24),
    ):
        effect = {"MD": 1.0, "RR": math.log(0.75), "RD": -0.1, "OR": math.log((0.3 / 0.7) / (0.4 / 0.6))}[measure]
        fit = meta_analysis(yi=YI, vi=VI, measure=measure, model="common")
        assert preview_trial(fit, effect=effect, n1=50, n2=40, **extra).sei ** 2 == pytest.approx(vi, rel=1e-12)


def test_a_claim_is_judged_before_and_after(fit):
    found = preview_trial(fit, effect=0.4, n1=3000, claim="benefit")
    assert (found.judged_before.verdict, found.judged_after.verdict) == ("undecided", "supported")
    assert found.conclusion_changed
    assert found.to_frame()["verdict"].tolist() == ["undecided", "supported"]


@settings(max_examples=20, deadline=None)
@given(st.floats(0.15, 0.9))
def test_the_needed_size_changes_the_conclusion_and_one_less_does_not(effect):
    fit = meta_analysis(yi=[0.1, 0.2], vi=[0.03, 0.03], measure="SMD", model="common")
    found = needed_trial_size(fit, effect=effect)
    assert preview_trial(fit, effect=effect, n1=found.n1).conclusion_changed
    assert found.n1 == 2 or not preview_trial(fit, effect=effect, n1=found.n1 - 1).conclusion_changed


def test_the_needed_size_of_a_common_effect_is_where_z_passes_its_bound():
    fit = meta_analysis(yi=[0.1, 0.2], vi=[0.03, 0.03], measure="SMD", model="common")
    found = needed_trial_size(fit, effect=0.3)

    def z(n):
        w = np.array([1 / 0.03, 1 / 0.03, 1 / (2 / n + 0.09 / (4 * n))])
        return (w @ np.array([0.1, 0.2, 0.3])) / math.sqrt(w.sum())

    assert z(found.n1) > 1.959964 > z(found.n1 - 1)


def test_under_heterogeneity_no_single_trial_may_be_enough():
    fit = meta_analysis(yi=[-0.6, 0.9, 0.1], vi=[0.01, 0.01, 0.01], measure="SMD")
    found = needed_trial_size(fit, effect=0.3)
    assert found.n1 is None
    assert "No single trial" in found.summary()


def test_power_is_what_simulated_trials_find():
    fit = meta_analysis(yi=YI, vi=VI, measure="SMD", tau2_method="DL", ci_method="z")
    generator = np.random.default_rng(5)
    sei, trials = 0.12, 3
    tau2 = 0.02
    weights = 1 / (np.array(VI) + tau2)
    drawn = generator.normal(0.25, math.sqrt(sei**2 + tau2), size=(200_000, trials))
    fresh = 1 / (sei**2 + tau2)
    z = (weights @ np.array(YI) + fresh * drawn.sum(axis=1)) / math.sqrt(weights.sum() + trials * fresh)
    from dataclasses import replace

    found = conditional_power(replace(fit, tau2=tau2), effect=0.25, sei=sei, trials=trials)
    assert found == pytest.approx((np.abs(z) > 1.959964).mean(), abs=0.004)


def test_power_grows_with_size_when_the_effect_is_there_and_ends_at_what_is_known():
    fit = meta_analysis(yi=YI, vi=VI, measure="SMD", model="common")
    powers = [conditional_power(fit, effect=0.3, n1=n) for n in (20, 100, 500, 5000)]
    assert powers == sorted(powers)
    assert powers[-1] > 0.999
    assert conditional_power(fit, effect=0.3, sei=1e4) == pytest.approx(
        float(not fit.ci.low <= 0 <= fit.ci.high), abs=1e-3
    )


def test_the_table_of_the_extended_funnel_agrees_with_single_previews(fit):
    table = extended_funnel_table(fit, points=5)
    assert len(table) == 25
    for row in table.sample(6, random_state=1).to_dict("records"):
        found = preview_trial(fit, effect=row["effect"], sei=row["sei"])
        assert row["ci_low"] == pytest.approx(found.after.ci.low, rel=1e-12)
        assert row["changed"] == found.conclusion_changed


def test_the_figure_names_every_conclusion_that_occurs(fit):
    table = extended_funnel_table(fit, points=9, claim="benefit")
    figure = extended_funnel_plot(table, yi=fit.yi, sei=np.sqrt(fit.vi), estimate=fit.estimate)
    shown = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert shown == [*dict.fromkeys(table["conclusion"]), "studies"]
    assert figure.axes[0].yaxis_inverted()


def test_a_table_that_is_no_grid_is_refused(fit):
    table = extended_funnel_table(fit, points=3)
    with pytest.raises(DataError, match="full grid"):
        extended_funnel_plot(table.iloc[1:])
    with pytest.raises(DataError, match="sei: is missing"):
        extended_funnel_plot(table.drop(columns="sei"))
    with pytest.raises(DataError, match="finite"):
        extended_funnel_plot(table.assign(effect=math.nan))
    with pytest.raises(ChoiceError, match="pair up"):
        extended_funnel_plot(table, yi=[1.0])


def test_one_study_can_be_previewed():
    fit = meta_analysis(yi=[0.2], vi=[0.05], measure="SMD")
    assert preview_trial(fit, effect=0.2, n1=50).after.ci_method == "HK"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"effect": 0.3}, "either n1"),
        ({"effect": 0.3, "n1": 50, "sei": 0.1}, "either n1"),
        ({"effect": 0.3, "sei": 0.1, "sd": 2}, "no effect with sei"),
        ({"effect": 0.3, "sei": 0}, "above 0"),
        ({"effect": 0.3, "n1": 1}, "at least 2"),
        ({"effect": math.nan, "n1": 50}, "effect must be a finite number"),
        ({"effect": "big", "n1": 50}, "effect must be a finite number"),
        ({"effect": 0.3, "n1": 50, "risk": 0.2}, "risk has no effect for SMD"),
        ({"effect": 0.3, "n1": 50, "claim": "benefits"}, "Did you mean 'benefit'"),
        ({"effect": 0.3, "n1": 50, "claim": "benefit", "margin": -1}, "margin"),
    ],
)
def test_a_trial_that_is_not_described_is_refused(fit, options, words):
    with pytest.raises(MetapeerError, match=words):
        preview_trial(fit, **options)


@pytest.mark.parametrize(
    ("measure", "options", "words"),
    [
        ("MD", {"effect": 1, "n1": 50}, "MD needs sd="),
        ("RR", {"effect": 0.1, "n1": 50}, "RR needs risk="),
        ("RR", {"effect": 3, "n1": 50, "risk": 0.5}, "makes a risk"),
        ("RD", {"effect": 0.9, "n1": 50, "risk": 0.5}, "makes a risk"),
        ("OR", {"effect": 0.1, "n1": 50, "risk": 1.5}, "between 0 and 1"),
        ("HR", {"effect": 0.1, "n1": 50}, "give sei"),
        ("RR", {"effect": 0.1, "sei": 0.1, "claim": "benefit"}, "leave claim out"),
        ("PLO", {"effect": 0.1, "sei": 0.1}, "no value that means no effect"),
    ],
)
def test_a_measure_says_what_it_needs(measure, options, words):
    fit = meta_analysis(yi=YI, vi=VI, measure=measure, model="common")
    with pytest.raises(MetapeerError, match=words):
        preview_trial(fit, **options)


def test_what_is_no_result_of_meta_analysis_is_refused():
    with pytest.raises(MetapeerError, match="needs a result of meta_analysis"):
        preview_trial(pd.DataFrame(), effect=0.1, n1=50)


def test_numbers_that_make_no_sense_are_refused(fit):
    with pytest.raises(MetapeerError, match="points"):
        extended_funnel_table(fit, points=1)
    with pytest.raises(MetapeerError, match="seis"):
        extended_funnel_table(fit, seis=[-0.1, 0.1])
    with pytest.raises(MetapeerError, match="trials"):
        conditional_power(fit, effect=0.1, n1=20, trials=0)
    with pytest.raises(MetapeerError, match="ratio"):
        needed_trial_size(fit, effect=0.1, ratio=0)

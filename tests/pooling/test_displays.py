import math

import numpy as np
import pandas as pd
import pytest

import metapeer as mp
from metapeer.errors import ChoiceError, DataError, MetapeerError

LADDER = {"yi": [0.1, 0.3, 0.35, 0.8, -0.1], "vi": [0.03, 0.03, 0.05, 0.04, 0.02]}
COUNTS = pd.DataFrame(
    {
        "study_id": ["a", "b", "c", "d"],
        "events1": [5, 12, 8, 30],
        "total1": [50, 60, 40, 100],
        "events2": [9, 20, 10, 45],
        "total2": [50, 62, 38, 98],
    }
)
JUDGED = pd.DataFrame(
    {
        "study_id": ["a", "b", "c", "c"],
        "yi": LADDER["yi"][:4],
        "vi": LADDER["vi"][:4],
        "rob_d1": ["Low risk", "High risk", "Some concerns", "Some concerns"],
        "rob_overall": ["Low risk", "High risk", "High risk", "High risk"],
    }
)


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def line(figure, label):
    (found,) = (one for one in figure.axes[0].lines if one.get_label() == label)
    return found


def marks(figure, label):
    return [one.get_xdata()[0] for one in figure.axes[0].lines if one.get_label() == label]


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
def test_a_line_of_a_labbe_plot_is_the_pooled_effect_at_every_risk(measure):
    fit = mp.meta_analysis(mp.effect_size(COUNTS, measure=measure))
    figure = mp.labbe_plot(COUNTS, lines=[measure])
    curve = next(one for one in figure.axes[0].lines if len(one.get_xdata()) > 50)
    risk2, risk1 = (np.asarray(values)[1:] for values in curve.get_data())
    effect = {
        "RR": np.log(risk1 / risk2),
        "OR": np.log(risk1 / (1 - risk1) / (risk2 / (1 - risk2))),
        "RD": risk1 - risk2,
    }[measure]
    assert effect == pytest.approx(fit.estimate, abs=1e-9)
    assert any(text.startswith(measure) for text in words(figure))


def test_impossible_counts_are_all_listed():
    with pytest.raises(DataError) as caught:
        mp.labbe_plot(COUNTS.assign(events1=[60, 12, 8, 200]))
    assert "row 1" in str(caught.value)
    assert "row 4" in str(caught.value)
    with pytest.raises(DataError, match="total2"):
        mp.labbe_plot(COUNTS.drop(columns="total2"))


def test_an_orchard_has_a_trunk_for_each_subgroup_and_for_all():
    table = pd.DataFrame({**LADDER, "format": ["x", "x", "x", "y", "y"]})
    found = mp.subgroup_analysis(table, by="format")
    figure = mp.orchard_plot(found)
    wanted = [*(fit.estimate for fit in found.results), found.overall.estimate]
    assert marks(figure, "_trunk") == pytest.approx(wanted)
    assert {"x", "y", "All studies", "k = 3", "k = 2", "k = 5"} <= set(words(figure))


def test_groups_too_small_for_an_orchard_are_counted_in_a_note():
    fits = {"one": mp.meta_analysis(yi=[0.1], vi=[0.1]), "five": mp.meta_analysis(**LADDER)}
    figure = mp.orchard_plot(fits, fewest=2)
    assert len(marks(figure, "_trunk")) == 1
    assert any("1 group of fewer than 2 effects not drawn" in text for text in words(figure))
    with pytest.raises(ChoiceError, match="fewest"):
        mp.orchard_plot(fits, fewest=0)


def test_measures_that_differ_share_no_axis():
    fits = {m: mp.meta_analysis(**LADDER, measure=m) for m in ("SMD", "RR")}
    with pytest.raises(MetapeerError, match="cannot share an axis"):
        mp.orchard_plot(fits)
    with pytest.raises(MetapeerError, match="cannot share an axis"):
        fits["SMD"].plot(also=[fits["RR"]])


def ledger_rows(**more):
    row = {"review": "one", "id": "r", "kind": "published number", "verdict": "reproduced", "measure": "RR",
           "published_es": "0.80", "published_ci_low": "0.50", "published_ci_high": "", "es": 0.81, "ci_low": 0.5,
           "ci_high": 1.31}  # fmt: skip
    return pd.DataFrame([row | more])


def test_ratios_of_a_ledger_are_drawn_on_a_log_scale_and_bounds_not_printed_are_not_drawn():
    figure = mp.agreement_plot(ledger_rows())
    assert marks(figure, "_first") == pytest.approx([math.log(0.8)])
    assert marks(figure, "_second") == pytest.approx([math.log(0.81)])
    assert not marks(figure, "_first interval")
    assert line(figure, "_second interval").get_xdata() == pytest.approx([math.log(0.5), math.log(1.31)])


def test_only_one_measure_is_on_the_axis_and_the_others_are_named():
    table = pd.concat([ledger_rows(), ledger_rows(measure="SMD", id="s"), ledger_rows(measure="SMD", id="t")])
    figure = mp.agreement_plot(table)
    assert len(marks(figure, "_first")) == 2
    assert any("Other measures, not on this axis: RR" in text for text in words(figure))
    assert len(marks(mp.agreement_plot(table, measure="RR"), "_first")) == 1
    with pytest.raises(ChoiceError, match="measure"):
        mp.agreement_plot(table, measure="MD")
    with pytest.raises(MetapeerError, match="no published estimate"):
        mp.agreement_plot(ledger_rows(published_es=""))
    with pytest.raises(DataError, match="list"):
        mp.agreement_plot([1, 2])


def test_a_changed_conclusion_is_told_beside_the_arrow():
    numbers = {f"{w}_{n}": v for w in ("before", "after") for n, v in (("trials", 8), ("estimate", 0.1),
               ("ci_low", -0.1), ("ci_high", 0.3))}  # fmt: skip
    row = {"outcome": "quality_of_life", "measure": "SMD", "conclusion_changed": True, **numbers}
    row |= {"after_trials": 9, "after_estimate": 0.2}
    figure = mp.before_after_plot(pd.DataFrame([row]))
    assert marks(figure, "_first") == [0.1]
    assert marks(figure, "_second") == [0.2]
    assert "Quality of life" in words(figure)
    assert "8 → 9 trials; conclusion changed" in " ".join(words(figure))
    row |= {"before_estimate": np.nan, "after_estimate": np.nan}
    with pytest.raises(MetapeerError, match="no outcome"):
        mp.before_after_plot(pd.DataFrame([row]))


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_risk_of_bias_of_a_fit_counts_each_trial_once_with_its_weights_together():
    fit = mp.meta_analysis(JUDGED)
    lights = mp.risk_of_bias_plot(fit)
    assert sum(one.get_label() == "_disc" for one in lights.axes[0].patches) == 6
    bars = mp.risk_of_bias_plot(fit, kind="summary", weights="weight")
    widths = [one.get_width() for one in bars.axes[0].patches if one.get_label() == "_bar"]
    low, some, high = (width / sum(widths[:3]) for width in widths[:3])
    assert [100 * low, 100 * some, 100 * high] == pytest.approx([fit.weights[0], fit.weights[2:].sum(), fit.weights[1]])
    with pytest.raises(DataError, match="differs between its rows"):
        mp.risk_of_bias_plot(mp.meta_analysis(JUDGED.assign(rob_d1=["", "", "High risk", "Low risk"])))


@pytest.mark.parametrize(
    ("options", "fault"), [({"kind": "pie"}, "kind"), ({"tool": "QUADAS"}, "tool"), ({"label": "name"}, "label")]
)
def test_unknown_options_of_risk_of_bias_are_refused(options, fault):
    with pytest.raises(ChoiceError, match=fault):
        mp.risk_of_bias_plot(JUDGED, **options)


def test_trials_that_nobody_judged_are_counted_not_drawn():
    figure = mp.risk_of_bias_plot(pd.concat([JUDGED, pd.DataFrame({"study_id": ["z"], "rob_d1": [""]})]))
    assert "z" not in words(figure)
    assert any("Not judged, and not shown: 1 study." in text for text in words(figure))
    with pytest.raises(DataError, match="has no judgement"):
        mp.risk_of_bias_plot(JUDGED[["study_id", "yi"]])


def test_the_posterior_of_tau_has_area_one_and_the_likelihood_is_its_quotient_by_the_prior():
    figure = mp.tau_posterior_plot(mp.bayesian_meta_analysis(**LADDER, measure="SMD"))
    tau, posterior = map(np.asarray, line(figure, "_posterior").get_data())
    likelihood, prior = (np.asarray(line(figure, name).get_ydata()) for name in ("_likelihood", "_prior"))
    area = 0.5 * ((posterior[1:] + posterior[:-1]) * np.diff(tau)).sum()
    assert area == pytest.approx(1, abs=0.01)
    quotient = likelihood * prior / posterior
    assert quotient == pytest.approx(quotient[0], rel=1e-9)
    assert likelihood.max() == pytest.approx(posterior.max())


def test_further_models_at_the_foot_are_named_by_what_was_done_and_have_no_weight():
    fit = mp.meta_analysis(**LADDER)
    others = [mp.meta_analysis(**LADDER, model="common"), mp.meta_analysis(**LADDER, tau2_method="DL", ci_method="z")]
    shown = words(fit.plot(also=others))
    assert "Common-effect model (normal)" in shown
    assert "Random-effects model (DL, normal)" in shown
    assert sum("100.0%" in text for text in shown) == 1
    fewer = mp.meta_analysis(yi=LADDER["yi"][:3], vi=LADDER["vi"][:3])
    assert "3 effects" in " ".join(words(fit.plot(also=[fewer])))
    assert "Without two" in words(fit.plot(also={"Without two": fewer}))
    with pytest.raises(ChoiceError, match="also"):
        fit.plot(also=[1])


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_signs_of_risk_of_bias_stand_in_the_rows_of_their_studies():
    fit = mp.meta_analysis(JUDGED)
    figure = fit.plot(risk_of_bias=True)
    signs = [text.get_text() for text in figure.axes[0].texts if text.get_text() in {"+", "−", "×"}]
    assert signs == ["+", "+", "×", "×", "−", "×", "−", "×"]
    with pytest.raises(MetapeerError, match="no study has a judgement"):
        mp.meta_analysis(**LADDER).plot(risk_of_bias=True)


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_subgroups_may_have_signs_too():
    figure = mp.subgroup_analysis(JUDGED.assign(format=["x", "x", "y", "y"]), by="format").plot(risk_of_bias=True)
    assert sum(text.get_text() in {"+", "−", "×"} for text in figure.axes[0].texts) == 8


def multilevel():
    table = pd.DataFrame({"study_id": list("aabbcd"), "row_id": list("pqrstu"), "vi": [0.02, 0.03] * 3,
                          "yi": [0.1, 0.3, 0.6, 0.8, 0.2, 0.1], "year": [1, 1, 2, 2, 3, 4]})  # fmt: skip
    return table, mp.multilevel_meta_analysis(table, random="~ 1 | study_id")


def test_a_multilevel_forest_has_every_effect_under_its_trial_and_the_pooled_one_at_the_foot():
    table, fit = multilevel()
    figure = fit.plot()
    squares = next(one for one in figure.axes[0].collections if one.get_label() == "_squares")
    assert np.asarray(squares.get_offsets())[:, 0] == pytest.approx(table["yi"])
    (diamond,) = (one for one in figure.axes[0].patches if one.get_label() == "_diamond")
    assert diamond.get_xy()[:-1, 0] == pytest.approx([fit.ci.low, fit.estimate, fit.ci.high, fit.estimate])
    places = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert places["a"] == places["b"] == places["c"] == places["d"]
    assert "Multilevel model: 6 effects from 4 trials" in places


def test_a_multilevel_model_with_moderators_has_no_one_diamond():
    table, _ = multilevel()
    fit = mp.multilevel_meta_analysis(table, random="~ 1 | study_id", moderators=["year"])
    with pytest.raises(MetapeerError, match="coefficients"):
        fit.plot()


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: mp.labbe_plot(COUNTS, lines=["HR"]),
        lambda: mp.labbe_plot(COUNTS, limit="all", lines=[]),
        lambda: mp.labbe_plot(COUNTS, ax=3, lines=[]),
        lambda: mp.orchard_plot({}),
        lambda: mp.risk_of_bias_plot(JUDGED, columns={"rob_d9": "Nine"}),
        lambda: mp.risk_of_bias_plot(JUDGED, ax="here"),
        lambda: mp.tau_posterior_plot(3),
        lambda: mp.meta_analysis(**LADDER).plot(also=3),
        lambda: mp.meta_analysis(**LADDER).plot(width="wide"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(attempt):
    with pytest.raises(MetapeerError):
        attempt()


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_a_measure_that_cannot_be_pooled_has_no_line_and_a_note_says_so():
    empty = COUNTS.assign(events1=0, events2=0)
    figure = mp.labbe_plot(empty, lines=["RR", "RD"])
    assert any("No line of RR" in text for text in words(figure))
    assert any(text.startswith("RD") for text in words(figure))

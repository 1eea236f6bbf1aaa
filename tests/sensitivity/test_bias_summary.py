"""The summary says of each method what the method itself says, and of none more than once what is doubtful."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metapeer as mp
from metapeer.sensitivity.bias_summary_models import BIAS_METHODS

SMD = {
    "yi": [0.9, 0.61, 0.42, 0.55, 0.3, 0.21, 0.28, 0.12, 0.18, 0.1, 0.05],
    "sei": [0.41, 0.3, 0.22, 0.25, 0.19, 0.12, 0.14, 0.08, 0.09, 0.06, 0.07],
}
COUNTS = pd.DataFrame(
    {
        "study_id": list("abcdefghij"),
        "events1": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17],
        "total1": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716],
        "events2": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65],
        "total2": [139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665],
    }
)

QUICK = [name for name in BIAS_METHODS if name != "copas_model"]

pytestmark = pytest.mark.filterwarnings("ignore::metapeer.DataWarning")


def sized(**more):
    """A table of standardised mean differences with sizes of arms."""
    n = np.round(2 / np.square(SMD["sei"]))
    about = {"study_id": [f"s{i}" for i in range(len(n))], "n1": n, "n2": n, "measure": "SMD"}
    return pd.DataFrame({**SMD, **about, **more})


def line(found, label):
    (row,) = found.to_frame().query("label == @label").to_dict("records")
    return row


def test_every_line_has_the_numbers_of_its_method():
    fit = mp.meta_analysis(sized())
    found = mp.bias_summary(fit, methods=QUICK)
    slopes = {
        "Egger": mp.egger_test(fit),
        "Egger (modified predictor)": mp.egger_test(fit, predictor="modified_sei"),
        "Thompson": mp.thompson_test(fit),
    }
    for label, test in slopes.items():
        row = line(found, label)
        assert (row["value"], row["se"], row["p_value"]) == (test.estimate, test.se, test.p_value)
        assert (row["ci_low"], row["ci_high"]) == tuple(test.ci)
    begg = mp.begg_test(fit)
    assert (line(found, "Begg")["value"], line(found, "Begg")["p_value"]) == (begg.estimate, begg.p_value)
    bias = mp.publication_bias_sensitivity(fit)
    peese = mp.pet_peese(fit)
    effects = {
        "as pooled": (fit.estimate, fit.ci),
        "trim and fill": (mp.trim_and_fill(fit).filled.estimate, mp.trim_and_fill(fit).filled.ci),
        "PET-PEESE": (peese.estimate, peese.selected.limit_ci),
        "limit meta-analysis": (mp.limit_meta_analysis(fit).estimate, mp.limit_meta_analysis(fit).ci),
        "selection model 3PSM": (mp.selection_model(fit).estimate, mp.selection_model(fit).ci),
        "p-uniform*": (mp.p_uniform_star(fit).estimate, mp.p_uniform_star(fit).ci),
        "WAAP-WLS": (mp.waap_wls(fit).estimate, mp.waap_wls(fit).ci),
        "worst case": (bias.worst.estimate, bias.worst.ci),
    }
    for label, (estimate, interval) in effects.items():
        row = line(found, label)
        assert (row["value"], row["ci_low"], row["ci_high"]) == (estimate, interval.low, interval.high), label
    assert line(found, "S-value (interval)")["value"] == bias.s_value_ci
    assert line(found, "fail-safe N (Rosenthal)")["value"] == mp.fail_safe_n(fit).N
    assert line(found, "excess significance")["p_value"] == mp.excess_significance_test(fit).p_value


@pytest.mark.parametrize("favoured", ["positive", "negative"])
def test_the_copas_model_supposes_the_side_that_the_others_suppose(favoured):
    fit = mp.meta_analysis(**SMD, measure="SMD")
    found = mp.bias_summary(fit, methods="copas_model", favoured=favoured)
    alone = mp.copas_model(fit, favoured=favoured)
    assert found["copas_model"].estimate.tolist() == alone.estimate.tolist()
    row = line(found, "Copas model")
    assert (row["value"] == alone.adjusted) or np.isnan([row["value"], alone.adjusted]).all()


def test_counts_bring_the_tests_of_counts_and_are_named_where_they_lack():
    found = mp.bias_summary(mp.meta_analysis(mp.effect_size(COUNTS, measure="OR")), methods=QUICK)
    for label, test in (("Harbord", mp.harbord_test), ("Peters", mp.peters_test), ("Deeks", mp.deeks_test)):
        assert line(found, label)["p_value"] == test(COUNTS).p_value
    ready = mp.bias_summary(mp.meta_analysis(**SMD, measure="SMD"), methods=QUICK)
    assert {"harbord_test", "peters_test", "deeks_test"} <= set(ready.not_applied)
    assert "events1" in ready.not_applied["peters_test"][1]


def test_every_method_is_either_told_or_refused_with_a_reason():
    for data in (sized(n1=np.nan).head(4),):
        found = mp.bias_summary(data)
        assert {*found.results, *found.not_applied} == set(BIAS_METHODS)
        assert not {*found.results} & {*found.not_applied}
        told = found.to_frame()
        assert set(BIAS_METHODS) <= set(told["method"])
        refused = told[told["group"] == "not applied"]
        assert (refused["note"].str.len() > 10).all()
        assert refused["value"].isna().all()
        for _, reason in found.not_applied.values():
            assert reason in found.summary().replace("\n", " ") or len(reason) > 60


def test_where_no_value_means_no_effect_nothing_is_significant():
    found = mp.bias_summary(sized(measure="PLN"), methods=QUICK)
    assert {"p_uniform_star", "selection_model", "waap_wls", "fail_safe_n"} <= set(found.not_applied)
    assert found.to_frame().query("group == 'estimate'")["p_value"].isna().all()
    assert found.favoured == ""


def test_several_effects_of_a_trial_are_doubted_once_and_met_by_the_robust_test():
    trials = ["a", "a", "b", "b", *"cdefghi"]
    found = mp.bias_summary(sized(study_id=trials), methods=QUICK)
    assert line(found, "Egger (cluster-robust)")["p_value"] == mp.egger_test(sized(study_id=trials), vcov="CR2").p_value
    assert sum("taken as independent" in note for note in found.notes) == 1
    assert "egger_test_CR2" in mp.bias_summary(sized(), methods=QUICK).not_applied


def test_few_studies_and_the_artefact_are_doubted_once_each():
    with pytest.warns(mp.DataWarning) as told:
        found = mp.bias_summary(sized().head(6), methods=QUICK)
    said = [str(warning.message) for warning in told]
    assert sorted(said) == sorted(found.notes)
    assert len(set(said)) == len(said)
    assert sum("with fewer than 10" in note and "significant" not in note for note in said) == 1
    (artefact,) = (note for note in said if "is computed from the effect itself" in note)
    assert artefact.startswith("Egger, Begg, Thompson")
    assert "compare" not in artefact


def test_the_words_follow_the_numbers():
    found = mp.bias_summary(sized(), methods=QUICK)
    assert line(found, "Egger")["p_value"] < 0.1
    assert line(found, "Egger")["says"] == "effects are higher in less precise studies"
    turned = mp.bias_summary(sized(yi=-np.array(SMD["yi"])), methods=QUICK)
    assert line(turned, "Egger")["says"] == "effects are lower in less precise studies"
    assert turned.favoured == "negative"
    flat = mp.bias_summary(
        sized(yi=[0.2, 0.19, 0.22, 0.18, 0.21, 0.2, 0.23, 0.17, 0.2, 0.21, 0.19]), methods="egger_test"
    )
    assert line(flat, "Egger")["says"] == "no asymmetry shown"
    fit = found.fit
    for row in found.to_frame().query("group == 'estimate' and label != 'as pooled'").to_dict("records"):
        excludes = row["ci_low"] > 0 or row["ci_high"] < 0
        assert fit.ci.low > 0
        assert ("the interval includes no effect" in row["says"]) is not excludes
        if row["value"] > 0:
            nearer = row["value"] < fit.estimate * (1 - 1e-9)
            assert row["says"].startswith("nearer") is nearer


def test_effects_on_a_line_leave_no_interval_to_conclude_from():
    sei = np.linspace(0.1, 0.5, 6)
    found = mp.bias_summary(yi=0.1 + sei**2, sei=sei, methods="pet_peese")
    said = line(found, "PET-PEESE")["says"]
    assert "no width" in said or "no interval" in said


def test_a_ratio_is_printed_as_a_ratio_and_kept_as_its_logarithm():
    fit = mp.meta_analysis(mp.effect_size(COUNTS, measure="OR"))
    found = mp.bias_summary(fit, methods="begg_test")
    assert line(found, "as pooled")["value"] == fit.estimate
    assert f"{np.exp(fit.estimate):.3f} ({np.exp(fit.ci.low):.3f} to {np.exp(fit.ci.high):.3f})" in found.summary()


def test_a_common_effect_is_asked_about_too():
    fit = mp.meta_analysis(**SMD, measure="SMD", model="common")
    found = mp.bias_summary(fit, methods=QUICK)
    free = mp.meta_analysis(**SMD, measure="SMD")
    assert line(found, "as pooled")["value"] == fit.estimate
    assert found["limit_meta_analysis"].estimate == mp.limit_meta_analysis(free).estimate
    assert found["selection_model"].estimate == pytest.approx(mp.selection_model(free, preset="3PSM").estimate)
    assert found["selection_model"].model == "random"


def test_the_favoured_side_can_be_chosen():
    found = mp.bias_summary(sized(), favoured="negative", methods="p_uniform_star")
    assert found.favoured_given
    assert found["p_uniform_star"].favoured == "negative"
    assert "as asked" in found.summary()


def test_a_table_is_pooled_with_the_defaults():
    assert mp.bias_summary(sized(), methods="begg_test").fit.estimate == mp.meta_analysis(sized()).estimate


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: mp.bias_summary(sized(), favoured="up"), "favoured 'up' is unknown"),
        (lambda: mp.bias_summary(sized().head(2)), "at least 3"),
        (mp.bias_summary, "give a fit"),
        (lambda: mp.bias_summary(sized(), yi=[1, 2, 3]), "not both"),
        (lambda: mp.bias_summary(sized(yi=np.nan)), "empty"),
        (lambda: mp.bias_summary(mp.mantel_haenszel(COUNTS)), "pooled by"),
        (lambda: mp.bias_summary(sized(), methods="begg_test")["egger_test"], "method 'egger_test' is unknown"),
        (lambda: mp.bias_summary(sized(), methods="harbord_test")["harbord_test"], "cannot be applied here"),
        (lambda: mp.bias_summary(sized(), methods=["egger"]), "Did you mean 'egger_test'"),
    ],
)
def test_what_cannot_be_is_told(call, says):
    with pytest.raises(mp.MetapeerError, match=says):
        call()


def test_the_figure_is_the_contour_enhanced_funnel():
    figure = mp.bias_summary(sized(), methods="begg_test").plot()
    assert figure.axes[0].get_legend() is not None


def test_the_summary_is_the_same_text_each_time():
    first, again = (mp.bias_summary(sized(), methods=QUICK) for _ in range(2))
    assert first.summary() == again.summary()
    assert "<table>" in first._repr_html_()


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(-3, 3), min_size=3, max_size=7),
    st.lists(st.sampled_from([0.05, 0.1, 0.3, 1.0]), min_size=7, max_size=7),
)
def test_no_effects_whatever_break_it(yi, sei):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", mp.DataWarning)
        found = mp.bias_summary(yi=yi, sei=sei[: len(yi)])
    assert {*found.results, *found.not_applied} == set(BIAS_METHODS)
    assert found.summary()


def test_only_the_methods_asked_for_are_applied_and_in_the_order_of_the_summary():
    found = mp.bias_summary(sized(), methods=["pet_peese", "egger_test", "harbord_test"])
    assert [*found.results] == ["egger_test", "pet_peese"]
    assert [*found.not_applied] == ["harbord_test"]

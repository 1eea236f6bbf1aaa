"""Sequential methods on trials: the looks, what is required, the words, the figure, and bad input."""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from metapeer.command_options import EffectOptions, RowOptions
from metapeer.command_output import to_plain
from metapeer.command_sequential import SequentialMethod, SequentialOptions, everything_of, sequential_table
from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.living.sequential_information import required_information_size
from metapeer.living.sequential_models import law_of_iterated_logarithm, sequential_meta_analysis
from metapeer.living.sequential_trials import trial_sequential_analysis
from metapeer.living.sequential_words import LABEL
from metapeer.plots.sequential import sequential_plot

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "sequential.json").read_text(encoding="utf-8"))


def table(yi=None, vi=None, **columns):
    yi = GOLDEN["trials"]["yi"] if yi is None else yi
    k = len(yi)
    names = [f"trial{i + 1}" for i in range(k)]
    vi = (GOLDEN["trials"]["vi"] if k == 8 else [0.02] * k) if vi is None else vi
    return pd.DataFrame({"study_id": names, "year": range(2001, 2001 + k), "yi": yi, "vi": vi} | columns)


def every_method(data):
    return [
        trial_sequential_analysis(data, effect=0.2),
        sequential_meta_analysis(data, effect=0.2, prior_tau2=0.02, prior_trials=4),
        law_of_iterated_logarithm(data),
    ]


def test_looks_are_pooled_as_metafor_pools_them_and_diversity_follows():
    found = trial_sequential_analysis(table(), effect=0.2)
    for look, row in zip(found.looks[1:], GOLDEN["looks"], strict=True):
        for name in ("estimate", "se", "z"):
            assert getattr(look, name) == pytest.approx(row[name], rel=1e-6)  # metafor's tau² has seven digits
    assert found.required.heterogeneity == pytest.approx(GOLDEN["D2"], rel=1e-6)
    by_i2 = trial_sequential_analysis(table(), effect=0.2, heterogeneity="I2")
    assert by_i2.required.heterogeneity == pytest.approx(GOLDEN["I2"], rel=1e-6)


def test_the_required_information_is_that_of_wetterslev():
    found = trial_sequential_analysis(table(), effect=0.2)
    expected = (1.959963984540054 + 0.8416212335729143) ** 2 / 0.04 / (1 - GOLDEN["D2"] / 100)
    assert found.required.information == pytest.approx(expected, rel=1e-6)
    total = sum(1 / v for v in GOLDEN["trials"]["vi"])
    assert found.looks[-1].fraction == pytest.approx(total / expected, rel=1e-6)


def test_the_score_and_its_information_follow_from_the_posterior_mean_of_tau2():
    prior = GOLDEN["prior"]
    found = sequential_meta_analysis(table(), effect=0.2, prior_tau2=prior["tau2"], prior_trials=prior["trials"])
    for look, row in zip(found.looks[1:], GOLDEN["score"], strict=True):
        assert look.tau2 == pytest.approx(row["tau2"], rel=1e-10)
        assert look.information == pytest.approx(row["V"], rel=1e-10)
        assert look.z == pytest.approx(row["Z"] / math.sqrt(row["V"]), rel=1e-10)
    assert found.looks[0].tau2 == prior["tau2"]


def test_the_repeated_interval_of_the_restricted_procedure_is_the_score_plus_and_minus_its_boundary():
    found = sequential_meta_analysis(table(), effect=0.2)
    height = 7.460510875606184 / 0.2
    look = found.looks[2]
    Z = look.estimate * look.information
    assert look.interval == pytest.approx(((Z - height) / look.information, (Z + height) / look.information), rel=1e-8)


def test_the_penalised_z_is_z_by_the_root_of_the_iterated_logarithm():
    rows = law_of_iterated_logarithm(table(), model="common").to_frame()
    total = np.cumsum(1 / np.array(GOLDEN["trials"]["vi"]))
    np.testing.assert_allclose(rows["penalised_z"], rows["z"] / np.sqrt(2 * np.log(np.log(total))), rtol=1e-12)
    of_differences = law_of_iterated_logarithm(table(measure="RD")).design
    assert "1.5 log log" in of_differences


# Wetterslev et al. (2009), formula for patients, by hand.
@pytest.mark.parametrize(
    ("options", "participants"),
    [
        ({"effect": 0.2}, 786),
        ({"effect": -0.2}, 786),
        ({"effect": 0.2, "heterogeneity": 50.0}, 1570),
        ({"measure": "MD", "effect": 2.0, "sd": 10.0}, 786),
        ({"measure": "RR", "control_risk": 0.1, "relative_risk_reduction": 0.2}, 6430),
        ({"measure": "RD", "control_risk": 0.1, "effect": -0.02}, 6430),
        ({"measure": "OR", "control_risk": 0.1, "relative_risk_reduction": 0.2}, 6430),
        ({"measure": "MD", "effect": 2.0}, None),
    ],
)
def test_required_participants_are_those_of_the_formula(options, participants):
    assert required_information_size(**options).participants == participants


def test_a_risk_and_its_reduction_give_the_effect_of_each_measure():
    given = {"control_risk": 0.2, "relative_risk_reduction": 0.25}
    assert required_information_size(measure="RR", **given).effect == pytest.approx(math.log(0.75))
    assert required_information_size(measure="RD", **given).effect == pytest.approx(-0.05)
    odds = (0.15 / 0.85) / (0.2 / 0.8)
    assert required_information_size(measure="OR", **given).effect == pytest.approx(math.log(odds))


def test_participants_can_be_what_is_counted():
    data = table(n1=[50] * 8, n2=[50] * 8, measure=["SMD"] * 8)
    found = trial_sequential_analysis(data, effect=0.2, information="participants", heterogeneity="none")
    assert [look.information for look in found.looks] == [100.0 * i for i in range(1, 9)]
    assert found.end == 786


def test_trials_without_participants_are_all_named():
    data = table(n1=[50, None, 50, None, 50, 50, 50, 50], n2=[50] * 8, measure=["SMD"] * 8)
    with pytest.raises(DataError) as caught:
        trial_sequential_analysis(data, effect=0.2, information="participants")
    assert [fault.row for fault in caught.value.faults] == ["trial2", "trial4"]


def test_every_title_and_every_figure_says_that_it_is_a_sensitivity_analysis():
    for found in every_method(table()):
        assert LABEL in found.summary().splitlines()[0]
        assert LABEL in found._repr_html_()
        texts = " ".join(text.get_text() for text in found.plot().axes[0].texts) + " ".join(
            artist.get_text() for artist in found.plot().axes[0].get_children() if hasattr(artist, "get_text")
        )
        assert LABEL in texts
        assert "Cochrane advises against" in found.summary()


def test_what_was_crossed_and_when_is_said():
    found = trial_sequential_analysis(
        table([0.4] * 6, [0.03] * 6, positive_favours="arm1"), effect=0.3, heterogeneity="none"
    )
    at = found.crossed_at
    assert found.verdict == "upper"
    assert f"look {at + 1} of 6 (year {2001 + at}, {at + 1} trials), in favour of peer support" in found.conclusion
    turned = trial_sequential_analysis(
        table([-0.4] * 6, [0.03] * 6, positive_favours="arm1"), effect=0.3, heterogeneity="none"
    )
    assert turned.crossed_at == at
    assert "in favour of the comparison" in turned.conclusion


def test_without_a_crossing_there_is_no_conclusion_and_no_evidence_of_no_effect():
    found = trial_sequential_analysis(table([0.02, -0.01, 0.03, 0.0, 0.01]), effect=0.1)
    assert (found.verdict, found.crossed_at) == ("no conclusion", None)
    assert "no evidence of no effect" in found.conclusion


def test_enough_information_without_a_crossing_is_told_from_too_little():
    found = trial_sequential_analysis(table([0.02, -0.01, 0.03, 0.0, 0.01]), effect=0.5)
    assert found.verdict == "required information reached"


def test_futility_is_a_verdict_only_where_it_is_asked_for():
    data = table([0.02, -0.01, 0.03, 0.0, 0.01])
    assert trial_sequential_analysis(data, effect=0.25, futility="OBF").verdict == "futility"
    assert trial_sequential_analysis(data, effect=0.25).verdict != "futility"


def test_a_crossing_by_one_trial_is_said_to_rest_on_one():
    found = law_of_iterated_logarithm(table([1.2, 1.0, 1.1, 0.9, 1.0]))
    assert found.crossed_at == 0
    assert "with 1 trial nothing is known of how trials differ" in found.conclusion


def test_a_crossing_that_later_looks_take_back_is_said_to_be():
    found = law_of_iterated_logarithm(table([1.2, 1.0, -1.0, -0.9, -0.1]))
    assert found.verdict == "upper"
    assert "within the boundaries again" in found.conclusion


def test_trials_of_one_year_come_in_together_unless_told_otherwise():
    data = table().assign(year=[2001, 2001, 2003, 2004, 2004, 2004, 2009, 2010])
    assert len(trial_sequential_analysis(data, effect=0.2).looks) == 5
    assert len(trial_sequential_analysis(data, effect=0.2, together=False).looks) == 8


@settings(max_examples=4)
@given(st.permutations(range(8)))
def test_the_order_of_rows_does_not_matter(order):
    data = table()
    for one, other in zip(every_method(data), every_method(data.iloc[list(order)]), strict=True):
        np.testing.assert_allclose(one.to_frame()["z"], other.to_frame()["z"], rtol=1e-6, atol=1e-9)
        assert one.verdict == other.verdict


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_another_unit_of_a_difference_changes_no_boundary(scale):
    data = table()
    scaled = data.assign(yi=data["yi"] * scale, vi=data["vi"] * scale**2)
    for function in (trial_sequential_analysis, sequential_meta_analysis):
        one, other = function(data, effect=0.2), function(scaled, effect=0.2 * scale)
        np.testing.assert_allclose(one.to_frame()["boundary"], other.to_frame()["boundary"], rtol=1e-5)


def test_one_trial_is_one_look():
    with pytest.warns(DataWarning, match="1 trial"):
        found = trial_sequential_analysis(table([0.1]), effect=0.2)
    assert len(found.looks) == 1
    assert found.required.heterogeneity == 0.0
    assert "no conclusion" in found.conclusion


def test_several_effects_of_one_trial_are_doubted():
    data = table().assign(study_id=["a", "a", *"bcdefg"])
    with pytest.warns(DataWarning, match="8 effects from 7 trials"):
        found = law_of_iterated_logarithm(data)
    assert any("8 effects from 7 trials" in note for note in found.notes)


def test_falling_information_is_noted():
    data = table([0.2, 0.2, 0.2, 0.2, 3.0], [0.01, 0.01, 0.01, 0.01, 0.01])
    assert any("V fell" in note for note in sequential_meta_analysis(data, effect=0.2).notes)
    steady = sequential_meta_analysis(table([0.2] * 5), effect=0.2)
    assert not any("V fell" in note for note in steady.notes)


def test_a_share_for_per_cent_is_doubted():
    with pytest.warns(DataWarning, match="per cent"):
        trial_sequential_analysis(table(), effect=0.2, heterogeneity=0.25)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "state the effect"),
        ({"effect": 0.0}, "must not be 0"),
        ({"effect": math.nan}, "finite number"),
        ({"effect": "big"}, "finite number"),
        ({"effect": 0.2, "alpha": 5}, "alpha"),
        ({"effect": 0.2, "power": 80}, "power"),
        ({"effect": 0.2, "power": 0.01}, "no more than chance"),
        ({"effect": 0.2, "heterogeneity": "D3"}, "is unknown"),
        ({"effect": 0.2, "heterogeneity": 100}, "per cent"),
        ({"effect": 0.2, "heterogeneity": [1]}, "per cent"),
        ({"effect": 0.2, "spending": "OFB"}, "Did you mean 'OBF'"),
        ({"effect": 0.2, "gamma": 1.0}, "no effect without"),
        ({"effect": 0.2, "sd": 2.0}, "sd has no effect"),
        ({"effect": 0.2, "control_risk": 0.1}, "control_risk has no effect"),
        ({"effect": 0.2, "model": "common", "heterogeneity": "D2"}, "no effect with model='common'"),
        ({"effect": 0.2, "information": "participant"}, "Did you mean 'participants'"),
        ({"effect": 0.2, "order": "when"}, "no column 'when'"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_words(options, words):
    with pytest.raises(MetapeerError, match=words):
        trial_sequential_analysis(table(), **options)


def test_other_bad_input_is_refused_in_words():
    with pytest.raises(MetapeerError, match="go together"):
        sequential_meta_analysis(table(), effect=0.2, prior_tau2=0.1)
    with pytest.raises(MetapeerError, match="prior_trials"):
        sequential_meta_analysis(table(), effect=0.2, prior_tau2=0.1, prior_trials=0)
    with pytest.raises(MetapeerError, match="penalty"):
        law_of_iterated_logarithm(table(), penalty=-1)
    with pytest.raises(MetapeerError, match="table of effects"):
        law_of_iterated_logarithm([0.1, 0.2])
    with pytest.raises(MetapeerError, match="no value that means no effect"):
        law_of_iterated_logarithm(table(measure="PR"))
    with pytest.raises(DataError, match="year: is empty"):
        trial_sequential_analysis(table().assign(year=[None, *range(2002, 2009)]), effect=0.2)
    with pytest.raises(MetapeerError, match="control_risk"):
        trial_sequential_analysis(table(measure="RR", n1=[9] * 8, n2=[9] * 8), effect=0.2, information="participants")


def test_the_figure_shows_what_was_computed():
    found = trial_sequential_analysis(table(), effect=0.2, futility="OBF")
    panel = found.plot().axes[0]
    labels = [text.get_text() for text in panel.get_legend().get_texts()]
    assert labels[:3] == ["z after each look", "boundary", "futility boundary"]
    assert labels[-1].startswith("required information")
    path = max(panel.get_lines(), key=lambda line: len(line.get_xdata()))
    np.testing.assert_allclose(path.get_ydata()[1:], [look.z for look in found.looks])


def test_no_words_of_the_figure_touch():
    for found in every_method(table()):
        figure = found.plot()
        panel = figure.axes[0]
        drawer = FigureCanvasAgg(figure).get_renderer()
        legend = panel.get_legend().get_window_extent(drawer)
        boxes = [a.get_window_extent(drawer) for a in panel.artists if hasattr(a, "get_text")]
        boxes += [t.get_window_extent(drawer) for t in panel.get_yticklabels() + panel.get_xticklabels()]
        boxes = [box for box in [*boxes, legend] if box.width > 0]
        assert len(boxes) > 6
        for i, one in enumerate(boxes):
            assert not any(one.overlaps(other) for other in boxes[i + 1 :])


def test_tables_that_cannot_be_drawn_are_refused():
    lines = pd.DataFrame({"information": [1.0], "boundary": [3.0]})
    looks = pd.DataFrame({"information": [1.0], "z": [3.0]})
    with pytest.raises(DataError, match="z: is missing"):
        sequential_plot(looks[["information"]], boundary=lines)
    with pytest.raises(DataError, match="not a finite number"):
        sequential_plot(looks.assign(z="x"), boundary=lines)
    with pytest.raises(ChoiceError, match="DataFrame"):
        sequential_plot(looks, boundary=None)
    with pytest.raises(ChoiceError, match="required"):
        sequential_plot(looks, boundary=lines, required=-1)
    with pytest.raises(DataError, match="no rows"):
        sequential_plot(looks.iloc[:0], boundary=lines)


SMIT = ("smit2023", RowOptions(where=["outcome_group=personal recovery"]), EffectOptions(average=0.8))


def test_what_is_typed_is_what_is_computed(tmp_path):
    options = SequentialOptions(effect=0.2, heterogeneity="30", futility="OBF", figure=tmp_path / "looks.svg")
    found = sequential_table(*SMIT, options, notes_shown=True)
    assert found.required.heterogeneity == 30.0
    assert LABEL in (tmp_path / "looks.svg").read_text(encoding="utf-8")
    plain = to_plain(everything_of(found))
    assert LABEL in plain["title"]
    assert plain["looks"][0]["boundary"] is None  # nothing that JSON has no number for
    score = SequentialOptions(method=SequentialMethod.SMA, effect=0.2, power=0.8)
    assert sequential_table(*SMIT, score, notes_shown=True).end == pytest.approx(8.298621 / 0.04, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": SequentialMethod.LIL, "effect": 0.2}, "--effect has no effect with --method LIL"),
        ({"prior_tau2": 0.2, "effect": 0.2}, "--prior-tau2 has no effect with --method TSA; it belongs to SMA"),
        ({"method": SequentialMethod.SMA}, "needs --effect"),
        ({}, "either --effect, in"),
        ({"effect": 0.2, "figure": Path("looks.txt")}, "must end in"),
    ],
)
def test_what_makes_no_sense_is_refused_as_it_is_typed(options, words):
    with pytest.raises(MetapeerError, match=words):
        sequential_table(*SMIT, SequentialOptions(**options), notes_shown=True)


@given(
    st.lists(st.floats(0.002, 2.0), min_size=2, max_size=8),
    st.lists(st.floats(-2.0, 2.0), min_size=8, max_size=8),
)
@settings(max_examples=12)
def test_diversity_is_never_below_inconsistency(variances, effects):
    data = table(effects[: len(variances)], variances)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        one, other = (
            trial_sequential_analysis(data, effect=0.2, heterogeneity=name, together=True, tau2_method="DL")
            for name in ("D2", "I2")
        )
    assert one.required.heterogeneity >= other.required.heterogeneity - 1e-9


def test_a_common_effect_is_adjusted_for_nothing_but_what_was_stated():
    assert trial_sequential_analysis(table(), effect=0.2, model="common").required.heterogeneity == 0.0
    stated = trial_sequential_analysis(table(), effect=0.2, model="common", heterogeneity=20)
    assert stated.required.information == pytest.approx(196.2219 / 0.8, rel=1e-5)


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_no_diversity_is_told_from_no_adjustment():
    alike = table([0.2, 0.21, 0.19, 0.2])
    assert "none: D² of all trials is 0%" in str(trial_sequential_analysis(alike, effect=0.2))
    words = str(trial_sequential_analysis(alike, effect=0.2, heterogeneity="none"))
    assert "is 0%" not in words

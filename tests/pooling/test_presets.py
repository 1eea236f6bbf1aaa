"""A preset sets the defaults of one program, says so, and gives way to what is asked for."""

import pytest

from metapeer.errors import ChoiceError
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.presets import PRESETS

EFFECTS = {"yi": [0.1, 0.3, 0.35, 0.65, 0.45, 0.15], "vi": [0.03, 0.03, 0.05, 0.01, 0.05, 0.02]}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_equals_its_options_spelt_out(name):
    preset = PRESETS[name]
    found = meta_analysis(**EFFECTS, preset=name)
    spelt = meta_analysis(
        **EFFECTS,
        tau2_method=preset.tau2_method,
        ci_method=preset.ci_method,
        prediction_method=preset.prediction_method,
    )
    assert found.to_frame().drop(columns="excluded").equals(spelt.to_frame().drop(columns="excluded"))
    assert any(repr(name) in note for note in found.notes)
    assert not any("preset" in note for note in spelt.notes)


def test_revman5_is_dersimonian_laird_with_a_normal_interval():
    found = meta_analysis(**EFFECTS, preset="revman5")
    assert (found.tau2_method, found.ci_method) == ("DL", "z")
    assert found.tau2 == pytest.approx(meta_analysis(**EFFECTS, tau2_method="DL").tau2, rel=1e-15)


def test_what_is_given_overrides_the_preset():
    found = meta_analysis(**EFFECTS, preset="revman5", ci_method="HK")
    assert (found.tau2_method, found.ci_method) == ("DL", "HK")


def test_what_could_not_be_verified_is_said():
    assert any("not verified" in note for note in meta_analysis(**EFFECTS, preset="revman").notes)
    assert not any("not verified" in note for note in meta_analysis(**EFFECTS, preset="metafor").notes)


def test_a_preset_is_refused_under_a_common_effect_where_it_would_do_nothing():
    with pytest.raises(ChoiceError, match="preset has no effect with model='common'"):
        meta_analysis(**EFFECTS, model="common", preset="revman5")


def test_an_unknown_preset_is_refused():
    with pytest.raises(ChoiceError, match="Did you mean 'revman5'"):
        meta_analysis(**EFFECTS, preset="revmn5")


def test_estimators_that_disagree_strongly_are_told():
    many_peaks = {"yi": [-0.9, 19.49, 1.17, 0.27], "vi": [0.159, 38.894, 0.53, 0.125]}
    with pytest.warns(UserWarning, match="several maxima"):
        assert not any("disagree" in note for note in meta_analysis(**many_peaks).notes)
    found = meta_analysis(yi=[0.0, 0.1, 3.0], vi=[0.01, 0.01, 2.0], tau2_method="SJ", ci_method="z")
    assert abs(found.I2 - found.I2_Q) > 25
    assert any("disagree" in note for note in found.notes)

"""Trim and fill beyond the reference numbers: symmetry, sides, words."""

import numpy as np
import pytest

import metapeer as mp

YI = [0.1, 0.2, 0.15, 0.3, 0.35, 0.5, 0.4, 0.7, 0.65, 0.9, 0.85]
SEI = [0.05, 0.08, 0.1, 0.13, 0.15, 0.2, 0.22, 0.28, 0.3, 0.38, 0.4]


def test_flipping_signs_flips_the_side_and_the_filled_estimate():
    left, right = mp.trim_and_fill(yi=YI, sei=SEI), mp.trim_and_fill(yi=-np.array(YI), sei=SEI)
    assert (left.side, right.side) == ("left", "right")
    assert left.k0 == right.k0 > 0
    assert left.filled.estimate == pytest.approx(-right.filled.estimate)


def test_a_symmetric_funnel_is_left_as_it_is():
    yi = [0.3, 0.2, 0.4, 0.1, 0.5, 0.0, 0.6, 0.25, 0.35, 0.3]
    sei = [0.05, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.08, 0.08, 0.06]
    found = mp.trim_and_fill(yi=yi, sei=sei, side="left")
    assert found.k0 == 0
    assert found.filled.estimate == found.original.estimate
    assert len(found.added) == 0


def test_filled_studies_mirror_those_trimmed_about_the_centre():
    found = mp.trim_and_fill(yi=YI, sei=SEI, labels=list("abcdefghijk"))
    for row in found.added.itertuples():
        i = "abcdefghijk".index(row.mirror_of)
        assert row.yi == pytest.approx(2 * found.centre - YI[i])
        assert row.sei == pytest.approx(SEI[i])
    assert found.filled.k == 11 + found.k0
    assert found.filled.labels[-1] == f"filled {found.k0}"


def test_options_of_the_fit_hold_unless_others_are_given():
    fit = mp.meta_analysis(yi=YI, sei=SEI, tau2_method="PM", ci_method="z", level=0.9)
    found = mp.trim_and_fill(fit)
    assert (found.filled.tau2_method, found.filled.ci_method, found.filled.level) == ("PM", "z", 0.9)
    assert found.original.estimate == fit.estimate
    other = mp.trim_and_fill(fit, model="common")
    assert (other.filled.model, other.trim_model) == ("common", "common")
    assert "common-effect model" in str(other)


def test_the_r0_test_halves_with_each_study():
    found = mp.trim_and_fill(yi=YI, sei=SEI, estimator="R0")
    assert found.p_value == 0.5 ** (found.k0 + 1)
    assert "R0 test" in str(found)
    assert np.isnan(mp.trim_and_fill(yi=YI, sei=SEI).p_value)


def test_equal_effects_fill_nothing():
    for estimator in ("L0", "R0", "Q0"):
        found = mp.trim_and_fill(yi=[0.3] * 12, sei=np.linspace(0.1, 0.5, 12), side="left", estimator=estimator)
        assert found.k0 == 0


def test_the_result_says_what_it_is_and_what_it_is_not():
    found = mp.trim_and_fill(yi=YI, sei=SEI)
    assert "5 studies filled in on the left" in str(found)
    assert "what-if" in str(found)
    frame = found.to_frame()
    assert frame["studies"].tolist() == ["observed", "with filled"]
    assert frame["k"].tolist() == [11, 16]


def test_unknown_options_are_refused():
    for options in ({"side": "both"}, {"estimator": "L1"}, {"trim_model": "fixed"}, {"tau2_method": "RELM"}):
        with pytest.raises(mp.ChoiceError):
            mp.trim_and_fill(yi=YI, sei=SEI, **options)


def test_each_interval_has_its_own_degrees_of_freedom_in_words():
    found = mp.trim_and_fill(yi=YI, sei=SEI)
    assert found.k0 > 0
    text = str(found)
    assert f"t, {len(YI) - 1} df; with filled studies Hartung-Knapp, t, {len(YI) - 1 + found.k0} df" in text
    assert "with filled studies " not in str(mp.trim_and_fill(yi=YI, sei=SEI, ci_method="z")).split("intervals:")[1]
    assert f"standard error of the number {found.k0_se:.2f}" in text

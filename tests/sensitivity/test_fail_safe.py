"""Fail-safe N beyond the reference numbers: what its number does, idle options, words."""

import math

import numpy as np
import pytest

import metapeer as mp

YI = [0.3, 0.4, 0.5, 0.2, 0.35]
SEI = [0.1, 0.2, 0.25, 0.1, 0.15]


def stouffer(number):
    z = sum(y / s for y, s in zip(YI, SEI, strict=True)) / math.sqrt(len(YI) + number)
    return 0.5 * math.erfc(z / math.sqrt(2))


def test_rosenthals_number_is_the_first_that_undoes_stouffers_test():
    number = int(mp.fail_safe_n(yi=YI, sei=SEI).N)
    assert stouffer(number) >= 0.05 > stouffer(number - 1)


def test_orwins_number_brings_the_mean_to_the_target():
    found = mp.fail_safe_n(yi=YI, sei=SEI, method="Orwin", target=0.1)
    assert found.estimate * 5 / (5 + found.N) <= 0.1 < found.estimate * 5 / (5 + found.N - 1)
    assert mp.fail_safe_n(yi=YI, sei=SEI, method="Orwin").N == 5
    assert math.isinf(mp.fail_safe_n(yi=YI, sei=SEI, method="Orwin", target=0.0).N)


def test_the_general_version_under_a_common_effect_is_rosenbergs():
    fit = mp.meta_analysis(yi=YI, sei=SEI, model="common")
    assert mp.fail_safe_n(fit, method="General").N == mp.fail_safe_n(fit, method="Rosenberg").N


def test_the_general_version_reaches_a_target():
    found = mp.fail_safe_n(yi=YI, sei=SEI, method="General", target=0.15)
    assert abs(found.estimate_N) <= 0.15
    assert math.isnan(found.alpha)
    assert "to bring the mean effect to 0.150" in str(found)
    assert math.isinf(mp.fail_safe_n(yi=YI, sei=SEI, method="General", target=0.0).N)


def test_flipping_signs_changes_no_number():
    for method in ("Rosenthal", "Orwin", "Rosenberg", "General"):
        one = mp.fail_safe_n(yi=YI, sei=SEI, method=method)
        other = mp.fail_safe_n(yi=-np.array(YI), sei=SEI, method=method)
        assert one.N == other.N
        assert one.estimate == pytest.approx(-other.estimate, nan_ok=True)


def test_nothing_to_undo_gives_zero_and_says_so():
    found = mp.fail_safe_n(yi=[0.1, -0.1, 0.0], sei=[0.2, 0.2, 0.2])
    assert found.N == 0
    assert "nothing to undo" in str(found)


def test_idle_options_and_impossible_numbers_are_refused():
    for method, options in (
        ("Rosenthal", {"target": 0.1}),
        ("Rosenberg", {"tau2_method": "DL"}),
        ("Orwin", {"alpha": 0.05}),
        ("General", {"alpha": 0.05, "target": 0.1}),
        ("Rosental", {}),
    ):
        with pytest.raises(mp.ChoiceError):
            mp.fail_safe_n(yi=YI, sei=SEI, method=method, **options)
    for options in ({"alpha": 0.7}, {"alpha": True}, {"alpha": "5%"}):
        with pytest.raises(mp.MetapeerError):
            mp.fail_safe_n(yi=YI, sei=SEI, **options)
    with pytest.raises(mp.MetapeerError):
        mp.fail_safe_n(yi=YI, sei=SEI, method="Orwin", target=math.inf)


def test_a_table_of_one_row_holds_every_number():
    found = mp.fail_safe_n(yi=YI, sei=SEI, method="General")
    row = found.to_frame().iloc[0]
    assert (row["N"], row["p_value_N"]) == (found.N, found.p_value_N)

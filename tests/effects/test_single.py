"""A mean in one group."""

import numpy as np
import pandas as pd
import pytest

from metapeer.effects.measures import find_measure
from metapeer.effects.table import effect_size
from metapeer.errors import DataError


@pytest.mark.golden_effects("MN", "MNLN")
def test_means_agree_with_metafor(columns, case):
    effects = effect_size(pd.DataFrame(columns), **case["arguments"])
    np.testing.assert_allclose(effects["yi"], case["yi"], rtol=1e-14)
    np.testing.assert_allclose(effects["vi"], case["vi"], rtol=1e-14)


def test_a_log_mean_needs_a_mean_above_zero_and_is_shown_as_the_mean():
    table = pd.DataFrame({"mean": [-1.0, 0.0, 12.5], "sd": [2.0, 2.0, 3.0], "n": [10, 10, 10]})
    effects = effect_size(table, measure="MNLN")
    assert effects["exclusion_reason"].tolist() == ["the logarithm of a mean needs a mean above 0"] * 2 + [""]
    assert find_measure("MNLN").display(effects["yi"].iloc[2]) == pytest.approx(12.5, rel=1e-14)
    assert (effect_size(table, measure="MN")["exclusion_reason"] == "").all()


def test_impossible_groups_are_listed():
    with pytest.raises(DataError) as caught:
        effect_size(pd.DataFrame({"mean": [1.0, 1.0], "sd": [0.0, 2.0], "n": [10, 1]}), measure="MN")
    assert [fault.column for fault in caught.value.faults] == ["sd", "n"]

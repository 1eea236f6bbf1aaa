import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.plots.text import text_width
from metapeer.plots.ticks import tick_text, ticks_within


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (math.log(0.3), math.log(3), [0.5, 1, 2]),
        (math.log(0.2), math.log(5), [0.25, 0.5, 1, 2, 4]),
        (math.log(0.04), math.log(2), [0.05, 0.1, 0.2, 0.5, 1, 2]),
        (math.log(0.002), math.log(300), [0.01, 0.1, 1, 10, 100]),
        (math.log(0.87), math.log(1.24), [0.9, 1.0, 1.1, 1.2]),
    ],
)
def test_ratio_axes_have_ticks_that_readers_know(low, high, expected):
    assert ticks_within(low, high, 200, 8, ratio=True) == pytest.approx(expected)


@given(
    st.floats(-600, 600),
    st.floats(-9, 2.5),
    st.booleans(),
    st.floats(60, 400),
)
def test_tick_labels_stay_on_the_axis_and_never_touch(low, log_span, ratio, width):
    high = low + 10**log_span * (1 if ratio else max(1.0, abs(low)))
    ticks = ticks_within(low, high, width, 8, ratio=ratio)
    labels = tick_text(ticks, common=not ratio)
    at = [(math.log(tick) if ratio else tick) for tick in ticks]
    assert all(low - 1e-9 <= place <= high + 1e-9 for place in at)
    assert len(set(labels)) == len(labels)
    halves = [text_width(label, 8) / 2 for label in labels]
    places = [(place - low) / (high - low) * width for place in at]
    for i in range(len(ticks) - 1):
        assert places[i] + halves[i] < places[i + 1] - halves[i + 1]


def test_tick_labels_have_the_decimals_they_need_and_no_more():
    assert tick_text([-1, 0, 1]) == ["−1", "0", "1"]
    assert tick_text([0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
    assert tick_text([1 / 3, 1, 3], common=False) == ["0.333", "1", "3"]
    assert tick_text([100, 100.0001]) == ["100.0000", "100.0001"]
    assert tick_text([1.25e7, 1.5e7]) == ["12500000", "15000000"]


def test_a_short_axis_of_ratios_with_large_type_still_has_a_tick():
    assert ticks_within(-3.4, 0.6, 260, 20, ratio=True)

"""Recovery of two-by-two tables from printed numbers."""

import csv
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metapeer.effects.counts import TwoByTwo, recover_counts
from metapeer.effects.margins import counts_from_margins
from metapeer.errors import ChoiceError, DataError, MetapeerError

DATASETS = Path(__file__).parents[2] / "datasets"

# Kelly et al. (2014), Community Mental Health Journal 50:435-446, abstract: 24 participants; "44.4 % vs. 83.3 %,
# χ2 = 3.50" seek a primary care provider, "55.6 % vs. 0 %, χ2 = 8.75" the emergency room.
KELLY = {
    "kelly2014.d1": {"percent1": "83.3", "percent2": "44.4", "chi2": "3.50"},
    "kelly2014.d2": {"percent1": "0", "percent2": "55.6", "chi2": "8.75"},
}


def _derived(review):
    with (DATASETS / review / "derived_counts.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _table(row):
    return TwoByTwo(**{name: int(row[name]) for name in ("events1", "total1", "events2", "total2")})


@pytest.mark.parametrize("row", _derived("chien2019"), ids=lambda row: row["row_id"])
def test_published_risk_ratios_have_one_table_over_all_splits_of_their_participants(row):
    printed = {"ratio": row["es_type"], "es": row["es"], "ci_low": row["es_ci_low"], "ci_high": row["es_ci_high"]}
    table = _table(row)
    found = recover_counts(**printed, total=table.total1 + table.total2)
    assert found.table == table
    assert found.splits == table.total1 + table.total2 - 1
    assert recover_counts(**printed, total1=table.total1, total2=table.total2).table == table


@pytest.mark.parametrize("row", _derived("other_trials"), ids=lambda row: row["row_id"])
def test_published_percentages_and_chi_squared_have_one_table(row):
    found = recover_counts(**KELLY[row["row_id"]], total_at_most=24)
    assert found.table == _table(row)


def _effect(ratio, a, n1, c, n2):
    """Effect and Wald limits of one table, written out; with a half in each cell where one is empty."""
    cells = np.array([a, n1 - a, c, n2 - c], dtype=float)
    for add in (0.0, 0.5) if (cells == 0).any() else (0.0,):
        a_, b_, c_, d_ = cells + add
        with np.errstate(all="ignore"):
            if ratio == "RR":
                y, v = np.log(a_ / (a_ + b_) / (c_ / (c_ + d_))), 1 / a_ - 1 / (a_ + b_) + 1 / c_ - 1 / (c_ + d_)
            elif ratio == "OR":
                y, v = np.log(a_ * d_ / (b_ * c_)), 1 / a_ + 1 / b_ + 1 / c_ + 1 / d_
            else:
                p1, p2 = a_ / (a_ + b_), c_ / (c_ + d_)
                y, v = p1 - p2, p1 * (1 - p1) / (a_ + b_) + p2 * (1 - p2) / (c_ + d_)
        if np.isfinite(y) and np.isfinite(v):
            ends = y + np.array([0, -1, 1]) * 1.959963984540054 * np.sqrt(v)
            yield ends if ratio == "RD" else np.exp(ends)


def _print(value, digits, rounding):
    return str(Decimal(float(value)).quantize(Decimal(1).scaleb(-digits), rounding))


ARM_SIZE = st.integers(2, 14)


@given(
    ratio=st.sampled_from(["RR", "OR", "RD"]), n1=ARM_SIZE, n2=ARM_SIZE, data=st.data(), digits=st.integers(1, 3),
    rounding=st.sampled_from([ROUND_HALF_UP, ROUND_HALF_EVEN]), limits=st.booleans(),
)  # fmt: skip
def test_tables_found_are_those_of_a_search_through_all_tables(ratio, n1, n2, data, digits, rounding, limits):
    a, c = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    effects = list(_effect(ratio, a, n1, c, n2))
    assume(effects)
    values = data.draw(st.sampled_from(effects))[: 3 if limits else 1]
    texts = [_print(value, digits, rounding) for value in values]
    half = 0.5 * 10.0**-digits
    bounds = [(float(text) - half - 1e-9, float(text) + half + 1e-9) for text in texts]
    expected = {
        TwoByTwo(events1=i, total1=n1, events2=j, total2=n2)
        for i in range(n1 + 1)
        for j in range(n2 + 1)
        if any(
            all(low <= x <= high for x, (low, high) in zip(effect, bounds, strict=False))
            for effect in _effect(ratio, i, n1, j, n2)
        )
    }
    names = dict(zip(("es", "ci_low", "ci_high"), texts, strict=False))
    found = recover_counts(ratio=ratio, **names, total1=n1, total2=n2)
    assert TwoByTwo(events1=a, total1=n1, events2=c, total2=n2) in found.tables
    assert set(found.tables) == expected
    assert len(found.tables) == len(expected)


@given(n1=ARM_SIZE, n2=ARM_SIZE, data=st.data())
def test_percentages_with_the_number_of_events_hold_the_table_they_were_printed_from(n1, n2, data):
    a, c = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    percents = {"percent1": f"{100 * a / n1:.1f}%", "percent2": f"{100 * c / n2:.1f} %"}
    found = recover_counts(**percents, events=a + c, total=n1 + n2)
    assert TwoByTwo(events1=a, total1=n1, events2=c, total2=n2) in found.tables
    assert all(table.events1 + table.events2 == a + c for table in found.tables)


def test_more_digits_never_add_a_table():
    coarse = recover_counts(ratio="OR", es="1.5", total=30)
    fine = recover_counts(ratio="OR", es="1.50", total=30)
    assert set(fine.tables) < set(coarse.tables)


def test_what_is_not_unique_says_so_and_is_not_given_out():
    found = recover_counts(ratio="RR", es="0.50", total1=20, total2=20)
    assert not found.unique
    assert str(found).startswith(f"{len(found.tables)} tables give RR 0.50: 1/20 vs 2/20; 2/20 vs 4/20")
    assert str(found).endswith(f"and {len(found.tables) - 5} more")
    with pytest.raises(MetapeerError, match=r"tables give RR 0\.50"):
        _ = found.table


def test_what_no_table_gives_says_so():
    found = recover_counts(ratio="RR", es="0.44", ci_low="0.43", ci_high="0.45", total1=9, total2=10)
    assert found.tables == ()
    assert not found.unique
    assert str(found) == "no table gives RR 0.44 (0.43 to 0.45); was a number misread, or made by another method?"
    with pytest.raises(MetapeerError, match="no table gives"):
        _ = found.table


def test_the_level_of_the_limits_matters():
    printed = {"ratio": "RR", "es": "1.77", "ci_low": "1.18", "ci_high": "2.64", "total1": 41, "total2": 39}
    assert recover_counts(**printed, level=0.90).table.events1 == 26
    assert recover_counts(**printed).tables == ()


def test_typographic_signs_are_read():
    found = recover_counts(ratio="RD", es="−0.28", ci_low="−0·69", ci_high="0·13", total1=9, total2=10)
    assert TwoByTwo(events1=2, total1=9, events2=5, total2=10) in found.tables


BAD = [
    ({"ratio": "RR", "es": 0.44, "total": 19}, "es: give 0.44 in quotes, as printed: '0.40' says more than 0.4"),
    ({"ratio": "RR", "es": "<0.1", "total": 19}, "es: '<0.1' is not a printed number"),
    ({"ratio": "RR", "es": "inf", "total": 19}, "es: 'inf' is not a printed number"),
    ({"ratio": "RD", "es": "12%", "total": 19}, "es: '12%' is not a printed number"),
    ({"ratio": "RR", "es": "-0.4", "total": 19}, "es: -0.4 will not do; a ratio must not be negative"),
    ({"ratio": "RR", "es": "0.4", "ci_low": "0.5", "total": 19}, "es: 0.4 is below ci_low 0.5"),
    ({"ratio": "RR", "es": "0.4", "ci_low": "0.2", "ci_high": "0.3", "total": 19}, "ci_high: 0.3 is below es 0.4"),
    ({"percent1": "104", "percent2": "3", "total": 19}, "percent1: 104 will not do"),
    ({"chi2": "-1", "total": 19}, "chi2: -1 will not do; it must not be negative"),
    ({"total": 19, "events": 3}, "es: nothing was printed"),
    ({"ratio": "RR", "es": "0.4"}, "total: is missing; give total1 and total2, or total, or total_at_most"),
    ({"ratio": "RR", "es": "0.4", "total": 0}, "total: 0 will not do; it must be a whole number of at least 1"),
    ({"ratio": "RR", "es": "0.4", "total": 19.5}, "total: 19.5 will not do"),
    ({"ratio": "RR", "es": "0.4", "total": True}, "total: True will not do"),
    ({"ratio": "RR", "es": "0.4", "total": 1}, "total: 1 leaves nobody for the other arm"),
    (
        {"ratio": "RR", "es": "0.4", "total1": 9, "total2": 10, "total": 20},
        "total: 20 is not total1 . total2, which is 19",
    ),
    ({"ratio": "RR", "es": "0.4", "total1": 9, "total": 9}, "total: 9 leaves nobody"),
    ({"ratio": "RR", "es": "0.4", "total": 9, "total_at_most": 9}, "total_at_most: has no effect when total is given"),
    ({"ratio": "RR", "es": "0.4", "total_at_most": 5000}, "ways to split the participants are too many"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_impossible_clues_are_named(arguments, message):
    with pytest.raises(DataError, match=message):
        recover_counts(**arguments)


def test_clues_that_would_have_no_effect_are_refused():
    with pytest.raises(ChoiceError, match="ratio and es belong together"):
        recover_counts(es="0.44", total=19)
    with pytest.raises(ChoiceError, match="no effect without es"):
        recover_counts(percent1="10", percent2="20", ci_low="0.2", total=19)
    with pytest.raises(ChoiceError, match="ratio 'HR' is unknown"):
        recover_counts(ratio="HR", es="0.44", total=19)
    with pytest.raises(ChoiceError, match="level 95 will not do"):
        recover_counts(ratio="RR", es="0.44", total=19, level=95)


@given(n1=st.integers(2, 200), n2=st.integers(2, 200), data=st.data())
def test_margins_and_a_statistic_give_back_the_table(n1, n2, data):
    a, c = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    b, d = n1 - a, n2 - c
    assume(0 < a + c < n1 + n2)
    margins = {"total": n1 + n2, "total1": n1, "events": a + c}
    phi = (a * d - b * c) / np.sqrt(float(n1) * n2 * (a + c) * (b + d))
    found = [counts_from_margins(**margins, phi=phi)]
    found.append(counts_from_margins(**margins, chi2=(n1 + n2) * phi**2, sign=1 if phi >= 0 else -1))
    if min(a, b, c, d) > 0:
        found.append(counts_from_margins(**margins, odds_ratio=a * d / (b * c)))
    for table in found:
        assert (table.events1, table.total1, table.events2, table.total2) == (a, n1, c, n2)
        assert table.exact == pytest.approx(a, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"total": 100, "total1": 100, "events": 30, "phi": 0.1}, "total1: 100 will not do; it must be below total"),
        ({"total": 100, "total1": 40, "events": 130, "phi": 0.1}, "events: 130 will not do; it must be below total"),
        (
            {"total": 100, "total1": 40, "events": 30.5, "phi": 0.1},
            "events: 30.5 will not do; it must be a whole number",
        ),
        ({"total": 100, "total1": 40, "events": 30, "phi": 1.1}, "phi: 1.1 will not do; it must lie between"),
        ({"total": 100, "total1": 40, "events": 30, "phi": 0.95}, "is more than any table with these margins can show"),
        ({"total": 100, "total1": 40, "events": 30, "odds_ratio": 0}, "odds_ratio: 0 will not do"),
        ({"total": 100, "total1": 40, "events": 30, "chi2": -1, "sign": 1}, "chi2: -1 will not do"),
        ({"total": 100, "total1": 40, "events": 30, "chi2": 1, "sign": 3}, "sign: 3 will not do; it must be 1 or -1"),
    ],
)
def test_impossible_margins_are_named(arguments, message):
    with pytest.raises(DataError, match=message):
        counts_from_margins(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"phi": 0.1, "odds_ratio": 2}, {"chi2": 2}, {"phi": 0.1, "sign": 1}, {"phi": 0.1, "continuity": True}],
)
def test_exactly_one_statistic_fills_a_table(arguments):
    with pytest.raises(ChoiceError):
        counts_from_margins(total=100, total1=40, events=30, **arguments)

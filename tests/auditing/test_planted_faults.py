"""Slips planted in clean tables: how many the whole audit finds, how often it cries wolf, and the page that says so."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOM = Path(__file__).parent


def _load():
    spec = importlib.util.spec_from_file_location("planted_faults", ROOM / "planted_faults.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


planted = _load()
FAULTS = {one.words: one for one in planted.FAULTS}
FEW = 10


def page():
    return planted.PAGE.read_text(encoding="utf-8")


@pytest.mark.sampled(keep=3)
@pytest.mark.parametrize(
    ("words", "held"),
    [
        ("the sign of the printed effect turned", "both"),
        ("standard errors entered as SDs", "both"),
        ("standard errors entered as SDs", "arms"),
        ("the effect computed with standard errors for SDs", "both"),
        ("the variance in place of the standard error, or the reverse", "limits"),
        ("limits of 90%", "limits"),
        ("a mean outside the range of its instrument", "arms"),
        ("all numbers copied from the row above", "arms"),
    ],
)
def test_gross_slips_in_tables_that_can_show_them_are_found_and_named(words, held):
    count = planted.count_fault(FAULTS[words], ("made up", held), planted=FEW)
    assert count.planted == FEW
    assert count.found >= 0.9 * FEW
    assert count.named >= 0.9 * FEW
    assert count.alarms == 0


@pytest.mark.sampled(keep=2)
@pytest.mark.parametrize(
    "words",
    [
        "standard errors entered as SDs",
        "the effect computed with standard errors for SDs",
        "the decimal point of a mean",
        "the effect and standard error of another row",
        "more events than people",
    ],
)
def test_gross_slips_in_real_tables_with_printed_effects_are_found(words):
    count = planted.count_fault(FAULTS[words], ("real", "both"), planted=FEW)
    assert (count.planted, count.found) == (FEW, FEW)


def test_no_slip_is_found_where_nothing_can_show_it():
    # Not a wish: were these found, something other than the slip would have been.
    for words in ("those without the event counted", "the arms exchanged"):
        count = planted.count_fault(FAULTS[words], ("real", "arms"), planted=FEW)
        assert count.found <= 1


def test_clean_tables_raise_fewer_alarms_than_one_row_in_a_hundred():
    rows, grave, tables = planted.clean_rows(real=True)
    assert tables >= 60
    assert rows > 3000
    assert grave < 0.01 * rows


def test_clean_made_up_tables_raise_hardly_an_alarm():
    rows, grave, _ = planted.clean_rows(real=False)
    assert rows > 2000
    assert grave < 0.002 * rows


def test_a_planted_slip_changes_its_row_and_no_other():
    rng = planted.np.random.default_rng(1)
    for one in planted.FAULTS:
        for source in planted.sources()[::9]:
            slip = one.plant(rng, source, min(5, len(source.cells) - 1))
            if not slip:
                continue
            cells, touched = planted.planted_table(source, slip)
            same = [i for i in range(len(source.cells)) if i not in touched]
            assert touched
            assert cells.iloc[same].equals(source.cells.iloc[same])
            assert all(not cells.iloc[i].equals(source.cells.iloc[i]) for i in touched if i < len(source.cells))


def test_the_interval_of_a_share_is_wilsons():
    # Newcombe (1998), Statistics in Medicine 17:857-872, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    known = ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718))
    for found, of, low, high in known:
        assert planted.wilson(found, of) == pytest.approx((low, high), abs=5e-5)


def test_every_fault_stands_on_the_page_and_no_other():
    written = planted.written_block(page())
    told = set(re.findall(r"^\| ([^|*]+?) \|", written, flags=re.MULTILINE))
    assert told - {"planted"} == set(FAULTS)


@pytest.mark.slow
def test_a_slice_of_the_page_is_what_planting_gives():
    written = planted.written_block(page()).splitlines()
    for words in ("limits of 90%", "percentages entered as counts"):
        one = FAULTS[words]
        held = "limits" if "limits" in words else "arms"
        counts = {(words, (o, held)): planted.count_fault(one, (o, held)) for o in ("real", "made up")}
        (line,) = planted.lines_of(one, held, counts)
        assert line in written


def test_the_page_names_every_code_a_check_can_give_and_no_other():
    text = page()
    part = text[text.index("## What is checked") : text.index("## How many slips")]
    cells = re.findall(r"^\| (`.*?`) \|", part, flags=re.MULTILINE)
    named = [code for cell in cells for code in re.findall(r"`(\w+)`", cell)]
    assert len(named) == len(set(named))
    assert set(named) == planted.codes_in_source()


def test_every_code_that_came_of_planting_is_named_in_the_source():
    known, seen = planted.codes_in_source(), set()
    for words in list(FAULTS)[::6]:
        for held in planted.EVIDENCE:
            seen |= {code.strip("()") for code in planted.count_fault(FAULTS[words], ("real", held), planted=3).codes}
    assert seen - {"-"} <= known
    assert len(seen) > 8


@pytest.mark.slow
def test_the_page_is_what_planting_gives():
    assert planted.written_block(page()) == planted.block()

"""What the commands say, and what they do with a table of one's own."""

import pandas as pd
import pytest

import metapeer as mp
from metapeer.command_options import EffectOptions, PoolingOptions, RowOptions, as_typed
from metapeer.command_outcomes import OutcomeOptions, pool_table
from metapeer.errors import MetapeerError


@pytest.fixture
def unclassed(tmp_path):
    path = tmp_path / "trials.csv"
    frame = pd.DataFrame({"study_id": list("abab"), "outcome": ["hope", "hope", "recovery", "recovery"]})
    frame.assign(yi=[0.3, 0.4, 0.1, 0.2], vi=0.02).to_csv(path, index=False)
    return path


def pooled(path):
    return pool_table(str(path), RowOptions(), EffectOptions(), OutcomeOptions(), PoolingOptions(), notes_shown=True)


def test_outcomes_without_classes_are_pooled_without_headings(unclassed):
    found = pooled(unclassed)
    assert [fit.k for fit in found.results] == [2, 2]
    assert set(found.groups) == {""}


def test_outcomes_with_classes_keep_their_headings(unclassed):
    frame = pd.read_csv(unclassed).assign(outcome_class="psychosocial")
    frame.to_csv(unclassed, index=False)
    assert set(pooled(unclassed).groups) == {"psychosocial"}


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        (
            "compare ci_method='HK_se', 'HK_ci' or 'HK_IQWiG6'",
            "compare --ci-method HK_se, HK_ci or HK_IQWiG6",
        ),
        ("give tau2_method='ML' or 'PM'; study 'x' or 'y'", "give --tau2-method ML or PM; study 'x' or 'y'"),
        ("make one with release()", "make one with metapeer release"),
        ("(write_prisma_template() writes a blank one)", "(metapeer prisma --template writes a blank one)"),
    ],
)
def test_advice_of_the_library_is_said_as_it_is_typed(said, typed):
    assert as_typed(said) == typed


def test_what_is_missing_of_a_folder_is_told_with_the_command_that_makes_it(tmp_path):
    made = tmp_path / "mine"
    mp.init_review(made, start="lyons2021")
    with pytest.raises(MetapeerError) as verified:
        mp.verify(made)
    assert as_typed(str(verified.value)).endswith("has no metapeer.lock; make one with metapeer release")
    with pytest.raises(MetapeerError) as drawn:
        mp.prisma_flow(made)
    assert "metapeer prisma --template writes a blank one" in as_typed(str(drawn.value))


def test_a_workbook_that_is_no_form_is_told_so_once_for_each_sheet(tmp_path):
    pd.DataFrame({"study_id": ["a"], "yi": [0.1], "vi": [0.02]}).to_excel(tmp_path / "x.xlsx", index=False)
    with pytest.raises(MetapeerError) as read:
        mp.read_form(tmp_path / "x.xlsx")
    lines = as_typed(str(read.value)).splitlines()[1:]
    assert [line.split(";")[0].strip() for line in lines] == ["has no sheet 'Trials'", "has no sheet 'Outcomes'"]
    assert all(line.endswith("metapeer form writes the form that is read here") for line in lines)

"""`metapeer findings`, as typed."""

import pandas as pd
import pytest

import metapeer as mp
from metapeer.command_findings import FindingsOptions, find_findings, write_findings
from metapeer.command_options import EffectOptions, PoolingOptions, RowOptions


def run(table, *, rows=None, effect=None, pooling=None, **options):
    return find_findings(
        str(table),
        rows or RowOptions(),
        effect or EffectOptions(),
        pooling or PoolingOptions(),
        FindingsOptions(**options),
        notes_shown=True,
    )


@pytest.fixture
def trials(tmp_path):
    path = tmp_path / "trials.csv"
    frame = pd.DataFrame(
        {
            "study_id": ["a", "b", "c", "a", "b", "c"],
            "outcome": ["hope"] * 3 + ["recovery"] * 3,
            "n1": 80,
            "n2": 80,
            "mean1": [5.5, 5.4, 5.6, 3.1, 3.2, 3.0],
            "sd1": 1.0,
            "mean2": [5.2, 5.1, 5.2, 3.0, 3.0, 3.0],
            "sd2": 1.0,
            "instrument": ["Herth Hope Index"] * 3 + ["Recovery Assessment Scale"] * 3,
            "direction": "higher_better",
        }
    )
    frame.to_csv(path, index=False)
    return path


def test_a_review_of_which_nothing_else_is_asked_is_pooled_by_its_plan():
    found = run("smit2023", outcomes=["recovery"])
    assert found.outcomes[0].fit.estimate == mp.pool_review("smit2023", outcomes="recovery")["recovery"].estimate
    assert found.outcomes[0].footnotes


def test_a_table_is_pooled_with_what_was_typed(trials):
    found = run(trials, pooling=PoolingOptions(ci_method="z"), control_risks=["0.2,0.3,0.5"], thresholds=["hope=0.2"])
    assert [outcome.name for outcome in found.outcomes] == ["hope", "recovery"]
    assert found.outcomes[0].fit.ci_method == "z"
    assert [one.control.name for one in found.outcomes[0].absolute] == ["low", "medium", "high"]
    assert found.outcomes[0].thresholds == (-0.2, 0.2)
    assert found.outcomes[1].thresholds == ()


def test_risks_and_points_may_be_typed_for_one_outcome(trials):
    found = run(trials, control_risks=["hope=0.4"], points=["recovery=Recovery Assessment Scale"])
    assert [len(outcome.absolute) for outcome in found.outcomes] == [1, 0]
    assert found.outcomes[1].units.sd == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"control_risks": ["0.1,0.2"]}, "low,medium,high"),
        ({"control_risks": ["often"]}, "not a number"),
        ({"control_risks": ["0.2", "hope=0.3"]}, "OUTCOME="),
        ({"control_risks": ["hope=0.2", "hope=0.3"]}, "more than once"),
        ({"points": ["CES-D"]}, "OUTCOME="),
        ({"effect": EffectOptions(average=0.5)}, "no effect"),
    ],
)
def test_what_makes_no_sense_is_refused(trials, options, words):
    with pytest.raises(mp.MetapeerError, match=words):
        run(trials, **options)


@pytest.mark.parametrize(("name", "begins"), [("f.html", "<!DOCTYPE html>"), ("f.md", "# "), ("f.csv", "outcome,")])
def test_the_name_of_the_file_tells_its_form(trials, tmp_path, name, begins):
    write_findings(run(trials), tmp_path / name)
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)


def test_an_unknown_form_is_refused(trials, tmp_path):
    with pytest.raises(mp.MetapeerError, match="must end in"):
        write_findings(run(trials), tmp_path / "f.pdf")

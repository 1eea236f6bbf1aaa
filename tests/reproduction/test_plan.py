"""plan.toml: whatever is wrong with it is told at once, with what would do."""

import tomllib

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metapeer import DataError, MetapeerError, load_dataset, reproduce
from metapeer.reproduction.evidence import Store
from metapeer.reproduction.plan import Method, Rows
from metapeer.reproduction.planfile import read_plan

FRAME = pd.DataFrame(
    {
        "row_id": ["a.1", "b.1", "c.1"],
        "study_id": ["a", "b", "c"],
        "format": ["group", "group", "one_to_one"],
        "year": [2001.0, 2002.5, float("nan")],
    }
)


def rows_of(rows):
    if rows.datasets != ("mine",):
        Store().review(rows.datasets[0])
    return rows.select(FRAME)


def read(text, *, ids=("hope", "recovery")):
    return read_plan(tomllib.loads(text), name="mine", published_ids=ids, rows_of=rows_of)


def faults(text, **options):
    with pytest.raises(DataError) as caught:
        read(text, **options)
    assert caught.value.source == "mine/plan.toml"
    return [str(fault) for fault in caught.value.faults]


HOPE = '[[analysis]]\npublished_id = "hope"\n'
VARIANT = '[[variant]]\nname = "x"\nreason = "y"\n'
QUESTION = '[[question]]\ntitle = "x"\nby = "format"\n'

WRONG = {
    "analysys = 1": "plan.toml: key 'analysys' is unknown. Did you mean 'analysis'?",
    "method = 3": "method: must be written as [method]",
    "claims = []": "claims: must be written as [claims]",
    "transcription = 'x'": "transcription: must be written as [transcription]",
    "[analysis]\npublished_id = 'hope'": "analysis: must be written as [[analysis]]",
    "variant = [1]": "variant: must be written as [[variant]]",
    "[method]\ntau2_metod = 'REML'": "method: key 'tau2_metod' is unknown. Did you mean 'tau2_method'?",
    "[method]\nmeasure = 'SDM'": "method: measure 'SDM' is unknown. Did you mean 'SMD'?",
    "[method]\nvariance = 'revman'": "method: variance 'revman' is unknown. Did you mean 'revman5'?",
    "[method]\nmeasure = 'RR'\nvariance = 'LS'": "method: variance has no effect with measure 'RR'",
    "[method]\nmeasure = 'MD'\nevents_to_smd = true": "method: events_to_smd has no effect with measure 'MD'",
    "[method]\nprefer = 'arm'": "method: prefer 'arm' is unknown. Did you mean 'arms'?",
    "[method]\nmodel = 'fixed'": "method: model 'fixed' is unknown.",
    "[method]\nci_method = 'hk'": "method: ci_method 'hk' is unknown. Did you mean 'HK'?",
    "[method]\nmodel = 'common'\nci_method = 'HK'": "method: ci_method 'HK' belongs to the random-effects model",
    "[method]\nprediction_method = 'X'": "method: prediction_method 'X' is unknown.",
    "[method]\ni2 = 'q'": "method: i2 'q' is unknown. Did you mean 'Q'?",
    "[method]\nwithin_trial = 'avarage'": "method: within_trial 'avarage' is unknown. Did you mean 'average'?",
    "[method]\nwithin_trial = 'average'": "method: rho is missing",
    "[method]\nrho = 1.5": "method: rho must be a correlation from 0 to 1, not 1.5",
    "[method]\nrho = nan": "method: rho must be a correlation from 0 to 1, not nan",
    "[method]\nrho = 'high'": "method: rho must be a number from 0 to 1, not 'high'",
    "[method]\nevents_to_smd = 1": "method: events_to_smd must be true or false, not 1",
    "[method]\nmeasure = ['SMD']": "method: measure must be text, not ['SMD']",
    "[method]\nsource = 1": "method: source must be text, not 1",
    "[[analysis]]": "analysis 1: published_id is missing",
    "[[analysis]]\npublished_id = 1": "analysis 1: published_id must be text, not 1",
    "[[analysis]]\npublished_id = 'hpoe'": "analysis 1: published_id 'hpoe' is unknown. Did you mean 'hope'?",
    HOPE + HOPE: "analysis 2: published_id 'hope' stands in analysis 1, too",
    HOPE
    + "[[missing]]\npublished_id = 'hope'\nreason = 'x'": "missing 1: published_id 'hope' stands in analysis 1, too",
    HOPE + "sign = 2": "analysis 1: sign must be 1 or -1, not 2",
    HOPE + "sign = true": "analysis 1: sign must be 1 or -1, not True",
    HOPE + "note = 1": "analysis 1: note must be text, not 1",
    HOPE + "rows = 'all'": "analysis 1: key 'rows' is unknown.",
    HOPE + "datasets = 'smit2032'": "analysis 1: dataset 'smit2032' is unknown. Did you mean 'smit2023'?",
    HOPE + "datasets = 1": "analysis 1: datasets must be text or a list of texts, not 1",
    HOPE + "datasets = ''": "analysis 1: dataset '' is unknown.",
    HOPE + "where = 'all'": "analysis 1: where must be a table of columns and values, not 'all'",
    HOPE + "where = { fromat = 'group' }": "analysis 1: column 'fromat' is unknown. Did you mean 'format'?",
    HOPE + "where_not = { fromat = 'group' }": "analysis 1: column 'fromat' is unknown. Did you mean 'format'?",
    HOPE + "where = { format = 3 }": "analysis 1, where: format must be text or a list of texts, not 3",
    HOPE + "where = { format = 'groop' }": "analysis 1: where: no row has 'groop' in format. Did you mean 'group'?",
    HOPE + "where_not = { format = 'mixed' }": "analysis 1: where_not: no row has 'mixed' in format.",
    HOPE + "where = { format = 'group', study_id = 'c' }": "analysis 1: selects no row",
    HOPE + "where = { format = [] }": "analysis 1: selects no row",
    HOPE + "where_not = { format = ['group', 'one_to_one'] }": "analysis 1: selects no row",
    "[[variant]]\nreason = 'y'\nprefer = 'arms'": "variant 1: name is missing",
    "[[variant]]\nname = 'x'\nprefer = 'arms'": "variant 1: reason is missing",
    VARIANT: "variant 1: changes nothing; give overrides, prefer or cells",
    VARIANT + "overrides = 'aply'": "variant 1: overrides 'aply' is unknown. Did you mean 'apply'?",
    VARIANT + "prefer = 'arm'": "variant 1: prefer 'arm' is unknown. Did you mean 'arms'?",
    VARIANT + "cells = 1": "variant 1: cells must be a table of columns and numbers, not 1",
    VARIANT + "cells = { N1 = 3 }": "variant 1: cells: column 'N1' is unknown. Did you mean 'n1'?",
    VARIANT + "cells = { source = 3 }": "variant 1: cells: column 'source' is unknown.",
    VARIANT + "cells = { n1 = 'many' }": "variant 1: cells: n1 must be a number, not 'many'",
    VARIANT + "cells = { n1 = true }": "variant 1: cells: n1 must be a number, not True",
    VARIANT + "cells = { n1 = 1 }": "variant 1: cells: n1: 1 is not allowed; it must be at least 2",
    VARIANT + "cells = { n1 = 20.5 }": "variant 1: cells: n1: 20.5 is not a whole number",
    VARIANT + "cells = { sd1 = nan }": "variant 1: cells: sd1: 'nan' is not a number",
    VARIANT + "cells = { sd1 = inf }": "variant 1: cells: sd1: 'inf' is infinite",
    VARIANT + "prefer = 'arms'\npublished_id = 'x'": "variant 1: published_id 'x' is unknown.",
    VARIANT + "prefer = 'arms'\npublished_id = 'hope'": "variant 1: published_id 'hope' has no [[analysis]] to vary",
    "[[missing]]\npublished_id = 'hope'": "missing 1: reason is missing",
    "[[missing]]\nreason = 'x'": "missing 1: published_id is missing",
    "[[missing]]\nreason = 'x'\npublished_id = 'hoppe'": "missing 1: published_id 'hoppe' is unknown.",
    "[[question]]\nby = 'format'": "question 1: title is missing",
    "[[question]]\ntitle = 'x'": "question 1: by is missing",
    "[[question]]\ntitle = 'x'\nby = 'fromat'": "question 1: by 'fromat' is unknown. Did you mean 'format'?",
    QUESTION + "tau2 = 'shared'": "question 1: tau2 'shared' is unknown.",
    QUESTION + "overrides = 1": "question 1: overrides must be text, not 1",
    QUESTION + "where = { format = 'x' }": "question 1: where: no row has 'x' in format.",
    QUESTION + QUESTION: "question: 'x' stands 2 times; give each its own title",
    "[claims]\nmeasure = 'RR'": "claims: measure must be SMD or SMDH, not 'RR'",
    "[claims]\nwhere = { format = 'x' }": "claims: where: no row has 'x' in format.",
    "[claims]\nformat = 'x'": "claims: key 'format' is unknown.",
    "[transcription]\nsource = 'x'\ntrials = 0\nparticipants = 9": (
        "transcription: trials must be a whole number of at least 1, not 0"
    ),
    "[transcription]\nsource = 'x'\ntrials = 9": (
        "transcription: participants must be a whole number of at least 1, not None"
    ),
    "[transcription]\ntrials = 1\nparticipants = 9": "transcription: source is missing",
    "[transcription]\nsource = 'x'\ntrials = 1\nparticipants = 9\nformat = 'groop'": (
        "transcription: format 'groop' is unknown. Did you mean 'group'?"
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=range(len(WRONG)))
def test_each_fault_of_a_plan_is_told_alone_and_with_its_remedy(text, message):
    (fault,) = faults(text)
    assert fault.startswith(message)


def test_all_faults_of_a_plan_are_told_at_once():
    alone = [
        "[method]\nmeasure = 'SDM'\nprefer = 'arm'\nmodel = 'fixed'\ntau2_method = 'x'\ni2 = 'q'\nrho = 2.0\nzz = 1\n",
        HOPE + "sign = 3\nwhere = { fromat = 'x' }\n",
        "[[missing]]\n",
        VARIANT,
        "[claims]\ndatasets = 'x'\n",
    ]
    assert len(faults("".join(alone))) == 7 + 2 + 2 + 1 + 1 + 1  # the wrong measure is no SMD for claims, either


def test_a_fault_of_the_common_method_is_not_repeated_for_each_analysis():
    assert len(faults("[method]\ni2 = 'q'\n" + HOPE + "[[analysis]]\npublished_id = 'recovery'\nvariance = 'LS'")) == 1


def test_an_analysis_takes_over_the_common_method_and_changes_what_it_says():
    plan = read("[method]\ntau2_method = 'DL'\nci_method = 'z'\n" + HOPE + "tau2_method = 'PM'\n")
    assert plan.method == Method(tau2_method="DL", ci_method="z")
    assert plan.analyses[0].method == Method(tau2_method="PM", ci_method="z")
    assert plan.analyses[0].rows == Rows(datasets=("mine",))


def test_a_whole_number_will_do_for_a_correlation():
    assert read("[method]\nwithin_trial = 'average'\nrho = 1").method.rho == 1.0


@pytest.mark.parametrize(
    ("where", "where_not", "rows"),
    [
        ({}, {}, ["a.1", "b.1", "c.1"]),
        ({"format": ("group",)}, {}, ["a.1", "b.1"]),
        ({"format": ("group", "one_to_one"), "study_id": ("b", "c")}, {}, ["b.1", "c.1"]),
        ({}, {"format": ("group",)}, ["c.1"]),
        ({"year": ("2001", "2002.5")}, {}, ["a.1", "b.1"]),
        ({"year": ("",)}, {}, ["c.1"]),
        ({"format": ("",)}, {}, []),
    ],
)
def test_rows_are_selected_by_what_their_cells_say(where, where_not, rows):
    asked = Rows(datasets=("mine",), where=where, where_not=where_not)
    assert asked.select(FRAME)["row_id"].tolist() == rows


def test_selecting_by_a_column_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="there is no column 'colour' to select rows by"):
        Rows(datasets=("mine",), where={"colour": ("red",)}).select(FRAME)


def test_the_plans_of_all_bundled_data_sets_are_without_fault():
    store = Store()
    for name in ("smit2023", "chien2019", "white2020", "lyons2021", "mirbahaeddin2022"):
        plan = store.plan(store.add(name))
        assert plan.analyses or plan.claims


def test_a_faulty_plan_stops_the_run_with_all_its_faults(copy_review):
    folder = copy_review("smit2023", plan=lambda text: text.replace('"clinical recovery" }', '"clinical" }'))
    with pytest.raises(DataError) as caught:
        reproduce(folder)
    assert len(caught.value.faults) == 2
    assert "Did you mean 'clinical recovery'?" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a = " + "9" * 5000, "a = " + "[" * 3000, "[method", "a = 1\na = 2"], ids=["long", "deep", "torn", "twice"]
)
def test_a_file_that_is_no_toml_is_a_fault_and_no_crash(make_review, text):
    folder = make_review([("a2001", "9", "1", "1", "9", "2", "1")], {}, text)
    with pytest.raises(DataError, match="is not valid TOML"):
        load_dataset(folder)


WORDS = st.sampled_from(
    [
        *("method", "analysis", "variant", "missing", "question", "claims", "transcription", "published_id", "hope"),
        *("where", "where_not", "datasets", "mine", "format", "group", "measure", "SMD", "RR", "GEN", "variance", "AV"),
        *("prefer", "review", "model", "common", "ci_method", "HK", "within_trial", "average", "rho", "sign", "cells"),
        *("n1", "overrides", "apply", "leave_out", "name", "reason", "title", "by", "tau2", "source", "", "smit2023"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5) | st.dates()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12
)
SECTIONS = st.dictionaries(WORDS, VALUES, max_size=5)
PLANS = st.dictionaries(WORDS, VALUES | SECTIONS | st.lists(SECTIONS, min_size=1, max_size=2), max_size=5)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # plans are large
@given(PLANS)
def test_whatever_a_plan_holds_only_the_errors_of_metapeer_escape(raw):
    try:
        plan = read_plan(raw, name="mine", published_ids=("hope",), rows_of=rows_of)
    except MetapeerError:
        return
    assert all(analysis.published_id == "hope" for analysis in plan.analyses)
    assert not plan.method.problems()

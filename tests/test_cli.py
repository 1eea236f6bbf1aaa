"""The command line prints what the library computes, and a fault ends in a message, never in a traceback.

Run as a script, this file writes what the commands in docs/command-line.md print anew; look at the difference before
keeping it.
"""

import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer.main

import metapeer as mp
from metapeer.__main__ import main
from metapeer.cli import app
from metapeer.effects.continuous import SMD_PRESETS, SMD_VARIANCES
from metapeer.effects.measures import MEASURES
from metapeer.pooling.inference import CI_METHODS
from metapeer.pooling.prediction import PREDICTION_METHODS
from metapeer.pooling.presets import PRESETS
from metapeer.pooling.tau2 import TAU2_METHODS
from metapeer.pooling.tau2_intervals import TAU2_CI_METHODS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "command-line.md"
COMMANDS = typer.main.get_command(app).commands

MEANS = """study_id,format,year,direction,n1,mean1,sd1,n2,mean2,sd2
smith2014,group,2014,higher_better,20,3.5,1.2,21,3.1,1.1
jones2016,group,2016,higher_better,40,3.9,1.0,38,3.2,0.9
lee2018,one_to_one,2018,lower_better,30,10.1,4,29,12.2,4.4
kim2019,one_to_one,2019,higher_better,55,20,8,60,19.5,7.5
"""
EVENTS = """study_id,events1,total1,events2,total2
a2001,5,50,10,50
b2002,0,30,4,31
c2003,0,20,0,22
d2004,12,100,20,99
"""
READY = """study_id,yi,vi,dose
a,0.1,0.02,low
b,0.3,0.03,high
c,0.2,0.04,low
d,0.5,0.05,high
"""


def console_blocks(page):
    """The console blocks of a page, each a list of what is typed and what is printed; nothing, where it is left out."""
    for block in re.findall(r"^```console\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        _, *parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
        yield list(zip(parts[::2], parts[1::2], strict=True))


def write_files(page):
    """Write the files that a page shows into the present folder."""
    files = re.findall(r"`(\S+\.csv)`:\n\n```text\n(.*?)```", page, flags=re.DOTALL)
    assert files
    for name, text in files:
        Path(name).write_text(text, encoding="utf-8")


def arguments_of(typed):
    """What follows the name of the program, without what is meant for the shell."""
    program, *arguments = shlex.split(typed.split(" > ")[0], comments=True)
    assert program == "metapeer"
    return arguments


class Ran:
    """What a run of the program left behind."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        def refuse(word):
            raise AssertionError(f"{word} is not JSON")

        return json.loads(self.out, parse_constant=refuse)

    @property
    def csv(self):
        return pd.read_csv(io.StringIO(self.out), keep_default_na=False)


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the program in this process, in a folder with three tables."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("means.csv", MEANS), ("events.csv", EVENTS), ("ready.csv", READY)):
        Path(name).write_text(text, encoding="utf-8")

    def run(*arguments):
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                main(arguments)
                code = 0
            except SystemExit as stop:
                code = stop.code or 0
        return Ran(code, *capsys.readouterr())

    return run


def start(*arguments, stdout=subprocess.PIPE, **changes):
    """Start the program as a shell would."""
    return subprocess.Popen(
        [sys.executable, "-m", "metapeer", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name not in ("PYTHONIOENCODING", "PYTHONUTF8")}
        | changes,
    )


# What it computes


def test_pool_gives_the_numbers_of_meta_analysis(run):
    fit = mp.meta_analysis(mp.effect_size(mp.read_outcomes("means.csv"), variance="UB"), tau2_method="PM", level=0.9)
    options = ("pool", "means.csv", "--variance", "UB", "--tau2-method", "PM", "--level", "0.9")
    found = run(*options, "--json").json
    assert found["estimate"] == fit.estimate
    assert (found["ci_low"], found["ci_high"]) == tuple(fit.ci)
    assert (found["pi_low"], found["pi_high"]) == tuple(fit.prediction_interval)
    assert (found["tau2"], found["tau2_se"], found["I2"], found["Q"]) == (fit.tau2, fit.tau2_se, fit.I2, fit.Q)
    assert [study["yi"] for study in found["studies"]] == fit.yi.tolist()
    assert [study["weight"] for study in found["studies"]] == fit.weights.tolist()
    assert tuple(found["notes"]) == fit.notes
    row = run(*options, "--csv").csv.iloc[0]
    assert row["estimate"] == fit.estimate
    assert row["p_value"] == fit.p_value
    assert (row["tau2_se"], row["participants_known"]) == (fit.tau2_se, fit.trials)
    assert run(*options).out == f"{fit.summary()}\n"


@pytest.mark.parametrize(
    "options",
    [
        {"tau2_ci_method": "PL"},
        {"tau2_ci_method": "Wald.sqrt"},
        {"ci_method": "KR"},
        {"ci_method": "KR", "prediction_method": "KR-PR"},
        {"ci_method": "PL", "tau2_method": "ML"},
        {"ci_method": "HC", "tau2_method": "DL"},
        {"ci_method": "IVhet", "tau2_method": "DL"},
        {"tau2_method": "GENQM", "prediction_method": "NNF"},
        {"preset": "revman5"},
        {"preset": "cma", "ci_method": "t"},
    ],
)
def test_options_of_pooling_reach_meta_analysis_and_change_the_numbers(run, options):
    data = mp.effect_size(mp.read_outcomes("means.csv"))
    plain, fit = mp.meta_analysis(data), mp.meta_analysis(data, **options)
    typed = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    found = run("pool", "means.csv", *typed, "--json").json
    names = ("ci_low", "pi_low", "tau2", "tau2_ci_high")
    assert [found[name] for name in names] == [fit.to_frame().loc[0, name] for name in names]
    assert [found[name] for name in names] != [plain.to_frame().loc[0, name] for name in names]


def test_a_tiny_p_value_keeps_its_digits(run):
    Path("many.csv").write_text("study_id,yi,vi\n" + "".join(f"s{i},{1 + i / 100},0.05\n" for i in range(9)))
    fit = mp.meta_analysis(mp.read_outcomes("many.csv"), ci_method="z")
    assert 0 < fit.p_value < 1e-20
    assert run("pool", "many.csv", "--ci-method", "z", "--json").json["p_value"] == fit.p_value
    assert run("pool", "many.csv", "--ci-method", "z", "--csv").csv.loc[0, "p_value"] == fit.p_value


def test_options_of_zero_cells_reach_effect_size(run):
    data = mp.read_outcomes("events.csv")
    for options, typed in (
        ({"measure": "RR"}, ()),
        ({"measure": "RR", "zero_cells": "all", "add": 0.25}, ("--zero-cells", "all", "--add", "0.25")),
        ({"measure": "RR", "add": "TACC"}, ("--add", "TACC")),
        ({"measure": "RR", "drop_double_zero": False}, ("--keep-double-zero",)),
    ):
        found = run("pool", "events.csv", "--measure", "RR", *typed, "--json").json
        assert found["estimate"] == mp.meta_analysis(mp.effect_size(data, **options)).estimate
        assert len(found["not_pooled"]) == ("--keep-double-zero" not in typed)


def test_orient_turns_signs_and_its_opposite_does_not(run):
    data = mp.read_outcomes("means.csv")
    found = run("pool", "means.csv", "--measure", "MD", "--orient", "--json").json
    assert found["estimate"] == mp.meta_analysis(mp.effect_size(data, measure="MD", orient=True)).estimate
    refused = run("pool", "means.csv", "--no-orient")
    assert refused.code == 1
    assert "Use --orient to turn signs" in refused.err


def test_where_no_direction_is_known_the_summary_says_what_positive_means(run):
    header, *rows = (line.split(",") for line in MEANS.splitlines())
    where = header.index("direction")
    Path("plain.csv").write_text("\n".join(",".join(r[:where] + r[where + 1 :]) for r in (header, *rows)) + "\n")
    assert "; direction unknown: positive means a higher score in arm 1\n" in run("pool", "plain.csv").out
    for others in (("ready.csv", "--measure", "SMD"), ("plain.csv", "--measure", "MD"), ("means.csv",)):
        assert "direction unknown" not in run("pool", *others).out


def test_subgroup_gives_subgroups_and_the_test_between_them(run):
    data = mp.effect_size(mp.read_outcomes("means.csv"))
    for typed, tau2 in (((), "separate"), (("--tau2", "common"), "common")):
        expected = mp.subgroup_analysis(data, by="format", tau2=tau2)
        found = run("subgroup", "means.csv", "--by", "format", *typed, "--json").json
        assert found["Q_between"] == expected.Q_between
        assert found["p_between"] == expected.p_value
        assert (found["test"], found["df_between"]) == (expected.test, expected.df)
        assert [group["subgroup"] for group in found["subgroups"]] == ["group", "one_to_one"]
        assert [group["estimate"] for group in found["subgroups"]] == [fit.estimate for fit in expected.results]
        assert found["overall"]["estimate"] == expected.overall.estimate
        rows = run("subgroup", "means.csv", "--by", "format", *typed, "--csv").csv
        assert rows["estimate"].tolist() == [fit.estimate for fit in (*expected.results, expected.overall)]
        assert float(rows["p_between"].iloc[-1]) == expected.p_value
        assert rows["p_between"].iloc[0] == ""


def test_average_makes_one_effect_of_each_trial(run):
    text = READY + "a,0.4,0.03,high\n"
    Path("twice.csv").write_text(text)
    expected = mp.average_within_trial(pd.read_csv(io.StringIO(text)), rho=0.5)
    found = run("pool", "twice.csv", "--average", "0.5", "--json").json
    assert found["k"] == 4
    assert found["estimate"] == mp.meta_analysis(expected).estimate
    apart = run("subgroup", "twice.csv", "--average", "0.5", "--by", "dose", "--json").json
    assert apart["overall"]["k"] == 5


def test_where_keeps_the_rows_asked_for(run):
    def studies(*typed):
        return [study["study_id"] for study in run("pool", "means.csv", *typed, "--json").json["studies"]]

    assert studies("--where", "format=group") == ["smith2014", "jones2016"]
    assert studies("--where", "format!=group") == ["lee2018", "kim2019"]
    assert studies("--where", "year=2014|2018.0") == ["smith2014", "lee2018"]
    assert studies("--where", "format=group", "--where", "year!=2014") == ["jones2016"]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("format=groups", "Did you mean 'group'?"),
        ("format=group|groups", "no row has 'groups'"),
        ("form=group", "Did you mean 'format'?"),
        ("format", "write COLUMN=VALUE"),
        ("year=twelve", "Column year has: 2014, 2016"),
    ],
)
def test_a_where_that_finds_nothing_says_what_there_is(run, typed, says):
    ran = run("pool", "means.csv", "--where", typed)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_wheres_that_contradict_each_other_leave_no_row(run):
    ran = run("pool", "means.csv", "--where", "format=group", "--where", "year=2018")
    assert ran.code == 2
    assert "no row has all of these" in ran.err


def test_a_data_set_and_a_folder_like_one_can_be_pooled(run):
    rows = mp.load_dataset("smit2023").rows()
    with pytest.warns(mp.DataWarning, match="independent"):
        fit = mp.meta_analysis(mp.effect_size(rows[rows["outcome_group"] == "personal recovery"], prefer="review"))
    where = ("--where", "outcome_group=personal recovery", "--prefer", "review", "--json")
    assert run("pool", "smit2023", *where).json["estimate"] == fit.estimate
    folder = str(mp.datasets_root() / "smit2023")
    assert run("pool", folder, *where).json["estimate"] == fit.estimate


# Ready-made effects


def test_the_measure_of_ready_made_effects_is_used(run):
    found = run("pool", "ready.csv", "--measure", "RR")
    fit = mp.meta_analysis(mp.read_outcomes("ready.csv"), measure="RR")
    assert re.search(r"^RR \(95% CI\) +(\S+)", found.out, flags=re.MULTILINE)[1] == f"{np.exp(fit.estimate):.3f}"
    assert run("pool", "ready.csv", "--measure", "RR", "--json").json["scale"] == "log"


@pytest.mark.parametrize(
    "typed", ["--variance LS", "--prefer arms", "--events-to-smd", "--no-orient", "--zero-cells all", "--add 0.5"]
)
def test_an_option_that_ready_made_effects_leave_idle_is_refused(run, typed):
    ran = run("pool", "ready.csv", *typed.split())
    assert ran.code == 2
    assert "would have no effect" in ran.err


def test_a_measure_that_contradicts_the_table_is_refused(run):
    Path("or.csv").write_text("study_id,yi,vi,measure\na,0.1,0.2,OR\nb,0.3,0.2,OR\n")
    ran = run("pool", "or.csv", "--measure", "RR")
    assert ran.code == 1
    assert "leave --measure out" in ran.err


# What it says when something is wrong


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("pool means.csv --tau2-method RELM", "--tau2-method 'RELM' is unknown. Did you mean 'REML'?"),
        ("pool means.csv --ci-method XY", "--ci-method 'XY' is unknown"),
        ("pool means.csv --ci-method HC", "--ci-method 'HC' goes with --tau2-method 'DL', not 'REML'"),
        ("pool means.csv --tau2-ci-method wald", "--tau2-ci-method 'wald' is unknown. Did you mean 'Wald'?"),
        ("pool means.csv --preset revman6", "--preset 'revman6' is unknown. Did you mean 'revman'?"),
        ("pool means.csv --measure XY", "--measure 'XY' is unknown"),
        ("pool means.csv --level 95", "Did you mean 0.95?"),
        ("pool means.csv --average 2", "--average 2.0 is not a correlation between 0 and 1"),
        ("pool means.csv --model common --tau2-method DL", "no effect with --model common"),
        ("pool means.csv --model common --prediction-method V", "no effect with --model common"),
        ("pool means.csv --model common --tau2-ci-method J", "no effect with --model common"),
        ("pool means.csv --model common --preset meta", "no effect with --model common"),
        ("subgroup means.csv --by format --model common --tau2 common", "no effect with --model common"),
        ("pool means.csv --json --csv", "not both"),
        ("pool smit", "Did you mean 'smit2023'?"),
        ("pool ''", "TABLE is empty"),
        ("subgroup means.csv --by formats", "Did you mean 'format'?"),
        ("forest means.csv --output plot.doc", ".png, .svg, .pdf"),
        ("forest means.csv --output no/plot.png", "make it first"),
        ("forest means.csv --output folder.png", "give the name of a file"),
        ("forest means.csv --output plot.png --tau2 common", "no effect without --by"),
        ("show smit2023 --table outcome", "Did you mean 'outcomes'?"),
        ("show nowhere", "is unknown"),
        ("reproduce nowhere", "is unknown"),
        ("transcribe white2020", "give either"),
        ("transcribe smit2023 --output x.csv", "no table to transcribe"),
        ("transcribe white2020 --output no/x.csv", "make it first"),
        ("pol means.csv", "No such command 'pol'"),
        ("pool", "Missing argument"),
        ("subgroup means.csv", "Missing option"),
        ("pool means.csv --mesure SMD", "No such option"),
        ("pool means.csv --model fixed", "'random', 'common'"),
    ],
)
def test_a_slip_on_the_command_line_ends_with_status_2_and_advice(run, arguments, says):
    Path("folder.png").mkdir()
    ran = run(*shlex.split(arguments))
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


HEADER = MEANS.split("\n", maxsplit=1)[0] + "\n"
FAULTY = {
    "empty": (b"", "empty"),
    "binary": (b"\x89PNG\r\n\x1a\n" + bytes(200), "not a text file"),
    "columns": (b"study_id,foo\na,1\n", "n1 mean1 sd1 n2 mean2 sd2"),
    "kind": (EVENTS.encode(), "The table has events: choose measure RR, OR or RD, or --events-to-smd"),
    "text": (f"{HEADER}a,group,2001,higher_better,twenty,1,1,9,1,1\n".encode(), "'twenty' is not a number"),
    "sd": (f"{HEADER}a,group,2001,higher_better,20,1,-1,9,1,1\n".encode(), "must be > 0"),
    "one": (f"{HEADER}a,group,2001,higher_better,1,1,1,9,1,1\n".encode(), "at least 2"),
    "infinite": (f"{HEADER}a,group,2001,higher_better,20,inf,1,9,1,1\n".encode(), "infinite"),
    "missing": (f"{HEADER}a,group,2001,higher_better,20,nan,1,9,1,1\n".encode(), "no effect can be pooled"),
    "twice": (MEANS.encode() + MEANS.split("\n")[1].encode() + b"\n", "repeats line 2"),
    "events": (b"study_id,events1,total1,events2,total2\na,9,5,1,5\n", "cannot exceed"),
    "instrument": (
        b"study_id,instrument,n1,mean1,sd1,n2,mean2,sd2\na,My own scale,9,1,1,9,1,1\n",
        "which way is good; add a column direction",
    ),
    "misspelt": (
        b"study_id,instrument,n1,mean1,sd1,n2,mean2,sd2\na,Herth Hope Indx,9,1,1,9,1,1\n",
        "Did you mean 'The Herth Hope Index'? Otherwise add a column direction",
    ),
    "measures": (b"study_id,yi,vi,measure\na,1,1,RR\nb,1,1,OR\n", "select rows of one measure"),
    "cell": (b"study_id,yi,vi\na,1,1\nb,,1\n", "yi: is empty; fill it in or give an exclusion_reason"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_in_a_table_ends_with_status_1_and_says_where(run, fault):
    content, says = FAULTY[fault]
    Path("faulty.csv").write_bytes(content)
    ran = run("pool", "faulty.csv")
    assert (ran.code, ran.out) == (1, "")
    assert says in ran.err
    assert re.match(r"(warning: .*\n)*error: ", ran.err)


@pytest.mark.parametrize("name", ["absent.csv", "folder", "folder.csv", "\x01", "x" * 5000, "./no/where"])
def test_a_table_that_cannot_be_read_ends_in_a_message(run, name):
    Path("folder").mkdir()
    Path("folder.csv").mkdir()
    ran = run("pool", name)
    assert ran.code in (1, 2)
    assert ran.err.startswith("error: ")


def test_a_subgroup_column_without_values_is_refused(run):
    Path("blank.csv").write_text("study_id,yi,vi,dose\na,1,1,\nb,1,1,\n")
    ran = run("subgroup", "blank.csv", "--by", "dose")
    assert ran.code == 1
    assert "a: dose is empty" in ran.err


def test_a_doubt_is_told_once_on_the_error_stream(run):
    text = (
        "study_id,n1,mean1,sd1,n2,mean2,sd2\nJosé,20,3.5,1.2,21,3.1,1.1\nb,40,3.9,1,38,3.2,0.9\nb,41,3.9,1,38,3.2,0.9\n"
    )
    Path("latin.csv").write_bytes(text.encode("cp1252"))
    shown, machine = run("pool", "latin.csv"), run("pool", "latin.csv", "--csv")
    dependent = "pooled as if independent"
    for ran in (shown, machine):
        lines = [line for line in ran.err.splitlines() if line.startswith("warning: ")]
        assert len(lines) == len(set(lines)) == ran.err.count("\n")
        assert sum("Windows-1252" in line for line in lines) == 1
    assert (shown.out + shown.err).count(dependent) == (machine.out + machine.err).count(dependent) == 1
    assert dependent in shown.out
    assert dependent in machine.err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators_change_nothing(run, encoding, separator):
    decimal = "," if separator == ";" else "."
    text = MEANS.replace(",", separator).replace(".", decimal)
    Path("other.csv").write_bytes(text.encode(encoding))
    assert run("pool", "other.csv", "--csv").out == run("pool", "means.csv", "--csv").out


def test_an_encoding_and_instruments_of_ones_own_are_used(run):
    text = MEANS.replace("format,", "instrument,").replace(",direction", "").replace("higher_better,", "")
    text = text.replace("lower_better,", "").replace("group", "Größe").replace("one_to_one", "Länge")
    Path("other.csv").write_bytes(text.encode("utf-16-le"))
    Path("own.csv").write_text("instrument,direction\nGröße,higher_better\nLänge,lower_better\n", encoding="utf-8")
    fit = mp.meta_analysis(mp.effect_size(mp.read_outcomes("other.csv", encoding="utf-16-le", instruments="own.csv")))
    options = ("--encoding", "utf-16-le", "--instruments", "own.csv")
    assert run("pool", "other.csv", *options, "--json").json["estimate"] == fit.estimate
    assert "pass --encoding utf-16-le" in run("pool", "other.csv").err
    assert "add a column direction" in run("pool", "other.csv", *options[:2]).err
    assert run("pool", "smit2023", *options).code == 2


def test_labels_come_through_unchanged(run):
    labels = ['O\'Neil, "Jr" 2014', "<script>alert(1)</script>", "😀👩‍👩‍👧 2018", "שלום 2019", "=1+1"]
    with Path("labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [["study_id", "yi", "vi"], *([label, 0.1 + i, 0.2] for i, label in enumerate(labels))]
        )
    found = run("pool", "labels.csv", "--json").json
    assert [study["study_id"] for study in found["studies"]] == labels
    groups = run("subgroup", "labels.csv", "--by", "study_id", "--csv").csv
    assert groups["subgroup"].tolist() == [*labels, "overall"]
    assert run("forest", "labels.csv", "--output", "labels.svg").code == 0


# Data sets


def test_list_and_show_give_the_tables_of_the_library(run):
    listed = run("list", "--csv").csv
    assert listed["rows"].tolist() == mp.list_datasets()["rows"].tolist()
    review = mp.load_dataset("smit2023")
    assert run("show", "smit2023", "--json").json["tables"]["outcomes"] == len(review.outcomes)
    rows = run("show", "smit2023", "--table", "outcomes", "--json").json
    assert [row["mean1"] for row in rows] == [None if np.isnan(x) else x for x in review.outcomes["mean1"]]
    assert run("show", "smit2023", "--csv").csv["published_id"].tolist() == review.published["published_id"].tolist()


def test_a_table_with_many_columns_is_shown_row_by_row(run):
    out = run("show", "smit2023", "--table", "outcomes").out
    assert out.count("study_id ") == len(mp.load_dataset("smit2023").outcomes)
    assert re.search(r"^instrument +CAPE$", out, flags=re.MULTILINE)


@pytest.mark.slow
def test_every_table_of_every_data_set_can_be_shown(run):
    for name in mp.list_datasets()["name"]:
        assert re.search(rf"^{name} ", run("list").out, flags=re.MULTILINE)
        for table in run("show", name, "--json").json["tables"]:
            assert run("show", name, "--table", table).code == 0


def test_reproduce_gives_the_ledger(run):
    ledger = mp.reproduce("smit2023")
    found = run("reproduce", "smit2023", "--json").json
    assert found["counts"] == ledger.counts()
    entry = next(e for e in found["entries"] if e["published_id"] == "clinical recovery")
    expected = ledger["clinical recovery"]
    assert entry["verdict"] == expected.verdict
    assert entry["published"]["es"] == "0.19"
    assert entry["recomputation"]["result"]["estimate"] == expected.result.estimate
    assert [way["result"]["k"] for way in entry["variants"]] == [way.result.k for way in expected.variants]
    question = ledger.questions[0].result
    assert found["questions"][0]["result"]["p_between"] == question.p_value
    assert run("reproduce", "smit2023", "--csv").csv["id"].tolist() == ledger.to_frame()["id"].tolist()


@pytest.mark.slow
def test_reproduce_prints_the_ledger(run):
    assert run("reproduce").out == f"{mp.reproduce().summary()}\n"


@pytest.mark.slow
def test_no_line_of_a_table_in_the_ledger_is_too_wide_to_read():
    for table in mp.reproduce().text_tables():
        bare = type(table)(header=table.header, rows=table.rows)
        assert max(map(len, bare.to_text().split("\n"))) <= 160


def test_a_transcription_is_written_once_checked_and_set_beside_the_evidence(run):
    assert run("transcribe", "white2020", "--output", "white.csv").code == 0
    again = run("transcribe", "white2020", "--output", "white.csv")
    assert again.code == 2
    assert "not overwritten" in again.err
    table = pd.read_csv("white.csv", dtype=str, keep_default_na=False)
    chosen = table.index[table["outcome"] != ""][0]
    table.loc[chosen, ["k", "n", "es_type", "es", "ci_low", "ci_high", "source"]] = [
        *("3", "500", "SMD", "0.20", "0.10", "0.30"),
        "Table 3, page 12",
    ]
    table.to_csv("white.csv", index=False)
    found = run("transcribe", "white2020", "white.csv", "--json").json
    assert len(found["results"]) == 1
    assert "0.20 (0.10 to 0.30)" in found["results"][0]["printed"]
    table.loc[chosen, "es"] = "0.40"
    table.to_csv("white.csv", index=False)
    wrong = run("transcribe", "white2020", "white.csv")
    assert wrong.code == 1
    assert "lies outside its interval" in wrong.err


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_forest_writes_a_picture(run, suffix):
    magic = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    name = f"plot{suffix}"
    assert run("forest", "means.csv", "--by", "format", "--output", name).out == f"wrote {name}\n"
    assert Path(name).read_bytes().startswith(magic)


# The help


def words_of_help(option):
    """The words that describe an option."""
    text = next(param.help for param in COMMANDS["pool"].params if param.name == option)
    return set(re.findall(r"\w+(?:[.-]\w+)*", text))


@pytest.mark.parametrize(
    ("option", "known"),
    [
        ("measure", set(MEASURES) - {"GEN"}),
        ("tau2_method", set(TAU2_METHODS)),
        ("tau2_ci_method", set(TAU2_CI_METHODS)),
        ("ci_method", set(CI_METHODS)),
        ("prediction_method", set(PREDICTION_METHODS)),
        ("preset", set(PRESETS)),
    ],
)
def test_the_help_names_every_code_and_no_other(option, known):
    words = words_of_help(option)
    assert known - words == set()
    looks_like_a_code = {word for word in words if re.search(r"^[A-Z]{2}|[_.]", word)}
    assert looks_like_a_code - known - {"ML", "DL"} == set()  # estimators that a ci_method goes with


def test_the_formulas_of_the_variance_that_the_help_names_are_known():
    known = {*SMD_VARIANCES, *SMD_PRESETS}
    words = words_of_help("variance")
    assert {"LS", "UB", "metafor", "meta", "revman5", "metapsy"} <= words & known
    assert {word for word in words if re.fullmatch("[A-Z0-9_]{2,}", word)} <= known


def test_the_defaults_that_the_help_names_are_those_of_the_library(run):
    plain = run("pool", "events.csv", "--measure", "RR", "--json").out
    named = "--tau2-method REML --ci-method HK --prediction-method HK --tau2-ci-method QP --level 0.95 --model random"
    more = "--variance metafor --prefer arms --no-orient --drop-double-zero --zero-cells only0 --add 0.5"
    assert run("pool", "events.csv", "--measure", "RR", *named.split(), *more.split(), "--json").out == plain
    common = run("pool", "ready.csv", "--model", "common", "--json").out
    assert run("pool", "ready.csv", "--model", "common", "--ci-method", "z", "--json").out == common


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_every_option_says_what_it_does(run, command):
    ran = run(command, "--help")
    assert ran.code == 0
    assert f"Example: metapeer {command}" in ran.out
    assert [p.name for p in COMMANDS[command].params if not p.help] == []


@pytest.mark.slow
def test_the_example_of_every_command_works(run):
    text = MEANS.replace(",direction", ",outcome,outcome_class,direction")
    Path("trials.csv").write_text(re.sub(r",(higher|lower)_", r",hope,psychosocial,\1_", text))
    for name, command in COMMANDS.items():
        example = shlex.split(command.epilog.removeprefix("Example: "))
        assert example[:2] == ["metapeer", name]
        assert run(*example[1:]).code == 0, command.epilog


@pytest.mark.parametrize("shown", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_commands_of_the_page_run_and_print_what_it_shows(run, shown):
    page = PAGE.read_text(encoding="utf-8")
    write_files(page)
    commands = [pair for block in console_blocks(page) for pair in block if bool(pair[1]) is shown]
    assert len(commands) > 5
    for typed, printed in commands:
        ran = run(*arguments_of(typed))
        assert ran.code == 0 or printed.startswith("error: ")
        assert not shown or f"{ran.err}{ran.out}" == printed, typed


# As a program of its own


def test_status_and_streams_of_a_fault(tmp_path):
    (tmp_path / "faulty.csv").write_bytes(FAULTY["sd"][0])
    started = start("pool", str(tmp_path / "faulty.csv"))
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out) == (1, b"")
    assert b"Traceback" not in err
    assert err.startswith(b"error: ")


def test_help_comes_at_once_and_loads_no_heavy_library():
    code = (
        "import sys\n"
        "from metapeer.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*{'numpy', 'pandas', 'matplotlib', 'scipy'} & {*sys.modules}, file=sys.stderr)"
    )
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
    assert time.perf_counter() - begun < 2  # half a second on a machine that does nothing else


def test_a_reader_that_has_had_enough_is_no_fault():
    reading, writing = os.pipe()
    os.close(reading)
    started = start("list", stdout=writing)
    os.close(writing)
    _, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_ends_in_a_message():
    with Path("/dev/full").open("wb") as full:
        started = start("list", stdout=full)
        _, err = started.communicate(timeout=60)
    assert started.returncode == 1
    assert re.fullmatch(rb"error: .+\n", err)


def test_what_an_encoding_lacks_is_replaced_by_what_looks_like_it(tmp_path):
    (tmp_path / "latin.csv").write_text("study_id,yi,vi\nJosé,0.1,0.2\nŁukasz 😀,0.3,0.2\n", encoding="utf-8")
    out, err = start("pool", str(tmp_path / "latin.csv"), PYTHONIOENCODING="ascii").communicate(timeout=60)
    assert err == b""
    assert b"\ntau2  " in out
    assert b"\nI2 from Q  " in out
    out, _ = start("pool", str(tmp_path / "latin.csv"), "--json", PYTHONIOENCODING="ascii").communicate(timeout=60)
    assert [study["label"] for study in json.loads(out.decode("ascii"))["studies"]] == ["José", "Łukasz 😀"]


@pytest.mark.slow
def test_csv_is_utf8_whatever_the_encoding(tmp_path):
    (tmp_path / "latin.csv").write_text("study_id,yi,vi\nJosé,0.1,0.2\nŁukasz 😀,0.3,0.2\n", encoding="utf-8")
    arguments = ("subgroup", str(tmp_path / "latin.csv"), "--by", "study_id", "--csv")
    out, _ = start(*arguments, PYTHONIOENCODING="ascii").communicate(timeout=60)
    assert pd.read_csv(io.BytesIO(out))["subgroup"].tolist() == ["José", "Łukasz 😀", "overall"]


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
@pytest.mark.slow
def test_an_interruption_ends_without_a_traceback():
    started = start("reproduce")
    time.sleep(1)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=60)
    assert (started.returncode, err) in ((130, b""), (0, b""))


@pytest.mark.skipif(os.name == "nt", reason="there is no pseudo-terminal")
@pytest.mark.parametrize("columns", [40, 200])
def test_a_terminal_never_breaks_a_number(tmp_path, columns):
    pty = pytest.importorskip("pty")
    (tmp_path / "means.csv").write_text(MEANS)
    ours, theirs = pty.openpty()
    started = start("pool", str(tmp_path / "means.csv"), stdout=theirs, COLUMNS=str(columns), TERM="xterm")
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    _, err = started.communicate(timeout=60)
    os.close(ours)
    assert (started.returncode, err) == (0, b"")
    fit = mp.meta_analysis(mp.effect_size(mp.read_outcomes(tmp_path / "means.csv")))
    words = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode("utf-8"))
    for number in (fit.estimate, fit.prediction_interval.low):
        assert f" {number:.3f} " in words
    assert "\x1b[1m" in shown.decode("utf-8")


@pytest.mark.slow
def test_ten_thousand_rows_are_pooled(tmp_path):
    rng = np.random.default_rng(1)
    rows = [f"s{i},{rng.normal():.3f},{rng.uniform(0.01, 1):.3f}\n" for i in range(10_000)]
    (tmp_path / "big.csv").write_text("study_id,yi,vi\n" + "".join(rows))
    out, err = start("pool", str(tmp_path / "big.csv"), "--json").communicate(timeout=120)
    assert err == b""
    assert json.loads(out)["k"] == 10_000


def refreshed(page):
    """The page with what its commands print now, where it shows that at all."""
    for block in console_blocks(page):
        for typed, printed in block:
            if printed:
                done = subprocess.run(
                    [sys.executable, "-m", "metapeer", *arguments_of(typed)],
                    capture_output=True,
                    encoding="utf-8",
                    env=os.environ | {"PYTHONUTF8": "1"},
                    check=False,
                )
                page = page.replace(f"$ {typed}\n{printed}", f"$ {typed}\n{done.stderr}{done.stdout}")
    return page


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        text = PAGE.read_text(encoding="utf-8")
        write_files(text)
        PAGE.write_text(refreshed(text), encoding="utf-8", newline="\n")

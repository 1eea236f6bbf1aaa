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
from metapeer.command_bayes import MU_PRIORS, TAU_PRIORS, read_prior
from metapeer.command_counts import METHODS
from metapeer.effects.continuous import SMD_PRESETS, SMD_VARIANCES
from metapeer.effects.measures import MEASURES
from metapeer.pooling.counts import CI_METHODS as MH_CI_METHODS
from metapeer.pooling.counts import MEASURES as MH_MEASURES
from metapeer.pooling.glmm_models import GLMM_MEASURES, GLMM_MODELS
from metapeer.pooling.inference import CI_METHODS
from metapeer.pooling.prediction import PREDICTION_METHODS
from metapeer.pooling.presets import PRESETS
from metapeer.pooling.regression import REGRESSION_CI_METHODS
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


# Meta-regression


DOSES = """study_id,yi,vi,dose,format
a,0.1,0.02,1,group
b,0.3,0.03,2,group
c,0.2,0.04,3.5,one_to_one
d,0.5,0.05,NA,one_to_one
e,0.6,0.02,6,mixed
f,0.4,0.03,7,mixed
g,0.7,0.03,8,one_to_one
"""


def doses():
    """The table as a Python user would have it."""
    return pd.read_csv(io.StringIO(DOSES))


@pytest.mark.parametrize(
    ("typed", "options"),
    [
        ("--moderator dose", {"moderators": ["dose"]}),
        ("--moderator dose --moderator format", {"moderators": ["dose", "format"]}),
        ("--formula 'dose + I(dose**2)'", {"formula": "dose + I(dose**2)"}),
        ("--moderator format --reference format=mixed", {"moderators": "format", "reference": {"format": "mixed"}}),
        ("--moderator dose --model common", {"moderators": "dose", "model": "common"}),
        (
            "--moderator dose --tau2-method DL --ci-method t --tau2-ci-method J --level 0.9 --measure RR",
            {
                "moderators": "dose",
                "tau2_method": "DL",
                "ci_method": "t",
                "tau2_ci_method": "J",
                "level": 0.9,
                "measure": "RR",
            },
        ),
    ],
)
def test_regress_gives_the_numbers_of_meta_regression(run, typed, options):
    Path("doses.csv").write_text(DOSES)
    fit = mp.meta_regression(doses(), **options)
    words = shlex.split(typed)
    found = run("regress", "doses.csv", *words, "--json").json
    assert [row["coefficient"] for row in found["coefficients"]] == list(fit.names)
    assert [row["estimate"] for row in found["coefficients"]] == fit.beta.tolist()
    assert [row["p_value"] for row in found["coefficients"]] == fit.p_value.tolist()
    assert (found["tau2"], found["tau2_ci_high"]) == (fit.tau2, fit.tau2_ci.high if fit.tau2_ci else None)
    assert (found["QE"], found["QE_df"], found["QE_p"]) == (fit.QE, fit.QE_df, fit.QE_p)
    assert found["omnibus"]["p_value"] == fit.omnibus.p_value
    assert [row["yi"] for row in found["studies"]] == fit.yi.tolist()
    expected = fit.predict()["estimate"].tolist()
    assert [row["expected"] for row in found["studies"]] == pytest.approx(expected, rel=1e-12)
    assert [row["label"] for row in found["not_used"]] == [label for label, _ in fit.excluded]
    rows = run("regress", "doses.csv", *words, "--csv").csv
    assert rows["estimate"].tolist() == fit.beta.tolist()
    assert rows["coefficient"].tolist() == list(fit.names)
    assert run("regress", "doses.csv", *words).out.split("\n")[2:-3] == fit.summary().split("\n")[2:-2]


def test_averaging_keeps_rows_apart_whose_moderators_differ(run):
    Path("twice.csv").write_text(DOSES + "a,0.9,0.02,1,group\na,0.7,0.02,9,group\n")
    found = run("regress", "twice.csv", "--moderator", "dose", "--average", "0.5", "--json").json
    assert [row["moderators"]["dose"] for row in found["studies"] if row["study_id"] == "a"] == [1, 9]
    assert found["studies"][0]["yi"] == pytest.approx(0.5)


def test_a_moderator_with_a_word_among_numbers_is_taken_as_words_with_a_doubt(run):
    Path("doubtful.csv").write_text(DOSES.replace("a,0.1,0.02,1,", "a,0.1,0.02,2,").replace(",NA,", ",about 6,"))
    ran = run("regress", "doubtful.csv", "--moderator", "dose")
    assert "warning: moderator dose: 'about 6' is not a number, so that all its values are taken as words" in ran.err
    assert run("regress", "means.csv", "--moderator", "year").err == ""


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        ("", 2, "give either --moderator, once or several times, or --formula"),
        ("--moderator year --formula year", 2, "give either --moderator"),
        ("--moderator yaer", 2, "--moderator: there is no column 'yaer'. Did you mean 'year'?"),
        ("--moderator year --moderator year", 2, "--moderator names year more than once"),
        ("--moderator year --reference format=group", 2, "'format' is not a moderator"),
        ("--moderator format --reference format", 2, "write COLUMN=VALUE"),
        ("--moderator format --reference format=groop", 2, "Did you mean 'group'?"),
        ("--moderator format --reference format=group --reference format=mixed", 2, "has a reference already"),
        ("--moderator year --reference year=2014", 2, "year holds numbers"),
        ("--moderator year --ci-method PL", 2, "--ci-method 'PL' is unknown"),
        ("--moderator year --model common --tau2-method DL", 2, "no effect with --model common"),
        ("--formula 'year +'", 2, "--formula 'year +' cannot be read"),
        ("--formula yaer", 1, "`yaer` is not present"),
        ("--moderator study_id", 1, "no residual degrees of freedom"),
        ("--moderator direction --where study_id!=lee2018", 1, "is 'higher_better' in every row"),
        ("--moderator year --where study_id=lee2018", 1, "1 row cannot carry 2 coefficients"),
    ],
)
def test_a_moderator_that_cannot_be_used_is_told(run, typed, code, says):
    ran = run("regress", "means.csv", *shlex.split(typed))
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err


# Priors


@pytest.mark.parametrize(
    ("typed", "priors"),
    [
        ("", {}),
        ("--tau-prior 'half_cauchy(0.3)'", {"tau_prior": mp.half_cauchy(0.3)}),
        ("--tau-prior 'half_t(0.5, df=3)' --mu-prior 'normal(0, 1)'", {"tau_prior": mp.half_t(0.5, 3), "mu_prior": 1}),
        ("--tau-prior 'uniform()'", {"tau_prior": mp.uniform()}),
        ("--tau-prior 'log_normal(-2.5, 1.7)' --level 0.9", {"tau_prior": mp.log_normal(-2.5, 1.7), "level": 0.9}),
        ("--tau-prior 'turner()' --measure OR", {"tau_prior": mp.turner(), "measure": "OR"}),
    ],
)
def test_bayes_gives_the_numbers_of_bayesian_meta_analysis(run, typed, priors):
    if "mu_prior" in priors:
        priors = {**priors, "mu_prior": mp.normal(0, 1)}
    fit = mp.bayesian_meta_analysis(mp.read_outcomes("ready.csv"), **priors)
    words = shlex.split(typed)
    found = run("bayes", "ready.csv", *words, "--json").json
    for name in ("mu", "tau", "new_study"):
        summary = getattr(fit, name)
        ends = (summary.median, summary.interval.low, summary.shortest.high)
        assert (found[name]["median"], found[name]["low"], found[name]["shortest_high"]) == ends
    assert found["bayes_factor_tau"] == (None if np.isnan(fit.bayes_factor_tau) else fit.bayes_factor_tau)
    assert [row["median"] for row in found["studies"]] == fit.shrinkage.median.tolist()
    assert (found["tau_prior"], found["joint_mode"]["tau"]) == (fit.tau_prior, fit.joint_mode.tau)
    assert run("bayes", "ready.csv", *words, "--csv").csv["median"].tolist()[1] == fit.tau.median
    assert run("bayes", "ready.csv", *words).out == f"{fit.summary()}\n"


@pytest.mark.parametrize(
    "text",
    ["half_normal(0.5)", "half_t(1, df=3)", "lomax(1, shape=2)", "turner('pain', 'non-pharmacological vs control')"],
)
def test_a_prior_is_typed_as_it_is_printed(text):
    assert str(read_prior("--tau-prior", text, TAU_PRIORS)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("half_norml(1)", "--tau-prior 'half_norml' is unknown. Did you mean 'half_normal'?"),
        ("half_normal", "is not a prior; write one such as 'half_normal(0.5)'"),
        ("half_normal(-1)", "scale -1 is not a number > 0"),
        ("half_normal(1, 2)", "half_normal takes scale, each once"),
        ("half_normal(scale=1, scale=2)", "is not a prior"),
        ("half_t(1)", "half_t takes scale, df; df is missing"),
        ("half_normal(1/2)", "write plain numbers"),
        ("half_normal(__import__('os'))", "write plain numbers"),
        ("half_normal(*[1])", "write plain numbers"),
        ("half_normal(**{'scale': 1})", "each once"),
        ("half_normal(1e300)", "too large to compute with"),
        ("os.getcwd()", "is not a prior"),
        ("(" * 5000, "is not a prior"),
        ("\0", "is not a prior"),
        ("", "is not a prior"),
        ("normal(0, 1)", "'normal' is unknown"),
        ("turner('pain')", "comparison is missing"),
    ],
)
def test_what_is_no_prior_is_refused_and_nothing_of_it_is_run(run, text, says):
    ran = run("bayes", "ready.csv", "--tau-prior", text)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err or (says == "is not a prior" and "each once" in ran.err)


def test_every_prior_that_the_help_names_is_one():
    text = next(param.help for param in COMMANDS["bayes"].params if param.name == "tau_prior")
    assert set(re.findall(r"(\w+)\(", text)) == set(TAU_PRIORS)
    assert {type(read_prior("--mu-prior", "normal(0, 1)", MU_PRIORS))} == {type(mp.normal(0, 1))}


def test_units_without_a_default_prior_need_one(run):
    ran = run("bayes", "means.csv", "--measure", "MD", "--where", "direction=higher_better")
    assert ran.code == 2
    assert "--tau-prior has no default for MD" in ran.err


# Counts


@pytest.mark.parametrize(
    ("typed", "fitted"),
    [
        ("", mp.mantel_haenszel),
        ("--measure RR --level 0.9", lambda data: mp.mantel_haenszel(data, measure="RR", level=0.9)),
        ("--measure RD --variance Sato", lambda data: mp.mantel_haenszel(data, measure="RD", variance="Sato")),
        (
            "--model random --ci-method HK --zero-cells only0 --add TACC --correct",
            lambda data: mp.mantel_haenszel(
                data, model="random", ci_method="HK", zero_cells="only0", add="TACC", correct=True
            ),
        ),
        ("--method Peto", mp.peto),
        ("--method GLMM", mp.glmm_meta_analysis),
        (
            "--method GLMM --glmm UM.RS --drop-double-zero --coding 1 --ci-method t",
            lambda data: mp.glmm_meta_analysis(data, model="UM.RS", drop_double_zero=True, coding=1, ci_method="t"),
        ),
        (
            "--method GLMM --glmm CM.EL --model common",
            lambda data: mp.glmm_meta_analysis(data, model="CM.EL", effects="common"),
        ),
        (
            "--method GLMM --glmm CM.AL --prediction-method S",
            lambda data: mp.glmm_meta_analysis(data, model="CM.AL", prediction_method="S"),
        ),
        ("--method BB --measure RR", lambda data: mp.beta_binomial_meta_analysis(data, measure="RR")),
    ],
)
def test_counts_gives_the_numbers_of_each_method(run, typed, fitted):
    fit = fitted(mp.read_outcomes("events.csv"))
    words = shlex.split(typed)
    found = run("counts", "events.csv", *words, "--json").json
    assert (found["estimate"], found["se"], found["k"]) == (fit.estimate, fit.se, fit.k)
    assert (found["ci_low"], found["ci_high"]) == tuple(fit.ci)
    assert [row["label"] for row in found["not_pooled"]] == [label for label, _ in fit.excluded]
    assert [row["yi"] for row in found["studies"]] == fit.yi.tolist()
    if isinstance(fit, mp.MantelHaenszelResult):
        assert found["association"]["p_value"] == fit.association.p_value
        assert (found["tarone"] is None) == (fit.measure != "OR")
    row = run("counts", "events.csv", *words, "--csv").csv.iloc[0]
    assert (row["estimate"], row["p_value"]) == (fit.estimate, fit.p_value)
    assert run("counts", "events.csv", *words).out == f"{fit.summary()}\n"


def test_counts_of_rates_and_of_one_group_are_pooled(run):
    Path("rates.csv").write_text("study_id,events1,time1,events2,time2\na,1,10,2,10\nb,3,10,9,10.5\nc,4,5,1,5.5\n")
    Path("one.csv").write_text("study_id,events,total\na,1,10\nb,3,10\nc,2,15\n")
    rates, one = mp.read_outcomes("rates.csv"), mp.read_outcomes("one.csv")
    expected = mp.mantel_haenszel(rates, measure="IRD").estimate
    assert run("counts", "rates.csv", "--measure", "IRD", "--json").json["estimate"] == expected
    expected = mp.glmm_meta_analysis(one, measure="PLO").estimate
    assert run("counts", "one.csv", "--method", "GLMM", "--measure", "PLO", "--json").json["estimate"] == expected


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("--method Mantel", "--method 'Mantel' is unknown"),
        ("--measure XX", "--measure 'XX' is unknown. Known: OR, RR, RD, IRR, IRD, PLO, IRLN"),
        ("--measure PLO", "--measure 'PLO' goes with --method GLMM, not MH"),
        ("--method GLMM --measure RR", "--measure 'RR' goes with --method MH or BB, not GLMM"),
        ("--method Peto --model common", "--model has no effect with --method Peto"),
        ("--glmm CM.EL", "--glmm has no effect with --method MH"),
        ("--method GLMM --glmm CM", "--glmm 'CM' is unknown"),
        ("--method GLMM --measure PLO --glmm UM.FS", "--glmm has no effect on PLO"),
        ("--method GLMM --measure IRR --glmm CM.AL", "--glmm 'CM.AL' has no meaning for IRR"),
        ("--method GLMM --coding 0.3", "--coding 0.3 is unknown"),
        ("--method GLMM --keep-double-zero", "Use --glmm UM.RS, or --method BB"),
        ("--method BB --add 0.5", "--add has no effect with --method BB"),
        ("--variance Sato", "--variance has no effect with --measure 'OR'"),
        ("--ci-method HK", "--ci-method has no effect under a common effect"),
        ("--add x", "it must be a number of at least 0, or 'TACC'"),
        ("--average 0.5", "No such option"),
    ],
)
def test_an_option_that_a_method_of_counts_lacks_is_refused(run, typed, says):
    ran = run("counts", "events.csv", *shlex.split(typed))
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


@pytest.mark.parametrize(
    ("rows", "typed", "says"),
    [
        ("a,0,50,0,50\nb,0,50,0,50\n", "", "no counts can be pooled"),
        ("a,0,50,3,50\nb,0,50,2,50\n", "", "--zero-cells only0 adds a half, --method Peto and --measure RD need no"),
        ("a,0,50,3,50\nb,0,50,2,50\n", "--method GLMM", "metapeer pool --measure OR --zero-cells only0"),
        ("a,0,50,3,50\nb,0,50,2,50\n", "--method BB", "pool risk differences: metapeer pool --measure RD\n"),
        ("a,5,50,3,50\n", "--method GLMM", "use --model common"),
        ("a,5,50,3,50\n", "--method GLMM --ci-method t --model common", "no degrees of freedom for --ci-method t"),
        ("a,5,50,3,50\n", "--method BB", "one study does not show how risks vary"),
        ("a,5,50,3,50\nb,5,5e9,3,50\n", "--method BB", "b, total1: 5e+09 is more than an arm can have"),
        ("a,five,50,3,50\n", "", "'five' is not a number"),
        ("a,5.5,50,3,50\n", "", "is not a whole number"),
    ],
)
def test_counts_that_cannot_be_pooled_are_told_in_words_of_the_command_line(run, rows, typed, says):
    Path("faulty.csv").write_text(f"study_id,events1,total1,events2,total2\n{rows}")
    ran = run("counts", "faulty.csv", *typed.split())
    assert (ran.code, ran.out) == (1, "")
    assert says in ran.err


def test_the_methods_of_counts_have_the_measures_of_the_library(run):
    assert METHODS["MH"][0] == MH_MEASURES
    assert METHODS["GLMM"][0] == GLMM_MEASURES
    plain = run("counts", "events.csv", "--json").out
    named = "--method MH --measure OR --model common --zero-cells none --add 0.5 --ci-method z --level 0.95"
    assert run("counts", "events.csv", *named.split(), "--json").out == plain
    plain = run("counts", "events.csv", "--method", "GLMM", "--json").out
    named = "--glmm UM.FS --coding 0.5 --model random --ci-method z --prediction-method V --measure OR"
    assert run("counts", "events.csv", "--method", "GLMM", *named.split(), "--json").out == plain


@pytest.mark.parametrize("command", ["pool", "regress", "bayes"])
@pytest.mark.parametrize(("yi", "vi"), [("1e300", "1"), ("1", "1e300"), ("1", "1e-300"), ("-1e60", "1")])
def test_numbers_beyond_what_can_be_computed_with_are_refused(run, command, yi, vi):
    Path("wild.csv").write_text(f"{READY}z,{yi},{vi},low\n")
    ran = run(command, "wild.csv", *(("--moderator", "dose") if command == "regress" else ()))
    assert (ran.code, ran.out) == (1, "")
    assert re.search(r"z, [yv]i: \S+ is too (large|small) to compute with", ran.err)


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


def words_of_help(option, command="pool"):
    """The words that describe an option."""
    text = next(param.help for param in COMMANDS[command].params if param.name == option)
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


@pytest.mark.parametrize(
    ("command", "option", "known", "others"),
    [
        ("regress", "tau2_method", set(TAU2_METHODS), set()),
        ("regress", "tau2_ci_method", set(TAU2_CI_METHODS), set()),
        ("regress", "ci_method", set(REGRESSION_CI_METHODS), set()),
        ("counts", "glmm", set(GLMM_MODELS), {"GLMM"}),
        ("counts", "method", set(METHODS), set()),
        ("counts", "measure", {*MH_MEASURES, *GLMM_MEASURES}, {"GLMM", "BB"}),
        ("counts", "ci_method", {*MH_CI_METHODS, "t"}, {"GLMM", "BB", "MH"}),
        ("counts", "prediction_method", {"V", "HTS", "S"}, {"GLMM"}),
    ],
)
def test_the_help_of_the_other_models_names_every_code_and_no_other(command, option, known, others):
    words = words_of_help(option, command)
    assert known - words == set()
    assert {word for word in words if re.search(r"^[A-Z]{2}|[_.]", word)} - known - others == set()


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
    Path("trial.csv").write_text(TRIAL, encoding="utf-8")
    Path("sets.csv").write_text(SETS, encoding="utf-8")
    for name, command in COMMANDS.items():
        example = shlex.split(command.epilog.removeprefix("Example: "))
        assert example[:2] == ["metapeer", name]
        assert run(*example[1:]).code == 0, command.epilog


@pytest.mark.parametrize("shown", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_commands_of_the_page_run_and_print_what_it_shows(run, shown):
    page = PAGE.read_text(encoding="utf-8")
    write_files(page)
    needed = re.compile("metapeer init|.*--template")  # what others rest on
    commands = [
        pair for block in console_blocks(page) for pair in block if bool(pair[1]) is shown or needed.match(pair[0])
    ]
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


# Outcomes, classes, audit and identification

SLIPS = """study_id,outcome,instrument,n1,mean1,sd1,n2,mean2,sd2,review_yi,review_sei
smith2014,recovery,RAS - total,20,87.1,12.1,21,84.0,11.6,0.257,0.308
jones2016,recovery,RAS - total,40,92.4,11.4,38,88.1,12.0,0.364,0.226
lee2018,recovery,RAS - total,30,90.2,13.2,29,91.9,12.5,-0.13,0.257
kim2019,recovery,RAS - total,55,95.0,12.8,60,89.4,13.1,-0.429,0.188
diaz2021,recovery,RAS - total,48,91.7,12.2,45,86.0,11.1,0.484,0.209
"""


@pytest.mark.parametrize(("fail_on", "code"), [("never", 0), ("error", 0), ("suspicion", 3), ("remark", 3)])
def test_the_audit_ends_with_a_code_for_scripts(run, fail_on, code):
    Path("slips.csv").write_text(SLIPS, encoding="utf-8")
    ran = run("audit", "slips.csv", "--fail-on", fail_on)
    assert ran.code == code
    assert "kim2019 (line 5)" in ran.out


def test_the_audit_writes_its_report_as_asked(run):
    Path("slips.csv").write_text(SLIPS, encoding="utf-8")
    for name, sign in (("a.md", "# Audit of slips"), ("a.html", "<!DOCTYPE html>"), ("a.json", '{\n  "source"')):
        ran = run("audit", "slips.csv", "--fail-on", "never", "--report", name)
        assert f"wrote {name}" in ran.out
        assert Path(name).read_text(encoding="utf-8").startswith(sign)
    found = run("audit", "slips.csv", "--json", "--fail-on", "never").json
    assert [finding["check"] for finding in found["findings"] if finding["severity"] != "remark"] == [
        "sign_against_direction"
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("audit", "missing.csv"), "does not exist"),
        (("audit", "means.csv", "--report", "a.txt"), "must end in .md, .html, .json"),
        (("audit", "means.csv", "--report", "nowhere/a.md"), "there is no folder 'nowhere'"),
        (("audit", "smit2023", "--published", "--no-remarks"), "--no-remarks has no effect with --published"),
        (("identify", "means.csv"), "give either --printed"),
        (("identify", "means.csv", "--printed", "estimate"), "write NAME=TEXT"),
        (("identify", "means.csv", "--printed", "k=3", "--printed", "k=4"), "was given already"),
        (("identify", "means.csv", "--printed", "estimat=0.1"), "Did you mean 'estimate'?"),
        (("identify", "means.csv", "--published", "x"), "needs a data set"),
        (("identify", "smit2023", "--published", "x"), "there is no such result"),
        (("outcomes", "means.csv", "--average", "0.5"), "--average has no effect here"),
        (("classes", "smit2023", "--events-to-smd"), "--arm-sizes equal"),
    ],
)
def test_what_audit_and_its_neighbours_refuse(run, arguments, said):
    ran = run(*arguments)
    assert ran.code in (1, 2)
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_printed_results_of_a_data_set_are_audited(run):
    ran = run("audit", "other_reviews", "--published")
    assert ran.code == 3
    assert "fang2022" in ran.out


def test_identify_finds_the_analysis_of_a_printed_result(run):
    arguments = ("identify", "smit2023", "--where", "outcome_group=clinical recovery", "--published")
    found = run(*arguments, "clinical recovery", "--no-changes", "--csv").csv
    assert {"REML"} <= set(found["tau2_method"])


def test_outcomes_and_classes_print_their_tables(run):
    how = ("smit2023", "--events-to-smd", "--variance", "metapsy", "--prefer", "review")
    assert len(run("outcomes", *how, "--csv").csv) == 15
    lines = run("classes", *how, "--arm-sizes", "equal", "--csv").csv
    main = lines[(lines["axis"] == "main") & (lines["scope"] == "all formats")]
    assert main["estimate"].round(3).tolist() == [-0.122]


# A living review

TRIAL = (
    "study_id,citation,format,outcome,outcome_class,instrument,timepoint,timepoint_months,statistic,n1,mean1,sd1,n2,"
    "mean2,sd2,source\n"
    "doe2025,Doe J (2025),group,recovery,psychosocial,RAS - total,end_of_treatment,3,post,120,92.1,12.0,118,88.9,"
    "12.4,table 2\n"
)


def test_a_trial_is_added_shown_kept_and_taken_back(run):
    Path("trial.csv").write_text(TRIAL, encoding="utf-8")
    assert run("init", "mine", "--from", "lyons2021").code == 0
    before = Path("mine/outcomes.csv").read_bytes()
    shown = run("add", "mine", "trial.csv")
    assert shown.code == 0
    assert "0.226" in shown.out
    assert "0.232" in shown.out
    assert Path("mine/outcomes.csv").read_bytes() == before
    assert run("add", "mine", "trial.csv", "--write").code == 0
    assert b"doe2025.1" in Path("mine/outcomes.csv").read_bytes()
    assert "took back" in run("undo", "mine").out
    assert Path("mine/outcomes.csv").read_bytes() == before


def test_update_shows_what_a_new_trial_moves(run):
    Path("trial.csv").write_text(TRIAL, encoding="utf-8")
    moved = run("update", "lyons2021", "trial.csv", "--outcome", "recovery")
    assert moved.code == 0
    assert "Who moved it" in moved.out


@pytest.mark.parametrize(
    "arguments", [("undo", "nowhere"), ("add", "nowhere", "means.csv"), ("init", "."), ("form", "form.csv")]
)
def test_a_living_review_refuses_in_words(run, arguments):
    ran = run(*arguments)
    assert ran.code in (1, 2)
    assert ran.err.startswith("error: ")
    assert "Traceback" not in ran.err


def test_a_release_is_verified_until_a_number_changes(run):
    assert run("init", "mine", "--from", "smit2023").code == 0
    asked = ("--date", "2026-01-31", "--why", "first", "--author", "A. Name", "--searched", "2022-04-01")
    assert run("release", "mine", *asked, "--write").code == 0
    assert run("verify", "mine").code == 0
    outcomes = Path("mine/outcomes.csv")
    outcomes.write_text(outcomes.read_text(encoding="utf-8").replace("0.280025", "0.380025"), encoding="utf-8")
    changed = run("verify", "mine")
    assert changed.code in (1, 3)


PEER = (
    "study_id,citation,format,outcome,instrument,timepoint,n1,n2,es_type,es,es_se,md,md_ci_low,md_ci_high,source\n"
    "poulsen2025,Poulsen 2025,group,recovery,QPR-15,end_of_treatment,145,151,d (positive favours peer support),0.43,,"
    "5.1,2.4,7.8,abstract\n"
)


def test_the_words_of_the_readme_lead_from_nothing_to_an_updated_estimate(run):
    readme = PAGE.parents[1].joinpath("README.md").read_text(encoding="utf-8")
    part = readme[readme.index("**Add a new trial") : readme.index("**Ask whether")]
    Path("peer.csv").write_text(re.search(r"```text\n(.*?)```", part, flags=re.DOTALL)[1], encoding="utf-8")
    (block,) = console_blocks(part)
    said = []
    for typed, _ in block:
        ran = run(*arguments_of(typed))
        assert (ran.code, ran.err) == (0, ""), typed
        said.append(ran.out)
    assert "SMD                      0.226           0.269" in said[1]
    assert said[2].startswith("my-review: 1 new row, 1 new trial; written")
    assert "took back: add 1 row of poulsen2025" in said[-1]


def test_what_adding_found_is_json_with_its_audit(run):
    Path("trial.csv").write_text(TRIAL, encoding="utf-8")
    assert run("init", "mine", "--from", "lyons2021").code == 0
    found = run("add", "mine", "trial.csv", "--json").json
    assert found["rows"][0]["row_id"] == "doe2025.1"
    assert found["audit"]["counts"]["error"] == 0
    assert [change["outcome"] for change in found["update"]["changes"]] == ["recovery"]


def test_update_shows_what_a_cluster_trial_rests_on_and_takes_a_collection(run):
    clusters = TRIAL.replace("source\n", "source,design,mean_cluster_size,icc\n").replace(
        "table 2", "table 2,cluster,11,0.1"
    )
    Path("clusters.csv").write_text(clusters, encoding="utf-8")
    ran = run("update", "lyons2021", "clusters.csv", "--outcome", "recovery", "--icc", "0", "--icc", "0.1")
    assert "design effect 2 (mean cluster size 11, icc 0.1 as recorded)" in ran.out
    table = run("update", "lyons2021", "clusters.csv", "--icc", "0", "--icc", "0.1", "--csv").csv
    assert table["icc"].astype(str).tolist() == ["", "0.0", "0.1"]
    assert table["estimate"][0] == table["estimate"][2] != table["estimate"][1]
    assert len(run("update", "lyons2021", "clusters.csv", "--icc", "0", "--json").json["over_icc"]["lines"]) == 2
    assert "conley2020.1" in run("update", "lyons2021", "updates", "--outcome", "recovery").out


def test_a_correction_is_shown_and_recorded_only_on_request(run):
    assert run("init", "mine", "--from", "smit2023").code == 0
    asked = ("correct", "mine", "salzer2016.1", "n1", "--reason", "misread", "--source", "Table 1", "--author", "A. B.")
    shown = run(*asked, "--value", "51", "--date", "2026-01-31")
    assert shown.code == 0
    assert "nothing is written yet" in shown.out
    assert not Path("mine/overrides.csv").exists() or "misread" not in Path("mine/overrides.csv").read_text()
    kept = run(
        *asked, "--clear", "--date", "2026-01-31", "--status", "confirmed", "--name", "x", "--write", "--json"
    ).json
    assert (kept["value"], kept["status"], kept["override_id"], kept["written"]) == ("", "confirmed", "x", True)
    assert "misread" in Path("mine/overrides.csv").read_text(encoding="utf-8")
    for wrong in ((), ("--value", "1", "--clear"), ("--value", "-3")):
        ran = run(*asked, *wrong)
        assert (ran.code in (1, 2), ran.out) == (True, "")
        assert ran.err.startswith("error: ")


def test_the_flow_of_records_is_begun_checked_and_drawn(run):
    assert run("init", "mine", "--from", "lyons2021").code == 0
    assert "mine/prisma.csv" in run("prisma", "mine", "--template").out.replace("\\", "/")
    assert run("prisma", "mine", "--template").code == 1
    assert "not reported" in run("prisma", "mine").out
    path = Path("mine/prisma.csv")
    text = (
        path.read_text()
        .replace("records_screened,", "records_screened,9")
        .replace("records_excluded,", "records_excluded,8")
    )
    path.write_text(text.replace("dbr_sought_reports,", "dbr_sought_reports,2"))
    ran = run("prisma", "mine", "--plot", "flow.svg", "--markdown", "flow.md")
    assert ran.code == 3
    assert "does not add up: records_screened is 9" in ran.out
    assert Path("flow.svg").read_bytes().startswith(b"<?xml")
    assert "| Records screened | 9 |" in Path("flow.md").read_text(encoding="utf-8")
    for wrong in (("--plot", "flow.txt"), ("--markdown", "no/flow.md"), ("--template", "--plot", "flow.png")):
        assert run("prisma", "mine", *wrong).code == 2


def test_a_preview_gives_the_numbers_of_the_library(run):
    fit = mp.meta_analysis(mp.effect_size(mp.read_outcomes("means.csv")))
    expected = mp.preview_trial(fit, effect=0.3, n1=100, n2=50)
    found = run("preview", "means.csv", "--effect", "0.3", "--n1", "100", "--n2", "50", "--json").json
    assert found["preview"]["after"]["estimate"] == expected.after.estimate
    assert found["conditional_power"] == mp.conditional_power(fit, effect=0.3, n1=100, n2=50)
    assert found["needed"]["n1"] == mp.needed_trial_size(fit, effect=0.3, ratio=0.5).n1
    by_plan = mp.pool_review("lyons2021", outcomes="hope")["hope"]
    found = run(
        "preview", "lyons2021", "--outcome", "hope", "--effect", "0", "--sei", "0.1", "--claim", "benefit", "--csv"
    )
    assert found.csv["estimate"].tolist()[0] == by_plan.estimate
    assert found.csv["verdict"].tolist() != ["", ""]
    assert run("preview", "means.csv", "--effect", "0.3", "--plot", "next.png").code == 0
    assert Path("next.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("preview means.csv --effect 0.3 --n2 9", "give either n1"),
        ("preview means.csv --effect 0.3 --n2 9 --n1 0", "at least 2 participants"),
        ("preview means.csv --effect 0.3 --margin 0.1", "no effect without --claim"),
        ("preview means.csv --effect 0.3 --plot a.txt", "must end in .png"),
        ("preview means.csv --effect nan --n1 9", "must be a finite number"),
        ("preview lyons2021 --outcome hop --effect 0.3", "Did you mean 'hope'?"),
        ("preview lyons2021 --outcome hope --effect 0.3 --level 0.9", "--level: no effect with --outcome"),
        ("export means.csv --as csv --output a.txt", "must end in .csv"),
        ("export means.csv --as csv --output no/a.csv", "there is no folder"),
        ("export means.csv --as csv --output a.csv --measure MD", "--measure: no effect with --as csv"),
        ("export means.csv --as csv --output a.csv --title T", "--title: no effect with --as csv"),
        ("export means.csv --as csv --output a.csv --outcome hope", "choose rows with --where"),
        ("export means.csv --as fhir --output a.json --title T", "needs --population, --comparator, --measured"),
        ("export means.csv --as word --output a.doc", "is not one of"),
    ],
)
def test_what_preview_and_export_refuse(run, typed, says):
    ran = run(*typed.split())
    assert ran.code in (1, 2)
    assert ran.out == ""
    assert says in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("form", ["csv", "xlsx", "metapsy", "escalc", "revman_csv"])
def test_an_exported_table_comes_back(run, form):
    name = f"out.{'xlsx' if form == 'xlsx' else 'csv'}"
    assert (
        run("export", "means.csv", "--where", "format=group", "--as", form, "--output", name).out == f"wrote {name}\n"
    )
    back = mp.read_extraction(name)
    assert back["study_id"].tolist() == ["smith2014", "jones2016"]
    assert back["mean1"].tolist() == [3.5, 3.9]


def test_a_pooled_result_is_exported_for_r_and_for_fhir(run):
    fit = mp.meta_analysis(mp.effect_size(mp.read_outcomes("means.csv")), tau2_method="DL")
    assert run("export", "means.csv", "--tau2-method", "DL", "--as", "metafor", "--output", "a.R").code == 0
    assert Path("a.R").read_text(encoding="utf-8") == mp.metafor_script(fit)
    about = ("--title", "T", "--population", "adults", "--comparator", "usual care")
    assert run("export", "lyons2021", "--outcome", "hope", "--as", "fhir", "--output", "a.json", *about).code == 0
    found = json.loads(Path("a.json").read_text(encoding="utf-8"))
    assert found["variableDefinition"][3]["description"].startswith("hope")
    hope = mp.pool_review("lyons2021", outcomes="hope")["hope"]
    assert found["statistic"][0]["quantity"]["value"] == hope.estimate


# What a conclusion hangs on

SETS = """study_id,outcome,yi,vi
a,hope,0.1,0.02
b,hope,0.3,0.03
c,hope,0.2,0.04
a,recovery,0.5,0.05
b,recovery,0.1,0.05
d,empty,,
"""


def means_fit(**options):
    return mp.meta_analysis(mp.effect_size(mp.read_outcomes("means.csv")), **options)


def test_influence_gives_the_deletions_and_the_diagnostics(run):
    expected = mp.leave_one_out(means_fit(tau2_method="DL"))
    ran = run("influence", "means.csv", "--tau2-method", "DL", "--csv")
    assert ran.csv["estimate"].tolist() == expected.estimate.tolist()
    assert [name for name in ran.csv["change"] if name] == [name for name in expected.changes if name]
    found = run("influence", "means.csv", "--tau2-method", "DL", "--json").json
    shown = mp.influence(means_fit(tau2_method="DL")).to_frame()
    assert [row["cook_d"] for row in found["diagnostics"]] == shown["cook_d"].tolist()
    assert tuple(found["changing"]) == expected.changing
    out = run("influence", "means.csv").out
    assert "1 deletion would change the conclusion:\n  without kim2019" in out
    assert "Cook's d" in out


def test_influence_leaves_out_whole_trials(run):
    Path("twice.csv").write_text(READY + "a,0.4,0.03,high\n")
    table = run("influence", "twice.csv", "--by", "trial", "--csv").csv
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.DataWarning)
        expected = mp.leave_one_out(mp.read_outcomes("twice.csv"), by="study_id")
    assert table["without"].tolist() == list("abcd")
    assert table["estimate"].tolist() == expected.estimate.tolist()
    assert run("influence", "twice.csv", "--by", "trial", "--json").json["diagnostics"] is None


def test_the_figures_of_influence_gosh_bias_and_power_are_written(run):
    plan = ("--effect", "0.2", "--n1", "50", "--n2", "50")
    for typed, files in (
        (("influence", "means.csv"), {"--figure": "i.svg", "--baujat": "b.svg"}),
        (("influence", "means.csv", "--by", "trial"), {"--figure": "l.svg"}),
        (("gosh", "means.csv", "--study", "kim2019"), {"--figure": "g.svg"}),
        (("bias", "means.csv", "--method", "egger_test"), {"--figure": "f.svg"}),
        (("power", *plan), {"--curve": "p.svg"}),
        (("power", *plan, "--studies", "5", "--studies", "9", "--power", "0.9"), {"--curve": "q.svg"}),
    ):
        asked = [word for pair in files.items() for word in pair]
        assert run(*typed, *asked).code == 0
        for name in files.values():
            assert Path(name).read_bytes().startswith(b"<?xml"), typed


def test_gosh_gives_the_studies_and_the_heaps(run):
    found = mp.gosh(means_fit(tau2_method="DL"))
    table = run("gosh", "means.csv", "--tau2-method", "DL", "--csv").csv
    assert table.iloc[:, 1].tolist() == found.studies().iloc[:, 1].tolist()
    Path("more.csv").write_text("study_id,yi,vi\n" + "".join(f"s{i},{i % 3 / 2},0.02\n" for i in range(9)))
    shown = run("gosh", "more.csv", "--clusters", "kmeans", "--subsets", "200", "--seed", "2", "--json").json
    assert shown["subsets"] == 200
    assert shown["clusters"]["method"] == "kmeans"


def test_bias_prints_the_summary_of_all_methods(run):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.DataWarning)
        expected = mp.bias_summary(means_fit())
    ran = run("bias", "means.csv")
    assert ran.out == f"{expected.summary()}\n"
    assert ran.err == ""
    table = run("bias", "means.csv", "--csv").csv
    assert table["method"].tolist() == expected.to_frame()["method"].tolist()
    values = pd.to_numeric(table["value"]).to_numpy()
    np.testing.assert_array_equal(values, expected.to_frame()["value"])


def test_bias_prints_one_method_in_full(run):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.DataWarning)
        expected = mp.pet_peese(means_fit())
    assert run("bias", "means.csv", "--method", "pet_peese").out == f"{expected}\n"
    found = run("bias", "means.csv", "--method", "pet_peese", "--json").json
    assert [row["estimate"] for row in found["rows"]] == expected.to_frame()["estimate"].tolist()
    turned = run("bias", "means.csv", "--method", "p_uniform_star", "--favoured", "negative", "--json").json
    assert turned["rows"][0]["favoured"] == "negative"


def test_power_computes_what_is_left_out(run):
    plan = {"n1": 50, "n2": 50, "I2": 50}
    typed = ("power", "--n1", "50", "--n2", "50", "--i2", "50", "--csv")
    found = run(*typed, "--effect", "0.2", "--studies", "10").csv
    assert found.loc[0, "power"] == mp.power_meta_analysis(effect=0.2, k=10, **plan).power
    assert run(*typed, "--effect", "0.2").csv.loc[0, "value"] == mp.studies_needed(effect=0.2, **plan).value
    wanted = run(*typed, "--studies", "10", "--power", "0.9").csv.loc[0, "value"]
    assert wanted == mp.detectable_effect(k=10, power=0.9, **plan).value
    table = run("power", "--effect", "0.2", "--sei", "0.2", "--studies", "5", "--studies", "9", "--csv").csv
    expected = mp.power_curve(effect=0.2, k=[5, 9], I2=[0, 25, 50, 75], sei=0.2).to_frame()
    assert table["power"].tolist() == expected["power"].tolist()
    sized = ("power", "--effect", "0.2", "--sei", "0.2", "--studies", "5")
    drawn = run(*sized, "--i2", "30", "--simulations", "1000", "--csv").csv
    assert drawn.loc[0, "power"] == mp.power_meta_analysis(effect=0.2, k=5, sei=0.2, I2=30, simulations=1000).power
    common = run(*sized, "--model", "common", "--csv").csv
    assert common.loc[0, "power"] == mp.power_meta_analysis(effect=0.2, k=5, sei=0.2, model="common").power


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_batch_pools_each_set_as_if_alone(run, separator):
    text = SETS.replace(",", separator)
    Path("sets.csv").write_text(text.replace(".", ",") if separator == ";" else text)
    ran = run("batch", "sets.csv", "--by", "outcome", "--tau2-method", "DL", "--csv")
    table = ran.csv.set_index("outcome")
    for name, rows in pd.read_csv(io.StringIO(SETS)).dropna().groupby("outcome"):
        fit = mp.meta_analysis(rows, tau2_method="DL")
        numbers = pd.to_numeric(table.loc[name, ["estimate", "ci_low", "tau2"]])
        np.testing.assert_allclose(numbers, [fit.estimate, fit.ci.low, fit.tau2], rtol=1e-9, atol=1e-12)
    assert table.loc["empty", "estimate"] == ""
    assert "1 set could not be pooled" in ran.err
    shown = run("batch", "sets.csv", "--by", "outcome").out
    assert "line 7 (outcome empty, d), yi: is empty or no number" in shown
    assert re.search(r"^empty +NA", shown, flags=re.MULTILINE)
    assert len(run("batch", "sets.csv", "--by", "outcome", "--json").json["faults"]) == 2


def test_batch_writes_the_results_of_parquet_files_to_a_folder(run):
    pytest.importorskip("pyarrow")
    frame = pd.read_csv(io.StringIO(SETS))
    frame.to_parquet("one.parquet")
    frame.assign(outcome=frame["outcome"] + "2").to_parquet("two.parquet")
    asked = ("batch", "one.parquet", "two.parquet", "--by", "outcome", "--output", "results")
    assert "6 sets in 2 parts" in run(*asked).out
    table = run(*asked, "--csv").csv.set_index("outcome")
    expected = mp.meta_analysis_batch(frame[frame["outcome"] == "hope"], by="outcome").to_frame()
    assert float(table.loc["hope2", "estimate"]) == expected.loc[0, "estimate"]
    assert run(*asked, "--level", "0.9").code == 2


def test_the_multiverse_has_a_row_for_each_specification(run):
    typed = (
        "multiverse",
        "means.csv",
        "--tau2-method",
        "REML",
        "--tau2-method",
        "DL",
        "--ci-method",
        "HK",
        "--ci-method",
        "z",
    )
    assert len(run(*typed, "--csv").csv) == 4
    found = run(*typed, "--draws", "20", "--json").json
    assert len(found["specifications"]) == 4
    assert found["test"]["draws"] >= 8


def test_findings_and_a_report_are_written(run):
    found = run("findings", "lyons2021", "--outcome", "recovery", "--output", "sof.md")
    assert found.out == "wrote sof.md\n"
    assert "recovery" in Path("sof.md").read_text(encoding="utf-8").lower()
    shown = run("findings", "lyons2021", "--outcome", "recovery", "--csv")
    assert len(shown.csv) == 1
    ran = run("report", "ready.csv", "--output", "page.html")
    assert ran.code == 0
    assert Path("page.html").read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("influence means.csv --by nothing", "no column 'nothing'"),
        ("influence means.csv --by trial --baujat b.png", "--baujat has no effect with --by"),
        ("influence means.csv --figure a.doc", "--figure 'a.doc': the name must end in .png"),
        ("influence lyons2021 --outcome hope --level 0.9", "--level: no effect with --outcome"),
        ("gosh means.csv --figure no/a.png", "make it first"),
        ("gosh means.csv --study kim2019", "--study has no effect without --figure"),
        ("gosh means.csv --study kim --figure a.png", "--study 'kim' is unknown. Did you mean 'kim2019'?"),
        ("gosh means.csv --clusters heaps", "--clusters 'heaps' is unknown"),
        ("gosh means.csv --where format=group", "three or more are needed"),
        ("bias means.csv --method egger", "--method 'egger' is unknown. Did you mean 'egger_test'?"),
        ("bias means.csv --method harbord_test", "cannot be applied here: needs counts"),
        ("bias means.csv --favoured up", "--favoured 'up' is unknown"),
        ("bias means.csv --where format=group", "at least 3 are needed"),
        ("power --n1 9 --n2 9", "what is left out is what is computed"),
        ("power --effect 0.2", "--n1 and --n2"),
        ("power --effect 0.2 --studies 0 --sei 1", "--studies must be a whole number"),
        ("power --effect nan --studies 5 --sei 1", "--effect must be a finite number"),
        ("power --effect 0.2 --studies 5 --n1 9 --n2 9 --measure OR", "needs --risk"),
        ("power --effect 0.2 --studies 5 --sei 1 --power 0.9", "--power has no effect"),
        ("power --effect 0.2 --sei 1 --simulations 1000", "--simulations needs"),
        ("power --effect 0.2 --sei 1 --i2 9 --tau2 1", "not both"),
        ("power --effect 0.2 --sei 1 --i2 9 --i2 20", "give heterogeneity once"),
        ("power --studies 5 --sei 1 --curve a.png", "no --curve"),
        ("power --effect 0.2 --studies 5 --sei 1 --i2 120", "from 0 to below 100"),
        ("batch ready.csv --by outcome", "there is no column 'outcome' in ready.csv"),
        ("batch absent.csv --by outcome", "absent.csv: No such file"),
        ("batch bad.csv --by a", "not a CSV file"),
        ("batch bare.csv --by dose", "no rows below its header"),
        ("batch ready.csv --by dose --output here", "--output is for Parquet files"),
        ("batch ready.parquet --by dose", "--output names a folder"),
        ("batch ready.csv ready.parquet --by dose", "not both"),
        ("batch ready.csv --by dose --ci-method PL", "--ci-method 'PL' is not made for many sets at once"),
        ("multiverse means.csv", "no choice is declared"),
        ("findings means.csv --output a.txt", "no column 'outcome'"),
        ("report nowhere", "is unknown"),
        ("report means.csv --output a.txt", ".html, .md, .docx"),
    ],
)
def test_what_the_commands_of_sensitivity_refuse(run, typed, says):
    Path("bad.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    Path("bare.csv").write_text("dose,yi,vi\n")
    ran = run(*typed.split())
    assert ran.code in (1, 2)
    assert ran.out == ""
    assert says in ran.err
    assert "Traceback" not in ran.err


# Cluster trials

CLUSTERS = """study_id,design,mean_cluster_size,icc,direction,n1,mean1,sd1,n2,mean2,sd2
a,cluster,11,0.1,higher_better,60,5,2,60,4,2
b,,,,higher_better,50,5,2,50,4.4,2
c,cluster,,,higher_better,50,5,2,50,4.3,2
d,parallel,,,higher_better,50,5,2,50,4.5,2
"""


@pytest.mark.filterwarnings("ignore::metapeer.DataWarning")
def test_cluster_trials_are_pooled_by_the_design_that_is_recorded(run):
    Path("clusters.csv").write_text(CLUSTERS)
    rows = mp.read_outcomes("clusters.csv")
    halved = rows.assign(n1=[30, 50, 50, 50], n2=[30, 50, 50, 50])
    fit = mp.meta_analysis(mp.effect_size(halved))
    ran = run("pool", "clusters.csv")
    assert (
        "a: cluster trial: numbers divided by the design effect 2 (mean cluster size 11, icc 0.1 as recorded)"
        in ran.out
    )
    assert "c: cluster trial, not adjusted: mean_cluster_size and icc are not recorded" in ran.out
    found = run("pool", "clusters.csv", "--json").json
    assert found["estimate"] == fit.estimate
    assert found["participants"] == 420
    for typed in (("pool", "--csv"), ("influence", "--csv"), ("bayes",), ("regress", "--moderator", "n1")):
        ran = run(typed[0], "clusters.csv", *typed[1:])
        assert (ran.out + ran.err).count("divided by the design effect 2") == 1, typed
    assert run("subgroup", "clusters.csv", "--by", "design", "--json").json["notes"][-2].startswith("a: cluster trial")


def test_commands_that_take_cluster_trials_as_they_stand_say_so(run):
    Path("clusters.csv").write_text(CLUSTERS)
    ran = run("multiverse", "clusters.csv", "--tau2-method", "DL", "--tau2-method", "PM")
    assert (
        "warning: a, c: cluster trials, which multiverse takes as if people had been randomised one by one" in ran.err
    )
    header, *rows = EVENTS.splitlines()
    lines = [f"{header},design", *(f"{row},cluster" for row in rows)]
    Path("clusters.csv").write_text("\n".join(lines) + "\n")
    assert "a2001, b2002, c2003, d2004: cluster trials, which counts takes" in run("counts", "clusters.csv").err


def test_a_review_is_pooled_with_its_cluster_trials_adjusted_with_and_without_its_plan(run):
    assert run("init", "mine", "--from", "lyons2021").code == 0
    clusters = TRIAL.replace("source\n", "source,design,mean_cluster_size,icc\n").replace(
        "table 2", "table 2,cluster,11,0.1"
    )
    Path("clusters.csv").write_text(clusters, encoding="utf-8")
    assert run("add", "mine", "clusters.csv", "--write").code == 0
    plain = run("pool", "mine", "--where", "study_id=doe2025", "--variance", "metapsy", "--json").json
    by_plan = mp.pool_review("mine", outcomes="recovery")["recovery"]
    place = [label.startswith("doe2025") for label in by_plan.labels].index(True)
    assert plain["studies"][0]["sei"] == pytest.approx(by_plan.vi[place] ** 0.5, rel=1e-12)
    assert "design effect 2" in plain["notes"][-1]

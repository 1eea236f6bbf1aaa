"""A fit as an R script and as a FHIR resource says the numbers of the fit, and nothing else."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest

from metapeer import meta_analysis
from metapeer.errors import MetapeerError
from metapeer.pooling.counts import mantel_haenszel
from metapeer.pooling.fhir import fhir_evidence
from metapeer.pooling.r_script import TAU2_IN_METAFOR, metafor_script

YI = [0.1, 0.3, 0.35, 0.65, 0.45, 0.15]
VI = [0.03, 0.03, 0.05, 0.01, 0.05, 0.02]
LABELS = ["Ames 2014", "Bell, 2016", '"Cole"', "Düx", "e", "f"]
# What Rscript printed for the script below. Source: R 4.2.2, metafor 3.8-1.
BY_METAFOR = {
    "estimate": 0.346335766780870802,
    "se": 0.090332686937914422,
    "ci_low": 0.114128202574046156,
    "ci_high": 0.578543330987695503,
    "statistic": 3.834002712870780538,
    "p_value": 0.012197876722131107,
    "tau2": 0.033140266331299663,
    "I2": 56.528560867561864711,
    "tau2_ci_low": 0.0,
    "tau2_ci_high": 0.225292747558459960,
    "Q": 12.805627705627708579,
    "Q_p": 0.025269952612902033,
    "pi_low": -0.176069841565352048,
    "pi_high": 0.868741375127093596,
}
SCRIPT = r"""# A meta-analysis of metapeer's, repeated with the R package metafor.
# Run with: Rscript this-file.R
suppressPackageStartupMessages(library(metafor))
slab <- c("Ames 2014", "Bell, 2016", "\"Cole\"", "D\u00fcx", "e", "f")
yi <- c(0.10000000000000001, 0.29999999999999999, 0.34999999999999998, 0.65000000000000002, 0.45000000000000001, 0.14999999999999999)
vi <- c(0.029999999999999999, 0.029999999999999999, 0.050000000000000003, 0.01, 0.050000000000000003, 0.02)
stopifnot(length(yi) == length(vi), length(yi) == length(slab))
fit <- rma(yi, vi, slab = slab, method = "REML", test = "knha", level = 95,
           control = list(threshold = 6.56e-12, maxiter = 10000, tau2.max = 656, tol = 6.56e-14))
ci_tau2 <- confint(fit, level = 95, control = list(tau2.max = 656, tol = 6.56e-14))$random
"""  # noqa: E501 - R's own line
WORDS = {
    "title": "Hope",
    "population": "adults with severe mental illness",
    "intervention": "peer support",
    "comparator": "usual care",
    "outcome": "hope",
}


def fitted(**options):
    return meta_analysis(yi=YI, vi=VI, **({"labels": LABELS} | options))


def compared(script):
    """The numbers that a script compares, by name."""
    names = re.search(r"number   = c\((.*?)\),\n", script)[1].replace('"', "").split(", ")
    values = re.search(r"metapeer = c\((.*?)\)\)\n", script)[1].split(", ")
    return dict(zip(names, map(float, values), strict=True))


def test_the_script_is_the_one_that_was_run_and_holds_what_metafor_found():
    script = metafor_script(fitted(tau2_method="REML", ci_method="HK", prediction_method="HK"))
    assert script.startswith(SCRIPT)
    found = compared(script)
    assert list(found) == list(BY_METAFOR)
    for name, value in BY_METAFOR.items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-10), name


def test_the_numbers_in_the_script_are_those_of_the_fit_to_the_last_bit():
    fit = fitted()
    script = metafor_script(fit)
    for name in ("yi", "vi"):
        values = re.search(rf"^{name} <- c\((.*)\)$", script, flags=re.MULTILINE)[1]
        np.testing.assert_array_equal([float(value) for value in values.split(", ")], getattr(fit, name))
    assert compared(script)["estimate"] == fit.estimate


@pytest.mark.parametrize("method", TAU2_IN_METAFOR)
def test_the_script_names_the_estimator(method):
    assert f'method = "{method}"' in metafor_script(fitted(tau2_method=method))


def test_a_common_effect_is_metafors_equal_effects_model():
    script = metafor_script(fitted(model="common"))
    assert 'method = "EE", test = "z"' in script
    assert "tau2" not in compared(script)


def test_what_metafor_cannot_repeat_is_left_out_and_said():
    script = metafor_script(fitted(ci_method="KR"))
    assert "# Not compared: the interval and its test (Kenward-Roger" in script
    assert {"se", "ci_low", "p_value"}.isdisjoint(compared(script))
    script = metafor_script(fitted(ci_method="HK", prediction_method="HTS"))
    assert "# Not compared: the prediction interval" in script
    assert "pi_low" not in compared(script)


def test_labels_cannot_become_code():
    evil = ['"); system("rm -rf ~"); c("', "a\nb", "\\", "\0", "`x`", "\U0001f600"]
    script = metafor_script(fitted(labels=evil))
    line = next(line for line in script.splitlines() if line.startswith("slab"))
    assert line == (r'slab <- c("\"); system(\"rm -rf ~\"); c(\"", "a\u000ab", "\\", "?", "`x`", "\U0001f600")')
    assert script.isascii()


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        (lambda: fitted(tau2_method="BM"), "metafor has no estimator BM"),
        (lambda: fitted(ci_method="HC", tau2_method="DL"), "pooled by common-effect weights"),
        (lambda: 3, "not int"),
    ],
)
def test_fits_that_metafor_cannot_repeat_are_refused(fit, words):
    with pytest.raises(MetapeerError, match=words):
        metafor_script(fit())


def test_a_pool_of_counts_is_refused_since_its_weights_are_others():
    table = pd.DataFrame(
        {"study_id": ["a", "b"], "events1": [4, 5], "total1": [20, 30], "events2": [7, 8], "total2": [21, 31]}
    )
    with pytest.raises(MetapeerError, match="Mantel-Haenszel"):
        metafor_script(mantel_haenszel(table, measure="RR"))


def test_a_single_study_is_repeated_too():
    found = compared(metafor_script(meta_analysis(yi=[0.2], vi=[0.1])))
    assert found["estimate"] == 0.2
    assert "Q" not in found


def codes(concepts):
    return [concept["code"]["coding"][0]["code"] for concept in concepts if "coding" in concept["code"]]


def attributes(statistic):
    return {
        (a["type"].get("coding") or [{"code": a["type"].get("text")}])[0]["code"]: a
        for a in statistic["attributeEstimate"]
    }


def test_the_resource_has_the_numbers_of_the_fit():
    fit = fitted(measure="SMD", ci_method="HK")
    statistic = fhir_evidence(fit, **WORDS)["statistic"][0]
    assert statistic["quantity"]["value"] == fit.estimate
    assert statistic["sampleSize"] == {"numberOfStudies": 6}
    found = attributes(statistic)
    assert found["C53324"]["range"] == {"low": {"value": fit.ci.low}, "high": {"value": fit.ci.high}}
    assert found["C53324"]["level"] == 0.95
    assert found["0000037"]["quantity"]["value"] == fit.se
    assert found["C44185"]["quantity"]["value"] == fit.p_value
    assert found["0000421"]["quantity"]["value"] == fit.tau2
    assert found["0000420"]["quantity"]["value"] == fit.I2
    assert found["0000419"]["quantity"]["value"] == fit.Q
    assert found["0000419"]["attributeEstimate"][0]["quantity"]["value"] == fit.Q_p


def test_ratios_stand_on_their_own_scale_and_their_standard_error_on_the_log_scale():
    fit = fitted(measure="RR")
    statistic = fhir_evidence(fit, **WORDS)["statistic"][0]
    assert statistic["quantity"]["value"] == pytest.approx(math.exp(fit.estimate))
    found = attributes(statistic)
    assert found["C53324"]["range"]["low"]["value"] == pytest.approx(math.exp(fit.ci.low))
    assert found["0000037"]["quantity"]["value"] == fit.se
    assert "log scale" in found["0000037"]["description"]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (
            {"tau2_method": "DL", "ci_method": "z"},
            ["effectsRandom", "poolInverseVariance", "tauDersimonianLaird", "zTest"],
        ),
        ({"tau2_method": "PM"}, ["effectsRandom", "poolInverseVariance", "tauPauleMandel", "hartungKnapp"]),
        ({"ci_method": "HK_se"}, ["tauRestrictedMaximumLikelihood", "modifiedHartungKnapp"]),
        ({"model": "common"}, ["effectsFixed", "poolInverseVariance", "zTest"]),
    ],
)
def test_the_model_is_coded_by_what_was_done(options, wanted):
    found = codes(
        fhir_evidence(fitted(**({"ci_method": "HK"} if "model" not in options else {}) | options), **WORDS)[
            "statistic"
        ][0]["modelCharacteristic"]
    )
    assert found[0] == "metaAnalysis"
    assert found[-len(wanted) :] == wanted


def test_what_has_no_code_is_said_in_words():
    model = fhir_evidence(fitted(tau2_method="SJIT", ci_method="t"), **WORDS)["statistic"][0]["modelCharacteristic"]
    assert {"code": {"text": "estimator of tau2: SJIT"}} in model


def test_certainty_is_left_out_and_the_resource_is_json_without_nan():
    for fit in (fitted(), meta_analysis(yi=[0.2], vi=[0.1]), fitted(model="common")):
        evidence = fhir_evidence(fit, **WORDS)
        assert "certainty" not in evidence
        assert json.loads(json.dumps(evidence, allow_nan=False)) == evidence
        assert evidence["status"] == "draft"
        assert len(evidence["variableDefinition"]) == 4


@pytest.mark.parametrize("name", WORDS)
def test_an_empty_text_is_refused_by_name(name):
    with pytest.raises(MetapeerError, match=f"{name} is empty"):
        fhir_evidence(fitted(), **(WORDS | {name: " "}))

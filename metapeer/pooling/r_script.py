"""A meta-analysis as an R script for metafor, so that a reader who uses R can check the numbers in one step."""

import math

import numpy as np

from metapeer.errors import MetapeerError
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray

__all__ = ["metafor_script"]

# Estimators of tau2 that metafor's rma() has under the same code, as run with 3.8-1. Its DLIT is left out: it halts
# without an answer when asked for more than five decimals.
TAU2_IN_METAFOR = ("REML", "ML", "PM", "EB", "PMM", "DL", "HE", "HS", "HSk", "SJ", "SJIT")
ITERATED = {"REML": 1e-10, "ML": 1e-10, "PM": 1e-10, "EB": 1e-10, "PMM": 1e-10, "SJIT": 1e-8}
"""How exactly metafor is asked to iterate, as a share of the effects' variance: its own stop is absolute."""
TESTS = {"z": "z", "t": "t", "HK": "knha", "HK_se": "adhoc"}
TOLERANCE = 1e-6


def metafor_script(fit: MetaAnalysisResult) -> str:
    """Write an R script that repeats a meta-analysis with metafor and compares the numbers.

    The effects and variances stand in the script with 17 significant digits, so that R computes with the same numbers.
    Run it with ``Rscript``; it prints each number from metafor beside metapeer's, and stops with an error if one
    differs by more than 1e-6 of its size or, near zero, of what its size could be.

    Parameters
    ----------
    fit : MetaAnalysisResult
        What `meta_analysis` gave, pooled by inverse variance.

    Returns
    -------
    str
        The script. What metafor cannot repeat, such as an interval it does not have, is named in a comment.

    Raises
    ------
    MetapeerError
        If the studies were not pooled by inverse variance, or metafor does not have the estimator of tau2.

    References
    ----------
    Viechtbauer (2010), J Stat Softw 36(3):1-48.

    Examples
    --------
    >>> from metapeer import meta_analysis
    >>> fit = meta_analysis(yi=[0.1, 0.3, 0.35], vi=[0.03, 0.03, 0.05], tau2_method="DL", ci_method="z")
    >>> print(metafor_script(fit).splitlines()[7])
    fit <- rma(yi, vi, slab = slab, method = "DL", test = "z", level = 95)
    """
    if not isinstance(fit, MetaAnalysisResult):
        raise MetapeerError(f"metafor_script needs the result of meta_analysis, not {type(fit).__name__}")
    if fit.weighting != "inverse variance":
        raise MetapeerError(f"the studies were pooled by {fit.weighting}; the script covers inverse variance only")
    method = "EE" if fit.model == "common" else fit.tau2_method
    if fit.model == "random" and fit.k > 1 and method not in TAU2_IN_METAFOR:
        known = ", ".join(TAU2_IN_METAFOR)
        raise MetapeerError(f"metafor has no estimator {method} of tau2; pool again with one of {known}")
    if fit.k == 1:
        method = "EE"
    test = TESTS.get(fit.ci_method, "z")
    percent = _number(100 * fit.level)
    unit = float(np.mean(fit.vi) + np.var(fit.yi))
    limits = f"tau2.max = {1e4 * unit:.3g}, tol = {1e-12 * unit:.3g}"
    control = ""
    if method in ITERATED:
        control = f",\n           control = list(threshold = {ITERATED[method] * unit:.3g}, maxiter = 10000, {limits})"
    lines = [
        "# A meta-analysis of metapeer's, repeated with the R package metafor.",
        "# Run with: Rscript this-file.R",
        "suppressPackageStartupMessages(library(metafor))",
        f"slab <- c({', '.join(_quoted(label) for label in fit.labels)})",
        f"yi <- {_vector(fit.yi)}",
        f"vi <- {_vector(fit.vi)}",
        "stopifnot(length(yi) == length(vi), length(yi) == length(slab))",
        f'fit <- rma(yi, vi, slab = slab, method = "{method}", test = "{test}", level = {percent}{control})',
    ]
    compared, left_out = _compared(fit)
    lines += [f"# Not compared: {words}" for words in left_out]
    if any("ci_tau2" in code for _, code, _ in compared):
        lines.append(f"ci_tau2 <- confint(fit, level = {percent}, control = list({limits}))$random")
    lines += [
        "compared <- data.frame(",
        f"  number   = c({', '.join(_quoted(name) for name, _, _ in compared)}),",
        f"  metafor  = c({', '.join(code for _, code, _ in compared)}),",
        f"  metapeer = c({', '.join(_number(value) for _, _, value in compared)}))",
        "compared$difference <- compared$metafor - compared$metapeer",
        "print(compared, digits = 10, row.names = FALSE)",
        f"size <- c({', '.join(_number(_size(name, unit)) for name, _, _ in compared)})",
        f"agrees <- abs(compared$difference) <= {TOLERANCE:g} * pmax(size, abs(compared$metapeer))",
        'if (!all(agrees)) stop("differs: ", paste(compared$number[!agrees], collapse = ", "))',
        'cat("all", nrow(compared), "numbers agree\\n")',
    ]
    return "\n".join(lines) + "\n"


def _compared(fit: MetaAnalysisResult) -> tuple[list[tuple[str, str, float]], list[str]]:
    """List name, R code and value of each number that must agree, and what metafor cannot repeat."""
    rows = [("estimate", "as.numeric(coef(fit))", fit.estimate)]
    left_out = []
    if fit.ci_method in TESTS or fit.k == 1:
        rows += [
            ("se", "fit$se", fit.se),
            ("ci_low", "fit$ci.lb", fit.ci.low),
            ("ci_high", "fit$ci.ub", fit.ci.high),
            ("statistic", "as.numeric(fit$zval)", fit.statistic),
            ("p_value", "as.numeric(fit$pval)", fit.p_value),
        ]
    else:
        left_out.append(f"the interval and its test ({fit.ci.method}); metafor's own would be another")
    if fit.model == "random" and fit.k > 1:
        rows += [("tau2", "fit$tau2", fit.tau2), ("I2", "fit$I2", fit.I2)]
        if fit.tau2_ci is not None and fit.tau2_ci.method == "Q-profile" and not fit.tau2_ci.empty:
            rows += [
                ("tau2_ci_low", 'ci_tau2["tau^2", "ci.lb"]', fit.tau2_ci.low),
                ("tau2_ci_high", 'ci_tau2["tau^2", "ci.ub"]', fit.tau2_ci.high),
            ]
        elif fit.tau2_ci is not None:
            left_out.append(f"the interval of tau2 ({fit.tau2_ci.method})")
    if fit.k > 1:
        rows += [("Q", "fit$QE", fit.Q), ("Q_p", "fit$QEp", fit.Q_p)]
    if fit.prediction_interval is not None:
        # predict() of metafor 3.8 takes the quantile of the test: normal, or t with k - 1 df.
        if (fit.ci_method, fit.prediction_method) in {("z", "S"), ("t", "V"), ("HK", "HK"), ("HK_se", "HK")}:
            rows += [
                ("pi_low", "predict(fit)$pi.lb", fit.prediction_interval.low),
                ("pi_high", "predict(fit)$pi.ub", fit.prediction_interval.high),
            ]
        else:
            left_out.append(f"the prediction interval ({fit.prediction_interval.method})")
    return [row for row in rows if math.isfinite(row[2])], left_out


def _size(name: str, unit: float) -> float:
    """Say below what size a number is as good as zero: by the variance of the effects, or 1 for what has no unit."""
    if name.startswith("tau2"):
        return unit
    return math.sqrt(unit) if name in ("estimate", "se", "ci_low", "ci_high", "pi_low", "pi_high") else 1.0


def _number(value: float) -> str:
    return f"{value:.17g}"


def _vector(values: FloatArray) -> str:
    return f"c({', '.join(_number(value) for value in np.asarray(values).tolist())})"


def _quoted(text: str) -> str:
    """Write a text as R does, whatever characters are in it: labels come from files, and must not become code."""
    plain = "".join(
        character if character.isascii() and character.isprintable() and character not in '"\\' else _escape(character)
        for character in text
    )
    return f'"{plain}"'


def _escape(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return "\\" + character
    if code == 0 or 0xD800 <= code <= 0xDFFF:
        return "?"  # R has no text with these
    return f"\\U{code:08x}" if code > 0xFFFF else f"\\u{code:04x}"

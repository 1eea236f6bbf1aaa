"""One look at what all methods for small-study effects and publication bias say of the same effects."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import DataError, DataWarning, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.models import Notes
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.sensitivity.asymmetry_data import FEW, fit_of, read_studies, size_words
from metapeer.sensitivity.bias_summary_estimates import (
    copas_lines,
    limit_lines,
    p_uniform_lines,
    pet_peese_lines,
    pooled_line,
    ratio_lines,
    selection_lines,
    trim_fill_lines,
    waap_lines,
)
from metapeer.sensitivity.bias_summary_lines import asymmetry_lines, excess_lines, fail_safe_lines
from metapeer.sensitivity.bias_summary_results import GROUPS, BiasLine, BiasSummary
from metapeer.sensitivity.p_values_input import SIDES, common_effect

__all__ = ["BIAS_METHODS", "bias_summary"]

COUNTS = ("events1", "total1", "events2", "total2")
STANDARDISED = ("SMD", "SMDH")
ROWS_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Method:
    """A method: its name for a reader, the call, the lines of its result, and what forbids it.

    Parameters
    ----------
    label : str
        Its name.
    call : callable
        From the fit and the favoured side to the result.
    lines : callable
        From label, fit and result to lines.
    needs : str, default ""
        "counts", "standardised", "several", or "null".
    """

    label: str
    call: Callable[[MetaAnalysisResult, str], Any]
    lines: Callable[[str, str, MetaAnalysisResult, Any], list[BiasLine]]
    needs: str = ""


def _as_random(fit: MetaAnalysisResult) -> dict[str, Any]:
    """Give a method that needs a random-effects fit the effects of one that is not."""
    if fit.model == "random":
        return {"data": fit}
    about = {"labels": fit.labels, "measure": fit.measure or None, "level": fit.level}
    return {"yi": fit.yi, "vi": fit.vi, **about}


def _methods() -> dict[str, _Method]:
    from metapeer.sensitivity.asymmetry_count_models import deeks_test, harbord_test, peters_test
    from metapeer.sensitivity.asymmetry_models import begg_test, egger_test, thompson_test
    from metapeer.sensitivity.copas_models import copas_model
    from metapeer.sensitivity.excess_significance_results import excess_significance_test
    from metapeer.sensitivity.fail_safe_models import fail_safe_n
    from metapeer.sensitivity.limit_models import limit_meta_analysis
    from metapeer.sensitivity.p_uniform_results import p_uniform_star
    from metapeer.sensitivity.pet_peese_models import pet_peese
    from metapeer.sensitivity.selection_models import selection_model
    from metapeer.sensitivity.trim_fill_models import trim_and_fill
    from metapeer.sensitivity.waap_results import waap_wls
    from metapeer.sensitivity.worst_case_results import publication_bias_sensitivity

    def side(favoured: str) -> Any:
        return favoured or None

    def three_parameters(fit: MetaAnalysisResult, favoured: str) -> Any:
        alternative: Any = "less" if favoured == "negative" else "greater"
        return selection_model(**_as_random(fit), preset="3PSM", alternative=alternative)

    return {
        "egger_test": _Method(label="Egger", call=lambda fit, _: egger_test(fit), lines=asymmetry_lines),
        "egger_test_modified_sei": _Method(
            label="Egger (modified predictor)",
            call=lambda fit, _: egger_test(fit, predictor="modified_sei"),
            lines=asymmetry_lines,
            needs="standardised",
        ),
        "egger_test_CR2": _Method(
            label="Egger (cluster-robust)",
            call=lambda fit, _: egger_test(fit, vcov="CR2"),
            lines=asymmetry_lines,
            needs="several",
        ),
        "begg_test": _Method(label="Begg", call=lambda fit, _: begg_test(fit), lines=asymmetry_lines),
        "thompson_test": _Method(
            label="Thompson", call=lambda fit, _: thompson_test(fit, level=fit.level), lines=asymmetry_lines
        ),
        "harbord_test": _Method(
            label="Harbord",
            call=lambda fit, _: harbord_test(fit, level=fit.level),
            lines=asymmetry_lines,
            needs="counts",
        ),
        "peters_test": _Method(
            label="Peters", call=lambda fit, _: peters_test(fit, level=fit.level), lines=asymmetry_lines, needs="counts"
        ),
        "deeks_test": _Method(
            label="Deeks", call=lambda fit, _: deeks_test(fit, level=fit.level), lines=asymmetry_lines, needs="counts"
        ),
        "trim_and_fill": _Method(label="trim and fill", call=lambda fit, _: trim_and_fill(fit), lines=trim_fill_lines),
        "pet_peese": _Method(
            label="PET-PEESE", call=lambda fit, _: pet_peese(fit), lines=pet_peese_lines, needs="null"
        ),
        "limit_meta_analysis": _Method(
            label="limit meta-analysis", call=lambda fit, _: limit_meta_analysis(**_as_random(fit)), lines=limit_lines
        ),
        "selection_model": _Method(
            label="selection model 3PSM",
            call=three_parameters,
            lines=selection_lines,
            needs="null",
        ),
        "copas_model": _Method(
            label="Copas model",
            call=lambda fit, favoured: copas_model(fit, favoured=side(favoured)),
            lines=copas_lines,
        ),
        "p_uniform_star": _Method(
            label="p-uniform*",
            call=lambda fit, favoured: p_uniform_star(fit, favoured=side(favoured)),
            lines=p_uniform_lines,
            needs="null",
        ),
        "waap_wls": _Method(label="WAAP-WLS", call=lambda fit, _: waap_wls(fit), lines=waap_lines, needs="null"),
        "publication_bias_sensitivity": _Method(
            label="worst case",
            call=lambda fit, favoured: publication_bias_sensitivity(fit, favoured=side(favoured)),
            lines=ratio_lines,
            needs="null",
        ),
        "excess_significance_test": _Method(
            label="excess significance",
            call=lambda fit, _: excess_significance_test(fit),
            lines=excess_lines,
            needs="null",
        ),
        "fail_safe_n": _Method(
            label="fail-safe N (Rosenthal)", call=lambda fit, _: fail_safe_n(fit), lines=fail_safe_lines, needs="null"
        ),
        "fail_safe_n_Rosenberg": _Method(
            label="fail-safe N (Rosenberg)",
            call=lambda fit, _: fail_safe_n(fit, method="Rosenberg"),
            lines=fail_safe_lines,
            needs="null",
        ),
    }


BIAS_METHODS = (
    *("egger_test", "egger_test_modified_sei", "egger_test_CR2", "begg_test", "thompson_test"),
    *("harbord_test", "peters_test", "deeks_test", "trim_and_fill", "pet_peese", "limit_meta_analysis"),
    *("selection_model", "copas_model", "p_uniform_star", "waap_wls", "publication_bias_sensitivity"),
    *("excess_significance_test", "fail_safe_n", "fail_safe_n_Rosenberg"),
)
"""Every method, in the order of the summary."""


def _forbidden(needs: str, fit: MetaAnalysisResult) -> str:
    """Say why a method is not for these data; nothing where it is."""
    name = fit.measure or "an unnamed measure"
    if needs == "null" and not measure_of(fit.measure).has_null:
        return f"no value of {fit.measure} means no effect, so that no result is significant"
    if needs == "standardised" and fit.measure not in STANDARDISED:
        return f"for standardised mean differences, not for {name}"
    if needs == "several" and fit.trials == fit.k:
        return "each trial gives one effect"
    if needs == "counts":
        if fit.data is None or not set(COUNTS) <= set(fit.data):
            return f"needs counts: {', '.join(COUNTS)}"
        lacking = int(fit.data[list(COUNTS)].isna().any(axis=1).sum())
        if lacking:
            return f"needs counts of every study: {', '.join(COUNTS)}; {lacking} of {fit.k} lack some"
    return ""


def _reason(error: MetapeerError) -> str:
    """What stands in the way, in one line: each fault once, with the rows that have it."""
    if not isinstance(error, DataError):
        return str(error).partition("\n")[0]
    rows: dict[str, list[str]] = {}
    for fault in error.faults:
        rows.setdefault(fault.message, []).append(fault.row or "")
    told = []
    for message, names in rows.items():
        known = [name for name in names if name]
        more = f" and {len(known) - ROWS_NAMED} more" if len(known) > ROWS_NAMED else ""
        whole = f"{error.source} {message}" if message.startswith(("is ", "has ")) else message
        told.append(f"{', '.join(known[:ROWS_NAMED])}{more}: {message}" if known else whole)
    return "; ".join(told)


def _run(method: _Method, fit: MetaAnalysisResult, favoured: str) -> tuple[Any, list[str]]:
    """Apply a method, and collect its doubts; warnings of any other kind go on to the caller."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = method.call(fit, favoured)
    doubts = []
    for warning in caught:
        if issubclass(warning.category, DataWarning):
            doubts.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return found, doubts


def _shared_words(text: str) -> str:
    """Word a doubt as several methods have it; what to compare stands in the summary already."""
    if "is computed from the effect itself" in text:
        text = text.partition("; compare ")[0]
    return re.sub(r"for (?:the test|this \w+) to tell much", "for such a method to tell much", text)


def _told_once(told: Sequence[tuple[str, str]], fit: MetaAnalysisResult) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Say each doubt once: those that all methods share in one sentence, others with the methods that have them."""
    doubts: dict[str, list[str]] = {}
    if fit.trials < fit.k:
        doubts[
            f"{size_words(fit.k, fit.trials)} are taken as independent by all but Egger's cluster-robust test, the "
            "worst case and the S-values; effects that share participants make intervals too narrow and p values too "
            "small"
        ] = []
    if fit.trials < FEW:
        doubts[
            f"{count(fit.trials, 'study', 'studies')}: with fewer than {FEW} these methods have little power and are "
            "easily led astray; finding nothing shows nothing (Sterne et al. 2011)"
        ] = []
    for label, text in told:
        if "taken as independent" in text or (f"with fewer than {FEW}" in text and "significant" not in text):
            continue
        doubts.setdefault(_shared_words(text), []).append(label)
    return tuple((text, tuple(dict.fromkeys(labels))) for text, labels in doubts.items())


def bias_summary(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    favoured: Literal["positive", "negative"] | None = None,
    methods: str | Sequence[str] | None = None,
) -> BiasSummary:
    """Apply every method for small-study effects and publication bias, and put what they say side by side.

    Tests of asymmetry, effects as they would be if the supposition of each method were true, and how much it would
    take. Methods that cannot be applied are listed with the reason; what is doubtful is said once. None of the numbers
    is the effect without bias: see the pages of the methods for what each supposes.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, whose options are used, or a table of effects, which is pooled with the defaults of `meta_analysis`.
        Counts (``events1``, ``total1``, ``events2``, ``total2``) and sizes of arms are taken from the table.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, in the place of `data`.
    favoured : {"positive", "negative"}, optional
        Which results are supposed to be favoured for publication, by the methods that suppose a side; the side of the
        common-effect estimate when left out.
    methods : str or sequence of str, optional
        Only these, named by their functions: "egger_test", "egger_test_modified_sei", "egger_test_CR2", "begg_test",
        "thompson_test", "harbord_test", "peters_test", "deeks_test", "trim_and_fill", "pet_peese",
        "limit_meta_analysis", "selection_model", "copas_model", "p_uniform_star", "waap_wls",
        "publication_bias_sensitivity", "excess_significance_test", "fail_safe_n", "fail_safe_n_Rosenberg".

    Returns
    -------
    BiasSummary
        The lines; ``found["copas_model"]`` is a method's own result in full.

    Raises
    ------
    DataError
        If fewer than three effects can be used, or there are faults in the data.
    ChoiceError
        If a method or a side is unknown.
    MetapeerError
        If the fit was not pooled from effects, or arguments do not go together.

    Warns
    -----
    DataWarning
        Every doubt of the methods, once.

    References
    ----------
    Sterne et al. (2011), BMJ 343:d4002; Carter, Schönbrodt, Gervais & Hilgard (2019), Adv Methods Pract Psychol Sci
    2:115-144 (no method is best, so that several should be shown).

    Examples
    --------
    >>> yi = [0.9, 0.61, 0.42, 0.55, 0.3, 0.21, 0.28, 0.12, 0.18, 0.1]
    >>> sei = [0.41, 0.3, 0.22, 0.25, 0.19, 0.12, 0.14, 0.08, 0.09, 0.06]
    >>> found = bias_summary(yi=yi, sei=sei, methods=["egger_test", "begg_test", "harbord_test", "trim_and_fill"])
    >>> found.to_frame()[["group", "method", "value", "p_value"]].round(3)
             group         method  value  p_value
    0    asymmetry     egger_test  2.132    0.000
    1    asymmetry      begg_test  0.911    0.000
    2     estimate  meta_analysis  0.192    0.002
    3     estimate  trim_and_fill  0.144    0.006
    4  not applied   harbord_test    NaN      NaN
    >>> found.not_applied["harbord_test"]
    ('Harbord', 'needs counts: events1, total1, events2, total2')
    """
    wanted = None
    if methods is not None:
        named = [methods] if isinstance(methods, str) else list(methods)
        asked = {check_choice("methods", name, BIAS_METHODS) for name in named}
        wanted = [name for name in BIAS_METHODS if name in asked]
    given = read_studies(data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure)
    fit = fit_of(given)
    if favoured is not None:
        check_choice("favoured", favoured, SIDES)
    chosen: str = favoured or ("negative" if common_effect(fit.yi, fit.vi) < 0.0 else "positive")
    if not measure_of(fit.measure).has_null:
        chosen = ""
    lines, results, refused = [pooled_line(fit)], {}, {}
    told: list[tuple[str, str]] = []
    known = _methods()
    for name in BIAS_METHODS if wanted is None else wanted:
        method = known[name]
        reason = _forbidden(method.needs, fit)
        if not reason:
            try:
                results[name], doubts = _run(method, fit, chosen)
            except MetapeerError as error:
                reason = _reason(error)
            else:
                lines += method.lines(name, method.label, fit, results[name])
                told += [(method.label, text) for text in doubts]
        if reason:
            refused[name] = (method.label, reason)
    found = BiasSummary(
        fit=fit,
        favoured=chosen,
        favoured_given=favoured is not None,
        lines=tuple(sorted(lines, key=lambda line: tuple(GROUPS).index(line.group))),
        not_applied=refused,
        results=results,
        doubts=_told_once(told, fit),
    )
    notes = Notes()
    for text in found.notes:
        notes.doubt(text)
    notes.warn(stacklevel=2)
    return found

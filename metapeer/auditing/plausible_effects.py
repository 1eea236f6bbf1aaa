"""Effects, standard errors and p values that do not go with the rest of their row or of the table."""

import math
import re

import numpy as np
from scipy.special import ndtr, ndtri, stdtr

from metapeer.auditing.findings import Finding
from metapeer.auditing.integers import half_unit
from metapeer.auditing.plausible_rows import (
    QUIET,
    FloatArray,
    arms_of,
    by_key,
    find_effects,
    groups_of,
    numbers_in,
    shown,
    trials_of,
    usable,
)
from metapeer.auditing.table import AuditTable, decimals_of

__all__ = ["check_baseline", "check_effects", "check_p_values", "check_standard_errors", "deleted_residuals"]

# Viechtbauer & Cheung (2010) look at residuals beyond 1.96, which one study in twenty is by chance. A slip must stand
# out further, and further still the more rows are looked at.
_RESIDUAL = 3.0
_FALSE_ALARM = 0.01
# Nothing that is done to people moves a mean by three standard deviations of the people (Cohen's "large" is 0.8).
_ABSURD = 3.0
# A standard error may be smaller than the arms' sizes allow when a baseline was adjusted for: by the square root of
# 1 - r squared, which is 0.8 at r = 0.6 (Borm, Fransen & Lemmens 2007, Journal of Clinical Epidemiology 60:1234-1238).
_ADJUSTED = 0.8
# Clustering inflates a standard error by the square root of the design effect, which seldom exceeds 2.5.
_CLUSTERED = 1.6
# Under randomisation a baseline difference of 4 standard errors comes once in 16,000.
_IMBALANCE = 4.0


def deleted_residuals(yi: FloatArray, vi: FloatArray) -> FloatArray:
    """Studentised deleted residuals of a random-effects model.

    Each effect is held against the mean and the heterogeneity of the others: (yi - mean of the others) over the root of
    vi + tau2 of the others + variance of that mean. The heterogeneity is Hedges and Olkin's moment estimate, which has
    a closed form with one row left out.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and sampling variances.

    Returns
    -------
    array of shape (k,)
        Residuals; NaN everywhere below four effects.

    References
    ----------
    Viechtbauer & Cheung (2010), Research Synthesis Methods 1:112-125.
    Hedges & Olkin (1985), Statistical Methods for Meta-Analysis, chapter 9.

    Examples
    --------
    >>> import numpy as np
    >>> deleted_residuals(np.array([0.1, 0.2, 0.3, 0.2, 2.0]), np.full(5, 0.04)).round(1).tolist()
    [-0.6, -0.4, -0.3, -0.4, 8.0]
    """
    k = len(yi)
    if k < 4:
        return np.full(k, math.nan)
    y = yi - np.median(yi)
    rest = k - 1
    mean = (y.sum() - y) / rest
    square = np.maximum((np.sum(y**2) - y**2) / rest - mean**2, 0) * rest / (rest - 1)
    tau2 = np.maximum(square - (vi.sum() - vi) / rest, 0)
    # All rows share the weights of the median heterogeneity, so that one outlier cannot make all weights equal.
    weight = 1 / (vi + np.median(tau2))
    total = weight.sum() - weight
    centre = ((weight * y).sum() - weight * y) / total
    squares = weight**2
    own = ((squares * vi).sum() - squares * vi + tau2 * (squares.sum() - squares)) / total**2
    return np.asarray((y - centre) / np.sqrt(vi + tau2 + np.maximum(own, 0)), np.float64)


@QUIET
def check_effects(table: AuditTable) -> list[Finding]:
    """Find effects that are absurd by themselves, or far from all others of the same outcome.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``effect_absurd``, ``effect_far``. An effect is absurd when it is beyond 3 standard deviations and far from the
        rest; one that is only far is a remark.

    References
    ----------
    Viechtbauer & Cheung (2010), Research Synthesis Methods 1:112-125.
    """
    effects = find_effects(table)
    if not effects.kind:
        return []
    keys = groups_of(table, "outcome_group" if any(table.text("outcome_group")) else "outcome")
    rows = np.flatnonzero(np.isfinite(effects.yi) & np.isfinite(effects.vi) & (effects.vi > 0) & (effects.vi < 1e100))
    found = []
    for members in by_key(keys, rows.tolist()).values():
        group = np.array(members)
        yi, vi = effects.yi[group], effects.vi[group]
        with np.errstate(all="ignore"):
            residual = deleted_residuals(yi, vi)
            limit = max(_RESIDUAL, float(ndtri(1 - _FALSE_ALARM / (2 * len(group)))))
            absurd = effects.standardised & (np.abs(yi) > _ABSURD)
            few = len(group) < 4
            far = (np.abs(residual) > limit) | (few & absurd)
        middle = float(np.median(yi))
        for place in np.flatnonzero(far).tolist():
            row = int(group[place])
            measure = {"printed": "effect", "means": "Hedges g", "counts": "log odds ratio"}[effects.kind]
            rest = "" if few else f"; studentised residual {residual[place]:.1f}"
            found.append(
                Finding(
                    check="effect_absurd" if absurd[place] else "effect_far",
                    severity="suspicion" if absurd[place] else "remark",
                    rows=(row,),
                    columns=_effect_columns(table, effects.kind),
                    message="an effect larger than treatments have: a standard error read as a standard deviation, a "
                    "slip of the point, or arms of another instrument"
                    if absurd[place]
                    else "an effect far from all others of its outcome, even allowing for their heterogeneity",
                    evidence=f"{measure} {yi[place]:.2f} (SE {math.sqrt(vi[place]):.2f}); the middle of {len(group)} "
                    f"rows is {middle:.2f}{rest}",
                    look_up="means, standard deviations and participants of both arms"
                    if effects.kind == "means"
                    else "the numbers that the effect was computed from",
                    instead={row: None},
                )
            )
    return found


def _effect_columns(table: AuditTable, kind: str) -> tuple[str, ...]:
    if kind == "means":
        return ("mean1", "sd1", "mean2", "sd2")
    if kind == "counts":
        return ("events1", "total1", "events2", "total2")
    return ("review_yi",) if table.has("review_yi") else ("yi",)


@QUIET
def check_standard_errors(table: AuditTable) -> list[Finding]:
    """Find standard errors of standardised mean differences that the row's participants do not allow.

    Only rows without complete arms are looked at: where the arms are there, the standard error can be computed.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``se_too_small``, ``se_too_large``.
    """
    effects = find_effects(table)
    if effects.kind != "printed" or not effects.standardised:
        return []
    n1, n2 = table.number("n1"), table.number("n2")
    column = "review_sei" if table.has("review_sei") else "sei" if table.has("sei") else "vi"
    with np.errstate(all="ignore"):
        se = np.sqrt(effects.vi)
        expected = np.sqrt(1 / n1 + 1 / n2 + effects.yi**2 / (2 * (n1 + n2)))
        good = ~usable(arms_of(table)) & (n1 > 1) & (n2 > 1) & np.isfinite(se)
        small, large = good & (se < _ADJUSTED * 2 / np.sqrt(n1 + n2)), good & (se > _CLUSTERED * expected)
    found = []
    for row in np.flatnonzero(small | large).tolist():
        low = bool(small[row])
        size = 4 / se[row] ** 2
        found.append(
            Finding(
                check="se_too_small" if low else "se_too_large",
                severity="suspicion" if low else "remark",
                rows=(row,),
                columns=(column, "n1", "n2"),
                message="the standard error is smaller than so few participants allow"
                if low
                else "the standard error is larger than that of so many participants: another n, clustering, or a "
                "standard error of another measure",
                evidence=f"SE {shown(se[row])}; n1 = {shown(n1[row])} and n2 = {shown(n2[row])} give "
                f"{shown(expected[row])}; this SE belongs to about {size:.0f} participants",
                look_up="participants analysed, and where the standard error comes from",
            )
        )
    return found


def _printed_p(text: str) -> tuple[float, float] | None:
    """Return the lowest and highest p that a printed p value leaves open."""
    match = re.fullmatch(r"\s*(?:p\s*)?([<>≤≥=]?)\s*(0?[.,]\d+|[01](?:[.,]0*)?)\s*", text, flags=re.IGNORECASE)
    if not match:
        return None
    value, half = float(match[2].replace(",", ".")), 0.5 * 10.0 ** -max(decimals_of(match[2]), 0)
    if value > 1:
        return None
    if match[1] in ("<", "≤"):
        return 0.0, value
    if match[1] in (">", "≥"):
        return value, 1.0
    return max(value - half, 0.0), min(value + half, 1.0)


# A printed p value that differs from the computed one by less than this factor may come from another test (t for z,
# likelihood ratio for Wald) or from adjustment; differing by more, one of the numbers is wrong.
_P_FACTOR = 3.0
_P_GRAVE = 10.0


@QUIET
def check_p_values(table: AuditTable) -> list[Finding]:
    """Find p values that contradict the effect and its standard error or interval.

    The p value is computed again for all values that round to the printed ones, by the normal distribution and by t
    with n1 + n2 - 2 degrees of freedom (10 when n is unknown).

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``p_contradicts_effect``.
    """
    found = []
    texts = table.text("p_value")
    if not any(texts):
        return []
    es, error = table.number("es"), table.number("es_se")
    low, high = table.number("es_ci_low"), table.number("es_ci_high")
    half = {name: half_unit(table.decimals(name)) for name in ("es", "es_se", "es_ci_low", "es_ci_high")}
    kinds = table.text("es_type")
    people = table.number("n1") + table.number("n2")
    for row, text in enumerate(texts):
        printed = _printed_p(text)
        if printed is None or not math.isfinite(es[row]):
            continue
        room = {name: float(h[row]) if math.isfinite(h[row]) else 0.0 for name, h in half.items()}
        z = _z_range(kinds[row], (es[row], error[row], low[row], high[row]), room)
        if z is None:
            continue
        df = max(people[row] - 2, 1.0) if math.isfinite(people[row]) else 10.0
        least, most = 2 * float(ndtr(-z[1])), 2 * float(stdtr(df, -z[0]))
        above, below = printed[0] / max(most, 1e-12), least / max(printed[1], 1e-12)
        factor = max(above, below)
        if factor < _P_FACTOR or max(printed[0] - most, least - printed[1]) < 0.01:
            continue
        source = ("es_se",) if math.isfinite(error[row]) else ("es_ci_low", "es_ci_high")
        found.append(
            Finding(
                check="p_contradicts_effect",
                severity="error" if factor >= _P_GRAVE else "suspicion",
                rows=(row,),
                columns=("p_value", "es", *source),
                message="the p value does not belong to this effect and its "
                + ("standard error" if math.isfinite(error[row]) else "interval"),
                evidence=f"p printed as {text.strip()}; recomputed between {shown(least)} and {shown(most)}",
                look_up="the effect, its interval and the test that the p value comes from",
            )
        )
    return found


def _z_range(
    kind: str, numbers: tuple[float, float, float, float], room: dict[str, float]
) -> tuple[float, float] | None:
    """Return the smallest and largest absolute test statistic that the printed numbers allow."""
    es, error, low, high = (float(x) for x in numbers)
    ratio = bool(re.search(r"\b(?:OR|RR|HR|IRR|ratio)\b", kind, flags=re.IGNORECASE)) and "log" not in kind.lower()
    if math.isfinite(error):
        # The standard error of a ratio is on the scale of its logarithm or not: papers print either.
        if ratio or error - room["es_se"] <= 0:
            return None
        centre, width, slack, wide = es, error, room["es"], room["es_se"]
    elif math.isfinite(low) and math.isfinite(high) and low < high:
        ends = [low - room["es_ci_low"], low + room["es_ci_low"], high - room["es_ci_high"], high + room["es_ci_high"]]
        middle = [es - room["es"], es + room["es"]]
        if ratio:
            if min(*ends, *middle) <= 0:
                return None
            ends, middle = [math.log(x) for x in ends], [math.log(x) for x in middle]
        normal = 2 * 1.959963984540054
        narrow, broad = (ends[2] - ends[1]) / normal, (ends[3] - ends[0]) / normal
        if narrow <= 0:
            return None
        centre, width = sum(middle) / 2, (narrow + broad) / 2
        slack, wide = (middle[1] - middle[0]) / 2, (broad - narrow) / 2
    else:
        return None
    return max(abs(centre) - slack, 0.0) / (width + wide), (abs(centre) + slack) / (width - wide)


BASELINE = ("baseline_mean1", "baseline_sd1", "baseline_mean2", "baseline_sd2")


@QUIET
def check_baseline(table: AuditTable) -> list[Finding]:
    """Find arms that differ before treatment by more than randomisation allows.

    Parameters
    ----------
    table : AuditTable
        As read, with ``baseline_mean1``, ``baseline_sd1``, ``baseline_mean2`` and ``baseline_sd2``.

    Returns
    -------
    list of Finding
        ``baseline_imbalance``: one for each trial and instrument.
    """
    if not table.has(*BASELINE):
        return []
    m1, s1, m2, s2 = (numbers_in(table, name) for name in BASELINE)
    n1, n2 = table.number("n1"), table.number("n2")
    with np.errstate(all="ignore"):
        z = (m1 - m2) / np.sqrt(s1**2 / n1 + s2**2 / n2)
        rows = np.flatnonzero(np.isfinite(z) & (np.abs(z) > _IMBALANCE) & (s1 > 0) & (s2 > 0))
    keys = list(zip(trials_of(table), groups_of(table, "instrument"), m1.tolist(), m2.tolist(), strict=True))
    found = []
    for members in by_key(keys, rows.tolist()).values():
        row = members[0]
        found.append(
            Finding(
                check="baseline_imbalance",
                severity="suspicion",
                rows=tuple(members),
                columns=BASELINE,
                message="before treatment the arms differ by more than randomisation leaves: arms exchanged at one "
                "time, a slip, standard errors for standard deviations, or no randomisation",
                evidence=f"{shown(m1[row])} ({shown(s1[row])}) and {shown(m2[row])} ({shown(s2[row])}): "
                f"{abs(z[row]):.1f} standard errors apart",
                look_up="the baseline means and standard deviations of both arms",
            )
        )
    return found

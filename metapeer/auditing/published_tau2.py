"""Printed tau² and prediction intervals against estimate, interval, k and Q."""

import math

from metapeer.auditing.published_heterogeneity import compared, i2_range
from metapeer.auditing.published_numbers import Comparison, PrintedResult
from metapeer.auditing.published_ranges import meet, symmetric_region
from metapeer.auditing.published_words import ON_SCALE, Examined, finding, shown, words
from metapeer.pooling.intervals import normal_quantile, t_quantile

__all__ = ["check_prediction", "check_tau2"]


def _common(row: PrintedResult) -> bool:
    told = row.text("model").casefold()
    return any(word in told for word in ("common", "fixed"))


def check_tau2(row: PrintedResult, *, normal: bool, level: float) -> Examined:
    """Hold tau² against the interval, k and Q.

    Parameters
    ----------
    row : PrintedResult
        The row.
    normal : bool
        Whether the interval is known to rest on the normal distribution, so that its standard error is the classic one.
    level : float
        Confidence level.

    Returns
    -------
    Examined
        Comparisons and findings.

    Notes
    -----
    The pooled variance ``1 / sum(1 / (v + tau2))`` is at least ``tau2 / k``. It is at most ``s2 + tau2`` with s2 the
    typical sampling variance, which is at least the harmonic mean of the v and so at least their minimum. DerSimonian
    and Laird's tau2 is ``s2 (Q - df) / df``, hence ``tau2 >= se² (Q - df) / Q``.
    """
    k, df = row.whole("k"), row.df
    corners = row.region(row.scale)
    if not row.has("tau2") or row.range("tau2")[1] < 0 or _common(row):
        return Examined()
    comparisons, findings = [], []
    box = row.range("tau2")
    pooled = max(k or 0, (row.whole("q_df") or 0) + 1)
    if normal and corners and k is not None and k >= 1:
        widest = max(h for _, h in corners) / normal_quantile(level)
        narrowest = min(h for _, h in corners) / normal_quantile(level)
        allowed = (0.0, pooled * widest**2)
        comparisons.append(compared(row, "tau2", allowed, ("ci_low", "ci_high", "k"), "at most k times se²"))
        if not comparisons[-1].fits:
            message = "tau² is too large for so narrow an interval: the variance of the mean cannot be below tau² / k"
            evidence = f"{shown(row, 'k', 'tau2', 'ci_low', 'ci_high')}; tau² is at most {allowed[1]:.3g}"
            columns = ("tau2", "ci_low", "ci_high", "k")
            findings.append(finding(row, "tau2_against_interval", "suspicion", columns, message, evidence=evidence))
        if row.has("q") and df is not None and df >= 1 and not findings:
            least = narrowest**2 * i2_range(row.range("q"), df)[0] / 100.0
            if box[1] < least:
                message = "tau² is smaller than DerSimonian and Laird's can be with this Q; another estimator may be so"
                evidence = (
                    f"{shown(row, 'q', 'tau2', 'ci_low', 'ci_high')}; by that formula tau² is at least {least:.3g}"
                )
                findings.append(finding(row, "tau2_against_q", "remark", ("tau2", "q"), message, evidence=evidence))
    if row.has("q") and df is not None and df >= 1 and row.range("q")[1] < df and box[0] > 0:
        message = "tau² is above zero although Q is below its degrees of freedom; by DerSimonian and Laird, or Paule "
        message += "and Mandel, it would be zero"
        findings.append(finding(row, "tau2_against_q", "remark", ("tau2", "q"), message))
    return Examined(comparisons=tuple(comparisons), findings=tuple(findings))


def check_prediction(row: PrintedResult, *, normal: bool, level: float) -> Examined:
    """Hold a prediction interval against the estimate, its interval and tau².

    Parameters
    ----------
    row : PrintedResult
        The row; columns ``pi_low`` and ``pi_high``.
    normal : bool
        Whether the interval is known to rest on the normal distribution.
    level : float
        Confidence level of both intervals.

    Returns
    -------
    Examined
        Comparisons and findings.
    """
    columns = ("pi_low", "pi_high")
    if not row.has(*columns):
        return Examined()
    scale = row.scale
    if row.numbers["pi_low"].limits[0] > row.numbers["pi_high"].limits[1]:
        return Examined(
            findings=(finding(row, "limits_reversed", "error", columns, "the prediction limits look swapped"),)
        )
    estimate = row.scaled("es", scale) if row.has("es") else None
    region = symmetric_region(estimate, row.scaled("pi_low", scale), row.scaled("pi_high", scale))
    evidence = shown(row, "es", "ci_low", "ci_high", "pi_low", "pi_high", "tau2", "k")
    if not region:
        message = "the estimate does not lie in the middle of the prediction interval"
        return Examined(
            findings=(finding(row, "prediction_interval", "suspicion", columns, message, evidence=evidence),)
        )
    printed = (min(h for _, h in region), max(h for _, h in region))
    corners, k = row.region(scale), row.whole("k")
    if not row.has("tau2") or not corners or k is None or k < 2:
        return Examined()
    halves = (min(h for _, h in corners), max(h for _, h in corners))
    tau2 = tuple(max(0.0, end) for end in row.range("tau2"))
    predictions = [(f"t, {k - d} df", t_quantile(level, k - d)) for d in (2, 1) if k > d]
    predictions.append(("normal", normal_quantile(level)))
    fitting, spans = [], []
    for reading in row.readings(level):
        for name, quantile in predictions:
            span = tuple(
                quantile * math.sqrt(t + (h / reading.quantile) ** 2) for t, h in zip(tau2, halves, strict=True)
            )
            spans.append(span)
            if meet(printed, (span[0], span[1])):
                fitting.append(name)
    allowed = (min(s[0] for s in spans), max(s[1] for s in spans))
    comparison = Comparison(
        row=row.position,
        number="pi_high",
        printed=f"{row.text('pi_low')} to {row.text('pi_high')}",
        low=allowed[0],
        high=allowed[1],
        others=("es", "ci_low", "ci_high", "tau2", "k"),
        fits=bool(fitting),
        reading=f"half-width; {' or '.join(dict.fromkeys(fitting))}" if fitting else "half-width",
    )
    if fitting:
        return Examined(comparisons=(comparison,))
    # Beside a Hartung-Knapp interval the prediction may use the classic standard error, which is not printed, and can
    # then even be the narrower of the two.
    evidence += f"; half-width{ON_SCALE[scale]} {words(printed)}, expected {words(allowed)}"
    message = "the prediction interval does not fit estimate, interval and tau²"
    if printed[1] < halves[0]:
        message = "the prediction interval is narrower than the confidence interval of the mean"
    sure = normal or printed[1] < normal_quantile(level) * math.sqrt(tau2[0])
    if not sure:
        message += "; it would need another standard error than that one"
    named = (*columns, "tau2")
    found = finding(row, "prediction_interval", "suspicion" if sure else "remark", named, message, evidence=evidence)
    return Examined(comparisons=(comparison,), findings=(found,))

"""Printed results with planted faults: how many the audit finds, how often it cries wolf, and the page that says so.

Run as a script, this file writes docs/audit-published.md anew; look at the difference before keeping it.
"""

import math
import re
import warnings
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metapeer.auditing.published
from metapeer.auditing.published import audit_published
from metapeer.auditing.rounding import read_printed
from metapeer.errors import DataWarning
from metapeer.pooling.intervals import normal_quantile
from metapeer.pooling.models import meta_analysis
from metapeer.records.catalog import dataset_names, load_dataset

PAGE = Path(__file__).resolve().parents[2] / "docs" / "audit-published.md"
ROOM = Path(metapeer.auditing.published.__file__).parent
REVIEWS, RESULTS = 40, 8
SEED = 20260101
PARTS = 4
STYLES = [
    {"tau2_method": tau2, "ci_method": ci, "i2": i2}
    for tau2 in ("DL", "REML")
    for ci in ("z", "HK")
    for i2 in ("Q", "tau2")
]


def printed(value, digits):
    return f"{value:.{digits}f}"


def printed_p(p, style):
    if style % 2:
        return "<0.001" if p < 0.001 else printed(p, 3)
    return "<0.00001" if p < 1e-5 else printed(p, max(2, -math.floor(math.log10(p))))


def studies(rng, measure):
    """Effects and variances of a random meta-analysis, and how many people were in it."""
    k = int(rng.integers(2, 20))
    mu, tau = rng.normal(0, 0.3), abs(rng.normal(0, 0.25)) * rng.integers(0, 2)
    n1, n2 = (np.maximum(8, rng.lognormal(4, 0.8, k)).astype(int) for _ in range(2))
    delta = rng.normal(mu, tau, k)
    if measure == "SMD":
        df = n1 + n2 - 2
        d = rng.normal(delta, np.sqrt(1 / n1 + 1 / n2))
        j = 1 - 3 / (4 * df - 1)
        yi, vi = j * d, 1 / n1 + 1 / n2 + (j * d) ** 2 / (2 * (n1 + n2))
    else:
        p2 = rng.uniform(0.15, 0.5, k)
        odds = p2 / (1 - p2) * np.exp(delta)
        a, c = rng.binomial(n1, odds / (1 + odds)) + 0.5, rng.binomial(n2, p2) + 0.5
        b, d = n1 + 1 - a, n2 + 1 - c
        yi, vi = np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d
    return yi, vi, int((n1 + n2).sum())


def simulate(rng, reviews=REVIEWS, results=RESULTS):
    """Pooled results as software prints them: each review in one style."""
    rows = []
    for r in range(reviews):
        style = STYLES[int(rng.integers(len(STYLES)))]
        measure = ("SMD", "SMD", "OR")[int(rng.integers(3))]
        digits = int(rng.choice([2, 2, 3]))
        for i in range(results):
            yi, vi, n = studies(rng, measure)
            tau2_method, ci_method, i2 = style.values()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)  # about Hartung-Knapp intervals, which are wanted here
                fit = meta_analysis(yi=yi, vi=vi, measure=measure, tau2_method=tau2_method, ci_method=ci_method)
            back = math.exp if measure == "OR" else float
            share, limits = (fit.I2_Q, fit.I2_Q_ci) if i2 == "Q" else (fit.I2, fit.I2_ci)
            row = {
                "published_id": f"review {r}: outcome {i}",
                "review": f"review {r}",
                "outcome": f"outcome {i}",
                "es_type": measure,
                "k": str(fit.k),
                "n": str(n),
                "es": printed(back(fit.estimate), digits),
                "ci_low": printed(back(fit.ci.low), digits),
                "ci_high": printed(back(fit.ci.high), digits),
                "z": printed(abs(fit.statistic) if r % 3 else fit.statistic, 2) if r % 5 else "",
                "p": printed_p(fit.p_value, r),
                "i2": printed(share, r % 2),
                "tau2": printed(fit.tau2, 2 + r % 3),
                "q": printed(fit.Q, 2),
                "q_df": str(fit.Q_df) if r % 4 else "",
                "q_p": printed_p(fit.Q_p, r),
            }
            if r % 2 and limits is not None and not math.isnan(limits.low):
                row |= {"i2_ci_low": printed(limits.low, 0), "i2_ci_high": printed(limits.high, 0)}
            if r % 3 == 0 and fit.prediction_interval is not None:
                low, high = fit.prediction_interval
                row |= {"pi_low": printed(back(low), digits), "pi_high": printed(back(high), digits)}
            rows.append(row)
    return pd.DataFrame(rows).fillna("")


def turned(text):
    return text[1:] if text.startswith("-") else f"-{text}"


def one_digit(rng, text):
    """The text with another digit in one place, not the last, where the change would be within rounding of others."""
    places = [i for i, c in enumerate(text) if c.isdigit()]
    if not places or text.startswith("<"):
        return None
    i = int(rng.choice(places[:-1] or places))
    return text[:i] + str((int(text[i]) + int(rng.integers(1, 10))) % 10) + text[i + 1 :]


def number(row, column):
    found = read_printed(row[column])
    return None if found is None or found.bound else found


def rescaled(row, quantile):
    """Limits printed at another level."""
    low, high = number(row, "ci_low"), number(row, "ci_high")
    if low is None or high is None or (row["es_type"] in ("OR", "RR") and low.value <= 0):
        return None
    ratio = row["es_type"] in ("OR", "RR")
    a, b = (math.log(x.value) if ratio else x.value for x in (low, high))
    middle, half = (a + b) / 2, (b - a) / 2 * quantile / normal_quantile(0.95)
    ends = (middle - half, middle + half)
    return dict(
        zip(
            ("ci_low", "ci_high"),
            (printed(math.exp(x) if ratio else x, low.decimals) for x in ends),
            strict=True,
        )
    )


def log_limits(row):
    if row["es_type"] not in ("OR", "RR") or number(row, "ci_low") is None or number(row, "ci_low").value <= 0:
        return None
    return {c: printed(math.log(number(row, c).value), number(row, c).decimals) for c in ("ci_low", "ci_high")}


def one_sided(row):
    p = number(row, "p")
    return None if p is None or p.value < 0.02 else {"p": printed(p.value / 2, p.decimals)}


def other_side(row):
    p = number(row, "p")
    if p is None or 0.03 < p.value < 0.08:
        return None
    return {"p": "<0.05" if p.value > 0.05 else ">0.05"}


def root_of_tau2(row):
    tau2 = number(row, "tau2")
    return None if tau2 is None or tau2.value <= 0 else {"tau2": printed(math.sqrt(tau2.value), tau2.decimals)}


def shifted(rng, row, column):
    text = row[column]
    found = number(row, column)
    if found is None or found.value == 0:
        return None
    factor = 10.0 if rng.integers(2) else 0.1
    return {column: printed(found.value * factor, found.decimals)} if text else None


def a_digit(column):
    return lambda rng, row, _: {column: one_digit(rng, row[column])}


def of_another(*columns):
    return lambda _, row, other: {c: other[c] for c in columns} if all(row[c] and other[c] for c in columns) else None


FAULTS = {
    "a limit with the wrong sign": lambda rng, row, _: (
        {c: turned(row[c])} if row[c := ("ci_low", "ci_high")[int(rng.integers(2))]] else None
    ),
    "the estimate with the wrong sign": lambda _, row, __: {"es": turned(row["es"])} if row["es"] else None,
    "limits in the wrong order": lambda _, row, __: {"ci_low": row["ci_high"], "ci_high": row["ci_low"]},
    "a limit with its point in the wrong place": lambda rng, row, _: shifted(rng, row, "ci_high"),
    "a digit of the estimate": a_digit("es"),
    "a digit of a limit": a_digit("ci_low"),
    "the estimate of another result": of_another("es"),
    "the limits of another result": of_another("ci_low", "ci_high"),
    "a 90% interval": lambda _, row, __: rescaled(row, normal_quantile(0.90)),
    "a 99% interval": lambda _, row, __: rescaled(row, normal_quantile(0.99)),
    "estimate ± one standard error": lambda _, row, __: rescaled(row, 1.0),
    "a ratio with the limits of its logarithm": lambda _, row, __: log_limits(row),
    "a digit of z": a_digit("z"),
    "z of another result": of_another("z"),
    "a digit of p": a_digit("p"),
    "p of another result": of_another("p"),
    "p one-sided": lambda _, row, __: one_sided(row),
    "the wrong word on significance": lambda _, row, __: other_side(row),
    "a digit of Q": a_digit("q"),
    "Q of another result": of_another("q"),
    "a digit of the p of Q": a_digit("q_p"),
    "df other than k - 1": of_another("q_df"),
    "k of another result": of_another("k"),
    "I² of another result": of_another("i2"),
    "a digit of I²": a_digit("i2"),
    "limits of I² of another result": of_another("i2_ci_low", "i2_ci_high"),
    "τ printed as τ²": lambda _, row, __: root_of_tau2(row),
    "n without its last digit": lambda _, row, __: {"n": row["n"][:-1]} if len(row["n"]) > 1 else None,
    "a prediction interval of another result": of_another("pi_low", "pi_high"),
    "the confidence interval as prediction interval": lambda _, row, __: (
        {"pi_low": row["ci_low"], "pi_high": row["ci_high"]} if row["pi_low"] else None
    ),
    "a result copied to another outcome": lambda _, row, other: {
        c: other[c]
        for c in row.index
        if c not in ("published_id", "outcome", "subgroup", "timepoint", "source", "note")
    },
}


def plant(rng, table, fault):
    """Plant one fault in every other result of the table where it can stand and shows; return the table and where."""
    found, places = table.copy(), []
    groups = table.groupby("review").indices
    for i in range(0, len(table), 2):
        row = table.iloc[i]
        fellows = [j for j in groups[row["review"]] if j != i and j % 2]
        if not fellows:
            continue
        other = table.iloc[int(rng.choice(fellows))]
        change = FAULTS[fault](rng, row, other)
        if not change or any(text in (None, "") for text in change.values()):
            continue
        if all(row[c] == text for c, text in change.items()):
            continue
        for column, text in change.items():
            found.loc[found.index[i], column] = text
        places.append(i)
    return found, places


def caught(table, places):
    """How many of the places have a finding of grade error or suspicion, and how many a remark at least."""
    grades = defaultdict(set)
    for one in audit_published(table).findings:
        for place in one.rows:
            grades[place].add(one.severity)
    found = sum(bool(grades[i] & {"error", "suspicion"}) for i in places)
    return found, sum(bool(grades[i]) for i in places) - found


def planted(table, fault, rng):
    """Plant in every eighth result at a time, so that the fellows of a review stay clean; count what is caught."""
    changed, places = plant(rng, table, fault)
    found, remarked = 0, 0
    for part in range(PARTS):
        mine = places[part::PARTS]
        mixed = table.copy()
        mixed.iloc[mine] = changed.iloc[mine]
        a, b = caught(mixed, mine)
        found, remarked = found + a, remarked + b
    return len(places), found, remarked


@cache
def clean():
    return simulate(np.random.default_rng(SEED))


@cache
def bundled():
    """Bundled results that the audit calls consistent, with a review of each."""
    tables = []
    for name in dataset_names():
        published = load_dataset(name).published
        if len(published):
            good = [verdict == "consistent" for verdict in audit_published(published).verdicts]
            tables.append(published[good].drop(columns="line"))
    table = pd.concat(tables, ignore_index=True).astype(str)
    for column in ("pi_low", "pi_high", "weight"):
        table[column] = ""
    return table


def grouped(fault, rng):
    """A line of the page's table: simulated results, then bundled ones."""
    cells = []
    for table in (clean(), bundled()):
        total, found, remarked = planted(table, fault, rng)
        share = f"{100 * found / total:.0f}%" if total else ""
        cells += [str(total), share, f"{100 * remarked / total:.0f}%" if total else ""]
    return f"| {fault} | {' | '.join(cells)} |"


def page():
    """The page, as it should be."""
    table = clean()
    audit = audit_published(table)
    remarks = [one for one in audit.findings if one.severity == "remark"]
    alarms = len(audit.findings) - len(remarks)
    lines = [grouped(fault, np.random.default_rng(SEED)) for fault in FAULTS]
    return INTRODUCTION.format(
        rows=len(table), reviews=REVIEWS, seed=SEED, alarms=alarms, remarks=len(remarks), faults="\n".join(lines)
    ) + "\n".join(reports())


def reports():
    """The audit of each bundled review."""
    for name in dataset_names():
        review = load_dataset(name)
        if len(review.published):
            table = review.published.copy()
            table.attrs["source"] = name
            known = {key: rows for key in ("trials", "outcomes") if len(rows := getattr(review, key))}
            yield f"\n### `{name}`\n"
            yield audit_published(table, **known).to_markdown()
    yield ""


INTRODUCTION = """# Printed results, checked against themselves

A pooled result is printed several times over. The interval gives the standard error, and with the estimate it gives z
and p; Q and its degrees of freedom give p and I², and I² gives its own limits. Where such numbers contradict one
another, one of them was mistyped, copied from another row or computed in another way. `audit_published()` finds these
places, in any table with the columns of [`published.csv`](data-dictionary.md).

```python
import metapeer as mp

audit = mp.audit_published(mp.load_dataset("other_reviews").published)
print(audit)
```

**Rounding is allowed for.** Each printed number may have been any that rounds to it. From all such numbers together
the range is computed that the others leave to one, and only a number that no member of that range prints like is
reported. For estimate and limits these are the corners of a polygon, so that the range of z and p is exact.

**So are the choices of software.** The interval may be normal, or t with k - 1 degrees of freedom (Hartung-Knapp); a
ratio is symmetric as its logarithm; I² may come from Q or from τ². A row is *consistent* when some choice makes all
that could be compared fit, which may be little: the table below says what was compared. An I² that does not fit Q is
suspected only where at least three other rows of the same review show that the review takes I² from Q, and otherwise
remarked upon.

**A finding is a suspicion, not a verdict.** It says which numbers do not fit, what rounding would allow, what kind of
slip would explain it, and what to look up. Many numbers here were read in a paper that quotes the review, and the slip
may be there.

## What is checked

| code | what is held against what |
|---|---|
| `impossible_value`, `ratio_not_positive`, `limits_reversed` | each number against what it can be |
| `estimate_outside_interval`, `asymmetric_interval` | the estimate against the middle of its limits |
| `z_against_interval`, `z_sign`, `p_against_interval`, `p_against_z` | z, p and words on significance |
| `interval_against_test`, `test_against_interval` | the interval against z and p together |
| `df_against_k`, `heterogeneity_of_one` | k against the degrees of freedom, and against any heterogeneity |
| `q_p_against_q`, `q_against_i2_and_p`, `i2_against_q` | Q, its df and p, I² |
| `i2_interval`, `i2_outside_interval` | limits of I² against I² and Q |
| `tau2_against_interval`, `tau2_against_q` | τ² against the interval, k and Q |
| `prediction_interval` | a prediction interval against estimate, interval, τ² and k |
| `n_against_interval` | participants against the narrowest interval that they can give |
| `duplicate`, `odds_and_risks`, `weights` | rows against one another |
| `direction_words`, `sign_against_direction` | signs and measures against words on direction |
| `k_against_trials`, `n_against_trials`, `k_against_rows` | k and n against the trials that are listed |
| `lost_digits`, `one_limit`, `unreadable` | how the numbers were typed |

## How many faults it finds

{rows} results of {reviews} made-up reviews were pooled and printed as software prints them (DerSimonian-Laird or REML,
normal or Hartung-Knapp, I² from Q or from τ², two or three decimals; seed {seed}). As they stand, the audit has
{alarms} errors or suspicions about them and {remarks} remarks. Then one fault was planted at a time, at random, in
every other result, and the same was done to the bundled results that are consistent. "Found" is the share with an error
or a suspicion, "remark" the share with a remark only.

| planted | simulated | found | remark | bundled | found | remark |
|---|---|---|---|---|---|---|
{faults}

What is not printed twice cannot be checked: most bundled results have neither z nor p, so that a 90% interval looks
like any other, and n shows only when it is far too small for the interval. τ² is bounded by the interval and k alone.

## The bundled reviews

The lists of trials that are bundled are not complete, so that remarks on k and n are to be expected.
"""


def test_clean_prints_of_every_style_raise_no_alarm():
    for seed in (1, 2):
        table = simulate(np.random.default_rng(seed), reviews=40)
        audit = audit_published(table)
        assert [one for one in audit.findings if one.severity != "remark"] == []
        assert set(audit.verdicts) == {"consistent"}


@pytest.mark.sampled(keep=2)
@pytest.mark.parametrize(
    ("fault", "share"),
    [
        ("a limit with the wrong sign", 0.95),
        ("the limits of another result", 0.95),
        ("p of another result", 0.95),
        ("z of another result", 0.95),
        ("Q of another result", 0.95),
        ("k of another result", 0.95),
        ("a 90% interval", 0.8),
    ],
)
def test_planted_faults_are_found(fault, share):
    total, found, _ = planted(clean(), fault, np.random.default_rng(SEED))
    assert total > 50
    assert found >= share * total


def test_the_reports_of_the_bundled_reviews_stand_on_the_page():
    written = PAGE.read_text(encoding="utf-8")
    assert written.endswith("\n".join(reports()))


def test_the_page_names_every_check():
    named = set(re.findall(r"^\| (`.*?`) \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = {code for cell in named for code in re.findall(r"`(\w+)`", cell)}
    source = "".join(path.read_text(encoding="utf-8") for path in ROOM.glob("published*.py"))
    patterns = (
        r'finding\(\s*\w+(?:\[0\])?,\s*"(\w+)"',
        r'check="(\w+)"',
        r'problem = \("(\w+)"',
        r'return "(\w+)", \(',
    )
    used = {code for pattern in patterns for code in re.findall(pattern, source)}
    used |= set(re.findall(r'problems\["(\w+)", "\w+"\]', source))
    assert named == used


@pytest.mark.slow
def test_the_page_is_what_the_simulation_gives():
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""How long the audit of an extraction table takes, which must stay below five seconds for 10,000 rows.

Not part of the test suite; `make bench` runs it.
"""

import math

import numpy as np
import pandas as pd
import pytest

from metapeer.auditing.extraction import audit
from metapeer.effects.continuous import hedges_g

ROWS = 10_000
MOST_SECONDS = 5.0


def means(*, printed, slips):
    """Trials of four rows with forty instruments; in a hundredth of them the SDs are standard errors."""
    rng = np.random.default_rng(3)
    n1 = np.repeat(rng.integers(15, 200, ROWS // 4), 4)
    n2 = n1 + rng.integers(-2, 3, ROWS)
    scale = rng.integers(0, 40, ROWS)
    level, sd = 20 + scale, (6 + scale / 10) * np.exp(rng.normal(0, 0.1, ROWS))
    arms = {
        "n1": n1.astype(float), "mean1": (level + rng.normal(1.5, 1.5, ROWS)).round(2), "sd1": sd.round(2),
        "n2": n2.astype(float), "mean2": (level + rng.normal(0, 1.5, ROWS)).round(2), "sd2": (1.02 * sd).round(2),
    }  # fmt: skip
    yi, vi = hedges_g(**arms, variance="metapsy")
    table = pd.DataFrame(arms).assign(
        study_id=[f"trial {i // 4}" for i in range(ROWS)], instrument=[f"scale {i}" for i in scale]
    )
    if printed:
        table = table.assign(yi=yi.round(3), sei=np.sqrt(vi).round(3))
    if slips:
        for arm in "12":
            here = slice(None, None, 100)
            table.loc[here, f"sd{arm}"] = (table[f"sd{arm}"] / table[f"n{arm}"] ** 0.5)[here].round(2)
    return table


def counts(*, printed):
    """Trials with one count of events in each arm."""
    rng = np.random.default_rng(4)
    n = rng.integers(40, 300, (2, ROWS))
    a, c = rng.binomial(n, rng.uniform(0.15, 0.5, ROWS)) + 1
    n = n + 2
    table = pd.DataFrame({"study_id": [f"trial {i}" for i in range(ROWS)], "events1": a, "total1": n[0]})
    table = table.assign(events2=c, total2=n[1])
    if printed:
        b, d = n[0] - a, n[1] - c
        table = table.assign(yi=np.log(a * d / (b * c)).round(3), sei=np.sqrt(1 / a + 1 / b + 1 / c + 1 / d).round(3))
    return table


def estimates():
    """Estimates with limits and p values."""
    rng = np.random.default_rng(5)
    es, se = rng.normal(0.3, 0.3, ROWS), rng.uniform(0.08, 0.4, ROWS)
    table = pd.DataFrame({"study_id": [f"trial {i}" for i in range(ROWS)], "es": es.round(2), "es_se": se.round(3)})
    p = [math.erfc(abs(z) / math.sqrt(2)) for z in es / se]
    return table.assign(
        es_ci_low=(es - 1.96 * se).round(2), es_ci_high=(es + 1.96 * se).round(2), p_value=[f"{x:.3f}" for x in p]
    )


CASES = {
    "means with printed effects": lambda: means(printed=True, slips=False),
    "means with printed effects, a hundred slips": lambda: means(printed=True, slips=True),
    "means alone, a hundred slips": lambda: means(printed=False, slips=True),
    "counts with printed effects": lambda: counts(printed=True),
    "counts alone": lambda: counts(printed=False),
    "estimates with limits": estimates,
    "one row ten thousand times": lambda: pd.concat([means(printed=True, slips=False).iloc[[0]]] * ROWS),
}


@pytest.mark.benchmark(group="audit of 10,000 rows")
@pytest.mark.parametrize("case", CASES)
def test_audit(benchmark, case):
    table = CASES[case]()
    benchmark.pedantic(audit, args=(table,), rounds=2, warmup_rounds=1)
    assert benchmark.stats.stats.min < MOST_SECONDS

"""Simulate how often intervals hold the truth when the effects of a trial depend on one another.

Usage: python tests/benchmarks/dependent_coverage.py [REPLICATES [PROCESSES]] > docs/dependent-coverage.md
       python tests/benchmarks/dependent_coverage.py --quick

Every replicate has its own stream of random numbers, so that `rows_of(cell, number)` makes any of them again, and the
same seed gives the same tables whatever the number of processes.

All rows of a simulated trial have one sampling variance, so that the restricted likelihood of the three-level model
has a closed form, and thousands of replicates are fitted at once by a search over a grid that closes in. Robust tests,
tau2 and Hartung-Knapp intervals are the package's own. One in `CHECKED` replicates goes through the package's doors
from start to end, which checks the one with the other.
"""

import math
import sys
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from metapeer.pooling.dependence import sampling_covariance
from metapeer.pooling.multilevel_models import multilevel_meta_analysis
from metapeer.pooling.outcome_classes_models import CELL, Question, contrast_cells
from metapeer.pooling.regression import fit_regression
from metapeer.pooling.robust import WorkingModel
from metapeer.pooling.robust_bootstrap import wild_bootstrap_test
from metapeer.pooling.robust_sandwich import sandwich
from metapeer.pooling.robust_wald import robust_linear
from metapeer.pooling.tau2_likelihood import tau2_reml

SEED = 20260201
LEVEL = 0.95
TRIALS = (6, 12, 28, 60)
RHOS = (0.3, 0.6, 0.9)
MIDDLE = 0.6
LOW, HIGH = 0.1, 0.95
"""Assumed correlations that are too low and too high."""
SPREADS = {"none": (0.0, 0.0, 0.0), "nested": (0.02, 0.0, 0.01), "by class": (0.01, 0.015, 0.005)}
"""Variances of true effects: of trials, of classes within trials, of rows within those."""
BOTH = 0.7
"""Share of trials with rows of both classes, as in the trials of Smit et al. (2023): 20 of 28."""
SHIFTS = (0.1, 0.2)
"""True differences between the classes for which power is shown."""
CHECKED = 50
"""One in so many replicates goes through the package's doors."""
MULTIVARIATE = 10
"""One in so many replicates of the middle correlation has the multivariate model, which is slow."""
BOOTSTRAPPED, REPS = 4, 399
"""One in so many replicates has the wild bootstrap, with so many draws."""
FEW = 4.0

MEANS = (
    *("independent", "average low", "average", "average high", "3L z", "3L", "CHE low", "CHE", "CHE high"),
    *("CR2 low", "CR2", "CR2 high", "CR1 z", "CR1 t", "wild"),
)
CONTRASTS = (
    *("independent", "average", "paired", "3L", "CHE low", "CHE", "CHE high"),
    *("CR2 low", "CR2", "CR2 high", "CR1 z", "CR1 t", "wild", "multivariate"),
)
ASKED = Question(
    weights={"p": 1.0, "c": -1.0},
    rho=MIDDLE,
    comparisons="shared_control",
    arm_sizes="needed",
    level=LEVEL,
    within=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One setting of the simulation."""

    number: int
    spread: str
    rho: float
    m: int


def all_cells():
    """List the settings: all correlations where true effects are nested, the middle one elsewhere."""
    found = [one for one in product(SPREADS, RHOS, TRIALS) if one[0] == "nested" or one[1] == MIDDLE]
    return [Cell(number=i, spread=spread, rho=rho, m=m) for i, (spread, rho, m) in enumerate(found)]


def rows_of(cell, number):
    """Draw one meta-analysis: trial, whether of the first class, effect and sampling variance of each row."""
    rng = np.random.default_rng([SEED, cell.number, number])
    m, both = cell.m, round(BOTH * cell.m)
    size = np.where(np.arange(m) < both, rng.integers(2, 7, m), rng.integers(1, 4, m))
    first = np.where(rng.random(m) < 0.75, size, 0)
    first[:both] = 1 + rng.binomial(size[:both] - 2, 0.5)
    v = 2.0 / np.rint(np.exp(rng.uniform(math.log(20), math.log(200), m)))
    trial = np.repeat(np.arange(m), size)
    own = np.arange(trial.size) - np.repeat(np.cumsum(size) - size, size) < first[trial]
    of_trial, of_class, of_row = (math.sqrt(variance) for variance in SPREADS[cell.spread])
    y = of_trial * rng.standard_normal(m)[trial] + of_class * rng.standard_normal((m, 2))[trial, own.astype(int)]
    y += of_row * rng.standard_normal(trial.size)
    error = math.sqrt(cell.rho) * rng.standard_normal(m)[trial]
    error += math.sqrt(1.0 - cell.rho) * rng.standard_normal(trial.size)
    return trial, own, y + np.sqrt(v[trial]) * error, v[trial]


def moments(drawn, m):
    """Sum up each trial, one replicate a row: variance, rows and sums by class, and sum of squares."""
    found = np.zeros((6, len(drawn), m))
    for r, (trial, own, y, v) in enumerate(drawn):
        found[0, r, trial] = v
        for at, values in enumerate((own, ~own, y * own, y * ~own, y * y), start=1):
            found[at, r] = np.bincount(trial, values, minlength=m)
    return found


def profile(sums, rho, tau2, omega2, *, by_class):
    """Restricted log-likelihood, coefficients and their covariance at given variances, for many replicates."""
    v, n1, n2, s1, s2, squares = sums
    n, s = n1 + n2, s1 + s2
    a, b = v * (1.0 - rho) + omega2, v * rho + tau2
    whole = a + n * b
    c = b / whole
    value = ((n - 1.0) * np.log(a) + np.log(whole) + (squares - c * s * s) / a).sum(-1)
    if not by_class:
        info, score = (n / whole).sum(-1), (s / whole).sum(-1)
        return -0.5 * (value + np.log(info) - score**2 / info), score / info, 1.0 / info
    i11, i22 = ((n1 - c * n1**2) / a).sum(-1), ((n2 - c * n2**2) / a).sum(-1)
    i12 = -(c * n1 * n2 / a).sum(-1)
    h1, h2 = ((s1 - c * n1 * s) / a).sum(-1), ((s2 - c * n2 * s) / a).sum(-1)
    det = i11 * i22 - i12**2
    beta1, beta2 = (i22 * h1 - i12 * h2) / det, (i11 * h2 - i12 * h1) / det
    fitted = -0.5 * (value + np.log(det) - beta1 * h1 - beta2 * h2)
    return fitted, beta1 - beta2, (i11 + i22 + 2.0 * i12) / det


def reml(sums, rho, *, by_class):
    """Maximise the restricted likelihood of all replicates over both standard deviations, by a closing grid."""
    best = np.full(sums.shape[1], -np.inf)
    at = np.zeros((2, best.size))
    step, moves = 0.2, list(product(range(6), repeat=2))
    while step > 2e-6:
        centre = at.copy()
        for move in moves:
            there = np.maximum(centre + step * np.array(move)[:, None], 0.0)
            value, _, _ = profile(sums, rho, *(there**2)[:, :, None], by_class=by_class)
            better = value > best
            best[better], at[:, better] = value[better], there[:, better]
        step, moves = 0.5 * step, [move for move in product(range(-2, 3), repeat=2) if any(move)]
    tau2, omega2 = at**2
    value, estimate, variance = profile(sums, rho, tau2[:, None], omega2[:, None], by_class=by_class)
    return {"tau2": tau2, "omega2": omega2, "value": value, "estimate": estimate, "se": np.sqrt(variance)}


def half_width(se, df):
    """Half the width of a t interval, or of a normal one."""
    return se * float(ndtri(0.5 + LEVEL / 2) if math.isinf(df) else stdtrit(df, 0.5 + LEVEL / 2))


def as_independent(y, v, X, L):
    """Pool effects as independent, with the package's REML and Hartung-Knapp: estimate, half-width, df."""
    fit = fit_regression(y, v, X, tau2=tau2_reml(y, v, X), method="HK")
    return float(L @ fit.beta), half_width(math.sqrt(float(L @ fit.covariance @ L)), fit.df), fit.df


def robust(drawn, fitted, r, rho, *, by_class, methods):
    """Cluster-robust intervals at fitted variances, each as estimate, half-width, df."""
    trial, own, y, v = drawn
    ends = np.flatnonzero(np.diff(trial, prepend=-1, append=trial[-1] + 1))
    tau2, omega2 = fitted["tau2"][r], fitted["omega2"][r]
    blocks = tuple(
        (np.arange(low, high), np.diag(np.full(high - low, (1.0 - rho) * v[low] + omega2)) + rho * v[low] + tau2)
        for low, high in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    )
    X = np.column_stack([own, ~own]).astype(float) if by_class else np.ones((y.size, 1))
    L = np.array([[1.0, -1.0]]) if by_class else np.eye(1)
    model = WorkingModel(yi=y, X=X, names=("p", "c")[: X.shape[1]], blocks=blocks)
    clusters = [str(t) for t in trial.tolist()]
    found, fits = [], {}
    for vcov, test in methods:
        if vcov not in fits:
            fits[vcov] = sandwich(model, clusters, method=vcov)
        if test == "wild":
            p_value = wild_bootstrap_test(fits[vcov], L, reps=REPS, seed=r).p_value
            found.append((math.nan, p_value, math.nan))
            continue
        line = robust_linear(fits[vcov], L, test=test, level=LEVEL)
        found.append((float(line.estimate[0]), float(line.high[0] - line.estimate[0]), float(line.df[0])))
    return found


CR2, CR1Z, CR1T, WILD = ("CR2", "Satterthwaite"), ("CR1", "z"), ("CR1", "naive-t"), ("CR0", "wild")


def averaged(drawn, rho, *, by_class):
    """Average the rows of each trial, or of each of its classes, and pool the averages as independent."""
    trial, own, y, v = drawn
    _, where, counts = np.unique(2 * trial + own if by_class else trial, return_inverse=True, return_counts=True)
    mean, one = np.bincount(where, y) / counts, np.bincount(where, v) / counts
    first = np.bincount(where, own) / counts
    X = np.column_stack([first, 1.0 - first]) if by_class else np.ones((mean.size, 1))
    return as_independent(mean, one * (rho + (1.0 - rho) / counts), X, np.array([1.0, -1.0])[: X.shape[1]])


def paired(sums, r, rho):
    """Pool the differences of trials that have both classes."""
    v, n1, n2, s1, s2, _ = sums[:, r]
    both = (n1 > 0) & (n2 > 0)
    v, n1, n2, s1, s2 = (values[both] for values in (v, n1, n2, s1, s2))
    return as_independent(
        s1 / n1 - s2 / n2, v * (1.0 - rho) * (1.0 / n1 + 1.0 / n2), np.ones((both.sum(), 1)), np.ones(1)
    )


def one_replicate(cell, drawn, sums, fits, r, number):
    """Every interval for the mean and for the contrast: estimate, half-width, df; p values of the bootstrap."""
    _, own, y, v = drawn
    k, rho = y.size, cell.rho
    assumed = {" low": LOW, "": rho, " high": HIGH}
    found = {}
    for part, by_class in (("mean", False), ("contrast", True)):
        X = np.column_stack([own, ~own]).astype(float) if by_class else np.ones((k, 1))
        found[part, "independent"] = as_independent(y, v, X, np.array([1.0, -1.0])[: X.shape[1]])
        # By containment: the mean is constant within trials, classes only within rows.
        df = float(k - 2 if by_class else cell.m - 1)
        for name, own_rho in ({"3L": 0.0} | {f"CHE{word}": value for word, value in assumed.items()}).items():
            fit = fits[part, own_rho]
            found[part, name] = (fit["estimate"][r], half_width(fit["se"][r], df), df)
            if name == "3L" and not by_class:
                found[part, "3L z"] = (fit["estimate"][r], half_width(fit["se"][r], math.inf), math.inf)
        for word, value in assumed.items():
            if not by_class or not word:
                found[part, f"average{word}"] = averaged(drawn, value, by_class=by_class)
            methods = [CR2] if word else [CR2, CR1Z, CR1T]
            names = [f"CR2{word}"] if word else ["CR2", "CR1 z", "CR1 t"]
            if not word and number % BOOTSTRAPPED == 0:
                methods, names = [*methods, WILD], [*names, "wild"]
            lines = robust(drawn, fits[part, value], r, value, by_class=by_class, methods=methods)
            found |= {(part, name): line for name, line in zip(names, lines, strict=True)}
    found["contrast", "paired"] = paired(sums, r, rho)
    return found


def table_of(drawn):
    """Lay a replicate out as a user would."""
    trial, own, y, v = drawn
    n = 2.0 / v
    cells = {"study_id": [f"t{t:02d}" for t in trial], CELL: np.where(own, "p", "c"), "yi": y, "vi": v}
    return pd.DataFrame(cells | {"instrument": [f"s{i}" for i in range(y.size)], "n1": n, "n2": n})


MULTI = {"random": ("~ _cell | study_id", "~ 1 | row"), "struct": "UN", "formula": f"0 + {CELL}"}
DOORS = {
    "three-level": ("mean", 0.0, {}),
    "CHE": ("mean", None, {}),
    f"CHE, rho {HIGH}": ("mean", HIGH, {}),
    "CHE by class": ("contrast", None, {"formula": f"0 + {CELL}"}),
    "multivariate by class": ("", None, MULTI),
}
"""Models that go through the door: which part they check, the assumed correlation (None: the true one), options."""


def through_doors(cell, drawn, fits, r, number, tally):
    """Fit a replicate as a user would; count what the doors say, and compare."""
    rows = table_of(drawn)
    for name, (part, asked, options) in DOORS.items():
        tally[name, "fits"] += 1
        rho = cell.rho if asked is None else asked
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                V = sampling_covariance(rows, rho=rho) if rho else None
                fit = multilevel_meta_analysis(rows, V=V, **options)
                certificate = fit.certify()
            except Exception as error:  # noqa: BLE001 - whatever a door raises is what is looked for
                tally[name, "raised"] += 1
                tally[name, "where", f"cell {cell.number} replicate {number}: {type(error).__name__}: {error}"] += 1
                continue
        said = " ".join(str(warning.message) for warning in caught)
        tally[name, "several maxima"] += "other maxima" in said
        tally[name, "flat"] += "flat" in said
        tally[name, "on the edge"] += bool(certificate.boundary)
        tally[name, "not certified"] += not certificate.certified
        if not certificate.certified:
            words = f"gradient {certificate.gradient:.1e}, curvature {certificate.curvature:.1e}"
            words += f", profiles {'fall' if certificate.profiles else 'rise'}"
            tally[name, "where", f"cell {cell.number} replicate {number}: not certified, {words}"] += 1
        if not part:
            continue
        ours = fits[part, rho]
        if part == "mean":
            estimate, se = fit.estimate, float(fit.se[0])
        else:
            line = fit.contrast({f"{CELL}[p]": 1.0, f"{CELL}[c]": -1.0}).iloc[0]
            estimate, se = float(line["estimate"]), float(line["se"])
        gap = max(abs(estimate - ours["estimate"][r]), abs(se - ours["se"][r])) / se
        tally[name, "gap"] = max(tally[name, "gap"], gap)
        if gap > 1e-3:
            tally[name, "where", f"cell {cell.number} replicate {number}: differs by {gap:.1e} standard errors"] += 1


def summarise(results, names, part):
    """Coverage in per cent, mean width and number of answers of each method, and power for each true difference."""
    summary = {}
    for name in names:
        lines = np.array([result[part, name] for result in results if (part, name) in result], dtype=float)
        if not lines.size:
            continue
        estimate, half, df = lines[~np.isnan(lines[:, 1])].T
        if name == "wild":
            summary[name] = {"cover": 100.0 * float((half >= 1.0 - LEVEL).mean()), "answers": half.size}
            continue
        inside = np.abs(estimate) <= half
        few = df < FEW
        summary[name] = {
            "cover": 100.0 * float(inside.mean()),
            "width": 2.0 * float(half.mean()),
            "answers": half.size,
            "df": float(np.median(df)),
            "few": 100.0 * float(few.mean()),
            "cover few": 100.0 * float(inside[few].mean()) if few.sum() >= 100 else math.nan,
        } | {f"power {shift}": 100.0 * float((np.abs(estimate + shift) > half).mean()) for shift in SHIFTS}
    return summary


def run(task):
    """Run one cell: summaries of both parts, and what the doors said."""
    cell, replicates = task
    results, tally = [], Counter()
    for low in range(0, replicates, 250):
        numbers = range(low, min(low + 250, replicates))
        drawn = [rows_of(cell, number) for number in numbers]
        sums = moments(drawn, cell.m)
        fits = {
            (part, rho): reml(sums, rho, by_class=part == "contrast")
            for part in ("mean", "contrast")
            for rho in (0.0, LOW, cell.rho, HIGH)
        }
        for r, number in enumerate(numbers):
            found = one_replicate(cell, drawn[r], sums, fits, r, number)
            if cell.rho == MIDDLE and number % MULTIVARIATE == 0:
                line = contrast_cells(table_of(drawn[r]), ASKED, model="multivariate")
                found["contrast", "multivariate"] = (line.estimate, line.ci_high - line.estimate, line.df)
                tally["contrast_cells, multivariate", "fits"] += 1
                if math.isnan(line.estimate):
                    tally["contrast_cells, multivariate", "raised"] += 1
                    tally["contrast_cells, multivariate", "where", f"cell {cell.number} replicate {number}"] += 1
            results.append(found)
            if number % CHECKED == 0:
                through_doors(cell, drawn[r], fits, r, number, tally)
    sys.stderr.write(f"{cell}\n")
    return summarise(results, MEANS, "mean"), summarise(results, CONTRASTS, "contrast"), tally


def number_of(summary, name, key, digits):
    """Write one number of a table."""
    if name not in summary or key not in summary[name] or math.isnan(summary[name][key]):
        return "–"
    return f"{summary[name][key]:.{digits}f}"


def markdown(finished, part, names, key, digits):
    """Lay out one number of every cell as a table in Markdown."""
    lines = ["| True effects | ρ | trials | " + " | ".join(names) + " |", "|---|---|---|" + "---|" * len(names)]
    for cell, found in finished:
        numbers = " | ".join(number_of(found[part], name, key, digits) for name in names)
        lines.append(f"| {cell.spread} | {cell.rho:g} | {cell.m} | {numbers} |")
    return "\n".join(lines)


def freedom(finished):
    """Lay out the degrees of freedom of the robust tests, and what intervals with fewer than four hold."""
    names = [f"{part} {words}" for part in ("mean:", "contrast:") for words in ("median df", "df < 4", "coverage then")]
    lines = ["| True effects | ρ | trials | " + " | ".join(names) + " |", "|---|---|---|" + "---|" * len(names)]
    keys = (("df", 1), ("few", 1), ("cover few", 1))
    for cell, found in finished:
        numbers = " | ".join(number_of(found[part], "CR2", key, digits) for part in (0, 1) for key, digits in keys)
        lines.append(f"| {cell.spread} | {cell.rho:g} | {cell.m} | {numbers} |")
    return "\n".join(lines)


def span(finished, part, name, *, key="cover", digits=1, **where):
    """Say between which values a number lies over the cells chosen, such as ``m=6`` or ``m=(28, 60)``."""
    values = []
    for cell, found in finished:
        wanted = all(getattr(cell, at) in (want if isinstance(want, tuple) else (want,)) for at, want in where.items())
        value = found[part].get(name, {}).get(key, math.nan)
        if wanted and not math.isnan(value):
            values.append(value)
    if not values:
        return "–"
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def error_of(finished, names, part):
    """Give the largest Monte Carlo standard error of a coverage, in percentage points."""
    errors = [0.0]
    for _, found in finished:
        for name in names:
            if name in found[part]:
                share = found[part][name]["cover"] / 100.0
                errors.append(100.0 * math.sqrt(share * (1.0 - share) / found[part][name]["answers"]))
    return f"{max(errors):.1f}"


def doors(tally):
    """Lay out what the package's doors said, and name the replicates that are worth a look."""
    said = ("fits", "raised", "several maxima", "flat", "on the edge", "not certified")
    lines = ["| model | " + " | ".join(said) + " | largest difference |", "|---|" + "---|" * (len(said) + 1)]
    for name in (*DOORS, "contrast_cells, multivariate"):
        gap = f"{tally[name, 'gap']:.0e} SE" if tally[name, "gap"] else "–"
        told = said[:2] if name not in DOORS else said
        counts = " | ".join(f"{tally[name, key]:,}" if key in told else "–" for key in said)
        lines.append(f"| {name} | {counts} | {gap} |")
    found = sorted(f"- {key[0]}: {key[2]}" for key in tally if key[1] == "where")
    return "\n".join([*lines, "", *found]).rstrip()


def lost(finished):
    """Count intervals that could not be computed."""
    missing = Counter()
    for _, found in finished:
        for part, names in ((0, MEANS), (1, CONTRASTS)):
            full = found[part]["CHE"]["answers"]
            for name in names:
                if name in found[part] and name not in ("wild", "multivariate"):
                    missing["mean" if part == 0 else "contrast", name] += full - found[part][name]["answers"]
    told = [f"{part} {name}: {n:,}" for (part, name), n in missing.items() if n]
    return "; ".join(told) if told else "none"


def page(finished, replicates):
    """Write the page."""
    tally = Counter()
    for _, found in finished:
        for key, value in found[2].items():
            tally[key] = max(tally[key], value) if key[1] == "gap" else tally[key] + value
    plain = [name for name in CONTRASTS if name not in ("wild", "multivariate")]
    powers = [
        f"### True difference {shift}\n\n{markdown(finished, 1, [*plain, 'multivariate'], f'power {shift}', 0)}"
        for shift in SHIFTS
    ]
    facts = {
        f"{('mean', 'contrast')[part]}_{name.replace(' ', '_')}_{where}": span(finished, part, name, **chosen)
        for part, names in ((0, MEANS), (1, CONTRASTS))
        for name in names
        for where, chosen in PLACES.items()
    }
    return PAGE.format(
        **facts,
        replicates=f"{replicates:,}",
        seed=SEED,
        low=LOW,
        high=HIGH,
        booted=f"{math.ceil(replicates / BOOTSTRAPPED):,}",
        reps=REPS,
        multi=f"{math.ceil(replicates / MULTIVARIATE):,}",
        checked=CHECKED,
        mean_error=error_of(finished, [name for name in MEANS if name != "wild"], 0),
        contrast_error=error_of(finished, plain, 1),
        wild_error=max(error_of(finished, ["wild"], 0), error_of(finished, ["wild"], 1)),
        multi_error=error_of(finished, ["multivariate"], 1),
        mean_cover=markdown(finished, 0, MEANS, "cover", 1),
        mean_width=markdown(finished, 0, MEANS[:-1], "width", 2),
        contrast_cover=markdown(finished, 1, CONTRASTS, "cover", 1),
        contrast_width=markdown(finished, 1, [*plain, "multivariate"], "width", 2),
        powers="\n\n".join(powers),
        freedom=freedom(finished),
        few_6=span(finished, 1, "CR2", m=6, key="few", digits=0),
        mean_few_6=span(finished, 0, "CR2", m=6, key="few", digits=0),
        mean_cover_few=span(finished, 0, "CR2", m=6, spread=("nested", "by class"), key="cover few"),
        lost=lost(finished),
        doors=doors(tally),
    )


ONE = {"spread": "nested", "rho": MIDDLE}
PLACES = {
    "all": {},
    "6": {"m": 6},
    "more": {"m": (12, 28, 60)},
    "60": {"m": 60},
    "none": {"spread": "none"},
    "by_class": {"spread": "by class"},
    "by_class_60": {"spread": "by class", "m": 60},
    "width": ONE | {"m": 28, "key": "width", "digits": 3},
    "width_6": ONE | {"m": 6, "key": "width", "digits": 2},
    "power": ONE | {"m": 28, "key": f"power {SHIFTS[0]}", "digits": 0},
}
"""Where, and of what, the page tells the range in its text."""


def main(*arguments):
    """Run the cells and print the page."""
    began = time.monotonic()
    quick = "--quick" in arguments
    numbers = [int(argument) for argument in arguments if argument != "--quick"]
    replicates = numbers[0] if numbers else 200 if quick else 2000
    cells = all_cells()
    if quick:
        cells = [cell for cell in cells if (cell.spread, cell.rho) == ("nested", MIDDLE) and cell.m in (6, 28)]
    with ProcessPoolExecutor(numbers[1] if len(numbers) > 1 else 2) as pool:
        # Large cells first, so that no process idles at the end.
        order = sorted(cells, key=lambda cell: -cell.m)
        done = dict(zip(order, pool.map(run, [(cell, replicates) for cell in order]), strict=True))
    sys.stdout.write(page([(cell, done[cell]) for cell in cells], replicates))
    sys.stderr.write(f"{time.monotonic() - began:.0f} s\n")


PAGE = """# What intervals hold when effects depend on one another

A trial that reports several outcomes gives several effects of the same people. This page simulates such trials and
counts how often 95% intervals hold the truth, for the pooled effect and for the difference between two classes of
outcomes. [The page on independent effects](coverage.md) does the same for one effect from each trial.

```
python tests/benchmarks/dependent_coverage.py > docs/dependent-coverage.md
```

{replicates} replicates in each cell, seed {seed}. The Monte Carlo standard error of a coverage is at most
{mean_error} percentage points for the pooled effect and {contrast_error} for the difference. Two slow methods have
fewer replicates: the wild bootstrap {booted} (error at most {wild_error}), the multivariate model {multi} (at most
{multi_error}), and that at ρ = 0.6 only. Coverage is in per cent, widths are means.

## What was simulated

- **Trials** have 20 to 200 people in each arm, evenly spread on a logarithmic scale. 70% of them report both classes,
  with 2 to 6 rows; the others one class (three in four the first), with 1 to 3 rows.
- **Sampling errors** are normal with known variance 2/n, and all rows of a trial have the same n. Any two rows of a
  trial correlate by ρ. Real standardised mean differences have estimated variances and are not quite normal, which is
  left out.
- **True effects** are 0 on average, in both classes: intervals move along with effects, so that any other truth would
  give the same. *None*: no heterogeneity. *Nested*: a variance of 0.02 between trials and 0.01 between rows of a
  trial, as CHE assumes. *By class*: 0.01 between trials, 0.015 between the classes of a trial and 0.005 between rows.
  CHE and the three-level model lack the second of these, so that they are wrong on purpose.

| code | what it is |
|---|---|
| independent | all rows as if from different people, REML and Hartung-Knapp |
| average | one average for each trial (for the difference: for each class in each trial), REML and Hartung-Knapp |
| paired | for the difference: of the averages within trials that have both classes, REML and Hartung-Knapp |
| 3L | three levels, sampling errors independent, t with degrees of freedom by containment; 3L z: normal |
| CHE | three levels with correlated sampling errors, model-based t by containment |
| CR2 | CHE, cluster-robust CR2 with Satterthwaite's degrees of freedom: `cluster_robust` as it stands |
| CR1 z, CR1 t | CHE, cluster-robust CR1, normal or with trials less one degrees of freedom |
| wild | CHE, wild bootstrap ({reps} draws, all patterns when fewer): how often its test does not reject the truth |
| multivariate | correlated effects of classes in trials, rows within them, cluster-robust CR2 |

The assumed correlation is the true ρ; *low* assumes {low}, *high* {high}.

## What to take from it

- **Do not pool rows as independent.** Intervals for the pooled effect hold the truth in {mean_independent_all}%
  instead of 95%, and more trials do not help. For a difference within trials the same mistake can go either way
  ({contrast_independent_all}%): correlated errors cancel from it, which the method does not know.
- **For the pooled effect almost anything else will do.** Averages with Hartung-Knapp hold {mean_average_all}%, with a
  correlation that is too low {mean_average_low_all}%, too high {mean_average_high_all}%; three levels with t
  {mean_3L_all}%; CR2 {mean_CR2_all}%. Normal intervals are too narrow with few trials: three levels with z hold
  {mean_3L_z_6}% with 6 trials.
- **For the difference between classes the choice matters.** CR2 holds {contrast_CR2_all}% over all cells, with ρ
  assumed too low {contrast_CR2_low_all}%, too high {contrast_CR2_high_all}%. Paired differences hold
  {contrast_paired_all}%. Averages as if independent hold {contrast_average_all}%: they give away that both classes
  come from the same people, and their test finds little (power at a difference of 0.1 with 28 trials, nested, ρ =
  0.6: {contrast_average_power}%, CR2 {contrast_CR2_power}%).
- **Model-based intervals stand and fall with the model.** `multilevel_meta_analysis` by itself counts rows, not
  trials, for the degrees of freedom of a difference within trials. Where classes differ by trial, CHE holds
  {contrast_CHE_by_class}%, three levels {contrast_3L_by_class}%, and more trials do not mend it; CR2 holds
  {contrast_CR2_by_class}%. So give such a fit to `cluster_robust`, as `contrast_outcome_classes` does.
- **The multivariate model**, which is right in those cells, holds {contrast_multivariate_by_class}% there: with so
  few replicates (error at most {multi_error}) this neither clears nor convicts it.
- **CR1 is not enough with few trials.** For the difference with 6 trials it holds {contrast_CR1_z_6}% with normal and
  {contrast_CR1_t_6}% with t tests; with 60 trials {contrast_CR1_z_60}% and {contrast_CR1_t_60}%.
- **Six trials are too few for the default.** With 6 trials, {few_6}% of the replicates leave the difference fewer
  than 4 degrees of freedom, and {mean_few_6}% the pooled effect; the package then warns. Over all replicates with 6
  trials CR2 holds {contrast_CR2_6}% for the difference and {mean_CR2_6}% for the pooled effect, but where true
  effects vary and the pooled effect has fewer than 4, the interval holds it in {mean_cover_few}% only: so few come
  about when trials look homogeneous by chance, and a few large ones decide. For the difference the price is width:
  {contrast_CR2_width_6} on average, where CHE has {contrast_CHE_width_6} (nested, ρ = 0.6). Effects here are normal;
  nothing promises the same for others.
- **The wild bootstrap** does not reject the true mean in {mean_wild_6}% with 6 trials and {mean_wild_more}% with
  more, and the true difference in {contrast_wild_6}% and {contrast_wild_more}%. Six trials have 32 patterns of signs.
- **A wrong ρ costs width rather than coverage**, if tests are robust. With 28 trials (nested, ρ = 0.6) the interval
  for the difference is {contrast_CR2_low_width} wide with ρ too low, {contrast_CR2_width} with the true one and
  {contrast_CR2_high_width} too high. Model-based, without heterogeneity, CHE for the difference holds
  {contrast_CHE_low_none}% with ρ too low, {contrast_CHE_none}% with the true one and {contrast_CHE_high_none}% with ρ
  too high.

## Pooled effect: coverage, per cent

{mean_cover}

## Pooled effect: mean width

{mean_width}

## Difference of two classes: coverage, per cent

There is no true difference. What is missing to 100 is the size of the test at 5%.

{contrast_cover}

## Difference of two classes: mean width

{contrast_width}

## Difference of two classes: power, per cent

How often the interval lies off zero. Read it beside the coverage: a test that rejects too often has no merit in its
power.

{powers}

## Degrees of freedom of the robust tests

Satterthwaite's, of CR2 with the true ρ: their median, the percentage of replicates with fewer than 4, and the
coverage in those (where there are 100 or more).

{freedom}

## How it was computed, and what the functions said

Since all rows of a trial have one variance, the restricted likelihood has a closed form, which the script maximises
for all replicates at once by a search over a grid. One replicate in {checked} went through `sampling_covariance` and
`multilevel_meta_analysis` (by several starts and Newton's method) and `certify()` as well. *Largest difference* is
that between the two, of an estimate or standard error, in standard errors. *On the edge* counts fits with a variance
of zero or a correlation of one, *not certified* those whose maximum could not be confirmed. The last line is
`contrast_cells(model="multivariate")`, whose *raised* counts replicates without an answer.

{doors}

Intervals that could not be computed: {lost}.
"""


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Golden tables as test parameters, and the one table of tolerances.

`@pytest.mark.golden(file, table, **only)` runs a test once for every row of a table in ``tests/golden``, handed to it
as `row`; `only` keeps the rows whose column has one of the values given.
"""

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[1] / "golden"

# How far a number may stray from R's: (relative, absolute), the absolute part in units of `scale`, which a test sets to
# the size of what was subtracted to get there. Whichever allows more counts.
TOLERANCES = {
    # Closed formulas: sums of at most 160 terms and a quantile, in two implementations. The worst agree to 2e-14.
    "formula": (1e-12, 1e-12),
    # ML, REML and EB in metafor stop once a step in tau2 is below 1e-11, whatever the scale of the data, so they are
    # exact to about 1e-9 of tau2 where variances are near 0.01; on the boundary they give about 1e-12 rather than 0.
    # Everything that follows from such a tau2 inherits this.
    "likelihood": (1e-8, 1e-8),
    # metafor's root finder (tol=1e-13) behind PM and the Q-profile interval; ours solves to machine precision.
    "root": (1e-10, 1e-10),
    # With moderators: metafor solves normal equations, which squares the condition number of the design (3e5 at worst,
    # a year times a latitude); the worst agree to 5e-9 where something is subtracted, 5e-10 elsewhere.
    "moderators": (1e-8, 1e-8),
    # metafor integrates the distribution of Q numerically (Farebrother's or Davies's algorithm, to about 1e-9).
    "distribution": (1e-8, 1e-8),
    # uniroot in R with its default tolerance, .Machine$double.eps^0.25 = 1.22e-4: absolute in tau2, or in the quantile.
    "uniroot": (0.0, 1.3e-4),
    # rma.mv stops once a step gains less than 1e-12 of the log-likelihood (1e-11 or 1e-10 where it takes that for a
    # failure), which is level at its maximum: parameters are good to the root of that, about 1e-5 of their standard
    # errors. Variances on the boundary end near 1e-10, which costs a log-likelihood some 1e-9.
    "multilevel": (2e-5, 2e-5),
    "log_likelihood": (0.0, 1e-8),
    # A p value has the relative error of its statistic times the statistic squared, and statistics reach 400.
    "p": (1e-6, 1e-300),
}


@cache
def read_golden(file):
    return json.loads((GOLDEN / f"{file}.json").read_text(encoding="utf-8"))


def rows_of(file, table):
    content = read_golden(file)[table]
    return [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]


def pytest_configure(config):
    config.addinivalue_line("markers", "golden(file, table, **only): run once for every row of a golden table")


def pytest_generate_tests(metafunc):
    for mark in metafunc.definition.iter_markers("golden"):
        rows = [r for r in rows_of(*mark.args) if all(r[name] in values for name, values in mark.kwargs.items())]
        assert rows, f"no row of {mark.args} is left"
        metafunc.parametrize("row", rows, ids=["-".join(_words(row)) for row in rows])


def _words(row):
    """The words of a row name it; numbers are what is tested, except a confidence level."""
    return [str(value) for name, value in row.items() if isinstance(value, str) or name == "level"]


@pytest.fixture(scope="session")
def golden_table():
    """Return one part of a golden file as it stands."""
    return lambda file, name: read_golden(file)[name]


@pytest.fixture(scope="session")
def golden_set():
    """Effects and variances of a named data set, with the level of each row where it has subgroups."""

    def read(name):
        found = read_golden("pooling_data")["sets"][name]
        return np.array(found["yi"]), np.array(found["vi"]), found.get("levels")

    return read


@pytest.fixture(scope="session")
def agrees():
    """Assert that a number is R's, within the tolerance of its kind."""

    def check(kind, ours, theirs, *, scale=1.0):
        relative, absolute = TOLERANCES[kind]
        expected = math.nan if theirs is None else theirs
        assert ours == pytest.approx(expected, rel=relative, abs=absolute * scale, nan_ok=True)

    return check

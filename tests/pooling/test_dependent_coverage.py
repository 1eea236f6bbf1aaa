"""What robust intervals hold when effects depend on one another, by the quick run of the simulation."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "dependent_coverage.py"


def rows_under(page: str, heading: str) -> dict[int, dict[str, float]]:
    """Read the first table below a heading: number of trials to column to number."""
    lines = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    found = {}
    for cells in table[2:]:
        row = dict(zip(table[0], cells, strict=True))
        found[int(row["trials"])] = {name: float(row[name]) for name in table[0][3:] if row[name] != "–"}
    return found


@pytest.mark.slow
def test_robust_intervals_hold_what_they_should_where_those_that_ignore_dependence_do_not():
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick"], capture_output=True, text=True, check=False, timeout=300
    )
    assert run.returncode == 0, run.stderr
    mean, contrast = (
        rows_under(run.stdout, f"{what}: coverage, per cent") for what in ("Pooled effect", "Difference of two classes")
    )
    # Three Monte Carlo standard errors of 200 replicates: 3 sqrt(0.95 x 0.05 / 200).
    near = pytest.approx(95.0, abs=4.7)
    for table in (mean, contrast):
        assert [table[28][name] for name in ("CR2 low", "CR2", "CR2 high")] == [near, near, near]
    assert mean[28]["independent"] < 85.0
    assert contrast[6]["CR1 z"] < contrast[6]["CR2"] - 5.0
    # Replicates are fitted in bulk; some of them go through the package's doors, which must come to the same.
    lines = [line.split("|") for line in run.stdout.splitlines() if line.endswith(" SE |")]
    gaps = {cells[1].strip(): float(cells[-2].strip().removesuffix(" SE")) for cells in lines}
    assert set(gaps) == {"three-level", "CHE", "CHE, rho 0.95", "CHE by class"}
    assert max(gaps.values()) < 1e-3

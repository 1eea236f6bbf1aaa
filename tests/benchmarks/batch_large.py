"""Fit ten million sets of ten studies on this machine, from Parquet files, and print time and memory.

Usage: python tests/benchmarks/batch_large.py [SETS_IN_MILLIONS [PROCESSES [FOLDER]]]

Writes files of 250,000 sets (40 MB each), fits them on a local Dask cluster, and compares a sample with single fits.
"""

import os
import resource
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from metapeer import meta_analysis, meta_analysis_batch

SETS, K = 250_000, 10


def write(folder, number):
    rng = np.random.default_rng(number)
    vi = rng.uniform(0.01, 0.2, (SETS, K))
    yi = rng.normal(0.2, np.sqrt(vi + rng.choice([0.0, 0.02, 0.1], (SETS, 1))))
    gene = np.repeat(np.arange(number * SETS, (number + 1) * SETS, dtype=np.int64), K)
    table = pd.DataFrame({"gene": gene, "yi": yi.ravel(), "vi": vi.ravel()})
    table.to_parquet(folder / f"effects-{number:05d}.parquet", index=False)


def peak():
    """Give the largest memory of this process or of any that it ended, in MB."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1e3


def main(millions: str = "10", processes: str = "2", where: str = "") -> None:
    """Write, fit, check, and print."""
    from distributed import Client, LocalCluster

    warnings.simplefilter("ignore")
    files = max(1, int(float(millions) * 1e6) // SETS)
    folder = Path(tempfile.mkdtemp(dir=where or None))
    try:
        (folder / "in").mkdir()
        began = time.perf_counter()
        for number in range(files):
            write(folder / "in", number)
        size = sum(path.stat().st_size for path in (folder / "in").iterdir()) / 1e9
        print(
            f"wrote {files * SETS:,} sets of {K} in {files} files, {size:.2f} GB, {time.perf_counter() - began:.0f} s"
        )
        began = time.perf_counter()
        with (
            LocalCluster(n_workers=int(processes), threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            found = meta_analysis_batch(folder / "in", by="gene", output=folder / "out", client=client)
            used = client.run(lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
        spent = time.perf_counter() - began
        print(
            f"fitted {len(found):,} sets in {spent:.0f} s on {processes} processes of {os.cpu_count()} cores: "
            f"{1e6 * spent / len(found):.2f} microseconds a set; memory at most {max(used.values()):.0f} MB in a "
            f"worker, {peak():.0f} MB in the caller; {found.failed} failed"
        )
        number = files // 2
        frame = pd.read_parquet(found.parts[number]).head(200)
        table = pd.read_parquet(folder / "in" / f"effects-{number:05d}.parquet").head(200 * K)
        for (_, own), row in zip(table.groupby("gene"), frame.to_dict("records"), strict=True):
            fit = meta_analysis(yi=own["yi"], vi=own["vi"])
            assert abs(fit.estimate - row["estimate"]) < 1e-10
            assert abs(fit.ci.low - row["ci_low"]) < 1e-9
        print("a sample of 200 sets equals single fits")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])

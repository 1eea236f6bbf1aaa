"""Every script in examples/ runs, from any folder, and prints what the file beside it says.

Run as a script, this file writes those files anew; look at the difference before keeping it.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

LONG = ("multiverse",)
"""Examples that take longer than a few seconds; they run with the slow tests."""

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))


def printed_by(example: Path, folder: Path) -> str:
    """What an example prints when it runs in a folder of its own; a warning is an error."""
    fixed = {
        "COLUMNS": "100",
        "MPLBACKEND": "Agg",
        "NO_COLOR": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "PYTHONWARNINGS": "error",
    }
    done = subprocess.run(
        [sys.executable, example],
        cwd=folder,
        env=os.environ | fixed,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_there_are_examples():
    assert EXAMPLES


@pytest.mark.parametrize(
    "example",
    [pytest.param(path, marks=[pytest.mark.slow] if path.stem in LONG else [], id=path.stem) for path in EXAMPLES],
)
def test_example_prints_what_its_output_file_says(example, tmp_path):
    assert printed_by(example, tmp_path) == example.with_suffix(".out").read_text(encoding="utf-8")


if __name__ == "__main__":
    for path in EXAMPLES:
        with tempfile.TemporaryDirectory() as scratch:
            path.with_suffix(".out").write_text(printed_by(path, Path(scratch)), encoding="utf-8", newline="\n")
        sys.stdout.write(f"{path.with_suffix('.out').name}\n")

"""Type in the numbers of a review whose paper you have, and have them checked at once.

The pooled numbers of White et al. (2020) were not available to this project. `metapeer transcribe white2020 -o FILE`
writes its blank table; this example fills one row with made-up numbers, in a temporary folder, to show what the check
says.
"""

import contextlib
import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import metapeer as mp

path = Path("white2020.csv")


def fill_first_row(**cells):
    """Fill cells of the first result, as one would in a spreadsheet."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0] |= cells
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


with TemporaryDirectory() as folder, contextlib.chdir(folder):
    mp.write_transcription_template("white2020", path)

    print("Made-up numbers, with the limits swapped and more trials than the review has:\n")
    fill_first_row(k="21", n="900", es_type="SMD", es="0.22", ci_low="0.34", ci_high="0.1", source="made up")
    try:
        mp.check_transcription("white2020", path)
    except mp.DataError as error:
        print(error)

    print("\nMended, except that a digit was lost (0.1 for 0.10):\n")
    fill_first_row(k="4", ci_low="0.1", ci_high="0.34")
    print(mp.check_transcription("white2020", path))

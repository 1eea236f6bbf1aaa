"""What `metapeer batch` does with what was typed: many meta-analyses at once, each as if alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import metapeer as mp
from metapeer.command_input import doubts_told_once, pooling_choices
from metapeer.command_options import Given, Level, ModelChoice, Tau2Method, option
from metapeer.command_output import progress_bar
from metapeer.errors import ChoiceError, DataError, MetapeerError
from metapeer.formatting import TextTable, count, format_interval, format_number, format_p

if TYPE_CHECKING:
    import pandas as pd

    from metapeer.pooling.batch_files import BatchFilesResult

__all__ = ["BatchFound", "BatchOptions", "find_batch"]

SHOWN = 40
"""Sets that are listed one by one; of more only their spread is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions(Given):
    """How sets are told apart and pooled."""

    by: Annotated[
        list[str],
        option("--by", group="Rows", metavar="COLUMN", text="What makes a set; may be repeated, to cross columns."),
    ]
    output: Annotated[
        Path | None,
        option(
            "--output",
            "-o",
            group="Output",
            metavar="FOLDER",
            text="For Parquet files: a folder for the results, new, or that of the same run broken off, which goes on.",
        ),
    ] = None
    model: ModelChoice = None
    tau2_method: Tau2Method = None
    ci_method: Annotated[
        str | None,
        option(
            "--ci-method",
            group="Pooling",
            metavar="CODE",
            text="Confidence interval: HK (default), HK_se, HK_ci, HK_IQWiG6, t or z. For a common effect z or t.",
        ),
    ] = None
    prediction_method: Annotated[
        str | None,
        option(
            "--prediction-method", group="Pooling", metavar="CODE", text="Prediction interval: V, HTS, HK, HK-PR or S."
        ),
    ] = None
    level: Level = None
    engine: Annotated[
        str | None,
        option("--engine", group="Pooling", metavar="NAME", text="auto (default), numpy or numba, which is quicker."),
    ] = None
    workers: Annotated[
        int | None,
        option("--workers", group="Pooling", metavar="NUMBER", text="Threads of numba; one for each core by default."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFound:
    """Many meta-analyses, as they are printed.

    Parameters
    ----------
    batch : BatchResult
        What was pooled.
    names : tuple of str
        The columns that make a set.
    """

    batch: "mp.BatchResult"
    names: tuple[str, ...]

    def text_tables(self) -> list[TextTable]:
        """Describe the sets in words: how they are spread, each where they are few.

        Returns
        -------
        list of TextTable
            One or two; what was wrong stands in the notes of the first.
        """
        tables = [*self.batch.text_tables()]
        if len(self.batch) <= SHOWN:
            tables.append(self._sets())
        return tables

    def _sets(self) -> TextTable:
        rows = [
            (
                *(str(line[name]) for name in self.names),
                "" if _missing(line["k"]) else str(int(line["k"])),
                format_number(line["estimate"], 3),
                format_interval(line["ci_low"], line["ci_high"], 3),
                format_p(line["p_value"]),
                format_number(line["tau2"], 4),
            )
            for line in self.batch.to_frame().to_dict("records")
        ]
        return TextTable(header=(*self.names, "k", "estimate", "interval", "p", "tau²"), rows=rows)

    def everything(self) -> dict[str, Any]:
        """Put everything in a dictionary.

        Returns
        -------
        dict
            The sets, and what was wrong.
        """
        return {"sets": _plain(self.batch.to_frame()), "faults": _plain(self.batch.faults), "notes": self.batch.notes}

    def to_frame(self) -> "pd.DataFrame":
        """Put the sets in rows.

        Returns
        -------
        DataFrame
            As `BatchResult` has it; what is missing is empty.
        """
        return _plain(self.batch.to_frame())


def _missing(cell: object) -> bool:
    import pandas as pd

    return bool(pd.isna(cell))  # type: ignore[call-overload]


def _plain(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Give missing cells of any type the same form."""
    return frame.astype(object).where(frame.notna(), None)


def _read(files: Sequence[str], by: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd

    frames: list[pd.DataFrame] = []
    for name in files:
        try:
            with Path(name).open(encoding="utf-8-sig") as file:
                header = file.readline()
            separator = max(";\t,", key=header.count)
            form: dict[str, Any] = {"sep": separator, "decimal": "," if separator == ";" else "."}
            frames.append(pd.read_csv(name, dtype=dict.fromkeys(by, str), encoding="utf-8-sig", **form))
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise DataError(name, [f"is not a CSV file in UTF-8: {str(error).strip()}"]) from None
        missing = [column for column in by if column not in frames[-1]]
        if missing:
            known = ", ".join(map(str, frames[-1].columns))
            raise MetapeerError(f"--by: there is no column {', '.join(map(repr, missing))} in {name}. Columns: {known}")
    whole: pd.DataFrame = pd.concat(frames, ignore_index=True)
    if whole.empty:
        raise DataError(files[0] if len(files) == 1 else count(len(files), "file"), ["has no rows below its header"])
    if len(files) == 1 and "line" not in whole:
        whole["line"] = range(2, len(whole) + 2)
    whole.attrs["source"] = files[0] if len(files) == 1 else count(len(files), "file")
    return whole


def find_batch(files: Sequence[str], options: BatchOptions, *, notes_shown: bool) -> "BatchFound | BatchFilesResult":
    """Pool every set of some files.

    Parameters
    ----------
    files : sequence of str
        CSV files, or Parquet files, a folder or a pattern of them.
    options : BatchOptions
        What was typed.
    notes_shown : bool
        Whether the notes of the result are printed.

    Returns
    -------
    BatchFound or BatchFilesResult
        The latter for Parquet files, whose results are in a folder.

    Raises
    ------
    MetapeerError
        If files of both kinds are mixed, or an option has no effect.
    """
    choices: dict[str, Any] = pooling_choices(options)
    choices.pop("by")
    choices.pop("output", None)
    tables = [name for name in files if Path(name).suffix.lower() in (".csv", ".txt", ".tsv")]
    if tables and len(tables) < len(files):
        raise MetapeerError("give either CSV files or Parquet files, not both")
    if tables and options.output is not None:
        raise ChoiceError("--output is for Parquet files; of CSV files write: metapeer batch ... --csv > results.csv")
    if not tables and options.output is None:
        raise MetapeerError("for Parquet files, --output names a folder for the results")
    folder = options.output or Path()
    with doubts_told_once(notes_shown=notes_shown), progress_bar("sets" if tables else "files") as progress:
        if tables:
            frame = _read(files, options.by)
            batch = mp.meta_analysis_batch(frame, by=options.by, progress=progress, **choices)
            return BatchFound(batch=batch, names=tuple(options.by))
        named = files[0] if len(files) == 1 else list(files)
        found: BatchFilesResult = mp.meta_analysis_batch(
            named, by=options.by, output=folder, progress=progress, **choices
        )
        return found

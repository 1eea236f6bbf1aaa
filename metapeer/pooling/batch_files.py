"""More sets than one machine holds: files of effects in, files of results out, one after the other or on a cluster.

Each input file is one task: read it, fit its sets, write a part of the results under its own name in one step. A task
that dies leaves nothing half-written, and one that runs twice writes the same part twice; so nothing is lost and
nothing counted twice, whatever is killed, and a run that was broken off goes on where it stopped.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import DataError, Fault, MetapeerError
from metapeer.formatting import Printable, TextTable, count
from metapeer.pooling.batch_fit import BatchOptions, fit_sets
from metapeer.pooling.batch_input import as_faults, sets_from_table
from metapeer.pooling.batch_results import BatchResult

if TYPE_CHECKING:
    import dask.dataframe as dd

__all__ = ["BatchFilesResult", "fit_dask", "fit_files", "fit_table"]

_MANIFEST = "manifest.json"
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class BatchFilesResult(Printable):
    """Results that stand in files.

    Parameters
    ----------
    output : Path
        The folder.
    parts : tuple of Path
        The files of results, one for each file of effects.
    sets : int
        Sets in all parts.
    failed : int
        Sets that could not be pooled; their column ``problem`` says why.
    options : BatchOptions
        How they were pooled.
    """

    output: Path
    parts: tuple[Path, ...]
    sets: int
    failed: int
    options: BatchOptions

    def __len__(self) -> int:
        return self.sets

    def frames(self) -> Iterator[pd.DataFrame]:
        """Read the parts one after the other.

        Yields
        ------
        DataFrame
            As `BatchResult.to_frame`, and ``problem``, empty for a set that was pooled.
        """
        for part in self.parts:
            yield pd.read_parquet(part)

    def to_frame(self) -> pd.DataFrame:
        """Read all parts at once; they must fit into memory.

        Returns
        -------
        DataFrame
            As `frames`, one below the other.
        """
        return pd.concat(self.frames(), ignore_index=True)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the parts in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        rows = [["pooled", f"{self.sets - self.failed:,}"], ["could not be pooled", f"{self.failed:,}"]]
        return [
            TextTable(
                title=f"{count(self.sets, 'set')} in {count(len(self.parts), 'part')}",
                header=("", ""),
                rows=rows,
                notes=(f"in {self.output.name}; the column problem says why a set could not be pooled",),
            )
        ]


def fit_table(table: pd.DataFrame, *, by: Sequence[str], options: BatchOptions, workers: int | None) -> pd.DataFrame:
    """Fit the sets of one table, without a word: what is wrong stands in a column.

    Parameters
    ----------
    table : DataFrame
        Effects.
    by : sequence of str
        The columns that say which set a row belongs to.
    options : BatchOptions
        How.
    workers : int or None
        As in `meta_analysis_batch`.

    Returns
    -------
    DataFrame
        A row for each set, with ``problem``, empty where there is none.
    """
    read = sets_from_table(table, list(by))
    able = np.ones(len(read.groups), dtype=np.bool_)
    able[read.faults["set"].to_numpy(np.intp)] = False
    columns = fit_sets(read.sets, options, chosen=able, workers=workers)
    result = BatchResult(
        groups=read.groups, columns=columns, options=options, failed=int((~able).sum()), faults=read.faults, notes=()
    )
    frame = result.to_frame()
    # One kind of column whatever the sets are like, so that parts can be put together.
    kinds = {"k": "Int64", "Q_df": "Int64", "other_maxima": "Int64", "certified": "boolean", "narrow": "boolean"}
    frame = frame.astype({**kinds, "ci_method": "string"})
    problems = np.full(len(frame), "", dtype=object)
    for fault, place in zip(as_faults(read.faults, read.groups), read.faults["set"].tolist(), strict=True):
        problems[place] = f"{problems[place]}; {fault}" if problems[place] else str(fault)
    frame["problem"] = pd.array(problems, dtype="string")
    return frame


def _named(files: "str | Path | Iterable[str | Path]") -> list[Path]:
    """List the files that a pattern, a folder or a list stands for, in order."""
    if isinstance(files, str | Path):
        given = Path(files)
        pattern = str(files) if not given.is_dir() else str(given / "*.parquet")
        found = [Path(name) for name in sorted(glob(pattern))]  # noqa: PTH207  Path.glob takes no absolute pattern
    else:
        found = [Path(name) for name in files]
    if not found:
        raise MetapeerError(f"no file is named by {str(files)!r}; give a folder of .parquet files, a pattern or a list")
    missing = [path for path in found if not path.is_file()]
    if missing:
        raise DataError("the files", [Fault(row=str(path), message="is not there") for path in missing])
    return found


def _fit_file(path: str, part: str, by: list[str], options: BatchOptions, workers: int | None) -> tuple[int, int]:
    """Fit one file and write its part in one step; the numbers of sets and of failed ones."""
    try:
        table = pd.read_parquet(path)
    except ValueError as error:
        raise DataError(path, [f"cannot be read as Parquet: {error}"]) from None
    table.attrs["source"] = path
    frame = fit_table(table, by=by, options=options, workers=workers)
    beside = f"{part}.{os.getpid()}.tmp"
    try:
        frame.to_parquet(beside, index=False)
        with open(beside, "rb") as written:  # noqa: PTH123  a file descriptor is wanted
            os.fsync(written.fileno())
        os.replace(beside, part)  # noqa: PTH105  the same
    finally:
        Path(beside).unlink(missing_ok=True)
    return len(frame), int((frame["problem"] != "").sum())


def _manifest(inputs: list[Path], by: list[str], options: BatchOptions) -> dict[str, Any]:
    """Describe what the parts are of; the engine is left out, since results agree to rounding."""
    how = {name: value for name, value in asdict(options).items() if name != "engine"}
    files = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in inputs]
    return {"by": by, "options": how, "files": files}


def _prepare(output: Path, manifest: dict[str, Any]) -> None:
    """Make the folder of results, or go on in one that was made for the very same."""
    output.mkdir(parents=True, exist_ok=True)
    told = output / _MANIFEST
    if told.exists():
        try:
            before = json.loads(told.read_text(encoding="utf-8"))
        except ValueError:
            before = None
        if before != manifest:
            raise MetapeerError(
                f"{output} holds results of other files or options; name another folder, or remove this one"
            )
        return
    if any(output.iterdir()):
        raise MetapeerError(f"{output} is not empty and holds no {_MANIFEST}; name a new folder for the results")
    beside = output / f"{_MANIFEST}.{os.getpid()}.tmp"
    beside.write_text(json.dumps(manifest), encoding="utf-8")
    beside.replace(told)


def _one_by_one(
    tasks: list[tuple[str, str, list[str], BatchOptions, int | None]], retries: int
) -> Iterator[tuple[int, int]]:
    for task in tasks:
        for attempt in range(retries + 1):
            try:
                result = _fit_file(*task)
            except OSError as error:
                if attempt == retries:
                    raise DataError(task[0], [f"cannot be read, or its results written: {error}"]) from None
                time.sleep(0.1 * 2**attempt)
            else:
                yield result
                break


def _on_cluster(
    client: Any, tasks: list[tuple[str, str, list[str], BatchOptions, int | None]], retries: int
) -> Iterator[tuple[int, int]]:
    """Let a cluster run the tasks; a task whose worker dies is given to another."""
    from distributed import as_completed

    futures = [client.submit(_fit_file, *task, retries=retries, pure=False) for task in tasks]
    finished: Iterator[Any] = as_completed(futures)  # type: ignore[no-untyped-call,unused-ignore]
    for future in finished:
        try:
            result = future.result()
        except OSError as error:
            raise DataError("a file", [f"cannot be read, or its results written: {error}"]) from None
        yield result
        future.release()


def fit_files(
    files: "str | Path | Iterable[str | Path]",
    *,
    by: Sequence[str],
    output: "str | Path",
    options: BatchOptions,
    client: Any = None,
    retries: int = 3,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BatchFilesResult:
    """Fit the sets of many Parquet files, each set within one file, and write results beside.

    Parameters
    ----------
    files : str, Path or list of these
        A folder of ``.parquet`` files, a pattern, or the files.
    by : sequence of str
        The columns that say which set a row belongs to.
    output : str or Path
        A folder for the results, new, or that of the same run broken off.
    options : BatchOptions
        How.
    client : distributed.Client, optional
        A Dask cluster; without it files are fitted one after the other.
    retries : int, default 3
        How often a task that failed for want of a worker or a file system is tried again.
    workers : int, optional
        Threads of each task; on a cluster one.
    progress : callable, optional
        Called after each file with how many are done, and how many there are.

    Returns
    -------
    BatchFilesResult
        Where the results are.

    Raises
    ------
    MetapeerError
        If the folder of results belongs to another run.
    DataError
        If a file cannot be read, or a set lies in more than one file.
    """
    keys = list(by)
    inputs = _named(files)
    folder = Path(output)
    _prepare(folder, _manifest(inputs, keys, options))
    parts = [folder / f"part-{i:06d}.parquet" for i in range(len(inputs))]
    threads = 1 if client is not None else workers
    tasks = [
        (str(path), str(part), keys, options, threads)
        for path, part in zip(inputs, parts, strict=True)
        if not part.exists()
    ]
    done = len(inputs) - len(tasks)
    run = _one_by_one(tasks, retries) if client is None else _on_cluster(client, tasks, retries)
    for _ in run:
        done += 1
        if progress is not None:
            progress(done, len(inputs))
    sets, failed = _count(parts, keys)
    return BatchFilesResult(output=folder, parts=tuple(parts), sets=sets, failed=failed, options=options)


def _count(parts: list[Path], keys: list[str]) -> tuple[int, int]:
    """Count sets and failures in what was written, and refuse sets that lie in more than one file."""
    hashes: list[NDArray[np.uint64]] = []
    failed = 0
    for part in parts:
        names = pd.read_parquet(part, columns=[*keys, "problem"])
        failed += int((names["problem"] != "").sum())
        hashes.append(np.asarray(pd.util.hash_pandas_object(names[keys], index=False), dtype=np.uint64))
    every = np.concatenate(hashes)
    values, times = np.unique(every, return_counts=True)
    faults = _in_several(parts, hashes, values[times > 1], keys) if values.size < every.size else []
    if faults:
        remedy = (
            f"every set must lie within one file: write the files anew, divided by {', '.join(keys)}, or pass a Dask "
            "DataFrame, whose rows are brought together"
        )
        raise DataError("the files", [*faults, remedy])
    return int(every.size), failed


def _in_several(
    parts: list[Path], hashes: list[NDArray[np.uint64]], again: NDArray[np.uint64], keys: list[str]
) -> list[Fault]:
    """Name sets that lie in several files; of many sets some share a hash by chance, so that names decide."""
    frames = []
    for part, own in zip(parts, hashes, strict=True):
        twice = np.flatnonzero(np.isin(own, again))
        if twice.size:
            frames.append(pd.read_parquet(part, columns=keys).iloc[twice].assign(_part=part.name))
    names = pd.concat(frames, ignore_index=True)
    names = names[names.duplicated(keys)].head(_SHOWN)
    return [
        Fault(
            row=", ".join(f"{key} {value}" for key, value in row.items() if key != "_part"),
            message=f"lies in {row['_part']} and in a part before it",
        )
        for row in names.to_dict("records")
    ]


def fit_dask(table: "dd.DataFrame", *, by: Sequence[str], options: BatchOptions) -> "dd.DataFrame":
    """Fit the sets of a Dask DataFrame, lazily; rows of a set are brought together first.

    Parameters
    ----------
    table : dask.dataframe.DataFrame
        Effects.
    by : sequence of str
        The columns that say which set a row belongs to.
    options : BatchOptions
        How.

    Returns
    -------
    dask.dataframe.DataFrame
        A row for each set, with ``problem``.
    """
    keys = list(by)
    columns = table._meta  # noqa: SLF001  Dask's name for an empty table of the same columns
    empty = fit_table(columns, by=keys, options=options, workers=1)
    together = table.shuffle(on=keys) if table.npartitions > 1 else table
    fitted: dd.DataFrame = together.map_partitions(fit_table, by=keys, options=options, workers=1, meta=empty)
    return fitted

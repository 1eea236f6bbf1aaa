"""What the commands print: tables drawn on a terminal, plain text when piped, JSON or CSV for a machine."""

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import metapeer as mp
from metapeer.command_options import Output
from metapeer.errors import MetapeerError
from metapeer.formatting import GAP, TextTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PICTURES",
    "ReaderGone",
    "check_output",
    "check_place",
    "echo",
    "frame_tables",
    "progress_bar",
    "show_result",
    "to_plain",
]

PICTURES = (".png", ".svg", ".pdf")

MANY_COLUMNS = 10  # beside one another they would leave no room for words; beyond, each row is a list
BETWEEN = ("test", "Q_between", "df_between", "df2_between", "p_between")


class ReaderGone(Exception):  # noqa: N818  nothing is wrong
    """Whoever read the output has had enough, such as ``head``."""


def echo(text: str) -> None:
    """Print in the encoding of the stream, whatever that is; typer would take UTF-8 for ASCII.

    Parameters
    ----------
    text : str
        One line or several.

    Raises
    ------
    ReaderGone
        If nobody reads on.
    """
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None


def _echo_in_utf8(text: str) -> None:
    """Print in UTF-8, so that a file of numbers is the same whatever machine wrote it."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise ReaderGone from None


def _draw(tables: Sequence[TextTable]) -> None:
    """Draw tables on a terminal; one that is too narrow breaks lines, but never numbers."""
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    for table in tables:
        if table.title:
            console.print(Text(table.title, style="bold"))
        if table.title and table.rows:
            console.print()
        if table.rows:
            widths = table.widths(console.width)
            drawn = RichTable(show_header=any(table.header), box=None, padding=(0, GAP, 0, 0), pad_edge=False)
            for name, width, right in zip(table.header, widths, table.right_aligned(), strict=True):
                drawn.add_column(Text(name), width=width, justify="right" if right else "left", overflow="fold")
            for row in table.rows:
                drawn.add_row(*(Text(cell) for cell in row))
            room = max(console.width, sum(widths) + GAP * (len(widths) - 1))
            Console(width=room, highlight=False).print(drawn)
        for note in table.notes:
            console.print(Text(note, style="dim"))
        console.print()


def show_result(
    output: Output,
    *,
    words: Callable[[], Sequence[TextTable]],
    everything: Callable[[], object],
    numbers: Callable[[], "pd.DataFrame"] | None = None,
) -> None:
    """Print a result for a person, or its numbers for a machine.

    Parameters
    ----------
    output : Output
        What was asked for.
    words : callable
        Gives the tables for a person.
    everything : callable
        Gives what JSON has.
    numbers : callable, optional
        Gives the table for CSV, where there is one.
    """
    check_output(output)
    if output.as_json:
        # Where letters cannot be written, escapes can; JSON loses nothing by them.
        plain = (sys.stdout.encoding or "ascii").lower().replace("-", "") != "utf8"
        echo(json.dumps(to_plain(everything()), indent=2, ensure_ascii=plain, allow_nan=False))
    elif output.as_csv and numbers is not None:
        _echo_in_utf8(_csv(numbers()))
    elif sys.stdout.isatty():
        _draw(words())
    else:
        echo("\n\n".join(table.to_text() for table in words()))


def check_output(output: Output) -> None:
    """Refuse two forms at once, before anything is computed.

    Parameters
    ----------
    output : Output
        What was asked for.

    Raises
    ------
    MetapeerError
        If both forms for machines were.
    """
    if output.as_json and output.as_csv:
        raise MetapeerError("give either --json or --csv, not both")


def check_place(path: Path, suffixes: Sequence[str], name: str) -> None:
    """Refuse a file that cannot be written, before anything is computed.

    Parameters
    ----------
    path : Path
        Where.
    suffixes : sequence of str
        What its name may end in.
    name : str
        The option it was typed for.

    Raises
    ------
    MetapeerError
        If the name ends otherwise, there is no such folder, or a folder has the name.
    """
    if path.suffix.lower() not in suffixes:
        raise MetapeerError(f"{name} {str(path)!r}: the name must end in {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise MetapeerError(f"{name} {str(path)!r}: there is no folder {str(path.parent)!r}; make it first")
    if path.is_dir():
        raise MetapeerError(f"{name} {str(path)!r} is a folder; give the name of a file")


@contextmanager
def progress_bar(what: str) -> "Iterator[Callable[[int, int], None] | None]":
    """Draw how far something is, on a terminal and nowhere else.

    Parameters
    ----------
    what : str
        What is counted.

    Yields
    ------
    callable or None
        Takes how many are done, and how many there are.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _csv(frame: "pd.DataFrame") -> str:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(frame.columns)
    for row in frame.itertuples(index=False, name=None):
        writer.writerow(["" if _missing(cell) else cell for cell in row])
    return lines.getvalue()


def to_plain(value: object) -> Any:
    """Turn a result into what JSON has: fields by name; what is missing or infinite is null.

    Parameters
    ----------
    value : object
        A result, or anything that one is made of.

    Returns
    -------
    object
        Dictionaries, lists, text and numbers.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): to_plain(item) for name, item in value.items()}
    if hasattr(value, "to_dict"):
        return to_plain(value.to_dict("records"))
    if isinstance(value, mp.MetaAnalysisResult):
        return to_plain(_fit(value))
    if isinstance(value, mp.SubgroupAnalysisResult):
        return to_plain(_subgroups(value))
    if isinstance(value, mp.MetaRegressionResult):
        return to_plain(_regression(value))
    if isinstance(value, mp.BayesianMetaAnalysisResult):
        return to_plain(_posterior(value))
    if isinstance(value, mp.GlmmResult | mp.BetaBinomialResult):
        return to_plain(_count_model(value))
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if isinstance(value, Iterable):
        return [to_plain(item) for item in value]
    return str(value)


def _studies(frame: "pd.DataFrame", *columns: str) -> "pd.DataFrame":
    """Names of the studies as far as there are any, and what was computed."""
    return frame[[*(name for name in ("study_id", "row_id") if name in frame), "label", *columns]]


def _row(frame: "pd.DataFrame") -> dict[str, Any]:
    return {str(name): cell for name, cell in frame.to_dict("records")[0].items()}


def _maxima(found: Iterable[tuple[float, float]]) -> list[dict[str, float]]:
    return [{"tau2": tau2, "lower_by": drop} for tau2, drop in found]


def _left_out(excluded: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"label": label, "reason": reason} for label, reason in excluded]


def _fit(fit: "mp.MetaAnalysisResult") -> dict[str, Any]:
    """Everything of a meta-analysis: its row, as ``--csv`` has it, and what does not fit into a row."""
    tests: dict[str, Any] = {}
    if isinstance(fit, mp.MantelHaenszelResult):
        for name in ("association", "breslow_day", "tarone"):
            test = getattr(fit, name)
            tests[name] = test and {part: getattr(test, part) for part in ("statistic", "df", "p_value")}
    return {
        **_row(fit.to_frame()),
        **tests,
        "other_maxima": _maxima(fit.other_maxima),
        "studies": _studies(fit.studies(), "yi", "sei", "ci_low", "ci_high", "weight"),
        "not_pooled": _left_out(fit.excluded),
        "notes": fit.notes,
    }


def _count_model(fit: "mp.GlmmResult | mp.BetaBinomialResult") -> dict[str, Any]:
    maxima = {"other_maxima": _maxima(fit.other_maxima)} if isinstance(fit, mp.GlmmResult) else {}
    return {
        **_row(fit.to_frame()),
        **maxima,
        "studies": _studies(fit.studies(), "yi", "sei", "ci_low", "ci_high"),
        "not_pooled": _left_out(fit.excluded),
        "notes": fit.notes,
    }


def _regression(fit: "mp.MetaRegressionResult") -> dict[str, Any]:
    tau2_ci, i2_ci = (interval or (None, None) for interval in (fit.tau2_ci, fit.I2_ci))
    names = ("measure", "model", "formula", "k", "trials", "level", "ci_method", "df", "hk_q", "omnibus", "tau2")
    more = ("tau2_se", "tau2_method", "tau2_without", "R2", "I2", "H2", "QE", "QE_df", "QE_p", "I2_Q", "ML", "REML")
    computed = {"yi": fit.yi, "sei": fit.vi**0.5, "expected": fit.design.X @ fit.beta, "weight": fit.weights}
    studies = _studies(fit.data.assign(label=fit.labels, **computed), *computed).to_dict("records")
    moderators = fit.data[[column.name for column in fit.design.columns]].to_dict("records")
    return {
        **{name: getattr(fit, name) for name in names + more},
        **dict(zip(("tau2_ci_low", "tau2_ci_high", "I2_ci_low", "I2_ci_high"), (*tau2_ci, *i2_ci), strict=True)),
        "coefficients": fit.to_frame(),
        "covariance": fit.covariance,
        "references": fit.references,
        "other_maxima": _maxima(fit.other_maxima),
        "positive_favours": fit.positive_favours,
        "studies": [{**row, "moderators": cells} for row, cells in zip(studies, moderators, strict=True)],
        "not_used": _left_out(fit.excluded),
        "notes": fit.notes,
    }


def _posterior(fit: "mp.BayesianMetaAnalysisResult") -> dict[str, Any]:
    rows: dict[str, dict[Any, Any]] = {row.pop("quantity"): row for row in fit.to_frame().to_dict("records")}
    shared = ("measure", "scale", "k", "level", "tau_prior", "mu_prior")
    names = ("bayes_factor_mu", "bayes_factor_tau", "log_marginal_likelihood", "prior_weight")
    columns = ("yi", "sei", "mean", "sd", "median", "mode", "low", "high", "shortest_low", "shortest_high", "weight")
    return {
        **{name: rows["mu"][name] for name in shared},
        **{name: {key: cell for key, cell in row.items() if key not in shared} for name, row in rows.items()},
        "joint_mode": fit.joint_mode._asdict(),
        **{name: getattr(fit, name) for name in names},
        "positive_favours": fit.positive_favours,
        "studies": _studies(fit.studies(), *columns),
        "not_pooled": _left_out(fit.excluded),
        "notes": fit.notes,
    }


def _subgroups(found: "mp.SubgroupAnalysisResult") -> dict[str, Any]:
    whole = found.to_frame().to_dict("records")[-1]
    return {
        "by": found.by,
        "tau2": found.tau2,
        "tau2_common": found.tau2_common,
        **{name: whole[name] for name in BETWEEN},
        "subgroups": [{"subgroup": name, **_fit(fit)} for name, fit in zip(found.levels, found.results, strict=True)],
        "overall": _fit(found.overall),
        "notes": found.notes,
    }


def frame_tables(frame: "pd.DataFrame", title: str = "") -> list[TextTable]:
    """Show a frame: as a table, or row by row where it has many columns.

    Parameters
    ----------
    frame : DataFrame
        What to show.
    title : str, default ""
        Stands above it.

    Returns
    -------
    list of TextTable
        One, or one for each row.
    """
    names = [str(name) for name in frame.columns]
    rows = [
        ["" if _missing(cell) else f"{cell:.10g}" if isinstance(cell, float) else str(cell) for cell in row]
        for row in frame.itertuples(index=False, name=None)
    ]
    if len(names) <= MANY_COLUMNS:
        return [TextTable(title=title, header=names, rows=rows, notes=() if rows else ["no rows"])]
    return [
        TextTable(
            title=f"{title}, row {i} of {len(rows)}",
            header=("", ""),
            rows=[(name, cell) for name, cell in zip(names, row, strict=True) if cell],
        )
        for i, row in enumerate(rows, start=1)
    ]

"""The command line: each command is a few lines over the front door.

Tables are drawn with rich on a terminal and are plain text when piped; ``--json`` and ``--csv`` give the numbers,
unrounded.
"""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import metapeer as mp
from metapeer.errors import MetapeerError
from metapeer.formatting import Printable, TextTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["app"]

app = typer.Typer(
    name="metapeer",
    help="Re-compute and update meta-analyses of peer support in mental health.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Model(StrEnum):
    """What is assumed of the true effects."""

    random = "random"
    common = "common"


class Sharing(StrEnum):
    """Whether subgroups share a between-study variance."""

    separate = "separate"
    common = "common"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Table = Annotated[
    str, typer.Argument(help="A CSV file of trial results or effects, or the name of a bundled data set.")
]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", help="Keep rows whose COLUMN=VALUE; several values are parted by |. May be repeated."),
]
Measure = Annotated[str, typer.Option(help="Effect measure: SMD, SMDH, MD, ROM, RR, OR, RD, AS, PETO.")]
Variance = Annotated[str, typer.Option(help="Variance formula of the measure, or a preset such as revman5.")]
Prefer = Annotated[str, typer.Option(help="Effects to use first: arms, review (as the review pooled them), reported.")]
EventsToSmd = Annotated[bool, typer.Option("--events-to-smd", help="Turn rows with events only into SMDs.")]
Average = Annotated[
    float | None,
    typer.Option("--average", metavar="RHO", help="Average the effects of each trial, with this correlation."),
]
PoolingModel = Annotated[Model, typer.Option(help="Random effects or a common effect.")]
Tau2Method = Annotated[str, typer.Option(help="Estimator of tau²: REML, ML, DL, PM, EB, HE, HS, SJ.")]
CiMethod = Annotated[str | None, typer.Option(help="Interval: z, t, HK, HK_se, HK_ci, HK_IQWiG6. Default HK, or z.")]
PredictionMethod = Annotated[str | None, typer.Option(help="Prediction interval: V, HTS, HK, HK-PR, S.")]
Level = Annotated[float, typer.Option(help="Confidence level.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"metapeer {mp.__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)]


@app.callback()
def _main(version: Version = False) -> None:
    """Re-compute and update meta-analyses of peer support in mental health."""


def _rich(tables: Sequence[TextTable]) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    for table in tables:
        if table.title:
            console.print(Text(table.title, style="bold"))
        if table.rows:
            drawn = RichTable(show_header=any(table.header), box=None, padding=(0, 2, 0, 0))
            for name, right in zip(table.header, table.right_aligned(), strict=True):
                drawn.add_column(Text(name), justify="right" if right else "left", overflow="fold")
            for row in table.rows:
                drawn.add_row(*(Text(cell) for cell in row))
            console.print(drawn)
        for note in table.notes:
            console.print(Text(note, style="dim"))
        console.print()


def _print(result: Printable) -> None:
    if sys.stdout.isatty():
        _rich(result.text_tables())
    else:
        typer.echo(result.summary())


def _show(result: Printable, frame: "pd.DataFrame", *, as_json: bool, as_csv: bool) -> None:
    """Print a result for a person, or its numbers for a machine."""
    if as_json and as_csv:
        raise MetapeerError("give either --json or --csv, not both")
    if as_json:
        typer.echo(frame.to_json(orient="records", indent=2, force_ascii=False, double_precision=15))
    elif as_csv:
        typer.echo(frame.to_csv(index=False, lineterminator="\n"), nl=False)
    else:
        _print(result)


class _Listing(Printable):
    """A frame shown as a table of words."""

    __slots__ = ("_tables",)

    def __init__(self, *tables: TextTable) -> None:
        self._tables = tables

    def text_tables(self) -> Sequence[TextTable]:
        return self._tables


def _words(frame: "pd.DataFrame", title: str = "") -> TextTable:
    import pandas as pd

    rows = [
        ["" if pd.isna(cell) else f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in row]
        for row in frame.itertuples(index=False, name=None)
    ]
    return TextTable(title=title, header=list(frame.columns), rows=rows)


def _rows(table: str, where: Sequence[str]) -> "pd.DataFrame":
    """Read a file, or the rows of a bundled data set, and keep what is asked for."""
    known = mp.list_datasets()["name"].tolist()
    if table in known and not Path(table).is_file():
        frame = mp.load_dataset(table).rows()
    elif Path(table).suffix or Path(table).exists():
        frame = mp.read_outcomes(table)
    else:
        frame = mp.load_dataset(table).rows()  # which says what is known
    for condition in where:
        column, equals, values = condition.partition("=")
        if not equals or column not in frame:
            columns = ", ".join(map(str, frame.columns))
            raise MetapeerError(f"--where {condition!r} will not do; write COLUMN=VALUE with one of: {columns}")
        frame = frame[frame[column].astype(str).isin(values.split("|"))]
        if frame.empty:
            raise MetapeerError(f"--where {condition!r} leaves no row")
    return frame


def _effects(
    table: str,
    where: Sequence[str] | None,
    *,
    measure: str,
    variance: str,
    prefer: str,
    events_to_smd: bool,
    average: float | None,
    by: Sequence[str] = (),
) -> "pd.DataFrame":
    """Rows with effects: as the file has them, or computed."""
    frame = _rows(table, where or ())
    if not {"yi"} <= set(frame.columns) or not {"vi", "sei"} & set(frame.columns):
        choices: dict[str, Any] = {"measure": measure, "variance": variance, "prefer": prefer}
        frame = mp.effect_size(frame, **choices, events_to_smd=events_to_smd)
    return frame if average is None else mp.average_within_trial(frame, rho=average, by=["study_id", *by])


@app.command("list")
def list_(as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the bundled data sets."""
    frame = mp.list_datasets()
    shown = frame.drop(columns="licence")
    _show(_Listing(_words(shown)), frame, as_json=as_json, as_csv=as_csv)


@app.command()
def show(
    dataset: Annotated[str, typer.Argument(help="A bundled data set, or a folder of your own in the same layout.")],
    table: Annotated[
        str | None, typer.Option(help="Show one of its tables: outcomes, trials, published, overrides, worklist, ...")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show what a data set holds, where it comes from, and its published results."""
    review = mp.load_dataset(dataset)
    tables = {
        "outcomes": review.outcomes,
        "trials": review.trials,
        "published": review.published,
        "overrides": review.overrides,
        **review.extras,
    }
    if table is not None:
        if table not in tables:
            raise MetapeerError(f"{dataset} has no table {table!r}. It has: {', '.join(tables)}")
        frame = tables[table].drop(columns="line", errors="ignore")
        filled = frame.loc[:, [bool((frame[c].astype(str).isin(["", "nan"])).sum() < len(frame)) for c in frame]]
        _show(_Listing(_words(filled, f"{dataset}: {table}")), frame, as_json=as_json, as_csv=as_csv)
        return
    published = review.published
    columns = ["published_id", "k", "n", "es_type", "es", "ci_low", "ci_high", "i2"]
    extra = [_words(published[columns], "Published results")] if len(published) else []
    _show(_Listing(*review.text_tables(), *extra), published, as_json=as_json, as_csv=as_csv)


@app.command()
def reproduce(
    datasets: Annotated[
        list[str] | None, typer.Argument(help="Data sets to run, or folders of your own; all bundled ones by default.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compute every published number again and print the ledger."""
    ledger = mp.reproduce(datasets or None)
    _show(ledger, ledger.to_frame(), as_json=as_json, as_csv=as_csv)


@app.command()
def pool(
    table: Table,
    where: Where = None,
    measure: Measure = "SMD",
    variance: Variance = "metafor",
    prefer: Prefer = "arms",
    events_to_smd: EventsToSmd = False,
    average: Average = None,
    model: PoolingModel = Model.random,
    tau2_method: Tau2Method = "REML",
    ci_method: CiMethod = None,
    prediction_method: PredictionMethod = None,
    level: Level = 0.95,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Pool the effects of a table."""
    effects = _effects(
        table, where, measure=measure, variance=variance, prefer=prefer, events_to_smd=events_to_smd, average=average
    )
    fit = mp.meta_analysis(
        effects,
        model=model.value,
        tau2_method=tau2_method,
        ci_method=ci_method,
        prediction_method=prediction_method,
        level=level,
    )
    _show(fit, fit.to_frame(), as_json=as_json, as_csv=as_csv)


@app.command()
def subgroup(
    table: Table,
    by: Annotated[list[str], typer.Option(help="Column that makes the subgroups; may be repeated.")],
    where: Where = None,
    measure: Measure = "SMD",
    variance: Variance = "metafor",
    prefer: Prefer = "arms",
    events_to_smd: EventsToSmd = False,
    average: Average = None,
    tau2: Annotated[Sharing, typer.Option(help="Each subgroup's own tau², or a common one.")] = Sharing.separate,
    model: PoolingModel = Model.random,
    tau2_method: Tau2Method = "REML",
    ci_method: CiMethod = None,
    prediction_method: PredictionMethod = None,
    level: Level = 0.95,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Pool subgroups of a table and test whether they differ."""
    effects = _effects(
        table,
        where,
        measure=measure,
        variance=variance,
        prefer=prefer,
        events_to_smd=events_to_smd,
        average=average,
        by=by,
    )
    found = mp.subgroup_analysis(
        effects,
        by=by,
        tau2=tau2.value,
        model=model.value,
        tau2_method=tau2_method,
        ci_method=ci_method,
        prediction_method=prediction_method,
        level=level,
    )
    _show(found, found.to_frame(), as_json=as_json, as_csv=as_csv)


@app.command()
def forest(
    table: Table,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .png, .svg or .pdf.")],
    by: Annotated[list[str] | None, typer.Option(help="Column that makes subgroups; may be repeated.")] = None,
    where: Where = None,
    measure: Measure = "SMD",
    variance: Variance = "metafor",
    prefer: Prefer = "arms",
    events_to_smd: EventsToSmd = False,
    average: Average = None,
    model: PoolingModel = Model.random,
    tau2_method: Tau2Method = "REML",
    ci_method: CiMethod = None,
    prediction_method: PredictionMethod = None,
    level: Level = 0.95,
    title: Annotated[str | None, typer.Option(help="Stands above the plot.")] = None,
) -> None:
    """Draw a forest plot."""
    effects = _effects(
        table,
        where,
        measure=measure,
        variance=variance,
        prefer=prefer,
        events_to_smd=events_to_smd,
        average=average,
        by=by or (),
    )
    options: dict[str, Any] = {
        "model": model.value,
        "tau2_method": tau2_method,
        "ci_method": ci_method,
        "prediction_method": prediction_method,
        "level": level,
    }
    fit = mp.subgroup_analysis(effects, by=by, **options) if by else mp.meta_analysis(effects, **options)
    typer.echo(f"wrote {mp.save_figure(fit.plot(title=title), output)}")


@app.command()
def transcribe(
    dataset: Annotated[str, typer.Argument(help="A data set whose numbers are not available, such as white2020.")],
    file: Annotated[Path | None, typer.Argument(help="The table you filled in from the paper.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the blank table here.")] = None,
) -> None:
    """Write a review's blank table, or check what you typed into it and set it beside the recomputation."""
    if (file is None) == (output is None):
        raise MetapeerError("give the table you filled in, or --output FILE to write a blank one")
    if output is not None:
        mp.write_transcription_template(dataset, output)
        typer.echo(f"wrote {output}; fill it in from the paper, then: metapeer transcribe {dataset} {output}")
    elif file is not None:
        _print(mp.check_transcription(dataset, file))

"""The command line: each command is a few lines over the front door.

Tables are drawn with rich on a terminal and are plain text when piped; ``--json`` and ``--csv`` give the numbers,
unrounded. Options that several commands share stand once, as the fields of a dataclass.
"""

import csv
import inspect
import io
import json
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

import metapeer as mp
from metapeer.errors import ChoiceError, DataWarning, MetapeerError
from metapeer.formatting import GAP, TextTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ReaderGone", "app", "as_typed"]

MANY_COLUMNS = 10  # beside one another they would leave no room for words; beyond, each row is a list
GROUPS = ("Arguments", "Rows", "Effects", "Pooling", "Output", "Other")
PICTURES = (".png", ".svg", ".pdf")

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


def _option(*names: str, group: str, metavar: str | None = None, text: str) -> Any:
    return typer.Option(*names, rich_help_panel=group, metavar=metavar, help=text, show_default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """Options as they were typed; what was not typed is None, and the library's default holds."""

    def given(self, *but: str) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in but}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOptions(_Given):
    """Which rows of a table are used."""

    where: Annotated[
        list[str] | None,
        _option(
            "--where",
            group="Rows",
            metavar="COLUMN=VALUE",
            text="Keep the rows with this value; several are parted by |, as in 'format=group|mixed', and != leaves "
            "them out. May be repeated.",
        ),
    ] = None
    instruments: Annotated[
        str | None,
        _option(
            "--instruments",
            group="Rows",
            metavar="FILE",
            text="Instruments of your own: a CSV file with the columns instrument and direction.",
        ),
    ] = None
    encoding: Annotated[
        str | None,
        _option("--encoding", group="Rows", metavar="NAME", text="Encoding of TABLE, where it is not recognised."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectOptions(_Given):
    """How the effect of each row is computed."""

    measure: Annotated[
        str | None,
        _option(
            "--measure",
            group="Effects",
            metavar="CODE",
            text="SMD, SMDH, MD or ROM from means; RR, OR, RD, AS or PETO from events. Default SMD. For a table of "
            "ready-made effects (yi with vi or sei), what they are.",
        ),
    ] = None
    variance: Annotated[
        str | None,
        _option(
            "--variance",
            group="Effects",
            metavar="NAME",
            text="Formula of the sampling variance: a name such as LS or UB, or the software to agree with: metafor "
            "(default), meta, revman5, metapsy, ...",
        ),
    ] = None
    prefer: Annotated[
        str | None,
        _option(
            "--prefer",
            group="Effects",
            metavar="SOURCE",
            text="What to use where a row offers several: arms (means or events; default), review (the effect that "
            "the review pooled) or reported (the trial's own effect).",
        ),
    ] = None
    orient: Annotated[
        bool | None,
        _option(
            "--orient/--no-orient",
            group="Effects",
            text="Turn signs, or do not, so that positive favours peer support. Default: only for SMD and SMDH.",
        ),
    ] = None
    events_to_smd: Annotated[
        bool | None, _option("--events-to-smd", group="Effects", text="Turn rows with nothing but events into SMDs.")
    ] = None
    zero_cells: Annotated[
        str | None,
        _option(
            "--zero-cells",
            group="Effects",
            metavar="WHERE",
            text="Add --add to the cells of which tables of events: only0 (those with a zero; default), all, if0all "
            "(all if any has a zero) or none. AS and PETO: none by default.",
        ),
    ] = None
    add: Annotated[
        str | None,
        _option("--add", group="Effects", metavar="NUMBER", text="What to add to them: 0.5 (default), or TACC."),
    ] = None
    drop_double_zero: Annotated[
        bool | None,
        _option(
            "--drop-double-zero/--keep-double-zero",
            group="Effects",
            text="Leave out, or keep, trials with no event, or nothing but events, in both arms. Default: left out "
            "for RR, OR and PETO.",
        ),
    ] = None
    average: Annotated[
        float | None,
        _option(
            "--average",
            group="Effects",
            metavar="RHO",
            text="Average the effects of each trial, taking their errors to correlate by RHO, from 0 to 1.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolingOptions(_Given):
    """How effects are pooled."""

    model: Annotated[
        Model | None,
        _option(
            "--model",
            group="Pooling",
            text="Do true effects vary between trials (random; default), or is there one (common)?",
        ),
    ] = None
    tau2_method: Annotated[
        str | None,
        _option(
            "--tau2-method",
            group="Pooling",
            metavar="CODE",
            text="How tau², the variance between trials, is estimated: REML (default), DL, PM, ML, EB, HS, SJ, HE, ...",
        ),
    ] = None
    ci_method: Annotated[
        str | None,
        _option(
            "--ci-method",
            group="Pooling",
            metavar="CODE",
            text="Confidence interval: HK (Hartung-Knapp; default), HK_se, HK_ci, HK_IQWiG6, t or z. For a common "
            "effect z (default) or t.",
        ),
    ] = None
    prediction_method: Annotated[
        str | None,
        _option(
            "--prediction-method",
            group="Pooling",
            metavar="CODE",
            text="Prediction interval: V, HTS, HK, HK-PR or S. Default HK with a Hartung-Knapp interval, otherwise V.",
        ),
    ] = None
    level: Annotated[
        float | None,
        _option("--level", group="Pooling", metavar="NUMBER", text="Level of every interval; 0.95 by default."),
    ] = None


AsJson = Annotated[bool, _option("--json", group="Output", text="Print JSON, with everything there is.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What is printed."""

    as_json: AsJson = False
    as_csv: Annotated[bool, _option("--csv", group="Output", text="Print a table of numbers as CSV, in UTF-8.")] = False


Table = Annotated[
    str,
    typer.Argument(
        metavar="TABLE",
        help="A CSV file of trial results or effects, the name of a bundled data set, or a folder like one.",
    ),
]
_BY = _option(
    "--by", group="Rows", metavar="COLUMN", text="Make a subgroup of each value; may be repeated, to cross columns."
)
Tau2Sharing = Annotated[
    Sharing | None,
    _option(
        "--tau2", group="Pooling", text="Has each subgroup its own tau² (separate; default), or all the same (common)?"
    ),
]

_OPTIONS = {
    field.name: "--" + field.name.replace("_", "-")
    for group in (RowOptions, EffectOptions, PoolingOptions)
    for field in fields(group)
} | {"tau2": "--tau2", "rho": "--average", "by": "--by", "suffix": "--output suffix", "dataset": "data set"}


def as_typed(message: str) -> str:
    """Say an error of the library in the words of the command line.

    Parameters
    ----------
    message : str
        What the library says.

    Returns
    -------
    str
        The same with options as they are typed.

    Examples
    --------
    >>> as_typed("ci_method 'HKK' is unknown. Did you mean 'HK'? Known: z, t, HK")
    "--ci-method 'HKK' is unknown. Did you mean 'HK'? Known: z, t, HK"
    >>> as_typed("Use orient=True to turn signs, or compare ci_method='HK_se'")
    'Use --orient to turn signs, or compare --ci-method HK_se'
    """
    names = "|".join(sorted(_OPTIONS, key=len, reverse=True))

    def typed(match: re.Match[str]) -> str:
        return f"{_OPTIONS[match[1]]} {match[2] or ''}".strip()

    message = re.sub(rf"(?<![\w(])({names})=(?:True\b|'([^']*)'|)", typed, message)
    return re.sub(rf"(?:^|(?<=with ))({names})(?= )", lambda match: _OPTIONS[match[1]], message)


class ReaderGone(Exception):  # noqa: N818  nothing is wrong
    """Whoever read the output has had enough, such as ``head``."""


def _echo(text: str) -> None:
    """Print in the encoding of the stream, whatever that is; typer would take UTF-8 for ASCII."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None


def _echo_utf8(text: str) -> None:
    """Print in UTF-8, so that a file of numbers is the same whatever machine wrote it."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise ReaderGone from None


class _Command(TyperCommand):
    """A command whose help lists its options in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in GROUPS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                usual = "Arguments" if param.param_type_name == "argument" else "Other"
                groups[getattr(param, "rich_help_panel", None) or usual].append(record)
        for name, records in groups.items():
            if not records:
                continue
            with formatter.section(name):
                formatter.write_dl(records)


def _command(name: str | None = None, **about: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command; a parameter that is a dataclass stands for one option for each of its fields."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        groups: dict[str, Any] = {}
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(function).parameters.values():
            group: Any = parameter.annotation
            if not is_dataclass(group):
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
                continue
            groups[parameter.name] = group
            hints = get_type_hints(group, include_extras=True)
            for field in fields(group):
                default = inspect.Parameter.empty if field.default is MISSING else field.default
                parameters.append(
                    inspect.Parameter(
                        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name]
                    )
                )

        def run(**values: Any) -> None:
            for parameter, group in groups.items():
                values[parameter] = group(**{field.name: values.pop(field.name) for field in fields(group)})
            function(**values)

        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name, cls=_Command, **about)(run)
        return function

    return register


def _print_version(wanted: bool) -> None:
    if wanted:
        _echo(f"metapeer {mp.__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)]


@app.callback()
def _main(version: Version = False) -> None:
    """Re-compute and update meta-analyses of peer support in mental health.

    Each command says more: metapeer pool --help.
    """


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


def _show(
    output: Output,
    *,
    words: Callable[[], Sequence[TextTable]],
    everything: Callable[[], object],
    numbers: Callable[[], "pd.DataFrame"] | None = None,
) -> None:
    """Print a result for a person, or its numbers for a machine."""
    _check_output(output)
    if output.as_json:
        # Where letters cannot be written, escapes can; JSON loses nothing by them.
        plain = (sys.stdout.encoding or "ascii").lower().replace("-", "") != "utf8"
        _echo(json.dumps(_plain(everything()), indent=2, ensure_ascii=plain, allow_nan=False))
    elif output.as_csv and numbers is not None:
        _echo_utf8(_csv(numbers()))
    elif sys.stdout.isatty():
        _draw(words())
    else:
        _echo("\n\n".join(table.to_text() for table in words()))


def _check_output(output: Output) -> None:
    if output.as_json and output.as_csv:
        raise MetapeerError("give either --json or --csv, not both")


def _missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _csv(frame: "pd.DataFrame") -> str:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(frame.columns)
    for row in frame.itertuples(index=False, name=None):
        writer.writerow(["" if _missing(cell) else cell for cell in row])
    return lines.getvalue()


def _plain(value: object) -> Any:
    """Turn a result into what JSON has: fields by name; what is missing or infinite is null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if hasattr(value, "to_dict"):
        return _plain(value.to_dict("records"))
    if isinstance(value, mp.MetaAnalysisResult):
        return _plain(_fit(value))
    if isinstance(value, mp.SubgroupAnalysisResult):
        return _plain(_subgroups(value))
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return str(value)


def _fit(fit: "mp.MetaAnalysisResult") -> dict[str, Any]:
    """Everything of a meta-analysis: its row, as ``--csv`` has it, and what does not fit into a row."""
    studies = fit.studies()
    named = [name for name in ("study_id", "row_id") if name in studies]
    row: Mapping[Any, Any] = fit.to_frame().to_dict("records")[0]
    return {
        **row,
        "tau2_se": fit.tau2_se,
        "participants_known": fit.participants_known,
        "other_maxima": [{"tau2": tau2, "lower_by": drop} for tau2, drop in fit.other_maxima],
        "studies": studies[[*named, "label", "yi", "sei", "ci_low", "ci_high", "weight"]],
        "not_pooled": [{"label": label, "reason": reason} for label, reason in fit.excluded],
        "notes": fit.notes,
    }


def _test(found: "mp.SubgroupAnalysisResult") -> dict[str, Any]:
    return {
        "test": found.test,
        "Q_between": found.Q_between,
        "Q_between_df": found.df,
        "Q_between_df2": found.df2,
        "Q_between_p": found.p_value,
    }


def _subgroups(found: "mp.SubgroupAnalysisResult") -> dict[str, Any]:
    return {
        "by": found.by,
        "tau2": found.tau2,
        "tau2_common": found.tau2_common,
        **_test(found),
        "subgroups": [{"subgroup": name, **_fit(fit)} for name, fit in zip(found.levels, found.results, strict=True)],
        "overall": _fit(found.overall),
        "notes": found.notes,
    }


def _subgroup_rows(found: "mp.SubgroupAnalysisResult") -> "pd.DataFrame":
    """One row for each subgroup and one for the whole, which has the test between them."""
    frame = found.to_frame()
    blank = [None] * len(found.levels)
    return frame.assign(**{name: [*blank, value] for name, value in _test(found).items()})


def _words(frame: "pd.DataFrame", title: str = "") -> list[TextTable]:
    """Show a frame: as a table, or row by row where it has many columns."""
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


def _did_you_mean(value: str, known: Sequence[str]) -> str:
    close = get_close_matches(value, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _column(frame: "pd.DataFrame", name: str, option: str) -> "pd.Series[Any]":
    known = [str(column) for column in frame.columns]
    if name not in known:
        raise MetapeerError(
            f"{option}: there is no column {name!r}.{_did_you_mean(name, known)} Columns: {', '.join(known)}"
        )
    return frame[name]


def _read(table: str, reading: Mapping[str, Any]) -> "pd.DataFrame":
    """Read a file, or the rows of a data set."""
    if not table:
        raise MetapeerError("TABLE is empty; give a file, a folder or a data set")
    try:
        path = Path(table)
        folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError):  # a name that no file can have
        folder = exists = False
    if not folder and (exists or Path(table).suffix):
        return mp.read_outcomes(table, **reading)
    try:
        rows = mp.load_dataset(table).rows()
    except ChoiceError as error:
        raise ChoiceError(f"there is no file {table!r}, and {error}") from None
    if reading:
        raise ChoiceError(f"{next(iter(reading))} has no effect with a data set; leave it out")
    return rows


def _keep(frame: "pd.DataFrame", condition: str) -> "pd.Series[bool]":
    """Tell which rows a ``--where`` keeps; a value that no row has is more likely a slip than a wish."""
    from pandas.api.types import is_numeric_dtype

    name, equals, listed = condition.partition("=")
    if not equals:
        raise MetapeerError(f"--where {condition!r}: write COLUMN=VALUE, such as format=group")
    column = _column(frame, name.removesuffix("!").strip(), "--where")
    cells = column.map(lambda cell: "" if _missing(cell) else f"{cell:.15g}" if isinstance(cell, float) else str(cell))
    known = sorted(cells.unique().tolist())
    wanted = [value.strip() for value in listed.split("|")]
    if is_numeric_dtype(column):
        wanted = [_number_text(value) for value in wanted]
    for value in wanted:
        if value not in known:
            shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
            raise MetapeerError(
                f"--where {condition!r}: no row has {value!r}.{_did_you_mean(value, known)} "
                f"Column {column.name} has: {shown}"
            )
    found = cells.isin(wanted)
    return ~found if name.endswith("!") else found


def _number_text(text: str) -> str:
    try:
        return f"{float(text):.15g}"
    except ValueError:
        return text


def _rows(table: str, options: RowOptions) -> "pd.DataFrame":
    whole = _read(table, options.given("where"))
    kept = whole
    for condition in options.where or ():
        kept = kept[_keep(whole, condition).loc[kept.index]]
    if kept.empty and len(whole):
        raise MetapeerError(f"--where {' --where '.join(map(repr, options.where or ()))}: no row has all of these")
    return kept


def _effects(
    table: str, rows: RowOptions, options: EffectOptions, by: Sequence[str] = ()
) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Rows with effects, as the file has them or computed, and what else is known of them."""
    frame = _rows(table, rows)
    for name in by:
        _column(frame, name, "--by")
    known: dict[str, Any] = {}
    if "yi" in frame and {"vi", "sei"} & set(frame.columns):
        known = {"measure": options.measure} if options.measure else {}
        idle = [_OPTIONS[name] for name in options.given("measure", "average")]
        if idle:
            raise MetapeerError(
                f"{table} has ready-made effects (yi), so {' and '.join(idle)} would have no effect; leave "
                f"{'it' if len(idle) == 1 else 'them'} out, or take the column yi away to have effects computed"
            )
    else:
        choices = options.given("average")
        if "add" in choices:
            choices["add"] = _number_or_word(choices["add"])
        frame = mp.effect_size(frame, **choices)
    if options.average is not None:
        frame = mp.average_within_trial(frame, rho=options.average, by=["study_id", *by])
    return frame, known


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _choices(options: PoolingOptions, tau2: Sharing | None = None) -> dict[str, Any]:
    """What to pass on; an option that could have no effect is refused."""
    choices: dict[str, Any] = options.given() | ({} if tau2 is None else {"tau2": tau2})
    if options.model == Model.common:
        for name in ("tau2_method", "prediction_method", "tau2"):
            if name in choices:
                raise ChoiceError(f"{name} has no effect with --model common, which has no tau²; leave it out")
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in choices.items()}


def _fitted(
    effects: "pd.DataFrame", choices: Mapping[str, Any], by: Sequence[str], *, notes_shown: bool
) -> "mp.MetaAnalysisResult | mp.SubgroupAnalysisResult":
    """Pool; where the notes of the result are printed, the warnings that say the same are not."""
    with warnings.catch_warnings():
        if notes_shown:
            warnings.simplefilter("ignore", DataWarning)
        return mp.subgroup_analysis(effects, by=by, **choices) if by else mp.meta_analysis(effects, **choices)


@_command("list", epilog="Example: metapeer list")
def list_(output: Output) -> None:
    """List the bundled data sets."""
    frame = mp.list_datasets()
    _show(
        output,
        words=lambda: _words(frame.drop(columns="licence")),
        everything=lambda: frame,
        numbers=lambda: frame,
    )


@_command(epilog="Example: metapeer show smit2023 --table outcomes --csv")
def show(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A bundled data set, or a folder of your own in the same layout.")
    ],
    output: Output,
    table: Annotated[
        str | None,
        _option(
            "--table",
            group="Output",
            metavar="NAME",
            text="Show one of its tables: outcomes, trials, published, overrides, worklist, ...",
        ),
    ] = None,
) -> None:
    """Show what a data set holds and what was published.

    --csv gives the published results, or the table named with --table.
    """
    _check_output(output)
    review = mp.load_dataset(dataset)
    tables = {name: getattr(review, name) for name in ("outcomes", "trials", "published", "overrides")} | dict(
        review.extras
    )
    if table is not None:
        if table not in tables:
            raise MetapeerError(
                f"{dataset} has no table {table!r}.{_did_you_mean(table, list(tables))} It has: {', '.join(tables)}"
            )
        frame = tables[table].drop(columns="line", errors="ignore")
        _show(
            output,
            words=lambda: _words(frame[[name for name in frame if _filled(frame[name])]], f"{dataset}: {table}"),
            everything=lambda: frame,
            numbers=lambda: frame,
        )
        return
    published = review.published.drop(columns="line", errors="ignore")
    facts = ("name", "title", "citation", "doi", "licence", "attribution", "note", "path")
    columns = ["published_id", "k", "n", "es_type", "es", "ci_low", "ci_high", "i2"]
    _show(
        output,
        words=lambda: [
            *review.text_tables(),
            *(_words(published[columns], "Published results") if len(published) else []),
        ],
        everything=lambda: {
            **{name: getattr(review, name) for name in facts},
            "tables": {name: len(frame) for name, frame in tables.items()},
            "published": published,
        },
        numbers=lambda: published,
    )


def _filled(column: "pd.Series[Any]") -> bool:
    return bool((column.notna() & (column.astype(str) != "")).any())


@_command(epilog="Example: metapeer reproduce smit2023")
def reproduce(
    output: Output,
    datasets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATASET", help="Data sets to run, or folders of your own; all bundled ones by default."
        ),
    ] = None,
) -> None:
    """Compute every published number again and print the ledger."""
    _check_output(output)
    ledger = mp.reproduce(list(dict.fromkeys(datasets)) if datasets else None)
    _show(
        output,
        words=ledger.text_tables,
        everything=lambda: {"counts": ledger.counts(), **_plain(ledger)},
        numbers=ledger.to_frame,
    )


@_command(epilog="Example: metapeer pool trials.csv --where outcome=hope --measure SMD")
def pool(table: Table, rows: RowOptions, effect: EffectOptions, pooling: PoolingOptions, output: Output) -> None:
    """Pool the effects of a table.

    Arm 1 is peer support, arm 2 the comparison.
    """
    _check_output(output)
    choices = _choices(pooling)
    effects, known = _effects(table, rows, effect)
    fit = _fitted(effects, known | choices, (), notes_shown=not output.as_csv)
    _show(output, words=fit.text_tables, everything=lambda: fit, numbers=fit.to_frame)


@_command(epilog="Example: metapeer subgroup smit2023 --where 'outcome_group=personal recovery' --by format")
def subgroup(
    table: Table,
    by: Annotated[list[str], _BY],
    rows: RowOptions,
    effect: EffectOptions,
    pooling: PoolingOptions,
    output: Output,
    tau2: Tau2Sharing = None,
) -> None:
    """Pool subgroups of a table and test whether they differ.

    Arm 1 is peer support, arm 2 the comparison.
    """
    _check_output(output)
    choices = _choices(pooling, tau2)
    effects, known = _effects(table, rows, effect, by)
    found = _fitted(effects, known | choices, by, notes_shown=not output.as_csv)
    assert isinstance(found, mp.SubgroupAnalysisResult)  # noqa: S101  by is not empty
    _show(output, words=found.text_tables, everything=lambda: found, numbers=lambda: _subgroup_rows(found))


@_command(epilog="Example: metapeer forest trials.csv --by format --output forest.pdf")
def forest(
    table: Table,
    output: Annotated[
        Path,
        _option("--output", "-o", group="Output", metavar="FILE", text="The picture: .png, .svg or .pdf."),
    ],
    rows: RowOptions,
    effect: EffectOptions,
    pooling: PoolingOptions,
    by: Annotated[list[str] | None, _BY] = None,
    tau2: Tau2Sharing = None,
    title: Annotated[
        str | None, _option("--title", group="Output", metavar="TEXT", text="Stands above the plot.")
    ] = None,
) -> None:
    """Draw a forest plot.

    Arm 1 is peer support, arm 2 the comparison.
    """
    if output.suffix.lower() not in PICTURES:
        raise MetapeerError(f"--output {str(output)!r}: the name must end in {', '.join(PICTURES)}")
    _check_folder(output)
    if tau2 is not None and not by:
        raise ChoiceError("tau2 has no effect without --by, which makes subgroups; leave it out")
    choices = _choices(pooling, tau2)
    effects, known = _effects(table, rows, effect, by or ())
    fit = _fitted(effects, known | choices, by or (), notes_shown=False)
    _echo(f"wrote {mp.save_figure(fit.plot(title=title), output)}")


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise MetapeerError(f"--output {str(path)!r}: there is no folder {str(path.parent)!r}; make it first")


@_command(epilog="Example: metapeer transcribe white2020 --output white.csv")
def transcribe(
    dataset: Annotated[
        str,
        typer.Argument(metavar="DATASET", help="A data set whose numbers are not available, such as white2020."),
    ],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The table you filled in from the paper, to be checked.")
    ] = None,
    output: Annotated[
        Path | None, _option("--output", "-o", group="Output", metavar="FILE", text="Write the blank table here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Type in the numbers of a paper, and see them beside ours.

    First write the blank table with --output. Then fill it in from the paper and give it as FILE: it is checked, and
    set beside the recomputed evidence.
    """
    if (file is None) == (output is None):
        raise MetapeerError("give either the FILE you filled in, or --output FILE to write a blank one")
    if output is not None:
        if as_json:
            raise MetapeerError("--json has no effect with --output; leave it out")
        _check_folder(output)
        mp.write_transcription_template(dataset, output)
        _echo(f"wrote {output}; fill it in from the paper, then: metapeer transcribe {dataset} {output}")
    elif file is not None:
        found = mp.check_transcription(dataset, file)
        _show(Output(as_json=as_json), words=found.text_tables, everything=lambda: found)

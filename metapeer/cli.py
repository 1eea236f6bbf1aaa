"""The command line: each command is a few lines over the front door."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import metapeer as mp
from metapeer.command_audit import AuditOptions, IdentifyOptions, audit_table, identify_table, leave, write_report
from metapeer.command_bayes import BayesOptions, bayes_table
from metapeer.command_building import command
from metapeer.command_counts import CountOptions, pool_counts
from metapeer.command_input import find_effects, pool_effects, pooling_choices
from metapeer.command_options import (
    BY,
    AsJson,
    EffectOptions,
    Output,
    PoolingOptions,
    RowOptions,
    Table,
    Tau2Sharing,
    option,
)
from metapeer.command_outcomes import ClassOptions, OutcomeOptions, contrast_table, pool_table
from metapeer.command_output import check_output, echo, frame_tables, show_result, to_plain
from metapeer.command_regress import RegressionOptions, regress_table
from metapeer.errors import ChoiceError, MetapeerError, check_choice

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["app"]

PICTURES = (".png", ".svg", ".pdf")

app = typer.Typer(
    name="metapeer",
    help="Re-compute meta-analyses of peer support in mental health.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        echo(f"metapeer {mp.__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)]


@app.callback()
def _main(version: Version = False) -> None:
    """Re-compute meta-analyses of peer support in mental health.

    Each command says more: metapeer pool --help.
    """


@command(app, "list", epilog="Example: metapeer list")
def list_(output: Output) -> None:
    """List the bundled data sets."""
    frame = mp.list_datasets()
    show_result(
        output,
        words=lambda: frame_tables(frame.drop(columns="licence")),
        everything=lambda: frame,
        numbers=lambda: frame,
    )


@command(app, epilog="Example: metapeer show smit2023 --table outcomes --csv")
def show(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A bundled data set, or a folder of your own in the same layout.")
    ],
    output: Output,
    table: Annotated[
        str | None,
        option(
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
    check_output(output)
    review = mp.load_dataset(dataset)
    tables = {name: getattr(review, name) for name in ("outcomes", "trials", "published", "overrides")} | dict(
        review.extras
    )
    if table is not None:
        frame = tables[check_choice("--table", table, tables)].drop(columns="line", errors="ignore")
        show_result(
            output,
            words=lambda: frame_tables(frame[[name for name in frame if _filled(frame[name])]], f"{dataset}: {table}"),
            everything=lambda: frame,
            numbers=lambda: frame,
        )
        return
    published = review.published.drop(columns="line", errors="ignore")
    facts = ("name", "title", "citation", "doi", "licence", "attribution", "note", "path")
    columns = ["published_id", "k", "n", "es_type", "es", "ci_low", "ci_high", "i2"]
    show_result(
        output,
        words=lambda: [
            *review.text_tables(),
            *(frame_tables(published[columns], "Published results") if len(published) else []),
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


@command(app, epilog="Example: metapeer reproduce smit2023")
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
    check_output(output)
    ledger = mp.reproduce(list(dict.fromkeys(datasets)) if datasets else None)
    show_result(
        output,
        words=ledger.text_tables,
        everything=lambda: {"counts": ledger.counts(), **to_plain(ledger)},
        numbers=ledger.to_frame,
    )


@command(app, epilog="Example: metapeer audit trials.csv --report audit.html")
def audit(table: Table, choice: AuditOptions, output: Output) -> None:
    """Check an extraction table, or printed results, before they are believed.

    Nothing is changed. The program ends with code 3 when something was found that --fail-on asks about.
    """
    check_output(output)
    found = audit_table(table, choice)
    if choice.report is not None:
        write_report(found, choice.report)
    show_result(
        output,
        words=found.text_tables,
        everything=lambda: found.to_dict() if isinstance(found, mp.AuditReport) else found,
        numbers=found.to_frame,
    )
    leave(found, choice.fail_on)


@command(app, epilog="Example: metapeer identify trials.csv --printed estimate=0.19 --printed ci_low=0.11")
def identify(table: Table, rows: RowOptions, choice: IdentifyOptions, output: Output) -> None:
    """Find every analysis of a table that gives the digits a paper printed."""
    check_output(output)
    found = identify_table(table, rows, choice)
    show_result(output, words=found.text_tables, everything=lambda: found, numbers=found.to_frame)


@command(app, epilog="Example: metapeer pool trials.csv --where outcome=hope --measure SMD")
def pool(table: Table, rows: RowOptions, effect: EffectOptions, pooling: PoolingOptions, output: Output) -> None:
    """Pool the effects of a table.

    Arm 1 is peer support, arm 2 the comparison.
    """
    check_output(output)
    choices = pooling_choices(pooling)
    effects, known = find_effects(table, rows, effect)
    fit = pool_effects(effects, known | choices, (), notes_shown=not output.as_csv)
    show_result(output, words=fit.text_tables, everything=lambda: fit, numbers=fit.to_frame)


@command(app, epilog="Example: metapeer subgroup smit2023 --where 'outcome_group=personal recovery' --by format")
def subgroup(
    table: Table,
    by: Annotated[list[str], BY],
    rows: RowOptions,
    effect: EffectOptions,
    pooling: PoolingOptions,
    output: Output,
    tau2: Tau2Sharing = None,
) -> None:
    """Pool subgroups of a table and test whether they differ.

    Arm 1 is peer support, arm 2 the comparison.
    """
    check_output(output)
    choices = pooling_choices(pooling, tau2)
    effects, known = find_effects(table, rows, effect, by)
    found = pool_effects(effects, known | choices, by, notes_shown=not output.as_csv)
    assert isinstance(found, mp.SubgroupAnalysisResult)  # noqa: S101  by is not empty
    show_result(output, words=found.text_tables, everything=lambda: found, numbers=found.to_frame)


@command(app, epilog="Example: metapeer regress trials.csv --moderator year")
def regress(
    table: Table, rows: RowOptions, effect: EffectOptions, regression: RegressionOptions, output: Output
) -> None:
    """Ask how the effects of a table depend on moderators.

    Arm 1 is peer support, arm 2 the comparison.
    """
    check_output(output)
    fit = regress_table(table, rows, effect, regression, notes_shown=not output.as_csv)
    show_result(output, words=fit.text_tables, everything=lambda: fit, numbers=fit.to_frame)


@command(app, epilog="Example: metapeer bayes trials.csv --tau-prior 'half_normal(0.3)'")
def bayes(table: Table, rows: RowOptions, effect: EffectOptions, priors: BayesOptions, output: Output) -> None:
    """Pool the effects of a table under priors.

    Arm 1 is peer support, arm 2 the comparison.
    """
    check_output(output)
    fit = bayes_table(table, rows, effect, priors, notes_shown=not output.as_csv)
    show_result(output, words=fit.text_tables, everything=lambda: fit, numbers=fit.to_frame)


@command(app, epilog="Example: metapeer outcomes smit2023 --adjust holm")
def outcomes(
    table: Table,
    rows: RowOptions,
    effect: EffectOptions,
    choice: OutcomeOptions,
    pooling: PoolingOptions,
    output: Output,
) -> None:
    """Pool each outcome of a table by itself, with p values adjusted for their number.

    Arm 1 is peer support, arm 2 the comparison.
    """
    check_output(output)
    found = pool_table(table, rows, effect, choice, pooling, notes_shown=not output.as_csv)
    show_result(output, words=found.text_tables, everything=lambda: found, numbers=found.to_frame)


@command(app, epilog="Example: metapeer classes smit2023 --events-to-smd --arm-sizes equal")
def classes(table: Table, rows: RowOptions, effect: EffectOptions, choice: ClassOptions, output: Output) -> None:
    """Ask whether psychosocial outcomes are moved more than clinical ones.

    Trials that report both are compared with themselves. Arm 1 is peer support, arm 2 the comparison.
    """
    check_output(output)
    found = contrast_table(table, rows, effect, choice, notes_shown=not output.as_csv)
    show_result(output, words=found.text_tables, everything=lambda: found, numbers=found.to_frame)


@command(app, epilog="Example: metapeer counts events.csv --method GLMM --glmm CM.EL")
def counts(table: Table, rows: RowOptions, counting: CountOptions, output: Output) -> None:
    """Pool the events of a table as counts, without an effect for each trial.

    Arm 1 is peer support, arm 2 the comparison.
    """
    check_output(output)
    fit = pool_counts(table, rows, counting, notes_shown=not output.as_csv)
    show_result(output, words=fit.text_tables, everything=lambda: fit, numbers=fit.to_frame)


@command(app, epilog="Example: metapeer forest trials.csv --by format --output forest.pdf")
def forest(
    table: Table,
    output: Annotated[
        Path,
        option("--output", "-o", group="Output", metavar="FILE", text="The picture: .png, .svg or .pdf."),
    ],
    rows: RowOptions,
    effect: EffectOptions,
    pooling: PoolingOptions,
    by: Annotated[list[str] | None, BY] = None,
    tau2: Tau2Sharing = None,
    title: Annotated[
        str | None, option("--title", group="Output", metavar="TEXT", text="Stands above the plot.")
    ] = None,
) -> None:
    """Draw a forest plot.

    Arm 1 is peer support, arm 2 the comparison.
    """
    if output.suffix.lower() not in PICTURES:
        raise MetapeerError(f"--output {str(output)!r}: the name must end in {', '.join(PICTURES)}")
    if tau2 is not None and not by:
        raise ChoiceError("tau2 has no effect without --by, which makes subgroups; leave it out")
    choices = pooling_choices(pooling, tau2)
    effects, known = find_effects(table, rows, effect, by or ())
    fit = pool_effects(effects, known | choices, by or (), notes_shown=False)
    echo(f"wrote {mp.save_figure(fit.plot(title=title), output)}")


@command(app, epilog="Example: metapeer transcribe white2020 --output white.csv")
def transcribe(
    dataset: Annotated[
        str,
        typer.Argument(metavar="DATASET", help="A data set whose numbers are not available, such as white2020."),
    ],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The table you filled in from the paper, to be checked.")
    ] = None,
    output: Annotated[
        Path | None, option("--output", "-o", group="Output", metavar="FILE", text="Write the blank table here.")
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
        if not output.parent.is_dir():
            raise MetapeerError(f"--output {str(output)!r}: there is no folder {str(output.parent)!r}; make it first")
        mp.write_transcription_template(dataset, output)
        echo(f"wrote {output}; fill it in from the paper, then: metapeer transcribe {dataset} {output}")
    elif file is not None:
        found = mp.check_transcription(dataset, file)
        show_result(Output(as_json=as_json), words=found.text_tables, everything=lambda: found)

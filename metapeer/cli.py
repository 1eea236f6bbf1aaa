"""The command line: each command is a few lines over the front door."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import metapeer as mp
from metapeer.command_audit import (
    FOUND,
    AuditOptions,
    IdentifyOptions,
    audit_table,
    identify_table,
    leave,
    write_report,
)
from metapeer.command_batch import BatchFound, BatchOptions, find_batch
from metapeer.command_bayes import BayesOptions, bayes_table
from metapeer.command_building import command
from metapeer.command_counts import CountOptions, pool_counts
from metapeer.command_findings import FindingsOptions, find_findings, write_findings
from metapeer.command_fitted import ExportOptions, Outcome, PreviewOptions, export_table, find_fit, preview_table
from metapeer.command_input import find_effects, pool_effects, pooling_choices
from metapeer.command_living import (
    AddOptions,
    CorrectOptions,
    PrismaOptions,
    UpdateOptions,
    add_facts,
    add_to_review,
    correct_review,
    show_flow,
    update_review,
    vary_icc,
)
from metapeer.command_multiverse import MultiverseOptions, multiverse_table
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
from metapeer.command_output import PICTURES, check_output, check_place, echo, frame_tables, show_result, to_plain
from metapeer.command_power import PowerOptions, find_power
from metapeer.command_regress import RegressionOptions, regress_table
from metapeer.command_report import ReportOptions, write_page
from metapeer.command_sensitivity import (
    BiasOptions,
    GoshOptions,
    InfluenceOptions,
    find_bias,
    find_gosh,
    find_influence,
)
from metapeer.command_sequential import SequentialOptions, sequential_table
from metapeer.errors import ChoiceError, MetapeerError, check_choice

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["app"]

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
    effects, known = find_effects(table, rows, effect, designs_told=False)
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
    effects, known = find_effects(table, rows, effect, by, designs_told=False)
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


@command(app, epilog="Example: metapeer influence trials.csv --baujat baujat.pdf")
def influence(
    table: Table,
    choice: InfluenceOptions,
    rows: RowOptions,
    effect: EffectOptions,
    pooling: PoolingOptions,
    output: Output,
    outcome: Outcome = None,
) -> None:
    """Leave out each study in turn, and say which deletion changes the conclusion and which study lies apart.

    A study is not wrong because much hangs on it. Arm 1 is peer support, arm 2 the comparison.
    """
    check_output(output)
    fit = find_fit(table, outcome, rows, effect, pooling, told=not output.as_csv)
    found = find_influence(fit, choice, notes_shown=not output.as_csv)
    show_result(output, words=found.text_tables, everything=found.everything, numbers=found.leave_one_out.to_frame)


@command(app, epilog="Example: metapeer gosh trials.csv --study smith2014 --figure gosh.png")
def gosh(
    table: Table,
    choice: GoshOptions,
    rows: RowOptions,
    effect: EffectOptions,
    output: Output,
    outcome: Outcome = None,
) -> None:
    """Pool every subset of the studies, to see whether some pull the others apart.

    It describes the data, and tests nothing. Arm 1 is peer support, arm 2 the comparison.
    """
    check_output(output)
    pooling = PoolingOptions(model=choice.model, tau2_method=choice.tau2_method)
    fit = find_fit(table, outcome, rows, effect, pooling, told=not output.as_csv)
    found = find_gosh(fit, choice)
    numbers = found.gosh.studies if found.clusters is None else found.clusters.to_frame
    show_result(output, words=found.text_tables, everything=found.everything, numbers=numbers)


@command(app, epilog="Example: metapeer bias trials.csv --figure funnel.pdf")
def bias(
    table: Table,
    choice: BiasOptions,
    rows: RowOptions,
    effect: EffectOptions,
    pooling: PoolingOptions,
    output: Output,
    outcome: Outcome = None,
) -> None:
    """Ask every method what small-study effects and publication bias could have done.

    None knows which studies are missing; each answers what would follow from a supposition of its own.
    """
    check_output(output)
    fit = find_fit(table, outcome, rows, effect, pooling, told=not output.as_csv)
    found = find_bias(fit, choice, notes_shown=not output.as_csv)
    show_result(output, words=found.text_tables, everything=found.everything, numbers=found.to_frame)


@command(app, epilog="Example: metapeer power --effect 0.2 --studies 10 --n1 50 --n2 50 --i2 50 --curve power.pdf")
def power(choice: PowerOptions, output: Output) -> None:
    """Plan a meta-analysis: its power, how many studies it needs, or the smallest effect it would find.

    What is left out of --effect and --studies is computed. Power belongs to a plan: choose the effect that would
    matter before looking.
    """
    check_output(output)
    found = find_power(choice)
    show_result(output, words=found.text_tables, everything=lambda: found, numbers=found.to_frame)


@command(app, epilog="Example: metapeer batch sets.csv --by outcome")
def batch(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES",
            help="CSV files with yi, and vi or sei; or Parquet files of them: names, a folder, or a pattern in quotes.",
        ),
    ],
    choice: BatchOptions,
    output: Output,
) -> None:
    """Pool many sets of effects at once, each as if alone."""
    check_output(output)
    found = find_batch(files, choice, notes_shown=not output.as_csv)
    whole = found.everything if isinstance(found, BatchFound) else lambda: found
    show_result(output, words=found.text_tables, everything=whole, numbers=found.to_frame)


@command(app, epilog="Example: metapeer multiverse trials.csv --tau2-method REML --tau2-method PM --ci-method HK")
def multiverse(table: Table, choice: MultiverseOptions, rows: RowOptions, output: Output) -> None:
    """Pool a table under all combinations of choices, and say what a finding hangs on.

    Arm 1 is peer support, arm 2 the comparison.
    """
    check_output(output)
    found, test = multiverse_table(table, rows, choice, notes_shown=not output.as_csv)
    show_result(
        output,
        words=lambda: [*found.text_tables(), *(() if test is None else test.text_tables())],
        everything=lambda: {"specifications": found.to_frame(), "test": test},
        numbers=found.to_frame,
    )


@command(app, epilog="Example: metapeer findings lyons2021 --outcome recovery --output findings.html")
def findings(
    table: Table,
    choice: FindingsOptions,
    rows: RowOptions,
    effect: EffectOptions,
    pooling: PoolingOptions,
    output: Output,
    file: Annotated[
        Path | None,
        option("--output", "-o", group="Output", metavar="FILE", text="Write the table: .html, .md, .docx or .csv."),
    ] = None,
) -> None:
    """Summarise findings: each outcome with its effect in absolute terms, and how certain it is."""
    check_output(output)
    found = find_findings(table, rows, effect, pooling, choice, notes_shown=not output.as_csv)
    if file is not None:
        write_findings(found, file)
        echo(f"wrote {file}")
        return
    show_result(output, words=found.text_tables, everything=lambda: found, numbers=found.to_frame)


@command(app, epilog="Example: metapeer report lyons2021 --output lyons2021.html")
def report(
    review: Annotated[
        str,
        typer.Argument(
            metavar="REVIEW",
            help="A bundled data set, a folder of your own in the same layout, or a CSV file of trial results or "
            "effects.",
        ),
    ],
    choice: ReportOptions,
) -> None:
    """Write the report of a review: a page that explains itself, Markdown or a document for Word."""
    write_page(review, choice)


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
    check_place(output, PICTURES, "--output")
    if tau2 is not None and not by:
        raise ChoiceError("tau2 has no effect without --by, which makes subgroups; leave it out")
    choices = pooling_choices(pooling, tau2)
    effects, known = find_effects(table, rows, effect, by or (), designs_told=False)
    fit = pool_effects(effects, known | choices, by or (), notes_shown=False)
    echo(f"wrote {mp.save_figure(fit.plot(title=title), output)}")


Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="The folder of a review of your own.")]


@command(app, epilog="Example: metapeer init my-review --from lyons2021")
def init(
    folder: Folder,
    start: Annotated[
        str | None,
        option("--from", group="Other", metavar="DATASET", text="Begin with a bundled data set; empty by default."),
    ] = None,
    title: Annotated[str, option("--title", group="Other", metavar="TEXT", text="Its title.")] = "",
    author: Annotated[str, option("--author", group="Other", metavar="TEXT", text="Who keeps it.")] = "",
    doi: Annotated[str, option("--doi", group="Other", metavar="TEXT", text="Its digital object identifier.")] = "",
) -> None:
    """Begin a living review of your own: a folder of plain CSV and TOML files."""
    mp.init_review(folder, start=start, title=title, author=author, doi=doi)
    echo(f"made {folder}; add a trial: metapeer add {folder} trial.csv")


@command(app, epilog="Example: metapeer add my-review trial.csv --write")
def add(
    folder: Folder,
    output: Output,
    choice: AddOptions,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="The new rows: CSV, a filled-in form, or another program's table; asked for otherwise."
        ),
    ] = None,
) -> None:
    """Add a trial to a living review: checked, audited, shown before and after, and kept with --write."""
    check_output(output)
    found = add_to_review(folder, file, choice)
    show_result(output, words=found.text_tables, everything=lambda: add_facts(found), numbers=lambda: found.rows)


@command(app, epilog="Example: metapeer update lyons2021 trial.csv")
def update(
    review: Annotated[
        str, typer.Argument(metavar="REVIEW", help="A bundled data set, or a folder of your own in the same layout.")
    ],
    new: Annotated[
        Path,
        typer.Argument(
            metavar="NEW",
            help="The new trials: CSV or another program's table, a collection such as updates, or a folder that is "
            "another state of the review.",
        ),
    ],
    choice: UpdateOptions,
    output: Output,
) -> None:
    """Show what new trials would change, and why. Nothing is written."""
    check_output(output)
    found = update_review(review, new, choice)
    varied = vary_icc(review, new, choice)
    show_result(
        output,
        words=lambda: [*found.text_tables(), *(() if varied is None else varied.text_tables())],
        everything=lambda: found if varied is None else {**to_plain(found), "over_icc": varied},
        numbers=found.to_frame if varied is None else varied.to_frame,
    )


_RELEASE = (
    "Example: metapeer release my-review --date 2026-01-31 --searched 2026-01-15 --why 'one new trial' "
    "--author 'A. Name' --write"
)


@command(app, epilog=_RELEASE)
def release(
    folder: Folder,
    output: Output,
    date: Annotated[str, option("--date", group="Other", metavar="DAY", text="The day of the release: 2026-01-31.")],
    why: Annotated[str, option("--why", group="Other", metavar="TEXT", text="Why the review changes.")],
    author: Annotated[str, option("--author", group="Other", metavar="TEXT", text="Who releases it.")],
    searched: Annotated[
        str, option("--searched", group="Other", metavar="DAY", text="The day of the last search, when it is new.")
    ] = "",
    write: Annotated[bool, option("--write", group="Output", text="Keep it. Without this nothing is written.")] = False,
) -> None:
    """Stamp a version on a living review: What's New, and a lock on every number."""
    check_output(output)
    found = mp.release(folder, date=date, why=why, author=author, searched=searched, write=write)
    show_result(output, words=found.text_tables, everything=lambda: found)


@command(app, epilog="Example: metapeer verify my-review")
def verify(folder: Folder, output: Output) -> None:
    """Compute a review anew and hold every number against its lock; ends with code 3 when one differs."""
    check_output(output)
    found = mp.verify(folder)
    show_result(output, words=found.text_tables, everything=lambda: found, numbers=found.to_frame)
    if not found.ok:
        raise typer.Exit(FOUND)


@command(app, epilog="Example: metapeer undo my-review")
def undo(folder: Folder) -> None:
    """Take back the last change of a living review."""
    step = mp.undo(folder)
    echo(f"took back: {step.what} ({', '.join(step.files)})")


_CORRECT = (
    "Example: metapeer correct my-review doe2025.1 sd1 --value 12.1 --reason 'misread' --source 'Table 2' "
    "--author 'A. Name'"
)


@command(app, epilog=_CORRECT)
def correct(
    folder: Folder,
    row: Annotated[str, typer.Argument(metavar="ROW", help="The row of outcomes.csv: its row_id.")],
    column: Annotated[str, typer.Argument(metavar="COLUMN", help="Its column.")],
    choice: CorrectOptions,
    output: Output,
) -> None:
    """Record that a number of a review may be wrong, and what to use instead; kept with --write.

    The raw value stays. Every pooled outcome is shown as it stands, and with all recorded corrections made.
    """
    check_output(output)
    found = correct_review(folder, row, column, choice)
    numbers = None if found.update is None else found.update.to_frame
    show_result(output, words=found.text_tables, everything=lambda: found, numbers=numbers)


@command(app, epilog="Example: metapeer prisma my-review --template")
def prisma(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="The folder of a review, or the path of its prisma.csv.")
    ],
    choice: PrismaOptions,
    output: Output,
) -> None:
    """Show the PRISMA flow of records of a review; ends with code 3 when its boxes do not add up."""
    check_output(output)
    found = show_flow(folder, choice)
    if isinstance(found, str):
        echo(found)
        return
    show_result(output, words=found.text_tables, everything=lambda: found, numbers=found.to_frame)
    if found.faults:
        raise typer.Exit(FOUND)


@command(app, epilog="Example: metapeer preview trials.csv --effect 0.3 --n1 100")
def preview(
    table: Table,
    choice: PreviewOptions,
    rows: RowOptions,
    computing: EffectOptions,
    pooling: PoolingOptions,
    output: Output,
    outcome: Outcome = None,
) -> None:
    """Say what one more trial would do to a pooled result, and how large it must be for the conclusion to change.

    The trial is supposed, not seen. Arm 1 is peer support, arm 2 the comparison.
    """
    check_output(output)
    fit = find_fit(table, outcome, rows, computing, pooling, told=not output.as_csv)
    found = preview_table(fit, choice)
    about = found.needed if found.preview is None else found.preview
    numbers = None if about is None else about.to_frame
    show_result(output, words=found.text_tables, everything=lambda: found, numbers=numbers)


@command(app, epilog="Example: metapeer sequential trials.csv --order study_id --effect 0.3")
def sequential(
    table: Table, choice: SequentialOptions, rows: RowOptions, computing: EffectOptions, output: Output
) -> None:
    """Test a pooled effect again after each trial, with boundaries for repeated looks: a sensitivity analysis only.

    Cochrane advises against sequential methods for the main analysis of a review. Arm 1 is peer support.
    """
    check_output(output)
    found = sequential_table(table, rows, computing, choice, notes_shown=not output.as_csv)
    show_result(output, words=found.text_tables, everything=lambda: found, numbers=found.to_frame)


@command(app, epilog="Example: metapeer export trials.csv --as escalc --output trials_for_r.csv")
def export(
    table: Table,
    choice: ExportOptions,
    rows: RowOptions,
    effect: EffectOptions,
    pooling: PoolingOptions,
    outcome: Outcome = None,
) -> None:
    """Write a table for another program, or its pooled result as an R script or a FHIR Evidence resource."""
    echo(export_table(table, outcome, rows, effect, pooling, choice))


@command(app, epilog="Example: metapeer form trial.xlsx --review my-review")
def form(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The workbook to write, ending in .xlsx.")],
    review: Annotated[
        str | None,
        option("--review", group="Other", metavar="FOLDER", text="A review, whose trials and instruments are listed."),
    ] = None,
) -> None:
    """Write a blank extraction form for Excel, with drop-downs, ranges and hints."""
    mp.write_form(file, folder=review)
    echo(f"wrote {file}; fill it in, then: metapeer add FOLDER {file}")


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

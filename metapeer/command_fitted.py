"""What the commands do that begin with a pooled result: preview one more trial, and hand results to other programs."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import metapeer as mp
from metapeer.command_input import find_effects, find_rows, pool_effects, pooling_choices
from metapeer.command_options import OPTION_NAMES, EffectOptions, Given, PoolingOptions, RowOptions, option
from metapeer.command_output import PICTURES, check_place
from metapeer.errors import ChoiceError, MetapeerError
from metapeer.formatting import TextTable, format_number

__all__ = [
    "ExportAs",
    "ExportOptions",
    "Outcome",
    "Preview",
    "PreviewOptions",
    "export_table",
    "find_fit",
    "preview_table",
]

FHIR = ("title", "population", "intervention", "comparator")

Outcome = Annotated[
    str | None,
    option(
        "--outcome",
        group="Rows",
        metavar="NAME",
        text="An outcome of a review (a data set or a folder), pooled as its plan says; without it, TABLE is pooled as "
        "metapeer pool does.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewOptions(Given):
    """The trial that does not exist yet."""

    effect: Annotated[
        float,
        option(
            "--effect",
            group="Trial",
            metavar="NUMBER",
            text="The effect that it is supposed to see, in the units of the pooled effects (log for ratios).",
        ),
    ]
    n1: Annotated[
        float | None, option("--n1", group="Trial", metavar="NUMBER", text="Its participants with peer support.")
    ] = None
    n2: Annotated[
        float | None,
        option("--n2", group="Trial", metavar="NUMBER", text="Its participants in the comparison; as --n1 by default."),
    ] = None
    sei: Annotated[
        float | None,
        option("--sei", group="Trial", metavar="NUMBER", text="Its standard error, instead of participants."),
    ] = None
    sd: Annotated[
        float | None,
        option("--sd", group="Trial", metavar="NUMBER", text="Standard deviation within arms, for MD."),
    ] = None
    risk: Annotated[
        float | None,
        option("--risk", group="Trial", metavar="NUMBER", text="Risk in the comparison, for RR, OR and RD."),
    ] = None
    claim: Annotated[
        str | None,
        option(
            "--claim",
            group="Trial",
            metavar="NAME",
            text="Judge a claim, too: benefit, no_effect or no_evidence. For SMD.",
        ),
    ] = None
    margin: Annotated[
        float | None,
        option(
            "--margin",
            group="Trial",
            metavar="NUMBER",
            text="Smallest effect that matters, in the rule for claims; 0.2 by default.",
        ),
    ] = None
    plot: Annotated[
        Path | None,
        option(
            "--plot",
            group="Output",
            metavar="FILE",
            text="Draw the conclusion after one more trial of any effect and precision: .png, .svg or .pdf.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What one more trial would do, and how large it must be.

    Parameters
    ----------
    preview : PreviewResult or None
        Before and after; None when the trial was not described.
    needed : NeededSize or None
        The size from which the conclusion changes; None where participants give no sampling variance.
    conditional_power : float or None
        The probability that the update finds an effect, if the true mean effect is the one supposed.
    """

    preview: "mp.PreviewResult | None"
    needed: "mp.NeededSize | None"
    conditional_power: float | None

    def text_tables(self) -> list[TextTable]:
        """Describe both in words.

        Returns
        -------
        list of TextTable
            First the preview.
        """
        tables = [] if self.preview is None else [*self.preview.text_tables()]
        tables += [] if self.needed is None else [*self.needed.text_tables()]
        if self.conditional_power is not None:
            words = (
                "Conditional power: with that trial, the updated interval excludes no effect with a probability of "
                f"{format_number(self.conditional_power, 2)}, if the effect supposed is the true mean (normal "
                "quantiles, tau² taken as known)."
            )
            tables.append(TextTable(header=(), rows=(), notes=[words]))
        return tables


def find_fit(
    table: str, outcome: str | None, rows: RowOptions, effect: EffectOptions, pooling: PoolingOptions, *, told: bool
) -> "mp.MetaAnalysisResult":
    """Pool a table as `metapeer pool` does, or an outcome of a review by its plan.

    Parameters
    ----------
    table : str
        A file, a data set or a folder.
    outcome : str or None
        An outcome of a review.
    rows, effect, pooling : RowOptions, EffectOptions, PoolingOptions
        As typed.
    told : bool
        Whether the notes of the result are printed.

    Returns
    -------
    MetaAnalysisResult
        The result.

    Raises
    ------
    MetapeerError
        If an option would have no effect, or nothing can be pooled.
    """
    if outcome is None:
        choices = pooling_choices(pooling)
        effects, known = find_effects(table, rows, effect, designs_told=False)
        fit = pool_effects(effects, known | choices, (), notes_shown=told)
        assert isinstance(fit, mp.MetaAnalysisResult)  # noqa: S101  no subgroups were asked for
        return fit
    _refuse(rows, effect, pooling, because="with --outcome, since the review's plan says how it is pooled")
    found = mp.pool_review(table, outcomes=[outcome])
    if outcome not in found:
        raise MetapeerError(f"--outcome {outcome!r}: none of its rows can be pooled")
    return found[outcome]


def _refuse(*groups: Given, because: str) -> None:
    idle = [OPTION_NAMES.get(name, f"--{name.replace('_', '-')}") for group in groups for name in group.given()]
    if idle:
        raise ChoiceError(f"{' and '.join(idle)}: no effect {because}; leave {'it' if len(idle) == 1 else 'them'} out")


def preview_table(fit: "mp.MetaAnalysisResult", options: PreviewOptions) -> Preview:
    """Say what one more trial would do.

    Parameters
    ----------
    fit : MetaAnalysisResult
        What is known.
    options : PreviewOptions
        The trial.

    Returns
    -------
    Preview
        What would follow; the picture is written, where one was asked for.

    Raises
    ------
    MetapeerError
        If the trial is not described in full, or the name of the picture has another suffix.
    """
    if options.plot is not None:
        check_place(options.plot, PICTURES, "--plot")
    judged = options.given("effect", "n1", "n2", "sei", "sd", "risk", "plot")
    if "margin" in judged and "claim" not in judged:
        raise ChoiceError("margin has no effect without --claim; leave it out")
    size = {name: value for name, value in options.given().items() if name in ("n1", "n2", "sei", "sd", "risk")}
    preview, power = None, None
    if {"n1", "n2", "sei"} & set(size):
        preview = mp.preview_trial(fit, effect=options.effect, **size, **judged)
        power = mp.conditional_power(fit, effect=options.effect, **size)
    needed = None
    if "sei" not in size:
        ratio = {} if "n2" not in size else {"ratio": size["n2"] / size["n1"]}
        about = {name: size[name] for name in ("sd", "risk") if name in size}
        needed = mp.needed_trial_size(fit, effect=options.effect, **ratio, **about, **judged)
    if options.plot is not None:
        _draw(fit, options.plot, judged)
    return Preview(preview=preview, needed=needed, conditional_power=power)


def _draw(fit: "mp.MetaAnalysisResult", path: Path, judged: dict[str, Any]) -> None:
    table = mp.extended_funnel_table(fit, **judged)
    label = f"{fit.measure or 'Effect'}{' (log scale)' * (fit.measure in ('RR', 'OR', 'IRR', 'HR', 'PETO', 'ROM'))}"
    figure = mp.extended_funnel_plot(
        table,
        yi=fit.yi,
        sei=fit.vi**0.5,
        estimate=fit.estimate,
        x_label=label,
        title="Conclusion after one more trial",
    )
    mp.save_figure(figure, path)


class ExportAs(StrEnum):
    """What a table, or its pooled result, is written as."""

    csv = "csv"
    xlsx = "xlsx"
    metapsy = "metapsy"
    escalc = "escalc"
    revman_csv = "revman_csv"
    robvis = "robvis"
    metafor = "metafor"
    fhir = "fhir"


SUFFIXES = {ExportAs.xlsx: (".xlsx",), ExportAs.metafor: (".R", ".r"), ExportAs.fhir: (".json",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions(Given):
    """What is written, and where."""

    form: Annotated[
        ExportAs,
        option(
            "--as",
            group="Output",
            text="The rows for another program (csv, xlsx: metapeer's columns; metapsy; escalc: metafor's; revman_csv; "
            "robvis: risk of bias), or their pooled result (metafor: an R script that repeats it; fhir: an Evidence "
            "resource).",
        ),
    ]
    output: Annotated[Path, option("--output", "-o", group="Output", metavar="FILE", text="The file to write.")]
    title: Annotated[
        str | None,
        option("--title", group="Output", metavar="TEXT", text="Of the Evidence resource: what it is about."),
    ] = None
    population: Annotated[
        str | None, option("--population", group="Output", metavar="TEXT", text="Of the Evidence resource: whom.")
    ] = None
    intervention: Annotated[
        str | None,
        option("--intervention", group="Output", metavar="TEXT", text="Of it: what; 'peer support' by default."),
    ] = None
    comparator: Annotated[
        str | None, option("--comparator", group="Output", metavar="TEXT", text="Of it: against what.")
    ] = None
    measured: Annotated[
        str | None, option("--measured", group="Output", metavar="TEXT", text="Of it: what was measured.")
    ] = None


def export_table(
    table: str,
    outcome: str | None,
    rows: RowOptions,
    effect: EffectOptions,
    pooling: PoolingOptions,
    options: ExportOptions,
) -> str:
    """Write a table, or its pooled result, for another program.

    Parameters
    ----------
    table : str
        A file, a data set or a folder.
    outcome : str or None
        An outcome of a review, pooled by its plan.
    rows, effect, pooling : RowOptions, EffectOptions, PoolingOptions
        As typed.
    options : ExportOptions
        What to write.

    Returns
    -------
    str
        What was done, in words.

    Raises
    ------
    MetapeerError
        If an option would have no effect, a text is missing, or the table cannot be written so.
    """
    form, path = options.form, options.output
    check_place(path, SUFFIXES.get(form, (".csv",)), "--output")
    about = options.given("form", "output")
    if form is not ExportAs.fhir and about:
        raise ChoiceError(f"{', '.join(f'--{name}' for name in about)}: no effect with --as {form.value}; leave it out")
    if form is not ExportAs.metafor and form is not ExportAs.fhir:
        _refuse(effect, pooling, because=f"with --as {form.value}, which writes rows as they are")
        if outcome is not None:
            raise ChoiceError(f"--outcome has no effect with --as {form.value}; choose rows with --where")
        found = find_rows(table, rows)
        mp.write_table_as(found, path, format=form.value)  # type: ignore[arg-type]  # the others are taken above
        return f"wrote {path}"
    texts = {
        "title": options.title or "",
        "population": options.population or "",
        "intervention": options.intervention or "peer support",
        "comparator": options.comparator or "",
        "outcome": options.measured or outcome or "",
    }
    missing = [f"--{'measured' if name == 'outcome' else name}" for name, text in texts.items() if not text.strip()]
    if form is ExportAs.fhir and missing:
        raise MetapeerError(f"--as fhir needs {', '.join(missing)}: FHIR wants each variable described in words")
    fit = find_fit(table, outcome, rows, effect, pooling, told=False)
    if form is ExportAs.metafor:
        text, then = mp.metafor_script(fit), f"; check it with: Rscript {path}"
    else:
        text, then = json.dumps(mp.fhir_evidence(fit, **texts), indent=2, ensure_ascii=False) + "\n", ""
    path.write_text(text, encoding="utf-8", newline="\n")
    return f"wrote {path}{then}"
